//! Who may send events: callers that know the shared secret.
//!
//! Event Grid can put a secret into the endpoint's query (`?code=…`) or into a header of the subscription
//! (`aeg-sas-key`); S3-style webhooks and CloudEvents senders use `Authorization: Bearer …`. All three carry the same
//! secret. Handshakes need it too: an endpoint that confirms anybody's subscription would take anybody's events.

use http::HeaderMap;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// Why a caller is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthError {
    /// No secret at all.
    #[error(
        "The caller has to prove who it is: send the event secret in the header aeg-sas-key, \
         as Authorization: Bearer, or as ?code= in the query."
    )]
    Missing,
    /// A secret, but not this one.
    #[error("The event secret is not the right one.")]
    Wrong,
}

/// Checks the caller's secret in time that does not depend on where it differs.
///
/// `query`: the raw query string, without `?`. `secret`: the one we gave out; an empty one lets nobody in.
/// If a request carries several, each has to be right.
///
/// Errors: [`AuthError::Missing`] (401), [`AuthError::Wrong`] (403).
pub fn authenticate(
    headers: &HeaderMap,
    query: Option<&str>,
    secret: &str,
) -> Result<(), AuthError> {
    let from_query = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .filter(|(name, _)| name == "code")
        .map(|(_, value)| value.into_owned().into_bytes());
    let from_sas_key = headers
        .get_all("aeg-sas-key")
        .iter()
        .map(|value| value.as_bytes().to_vec());
    let from_bearer = headers
        .get_all(http::header::AUTHORIZATION)
        .iter()
        .map(|value| bearer(value.as_bytes()).unwrap_or_default().to_vec());

    let mut presented = from_query.chain(from_sas_key).chain(from_bearer).peekable();
    if presented.peek().is_none() {
        return Err(AuthError::Missing);
    }
    let right = presented.fold(subtle::Choice::from(1), |so_far, given| {
        so_far & given.ct_eq(secret.as_bytes())
    });
    if bool::from(right) && !secret.is_empty() {
        Ok(())
    } else {
        Err(AuthError::Wrong)
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>()
    }

    #[test]
    fn each_way_of_showing_the_secret_is_accepted() {
        let none = HeaderMap::new();
        assert_eq!(authenticate(&none, Some("a=1&code=s%2B3"), "s+3"), Ok(()));
        assert_eq!(
            authenticate(&headers(&[("aeg-sas-key", "s3")]), None, "s3"),
            Ok(())
        );
        assert_eq!(
            authenticate(&headers(&[("authorization", "bearer s3")]), None, "s3"),
            Ok(())
        );
    }

    #[test]
    fn none_is_missing_and_any_wrong_one_is_wrong() {
        let none = HeaderMap::new();
        assert_eq!(authenticate(&none, None, "s3"), Err(AuthError::Missing));
        assert_eq!(
            authenticate(&none, Some("kode=s3"), "s3"),
            Err(AuthError::Missing)
        );
        assert_eq!(
            authenticate(&none, Some("code="), "s3"),
            Err(AuthError::Wrong)
        );
        assert_eq!(
            authenticate(&none, Some("code=s"), "s3"),
            Err(AuthError::Wrong)
        );
        assert_eq!(
            authenticate(&headers(&[("aeg-sas-key", "no")]), Some("code=s3"), "s3"),
            Err(AuthError::Wrong)
        );
        assert_eq!(
            authenticate(&headers(&[("authorization", "Basic s3")]), None, "s3"),
            Err(AuthError::Wrong)
        );
    }

    #[test]
    fn an_empty_secret_lets_nobody_in() {
        assert_eq!(
            authenticate(&HeaderMap::new(), Some("code="), ""),
            Err(AuthError::Wrong)
        );
        assert_eq!(
            authenticate(&headers(&[("authorization", "Bearer ")]), None, ""),
            Err(AuthError::Wrong)
        );
    }
}
