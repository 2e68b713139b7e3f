//! Time expressions (TTML2 §12.3.1) and the parameters that they depend on (§7.2).

use crate::error::TextError;
use roxmltree::Node;

/// Units of time expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Units {
    /// Frames of the time code in a second.
    frames: u64,
    /// Real frames per second: this over that.
    rate: (u64, u64),
    sub_frames: u64,
    ticks: u64,
    smpte: Option<Drop>,
}

/// Which numbers of frames time code leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drop {
    None,
    Ntsc,
}

const MILLIS: u128 = 1000;

impl Units {
    /// As the root element states them.
    ///
    /// Errors: [`TextError::Timing`] for time of day, and for time code that drops frames in PAL's way.
    pub(super) fn of(root: Node<'_, '_>) -> Result<Self, TextError> {
        let line = root.document().text_pos_at(root.range().start).row;
        let get = |name: &str| {
            let mut attributes = root.attributes();
            attributes
                .find(|a| a.name() == name)
                .map(|a| a.value().trim())
        };
        let number = |name: &str| {
            get(name)
                .and_then(|v| v.parse::<u64>().ok())
                .filter(|n| *n > 0)
        };
        let fault = |reason: &str| {
            Err(TextError::Timing {
                line,
                reason: reason.to_owned(),
            })
        };
        let frames = number("frameRate").unwrap_or(30).min(100_000);
        let multiplier = get("frameRateMultiplier").and_then(|value| {
            let mut parts = value.split([' ', ':']).map(str::parse::<u64>);
            let above = parts.next()?.ok().filter(|n| (1..1_000_000).contains(n))?;
            let below = parts.next().unwrap_or(Ok(1)).ok();
            Some((above, below.filter(|n| (1..1_000_000).contains(n))?))
        });
        let (above, below) = multiplier.unwrap_or((1, 1));
        let sub_frames = number("subFrameRate").unwrap_or(1).min(1_000_000);
        let ticks = match (number("tickRate"), get("frameRate")) {
            (Some(ticks), _) => ticks,
            (None, Some(_)) => frames.saturating_mul(sub_frames),
            (None, None) => 1,
        };
        let smpte = match get("timeBase").unwrap_or("media") {
            "smpte" => match get("dropMode").unwrap_or("nonDrop") {
                "dropNTSC" => Some(Drop::Ntsc),
                "dropPAL" => return fault("time code that drops frames in PAL's way is not read"),
                _ => Some(Drop::None),
            },
            "clock" => return fault("times of day have no place in a presentation"),
            _ => None,
        };
        Ok(Self {
            frames,
            rate: (frames.saturating_mul(above), below),
            sub_frames,
            ticks,
            smpte,
        })
    }

    /// Milliseconds of a time expression, to the nearest.
    pub(super) fn read(&self, text: &str) -> Option<u64> {
        let text = text.trim();
        match text.contains(':') {
            true => self.clock_time(text),
            false => self.offset_time(text),
        }
    }

    /// `hh:mm:ss`, with a fraction or with frames.
    fn clock_time(&self, text: &str) -> Option<u64> {
        let mut parts = text.split(':');
        let hours = whole(parts.next()?)?;
        let minutes = whole(parts.next()?).filter(|m| *m < 60)?;
        let (seconds, fraction) = decimal(parts.next()?)?;
        if seconds > 60 {
            return None;
        }
        let seconds = hours
            .checked_mul(3600)?
            .checked_add(minutes.checked_mul(60)?)?
            .checked_add(seconds)?;
        let Some(frames) = parts.next() else {
            let fraction = rounded(fraction, 1_000_000);
            let scaled = u128::from(seconds).checked_mul(MILLIS)?;
            return u64::try_from(scaled.checked_add(fraction)?).ok();
        };
        if parts.next().is_some() || fraction != 0 {
            return None;
        }
        let (frames, sub) = frames.split_once('.').unwrap_or((frames, "0"));
        let (frames, sub) = (whole(frames)?, whole(sub)?);
        // In units of a subframe, then by the real rate.
        let all = match self.smpte {
            None => {
                let of_seconds = u128::from(seconds).checked_mul(MILLIS)?;
                let subs = self.subs(frames, sub)?;
                return u64::try_from(of_seconds.checked_add(self.subs_ms(subs)?)?).ok();
            }
            Some(drop) => {
                let counted = seconds.checked_mul(self.frames)?.checked_add(frames)?;
                let minutes = seconds.checked_div(60)?;
                let dropped = match drop {
                    Drop::None => 0,
                    Drop::Ntsc => {
                        let kept = minutes.checked_div(10)?;
                        minutes.checked_sub(kept)?.checked_mul(2)?
                    }
                };
                self.subs(counted.checked_sub(dropped)?, sub)?
            }
        };
        u64::try_from(self.subs_ms(all)?).ok()
    }

