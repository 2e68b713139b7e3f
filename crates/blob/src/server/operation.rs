//! From method, path and query to an [`Operation`].
//!
//! Paths are in path style: `/account[/container[/blob]]`, as emulators use them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};

use crate::names::{check_blob, check_container, decode};
use crate::query::Query;
use crate::server::error::{ErrorCode, ServiceError};

/// Most entries of one page of a listing, and the default.
const MAX_RESULTS: u32 = 5000;

/// What a URL names, decoded and validated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    pub container: Option<String>,
    /// Only with a container.
    pub blob: Option<String>,
}

/// Arguments of List Blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListBlobs {
    pub prefix: Option<String>,
    pub delimiter: Option<String>,
    pub marker: Option<String>,
    /// As sent, for the answer to repeat.
    pub max_results: Option<u32>,
    pub include_metadata: bool,
}

impl ListBlobs {
    /// 1 to 5000.
    pub fn limit(&self) -> u32 {
        self.max_results.unwrap_or(MAX_RESULTS).min(MAX_RESULTS)
    }
}

/// Arguments of List Containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListContainers {
    pub prefix: Option<String>,
    pub marker: Option<String>,
    pub max_results: Option<u32>,
    pub include_metadata: bool,
}

impl ListContainers {
    /// 1 to 5000.
    pub fn limit(&self) -> u32 {
        self.max_results.unwrap_or(MAX_RESULTS).min(MAX_RESULTS)
    }
}

/// Everything the store can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    ListContainers(ListContainers),
    CreateContainer,
    DeleteContainer,
    GetContainerProperties,
    ListBlobs(ListBlobs),
    GetBlob,
    /// HEAD, or GET of the metadata: headers only.
    GetBlobProperties,
    /// Put Blob, block blobs only.
    PutBlob,
    /// `id`: base64, as sent.
    PutBlock {
        id: String,
    },
    PutBlockList,
    GetBlockList {
        committed: bool,
        uncommitted: bool,
    },
    SetBlobProperties,
    SetBlobMetadata,
    DeleteBlob,
}

