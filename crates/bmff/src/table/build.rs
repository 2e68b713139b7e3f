//! Filling a [`SampleTable`], from the tables of `stbl` or run by run from fragments.

use super::pages::{List, Pages};
use super::{OffsetRun, SampleTable, Size, SizeRun, SyncRun, TimeRun};

/// Sizes as `stsz`, `stz2` or `trun` states them.
pub(crate) enum SampleSizes {
    Uniform { size: u32, count: u32 },
    Listed(Vec<u32>),
}

/// The tables of an `stbl` box, unchecked against each other.
pub(crate) struct StoredTables {
    pub(crate) sizes: SampleSizes,
    /// `stts`: sample count and duration.
    pub(crate) durations: Vec<(u32, u32)>,
    /// `ctts`: sample count and offset.
    pub(crate) offsets: Vec<(u32, i32)>,
    /// `stss`: one-based sample numbers; `None` if every sample is a sync sample.
    pub(crate) sync: Option<Vec<u32>>,
    /// `stsc`: one-based first chunk and samples per chunk.
    pub(crate) chunk_runs: Vec<(u32, u32)>,
    /// `stco` or `co64`.
    pub(crate) chunk_offsets: Vec<u64>,
}

/// A sample of a fragment's run, without its size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunSample {
    pub(crate) duration: u32,
    pub(crate) cto: i32,
    pub(crate) sync: bool,
}

/// A sample that does not lie within the file.
pub(crate) struct Stray {
    pub(crate) first_sample: u32,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// A table that grows; finished by [`Self::into_table`].
#[derive(Debug, Default)]
pub(crate) struct TableBuilder {
    table: SampleTable,
}

type Fault = String;

impl TableBuilder {
    /// Checks the tables against each other. The sizes decide how many samples there are; surplus elsewhere is
    /// ignored, as players do, and a lack is an error.
    pub(crate) fn from_stored(stored: StoredTables) -> Result<Self, Fault> {
        let mut builder = Self::default();
        let table = &mut builder.table;
        table.count = match &stored.sizes {
            SampleSizes::Uniform { count, .. } => *count,
            SampleSizes::Listed(list) => {
                u32::try_from(list.len()).map_err(|_| "too many samples".to_owned())?
            }
        };
        table.chunk_offsets = stored.chunk_offsets;
        table.chunk_firsts =
            chunk_firsts(table.count, &stored.chunk_runs, &mut table.chunk_offsets)?;
        (table.times, table.end) = times(table.count, &stored.durations)?;
        table.offsets = offsets(&stored.offsets);
        table.sync = match stored.sync {
            None => vec![SyncRun {
                first: 0,
                count: table.count,
            }],
            Some(numbers) => sync_runs(numbers),
        };
        builder.append_sizes(0, stored.sizes)?;
        Ok(builder)
    }

    pub(crate) fn len(&self) -> u32 {
        self.table.count
    }

    /// Bytes of memory that the table holds.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.table.heap_bytes()
    }

    /// Decode time at which the last sample ends.
    pub(crate) fn end(&self) -> u64 {
        self.table.end
    }

    /// Decode time of the last sample; 0 without samples.
    pub(crate) fn last_decode_time(&self) -> u64 {
        self.table.times.last().map_or(0, |run| {
            let into = self.table.count.saturating_sub(run.first).saturating_sub(1);
            let elapsed = u64::from(into).saturating_mul(u64::from(run.duration));
            run.decode_time.saturating_add(elapsed)
        })
    }

    /// Every sample is a sync sample, whatever was stated.
    pub(crate) fn all_sync(&mut self) {
        self.table.sync = vec![SyncRun {
            first: 0,
            count: self.table.count,
        }];
    }

    pub(crate) fn into_table(self) -> SampleTable {
        self.table
    }

