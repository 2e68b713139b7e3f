//! A segment's PES packets: which samples go into which, when, and in what order.

use crate::adts::Adts;
use crate::avc::ParameterSets;
use crate::clock::{PCR_LEAD, earlier, units, wrap};
use crate::metadata::{self, MAX_TAG_BYTES, METADATA_PID, Tag};
use crate::pes::{Framing, Pes, Unit};
use crate::psi::{AUDIO_PID, Listed, MAX_DESCRIPTORS, VIDEO_PID, registration, tables};
use headwater_protect::sample_aes::{
    AVC_DESCRIPTORS, aac_descriptors, ac3_descriptors, stream_type,
};
use headwater_time::Timescale;
use std::ops::Range;

/// Longest time that the audio of one PES packet lasts, 90 kHz: PCRs of audio-only streams are then as close to each
/// other as ISO/IEC 13818-1 §2.7.2 wants them.
const AUDIO_SPAN: i64 = 9_000;
/// Most payload of an audio PES packet: its length field has 16 bits.
const AUDIO_BYTES: usize = 60_000;

/// A sample. Times in ticks of its track; negative ones lie before the presentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Bytes.
    pub size: u32,
    /// Decode time.
    pub decode: i64,
    /// Presentation time.
    pub present: i64,
    /// Decodes without earlier samples.
    pub sync: bool,
    /// Bytes in the stream: as many, but for pictures of a [`Video::protected`] track.
    pub becomes: u32,
}

/// A run of samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The tables are written in front of it, with this for a counter: its place in the track. `None`: they are not; what
    /// segments hold of them is in front of an earlier fragment.
    pub number: Option<u32>,
    /// In decode order.
    pub samples: Vec<Sample>,
}

/// The video of a segment.
#[derive(Debug, Clone, Copy)]
pub struct Video<'a> {
    /// For sync samples.
    pub parameters: &'a ParameterSets,
    /// Of all times.
    pub timescale: Timescale,
    /// How much earlier than stated samples are decoded, ticks: at least as much as any sample of the track is stated to
    /// be decoded after it is presented. The same for all segments, or decode times would jump.
    pub reordering: u32,
    /// In order.
    pub fragments: &'a [Fragment],
    /// Encrypted with SAMPLE-AES.
    pub protected: bool,
}

/// How audio samples become frames of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioCodec {
    /// AAC in ADTS.
    Aac(Adts),
    /// AC-3 (ETSI TS 102 366): a sample is a syncframe.
    Ac3,
    /// E-AC-3.
    Eac3,
}

/// The audio of a segment.
#[derive(Debug, Clone, Copy)]
pub struct Audio<'a> {
    /// What it is.
    pub codec: AudioCodec,
    /// Of all times.
    pub timescale: Timescale,
    /// In order. With video, where they begin does not matter.
    pub fragments: &'a [Fragment],
    /// Encrypted with SAMPLE-AES: what a decoder has to know without reading a frame. AAC: the AudioSpecificConfig; AC-3:
    /// the start of a frame, 10 bytes; E-AC-3: the payload of `dec3`.
    pub setup: Option<&'a [u8]>,
}

/// Which of a segment's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamId {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// A piece of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// PAT and PMT, ready.
    Tables(Vec<u8>),
    /// A PES packet; it takes the next [`Pes::media_len`] media bytes of its stream.
    Pes(StreamId, Pes),
    /// The packets of an ID3 tag, ready.
    Tag(Vec<u8>),
}

/// A segment before its media bytes are read.
///
/// On either PID the packets are a multiple of 16, stretched if need be, so that every segment's counters follow those
/// of the one before. (Unless a segment holds hardly any bytes: then they jump, which a new segment may.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// In order.
    pub parts: Vec<Part>,
}

/// Why samples cannot be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TsError {
    /// Neither video nor audio.
    #[error("a segment without samples")]
    Empty,
    /// An audio frame that its header or its PES packet has no room for.
    #[error("an audio frame of {0} bytes is too long for a transport stream")]
    FrameTooLong(u32),
    /// Audio that SAMPLE-AES has no words for, or too many.
    #[error("this audio cannot be encrypted sample by sample in a transport stream")]
    Protection,
    /// A tag of more than [`MAX_TAG_BYTES`].
    #[error("a tag of {0} bytes is too long for a transport stream")]
    TagTooLong(usize),
}

