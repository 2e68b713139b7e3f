//! Dynamic manifests: which tracks and which time of a presentation a client is shown.
//!
//! A [`Filter`] is what somebody stored under a name. All that apply to a request, those of the locator and those that the
//! URL names, are joined with the URL's own window into a `Selection`: tracks and times that every one of them keeps.
//! Media times never change, and fragments are the same with and without filters; only lists get shorter.
//!
//! What is for live presentations alone (window, back-off, forced end: `LiveSelection`) has no meaning for one that is
//! there in full.

mod instant;
mod read;

pub use instant::Instant;
pub use read::FilterFault;

use crate::address::Window;
use crate::codec::is_code;
use crate::error::{Code, OriginError};
use crate::index::SegmentTime;
use crate::language::bcp47;
use crate::presentation::{Presentation, TextTrack, Track};
use crate::tag::Tag;
use headwater_cmaf::index::{TrackHead, TrackKind};
use std::ops::RangeInclusive;

/// Most filters of one request, the locator's included.
const MAX_FILTERS: usize = 10;

/// A stored filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Absolute media time.
    pub start: Option<Instant>,
    /// Absolute media time.
    pub end: Option<Instant>,
    /// Of a live presentation: `end` counts while it is live, too.
    pub force_end: bool,
    /// Of a live presentation: how much before its newest moment, in microseconds.
    pub window_micros: Option<u64>,
    /// Of a live presentation: how far its newest moment is put back, in microseconds.
    pub back_off_micros: Option<u64>,
    /// bit/s: the HLS variant that comes first is the one closest to it.
    pub first_quality: Option<u64>,
    /// A track is kept if all conditions of one entry hold. Without entries, every track is.
    pub tracks: Vec<Vec<Condition>>,
}

/// What is stored under a name: a filter, or why it is none.
pub type Stored = Result<Filter, FilterFault>;

/// One condition on a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What is looked at, and the value it is compared with.
    pub property: Property,
    /// Holds if it is that value, or if it is not.
    pub equal: bool,
}

/// What is looked at. Texts compare case-insensitively.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Property {
    /// Kind of track.
    Type(Kind),
    /// Stream name.
    Name(String),
    /// Language, in any spelling.
    Language(String),
    /// Sample entry code, such as `avc1`.
    FourCc(String),
    /// bit/s.
    Bitrate(RangeInclusive<u64>),
}

/// Kinds of tracks that filters know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Captions.
    Text,
}

/// What a request is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Selection {
    start: Option<Instant>,
    end: Option<Instant>,
    pub(crate) live: LiveSelection,
    pub(crate) first_quality: Option<u64>,
    filters: Vec<Vec<Vec<Condition>>>,
}

/// What is for live presentations alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LiveSelection {
    /// The earliest end that counts while it is live.
    pub(crate) forced_end: Option<Instant>,
    pub(crate) window_micros: Option<u64>,
    pub(crate) back_off_micros: Option<u64>,
}

impl LiveSelection {
    fn narrow(&mut self, filter: &Filter) {
        fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        let forced = filter.end.filter(|_| filter.force_end);
        self.forced_end = least(self.forced_end, forced);
        self.window_micros = least(self.window_micros, filter.window_micros);
        self.back_off_micros = self.back_off_micros.max(filter.back_off_micros);
    }
}

impl Selection {
    /// What all of `filters` keep.
    ///
    /// Errors: 415 for too many, and for more than one choice of a first variant.
    pub(crate) fn of(filters: Vec<Filter>) -> Result<Self, OriginError> {
        if filters.len() > MAX_FILTERS {
            return Err(OriginError::new(
                Code::FilterCountOverLimit,
                "more than ten filters apply to this URL",
            ));
        }
        let mut all = Self::default();
        for filter in filters {
            all.narrow(filter.start, filter.end);
            all.live.narrow(&filter);
            if let Some(bitrate) = filter.first_quality
                && all.first_quality.replace(bitrate).is_some()
            {
                return Err(OriginError::new(
                    Code::FilterMultipleFirstQuality,
                    "more than one of the filters chooses a first quality",
                ));
            }
            if !filter.tracks.is_empty() {
                all.filters.push(filter.tracks);
            }
        }
        Ok(all)
    }

