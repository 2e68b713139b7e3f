//! `#Microsoft.Media.StandardEncoderPreset`: codecs, filters and formats, each spelled out.

use crate::built_in::COMPLEXITIES;
use crate::filters::{Deinterlace, OverlayKind, Turn};
use crate::images::{self, ImageFormat};
use crate::model::{
    AudioCodec, AudioEncode, AudioFormat, Complexity, H264Profile, Ladder, Length, Preset,
    RateControl, Stretch, SyncMode, VideoCodec, VideoEncode, VideoFormat, VideoLayer,
};
use crate::read::{Node, PresetError};
use crate::{Container, filters, formats};

/// Most codecs of a preset, and most layers of a codec.
const MOST: usize = 20;

pub(crate) fn parse(node: &Node<'_>) -> Result<Preset, PresetError> {
    node.only(&[
        "@odata.type",
        "filters",
        "codecs",
        "formats",
        "experimentalOptions",
    ])?;
    if let Some(options) = node.object("experimentalOptions")? {
        options.only(&[])?;
    }
    let mut preset = Preset::empty();
    // What all video of an output has in common.
    let mut common: Option<(u32, SyncMode)> = None;
    let codecs = node.objects("codecs")?;
    if codecs.is_empty() || codecs.len() > MOST {
        return Err(node.fault("codecs", format!("must have 1 to {MOST} members")));
    }
    for codec in &codecs {
        match codec.kind()? {
            "CopyVideo" => {
                codec.only(&["@odata.type", "label"])?;
                preset.videos.push(VideoCodec::Copy {
                    label: label(codec)?,
                    top_only: false,
                });
            }
            "CopyAudio" => {
                codec.only(&["@odata.type", "label"])?;
                preset.audios.push(AudioCodec::Copy {
                    label: label(codec)?,
                });
            }
            "AacAudio" | "Audio" => preset.audios.push(audio(codec, None)?),
            "DDAudio" => preset
                .audios
                .push(audio(codec, Some(AudioFormat::DolbyDigital))?),
            "H264Video" => {
                let video = video(codec, VideoFormat::H264, &mut common)?;
                preset.videos.push(video);
            }
            "H265Video" => {
                let video = video(codec, VideoFormat::H265, &mut common)?;
                preset.videos.push(video);
            }
            // Ours: neither service has it. It reads as H265Video does.
            "AV1Video" | "#Headwater.AV1Video" => {
                let video = video(codec, VideoFormat::Av1, &mut common)?;
                preset.videos.push(video)
            }
            "JpgImage" => preset.images.push(images::parse(codec, ImageFormat::Jpeg)?),
            "PngImage" => preset.images.push(images::parse(codec, ImageFormat::Png)?),
            other => {
                return Err(codec.fault("@odata.type", format!("'{other}' is not a kind of codec")));
            }
        }
    }
    if let Some(object) = node.object("filters")? {
        preset.filters = filters::parse(&object)?;
    }
    let listed = node.objects("formats")?;
    if listed.is_empty() || listed.len() > MOST {
        return Err(node.fault("formats", format!("must have 1 to {MOST} members")));
    }
    preset.formats = listed
        .iter()
        .map(formats::parse)
        .collect::<Result<_, _>>()?;
    agree(node, &preset)?;
    Ok(preset)
}

