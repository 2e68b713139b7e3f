//! Live presentations and their recordings as HLS.

use super::cues::{Breaks, date_ranges};
use super::media;
use super::runs::{Media, Run};
use super::show::{Lane, Show, date_ms};
use crate::address::child::Carried;
use crate::address::{Format, TsVersion};
use crate::error::{Code, OriginError};
use crate::manifests::audio::{Sound, audio_groups, lone_tracks};
use crate::manifests::hls::{closed_captions, says_independent, version, video_range};
use crate::manifests::text;
use crate::presentation::TextTrack;
use crate::shield::Shield;
use crate::transport;
use headwater_cmaf::index::pictures_of;
use headwater_hls as hls;
use headwater_live::cue::ID3_SCHEME;
use headwater_live::group::RowsPerSegment;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Config, Segment, Track, TrackIndex, clock_of_ticks};
use headwater_protect::Period;
use headwater_protect::hls::KeyTag;

/// Tracks that a manifest lists.
pub(crate) type Listed<'a> = (TrackIndex, &'a Track, &'a Config);

/// What playlists are made for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) format: Format,
    pub(crate) carried: Carried<'a>,
    pub(crate) shield: Option<&'a Shield>,
    pub(crate) audio_only: bool,
    /// bit/s; the variant closest to it comes first.
    pub(crate) first_quality: Option<u64>,
    /// The I-frame playlist.
    pub(crate) key_frames: bool,
}

