//! Cues: what an encoder says of moments to come, ad breaks above all, beside pictures and sound.
//!
//! A cue is known by its id, its role and its moment: sent again it changes nothing, with another moment it is another one.
//! Cues are of the timeline, and so of manifests; that players hear of them from media too is [`event_message`]'s.
//! Other messages for players are in media alone.

use broadcast_common::Parse as _;
use scte35_splice::SpliceInfoSection;
use scte35_splice::commands::AnyCommand;
use scte35_splice::descriptors::AnySpliceDescriptor;
use scte35_splice::time::pts_add_wrapping;

use crate::LiveError;

/// Longest splice section: its length has twelve bits (ANSI/SCTE 35, 9.6).
pub const MAX_SECTION_BYTES: usize = 4_098;

/// Longest id of a cue, and longest scheme or value of a message.
pub const MAX_TEXT_BYTES: usize = 255;

/// Longest message: what AMS took by HTTP, with the tag around it.
pub const MAX_MESSAGE_BYTES: usize = 257 << 10;

/// Cues that a timeline keeps: the newest.
pub const MOST_CUES: usize = 512;

/// Schemes of messages that a timeline names.
pub const MOST_SCHEMES: usize = 8;

/// Scheme of messages that hold a splice section (ANSI/SCTE 214-1).
pub const SPLICE_SCHEME: &str = "urn:scte:scte35:2013:bin";

/// Scheme of messages that hold an ID3 tag (AOMedia, Carriage of ID3 Timed Metadata in CMAF).
pub const ID3_SCHEME: &str = "https://aomedia.org/emsg/ID3";

/// What a splice does to who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A break begins.
    Out,
    /// A break ends.
    In,
    /// Neither, or nobody knows.
    Other,
}

/// What a cue says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A `splice_info_section` (ANSI/SCTE 35), as it came.
    Splice { role: Role, section: Vec<u8> },
    /// A break begins: Adobe's simple mode.
    Break,
}

impl Body {
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Splice { role, .. } => *role,
            Self::Break => Role::Out,
        }
    }
}

/// A cue of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    pub id: String,
    /// Event clock.
    pub start: i64,
    /// Ticks of the event clock; `None` if the encoder did not say.
    pub duration: Option<u64>,
    pub body: Body,
}

impl Cue {
    /// When it is over, as far as it says: a cue without a duration is a moment.
    #[must_use]
    pub fn end(&self) -> i64 {
        let duration = i64::try_from(self.duration.unwrap_or(0)).unwrap_or(i64::MAX);
        self.start.saturating_add(duration)
    }

    /// Whether `other` is this one, perhaps said anew.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.id == other.id && self.start == other.start && self.body.role() == other.body.role()
    }

    /// Its number where only numbers are taken: of messages and of events in an MPD.
    #[must_use]
    pub fn number(&self) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        sum.update(self.id.as_bytes());
        sum.update(&self.start.to_be_bytes());
        sum.update(&[match self.body.role() {
            Role::Out => 0,
            Role::In => 1,
            Role::Other => 2,
        }]);
        sum.finalize()
    }
}

/// A cue as an encoder sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    pub id: String,
    /// 90 kHz ticks of the source's clock, without wraps.
    pub time: i64,
    /// Ticks.
    pub duration: Option<u64>,
    /// What was said of this id does not come to pass.
    pub cancel: bool,
    pub body: Body,
}

/// A message for players, as an encoder sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub scheme: String,
    pub value: String,
    /// 90 kHz ticks of the source's clock, without wraps.
    pub time: i64,
    /// Ticks.
    pub duration: Option<u64>,
    /// Tells messages of one scheme apart: who gets one twice takes it once.
    pub id: u32,
    pub data: Vec<u8>,
}

/// What an encoder says of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Signal(Signal),
    Message(Message),
}

impl Said {
    /// Of which moment, 90 kHz ticks of the source's clock.
    #[must_use]
    pub fn time(&self) -> i64 {
        match self {
            Self::Signal(signal) => signal.time,
            Self::Message(message) => message.time,
        }
    }

    /// When an encoder is to make key frames: where a break begins, and where it ends.
    pub fn key_times(&self) -> impl Iterator<Item = i64> + use<> {
        let (begin, end) = match self {
            Self::Signal(signal) => {
                let lasts = signal.duration;
                let end = lasts.and_then(|ticks| signal.time.checked_add_unsigned(ticks));
                (Some(signal.time), end)
            }
            Self::Message(_) => (None, None),
        };
        begin.into_iter().chain(end)
    }
}

/// What a splice section says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Splice {
    pub event: Option<u32>,
    /// When, on the clock of the stream that carries it: 33 bits of 90 kHz. `None`: at once, or encrypted.
    pub pts: Option<u64>,
    /// 90 kHz ticks.
    pub duration: Option<u64>,
    pub role: Role,
    pub cancel: bool,
}

