//! Tokens of another authority: Entra ID, or anything else that speaks OpenID Connect and gives out JSON Web Tokens.
//!
//! An [`Issuer`] says whom to trust, for what, and which of its roles mean which of ours; a [`ForeignKeys`] is what it
//! publishes to check its signatures with (RFC 7517). Fetching that is for the caller.
//!
//! RS256, ES256 and EdDSA, as the key's own type says and never the token's header alone: a key for one algorithm checks
//! no other. A role that the configuration does not name gives no right.
//!
//! Spec: OpenID Connect Core 1.0 section 3.1.3.7, RFC 8725.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::sign_in::SignIn;
use crate::token::{AuthError, MAX_TOKEN_BYTES, check_life};

/// Keys of a set that are looked at.
const MOST_KEYS: usize = 100;
/// Issuers in a configuration.
const MOST_ISSUERS: usize = 20;

/// An authority that the operator trusts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issuer {
    /// What `iss` must be, exactly.
    pub issuer: String,
    /// What `aud` must be or hold.
    pub audience: String,
    /// Where its keys are. Without it the discovery document says.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// The discovery document, if it is not at `{issuer}/.well-known/openid-configuration`.
    #[serde(default)]
    pub discovery: Option<String>,
    /// The claim with its roles: a name, or a JSON pointer (`/realm_access/roles`). Text, or a list of texts.
    #[serde(default = "roles_claim")]
    pub roles_claim: String,
    /// Its roles, and what they are called here.
    pub roles: BTreeMap<String, String>,
    /// The one project its people reach; without it, every project.
    #[serde(default)]
    pub project: Option<String>,
    /// How people sign in there with the portal; without it they cannot.
    #[serde(default)]
    pub portal: Option<SignIn>,
}

fn roles_claim() -> String {
    "roles".to_owned()
}