/// The multivariant playlist of `tracks` and `texts`. Where sound is in the segments of the pictures, they have only that which is.
///
/// Errors: as those of [`Shield`]; 404 while no segment of several rows is whole.
pub(crate) fn multivariant(
    show: &Show,
    (tracks, texts): (&[Listed<'_>], &[TextTrack]),
    asked: Asked<'_>,
) -> Result<String, OriginError> {
    let mut videos: Vec<(u32, hls::Video)> = Vec::new();
    let mut sounds: Vec<Sound<'_>> = Vec::new();
    let mut key_frames: Vec<(u32, hls::KeyFrames)> = Vec::new();
    let mut heads = Vec::new();
    let mut to_come = show.rows_per_segment != RowsPerSegment::ONE;
    for (index, track, config) in tracks {
        let head = media::head(track, config);
        let announced = u64::from(track.bitrate);
        let lane = show.lane(*index);
        to_come = to_come && show.is_to_come(&show.runs(&lane));
        let measured = lane.bitrates(show.rows_per_segment);
        let (peak, average) = measured.unwrap_or((announced, announced));
        let (peak_bitrate, average_bitrate) = match asked.format {
            Format::HlsTs(_) => {
                let overhead = transport::overhead(&head);
                let on = |rate: u64| overhead.on(u32::try_from(rate).unwrap_or(u32::MAX));
                let peak = on(peak.max(announced)).saturating_add(tags_bitrate(show));
                (peak, on(average))
            }
            _ => (peak.max(announced), average),
        };
        heads.push(head);
        let uri = asked.carried.media_playlist(track.bitrate, &track.name);
        match track.kind {
            Kind::Video => {
                let pictures = pictures_of(&config.init);
                let (supplemental, range) =
                    (pictures.supplemental_codec, video_range(pictures.range));
                if asked.format != Format::HlsTs(TsVersion::V3) {
                    let carried = asked.carried;
                    key_frames.push((
                        track.bitrate,
                        hls::KeyFrames {
                            uri: carried.key_frame_playlist(track.bitrate, &track.name),
                            // What is shown of a segment is a part of it, and is shown as long.
                            peak_bitrate,
                            codec: config.codec.clone(),
                            supplemental_codec: supplemental.clone(),
                            resolution: Some((config.width, config.height)),
                            range,
                        },
                    ));
                }
                videos.push((
                    track.bitrate,
                    hls::Video {
                        uri,
                        codec: config.codec.clone(),
                        supplemental_codec: supplemental,
                        peak_bitrate,
                        average_bitrate,
                        resolution: Some((config.width, config.height)),
                        frame_rate: pictures.frame_rate,
                        range,
                    },
                ));
            }
            Kind::Audio => sounds.push(Sound {
                uri,
                name: &track.name,
                bitrate: track.bitrate,
                codec: &config.codec,
                channels: config.channels,
                // Sound comes in as AAC or Opus.
                objects: 0,
                peak_bitrate,
                average_bitrate,
                language: media::language(track),
                title: None,
                describes_video: false,
                default: false,
                characteristics: None,
                place: 0,
            }),
        }
    }
    if to_come {
        return Err(not_yet());
    }
    videos.sort_by_key(|(bitrate, _)| std::cmp::Reverse(*bitrate));
    if let Some(wanted) = asked.first_quality {
        let closest = videos.iter().enumerate();
        let closest = closest.min_by_key(|(_, (rate, _))| u64::from(*rate).abs_diff(wanted));
        if let Some(front) = closest
            .map(|(at, _)| at)
            .and_then(|at| videos.get_mut(..=at))
        {
            front.rotate_right(1);
        }
    }
    let muxed = asked.format == Format::HlsTs(TsVersion::V3);
    key_frames.sort_by_key(|(bitrate, _)| std::cmp::Reverse(*bitrate));
    let session_keys = match asked.shield {
        // Those that players begin with.
        Some(shield) => shield.at(show.begins_playing()).hls_session(&heads)?,
        None => Vec::new(),
    };
    let keys_version = match session_keys.is_empty() {
        true => 0,
        // Of their formats.
        false => hls::version::KEY_FORMATS,
    };
    Ok(hls::Multivariant {
        version: version(asked.format).max(keys_version),
        videos: videos.into_iter().map(|(_, video)| video).collect(),
        audio_groups: match muxed {
            true => lone_tracks(&sounds),
            false => audio_groups(&sounds),
        },
        audio_place: match muxed {
            true => hls::AudioPlace::WithVideo,
            false => hls::AudioPlace::Renditions,
        },
        subtitles: text::subtitles(texts, asked.format, asked.carried),
        images: Vec::new(),
        captions: closed_captions(show.captions),
        key_frames: key_frames.into_iter().map(|(_, frames)| frames).collect(),
        audio_only_variants: asked.audio_only,
        independent: says_independent(asked.format),
        session_keys,
    }
    .write())
}

/// What a segment's tags add to it at most, bit/s: as few as they are, they fill sixteen packets.
fn tags_bitrate(show: &Show) -> u64 {
    let mut schemes = show.timeline.schemes.iter();
    if !schemes.any(|(scheme, _)| scheme == ID3_SCHEME) {
        return 0;
    }
    let bits = u64::try_from(headwater_ts::PACKET_LEN)
        .unwrap_or(0)
        .saturating_mul(16 * 8 * 1000);
    bits.checked_div(show.interval_ms.into()).unwrap_or(0)
}

fn not_yet() -> OriginError {
    OriginError::new(
        Code::NotYetAvailable,
        "no segment of the presentation is whole yet",
    )
}

/// The media playlist of one of `tracks`. `with`: the sound that is in its segments.
///
/// Errors: as those of [`Shield`]; 404 while no segment of several rows is whole.
pub(crate) fn media_playlist(
    show: &Show,
    (index, track): (TrackIndex, &Track),
    tracks: &[Listed<'_>],
    with: Option<&Listed<'_>>,
    (asked, skip): (Asked<'_>, hls::Skip),
) -> Result<String, OriginError> {
    let mut lane = show.lane(index);
    if let Some((sound, _, _)) = with
        && !show.ended
    {
        // A segment is there when its sound is, or is known to be missing.
        let there = show.lane(*sound).next_number;
        lane.items.retain(|item| item.row.number < there);
        lane.next_number = lane.next_number.min(there);
    }
    let parts_ms = show.part_ms.filter(|_| !show.ended);
    let runs = show.runs(&lane);
    if show.is_to_come(&runs) {
        return Err(not_yet());
    }
    let covers = covers(&lane, &runs, asked.shield);
    let (keys, keys_version) = keys(track, with, &covers, asked)?;
    let uris = Uris {
        carried: asked.carried,
        name: &track.name,
        shield: asked.shield,
        covers: &covers,
        with_parts: parts_ms.is_some(),
        with_init: asked.format == Format::HlsCmaf,
        key_frames: asked.key_frames,
    };
    let first = lane.items.first().map(|item| item.row.number);
    let first = first.unwrap_or(lane.next_number);
    let target_ms = u64::from(show.segment_ms());
    Ok(hls::LivePlaylist {
        version: match asked.format {
            Format::HlsCmaf => hls::version::GAPS,
            other => version(other),
        }
        .max(keys_version),
        keys,
        timescale: lane.scale,
        first_number: show.timeline.segment_number(first, show.rows_per_segment),
        discontinuity_sequence: show.timeline.discontinuity_sequence(first),
        target_duration: target_ms.div_ceil(1000),
        deltas: asked.format == Format::HlsCmaf,
        segments: uris.segments(show, &lane, &runs),
        low_latency: parts_ms.map(|ms| uris.low_latency(show, &lane, tracks, ms)),
        ended: show.ended,
        independent: says_independent(asked.format),
        key_frames: asked.key_frames,
        date_ranges: date_ranges(show),
    }
    .write(skip))
}

/// What decides on the key and the init segment of a segment: configuration, and period where keys rotate.
type Cover = (u16, Option<Period>);

fn cover(segment: &Segment, clock: i64, shield: Option<&Shield>) -> Cover {
    let period = shield.and_then(|shield| shield.period(clock));
    (segment.config, period)
}

/// Those of a playlist, in order of appearance, each once.
fn covers(lane: &Lane<'_>, runs: &[Run<'_, '_>], shield: Option<&Shield>) -> Vec<Cover> {
    let media = runs.iter().filter_map(Run::media);
    let media = media.map(|media| cover(media.first, media.clock, shield));
    let growing = lane.growing;
    let growing = growing.map(|(row, segment)| cover(segment, row.start, shield));
    let mut all: Vec<Cover> = Vec::new();
    for cover in media.chain(growing) {
        // Changes are few and most often at the end.
        if !all.iter().rev().any(|known| *known == cover) {
            all.push(cover);
        }
    }
    all
}

/// What a track's segments are under, one for each of `covers`, and the version that takes.
fn keys(
    track: &Track,
    with: Option<&Listed<'_>>,
    covers: &[Cover],
    asked: Asked<'_>,
) -> Result<(Vec<hls::LiveKeys>, u8), OriginError> {
    let Some(shield) = asked.shield else {
        return Ok((Vec::new(), 0));
    };
    let sound = with.map(|(_, track, config)| media::head(track, config));
    let mut least = 0;
    let mut all = Vec::with_capacity(covers.len());
    for (config, period) in covers {
        let config = track
            .configs
            .get(usize::from(*config))
            .ok_or_else(|| OriginError::new(Code::Internal, "a track has lost an init segment"))?;
        let shield = shield.in_period(*period);
        let own = media::head(track, config);
        let heads = std::iter::once(&own).chain(&sound);
        let tags = match shield.key_of(heads)? {
            Some(key) => shield.hls(key)?,
            None => Vec::new(),
        };
        least = tags.iter().map(KeyTag::version).fold(least, u8::max);
        all.push(hls::LiveKeys {
            lines: tags.iter().map(KeyTag::key_line).collect(),
            cover_init: shield.samples().is_some(),
        });
    }
    Ok((all, least))
}

struct Uris<'a> {
    carried: Carried<'a>,
    name: &'a str,
    shield: Option<&'a Shield>,
    covers: &'a [Cover],
    with_parts: bool,
    with_init: bool,
    key_frames: bool,
}

impl Uris<'_> {
    fn init(&self, (config, period): Cover) -> Option<String> {
        // Init segments of whole encrypted segments name no key.
        let named = |shield: &Shield| shield.samples().is_some();
        let period = period.filter(|_| self.shield.is_some_and(named));
        let uri = || self.carried.live_init(self.name, config, period);
        self.with_init.then(uri)
    }

    /// The index of its keys.
    fn keys(&self, cover: Cover) -> usize {
        let mut covers = self.covers.iter();
        covers
            .position(|known| *known == cover)
            .unwrap_or(usize::MAX)
    }

    fn segments(
        &self,
        show: &Show,
        lane: &Lane<'_>,
        runs: &[Run<'_, '_>],
    ) -> Vec<hls::LiveSegment> {
        let names = match self.key_frames {
            true => self.carried.live_key_frames(self.name),
            false => self.carried.live_segments(self.name),
        };
        // A gap needs the init segment of its neighbours.
        let mut cover = self.covers.first().copied().unwrap_or((0, None));
        let mut keys = 0;
        let breaks = Breaks::of(&show.timeline.cues);
        let segments = runs.iter().map(|run| {
            let (start, duration, media) = (run.start(), run.duration(), run.media());
            let own = media.map(|media| self::cover(media.first, media.clock, self.shield));
            if let Some(own) = own.filter(|own| *own != cover) {
                (cover, keys) = (own, self.keys(own));
            }
            let shown = |media: &Media<'_>| !self.key_frames || begins_with_key_frame(media.first);
            let media = media.filter(shown);
            hls::LiveSegment {
                uri: match media {
                    Some(media) => names.uri(media.first.start, media.rows),
                    None => names.uri(start, 1),
                },
                duration,
                date_ms: date_ms(start, lane.scale),
                discontinuity: run.discontinuity(),
                gap: media.is_none(),
                init_uri: self.init(cover),
                keys,
                cues: breaks.at(
                    clock_of_ticks(start, lane.scale),
                    clock_of_ticks(start.saturating_add(duration), lane.scale),
                ),
                parts: match media {
                    Some(media) if self.with_parts => self.parts(run.number, media.first),
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
        let newest = self.covers.last().copied().unwrap_or((0, None));
        let (growing, date, cover, discontinuity) = match lane.growing {
            Some((row, segment)) => (
                self.parts(row.number, segment),
                date_ms(segment.start, lane.scale),
                cover(segment, row.start, self.shield),
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
            growing_init_uri: self.init(cover),
            growing_keys: self.keys(cover),
            growing_discontinuity: discontinuity,
            reports: reports.collect(),
        }
    }
}

/// Encoders that leave key frames out have segments without.
pub(super) fn begins_with_key_frame(segment: &Segment) -> bool {
    segment.parts.first().is_some_and(|part| part.independent)
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
