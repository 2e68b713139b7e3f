//! What a window says of the cues in it: in HLS, in DASH, and in Smooth Streaming.

use super::show::Show;
use crate::address::child::Carried;
use crate::error::{Code, OriginError};
use crate::manifests::smooth::Clock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_dash as dash;
use headwater_hls as hls;
use headwater_live::cue::{Body, Cue, ID3_SCHEME, Role, SPLICE_SCHEME};
use headwater_live::{CLOCK, CLOCK_PER_MS};
use headwater_smooth as smooth;

fn ms(ticks: i64) -> i64 {
    ticks.checked_div(CLOCK_PER_MS).unwrap_or(0)
}

fn length_ms(ticks: u64) -> u64 {
    ticks.checked_div(CLOCK_PER_MS.unsigned_abs()).unwrap_or(0)
}

fn section(cue: &Cue) -> Option<&[u8]> {
    match &cue.body {
        Body::Splice { section, .. } => Some(section),
        Body::Break => None,
    }
}

/// A break, or a moment that is none.
struct Spot<'a> {
    begin: &'a Cue,
    /// What ended it.
    end: Option<&'a Cue>,
}

impl Spot<'_> {
    /// When it is over; `None`: it goes on until somebody says so.
    fn over(&self) -> Option<i64> {
        let said = self.end.map(|cue| cue.start);
        let planned = self.begin.duration.map(|_| self.begin.end());
        said.or(planned)
    }

    /// Whether segments show it: breaks do.
    fn is_break(&self) -> bool {
        self.begin.body.role() == Role::Out
    }

    /// What a segment from `start` to `end` says of it; moments up to `slack` before it are its start.
    fn tag(&self, start: i64, end: i64, slack: i64) -> Option<hls::CueTag> {
        let begin = self.begin;
        let elapsed = start.saturating_sub(begin.start);
        let begins =
            begin.start >= start.saturating_sub(slack) && begin.start < end.saturating_sub(slack);
        let goes_on = !begins
            && elapsed > 0
            && self
                .over()
                .is_some_and(|over| over > start.saturating_add(slack));
        (begins || goes_on).then(|| hls::CueTag {
            id: begin.id.clone(),
            section: section(begin).map(|bytes| STANDARD.encode(bytes)),
            duration_ms: begin.duration.map_or(0, length_ms),
            time_ms: u64::try_from(ms(begin.start)).unwrap_or(0),
            elapsed_ms: goes_on.then(|| u64::try_from(ms(elapsed)).unwrap_or(0)),
        })
    }
}

/// Breaks with their ends, and the other cues.
fn spots(cues: &[Cue]) -> Vec<Spot<'_>> {
    let mut spots: Vec<Spot<'_>> = Vec::new();
    for cue in cues {
        // An end belongs to the newest break of its id that nobody has ended.
        let open = spots.iter_mut().rev().find(|spot| {
            cue.body.role() == Role::In
                && spot.is_break()
                && spot.begin.id == cue.id
                && spot.end.is_none()
        });
        match open {
            Some(spot) => spot.end = Some(cue),
            None => spots.push(Spot {
                begin: cue,
                end: None,
            }),
        }
    }
    spots
}

/// Times that a playlist of the window speaks of: those that are not over before it.
pub(super) fn date_ranges(show: &Show) -> Vec<hls::DateRange> {
    let Some(front) = show.timeline.rows.front() else {
        return Vec::new();
    };
    let cues = spots(&show.timeline.cues).into_iter();
    let shown = cues.filter(|spot| spot.over().unwrap_or(spot.begin.start) >= front.start);
    let ranges = shown.map(|spot| {
        let begin = spot.begin;
        let kind = |cue: &Cue| match cue.body.role() {
            Role::Out => hls::SpliceKind::Out,
            // Without a break that it ends it is a range by itself, which must not claim to end one.
            Role::In | Role::Other => hls::SpliceKind::Command,
        };
        let mut splices: Vec<(hls::SpliceKind, Vec<u8>)> = Vec::new();
        if let Some(section) = section(begin) {
            splices.push((kind(begin), section.to_vec()));
        }
        if let Some(section) = spot.end.and_then(section) {
            splices.push((hls::SpliceKind::In, section.to_vec()));
        }
        let start_ms = ms(begin.start);
        hls::DateRange {
            // The same id may come again with another break.
            id: format!("{}-{start_ms}", begin.id),
            start_ms,
            duration_ms: spot.end.map(|end| {
                let lasted = end.start.saturating_sub(begin.start);
                length_ms(u64::try_from(lasted).unwrap_or(0))
            }),
            planned_ms: begin.duration.map(length_ms),
            splices,
        }
    });
    ranges.collect()
}

