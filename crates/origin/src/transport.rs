//! HLS over MPEG-2 TS: what can be carried, which fragments make a segment, and the plans of segments.

use crate::codec::Decoder;
use crate::error::{Code, OriginError};
use crate::segments::cut;
use headwater_bmff::sps::Sps;
use headwater_bmff::{AacConfig, AvcConfig, CodecConfig};
use headwater_cmaf::index::{SegmentEntry, SegmentSamples, TrackHead, TrackKind};
use headwater_plan::{Packetise, Piece, PlanError, SampleKey, Source};
use headwater_protect::sample_aes::ac3_setup;
use headwater_time::{Rounding, rescale};
use headwater_ts as ts;
use std::ops::Range;

/// Fragments to a segment where the server manifest does not say: three of two seconds.
const FRAGMENTS: u32 = 3;
/// Most fragments to a segment, whatever the server manifest says.
const MAX_FRAGMENTS: u32 = 16;
/// Longest segment that they make together, seconds.
const SEGMENT_SECONDS: u64 = 6;

/// How a track is carried.
pub(crate) enum Carriage {
    Video {
        parameters: ts::ParameterSets,
        /// See [`ts::Video::reordering`].
        reordering: u32,
        /// See [`Decoder::delay`].
        delay: u64,
    },
    Audio {
        codec: ts::AudioCodec,
        /// What is said of it when it is encrypted; `None` if that cannot be.
        setup: Option<Vec<u8>>,
    },
}

/// How `head` is carried. Errors: for the log, why it cannot be.
pub(crate) fn carriage(head: &TrackHead) -> Result<Carriage, String> {
    let (config, delay) = match Decoder::of(head) {
        Some(decoder) => (Some(decoder.config), decoder.delay),
        None => (None, 0),
    };
    match (config, head.codec.as_str()) {
        (Some(CodecConfig::Avc(avc)), _) if avc.nal_length_size == 4 => Ok(Carriage::Video {
            parameters: ts::ParameterSets::new(avc.sps.iter().chain(&avc.pps).map(Vec::as_slice)),
            reordering: match delay {
                0 => reordering(&avc, head),
                // Pictures are shown late already.
                _ => 0,
            },
            delay,
        }),
        (Some(CodecConfig::Avc(_)), _) => {
            Err("MPEG-2 TS does not carry H.264 with short NAL lengths".to_owned())
        }
        (Some(CodecConfig::Aac(aac)), _) => adts(&aac)
            .map(|adts| Carriage::Audio {
                codec: ts::AudioCodec::Aac(adts),
                setup: Some(aac.asc.clone()),
            })
            .ok_or_else(|| "ADTS has no words for this AAC configuration".to_owned()),
        (config, "ac-3") => Ok(Carriage::Audio {
            codec: ts::AudioCodec::Ac3,
            setup: match config {
                Some(CodecConfig::Boxed(boxed)) => ac3_setup(&boxed.config).map(Vec::from),
                _ => None,
            },
        }),
        (config, "ec-3") => Ok(Carriage::Audio {
            codec: ts::AudioCodec::Eac3,
            setup: match config {
                Some(CodecConfig::Boxed(boxed)) => Some(boxed.config.clone()),
                _ => None,
            },
        }),
        (_, codec) => Err(format!("MPEG-2 TS of HLS does not carry {codec}")),
    }
}

/// Whether `head` is carried.
pub(crate) fn carries(head: &TrackHead) -> bool {
    carriage(head).is_ok()
}

