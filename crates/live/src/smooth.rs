//! Fragmented MP4 as encoders push it ([MS-SSTR] §2.2.4 and 3.2; "Azure Media Services fragmented MP4 live ingest"):
//!
//! ```text
//! ftyp  uuid (live server manifest)  moov  { moof mdat }+  mfra
//! ```
//!
//! One connection carries one stream of the encoder or several. A fragment says when it begins with `tfdt` or `tfxd`. After a
//! connection broke, the encoder sends the same header again, and its last fragments, which the engine knows already.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use headwater_bmff::{BoxedKind, CodecConfig, Movie, TrackConfig, TrackKind, parse_movie};
use headwater_time::Timescale;

use crate::CLOCK;
use crate::LiveError;
use crate::language;
use crate::stream::StreamConfig;
use crate::ts::Unit;

/// Largest box other than `mdat`.
const MOST_HEADER: usize = 1 << 20;

/// Largest `mdat`: twenty seconds at 20 Mbit/s, and a half more.
const MOST_MEDIA: usize = 80 << 20;

/// Most tracks of a connection.
const MOST_TRACKS: usize = 16;

/// Extended type of the live server manifest box.
const MANIFEST: [u8; 16] = [
    0xa5, 0xd4, 0x0b, 0x30, 0xe8, 0x14, 0x11, 0xdd, 0xba, 0x2f, 0x08, 0x00, 0x20, 0x0c, 0x9a, 0x66,
];

/// What a connection turned out to hold, in its order.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// The live server manifest: an `.ism` (`headwater-ism` reads it). Comes before the tracks.
    Manifest(Bytes),
    /// A track of pictures or sound.
    Config { track: u32, config: StreamConfig },
    /// An access unit. Times in 90 kHz.
    Unit { track: u32, unit: Unit },
    /// A track that is neither: a sparse one, as a rule.
    Passed { track: u32, codec: String },
    /// A sample of such a track. Time in 90 kHz; `scale`: what the track itself counts in, a second.
    Data {
        track: u32,
        time: i64,
        scale: Timescale,
        bytes: Bytes,
    },
}

/// Why a connection cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SmoothError {
    /// More than is held in memory.
    #[error("'{name}' at byte {offset} has {size} bytes")]
    TooLarge {
        name: String,
        offset: u64,
        size: u64,
    },
    #[error("'{name}' at byte {offset}: {fault}")]
    Malformed {
        name: String,
        offset: u64,
        fault: String,
    },
    /// The codec of a track cannot be passed on.
    #[error("track {track}: {error}")]
    Codec { track: u32, error: LiveError },
}

/// Reads one connection.
#[derive(Debug, Default)]
pub struct Demux {
    buffer: BytesMut,
    /// Of the first byte of `buffer`.
    offset: u64,
    ftyp: Bytes,
    /// `ftyp` and `moov`, once there.
    init: Option<Init>,
    /// The `moof` whose media is yet to come, and where it was.
    moof: Option<(Bytes, u64)>,
    found: VecDeque<Found>,
}

#[derive(Debug)]
struct Init {
    bytes: Bytes,
    /// Tracks of pictures and sound, and others.
    tracks: Vec<u32>,
    others: Vec<u32>,
}

/// The head of a box.
struct Head {
    name: [u8; 4],
    /// Of the head.
    head: usize,
    /// Head included.
    size: u64,
}

