//! The Smooth Streaming manifest.
//!
//! Its times are in units of 100 ns, as those of Azure Media Services were: players that write their own movie header
//! for a decoder expect it. Every instant is converted on its own, so nothing drifts, and back to the very tick.

use super::{Beside, length, start_of, switching_sets, text, unturned_size, with_timelines};
use crate::address::{SmoothVersion, child};
use crate::codec::Decoder;
use crate::error::{Code, OriginError};
use crate::index::SegmentTime;
use crate::presentation::{Presentation, Track};
use crate::shield::Shield;
use headwater_bmff::{AudioObjectType, BoxedKind, CodecConfig, hevc};
use headwater_cmaf::index::TrackHead;
use headwater_smooth as smooth;
use headwater_time::{Rounding, Timescale, rescale};

/// Times of a track in Smooth manifests and fragments.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    track: Timescale,
    pub(crate) scale: Timescale,
}

impl Clock {
    pub(crate) fn of(head: &TrackHead) -> Self {
        Self::with(head.timescale)
    }

    /// Of a track with this timescale.
    pub(crate) fn with(track: Timescale) -> Self {
        // Of a finer scale several ticks would be one unit.
        let scale = track.max(Timescale::HUNDRED_NANOS);
        Self { track, scale }
    }

    /// What a time of the track is called.
    pub(crate) fn name(self, ticks: u64) -> u64 {
        rescale(ticks, self.track, self.scale, Rounding::HalfUp).unwrap_or(u64::MAX)
    }

    /// The time of the track that is called `name`, if one is.
    pub(crate) fn ticks(self, name: u64) -> Option<u64> {
        let ticks = rescale(name, self.scale, self.track, Rounding::HalfUp)?;
        (self.name(ticks) == name).then_some(ticks)
    }
}

/// A manifest, and the tracks that it has no place for, with why.
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) left_out: Vec<String>,
}

/// The client manifest. `segments`: those shown of every track, in the order of [`Presentation::tracks`].
///
/// Errors: 415 if the protocol has no place for any track.
pub(crate) fn manifest(
    presentation: &Presentation,
    segments: &[Vec<SegmentTime>],
    version: SmoothVersion,
    carried: child::Carried<'_>,
    shield: Option<&Shield>,
    beside: Beside<'_>,
) -> Result<Written, OriginError> {
    let tracks = with_timelines(presentation, segments);
    let zero = start_of(&tracks)?;
    let (ticks, of) = length(&tracks, &zero)?;
    let duration = rescale(
        ticks,
        of.timescale,
        Timescale::HUNDRED_NANOS,
        Rounding::Ceil,
    );
    let mut left_out = Vec::new();
    let mut found = Vec::new();
    for set in switching_sets(&tracks)? {
        let mut set = set;
        set.sort_by_key(|(track, _)| std::cmp::Reverse(track.bitrate));
        let mut stream: Option<(Vec<smooth::Chunk>, Vec<smooth::Level>, &Track)> = None;
        for (track, timeline) in set {
            let head = track.head()?;
            let Some(level) = level(track.bitrate, head) else {
                left_out.push(format!(
                    "{}: Smooth Streaming does not carry {}",
                    track.name, head.codec
                ));
                continue;
            };
            let chunks = chunks(timeline, Clock::of(head));
            match &mut stream {
                None => stream = Some((chunks, vec![level], track)),
                Some((known, levels, _)) if alike(known, &chunks) => {
                    levels.push(level);
                    // The last one ends with its last picture, of which a slower level has fewer.
                    if let (Some(known), Some(last)) = (known.last_mut(), chunks.last()) {
                        known.duration = known.duration.max(last.duration);
                    }
                }
                Some(_) => left_out.push(format!(
                    "{} at {}: its fragments are not those of the other levels",
                    track.name, track.bitrate
                )),
            }
        }
        found.extend(stream);
    }
    let mut streams: Vec<smooth::Stream<'_>> = found
        .iter()
        .map(|(chunks, levels, track)| stream(chunks, levels.clone(), track, carried))
        .collect::<Result<_, _>>()?;
    if streams.is_empty() {
        return Err(OriginError::new(
            Code::FormatNotSupported,
            "the asset has no track that Smooth Streaming carries",
        ));
    }
    let text_chunks = beside.text.map(|cut| {
        let clock = Clock::of(cut.grid.head);
        (chunks(cut.segments, clock), clock.scale)
    });
    if let Some((chunks, scale)) = &text_chunks {
        let texts = presentation.texts.iter();
        streams.extend(texts.map(|t| text::stream(t, (chunks, *scale), carried)));
    }
    let protection = match shield {
        None => None,
        Some(shield) => {
            let heads: Result<Vec<_>, _> = presentation.tracks().map(Track::head).collect();
            shield.smooth(heads?)?
        }
    };
    let manifest = smooth::Manifest {
        version: match version {
            SmoothVersion::V20 => smooth::Version::V20,
            SmoothVersion::V22 => smooth::Version::V22,
        },
        timescale: Timescale::HUNDRED_NANOS,
        duration: duration.unwrap_or(u64::MAX),
        live: None,
        protection,
        streams,
        sparse: Vec::new(),
    };
    Ok(Written {
        text: manifest.write(),
        left_out,
    })
}

