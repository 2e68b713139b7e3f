//! Who may do what: shared key (everything), service SAS and account SAS, by operation.
//!
//! Permissions per operation as in "Create a service SAS" and "Create an account SAS". Anonymous access does not exist.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Uri};

use crate::key::AccountKey;
use crate::query::Query;
use crate::sas::{self, Caller, Grant, Permissions, ResponseOverrides, SasError, Scope};
use crate::server::error::{ErrorCode, ServiceError};
use crate::server::operation::{Operation, Target};
use crate::shared_key;

/// The parts of a request that authorisation looks at.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    pub query: &'a Query,
}

/// A request that may go ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorized {
    /// Whether an existing blob may be replaced. Without it a write must fail with `UnauthorizedBlobOverwrite` if the
    /// blob exists, checked in the same step as the write.
    pub overwrite: bool,
    /// Headers that the signature replaces on reads.
    pub overrides: ResponseOverrides,
}

/// What kind of thing an operation works on, as account SAS counts them (`srt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ResourceType {
    Service,
    Container,
    Object,
}

/// What an operation needs. Any one of `any_of` is enough.
struct Requirement {
    resource: ResourceType,
    any_of: &'static [Permissions],
    /// Whether a service SAS can give it at all, and if so whether one for the container is needed.
    service_sas: ServiceSasUse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServiceSasUse {
    Never,
    ContainerOnly,
    ContainerOrBlob,
}

const CREATE_OR_WRITE: &[Permissions] = &[Permissions::CREATE, Permissions::WRITE];

fn requirement(operation: &Operation) -> Requirement {
    use ResourceType::{Container, Object, Service};
    use ServiceSasUse::{ContainerOnly, ContainerOrBlob, Never};
    let (resource, any_of, service_sas): (_, &'static [Permissions], _) = match operation {
        Operation::ListContainers(_) => (Service, &[Permissions::LIST], Never),
        Operation::CreateContainer => (Container, CREATE_OR_WRITE, Never),
        Operation::DeleteContainer => (Container, &[Permissions::DELETE], Never),
        Operation::GetContainerProperties => (Container, &[Permissions::READ], Never),
        Operation::ListBlobs(_) => (Container, &[Permissions::LIST], ContainerOnly),
        Operation::GetBlob | Operation::GetBlobProperties | Operation::GetBlockList { .. } => {
            (Object, &[Permissions::READ], ContainerOrBlob)
        }
        Operation::PutBlob | Operation::PutBlock { .. } | Operation::PutBlockList => {
            (Object, CREATE_OR_WRITE, ContainerOrBlob)
        }
        Operation::SetBlobProperties | Operation::SetBlobMetadata => {
            (Object, &[Permissions::WRITE], ContainerOrBlob)
        }
        Operation::DeleteBlob => (Object, &[Permissions::DELETE], ContainerOrBlob),
    };
    Requirement {
        resource,
        any_of,
        service_sas,
    }
}

/// Checks the credential of a request and that it allows `operation` on `target`.
pub fn authorize(
    head: RequestHead<'_>,
    target: &Target,
    operation: &Operation,
    account: &str,
    key: &AccountKey,
    caller: Caller,
) -> Result<Authorized, ServiceError> {
    if head.headers.contains_key(AUTHORIZATION) {
        shared_key::verify(
            head.method,
            head.uri,
            head.headers,
            account,
            key,
            caller.now,
        )
        .map_err(|e| ServiceError::new(ErrorCode::AuthenticationFailed, e.to_string()))?;
        return Ok(Authorized {
            overwrite: true,
            overrides: ResponseOverrides::default(),
        });
    }
    if head.query.get("sig").is_none() {
        return Err(ErrorCode::NoAuthenticationInformation.into());
    }
    let (container, blob) = (target.container.as_deref(), target.blob.as_deref());
    let grant = sas::verify(head.query, account, container, blob, key, caller).map_err(from_sas)?;
    check_grant(&grant, operation)?;
    Ok(Authorized {
        overwrite: grant.permissions.contains(Permissions::WRITE),
        overrides: grant.overrides,
    })
}

fn check_grant(grant: &Grant, operation: &Operation) -> Result<(), ServiceError> {
    let needed = requirement(operation);
    let in_scope = match grant.scope {
        Scope::Container => needed.service_sas != ServiceSasUse::Never,
        Scope::Blob => needed.service_sas == ServiceSasUse::ContainerOrBlob,
        Scope::Account {
            service,
            container,
            object,
        } => match needed.resource {
            ResourceType::Service => service,
            ResourceType::Container => container,
            ResourceType::Object => object,
        },
    };
    if !in_scope {
        return Err(ErrorCode::AuthorizationResourceTypeMismatch.into());
    }
    if needed
        .any_of
        .iter()
        .any(|one| grant.permissions.contains(*one))
    {
        return Ok(());
    }
    let letters: Vec<String> = needed.any_of.iter().map(|p| format!("`{p}`")).collect();
    let detail = format!(
        "The signature allows `{}`; this needs {}.",
        grant.permissions,
        letters.join(" or ")
    );
    Err(ServiceError::new(
        ErrorCode::AuthorizationPermissionMismatch,
        detail,
    ))
}

fn from_sas(error: SasError) -> ServiceError {
    match error {
        SasError::Protocol => ErrorCode::AuthorizationProtocolMismatch.into(),
        SasError::SourceIp => ErrorCode::AuthorizationSourceIPMismatch.into(),
        other => ServiceError::new(ErrorCode::AuthenticationFailed, other.to_string()),
    }
}

#[cfg(test)]
#[path = "authorize_tests.rs"]
mod tests;
