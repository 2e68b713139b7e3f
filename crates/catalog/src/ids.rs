//! Identifiers, and where new ones come from.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A source of new identifiers. Randomness is the caller's, so that tests can repeat a run.
pub trait Ids {
    /// A UUID that nobody else gets.
    fn uuid(&self) -> Uuid;
}

/// Version 4 UUIDs from the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn uuid(&self) -> Uuid {
        Uuid::new_v4()
    }
}

/// When and with which identifiers something is written.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    pub now: jiff::Timestamp,
    pub ids: &'a dyn Ids,
}

/// Identifies a project in every other table. Not its name, which an operator may change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProjectId(pub(crate) String);

impl ProjectId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&ProjectId> for crate::sql::Value {
    fn from(id: &ProjectId) -> Self {
        Self::Text(id.0.clone())
    }
}
