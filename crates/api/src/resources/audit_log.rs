//! Who changed what: the log that `headwater_catalog::audit` keeps, for owners. Headwater's own.

use headwater_auth::{Permission, ResourceKind, Verb};
use headwater_blob::HttpClient;
use headwater_catalog::Sql;
use headwater_catalog::audit::{self, Entry};
use headwater_catalog::projects;
use serde_json::{Value as Json, json};

use crate::access::place;
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

/// The log, the newest first. Whoever owns some of the projects only sees what was done in those.
pub(super) async fn list<S: Sql, C: HttpClient>(call: &Call<'_, S, C>) -> Result<Reply, ApiError> {
    let (caller, reading) = (
        call.caller()?,
        Permission::new(ResourceKind::AuditLog, Verb::Read),
    );
    let own = if caller.may_everywhere(reading) {
        None
    } else {
        let mut names = projects::list(call.sql, None, None).await?;
        names.retain(|project| caller.may(reading, place(Some(project))));
        Some(
            names
                .into_iter()
                .map(|project| project.name)
                .collect::<Vec<_>>(),
        )
    };
    let page = audit::list(call.sql, own.as_deref(), &call.listing()?).await?;
    Ok(Reply::ok(query::render(
        call.dialect,
        "AuditLogEntry",
        &call.url(),
        page,
        |entry| render(&entry),
    )))
}
