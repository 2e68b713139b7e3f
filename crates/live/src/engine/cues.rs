//! Cues and messages of encoders: placed on the event's clock, told to the timeline and put into media.

use super::{Engine, SourceId};
use crate::clock_of_ms;
use crate::cue::{self, Body, Cue, Message, SPLICE_SCHEME, Said, Signal, event_message};
use crate::timeline::Change;

/// Kept of sources that have sent no media yet.
const MOST_EARLY: usize = 32;

/// A moment that is farther from the newest media is no moment of this clock.
const FAR_MS: i64 = 60 * 60 * 1_000;

/// Cues are said again in every segment that begins so soon before them (streaming reference, 5.7).
const SOON_MS: i64 = 15_000;

/// Whose times has what is said beside a source's media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Those of the encoder that sends media elsewhere.
    Encoder,
    /// None: the moment is that of the newest media, whatever time it has.
    Newest,
}

impl Engine {
    /// An encoder says something of a moment. Cues become part of the timeline, and said again they change nothing;
    /// messages go into the next part of every track.
    pub fn say(&mut self, source: SourceId, said: Said) {
        match self.placed(source, said.time()) {
            Some(start) => self.say_at(start, said),
            None if self.early.len() < MOST_EARLY => self.early.push_back((source, said)),
            None => {}
        }
    }

    /// Likewise, by somebody who sends no media. False if there is none yet to have that clock.
    pub fn say_by(&mut self, clock: Clock, said: Said) -> bool {
        let placed = match clock {
            Clock::Encoder => self.shared.map(|offset| self.near(said.time(), offset)),
            Clock::Newest => self.tracks.iter().filter_map(|track| track.last).max(),
        };
        placed.map(|start| self.say_at(start, said)).is_some()
    }

    fn say_at(&mut self, start: i64, said: Said) {
        match said {
            Said::Signal(signal) => self.cue(start, signal),
            Said::Message(message) => self.put(start, &message),
        }
        self.drain();
    }

    /// The first media of `source` has been placed.
    pub(super) fn say_early(&mut self, source: SourceId) {
        for (from, said) in std::mem::take(&mut self.early) {
            match from == source {
                true => self.say(source, said),
                false => self.early.push_back((from, said)),
            }
        }
    }

    /// A time of a source's clock on the event's. One that cannot be meant is now.
    fn placed(&self, source: SourceId, time: i64) -> Option<i64> {
        let offset = self.sources.get(&source)?.mapping.offset()?;
        Some(self.near(time, offset))
    }

    fn near(&self, time: i64, offset: i64) -> i64 {
        let start = time.saturating_add(offset);
        let newest = self.tracks.iter().filter_map(|track| track.last).max();
        let newest = newest.unwrap_or(start);
        let off = start.saturating_sub(newest).saturating_abs();
        match off > clock_of_ms(FAR_MS) {
            true => newest,
            false => start,
        }
    }

    fn cue(&mut self, start: i64, signal: Signal) {
        let Signal {
            id,
            duration,
            cancel,
            body,
            ..
        } = signal;
        if cancel {
            let known: Vec<(i64, i64)> = self
                .timeline
                .cues
                .iter()
                .filter(|cue| cue.id == id)
                .map(|cue| (cue.start, cue.end()))
                .collect();
            // What has come to pass stays.
            let newest = self.timeline.rows.back().map_or(0, |row| row.start);
            for (start, end) in known.into_iter().filter(|(start, _)| *start > newest) {
                self.grid.unwant(start);
                self.grid.unwant(end);
                self.change(Change::Withdrawn {
                    id: id.clone(),
                    start,
                });
            }
            return;
        }
        let mut cue = Cue {
            id,
            start,
            duration,
            body,
        };
        // Encoders count the same moment anew, and round it.
        let tolerance = self.grid.tolerance();
        let near = |known: &&Cue| {
            known.id == cue.id
                && known.body.role() == cue.body.role()
                && known.start.saturating_sub(start).saturating_abs() <= tolerance
        };
        if let Some(known) = self.timeline.cues.iter().find(near) {
            cue.start = known.start;
            if *known == cue {
                return;
            }
        }
        self.grid.want(cue.start);
        if cue.duration.is_some() {
            self.grid.want(cue.end());
        }
        if let Some(message) = message_of(&cue) {
            self.scheme(SPLICE_SCHEME, "");
            self.tell_players(&message);
        }
        self.change(Change::Cue(cue));
    }

    fn put(&mut self, start: i64, message: &Message) {
        self.scheme(&message.scheme, &message.value);
        let when = (start, message.duration);
        let (scheme, value) = (&message.scheme, &message.value);
        let message = event_message(scheme, value, when, message.id, &message.data);
        // One track may have begun the next row already. All tracks say it in the same row, or who goes from one to the other
        // hears it twice, or never.
        let rows = self.tracks.iter().map(|track| track.builder.row());
        let Some(newest) = rows.max().flatten() else {
            return;
        };
        for track in &mut self.tracks {
            track.builder.message_from(newest, &message);
        }
    }

    fn tell_players(&mut self, message: &[u8]) {
        for track in &mut self.tracks {
            if track.builder.row().is_some() {
                track.builder.message(message);
            }
        }
    }

    fn scheme(&mut self, scheme: &str, value: &str) {
        let known = &self.timeline.schemes;
        let new = !known
            .iter()
            .any(|known| known.0 == scheme && known.1 == value);
        if new && known.len() < cue::MOST_SCHEMES {
            self.change(Change::Scheme {
                scheme: scheme.to_owned(),
                value: value.to_owned(),
            });
        }
    }

    /// What is said again where a row begins at `start`.
    pub(super) fn soon(&self, start: i64) -> Vec<u8> {
        let until = start.saturating_add(clock_of_ms(SOON_MS));
        let cues = self.timeline.cues.iter();
        let soon = cues.filter(|cue| (start..=until).contains(&cue.start));
        soon.filter_map(message_of).flatten().collect()
    }
}

fn message_of(cue: &Cue) -> Option<Vec<u8>> {
    let Body::Splice { section, .. } = &cue.body else {
        return None;
    };
    let when = (cue.start, cue.duration);
    Some(event_message(
        SPLICE_SCHEME,
        "",
        when,
        cue.number(),
        section,
    ))
}
