//! WebVTT (W3C, <https://www.w3.org/TR/webvtt1/>): reading files (§6), and writing segments of them.

mod read;
mod write;

pub use read::parse;

use crate::time::{Clock, Span};
use std::ops::Range;

/// A file, as far as players are told of it. Comments are not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// `STYLE` and `REGION` blocks, whole, in order, lines joined with line feeds.
    pub blocks: Vec<String>,
    /// In order of their start.
    pub cues: Vec<Cue>,
}

/// One cue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    /// Identifier, not empty.
    pub id: Option<String>,
    /// Not empty.
    pub span: Span,
    /// Settings (§4.4), those that are known, with single spaces between them.
    pub settings: String,
    /// Cue text (§4.2.2): markup and all, lines joined with line feeds.
    pub text: String,
}

impl Document {
    /// The part of it that `window` shows a part of.
    #[must_use]
    pub fn within(&self, window: &Range<u64>, clock: Clock) -> Self {
        Self {
            blocks: self.blocks.clone(),
            cues: self
                .touching(window, clock)
                .map(|(_, c)| c.clone())
                .collect(),
        }
    }

    /// The cues that touch `window`, with their place in the document.
    pub fn touching<'a>(
        &'a self,
        window: &'a Range<u64>,
        clock: Clock,
    ) -> impl Iterator<Item = (usize, &'a Cue)> {
        let cues = self.cues.iter().enumerate();
        cues.filter(move |(_, cue)| clock.touches(cue.span, window))
    }
}
