//! The keys that sign tokens: replaced in good time, or refused at once. Ours; MK.IO keeps its own to itself.

use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::keys::{self, KeyRecord};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::items;
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;

fn render(key: &KeyRecord, now: Timestamp) -> Json {
    let state = if key.revoked.is_some() {
        "Revoked"
    } else if key.verifies_until.is_some_and(|until| until <= now) {
        "Expired"
    } else if key.retired.is_some() {
        "Verifying"
    } else {
        "Signing"
    };
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "metadata": {"id": key.kid, "created": key.created.to_string()},
        "spec": {"algorithm": "EdDSA"},
        "status": {
            "state": state, "retired": time(key.retired), "verifiesUntil": time(key.verifies_until),
            "revoked": time(key.revoked),
        },
    })
}

pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let keys = keys::list(call.sql).await?;
    let records = keys.iter().map(|key| render(key, call.moment.now));
    Ok(items("SigningKeyList", records.collect()))
}

/// Another key signs from here on. Tokens that the last one signed stay good.
pub(super) async fn rotate<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let now = call.moment.now;
    let key = keys::rotate(call.sql, call.seal, now).await?;
    Ok(Reply::ok(render(&key, now)))
}

/// For a key that has leaked: it and all its tokens are refused from here on, the one of this request perhaps among them.
pub(super) async fn revoke<S: Sql, C: HttpClient>(
    call: &Call<'_, S, C>,
) -> Result<Reply, ApiError> {
    let now = call.moment.now;
    let key = keys::revoke_key(call.sql, call.seal, call.var("key"), now).await?;
    Ok(Reply::ok(render(&key, now)))
}