/// Every codec has a file to go to, every format something to hold, and every label somebody.
fn agree(node: &Node<'_>, preset: &Preset) -> Result<(), PresetError> {
    let has = |wanted: &[Container]| {
        preset
            .formats
            .iter()
            .any(|format| wanted.contains(&format.container))
    };
    let media = !preset.videos.is_empty() || !preset.audios.is_empty();
    if media && !has(&[Container::Mp4, Container::TransportStream]) {
        return Err(node.fault(
            "formats",
            "must have an Mp4Format or TransportStreamFormat for video and audio",
        ));
    }
    for (format, container) in [
        (ImageFormat::Jpeg, Container::Jpeg),
        (ImageFormat::Png, Container::Png),
    ] {
        if preset.images.iter().any(|images| images.format == format) && !has(&[container]) {
            return Err(node.fault("formats", "must have a format for each kind of image"));
        }
    }
    let copies = |copied: bool| {
        preset
            .videos
            .iter()
            .any(|video| matches!(video, VideoCodec::Copy { .. }) == copied)
    };
    untouched(node, preset)?;
    if copies(true) && copies(false) {
        return Err(node.fault(
            "codecs",
            "must not copy the video and encode it: the tracks could not be aligned",
        ));
    }
    let labels: Vec<&str> = labels(preset);
    for (index, format) in preset.formats.iter().enumerate() {
        for (file, wanted) in format.files.iter().enumerate() {
            if let Some(unknown) = wanted
                .iter()
                .find(|label| !labels.contains(&label.as_str()))
            {
                return Err(node.fault(
                    &format!("formats[{index}].outputFiles[{file}].labels"),
                    format!("names '{unknown}', which no codec or layer has"),
                ));
            }
        }
    }
    Ok(())
}

/// What is copied stays as it is: filters that would change it are refused.
fn untouched(node: &Node<'_>, preset: &Preset) -> Result<(), PresetError> {
    let filters = &preset.filters;
    let video = preset
        .videos
        .iter()
        .any(|video| matches!(video, VideoCodec::Copy { .. }));
    let audio = preset
        .audios
        .iter()
        .any(|audio| matches!(audio, AudioCodec::Copy { .. }));
    let laid = |sound: bool| {
        filters
            .overlays
            .iter()
            .any(|overlay| matches!(overlay.kind, OverlayKind::Sound) == sound)
    };
    let refused = [
        (
            "deinterlace",
            "CopyVideo",
            video && matches!(filters.deinterlace, Some(Deinterlace::On(_))),
        ),
        (
            "rotation",
            "CopyVideo",
            video && !matches!(filters.turn, Turn::Auto | Turn::None),
        ),
        ("crop", "CopyVideo", video && filters.crop.is_some()),
        ("fadeIn", "CopyVideo", video && filters.fade_in.is_some()),
        ("fadeOut", "CopyVideo", video && filters.fade_out.is_some()),
        ("overlays", "CopyVideo", video && laid(false)),
        ("fadeIn", "CopyAudio", audio && filters.fade_in.is_some()),
        ("fadeOut", "CopyAudio", audio && filters.fade_out.is_some()),
        ("overlays", "CopyAudio", audio && laid(true)),
    ];
    match refused.into_iter().find(|(_, _, is)| *is) {
        Some((member, codec, _)) => Err(node.fault(
            &format!("filters.{member}"),
            format!("changes what {codec} copies as it is: encode it instead"),
        )),
        None => Ok(()),
    }
}

fn labels(preset: &Preset) -> Vec<&str> {
    let mut found: Vec<Option<&String>> = Vec::new();
    for video in &preset.videos {
        match video {
            VideoCodec::Copy { label, .. } => found.push(label.as_ref()),
            VideoCodec::Encode(video) => {
                found.push(video.label.as_ref());
                if let Ladder::Exact(layers) = &video.ladder {
                    found.extend(layers.iter().map(|layer| layer.label.as_ref()));
                }
            }
        }
    }
    for audio in &preset.audios {
        found.push(match audio {
            AudioCodec::Copy { label } => label.as_ref(),
            AudioCodec::Encode(audio) => audio.label.as_ref(),
        });
    }
    found.into_iter().flatten().map(String::as_str).collect()
}

fn label(node: &Node<'_>) -> Result<Option<String>, PresetError> {
    let label = node.text("label")?;
    if label.is_some_and(|label| {
        label.len() > 64 || label.contains(|c: char| c.is_control() || "/\\{}?#%".contains(c))
    }) {
        return Err(node.fault(
            "label",
            "must have at most 64 characters that a file name can have",
        ));
    }
    Ok(label.map(str::to_owned))
}

