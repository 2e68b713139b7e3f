//! Text tracks in the words of HLS, DASH and Smooth Streaming, and what carries them in each.
//!
//! | format | carried as |
//! |---|---|
//! | HLS over MPEG-2 TS, version 4 and up | WebVTT |
//! | HLS CMAF, DASH `csf` | `stpp` |
//! | DASH CMAF | `wvtt` if the file is WebVTT, else `stpp` |
//! | Smooth Streaming | TTML with times of the fragment |
//!
//! HLS of version 3 has no renditions to put text into. See ADR 20.

use super::dash::representation_id;
use super::hls::{Keys, says_independent, segment, version};
use crate::address::{Format, TsVersion, child};
use crate::index::SegmentTime;
use crate::language::display_name;
use crate::presentation::{Grid, TextTrack};
use headwater_dash as dash;
use headwater_hls as hls;
use headwater_smooth as smooth;
use headwater_text::mp4::{TTML_CODEC, WEBVTT_CODEC};
use headwater_time::Timescale;
use std::collections::HashSet;

/// What carries a text track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// WebVTT files.
    WebVtt,
    /// WebVTT in fragmented MP4.
    Wvtt,
    /// TTML in fragmented MP4.
    Stpp,
    /// TTML in fragments of Smooth Streaming.
    Smooth,
}

/// What carries `text`; `None` where nothing does.
pub(crate) fn carrier(format: Format, text: &TextTrack) -> Option<Carrier> {
    Some(match format {
        Format::HlsTs(TsVersion::V3) => return None,
        Format::HlsTs(_) => Carrier::WebVtt,
        Format::HlsCmaf | Format::DashCsf => Carrier::Stpp,
        Format::DashCmaf => match text.document.text.format() {
            headwater_text::Format::WebVtt => Carrier::Wvtt,
            headwater_text::Format::Ttml => Carrier::Stpp,
        },
        Format::Smooth(_) => Carrier::Smooth,
    })
}

/// RFC 6381 codec string.
pub(crate) fn codec(format: Format, text: &TextTrack) -> &'static str {
    match carrier(format, text) {
        None | Some(Carrier::WebVtt | Carrier::Wvtt) => WEBVTT_CODEC,
        Some(Carrier::Stpp | Carrier::Smooth) => TTML_CODEC,
    }
}

/// The subtitles of a multivariant playlist.
pub(crate) fn subtitles(
    texts: &[TextTrack],
    format: Format,
    carried: child::Carried<'_>,
) -> Vec<hls::Subtitles> {
    let mut names: HashSet<String> = HashSet::new();
    let mut has_default = false;
    let mut found = Vec::new();
    for text in texts {
        let settings = &text.settings;
        let base = name_of(text).unwrap_or("Subtitles");
        let mut name = base.to_owned();
        let mut count: u32 = 1;
        while !names.insert(name.clone()) {
            count = count.saturating_add(1);
            name = format!("{base} ({count})");
        }
        found.push(hls::Subtitles {
            uri: carried.alone().media_playlist(text.bitrate, &text.name),
            codec: codec(format, text),
            bitrate: text.bitrate.into(),
            name,
            language: text.language.clone(),
            default: settings.default && !has_default,
            forced: settings.forced,
            characteristics: settings.characteristics.clone(),
        });
        has_default |= settings.default;
    }
    found
}

/// What people call a track.
fn name_of(text: &TextTrack) -> Option<&str> {
    let language = || text.language.as_deref().and_then(display_name);
    text.settings.title.as_deref().or_else(language)
}

/// The HLS media playlist of a text track.
pub(crate) fn media_playlist(
    text: &TextTrack,
    grid: Grid<'_>,
    segments: &[SegmentTime],
    format: Format,
    carried: child::Carried<'_>,
    keys: &Keys,
) -> String {
    let (init_uri, uri_prefix, uri_suffix) = carried.text_segments(&text.name);
    let init_uri = match format {
        Format::HlsTs(_) => None,
        _ => Some(init_uri.as_str()),
    };
    let segments: Vec<hls::Segment> = segments.iter().map(segment).collect();
    hls::MediaPlaylist {
        version: version(format).max(keys.version),
        timescale: grid.head.timescale,
        init_uri,
        keys: &keys.lines,
        keys_cover_init: keys.cover_init,
        uri_prefix: &uri_prefix,
        uri_suffix: &uri_suffix,
        listed: hls::Listed::Segments(&segments),
        // Those of subtitles may differ where nothing is live.
        longest_of_all: 0,
        independent: says_independent(format),
    }
    .write()
}

/// The segments of text of a period.
pub(crate) struct Cut<'a> {
    pub(crate) segments: &'a [SegmentTime],
    /// Of all times here.
    pub(crate) scale: Timescale,
    /// The tick at which the period begins.
    pub(crate) offset: u64,
}

/// The adaptation set of a text track (DASH-IF IOP 4.3 §6.4; roles of ISO/IEC 23009-1 §5.8.5.5).
pub(crate) fn adaptation_set(
    text: &TextTrack,
    cut: &Cut<'_>,
    format: Format,
    carried: child::Carried<'_>,
) -> dash::AdaptationSet {
    let role = |value: &str| dash::Descriptor {
        scheme: dash::ROLE_SCHEME,
        value: value.to_owned(),
    };
    let settings = &text.settings;
    let mut roles = vec![role(match (&settings.role, settings.forced) {
        (Some(stated), _) => stated,
        (None, true) => "forced-subtitle",
        (None, false) if text.is_caption() => "caption",
        (None, false) => "subtitle",
    })];
    if settings.default {
        roles.push(role("main"));
    }
    if settings.has(&["easy-to-read"]) {
        roles.push(role("easyreader"));
    }
    let (initialization, media) = carried.dash_templates(&text.name);
    let timeline = cut.segments.iter().map(|s| dash::Segment {
        start: s.start,
        duration: s.duration,
    });
    dash::AdaptationSet {
        content_type: dash::ContentType::Text,
        language: text.language.clone(),
        label: settings.title.clone(),
        accessibility: match text.is_caption() {
            true => vec![role("caption")],
            false => vec![],
        },
        roles,
        segment_alignment: true,
        starts_with: dash::AccessPoint::Closed,
        colour: None,
        protection: Vec::new(),
        inband: Vec::new(),
        representations: vec![dash::Representation {
            id: representation_id(&text.name, text.bitrate),
            bandwidth: text.bitrate,
            codecs: codec(format, text).to_owned(),
            resolution: None,
            frame_rate: None,
            sample_rate: None,
            channels: None,
            objects: 0,
            segments: dash::SegmentTemplate {
                timescale: cut.scale,
                presentation_time_offset: cut.offset,
                initialization,
                media,
                available_early_ms: None,
                timeline: timeline.collect(),
            },
            key_frames: None,
        }],
    }
}

/// The stream of a text track. `scale`: of the times of `chunks`.
pub(crate) fn stream<'a>(
    text: &TextTrack,
    (chunks, scale): (&'a [smooth::Chunk], Timescale),
    carried: child::Carried<'_>,
) -> smooth::Stream<'a> {
    smooth::Stream {
        name: text.name.clone(),
        media: smooth::Media::Text,
        language: text.language.clone(),
        title: text.settings.title.clone(),
        describes_video: false,
        url: carried.smooth_url(&text.name),
        timescale: scale,
        chunks,
        levels: vec![smooth::Level::Text {
            bitrate: text.bitrate,
        }],
    }
}