impl Demux {
    /// Takes bytes as they come.
    ///
    /// Errors: [`SmoothError`]; what was found before can still be polled, and nothing more may be fed.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), SmoothError> {
        self.buffer.extend_from_slice(bytes);
        while let Some(head) = self.head()? {
            let most = match &head.name {
                b"mdat" => MOST_MEDIA,
                _ => MOST_HEADER,
            };
            let size = usize::try_from(head.size).ok().filter(|size| *size <= most);
            let Some(size) = size else {
                return Err(SmoothError::TooLarge {
                    name: text(head.name),
                    offset: self.offset,
                    size: head.size,
                });
            };
            if self.buffer.len() < size {
                break;
            }
            let whole = self.buffer.split_to(size).freeze();
            let offset = self.offset;
            self.offset = offset.saturating_add(head.size);
            self.take(&head, whole, offset)?;
        }
        Ok(())
    }

    /// What was found, in order.
    pub fn poll(&mut self) -> Option<Found> {
        self.found.pop_front()
    }

    /// Whether nothing of a box is left over.
    #[must_use]
    pub fn is_at_a_box(&self) -> bool {
        self.buffer.is_empty() && self.moof.is_none()
    }

    /// The head of the next box, if it is there.
    fn head(&self) -> Result<Option<Head>, SmoothError> {
        let Some([s0, s1, s2, s3, name @ ..]) = self.buffer.first_chunk::<8>() else {
            return Ok(None);
        };
        let (head, size) = match u32::from_be_bytes([*s0, *s1, *s2, *s3]) {
            1 => match self.buffer.get(8..).and_then(<[u8]>::first_chunk::<8>) {
                Some(size) => (16, u64::from_be_bytes(*size)),
                None => return Ok(None),
            },
            size => (8_usize, u64::from(size)),
        };
        let least = u64::try_from(head).unwrap_or(u64::MAX);
        if size < least {
            return Err(malformed(
                *name,
                self.offset,
                "its size is less than its head's",
            ));
        }
        Ok(Some(Head {
            name: *name,
            head,
            size,
        }))
    }

    fn take(&mut self, head: &Head, whole: Bytes, offset: u64) -> Result<(), SmoothError> {
        match &head.name {
            b"ftyp" => self.ftyp = whole,
            b"uuid" => {
                let payload = whole.slice(head.head..);
                // Extended type, version and flags.
                if payload.starts_with(&MANIFEST) && payload.len() > 20 {
                    self.found.push_back(Found::Manifest(payload.slice(20..)));
                }
            }
            b"moov" => self.movie(&whole, offset)?,
            b"moof" => {
                if self.init.is_none() {
                    return Err(malformed(head.name, offset, "no 'moov' came before it"));
                }
                self.moof = Some((whole, offset));
            }
            b"mdat" => match self.moof.take() {
                Some((moof, at)) => self.fragment(&moof, &whole, at)?,
                None => return Err(malformed(head.name, offset, "no 'moof' came before it")),
            },
            _ => {}
        }
        Ok(())
    }

    fn movie(&mut self, moov: &Bytes, offset: u64) -> Result<(), SmoothError> {
        let bytes = joined(&[&self.ftyp, moov]);
        let movie = read(bytes.clone(), *b"moov", offset)?;
        let (mut tracks, mut others) = (Vec::new(), Vec::new());
        for track in movie.tracks.iter().take(MOST_TRACKS) {
            let id = track.config.id;
            match config(&track.config) {
                Ok(Some(config)) => {
                    tracks.push(id);
                    self.found.push_back(Found::Config { track: id, config });
                }
                Ok(None) => {
                    others.push(id);
                    self.found.push_back(Found::Passed {
                        track: id,
                        codec: track.config.codec.name().to_owned(),
                    });
                }
                Err(error) => return Err(SmoothError::Codec { track: id, error }),
            }
        }
        self.init = Some(Init {
            bytes,
            tracks,
            others,
        });
        Ok(())
    }

    fn fragment(&mut self, moof: &Bytes, mdat: &Bytes, offset: u64) -> Result<(), SmoothError> {
        let Some(init) = &self.init else {
            return Ok(());
        };
        // As a file with one fragment, which the reader of files knows to read.
        let file = joined(&[&init.bytes, moof, mdat]);
        let movie = read(file.clone(), *b"moof", offset)?;
        for track in &movie.tracks {
            let id = track.config.id;
            let is_data = init.others.contains(&id);
            if !is_data && !init.tracks.contains(&id) {
                continue;
            }
            let scale = track.config.timescale;
            for sample in &track.samples {
                let unit = (|| {
                    let start = usize::try_from(sample.offset).ok()?;
                    let end = start.checked_add(usize::try_from(sample.size).ok()?)?;
                    let bytes = (end <= file.len()).then(|| file.slice(start..end))?;
                    let dts = i64::try_from(sample.dts).ok()?;
                    Some(Unit {
                        dts: clock(dts, scale)?,
                        pts: clock(dts.checked_add(sample.cto.into())?, scale)?,
                        sync: sample.sync || track.config.kind == TrackKind::Audio,
                        bytes,
                    })
                })();
                let unit = unit.ok_or_else(|| {
                    malformed(
                        *b"moof",
                        offset,
                        "a sample is beyond its media, or its time beyond all time",
                    )
                })?;
                self.found.push_back(match is_data {
                    true => Found::Data {
                        track: id,
                        time: unit.pts,
                        scale,
                        bytes: unit.bytes,
                    },
                    false => Found::Unit { track: id, unit },
                });
            }
        }
        Ok(())
    }
}

