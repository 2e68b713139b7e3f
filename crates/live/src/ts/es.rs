//! Elementary streams: H.264 and HEVC in byte stream format (ISO/IEC 14496-10 and 23008-2, annex B), AAC in ADTS (ISO/IEC
//! 14496-3 §1.A.3.2).

use std::collections::VecDeque;

use bytes::Bytes;
use headwater_bmff::{AacConfig, hevc};

use super::{Found, Unit};
use crate::cue::{ID3_SCHEME, MAX_MESSAGE_BYTES, Message, Said};
use crate::stream::StreamConfig;

/// Stream type of AAC in ADTS (ISO/IEC 13818-1, table 2-34).
pub(super) const ADTS: u8 = 0x0f;

#[derive(Debug)]
pub(super) enum Elementary {
    Avc(Avc),
    Hevc(Hevc),
    Adts(Adts),
    /// Tags of ID3, one in each packet.
    Id3,
}

/// Parameter sets in use.
#[derive(Debug, Default)]
pub(super) struct Avc {
    sps: Vec<Vec<u8>>,
    pps: Vec<Vec<u8>>,
    announced: bool,
}

/// As [`Avc`].
#[derive(Debug, Default)]
pub(super) struct Hevc {
    vps: Vec<Vec<u8>>,
    sps: Vec<Vec<u8>>,
    pps: Vec<Vec<u8>>,
    announced: bool,
}

#[derive(Debug, Default)]
pub(super) struct Adts {
    rest: Vec<u8>,
    /// Time of the frame that `rest` begins.
    next: Option<i64>,
    header: Option<(u8, u8, u8)>,
    rate: u32,
}

impl Elementary {
    /// What is in a stream of that type (ISO/IEC 13818-1, table 2-34); `None` if it is not understood.
    pub(super) fn of(stream_type: u8) -> Option<Self> {
        match stream_type {
            0x1b => Some(Self::Avc(Avc::default())),
            0x24 => Some(Self::Hevc(Hevc::default())),
            ADTS => Some(Self::Adts(Adts::default())),
            0x15 => Some(Self::Id3),
            _ => None,
        }
    }

    pub(super) fn packet(
        &mut self,
        pid: u16,
        pts: i64,
        dts: i64,
        payload: &[u8],
        found: &mut VecDeque<Found>,
    ) {
        match self {
            Self::Avc(avc) => avc.packet(pid, pts, dts, payload, found),
            Self::Hevc(hevc) => hevc.packet(pid, pts, dts, payload, found),
            Self::Adts(adts) => adts.packet(pid, pts, payload, found),
            // Other metadata comes in streams of that type too.
            Self::Id3 if payload.starts_with(b"ID3") && payload.len() <= MAX_MESSAGE_BYTES => {
                let mut sum = crc32fast::Hasher::new();
                sum.update(&pts.to_be_bytes());
                sum.update(payload);
                found.push_back(Found::Said(Said::Message(Message {
                    scheme: ID3_SCHEME.to_owned(),
                    value: String::new(),
                    time: pts,
                    duration: None,
                    id: sum.finalize(),
                    data: payload.to_vec(),
                })));
            }
            Self::Id3 => {}
        }
    }
}

/// The NAL units of a byte stream, without start codes and the zeros around them.
fn nal_units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    let start = |bytes: &[u8]| bytes.windows(3).position(|three| three == [0, 0, 1]);
    match start(rest) {
        Some(at) => rest = rest.get(at.saturating_add(3)..).unwrap_or_default(),
        None => rest = &[],
    }
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = start(rest);
        let (unit, after) = match end {
            Some(at) => (
                rest.get(..at).unwrap_or_default(),
                rest.get(at.saturating_add(3)..).unwrap_or_default(),
            ),
            None => (rest, &[][..]),
        };
        rest = after;
        let used = unit.iter().rposition(|byte| *byte != 0);
        Some(
            unit.get(..used.map_or(0, |at| at.saturating_add(1)))
                .unwrap_or_default(),
        )
    })
}

