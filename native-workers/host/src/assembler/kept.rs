//! Blocks of objects in stores that are far away, kept on disk.
//!
//! What is kept are the store's bytes, not answers: all formats, encryptions and locators of a film are made of the same bytes,
//! and who may have them is decided anew for every request, above. A block is named by its object's URL (without the
//! signature) and entity tag, so that none is ever stale, and objects without a tag are not kept.
//!
//! A block's file is `OBJECT-INDEX-LENGTH-DIGEST-LETTERS` in the folder, and is mapped like those of the embedded store. The digest is
//! that of its bytes: what a crash or a full disk has left is told by it at the first use, and fetched again. The letters are its
//! own, so that a block which takes another's place never loses its file to the other's removal. Who asks for a block that is on
//! its way waits for it, so a thousand players that begin at once are one read.
//!
//! Bounds: the folder's size, [`FILLS`] requests to stores at once with a block in memory for each, [`MOST_BLOCKS`] for a plan. Longer
//! ones, which are downloads of whole films, go past it.

use super::maps::map_file;
use super::{send, status, store_answer};
use crate::outgoing::HttpClient;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::channel::oneshot;
use futures::future::{FutureExt, Shared};
use headwater_plan::{Object, Plan};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use wasmtime_wasi_http::WasiBody;

/// Length of a block; the last one of an object may be shorter.
const BLOCK_BYTES: u64 = 512 * 1024;
/// Most blocks of one plan.
const MOST_BLOCKS: usize = 64;
/// Most requests to stores at once.
const FILLS: usize = 32;
/// Bytes of a digest in a name.
const DIGEST_BYTES: usize = 16;
/// Names of files that are being written.
const UNFINISHED: &str = ".part";

/// The bytes of an object's blocks, by index.
pub(super) type Blocks = BTreeMap<u32, Bytes>;
type Outcome = Result<Bytes, StatusCode>;
type Coming = Shared<oneshot::Receiver<Outcome>>;

/// What is kept of objects in far stores.
#[derive(Clone)]
pub struct MediaCache(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    blocks: Cache<Name, Arc<Block>, Weight, DefaultHashBuilder, Unlink>,
    /// What is being fetched.
    coming: Mutex<HashMap<Name, Coming>>,
    fills: Semaphore,
    hits: metrics::Counter,
    misses: metrics::Counter,
    full: AtomicBool,
}

/// Which block of which object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Name {
    object: [u8; DIGEST_BYTES],
    index: u32,
}

/// A block's file.
#[derive(Debug)]
struct Block {
    path: PathBuf,
    len: usize,
    digest: [u8; DIGEST_BYTES],
    /// Its bytes are known to be those of its digest: this process has written or read them.
    seen: AtomicBool,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Name, Arc<Block>> for Weight {
    fn weight(&self, _: &Name, block: &Arc<Block>) -> u64 {
        // What a file takes on a disk.
        (block.len as u64).next_multiple_of(4096)
    }
}

/// Removes the files of blocks that have to go.
#[derive(Clone)]
struct Unlink;

impl Lifecycle<Name, Arc<Block>> for Unlink {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: Name, block: Arc<Block>) {
        // Mappings of it stay what they are. Without its file it costs nothing.
        let _ = std::fs::remove_file(&block.path);
    }
}

fn digest(parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
    }
    let mut out = [0; DIGEST_BYTES];
    out.copy_from_slice(&digest.finalize()[..DIGEST_BYTES]);
    out
}

impl Name {
    /// `None` for an object of which nobody knows whether it is still the same.
    fn object(object: &Object) -> Option<[u8; DIGEST_BYTES]> {
        let (address, _signature) = object.url().split_once('?').unwrap_or((object.url(), ""));
        // No URL holds a zero.
        Some(digest(&[
            address.as_bytes(),
            &[0],
            object.if_match()?.as_bytes(),
        ]))
    }
}

impl Block {
    /// What its file's name begins with.
    fn file_prefix(name: &Name, len: usize, digest: &[u8]) -> String {
        let object = const_hex::encode(name.object);
        format!(
            "{object}-{:08x}-{len:x}-{}-",
            name.index,
            const_hex::encode(digest)
        )
    }