/// Reads a splice section (ANSI/SCTE 35, 9.6). Ok `None` for commands that splice nothing.
///
/// Errors: `Cue` for what is no section, or whose checksum is another.
pub fn splice(section: &[u8]) -> Result<Option<Splice>, LiveError> {
    let refused = |fault: String| LiveError::Cue { fault };
    if section.len() > MAX_SECTION_BYTES {
        return Err(refused(format!("it has {} bytes", section.len())));
    }
    let section =
        SpliceInfoSection::parse(section).map_err(|error| refused(format!("{error:?}")))?;
    let Some(clear) = &section.clear else {
        return Ok(Some(Splice {
            event: None,
            pts: None,
            duration: None,
            role: Role::Other,
            cancel: false,
        }));
    };
    let adjusted = |pts: u64| pts_add_wrapping(pts, section.pts_adjustment);
    Ok(match &clear.command {
        AnyCommand::SpliceInsert(insert) => {
            let times = insert
                .components
                .iter()
                .map(|component| component.splice_time);
            let mut times = std::iter::once(insert.splice_time).chain(times).flatten();
            Some(Splice {
                event: Some(insert.splice_event_id),
                pts: times.find_map(|time| time.pts_time).map(adjusted),
                duration: insert.break_duration.map(|duration| duration.duration),
                role: match insert.out_of_network_indicator {
                    true => Role::Out,
                    false => Role::In,
                },
                cancel: insert.splice_event_cancel_indicator,
            })
        }
        AnyCommand::TimeSignal(signal) => {
            let mut found = Splice {
                event: None,
                pts: signal.splice_time.pts_time.map(adjusted),
                duration: None,
                role: Role::Other,
                cancel: false,
            };
            for descriptor in section.descriptors() {
                let descriptor = descriptor.map_err(|error| refused(format!("{error:?}")))?;
                if let AnySpliceDescriptor::Segmentation(segmentation) = descriptor {
                    let role = role_of(segmentation.segmentation_type_id.to_u8());
                    if found.event.is_none() || found.role == Role::Other {
                        found.event = Some(segmentation.segmentation_event_id);
                        found.duration = segmentation.segmentation_duration;
                        found.role = role;
                        found.cancel = segmentation.segmentation_event_cancel_indicator;
                    }
                }
            }
            Some(found)
        }
        _ => None,
    })
}

/// Segmentation types that take the place of the programme (ANSI/SCTE 35, table 23) and those that give it back.
fn role_of(segmentation_type: u8) -> Role {
    match segmentation_type {
        0x22 | 0x30 | 0x32 | 0x34 | 0x36 | 0x38 | 0x3a | 0x3c | 0x3e | 0x44 | 0x46 => Role::Out,
        0x23 | 0x31 | 0x33 | 0x35 | 0x37 | 0x39 | 0x3b | 0x3d | 0x3f | 0x45 | 0x47 => Role::In,
        _ => Role::Other,
    }
}

/// An `emsg` box of version 1 (ISO/IEC 23009-1, 5.10.3.3). Times in ticks of the event clock.
#[must_use]
pub fn event_message(
    scheme: &str,
    value: &str,
    (time, duration): (i64, Option<u64>),
    id: u32,
    data: &[u8],
) -> Vec<u8> {
    let lasting = duration.map(|ticks| u32::try_from(ticks).unwrap_or(u32::MAX));
    let mut out = Vec::new();
    let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
    put(&[0; 4]);
    put(b"emsg");
    put(&0x0100_0000_u32.to_be_bytes());
    put(&crate::CLOCK.get().to_be_bytes());
    put(&u64::try_from(time).unwrap_or(0).to_be_bytes());
    put(&lasting.unwrap_or(u32::MAX).to_be_bytes());
    put(&id.to_be_bytes());
    for text in [scheme, value] {
        // They end with a zero.
        put(text.split('\0').next().unwrap_or_default().as_bytes());
        put(&[0]);
    }
    put(data);
    let size = u32::try_from(out.len()).unwrap_or(u32::MAX);
    if let Some(field) = out.first_chunk_mut::<4>() {
        *field = size.to_be_bytes();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// ANSI/SCTE 35, 14.1: a time signal, placement opportunity start.
    const TIME_SIGNAL: &str = "fc3034000000000000fffff00506fe72bd0050001e021c435545494800008e7fcf0001a599b00808000000002ca0a18a3402009ac9d17e";
    /// ANSI/SCTE 35, 14.2: a splice insert, out of the network for a minute.
    const INSERT: &str = "fc302f000000000000fffff014054800008f7feffe7369c02efe0052ccf500000000000a0008435545490000013562dba30a";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn the_standards_own_examples() {
        let found = splice(&bytes(INSERT)).unwrap().unwrap();
        assert_eq!(
            found,
            Splice {
                event: Some(0x4800_008f),
                pts: Some(0x7369_c02e),
                duration: Some(0x52_ccf5),
                role: Role::Out,
                cancel: false,
            }
        );
        let found = splice(&bytes(TIME_SIGNAL)).unwrap().unwrap();
        assert_eq!(
            found,
            Splice {
                event: Some(0x4800_008e),
                pts: Some(0x72bd_0050),
                duration: Some(0x01a5_99b0),
                role: Role::Out,
                cancel: false,
            }
        );
    }

    #[test]
    fn a_damaged_section_is_refused() {
        let mut section = bytes(INSERT);
        section[20] ^= 1;
        let error = splice(&section).unwrap_err().to_string();
        assert!(
            error.starts_with("a splice section cannot be used: "),
            "{error}"
        );
        assert!(splice(&[0xfc; 5_000]).is_err());
    }

    #[test]
    fn messages_are_boxes() {
        let message = event_message("urn:x", "1", (90_000, None), 7, b"data");
        assert_eq!(
            message,
            [
                &[0, 0, 0, 44][..],
                b"emsg\x01\0\0\0",
                &[0, 1, 0x5f, 0x90],
                &[0, 0, 0, 0, 0, 1, 0x5f, 0x90],
                &[0xff; 4],
                &[0, 0, 0, 7],
                b"urn:x\x001\0data"
            ]
            .concat()
        );
    }

    proptest! {
        #[test]
        fn any_section_is_answered(mut section in prop::collection::vec(any::<u8>(), 0..300), real: bool, at in 0usize..50, byte: u8) {
            if real {
                section = bytes(if byte & 1 == 0 { INSERT } else { TIME_SIGNAL });
                let at = at.min(section.len() - 1);
                section[at] = byte;
            }
            let _ = splice(&section);
        }
    }
}
