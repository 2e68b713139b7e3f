//! The sync samples of a track as runs, from the numbers that `stss` lists (ISO/IEC 14496-12 §8.6.2).

use super::{SyncRun, advance};

/// Runs of consecutive sync samples, filled number by number.
#[derive(Debug, Default)]
pub(crate) struct SyncRuns {
    runs: Vec<SyncRun>,
    descends: bool,
}

impl SyncRuns {
    /// Adds a one-based sample number; 0 is no sample.
    pub(crate) fn push(&mut self, number: u32) {
        let Some(index) = number.checked_sub(1) else {
            return;
        };
        let last = self.runs.last();
        self.descends |= last.is_some_and(|run| index < run.first);
        super::build::push_sync(&mut self.runs, index);
    }

    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// All numbers are there; brings them in order.
    pub(crate) fn finish(&mut self) {
        if !std::mem::take(&mut self.descends) {
            return;
        }
        self.runs.sort_unstable_by_key(|run| run.first);
        let mut merged: Vec<SyncRun> = Vec::with_capacity(self.runs.len());
        for run in self.runs.drain(..) {
            let end = run.first.saturating_add(run.count);
            match merged.last_mut() {
                Some(last) if run.first <= last.first.saturating_add(last.count) => {
                    last.count = last.count.max(end.saturating_sub(last.first));
                }
                _ => merged.push(run),
            }
        }
        self.runs = merged;
    }

    /// Whether `index` is a sync sample. `at`: where the walk is in the runs; `index` never falls.
    pub(crate) fn contains(&self, at: &mut usize, index: u32) -> bool {
        let run = advance(&self.runs[..], at, index, |run| run.first);
        run.is_some_and(|run| index.saturating_sub(run.first) < run.count)
    }
}
