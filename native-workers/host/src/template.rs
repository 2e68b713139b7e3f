//! `{{ variable }}` templates in manifests (Spin's application variables).

use std::collections::BTreeMap;

/// Values of the application's variables, after everything that may set one was asked.
pub type Variables = BTreeMap<String, String>;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum TemplateError {
    #[error("`{{{{` without `}}}}` in {0:?}")]
    Unclosed(String),
    #[error("no value for variable `{0}`")]
    Undefined(String),
}

/// Replaces every `{{ name }}` in `text`. White space inside the braces does not count.
pub(crate) fn expand(text: &str, variables: &Variables) -> Result<String, TemplateError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (name, tail) = after
            .split_once("}}")
            .ok_or_else(|| TemplateError::Unclosed(text.into()))?;
        let name = name.trim();
        let value = variables
            .get(name)
            .ok_or_else(|| TemplateError::Undefined(name.into()))?;
        out.push_str(value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_the_rest_stays() {
        let variables =
            Variables::from([("host".into(), "blob".into()), ("port".into(), "1".into())]);
        assert_eq!(
            expand("http://{{ host }}:{{port}}/", &variables).unwrap(),
            "http://blob:1/"
        );
        assert_eq!(expand("plain", &variables).unwrap(), "plain");
        assert_eq!(
            expand("{{ gone }}", &variables),
            Err(TemplateError::Undefined("gone".into()))
        );
        assert_eq!(
            expand("{{ host", &variables),
            Err(TemplateError::Unclosed("{{ host".into()))
        );
    }
}
