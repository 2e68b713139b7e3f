//! An encoder's clock and the event's.
//!
//! Encoders stamp with counters that wrap ([`Unwrap`]) and that start anywhere, mostly at 0. [`Mapping`] puts them on the
//! event's clock, which is wall-clock time: the first data of a source is placed at the time of its arrival, and from then on
//! only the encoder's own clock counts. An encoder that comes back with its clock running on keeps its place: what
//! was cut is a gap, or nothing at all. One that starts anew gets a new place, and that is a discontinuity.

use crate::clock_of_ms;

/// Gives a counter that wraps its missing high bits.
#[derive(Debug, Clone, Copy)]
pub struct Unwrap {
    bits: u32,
    last: Option<i64>,
}

impl Unwrap {
    /// RTMP: milliseconds in 32 bits.
    pub const RTMP: Self = Self {
        bits: 32,
        last: None,
    };
    /// MPEG-2 systems: 90 kHz in 33 bits.
    pub const MPEG: Self = Self {
        bits: 33,
        last: None,
    };

    /// The last value.
    #[must_use]
    pub fn last(&self) -> Option<i64> {
        self.last
    }

    /// The value nearest to the last one that has the bits of `raw`.
    pub fn next(&mut self, raw: u64) -> i64 {
        let modulus = 1_i64.checked_shl(self.bits).unwrap_or(i64::MAX);
        let raw = i64::try_from(raw)
            .unwrap_or(0)
            .checked_rem(modulus)
            .unwrap_or(0);
        let value = match self.last {
            None => raw,
            Some(last) => {
                let base = last.saturating_sub(last.checked_rem_euclid(modulus).unwrap_or(0));
                let near = base.saturating_add(raw);
                let half = modulus / 2;
                if near.saturating_sub(last) > half {
                    near.saturating_sub(modulus)
                } else if last.saturating_sub(near) > half {
                    near.saturating_add(modulus)
                } else {
                    near
                }
            }
        };
        self.last = Some(value);
        value
    }
}

/// How far the encoder's clock and ours may be apart before it is taken for another one. A connection that stalls lets
/// data come late, and players may be as far behind.
const APART: i64 = clock_of(15);

/// How far a source may step back without being a new one: encoders resend what they are not sure of.
const BACK: i64 = clock_of(10);

/// How far behind the newest time of the event a new connection may begin and still be taken for the same encoder. More than
/// an encoder holds back while it reconnects; less than one has run, as a rule, before it is started anew.
const JOIN_BACK: i64 = clock_of(3);

/// A step between two access units of a source that needs no explanation.
const STEP: i64 = clock_of(1);

const fn clock_of(seconds: i64) -> i64 {
    seconds.saturating_mul(90_000)
}

/// What became of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapped {
    /// Where the source is known to be: this is its event time.
    Same(i64),
    /// The source has a new place: this is its event time.
    New(i64),
}

/// Places the clock of one encoder on the event's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mapping {
    /// What is added to source times.
    offset: Option<i64>,
    /// The latest event time given out.
    last: Option<i64>,
}

impl Mapping {
    /// What is added to source times, once something has come.
    #[must_use]
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }

    /// Places `time`, in 90 kHz ticks of the source.
    ///
    /// `shared`: the offset of the event's other sources, which are one encoder as a rule. `newest`: the newest time of the
    /// event, before which no new place may be.
    pub fn place(
        &mut self,
        now_ms: i64,
        time: i64,
        shared: Option<i64>,
        newest: Option<i64>,
    ) -> Mapped {
        let now = clock_of_ms(now_ms);
        let plausible = |offset: i64, most_back: i64| {
            let mapped = time.saturating_add(offset);
            let apart = mapped.saturating_sub(now);
            let back = newest.map_or(0, |newest| newest.saturating_sub(mapped));
            // What goes on without a jump is trusted even if it is sent faster or slower than it plays.
            let step = self.last.map(|last| mapped.saturating_sub(last));
            let goes_on = step.is_some_and(|step| step.saturating_abs() <= STEP);
            ((apart.saturating_abs() <= APART || goes_on) && back <= most_back).then_some(mapped)
        };
        let kept = self.offset.and_then(|offset| plausible(offset, BACK));
        let joined = shared.and_then(|offset| Some((offset, plausible(offset, JOIN_BACK)?)));
        if let Some(mapped) = kept {
            self.last = self.last.max(Some(mapped));
            return Mapped::Same(mapped);
        }
        if let Some((offset, mapped)) = joined {
            // The second stream of an encoder, or its connection come back.
            self.offset = Some(offset);
            self.last = Some(mapped);
            return Mapped::Same(mapped);
        }
        let place = newest.map_or(now, |newest| now.max(newest.saturating_add(1)));
        self.last = Some(place);
        self.offset = Some(place.saturating_sub(time));
        Mapped::New(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counters_go_on_over_their_end(start in 0_u64..1 << 33, steps in prop::collection::vec(-5000_i64..90_000, 1..200)) {
            let mut unwrap = Unwrap::MPEG;
            let mut truth = start as i64;
            prop_assert_eq!(unwrap.next(start), truth);
            for step in steps {
                truth += step;
                prop_assert_eq!(unwrap.next(truth.rem_euclid(1 << 33) as u64), truth);
            }
        }
    }

    #[test]
    fn a_source_keeps_its_place_while_its_clock_runs_on() {
        let mut mapping = Mapping::default();
        let now = 1_700_000_000_000;
        let start = mapping.place(now, 0, None, None);
        assert_eq!(start, Mapped::New(now * 90));
        // Late by three seconds: still the same clock.
        let later = mapping.place(now + 5_000, 2_000 * 90, None, Some(now * 90));
        assert_eq!(later, Mapped::Same((now + 2_000) * 90));
    }

    #[test]
    fn a_source_that_starts_anew_comes_after_everything() {
        let mut mapping = Mapping::default();
        let now = 1_700_000_000_000;
        mapping.place(now, 900_000, None, None);
        let newest = (now + 60_100) * 90;
        let again = mapping.place(now + 60_000, 0, None, Some(newest));
        assert_eq!(again, Mapped::New(newest + 1));
    }

    #[test]
    fn a_second_stream_of_an_encoder_shares_its_clock() {
        let (mut first, mut second) = (Mapping::default(), Mapping::default());
        let now = 1_700_000_000_000;
        first.place(now, 45, None, None);
        let mapped = second.place(now + 700, 90_000, first.offset(), Some(now * 90));
        assert_eq!(mapped, Mapped::Same(now * 90 + 90_000 - 45));
    }
}
