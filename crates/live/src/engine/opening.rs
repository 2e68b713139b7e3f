//! The first data of an event, held until it is clear how late it comes.
//!
//! An encoder that connects has pictures waiting: the first was made a second ago, and those behind it follow as fast as they can
//! be sent. Were its clock placed by the arrival of the first, everything would say for ever that it was made that much later
//! than it was, and players that stay two seconds behind would be three behind. So it is placed by whatever came soonest, and
//! it is looked for that for as long as what comes keeps coming sooner.

use crate::clock_of_ms;
use crate::engine::{AccessUnit, SourceId};
use crate::timeline::TrackIndex;

/// How long data is held at least, in milliseconds.
const LEAST_MS: i64 = 500;
/// How long at most, if it keeps coming sooner.
const MOST_MS: i64 = 2_000;
/// Who has not come sooner for so long has caught up.
const STEADY_MS: i64 = 350;
/// What counts as sooner, in milliseconds: less is the jitter of a steady encoder.
const SOONER_MS: i64 = 20;
/// What an encoder has waiting at most. Who sends more than that faster than it plays does not catch up, but sends a file.
const MOST_WAITING_MS: i64 = 3_000;
/// What is held at most, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// As they came, with the wall clock.
    units: Vec<(i64, SourceId, TrackIndex, AccessUnit)>,
    bytes: usize,
    /// Of the first source.
    placed: Option<Placed>,
}

/// Distances of a source's clock to the event's.
#[derive(Debug, Clone, Copy)]
struct Placed {
    first: i64,
    least: i64,
    /// The last one that was less than all before by what counts, and when that was.
    sooner: i64,
    sooner_ms: i64,
}

impl Opening {
    pub(super) fn hold(
        &mut self,
        now_ms: i64,
        source: SourceId,
        index: TrackIndex,
        unit: AccessUnit,
    ) {
        let first = self.units.first().map_or(source, |(_, first, ..)| *first);
        if source == first {
            let offset = clock_of_ms(now_ms).saturating_sub(unit.dts);
            let placed = self.placed.get_or_insert(Placed {
                first: offset,
                least: offset,
                sooner: offset,
                sooner_ms: now_ms,
            });
            placed.least = placed.least.min(offset);
            if offset < placed.sooner.saturating_sub(clock_of_ms(SOONER_MS)) {
                (placed.sooner, placed.sooner_ms) = (offset, now_ms);
            }
        }
        self.bytes = self.bytes.saturating_add(unit.bytes.len());
        self.units.push((now_ms, source, index, unit));
    }

    pub(super) fn holds(&self) -> bool {
        !self.units.is_empty()
    }

    /// Whether it is clear.
    pub(super) fn is_over(&self, now_ms: i64) -> bool {
        let (Some((came_ms, ..)), Some(placed)) = (self.units.first(), &self.placed) else {
            return false;
        };
        let held_ms = now_ms.saturating_sub(*came_ms);
        let steady = now_ms.saturating_sub(placed.sooner_ms) >= STEADY_MS;
        let ahead = placed.first.saturating_sub(placed.least);
        (held_ms >= LEAST_MS && steady)
            || held_ms >= MOST_MS
            || ahead > clock_of_ms(MOST_WAITING_MS)
            || self.bytes > MAX_BYTES
    }

    /// The least distance from the first source's clock to the event's.
    pub(super) fn offset(&self) -> Option<i64> {
        self.placed.map(|placed| placed.least)
    }

    /// What was held, in the order in which it came.
    pub(super) fn into_units(self) -> Vec<(i64, SourceId, TrackIndex, AccessUnit)> {
        self.units
    }
}
