//! 202 answers: where a client asks what became of a request. Spec: the management API reference, 1.3 and 2.4.

use http::StatusCode;
use http::header::{HeaderName, LOCATION, RETRY_AFTER};

use super::locators::segment;
use crate::call::Call;
use crate::dialect::{Dialect, account_path};
use crate::error::ApiError;
use crate::reply::Reply;

pub(super) const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");

/// 202 with the headers that both SDK families poll by.
///
/// `status`, `result`: paths below the account, beginning with a slash. Only ARM clients ask for a result.
pub(super) fn accepted<S, C>(
    call: &Call<'_, S, C>,
    status: &str,
    result: &str,
) -> Result<Reply, ApiError> {
    let project = call.project()?;
    let origin = &call.incoming.origin;
    let base = match call.dialect {
        Dialect::Arm => format!("{origin}{}", account_path(project)),
        Dialect::MkIoOlder => format!("{origin}/api/ams/{}", segment(&project.name)),
        Dialect::MkIo | Dialect::Own => {
            format!("{origin}/api/v1/projects/{}/media", segment(&project.name))
        }
    };
    let query = match call.incoming.query.get("api-version") {
        Some(version) if call.is_arm() => format!("?api-version={}", segment(version)),
        _ => String::new(),
    };
    let reply = Reply::empty(StatusCode::ACCEPTED)
        .with(ASYNC_OPERATION, format!("{base}{status}{query}"))
        .with(RETRY_AFTER, "1");
    if !call.is_arm() {
        return Ok(reply);
    }
    Ok(reply.with(LOCATION, format!("{base}{result}{query}")))
}