/// Breaks by the segments they are in: a day of two-second segments is held against hundreds of breaks for each playlist.
pub(super) struct Breaks<'a> {
    /// By where they begin.
    spots: Vec<Spot<'a>>,
    /// For each the farthest moment that it or one before it reaches; ascending.
    reach: Vec<i64>,
}

impl<'a> Breaks<'a> {
    pub(super) fn of(cues: &'a [Cue]) -> Self {
        let spots = spots(cues).into_iter();
        let mut spots: Vec<Spot<'_>> = spots.filter(Spot::is_break).collect();
        spots.sort_by_key(|spot| spot.begin.start);
        let mut farthest = i64::MIN;
        let reach = spots.iter().map(|spot| {
            let own = spot.over().unwrap_or(spot.begin.start);
            farthest = farthest.max(own).max(spot.begin.start);
            farthest
        });
        Self {
            reach: reach.collect(),
            spots,
        }
    }

    /// Those that may begin before `end` and are not over before `start`: none of the others is.
    fn near(&self, start: i64, end: i64) -> &[Spot<'a>] {
        let from = self.reach.partition_point(|reach| *reach < start);
        let to = self.spots.partition_point(|spot| spot.begin.start < end);
        self.spots.get(from..to).unwrap_or_default()
    }

    /// What is said in front of a segment from `start` to `end` on the event's clock: of breaks that begin in it, or go on
    /// at its start. A break begins with the segment that is nearest to it, by the tolerance that rows have.
    pub(super) fn at(&self, start: i64, end: i64) -> Vec<hls::CueTag> {
        let half = end.saturating_sub(start).checked_div(2).unwrap_or(0);
        let slack = half.min(crate::live::show::CUE_SLACK);
        let near = self.near(start.saturating_sub(slack), end);
        near.iter()
            .filter_map(|spot| spot.tag(start, end, slack))
            .collect()
    }
}

/// Events of a Period from `start` to `end` (event clock), and those that still last when it begins.
pub(super) fn events(show: &Show, start: i64, end: i64) -> Vec<dash::EventStream> {
    let cues = || {
        let own = |cue: &&Cue| cue.start < end && (cue.start >= start || cue.end() > start);
        show.timeline.cues.iter().filter(own)
    };
    let offset = u64::try_from(start).unwrap_or(0);
    let stream = |scheme, value, with_section: bool| {
        let own = cues().filter(|cue| section(cue).is_some() == with_section);
        let events = own.map(|cue| {
            // What began before the Period began has no time in it but its start.
            let late = start.saturating_sub(cue.start).max(0);
            let late = u64::try_from(late).unwrap_or(0);
            dash::Event {
                id: cue.number(),
                time: u64::try_from(cue.start.max(start)).unwrap_or(0),
                duration: cue.duration.map(|ticks| ticks.saturating_sub(late)),
                section: section(cue).map(|bytes| STANDARD.encode(bytes)),
            }
        });
        dash::EventStream {
            scheme,
            value,
            timescale: CLOCK,
            presentation_time_offset: offset,
            events: events.collect(),
        }
    };
    let streams = [
        stream(dash::SPLICE_SCHEME, Some("scte35"), true),
        stream(dash::SIMPLE_SCHEME, None, false),
    ];
    let streams = streams.into_iter();
    streams.filter(|stream| !stream.events.is_empty()).collect()
}

/// Messages that the window's media carries, and while it is live ID3 tags in any case: Shaka Player looks for what it was told of when
/// it began and for nothing else, and the first message may come an hour later.
pub(super) fn inband(show: &Show) -> Vec<dash::Inband> {
    let known = &show.timeline.schemes;
    let schemes = known.iter().map(|(scheme, value)| dash::Inband {
        scheme: scheme.clone(),
        value: value.clone(),
    });
    let tags = dash::Inband {
        scheme: ID3_SCHEME.to_owned(),
        value: String::new(),
    };
    let is_tag = |(scheme, value): &(String, String)| scheme == ID3_SCHEME && value.is_empty();
    let may_come = !show.ended && !known.iter().any(is_tag);
    schemes.chain(may_come.then_some(tags)).collect()
}

/// Name of the stream of cues in Smooth Streaming; its bit rate is 0.
pub(crate) const SPARSE: &str = "scte35";

