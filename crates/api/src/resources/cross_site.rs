//! `crossSiteAccessPolicies` of streaming endpoints and live events: XML that the origin gives to players of an older kind. Spec: the
//! management API reference, 1.7.

use serde_json::{Map, Value as Json};

use crate::error::ApiError;
use crate::fields::Object;

/// The members, and the root element of each.
pub(crate) const POLICIES: [(&str, &str); 2] = [
    ("clientAccessPolicy", "access-policy"),
    ("crossDomainPolicy", "cross-domain-policy"),
];

/// Longest document, bytes.
pub(crate) const LONGEST_POLICY: usize = 32 << 10;

/// What `properties` say. `None`: nothing; [`Json::Null`]: what was there is taken back.
pub(super) fn read(properties: &Object<'_>) -> Result<Option<Json>, ApiError> {
    if !properties.names_member("crossSiteAccessPolicies") {
        return Ok(None);
    }
    let Some(given) = properties.object("crossSiteAccessPolicies")? else {
        return Ok(Some(Json::Null));
    };
    given.only(&POLICIES.map(|(member, _)| member))?;
    let mut made = Map::new();
    for (member, root) in POLICIES {
        let text = given.text(member)?.filter(|text| !text.trim().is_empty());
        if let Some(text) = text {
            check(&text, root).map_err(|why| ApiError::invalid(given.path(member), why))?;
            made.insert(member.to_owned(), text.into());
        }
    }
    Ok(Some(match made.is_empty() {
        true => Json::Null,
        false => made.into(),
    }))
}

/// Errors: what is wrong with it, as the end of a sentence about the member.
fn check(text: &str, root: &str) -> Result<(), String> {
    if text.len() > LONGEST_POLICY {
        return Err(format!("must have at most {LONGEST_POLICY} bytes"));
    }
    // Flash's documents name a document type.
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        ..roxmltree::ParsingOptions::default()
    };
    let document = roxmltree::Document::parse_with_options(text, options);
    let document = document.map_err(|error| format!("must be XML: {error}"))?;
    let is = document.root_element().tag_name().name();
    if is != root {
        return Err(format!(
            "must be an XML document of the element {root}, not {is}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read_of(policies: Json) -> Result<Option<Json>, String> {
        let body = json!({"crossSiteAccessPolicies": policies});
        let root = Object::root(&body).unwrap();
        read(&root).map_err(|error| error.message)
    }

    #[test]
    fn documents_are_kept_as_they_came_and_nothing_takes_back() {
        let flash = "<?xml version=\"1.0\"?><!DOCTYPE cross-domain-policy SYSTEM \"http://www.macromedia.com/xml/dtds/cross-domain-policy.dtd\">\
                     <cross-domain-policy><allow-access-from domain=\"*\"/></cross-domain-policy>";
        let said = json!({"crossDomainPolicy": flash, "clientAccessPolicy": ""});
        assert_eq!(read_of(said), Ok(Some(json!({"crossDomainPolicy": flash}))));
        for nothing in [json!(null), json!({}), json!({"clientAccessPolicy": null})] {
            assert_eq!(read_of(nothing), Ok(Some(Json::Null)));
        }
        assert_eq!(read(&Object::root(&json!({})).unwrap()).unwrap(), None);
    }

    #[test]
    fn what_is_no_policy_is_refused_by_name() {
        let long = format!(
            "<access-policy>{}</access-policy>",
            " ".repeat(LONGEST_POLICY)
        );
        // What doubles thirty times would be a gigabyte.
        let bomb = (1..30).fold("<!ENTITY a0 \"ha\">".to_owned(), |bomb, at| {
            format!("{bomb}<!ENTITY a{at} \"&a{0};&a{0};\">", at - 1)
        });
        let bomb = format!("<!DOCTYPE x [{bomb}]><access-policy>&a29;</access-policy>");
        for (text, why) in [
            ("<access-policy>", "must be XML"),
            ("everybody", "must be XML"),
            ("<cross-domain-policy/>", "not cross-domain-policy"),
            (long.as_str(), "at most 32768 bytes"),
            (bomb.as_str(), "must be XML"),
        ] {
            let refused = read_of(json!({"clientAccessPolicy": text})).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