/// Reads the path of a request to `account`. `path`: percent-encoded, as sent.
pub fn parse_target(path: &str, account: &str) -> Result<Target, ServiceError> {
    let invalid = |e: crate::names::InvalidName| {
        ServiceError::new(ErrorCode::InvalidResourceName, e.to_string())
    };
    let rest = path.strip_prefix('/').ok_or(ErrorCode::InvalidUri)?;
    let (named, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if decode(named).map_err(invalid)? != account {
        return Err(ServiceError::new(
            ErrorCode::ResourceNotFound,
            "The path must start with the account's name.",
        ));
    }
    let (container, blob) = rest.split_once('/').unwrap_or((rest, ""));
    if container.is_empty() {
        return if blob.is_empty() {
            Ok(Target::default())
        } else {
            Err(ErrorCode::InvalidUri.into())
        };
    }
    let container = decode(container).map_err(invalid)?;
    check_container(&container).map_err(invalid)?;
    if blob.is_empty() {
        return Ok(Target {
            container: Some(container),
            blob: None,
        });
    }
    let blob = decode(blob).map_err(invalid)?;
    check_blob(&blob).map_err(invalid)?;
    Ok(Target {
        container: Some(container),
        blob: Some(blob),
    })
}

/// Decides what a request asks for. Parts of the protocol that the store lacks are `NotImplemented`, by name.
pub fn parse_operation(
    method: &Method,
    target: &Target,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Operation, ServiceError> {
    for unsupported in ["snapshot", "versionid"] {
        if query.get(unsupported).is_some() {
            return Err(ServiceError::new(
                ErrorCode::NotImplemented,
                "There are no snapshots and no versions here.",
            ));
        }
    }
    let comp = query.get("comp").unwrap_or_default();
    let container_request = query
        .get("restype")
        .is_some_and(|t| t.eq_ignore_ascii_case("container"));
    match (&target.container, &target.blob) {
        (None, _) => on_account(method, comp, query),
        (Some(_), None) if container_request => on_container(method, comp, query, headers),
        (Some(_), None) => Err(ServiceError::new(
            ErrorCode::MissingRequiredQueryParameter,
            "restype=container is expected.",
        )),
        (Some(_), Some(_)) => on_blob(method, comp, query, headers),
    }
}

fn not_implemented(what: &str) -> ServiceError {
    ServiceError::new(ErrorCode::NotImplemented, what)
}

fn on_account(method: &Method, comp: &str, query: &Query) -> Result<Operation, ServiceError> {
    match (method, comp) {
        (&Method::GET, "list") => Ok(Operation::ListContainers(ListContainers {
            prefix: non_empty(query, "prefix"),
            marker: non_empty(query, "marker"),
            max_results: max_results(query)?,
            include_metadata: includes_metadata(query),
        })),
        _ => Err(not_implemented(
            "On the account itself only listing containers is possible.",
        )),
    }
}

fn on_container(
    method: &Method,
    comp: &str,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Operation, ServiceError> {
    match (method, comp) {
        (&Method::GET, "list") => Ok(Operation::ListBlobs(ListBlobs {
            prefix: non_empty(query, "prefix"),
            delimiter: non_empty(query, "delimiter"),
            marker: non_empty(query, "marker"),
            max_results: max_results(query)?,
            include_metadata: includes_metadata(query),
        })),
        (&Method::PUT, "") => {
            if headers.contains_key("x-ms-blob-public-access") {
                return Err(not_implemented(
                    "Containers are private; use a shared access signature.",
                ));
            }
            Ok(Operation::CreateContainer)
        }
        (&Method::DELETE, "") => Ok(Operation::DeleteContainer),
        (&Method::GET | &Method::HEAD, "" | "metadata") => Ok(Operation::GetContainerProperties),
        (_, "acl" | "lease" | "metadata") => Err(not_implemented(
            "Container policies, leases and metadata updates.",
        )),
        _ => Err(ErrorCode::UnsupportedHttpVerb.into()),
    }
}

fn on_blob(
    method: &Method,
    comp: &str,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Operation, ServiceError> {
    match (method, comp) {
        (&Method::GET, "") => Ok(Operation::GetBlob),
        (&Method::HEAD, "" | "metadata") | (&Method::GET, "metadata") => {
            Ok(Operation::GetBlobProperties)
        }
        (&Method::PUT, "") => put_blob(headers),
        (&Method::PUT, "block") if headers.contains_key("x-ms-copy-source") => Err(
            not_implemented("Put Block From URL: send the bytes with Put Block."),
        ),
        (&Method::PUT, "block") => Ok(Operation::PutBlock {
            id: block_id(query)?,
        }),
        (&Method::PUT, "blocklist") => Ok(Operation::PutBlockList),
        (&Method::GET, "blocklist") => match query.get("blocklisttype").unwrap_or("committed") {
            "committed" => Ok(Operation::GetBlockList {
                committed: true,
                uncommitted: false,
            }),
            "uncommitted" => Ok(Operation::GetBlockList {
                committed: false,
                uncommitted: true,
            }),
            "all" => Ok(Operation::GetBlockList {
                committed: true,
                uncommitted: true,
            }),
            _ => Err(ServiceError::new(
                ErrorCode::InvalidQueryParameterValue,
                "blocklisttype",
            )),
        },
        (&Method::PUT, "properties") => Ok(Operation::SetBlobProperties),
        (&Method::PUT, "metadata") => Ok(Operation::SetBlobMetadata),
        (&Method::DELETE, "") => match headers.get("x-ms-delete-snapshots").map(|v| v.as_bytes()) {
            None | Some(b"include") => Ok(Operation::DeleteBlob),
            Some(_) => Err(not_implemented("There are no snapshots to delete.")),
        },
        (
            _,
            "lease" | "snapshot" | "tags" | "tier" | "page" | "appendblock" | "copy" | "undelete"
            | "query",
        ) => Err(not_implemented(
            "Leases, snapshots, tags, tiers, copies, page and append blobs.",
        )),
        _ => Err(ErrorCode::UnsupportedHttpVerb.into()),
    }
}

fn put_blob(headers: &HeaderMap) -> Result<Operation, ServiceError> {
    if headers.contains_key("x-ms-copy-source") {
        return Err(not_implemented("Copy Blob: download and upload instead."));
    }
    match headers.get("x-ms-blob-type").map(|v| v.as_bytes()) {
        Some(b"BlockBlob") => Ok(Operation::PutBlob),
        Some(b"PageBlob" | b"AppendBlob") => {
            Err(not_implemented("Only block blobs are supported."))
        }
        Some(_) => Err(ServiceError::new(
            ErrorCode::InvalidHeaderValue,
            "x-ms-blob-type",
        )),
        None => Err(ServiceError::new(
            ErrorCode::MissingRequiredHeader,
            "x-ms-blob-type",
        )),
    }
}

fn block_id(query: &Query) -> Result<String, ServiceError> {
    let id = query.get("blockid").filter(|id| !id.is_empty());
    let id = id.ok_or(ServiceError::new(
        ErrorCode::MissingRequiredQueryParameter,
        "blockid",
    ))?;
    check_block_id(id)?;
    Ok(id.to_owned())
}

/// A block id is 1 to 64 bytes in base64.
pub fn check_block_id(id: &str) -> Result<(), ErrorCode> {
    let raw = STANDARD.decode(id).map_err(|_| ErrorCode::InvalidBlockId)?;
    if (1..=64).contains(&raw.len()) {
        Ok(())
    } else {
        Err(ErrorCode::InvalidBlockId)
    }
}

fn non_empty(query: &Query, name: &str) -> Option<String> {
    query
        .get(name)
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

fn max_results(query: &Query) -> Result<Option<u32>, ServiceError> {
    let Some(text) = non_empty(query, "maxresults") else {
        return Ok(None);
    };
    match text.parse::<u32>() {
        Ok(0) | Err(_) => Err(ServiceError::new(
            ErrorCode::OutOfRangeQueryParameterValue,
            "maxresults",
        )),
        Ok(n) => Ok(Some(n)),
    }
}

/// Other things to include (snapshots, uncommitted blobs, tags, ...) do not exist here, so leaving them out is exact.
fn includes_metadata(query: &Query) -> bool {
    query.get("include").is_some_and(|list| {
        list.split(',')
            .any(|one| one.trim().eq_ignore_ascii_case("metadata"))
    })
}

#[cfg(test)]
#[path = "operation_tests.rs"]
mod tests;
