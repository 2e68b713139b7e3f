//! `SegmentTimeline`, ISO/IEC 23009-1 §5.3.9.6: run-length coded starts and durations.

use crate::text::number_attribute;

/// One media segment of a track, on the track's own timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Presentation time of its first sample, in track ticks: `$Time$`.
    pub start: u64,
    /// Ticks to the start of the next segment. Not 0; a segment without length is left out of the timeline.
    pub duration: u64,
}

/// Appends the timeline: one `S` per run of equal durations. `@t` is written on the first and wherever segments overlap, as
/// everywhere else it follows.
///
/// Time that is missing counts to the segment in front of it. To dash.js the next segment is the one that covers the moment at
/// which the last one ends (5.2, `getSegmentByIndex`): it waits for ever where none does.
pub(crate) fn write(out: &mut String, segments: &[Segment]) {
    out.push_str("<SegmentTimeline>");
    let there: Vec<Segment> = segments
        .iter()
        .copied()
        .filter(|s| s.duration > 0)
        .collect();
    let mut rest = whole(&there).peekable();
    let mut expected: Option<u64> = None;
    while let Some(first) = rest.next() {
        let mut end = first.start.saturating_add(first.duration);
        let mut repeats: u64 = 0;
        while let Some(next) = rest.next_if(|s| s.start == end && s.duration == first.duration) {
            end = next.start.saturating_add(next.duration);
            repeats = repeats.saturating_add(1);
        }
        out.push_str("<S");
        if expected != Some(first.start) {
            number_attribute(out, "t", first.start);
        }
        number_attribute(out, "d", first.duration);
        if repeats > 0 {
            number_attribute(out, "r", repeats);
        }
        out.push_str("/>");
        expected = Some(end);
    }
    out.push_str("</SegmentTimeline>");
}

/// The segments, each until the next one begins.
fn whole(segments: &[Segment]) -> impl Iterator<Item = Segment> + '_ {
    let next = segments.iter().skip(1).map(Some).chain([None]);
    segments.iter().zip(next).map(|(segment, next)| {
        let until_next = next.map_or(0, |next| next.start.saturating_sub(segment.start));
        Segment {
            start: segment.start,
            duration: segment.duration.max(until_next),
        }
    })
}