    /// Appends one run of contiguous samples. `samples` has as many items as `sizes`.
    pub(crate) fn append_run(
        &mut self,
        position: u64,
        decode_time: u64,
        sizes: SampleSizes,
        samples: impl Iterator<Item = RunSample>,
    ) -> Result<(), Fault> {
        let first = self.table.count;
        let count = match &sizes {
            SampleSizes::Uniform { size: 0, count } if *count > 1 => {
                return Err(format!("{count} samples of no bytes"));
            }
            SampleSizes::Uniform { count, .. } => *count,
            SampleSizes::Listed(list) => u32::try_from(list.len()).unwrap_or(u32::MAX),
        };
        let end = first.checked_add(count);
        let end = end.ok_or_else(|| "more than 2^32 samples in a track".to_owned())?;
        if count == 0 {
            return Ok(());
        }
        self.table.chunk_firsts.push(first);
        self.table.chunk_offsets.push(position);
        self.append_sizes(first, sizes)?;
        let mut time = decode_time;
        for (index, sample) in (first..end).zip(samples) {
            self.push_sample(index, time, sample);
            time = time
                .checked_add(u64::from(sample.duration))
                .ok_or_else(|| "decode times pass 64 bits".to_owned())?;
        }
        self.table.count = end;
        self.table.end = time;
        Ok(())
    }

    fn push_sample(&mut self, index: u32, decode_time: u64, sample: RunSample) {
        let table = &mut self.table;
        let continues = table.times.last().is_some_and(|run| {
            let into = u64::from(index.saturating_sub(run.first));
            let expected = into
                .checked_mul(u64::from(run.duration))
                .and_then(|elapsed| run.decode_time.checked_add(elapsed));
            run.duration == sample.duration && expected == Some(decode_time)
        });
        if !continues {
            table.times.push(TimeRun {
                first: index,
                duration: sample.duration,
                decode_time,
            });
        }
        if table.offsets.last().map_or(0, |run| run.offset) != sample.cto {
            table.offsets.push(OffsetRun {
                first: index,
                offset: sample.cto,
            });
        }
        if sample.sync {
            push_sync(&mut table.sync, index);
        }
    }

    fn append_sizes(&mut self, first: u32, sizes: SampleSizes) -> Result<(), Fault> {
        let table = &mut self.table;
        let overflow = || "the samples' sizes pass 64 bits".to_owned();
        match sizes {
            SampleSizes::Uniform { size, count } => {
                let bytes = u64::from(size).checked_mul(u64::from(count));
                let total = bytes.and_then(|bytes| table.total_bytes.checked_add(bytes));
                table.total_bytes = total.ok_or_else(overflow)?;
                let size = Size::Uniform(size);
                if table.sizes.last().is_none_or(|run| run.size != size) {
                    table.sizes.push(SizeRun { first, size });
                }
            }
            SampleSizes::Listed(list) => {
                for size in &list {
                    let total = table.total_bytes.checked_add(u64::from(*size));
                    table.total_bytes = total.ok_or_else(overflow)?;
                }
                let at = u32::try_from(table.listed_sizes.count())
                    .map_err(|_| "too many samples".to_owned())?;
                let listed = |run: &SizeRun| matches!(run.size, Size::Listed(_));
                if !table.sizes.last().is_some_and(listed) {
                    table.sizes.push(SizeRun {
                        first,
                        size: Size::Listed(at),
                    });
                }
                list.into_iter()
                    .for_each(|size| table.listed_sizes.push(size));
            }
        }
        Ok(())
    }