/// Parameter sets of one kind that a stream may have.
const MOST_SETS: usize = 8;

impl Avc {
    fn packet(
        &mut self,
        pid: u16,
        pts: i64,
        dts: i64,
        payload: &[u8],
        found: &mut VecDeque<Found>,
    ) {
        let mut bytes = Vec::with_capacity(payload.len().saturating_add(16));
        let mut sync = false;
        let (mut sps, mut pps) = (Vec::new(), Vec::new());
        for unit in nal_units(payload) {
            match unit.first().map_or(0, |byte| byte & 31) {
                // Access unit delimiters and filler are of the byte stream.
                0 | 9 | 12 => continue,
                7 if sps.len() < MOST_SETS => sps.push(unit.to_vec()),
                8 if pps.len() < MOST_SETS => pps.push(unit.to_vec()),
                kind => {
                    sync |= kind == 5;
                    let len = u32::try_from(unit.len()).unwrap_or(u32::MAX);
                    bytes.extend_from_slice(&len.to_be_bytes());
                    bytes.extend_from_slice(unit);
                }
            }
        }
        let changed = (!sps.is_empty() && sps != self.sps) || (!pps.is_empty() && pps != self.pps);
        if changed {
            if !sps.is_empty() {
                self.sps = sps;
            }
            if !pps.is_empty() {
                self.pps = pps;
            }
            if let Ok(config) = StreamConfig::avc_sets(self.sps.clone(), self.pps.clone()) {
                self.announced = true;
                found.push_back(Found::Config { pid, config });
            }
        }
        if self.announced && !bytes.is_empty() {
            let unit = Unit {
                dts,
                pts,
                sync,
                bytes: bytes.into(),
            };
            found.push_back(Found::Unit { pid, unit });
        }
    }
}

impl Hevc {
    fn packet(
        &mut self,
        pid: u16,
        pts: i64,
        dts: i64,
        payload: &[u8],
        found: &mut VecDeque<Found>,
    ) {
        let mut bytes = Vec::with_capacity(payload.len().saturating_add(16));
        let mut sync = false;
        let (mut vps, mut sps, mut pps) = (Vec::new(), Vec::new(), Vec::new());
        for unit in nal_units(payload) {
            // Types: Rec. ITU-T H.265, table 7-1.
            match unit.first().map_or(35, |byte| (byte >> 1) & 63) {
                // Delimiters, ends and filler are of the byte stream.
                35..=38 => continue,
                32 if vps.len() < MOST_SETS => vps.push(unit.to_vec()),
                33 if sps.len() < MOST_SETS => sps.push(unit.to_vec()),
                34 if pps.len() < MOST_SETS => pps.push(unit.to_vec()),
                kind => {
                    sync |= (16..=21).contains(&kind);
                    let len = u32::try_from(unit.len()).unwrap_or(u32::MAX);
                    bytes.extend_from_slice(&len.to_be_bytes());
                    bytes.extend_from_slice(unit);
                }
            }
        }
        let mut changed = false;
        for (known, new) in [
            (&mut self.vps, vps),
            (&mut self.sps, sps),
            (&mut self.pps, pps),
        ] {
            if !new.is_empty() && *known != new {
                *known = new;
                changed = true;
            }
        }
        if changed
            && let Some((record, size)) = hevc::record(&self.vps, &self.sps, &self.pps)
            && let Ok(config) = StreamConfig::hevc(&record, size)
        {
            self.announced = true;
            found.push_back(Found::Config { pid, config });
        }
        if self.announced && !bytes.is_empty() {
            let unit = Unit {
                dts,
                pts,
                sync,
                bytes: bytes.into(),
            };
            found.push_back(Found::Unit { pid, unit });
        }
    }
}

const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

