//! The VOD media playlist, §4.4.3 and §4.4.4 of the draft.

use crate::text::{decimal, number, quoted};
use crate::{I_FRAMES_ONLY, INDEPENDENT_SEGMENTS, version};
use headwater_time::Timescale;

/// One media segment of a track, on the track's own timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Presentation time of its first sample, in track ticks: its name in the URL.
    pub start: u64,
    /// Ticks to the start of the next segment, or to a gap.
    pub duration: u64,
}

/// A picture that decodes on its own, as a part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFrame {
    /// When it is shown: until the next one is.
    pub shown: Segment,
    /// The segment that it is in, by its start.
    pub segment: u64,
    /// Where in that segment it is, with all that is needed to decode it; bytes.
    pub offset: u64,
    /// How long that is.
    pub len: u64,
}

/// What a media playlist lists. Where one does not start where the one before ends, a gap is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed<'a> {
    /// Segments, in presentation order.
    Segments(&'a [Segment]),
    /// The pictures of an I-frame playlist (§4.4.3.6), in presentation order.
    KeyFrames(&'a [KeyFrame]),
    /// The same, each of them a resource of its own, which is named by the start.
    Pictures(&'a [Segment]),
}

/// A complete, closed playlist of one track: of its segments, or of its key frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaPlaylist<'a> {
    /// Of every tick in `segments`.
    pub timescale: Timescale,
    /// The least `EXT-X-VERSION` that has what the segments are; see [`crate::version`]. Gaps raise it.
    pub version: u8,
    /// URL of the init segment; MPEG-2 TS has none.
    pub init_uri: Option<&'a str>,
    /// `EXT-X-KEY` lines, without line breaks.
    pub keys: &'a [String],
    /// Whether the keys are for the init segment, too. One of whole segments would have players decrypt what is clear.
    pub keys_cover_init: bool,
    /// A segment's URL is this, ...
    pub uri_prefix: &'a str,
    /// ... its start in decimal, and this.
    pub uri_suffix: &'a str,
    /// What there is.
    pub listed: Listed<'a>,
    /// No segment of the presentation lasts longer, microseconds: playlists of segments that belong together state one
    /// `EXT-X-TARGETDURATION` (§6.2.4). 0 for a playlist that is by itself.
    pub longest_of_all: u64,
    /// Whether each segment decodes without another.
    pub independent: bool,
}

/// Decimals of an `EXTINF`: microseconds are finer than a sample of 192 kHz audio.
const DIGITS: u32 = 6;
const MICROS: u64 = 1_000_000;

impl MediaPlaylist<'_> {
    /// Renders the playlist.
    ///
    /// Every `EXTINF` is the difference of two rounded media times, so their sum is the media's length however many
    /// segments there are.
    pub fn write(&self) -> String {
        let line = self
            .uri_prefix
            .len()
            .saturating_add(self.uri_suffix.len())
            .saturating_add(80);
        let count = match self.listed {
            Listed::Segments(segments) => segments.len(),
            Listed::KeyFrames(frames) => frames.len(),
            Listed::Pictures(pictures) => pictures.len(),
        };
        let mut out = String::with_capacity(count.saturating_mul(line).saturating_add(512));
        out.push_str("#EXTM3U\n#EXT-X-VERSION:");
        let needs = if self.has_gaps() { version::GAPS } else { 0 };
        number(&mut out, self.version.max(needs).into());
        out.push_str("\n#EXT-X-TARGETDURATION:");
        number(&mut out, self.target_duration());
        out.push_str("\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n");
        if self.independent {
            out.push_str(INDEPENDENT_SEGMENTS);
        }
        if let Listed::KeyFrames(_) | Listed::Pictures(_) = self.listed {
            out.push_str(I_FRAMES_ONLY);
        }
        if self.keys_cover_init {
            lines(&mut out, self.keys);
        }
        if let Some(uri) = self.init_uri {
            out.push_str("#EXT-X-MAP:URI=");
            quoted(&mut out, uri);
            out.push('\n');
        }
        if !self.keys_cover_init {
            lines(&mut out, self.keys);
        }
        let mut end = None;
        let mut after_gap = |out: &mut String, shown: &Segment| {
            if let Some(end) = end {
                self.gap(out, end, shown.start);
            }
            end = Some(end_of(shown));
        };
        match self.listed {
            Listed::Segments(segments) | Listed::Pictures(segments) => {
                for segment in segments {
                    after_gap(&mut out, segment);
                    self.line(&mut out, segment, segment.start, None);
                }
            }
            Listed::KeyFrames(frames) => {
                for frame in frames {
                    after_gap(&mut out, &frame.shown);
                    let range = (frame.len, frame.offset);
                    self.line(&mut out, &frame.shown, frame.segment, Some(range));
                }
            }
        }
        out.push_str("#EXT-X-ENDLIST\n");
        out
    }

    /// `range`: length and offset.
    fn line(&self, out: &mut String, shown: &Segment, start: u64, range: Option<(u64, u64)>) {
        out.push_str("#EXTINF:");
        decimal(out, self.micros(shown), DIGITS);
        out.push_str(",\n");
        if let Some((len, offset)) = range {
            out.push_str("#EXT-X-BYTERANGE:");
            number(out, len);
            out.push('@');
            number(out, offset);
            out.push('\n');
        }
        out.push_str(self.uri_prefix);
        number(out, start);
        out.push_str(self.uri_suffix);
        out.push('\n');
    }

    /// Entries for what is not there (§4.4.4.7), none longer than the longest that is.
    fn gap(&self, out: &mut String, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let longest = self.shown().map(|shown| shown.duration).max();
        let longest = longest.unwrap_or(1).max(1);
        let mut at = from;
        while at < to {
            let duration = longest.min(to.saturating_sub(at));
            let missing = Segment {
                start: at,
                duration,
            };
            out.push_str("#EXT-X-GAP\n");
            self.line(out, &missing, at, None);
            at = at.saturating_add(duration);
        }
    }

    /// All that is listed, but for gaps.
    fn shown(&self) -> impl Iterator<Item = &Segment> {
        let (segments, frames) = match self.listed {
            Listed::Segments(segments) | Listed::Pictures(segments) => (segments, &[][..]),
            Listed::KeyFrames(frames) => (&[][..], frames),
        };
        let frames = frames.iter().map(|frame| &frame.shown);
        segments.iter().chain(frames)
    }

    fn has_gaps(&self) -> bool {
        let after = self.shown().skip(1);
        let mut pairs = self.shown().zip(after);
        pairs.any(|(shown, next)| end_of(shown) < next.start)
    }

    fn longest(&self) -> u64 {
        let longest = self.shown().map(|shown| self.micros(shown)).max();
        longest.unwrap_or_default().max(self.longest_of_all)
    }

    /// The longest segment, rounded to the nearest second as §4.4.3.1 compares it; at least 1.
    fn target_duration(&self) -> u64 {
        let half = MICROS.checked_div(2).unwrap_or_default();
        self.longest()
            .saturating_add(half)
            .checked_div(MICROS)
            .unwrap_or_default()
            .max(1)
    }

    fn micros(&self, segment: &Segment) -> u64 {
        let end = to_micros(
            segment.start.saturating_add(segment.duration),
            self.timescale,
        );
        end.saturating_sub(to_micros(segment.start, self.timescale))
    }
}

fn end_of(shown: &Segment) -> u64 {
    shown.start.saturating_add(shown.duration)
}

fn lines(out: &mut String, lines: &[String]) {
    for line in lines {
        out.push_str(line);
        out.push('\n');
    }
}

/// Ticks as microseconds, rounded half up, saturating.
fn to_micros(ticks: u64, scale: Timescale) -> u64 {
    let per_second = u64::from(scale.get());
    let half = per_second.checked_div(2).unwrap_or_default();
    // 21 days of 10 MHz ticks fit 64 bits; longer ones take the slow way.
    match ticks.checked_mul(MICROS).and_then(|t| t.checked_add(half)) {
        Some(scaled) => scaled.checked_div(per_second).unwrap_or_default(),
        None => {
            let scaled = u128::from(ticks)
                .saturating_mul(u128::from(MICROS))
                .saturating_add(half.into());
            let micros = scaled.checked_div(per_second.into()).unwrap_or_default();
            u64::try_from(micros).unwrap_or(u64::MAX)
        }
    }
}