fn read(file: Bytes, name: [u8; 4], offset: u64) -> Result<Movie, SmoothError> {
    parse_movie(file).map_err(|error| malformed(name, offset, error.to_string()))
}

/// Ticks of a track in 90 kHz, to the nearest.
fn clock(ticks: i64, scale: Timescale) -> Option<i64> {
    let scale = i128::from(scale.get());
    let scaled = i128::from(ticks).checked_mul(CLOCK.get().into())?;
    let half = scale.checked_div(2)?;
    let rounded = scaled.checked_add(half)?.div_euclid(scale);
    i64::try_from(rounded).ok()
}

/// What the engine is told of a track; `None` for one that is neither pictures nor sound.
///
/// Errors: a codec that cannot be passed on.
fn config(track: &TrackConfig) -> Result<Option<StreamConfig>, LiveError> {
    if !matches!(track.kind, TrackKind::Video | TrackKind::Audio) {
        return Ok(None);
    }
    let size = (track.width.into(), track.height.into());
    let mut made = match &track.codec {
        CodecConfig::Avc(avc) => StreamConfig::avc(&avc.record)?,
        CodecConfig::Aac(aac) => StreamConfig::aac(&aac.asc)?,
        CodecConfig::Boxed(boxed) => match boxed.kind {
            BoxedKind::Hevc => StreamConfig::hevc(&boxed.config, size)?,
            BoxedKind::Av1 => StreamConfig::av1(&boxed.config, size)?,
            _ => return Err(unknown(track)),
        },
        _ => return Err(unknown(track)),
    };
    // Encoders tag pictures with whatever language they were set to.
    if track.kind == TrackKind::Audio {
        made.language = language::stated(&track.language);
    }
    Ok(Some(made))
}

fn unknown(track: &TrackConfig) -> LiveError {
    LiveError::Codec {
        codec: "track's",
        fault: format!("{} is not passed on", track.codec.name()),
    }
}

fn joined(parts: &[&Bytes]) -> Bytes {
    let size = parts
        .iter()
        .fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let mut whole = BytesMut::with_capacity(size);
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole.freeze()
}

fn text(name: [u8; 4]) -> String {
    name.escape_ascii().to_string()
}

