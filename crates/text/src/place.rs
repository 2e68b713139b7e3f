//! Where text stands on the picture: WebVTT's cue settings and TTML's regions, as one rectangle.
//!
//! All lengths are hundredths of a percent of the picture's width or height.

use std::fmt::Write;

/// 100 %.
const WHOLE: u32 = 10_000;
/// Rows of text that fit a picture, as both formats have it by default.
const ROWS: u32 = 15;

/// A rectangle, and how text is set in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) anchor: Anchor,
    pub(crate) align: Align,
}

/// Which edge of the rectangle lines are set against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Top,
    Middle,
    Bottom,
}

/// How lines are aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Start,
    Left,
    Center,
    Right,
    End,
}

impl Place {
    /// Centred at the bottom, clear of the picture's edges: where subtitles are if nobody says otherwise.
    pub(crate) const DEFAULT: Self = Self {
        left: 1000,
        top: 1000,
        width: 8000,
        height: 8000,
        anchor: Anchor::Bottom,
        align: Align::Center,
    };

    /// The place that cue settings (§4.4) describe. Vertical writing and regions are not followed.
    pub(crate) fn from_settings(settings: &str) -> Self {
        let mut place = Self::DEFAULT;
        let (mut position, mut size) = (None, None);
        let mut edge = None;
        for setting in settings.split(' ') {
            let (name, value) = setting.split_once(':').unwrap_or_default();
            let (value, extra) = value.split_once(',').unwrap_or((value, ""));
            match name {
                "align" => {
                    place.align = match value {
                        "start" => Align::Start,
                        "left" => Align::Left,
                        "right" => Align::Right,
                        "end" => Align::End,
                        _ => Align::Center,
                    }
                }
                "size" => size = percent(value),
                "position" => {
                    position = percent(value);
                    edge = match extra {
                        "line-left" => Some(Align::Left),
                        "center" => Some(Align::Center),
                        "line-right" => Some(Align::Right),
                        _ => None,
                    };
                }
                "line" => place.vertical(value, extra),
                _ => {}
            }
        }
        if position.is_some() || size.is_some() {
            place.horizontal(position, size, edge);
        }
        place
    }

    fn vertical(&mut self, value: &str, extra: &str) {
        let row = |rows: u32| {
            let at = WHOLE.saturating_mul(rows.min(ROWS));
            at.checked_div(ROWS).unwrap_or_default()
        };
        let (at, anchor) = if let Some(at) = percent(value) {
            match extra {
                "end" => (at, Anchor::Bottom),
                "center" => (at, Anchor::Middle),
                _ => (at, Anchor::Top),
            }
        } else if let Some(rows) = value.strip_prefix('-').and_then(|v| v.parse::<u32>().ok()) {
            let above = row(rows.saturating_sub(1));
            (WHOLE.saturating_sub(above), Anchor::Bottom)
        } else if let Ok(rows) = value.parse::<u32>() {
            (row(rows), Anchor::Top)
        } else {
            return;
        };
        self.anchor = anchor;
        (self.top, self.height) = match anchor {
            Anchor::Top => (at, WHOLE.saturating_sub(at)),
            Anchor::Bottom => (0, at),
            // As much room above as below.
            Anchor::Middle => {
                let room = at.min(WHOLE.saturating_sub(at));
                (at.saturating_sub(room), room.saturating_mul(2))
            }
        };
    }

    /// §7.2, steps 6 to 8.
    fn horizontal(&mut self, position: Option<u32>, size: Option<u32>, edge: Option<Align>) {
        let own = match self.align {
            Align::Start | Align::Left => Align::Left,
            Align::Right | Align::End => Align::Right,
            Align::Center => Align::Center,
        };
        let edge = edge.unwrap_or(own);
        let position = position.unwrap_or(match own {
            Align::Left => 0,
            Align::Right => WHOLE,
            _ => 5000,
        });
        let to_right = WHOLE.saturating_sub(position);
        let room = match edge {
            Align::Left => to_right,
            Align::Right => position,
            _ => position.min(to_right).saturating_mul(2),
        };
        self.width = size.unwrap_or(WHOLE).min(room);
        self.left = match edge {
            Align::Left => position,
            Align::Right => position.saturating_sub(self.width),
            _ => position.saturating_sub(self.width.checked_div(2).unwrap_or_default()),
        };
    }

