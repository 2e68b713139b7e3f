//! Which renditions of the video are made, and the encoder's settings for each.

use headwater_bmff::{Colour, Rotation};
use headwater_preset::{
    Complexity, H264Profile, Ladder, Length, Limits, RateControl, Stretch, VideoEncode,
    VideoFormat, VideoLayer,
};

use super::tools::Tools;
use crate::failure::{self, Step};
use crate::ladder::{self, SourceVideo};
use crate::picture::Size;
use crate::preset::VideoPreset;

/// One rendition.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    pub format: VideoFormat,
    /// Of the encoded picture.
    pub size: Size,
    /// Of the source within it, where there are bars.
    pub inner: Size,
    pub kbps: u32,
    pub frame_rate: Option<(u32, u32)>,
    pub label: Option<String>,
    pub ten_bits: bool,
    /// How players are told to turn it.
    pub turn: Rotation,
    /// What follows `-c:v`: the encoder and its options.
    pub options: Vec<String>,
    /// What a decoder's buffer holds where it is encoded in chunks; `None` for a rung without a bound.
    pub buffer: Option<ChunkBuffer>,
}

/// The buffer of a decoder, as the encoder of a chunk takes it to be, in bits.
///
/// An encoder knows nothing of the chunk before, whose last pictures may have used up what the buffer had. If it took its own to be
/// nearly full, as encoders do, a player would have to have buffered it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkBuffer {
    pub bits: u64,
    /// What is in it at the beginning of every chunk but the first.
    pub begins: u64,
}

impl ChunkBuffer {
    /// Of `bits`; `bounded`: of a layer of [`plain_layer`], in which 1.1 * (2 + 0.5 + 0.5 * 0.45) seconds of the rate are 1.5 times those
    /// of two.
    fn new(bits: u64, bounded: bool) -> Self {
        let bits = match bounded {
            true => bits * CHUNK_BUFFER_MS / BUFFER_MS,
            false => bits,
        };
        Self {
            bits,
            begins: bits * 45 / 100,
        }
    }
}

impl Rung {
    /// Its options for one of several chunks; `first`: the first.
    pub(super) fn in_chunks(&self, first: bool) -> Vec<String> {
        let mut options = self.options.clone();
        let Some(buffer) = self.buffer else {
            return options;
        };
        let mut name = String::new();
        for option in &mut options {
            match name.as_str() {
                "-bufsize" => *option = buffer.bits.to_string(),
                // ffmpeg does not tell x265 what is in the buffer.
                "-x265-params" if !first => {
                    let part = buffer.begins as f64 / buffer.bits.max(1) as f64;
                    *option += &format!(":vbv-init={part:.2}");
                }
                _ => {}
            }
            name.clone_from(option);
        }
        if !first {
            options.push("-rc_init_occupancy".into());
            options.push(buffer.begins.to_string());
        }
        options
    }
}

/// H.265 and AV1 need fewer bits than the ladders of H.264 say.
fn saving(format: VideoFormat, kbps: u32) -> u32 {
    match format {
        VideoFormat::H264 => kbps,
        VideoFormat::H265 => kbps * 6 / 10,
        VideoFormat::Av1 => kbps / 2,
    }
}

/// The renditions of `video` for `source`, largest first. `content`: for [`Ladder::ContentAware`], how many bits the
/// source needs beside a usual one.
///
/// Errors: `ConfigurationUnsupported` for a codec that this ffmpeg cannot encode, `ContentUnsupported` for a source that
/// is too small.
pub fn rungs(
    video: &VideoEncode,
    source: SourceVideo,
    colour: Colour,
    content: f64,
    tools: &Tools,
) -> Step<Vec<Rung>> {
    let mut made = Vec::new();
    match &video.ladder {
        Ladder::Exact(layers) => {
            for layer in layers {
                let (size, inner) = sizes((layer.width, layer.height), video.stretch, source.size);
                made.push((size, inner, layer.clone()));
            }
            made.sort_by_key(|(size, _, layer)| std::cmp::Reverse((size.area(), layer.bitrate)));
        }
        Ladder::Boxes(_) | Ladder::Adaptive(_) | Ladder::ContentAware(_) => {
            for rendition in chosen(video, source, content) {
                made.push((rendition.size, rendition.size, plain_layer(rendition.kbps)));
            }
        }
    }
    if made.is_empty() {
        return Err(failure::unsupported(format!(
            "The pictures of the source are {}x{}, too small to encode.",
            source.size.width, source.size.height
        )));
    }
    let chosen = !matches!(video.ladder, Ladder::Exact(_));
    made.into_iter()
        .map(|(size, inner, layer)| {
            let options = options(video, &layer, size, colour, tools)?;
            Ok(Rung {
                format: video.format,
                size,
                inner,
                // Of constant quality without a bitrate there is nothing to say beforehand.
                kbps: if layer.bitrate < UNLIMITED {
                    layer.bitrate / 1000
                } else {
                    0
                },
                frame_rate: layer.frame_rate,
                label: layer.label.clone().or_else(|| video.label.clone()),
                ten_bits: layer.ten_bits,
                turn: Rotation::None,
                buffer: buffer_of(&options).map(|bits| ChunkBuffer::new(bits, chosen)),
                options,
            })
        })
        .collect()
}

