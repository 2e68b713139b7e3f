//! What OpenID providers publish, remembered: when to ask again, and what is still good if they do not answer.
//!
//! A set is fresh for as long as the provider says, 5 minutes at least and a day at most, and good for a day in an outage. A
//! key id that it lacks is reason to ask again, once a minute. Fetching is for the caller: [`Wanted`] names one URL at a time.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::token::KeySet;

const LEAST_FRESH: SignedDuration = SignedDuration::from_mins(5);
const MOST_FRESH: SignedDuration = SignedDuration::from_hours(24);
const BETWEEN_TRIES: SignedDuration = SignedDuration::from_mins(1);
/// Providers that are remembered; policies of many projects name theirs.
const MOST_PROVIDERS: usize = 256;
/// Longest document that is read.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// Providers, by the URL of their discovery document and the issuer that it must be of.
#[derive(Debug, Default)]
pub struct Discovery(HashMap<(String, String), Provider>);

#[derive(Debug, Default)]
struct Provider {
    keys: Option<(KeySet, Timestamp)>,
    fresh_until: Option<Timestamp>,
    tried: Option<Timestamp>,
}

/// What has to be fetched before a token can be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Of the discovery document.
    pub url: String,
    /// Whose document it must be.
    pub issuer: String,
}

impl Wanted {
    /// The URL of the keys, from the discovery document.
    ///
    /// Errors: what is wrong, for the log.
    pub fn jwks_uri(&self, document: &[u8]) -> Result<String, &'static str> {
        #[derive(Deserialize)]
        struct Document {
            issuer: String,
            jwks_uri: String,
        }
        if document.len() > MAX_DOCUMENT_BYTES {
            return Err("the discovery document is too long");
        }
        let document: Document = serde_json::from_slice(document)
            .map_err(|_| "the discovery document does not parse")?;
        if document.issuer != self.issuer {
            return Err("the discovery document is of another issuer");
        }
        if !is_public(&document.jwks_uri) {
            return Err("the discovery document's jwks_uri is no public https URL");
        }
        Ok(document.jwks_uri)
    }
}

impl Discovery {
    /// What is to be fetched, if anything. Marks it as tried, so that a provider that is down is not asked all the time.
    ///
    /// `unknown_key`: a token names a key that the set does not have.
    /// `None` also for URLs that are not fetched on principle: no `https`, addresses, names without a dot.
    pub fn wanted(
        &mut self,
        url: &str,
        issuer: &str,
        unknown_key: bool,
        now: Timestamp,
    ) -> Option<Wanted> {
        if !is_public(url) {
            return None;
        }
        let at = (url.to_owned(), issuer.to_owned());
        if self.0.len() >= MOST_PROVIDERS && !self.0.contains_key(&at) {
            let oldest = self.0.iter().min_by_key(|(_, provider)| provider.tried);
            let oldest = oldest.map(|(at, _)| at.clone());
            oldest.map(|at| self.0.remove(&at));
        }
        let provider = self.0.entry(at).or_default();
        let just_tried = provider
            .tried
            .is_some_and(|tried| now.duration_since(tried) < BETWEEN_TRIES);
        let fresh = provider.fresh_until.is_some_and(|until| now < until);
        if just_tried || (fresh && !unknown_key) {
            return None;
        }
        provider.tried = Some(now);
        Some(Wanted {
            url: url.to_owned(),
            issuer: issuer.to_owned(),
        })
    }

    /// Remembers a set. `max_age`: as the provider's `Cache-Control` has it.
    pub fn store(
        &mut self,
        wanted: &Wanted,
        keys: KeySet,
        max_age: Option<SignedDuration>,
        now: Timestamp,
    ) {
        let at = (wanted.url.clone(), wanted.issuer.clone());
        let fresh = max_age
            .unwrap_or(LEAST_FRESH)
            .clamp(LEAST_FRESH, MOST_FRESH);
        let provider = self.0.entry(at).or_default();
        provider.fresh_until = now.checked_add(fresh).ok();
        provider.keys = Some((keys, now));
    }

