//! Presets of live encoding: the ladder that a transform names, as far as an encoder that keeps up with time honours it.

use crate::{
    AudioCodec, AudioFormat, Filters, H264Profile, Ladder, Length, Preset, RateControl, Stretch,
    SyncMode, VideoCodec, VideoFormat, VideoLayer,
};

/// Layers of a ladder at most.
pub const MOST_LAYERS: usize = 6;

/// Bit rates of a layer, bit/s.
const BITRATES: std::ops::RangeInclusive<u32> = 50_000..=20_000_000;

/// Bit rates of the sound, bit/s.
const SOUND_BITRATES: std::ops::RangeInclusive<u32> = 32_000..=320_000;

/// What a live event is encoded to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveLadder {
    /// Largest first.
    pub layers: Vec<LiveLayer>,
    /// Key frames are this far apart, if the event does not say otherwise.
    pub key_frame_ms: u32,
    /// How pictures are fitted, likewise.
    pub stretch: Stretch,
    /// Bit/s; the usual ones if `None`.
    pub sound_bitrate: Option<u32>,
}

/// H.264 of that size and rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveLayer {
    /// Columns.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Average bit/s.
    pub bitrate: u32,
}

impl Preset {
    /// The ladder that a live event can be encoded to. What says how files are written (formats, labels) and how much effort is
    /// spent plays no part.
    ///
    /// Errors: what of the preset is nothing for a live event; completes a sentence that begins with "its preset".
    pub fn live_ladder(&self) -> Result<LiveLadder, String> {
        let refuse = |what: &str| Err(what.to_owned());
        if self.insert.is_some() || self.poster || self.interleave {
            return refuse("is built in; it has to be a StandardEncoderPreset with layers");
        }
        if !self.images.is_empty() {
            return refuse("takes pictures");
        }
        if self.filters != Filters::default() {
            return refuse("has filters");
        }
        let [VideoCodec::Encode(video)] = &self.videos[..] else {
            return refuse("has not one H264Video");
        };
        let Ladder::Exact(layers) = &video.ladder else {
            return refuse("has not one H264Video with layers");
        };
        if video.format != VideoFormat::H264 {
            return refuse("has another codec than H264Video");
        }
        if video.rate == RateControl::Quality {
            return refuse("spends bits by quality (rateControlMode CRF)");
        }
        if video.scene_changes {
            return refuse(
                "has sceneChangeDetection, but all layers have key frames at even distances",
            );
        }
        if video.sync != SyncMode::Auto {
            return refuse("has a syncMode");
        }
        if !(1..=MOST_LAYERS).contains(&layers.len()) {
            return Err(format!(
                "has {} layers; there may be 1 to {MOST_LAYERS}",
                layers.len()
            ));
        }
        let mut made = Vec::new();
        for (at, layer) in layers.iter().enumerate() {
            let layer = live_layer(layer).map_err(|what| format!("has a layer {at} {what}"))?;
            if made
                .iter()
                .any(|known: &LiveLayer| known.bitrate == layer.bitrate)
            {
                return Err(format!("has two layers of {} bit/s", layer.bitrate));
            }
            made.push(layer);
        }
        made.sort_by_key(|layer| std::cmp::Reverse(layer.bitrate));
        let sound_bitrate = match &self.audios[..] {
            [] => None,
            [AudioCodec::Encode(sound)] if sound.format == AudioFormat::AacLc => {
                if sound.channels.is_some_and(|channels| channels != 2)
                    || sound.sample_rate.is_some_and(|rate| rate != 48_000)
                {
                    return refuse("has sound that is not stereo at 48 kHz");
                }
                if !SOUND_BITRATES.contains(&sound.bitrate) {
                    return Err(format!("has sound of {} bit/s", sound.bitrate));
                }
                Some(sound.bitrate)
            }
            _ => return refuse("has sound other than one AacAudio of profile AacLc"),
        };
        Ok(LiveLadder {
            layers: made,
            key_frame_ms: video.key_frame_ms,
            stretch: video.stretch,
            sound_bitrate,
        })
    }
}

