//! The samples of a track, kept as the runs that the file describes them with.
//!
//! Progressive files state sizes one by one, but durations, composition offsets and sync samples in runs (`stts`,
//! `ctts`, `stss`), and positions per chunk (`stsc`, `stco`). Fragments state all of it per run (`trun`). The table keeps
//! runs, so its memory is bounded by the bytes that were read: at most twelve for each four of the file.

mod build;
mod pages;
mod sync;

pub(crate) use build::{RunSample, SampleSizes, StoredTables, TableBuilder};
use pages::{List, Pages};
pub(crate) use sync::SyncRuns;

/// Samples of one track in decode order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleTable {
    count: u32,
    /// First sample of each chunk, whose samples are contiguous ...
    chunk_firsts: Vec<u32>,
    /// ... and where its bytes begin in the file.
    chunk_offsets: Vec<u64>,
    /// Sizes: runs of equal ones and stretches of `listed_sizes`.
    sizes: Vec<SizeRun>,
    listed_sizes: Pages<u32>,
    times: Pages<TimeRun>,
    offsets: Pages<OffsetRun>,
    sync: Vec<SyncRun>,
    total_bytes: u64,
    /// Decode time at which the last sample ends.
    end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SizeRun {
    first: u32,
    size: Size,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Uniform(u32),
    /// Index of the run's first size in `listed_sizes`.
    Listed(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TimeRun {
    first: u32,
    duration: u32,
    decode_time: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OffsetRun {
    first: u32,
    offset: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SyncRun {
    first: u32,
    count: u32,
}

/// One access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Zero-based place in decode order.
    pub index: u32,
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// Decode time in ticks of the track.
    pub dts: u64,
    /// Time to the next sample's decode time, in ticks, as the file states it.
    pub duration: u32,
    /// Composition offset in ticks: presentation time minus decode time.
    pub cto: i32,
    /// Decodes without earlier samples.
    pub sync: bool,
}

impl Sample {
    /// Composition time in ticks of the track, before any edit list. Saturates.
    #[must_use]
    pub fn composition_time(&self) -> i64 {
        i64::try_from(self.dts)
            .unwrap_or(i64::MAX)
            .saturating_add(i64::from(self.cto))
    }
}

impl SampleTable {
    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.count
    }

    /// True if there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Sum of all sample sizes, in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Decode time at which the last sample ends, in ticks of the track.
    #[must_use]
    pub fn end_time(&self) -> u64 {
        self.end
    }

    /// Bytes of memory that the table holds.
    pub(crate) fn heap_bytes(&self) -> usize {
        fn held<T>(list: &Vec<T>) -> usize {
            list.capacity().saturating_mul(size_of::<T>())
        }
        held(&self.chunk_firsts)
            .saturating_add(held(&self.chunk_offsets))
            .saturating_add(held(&self.sizes))
            .saturating_add(self.listed_sizes.heap_bytes())
            .saturating_add(self.times.heap_bytes())
            .saturating_add(self.offsets.heap_bytes())
            .saturating_add(held(&self.sync))
    }

    /// All samples in decode order.
    #[must_use]
    pub fn iter(&self) -> Samples<'_> {
        self.iter_from(0)
    }

    /// The samples from `index` on; none if it is past the end. Costs a binary search, and a walk over the earlier
    /// samples of the chunk that holds `index`.
    #[must_use]
    pub fn iter_from(&self, index: u32) -> Samples<'_> {
        let mut samples = Samples {
            table: self,
            next: index.min(self.count),
            chunk: last_at(&self.chunk_firsts[..], index, |first| *first),
            size: last_at(&self.sizes[..], index, |run| run.first),
            time: last_at(&self.times, index, |run| run.first),
            offset: last_at(&self.offsets, index, |run| run.first),
            sync: last_at(&self.sync[..], index, |run| run.first),
            position: 0,
        };
        samples.seek_position();
        samples
    }

    /// The sample at `index`, at the cost of [`Self::iter_from`].
    #[must_use]
    pub fn get(&self, index: u32) -> Option<Sample> {
        self.iter_from(index).next()
    }

    fn size_of(&self, run: SizeRun, index: u32) -> Option<u32> {
        match run.size {
            Size::Uniform(size) => Some(size),
            Size::Listed(at) => {
                let place = at.checked_add(index.checked_sub(run.first)?)?;
                self.listed_sizes.item(usize::try_from(place).ok()?)
            }
        }
    }
}