fn malformed(name: [u8; 4], offset: u64, fault: impl Into<String>) -> SmoothError {
    SmoothError::Malformed {
        name: text(name),
        offset,
        fault: fault.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_bmff::write::{SegmentHeader, SegmentSample, segment_header};
    use proptest::prelude::*;

    const AAC: [u8; 2] = [0x11, 0x90];

    fn boxed(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len() + 8).unwrap();
        [&size.to_be_bytes()[..], name, payload].concat()
    }

    fn header() -> Vec<u8> {
        let manifest = [&MANIFEST[..], &[0; 4], b"<smil/>"].concat();
        let init = StreamConfig::aac(&AAC).unwrap().init;
        let ftyp = u32::from_be_bytes(*init.first_chunk::<4>().unwrap()) as usize;
        [&init[..ftyp], &boxed(b"uuid", &manifest), &init[ftyp..]].concat()
    }

    /// A fragment of sound from `decode_time` on, in 48 kHz.
    fn fragment(decode_time: u64, sizes: &[u32]) -> Vec<u8> {
        let samples: Vec<_> = sizes
            .iter()
            .map(|&size| SegmentSample {
                size,
                duration: 1024,
                cto: 0,
                sync: true,
            })
            .collect();
        let header = segment_header(&SegmentHeader {
            sequence_number: 1,
            track_id: 1,
            decode_time,
            samples: &samples,
        });
        let media: Vec<u8> = (0..sizes.iter().sum::<u32>())
            .map(|byte| byte as u8)
            .collect();
        [header.unwrap(), media].concat()
    }

    fn all(bytes: &[u8], step: usize) -> (Vec<Found>, Result<(), SmoothError>) {
        let (mut demux, mut found) = (Demux::default(), Vec::new());
        for piece in bytes.chunks(step) {
            let fed = demux.feed(piece);
            found.extend(std::iter::from_fn(|| demux.poll()));
            if fed.is_err() {
                return (found, fed);
            }
        }
        (found, Ok(()))
    }

    #[test]
    fn a_connection_is_read_however_it_is_cut() {
        let sent = [
            header(),
            fragment(48_000, &[10, 20]),
            boxed(b"free", &[0; 30]),
            fragment(50_048, &[5]),
            boxed(b"mfra", &[0; 8]),
        ]
        .concat();
        let (found, end) = all(&sent, sent.len());
        assert_eq!(end, Ok(()));
        let unit = |dts: i64, bytes: std::ops::Range<u8>| Found::Unit {
            track: 1,
            unit: Unit {
                dts,
                pts: dts,
                sync: true,
                bytes: bytes.collect(),
            },
        };
        let config = StreamConfig::aac(&AAC).unwrap();
        let expected = [
            Found::Manifest(Bytes::from_static(b"<smil/>")),
            Found::Config { track: 1, config },
            unit(90_000, 0..10),
            unit(91_920, 10..30),
            unit(93_840, 0..5),
        ];
        assert_eq!(found, expected);
        for step in [1, 7, 100] {
            assert_eq!(all(&sent, step).0, found, "{step}");
        }
    }

    #[test]
    fn sound_has_the_language_of_its_header() {
        let scale = Timescale::new(48_000).unwrap();
        for (stated, language) in [
            ("deu", Some("deu")),
            // In `elng`.
            ("pt-BR", Some("pt-BR")),
            ("und", None),
        ] {
            let aac = headwater_bmff::AacConfig::parse(&AAC).unwrap();
            let track = TrackConfig::audio(1, scale, stated, aac);
            let init = headwater_bmff::write::init_segment(&track, 0).unwrap();
            let (found, end) = all(&init, init.len());
            assert_eq!(end, Ok(()));
            let [Found::Config { config, .. }] = &found[..] else {
                panic!("{found:?}");
            };
            assert_eq!(config.language.as_deref(), language);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let at = header().len();
        let cases = [
            (
                fragment(0, &[4]),
                "'moof' at byte 0: no 'moov' came before it".to_owned(),
            ),
            (
                [header(), boxed(b"mdat", b"x")].concat(),
                format!("'mdat' at byte {at}: no 'moof' came before it"),
            ),
            (
                [
                    header(),
                    boxed(b"moof", &boxed(b"traf", &boxed(b"tfhd", b""))),
                    boxed(b"mdat", b""),
                ]
                .concat(),
                format!("'moof' at byte {at}: "),
            ),
            (
                [header(), vec![0, 0, 0, 7, b'm', b'o', b'o', b'f']].concat(),
                format!("'moof' at byte {at}: its size is less than its head's"),
            ),
            (
                b"\x7f\xff\xff\xffmoov".to_vec(),
                "'moov' at byte 0 has 2147483647 bytes".to_owned(),
            ),
            (
                b"\0\0\0\x01mdat\xff\0\0\0\0\0\0\0".to_vec(),
                format!("'mdat' at byte 0 has {} bytes", 0xff_u64 << 56),
            ),
        ];
        for (sent, told) in cases {
            let error = all(&sent, sent.len()).1.unwrap_err().to_string();
            assert!(error.starts_with(&told), "{error}");
        }
    }

    proptest! {
        #[test]
        fn damage_ends_in_an_error_or_in_less(at in 0_usize..600, with: u8, step in 1_usize..64) {
            let mut sent = [header(), fragment(0, &[10, 20]), fragment(2048, &[5])].concat();
            let at = at % sent.len();
            sent[at] = with;
            let (found, _) = all(&sent, step);
            prop_assert!(found.len() <= 16);
        }
    }
}
