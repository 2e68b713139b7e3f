//! The live media playlist, with and without low latency: §4.4.3, §4.4.4 and §6.2.5 of the draft.
//!
//! A snapshot of one track's window in, text out. Numbers, discontinuities and times come from whoever keeps the timeline;
//! so two servers with the same timeline answer with the same bytes.

use std::fmt::Write as _;

use crate::cues::{CueTag, DateRange};
use crate::text::{decimal, number, quoted, uri_line};
use crate::{I_FRAMES_ONLY, INDEPENDENT_SEGMENTS, version};
use headwater_time::{Rounding, Timescale, rescale};

/// A part of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePart {
    pub uri: String,
    /// Track ticks.
    pub duration: u64,
    /// Begins with a sync sample.
    pub independent: bool,
}

/// One media sequence number of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSegment {
    pub uri: String,
    /// Track ticks to the next segment; of a gap, as long as it would have been.
    pub duration: u64,
    /// Wall clock of its first sample, milliseconds since the epoch.
    pub date_ms: i64,
    /// Nothing before it fits.
    pub discontinuity: bool,
    /// There is no media.
    pub gap: bool,
    /// Its init segment; `None` in MPEG-2 TS.
    pub init_uri: Option<String>,
    /// In order; needed near the live edge only.
    pub parts: Vec<LivePart>,
    /// Index into `LivePlaylist::keys`.
    pub keys: usize,
    /// Breaks that it begins or is in.
    pub cues: Vec<CueTag>,
}

/// Another playlist of the presentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenditionReport {
    pub uri: String,
    pub last_number: u64,
    /// `None`: the last segment is whole.
    pub last_part: Option<u64>,
}

/// What low latency needs (§6.2.5, appendix B).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowLatency {
    /// Longest part in milliseconds, the same for the life of the event.
    pub part_target_ms: u64,
    /// Parts of the segment that grows. Its number is the one after the last segment's.
    pub growing: Vec<LivePart>,
    /// Of the segment that grows.
    pub growing_date_ms: i64,
    /// Its init segment, and whether it begins with a discontinuity.
    pub growing_init_uri: Option<String>,
    pub growing_discontinuity: bool,
    /// Its keys: an index into `LivePlaylist::keys`.
    pub growing_keys: usize,
    /// The part that comes next.
    pub hint_uri: String,
    pub reports: Vec<RenditionReport>,
}

/// What a playlist says of the keys of some segments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveKeys {
    /// `EXT-X-KEY` tags, without line ends. Empty for what is clear.
    pub lines: Vec<String>,
    /// Init segments are under them as well, or rewritten for them; whole encrypted segments leave those clear (§4.4.4.4).
    pub cover_init: bool,
}

/// The window of one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePlaylist {
    /// The least `EXT-X-VERSION` that has what the segments are. Gaps and low latency raise it.
    pub version: u8,
    /// What segments are under. One that is not here is clear.
    pub keys: Vec<LiveKeys>,
    pub timescale: Timescale,
    /// Number of the first of `segments`.
    pub first_number: u64,
    /// Discontinuities before it.
    pub discontinuity_sequence: u64,
    /// Seconds, the same for the life of the event. Longer segments raise it, as a playlist must not break its word.
    pub target_duration: u64,
    /// Complete ones and gaps, without a hole.
    pub segments: Vec<LiveSegment>,
    /// Delta updates are offered without low latency, too, where they leave out at least half. They alone are of version 9 then: a
    /// client that never asks for one need not know of it.
    pub deltas: bool,
    /// `None` without low latency, and once nothing follows.
    pub low_latency: Option<LowLatency>,
    /// Nothing follows.
    pub ended: bool,
    /// Every segment decodes without another.
    pub independent: bool,
    /// Every segment is one picture: an I-frame playlist.
    pub key_frames: bool,
    /// Times of the window that something is said of.
    pub date_ranges: Vec<DateRange>,
}

/// What a client asked for with `_HLS_skip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The whole playlist.
    No,
    /// Old segments may be left out.
    Old,
}

const DIGITS: u32 = 6;

/// Segments nearer to the edge than this many target durations are never skipped (§4.4.3.8: six at least).
const SKIP_UNTIL: u64 = 6;

