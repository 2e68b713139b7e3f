//! Uncommitted blocks, and where the pieces of a blob to be are.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use headwater_blob::server::{ErrorCode, ServiceError};
use headwater_blob::xml::{BlockList, BlockRef, BlockSource, StoredBlock};

use super::client::{Call, List, What};
use super::parts::{Part, Span, cut, plan};
use super::upload::{Job, Object};
use super::{ObjectStore, layout};
use crate::disk::{BlobMeta, Result, SyncedFile, Turn};

/// Uploads whose ids' length is remembered. Another one costs a request more.
const REMEMBERED: usize = 4096;

/// Where one piece comes from.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    from: Object,
    bytes: Range<u64>,
}

impl Piece {
    pub(super) fn len(&self) -> u64 {
        self.bytes.end.saturating_sub(self.bytes.start)
    }
}

/// How the pieces are put together.
pub(super) fn jobs(pieces: Vec<Piece>, len: u64) -> Vec<Job> {
    let spans = |(source, piece): (usize, &Piece)| Span {
        source,
        bytes: piece.bytes.clone(),
    };
    let spans: Vec<_> = pieces.iter().enumerate().map(spans).collect();
    let of = |span: Span| Some((pieces.get(span.source)?.from.clone(), span.bytes));
    if len <= super::parts::SINGLE {
        return vec![Job::Sent(spans.into_iter().filter_map(of).collect())];
    }
    plan(spans)
        .into_iter()
        .filter_map(|part| match part {
            Part::Copied(span) => of(span).map(|(from, range)| Job::Copied(from, range)),
            Part::Sent(spans) => Some(Job::Sent(spans.into_iter().filter_map(of).collect())),
        })
        .collect()
}

impl ObjectStore {
    /// Keeps a block until it is committed, replaced, or a week old.
    pub(crate) async fn put_block(
        &self,
        turn: &Turn,
        id: &str,
        bytes: SyncedFile,
        len: u64,
    ) -> Result<()> {
        let Turn {
            container, blob, ..
        } = turn;
        // The name must be storable, or the commit would fail after hours of uploading.
        self.layout.blob(container, blob)?;
        let key = self.layout.block(container, blob, id)?;
        self.container(container).await?;
        self.check_id_length(turn, &key).await?;
        let bytes = Arc::new(bytes);
        let jobs = cut(len).map(|range| Job::File(Arc::clone(&bytes), range));
        self.store(&key, Vec::new(), Vec::new(), len, jobs.collect())
            .await?;
        Ok(())
    }

    /// All ids of a blob have one length: one look at any of them is enough.
    async fn check_id_length(&self, turn: &Turn, key: &str) -> Result<()> {
        let folder = self.layout.blocks(&turn.container, &turn.blob);
        let known = self.id_lengths().get(&folder).copied();
        let length = match known {
            Some(length) => length,
            None => {
                let keys = self
                    .keys(List {
                        prefix: &folder,
                        limit: 1,
                        ..List::default()
                    })
                    .await?;
                let first = keys.objects.first();
                first.map_or(key.len(), |found| found.key.len())
            }
        };
        if length != key.len() {
            let detail = "All block ids of a blob must have the same length.";
            return Err(ServiceError::new(ErrorCode::InvalidBlobOrBlock, detail).into());
        }
        let mut lengths = self.id_lengths();
        if lengths.len() >= REMEMBERED {
            lengths.clear();
        }
        lengths.insert(folder, length);
        Ok(())
    }

