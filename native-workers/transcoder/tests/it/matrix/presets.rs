//! Every name of both services, and presets written out for what names do not ask for.

use serde_json::{Value, json};

use crate::support::jobs::named;

/// A preset and what is to come of it.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) json: Value,
    /// ffprobe's name of the codec; none: no pictures that move.
    pub(super) video: Option<&'static str>,
    pub(super) audio: Option<&'static str>,
    pub(super) channels: u64,
    pub(super) shape: Shape,
    /// More than thirty frames a second are halved.
    pub(super) thins: bool,
    /// Packets are those of the source.
    pub(super) copies: bool,
    /// Pictures are taken beside, or alone.
    pub(super) images: bool,
    /// Pictures are not those of the source: they fade.
    pub(super) other_pictures: bool,
}

/// What becomes of the source's shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Same,
    /// By a quarter, to the right, as it is coded: who says how to turn takes no heed of what the file says.
    Turned,
    /// As it is coded, whatever the file says.
    Coded,
    /// The left half.
    Half,
    /// Exactly so large, whatever was there.
    Fixed(u64, u64),
}

impl Shape {
    /// ffmpeg's filters that do it to the source, each with a comma behind.
    pub(super) fn filters(self) -> &'static str {
        match self {
            Self::Same | Self::Coded | Self::Fixed(..) => "",
            Self::Turned => "transpose=clock,",
            Self::Half => "crop=iw/2:ih:0:0,",
        }
    }

    /// ffmpeg's options that read the source for it.
    pub(super) fn reading(self) -> &'static [&'static str] {
        match self {
            Self::Turned | Self::Coded => &["-noautorotate"],
            Self::Same | Self::Half | Self::Fixed(..) => &[],
        }
    }
}

fn case(name: &str, json: Value) -> Case {
    Case {
        name: name.to_owned(),
        json,
        video: Some("h264"),
        audio: Some("aac"),
        channels: 2,
        shape: Shape::Same,
        thins: false,
        copies: false,
        images: false,
        other_pictures: false,
    }
}

/// Those that are known by name.
fn names() -> Vec<Case> {
    let encodes = headwater_preset::built_in::NAMES.into_iter().map(|name| {
        let made = case(name, named(name));
        match name {
            "AACGoodQualityAudio" => Case {
                video: None,
                ..made
            },
            "DDGoodQualityAudio" => Case {
                video: None,
                audio: Some("ac3"),
                ..made
            },
            copy if copy.starts_with("Copy") => Case {
                copies: true,
                ..made
            },
            _ => Case {
                video: Some(if name.starts_with("H265") {
                    "hevc"
                } else {
                    "h264"
                }),
                thins: true,
                images: true,
                ..made
            },
        }
    });
    let converters = headwater_preset::built_in::CONVERTERS.into_iter().map(|name| Case {
        copies: true,
        ..case(
            &format!("converter {name}"),
            json!({"@odata.type": "#Microsoft.Media.BuiltInAssetConverterPreset", "presetName": name}),
        )
    });
    encodes.chain(converters).collect()
}

fn written(codecs: Value, filters: Value, formats: Value) -> Value {
    json!({"@odata.type": "#Microsoft.Media.StandardEncoderPreset", "codecs": codecs, "filters": filters, "formats": formats})
}

fn mp4() -> Value {
    json!([{"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}_{Label}_{Bitrate}_{AudioStream}{Extension}"}])
}

fn codec(kind: &str, more: Value) -> Value {
    let mut codec = json!({"@odata.type": format!("#Microsoft.Media.{kind}")});
    if let (Some(codec), Value::Object(more)) = (codec.as_object_mut(), more) {
        codec.extend(more);
    }
    codec
}

/// Of the source's own size and of half of it.
fn ladder(kind: &str) -> Value {
    let layers = json!([{"width": "100%", "height": "100%", "bitrate": 900_000, "label": "large"},
                        {"width": "50%", "height": "50%", "bitrate": 300_000, "label": "small"}]);
    codec(kind, json!({"complexity": "Speed", "layers": layers}))
}

fn aac() -> Value {
    codec("AacAudio", json!({"bitrate": 128_000}))
}

fn filtered(name: &str, filters: Value) -> Case {
    case(
        name,
        written(json!([ladder("H264Video"), aac()]), filters, mp4()),
    )
}

fn pictures(name: &str, codecs: Value, formats: Value) -> Case {
    Case {
        video: None,
        audio: None,
        images: true,
        ..case(name, written(codecs, Value::Null, formats))
    }
}