    /// The first chunk that does not lie within the first `file_len` bytes.
    pub(crate) fn stray(&self, file_len: u64) -> Option<Stray> {
        let table = &self.table;
        let firsts = table.chunk_firsts.iter().copied();
        let ends = firsts.clone().skip(1).chain(std::iter::once(table.count));
        let mut size_run = 0;
        for ((first, end), offset) in firsts.zip(ends).zip(table.chunk_offsets.iter().copied()) {
            let mut bytes: u64 = 0;
            let mut index = first;
            while index < end {
                let run = super::advance(&table.sizes[..], &mut size_run, index, |run| run.first)?;
                let next = size_run.checked_add(1).and_then(|at| table.sizes.get(at));
                let run_end = next.map_or(end, |run| run.first.min(end));
                let count = run_end.saturating_sub(index).max(1);
                let add = match run.size {
                    Size::Uniform(size) => u64::from(size).saturating_mul(u64::from(count)),
                    Size::Listed(_) => (index..run_end)
                        .filter_map(|index| table.size_of(run, index))
                        .fold(0_u64, |sum, size| sum.saturating_add(u64::from(size))),
                };
                bytes = bytes.saturating_add(add);
                index = index.saturating_add(count);
            }
            if offset.checked_add(bytes).is_none_or(|e| e > file_len) {
                return Some(Stray {
                    first_sample: first,
                    offset,
                    bytes,
                });
            }
        }
        None
    }
}

/// The first sample of each chunk; chunks without samples are taken out of `offsets`.
fn chunk_firsts(
    count: u32,
    runs: &[(u32, u32)],
    offsets: &mut Vec<u64>,
) -> Result<Vec<u32>, Fault> {
    let mut firsts = Vec::with_capacity(offsets.len());
    let mut first: u32 = 0;
    let mut runs = runs.iter().copied().peekable();
    let mut per_chunk = 0;
    let mut numbers = 1_u32..;
    offsets.retain(|_| {
        let number = numbers.next().unwrap_or(u32::MAX);
        while let Some((_, samples)) = runs.next_if(|(first_chunk, _)| *first_chunk <= number) {
            per_chunk = samples;
        }
        let has_samples = per_chunk > 0 && first < count;
        if has_samples {
            firsts.push(first);
            first = first.saturating_add(per_chunk);
        }
        has_samples
    });
    if first < count {
        return Err(format!("the chunks hold {first} of {count} samples"));
    }
    Ok(firsts)
}

fn times(count: u32, durations: &[(u32, u32)]) -> Result<(Pages<TimeRun>, u64), Fault> {
    let mut times = Pages::default();
    let (mut first, mut decode_time) = (0_u32, 0_u64);
    for &(samples, duration) in durations {
        let samples = samples.min(count.saturating_sub(first));
        if samples == 0 {
            continue;
        }
        if times
            .last()
            .is_none_or(|run: TimeRun| run.duration != duration)
        {
            times.push(TimeRun {
                first,
                duration,
                decode_time,
            });
        }
        let elapsed = u64::from(samples).checked_mul(u64::from(duration));
        decode_time = elapsed
            .and_then(|elapsed| decode_time.checked_add(elapsed))
            .ok_or_else(|| "decode times pass 64 bits".to_owned())?;
        first = first.saturating_add(samples);
    }
    if first < count {
        return Err(format!(
            "durations are stated for {first} of {count} samples"
        ));
    }
    Ok((times, decode_time))
}

fn offsets(stored: &[(u32, i32)]) -> Pages<OffsetRun> {
    let mut runs: Pages<OffsetRun> = Pages::default();
    let mut first: u32 = 0;
    let mut push = |first: u32, offset: i32| {
        if runs.last().map_or(0, |run| run.offset) != offset {
            runs.push(OffsetRun { first, offset });
        }
    };
    for &(samples, offset) in stored {
        if samples > 0 {
            push(first, offset);
        }
        first = first.saturating_add(samples);
    }
    // Samples behind the last run have no offset.
    push(first, 0);
    runs
}

fn sync_runs(mut numbers: Vec<u32>) -> Vec<SyncRun> {
    if !numbers.is_sorted() {
        numbers.sort_unstable();
    }
    let mut runs = Vec::with_capacity(numbers.len());
    for index in numbers.iter().filter_map(|number| number.checked_sub(1)) {
        push_sync(&mut runs, index);
    }
    runs
}