    fn id_lengths(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.id_lengths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Both halves of Get Block List.
    pub(crate) async fn block_list(&self, turn: &Turn) -> Result<(BlockList, Option<BlobMeta>)> {
        let Turn {
            container, blob, ..
        } = turn;
        let meta = self.look(&self.layout.blob(container, blob)?).await?;
        let committed = self.committed_blocks(turn, meta.as_ref()).await?;
        let uncommitted = self.staged(turn).await?;
        if meta.is_none() && uncommitted.is_empty() {
            return Err(self.missing(container).await);
        }
        let stored = |(id, len): (String, u64)| StoredBlock { id, len };
        let uncommitted = uncommitted
            .into_iter()
            .map(|(id, piece)| stored((id, piece.len())));
        Ok((
            BlockList {
                committed: Some(committed.into_iter().map(stored).collect()),
                uncommitted: Some(uncommitted.collect()),
            },
            meta,
        ))
    }

    /// Id and length of each block that the blob was made of, in its order.
    async fn committed_blocks(
        &self,
        turn: &Turn,
        meta: Option<&BlobMeta>,
    ) -> Result<Vec<(String, u64)>> {
        let Some(meta) = meta.filter(|meta| meta.blocks) else {
            return Ok(Vec::new());
        };
        let list = self
            .layout
            .list(&turn.container, &turn.blob, &meta.generation);
        match self.client.send(&Call::new(What::GetObject(&list))).await {
            Ok(answer) => Ok(serde_json::from_slice(answer.body()).map_err(std::io::Error::other)?),
            // Copied here by another tool, which took the blob's metadata along but not our list.
            Err(error) if error.is_missing() => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Id (base64) and place of each uncommitted block, in the order of ids.
    async fn staged(&self, turn: &Turn) -> Result<Vec<(String, Piece)>> {
        let prefix = self.layout.blocks(&turn.container, &turn.blob);
        let found = self.all(&prefix).await?;
        let blocks = found.into_iter().filter_map(|found| {
            let id = layout::block_id(&found.key)?;
            let piece = Piece {
                from: Object {
                    key: found.key,
                    etag: found.etag,
                },
                bytes: 0..found.len,
            };
            Some((id, piece))
        });
        Ok(blocks.collect())
    }

    pub(super) async fn find_pieces(
        &self,
        turn: &Turn,
        old: Option<&BlobMeta>,
        list: &[BlockRef],
    ) -> Result<Vec<Piece>> {
        let mut committed: HashMap<String, Piece> = HashMap::new();
        if let Some(old) = old {
            let from = Object {
                key: self.layout.blob(&turn.container, &turn.blob)?,
                etag: old.etag.clone(),
            };
            let mut offset = 0u64;
            for (id, len) in self.committed_blocks(turn, Some(old)).await? {
                let end = offset.saturating_add(len);
                committed.entry(id).or_insert_with(|| Piece {
                    from: from.clone(),
                    bytes: offset..end,
                });
                offset = end;
            }
        }
        let staged: HashMap<_, _> = self.staged(turn).await?.into_iter().collect();
        let piece = |block: &BlockRef| {
            let (kept, new) = (committed.get(&block.id), staged.get(&block.id));
            let found = match block.source {
                BlockSource::Committed => kept,
                BlockSource::Uncommitted => new,
                BlockSource::Latest => new.or(kept),
            };
            found.cloned().ok_or_else(|| {
                let detail = format!("There is no block {}.", block.id);
                ServiceError::new(ErrorCode::InvalidBlockList, detail).into()
            })
        };
        list.iter().map(piece).collect()
    }

    /// Writes down which blocks the blob of this write will be made of.
    pub(super) async fn keep_list(
        &self,
        turn: &Turn,
        generation: &str,
        list: &[BlockRef],
        pieces: &[Piece],
    ) -> Result<()> {
        let key = self.layout.list(&turn.container, &turn.blob, generation);
        let lengths = pieces.iter().map(Piece::len);
        let blocks: Vec<_> = list.iter().map(|block| &block.id).zip(lengths).collect();
        let json = serde_json::to_vec(&blocks).map_err(std::io::Error::other)?;
        let call = Call::new(What::PutObject(&key)).sending(Bytes::from(json));
        self.client.send(&call).await?;
        Ok(())
    }

    /// Forgets the list of a blob that is replaced or was not written.
    pub(super) async fn drop_list(&self, turn: &Turn, generation: &str) {
        let key = self.layout.list(&turn.container, &turn.blob, generation);
        if let Err(error) = self.remove(&key).await {
            tracing::warn!(key, %error, "a block list that nobody needs could not be removed");
        }
    }

    /// Forgets the uncommitted blocks of a blob, whose write is already committed: what stays behind is swept later.
    pub(super) async fn drop_blocks(&self, turn: &Turn) {
        let prefix = self.layout.blocks(&turn.container, &turn.blob);
        self.id_lengths().remove(&prefix);
        if let Err(error) = self.remove_all(&prefix).await {
            tracing::warn!(prefix, %error, "uncommitted blocks could not be removed");
        }
    }
}
