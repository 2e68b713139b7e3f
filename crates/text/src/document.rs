//! A file of either format, and what segments of it there are.

use crate::error::{TextError, Warning};
use crate::time::{Clock, Span};
use crate::{convert, packaged, ttml, vtt};
use std::ops::Range;

/// Largest file that is parsed: the subtitles of a day.
pub const MAX_BYTES: usize = 4 << 20;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// WebVTT.
    WebVtt,
    /// TTML.
    Ttml,
}

/// A text track's document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The cues, converted if need be.
    vtt: vtt::Document,
    /// What it was, if that is TTML.
    ttml: Option<ttml::Document>,
}

impl Text {
    /// Reads a file; what it is shows in its first bytes: WebVTT, TTML, or MP4 with either in its samples.
    ///
    /// Errors: [`TextError`] for a file that is no track at all. Cues that are wrong are passed over with a warning.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Vec<Warning>), TextError> {
        if bytes.len() > MAX_BYTES {
            return Err(TextError::TooLong(bytes.len()));
        }
        let mut warnings = Vec::new();
        if packaged::is_mp4(bytes) {
            let text = packaged::read(bytes, &mut warnings)?;
            return Ok((text, warnings));
        }
        let text = decoded(bytes)?;
        let parsed = if text.trim_start().starts_with('<') {
            Self::of_ttml(ttml::parse(text, &mut warnings)?)
        } else {
            Self::of_vtt(vtt::parse(text, &mut warnings)?)
        };
        Ok((parsed, warnings))
    }

    pub(crate) fn of_vtt(vtt: vtt::Document) -> Self {
        Self { vtt, ttml: None }
    }

    pub(crate) fn of_ttml(document: ttml::Document) -> Self {
        Self {
            vtt: convert::to_vtt(&document),
            ttml: Some(document),
        }
    }

    /// What the file is; of packaged text, what it is read as.
    pub fn format(&self) -> Format {
        match self.ttml {
            Some(_) => Format::Ttml,
            None => Format::WebVtt,
        }
    }

    /// The language that a TTML document states.
    pub fn language(&self) -> Option<&str> {
        self.ttml.as_ref().and_then(ttml::Document::language)
    }

    /// The cues, in order of their start.
    pub fn cues(&self) -> &vtt::Document {
        &self.vtt
    }

    /// The instant at which the last cue ends, milliseconds; 0 without cues. What never ends does not count.
    pub fn end_ms(&self) -> u64 {
        let ends = self.vtt.cues.iter().map(|cue| cue.span.end_ms);
        ends.filter(|end| *end < u64::MAX).max().unwrap_or_default()
    }

    /// The same text `ms` milliseconds earlier, as WebVTT. What is over before time 0 is not there any more.
    #[must_use]
    pub fn earlier(&self, ms: u64) -> Self {
        let earlier = |at: u64| match at {
            u64::MAX => at,
            at => at.saturating_sub(ms),
        };
        let cues = self.vtt.cues.iter().filter_map(|cue| {
            let span = Span {
                start_ms: earlier(cue.span.start_ms),
                end_ms: earlier(cue.span.end_ms),
            };
            (!span.is_empty()).then(|| vtt::Cue {
                span,
                ..cue.clone()
            })
        });
        Self::of_vtt(vtt::Document {
            blocks: self.vtt.blocks.clone(),
            cues: cues.collect(),
        })
    }

    /// A WebVTT segment: every cue that touches `window` (ticks of the track), with its own times.
    ///
    /// `mpegts`: what the 90 kHz clock of the media shows at the document's time 0, 33 bits.
    /// Spec: draft-pantos-hls-rfc8216bis §3.5.
    pub fn webvtt_segment(&self, window: &Range<u64>, clock: Clock, mpegts: u64) -> String {
        self.vtt.segment(window, clock, mpegts)
    }

    /// A TTML document of what `window` (ticks of the track) shows, cut at its edges.
    ///
    /// `language`: BCP-47, for documents that do not say theirs. There always is a document, if an empty one.
    pub fn ttml_segment(
        &self,
        window: &Range<u64>,
        clock: Clock,
        base: ttml::Base,
        language: Option<&str>,
    ) -> String {
        match &self.ttml {
            Some(document) => document.segment(window, clock, base, language),
            None => {
                let shown = self.vtt.within(window, clock);
                convert::to_ttml(&shown).segment(window, clock, base, language)
            }
        }
    }
}

/// Errors: [`TextError::NotUtf8`]. UTF-16 with a byte order mark is not read: no specification allows it in WebVTT, and
/// what converts it is at hand everywhere.
fn decoded(bytes: &[u8]) -> Result<&str, TextError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let newlines = good.iter().filter(|byte| **byte == b'\n').count();
        TextError::NotUtf8(newlines.saturating_add(1))
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
