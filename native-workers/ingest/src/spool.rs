//! What a worker keeps of an event on its disk.
//!
//! ```text
//! {data}/{event id}-{generation}/journal              see headwater_live::journal
//! {data}/{event id}-{generation}/{track}-{number}     a complete segment that some output has not stored yet
//! {data}/{event id}-{generation}/{track}-{number}.new one that grows
//! ```
//!
//! Writes are not synced: they outlive the process, and a machine that loses power loses the seconds that its encoders send
//! again or not. What is in storage is safe.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use headwater_live::journal;
use headwater_live::timeline::{Change, Timeline, TrackIndex};
use uuid::Uuid;

/// A journal is written anew when it has grown by so much.
const COMPACT_AT: u64 = 1 << 20;

pub(crate) struct Spool {
    folder: PathBuf,
    journal: File,
    grown: u64,
    /// Segments that grow.
    growing: BTreeMap<(u64, TrackIndex), File>,
    /// Segments stay when their owners go: the process ends, and another may still store them.
    leaving: Arc<AtomicBool>,
}

impl Spool {
    /// Opens the folder of an event: what its journal says, and the spool to go on with.
    pub(crate) fn open(
        data: &Path,
        event: Uuid,
        generation: u32,
    ) -> io::Result<(Self, Option<Timeline>)> {
        let folder = data.join(format!("{event}-{generation}"));
        std::fs::create_dir_all(&folder)?;
        let path = folder.join("journal");
        let found = match std::fs::read(&path) {
            Ok(bytes) => journal::read(&bytes).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut timeline = found.map(|read| read.timeline);
        let mut spool = Self {
            journal: OpenOptions::new().create(true).append(true).open(&path)?,
            folder,
            grown: 0,
            growing: BTreeMap::new(),
            leaving: Arc::default(),
        };
        if let Some(timeline) = &mut timeline {
            spool.close_what_grew(timeline)?;
        }
        spool.compact(&timeline.clone().unwrap_or_default())?;
        Ok((spool, timeline))
    }

    /// What grew when the worker's last life ended is complete with what there is of it: players may have its parts already.
    fn close_what_grew(&self, timeline: &mut Timeline) -> io::Result<()> {
        let there = |track, number| {
            let found = std::fs::metadata(self.growing_path(track, number));
            found.map_or(0, |found| found.len())
        };
        for (track, number, bytes) in timeline.close_what_grew(there) {
            let growing = self.growing_path(track, number);
            if bytes == 0 {
                let _ = std::fs::remove_file(growing);
                continue;
            }
            OpenOptions::new()
                .write(true)
                .open(&growing)?
                .set_len(bytes)?;
            std::fs::rename(growing, self.path(track, number))?;
        }
        Ok(())
    }

    /// Puts a snapshot in the place of the journal.
    fn compact(&mut self, timeline: &Timeline) -> io::Result<()> {
        let (new, path) = (self.folder.join("journal.new"), self.folder.join("journal"));
        std::fs::write(&new, journal::snapshot(timeline))?;
        std::fs::rename(&new, &path)?;
        self.journal = OpenOptions::new().append(true).open(&path)?;
        self.journal.seek(SeekFrom::End(0))?;
        self.grown = 0;
        Ok(())
    }

    /// Appends a change that has been applied to `timeline`.
    pub(crate) fn record(&mut self, change: &Change, timeline: &Timeline) -> io::Result<()> {
        let Some(record) = journal::record(change) else {
            return Ok(());
        };
        if self.grown > COMPACT_AT {
            return self.compact(timeline);
        }
        self.journal.write_all(&record)?;
        self.grown += record.len() as u64;
        Ok(())
    }

    fn path(&self, track: TrackIndex, number: u64) -> PathBuf {
        self.folder.join(format!("{track}-{number}"))
    }

    fn growing_path(&self, track: TrackIndex, number: u64) -> PathBuf {
        self.path(track, number).with_extension("new")
    }

    /// Appends a part to a segment that grows.
    pub(crate) fn grow(&mut self, track: TrackIndex, number: u64, part: &[u8]) -> io::Result<()> {
        let path = self.growing_path(track, number);
        let file = match self.growing.entry((number, track)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(File::create(path)?),
        };
        file.write_all(part)
    }

    /// Nobody needs a segment that grew.
    pub(crate) fn discard(&mut self, track: TrackIndex, number: u64) {
        if self.growing.remove(&(number, track)).is_some() {
            let _ = std::fs::remove_file(self.growing_path(track, number));
        }
    }

    /// Keeps a complete segment of `size` bytes until the last owner of what is returned has let go. `parts`: its media, for one
    /// that did not grow here, or of which the disk did not take all.
    pub(crate) fn keep(
        &mut self,
        track: TrackIndex,
        number: u64,
        size: u64,
        parts: &[Bytes],
    ) -> io::Result<Arc<Kept>> {
        let (path, new) = (self.path(track, number), self.growing_path(track, number));
        let grown = self.growing.remove(&(number, track));
        let grown = grown.and_then(|file| file.metadata().ok());
        if grown.is_none_or(|grown| grown.len() != size) {
            let mut file = File::create(&new)?;
            for part in parts {
                file.write_all(part)?;
            }
        }
        std::fs::rename(&new, &path)?;
        Ok(self.kept(path))
    }

    /// A segment from an earlier life of the worker, if it is still there.
    pub(crate) fn found(&self, track: TrackIndex, number: u64) -> Option<Arc<Kept>> {
        let path = self.path(track, number);
        path.exists().then(|| self.kept(path))
    }

    fn kept(&self, path: PathBuf) -> Arc<Kept> {
        let leaving = self.leaving.clone();
        Arc::new(Kept { path, leaving })
    }

    /// From now on nothing is removed any more.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Removes the folder: the event is over.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A segment on disk. Removed when the last owner is dropped, unless the process ends before.
pub(crate) struct Kept {
    path: PathBuf,
    leaving: Arc<AtomicBool>,
}

impl Kept {
    pub(crate) async fn read(&self) -> io::Result<Bytes> {
        tokio::fs::read(&self.path).await.map(Bytes::from)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.leaving.load(Ordering::Relaxed) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes what was left of events long over: a recording lasts seven days at most.
pub(crate) fn sweep(data: &Path) -> io::Result<()> {
    const OLD: std::time::Duration = std::time::Duration::from_secs(8 * 24 * 60 * 60);
    for entry in std::fs::read_dir(data)? {
        let entry = entry?;
        let journal = entry.path().join("journal");
        let age = journal.metadata().and_then(|meta| meta.modified());
        if age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > OLD)) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