fn audio(node: &Node<'_>, format: Option<AudioFormat>) -> Result<AudioCodec, PresetError> {
    let aac = format.is_none();
    let common = [
        "@odata.type",
        "label",
        "channels",
        "samplingRate",
        "bitrate",
    ];
    let known: Vec<&str> = common.into_iter().chain(aac.then_some("profile")).collect();
    node.only(&known)?;
    let profile = if aac {
        node.choice(
            "profile",
            &[
                ("AacLc", AudioFormat::AacLc),
                ("HeAacV1", AudioFormat::HeAacV1),
                ("HeAacV2", AudioFormat::HeAacV2),
            ],
        )?
    } else {
        None
    };
    let format = format.or(profile).unwrap_or(AudioFormat::AacLc);
    let most_channels = if format == AudioFormat::HeAacV2 { 2 } else { 6 };
    Ok(AudioCodec::Encode(AudioEncode {
        format,
        bitrate: node
            .small("bitrate", 16_000..=640_000)?
            .unwrap_or(usual_bitrate(format)),
        channels: Some(node.small("channels", 1..=most_channels)?.unwrap_or(2)),
        sample_rate: node.small("samplingRate", 8_000..=96_000)?,
        label: label(node)?,
        copy_if_same: false,
    }))
}

/// Of stereo, bit/s.
fn usual_bitrate(format: AudioFormat) -> u32 {
    match format {
        AudioFormat::AacLc => 128_000,
        AudioFormat::HeAacV1 => 64_000,
        AudioFormat::HeAacV2 => 32_000,
        AudioFormat::DolbyDigital => 192_000,
    }
}

/// `common`: what the video codecs before have in common, if there are any.
fn video(
    node: &Node<'_>,
    format: VideoFormat,
    common: &mut Option<(u32, SyncMode)>,
) -> Result<VideoCodec, PresetError> {
    let members = [
        "@odata.type",
        "label",
        "keyFrameInterval",
        "stretchMode",
        "syncMode",
        "complexity",
        "sceneChangeDetection",
        "layers",
    ];
    let own = (format == VideoFormat::H264).then_some("rateControlMode");
    let known: Vec<&str> = members.into_iter().chain(own).collect();
    node.only(&known)?;
    let key_frame_ms = node.duration_ms("keyFrameInterval")?.unwrap_or(2000);
    if !(500..=20_000).contains(&key_frame_ms) {
        return Err(node.fault("keyFrameInterval", "must be PT0.5S to PT20S"));
    }
    let key_frame_ms = u32::try_from(key_frame_ms).unwrap_or(2000);
    let sync = node
        .choice(
            "syncMode",
            &[
                ("Auto", SyncMode::Auto),
                ("Passthrough", SyncMode::Passthrough),
                ("Cfr", SyncMode::Cfr),
                ("Vfr", SyncMode::Vfr),
            ],
        )?
        .unwrap_or(SyncMode::Auto);
    let (same_key_frames, same_sync) = *common.get_or_insert((key_frame_ms, sync));
    for (member, same) in [
        ("keyFrameInterval", same_key_frames == key_frame_ms),
        ("syncMode", same_sync == sync),
    ] {
        if !same {
            return Err(node.fault(
                member,
                "must be the same for all video codecs: players change between their renditions at key frames",
            ));
        }
    }
    let listed = node.objects("layers")?;
    let rate = node
        .choice(
            "rateControlMode",
            &[
                ("ABR", RateControl::Average),
                ("CBR", RateControl::Constant),
                ("CRF", RateControl::Quality),
            ],
        )?
        .unwrap_or(RateControl::Average);
    // H.265 has no such member: its layers say how they are encoded, and all alike.
    let with_quality = |layer: &Node<'_>| layer.get("crf").is_some();
    let rate = match format {
        VideoFormat::H264 => rate,
        _ if listed.iter().any(with_quality) => RateControl::Quality,
        _ => rate,
    };
    if format != VideoFormat::H264
        && rate == RateControl::Quality
        && let Some(without) = listed.iter().find(|layer| !with_quality(layer))
    {
        return Err(without.fault("crf", "must be given for all layers or for none"));
    }
    let layers = listed
        .iter()
        .map(|object| layer(object, format, rate))
        .collect::<Result<Vec<_>, _>>()?;
    if layers.is_empty() || layers.len() > MOST {
        return Err(node.fault("layers", format!("must have 1 to {MOST} members")));
    }
    Ok(VideoCodec::Encode(VideoEncode {
        format,
        ladder: Ladder::Exact(layers),
        key_frame_ms,
        stretch: stretch(node)?,
        complexity: node
            .choice("complexity", &COMPLEXITIES)?
            .unwrap_or(Complexity::Balanced),
        sync,
        scene_changes: node.flag("sceneChangeDetection")?.unwrap_or(false),
        rate,
        label: label(node)?,
        thin: false,
    }))
}

