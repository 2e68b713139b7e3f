//! Who changed what: the log that `headwater_catalog::audit` keeps, for owners. Headwater's own.

use headwater_auth::Claims;
use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::audit::{self, Entry};
use serde_json::{Value as Json, json};

use crate::call::Call;
use crate::error::ApiError;
use crate::query;
use crate::reply::Reply;

fn render(entry: &Entry) -> Json {
    let roles: Vec<_> = entry.roles.split_ascii_whitespace().collect();
    json!({
        "requestId": entry.request_id,
        "time": entry.at.to_string(),
        "who": entry.subject,
        "tokenId": entry.token_id,
        "roles": roles,
        "from": entry.address,
        "operation": entry.operation,
        "method": entry.method,
        "path": entry.path,
        "project": entry.project,
        "resource": entry.resource,
        "status": entry.status,
        "errorCode": entry.error_code,
    })
}

/// The log, the newest first; for the owner of one project, that project's.
pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let own = |claims: &Claims| claims.project.clone();
    let project = call.claims.as_ref().and_then(own);
    let page = audit::list(call.sql, project.as_deref(), &call.listing()?).await?;
    Ok(Reply::ok(query::render(
        call.dialect,
        "AuditLogEntry",
        &call.url(),
        page,
        |entry| render(&entry),
    )))
}
