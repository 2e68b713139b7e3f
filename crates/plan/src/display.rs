//! Plans as text for operators (`headwater inspect`) and for logs. Query strings are where signatures live, so they
//! are never printed.

use crate::{Object, Plan, Source, Step};
use headwater_protect::Cipher;
use std::fmt;

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.splitn(2, '?');
        f.write_str(url.next().unwrap_or_default())?;
        if url.next().is_some() {
            f.write_str("?[redacted]")?;
        }
        if let Some(etag) = &self.if_match {
            write!(f, " if-match {etag}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({self})")
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(bytes) => write!(f, "Inline({} bytes)", bytes.len()),
            Self::Range {
                object,
                offset,
                len,
            } => {
                write!(f, "Range({len} bytes of object {object} at {offset})")
            }
            Self::Packetise(step) => write!(f, "Packetise({} bytes)", step.len()),
        }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One line for the plan, one per object, one per step: position in the body, length, source.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "plan of {} bytes, {} objects, {} steps",
            self.0.total,
            self.0.objects.len(),
            self.0.steps.len()
        )?;
        for (index, object) in self.0.objects.iter().enumerate() {
            writeln!(f, "object {index} {object}")?;
        }
        if let Some(cover) = &self.0.cover {
            let run = match cover.cipher() {
                Cipher::Ctr { samples, .. } => format!("counter mode, {} samples", samples.len()),
                Cipher::Cbcs { samples, .. } => {
                    format!("blocks in a pattern, {} samples", samples.len())
                }
                Cipher::Envelope { .. } => "all blocks, padded".to_owned(),
            };
            writeln!(
                f,
                "of what follows, encrypted after {} bytes ({run}), the bytes {} to {}",
                cover.clear,
                cover.skip,
                cover.skip.saturating_add(cover.len)
            )?;
        }
        let mut position: u64 = 0;
        for step in &self.0.steps {
            let len = step.len();
            write!(f, "{position:>12} {len:>10} ")?;
            match step {
                Step::Inline(_) => writeln!(f, "inline")?,
                Step::Range { object, offset, .. } => {
                    writeln!(f, "object {object} at {offset}")?;
                }
                Step::Packetise(step) => {
                    let samples = step.unit_count();
                    writeln!(f, "transport stream of {samples} samples")?;
                    for (stream, sources) in step.streams().iter().enumerate() {
                        for Source { object, range } in sources {
                            let len = range.end.saturating_sub(range.start);
                            writeln!(
                                f,
                                "{:>12} {len:>10} stream {stream} object {object} at {}",
                                "", range.start
                            )?;
                        }
                    }
                }
            }
            position = position.saturating_add(len);
        }
        Ok(())
    }
}
