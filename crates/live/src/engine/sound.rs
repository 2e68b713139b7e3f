//! Sound: frames wait for the pictures of the same moment, and are counted in samples.

use std::collections::VecDeque;

use super::{Engine, HOLE_MS, Output, SILENT_MS, SOUND_SLACK_MS, TrackState};
use crate::clock_of_ms;
use crate::grid::{Ask, Mark};
use crate::reason::Drop;
use crate::stream::Kind;
use crate::timeline::{TrackIndex, clock_of_ticks, ticks_of_clock};
use crate::track::Unit;

/// Frames that wait, on the event's clock.
#[derive(Debug, Default)]
pub(super) struct Sound {
    held: VecDeque<(i64, Unit)>,
    /// Where the next frame begins if nothing is missing, in ticks of the track.
    next: Option<i64>,
}

/// Frames held back at most: ten seconds and more. What is above goes on whether pictures have come or not.
const MOST_HELD: usize = 1024;

/// How long the first sound waits for pictures to be announced: a stream of sound alone is rare.
const SOUND_FIRST_MS: i64 = 1_000;

/// How long a frame waits for pictures.
const PATIENCE_MS: i64 = 1_500;

/// What happens to sound that waits for pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Waits,
    /// No pictures will come any more.
    Ends,
}

impl Sound {
    pub(super) fn hold(&mut self, now_ms: i64, unit: Unit) {
        self.held.push_back((now_ms, unit));
    }
}

impl TrackState {
    /// Whether time is missing between the last frame and one that begins at `pts`.
    fn is_behind_a_hole(&self, pts: i64) -> bool {
        let next = self.sound.next.and_then(|next| u64::try_from(next).ok());
        let next = next.map(|next| clock_of_ticks(next, self.builder.scale()));
        next.is_some_and(|next| pts.saturating_sub(next) > clock_of_ms(HOLE_MS))
    }
}

impl Engine {
    /// Lets go on what has waited for long enough, or for what has come.
    pub(super) fn release_sound(&mut self, now_ms: i64, held: Held) {
        let pictures = self.tracks.iter().filter(|track| {
            track.kind == Kind::Video && now_ms.saturating_sub(track.heard_ms()) < SILENT_MS
        });
        let mut pictures = pictures.peekable();
        let alone = pictures.peek().is_none();
        // How far pictures have come: every row up to here has begun.
        let front = pictures.filter_map(|track| track.builder.head()).max();
        for at in 0..self.tracks.len() {
            let Ok(index) = TrackIndex::try_from(at) else {
                continue;
            };
            while let Some(track) = self.tracks.get_mut(at) {
                let frames = &mut track.sound.held;
                let crowd = frames.len() > MOST_HELD;
                let ready = frames.front().is_some_and(|(came_ms, unit)| {
                    let waited = now_ms.saturating_sub(*came_ms);
                    held == Held::Ends
                        || alone && waited >= SOUND_FIRST_MS
                        || front.is_some_and(|front| unit.pts < front)
                        || waited >= PATIENCE_MS
                        || crowd
                });
                let unit = if ready { frames.pop_front() } else { None };
                let Some((_, unit)) = unit else {
                    break;
                };
                self.push_sound(index, unit, alone);
            }
        }
    }

    fn push_sound(&mut self, index: TrackIndex, unit: Unit, alone: bool) {
        let Some(track) = self.tracks.get_mut(usize::from(index)) else {
            return;
        };
        if let Some(stream) = track.pending.take_if(|new| new.init == track.stream.init) {
            track.stream = stream;
        }
        let changed = track.pending.is_some();
        if changed {
            // Another rate or layout: what was counted ends here, and a row begins that says so.
            let _ = track.builder.finish();
            self.grid.break_next();
        }
        let Some(track) = self.tracks.get_mut(usize::from(index)) else {
            return;
        };
        let row = track.builder.row();
        let after = row.or(track.row);
        let is_behind_a_hole = track.is_behind_a_hole(unit.pts);
        let cut = if alone || changed {
            let anew = Ask::Anew {
                after,
                since: i64::MIN,
            };
            self.grid.cut(row.map_or(anew, Ask::Within), unit.pts)
        } else {
            // An encoder that comes back may begin with sound by a frame.
            let early = match is_behind_a_hole {
                true => self.grid.tolerance(),
                false => 0,
            };
            let by = unit.pts.saturating_add(early);
            let begun = self.grid.after(after).filter(|mark| mark.start <= by);
            begun.last().map(|mark| (mark, false))
        };
        let is_next_begun = || self.grid.after(after).next().is_some();
        if cut.is_none() && (row.is_none() || is_behind_a_hole && is_next_begun()) {
            // From before the first picture, at all or after a hole: it has no row.
            return;
        }
        if let Some((mark, new)) = cut {
            self.begin(index, mark, new);
        }
        self.count(index, unit, cut.map(|(mark, _)| mark), changed);
    }

    /// Gives a frame its place among the samples and hands it on.
    fn count(&mut self, index: TrackIndex, unit: Unit, cut: Option<Mark>, changed: bool) {
        let Some(track) = self.tracks.get_mut(usize::from(index)) else {
            return;
        };
        let scale = track.builder.scale();
        let stamped = i64::try_from(ticks_of_clock(unit.pts, scale)).unwrap_or(i64::MAX);
        let of_ms = |ms: i64| ms.saturating_mul(i64::from(scale.get())) / 1000;
        let expected = track.sound.next.unwrap_or(stamped);
        let off = stamped.saturating_sub(expected);
        let frame = track.stream.unit_duration.map(i64::from);
        let rounding = frame.is_some() && off.saturating_abs() <= of_ms(SOUND_SLACK_MS);
        if off < 0 && !rounding && cut.is_none() {
            track.stats.dropped(Drop::Overlap);
            self.out.push_back(Output::Dropped {
                track: index,
                time: unit.pts,
                drop: Drop::Overlap,
            });
            return;
        }
        // Frames of other parameters are counted anew, not from before their row.
        let place = if rounding && !(changed && off > 0) {
            expected
        } else {
            stamped.max(expected)
        };
        if off > of_ms(HOLE_MS) {
            let _ = track.builder.pause();
            track.stats.jumped();
            self.out.push_back(Output::Jump {
                track: index,
                previous: clock_of_ticks(u64::try_from(expected).unwrap_or(0), scale),
                new: unit.pts,
            });
        }
        track.sound.next = Some(place.saturating_add(frame.unwrap_or(1)));
        let unit = Unit {
            dts: place,
            pts: place,
            sync: true,
            bytes: unit.bytes,
        };
        if track.builder.push(unit, cut).is_ok()
            && let Some(frame) = frame
        {
            track.builder.set_usual(frame);
        }
    }
}