    /// The cue settings that put text there.
    pub(crate) fn settings(self) -> String {
        let mut out = String::new();
        let mut setting = |text: &str| {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(text);
        };
        let bottom = self.top.saturating_add(self.height);
        match self.anchor {
            Anchor::Top => setting(&format!("line:{}", written(self.top))),
            Anchor::Middle => {
                let middle = self.height.checked_div(2).unwrap_or_default();
                let at = self.top.saturating_add(middle);
                setting(&format!("line:{},center", written(at)));
            }
            // Near the bottom is where cues are anyway, and players then let them make room for controls.
            Anchor::Bottom if bottom >= 8000 => {}
            Anchor::Bottom => setting(&format!("line:{},end", written(bottom))),
        }
        let width = self.width;
        if (self.left, width) != (Self::DEFAULT.left, Self::DEFAULT.width)
            && (self.left, width) != (0, WHOLE)
        {
            let at = match self.align {
                Align::Start | Align::Left => self.left,
                Align::Right | Align::End => self.left.saturating_add(width),
                Align::Center => {
                    let half = width.checked_div(2).unwrap_or_default();
                    self.left.saturating_add(half)
                }
            };
            setting(&format!("position:{}", written(at)));
            setting(&format!("size:{}", written(width)));
        }
        match self.align {
            Align::Center => {}
            align => setting(&format!("align:{}", align.name())),
        }
        out
    }
}

impl Align {
    /// `start`, `left`, ...: the same words in both formats.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Left => "left",
            Self::Center => "center",
            Self::Right => "right",
            Self::End => "end",
        }
    }
}

/// `12.5%` in hundredths; at most 100 %.
pub(crate) fn percent(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let hundredths: String = fraction.chars().chain("00".chars()).take(2).collect();
    let whole: u32 = whole.parse().ok()?;
    let value = whole
        .checked_mul(100)?
        .checked_add(hundredths.parse().ok()?)?;
    Some(value.min(WHOLE))
}

/// Hundredths as a percentage.
pub(crate) fn written(value: u32) -> String {
    let whole = value.checked_div(100).unwrap_or_default();
    let rest = value.checked_rem(100).unwrap_or_default();
    let mut out = whole.to_string();
    if rest > 0 {
        let _ = write!(out, ".{rest:02}");
        out.truncate(out.trim_end_matches('0').len());
    }
    out.push('%');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rectangle(settings: &str) -> (u32, u32, u32, u32) {
        let place = Place::from_settings(settings);
        (place.left, place.top, place.width, place.height)
    }

    #[test]
    fn settings_become_rectangles() {
        assert_eq!(rectangle(""), (1000, 1000, 8000, 8000));
        assert_eq!(rectangle("line:0"), (1000, 0, 8000, 10_000));
        assert_eq!(rectangle("line:-3"), (1000, 0, 8000, 8667));
        assert_eq!(rectangle("line:20%"), (1000, 2000, 8000, 8000));
        assert_eq!(rectangle("line:25%,center"), (1000, 0, 8000, 5000));
        assert_eq!(rectangle("position:30% size:40%"), (1000, 1000, 4000, 8000));
        assert_eq!(
            rectangle("position:10% align:start"),
            (1000, 1000, 9000, 8000)
        );
        assert_eq!(
            rectangle("position:90%,line-right size:30%"),
            (6000, 1000, 3000, 8000)
        );
        assert_eq!(
            rectangle("line:x position:y size:-1%"),
            (1000, 1000, 8000, 8000)
        );
    }

    #[test]
    fn rectangles_become_settings_again() {
        for settings in [
            "",
            "line:0%",
            "line:12.5%",
            "line:50%,center",
            "line:40%,end",
            "position:30% size:40%",
            "position:10% size:30% align:start",
            "position:90% size:30% align:right",
            "align:end",
        ] {
            assert_eq!(Place::from_settings(settings).settings(), settings);
        }
    }
}