/// Parts are listed for so many target durations (§4.4.4.9).
const PARTS_FOR: u64 = 3;

fn micros(ticks: u64, scale: Timescale) -> u64 {
    let micro = Timescale::new(1_000_000).unwrap_or(Timescale::MILLIS);
    rescale(ticks, scale, micro, Rounding::HalfUp).unwrap_or(u64::MAX)
}

impl LivePlaylist {
    /// Renders the playlist.
    #[must_use]
    pub fn write(&self, skip: Skip) -> String {
        let mut out =
            String::with_capacity(self.segments.len().saturating_mul(160).saturating_add(1024));
        let target = self.target();
        let low = self.low_latency.as_ref().filter(|_| !self.ended);
        out.push_str("#EXTM3U\n#EXT-X-VERSION:");
        let skippable = self.skippable(target);
        let offered = low.is_some() || self.offers_deltas(skippable);
        let skipped = match skip {
            Skip::Old if offered => skippable,
            Skip::Old | Skip::No => 0,
        };
        let needs = if low.is_some() || skipped > 0 {
            version::SKIPPED
        } else if self.segments.iter().any(|segment| segment.gap) {
            version::GAPS
        } else {
            0
        };
        number(&mut out, self.version.max(needs).into());
        out.push_str("\n#EXT-X-TARGETDURATION:");
        number(&mut out, target);
        out.push('\n');
        if self.ended {
            out.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n");
        }
        if let Some(low) = low {
            out.push_str("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=");
            decimal(&mut out, low.part_target_ms.saturating_mul(3), 3);
            out.push_str(",HOLD-BACK=");
            number(&mut out, target.saturating_mul(3));
            out.push_str(",CAN-SKIP-UNTIL=");
            number(&mut out, target.saturating_mul(SKIP_UNTIL));
            out.push_str("\n#EXT-X-PART-INF:PART-TARGET=");
            decimal(&mut out, low.part_target_ms, 3);
            out.push('\n');
        } else if offered {
            out.push_str("#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=");
            number(&mut out, target.saturating_mul(SKIP_UNTIL));
            out.push('\n');
        }
        out.push_str("#EXT-X-MEDIA-SEQUENCE:");
        number(&mut out, self.first_number);
        out.push('\n');
        if self.discontinuity_sequence > 0 {
            out.push_str("#EXT-X-DISCONTINUITY-SEQUENCE:");
            number(&mut out, self.discontinuity_sequence);
            out.push('\n');
        }
        if self.independent {
            out.push_str(INDEPENDENT_SEGMENTS);
        }
        if self.key_frames {
            out.push_str(I_FRAMES_ONLY);
        }
        if skipped > 0 {
            let _ = writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
        }
        // All of them, also with a delta update: we do not say that they may be skipped (§6.2.5.1).
        for range in &self.date_ranges {
            range.write(&mut out);
        }
        let listed = self.with_parts(target, low.is_some());
        let mut front = Front::default();
        if let Some(last) = skipped.checked_sub(1).and_then(|at| self.segments.get(at)) {
            front.init = last.init_uri.as_deref();
            // Not every client keeps those of what it has from before.
            front.switch(&mut out, self.keys(last.keys));
        }
        for (at, segment) in self.segments.iter().enumerate().skip(skipped) {
            front.write(
                &mut out,
                segment.discontinuity,
                (segment.init_uri.as_deref(), self.keys(segment.keys)),
                segment.date_ms,
            );
            for cue in &segment.cues {
                cue.write(&mut out);
            }
            if at >= listed && !segment.gap {
                parts(&mut out, &segment.parts, self.timescale);
            }
            if segment.gap {
                out.push_str("#EXT-X-GAP\n");
            }
            out.push_str("#EXTINF:");
            decimal(&mut out, micros(segment.duration, self.timescale), DIGITS);
            out.push_str(",\n");
            uri_line(&mut out, &segment.uri);
        }
        if let Some(low) = low {
            self.edge(&mut out, front, low);
        }
        if self.ended {
            out.push_str("#EXT-X-ENDLIST\n");
        }
        out
    }

    fn keys(&self, index: usize) -> &LiveKeys {
        self.keys.get(index).unwrap_or(&CLEAR)
    }

