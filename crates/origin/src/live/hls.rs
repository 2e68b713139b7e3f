//! Live presentations as HLS over CMAF.

use super::show::{Item, Lane, Show, date_ms};
use crate::address::child::Carried;
use crate::manifests::hls::closed_captions;
use headwater_hls as hls;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Config, Segment, Track, TrackIndex};

/// Tracks that a manifest lists.
pub(crate) type Listed<'a> = (TrackIndex, &'a Track, &'a Config);

/// The multivariant playlist of `tracks`.
///
/// `first_quality`: bit/s; the variant closest to it comes first.
pub(crate) fn multivariant(
    show: &Show,
    tracks: &[Listed<'_>],
    carried: Carried<'_>,
    audio_only: bool,
    first_quality: Option<u64>,
) -> String {
    let mut videos: Vec<(u32, hls::Video)> = Vec::new();
    let mut renditions: Vec<hls::Audio> = Vec::new();
    for (index, track, config) in tracks {
        let announced = u64::from(track.bitrate);
        let measured = show.lane(*index).bitrates();
        let (peak, average) = measured.unwrap_or((announced, announced));
        let uri = carried.media_playlist(track.bitrate, &track.name);
        match track.kind {
            Kind::Video => videos.push((
                track.bitrate,
                hls::Video {
                    uri,
                    codec: config.codec.clone(),
                    peak_bitrate: peak.max(announced),
                    average_bitrate: average,
                    resolution: Some((config.width, config.height)),
                    frame_rate: None,
                    range: hls::VideoRange::Sdr,
                },
            )),
            Kind::Audio => {
                let count = renditions.len().saturating_add(1);
                renditions.push(hls::Audio {
                    uri,
                    codec: config.codec.clone(),
                    peak_bitrate: peak.max(announced),
                    average_bitrate: average,
                    name: match count {
                        1 => "Audio".to_owned(),
                        count => format!("Audio ({count})"),
                    },
                    language: None,
                    channels: Some(config.channels),
                    default: count == 1,
                    characteristics: None,
                });
            }
        }
    }
    videos.sort_by_key(|(bitrate, _)| std::cmp::Reverse(*bitrate));
    if let Some(wanted) = first_quality {
        let closest = videos.iter().enumerate();
        let closest = closest.min_by_key(|(_, (rate, _))| u64::from(*rate).abs_diff(wanted));
        if let Some(front) = closest
            .map(|(at, _)| at)
            .and_then(|at| videos.get_mut(..=at))
        {
            front.rotate_right(1);
        }
    }
    let group = (!renditions.is_empty()).then(|| hls::AudioGroup {
        id: "audio".to_owned(),
        renditions,
    });
    hls::Multivariant {
        version: hls::version::INIT_SEGMENTS,
        videos: videos.into_iter().map(|(_, video)| video).collect(),
        audio_groups: group.into_iter().collect(),
        audio_place: hls::AudioPlace::Renditions,
        subtitles: Vec::new(),
        images: Vec::new(),
        captions: closed_captions(show.captions),
        key_frames: Vec::new(),
        audio_only_variants: audio_only,
        independent: true,
        session_keys: Vec::new(),
    }
    .write()
}

/// The media playlist of one of `tracks`.
pub(crate) fn media_playlist(
    show: &Show,
    (index, track): (TrackIndex, &Track),
    tracks: &[Listed<'_>],
    carried: Carried<'_>,
    skip: hls::Skip,
) -> String {
    let lane = show.lane(index);
    let parts_ms = show.part_ms.filter(|_| !show.ended);
    let uris = Uris {
        carried,
        name: &track.name,
        with_parts: parts_ms.is_some(),
    };
    let first = lane.items.first().map(|item| item.row.number);
    let first = first.unwrap_or(lane.next_number);
    let target_ms = u64::from(show.interval_ms);
    hls::LivePlaylist {
        timescale: lane.scale,
        first_number: first,
        discontinuity_sequence: show.timeline.discontinuity_sequence(first),
        target_duration: target_ms.div_ceil(1000),
        segments: uris.segments(show, &lane),
        low_latency: parts_ms.map(|ms| uris.low_latency(show, &lane, tracks, ms)),
        ended: show.ended,
        independent: true,
    }
    .write(skip)
}

struct Uris<'a> {
    carried: Carried<'a>,
    name: &'a str,
    with_parts: bool,
}

impl Uris<'_> {
    fn segments(&self, show: &Show, lane: &Lane<'_>) -> Vec<hls::LiveSegment> {
        let (_, prefix, suffix) = self.carried.hls_segments(self.name);
        // A gap needs the init segment of its neighbours.
        let mut config = lane
            .items
            .iter()
            .find_map(|item| item.segment)
            .map_or(0, |segment| segment.config);
        let segments = lane.items.iter().map(|item| {
            let Item {
                row,
                segment,
                start,
                duration,
            } = item;
            config = segment.map_or(config, |segment| segment.config);
            let name = segment.map_or(*start, |segment| segment.start);
            hls::LiveSegment {
                uri: format!("{prefix}{name}{suffix}"),
                duration: *duration,
                date_ms: date_ms(*start, lane.scale),
                discontinuity: row.discontinuity,
                gap: segment.is_none(),
                init_uri: self.carried.live_init(self.name, config),
                parts: match segment {
                    Some(segment) if self.with_parts => self.parts(row.number, segment),
                    _ => Vec::new(),
                },
            }
        });
        let mut segments: Vec<_> = segments.collect();
        if show.ended {
            while segments.last().is_some_and(|last| last.gap) {
                segments.pop();
            }
        }
        segments
    }

    fn parts(&self, number: u64, segment: &Segment) -> Vec<hls::LivePart> {
        let parts = segment.parts.iter().enumerate();
        parts
            .map(|(at, part)| hls::LivePart {
                uri: self.carried.live_part(self.name, number, at),
                duration: part.duration.into(),
                independent: part.independent,
            })
            .collect()
    }

    fn low_latency(
        &self,
        show: &Show,
        lane: &Lane<'_>,
        tracks: &[Listed<'_>],
        part_target_ms: u32,
    ) -> hls::LowLatency {
        let newest = show.newest_config(lane.track).unwrap_or(0);
        let (growing, date, config, discontinuity) = match lane.growing {
            Some((row, segment)) => (
                self.parts(row.number, segment),
                date_ms(segment.start, lane.scale),
                segment.config,
                row.discontinuity,
            ),
            None => (Vec::new(), 0, newest, false),
        };
        let others = tracks.iter().filter(|(index, _, _)| *index != lane.track);
        let reports = others.filter_map(|(index, track, _)| {
            let (number, part) = newest_part(&show.lane(*index))?;
            Some(hls::RenditionReport {
                uri: format!(
                    "../{}",
                    self.carried.media_playlist(track.bitrate, &track.name)
                ),
                last_number: number,
                last_part: Some(part),
            })
        });
        hls::LowLatency {
            part_target_ms: part_target_ms.into(),
            hint_uri: self
                .carried
                .live_part(self.name, lane.next_number, growing.len()),
            growing,
            growing_date_ms: date,
            growing_init_uri: self.carried.live_init(self.name, config),
            growing_discontinuity: discontinuity,
            reports: reports.collect(),
        }
    }
}

/// Number and part of a track's newest media.
fn newest_part(lane: &Lane<'_>) -> Option<(u64, u64)> {
    let of = |number: u64, segment: &Segment| {
        let last = segment.parts.len().checked_sub(1)?;
        Some((number, u64::try_from(last).ok()?))
    };
    let growing = lane
        .growing
        .and_then(|(row, segment)| of(row.number, segment));
    growing.or_else(|| {
        let mut items = lane.items.iter().rev();
        items.find_map(|item| of(item.row.number, item.segment?))
    })
}
