//! Whether a credential opens a storage account, found out by asking.
//!
//! Asked for is a list of a container that need not exist: storage judges the credential first, so `ContainerNotFound` is
//! as good an answer as a list. A SAS that is right but does not allow lists is refused by codes of their own, and is
//! good enough here: what it allows is its maker's choice.

use bytes::Bytes;
use headwater_blob::client::{RequestError, decode_list};
use headwater_blob::{AccountUrl, Auth, ClientError, Container, HttpClient, List};
use http::{Request, Response};
use jiff::Timestamp;

use crate::Settings;
use crate::error::ApiError;
use crate::place::upstream;

/// A name that any container may have.
const CONTAINER: &str = "headwater-check";

/// Where a request keeps what is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    pub url: &'static str,
    pub credential: &'static str,
}

/// Reads the URL of a storage account that this installation may talk to. `field`: where it stands in the request.
pub(crate) fn account_url(
    settings: &Settings,
    field: &str,
    text: &str,
) -> Result<AccountUrl, ApiError> {
    let url = AccountUrl::parse(text).map_err(|error| ApiError::invalid(field, error))?;
    let listed = || {
        let origin = |host: &String| {
            host.trim_end_matches('/')
                .eq_ignore_ascii_case(url.origin())
        };
        settings.storage_hosts.iter().any(origin)
    };
    if url.is_https() || url.is_loopback() || listed() {
        return Ok(url);
    }
    Err(ApiError::invalid(
        field,
        "must be https; plain http is for this machine and for hosts that the installation's 'storage_hosts' name",
    ))
}

/// Asks storage.
///
/// Errors: `InvalidArgument` naming one of `fields`; `Unavailable` if storage is there but busy.
pub(crate) async fn opens<C: HttpClient>(
    http: &C,
    url: &AccountUrl,
    auth: Auth,
    fields: Fields,
    now: Timestamp,
) -> Result<(), ApiError> {
    let container = Container::new(&format!("{}/{CONTAINER}", url.as_str()), auth)
        .map_err(|error| ApiError::invalid(fields.url, error))?;
    let list = List {
        max_results: Some(1),
        ..List::default()
    };
    let build = || container.list(now, &list);
    let decode =
        |answer: &Response<Bytes>| decode_list(answer.status(), answer.headers(), answer.body());
    let refused = match twice(http, build, decode).await {
        Ok(_) => return Ok(()),
        Err(ClientError::NotFound { code }) if code == "ContainerNotFound" => return Ok(()),
        Err(ClientError::PermissionDenied { code, .. }) if allows_less(&code) => return Ok(()),
        Err(error) => error,
    };
    Err(match &refused {
        ClientError::PermissionDenied { code, .. } => ApiError::invalid(
            fields.credential,
            format!("the storage account does not accept it ({code})"),
        ),
        ClientError::Request(_) => ApiError::invalid(fields.credential, "cannot be sent"),
        ClientError::Unavailable { .. } => upstream(&refused),
        ClientError::Transport(_) => ApiError::invalid(
            fields.url,
            "cannot be reached from here; the installation's 'storage_hosts' must name its host",
        ),
        _ => ApiError::invalid(fields.url, "does not answer as Azure Blob storage does"),
    })
    .map_err(|error| ApiError {
        context: Some(refused.to_string()),
        ..error
    })
}

/// The signature was right, and does not allow lists.
fn allows_less(code: &str) -> bool {
    matches!(
        code,
        "AuthorizationPermissionMismatch" | "AuthorizationResourceTypeMismatch"
    )
}

/// Once more if storage did not get to it.
async fn twice<C: HttpClient, T>(
    http: &C,
    build: impl Fn() -> Result<Request<Bytes>, RequestError>,
    decode: impl Fn(&Response<Bytes>) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let once = async || -> Result<T, ClientError> { decode(&http.send(build()?).await?) };
    match once().await {
        Err(error) if error.is_retryable() => once().await,
        done => done,
    }
}
