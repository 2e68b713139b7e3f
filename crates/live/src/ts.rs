//! MPEG-2 transport streams (ISO/IEC 13818-1) as encoders send them over SRT: one program, H.264 and AAC in ADTS, splice sections
//! and ID3 tags.
//!
//! Packets that are lost or damaged cost the access unit they belong to and nothing more. What is held is bounded by
//! [`MAX_PES_BYTES`] for each of at most [`MAX_STREAMS`] streams.

mod es;
mod order;
mod sections;

use std::collections::{BTreeMap, VecDeque};

use crate::cue::{self, Body, Role, Said, Signal};
use crate::engine::AccessUnit;
use crate::language;
use crate::source::Unwrap;
use crate::stream::StreamConfig;
use es::Elementary;
use order::Order;
use sections::Sections;

/// Elementary streams that are looked at.
pub const MAX_STREAMS: usize = 16;

/// Largest PES packet.
pub const MAX_PES_BYTES: usize = 8 << 20;

/// Bytes without a packet among them before it is no transport stream.
const MAX_GARBAGE: usize = 64 << 10;

const PACKET: usize = 188;

/// Stream type of splice sections (ANSI/SCTE 35, 8.1).
const SPLICES: u8 = 0x86;

/// What came out.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// The configuration of a stream, at first and whenever it changes.
    Config { pid: u16, config: StreamConfig },
    /// An access unit. Times without wraps.
    Unit { pid: u16, unit: Unit },
    /// A splice section, or an ID3 tag, on the clock of the units.
    Said(Said),
    /// A stream of a type that is not understood.
    Unsupported { pid: u16, stream_type: u8 },
}

/// An access unit of a stream, as [`AccessUnit`].
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    pub dts: i64,
    pub pts: i64,
    pub sync: bool,
    pub bytes: bytes::Bytes,
}

impl From<Unit> for AccessUnit {
    fn from(unit: Unit) -> Self {
        Self {
            dts: unit.dts,
            pts: unit.pts,
            sync: unit.sync,
            bytes: unit.bytes,
        }
    }
}

/// What came is no transport stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_GARBAGE} bytes without a transport packet")]
pub struct NotTs;

#[derive(Debug, Default)]
struct Pes {
    counter: Option<u8>,
    bytes: Vec<u8>,
    /// A start has been seen and nothing was lost since.
    whole: bool,
    elementary: Option<Elementary>,
    /// What the map says, of sound.
    language: Option<String>,
    /// Of splices (ANSI/SCTE 35, 8.1), which are no PES.
    sections: Option<Sections>,
}

/// Takes a transport stream apart.
#[derive(Debug)]
pub struct Demux {
    rest: Vec<u8>,
    garbage: usize,
    pmt: Option<u16>,
    /// Of a map that is in several packets.
    maps: Sections,
    order: Order,
    streams: BTreeMap<u16, Pes>,
    clock: Unwrap,
    found: VecDeque<Found>,
}

impl Default for Demux {
    fn default() -> Self {
        Self {
            rest: Vec::new(),
            garbage: 0,
            pmt: None,
            maps: Sections::default(),
            order: Order::default(),
            streams: BTreeMap::new(),
            clock: Unwrap::MPEG,
            found: VecDeque::new(),
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*pair))
}

/// The payload of a section that fits one packet, which PAT and PMT of one program do, without header and CRC.
fn section(payload: &[u8], table: u8) -> Option<&[u8]> {
    let pointer = usize::from(*payload.first()?);
    let section = payload.get(pointer.checked_add(1)?..)?;
    if *section.first()? != table {
        return None;
    }
    let len = usize::from(u16_at(section, 1)? & 0x0fff);
    let end = len.checked_add(3)?.checked_sub(4)?;
    section.get(8..end)
}

