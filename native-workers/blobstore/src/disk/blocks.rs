//! Uncommitted blocks, and how a block list becomes a blob.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_blob::server::{ErrorCode, ServiceError};
use headwater_blob::xml::{BlockList, BlockRef, BlockSource, StoredBlock};

use super::durable::{ScratchFile, SyncedFile, ensure_folder, sync_folder};
use super::locks::{Turn, digest};
use super::meta::{BlobMeta, read_json};
use super::{Disk, Result};

/// The bytes of a blob to be, and the list they came from.
#[derive(Debug)]
pub(super) struct Complete {
    pub(super) bytes: SyncedFile,
    pub(super) len: u64,
    /// Id (base64) and length of each block, in blob order; `None` if it came whole.
    pub(super) blocks: Option<Vec<(String, u64)>>,
}

/// Where one piece comes from.
enum Piece {
    File { path: PathBuf, len: u64 },
    Old { offset: u64, len: u64 },
}

impl Disk {
    fn block_folder(&self, container: &str, blob: &str) -> PathBuf {
        self.container_folder(container)
            .join("blocks")
            .join(digest(blob))
    }

    /// Keeps a block until it is committed, replaced, or a week old. Durable when this returns.
    pub(crate) fn put_block(&self, turn: &Turn, id: &str, mut bytes: SyncedFile) -> Result<()> {
        let Turn {
            container, blob, ..
        } = turn;
        // The name must be storable, or the commit would fail after hours of uploading.
        self.files(container, blob)?;
        let file_name = block_file_name(id)?;
        let folder = self.block_folder(container, blob);
        let lock = self.locks.container(container);
        let _shared = lock.read().unwrap_or_else(PoisonError::into_inner);
        self.container(container)?;
        let blocks = self.container_folder(container).join("blocks");
        let relative = folder.strip_prefix(&blocks).map_err(io::Error::other)?;
        ensure_folder(&blocks, relative)?;
        // All ids of a blob have one length: one look at any of them is enough.
        if let Some(other) = fs::read_dir(&folder)?.next()
            && other?.file_name().len() != file_name.len()
        {
            let detail = "All block ids of a blob must have the same length.";
            return Err(ServiceError::new(ErrorCode::InvalidBlobOrBlock, detail).into());
        }
        bytes.move_to(&folder.join(file_name))?;
        sync_folder(&folder)?;
        Ok(())
    }

    /// Both halves of Get Block List.
    pub(crate) fn block_list(&self, turn: &Turn) -> Result<(BlockList, Option<BlobMeta>)> {
        let Turn {
            container, blob, ..
        } = turn;
        self.container(container)?;
        let files = self.files(container, blob)?;
        let meta = files.read_meta()?;
        let committed = match &meta {
            Some(meta) => self.committed_blocks(container, blob, meta)?,
            None => Vec::new(),
        };
        let mut uncommitted = Vec::new();
        for (id, path) in uncommitted_files(&self.block_folder(container, blob))? {
            uncommitted.push(StoredBlock {
                id,
                len: fs::metadata(path)?.len(),
            });
        }
        if meta.is_none() && uncommitted.is_empty() {
            return Err(ErrorCode::BlobNotFound.into());
        }
        let committed = committed
            .into_iter()
            .map(|(id, len)| StoredBlock { id, len })
            .collect();
        Ok((
            BlockList {
                committed: Some(committed),
                uncommitted: Some(uncommitted),
            },
            meta,
        ))
    }

    fn committed_blocks(
        &self,
        container: &str,
        blob: &str,
        meta: &BlobMeta,
    ) -> Result<Vec<(String, u64)>> {
        if !meta.blocks {
            return Ok(Vec::new());
        }
        let files = self.files(container, blob)?;
        Ok(read_json(&files.block_list(&meta.generation))?.unwrap_or_default())
    }

