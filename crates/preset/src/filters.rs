//! Filters (AMS `Filters`): what is done to pictures and sound before they are encoded.

use crate::images::{Place, place};
use crate::model::Length;
use crate::read::{Node, PresetError};
use crate::standard::length;

/// All filters of a preset.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filters {
    /// `None`: interlaced pictures are made whole, others left alone.
    pub deinterlace: Option<Deinterlace>,
    /// How pictures are turned.
    pub turn: Turn,
    /// The part of the (turned) picture that is kept.
    pub crop: Option<Crop>,
    /// From a colour, at the beginning.
    pub fade_in: Option<Fade>,
    /// To a colour, at the end.
    pub fade_out: Option<Fade>,
    /// What is laid over pictures and sound, in order.
    pub overlays: Vec<Overlay>,
}

/// AMS `Deinterlace`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deinterlace {
    /// Pictures stay as they are.
    Off,
    /// The missing lines are computed.
    On(Parity),
}

/// Which field of a picture comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// As the picture says.
    Auto,
    /// The upper one.
    Top,
    /// The lower one.
    Bottom,
}

/// AMS `Rotation`, clockwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Turn {
    /// As the file says that it is to be shown.
    #[default]
    Auto,
    /// Not at all: what the file says is said of what is made of it, too, where its format has a place for that.
    None,
    /// Not at all, and what the file says is dropped.
    Zero,
    /// A quarter.
    Quarter,
    /// Half.
    Half,
    /// Three quarters.
    ThreeQuarters,
}

/// AMS `Rectangle`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crop {
    /// From the left edge.
    pub left: Length,
    /// From the upper edge.
    pub top: Length,
    /// Columns; all to the right edge if `None`.
    pub width: Option<Length>,
    /// Lines; all to the lower edge if `None`.
    pub height: Option<Length>,
}

/// AMS `Fade`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fade {
    /// How long it takes.
    pub duration_ms: u64,
    /// When it begins, `None` for the very beginning, or such that it ends with the presentation. Not [`Place::Best`].
    pub start: Option<Place>,
    /// Red, green, blue.
    pub colour: [u8; 3],
}

/// AMS `Overlay`: another input of the job, laid over.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlay {
    /// Label of the job input.
    pub input: String,
    /// When it begins.
    pub start_ms: u64,
    /// When it ends; with its input or the presentation if `None`.
    pub end_ms: Option<u64>,
    /// Fading in and out.
    pub fade_in_ms: u64,
    /// As that, at its end.
    pub fade_out_ms: u64,
    /// Factor on its sound, 0 to 1.
    pub gain: f64,
    /// Picture or sound.
    pub kind: OverlayKind,
}

/// What is laid over.
#[derive(Debug, Clone, PartialEq)]
pub enum OverlayKind {
    /// Only its sound.
    Sound,
    /// Its picture, and its sound if it has any.
    Picture {
        /// Where, as a part of the picture beneath: the upper left corner and the size, which are the overlay's own if
        /// left out.
        position: Option<Crop>,
        /// The part of the overlay that is used.
        crop: Option<Crop>,
        /// 0 to 1.
        opacity: f64,
    },
}

pub(crate) fn parse(node: &Node<'_>) -> Result<Filters, PresetError> {
    node.only(&[
        "deinterlace",
        "rotation",
        "crop",
        "fadeIn",
        "fadeOut",
        "overlays",
    ])?;
    let deinterlace = node.object("deinterlace")?.map(|object| {
        object.only(&["parity", "mode"])?;
        let parity = object
            .choice(
                "parity",
                &[
                    ("Auto", Parity::Auto),
                    ("TopFieldFirst", Parity::Top),
                    ("BottomFieldFirst", Parity::Bottom),
                ],
            )?
            .unwrap_or(Parity::Auto);
        let on = object.choice("mode", &[("Off", false), ("AutoPixelAdaptive", true)])?;
        Ok(if on == Some(false) {
            Deinterlace::Off
        } else {
            Deinterlace::On(parity)
        })
    });
    let turn = node.choice(
        "rotation",
        &[
            ("Auto", Turn::Auto),
            ("None", Turn::None),
            ("Rotate0", Turn::Zero),
            ("Rotate90", Turn::Quarter),
            ("Rotate180", Turn::Half),
            ("Rotate270", Turn::ThreeQuarters),
        ],
    )?;
    let overlays = node.objects("overlays")?;
    if overlays.len() > MOST_OVERLAYS {
        return Err(node.fault(
            "overlays",
            format!("must have at most {MOST_OVERLAYS} members"),
        ));
    }
    Ok(Filters {
        deinterlace: deinterlace.transpose()?,
        turn: turn.unwrap_or_default(),
        crop: node.object("crop")?.as_ref().map(crop).transpose()?,
        fade_in: node.object("fadeIn")?.as_ref().map(fade).transpose()?,
        fade_out: node.object("fadeOut")?.as_ref().map(fade).transpose()?,
        overlays: overlays.iter().map(overlay).collect::<Result<_, _>>()?,
    })
}

const MOST_OVERLAYS: usize = 10;

fn crop(node: &Node<'_>) -> Result<Crop, PresetError> {
    node.only(&["left", "top", "width", "height"])?;
    Ok(Crop {
        left: length(node, "left", 0)?.unwrap_or(Length::Pixels(0)),
        top: length(node, "top", 0)?.unwrap_or(Length::Pixels(0)),
        width: length(node, "width", 1)?,
        height: length(node, "height", 1)?,
    })
}