/// Ticks that the stream's decoder holds pictures back at most. Without a word of the stream on it, as many frames as it
/// has references.
fn reordering(avc: &AvcConfig, head: &TrackHead) -> u32 {
    let sps = avc.sps.first().and_then(|sps| Sps::parse(sps));
    let frames = sps.map_or(0, |sps| {
        sps.reordering.unwrap_or(sps.max_num_ref_frames.min(16))
    });
    let (rate, per) = head.frame_rate;
    let ticks = u64::from(frames)
        .saturating_mul(per.into())
        .saturating_mul(head.timescale.get().into());
    let ticks = match rate {
        0 => 0,
        rate => ticks.div_ceil(rate.into()),
    };
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// `AudioSpecificConfig`, as far as ADTS repeats it (ISO/IEC 14496-3 §1.6.2.1).
fn adts(aac: &AacConfig) -> Option<ts::Adts> {
    let word = aac.asc.iter().take(8).chain(std::iter::repeat(&0)).take(8);
    let bits = word.fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
    let field = |at: u32, len: u32| {
        bits.checked_shl(at)
            .and_then(|b| b.checked_shr(64_u32.saturating_sub(len)))
    };
    if field(0, 5)? == 31 {
        return None;
    }
    // An index of 15 is followed by the rate itself.
    let behind = if field(5, 4)? == 15 { 33 } else { 9 };
    ts::Adts::new(aac.core_sample_rate, u8::try_from(field(behind, 4)?).ok()?)
}

/// What a container adds to a track: bytes of every 184, and bit/s.
pub(crate) struct Overhead {
    packets: u64,
    bitrate: u64,
}

impl Overhead {
    pub(crate) const NONE: Self = Self {
        packets: 184,
        bitrate: 0,
    };

    /// The bit rate with it.
    pub(crate) fn on(&self, bitrate: u32) -> u64 {
        let with = u64::from(bitrate).saturating_add(self.bitrate);
        with.saturating_mul(self.packets)
            .checked_div(184)
            .unwrap_or_default()
    }
}

/// Bytes of a PES packet that are not samples: its header, delimiters, a PCR, and what stays empty of a packet, which is half of
/// it on average; a little more, as what is announced is no less than what is sent.
const VIDEO_PACKET_BYTES: u64 = 19 + 6 + 8 + 104;
const AUDIO_PACKET_BYTES: u64 = 14 + 8 + 104;
/// PES packets of audio in a second, and frames that have a header each.
const AUDIO_PACKETS: u64 = 10;
const AUDIO_FRAME_BYTES: u64 = 7;
/// What every fragment begins with: two packets of tables, and parameter sets of pictures.
const TABLE_BYTES: u64 = 2 * 184;
const PARAMETER_BYTES: u64 = 128;

/// What MPEG-2 TS adds.
pub(crate) fn overhead(head: &TrackHead) -> Overhead {
    let bytes = match head.kind {
        TrackKind::Video => {
            let (frames, seconds) = head.frame_rate;
            let rate = u64::from(frames).div_ceil(u64::from(seconds).max(1));
            rate.saturating_mul(VIDEO_PACKET_BYTES)
        }
        TrackKind::Audio => {
            let frames = u64::from(head.sample_rate).div_ceil(1024);
            let headers = frames.saturating_mul(AUDIO_FRAME_BYTES);
            AUDIO_PACKETS
                .saturating_mul(AUDIO_PACKET_BYTES)
                .saturating_add(headers)
        }
        // Carried in files of its own.
        TrackKind::Text => 0,
    };
    let opening = match head.kind {
        TrackKind::Video => TABLE_BYTES + PARAMETER_BYTES,
        TrackKind::Audio => TABLE_BYTES,
        TrackKind::Text => 0,
    };
    // In a second; of what is live, one.
    let openings = opening
        .saturating_mul(head.segment_count.into())
        .saturating_mul(head.timescale.get().into())
        .checked_div(head.duration)
        .unwrap_or(opening);
    Overhead {
        packets: 188,
        bitrate: bytes.saturating_add(openings).saturating_mul(8),
    }
}

/// Fragments to a segment of `head`. `stated`: by the server manifest.
pub(crate) fn fragments_per_hls_segment(head: &TrackHead, stated: Option<u32>) -> u32 {
    if let Some(stated) = stated.filter(|n| *n > 0) {
        return stated.min(MAX_FRAGMENTS);
    }
    // A group of pictures that is longer than usual need not be multiplied. A twentieth is for rounding.
    let most = u64::from(head.timescale.get()).saturating_mul(SEGMENT_SECONDS * 21 / 20);
    let average = head
        .duration
        .checked_div(head.segment_count.into())
        .unwrap_or_default();
    let fit = most.checked_div(average).unwrap_or(FRAGMENTS.into());
    u32::try_from(fit).unwrap_or(FRAGMENTS).clamp(1, FRAGMENTS)
}

/// Joins fragments to segments of `count`, by their number, so that a filter does not move them. `fragments`: in order.
pub(crate) fn grouped(fragments: &[SegmentEntry], count: u32) -> Vec<&[SegmentEntry]> {
    let group = |entry: &SegmentEntry| entry.number.checked_div(count).unwrap_or_default();
    fragments.chunk_by(|a, b| group(a) == group(b)).collect()
}

/// The same, but no segment spans a gap: what is behind one is in another segment.
pub(crate) fn unbroken(fragments: &[SegmentEntry], count: u32) -> Vec<&[SegmentEntry]> {
    let groups = grouped(fragments, count).into_iter();
    groups
        .flat_map(|group| group.chunk_by(|a, b| !is_gap(a, b)))
        .collect()
}

/// Whether something is missing between a fragment and the one behind it.
pub(crate) fn is_gap(entry: &SegmentEntry, next: &SegmentEntry) -> bool {
    entry.start.saturating_add(entry.duration) < next.start
}

/// A fragment's samples, with their times, for the multiplexer. The tables are in front of it.
pub(crate) fn fragment(
    entry: &SegmentEntry,
    samples: &SegmentSamples,
    carriage: &Carriage,
) -> ts::Fragment {
    let start = i64::try_from(entry.start).unwrap_or(i64::MAX);
    let mut decode = start.saturating_sub(carriage.delay());
    let samples = samples.samples.iter().map(|sample| {
        let at = decode;
        decode = decode.saturating_add(sample.duration.into());
        ts::Sample {
            size: sample.size,
            becomes: sample.size,
            decode: at,
            present: at.saturating_add(sample.cto.into()),
            sync: sample.sync,
        }
    });
    ts::Fragment {
        number: Some(entry.number),
        samples: samples.collect(),
    }
}

/// Seconds of sound before the first picture and after the last that go with them. Sound that has no pictures for longer has
/// no place in a stream that is made of those.
const AUDIO_MARGIN_SECONDS: u64 = 10;

/// A segment of video, for its audio.
pub(crate) struct Span {
    /// Ticks of the video.
    pub(crate) time: Range<u64>,
    /// It is the first of the track.
    pub(crate) first: bool,
    /// It is the last.
    pub(crate) last: bool,
}

/// The part of an audio track that goes with a segment of video, ticks of the audio: from the first frame at or after its
/// start to that of the next one.
pub(crate) fn audio_span(span: &Span, video: &TrackHead, audio: &TrackHead) -> Range<u64> {
    let margin = |at_edge: bool| {
        let ticks = u64::from(video.timescale.get()).saturating_mul(AUDIO_MARGIN_SECONDS);
        if at_edge { ticks } else { 0 }
    };
    let at = |ticks| {
        rescale(ticks, video.timescale, audio.timescale, Rounding::Ceil).unwrap_or(u64::MAX)
    };
    let start = span.time.start.saturating_sub(margin(span.first));
    let end = span.time.end.saturating_add(margin(span.last));
    at(start)..at(end)
}

/// The frames of `fragment` that start in `span`, and where their bytes are in `ranges`.
pub(crate) fn in_span(
    fragment: ts::Fragment,
    ranges: &[Range<u64>],
    span: &Range<u64>,
) -> (ts::Fragment, Vec<Range<u64>>) {
    let inside = |sample: &ts::Sample| {
        let at = u64::try_from(sample.present).unwrap_or_default();
        span.contains(&at)
    };
    let bytes = |samples: &mut dyn Iterator<Item = &ts::Sample>| {
        samples.fold(0_u64, |sum, s| sum.saturating_add(s.size.into()))
    };
    let mut rest = fragment.samples.iter();
    let before = rest.by_ref().take_while(|s| !inside(s)).count();
    let from = bytes(&mut fragment.samples.iter().take(before));
    let samples: Vec<ts::Sample> = fragment
        .samples
        .iter()
        .skip(before)
        .take_while(|s| inside(s))
        .copied()
        .collect();
    let to = from.saturating_add(bytes(&mut samples.iter()));
    let kept = ts::Fragment {
        number: fragment.number,
        samples,
    };
    (kept, cut(ranges, from..to))
}

/// A stream of a segment: its samples, and where their bytes are.
pub(crate) struct Elementary {
    pub(crate) fragments: Vec<ts::Fragment>,
    pub(crate) sources: Vec<Source>,
}

impl Carriage {
    /// Ticks that presentation times are ahead of the presentation.
    fn delay(&self) -> i64 {
        match self {
            Self::Video { delay, .. } => i64::try_from(*delay).unwrap_or(i64::MAX),
            Self::Audio { .. } => 0,
        }
    }
}

impl Elementary {
    /// Leaves the first sample.
    pub(crate) fn keep_first(&mut self) {
        self.fragments.truncate(1);
        let mut left = 0;
        if let Some(fragment) = self.fragments.first_mut() {
            fragment.samples.truncate(1);
            left = fragment.samples.first().map_or(0, |s| u64::from(s.size));
        }
        for Source { range, .. } in &mut self.sources {
            range.end = range.end.min(range.start.saturating_add(left));
            left = left.saturating_sub(range.end.saturating_sub(range.start));
        }
        self.sources.retain(|source| !source.range.is_empty());
    }

    fn sources(&self) -> Vec<Source> {
        let sources = self.sources.iter();
        let filled = sources.filter(|source| source.range.start < source.range.end);
        filled.cloned().collect()
    }
}

/// Whether a track's samples can be encrypted in a transport stream. Errors: for the log, why they cannot.
pub(crate) fn encryptable(head: &TrackHead) -> Result<(), String> {
    match carriage(head)? {
        Carriage::Video { .. } | Carriage::Audio { setup: Some(_), .. } => Ok(()),
        Carriage::Audio { setup: None, .. } => Err(format!(
            "{} cannot be encrypted sample by sample in MPEG-2 TS",
            head.codec
        )),
    }
}

/// What encrypted samples have to do with a segment's layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Samples {
    Clear,
    Encrypted,
}