    fn subs(&self, frames: u64, sub: u64) -> Option<u128> {
        let frames = u128::from(frames).checked_mul(self.sub_frames.into())?;
        frames.checked_add(sub.into())
    }

    fn subs_ms(&self, subs: u128) -> Option<u128> {
        let (rate, per) = self.rate;
        let scaled = subs.checked_mul(MILLIS)?.checked_mul(per.into())?;
        let of = u128::from(rate).checked_mul(self.sub_frames.into())?;
        divided(scaled, of)
    }

    /// `12.5s`: a number and its unit.
    fn offset_time(&self, text: &str) -> Option<u64> {
        let at = text.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = text.split_at_checked(at)?;
        let (whole, fraction) = decimal(number)?;
        // Millionths.
        let value = u128::from(whole)
            .checked_mul(1_000_000)?
            .checked_add(fraction)?;
        let (above, below): (u128, u128) = match unit {
            "h" => (3_600_000, 1),
            "m" => (60_000, 1),
            "s" => (1000, 1),
            "ms" => (1, 1),
            "f" => (
                u128::from(self.rate.1).checked_mul(MILLIS)?,
                self.rate.0.into(),
            ),
            "t" => (MILLIS, self.ticks.into()),
            _ => return None,
        };
        let scaled = value.checked_mul(above)?;
        u64::try_from(divided(scaled, below.checked_mul(1_000_000)?)?).ok()
    }
}

fn divided(value: u128, by: u128) -> Option<u128> {
    value.checked_add(by.checked_div(2)?)?.checked_div(by)
}

/// Millionths to units of a thousandth, to the nearest.
fn rounded(millionths: u128, of: u128) -> u128 {
    let scaled = millionths.saturating_mul(MILLIS);
    divided(scaled, of).unwrap_or_default()
}

fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// A decimal number as a whole and millionths.
fn decimal(text: &str) -> Option<(u64, u128)> {
    let (before, after) = text.split_once('.').unwrap_or((text, "0"));
    if after.is_empty() || !after.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millionths: String = after.chars().chain("00000".chars()).take(6).collect();
    Some((whole(before)?, millionths.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(attributes: &str) -> Units {
        let text = format!("<tt xmlns:ttp=\"p\" {attributes}/>");
        let document = roxmltree::Document::parse(&text).unwrap();
        Units::of(document.root_element()).unwrap()
    }

    #[test]
    fn every_kind_of_time() {
        let media = units("ttp:frameRate=\"25\" ttp:tickRate=\"10000000\"");
        for (text, ms) in [
            ("00:00:01.5", Some(1500)),
            ("01:02:03", Some(3_723_000)),
            ("00:00:01.0004", Some(1000)),
            ("00:00:01.0005", Some(1001)),
            ("00:00:01:05", Some(1200)),
            ("100:00:00.000", Some(360_000_000)),
            ("1.5h", Some(5_400_000)),
            ("2m", Some(120_000)),
            ("0.25s", Some(250)),
            ("1500ms", Some(1500)),
            ("50f", Some(2000)),
            ("15000000t", Some(1500)),
            ("1.5", None),
            ("00:61:00", None),
            ("1:2", None),
            ("-1s", None),
            ("1x", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(media.read(text), ms, "{text}");
        }
        assert_eq!(units("").read("7t"), Some(7000));
        let sub = units("ttp:frameRate=\"25\" ttp:subFrameRate=\"2\"");
        assert_eq!(sub.read("00:00:00:01.1"), Some(60));
        assert_eq!(sub.read("50t"), Some(1000));
    }

    #[test]
    fn time_code_counts_frames() {
        let ntsc = "ttp:frameRate=\"30\" ttp:frameRateMultiplier=\"1000 1001\"";
        assert_eq!(units(ntsc).read("00:00:10:15"), Some(10_501));
        let code = units(&format!(
            "{ntsc} ttp:timeBase=\"smpte\" ttp:dropMode=\"nonDrop\""
        ));
        assert_eq!(code.read("01:00:00:00"), Some(3_603_600));
        let drop = units(&format!(
            "{ntsc} ttp:timeBase=\"smpte\" ttp:dropMode=\"dropNTSC\""
        ));
        assert_eq!(drop.read("01:00:00:00"), Some(3_599_996));
        assert_eq!(drop.read("00:01:00:02"), Some(60_060));
        let refused = |attributes: &str| {
            let text = format!("<tt {attributes}/>");
            let document = roxmltree::Document::parse(&text).unwrap();
            Units::of(document.root_element()).is_err()
        };
        assert!(refused("timeBase=\"clock\""));
        assert!(refused("timeBase=\"smpte\" dropMode=\"dropPAL\""));
    }
}
