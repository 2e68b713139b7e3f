//! Segments of WebVTT (draft-pantos-hls-rfc8216bis §3.5).

use super::Document;
use crate::time::{Clock, clock_time};
use std::ops::Range;

impl Document {
    /// A segment: header, time stamp map, styles, and every cue that touches `window`, with its own times.
    ///
    /// `mpegts`: what the 90 kHz clock of the media shows at the document's time 0.
    #[must_use]
    pub fn segment(&self, window: &Range<u64>, clock: Clock, mpegts: u64) -> String {
        let mut out = format!("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{mpegts},LOCAL:00:00:00.000\n\n");
        // Every block ends with an empty line, the last one, too: ffmpeg reads segments as one file.
        for block in &self.blocks {
            out.push_str(block);
            out.push_str("\n\n");
        }
        for (_, cue) in self.touching(window, clock) {
            if let Some(id) = &cue.id {
                out.push_str(id);
                out.push('\n');
            }
            clock_time(&mut out, cue.span.start_ms);
            out.push_str(" --> ");
            clock_time(&mut out, cue.span.end_ms.min(NEVER_MS));
            if !cue.settings.is_empty() {
                out.push(' ');
                out.push_str(&cue.settings);
            }
            out.push('\n');
            out.push_str(&cue.text);
            out.push_str("\n\n");
        }
        out
    }

    /// The header that `wvtt` tracks keep in their sample entry (ISO/IEC 14496-30 §7.5): up to the first cue.
    pub(crate) fn header(&self) -> String {
        let mut out = "WEBVTT".to_owned();
        for block in &self.blocks {
            out.push_str("\n\n");
            out.push_str(block);
        }
        out
    }
}

/// When a cue without end ends, as far as WebVTT is concerned: past everything, in digits that every reader takes.
const NEVER_MS: u64 = 99 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use crate::vtt::{Cue, parse};
    use headwater_time::Timescale;
    use proptest::prelude::*;

    const CLOCK: Clock = Clock {
        scale: Timescale::MPEG,
        zero: 0,
    };

    #[test]
    fn a_cue_across_a_boundary_is_in_both_segments() {
        let text = "WEBVTT\n\nSTYLE\n::cue { color: lime }\n\na\n00:01.000 --> 00:07.000 line:0\none\n\n00:06.000 --> 00:06.500\ntwo\n";
        let document = parse(text, &mut Vec::new()).unwrap();
        let window = |s: u64, e: u64| document.segment(&(s * 90_000..e * 90_000), CLOCK, 900_000);
        assert_eq!(
            window(0, 6),
            "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\nSTYLE\n::cue { color: lime }\n\na\n00:00:01.000 --> 00:00:07.000 line:0\none\n\n"
        );
        assert_eq!(
            window(6, 12),
            "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\nSTYLE\n::cue { color: lime }\n\na\n00:00:01.000 --> 00:00:07.000 line:0\none\n\n00:00:06.000 --> 00:00:06.500\ntwo\n\n"
        );
        assert_eq!(
            window(12, 18),
            "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\nSTYLE\n::cue { color: lime }\n\n"
        );
    }

    proptest! {
        /// Segments are files of their own, and together they have every cue, in those that it touches.
        #[test]
        fn every_cue_is_in_the_segments_that_it_touches(
            cues in proptest::collection::vec((0_u64..60_000, 1_u64..20_000), 0..20),
            cuts in proptest::collection::btree_set(1_u64..80_000, 0..10),
            scale in 600_u32..100_000,
            zero in 0_u64..100_000,
        ) {
            let clock = Clock { scale: Timescale::new(scale).unwrap(), zero };
            let mut document = Document::default();
            for (at, (start, len)) in cues.iter().enumerate() {
                document.cues.push(Cue {
                    id: None,
                    span: Span { start_ms: *start, end_ms: start + len },
                    settings: String::new(),
                    text: format!("cue {at}"),
                });
            }
            document.cues.sort_by_key(|c| c.span.start_ms);
            let mut edges: Vec<u64> = cuts.iter().map(|ms| clock.ticks(*ms)).collect();
            edges.insert(0, zero);
            edges.push(clock.ticks(100_000));
            for pair in edges.windows(2) {
                let window = pair[0]..pair[1];
                let read = parse(&document.segment(&window, clock, 0), &mut Vec::new()).unwrap();
                let expected: Vec<Cue> = document
                    .cues
                    .iter()
                    .filter(|c| {
                        let (start, end) = (clock.ticks(c.span.start_ms), clock.ticks(c.span.end_ms));
                        start < window.end && end.max(start + 1) > window.start && window.start < window.end
                    })
                    .cloned()
                    .collect();
                prop_assert_eq!(read.cues, expected);
            }
        }
    }
}