/// When a cue's fragment is, in the URL.
fn sparse_time(cue: &Cue) -> u64 {
    Clock::with(CLOCK).name(u64::try_from(cue.start).unwrap_or(0))
}

/// The stream of splices for Smooth Streaming: those that are not over before the window. `None` without any. Breaks of the
/// simple mode have no section to put into it.
pub(super) fn sparse(show: &Show, parent: &str, carried: Carried<'_>) -> Option<smooth::Sparse> {
    let front = show.timeline.rows.front()?.start;
    let clock = Clock::with(CLOCK);
    let cues = show.timeline.cues.iter();
    // What was to come after the end of what has ended did not.
    let end = show.timeline.end().filter(|_| show.ended);
    let shown = |cue: &&Cue| cue.end() >= front && end.is_none_or(|end| cue.start <= end);
    let mut cues: Vec<&Cue> = cues.filter(shown).collect();
    cues.sort_by_key(|cue| cue.start);
    let messages = cues.into_iter().filter_map(|cue| {
        Some(smooth::Message {
            start: sparse_time(cue),
            data: STANDARD.encode(section(cue)?),
        })
    });
    let messages: Vec<_> = messages.collect();
    (!messages.is_empty()).then(|| smooth::Sparse {
        name: SPARSE.to_owned(),
        parent: parent.to_owned(),
        scheme: SPLICE_SCHEME,
        url: carried.smooth_url(SPARSE),
        timescale: clock.scale,
        messages,
    })
}

/// The fragment of that stream that is called `name`: what is said of its moment, a sample each, as Azure Media Services took
/// them in.
///
/// ```text
/// u32 version (1) | u32 id | u32 distance to the moment (0) | splice section
/// ```
/// `None` if nothing is said.
///
/// Errors: 415 if it passes 4 GiB.
pub(crate) fn sparse_fragment(cues: &[Cue], name: u64) -> Result<Option<Vec<u8>>, OriginError> {
    let own = cues.iter().filter(|cue| sparse_time(cue) == name);
    let own: Vec<(&Cue, &[u8])> = own.filter_map(|cue| Some((cue, section(cue)?))).collect();
    if own.is_empty() {
        return Ok(None);
    }
    let lasts = own.iter().filter_map(|(cue, _)| cue.duration).max();
    let duration = Clock::with(CLOCK).name(lasts.unwrap_or(0));
    let mut media = Vec::new();
    let mut samples = Vec::new();
    for (cue, section) in own {
        let before = media.len();
        for word in [1, cue.number(), 0] {
            media.extend_from_slice(&word.to_be_bytes());
        }
        media.extend_from_slice(section);
        samples.push(smooth::Sample {
            size: u32::try_from(media.len().saturating_sub(before)).unwrap_or(u32::MAX),
            // All of them begin with the fragment.
            duration: 0,
            composition_offset: 0,
            sync: true,
        });
    }
    if let Some(last) = samples.last_mut() {
        last.duration = u32::try_from(duration).unwrap_or(u32::MAX);
    }
    let header = smooth::Fragment {
        sequence_number: 1,
        track_id: 1,
        start: name,
        duration,
        following: &[],
        samples: &samples,
    }
    .header();
    let mut fragment =
        header.map_err(|fault| OriginError::new(Code::FormatNotSupported, fault.to_string()))?;
    fragment.append(&mut media);
    Ok(Some(fragment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cue() -> impl Strategy<Value = Cue> {
        let role = prop_oneof![Just(Role::Out), Just(Role::In), Just(Role::Other)];
        let body = prop_oneof![
            Just(Body::Break),
            role.prop_map(|role| Body::Splice {
                role,
                section: vec![0xfc],
            })
        ];
        let duration = prop::option::of(0_u64..300);
        ("[ab]", 0_i64..1000, duration, body).prop_map(|(id, start, duration, body)| Cue {
            id,
            start,
            duration,
            body,
        })
    }

    proptest! {
        #[test]
        fn no_break_is_overlooked(cues in prop::collection::vec(cue(), 0..30), start in -100_i64..1200, len in 1_i64..200) {
            let breaks = Breaks::of(&cues);
            let (end, slack) = (start + len, (len / 2).min(crate::live::show::CUE_SLACK));
            let all: Vec<_> = breaks.spots.iter().filter_map(|spot| spot.tag(start, end, slack)).collect();
            prop_assert_eq!(format!("{:?}", breaks.at(start, end)), format!("{all:?}"));
        }
    }
}