/// Errors: what of it is not honoured, after "a layer".
fn live_layer(layer: &VideoLayer) -> Result<LiveLayer, String> {
    let side = |length: Option<Length>| match length {
        Some(Length::Pixels(pixels)) => Some(pixels),
        _ => None,
    };
    let (Some(width), Some(height)) = (side(layer.width), side(layer.height)) else {
        return Err("without a width and a height in pixels".to_owned());
    };
    if width % 2 != 0 || height % 2 != 0 || width < 64 || height < 64 {
        return Err(format!(
            "of {width}x{height}; sides have to be even and at least 64"
        ));
    }
    if !BITRATES.contains(&layer.bitrate) {
        return Err(format!("of {} bit/s", layer.bitrate));
    }
    let own = [
        ("frameRate", layer.frame_rate.is_some()),
        (
            "maxBitrate",
            layer.max_bitrate.is_some_and(|most| most != layer.bitrate),
        ),
        ("bFrames", layer.b_frames.is_some_and(|count| count > 0)),
        ("slices", layer.slices.is_some()),
        ("referenceFrames", layer.reference_frames.is_some()),
        ("crf", layer.crf.is_some()),
        ("profile", layer.profile != H264Profile::Auto),
        ("level", layer.level.is_some()),
        ("entropyMode", layer.cabac.is_some()),
    ];
    match own.into_iter().find(|(_, said)| *said) {
        Some((member, _)) => Err(format!("with a {member} of its own")),
        None => Ok(LiveLayer {
            width,
            height,
            bitrate: layer.bitrate,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn preset(layers: Value, more: Value) -> Value {
        let mut preset = json!({
            "@odata.type": "#Microsoft.Media.StandardEncoderPreset",
            "codecs": [
                {"@odata.type": "#Microsoft.Media.AacAudio", "channels": 2, "samplingRate": 48000, "bitrate": 128_000, "profile": "AacLc"},
                {"@odata.type": "#Microsoft.Media.H264Video", "keyFrameInterval": "PT1S", "stretchMode": "AutoFit", "layers": layers},
            ],
            "formats": [{"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}_{Bitrate}{Extension}"}],
        });
        for (name, value) in more.as_object().unwrap() {
            preset[name] = value.clone();
        }
        preset
    }

    fn ladder(layers: Value, more: Value) -> Result<LiveLadder, String> {
        Preset::parse(&preset(layers, more)).unwrap().live_ladder()
    }

    #[test]
    fn layers_come_largest_first() {
        let layers = json!([
            {"bitrate": 400_000, "width": "640", "height": "360", "label": "low"},
            {"bitrate": 1_500_000, "width": "1280", "height": "720"},
        ]);
        let made = ladder(layers, json!({})).unwrap();
        let layer = |width, height, bitrate| LiveLayer {
            width,
            height,
            bitrate,
        };
        assert_eq!(
            made.layers,
            [layer(1280, 720, 1_500_000), layer(640, 360, 400_000)]
        );
        assert_eq!((made.key_frame_ms, made.stretch), (1_000, Stretch::AutoFit));
        assert_eq!(made.sound_bitrate, Some(128_000));
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_its_name() {
        let one = json!({"bitrate": 400_000, "width": "640", "height": "360"});
        let with = |member: &str, value: Value| {
            let mut layer = one.clone();
            layer[member] = value;
            ladder(json!([layer]), json!({})).unwrap_err()
        };
        for (member, value, said) in [
            ("width", json!("50%"), "without a width"),
            ("width", json!("641"), "641x360"),
            ("bitrate", json!(20_000), "20000 bit/s"),
            ("frameRate", json!("25"), "frameRate"),
            ("maxBitrate", json!(500_000), "maxBitrate"),
            ("bFrames", json!(2), "bFrames"),
            ("profile", json!("High"), "profile"),
            ("level", json!("4.0"), "level"),
            ("entropyMode", json!("Cavlc"), "entropyMode"),
        ] {
            let fault = with(member, value);
            assert!(
                fault.starts_with("has a layer 0 ") && fault.contains(said),
                "{fault}"
            );
        }
        let twice = ladder(json!([one, one]), json!({})).unwrap_err();
        assert_eq!(twice, "has two layers of 400000 bit/s");
        let filters = json!({"filters": {"deinterlace": {}}});
        assert_eq!(ladder(json!([one]), filters).unwrap_err(), "has filters");
        let built_in = json!({"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": "AdaptiveStreaming"});
        assert!(Preset::parse(&built_in).unwrap().live_ladder().is_err());
        let copied = json!({"@odata.type": "#Microsoft.Media.StandardEncoderPreset",
            "codecs": [{"@odata.type": "#Microsoft.Media.CopyVideo"}],
            "formats": [{"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}{Extension}"}]});
        assert_eq!(
            Preset::parse(&copied).unwrap().live_ladder().unwrap_err(),
            "has not one H264Video"
        );
    }
}