impl Issuer {
    /// Reads a configuration: a JSON array of issuers. Empty text is none.
    ///
    /// Errors: what is wrong, with the issuer's number.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let issuers: Vec<Self> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if issuers.len() > MOST_ISSUERS {
            return Err(format!("at most {MOST_ISSUERS} issuers"));
        }
        for (at, issuer) in issuers.iter().enumerate() {
            issuer
                .check()
                .map_err(|reason| format!("[{at}].{reason}"))?;
            if issuers
                .iter()
                .take(at)
                .any(|other| other.issuer == issuer.issuer)
            {
                return Err(format!("[{at}].issuer: is there twice"));
            }
        }
        Ok(issuers)
    }

    fn check(&self) -> Result<(), String> {
        let urls = [
            ("issuer", Some(&self.issuer)),
            ("jwksUri", self.jwks_uri.as_ref()),
            ("discovery", self.discovery.as_ref()),
        ];
        for (name, url) in urls {
            if url.is_some_and(|url| !is_safe(url)) {
                return Err(format!("{name}: must be an https URL"));
            }
        }
        if self.audience.is_empty() {
            return Err("audience: must not be empty".into());
        }
        if self.roles_claim.is_empty() {
            return Err("rolesClaim: must not be empty".into());
        }
        if self.roles.is_empty() {
            return Err("roles: must name at least one role".into());
        }
        match &self.portal {
            Some(portal) => portal
                .check(&self.audience)
                .map_err(|reason| format!("portal.{reason}")),
            None => Ok(()),
        }
    }

    /// Where its discovery document is.
    pub fn discovery_url(&self) -> String {
        self.discovery.clone().unwrap_or_else(|| {
            let issuer = self.issuer.trim_end_matches('/');
            format!("{issuer}/.well-known/openid-configuration")
        })
    }

    /// The address of the keys, from its discovery document.
    ///
    /// Errors: what is wrong with the document, for the log.
    pub fn jwks_uri_of(&self, document: &[u8]) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Document {
            issuer: String,
            jwks_uri: String,
        }
        let document: Document =
            serde_json::from_slice(document).map_err(|error| error.to_string())?;
        if document.issuer != self.issuer {
            return Err("the discovery document is of another issuer".into());
        }
        if !is_safe(&document.jwks_uri) {
            return Err("the discovery document's jwks_uri is not an https URL".into());
        }
        Ok(document.jwks_uri)
    }

    /// The scheme, host and port of each address that is asked, as an allow list has them.
    pub fn origins(&self) -> Vec<String> {
        let asked = match &self.jwks_uri {
            Some(uri) => uri.clone(),
            None => self.discovery_url(),
        };
        [asked]
            .iter()
            .chain([&self.issuer])
            .filter_map(|url| origin_of(url))
            .collect()
    }

    /// Where a browser has to reach to sign somebody in, as a content security policy has it. None where nobody signs in.
    pub fn sign_in_origins(&self) -> Vec<String> {
        let Some(portal) = &self.portal else {
            return Vec::new();
        };
        [self.discovery_url(), self.issuer.clone()]
            .iter()
            .chain(&portal.hosts)
            .filter_map(|url| origin_of(url))
            .collect()
    }

    /// Who a genuine token is of, and their roles in our words.
    ///
    /// Errors: all but [`AuthError::BadKey`] and [`AuthError::NoRandomness`]; [`AuthError::UnknownKey`] if the key set may be
    /// too old.
    pub fn verify(
        &self,
        keys: &ForeignKeys,
        token: &str,
        now: Timestamp,
    ) -> Result<Foreigner, AuthError> {
        if token.len() > MAX_TOKEN_BYTES.saturating_mul(2) {
            return Err(AuthError::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::Malformed)?;
        let kid = header.kid.ok_or(AuthError::UnknownKey)?;
        let (algorithm, key) = keys.0.get(&kid).ok_or(AuthError::UnknownKey)?;
        let mut validation = Validation::new(*algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library would read the clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Json>(token, key, &validation)
            .map_err(|_| AuthError::NotOurs)?
            .claims;
        let seconds = |name: &str| claims.get(name).and_then(Json::as_i64);
        let exp = seconds("exp").ok_or(AuthError::NotOurs)?;
        check_life(seconds("nbf").unwrap_or(i64::MIN), exp, now)?;
        let subject = claims
            .get("sub")
            .and_then(Json::as_str)
            .ok_or(AuthError::NotOurs)?;
        Ok(Foreigner {
            subject: subject.to_owned(),
            roles: self.roles_of(&claims),
        })
    }

    fn roles_of(&self, claims: &Json) -> Vec<String> {
        let claim = if self.roles_claim.starts_with('/') {
            claims.pointer(&self.roles_claim)
        } else {
            claims.get(&self.roles_claim)
        };
        let names = match claim {
            Some(Json::Array(names)) => names.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        names
            .iter()
            .filter_map(|name| self.roles.get(name.as_str()?).cloned())
            .collect()
    }
}

/// Scheme, host and port of a URL, as they are written there.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(format!("{scheme}://{authority}"))
}

/// `https`, or this machine. Nothing in it ends a word of a header's value.
pub(crate) fn is_safe(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let local = matches!(host, "localhost" | "127.0.0.1" | "::1");
    !host.is_empty()
        && !authority.contains('@')
        && !url.contains(char::is_whitespace)
        && !authority.contains([';', ',', '\'', '"'])
        && (scheme == "https" || (scheme == "http" && local))
}

/// The `iss` of a token that nobody has checked yet: good for choosing who shall check it, and for nothing else.
pub fn unchecked_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
    }
    if token.len() > MAX_TOKEN_BYTES.saturating_mul(2) {
        return None;
    }
    jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token)
        .ok()
        .map(|claims| claims.iss)
}

/// Somebody whom another authority vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreigner {
    pub subject: String,
    /// Names of our roles, as the configuration has them.
    pub roles: Vec<String>,
}

/// The public keys of another authority, each with its one algorithm.
pub struct ForeignKeys(HashMap<String, (Algorithm, DecodingKey)>);