/// The renditions of a ladder that is chosen by the source. Limits are of what is made in the end, whichever codec it is for and
/// however much the content needs.
fn chosen(video: &VideoEncode, source: SourceVideo, content: f64) -> Vec<ladder::Rendition> {
    let adaptive = |limits: Limits, factor: f64| {
        let all = ladder::renditions(&VideoPreset::Adaptive(Limits::default()), source);
        ladder::limited(scaled(all, video.format, factor), limits)
    };
    match &video.ladder {
        Ladder::Boxes(layers) => ladder::renditions(&VideoPreset::Layers(layers.clone()), source),
        Ladder::Adaptive(limits) => adaptive(*limits, 1.0),
        Ladder::ContentAware(limits) => thinned(adaptive(*limits, content)),
        Ladder::Exact(_) => Vec::new(),
    }
}

fn scaled(
    mut rungs: Vec<ladder::Rendition>,
    format: VideoFormat,
    factor: f64,
) -> Vec<ladder::Rendition> {
    for rung in &mut rungs {
        let kbps = f64::from(saving(format, rung.kbps)) * factor;
        rung.kbps = ((kbps / 10.0).round() as u32 * 10).max(50);
    }
    rungs
}

/// Without rungs that are hardly cheaper than the one above: quality is in the size there.
fn thinned(rungs: Vec<ladder::Rendition>) -> Vec<ladder::Rendition> {
    let mut kept: Vec<ladder::Rendition> = Vec::new();
    for rung in rungs {
        if kept
            .last()
            .is_none_or(|above| rung.kbps * 5 <= above.kbps * 4)
        {
            kept.push(rung);
        }
    }
    kept
}

/// As a layer's bitrate: there is none.
const UNLIMITED: u32 = 400_000_000;
/// What the buffer of a chosen layer holds, in time at its highest rate: of what is encoded in one piece, and in chunks.
const BUFFER_MS: u64 = 720;
const CHUNK_BUFFER_MS: u64 = 500;

/// In any two seconds a buffer lets through what comes in two seconds and all that it holds: 1.1 * (2 + 0.72) is 1.5 times the
/// rate for two.
fn plain_layer(kbps: u32) -> VideoLayer {
    VideoLayer {
        width: None,
        height: None,
        label: None,
        bitrate: kbps * 1000,
        max_bitrate: Some(kbps * 1100),
        buffer_ms: BUFFER_MS as u32,
        b_frames: None,
        adaptive_b_frames: true,
        frame_rate: None,
        slices: None,
        reference_frames: None,
        crf: None,
        profile: H264Profile::Auto,
        ten_bits: false,
        level: None,
        cabac: None,
    }
}

