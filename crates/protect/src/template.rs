//! Licence URLs from templates: `{ContentKeyId}` and `{AlternativeMediaId}` stand for what their names say (AMS).

use crate::{Kid, ProtectError};

/// Longest URL.
const MAX_URL_BYTES: usize = 2048;

/// The URL for a key.
///
/// `media_id`: the locator's alternative media id; empty without one.
/// Errors: `Value` if what comes out is no `https`, `http` or `skd` URL, is too long, or names an unknown token.
pub fn fill(template: &str, kid: Kid, media_id: Option<&str>) -> Result<String, ProtectError> {
    let fault = |fault: &str| ProtectError::value("licence URL template", fault);
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| fault("has an open brace"))?;
        out.push_str(before);
        match name.to_ascii_lowercase().as_str() {
            "contentkeyid" => out.push_str(&kid.to_string()),
            "alternativemediaid" => encode(media_id.unwrap_or_default(), &mut out),
            _ => {
                return Err(fault(
                    "has a token that is neither {ContentKeyId} nor {AlternativeMediaId}",
                ));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    let known = ["https://", "http://", "skd://"];
    if !known.iter().any(|scheme| out.starts_with(scheme)) {
        return Err(fault("must be an https, http or skd URL"));
    }
    if out.len() > MAX_URL_BYTES
        || !out
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"')
    {
        return Err(fault("must be printable ASCII of at most 2048 bytes"));
    }
    Ok(out)
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// `url` with `skd` in place of its scheme, which is how FairPlay keys are named.
pub fn skd(url: &str) -> String {
    match url.split_once("://") {
        Some((_, rest)) => format!("skd://{rest}"),
        None => format!("skd://{url}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_filled_in_and_nothing_else_is_let_through() {
        let kid = Kid::parse("00112233445566778899AABBCCDDEEFF").unwrap();
        assert_eq!(
            fill(
                "https://l/{ContentKeyId}?m={alternativeMediaId}",
                kid,
                Some("a b&c")
            )
            .unwrap(),
            "https://l/00112233-4455-6677-8899-aabbccddeeff?m=a%20b%26c"
        );
        for bad in [
            "javascript:alert(1)",
            "https://l/{x}",
            "https://l/{",
            "https://l/\"x",
            "https://l/ x",
            "//l",
        ] {
            assert!(fill(bad, kid, None).is_err(), "{bad}");
        }
        assert_eq!(
            skd("https://kd/FairPlay/?kid=1"),
            "skd://kd/FairPlay/?kid=1"
        );
    }
}