impl Demux {
    /// Bytes of the stream, in order.
    ///
    /// Errors: `NotTs`.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), NotTs> {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut left = rest.as_slice();
        while left.len() >= PACKET {
            // A packet is one if another follows it, as far as can be seen.
            let next = left.get(PACKET).is_none_or(|byte| *byte == 0x47);
            match left.split_at_checked(PACKET) {
                Some((packet, after)) if packet.first() == Some(&0x47) && next => {
                    self.garbage = 0;
                    self.packet(packet);
                    left = after;
                }
                _ => {
                    left = left.get(1..).unwrap_or_default();
                    self.garbage = self.garbage.saturating_add(1);
                    if self.garbage > MAX_GARBAGE {
                        return Err(NotTs);
                    }
                }
            }
        }
        self.rest = left.to_vec();
        Ok(())
    }

    /// The stream was brought to its end: packets of PES that do not state their length, as those of pictures, are complete
    /// with it. Not for one that was cut off, whose last packets nobody knows to be whole.
    pub fn end(&mut self) {
        let whole = self.streams.iter().filter(|(_, pes)| pes.whole);
        let pids: Vec<u16> = whole.map(|(pid, _)| *pid).collect();
        for pid in pids {
            self.finish(pid);
        }
        self.order.release(&mut self.found);
    }

    /// What came out next.
    pub fn poll(&mut self) -> Option<Found> {
        self.found.pop_front()
    }

    fn packet(&mut self, packet: &[u8]) {
        let Some([_, b1, b2, b3]) = packet.first_chunk::<4>() else {
            return;
        };
        let pid = u16::from_be_bytes([*b1 & 0x1f, *b2]);
        let (start, counter) = (b1 & 0x40 != 0, b3 & 15);
        // Damaged, or scrambled.
        if b1 & 0x80 != 0 || b3 & 0xc0 != 0 || b3 & 0x10 == 0 {
            return;
        }
        let skipped = match b3 & 0x20 {
            0 => 4,
            _ => usize::from(packet.get(4).copied().unwrap_or(0)).saturating_add(5),
        };
        let payload = packet.get(skipped..).unwrap_or_default();
        if pid == 0 && start {
            if let Some(programs) = section(payload, 0) {
                let program = programs
                    .chunks_exact(4)
                    .find(|entry| u16_at(entry, 0) != Some(0));
                self.pmt = program
                    .and_then(|entry| u16_at(entry, 2))
                    .map(|pid| pid & 0x1fff);
            }
            return;
        }
        if Some(pid) == self.pmt {
            self.map_packet(start, counter, payload);
            return;
        }
        self.pes(pid, start, counter, payload);
    }

    /// The program's map, or a part of it: where there are many sounds it is longer than a packet.
    fn map_packet(&mut self, start: bool, counter: u8, payload: &[u8]) {
        if let Some(map) = section(payload, 2).filter(|_| start) {
            self.map(map);
            return;
        }
        for whole in self.maps.packet(start, counter, payload) {
            let end = whole.len().saturating_sub(4);
            if let Some(map) = whole.get(8..end).filter(|_| whole.first() == Some(&2)) {
                self.map(map);
            }
        }
    }

    fn map(&mut self, map: &[u8]) {
        let program_info = usize::from(u16_at(map, 2).unwrap_or(0) & 0x0fff);
        let mut rest = map
            .get(program_info.saturating_add(4)..)
            .unwrap_or_default();
        let (mut listed, mut sounds) = (Vec::new(), Vec::new());
        while let Some(([stream_type, p0, p1, l0, l1], after)) = rest.split_first_chunk::<5>() {
            let pid = u16::from_be_bytes([*p0 & 0x1f, *p1]);
            let info = usize::from(u16::from_be_bytes([*l0 & 0x0f, *l1]));
            let descriptors = after.get(..info).unwrap_or(after);
            rest = after.get(info..).unwrap_or_default();
            listed.push(pid);
            let language = match *stream_type {
                es::ADTS => {
                    sounds.push(pid);
                    language::of_descriptors(descriptors)
                }
                _ => None,
            };
            if let Some(pes) = self
                .streams
                .get_mut(&pid)
                .filter(|p| p.language != language)
            {
                // It is described anew.
                pes.elementary = Elementary::of(*stream_type);
                pes.language.clone_from(&language);
            }
            if self.streams.contains_key(&pid) || self.streams.len() >= MAX_STREAMS {
                continue;
            }
            let elementary = Elementary::of(*stream_type);
            let sections = (*stream_type == SPLICES).then(Sections::default);
            if elementary.is_none() && sections.is_none() {
                self.found.push_back(Found::Unsupported {
                    pid,
                    stream_type: *stream_type,
                });
            }
            self.streams.insert(
                pid,
                Pes {
                    elementary,
                    language,
                    sections,
                    ..Pes::default()
                },
            );
        }
        self.streams.retain(|pid, _| listed.contains(pid));
        sounds.retain(|pid| self.streams.contains_key(pid));
        if !sounds.is_empty() {
            self.order.list(sounds);
        }
    }

    fn pes(&mut self, pid: u16, start: bool, counter: u8, payload: &[u8]) {
        let sections = self.streams.get_mut(&pid);
        if let Some(sections) = sections.and_then(|pes| pes.sections.as_mut()) {
            for section in sections.packet(start, counter, payload) {
                self.splice(section);
            }
            return;
        }
        let Some(pes) = self
            .streams
            .get_mut(&pid)
            .filter(|pes| pes.elementary.is_some())
        else {
            return;
        };
        let expected = pes.counter.map(|last| last.wrapping_add(1) & 15);
        if pes.counter == Some(counter) && !start {
            return; // sent twice
        }
        pes.counter = Some(counter);
        if start {
            // The counter tells of a loss even between packets of PES: then the one before was not whole.
            let lost = expected.is_some_and(|expected| expected != counter);
            if pes.whole && !lost {
                self.finish(pid);
            }
            if let Some(pes) = self.streams.get_mut(&pid) {
                pes.bytes.clear();
                pes.bytes.extend_from_slice(payload);
                pes.whole = true;
            }
        } else if expected == Some(counter) && pes.whole {
            if pes.bytes.len().saturating_add(payload.len()) > MAX_PES_BYTES {
                pes.whole = false;
                pes.bytes = Vec::new();
                return;
            }
            pes.bytes.extend_from_slice(payload);
        } else {
            pes.whole = false;
            pes.bytes.clear();
        }
        // Packets that state their length need not wait for the next one.
        let stated = self
            .streams
            .get(&pid)
            .filter(|pes| pes.whole)
            .and_then(|pes| {
                let len = usize::from(u16_at(&pes.bytes, 4)?);
                (len > 0).then(|| pes.bytes.len() >= len.saturating_add(6))
            });
        if stated == Some(true) {
            self.finish(pid);
        }
    }

    /// A splice section is complete. One that is damaged, or splices nothing, is left out.
    fn splice(&mut self, section: Vec<u8>) {
        let Ok(Some(splice)) = cue::splice(&section) else {
            return;
        };
        let mut clock = self.clock;
        let time = splice.pts.map(|pts| clock.next(pts)).or(self.clock.last());
        let id = match splice.event {
            Some(event) => event.to_string(),
            None => crc32fast::hash(&section).to_string(),
        };
        self.found.push_back(Found::Said(Said::Signal(Signal {
            id,
            time: time.unwrap_or(0),
            duration: splice.duration.filter(|_| splice.role != Role::In),
            cancel: splice.cancel,
            body: Body::Splice {
                role: splice.role,
                section,
            },
        })));
    }

    /// A PES packet is complete (ISO/IEC 13818-1 §2.4.3.6).
    fn finish(&mut self, pid: u16) {
        let Some(pes) = self.streams.get_mut(&pid) else {
            return;
        };
        pes.whole = false;
        let bytes = std::mem::take(&mut pes.bytes);
        let Some((pts, dts, payload)) = header(&bytes) else {
            return;
        };
        // One clock for all streams, or they would be told apart by half a wrap.
        let dts_at = self.clock.next(dts);
        let modulus = 1_i64 << 33;
        let signed = |raw: u64| i64::try_from(raw).unwrap_or(0);
        let ahead = signed(pts)
            .saturating_sub(signed(dts))
            .checked_rem_euclid(modulus)
            .unwrap_or(0);
        let ahead = if ahead > modulus / 2 { 0 } else { ahead };
        let mut came = VecDeque::new();
        if let Some(elementary) = &mut pes.elementary {
            let pts_at = dts_at.saturating_add(ahead);
            elementary.packet(pid, pts_at, dts_at, payload, &mut came);
        }
        for found in &mut came {
            if let Found::Config { config, .. } = found {
                config.language.clone_from(&pes.language);
            }
        }
        let came = came.into_iter();
        self.order.pass(pid, dts_at, came, &mut self.found);
    }
}