/// `stretchMode`.
pub(crate) fn stretch(node: &Node<'_>) -> Result<Stretch, PresetError> {
    let names = [
        ("None", Stretch::None),
        ("AutoSize", Stretch::AutoSize),
        ("AutoFit", Stretch::AutoFit),
    ];
    let named = node.choice("stretchMode", &names)?;
    Ok(named.unwrap_or(Stretch::AutoSize))
}

fn layer(
    node: &Node<'_>,
    format: VideoFormat,
    rate: RateControl,
) -> Result<VideoLayer, PresetError> {
    let mut known = vec![
        "@odata.type",
        "width",
        "height",
        "label",
        "bitrate",
        "frameRate",
        "profile",
        "crf",
    ];
    // The encoders of AV1 have no orders about the others, or do not follow them.
    if format != VideoFormat::Av1 {
        known.extend([
            "maxBitrate",
            "bFrames",
            "slices",
            "adaptiveBFrame",
            "level",
            "bufferWindow",
            "referenceFrames",
        ]);
    }
    if format == VideoFormat::H264 {
        known.push("entropyMode");
    }
    node.only(&known)?;
    let bits = 10_000..=400_000_000;
    let crf = node.number(
        "crf",
        0.0..=if format == VideoFormat::Av1 {
            63.0
        } else {
            51.0
        },
    )?;
    let bitrate = node.small("bitrate", bits.clone())?;
    // A layer of constant quality may do without a bitrate.
    let bitrate = match (bitrate, rate) {
        (Some(bitrate), _) => bitrate,
        (None, RateControl::Quality) if crf.is_some() => 400_000_000,
        (None, _) => return Err(node.fault("bitrate", "is required")),
    };
    let max_bitrate = node.small("maxBitrate", bits)?;
    if max_bitrate.is_some_and(|most| most < bitrate && bitrate < 400_000_000) {
        return Err(node.fault("maxBitrate", "must not be less than bitrate"));
    }
    let buffer_ms = node.duration_ms("bufferWindow")?.unwrap_or(5000);
    if !(100..=100_000).contains(&buffer_ms) {
        return Err(node.fault("bufferWindow", "must be PT0.1S to PT100S"));
    }
    let frame_rate = match node.get("frameRate") {
        None => None,
        Some(value) => {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            Some(frame_rate(&text).ok_or_else(|| {
                node.fault("frameRate", "must be such as 30, 29.97 or 30000/1001")
            })?)
        }
    };
    let (mut profile, mut ten_bits) = (H264Profile::Auto, false);
    match format {
        VideoFormat::H264 => {
            let names = [
                ("Auto", H264Profile::Auto),
                ("Baseline", H264Profile::Baseline),
                ("Main", H264Profile::Main),
                ("High", H264Profile::High),
                ("High422", H264Profile::High422),
                ("High444", H264Profile::High444),
            ];
            profile = node.choice("profile", &names)?.unwrap_or(profile);
        }
        VideoFormat::H265 | VideoFormat::Av1 => {
            let names = [("Auto", false), ("Main", false), ("Main10", true)];
            ten_bits = node.choice("profile", &names)?.unwrap_or(false);
        }
    }
    let level = node
        .text("level")?
        .filter(|level| !level.is_empty() && !level.eq_ignore_ascii_case("auto"));
    if level.is_some_and(|level| {
        level.len() > 4 || !level.chars().all(|c| c.is_ascii_digit() || c == '.')
    }) {
        return Err(node.fault("level", "must be such as 4.1, or auto"));
    }
    Ok(VideoLayer {
        width: length(node, "width", 16)?,
        height: length(node, "height", 16)?,
        label: label(node)?,
        bitrate,
        max_bitrate,
        buffer_ms: u32::try_from(buffer_ms).unwrap_or(5000),
        b_frames: node.small("bFrames", 0..=16)?,
        adaptive_b_frames: node.flag("adaptiveBFrame")?.unwrap_or(true),
        frame_rate,
        slices: node.small("slices", 0..=64)?.filter(|&slices| slices > 0),
        reference_frames: node.small("referenceFrames", 1..=16)?,
        crf,
        profile,
        ten_bits,
        level: level.map(str::to_owned),
        cabac: node.choice("entropyMode", &[("Cabac", true), ("Cavlc", false)])?,
    })
}