impl Adts {
    fn packet(&mut self, pid: u16, pts: i64, payload: &[u8], found: &mut VecDeque<Found>) {
        // The time is that of the first frame that begins here; what is left over began before.
        let mut time = match (self.rest.is_empty(), self.next) {
            (false, Some(next)) => next,
            _ => pts,
        };
        let mut fresh = !self.rest.is_empty();
        let carried = self.rest.len();
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.extend_from_slice(payload);
        let mut rest = bytes.as_slice();
        while let Some(header) = rest.first_chunk::<7>() {
            let [0xff, b1, b2, b3, b4, b5, _] = *header else {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            };
            if b1 & 0xf6 != 0xf0 {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let len = (usize::from(b3 & 3) << 11) | (usize::from(b4) << 3) | usize::from(b5 >> 5);
            let front = if b1 & 1 == 0 { 9 } else { 7 };
            if len <= front {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let at = bytes.len().saturating_sub(rest.len());
            if fresh && at >= carried {
                (time, fresh) = (pts, false);
            }
            let Some(frame) = rest.get(front..len) else {
                break;
            };
            self.frame(
                pid,
                time,
                (b2 >> 6, (b2 >> 2) & 15, (b2 & 1) << 2 | b3 >> 6),
                frame,
                found,
            );
            let step = 1024_i64.saturating_mul(90_000);
            let step = step.checked_div(i64::from(self.rate.max(1))).unwrap_or(0);
            time = time.saturating_add(step);
            rest = rest.get(len..).unwrap_or_default();
        }
        self.next = Some(time);
        // A frame has 8191 bytes at most.
        self.rest = match rest.len() < 8192 {
            true => rest.to_vec(),
            false => Vec::new(),
        };
    }

    fn frame(
        &mut self,
        pid: u16,
        time: i64,
        header: (u8, u8, u8),
        frame: &[u8],
        found: &mut VecDeque<Found>,
    ) {
        let (profile, rate, channels) = header;
        let Some(hertz) = RATES.get(usize::from(rate)) else {
            return;
        };
        self.rate = *hertz;
        if self.header != Some(header) {
            let channels = if channels == 7 {
                8
            } else {
                u16::from(channels)
            };
            // Main, SSR and LTP are not played; SBR does not show here.
            let config = AacConfig::lc(*hertz, channels).filter(|_| profile == 1);
            let Some(Ok(config)) = config.map(|config| StreamConfig::aac(&config.asc)) else {
                return;
            };
            self.header = Some(header);
            found.push_back(Found::Config { pid, config });
        }
        let unit = Unit {
            dts: time,
            pts: time,
            sync: true,
            bytes: Bytes::copy_from_slice(frame),
        };
        found.push_back(Found::Unit { pid, unit });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nal_units_lose_start_codes_and_zeros() {
        let bytes = [0, 0, 0, 1, 9, 16, 0, 0, 1, 0x65, 1, 2, 0, 0, 0, 0, 1, 6, 5];
        let units: Vec<&[u8]> = nal_units(&bytes).collect();
        assert_eq!(units, [&[9, 16][..], &[0x65, 1, 2], &[6, 5]]);
    }

    #[test]
    fn frames_may_lie_across_packets() {
        let mut adts = Adts::default();
        let mut found = VecDeque::new();
        // 48 kHz, stereo, 10 bytes with the header.
        let frame = [0xff, 0xf1, 0x4c, 0x80, 0x01, 0x5f, 0xfc, 1, 2, 3];
        let twice = [frame, frame].concat();
        adts.packet(1, 900, &twice[..14], &mut found);
        adts.packet(1, 9_000, &[&twice[14..], &frame[..]].concat(), &mut found);
        let times: Vec<i64> = found
            .iter()
            .filter_map(|found| match found {
                Found::Unit { unit, .. } => Some(unit.dts),
                _ => None,
            })
            .collect();
        assert_eq!(times, [900, 900 + 1920, 9_000]);
    }
}