fn fade(node: &Node<'_>) -> Result<Fade, PresetError> {
    node.only(&["duration", "fadeColor", "start"])?;
    let duration_ms = node
        .duration_ms("duration")?
        .ok_or_else(|| node.fault("duration", "is required"))?;
    if !(1..=60_000).contains(&duration_ms) {
        return Err(node.fault("duration", "must be more than nothing and at most a minute"));
    }
    let start = place(node, "start")?;
    if start == Some(Place::Best) {
        return Err(node.fault(
            "start",
            "must be an ISO 8601 duration (PT10S), a number of frames or a percentage (10%)",
        ));
    }
    let colour = node.required_text("fadeColor")?;
    Ok(Fade {
        duration_ms,
        start,
        colour: self::colour(colour).ok_or_else(|| {
            node.fault(
                "fadeColor",
                "must be a colour such as black, #ff8000 or rgb(255,128,0)",
            )
        })?,
    })
}

/// Names of the colours that CSS 2 has.
const COLOURS: [(&str, [u8; 3]); 17] = [
    ("black", [0, 0, 0]),
    ("white", [255, 255, 255]),
    ("red", [255, 0, 0]),
    ("green", [0, 128, 0]),
    ("lime", [0, 255, 0]),
    ("blue", [0, 0, 255]),
    ("yellow", [255, 255, 0]),
    ("orange", [255, 165, 0]),
    ("gray", [128, 128, 128]),
    ("silver", [192, 192, 192]),
    ("maroon", [128, 0, 0]),
    ("olive", [128, 128, 0]),
    ("purple", [128, 0, 128]),
    ("fuchsia", [255, 0, 255]),
    ("teal", [0, 128, 128]),
    ("navy", [0, 0, 128]),
    ("aqua", [0, 255, 255]),
];

fn colour(text: &str) -> Option<[u8; 3]> {
    if let Some((_, known)) = COLOURS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
    {
        return Some(*known);
    }
    if let Some(hex) = text.strip_prefix('#').or_else(|| text.strip_prefix("0x")) {
        let number = u32::from_str_radix(hex, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        return (hex.len() == 6).then_some([red, green, blue]);
    }
    let list = text.strip_prefix("rgb(")?.strip_suffix(')')?;
    let parts: Vec<u8> = list
        .split(',')
        .map(|part| part.trim().parse().ok())
        .collect::<Option<_>>()?;
    parts.try_into().ok()
}

fn overlay(node: &Node<'_>) -> Result<Overlay, PresetError> {
    let picture = match node.kind()? {
        "AudioOverlay" => false,
        "VideoOverlay" => true,
        other => {
            return Err(node.fault("@odata.type", format!("'{other}' is not a kind of overlay")));
        }
    };
    let common = [
        "@odata.type",
        "inputLabel",
        "start",
        "end",
        "fadeInDuration",
        "fadeOutDuration",
        "audioGainLevel",
    ];
    let own: &[&str] = if picture {
        &["position", "opacity", "cropRectangle"]
    } else {
        &[]
    };
    let known: Vec<&str> = common.iter().chain(own).copied().collect();
    node.only(&known)?;
    let (start_ms, end_ms) = (node.duration_ms("start")?, node.duration_ms("end")?);
    let start_ms = start_ms.unwrap_or(0);
    if end_ms.is_some_and(|end| end <= start_ms) {
        return Err(node.fault("end", "must be after start"));
    }
    let input = node.required_text("inputLabel")?;
    Ok(Overlay {
        input: input.to_owned(),
        start_ms,
        end_ms,
        fade_in_ms: node.duration_ms("fadeInDuration")?.unwrap_or(0),
        fade_out_ms: node.duration_ms("fadeOutDuration")?.unwrap_or(0),
        gain: node.number("audioGainLevel", 0.0..=1.0)?.unwrap_or(1.0),
        kind: if picture {
            OverlayKind::Picture {
                position: node.object("position")?.as_ref().map(crop).transpose()?,
                crop: node
                    .object("cropRectangle")?
                    .as_ref()
                    .map(crop)
                    .transpose()?,
                opacity: node.number("opacity", 0.0..=1.0)?.unwrap_or(1.0),
            }
        } else {
            OverlayKind::Sound
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_is_not_turned_may_still_be_said_to_be() {
        let read = |rotation: &str| {
            let json = serde_json::json!({ "rotation": rotation });
            parse(&Node::root(&json).unwrap()).unwrap().turn
        };
        assert_eq!(read("None"), Turn::None);
        assert_eq!(read("Rotate0"), Turn::Zero);
    }

    #[test]
    fn colours_are_read_in_every_form() {
        for (text, wanted) in [
            ("Black", Some([0, 0, 0])),
            ("#ff8000", Some([255, 128, 0])),
            ("0xFF8000", Some([255, 128, 0])),
            ("rgb(255, 128, 0)", Some([255, 128, 0])),
            ("#fff", None),
            ("rgb(1,2)", None),
            ("rgb(256,0,0)", None),
            ("blackish", None),
        ] {
            assert_eq!(colour(text), wanted, "{text}");
        }
    }

    #[test]
    fn fades_begin_at_a_time_a_frame_or_a_part() {
        let read = |start: &str| {
            let json = serde_json::json!({"fadeIn": {"duration": "PT1S", "fadeColor": "black", "start": start}});
            let filters = parse(&Node::root(&json).unwrap());
            filters.map(|filters| filters.fade_in.unwrap().start)
        };
        assert_eq!(read("PT2S").unwrap(), Some(Place::Ms(2000)));
        assert_eq!(read("10").unwrap(), Some(Place::Frames(10)));
        assert_eq!(read("50%").unwrap(), Some(Place::Percent(50.0)));
        assert_eq!(read("{Best}").unwrap_err().field, "fadeIn.start");
    }
}
