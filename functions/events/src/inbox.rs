//! What is done about a delivery: each event is looked into, and what it hints at is looked up before anything starts.
//!
//! For an event that an upload rule is for, the blob's properties are read from storage. Only what is there now goes to
//! the catalog: a blob that is gone starts nothing, and an ETag in the event counts for nothing.

use headwater_blob::client::{BlobProperties, InvalidContainer};
use headwater_blob::{ClientError, Container, HttpClient, Store};
use headwater_catalog::ingest::{self, BlobEvent, BlobEventKind, Outcome};
use headwater_catalog::storage::StorageAccount;
use headwater_catalog::{CatalogError, Moment, Sql, storage};
use headwater_events::{Batch, Change, StorageEvent};
use headwater_seal::Seal;
use jiff::{SignedDuration, Timestamp};

/// How long one delivery is worked on. Hosts and senders give up after 30 s, and what follows the last look at the clock
/// takes time as well.
const PATIENCE: SignedDuration = SignedDuration::from_secs(20);

/// What came of a delivery, in numbers. The sum is the number of events delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Events that started at least one job.
    pub(crate) started: usize,
    /// Events that were taken in before.
    pub(crate) duplicate: usize,
    /// Events that no rule is for, or whose blob is gone, empty or known in this version.
    pub(crate) ignored: usize,
    /// Events that can never be worked on: they name no blob, or no rule that is for them holds any more.
    pub(crate) rejected: usize,
}

/// Why a delivery has to come again. Events of it that were worked on already will be duplicates then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InboxError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("storage account {account}: {cause}")]
    Storage { account: String, cause: ClientError },
    #[error("storage account {account}: {cause}")]
    Address {
        account: String,
        cause: InvalidContainer,
    },
    #[error("time was up with {left} events left")]
    Unfinished { left: usize },
}

impl InboxError {
    /// Whether the same delivery may go through soon.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Catalog(error) => matches!(error, CatalogError::Sql(error) if error.is_passing()),
            Self::Storage { cause, .. } => cause.is_retryable(),
            Self::Unfinished { .. } => true,
            Self::Address { .. } => false,
        }
    }
}

/// Where events are looked into.
pub(crate) struct Inbox<'a, S, C> {
    pub(crate) sql: &'a S,
    pub(crate) seal: &'a Seal,
    pub(crate) client: C,
    pub(crate) moment: Moment<'a>,
    /// The clock that storage requests are signed by.
    pub(crate) clock: fn() -> Timestamp,
}

impl<S: Sql, C: HttpClient + Clone> Inbox<'_, S, C> {
    /// Works through a delivery in order, as far as it gets in time.
    ///
    /// If it has to come again, it goes on where it stopped: what was looked into is known then, also what came to
    /// nothing.
    pub(crate) async fn take_in(&self, batch: &Batch) -> Result<Tally, InboxError> {
        let mut tally = Tally {
            ignored: batch.ignored,
            rejected: batch.unusable,
            ..Tally::default()
        };
        let started = (self.clock)();
        let mut in_vain = Vec::new();
        for (at, event) in batch.events.iter().enumerate() {
            if at > 0 && (self.clock)().duration_since(started) >= PATIENCE {
                ingest::remember(self.sql, &in_vain, self.moment.now).await?;
                return Err(InboxError::Unfinished {
                    left: batch.events.len().saturating_sub(at),
                });
            }
            let verdict = self.look_into(event).await?;
            if matches!(verdict, Verdict::Gone | Verdict::Rejected) {
                in_vain.push(event.id.as_str());
            }
            let counter = match verdict {
                Verdict::Started => &mut tally.started,
                Verdict::Duplicate => &mut tally.duplicate,
                Verdict::Ignored | Verdict::Gone => &mut tally.ignored,
                Verdict::Rejected => &mut tally.rejected,
            };
            *counter = counter.saturating_add(1);
        }
        Ok(tally)
    }

    async fn look_into(&self, event: &StorageEvent) -> Result<Verdict, InboxError> {
        // Rules are for storage accounts, and an event that names none can belong to none.
        let Some(account) = &event.account else {
            return Ok(Verdict::Ignored);
        };
        let mut hint = BlobEvent {
            kind: match event.change {
                Change::Created => BlobEventKind::Created,
                Change::Deleted => BlobEventKind::Deleted,
            },
            account: account.clone(),
            container: event.container.clone(),
            blob: event.blob.clone(),
            etag: String::new(),
            event_id: event.id.clone(),
        };
        if !ingest::concerns_a_rule(self.sql, &hint).await? {
            return Ok(Verdict::Ignored);
        }
        // A request to storage takes longer than all the rest.
        if ingest::is_known(self.sql, &event.id).await? {
            return Ok(Verdict::Duplicate);
        }
        let Some(account) = storage::called(self.sql, account).await? else {
            return Ok(Verdict::Ignored);
        };
        // Data Lake storage announces files when they are made, and again when they are complete.
        match self.properties(&account, &hint).await? {
            Some(found) if found.len > 0 => hint.etag = found.etag,
            _ => return Ok(Verdict::Gone),
        }
        match ingest::storage_event(self.sql, self.seal, &hint, self.moment).await {
            Ok(Outcome::Applied { started, refused }) => {
                for job in &started {
                    eprintln!(
                        "upload rule {} started job {} for {}/{}",
                        job.rule, job.job_name, hint.container, hint.blob
                    );
                }
                // The operator's to mend, and no repeat of the event would.
                for refused in &refused {
                    eprintln!(
                        "upload rule {} started nothing for {}/{}: {}",
                        refused.rule, hint.container, hint.blob, refused.error
                    );
                }
                Ok(if started.is_empty() {
                    Verdict::Rejected
                } else {
                    Verdict::Started
                })
            }
            Ok(Outcome::Duplicate) => Ok(Verdict::Duplicate),
            Ok(Outcome::Ignored) => Ok(Verdict::Ignored),
            Err(error) => Err(error.into()),
        }
    }

    /// What storage says of the blob now; none if it is not there.
    async fn properties(
        &self,
        account: &StorageAccount,
        event: &BlobEvent,
    ) -> Result<Option<BlobProperties>, InboxError> {
        let auth = account.auth(self.seal)?;
        let name = || account.account.clone();
        let container =
            Container::new(&account.container_url(&event.container), auth).map_err(|cause| {
                InboxError::Address {
                    account: name(),
                    cause,
                }
            })?;
        match Store::new(self.client.clone(), container, self.clock)
            .head(&event.blob)
            .await
        {
            Ok(found) => Ok(Some(found)),
            // A name that storage cannot have is a blob that is not there.
            Err(ClientError::NotFound { .. } | ClientError::Request(_)) => Ok(None),
            Err(cause) => Err(InboxError::Storage {
                account: name(),
                cause,
            }),
        }
    }
}

enum Verdict {
    Started,
    Duplicate,
    Ignored,
    /// There was a rule for it, but no such blob.
    Gone,
    Rejected,
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