    /// Adds the window of a URL. `zero`: where the presentation starts.
    ///
    /// Errors: 404 for a window by the clock, as nobody recorded this presentation.
    pub(crate) fn window(&mut self, window: &Window, zero: Instant) -> Result<(), OriginError> {
        if window.is_by_clock() {
            return Err(OriginError::new(
                Code::EgressTimestampNotFound,
                "the presentation is not a recording, so it has no times of day",
            ));
        }
        let at = |micros: Option<u64>| micros.map(|micros| zero.plus_micros(micros));
        self.narrow(at(window.begin), at(window.end));
        Ok(())
    }

    fn narrow(&mut self, start: Option<Instant>, end: Option<Instant>) {
        self.start = self.start.max(start);
        self.end = match (self.end, end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// Whether times are cut at all.
    pub(crate) fn cuts(&self) -> bool {
        self.start.is_some() || self.end.is_some()
    }

    /// The tracks of `presentation` that are shown: those that the filters keep and that have something in the time.
    ///
    /// Errors: 415 if the filters leave none, 404 if the time does.
    pub(crate) fn tracks(&self, presentation: &mut Presentation) -> Result<(), OriginError> {
        self.listed(presentation)?;
        if presentation.tracks().next().is_none() {
            return Err(OriginError::new(
                Code::FilterRemovedAllStreams,
                "the filters leave no track",
            ));
        }
        retain(presentation, |_, head| {
            let whole = SegmentTime {
                start: head.start,
                duration: head.duration,
            };
            self.touches(whole, head)
        })?;
        match presentation.tracks().next() {
            Some(_) => Ok(()),
            None => Err(nothing()),
        }
    }

    /// The tracks of `presentation` that the filters keep.
    pub(crate) fn listed(&self, presentation: &mut Presentation) -> Result<(), OriginError> {
        retain(presentation, |track, head| self.keeps_track(track, head))?;
        presentation.texts.retain(|text| self.keeps_text(text));
        Ok(())
    }

    /// Whether tracks are left out at all.
    pub(crate) fn leaves_out(&self) -> bool {
        !self.filters.is_empty()
    }

    /// Errors: 404 if `track` is not shown.
    pub(crate) fn shows(&self, track: &Track, head: &TrackHead) -> Result<(), OriginError> {
        match self.keeps_track(track, head) {
            true => Ok(()),
            false => Err(OriginError::new(
                Code::EgressTrackNotFound,
                "the filters leave this track out",
            )),
        }
    }

    /// Errors: 404 if `text` is not shown.
    pub(crate) fn shows_text(&self, text: &TextTrack) -> Result<(), OriginError> {
        match self.keeps_text(text) {
            true => Ok(()),
            false => Err(OriginError::new(
                Code::EgressTrackNotFound,
                "the filters leave this track out",
            )),
        }
    }

    fn keeps_track(&self, track: &Track, head: &TrackHead) -> bool {
        let codec = head.codec.split('.').next().unwrap_or_default();
        self.keeps(&Subject {
            kind: match head.kind {
                TrackKind::Video => Kind::Video,
                TrackKind::Audio => Kind::Audio,
                TrackKind::Text => Kind::Text,
            },
            name: &track.name,
            language: track.language.as_deref(),
            four_ccs: &[codec],
            bitrate: track.bitrate,
        })
    }

    fn keeps_text(&self, text: &TextTrack) -> bool {
        self.keeps(&Subject {
            kind: Kind::Text,
            name: &text.name,
            language: text.language.as_deref(),
            four_ccs: text.four_ccs(),
            bitrate: text.bitrate,
        })
    }

    fn keeps(&self, subject: &Subject<'_>) -> bool {
        self.filters.iter().all(|entries| {
            entries
                .iter()
                .any(|conditions| conditions.iter().all(|c| c.holds(subject)))
        })
    }

    /// The segments that are shown: those that are in the time for a part at least.
    ///
    /// Errors: 404 if there are none.
    pub(crate) fn cut<S: Spanning>(
        &self,
        segments: Vec<S>,
        head: &TrackHead,
    ) -> Result<Vec<S>, OriginError> {
        if !self.cuts() {
            return Ok(segments);
        }
        let kept: Vec<S> = segments
            .into_iter()
            .filter(|segment| self.touches(segment.time(), head))
            .collect();
        if kept.is_empty() {
            return Err(nothing());
        }
        Ok(kept)
    }

    /// Whether a part of `time` is shown.
    fn touches(&self, time: SegmentTime, head: &TrackHead) -> bool {
        let at = |ticks: u64| Instant::new(ticks, head.timescale.get().into());
        let backwards = matches!((self.start, self.end), (Some(a), Some(b)) if a >= b);
        let end = time.start.saturating_add(time.duration);
        !backwards
            && self.start.is_none_or(|start| at(end) > start)
            && self.end.is_none_or(|end| at(time.start) < end)
    }

    /// What a list depends on.
    pub(crate) fn tag(&self, tag: &mut Tag) {
        for instant in [self.start, self.end] {
            let (ticks, scale) = instant.map_or((0, 0), |i| i.parts());
            tag.number(u64::try_from(ticks >> 64).unwrap_or_default());
            tag.number(u64::try_from(ticks & u128::from(u64::MAX)).unwrap_or_default());
            tag.number(scale);
        }
        tag.number(self.first_quality.unwrap_or(u64::MAX));
    }
}

impl Selection {
    /// Absolute media times: from, and before.
    pub(crate) fn bounds(&self) -> (Option<Instant>, Option<Instant>) {
        (self.start, self.end)
    }

    /// Whether the filters keep a track of a live presentation. `language`: BCP-47.
    pub(crate) fn keeps_live(
        &self,
        kind: Kind,
        (name, bitrate): (&str, u32),
        codec: &str,
        language: Option<&str>,
    ) -> bool {
        let four_cc = codec.split('.').next().unwrap_or_default();
        self.keeps(&Subject {
            kind,
            name,
            language,
            four_ccs: &[four_cc],
            bitrate,
        })
    }
}

pub(crate) fn nothing() -> OriginError {
    OriginError::new(
        Code::EgressTimestampNotFound,
        "the presentation has nothing in the time asked for",
    )
}

fn retain(
    presentation: &mut Presentation,
    keeps: impl Fn(&Track, &TrackHead) -> bool,
) -> Result<(), OriginError> {
    let mut fault = None;
    let mut keep = |track: &Track| match track.head() {
        Ok(head) => keeps(track, head),
        Err(error) => {
            fault = Some(error);
            false
        }
    };
    presentation.videos.retain(&mut keep);
    presentation.audios.retain(&mut keep);
    fault.map_or(Ok(()), Err)
}

/// Anything that takes up time on a track.
pub(crate) trait Spanning {
    fn time(&self) -> SegmentTime;
}

impl Spanning for SegmentTime {
    fn time(&self) -> SegmentTime {
        *self
    }
}

/// What conditions are about: a track of any kind.
struct Subject<'a> {
    kind: Kind,
    name: &'a str,
    language: Option<&'a str>,
    /// Those it may be carried with.
    four_ccs: &'a [&'a str],
    bitrate: u32,
}

impl Condition {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        let is = match &self.property {
            Property::Type(kind) => subject.kind == *kind,
            Property::Name(name) => subject.name.eq_ignore_ascii_case(name),
            Property::Language(language) => same_language(subject.language, language),
            Property::FourCc(code) => {
                let mut codes = subject.four_ccs.iter();
                codes.any(|known| is_code(known, code))
            }
            Property::Bitrate(range) => range.contains(&u64::from(subject.bitrate)),
        };
        is == self.equal
    }
}

/// `track`: BCP-47. `wanted`: as it was typed, `eng` or `en`.
fn same_language(track: Option<&str>, wanted: &str) -> bool {
    match (track, bcp47(wanted)) {
        (Some(track), Some(wanted)) => track.eq_ignore_ascii_case(&wanted),
        (None, None) => true,
        _ => false,
    }
}
