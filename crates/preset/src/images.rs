//! Pictures that are taken of a source: `JpgImage`, `PngImage`, and thumbnails in the form of MK.IO.

use crate::model::{Length, Stretch};
use crate::read::{Node, PresetError, duration_ms};
use crate::standard::{length, stretch};

/// Pictures of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    /// JPEG or PNG.
    pub format: ImageFormat,
    /// When the first is taken.
    pub start: Place,
    /// How far the next ones are apart; `None`: only one is taken.
    pub step: Option<Place>,
    /// How long they are taken, from the first on (a frame count or percentage likewise); `None`: to the end of the source.
    pub range: Option<Place>,
    /// Sizes; each is taken at all times. Not empty.
    pub layers: Vec<ImageLayer>,
    /// How a picture is fitted into a layer's size.
    pub stretch: Stretch,
    /// Pictures beside each other in a sheet of many, with a WebVTT index; `None` for single files.
    pub sprite_columns: Option<u32>,
    /// Names the pictures for the macro `{Label}`.
    pub label: Option<String>,
}

/// How pictures are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// ISO/IEC 10918.
    Jpeg,
    /// ISO/IEC 15948.
    Png,
}

impl ImageFormat {
    /// Of files, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }
}

/// A place in a source, or a length of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// Wherever there is something to see (`{Best}`).
    Best,
    /// After so many milliseconds.
    Ms(u64),
    /// After so many frames.
    Frames(u64),
    /// Of the source's duration.
    Percent(f64),
}

/// A size of pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageLayer {
    /// The source's if `None`, or by the height.
    pub width: Option<Length>,
    /// As the width.
    pub height: Option<Length>,
    /// Of JPEG, 0 to 100.
    pub quality: u32,
    /// Names the pictures for the macro `{Label}`.
    pub label: Option<String>,
}

const DEFAULT_QUALITY: u32 = 70;

/// Most layers of one kind.
const MOST_LAYERS: usize = 10;

pub(crate) fn place(node: &Node<'_>, member: &str) -> Result<Option<Place>, PresetError> {
    let Some(value) = node.get(member) else {
        return Ok(None);
    };
    let number;
    let text = match value.as_str() {
        Some(text) => text.trim(),
        None => {
            number = value.to_string();
            &number
        }
    };
    let read = if text.eq_ignore_ascii_case("{Best}") {
        Some(Place::Best)
    } else if let Some(percent) = text.strip_suffix('%') {
        let percent = percent.trim().parse::<f64>().ok();
        percent
            .filter(|percent| (0.0..=100.0).contains(percent))
            .map(Place::Percent)
    } else if text.starts_with('P') {
        duration_ms(text).map(Place::Ms)
    } else {
        text.parse().ok().map(Place::Frames)
    };
    read.map(Some).ok_or_else(|| {
        node.fault(
            member,
            "must be an ISO 8601 duration (PT10S), a number of frames or a percentage (10%)",
        )
    })
}

/// Of `spriteColumn` where a single picture is taken.
pub(crate) fn several_for_a_sheet(node: &Node<'_>) -> PresetError {
    node.fault(
        "spriteColumn",
        "needs several pictures: start must be a time, not {Best}, and range more than one frame",
    )
}

