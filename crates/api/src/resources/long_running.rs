//! Operations that take their time, as both SDK families follow them. Spec: the management API reference, 1.3 and 2.4.
//!
//! The Azure clients poll with their token, and look at the result in a second place; MK.IO's poll without one, so that the
//! operation's id is all it has to show.

use headwater_catalog::CatalogError;
use headwater_catalog::operations::{Operation, OperationStatus};
use http::StatusCode;
use http::header::{HeaderName, LOCATION, RETRY_AFTER};
use serde_json::{Value as Json, json};

use super::locators::segment;
use crate::call::Call;
use crate::dialect::Dialect;
use crate::error::{ApiError, Kind};
use crate::reply::Reply;

pub(super) const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");

/// Seconds between two polls.
const PATIENCE: &str = "1";

/// 202 with the headers that clients poll by.
///
/// `collection`: of operations, below the account; `path`: of the resource, below the account, encoded.
pub(super) fn accepted<S, C>(
    call: &Call<'_, S, C>,
    collection: &str,
    path: &str,
    operation: &Operation,
) -> Result<Reply, ApiError> {
    let reply = Reply::empty(StatusCode::ACCEPTED);
    followed(call, reply, collection, path, operation)
}

/// An answer with the headers that clients poll by.
pub(super) fn followed<S, C>(
    call: &Call<'_, S, C>,
    reply: Reply,
    collection: &str,
    path: &str,
    operation: &Operation,
) -> Result<Reply, ApiError> {
    let id = &operation.id;
    let status = format!("/{collection}/{id}");
    let result = format!("{path}/operationLocations/{id}");
    followed_at(call, reply, &status, &result)
}

/// The same with paths of one's own: where the operation and its result are, below the account, each from a slash on.
pub(super) fn followed_at<S, C>(
    call: &Call<'_, S, C>,
    reply: Reply,
    status: &str,
    result: &str,
) -> Result<Reply, ApiError> {
    let project = call.project()?;
    let origin = &call.incoming.origin;
    let base = match call.dialect {
        Dialect::Arm => format!("{origin}{}", crate::dialect::account_path(project)),
        Dialect::MkIoOlder => format!("{origin}/api/ams/{}", segment(&project.name)),
        Dialect::MkIo | Dialect::Own => {
            format!("{origin}/api/v1/projects/{}/media", segment(&project.name))
        }
    };
    let query = match call.incoming.query.get("api-version") {
        Some(version) if call.is_arm() => format!("?api-version={}", segment(version)),
        _ => String::new(),
    };
    let reply = reply
        .with(ASYNC_OPERATION, format!("{base}{status}{query}"))
        .with(RETRY_AFTER, PATIENCE);
    if !call.is_arm() {
        return Ok(reply);
    }
    Ok(reply.with(LOCATION, format!("{base}{result}{query}")))
}

/// What `Azure-AsyncOperation` leads to.
pub(super) fn status(operation: &Operation) -> Reply {
    let mut body = json!({"name": operation.id, "status": operation.status.name()});
    if let (Some(error), Json::Object(members)) = (&operation.error, &mut body) {
        members.insert("error".into(), json!(error));
    }
    let reply = Reply::ok(body);
    match operation.status {
        OperationStatus::InProgress => reply.with(RETRY_AFTER, PATIENCE),
        OperationStatus::Succeeded | OperationStatus::Failed => reply,
    }
}

/// What `Location` leads to: nothing yet, the resource as it is now (nothing, if that is gone), or why it failed.
///
/// `resource`: looks it up.
pub(super) async fn result(
    operation: &Operation,
    resource: impl Future<Output = Result<Reply, ApiError>>,
) -> Result<Reply, ApiError> {
    match operation.status {
        OperationStatus::InProgress => {
            Ok(Reply::empty(StatusCode::ACCEPTED).with(RETRY_AFTER, PATIENCE))
        }
        OperationStatus::Succeeded => match resource.await {
            Err(error) if error.kind == Kind::NotFound => Ok(Reply::empty(StatusCode::OK)),
            found => found,
        },
        OperationStatus::Failed => {
            let message = operation.error.as_ref().map(|error| error.message.clone());
            Err(CatalogError::WrongState(message.unwrap_or_default()).into())
        }
    }
}