fn stamp(bytes: &[u8]) -> Option<u64> {
    let [a, b, c, d, e] = *bytes.first_chunk::<5>()?;
    let [a, b, c, d, e] = [a, b, c, d, e].map(u64::from);
    Some(((a >> 1) & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1)
}

/// Presentation and decode time, and the payload.
fn header(pes: &[u8]) -> Option<(u64, u64, &[u8])> {
    let head = pes.first_chunk::<9>()?;
    let [0, 0, 1, _, _, _, _, flags, len] = *head else {
        return None;
    };
    let optional = pes.get(9..)?;
    let payload = optional.get(usize::from(len)..)?;
    let pts = (flags & 0x80 != 0).then(|| stamp(optional)).flatten()?;
    let dts = match flags & 0x40 {
        0 => pts,
        _ => stamp(optional.get(5..)?)?,
    };
    Some((pts, dts, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn garbage_ends_it_and_little_garbage_does_not() {
        let mut demux = Demux::default();
        assert_eq!(demux.feed(&[1; 1000]), Ok(()));
        assert_eq!(demux.feed(&[1; 80_000]), Err(NotTs));
    }

    /// A packet with `payload` at its end, after an adaptation field that fills it.
    fn packet(pid: u16, start: bool, counter: u8, payload: &[u8]) -> Vec<u8> {
        let [high, low] = pid.to_be_bytes();
        let stuffing = 183 - payload.len();
        let start = if start { 0x40 } else { 0 };
        let mut packet = vec![0x47, high | start, low, 0x30 | counter, stuffing as u8];
        packet.resize(PACKET - payload.len(), 0xff);
        if stuffing > 0 {
            packet[5] = 0;
        }
        packet.extend_from_slice(payload);
        packet
    }

    /// PAT, PMT and one PES, of a picture and without a stated length.
    fn picture() -> Vec<u8> {
        let pat = [0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0, 0, 0, 0];
        let pmt = [
            0, 2, 0xb0, 18, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0, 0x1b, 0xe1, 0, 0xf0, 0, 0, 0, 0, 0,
        ];
        let mut stream = packet(0, true, 0, &pat);
        stream.extend(packet(0x1000, true, 0, &pmt));
        // Parameter sets of libx264, for 64x64.
        let pes = [
            &[0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1][..],
            &[
                0, 0, 1, 0x67, 0x42, 0xc0, 0x0a, 0xd9, 0x04, 0x26, 0xc0, 0x44, 0, 0, 3, 0, 4,
            ],
            &[0, 0, 3, 0, 0xc8, 0x3c, 0x48, 0x99, 0x20],
            &[
                0, 0, 1, 0x68, 0xcb, 0x83, 0xcb, 0x20, 0, 0, 1, 0x65, 0x88, 0x84,
            ],
        ]
        .concat();
        stream.extend(packet(0x100, true, 0, &pes[..20]));
        stream.extend(packet(0x100, false, 1, &pes[20..]));
        stream
    }

    #[test]
    fn the_last_picture_comes_with_the_end_of_the_stream() {
        let mut demux = Demux::default();
        demux.feed(&picture()).unwrap();
        assert_eq!(demux.poll(), None);
        demux.end();
        let found: Vec<Found> = std::iter::from_fn(|| demux.poll()).collect();
        assert!(
            matches!(found.first(), Some(Found::Config { pid: 0x100, .. })),
            "{found:?}"
        );
        let Some(Found::Unit { unit, .. }) = found.get(1) else {
            panic!("{found:?}");
        };
        assert!(unit.sync && unit.bytes.ends_with(&[0x65, 0x88, 0x84]));
        demux.end();
        assert_eq!(demux.poll(), None);
    }

    #[test]
    fn splices_and_tags_come_with_the_streams_clock() {
        let pat = [0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0, 0, 0, 0];
        let pmt = [
            &[0, 2, 0xb0, 23, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0][..],
            &[
                0x86, 0xe1, 0x01, 0xf0, 0, 0x15, 0xe1, 0x02, 0xf0, 0, 0, 0, 0, 0,
            ],
        ]
        .concat();
        let mut stream = packet(0, true, 0, &pat);
        stream.extend(packet(0x1000, true, 0, &pmt));
        // A tag at two seconds before the clock wraps: what is spliced comes after.
        let stamp = (1_u64 << 33) - 180_000;
        let byte = |value: u64| u8::try_from(value & 0xff).unwrap();
        let tag = [
            &[0, 0, 1, 0xbd, 0, 13, 0x84, 0x80, 5][..],
            &[
                0x21 | byte(stamp >> 29) & 0x0e,
                byte(stamp >> 22),
                byte(stamp >> 14) | 1,
                byte(stamp >> 7),
                byte(stamp << 1) | 1,
            ],
            b"ID3tag"[..5].as_ref(),
        ]
        .concat();
        stream.extend(packet(0x102, true, 0, &tag));
        // ANSI/SCTE 35, 14.2: 0x07369c02e.
        let hex = "fc302f000000000000fffff014054800008f7feffe7369c02efe0052ccf500000000000a0008435545490000013562dba30a";
        let digits = hex.as_bytes().chunks(2);
        let section: Vec<u8> = digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        stream.extend(packet(0x101, true, 0, &[&[0][..], &section].concat()));
        let mut damaged = section.clone();
        damaged[17] ^= 1;
        stream.extend(packet(0x101, true, 1, &[&[0][..], &damaged].concat()));
        let mut demux = Demux::default();
        demux.feed(&stream).unwrap();
        let found: Vec<Found> = std::iter::from_fn(|| demux.poll()).collect();
        let [
            Found::Said(Said::Message(message)),
            Found::Said(Said::Signal(signal)),
        ] = &found[..]
        else {
            panic!("{found:?}");
        };
        assert_eq!(
            (message.time, message.data.as_slice()),
            (stamp as i64, &b"ID3ta"[..])
        );
        assert_eq!(message.scheme, cue::ID3_SCHEME);
        // Half the range away from the clock or less.
        assert_eq!(signal.time, 0x7369_c02e + (1 << 33));
        assert_eq!(
            (signal.id.as_str(), signal.duration),
            ("1207959695", Some(0x52_ccf5))
        );
        assert_eq!(
            signal.body,
            Body::Splice {
                role: Role::Out,
                section
            }
        );
    }

    const PAT: [u8; 17] = [0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0, 0, 0, 0];

    /// The section of a map of AAC streams: PIDs and descriptors.
    fn map_of(sounds: &[(u16, &[u8])]) -> Vec<u8> {
        let mut entries = Vec::new();
        for (pid, descriptors) in sounds {
            let [high, low] = pid.to_be_bytes();
            let info = descriptors.len() as u8;
            entries.extend([0x0f, 0xe0 | high, low, 0xf0, info]);
            entries.extend_from_slice(descriptors);
        }
        let [high, low] = (9 + entries.len() as u16 + 4).to_be_bytes();
        let head = [2, 0xb0 | high, low, 0, 1, 0xc1, 0, 0, 0xe1, 1, 0xf0, 0];
        [&head[..], &entries, &[0; 4]].concat()
    }

    /// A PES with one frame of AAC, 48 kHz and stereo.
    fn frame(pid: u16, counter: u8) -> Vec<u8> {
        let head = [0, 0, 1, 0xc0, 0, 18, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1];
        let adts = [0xff, 0xf1, 0x4c, 0x80, 0x01, 0x5f, 0xfc, 1, 2, 3];
        packet(pid, true, counter, &[&head[..], &adts].concat())
    }

    fn languages(stream: &[u8]) -> Vec<(u16, Option<String>)> {
        let mut demux = Demux::default();
        demux.feed(stream).unwrap();
        demux.end();
        let found = std::iter::from_fn(|| demux.poll());
        let described = found.filter_map(|found| match found {
            Found::Config { pid, config } => Some((pid, config.language)),
            _ => None,
        });
        described.collect()
    }

    #[test]
    fn sounds_have_the_languages_of_the_map_and_its_order() {
        let english: &[u8] = b"\x0a\x04eng\0";
        let sounds = [(0x101, english), (0x102, b"\x0a\x04deu\0"), (0x103, b"")];
        let map = [&[0][..], &map_of(&sounds)].concat();
        let some = |tag: &str| Some(tag.to_owned());
        let mut stream = packet(0, true, 0, &PAT);
        stream.extend(packet(0x1000, true, 0, &map));
        // The last comes first.
        for pid in [0x103, 0x102, 0x101] {
            stream.extend(frame(pid, 0));
        }
        let expected = [(0x101, some("eng")), (0x102, some("deu")), (0x103, None)];
        assert_eq!(languages(&stream), expected);
        // The map says so once more, and then that one is in another language.
        stream.extend(packet(0x1000, true, 1, &map));
        stream.extend(frame(0x102, 1));
        assert_eq!(languages(&stream), expected);
        let sounds = [(0x101, english), (0x102, b"\x0a\x04fra\0"), (0x103, b"")];
        let map = [&[0][..], &map_of(&sounds)].concat();
        stream.extend(packet(0x1000, true, 2, &map));
        for pid in [0x101, 0x102, 0x103] {
            stream.extend(frame(pid, 2));
        }
        let expected = [&expected[..], &[(0x102, some("fra"))]].concat();
        assert_eq!(languages(&stream), expected);
    }

    #[test]
    fn a_map_may_be_longer_than_a_packet() {
        // Behind a stream identifier and what Blu-ray asks for.
        let sounds: Vec<(u16, Vec<u8>)> = (0..12)
            .map(|at| {
                let language = [b'a', b'a', b'a' + at];
                let descriptors = [b"\x52\x01\x01\x05\x04HDMV\x0a\x04", &language[..], &[0]];
                (0x101 + u16::from(at), descriptors.concat())
            })
            .collect();
        let listed: Vec<(u16, &[u8])> = sounds.iter().map(|(pid, of)| (*pid, &of[..])).collect();
        let map = [&[0][..], &map_of(&listed)].concat();
        assert!(map.len() > PACKET);
        let mut stream = packet(0, true, 0, &PAT);
        stream.extend(packet(0x1000, true, 0, &map[..180]));
        stream.extend(packet(0x1000, false, 1, &map[180..]));
        for (pid, _) in &sounds {
            stream.extend(frame(*pid, 0));
        }
        let found = languages(&stream);
        assert_eq!(found.len(), 12);
        assert_eq!(found[0], (0x101, Some("aaa".to_owned())));
        assert_eq!(found[11], (0x10c, Some("aal".to_owned())));
        // Without its second half it says nothing.
        let mut stream = packet(0, true, 0, &PAT);
        stream.extend(packet(0x1000, true, 0, &map[..180]));
        stream.extend(packet(0x1000, false, 2, &map[180..]));
        stream.extend(frame(0x101, 0));
        assert_eq!(languages(&stream), []);
    }

    proptest! {
        #[test]
        fn anything_may_come(bytes in prop::collection::vec(any::<u8>(), 0..4000), synced: bool) {
            let mut demux = Demux::default();
            let mut bytes = bytes;
            if synced {
                for at in (0..bytes.len()).step_by(188) {
                    bytes[at] = 0x47;
                }
            }
            for piece in bytes.chunks(1316) {
                let _ = demux.feed(piece);
            }
            demux.end();
            while demux.poll().is_some() {}
        }
    }
}