/// `JpgImage` or `PngImage` of a standard preset.
pub(crate) fn parse(node: &Node<'_>, format: ImageFormat) -> Result<Images, PresetError> {
    let sprites = matches!(format, ImageFormat::Jpeg);
    node.only(&[
        "@odata.type",
        "label",
        "keyFrameInterval",
        "stretchMode",
        "syncMode",
        "start",
        "step",
        "range",
        "layers",
        if sprites { "spriteColumn" } else { "layers" },
    ])?;
    let start = place(node, "start")?.ok_or_else(|| node.fault("start", "is required"))?;
    let range = place(node, "range")?;
    let mut layers = Vec::new();
    for layer in node.objects("layers")? {
        // SDKs send what kind of layer it is.
        layer.only(&["@odata.type", "width", "height", "label", "quality"])?;
        layers.push(ImageLayer {
            width: length(&layer, "width", 1)?,
            height: length(&layer, "height", 1)?,
            quality: layer.small("quality", 0..=100)?.unwrap_or(DEFAULT_QUALITY),
            label: layer.text("label")?.map(str::to_owned),
        });
    }
    if layers.len() > MOST_LAYERS {
        return Err(node.fault("layers", format!("must have at most {MOST_LAYERS} members")));
    }
    if layers.is_empty() {
        layers.push(ImageLayer {
            width: None,
            height: None,
            quality: DEFAULT_QUALITY,
            label: None,
        });
    }
    // One picture: the best there is, or a range that is over with the first frame.
    let single = start == Place::Best || range == Some(Place::Frames(1));
    if single && node.get("spriteColumn").is_some() {
        return Err(several_for_a_sheet(node));
    }
    Ok(Images {
        format,
        start,
        step: if single {
            None
        } else {
            Some(place(node, "step")?.unwrap_or(Place::Percent(10.0)))
        },
        range: range.filter(|range| *range != Place::Best),
        layers,
        stretch: stretch(node)?,
        sprite_columns: if sprites {
            node.small("spriteColumn", 1..=100)?
        } else {
            None
        },
        label: node.text("label")?.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preset;
    use serde_json::json;

    #[test]
    fn pictures_keep_their_proportions_unless_asked_otherwise() {
        for (mode, wanted) in [
            (json!(null), Stretch::AutoSize),
            (json!("AutoSize"), Stretch::AutoSize),
            (json!("AutoFit"), Stretch::AutoFit),
            (json!("None"), Stretch::None),
        ] {
            let json = json!({"@odata.type": "#Microsoft.Media.StandardEncoderPreset",
                "codecs": [{"@odata.type": "#Microsoft.Media.PngImage", "start": "0%", "stretchMode": mode}],
                "formats": [{"@odata.type": "#Microsoft.Media.PngFormat", "filenamePattern": "{Basename}{Index}{Extension}"}]});
            assert_eq!(Preset::parse(&json).unwrap().images[0].stretch, wanted);
        }
        let json = json!({"@odata.type": "#Microsoft.Media.StandardEncoderPreset",
            "codecs": [{"@odata.type": "#Microsoft.Media.PngImage", "start": "0%", "stretchMode": "Crop"}],
            "formats": [{"@odata.type": "#Microsoft.Media.PngFormat", "filenamePattern": "{Basename}{Index}{Extension}"}]});
        let error = Preset::parse(&json).unwrap_err();
        assert_eq!(error.field, "codecs[0].stretchMode");
    }

    fn jpeg(image: serde_json::Value) -> Result<Images, PresetError> {
        let json = json!({"@odata.type": "#Microsoft.Media.StandardEncoderPreset", "codecs": [image],
            "formats": [{"@odata.type": "#Microsoft.Media.JpgFormat", "filenamePattern": "{Basename}{Index}{Extension}"}]});
        Preset::parse(&json).map(|mut preset| preset.images.remove(0))
    }

    #[test]
    fn layers_may_say_what_they_are() {
        let layers =
            json!([{"@odata.type": "#Microsoft.Media.JpgLayer", "width": "50%", "quality": 90}]);
        let images =
            json!({"@odata.type": "#Microsoft.Media.JpgImage", "start": "0%", "layers": layers});
        assert_eq!(jpeg(images).unwrap().layers[0].quality, 90);
    }

    #[test]
    fn a_sheet_has_several_pictures() {
        for (start, range) in [(json!("{Best}"), json!(null)), (json!("0%"), json!("1"))] {
            let images = json!({"@odata.type": "#Microsoft.Media.JpgImage", "start": start, "range": range, "spriteColumn": 5});
            assert_eq!(jpeg(images).unwrap_err().field, "codecs[0].spriteColumn");
        }
    }
}