    /// The growing segment, what comes next, and where the others are.
    fn edge<'a>(&'a self, out: &mut String, mut front: Front<'a>, low: &'a LowLatency) {
        if !low.growing.is_empty() {
            front.write(
                out,
                low.growing_discontinuity,
                (low.growing_init_uri.as_deref(), self.keys(low.growing_keys)),
                low.growing_date_ms,
            );
            parts(out, &low.growing, self.timescale);
        }
        out.push_str("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=");
        quoted(out, &low.hint_uri);
        out.push('\n');
        for report in &low.reports {
            out.push_str("#EXT-X-RENDITION-REPORT:URI=");
            quoted(out, &report.uri);
            let _ = write!(out, ",LAST-MSN={}", report.last_number);
            if let Some(part) = report.last_part {
                let _ = write!(out, ",LAST-PART={part}");
            }
            out.push('\n');
        }
    }

    /// No segment may be longer when rounded to whole seconds (§4.4.3.1).
    fn target(&self) -> u64 {
        let durations = self.segments.iter().map(|segment| {
            let rounded = rescale(
                segment.duration,
                self.timescale,
                Timescale::SECONDS,
                Rounding::HalfUp,
            );
            rounded.unwrap_or(u64::MAX)
        });
        durations
            .max()
            .unwrap_or(0)
            .max(self.target_duration)
            .max(1)
    }

    /// How many segments from the front are farther from the end than `target_durations` target durations.
    fn farther_than(&self, target_durations: u64, target: u64) -> usize {
        let bound = target
            .saturating_mul(target_durations)
            .saturating_mul(1_000_000);
        let growing = self.low_latency.iter().flat_map(|low| &low.growing);
        let mut from_end = growing.fold(0_u64, |sum, part| {
            sum.saturating_add(micros(part.duration, self.timescale))
        });
        let mut near = 0_usize;
        for segment in self.segments.iter().rev() {
            if from_end >= bound {
                break;
            }
            from_end = from_end.saturating_add(micros(segment.duration, self.timescale));
            near = near.saturating_add(1);
        }
        self.segments.len().saturating_sub(near)
    }

    /// Whether it is long enough for delta updates to matter.
    fn offers_deltas(&self, skippable: usize) -> bool {
        let half = self.segments.len().div_ceil(2);
        self.deltas && !self.ended && skippable > 0 && skippable >= half
    }

    fn skippable(&self, target: u64) -> usize {
        self.farther_than(SKIP_UNTIL, target)
    }

    /// The first segment whose parts are listed.
    fn with_parts(&self, target: u64, low_latency: bool) -> usize {
        match low_latency {
            true => self.farther_than(PARTS_FOR, target),
            false => usize::MAX,
        }
    }
}

static CLEAR: LiveKeys = LiveKeys {
    lines: Vec::new(),
    cover_init: false,
};

/// What has been said of what follows.
struct Front<'a> {
    keys: &'a LiveKeys,
    init: Option<&'a str>,
}

impl Default for Front<'_> {
    fn default() -> Self {
        Self {
            keys: &CLEAR,
            init: None,
        }
    }
}

impl<'a> Front<'a> {
    fn switch(&mut self, out: &mut String, keys: &'a LiveKeys) {
        if self.keys.lines == keys.lines {
            return;
        }
        if keys.lines.is_empty() {
            out.push_str("#EXT-X-KEY:METHOD=NONE\n");
        }
        for line in &keys.lines {
            out.push_str(line);
            out.push('\n');
        }
        self.keys = keys;
    }