pub(super) fn push_sync(runs: &mut Vec<SyncRun>, index: u32) {
    if let Some(run) = runs.last_mut() {
        match index.checked_sub(run.first) {
            Some(into) if into < run.count => return,
            Some(into) if into == run.count => {
                run.count = run.count.saturating_add(1);
                return;
            }
            _ => {}
        }
    }
    runs.push(SyncRun {
        first: index,
        count: 1,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sample;

    fn stored() -> StoredTables {
        StoredTables {
            sizes: SampleSizes::Listed(vec![10, 20, 30, 40, 50]),
            durations: vec![(2, 100), (9, 50)],
            offsets: vec![(1, 100), (2, -50)],
            sync: Some(vec![1, 4]),
            chunk_runs: vec![(1, 2), (3, 1)],
            chunk_offsets: vec![1000, 2000, 3000],
        }
    }

    #[test]
    fn tables_expand_to_samples() {
        let table = TableBuilder::from_stored(stored()).unwrap().into_table();
        let all: Vec<Sample> = table.iter().collect();
        let column = |pick: fn(&Sample) -> i64| all.iter().map(pick).collect::<Vec<_>>();
        assert_eq!(column(|s| s.offset as i64), [1000, 1010, 2000, 2030, 3000]);
        assert_eq!(column(|s| s.dts as i64), [0, 100, 200, 250, 300]);
        assert_eq!(column(|s| s.cto.into()), [100, -50, -50, 0, 0]);
        assert_eq!(column(|s| s.sync.into()), [1, 0, 0, 1, 0]);
        assert_eq!((table.total_bytes(), table.end_time()), (150, 350));
        for sample in &all {
            assert_eq!(table.get(sample.index), Some(*sample));
            let rest: Vec<Sample> = table.iter_from(sample.index).collect();
            assert_eq!(rest, all[sample.index as usize..]);
        }
        assert_eq!(table.get(5), None);
    }

    #[test]
    fn a_lack_is_an_error_and_a_surplus_is_not() {
        let fault = |stored| TableBuilder::from_stored(stored).map(|_| ()).unwrap_err();
        let few_chunks = StoredTables {
            chunk_offsets: vec![0],
            ..stored()
        };
        assert_eq!(fault(few_chunks), "the chunks hold 2 of 5 samples");
        let few_durations = StoredTables {
            durations: vec![(4, 1)],
            ..stored()
        };
        assert_eq!(
            fault(few_durations),
            "durations are stated for 4 of 5 samples"
        );
    }

    #[test]
    fn runs_of_fragments_make_the_same_samples_as_tables() {
        let mut builder = TableBuilder::default();
        let sample = |duration, cto, sync| RunSample {
            duration,
            cto,
            sync,
        };
        let runs = [
            (
                1000,
                0,
                vec![10, 20],
                vec![sample(100, 100, true), sample(100, -50, false)],
            ),
            (
                2000,
                200,
                vec![30, 40],
                vec![sample(50, -50, false), sample(50, 0, true)],
            ),
            (3000, 300, vec![50], vec![sample(50, 0, false)]),
        ];
        for (offset, time, sizes, samples) in runs {
            builder
                .append_run(
                    offset,
                    time,
                    SampleSizes::Listed(sizes),
                    samples.into_iter(),
                )
                .unwrap();
        }
        let from_runs: Vec<Sample> = builder.into_table().iter().collect();
        let table = TableBuilder::from_stored(stored()).unwrap().into_table();
        assert_eq!(from_runs, table.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_chunk_past_the_end_of_the_file_is_found() {
        let builder = TableBuilder::from_stored(stored()).unwrap();
        assert!(builder.stray(3050).is_none());
        assert_eq!(builder.stray(3049).unwrap().first_sample, 4);
        let uniform = StoredTables {
            sizes: SampleSizes::Uniform {
                size: 7,
                count: u32::MAX,
            },
            durations: vec![(u32::MAX, 1)],
            chunk_runs: vec![(1, u32::MAX)],
            ..stored()
        };
        let builder = TableBuilder::from_stored(uniform).unwrap();
        assert_eq!(builder.stray(1 << 20).unwrap().first_sample, 0);
    }
}