    /// What a file of this name holds.
    fn parse(path: &Path) -> Option<(Name, Self)> {
        let mut parts = path.file_name()?.to_str()?.split('-');
        if path.extension().is_some() {
            return None;
        }
        let object = const_hex::decode_to_array(parts.next()?).ok()?;
        let index = u32::from_str_radix(parts.next()?, 16).ok()?;
        let len = usize::from_str_radix(parts.next()?, 16).ok()?;
        let digest = const_hex::decode_to_array(parts.next()?).ok()?;
        let _own_letters = parts.next()?;
        if parts.next().is_some() || len as u64 > BLOCK_BYTES {
            return None;
        }
        let block = Self {
            path: path.to_owned(),
            len,
            digest,
            seen: AtomicBool::new(false),
        };
        Some((Name { object, index }, block))
    }

    /// Its bytes, or why there are none.
    fn map(&self) -> std::io::Result<Bytes> {
        let bytes = map_whole(&self.path, self.len)?;
        if !self.seen.load(Ordering::Relaxed) {
            if digest(&[&bytes]) != self.digest {
                return Err(std::io::Error::other("its bytes are not those of its name"));
            }
            self.seen.store(true, Ordering::Relaxed);
        }
        Ok(bytes)
    }
}

/// Files of the folder are never written into once they have a name, as [`map_file`] needs it.
fn map_whole(path: &Path, len: usize) -> std::io::Result<Bytes> {
    if len == 0 {
        return Ok(Bytes::new());
    }
    let file = File::open(path)?;
    if file.metadata()?.len() != len as u64 {
        return Err(std::io::Error::other("its length is not that of its name"));
    }
    map_file(&file)
}

/// The indices of the blocks that a range is in; empty for one beyond all that can be named.
fn indices(range: &Range<u64>) -> Range<u32> {
    let of = |block: u64| u32::try_from(block).ok();
    of(range.start / BLOCK_BYTES)
        .zip(of(range.end.div_ceil(BLOCK_BYTES)))
        .map_or(0..0, |(first, end)| first..end)
}

/// The blocks that each object of a plan is read in; `None` if they are more than are kept for one.
pub(super) fn needed(plan: &Plan) -> Option<Vec<BTreeSet<u32>>> {
    let mut needed = vec![BTreeSet::new(); plan.objects().len()];
    let mut left = MOST_BLOCKS;
    for (object, range) in plan.ranges() {
        let of_object = needed.get_mut(usize::try_from(object).ok()?)?;
        let indices = indices(&range);
        if indices.is_empty() || indices.len() > MOST_BLOCKS {
            return None;
        }
        for index in indices {
            if of_object.insert(index) {
                left = left.checked_sub(1)?;
            }
        }
    }
    Some(needed)
}

/// The slices of blocks that make up a range of their object; `None` if one is missing or too short.
pub(super) fn slices(blocks: &Blocks, range: &Range<u64>) -> Option<Vec<Bytes>> {
    indices(range)
        .map(|index| {
            let block = blocks.get(&index)?;
            let start = u64::from(index) * BLOCK_BYTES;
            let from = range.start.saturating_sub(start);
            let to = (range.end - start).min(BLOCK_BYTES);
            let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
            (to <= block.len()).then(|| block.slice(from..to))
        })
        .collect()
}

impl MediaCache {
    /// At most `bytes` in `folder`, which is made if it is not there. What is in it already is found in the background.
    pub fn open(folder: &Path, bytes: u64) -> std::io::Result<Self> {
        let cache = Self::empty(folder, bytes)?;
        let finding = cache.clone();
        std::thread::spawn(move || {
            if let Err(error) = finding.0.find() {
                let folder = finding.0.folder.display();
                tracing::warn!(%folder, %error, "what was kept of media is not found again");
            }
        });
        Ok(cache)
    }

