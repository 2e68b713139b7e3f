//! Where people can sign in.
//!
//! ```text
//! providers   GET /api/v1/signInProviders   -> {kind, "items": [{name, issuer, discoveryUrl, clientId, scopes, parameters, bearer}]}
//! ```
//!
//! Nobody has a token yet who asks this. All of it is what a browser sends in the address of the authority's page anyway.

use headwater_auth::Issuer;
use serde_json::{Value as Json, json};

use crate::call::Call;
use crate::reply::Reply;

pub(super) fn providers<S, C>(call: &Call<'_, S, C>) -> Reply {
    let items: Vec<_> = call.settings.issuers.iter().filter_map(provider).collect();
    super::items("SignInProviderList", items)
}

/// None where nobody signs in with a browser.
fn provider(issuer: &Issuer) -> Option<Json> {
    let portal = issuer.portal.as_ref()?;
    let host = || {
        let (_, rest) = issuer.issuer.split_once("://")?;
        rest.split('/').next()
    };
    Some(json!({
        "name": portal.name.as_deref().or_else(host),
        "issuer": issuer.issuer,
        "discoveryUrl": issuer.discovery_url(),
        "clientId": portal.client_id,
        "scopes": portal.scopes,
        "parameters": portal.parameters,
        "bearer": portal.bearer.name(),
    }))
}
