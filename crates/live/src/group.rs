//! Rows by segments of a transport stream, which may hold several (`hls.fragmentsPerTsSegment`).
//!
//! ```text
//! row         7   8 | 9  10! 11 | 12  13  14 | 15 ...    three to a segment; ! a discontinuity
//! segment     2     | 3 | 4     | 5          | 6         number / 3, and one more for each cut up to here
//! ```
//!
//! A segment begins at every multiple of its length, so whoever sees a row's number knows where it belongs, whatever else
//! there is. A discontinuity begins one wherever it is: a *cut* if that is within such a stretch. Segments count by one when
//! all cuts before them are counted, those of rows that are gone as well: [`Gone`] keeps that count, for every length there
//! is, as the outputs of one event may have several.

use crate::timeline::Row;

/// Most rows of a segment (AMS).
pub const MOST_ROWS: u8 = 10;

/// Lengths that there can be cuts in: all but 1.
const LENGTHS: usize = 9;

/// How many rows a segment has: 1 to [`MOST_ROWS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowsPerSegment(u8);

impl Default for RowsPerSegment {
    fn default() -> Self {
        Self::ONE
    }
}

impl RowsPerSegment {
    /// A segment is a row.
    pub const ONE: Self = Self(1);

    /// `None` for a count that no output can have.
    #[must_use]
    pub fn new(rows: u32) -> Option<Self> {
        let rows = u8::try_from(rows).ok()?;
        (1..=MOST_ROWS).contains(&rows).then_some(Self(rows))
    }

    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// Whether a segment begins with `row`, if what came before is there.
    #[must_use]
    pub fn begins(self, row: &Row) -> bool {
        row.discontinuity || self.is_start(row.number)
    }

    /// Whether a segment begins with the row of that number, whatever it is.
    #[must_use]
    pub fn is_start(self, number: u64) -> bool {
        number.checked_rem(self.0.into()) == Some(0)
    }

    /// Number of the row that the stretch begins with in which row `number` is: no segment that has it begins earlier.
    #[must_use]
    pub fn stretch(self, number: u64) -> u64 {
        let within = number.checked_rem(self.0.into()).unwrap_or(0);
        number.saturating_sub(within)
    }

    /// The count of stretches before row `number`: the number of its segment, but for cuts.
    #[must_use]
    pub fn stretches(self, number: u64) -> u64 {
        number.checked_div(self.0.into()).unwrap_or(number)
    }

    pub(crate) fn cuts(self, row: &Row) -> bool {
        row.discontinuity && !self.is_start(row.number)
    }
}

/// What has to be known of rows that are gone, so that what follows keeps its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gone {
    /// Discontinuities.
    pub discontinuities: u64,
    /// Those that are cuts, of segments of 2 rows, of 3, and so on.
    pub(crate) cuts: [u64; LENGTHS],
}

impl Gone {
    /// Counts a row that goes.
    pub fn take(&mut self, row: &Row) {
        self.count(row, u64::saturating_add);
    }

    /// Counts a row no more, which is there again.
    pub fn give_back(&mut self, row: &Row) {
        self.count(row, u64::saturating_sub);
    }

    fn count(&mut self, row: &Row, by: fn(u64, u64) -> u64) {
        if !row.discontinuity {
            return;
        }
        self.discontinuities = by(self.discontinuities, 1);
        for (rows, cuts) in (2..).zip(&mut self.cuts) {
            if RowsPerSegment(rows).cuts(row) {
                *cuts = by(*cuts, 1);
            }
        }
    }

    /// Cuts in segments of so many rows.
    #[must_use]
    pub fn cuts(&self, rows: RowsPerSegment) -> u64 {
        let at = usize::from(rows.0).checked_sub(2);
        at.and_then(|at| self.cuts.get(at)).copied().unwrap_or(0)
    }
}
