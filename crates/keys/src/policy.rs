//! Content key policies as key delivery understands them: the stored options, and which of them lets a request through.
//!
//! Spec: the management API reference, 2.7; the content protection reference, 8. The stored form is what
//! `headwater-api` writes: AMS's names, discriminators complete, secrets included.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_protect::Kid;
use headwater_seal::Secret;
use jiff::Timestamp;
use serde_json::Value as Json;

use crate::token::{
    Accepted, KeySet, RequiredClaim, TokenError, TokenKind, TokenRestriction, VerificationKey,
};

const PREFIX: &str = "#Microsoft.Media.ContentKeyPolicy";
/// Signatures that one request may cost.
const MOST_CHECKS: usize = 64;

/// What hands the key over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum System {
    /// The key itself: AES-128 and W3C ClearKey.
    ClearKey,
    /// Widevine.
    Widevine,
    /// PlayReady.
    PlayReady,
    /// FairPlay.
    FairPlay,
}

/// An option of a policy.
#[derive(Debug, Clone)]
pub struct PolicyOption {
    /// `policyOptionId`, for logs.
    pub id: String,
    /// Of its configuration.
    pub system: System,
    /// The configuration as it is stored; licence servers are told what is in it. Holds secrets.
    pub configuration: Arc<Configuration>,
    /// `None`: anybody.
    pub restriction: Option<TokenRestriction>,
}

/// A configuration with its secrets, which `Debug` does not show.
#[derive(Clone, PartialEq)]
pub struct Configuration(pub Json);

impl std::fmt::Debug for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Configuration(..)")
    }
}

/// A content key policy.
#[derive(Debug, Clone)]
pub struct KeyPolicy {
    /// In their order.
    pub options: Vec<PolicyOption>,
}

/// An option that cannot be enforced as it is stored. It grants nothing to anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct PolicyError {
    /// `options[0].restriction.issuer`.
    pub field: String,
    /// What is wrong; no secret.
    pub reason: &'static str,
}

/// Why nobody gets a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 401: no token, or none that is genuine. Also for keys that do not exist, so that nobody learns which do.
    #[error("the token is missing or not accepted: {0}")]
    Unauthenticated(TokenError),
    /// 403: a genuine token that is not for this.
    #[error("the token is genuine and not for this key: {0}")]
    Forbidden(TokenError),
    /// 403: the policy has no option for the key system.
    #[error("the key's policy gives no licences of this key system")]
    System,
}

/// Who may have the key.
#[derive(Debug)]
pub struct Decision<'a> {
    /// The option that says so.
    pub option: &'a PolicyOption,
    /// `None`: anybody may.
    pub token: Option<Accepted>,
}

impl KeyPolicy {
    /// Reads the stored options. Options that cannot be enforced are left out and come back beside the policy, for the log.
    pub fn read(options: &Json) -> (Self, Vec<PolicyError>) {
        let mut policy = Self {
            options: Vec::new(),
        };
        let mut errors = Vec::new();
        for (at, option) in options.as_array().into_iter().flatten().enumerate() {
            match read_option(option, &format!("options[{at}]")) {
                Ok(option) => policy.options.push(option),
                Err(error) => errors.push(error),
            }
        }
        (policy, errors)
    }

    /// The providers that options for `system` refer to: the URL of the discovery document, and the issuer.
    pub fn discoveries(&self, system: System) -> Vec<(&str, &str)> {
        let options = self.options.iter().filter(|option| option.system == system);
        let mut providers: Vec<_> = options
            .filter_map(|option| {
                let restriction = option.restriction.as_ref()?;
                Some((
                    restriction.discovery.as_deref()?,
                    restriction.issuer.as_str(),
                ))
            })
            .collect();
        providers.sort_unstable();
        providers.dedup();
        providers
    }

    /// The first option for `system` that lets `token` have `kid`.
    ///
    /// `keys`: what is known of a provider's keys, by its URL and issuer.
    /// Errors: [`Refusal`]; of several options that refuse, a genuine token's counts.
    pub fn decide<'k>(
        &self,
        system: System,
        kid: Kid,
        token: Option<&str>,
        keys: impl Fn(&str, &str) -> Option<&'k KeySet>,
        now: Timestamp,
    ) -> Result<Decision<'_>, Refusal> {
        let mut worst = Refusal::System;
        let mut checks: usize = 0;
        for option in self.options.iter().filter(|option| option.system == system) {
            let Some(restriction) = &option.restriction else {
                return Ok(Decision {
                    option,
                    token: None,
                });
            };
            checks = checks.saturating_add(restriction.keys.len().saturating_add(1));
            if checks > MOST_CHECKS {
                break;
            }
            let found = restriction.discovery.as_deref();
            let found = found.and_then(|url| keys(url, &restriction.issuer));
            match restriction.verify(token.unwrap_or_default(), kid, found, now) {
                Ok(accepted) => {
                    return Ok(Decision {
                        option,
                        token: Some(accepted),
                    });
                }
                Err(error) if error.is_genuine() => worst = Refusal::Forbidden(error),
                Err(error) => {
                    if !matches!(worst, Refusal::Forbidden(_)) && !is_unknown_key(worst) {
                        worst = Refusal::Unauthenticated(error);
                    }
                }
            }
        }
        Err(worst)
    }
}

/// An option that would have to ask its provider again must not be hidden by another that refuses for good.
fn is_unknown_key(refusal: Refusal) -> bool {
    refusal == Refusal::Unauthenticated(TokenError::UnknownKey)
}

