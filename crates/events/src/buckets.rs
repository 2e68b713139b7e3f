//! Notifications of a bucket that stands behind a storage account: `headwater blobstore` with a bucket keeps container `films` of its
//! account in the bucket's folder `films/`.
//!
//! What the store itself wrote is told of twice then, by the store and by S3. That starts nothing twice: a blob is known in its version.

use crate::delivery::Batch;
use crate::event::StorageEvent;
use crate::place;

/// Which bucket's events are about which account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Buckets(Vec<Bucket>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bucket {
    account: String,
    name: String,
    /// Empty, or with a slash at its end.
    folder: String,
}

impl Buckets {
    /// Reads `{account}={bucket}[/{folder}]`, separated by white space. `Err`: what is wrong with which of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bucket = |entry: &str| {
            let parts = entry.split_once('=');
            let Some((account, place)) = parts.filter(|(a, p)| !a.is_empty() && !p.is_empty())
            else {
                return Err(format!(
                    "{entry:?} is not {{account}}={{bucket}}[/{{folder}}]"
                ));
            };
            let (name, folder) = place.split_once('/').unwrap_or((place, ""));
            let folder = folder.trim_matches('/');
            Ok(Bucket {
                account: account.to_owned(),
                name: name.to_owned(),
                folder: if folder.is_empty() {
                    String::new()
                } else {
                    format!("{folder}/")
                },
            })
        };
        text.split_whitespace()
            .map(bucket)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Events of these buckets as those of their accounts; events of others stay as they are. What is in a bucket but in no container
    /// counts as ignored.
    pub fn place(&self, batch: Batch) -> Batch {
        let Batch {
            events,
            mut ignored,
            unusable,
        } = batch;
        let mut placed = Vec::with_capacity(events.len());
        for event in events {
            let buckets = self.0.iter();
            let mut mine = buckets
                .filter(|bucket| event.account.is_none() && bucket.name == event.container)
                .peekable();
            if mine.peek().is_none() {
                placed.push(event);
            } else if let Some(event) = mine.find_map(|bucket| bucket.read(&event)) {
                placed.push(event);
            } else {
                ignored = ignored.saturating_add(1);
            }
        }
        Batch {
            events: placed,
            ignored,
            unusable,
        }
    }
}

impl Bucket {
    fn read(&self, event: &StorageEvent) -> Option<StorageEvent> {
        let (container, blob) = event.blob.strip_prefix(&self.folder)?.split_once('/')?;
        // Our own objects are in a folder whose name no container has.
        let (container, blob) =
            place::checked(container, blob).filter(|_| !container.starts_with('.'))?;
        Some(StorageEvent {
            account: Some(self.account.clone()),
            container,
            blob,
            ..event.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Change;

    fn event(account: Option<&str>, container: &str, blob: &str) -> StorageEvent {
        StorageEvent {
            id: format!("{container}/{blob}"),
            change: Change::Created,
            account: account.map(str::to_owned),
            container: container.to_owned(),
            blob: blob.to_owned(),
            etag: None,
            size_bytes: None,
            time: None,
        }
    }

    #[test]
    fn a_buckets_objects_are_an_accounts_blobs() {
        let buckets = Buckets::parse("local=media/headwater/ other=films").unwrap();
        let batch = Batch {
            events: vec![
                event(None, "media", "headwater/uploads/a/b.mp4"),
                event(None, "films", "uploads/c.mp4"),
                event(None, "media", "elsewhere/uploads/a.mp4"),
                event(None, "films", ".headwater/blocks/uploads/x/00"),
                event(None, "films", "loose.mp4"),
                event(None, "strange", "uploads/d.mp4"),
                event(Some("azure"), "films", "uploads/e.mp4"),
            ],
            ignored: 1,
            unusable: 2,
        };
        let placed = buckets.place(batch);
        let seen: Vec<_> = placed
            .events
            .iter()
            .map(|e| (e.account.as_deref(), e.container.as_str(), e.blob.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (Some("local"), "uploads", "a/b.mp4"),
                (Some("other"), "uploads", "c.mp4"),
                (None, "strange", "uploads/d.mp4"),
                (Some("azure"), "films", "uploads/e.mp4"),
            ]
        );
        assert_eq!((placed.ignored, placed.unusable), (4, 2));
    }

    #[test]
    fn what_is_no_bucket_is_named() {
        for text in ["media", "=media", "local=", "a=b media"] {
            let error = Buckets::parse(text).unwrap_err();
            assert!(error.contains("is not {account}={bucket}"), "{error}");
        }
        assert_eq!(Buckets::parse(" ").unwrap(), Buckets::default());
    }
}