/// The size of a layer that asks for `width` and `height`, and that of the picture in it, for a source shown at `source`.
pub(super) fn sizes(
    (width, height): (Option<Length>, Option<Length>),
    stretch: Stretch,
    source: Size,
) -> (Size, Size) {
    let asked = (width, height);
    let side = |length: Option<Length>, side: u32| match length {
        None => None,
        Some(Length::Pixels(pixels)) => Some(pixels),
        Some(Length::Percent(percent)) => {
            Some((f64::from(side) * percent / 100.0).clamp(2.0, 8192.0) as u32)
        }
    };
    let (width, height) = (u64::from(source.width), u64::from(source.height));
    let narrow = |value: u64| u32::try_from(value.clamp(2, 8192)).unwrap_or(8192);
    match (side(asked.0, source.width), side(asked.1, source.height)) {
        (None, None) => (source, source),
        (Some(across), None) => {
            let size = Size::even(across, narrow(height * u64::from(across) / width.max(1)));
            (size, size)
        }
        (None, Some(down)) => {
            let size = Size::even(narrow(width * u64::from(down) / height.max(1)), down);
            (size, size)
        }
        (Some(across), Some(down)) => {
            let asked = Size::even(across, down);
            let fitted = if width * u64::from(down) >= height * u64::from(across) {
                Size::even(across, narrow(height * u64::from(across) / width.max(1)))
            } else {
                Size::even(narrow(width * u64::from(down) / height.max(1)), down)
            };
            match stretch {
                Stretch::None => (asked, asked),
                Stretch::AutoSize => (fitted, fitted),
                Stretch::AutoFit => (asked, fitted),
            }
        }
    }
}

/// Bits of the buffer that `options` give an encoder.
fn buffer_of(options: &[String]) -> Option<u64> {
    let at = options.iter().position(|option| option == "-bufsize")?;
    options.get(at + 1)?.parse().ok()
}

/// The encoder of `format` and its options.
fn options(
    video: &VideoEncode,
    layer: &VideoLayer,
    size: Size,
    colour: Colour,
    tools: &Tools,
) -> Step<Vec<String>> {
    let encoder = match video.format {
        VideoFormat::H264 => "libx264",
        VideoFormat::H265 => "libx265",
        // ffmpeg's side of SVT-AV1 once took no orders about key frames.
        VideoFormat::Av1 if tools.has_encoder("libsvtav1") && tools.major() >= 7 => "libsvtav1",
        VideoFormat::Av1 => "libaom-av1",
    };
    if !tools.has_encoder(encoder) {
        let codec = match video.format {
            VideoFormat::H264 => "H.264",
            VideoFormat::H265 => "H.265",
            VideoFormat::Av1 => "AV1",
        };
        return Err(failure::configuration(format!(
            "The preset asks for {codec}, which the ffmpeg of this worker ({}) cannot encode: it lacks {encoder}.",
            tools.version
        )));
    }
    let mut out = Arguments::default();
    out.push("-c:v", encoder);
    match encoder {
        "libsvtav1" => out.push("-preset", pick(video.complexity, ["11", "9", "6"])),
        "libaom-av1" => {
            out.push("-cpu-used", pick(video.complexity, ["8", "6", "4"]));
            out.push("-row-mt", "1");
            out.push("-lag-in-frames", "19");
        }
        _ => out.push("-preset", speed(video.complexity)),
    }
    rate(&mut out, video, layer, encoder);
    out.push("-g", "100000");
    match encoder {
        "libx264" => x264(&mut out, video, layer, size),
        "libx265" => x265(&mut out, video, layer),
        // The same distance at least and at most: only where they are asked for.
        "libaom-av1" if !video.scene_changes => out.push("-keyint_min", "100000"),
        _ => {}
    }
    for (name, code) in [
        ("-colorspace", colour.matrix),
        ("-color_primaries", colour.primaries),
        ("-color_trc", colour.transfer),
    ] {
        out.push(name, code.to_string());
    }
    out.push("-color_range", "tv");
    Ok(out.0)
}

/// The preset of x264 and x265. Built-in presets ask for [`Complexity::Balanced`].
pub fn speed(complexity: Complexity) -> &'static str {
    pick(complexity, ["veryfast", "fast", "slow"])
}

