//! How people sign in at another authority: what the portal, which can keep no secret, is told about it.
//!
//! The authorization code flow with PKCE (RFC 7636) of a public client; the browser does it, and all that is here is
//! public. What tokens come of it are checked as every other is: see [`crate::issuer`].
//!
//! Spec: OpenID Connect Core 1.0 section 3.1, OAuth 2.0 for Browser-Based Applications.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::issuer::{is_safe, origin_of};

/// What a request for a code says itself, and a configuration must not.
const RESERVED: [&str; 10] = [
    "client_id",
    "client_secret",
    "response_type",
    "response_mode",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
];
const LONGEST_NAME: usize = 60;

/// The part of an issuer's configuration that lets people sign in there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignIn {
    /// What the portal is called there: a public client, which has no secret.
    pub client_id: String,
    /// What people call the authority: "Sign in with {name}". Without it, the issuer's host.
    #[serde(default)]
    pub name: Option<String>,
    /// Asked for, separated by spaces; `openid` among them.
    #[serde(default = "scopes")]
    pub scopes: String,
    /// What the authority wants to be told besides, to give out a token for the API: `resource`, `audience`, `prompt`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Which of its tokens the API is shown.
    #[serde(default)]
    pub bearer: Bearer,
    /// Origins that the browser has to reach besides those of issuer and discovery document: that of the token endpoint,
    /// where it is on another host.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// Which token is for the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Bearer {
    #[default]
    AccessToken,
    /// For authorities whose access tokens are not for others to read. The audience is the client id then.
    IdToken,
}

impl Bearer {
    /// As configuration and API write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "accessToken",
            Self::IdToken => "idToken",
        }
    }
}

fn scopes() -> String {
    "openid profile offline_access".to_owned()
}

impl SignIn {
    /// Errors: what is wrong, with the member's name before it. `audience`: the issuer's.
    pub(crate) fn check(&self, audience: &str) -> Result<(), String> {
        if self.client_id.trim().is_empty() {
            return Err("clientId: must not be empty".into());
        }
        if let Some(name) = &self.name
            && (name.trim().is_empty() || name.chars().count() > LONGEST_NAME)
        {
            return Err(format!("name: must have 1 to {LONGEST_NAME} characters"));
        }
        if !self
            .scopes
            .split_ascii_whitespace()
            .any(|scope| scope == "openid")
        {
            return Err("scopes: must hold openid".into());
        }
        for name in self.parameters.keys() {
            if name.is_empty() || RESERVED.contains(&name.as_str()) {
                return Err(format!(
                    "parameters.{name}: is not for a configuration to say"
                ));
            }
        }
        if self.bearer == Bearer::IdToken && self.client_id != audience {
            return Err(
                "bearer: an idToken is for the client, so the audience must be the clientId".into(),
            );
        }
        for (at, host) in self.hosts.iter().enumerate() {
            if !is_safe(host) || origin_of(host).as_deref() != Some(host) {
                return Err(format!(
                    "hosts[{at}]: must be an https origin, without a path"
                ));
            }
        }
        Ok(())
    }
}
