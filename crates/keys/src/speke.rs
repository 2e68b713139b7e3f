//! SPEKE 2.0: a CPIX document asks a vendor for keys and what players are told of them (AWS, "SPEKE v2.0 API").
//!
//! The usage rules of the request are the contract: the vendor fills in values and signalling and must leave the rest alone.

use std::collections::BTreeSet;

use headwater_protect::cpix::{ContentKey, Cpix, DrmSystem, UsageRule};
use headwater_protect::{IvSpace, Kid, Scheme};
use http::Request;
use http::header::CONTENT_TYPE;
use uuid::Uuid;

/// Longest answer that is read.
pub const MAX_ANSWER_BYTES: usize = headwater_protect::cpix::MAX_DOCUMENT_BYTES;

/// A request for keys.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyOrder {
    document: Cpix,
}

/// Why an order cannot be placed, or an answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpekeError {
    #[error("the order {0}")]
    Order(&'static str),
    #[error("the vendor's URL is none")]
    Url,
    #[error("the key server's answer is no CPIX document: {0}")]
    Document(String),
    #[error("the key server's answer {0}")]
    Contract(&'static str),
    #[error("the key server answered with status {0}")]
    Status(u16),
}

impl KeyOrder {
    /// Asks for keys under `scheme`, one for each of `rules`, with signalling for each of `systems`.
    ///
    /// `rules`: each with a key id and an intended track type of its own.
    /// Errors: `Order`.
    pub fn new(
        content_id: &str,
        scheme: Scheme,
        rules: Vec<UsageRule>,
        systems: &[Uuid],
    ) -> Result<Self, SpekeError> {
        if content_id.is_empty() {
            return Err(SpekeError::Order("needs a content id"));
        }
        let kids: BTreeSet<Kid> = rules.iter().filter_map(|rule| rule.kid).collect();
        let types: BTreeSet<&str> = rules
            .iter()
            .filter_map(|rule| rule.intended_track_type.as_deref())
            .collect();
        if rules.is_empty() || kids.len() != rules.len() || types.len() != rules.len() {
            return Err(SpekeError::Order(
                "needs rules, each with its own key and track type",
            ));
        }
        if systems.is_empty() {
            return Err(SpekeError::Order("needs a key system"));
        }
        let keys = kids.iter().map(|kid| ContentKey {
            kid: *kid,
            value: None,
            // FairPlay's licences hold the vector that pictures are encrypted with.
            explicit_iv: (scheme == Scheme::Cbcs).then(|| IvSpace::constant(*kid)),
            scheme: Some(scheme),
        });
        let signalling = kids.iter().flat_map(|kid| {
            systems.iter().map(|system| DrmSystem {
                kid: Some(*kid),
                system: *system,
                ..DrmSystem::default()
            })
        });
        Ok(Self {
            document: Cpix {
                content_id: Some(content_id.to_owned()),
                version: Some("2.3".to_owned()),
                keys: keys.collect(),
                systems: signalling.collect(),
                periods: Vec::new(),
                rules,
            },
        })
    }

    /// The request. What the vendor knows us by is for the caller to add.
    ///
    /// Errors: `Url`.
    pub fn request(&self, url: &str) -> Result<Request<Vec<u8>>, SpekeError> {
        Request::post(url)
            .header(CONTENT_TYPE, "application/xml")
            .header("x-speke-version", "2.0")
            .header("x-speke-user-agent", "Headwater")
            .body(self.document.to_xml().into_bytes())
            .map_err(|_| SpekeError::Url)
    }

    /// The keys and their signalling, from the vendor's answer.
    ///
    /// Errors: `Document`; `Contract` if a key has no value, one came that was not asked for, the scheme or a rule changed,
    /// or signalling is missing. Nothing is packaged then.
    pub fn accept(&self, answer: &[u8]) -> Result<Cpix, SpekeError> {
        let text = std::str::from_utf8(answer)
            .map_err(|_| SpekeError::Document("it is not UTF-8".into()))?;
        let answer = Cpix::from_xml(text.trim_start_matches('\u{feff}'))
            .map_err(|error| SpekeError::Document(error.to_string()))?;
        let kids = |document: &Cpix| {
            document
                .keys
                .iter()
                .map(|key| key.kid)
                .collect::<BTreeSet<_>>()
        };
        if answer.content_id != self.document.content_id {
            return Err(SpekeError::Contract("is for other content"));
        }
        if kids(&answer) != kids(&self.document) {
            return Err(SpekeError::Contract("has other keys than were asked for"));
        }
        if answer.keys.iter().any(|key| key.value.is_none()) {
            return Err(SpekeError::Contract("has a key without its value"));
        }
        let vector_of = |kid| {
            let mut ordered = self.document.keys.iter();
            ordered
                .find(|key| key.kid == kid)
                .and_then(|key| key.explicit_iv)
        };
        if answer
            .keys
            .iter()
            .any(|key| key.explicit_iv.is_some() && key.explicit_iv != vector_of(key.kid))
        {
            return Err(SpekeError::Contract("changes an initialisation vector"));
        }
        let scheme_of = |document: &Cpix, kid| {
            document
                .keys
                .iter()
                .find(|key| key.kid == kid)
                .and_then(|key| key.scheme)
        };
        if answer
            .keys
            .iter()
            .any(|key| key.scheme.is_some() && key.scheme != scheme_of(&self.document, key.kid))
        {
            return Err(SpekeError::Contract("changes the encryption scheme"));
        }
        let same =
            |rule: &UsageRule| answer.rules.iter().filter(|other| *other == rule).count() == 1;
        if answer.rules.len() != self.document.rules.len() || !self.document.rules.iter().all(same)
        {
            return Err(SpekeError::Contract("changes the usage rules"));
        }
        let signalled = |wanted: &DrmSystem| {
            answer.systems.iter().any(|system| {
                (system.kid, system.system) == (wanted.kid, wanted.system)
                    && (system.pssh.is_some()
                        || system.content_protection.is_some()
                        || system.hls_media.is_some()
                        || system.hls_master.is_some()
                        || system.smooth_header.is_some())
            })
        };
        if !self.document.systems.iter().all(signalled) {
            return Err(SpekeError::Contract("lacks signalling of a key system"));
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_protect::Key;
    use headwater_protect::pssh::{Pssh, system};

    fn order() -> KeyOrder {
        let rule = |fill, kind: &str| UsageRule {
            kid: Some(Kid::from_bytes([fill; 16])),
            intended_track_type: Some(kind.into()),
            ..UsageRule::default()
        };
        KeyOrder::new(
            "film",
            Scheme::Cbcs,
            vec![rule(1, "VIDEO"), rule(2, "AUDIO")],
            &[system::WIDEVINE],
        )
        .unwrap()
    }

    fn answer(order: &KeyOrder) -> Cpix {
        let mut answer = order.document.clone();
        for key in &mut answer.keys {
            key.value = Some(Key::new([9; 16]));
        }
        for system in &mut answer.systems {
            let kid = system.kid.unwrap();
            system.pssh = Some(
                Pssh {
                    system: system.system,
                    kids: Vec::new(),
                    data: kid.bytes().to_vec(),
                }
                .to_box()
                .unwrap(),
            );
        }
        answer
    }

    #[test]
    fn an_answer_that_keeps_the_contract_is_accepted() {
        let order = order();
        let request = order.request("https://vendor.example/speke").unwrap();
        assert_eq!(request.headers()["x-speke-version"], "2.0");
        let asked = Cpix::from_xml(std::str::from_utf8(request.body()).unwrap()).unwrap();
        assert!(asked.keys.iter().all(|key| key.value.is_none()));
        let answer = answer(&order);
        assert_eq!(order.accept(answer.to_xml().as_bytes()).unwrap(), answer);
    }

    #[test]
    fn an_answer_that_breaks_it_is_refused() {
        let order = order();
        type Damage = fn(&mut Cpix);
        let breaks: [(&str, Damage); 9] = [
            ("vector", |cpix| cpix.keys[1].explicit_iv = Some([7; 16])),
            ("content", |cpix| cpix.content_id = Some("other".into())),
            ("other keys", |cpix| drop(cpix.keys.pop())),
            ("other keys", |cpix| {
                cpix.keys[0].kid = Kid::from_bytes([3; 16])
            }),
            ("without its value", |cpix| cpix.keys[0].value = None),
            ("scheme", |cpix| cpix.keys[0].scheme = Some(Scheme::Cenc)),
            ("rules", |cpix| {
                cpix.rules[1].intended_track_type = Some("ALL".into())
            }),
            ("rules", |cpix| cpix.rules.swap_remove(0).labels.clear()),
            ("signalling", |cpix| cpix.systems[0].pssh = None),
        ];
        for (what, damage) in breaks {
            let mut answer = answer(&order);
            damage(&mut answer);
            let error = order
                .accept(answer.to_xml().as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.contains(what), "{error}");
        }
        for garbage in [&b""[..], b"<html/>", b"\xff", b"<!DOCTYPE x><CPIX/>"] {
            assert!(matches!(
                order.accept(garbage),
                Err(SpekeError::Document(_))
            ));
        }
        assert!(
            KeyOrder::new(
                "film",
                Scheme::Cenc,
                vec![UsageRule::default()],
                &[system::WIDEVINE]
            )
            .is_err()
        );
    }
}
