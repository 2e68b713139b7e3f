//! Housekeeping: blocks that nobody committed, containers that another process began to delete.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::ObjectStore;
use super::client::{Answered, List};

/// How long uncommitted blocks live after the last of them was written, as in Azure.
const BLOCK_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Keys looked at in one go.
const PAGE: usize = 1000;

impl ObjectStore {
    /// Goes through what is ours in the bucket once, beside normal work. Multipart uploads that were broken off are left to the
    /// bucket's lifecycle rules: listing them is a right of its own. `stopped` is asked before every page.
    pub(crate) async fn sweep(
        &self,
        now: Timestamp,
        stopped: &(dyn Fn() -> bool + Sync),
    ) -> Answered<()> {
        for container in self.being_deleted().await? {
            self.clear(&container).await?;
        }
        let prefix = self.layout.all_blocks(None);
        let mut token = None;
        // A folder's keys are next to each other, but may be on two pages.
        let mut open: BTreeMap<String, (Option<Timestamp>, Vec<String>)> = BTreeMap::new();
        loop {
            let keys = self
                .keys(List {
                    prefix: &prefix,
                    token: token.as_deref(),
                    limit: PAGE,
                    ..List::default()
                })
                .await?;
            for found in keys.objects {
                let folder = found.key.rsplit_once('/').map_or("", |(folder, _)| folder);
                let (newest, blocks) = open.entry(folder.to_owned()).or_default();
                *newest = (*newest).max(found.modified);
                blocks.push(found.key);
            }
            token = keys.token;
            while open.len() > usize::from(token.is_some()) {
                let Some((_, (newest, blocks))) = open.pop_first() else {
                    break;
                };
                let old = newest.is_some_and(|newest| now.duration_since(newest) > BLOCK_LIFETIME);
                if old {
                    for some in blocks.chunks(PAGE) {
                        self.remove_these(some.to_vec()).await?;
                    }
                }
            }
            if token.is_none() || stopped() {
                return Ok(());
            }
        }
    }
}
