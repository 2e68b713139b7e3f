//! The service's error codes, with the status and sentence each one has.
//!
//! Source: "Common REST API error codes" and "Blob service error codes".

use http::StatusCode;

use crate::xml::{ErrorBody, write_error};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $message:literal;)*) => {
        /// One of Azure's error codes. The variant's name is the code on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// As in `x-ms-error-code` and in the body.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

codes! {
    AuthenticationFailed = FORBIDDEN, "Server failed to authenticate the request. Make sure the value of the Authorization header or the signature is formed correctly.";
    AuthorizationPermissionMismatch = FORBIDDEN, "This request is not authorized to perform this operation using this permission.";
    AuthorizationProtocolMismatch = FORBIDDEN, "This request is not authorized to perform this operation using this protocol.";
    AuthorizationResourceTypeMismatch = FORBIDDEN, "This request is not authorized to perform this operation using this resource type.";
    AuthorizationSourceIPMismatch = FORBIDDEN, "This request is not authorized to perform this operation using this source IP.";
    BlobAlreadyExists = CONFLICT, "The specified blob already exists.";
    BlobNotFound = NOT_FOUND, "The specified blob does not exist.";
    BlockListTooLong = BAD_REQUEST, "The block list may not contain more than 50,000 blocks.";
    ConditionNotMet = PRECONDITION_FAILED, "The condition specified using HTTP conditional header(s) is not met.";
    ContainerAlreadyExists = CONFLICT, "The specified container already exists.";
    ContainerBeingDeleted = CONFLICT, "The specified container is being deleted. Try operation later.";
    ContainerNotFound = NOT_FOUND, "The specified container does not exist.";
    Crc64Mismatch = BAD_REQUEST, "The CRC64 value specified in the request did not match with the CRC64 value calculated by the server.";
    /// Status 500: the operation may or may not have happened.
    InternalError = INTERNAL_SERVER_ERROR, "The server encountered an internal error. Please retry the request.";
    InvalidBlobOrBlock = BAD_REQUEST, "The specified blob or block content is invalid.";
    InvalidBlockId = BAD_REQUEST, "The specified block ID is invalid. The block ID must be Base64-encoded.";
    InvalidBlockList = BAD_REQUEST, "The specified block list is invalid.";
    InvalidHeaderValue = BAD_REQUEST, "The value for one of the HTTP headers is not in the correct format.";
    InvalidInput = BAD_REQUEST, "One of the request inputs is not valid.";
    InvalidMd5 = BAD_REQUEST, "The MD5 value specified in the request is invalid. The MD5 value must be 128 bits and Base64-encoded.";
    InvalidMetadata = BAD_REQUEST, "The specified metadata is invalid. It includes characters that are not permitted.";
    InvalidQueryParameterValue = BAD_REQUEST, "Value for one of the query parameters specified in the request URI is invalid.";
    InvalidRange = RANGE_NOT_SATISFIABLE, "The range specified is invalid for the current size of the resource.";
    InvalidResourceName = BAD_REQUEST, "The specified resource name contains invalid characters.";
    InvalidUri = BAD_REQUEST, "The requested URI does not represent any resource on the server.";
    InvalidXmlDocument = BAD_REQUEST, "XML specified is not syntactically valid.";
    LeaseNotPresentWithBlobOperation = PRECONDITION_FAILED, "There is currently no lease on the blob.";
    Md5Mismatch = BAD_REQUEST, "The MD5 value specified in the request did not match with the MD5 value calculated by the server.";
    MetadataTooLarge = BAD_REQUEST, "The size of the specified metadata exceeds the maximum size permitted.";
    MissingContentLengthHeader = LENGTH_REQUIRED, "The Content-Length header was not specified.";
    MissingRequiredHeader = BAD_REQUEST, "An HTTP header that's mandatory for this request is not specified.";
    MissingRequiredQueryParameter = BAD_REQUEST, "A query parameter that's mandatory for this request is not specified.";
    NoAuthenticationInformation = UNAUTHORIZED, "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
    /// Part of the Azure protocol that this store does not have.
    NotImplemented = NOT_IMPLEMENTED, "The requested operation is not implemented on the specified resource.";
    OperationTimedOut = REQUEST_TIMEOUT, "The client did not send the request in time.";
    OutOfRangeInput = BAD_REQUEST, "One of the request inputs is out of range.";
    OutOfRangeQueryParameterValue = BAD_REQUEST, "One of the query parameters specified in the request URI is outside the permissible range.";
    RequestBodyTooLarge = PAYLOAD_TOO_LARGE, "The request body is too large and exceeds the maximum permissible limit.";
    ResourceNotFound = NOT_FOUND, "The specified resource does not exist.";
    ServerBusy = SERVICE_UNAVAILABLE, "The server is currently unable to receive requests. Please retry your request.";
    UnauthorizedBlobOverwrite = FORBIDDEN, "This request is not authorized to perform blob overwrites.";
    UnsupportedHttpVerb = METHOD_NOT_ALLOWED, "The resource doesn't support the specified HTTP verb.";
    UnsupportedHeader = BAD_REQUEST, "One of the HTTP headers specified in the request is not supported.";
    UnsupportedQueryParameter = BAD_REQUEST, "One of the query parameters specified in the request URI is not supported.";
}

/// A failed request. `Display` and the body are safe for strangers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", code.as_str(), detail.as_deref().unwrap_or(code.message()))]
pub struct ServiceError {
    pub code: ErrorCode,
    /// What exactly is wrong, when more than the code is known.
    pub detail: Option<String>,
}

impl ServiceError {
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
        }
    }

    /// The XML body. `request_id` and `time` are appended to the message as Azure does.
    pub fn body(&self, request_id: &str, time: &str) -> String {
        let failed_authentication = self.code == ErrorCode::AuthenticationFailed;
        let sentence = match &self.detail {
            Some(detail) if !failed_authentication => format!("{} {detail}", self.code.message()),
            _ => self.code.message().to_owned(),
        };
        write_error(&ErrorBody {
            code: self.code.as_str().to_owned(),
            message: format!("{sentence}\nRequestId:{request_id}\nTime:{time}"),
            detail: self.detail.clone().filter(|_| failed_authentication),
        })
    }
}

impl From<ErrorCode> for ServiceError {
    fn from(code: ErrorCode) -> Self {
        Self { code, detail: None }
    }
}