    /// Puts the listed blocks together in a scratch file. The container may vanish meanwhile.
    ///
    /// Blocks are joined in the kernel (`copy_file_range`: shared extents where the file system can, else a copy
    /// that never passes through this process). A list of one block is not copied at all, nor one that names what is
    /// committed already: so comes a commit again whose answer the client did not wait for.
    pub(super) fn join_blocks(
        &self,
        turn: &Turn,
        old: Option<&BlobMeta>,
        list: &[BlockRef],
    ) -> Result<Complete> {
        let Turn {
            container, blob, ..
        } = turn;
        let pieces = self.find_pieces(container, blob, old, list)?;
        let blocks = list
            .iter()
            .zip(&pieces)
            .map(|(block, piece)| (block.id.clone(), piece.len()))
            .collect();
        let blocks = Some(blocks);
        let len = pieces.iter().map(Piece::len).sum();
        let scratch_folder = self.root.join("scratch");
        let old_file = match old {
            Some(old) => Some(self.files(container, blob)?.bytes(&old.generation)),
            None => None,
        };
        let single = match pieces.as_slice() {
            [Piece::File { path, .. }] => Some(path),
            kept if old.is_some_and(|old| is_whole(kept, old.len)) => old_file.as_ref(),
            _ => None,
        };
        // File systems without hard links take the way of all other lists.
        if let Some(path) = single
            && let Ok(bytes) = SyncedFile::link(&scratch_folder, path)
        {
            return Ok(Complete { bytes, len, blocks });
        }
        let keeps_some = pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Old { .. }));
        let old_bytes = match old_file {
            Some(path) if keeps_some => Some(File::open(path)?),
            _ => None,
        };
        let scratch = ScratchFile::create(&scratch_folder)?;
        for piece in &pieces {
            match piece {
                Piece::File { path, len } => append(&File::open(path)?, *len, scratch.file())?,
                Piece::Old { offset, len } => {
                    let mut bytes = old_bytes.as_ref().ok_or(ErrorCode::InvalidBlockList)?;
                    bytes.seek(SeekFrom::Start(*offset))?;
                    append(bytes, *len, scratch.file())?;
                }
            }
        }
        Ok(Complete {
            bytes: scratch.synced()?,
            len,
            blocks,
        })
    }

    fn find_pieces(
        &self,
        container: &str,
        blob: &str,
        old: Option<&BlobMeta>,
        list: &[BlockRef],
    ) -> Result<Vec<Piece>> {
        let folder = self.block_folder(container, blob);
        let mut committed: HashMap<String, (u64, u64)> = HashMap::new();
        if let Some(old) = old {
            let mut offset = 0;
            for (id, len) in self.committed_blocks(container, blob, old)? {
                committed.entry(id).or_insert((offset, len));
                offset += len;
            }
        }
        let staged = |id: &str| -> Result<Option<Piece>> {
            let path = folder.join(block_file_name(id)?);
            match fs::metadata(&path) {
                Ok(metadata) => Ok(Some(Piece::File {
                    path,
                    len: metadata.len(),
                })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let kept = |id: &str| {
            committed.get(id).map(|(offset, len)| Piece::Old {
                offset: *offset,
                len: *len,
            })
        };
        let mut pieces = Vec::with_capacity(list.len());
        for block in list {
            let found = match block.source {
                BlockSource::Committed => kept(&block.id),
                BlockSource::Uncommitted => staged(&block.id)?,
                BlockSource::Latest => match staged(&block.id)? {
                    Some(piece) => Some(piece),
                    None => kept(&block.id),
                },
            };
            let missing = || {
                ServiceError::new(
                    ErrorCode::InvalidBlockList,
                    format!("There is no block {}.", block.id),
                )
            };
            pieces.push(found.ok_or_else(missing)?);
        }
        Ok(pieces)
    }

    /// Forgets the uncommitted blocks of a blob, whose write is already committed: what stays behind is swept later.
    pub(super) fn drop_blocks(&self, container: &str, blob: &str) {
        match fs::remove_dir_all(self.block_folder(container, blob)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(container, blob, %error, "uncommitted blocks could not be removed");
            }
            _ => {}
        }
    }
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::File { len, .. } | Self::Old { len, .. } => *len,
        }
    }
}

/// Whether the pieces are all of the old blob's `len` bytes, in their order.
fn is_whole(pieces: &[Piece], len: u64) -> bool {
    let end = pieces.iter().try_fold(0, |end, piece| match piece {
        Piece::Old { offset, len } if *offset == end => Some(end + len),
        _ => None,
    });
    end == Some(len)
}

fn append(from: &File, len: u64, mut to: &File) -> io::Result<()> {
    // Between two files std copies with copy_file_range.
    let copied = io::copy(&mut from.take(len), &mut to)?;
    if copied == len {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn block_file_name(id: &str) -> std::result::Result<String, ErrorCode> {
    headwater_blob::server::check_block_id(id)?;
    STANDARD
        .decode(id)
        .map(const_hex::encode)
        .map_err(|_| ErrorCode::InvalidBlockId)
}

/// Id (base64) and path of each uncommitted block, in the order of ids.
fn uncommitted_files(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut blocks = Vec::new();
    for entry in entries {
        let entry = entry?;
        let raw = entry
            .file_name()
            .to_str()
            .and_then(|name| const_hex::decode(name).ok());
        if let Some(raw) = raw {
            blocks.push((raw, entry.path()));
        }
    }
    blocks.sort_unstable();
    Ok(blocks
        .into_iter()
        .map(|(raw, path)| (STANDARD.encode(raw), path))
        .collect())
}