/// A side in pixels, or in percent of the source's: `1280`, `"1280"`, `"50%"`.
pub(crate) fn length(
    node: &Node<'_>,
    member: &str,
    least: u32,
) -> Result<Option<Length>, PresetError> {
    let Some(value) = node.get(member) else {
        return Ok(None);
    };
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), |text| text.trim().to_owned());
    let read = match text.strip_suffix('%') {
        Some(percent) => percent
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|percent| *percent >= 0.0 && *percent <= 400.0)
            .filter(|percent| least == 0 || *percent > 0.0)
            .map(Length::Percent),
        None => text
            .strip_suffix("px")
            .unwrap_or(&text)
            .parse::<u32>()
            .ok()
            .filter(|pixels| (least..=8192).contains(pixels))
            .map(Length::Pixels),
    };
    read.map(Some).ok_or_else(|| {
        node.fault(
            member,
            format!("must be {least} to 8192 pixels, or a percentage such as 50%"),
        )
    })
}

/// `30`, `29.97` or `30000/1001` as a fraction, 1 to 240 frames a second. Two decimals of the rates of television mean
/// their exact fractions.
fn frame_rate(text: &str) -> Option<(u32, u32)> {
    let (up, down) = match text.split_once('/') {
        Some((up, down)) => (up.trim().parse().ok()?, down.trim().parse().ok()?),
        None => {
            let number: f64 = text.trim().parse().ok()?;
            let whole = number.ceil();
            if (0.005..0.08).contains(&(whole - number)) {
                let exact = whole * 1000.0;
                if (exact / 1001.0 - number).abs() < 0.006 {
                    return bounded(exact as u32, 1001);
                }
            }
            ((number * 1000.0).round() as u32, 1000)
        }
    };
    bounded(up, down)
}