impl<'a> IntoIterator for &'a SampleTable {
    type Item = Sample;
    type IntoIter = Samples<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Index of the last run that begins at or before `index`; 0 if there is none.
fn last_at<T: Copy>(
    runs: &(impl List<T> + ?Sized),
    index: u32,
    first: impl Fn(&T) -> u32,
) -> usize {
    let (mut from, mut to) = (0, runs.count());
    while from < to {
        let middle = from.midpoint(to);
        match runs.item(middle) {
            Some(run) if first(&run) <= index => from = middle.saturating_add(1),
            _ => to = middle,
        }
    }
    from.saturating_sub(1)
}

/// Iterator over samples, see [`SampleTable::iter`].
#[derive(Debug, Clone)]
pub struct Samples<'a> {
    table: &'a SampleTable,
    next: u32,
    chunk: usize,
    size: usize,
    time: usize,
    offset: usize,
    sync: usize,
    /// Where the next sample's bytes begin.
    position: u64,
}

/// Moves `at` to the run that holds `index`, which is never before the current one.
fn advance<T: Copy>(
    runs: &(impl List<T> + ?Sized),
    at: &mut usize,
    index: u32,
    first: impl Fn(&T) -> u32,
) -> Option<T> {
    while let Some(next) = at.checked_add(1) {
        match runs.item(next) {
            Some(run) if first(&run) <= index => *at = next,
            _ => break,
        }
    }
    runs.item(*at).filter(|run| first(run) <= index)
}

impl Samples<'_> {
    /// Sets `position` for `next` from the start of its chunk.
    fn seek_position(&mut self) {
        let (Some(first), Some(offset)) = (
            self.table.chunk_firsts.get(self.chunk).copied(),
            self.table.chunk_offsets.get(self.chunk).copied(),
        ) else {
            return;
        };
        self.position = offset;
        let mut size = last_at(&self.table.sizes[..], first, |run| run.first);
        for index in first..self.next {
            let run = advance(&self.table.sizes[..], &mut size, index, |run| run.first);
            let bytes = run.and_then(|run| self.table.size_of(run, index));
            self.position = self.position.saturating_add(u64::from(bytes.unwrap_or(0)));
        }
    }
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        let (table, index) = (self.table, self.next);
        if index >= table.count {
            return None;
        }
        let chunk_before = self.chunk;
        advance(&table.chunk_firsts[..], &mut self.chunk, index, |first| {
            *first
        })?;
        if self.chunk != chunk_before {
            self.position = table.chunk_offsets.get(self.chunk).copied()?;
        }
        let size_run = advance(&table.sizes[..], &mut self.size, index, |run| run.first)?;
        let size = table.size_of(size_run, index)?;
        let time = advance(&table.times, &mut self.time, index, |run| run.first)?;
        let into_run = u64::from(index.checked_sub(time.first)?);
        let elapsed = into_run.checked_mul(u64::from(time.duration))?;
        let offset = advance(&table.offsets, &mut self.offset, index, |run| run.first);
        let sync = advance(&table.sync[..], &mut self.sync, index, |run| run.first);
        let sample = Sample {
            index,
            offset: self.position,
            size,
            dts: time.decode_time.checked_add(elapsed)?,
            duration: time.duration,
            cto: offset.map_or(0, |run| run.offset),
            sync: sync.is_some_and(|run| index.saturating_sub(run.first) < run.count),
        };
        self.position = self.position.checked_add(u64::from(size))?;
        self.next = index.checked_add(1)?;
        Some(sample)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.table.count.saturating_sub(self.next)).ok();
        (0, left)
    }
}