struct At<'a> {
    object: &'a Json,
    path: String,
}

impl<'a> At<'a> {
    fn error(&self, member: &str, reason: &'static str) -> PolicyError {
        PolicyError {
            field: format!("{}.{member}", self.path),
            reason,
        }
    }

    fn child(&self, member: &str) -> Option<At<'a>> {
        let object = self.object.get(member).filter(|value| !value.is_null())?;
        Some(At {
            object,
            path: format!("{}.{member}", self.path),
        })
    }

    fn children(&self, member: &str) -> Vec<At<'a>> {
        let all = self.object.get(member).and_then(Json::as_array);
        let at = |(at, object)| At {
            object,
            path: format!("{}.{member}[{at}]", self.path),
        };
        all.into_iter().flatten().enumerate().map(at).collect()
    }

    fn text(&self, member: &str) -> Result<&'a str, PolicyError> {
        let text = self.object.get(member).and_then(Json::as_str);
        text.ok_or_else(|| self.error(member, "is missing"))
    }

    fn bytes(&self, member: &str) -> Result<Secret, PolicyError> {
        let bytes = STANDARD.decode(self.text(member)?);
        bytes
            .map(Secret::new)
            .map_err(|_| self.error(member, "is not base64"))
    }

    /// The discriminator without its prefix.
    fn kind(&self) -> Result<&'a str, PolicyError> {
        let kind = self.text("@odata.type")?;
        kind.strip_prefix(PREFIX)
            .ok_or_else(|| self.error("@odata.type", "is not known"))
    }
}

fn read_option(object: &Json, path: &str) -> Result<PolicyOption, PolicyError> {
    let option = At {
        object,
        path: path.to_owned(),
    };
    let missing = |member| option.error(member, "is missing");
    let configuration = option
        .child("configuration")
        .ok_or_else(|| missing("configuration"))?;
    let system = match configuration.kind()? {
        "ClearKeyConfiguration" => System::ClearKey,
        "WidevineConfiguration" => System::Widevine,
        "PlayReadyConfiguration" => System::PlayReady,
        "FairPlayConfiguration" => System::FairPlay,
        _ => return Err(configuration.error("@odata.type", "is not known")),
    };
    let restriction = option
        .child("restriction")
        .ok_or_else(|| missing("restriction"))?;
    let restriction = match restriction.kind()? {
        "OpenRestriction" => None,
        "TokenRestriction" => Some(read_restriction(&restriction)?),
        _ => return Err(restriction.error("@odata.type", "is not known")),
    };
    let id = object.get("policyOptionId").and_then(Json::as_str);
    Ok(PolicyOption {
        id: id.unwrap_or_default().to_owned(),
        system,
        configuration: Arc::new(Configuration(configuration.object.clone())),
        restriction,
    })
}

fn read_restriction(at: &At<'_>) -> Result<TokenRestriction, PolicyError> {
    let kind = match at.text("restrictionTokenType")? {
        "Jwt" => TokenKind::Jwt,
        "Swt" => TokenKind::Swt,
        _ => return Err(at.error("restrictionTokenType", "is not known")),
    };
    let discovery = at
        .text("openIdConnectDiscoveryDocument")
        .ok()
        .map(str::to_owned);
    if discovery.is_some() && kind == TokenKind::Swt {
        return Err(at.error(
            "openIdConnectDiscoveryDocument",
            "is not for Simple Web Tokens",
        ));
    }
    let mut keys = Vec::new();
    let all = at.child("primaryVerificationKey").into_iter();
    for key in all.chain(at.children("alternateVerificationKeys")) {
        // With a provider AMS lets the primary key be there without a value.
        let empty = key.object.get("keyValue").and_then(Json::as_str) == Some("");
        if discovery.is_some() && empty {
            continue;
        }
        keys.push(read_key(&key)?);
    }
    if keys.is_empty() && discovery.is_none() {
        return Err(at.error("primaryVerificationKey", "is missing"));
    }
    let claims = at
        .children("requiredClaims")
        .into_iter()
        .map(|claim| {
            Ok(RequiredClaim {
                name: claim.text("claimType")?.to_owned(),
                value: claim
                    .text("claimValue")
                    .ok()
                    .filter(|value| !value.is_empty())
                    .map(str::to_owned),
            })
        })
        .collect::<Result<_, PolicyError>>()?;
    Ok(TokenRestriction {
        kind,
        issuer: at.text("issuer")?.to_owned(),
        audience: at.text("audience")?.to_owned(),
        keys,
        discovery,
        claims,
    })
}

fn read_key(at: &At<'_>) -> Result<VerificationKey, PolicyError> {
    let (member, key) = match at.kind()? {
        "SymmetricTokenKey" => (
            "keyValue",
            VerificationKey::symmetric(at.bytes("keyValue")?),
        ),
        "RsaTokenKey" => {
            let (modulus, exponent) = (at.bytes("modulus")?, at.bytes("exponent")?);
            (
                "modulus",
                VerificationKey::rsa(modulus.expose(), exponent.expose()),
            )
        }
        "X509CertificateTokenKey" => (
            "rawBody",
            VerificationKey::certificate(at.bytes("rawBody")?.expose()),
        ),
        _ => return Err(at.error("@odata.type", "is not known")),
    };
    key.map_err(|reason| at.error(member, reason))
}