    /// The last good set, if it is not older than a day.
    pub fn keys(&self, url: &str, issuer: &str, now: Timestamp) -> Option<&KeySet> {
        let provider = self.0.get(&(url.to_owned(), issuer.to_owned()))?;
        let (keys, at) = provider.keys.as_ref()?;
        (now.duration_since(*at) <= MOST_FRESH).then_some(keys)
    }
}

/// `https`, with a name that has a dot in it and is no address: what strangers configure is not to reach into our network.
fn is_public(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return false;
    };
    let Some(authority) = uri.authority() else {
        return false;
    };
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_end_matches('.')
        .to_ascii_lowercase();
    let last = host.rsplit('.').next().unwrap_or_default();
    uri.scheme_str() == Some("https")
        && !authority.as_str().contains('@')
        && (!authority.as_str().contains(':') || authority.port_u16().is_some())
        && host.contains('.')
        && last
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
        && last.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !matches!(
            last,
            "internal"
                | "local"
                | "localhost"
                | "localdomain"
                | "lan"
                | "intranet"
                | "home"
                | "corp"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://login.example.com/.well-known/openid-configuration";

    #[test]
    fn a_provider_is_asked_when_it_must_and_not_more_often() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let mut discovery = Discovery::default();
        let wanted = discovery.wanted(URL, "iss", false, at(0)).unwrap();
        assert_eq!(
            discovery.wanted(URL, "iss", true, at(59)),
            None,
            "just tried"
        );
        assert!(
            discovery.wanted(URL, "iss", false, at(60)).is_some(),
            "it did not answer"
        );
        assert!(discovery.keys(URL, "iss", at(61)).is_none());
        discovery.store(
            &wanted,
            KeySet::default(),
            Some(SignedDuration::from_secs(1)),
            at(61),
        );
        assert!(discovery.keys(URL, "iss", at(61)).is_some());
        assert!(discovery.keys(URL, "other", at(61)).is_none());
        assert_eq!(discovery.wanted(URL, "iss", false, at(300)), None, "fresh");
        assert!(
            discovery.wanted(URL, "iss", true, at(300)).is_some(),
            "an unknown key"
        );
        assert_eq!(
            discovery.wanted(URL, "iss", true, at(359)),
            None,
            "once a minute"
        );
        assert!(
            discovery.wanted(URL, "iss", false, at(362)).is_some(),
            "no longer fresh"
        );
        assert!(
            discovery.keys(URL, "iss", at(61 + 86_400)).is_some(),
            "an outage of a day"
        );
        assert!(discovery.keys(URL, "iss", at(62 + 86_400)).is_none());
    }

    #[test]
    fn only_public_urls_are_fetched() {
        for bad in [
            "http://login.example.com/",
            "https://localhost/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://me@a.example.com/",
            "https://assembler.spin.internal/",
            "https://metadata/",
            "https://169.254.169.254/",
            "https://0x7f.1/",
            "file:///etc/passwd",
            "https://a.example.com:x/",
        ] {
            assert_eq!(
                Discovery::default().wanted(bad, "iss", false, Timestamp::UNIX_EPOCH),
                None,
                "{bad}"
            );
        }
        let wanted = Wanted {
            url: URL.into(),
            issuer: "iss".into(),
        };
        let document = |issuer: &str, keys: &str| {
            serde_json::json!({"issuer": issuer, "jwks_uri": keys}).to_string()
        };
        assert!(
            wanted
                .jwks_uri(document("iss", "https://keys.example.com/k").as_bytes())
                .is_ok()
        );
        assert!(
            wanted
                .jwks_uri(document("evil", "https://keys.example.com/k").as_bytes())
                .is_err()
        );
        assert!(
            wanted
                .jwks_uri(document("iss", "https://10.0.0.1/k").as_bytes())
                .is_err()
        );
        assert!(wanted.jwks_uri(b"{}").is_err());
    }
}