    /// Knows of nothing that is in `folder`.
    fn empty(folder: &Path, bytes: u64) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let items = usize::try_from(bytes / BLOCK_BYTES).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(items.clamp(64, 1 << 20))
            .weight_capacity(bytes)
            // A part of the cache has to hold a block.
            .shards(1)
            .build()
            .map_err(std::io::Error::other)?;
        Ok(Self(Arc::new(Inner {
            folder: folder.to_owned(),
            blocks: Cache::with_options(options, Weight, DefaultHashBuilder::default(), Unlink),
            coming: Mutex::default(),
            fills: Semaphore::new(FILLS),
            hits: metrics::counter!("headwater_media_cache_hits_total"),
            misses: metrics::counter!("headwater_media_cache_misses_total"),
            full: AtomicBool::new(false),
        })))
    }

    /// Some blocks of `object`. `None` if it is not kept, having no tag.
    ///
    /// Errors: the status that the store's answer amounts to.
    pub(super) async fn read(
        &self,
        client: &HttpClient,
        object: &Object,
        needed: &BTreeSet<u32>,
    ) -> Result<Option<Blocks>, StatusCode> {
        let Some(id) = Name::object(object) else {
            return Ok(None);
        };
        let mut blocks = Blocks::new();
        let mut missing = Vec::new();
        for &index in needed {
            match self.0.get(&Name { object: id, index }) {
                Some(bytes) => drop(blocks.insert(index, bytes)),
                None => missing.push(index),
            }
        }
        let coming = self.fetch(client, object, id, &missing, &mut blocks);
        self.0.hits.increment(blocks.len() as u64);
        for (index, coming) in coming {
            // The task that fetches is gone with the runtime alone.
            let outcome = coming.await.unwrap_or(Err(StatusCode::SERVICE_UNAVAILABLE));
            blocks.insert(index, outcome?);
        }
        Ok(Some(blocks))
    }

    /// Has blocks fetched that nobody fetches yet, neighbours in one request. Those that somebody has fetched since they were
    /// found to be missing are put into `blocks`.
    fn fetch(
        &self,
        client: &HttpClient,
        object: &Object,
        id: [u8; DIGEST_BYTES],
        missing: &[u32],
        blocks: &mut Blocks,
    ) -> Vec<(u32, Coming)> {
        let mut coming = self.0.coming();
        let mut waited = Vec::with_capacity(missing.len());
        let mut runs: Vec<Fill> = Vec::new();
        for &index in missing {
            let name = Name { object: id, index };
            if let Some(known) = coming.get(&name) {
                waited.push((index, known.clone()));
                continue;
            }
            // A block is kept before it is taken off the list, so that it is on one of them until it has to go.
            if let Some(bytes) = self.0.get(&name) {
                blocks.insert(index, bytes);
                continue;
            }
            let (sender, receiver) = oneshot::channel();
            let receiver = receiver.shared();
            coming.insert(name, receiver.clone());
            waited.push((index, receiver));
            match runs.last_mut() {
                Some(run) if run.first + run.waiting.len() as u32 == index => {
                    run.waiting.push(sender);
                }
                _ => runs.push(Fill {
                    cache: self.0.clone(),
                    object: id,
                    first: index,
                    waiting: vec![sender],
                }),
            }
        }
        drop(coming);
        for run in runs {
            self.0.misses.increment(run.waiting.len() as u64);
            // A client that goes away leaves the blocks to others.
            tokio::spawn(run.carry_out(client.clone(), object.clone()));
        }
        waited
    }
}