fn encoders() -> Vec<Case> {
    let sized = codec(
        "H264Video",
        json!({"complexity": "Speed", "stretchMode": "None", "rateControlMode": "CBR",
            "layers": [{"width": 256, "height": 256, "bitrate": 500_000, "label": "square"}]}),
    );
    vec![
        filtered("H.264", Value::Null),
        Case {
            video: Some("hevc"),
            ..case(
                "H.265",
                written(json!([ladder("H265Video"), aac()]), Value::Null, mp4()),
            )
        },
        Case {
            video: Some("av1"),
            ..case(
                "AV1",
                written(json!([ladder("AV1Video"), aac()]), Value::Null, mp4()),
            )
        },
        Case {
            shape: Shape::Fixed(256, 256),
            ..case(
                "one size for all, CBR",
                written(json!([sized, aac()]), Value::Null, mp4()),
            )
        },
        case(
            "transport streams",
            written(
                json!([ladder("H264Video"), aac()]),
                Value::Null,
                json!([{"@odata.type": "#Microsoft.Media.TransportStreamFormat", "filenamePattern": "{Basename}_{Label}{Extension}"}]),
            ),
        ),
        case(
            "HE-AAC",
            written(
                json!([
                    ladder("H264Video"),
                    codec("AacAudio", json!({"profile": "HeAacV1", "bitrate": 64_000}))
                ]),
                Value::Null,
                mp4(),
            ),
        ),
        Case {
            channels: 6,
            ..case(
                "six channels",
                written(
                    json!([
                        ladder("H264Video"),
                        codec(
                            "AacAudio",
                            json!({"channels": 6, "bitrate": 384_000, "samplingRate": 48_000})
                        )
                    ]),
                    Value::Null,
                    mp4(),
                ),
            )
        },
        Case {
            audio: Some("ac3"),
            ..case(
                "Dolby Digital",
                written(
                    json!([ladder("H264Video"), codec("DDAudio", json!({}))]),
                    Value::Null,
                    mp4(),
                ),
            )
        },
        filtered(
            "deinterlace",
            json!({"deinterlace": {"mode": "AutoPixelAdaptive", "parity": "Auto"}}),
        ),
        Case {
            shape: Shape::Turned,
            ..filtered("rotate", json!({"rotation": "Rotate90"}))
        },
        // Players turn what is made as they turn the source.
        filtered("keep the turn", json!({"rotation": "None"})),
        Case {
            shape: Shape::Coded,
            ..filtered("drop the turn", json!({"rotation": "Rotate0"}))
        },
        Case {
            shape: Shape::Half,
            ..filtered(
                "crop",
                json!({"crop": {"left": 0, "top": 0, "width": "50%", "height": "100%"}}),
            )
        },
        Case {
            other_pictures: true,
            ..filtered(
                "fade",
                json!({"fadeIn": {"duration": "PT0.4S", "fadeColor": "black"},
                    "fadeOut": {"start": "PT2.5S", "duration": "PT0.4S", "fadeColor": "#203040"}}),
            )
        },
    ]
}

fn images() -> Vec<Case> {
    let layer = json!([{"width": "50%", "height": "50%"}]);
    vec![
        pictures(
            "PNG",
            json!([codec(
                "PngImage",
                json!({"start": "PT0.5S", "step": "PT1S", "range": "100%", "layers": layer})
            )]),
            json!([{"@odata.type": "#Microsoft.Media.PngFormat", "filenamePattern": "{Basename}_{Index}{Extension}"}]),
        ),
        pictures(
            "JPEG, the best one",
            json!([codec(
                "JpgImage",
                json!({"start": "{Best}", "layers": layer})
            )]),
            json!([{"@odata.type": "#Microsoft.Media.JpgFormat", "filenamePattern": "{Basename}_{Index}{Extension}"}]),
        ),
        pictures(
            "sprite",
            json!([codec(
                "JpgImage",
                json!({"start": "0%", "step": "10%", "range": "100%", "spriteColumn": 4, "layers": layer})
            )]),
            json!([{"@odata.type": "#Microsoft.Media.JpgFormat", "filenamePattern": "{Basename}_{Index}{Extension}"}]),
        ),
        Case {
            video: None,
            audio: None,
            images: true,
            ..case(
                "thumbnails",
                json!({"@odata.type": "#MediaKind.ThumbnailGeneratorPreset", "thumbnails": [
                    {"format": "Jpeg", "width": "50%", "start": "0%", "range": "100%", "step": "50%", "label": "row"}]}),
            )
        },
    ]
}

/// All of them. What adds to an asset (`TrackInserterPreset`) has tests of its own.
pub(super) fn all() -> Vec<Case> {
    let mut all = names();
    all.extend(encoders());
    all.extend(images());
    all
}
