//! What the API and a sender of webhooks say to each other.
//!
//! Two calls, both `POST` with a JSON body under `/internal/v1`, authorised with a token of role `worker`:
//!
//! | path | body | answer |
//! |---|---|---|
//! | `webhooks/claim` | [`ClaimDeliveries`] | `200` [`ClaimedDeliveries`], or `204` when nothing is due |
//! | `webhooks/report` | [`ReportDelivery`] | `204`; `409` when the delivery is somebody else's or settled |
//!
//! The API decides what is sent and when; a sender sends it once and says what came of it. A sender that dies says nothing,
//! and after the lease the delivery is due again.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Asks for deliveries that are due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimDeliveries {
    /// 1 to 64.
    pub most: u32,
    /// 5 to 300. Longer than one attempt may take.
    pub lease_seconds: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedDeliveries {
    pub deliveries: Vec<WorkDelivery>,
}

/// One request to send, complete. Holds the rule's secrets: its `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkDelivery {
    pub rule_id: Uuid,
    pub event_id: Uuid,
    /// Proves the claim. Opaque.
    pub lease: String,
    /// `http` or `https`, with its query.
    pub url: String,
    /// In order, without those that the connection sets.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl std::fmt::Debug for WorkDelivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkDelivery")
            .field("rule_id", &self.rule_id)
            .field("event_id", &self.event_id)
            .finish_non_exhaustive()
    }
}

/// Says what came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportDelivery {
    pub rule_id: Uuid,
    pub event_id: Uuid,
    pub lease: String,
    pub outcome: DeliveryOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum DeliveryOutcome {
    /// The receiver answered, with whatever status.
    Answered {
        status: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u32>,
    },
    /// It did not: no name, no connection, no answer in time.
    Unanswered { reason: String },
    /// The request was not sent: its address is one that this installation does not send to, or it cannot be sent.
    Refused { reason: String },
}