impl Inner {
    fn coming(&self) -> MutexGuard<'_, HashMap<Name, Coming>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, name: &Name) -> Option<Bytes> {
        let block = self.blocks.get(name)?;
        match block.map() {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::warn!(path = %block.path.display(), %error, "a kept block is fetched again");
                self.blocks.remove_if(name, |now| Arc::ptr_eq(now, &block));
                let _ = std::fs::remove_file(&block.path);
                None
            }
        }
    }

    /// Takes up what is in the folder, the oldest first, so that it is the first to go.
    fn find(&self) -> std::io::Result<()> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            if let Some((name, block)) = Block::parse(&path) {
                let modified = entry.metadata().and_then(|data| data.modified()).ok();
                found.push((modified, name, block));
            } else if path.extension().is_some_and(|end| end == &UNFINISHED[1..]) {
                // Another host of the folder may be writing it, and then writes it again.
                let _ = std::fs::remove_file(path);
            }
        }
        found.sort_by_key(|(modified, ..)| *modified);
        for (_, name, block) in found {
            match self.blocks.peek(&name) {
                None => self.blocks.insert(name, Arc::new(block)),
                // It has been fetched meanwhile, and is in a file of its own.
                Some(known) if known.path != block.path => drop(std::fs::remove_file(&block.path)),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Puts a block into the folder. Its bytes, mapped; those of memory if the disk does not take them.
    fn keep(&self, name: Name, bytes: Vec<u8>) -> Bytes {
        match self.write(name, &bytes) {
            Ok((block, mapped)) => {
                self.full.store(false, Ordering::Relaxed);
                self.blocks.insert(name, Arc::new(block));
                mapped
            }
            Err(error) => {
                if !self.full.swap(true, Ordering::Relaxed) {
                    let folder = self.folder.display();
                    tracing::warn!(%folder, %error, "media are not kept");
                }
                bytes.into()
            }
        }
    }

    fn write(&self, name: Name, bytes: &[u8]) -> std::io::Result<(Block, Bytes)> {
        let digest = digest(&[bytes]);
        let mut file = tempfile::Builder::new()
            .prefix(&Block::file_prefix(&name, bytes.len(), &digest))
            .suffix(UNFINISHED)
            .tempfile_in(&self.folder)?;
        file.write_all(bytes)?;
        let path = file.path().with_extension("");
        // Not synced: what a crash leaves is told by the digest.
        file.persist(&path).map_err(|error| error.error)?;
        let mapped = map_whole(&path, bytes.len())?;
        let block = Block {
            path,
            len: bytes.len(),
            digest,
            seen: AtomicBool::new(true),
        };
        Ok((block, mapped))
    }
}

/// Neighbouring blocks on their way, and who waits for each.
struct Fill {
    cache: Arc<Inner>,
    object: [u8; DIGEST_BYTES],
    /// The next block.
    first: u32,
    /// For it and its neighbours, the last one first.
    waiting: Vec<oneshot::Sender<Outcome>>,
}

/// Whatever ends it: nobody waits for blocks that do not come.
impl Drop for Fill {
    fn drop(&mut self) {
        self.tell_all(StatusCode::SERVICE_UNAVAILABLE);
    }
}

impl Fill {
    async fn carry_out(mut self, client: HttpClient, object: Object) {
        self.waiting.reverse();
        let rest = match self.fill(&client, &object).await {
            // The object ends before these, which the plan's maker did not know.
            Ok(()) => StatusCode::PRECONDITION_FAILED,
            Err(status) => status,
        };
        self.tell_all(rest);
    }

    fn tell_all(&mut self, status: StatusCode) {
        while !self.waiting.is_empty() {
            self.tell(Err(status));
        }
    }

    /// Hands the next block to who waits for it.
    fn tell(&mut self, outcome: Outcome) {
        let Some(sender) = self.waiting.pop() else {
            return;
        };
        // It is kept by now: who asks from here on finds it in the cache.
        self.cache.coming().remove(&self.name());
        self.first += 1;
        // Nobody may be waiting any more.
        let _ = sender.send(outcome);
    }

    /// Of the next block.
    fn name(&self) -> Name {
        Name {
            object: self.object,
            index: self.first,
        }
    }

    async fn fill(&mut self, client: &HttpClient, object: &Object) -> Result<(), StatusCode> {
        let cache = self.cache.clone();
        let _place = cache
            .fills
            .acquire()
            .await
            .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        let start = u64::from(self.first) * BLOCK_BYTES;
        let asked = start..start + self.waiting.len() as u64 * BLOCK_BYTES;
        let response = send(client, object, &asked).await?;
        let mut left = delivered(&response, &asked)?;
        let mut body = response.into_body().into_data_stream();
        let mut rest = Bytes::new();
        while left > 0 {
            let whole = usize::try_from(left.min(BLOCK_BYTES)).unwrap_or(usize::MAX);
            let mut block = Vec::with_capacity(whole);
            while block.len() < whole {
                if rest.is_empty() {
                    let next = body.try_next().await;
                    rest = next.ok().flatten().ok_or(StatusCode::BAD_GATEWAY)?;
                }
                let now = rest.split_to(rest.len().min(whole - block.len()));
                block.extend_from_slice(&now);
            }
            let (name, keeper) = (self.name(), cache.clone());
            let kept = tokio::task::spawn_blocking(move || keeper.keep(name, block))
                .await
                .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
            self.tell(Ok(kept));
            left -= whole as u64;
        }
        Ok(())
    }
}

/// How many bytes follow, of those asked for: fewer if the object ends before.
fn delivered(response: &Response<WasiBody>, asked: &Range<u64>) -> Result<u64, StatusCode> {
    let answer = store_answer(response);
    let last = || {
        let (range, _length) = answer.content_range?.split_once('/')?;
        range.split_once('-')?.1.parse::<u64>().ok()?.checked_add(1)
    };
    let end = match response.status() {
        // The whole object, of a store that knows no ranges or thought one needless.
        StatusCode::OK => answer.content_length,
        _ => last(),
    };
    let range = asked.start..end.unwrap_or(asked.end).min(asked.end);
    answer.delivers(&range).map_err(status)?;
    Ok(range.end.saturating_sub(range.start))
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