pub(crate) fn chunks(timeline: &[SegmentTime], clock: Clock) -> Vec<smooth::Chunk> {
    let chunks = timeline.iter().map(|segment| {
        let start = clock.name(segment.start);
        let end = clock.name(segment.start.saturating_add(segment.duration));
        smooth::Chunk {
            start,
            duration: end.saturating_sub(start),
        }
    });
    chunks.collect()
}

/// Whether fragments begin at the same times, and all but the last are as long.
fn alike(one: &[smooth::Chunk], other: &[smooth::Chunk]) -> bool {
    match (one.split_last(), other.split_last()) {
        (Some((last, before)), Some((others_last, before_others))) => {
            last.start == others_last.start && before == before_others
        }
        (one, other) => one == other,
    }
}

fn stream<'a>(
    chunks: &'a [smooth::Chunk],
    levels: Vec<smooth::Level>,
    track: &Track,
    carried: child::Carried<'_>,
) -> Result<smooth::Stream<'a>, OriginError> {
    let head = track.head()?;
    Ok(smooth::Stream {
        name: track.name.clone(),
        media: match unturned_size(head) {
            Some(display) => smooth::Media::Video { display },
            None => smooth::Media::Audio,
        },
        language: track.language.clone(),
        title: track.title.clone(),
        describes_video: track.describes_video,
        url: carried.smooth_url(&track.name),
        timescale: Clock::of(head).scale,
        chunks,
        levels,
    })
}

/// The level that a track is; `None` if the protocol does not carry it.
pub(crate) fn level(bitrate: u32, head: &TrackHead) -> Option<smooth::Level> {
    let audio = |four_cc, tag, private_data| smooth::Level::Audio {
        bitrate,
        four_cc,
        tag,
        sample_rate: head.sample_rate,
        channels: head.channels,
        private_data,
    };
    match Decoder::of(head)?.config {
        CodecConfig::Avc(avc) => {
            let sets = avc.sps.iter().chain(&avc.pps).map(Vec::as_slice);
            Some(smooth::Level::Video {
                bitrate,
                four_cc: "H264",
                size: (head.width.into(), head.height.into()),
                private_data: smooth::video_private_data(sets),
                nal_length_size: avc.nal_length_size,
            })
        }
        CodecConfig::Boxed(codec) if codec.kind == BoxedKind::Hevc => {
            let sets = hevc::parameter_sets(&codec.config)?.into_iter();
            Some(smooth::Level::Video {
                bitrate,
                four_cc: match &codec.sample_entry.0 {
                    b"hev1" => "hev1",
                    _ => "hvc1",
                },
                size: (head.width.into(), head.height.into()),
                private_data: smooth::video_private_data(
                    sets.filter(|nal| hevc::is_parameter_set(nal)),
                ),
                nal_length_size: hevc::nal_length_size(&codec.config)?,
            })
        }
        CodecConfig::Aac(aac) => {
            let four_cc = match aac.object_type {
                AudioObjectType::Lc => "AACL",
                AudioObjectType::He | AudioObjectType::HeV2 => "AACH",
            };
            Some(audio(four_cc, 255, smooth::aac_private_data(&aac.asc)))
        }
        CodecConfig::Boxed(codec) if codec.kind == BoxedKind::Eac3 => {
            let private_data = smooth::eac3_private_data(codec.speakers()?, &codec.config);
            Some(audio("EC-3", 65_534, private_data))
        }
        _ => None,
    }
}