impl Part {
    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Tables(bytes) | Self::Tag(bytes) => {
                u64::try_from(bytes.len()).unwrap_or(u64::MAX)
            }
            Self::Pes(_, pes) => pes.len(),
        }
    }

    /// Never, in a segment that [`multiplex()`] made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Segment {
    /// Bytes of the segment.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.parts
            .iter()
            .fold(0, |sum, part| sum.saturating_add(part.len()))
    }

    /// Where the first sync sample of each fragment is, its tables included: what an I-frame playlist lists. Only of
    /// segments without audio, where nothing lies between the two.
    #[must_use]
    pub fn key_frames(&self) -> Vec<Range<u64>> {
        let mut found: Vec<Range<u64>> = Vec::new();
        let (mut at, mut tables) = (0_u64, None);
        for part in &self.parts {
            let end = at.saturating_add(part.len());
            tables = match (part, tables) {
                (Part::Tables(_), _) => Some(at),
                (Part::Pes(StreamId::Video, pes), Some(start)) if pes.random_access => {
                    found.push(start..end);
                    None
                }
                (_, tables) => tables,
            };
            at = end;
        }
        found
    }
}

/// A PES packet and when it is sent: 90 kHz, not wrapped.
struct Timed {
    at: i64,
    stream: StreamId,
    /// The first of this fragment.
    opens: Option<u32>,
    pes: Pes,
}

