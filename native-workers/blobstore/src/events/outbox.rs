//! The durable queue of events: one small file each, named by its sequence number.
//!
//! Events that the sink will never take are put aside in the folder `dead`, for an operator to look at.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::schema::{Record, Subject};

/// Events on disk, and which of them may be sent.
#[derive(Debug)]
pub(crate) struct Outbox {
    folder: PathBuf,
    /// Sequence numbers of committed events, in order.
    ready: Mutex<BTreeSet<u64>>,
    wake: Notify,
}

/// An event that is on disk and whose write is about to be committed.
///
/// Dropped without [`Recorded::committed`], i.e. when the commit failed, it is taken back.
#[derive(Debug)]
pub(crate) struct Recorded {
    outbox: Arc<Outbox>,
    sequence: u64,
    committed: bool,
}

impl Outbox {
    /// Opens the folder; also returns the highest sequence number in it. A file that does not parse was cut short by
    /// a crash, so its write was never acknowledged: it is dropped.
    pub(crate) fn open(folder: PathBuf) -> io::Result<(Self, u64)> {
        let mut ready = BTreeSet::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                continue;
            }
            let path = entry.path();
            let sequence = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .and_then(|stem| stem.parse().ok());
            match (sequence, read_record(&path)) {
                (Some(sequence), Ok(_)) => {
                    ready.insert(sequence);
                }
                (_, Err(error)) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
                _ => fs::remove_file(&path)?,
            }
        }
        let last = ready.last().copied().unwrap_or(0);
        Ok((
            Self {
                folder,
                ready: Mutex::new(ready),
                wake: Notify::new(),
            },
            last,
        ))
    }

    /// Writes an event; durable when this returns. It is not sent before its write is committed.
    pub(crate) fn record(
        self: &Arc<Self>,
        sequence: u64,
        subject: &Subject<'_>,
    ) -> io::Result<Recorded> {
        let json = serde_json::to_vec(&Record::new(sequence, subject)).map_err(io::Error::other)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(self.path(sequence))?;
        // From here on the drop takes the file back if anything fails.
        let recorded = Recorded {
            outbox: Arc::clone(self),
            sequence,
            committed: false,
        };
        file.write_all(&json)?;
        file.sync_all()?;
        fs::File::open(&self.folder)?.sync_all()?;
        Ok(recorded)
    }

    /// Up to `limit` events, oldest first.
    pub(crate) fn peek(&self, limit: usize) -> io::Result<Vec<Record>> {
        let sequences: Vec<u64> = self.ready().iter().take(limit).copied().collect();
        let mut records = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            match read_record(&self.path(sequence)) {
                Ok(record) => records.push(record),
                // Removed or damaged by hand: nothing to send.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::InvalidData
                    ) =>
                {
                    tracing::error!(sequence, %error, "an event in the outbox is unreadable and is dropped");
                    self.ready().remove(&sequence);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    /// Forgets delivered events. Not synced: after a crash they are sent again, which is allowed.
    pub(crate) fn delivered(&self, records: &[Record]) {
        for record in records {
            self.ready().remove(&record.sequence);
            if let Err(error) = fs::remove_file(self.path(record.sequence)) {
                tracing::warn!(sequence = record.sequence, %error, "a delivered event could not be removed");
            }
        }
    }

    /// Puts an event aside that is not to be sent again. Not synced: after a crash it is offered, and refused, again.
    /// If it cannot be moved it stays in the queue.
    pub(crate) fn bury(&self, record: &Record) -> io::Result<()> {
        let path = self.path(record.sequence);
        let dead = self.folder.join("dead");
        fs::create_dir_all(&dead)?;
        fs::rename(&path, dead.join(path.file_name().unwrap_or_default()))?;
        self.ready().remove(&record.sequence);
        Ok(())
    }

    /// Resolves when there may be something to send.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }

    fn path(&self, sequence: u64) -> PathBuf {
        self.folder.join(format!("{sequence:020}.json"))
    }

    fn ready(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorded {
    /// The write is durable: the event may go out.
    pub(crate) fn committed(mut self) {
        self.committed = true;
        self.outbox.ready().insert(self.sequence);
        self.outbox.wake.notify_one();
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_file(self.outbox.path(self.sequence));
        }
    }
}

fn read_record(path: &Path) -> io::Result<Record> {
    serde_json::from_slice(&fs::read(path)?)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}
