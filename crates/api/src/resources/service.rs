//! Readiness, keys and tokens.
//!
//! The two OpenID endpoints are what the unmodified `ClientSecretCredential` of the Azure SDKs calls when its `authority` is
//! this service: discovery, then OAuth 2.0 client credentials (RFC 6749 section 4.4).

use headwater_auth::{Claims, SubjectKind};
use headwater_blob::HttpClient;
use headwater_catalog::{Sql, clients, keys, projects};
use http::StatusCode;
use serde_json::json;

use crate::Incoming;
use crate::call::Call;
use crate::error::{ApiError, Kind};
use crate::query::Query;
use crate::reply::Reply;

/// How long a client's token lasts, in seconds.
const TOKEN_SECONDS: i64 = 3600;

/// 200 when the database answers; 503 when it does not, for whatever reason.
pub(super) async fn ready<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let answered = projects::list(call.sql, None, None).await;
    answered.map_err(|error| ApiError {
        context: Some(error.to_string()),
        retry_after_seconds: Some(5),
        ..ApiError::new(Kind::Unavailable, "The catalog does not answer.")
    })?;
    Ok(Reply::ok(json!({"status": "ready"})))
}

pub(super) async fn jwks<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let keys = keys::public_keys(call.sql, call.moment.now).await?;
    Ok(Reply::ok(headwater_auth::jwks(&keys)))
}

pub(super) async fn revoked<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let ids = keys::revoked(call.sql, call.moment.now).await?;
    Ok(Reply::ok(json!({ "revoked": ids })))
}

pub(super) fn openid_configuration<S, C>(call: &Call<'_, S, C>) -> Reply {
    let origin = &call.incoming.origin;
    let tenant = call.var("tenant");
    let base = format!("{origin}/{}", crate::resources::locators::segment(tenant));
    Reply::ok(json!({
        "issuer": call.settings.public_url,
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "jwks_uri": format!("{origin}/.well-known/jwks.json"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
}

/// OAuth errors have a shape of their own (RFC 6749 section 5.2).
fn refuse(status: StatusCode, error: &str, description: &str) -> Reply {
    Reply::json(
        status,
        json!({"error": error, "error_description": description}),
    )
}

/// The client that a request for a token says it is.
pub(crate) fn client_id(incoming: &Incoming<'_>) -> Option<String> {
    let form = std::str::from_utf8(incoming.body).ok()?;
    let named = Query::parse(Some(form)).get("client_id").map(str::to_owned);
    named.or_else(|| basic_credentials(incoming.headers).map(|(id, _)| id))
}

pub(super) async fn issue_token<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let form = match std::str::from_utf8(call.incoming.body) {
        Ok(text) => Query::parse(Some(text)),
        Err(_) => {
            return Ok(refuse(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "The body is not a form.",
            ));
        }
    };
    if form.get("grant_type") != Some("client_credentials") {
        return Ok(refuse(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "grant_type must be client_credentials.",
        ));
    }
    let basic = basic_credentials(call.incoming.headers);
    let (id, secret) = match (form.get("client_id"), form.get("client_secret"), &basic) {
        (Some(id), Some(secret), _) => (id, secret),
        (_, _, Some((id, secret))) => (id.as_str(), secret.as_str()),
        _ => {
            return Ok(refuse(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "client_id and client_secret are required.",
            ));
        }
    };
    let Some(client) = clients::authenticate(call.sql, id, secret).await? else {
        return Ok(refuse(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "The client id or secret is wrong.",
        ));
    };
    let key = keys::signing_key(call.sql, call.seal)
        .await?
        .ok_or_else(|| ApiError::internal("there is no signing key"))?;
    let now = call.moment.now.as_second();
    // What a client may do is looked up with each request.
    let claims = Claims {
        idtyp: Some(SubjectKind::App),
        project: client.spec.project,
        ..Claims::bare(
            &call.settings.public_url,
            &client.client_id,
            &call.moment.ids.uuid().to_string(),
            now,
            now.saturating_add(TOKEN_SECONDS),
        )
    };
    let token = key
        .issue(&claims)
        .map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(Reply::ok(json!({
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "ext_expires_in": TOKEN_SECONDS,
        "access_token": token,
    })))
}

fn basic_credentials(headers: &http::HeaderMap) -> Option<(String, String)> {
    use base64::Engine as _;
    let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}