    /// Tags in front of a segment or of its parts.
    fn write(
        &mut self,
        out: &mut String,
        discontinuity: bool,
        (init_uri, keys): (Option<&'a str>, &'a LiveKeys),
        date_ms: i64,
    ) {
        if discontinuity {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if let Some(uri) = init_uri.filter(|uri| self.init != Some(*uri)) {
            self.switch(out, if keys.cover_init { keys } else { &CLEAR });
            out.push_str("#EXT-X-MAP:URI=");
            quoted(out, uri);
            out.push('\n');
            self.init = Some(uri);
        }
        self.switch(out, keys);
        out.push_str("#EXT-X-PROGRAM-DATE-TIME:");
        date(out, date_ms);
        out.push('\n');
    }
}

fn parts(out: &mut String, parts: &[LivePart], scale: Timescale) {
    for part in parts {
        out.push_str("#EXT-X-PART:DURATION=");
        decimal(out, micros(part.duration, scale), DIGITS);
        if part.independent {
            out.push_str(",INDEPENDENT=YES");
        }
        out.push_str(",URI=");
        quoted(out, &part.uri);
        out.push('\n');
    }
}

/// `2026-06-01T13:15:00.000Z` (RFC 3339), in the proleptic Gregorian calendar.
pub(crate) fn date(out: &mut String, ms: i64) {
    let over = |value: i64, by: i64| value.checked_div_euclid(by).unwrap_or(0);
    let rest = |value: i64, by: i64| value.checked_rem_euclid(by).unwrap_or(0);
    let (days, of_day) = (over(ms, 86_400_000), rest(ms, 86_400_000));
    // Eras of 400 years that begin in March: leap days are at the end of a year.
    let shifted = days.saturating_add(719_468);
    let (era, day) = (over(shifted, 146_097), rest(shifted, 146_097));
    let leaps = over(day, 1_460)
        .saturating_sub(over(day, 36_524))
        .saturating_add(over(day, 146_096));
    let year = over(day.saturating_sub(leaps), 365);
    let before = year
        .saturating_mul(365)
        .saturating_add(over(year, 4))
        .saturating_sub(over(year, 100));
    let day = day.saturating_sub(before);
    let index = over(day.saturating_mul(5).saturating_add(2), 153);
    let first = over(index.saturating_mul(153).saturating_add(2), 5);
    let month = if index < 10 {
        index.saturating_add(3)
    } else {
        index.saturating_sub(9)
    };
    let year = era
        .saturating_mul(400)
        .saturating_add(year)
        .saturating_add(i64::from(month <= 2));
    let (day, hour) = (
        day.saturating_sub(first).saturating_add(1),
        over(of_day, 3_600_000),
    );
    let (minute, second) = (
        rest(over(of_day, 60_000), 60),
        rest(over(of_day, 1_000), 60),
    );
    let milli = rest(of_day, 1_000);
    let _ = write!(
        out,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(at: u64, duration: u64, independent: bool) -> LivePart {
        LivePart {
            uri: format!("p{at}"),
            duration,
            independent,
        }
    }

    fn playlist(segments: u64) -> LivePlaylist {
        let list = (0..segments).map(|at| LiveSegment {
            uri: format!("s{at}"),
            duration: 180_000,
            date_ms: 1_780_319_700_000 + i64::try_from(at).unwrap() * 2_000,
            discontinuity: false,
            gap: false,
            init_uri: Some("i".into()),
            cues: Vec::new(),
            parts: (0..6)
                .map(|part_at| part(at * 10 + part_at, 30_000, part_at == 0))
                .collect(),
            keys: 0,
        });
        LivePlaylist {
            version: version::GAPS,
            keys: Vec::new(),
            timescale: Timescale::MPEG,
            first_number: 881_234,
            discontinuity_sequence: 0,
            target_duration: 2,
            deltas: true,
            segments: list.collect(),
            low_latency: Some(LowLatency {
                part_target_ms: 334,
                growing: vec![part(900, 30_000, true)],
                growing_date_ms: 1_780_319_700_000 + i64::try_from(segments).unwrap() * 2_000,
                growing_init_uri: Some("i".into()),
                growing_discontinuity: false,
                growing_keys: 0,
                hint_uri: "p901".into(),
                reports: vec![RenditionReport {
                    uri: "../audio".into(),
                    last_number: 881_235,
                    last_part: Some(0),
                }],
            }),
            ended: false,
            independent: true,
            key_frames: false,
            date_ranges: Vec::new(),
        }
    }

    #[test]
    fn a_short_window_in_whole() {
        let mut playlist = playlist(2);
        playlist.segments[1].discontinuity = true;
        playlist.segments[1].init_uri = Some("i1".into());
        playlist.segments[0].parts.truncate(1);
        playlist.segments[1].parts.truncate(1);
        assert_eq!(
            playlist.write(Skip::No),
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.002,HOLD-BACK=6,CAN-SKIP-UNTIL=12\n\
             #EXT-X-PART-INF:PART-TARGET=0.334\n#EXT-X-MEDIA-SEQUENCE:881234\n#EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-MAP:URI=\"i\"\n#EXT-X-PROGRAM-DATE-TIME:2026-06-01T13:15:00.000Z\n\
             #EXT-X-PART:DURATION=0.333333,INDEPENDENT=YES,URI=\"p0\"\n#EXTINF:2.000000,\ns0\n\
             #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"i1\"\n#EXT-X-PROGRAM-DATE-TIME:2026-06-01T13:15:02.000Z\n\
             #EXT-X-PART:DURATION=0.333333,INDEPENDENT=YES,URI=\"p10\"\n#EXTINF:2.000000,\ns1\n\
             #EXT-X-MAP:URI=\"i\"\n#EXT-X-PROGRAM-DATE-TIME:2026-06-01T13:15:04.000Z\n\
             #EXT-X-PART:DURATION=0.333333,INDEPENDENT=YES,URI=\"p900\"\n\
             #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p901\"\n\
             #EXT-X-RENDITION-REPORT:URI=\"../audio\",LAST-MSN=881235,LAST-PART=0\n"
        );
    }

    #[test]
    fn what_is_far_from_the_edge_has_no_parts_and_may_be_skipped() {
        let playlist = playlist(20);
        let whole = playlist.write(Skip::No);
        let count = |text: &str, what: &str| text.matches(what).count();
        assert_eq!(count(&whole, "#EXTINF"), 20);
        // Three target durations are six seconds: three segments and what grows, or a little less.
        assert_eq!(count(&whole, "#EXT-X-PART:"), 3 * 6 + 1);
        let delta = playlist.write(Skip::Old);
        assert!(
            delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=14\n"),
            "{delta}"
        );
        assert_eq!(count(&delta, "#EXTINF"), 6);
        assert!(!delta.contains("#EXT-X-MAP"));
    }

    #[test]
    fn long_windows_are_updated_by_what_is_new_without_low_latency() {
        let mut long = playlist(20);
        long.low_latency = None;
        let whole = long.write(Skip::No);
        let head = |version| {
            format!(
                "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:2\n#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=12\n"
            )
        };
        assert!(whole.starts_with(&head(8)), "{whole}");
        assert_eq!(whole.matches("#EXTINF").count(), 20);
        let delta = long.write(Skip::Old);
        assert!(delta.starts_with(&head(9)), "{delta}");
        assert!(
            delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=14\n"),
            "{delta}"
        );
        assert_eq!(delta.matches("#EXTINF").count(), 6);
        // Nothing of it for what has ended, for windows that are short, and for old clients.
        let plain = |playlist: &LivePlaylist| {
            let text = playlist.write(Skip::Old);
            assert!(!text.contains("SKIP"), "{text}");
            assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:8\n"), "{text}");
            assert_eq!(text, playlist.write(Skip::No));
        };
        let mut short = playlist(11);
        short.low_latency = None;
        plain(&short);
        plain(&LivePlaylist {
            ended: true,
            ..long.clone()
        });
        plain(&LivePlaylist {
            deltas: false,
            ..long
        });
    }

    #[test]
    fn gaps_are_said_and_the_end_is_the_end() {
        let mut playlist = playlist(3);
        playlist.segments[1].gap = true;
        playlist.ended = true;
        playlist.discontinuity_sequence = 4;
        playlist.segments[2].duration = 300_000;
        let text = playlist.write(Skip::Old);
        assert!(text.contains("#EXT-X-GAP\n#EXTINF:2.000000,\ns1\n"));
        assert!(text.contains("#EXT-X-TARGETDURATION:3\n"));
        assert!(text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:4\n"));
        assert!(text.ends_with("s2\n#EXT-X-ENDLIST\n") && !text.contains("PART"));
    }

    #[test]
    fn keys_go_where_init_segments_need_them() {
        let mut playlist = playlist(20);
        playlist.segments[19].init_uri = Some("i1".into());
        playlist.keys = vec![LiveKeys {
            lines: vec!["#EXT-X-KEY:METHOD=AES-128,URI=\"k\"".into()],
            cover_init: false,
        }];
        let low_latency = playlist.low_latency.take();
        // Whole segments: init segments stay outside.
        let text = playlist.write(Skip::No);
        assert!(
            text.contains(
                "#EXT-X-MAP:URI=\"i\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-PROGRAM"
            )
        );
        assert!(text.contains(
            "#EXT-X-KEY:METHOD=NONE\n#EXT-X-MAP:URI=\"i1\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n"
        ));
        // Samples: they are rewritten. Delta updates say keys again, and init segments do not change.
        playlist.keys[0].cover_init = true;
        playlist.low_latency = low_latency;
        let text = playlist.write(Skip::No);
        assert!(text.contains("URI=\"k\"\n#EXT-X-MAP:URI=\"i\"\n#EXT-X-PROGRAM"));
        assert_eq!(text.matches("#EXT-X-KEY").count(), 1);
        let text = playlist.write(Skip::Old);
        assert!(
            text.contains(
                "SKIPPED-SEGMENTS=14\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXT-X-PROGRAM"
            )
        );
        assert_eq!(text.matches("#EXT-X-KEY").count(), 1);
    }

    #[test]
    fn a_key_lasts_until_the_next_one() {
        let mut playlist = playlist(4);
        playlist.low_latency = None;
        let keys = |uri: &str| LiveKeys {
            lines: vec![format!("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"{uri}\"")],
            cover_init: true,
        };
        playlist.keys = vec![keys("a"), keys("b")];
        playlist.segments[2].keys = 1;
        playlist.segments[3].keys = 2;
        let text = playlist.write(Skip::No);
        let said: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("#EXT-X-KEY") || !line.starts_with('#'))
            .collect();
        assert_eq!(
            said,
            [
                "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"a\"",
                "s0",
                "s1",
                "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"b\"",
                "s2",
                "#EXT-X-KEY:METHOD=NONE",
                "s3"
            ]
        );
    }

    #[test]
    fn breaks_are_said_in_front_and_at_their_segments() {
        let mut playlist = playlist(20);
        playlist.date_ranges = vec![crate::DateRange {
            id: "7".into(),
            start_ms: 1_780_319_700_000,
            duration_ms: None,
            planned_ms: Some(30_000),
            splices: Vec::new(),
        }];
        playlist.segments[19].cues = vec![crate::CueTag {
            id: "7".into(),
            section: None,
            duration_ms: 30_000,
            time_ms: 0,
            elapsed_ms: Some(38_000),
        }];
        let delta = playlist.write(Skip::Old);
        let lines: Vec<&str> = delta.lines().collect();
        let at = |what: &str| {
            lines
                .iter()
                .position(|line| line.starts_with(what))
                .unwrap()
        };
        // Also where their segments are left out, and before any segment.
        assert_eq!(at("#EXT-X-DATERANGE"), at("#EXT-X-SKIP") + 1);
        let cue = at("#EXT-X-CUE:");
        assert!(lines[cue].ends_with(",ELAPSED=38.000"), "{}", lines[cue]);
        assert_eq!(
            lines[cue + 1..].iter().find(|line| !line.starts_with('#')),
            Some(&"s19")
        );
        assert!(lines[cue + 1].starts_with("#EXT-X-PART:"));
    }

    #[test]
    fn transport_streams_have_no_init_segments() {
        let mut playlist = playlist(2);
        playlist.low_latency = None;
        playlist.version = version::DECIMAL_DURATIONS;
        playlist.independent = false;
        for segment in &mut playlist.segments {
            segment.init_uri = None;
        }
        let text = playlist.write(Skip::No);
        assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:3\n") && !text.contains("MAP"));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let text = |ms: i64| {
            let mut out = String::new();
            date(&mut out, ms);
            out
        };
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(text(1_709_251_199_999), "2024-02-29T23:59:59.999Z");
        assert_eq!(text(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn an_i_frame_playlist_says_so_before_anything_it_lists() {
        let mut playlist = playlist(3);
        playlist.low_latency = None;
        assert!(!playlist.write(Skip::No).contains("I-FRAMES-ONLY"));
        playlist.key_frames = true;
        let text = playlist.write(Skip::No);
        let said = text.find("#EXT-X-I-FRAMES-ONLY\n").unwrap();
        assert!(said < text.find("#EXT-X-MAP").unwrap(), "{text}");
        assert!(!text.contains("#EXT-X-PART"), "{text}");
    }
}