fn pick(complexity: Complexity, names: [&'static str; 3]) -> &'static str {
    let [speed, balanced, quality] = names;
    match complexity {
        Complexity::Speed => speed,
        Complexity::Balanced => balanced,
        Complexity::Quality => quality,
    }
}

fn buffer_bits(rate: u32, milliseconds: u32) -> u64 {
    let bits = u64::from(rate) * u64::from(milliseconds) / 1000;
    bits.clamp(1, 2_000_000_000)
}

fn rate(out: &mut Arguments, video: &VideoEncode, layer: &VideoLayer, encoder: &str) {
    let most = layer
        .max_bitrate
        .unwrap_or(layer.bitrate)
        .max(layer.bitrate);
    let buffer = buffer_bits(most, layer.buffer_ms);
    // What a player's buffer fills at: what the layer says, or its bitrate. Those of chosen ladders are not to be exceeded.
    let ceiling = match video.ladder {
        Ladder::Exact(_) => layer.max_bitrate.unwrap_or(layer.bitrate),
        _ => layer.bitrate,
    };
    let capped = ceiling < UNLIMITED;
    match video.rate {
        RateControl::Quality => {
            let usual = match encoder {
                "libx264" => 23.0,
                "libx265" => 26.0,
                _ => 33.0,
            };
            out.push("-crf", layer.crf.unwrap_or(usual).to_string());
            match encoder {
                "libaom-av1" if capped => out.push("-b:v", ceiling.to_string()),
                "libaom-av1" => out.push("-b:v", "0"),
                "libsvtav1" if capped => out.push("-maxrate", ceiling.to_string()),
                "libsvtav1" => {}
                _ if capped => {
                    let buffer = match video.ladder {
                        Ladder::Exact(_) => buffer_bits(ceiling, layer.buffer_ms),
                        _ => buffer,
                    };
                    out.push("-maxrate", ceiling.to_string());
                    out.push("-bufsize", buffer.to_string());
                }
                _ => {}
            }
        }
        RateControl::Average | RateControl::Constant => {
            out.push("-b:v", layer.bitrate.to_string());
            if encoder == "libsvtav1" {
                return;
            }
            let most = if video.rate == RateControl::Constant {
                out.push("-minrate", layer.bitrate.to_string());
                layer.bitrate
            } else {
                most
            };
            out.push("-maxrate", most.to_string());
            out.push("-bufsize", buffer.to_string());
        }
    }
}

fn x264(out: &mut Arguments, video: &VideoEncode, layer: &VideoLayer, size: Size) {
    let profile = match layer.profile {
        H264Profile::Auto if size.short_side() >= 720 => "high",
        H264Profile::Auto => "main",
        H264Profile::Baseline => "baseline",
        H264Profile::Main => "main",
        H264Profile::High => "high",
        H264Profile::High422 => "high422",
        H264Profile::High444 => "high444",
    };
    out.push("-profile:v", profile);
    if let Some(level) = &layer.level {
        out.push("-level", level);
    }
    if layer.profile == H264Profile::Baseline {
        out.push("-bf", "0");
    } else if let Some(count) = layer.b_frames {
        out.push("-bf", count.to_string());
    }
    if !layer.adaptive_b_frames {
        out.push("-b_strategy", "0");
    }
    if let Some(count) = layer.reference_frames {
        out.push("-refs", count.to_string());
    }
    if let Some(count) = layer.slices {
        out.push("-slices", count.to_string());
    }
    if let Some(cabac) = layer.cabac {
        out.push("-coder", if cabac { "1" } else { "0" });
    }
    out.push("-flags", "+cgop");
    out.push("-forced-idr", "1");
    out.push("-keyint_min", "1");
    out.push(
        "-sc_threshold",
        if video.scene_changes { "40" } else { "0" },
    );
    if video.rate == RateControl::Constant {
        out.push("-x264-params", "nal-hrd=cbr");
    }
}

fn x265(out: &mut Arguments, video: &VideoEncode, layer: &VideoLayer) {
    let mut parameters = vec![
        "log-level=error".to_owned(),
        // Not the encoder's settings, with the machine's, in the decoder configuration: chunks made elsewhere have the same.
        "info=0".to_owned(),
        "keyint=100000".to_owned(),
        "min-keyint=1".to_owned(),
        "open-gop=0".to_owned(),
        format!("scenecut={}", if video.scene_changes { 40 } else { 0 }),
    ];
    if let Some(count) = layer.b_frames {
        parameters.push(format!("bframes={count}"));
    }
    if !layer.adaptive_b_frames {
        parameters.push("b-adapt=0".into());
    }
    if let Some(count) = layer.reference_frames {
        parameters.push(format!("ref={count}"));
    }
    if let Some(count) = layer.slices {
        parameters.push(format!("slices={count}"));
    }
    if let Some(level) = &layer.level {
        parameters.push(format!("level-idc={level}"));
    }
    if video.rate == RateControl::Constant {
        parameters.push("strict-cbr=1".into());
    }
    out.push("-x265-params", parameters.join(":"));
    out.push("-forced-idr", "1");
    out.push("-profile:v", if layer.ten_bits { "main10" } else { "main" });
    out.push("-tag:v", "hvc1");
}

/// Options and their values.
#[derive(Debug, Clone, Default)]
pub struct Arguments(pub Vec<String>);

impl Arguments {
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(name.to_owned());
        self.0.push(value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_of_what_is_made() {
        let source = SourceVideo {
            size: Size {
                width: 1920,
                height: 1080,
            },
            frames_per_second: 30.0,
            bits_per_second: 12_000_000,
        };
        let rates = |name: &str, content: f64| -> Vec<u32> {
            let json = serde_json::json!({
                "@odata.type": "BuiltInStandardEncoderPreset", "presetName": name,
                "configurations": {"maxBitrateBps": 3_000_000, "minBitrateBps": 500_000}});
            let preset = crate::preset::parse(&json).unwrap();
            let headwater_preset::VideoCodec::Encode(video) = &preset.videos[0] else {
                panic!();
            };
            let made = chosen(video, source, content);
            made.iter().map(|rendition| rendition.kbps).collect()
        };
        // 6780, 3520, 2210, 1150, 720, 380 of H.264; six tenths of that in H.265.
        assert_eq!(
            rates("H265AdaptiveStreaming", 1.0),
            [3000, 2110, 1330, 690, 500, 500]
        );
        assert_eq!(rates("ContentAwareEncoding", 1.5), [3000, 1730, 1080, 570]);
        assert_eq!(rates("ContentAwareEncoding", 0.25), [1700, 880, 550]);
    }

    async fn made(codec: serde_json::Value) -> Vec<Rung> {
        let json = serde_json::json!({
            "@odata.type": "#Microsoft.Media.StandardEncoderPreset", "codecs": [codec],
            "formats": [{"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}_{Bitrate}{Extension}"}]});
        let preset = crate::preset::parse(&json).unwrap();
        let headwater_preset::VideoCodec::Encode(video) = &preset.videos[0] else {
            panic!();
        };
        let source = SourceVideo {
            size: Size {
                width: 1280,
                height: 720,
            },
            frames_per_second: 25.0,
            bits_per_second: 8_000_000,
        };
        let tools = Tools::find(None).await.unwrap();
        let colour = crate::colour::decided(None, source.size);
        rungs(video, source, colour, 1.0, &tools).unwrap()
    }

    fn value<'a>(options: &'a [String], name: &str) -> Option<&'a str> {
        let at = options.iter().position(|option| option == name)?;
        options.get(at + 1).map(String::as_str)
    }

    #[tokio::test]
    async fn quality_stays_below_the_highest_rate_of_its_layer() {
        for (layer, most, buffer, kbps) in [
            (serde_json::json!({"crf": 23}), None, None, 0),
            (
                serde_json::json!({"crf": 23, "bitrate": 2_000_000}),
                Some("2000000"),
                Some("10000000"),
                2000,
            ),
            (
                serde_json::json!({"crf": 23, "bitrate": 2_000_000, "maxBitrate": 3_000_000, "bufferWindow": "PT2S"}),
                Some("3000000"),
                Some("6000000"),
                2000,
            ),
            (
                serde_json::json!({"crf": 23, "maxBitrate": 3_000_000, "bufferWindow": "PT1S"}),
                Some("3000000"),
                Some("3000000"),
                0,
            ),
        ] {
            let codec = serde_json::json!({"@odata.type": "#Microsoft.Media.H264Video", "rateControlMode": "CRF", "layers": [layer]});
            let rung = &made(codec).await[0];
            assert_eq!(value(&rung.options, "-maxrate"), most, "{layer}");
            assert_eq!(value(&rung.options, "-bufsize"), buffer, "{layer}");
            assert_eq!(rung.kbps, kbps, "{layer}");
        }
    }

    #[tokio::test]
    async fn chunks_but_the_first_begin_with_less_in_the_buffer() {
        let codec = |kind: &str| {
            serde_json::json!({"@odata.type": format!("#Microsoft.Media.{kind}"),
            "layers": [{"bitrate": 1_000_000, "bufferWindow": "PT1S"}]})
        };
        let rung = &made(codec("H264Video")).await[0];
        assert_eq!(rung.in_chunks(true), rung.options);
        let later = rung.in_chunks(false);
        assert_eq!(value(&later, "-rc_init_occupancy"), Some("450000"));
        let later = made(codec("H265Video")).await[0].in_chunks(false);
        let parameters = value(&later, "-x265-params").unwrap();
        assert!(parameters.ends_with(":vbv-init=0.45"), "{parameters}");
    }
}