impl ForeignKeys {
    /// Reads a JWK set. Keys that are not for signatures, have no id or an algorithm that we do not check are left out.
    ///
    /// Errors: what is wrong, for the log.
    pub fn parse(jwks: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Json>,
        }
        let set: Set = serde_json::from_slice(jwks).map_err(|error| error.to_string())?;
        let keys = set
            .keys
            .into_iter()
            .take(MOST_KEYS)
            .filter_map(|key| {
                let jwk: Jwk = serde_json::from_value(key).ok()?;
                let kid = jwk.common.key_id.clone()?;
                let algorithm = algorithm(&jwk)?;
                Some((kid, (algorithm, DecodingKey::from_jwk(&jwk).ok()?)))
            })
            .collect();
        Ok(Self(keys))
    }
}

impl std::fmt::Debug for ForeignKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ForeignKeys").field(&self.0.len()).finish()
    }
}

/// The one algorithm that a key is good for.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        _ => return None,
    };
    let for_signatures = match &jwk.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(_) => false,
    };
    let named = match jwk.common.key_algorithm {
        None => true,
        Some(named) => named.to_string() == format!("{algorithm:?}"),
    };
    (for_signatures && named).then_some(algorithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRA: &str = r#"[{
        "issuer": "https://login.microsoftonline.com/t/v2.0", "audience": "api://headwater",
        "roles": {"Media.Owner": "owner", "Media.Reader": "viewer"}
    }]"#;

    #[test]
    fn a_configuration_is_read_or_says_what_is_wrong() {
        let issuers = Issuer::parse_all(ENTRA).unwrap();
        assert_eq!(
            issuers[0].discovery_url(),
            "https://login.microsoftonline.com/t/v2.0/.well-known/openid-configuration"
        );
        assert_eq!(issuers[0].origins()[0], "https://login.microsoftonline.com");
        assert!(Issuer::parse_all(" ").unwrap().is_empty());
        let twice = ENTRA.replace("}]", "}, {\"issuer\": \"https://login.microsoftonline.com/t/v2.0\", \"audience\": \"a\", \"roles\": {\"a\": \"viewer\"}}]");
        for (text, wrong) in [
            (ENTRA.replace("https://login", "http://login"), "[0].issuer"),
            (
                ENTRA.replace("https://login", "https://me@login"),
                "[0].issuer",
            ),
            (ENTRA.replace("api://headwater", ""), "[0].audience"),
            (ENTRA.replace("\"roles\"", "\"role\""), "role"),
            (twice, "[1].issuer"),
        ] {
            let error = Issuer::parse_all(&text).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn people_sign_in_where_the_configuration_says_and_its_mistakes_are_named() {
        let with = |portal: &str| {
            Issuer::parse_all(&ENTRA.replace("}\n    }]", &format!("}}, \"portal\": {portal}}}]")))
        };
        let issuer = with(r#"{"clientId": "p"}"#).unwrap().remove(0);
        let portal = issuer.portal.as_ref().unwrap();
        assert_eq!(portal.scopes, "openid profile offline_access");
        assert_eq!(portal.bearer.name(), "accessToken");
        assert!(
            issuer
                .sign_in_origins()
                .iter()
                .all(|origin| origin == "https://login.microsoftonline.com")
        );
        let hosts = r#"{"clientId": "p", "hosts": ["https://tokens.example:8443"]}"#;
        let issuer = with(hosts).unwrap().remove(0);
        assert!(
            issuer
                .sign_in_origins()
                .contains(&"https://tokens.example:8443".to_owned())
        );
        assert!(
            Issuer::parse_all(ENTRA).unwrap()[0]
                .sign_in_origins()
                .is_empty()
        );
        assert!(with(r#"{"clientId": "api://headwater", "bearer": "idToken"}"#).is_ok());
        for (portal, wrong) in [
            ("{}", "clientId"),
            (r#"{"clientId": ""}"#, "[0].portal.clientId"),
            (r#"{"clientId": "p", "secret": "s"}"#, "secret"),
            (r#"{"clientId": "p", "name": " "}"#, "[0].portal.name"),
            (
                r#"{"clientId": "p", "scopes": "profile"}"#,
                "[0].portal.scopes",
            ),
            (
                r#"{"clientId": "p", "parameters": {"state": "x"}}"#,
                "[0].portal.parameters.state",
            ),
            (
                r#"{"clientId": "p", "bearer": "idToken"}"#,
                "[0].portal.bearer",
            ),
            (
                r#"{"clientId": "p", "hosts": ["https://a.example/path"]}"#,
                "[0].portal.hosts[0]",
            ),
            (
                r#"{"clientId": "p", "hosts": ["https://a.example;script-src"]}"#,
                "[0].portal.hosts[0]",
            ),
            (
                r#"{"clientId": "p", "hosts": ["http://a.example"]}"#,
                "[0].portal.hosts[0]",
            ),
        ] {
            let error = with(portal).unwrap_err();
            assert!(error.contains(wrong), "{portal}: {error}");
        }
    }

    #[test]
    fn roles_are_found_and_strange_ones_give_nothing() {
        let mut issuer = Issuer::parse_all(ENTRA).unwrap().remove(0);
        let claims = serde_json::json!({
            "roles": ["Media.Reader", "owner", "Other", 7], "one": "Media.Owner", "a": {"b": ["Media.Owner"]},
        });
        assert_eq!(issuer.roles_of(&claims), ["viewer"]);
        for (claim, roles) in [
            ("one", vec!["owner"]),
            ("/a/b", vec!["owner"]),
            ("a", vec![]),
        ] {
            issuer.roles_claim = claim.into();
            assert_eq!(issuer.roles_of(&claims), roles, "{claim}");
        }
    }

    #[test]
    fn discovery_must_be_of_the_same_issuer() {
        let issuer = Issuer::parse_all(ENTRA).unwrap().remove(0);
        let document = |issuer: &str, keys: &str| {
            serde_json::json!({"issuer": issuer, "jwks_uri": keys}).to_string()
        };
        let right = document(&issuer.issuer, "https://keys.example/k");
        assert_eq!(
            issuer.jwks_uri_of(right.as_bytes()).unwrap(),
            "https://keys.example/k"
        );
        for wrong in [
            document("https://evil.example", "https://keys.example/k"),
            document(&issuer.issuer, "http://keys.example/k"),
            "{}".into(),
        ] {
            assert!(issuer.jwks_uri_of(wrong.as_bytes()).is_err());
        }
    }

    /// Made by another tool: see testdata/make.py.
    #[test]
    fn genuine_tokens_of_three_algorithms_and_nothing_else() {
        let golden: Json = serde_json::from_str(include_str!("../testdata/foreign.json")).unwrap();
        let keys = ForeignKeys::parse(golden["jwks"].to_string().as_bytes()).unwrap();
        let issuer = Issuer {
            issuer: "https://login.example/t/v2.0".into(),
            ..Issuer::parse_all(ENTRA).unwrap().remove(0)
        };
        let at = |second| Timestamp::from_second(second).unwrap();
        let (from, until) = (1_767_225_600, 1_767_229_200);
        let verify = |name: &str, now| {
            let token = golden["tokens"][name].as_str().unwrap();
            issuer.verify(&keys, token, now)
        };
        for name in ["RS256", "ES256", "EdDSA"] {
            let foreigner = verify(name, at(from)).unwrap();
            assert_eq!(foreigner.subject, "somebody");
            assert_eq!(foreigner.roles, ["viewer"]);
            assert_eq!(
                verify(name, at(from - 31)).unwrap_err(),
                AuthError::NotYetValid
            );
            assert_eq!(
                verify(name, at(until + 31)).unwrap_err(),
                AuthError::Expired
            );
        }
        for (name, error) in [
            ("PS256", AuthError::NotOurs),
            ("HS256", AuthError::NotOurs),
            ("audience", AuthError::NotOurs),
            ("issuer", AuthError::NotOurs),
            ("encryption", AuthError::UnknownKey),
            ("unknown", AuthError::UnknownKey),
        ] {
            assert_eq!(verify(name, at(from)).unwrap_err(), error, "{name}");
        }
        let named = golden["tokens"]["issuer"].as_str().unwrap();
        assert_eq!(unchecked_issuer(named).unwrap(), "https://evil.example");
        assert_eq!(unchecked_issuer("a.b.c"), None);
    }
}