fn bounded(up: u32, down: u32) -> Option<(u32, u32)> {
    (down > 0 && up >= down && u64::from(up) <= 240_u64.saturating_mul(u64::from(down)))
        .then_some((up, down))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn preset(codecs: serde_json::Value, formats: serde_json::Value) -> serde_json::Value {
        json!({"@odata.type": "#Microsoft.Media.StandardEncoderPreset", "codecs": codecs, "formats": formats})
    }

    fn mp4() -> serde_json::Value {
        json!([{"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}-{Label}-{Bitrate}{Extension}"}])
    }

    #[test]
    fn the_documented_example_is_read() {
        let codecs = json!([
            {"@odata.type": "#Microsoft.Media.AacAudio", "channels": 2, "samplingRate": 48000, "bitrate": 128000, "profile": "AacLc"},
            {"@odata.type": "#Microsoft.Media.H264Video", "keyFrameInterval": "PT2S", "complexity": "Speed", "layers": [
                {"bitrate": 1000000, "maxBitrate": 1000000, "width": "1280", "height": "720", "label": "HD",
                 "bufferWindow": "PT5S", "profile": "High", "level": "auto", "frameRate": "29.97"},
                {"bitrate": 600000, "width": "50%", "height": "50%", "label": "SD"}]},
            {"@odata.type": "#Microsoft.Media.PngImage", "start": "25%", "step": "25%", "range": "80%",
             "layers": [{"width": "50%", "height": "50%"}]}
        ]);
        let formats = json!([
            {"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "Video-{Basename}-{Label}-{Bitrate}{Extension}",
             "outputFiles": [{"labels": ["HD"]}, {"labels": ["SD"]}]},
            {"@odata.type": "#Microsoft.Media.PngFormat", "filenamePattern": "Thumbnail-{Basename}-{Index}{Extension}"}
        ]);
        let read = Preset::parse(&preset(codecs, formats)).unwrap();
        let VideoCodec::Encode(video) = &read.videos[0] else {
            panic!();
        };
        let Ladder::Exact(layers) = &video.ladder else {
            panic!();
        };
        assert_eq!(layers[0].frame_rate, Some((30_000, 1001)));
        assert_eq!(layers[1].width, Some(Length::Percent(50.0)));
        assert_eq!(read.formats[0].files.len(), 2);
        assert_eq!(read.images[0].step, Some(crate::Place::Percent(25.0)));
    }

    #[test]
    fn what_would_be_ignored_or_lost_is_refused() {
        let layers = json!([{"bitrate": 600000}]);
        for (codecs, formats, field) in [
            (json!([]), mp4(), "codecs"),
            (
                json!([{"@odata.type": "#Microsoft.Media.CopyAudio"}]),
                json!([]),
                "formats",
            ),
            (
                json!([{"@odata.type": "#Microsoft.Media.Vp9Video"}]),
                mp4(),
                "codecs[0].@odata.type",
            ),
            (
                json!([{"@odata.type": "#Microsoft.Media.H264Video", "layers": [{}]}]),
                mp4(),
                "codecs[0].layers[0].bitrate",
            ),
            (
                json!([{"@odata.type": "#Microsoft.Media.H264Video", "layers": layers, "tune": "film"}]),
                mp4(),
                "codecs[0].tune",
            ),
            (
                json!([{"@odata.type": "#Microsoft.Media.JpgImage", "start": "{Best}"}]),
                mp4(),
                "formats",
            ),
            (
                json!([{"@odata.type": "#Microsoft.Media.CopyAudio"}]),
                json!([{"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "x", "outputFiles": [{"labels": ["a"]}]}]),
                "formats[0].outputFiles[0].labels",
            ),
        ] {
            let error = Preset::parse(&preset(codecs, formats)).unwrap_err();
            assert_eq!(error.field, field, "{error}");
        }
    }

    #[test]
    fn codecs_of_one_preset_are_cut_alike() {
        let codec = |kind: &str, member: &str, value: &str| json!({"@odata.type": format!("#Microsoft.Media.{kind}"), member: value, "layers": [{"bitrate": 600_000}]});
        for (member, one, other) in [
            ("keyFrameInterval", "PT2S", "PT4S"),
            ("syncMode", "Cfr", "Vfr"),
        ] {
            let both = |second: &str| {
                let codecs = json!([
                    codec("H264Video", member, one),
                    codec("H265Video", member, second)
                ]);
                Preset::parse(&preset(codecs, mp4()))
            };
            both(one).unwrap();
            let error = both(other).unwrap_err();
            assert_eq!(error.field, format!("codecs[1].{member}"));
        }
    }

    #[test]
    fn quality_of_h265_is_what_its_layers_say() {
        let read = |layers: serde_json::Value| {
            let codecs = json!([{"@odata.type": "#Microsoft.Media.H265Video", "layers": layers}]);
            Preset::parse(&preset(codecs, mp4()))
        };
        let made = read(json!([{"crf": 24}, {"crf": 26, "bitrate": 600_000}])).unwrap();
        let VideoCodec::Encode(video) = &made.videos[0] else {
            panic!();
        };
        assert_eq!(video.rate, RateControl::Quality);
        let error = read(json!([{"crf": 24}, {"bitrate": 600_000}])).unwrap_err();
        assert_eq!(error.field, "codecs[0].layers[1].crf");
        let made = read(json!([{"bitrate": 600_000}])).unwrap();
        assert!(
            matches!(&made.videos[0], VideoCodec::Encode(video) if video.rate == RateControl::Average)
        );
    }

    #[test]
    fn what_is_copied_is_not_filtered() {
        let fade = json!({"duration": "PT1S", "fadeColor": "black"});
        let over = |kind: &str| json!([{"@odata.type": format!("#Microsoft.Media.{kind}"), "inputLabel": "x"}]);
        for (codec, filters, refused) in [
            ("CopyVideo", json!({"crop": {"width": "50%"}}), Some("crop")),
            (
                "CopyVideo",
                json!({"rotation": "Rotate90"}),
                Some("rotation"),
            ),
            ("CopyVideo", json!({"rotation": "None"}), None),
            ("CopyVideo", json!({"deinterlace": {}}), Some("deinterlace")),
            ("CopyVideo", json!({"deinterlace": {"mode": "Off"}}), None),
            ("CopyVideo", json!({"fadeOut": fade}), Some("fadeOut")),
            (
                "CopyVideo",
                json!({"overlays": over("VideoOverlay")}),
                Some("overlays"),
            ),
            ("CopyVideo", json!({"overlays": over("AudioOverlay")}), None),
            ("CopyAudio", json!({"fadeIn": fade}), Some("fadeIn")),
            (
                "CopyAudio",
                json!({"overlays": over("AudioOverlay")}),
                Some("overlays"),
            ),
            ("CopyAudio", json!({"overlays": over("VideoOverlay")}), None),
            ("CopyAudio", json!({"crop": {"width": "50%"}}), None),
        ] {
            let codecs = json!([{"@odata.type": format!("#Microsoft.Media.{codec}")}]);
            let mut json = preset(codecs, mp4());
            json["filters"] = filters.clone();
            let refused = refused.map(|member| format!("filters.{member}"));
            let said = Preset::parse(&json).err().map(|error| error.field);
            assert_eq!(said, refused, "{codec} {filters}");
        }
    }

    #[test]
    fn layers_of_av1_have_only_what_is_followed() {
        let read = |member: &str, value: serde_json::Value| {
            let layer = json!({"bitrate": 600_000, member: value});
            let codecs = json!([{"@odata.type": "#Headwater.AV1Video", "layers": [layer]}]);
            Preset::parse(&preset(codecs, mp4()))
        };
        read("profile", json!("Main10")).unwrap();
        for (member, value) in [
            ("slices", json!(2)),
            ("level", json!("4.1")),
            ("referenceFrames", json!(2)),
            ("bFrames", json!(2)),
            ("adaptiveBFrame", json!(false)),
            ("maxBitrate", json!(900_000)),
            ("bufferWindow", json!("PT1S")),
        ] {
            let error = read(member, value).unwrap_err();
            assert_eq!(error.field, format!("codecs[0].layers[0].{member}"));
        }
    }

    #[test]
    fn frame_rates_of_television_are_exact() {
        for (text, wanted) in [
            ("30", Some((30_000, 1000))),
            ("29.97", Some((30_000, 1001))),
            ("23.976", Some((24_000, 1001))),
            ("59.94", Some((60_000, 1001))),
            ("12.5", Some((12_500, 1000))),
            ("30000/1001", Some((30_000, 1001))),
            ("0", None),
            ("x", None),
            ("1000", None),
            ("1/0", None),
        ] {
            assert_eq!(frame_rate(text), wanted, "{text}");
        }
    }

    #[test]
    fn analysis_is_refused_with_its_reason() {
        for kind in [
            "AudioAnalyzerPreset",
            "VideoAnalyzerPreset",
            "FaceDetectorPreset",
        ] {
            let json = json!({"@odata.type": format!("#Microsoft.Media.{kind}")});
            let error = Preset::parse(&json).unwrap_err();
            assert!(
                error
                    .message
                    .contains("which is not part of this installation"),
                "{error}"
            );
        }
    }

    #[test]
    fn complexity_has_three_steps() {
        assert_eq!(COMPLEXITIES[2].1, Complexity::Quality);
    }
}