/// A segment's tracks, laid out. `tags`: its metadata stream, if it has one.
///
/// Errors: 415 if a sample has no place in a transport stream.
pub(crate) fn lay_out(
    tracks: &[(&TrackHead, &Carriage, &[ts::Fragment])],
    samples: Samples,
    tags: Option<&[ts::Tag<'_>]>,
) -> Result<ts::Segment, OriginError> {
    let encrypted = samples == Samples::Encrypted;
    let (mut video, mut audio) = (None, None);
    for (head, carriage, fragments) in tracks {
        match carriage {
            Carriage::Video {
                parameters,
                reordering,
                ..
            } => {
                video = Some(ts::Video {
                    parameters,
                    timescale: head.timescale,
                    reordering: *reordering,
                    fragments,
                    protected: encrypted,
                });
            }
            Carriage::Audio { codec, setup } => {
                audio = Some(ts::Audio {
                    codec: *codec,
                    timescale: head.timescale,
                    fragments,
                    setup: setup.as_deref().filter(|_| encrypted),
                });
            }
        }
    }
    ts::multiplex(video.as_ref(), audio.as_ref(), tags).map_err(|fault| {
        OriginError::new(
            Code::FormatNotSupported,
            format!("the segment cannot be made: {fault}"),
        )
    })
}

/// The step of a plan that makes `segment`.
pub(crate) fn packetise(
    segment: ts::Segment,
    video: Option<&Elementary>,
    audio: Option<&Elementary>,
    key: Option<SampleKey>,
) -> Result<Packetise, PlanError> {
    let streams = [video, audio].map(|e| e.map(Elementary::sources).unwrap_or_default());
    let pieces = segment.parts.into_iter().map(|part| match part {
        ts::Part::Tables(bytes) | ts::Part::Tag(bytes) => Piece::Packets(bytes.into()),
        ts::Part::Pes(stream, pes) => Piece::Pes {
            stream: match stream {
                ts::StreamId::Video => 0,
                ts::StreamId::Audio => 1,
            },
            pes,
        },
    });
    Packetise::new(streams.into(), pieces.collect(), key)
}
