//! What can be wrong with a request to the catalog.

use crate::sql::SqlError;

/// Why the catalog refused or failed. The texts of the first six are safe for strangers and say what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A field of the request is not acceptable. `field` is a path in the resource (`properties.outputs[0].preset`).
    #[error("{field}: {message}")]
    Invalid { field: String, message: String },
    /// There is no such resource.
    #[error("{what} '{name}' not found.")]
    NotFound { what: &'static str, name: String },
    /// The resource exists in a form that the request may not change.
    #[error("{0}")]
    Conflict(String),
    /// Somebody has the name already.
    #[error("{what} '{name}' already exists.")]
    Taken { what: &'static str, name: String },
    /// The resource is in a state that does not allow the operation.
    #[error("{0}")]
    WrongState(String),
    /// The caller's lease on a job or a live event is no longer valid: somebody else has it, or nobody should.
    #[error("the lease is lost")]
    LeaseLost,
    /// The database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A secret did not open.
    #[error("a stored secret cannot be read: {0}")]
    Seal(#[from] headwater_seal::SealError),
    /// A row holds what this version does not understand.
    #[error("column {column}: {reason}")]
    Corrupt {
        column: String,
        reason: &'static str,
    },
}

impl CatalogError {
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            message: message.into(),
        }
    }

    pub fn not_found(what: &'static str, name: impl Into<String>) -> Self {
        Self::NotFound {
            what,
            name: name.into(),
        }
    }

    /// What to make of a failed insert: a violated constraint means that the name is taken.
    pub(crate) fn taken(what: &'static str, name: &str) -> impl FnOnce(SqlError) -> Self {
        let name = name.to_owned();
        move |error| match error {
            SqlError::Constraint(_) => Self::Taken { what, name },
            error => error.into(),
        }
    }

    /// Whether the request is at fault, or what it met: the same request would be refused again.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Invalid { .. }
            | Self::NotFound { .. }
            | Self::Conflict(_)
            | Self::Taken { .. }
            | Self::WrongState(_)
            | Self::LeaseLost => true,
            Self::Sql(_) | Self::Seal(_) | Self::Corrupt { .. } => false,
        }
    }

    pub(crate) fn corrupt(column: &str, reason: &'static str) -> Self {
        Self::Corrupt {
            column: column.to_owned(),
            reason,
        }
    }
}