/// Lays out a segment of `video`, `audio` or both. `tags`: what its metadata stream carries, in the clear and in order; with
/// `None` the program has no such stream.
///
/// Errors: [`TsError`].
pub fn multiplex(
    video: Option<&Video<'_>>,
    audio: Option<&Audio<'_>>,
    tags: Option<&[Tag<'_>]>,
) -> Result<Segment, TsError> {
    let mut streams = Vec::new();
    let mut pictures = Vec::new();
    if let Some(video) = video {
        streams.push(Listed {
            pid: VIDEO_PID,
            stream_type: if video.protected {
                stream_type::AVC
            } else {
                0x1b
            },
            descriptors: match video.protected {
                true => AVC_DESCRIPTORS.to_vec(),
                false => Vec::new(),
            },
        });
        pictures = video_packets(video);
    }
    let mut sound = Vec::new();
    if let Some(audio) = audio {
        let (stream_type, descriptors) = listing(audio)?;
        streams.push(Listed {
            pid: AUDIO_PID,
            stream_type,
            descriptors,
        });
        sound = audio_packets(audio, video.is_none())?;
    }
    if pictures.is_empty() && sound.is_empty() {
        return Err(TsError::Empty);
    }
    stretch(pictures.iter_mut().map(|timed| &mut timed.pes).collect());
    stretch(sound.iter_mut().map(|timed| &mut timed.pes).collect());
    let mut program = Vec::new();
    if tags.is_some() {
        program.extend_from_slice(&metadata::POINTER);
        streams.push(Listed {
            pid: METADATA_PID,
            stream_type: metadata::STREAM_TYPE,
            descriptors: metadata::DESCRIPTOR.to_vec(),
        });
    }
    let tags = written(tags.unwrap_or_default())?;
    let mut tags = tags.into_iter().peekable();
    let mut parts =
        Vec::with_capacity(pictures.len().saturating_add(sound.len()).saturating_add(8));
    for timed in merged(pictures, sound) {
        // Nothing comes before the segment's tables and its first picture.
        while !parts.is_empty()
            && let Some((_, packets)) = tags.next_if(|(at, _)| *at <= timed.at)
        {
            parts.push(Part::Tag(packets));
        }
        if let Some(number) = timed.opens {
            let counter = u8::try_from(number & 0x0f).unwrap_or_default();
            parts.push(Part::Tables(tables(&program, &streams, counter)));
        }
        parts.push(Part::Pes(timed.stream, timed.pes));
    }
    parts.extend(tags.map(|(_, packets)| Part::Tag(packets)));
    Ok(Segment { parts })
}

/// The packets of each tag, by time.
fn written(tags: &[Tag<'_>]) -> Result<Vec<(i64, Vec<u8>)>, TsError> {
    if let Some(long) = tags.iter().find(|tag| tag.data.len() > MAX_TAG_BYTES) {
        return Err(TsError::TagTooLong(long.data.len()));
    }
    let mut packets = metadata::packets(tags);
    stretch(packets.iter_mut().map(|(_, pes)| pes).collect());
    let written = packets.into_iter().map(|(at, pes)| {
        let mut out = Vec::new();
        let len = pes.units.iter().map(|unit| unit.prefix.len()).sum();
        pes.write(&[], None, &mut out)
            .map_err(|_| TsError::TagTooLong(len))?;
        Ok((at, out))
    });
    written.collect()
}

/// Stream type and descriptors of audio.
fn listing(audio: &Audio<'_>) -> Result<(u8, Vec<u8>), TsError> {
    let listed = match (audio.codec, audio.setup) {
        (AudioCodec::Aac(_), None) => (0x0f, Vec::new()),
        (AudioCodec::Ac3, None) => (0x81, registration(*b"AC-3")),
        (AudioCodec::Eac3, None) => (0x87, registration(*b"EAC3")),
        (AudioCodec::Aac(_), Some(setup)) => {
            let descriptors = aac_descriptors(setup).map_err(|_| TsError::Protection)?;
            (stream_type::AAC, descriptors)
        }
        (AudioCodec::Ac3, Some(setup)) => {
            let descriptors = ac3_descriptors(false, setup).map_err(|_| TsError::Protection)?;
            (stream_type::AC3, descriptors)
        }
        (AudioCodec::Eac3, Some(setup)) => {
            let descriptors = ac3_descriptors(true, setup).map_err(|_| TsError::Protection)?;
            (stream_type::EC3, descriptors)
        }
    };
    if listed.1.len() > MAX_DESCRIPTORS {
        return Err(TsError::Protection);
    }
    Ok(listed)
}

fn video_packets(video: &Video<'_>) -> Vec<Timed> {
    let samples = || {
        video
            .fragments
            .iter()
            .flat_map(|fragment| &fragment.samples)
    };
    let late = samples().map(|s| s.decode.saturating_sub(s.present)).max();
    let delay = i64::from(video.reordering).max(late.unwrap_or_default());
    let mut packets = Vec::new();
    for fragment in video.fragments {
        let mut opens = fragment.number;
        for sample in &fragment.samples {
            let decode = units(sample.decode.saturating_sub(delay), video.timescale);
            let (pts, dts) = (wrap(units(sample.present, video.timescale)), wrap(decode));
            packets.push(Timed {
                at: decode,
                stream: StreamId::Video,
                opens: opens.take(),
                pes: Pes {
                    pid: VIDEO_PID,
                    stream_id: 0xe0,
                    counter: 0,
                    random_access: sample.sync,
                    pcr: Some(earlier(dts, PCR_LEAD)),
                    pts,
                    dts: (dts != pts).then_some(dts),
                    packets: 0,
                    framing: match video.protected {
                        true => Framing::ProtectedAvc,
                        false => Framing::Avc,
                    },
                    units: vec![Unit {
                        prefix: video.parameters.prefix(sample.sync),
                        len: sample.size,
                        becomes: sample.becomes,
                    }],
                },
            });
        }
    }
    packets
}

impl AudioCodec {
    /// Longest time from one frame to the next of a packet, 90 kHz: a frame that comes later has a time of its own, as players
    /// count on from a packet's first. Half a frame is for coarse timescales.
    fn longest_step(self) -> i64 {
        match self {
            Self::Aac(adts) => {
                let frame = adts.frame_units();
                frame.saturating_add(frame >> 1)
            }
            // Their rates are in their frames.
            Self::Ac3 | Self::Eac3 => i64::MAX,
        }
    }
}

/// `alone`: the stream has no video, so this one carries the clock.
fn audio_packets(audio: &Audio<'_>, alone: bool) -> Result<Vec<Timed>, TsError> {
    let mut packets: Vec<Timed> = Vec::new();
    for fragment in audio.fragments {
        let mut opens = fragment.number.filter(|_| alone);
        let mut bytes: usize = 0;
        let mut begins = true;
        let mut last = i64::MIN;
        for sample in &fragment.samples {
            let too_long = TsError::FrameTooLong(sample.size);
            let prefix = match audio.codec {
                AudioCodec::Aac(adts) => adts.header(sample.size).ok_or(too_long)?.to_vec(),
                AudioCodec::Ac3 | AudioCodec::Eac3 => Vec::new(),
            };
            let frame = usize::try_from(sample.size)
                .map_err(|_| too_long)?
                .saturating_add(prefix.len());
            if frame > AUDIO_BYTES {
                return Err(too_long);
            }
            let unit = Unit {
                prefix,
                len: sample.size,
                becomes: sample.size,
            };
            let at = units(sample.present, audio.timescale);
            let step = at.saturating_sub(std::mem::replace(&mut last, at));
            if let Some(open) = packets.last_mut().filter(|_| !begins)
                && at.saturating_sub(open.at) < AUDIO_SPAN
                && step <= audio.codec.longest_step()
                && bytes.saturating_add(frame) <= AUDIO_BYTES
            {
                bytes = bytes.saturating_add(frame);
                open.pes.units.push(unit);
                continue;
            }
            bytes = frame;
            let pts = wrap(at);
            packets.push(Timed {
                at,
                stream: StreamId::Audio,
                opens: opens.take(),
                pes: Pes {
                    pid: AUDIO_PID,
                    stream_id: if matches!(audio.codec, AudioCodec::Aac(_)) {
                        0xc0
                    } else {
                        0xbd
                    },
                    counter: 0,
                    random_access: alone && begins,
                    pcr: alone.then(|| earlier(pts, PCR_LEAD)),
                    pts,
                    dts: None,
                    packets: 0,
                    framing: match (audio.setup, audio.codec) {
                        (Some(_), AudioCodec::Eac3) => Framing::ProtectedFrames,
                        (Some(_), _) => Framing::ProtectedFrame,
                        (None, _) => Framing::AsIs,
                    },
                    units: vec![unit],
                },
            });
            begins = false;
        }
    }
    Ok(packets)
}

/// Counts the transport packets of one PID, stretches its last PES packets until they are a multiple of 16, and numbers
/// them from 0.
fn stretch(mut packets: Vec<&mut Pes>) {
    let mut total: u32 = 0;
    for pes in packets.iter_mut() {
        pes.packets = pes.least_packets();
        total = total.wrapping_add(pes.packets);
    }
    let mut missing = total.wrapping_neg() & 15;
    for pes in packets.iter_mut().rev() {
        let more = pes.most_packets().saturating_sub(pes.packets).min(missing);
        pes.packets = pes.packets.saturating_add(more);
        missing = missing.saturating_sub(more);
        if missing == 0 {
            break;
        }
    }
    let mut counter: u32 = 0;
    for pes in packets {
        pes.counter = u8::try_from(counter & 15).unwrap_or_default();
        counter = counter.wrapping_add(pes.packets);
    }
}

/// By time; at the same time, and at the start, video first.
fn merged(pictures: Vec<Timed>, sound: Vec<Timed>) -> impl Iterator<Item = Timed> {
    let mut pictures = pictures.into_iter().peekable();
    let mut sound = sound.into_iter().peekable();
    let mut first = true;
    std::iter::from_fn(move || {
        let start = std::mem::take(&mut first);
        match (pictures.peek(), sound.peek()) {
            (Some(picture), Some(frame)) if start || picture.at <= frame.at => pictures.next(),
            (Some(_), None) => pictures.next(),
            _ => sound.next(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fragment(number: u32, start: i64, count: i64, step: i64, sizes: &[u32]) -> Fragment {
        let samples = (0..count).map(|n| Sample {
            size: sizes[n as usize % sizes.len()],
            becomes: sizes[n as usize % sizes.len()],
            decode: start + n * step,
            present: start + n * step,
            sync: n == 0,
        });
        Fragment {
            number: Some(number),
            samples: samples.collect(),
        }
    }

    fn packets_of(segment: &Segment, stream: StreamId) -> Vec<&Pes> {
        let of = |part| match part {
            &Part::Pes(id, ref pes) if id == stream => Some(pes),
            _ => None,
        };
        segment.parts.iter().filter_map(of).collect()
    }

    #[test]
    fn sound_behind_a_hole_has_a_time_of_its_own() {
        let mut sound = fragment(0, 0, 8, 1024, &[100]);
        // Three frames, a hole of one, and others; behind the next a little is missing, as where a clock is coarse.
        for sample in sound.samples.iter_mut().skip(3) {
            sample.present += 1024;
        }
        for sample in sound.samples.iter_mut().skip(4) {
            sample.present += 400;
        }
        let audio = Audio {
            codec: AudioCodec::Aac(Adts::new(48_000, 2).unwrap()),
            timescale: Timescale::new(48_000).unwrap(),
            fragments: &[sound],
            setup: None,
        };
        let segment = multiplex(None, Some(&audio), None).unwrap();
        let packets = packets_of(&segment, StreamId::Audio);
        let found: Vec<(u64, usize)> = packets
            .iter()
            .map(|pes| (pes.pts - 900_000, pes.units.len()))
            .collect();
        // 1920 units to a frame.
        assert_eq!(found, [(0, 3), (7680, 5)]);
    }

    #[test]
    fn tables_open_every_fragment_and_key_frames_are_found() {
        let parameters = ParameterSets::new([&[0x67, 1, 2][..], &[0x68, 3]]);
        let fragments = [
            fragment(6, 0, 50, 1, &[9000, 700]),
            fragment(7, 50, 50, 1, &[9000, 700]),
        ];
        let video = Video {
            parameters: &parameters,
            timescale: Timescale::new(25).unwrap(),
            reordering: 0,
            fragments: &fragments,
            protected: false,
        };
        let segment = multiplex(Some(&video), None, None).unwrap();
        let tables: Vec<usize> = (0..)
            .zip(&segment.parts)
            .filter(|(_, p)| matches!(p, Part::Tables(_)))
            .map(|(n, _)| n)
            .collect();
        assert_eq!(tables, [0, 51]);
        let Part::Tables(second) = &segment.parts[51] else {
            panic!()
        };
        assert_eq!(second[3] & 15, 7);
        let keys = segment.key_frames();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0].start, 0);
        let first = segment.parts[..2].iter().map(Part::len).sum::<u64>();
        assert_eq!(keys[0].end, first);
        let half = segment.parts[..51].iter().map(Part::len).sum::<u64>();
        assert_eq!(keys[1].start, half);
    }

    #[test]
    fn a_fragment_without_a_number_goes_on_without_tables() {
        let parameters = ParameterSets::new([&[0x67, 1, 2][..], &[0x68, 3]]);
        let tables_first = |mut fragments: [Fragment; 2]| {
            fragments[1].number = None;
            fragments
        };
        let pictures = tables_first([
            fragment(6, 0, 50, 1, &[9000, 700]),
            fragment(7, 50, 50, 1, &[9000, 700]),
        ]);
        let frames = tables_first([
            fragment(6, 0, 47, 1024, &[300]),
            fragment(7, 47 * 1024, 47, 1024, &[300]),
        ]);
        let video = Video {
            parameters: &parameters,
            timescale: Timescale::new(25).unwrap(),
            reordering: 0,
            fragments: &pictures,
            protected: false,
        };
        let audio = Audio {
            codec: AudioCodec::Aac(Adts::new(48_000, 2).unwrap()),
            timescale: Timescale::new(48_000).unwrap(),
            fragments: &frames,
            setup: None,
        };
        let both = multiplex(Some(&video), Some(&audio), None).unwrap();
        let pictures = multiplex(Some(&video), None, None).unwrap();
        let sound = multiplex(None, Some(&audio), None).unwrap();
        for segment in [both, pictures, sound] {
            let tables = segment.parts.iter();
            let tables = tables.filter(|part| matches!(part, Part::Tables(_)));
            assert_eq!(tables.count(), 1);
            let Part::Tables(first) = &segment.parts[0] else {
                panic!()
            };
            assert_eq!(first[3] & 15, 6);
        }
        // A PES packet begins with it all the same.
        let sound = multiplex(None, Some(&audio), None).unwrap();
        let access = packets_of(&sound, StreamId::Audio);
        let access: Vec<usize> = (0..)
            .zip(access)
            .filter(|(_, pes)| pes.random_access)
            .map(|(at, _)| at)
            .collect();
        assert_eq!(access.len(), 2);
    }

    #[test]
    fn reordered_pictures_are_decoded_before_they_are_shown() {
        let parameters = ParameterSets::default();
        let shown = [0, 3, 1, 2];
        let samples = (0..).zip(shown).map(|(n, at)| Sample {
            size: 10,
            becomes: 10,
            decode: n,
            present: at,
            sync: n == 0,
        });
        let fragments = [Fragment {
            number: Some(0),
            samples: samples.collect(),
        }];
        let video = Video {
            parameters: &parameters,
            timescale: Timescale::new(25).unwrap(),
            reordering: 2,
            fragments: &fragments,
            protected: false,
        };
        let segment = multiplex(Some(&video), None, None).unwrap();
        let times: Vec<(u64, u64)> = packets_of(&segment, StreamId::Video)
            .iter()
            .map(|p| (p.dts.unwrap_or(p.pts), p.pts))
            .collect();
        let origin = u64::try_from(crate::CLOCK_ORIGIN).unwrap();
        assert_eq!(
            times,
            [0, 3600, 7200, 10_800]
                .map(|at| origin + at - 7200)
                .into_iter()
                .zip([0, 10_800, 3600, 7200].map(|at| origin + at))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn frames_that_fit_no_header_are_refused() {
        let adts = Adts::new(48_000, 2).unwrap();
        let fragments = [fragment(0, 0, 2, 1024, &[100, 9000])];
        let audio = Audio {
            codec: AudioCodec::Aac(adts),
            timescale: Timescale::new(48_000).unwrap(),
            fragments: &fragments,
            setup: None,
        };
        assert_eq!(
            multiplex(None, Some(&audio), None),
            Err(TsError::FrameTooLong(9000))
        );
        assert_eq!(multiplex(None, None, None), Err(TsError::Empty));
    }

    proptest! {
        #[test]
        fn counters_of_segments_follow_each_other(sizes in proptest::collection::vec(1u32..3000, 1..9), frames in proptest::collection::vec(1u32..900, 1..9)) {
            let parameters = ParameterSets::new([&[0x67; 20][..]]);
            let pictures = [fragment(3, 100, 50, 1, &sizes)];
            let sounds = [fragment(0, 0, 90, 1024, &frames)];
            let video = Video { parameters: &parameters, timescale: Timescale::new(25).unwrap(), reordering: 0, fragments: &pictures, protected: false };
            let audio = Audio { codec: AudioCodec::Aac(Adts::new(48_000, 2).unwrap()), timescale: Timescale::new(48_000).unwrap(), fragments: &sounds, setup: None };
            let segment = multiplex(Some(&video), Some(&audio), None).unwrap();
            prop_assert_eq!(segment.total_len() % 188, 0);
            for stream in [StreamId::Video, StreamId::Audio] {
                let packets = packets_of(&segment, stream);
                let mut counter = 0;
                for pes in &packets {
                    prop_assert_eq!(u32::from(pes.counter), counter % 16);
                    prop_assert!(pes.packets >= pes.least_packets() && pes.packets <= pes.most_packets());
                    counter += pes.packets;
                }
                prop_assert_eq!(counter % 16, 0);
            }
            prop_assert!(matches!(segment.parts[..2], [Part::Tables(_), Part::Pes(StreamId::Video, _)]));
        }
    }

    #[test]
    fn encrypted_streams_have_types_and_setups_of_their_own() {
        let parameters = ParameterSets::default();
        let one = [fragment(0, 0, 1, 1, &[100])];
        let video = Video {
            parameters: &parameters,
            timescale: Timescale::new(25).unwrap(),
            reordering: 0,
            fragments: &one,
            protected: true,
        };
        let audio = |codec, setup| Audio {
            codec,
            timescale: Timescale::new(48_000).unwrap(),
            fragments: &one,
            setup: Some(setup),
        };
        let aac = AudioCodec::Aac(Adts::new(48_000, 2).unwrap());
        let segment = multiplex(Some(&video), Some(&audio(aac, &[0x11, 0x90])), None).unwrap();
        let Part::Tables(tables) = &segment.parts[0] else {
            panic!()
        };
        // Apple's: program map entries of 0xdb with `zavc`, and of 0xcf with `aacd` and the audio setup.
        let map = [
            &[0xdb, 0xe1, 0x00, 0xf0, 6, 15, 4][..],
            b"zavc",
            &[0xcf, 0xe1, 0x01, 0xf0, 22, 15, 4],
            b"aacd",
            &[5, 14],
            b"apadzaac",
            &[0, 0, 1, 2, 0x11, 0x90],
        ]
        .concat();
        assert!(tables.windows(map.len()).any(|bytes| bytes == map));
        let framings: Vec<_> = segment
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Pes(_, pes) => Some(pes.framing),
                Part::Tables(_) | Part::Tag(_) => None,
            })
            .collect();
        assert_eq!(framings, [Framing::ProtectedAvc, Framing::ProtectedFrame]);
        for audio in [audio(AudioCodec::Eac3, &[0; 60]), audio(aac, &[0; 60])] {
            assert_eq!(
                multiplex(None, Some(&audio), None),
                Err(TsError::Protection)
            );
        }
    }
}
