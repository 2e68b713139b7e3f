//! Cues in media playlists: `EXT-X-DATERANGE` with splice sections (§4.4.5.1), and `EXT-X-CUE` as AMS wrote it in front of the
//! segments of a break.

use std::fmt::Write as _;

use crate::live::date;
use crate::text::{decimal, quoted};

/// Of seconds: they are given in milliseconds.
const DIGITS: u32 = 3;

/// Which attribute a splice section goes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpliceKind {
    /// `SCTE35-OUT`: a break begins.
    Out,
    /// `SCTE35-IN`: a break ends.
    In,
    /// `SCTE35-CMD`: anything else.
    Command,
}

/// A time that something is said of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateRange {
    /// Unique in the playlist for ever.
    pub id: String,
    /// Wall clock, milliseconds since the epoch.
    pub start_ms: i64,
    /// How long it lasted, once it is over.
    pub duration_ms: Option<u64>,
    /// How long it is going to last, as far as it was said.
    pub planned_ms: Option<u64>,
    /// What said so.
    pub splices: Vec<(SpliceKind, Vec<u8>)>,
}

impl DateRange {
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("#EXT-X-DATERANGE:ID=");
        quoted(out, &self.id);
        out.push_str(",START-DATE=\"");
        date(out, self.start_ms);
        out.push('"');
        for (name, ms) in [
            ("DURATION", self.duration_ms),
            ("PLANNED-DURATION", self.planned_ms),
        ] {
            if let Some(ms) = ms {
                let _ = write!(out, ",{name}=");
                seconds(out, ms);
            }
        }
        for (kind, section) in &self.splices {
            let name = match kind {
                SpliceKind::Out => "OUT",
                SpliceKind::In => "IN",
                SpliceKind::Command => "CMD",
            };
            let _ = write!(out, ",SCTE35-{name}=0x");
            for byte in section {
                let _ = write!(out, "{byte:02X}");
            }
        }
        out.push('\n');
    }
}

/// A break that begins with a segment, or that the segment is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CueTag {
    pub id: String,
    /// The splice section in base64; `None`: `SpliceOut`, which has none.
    pub section: Option<String>,
    /// 0: nobody knows.
    pub duration_ms: u64,
    /// When it begins, milliseconds of presentation time.
    pub time_ms: u64,
    /// How much of it is over where the segment begins.
    pub elapsed_ms: Option<u64>,
}

impl CueTag {
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("#EXT-X-CUE:ID=");
        quoted(out, &self.id);
        out.push_str(match self.section {
            Some(_) => ",TYPE=\"scte35\",DURATION=",
            None => ",TYPE=\"SpliceOut\",DURATION=",
        });
        seconds(out, self.duration_ms);
        out.push_str(",TIME=");
        seconds(out, self.time_ms);
        if let Some(elapsed) = self.elapsed_ms {
            out.push_str(",ELAPSED=");
            seconds(out, elapsed);
        }
        if let Some(section) = &self.section {
            out.push_str(",CUE=");
            quoted(out, section);
        }
        out.push('\n');
    }
}

fn seconds(out: &mut String, ms: u64) {
    decimal(out, ms, DIGITS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_and_what_said_so() {
        let mut out = String::new();
        DateRange {
            id: "7-1780319700000".into(),
            start_ms: 1_780_319_700_000,
            duration_ms: Some(29_500),
            planned_ms: Some(30_000),
            splices: vec![
                (SpliceKind::Out, vec![0xfc, 0x0a]),
                (SpliceKind::In, vec![0xfc, 0xff]),
            ],
        }
        .write(&mut out);
        assert_eq!(
            out,
            "#EXT-X-DATERANGE:ID=\"7-1780319700000\",START-DATE=\"2026-06-01T13:15:00.000Z\",DURATION=29.500,\
             PLANNED-DURATION=30.000,SCTE35-OUT=0xFC0A,SCTE35-IN=0xFCFF\n"
        );
    }

    #[test]
    fn cues_as_ams_wrote_them() {
        let mut cue = CueTag {
            id: "7".into(),
            section: Some("/Ao=".into()),
            duration_ms: 30_000,
            time_ms: 8_000,
            elapsed_ms: None,
        };
        let mut out = String::new();
        cue.write(&mut out);
        (cue.section, cue.elapsed_ms) = (None, Some(2_000));
        cue.write(&mut out);
        assert_eq!(
            out,
            "#EXT-X-CUE:ID=\"7\",TYPE=\"scte35\",DURATION=30.000,TIME=8.000,CUE=\"/Ao=\"\n\
             #EXT-X-CUE:ID=\"7\",TYPE=\"SpliceOut\",DURATION=30.000,TIME=8.000,ELAPSED=2.000\n"
        );
    }
}
