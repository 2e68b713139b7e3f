//! A filter's stored properties, in the names of Azure Media Services.
//!
//! What was stored was checked then; here it is read so that nothing of it is guessed at. Numbers at or above 2^63-1 stand
//! for "not set", also in the spelling that JavaScript gives them, which no longer fits 64 bits.

use super::{Condition, Filter, Instant, Kind, Property};
use crate::error::{Code, OriginError};
use serde_json::{Map, Value};

/// Why properties are not those of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterFault {
    /// Something of `presentationTimeRange` but its two durations.
    #[error("its presentation time range is not valid")]
    Range,
    /// `presentationWindowDuration`.
    #[error("its presentation window is not valid")]
    Window,
    /// `liveBackoffDuration`.
    #[error("its back-off is not valid")]
    BackOff,
    /// Something of `tracks`.
    #[error("its track conditions are not valid")]
    Tracks,
    /// `firstQuality`.
    #[error("its first quality is not valid")]
    FirstQuality,
}

/// Of numbers without a `timescale`.
const TIMESCALE: u64 = 10_000_000;
const UNSET: u64 = i64::MAX.unsigned_abs();

impl Filter {
    /// Reads `presentationTimeRange`, `firstQuality` and `tracks`.
    ///
    /// Errors: [`FilterFault`].
    pub fn read(properties: &Map<String, Value>) -> Result<Self, FilterFault> {
        let mut filter = Self::default();
        if let Some(range) = object(properties, "presentationTimeRange", FilterFault::Range)? {
            let number = |name| number(range, name, FilterFault::Range);
            let scale = number("timescale")?.unwrap_or(TIMESCALE);
            if scale == 0 {
                return Err(FilterFault::Range);
            }
            filter.start = number("startTimestamp")?.map(|ticks| Instant::new(ticks, scale));
            filter.end = number("endTimestamp")?.map(|ticks| Instant::new(ticks, scale));
            let micros = |ticks: u64| {
                let micros = u128::from(ticks).saturating_mul(1_000_000);
                let micros = micros.checked_div(scale.into()).unwrap_or_default();
                u64::try_from(micros).unwrap_or(u64::MAX)
            };
            let duration = |name, fault| Ok(self::number(range, name, fault)?.map(micros));
            filter.window_micros = duration("presentationWindowDuration", FilterFault::Window)?;
            filter.back_off_micros = duration("liveBackoffDuration", FilterFault::BackOff)?;
            filter.force_end = match range.get("forceEndTimestamp") {
                None | Some(Value::Null) => false,
                Some(value) => value.as_bool().ok_or(FilterFault::Range)?,
            };
        }
        if let Some(quality) = object(properties, "firstQuality", FilterFault::FirstQuality)? {
            filter.first_quality = number(quality, "bitrate", FilterFault::FirstQuality)?;
        }
        for entry in array(properties.get("tracks"))? {
            let entry = entry.as_object().ok_or(FilterFault::Tracks)?;
            let conditions = array(entry.get("trackSelections"))?;
            let conditions: Vec<Condition> = conditions.map(condition).collect::<Result<_, _>>()?;
            if conditions.is_empty() {
                return Err(FilterFault::Tracks);
            }
            filter.tracks.push(conditions);
        }
        Ok(filter)
    }
}

impl From<FilterFault> for OriginError {
    fn from(fault: FilterFault) -> Self {
        let code = match fault {
            FilterFault::Range => Code::FilterRangeInvalid,
            FilterFault::Window => Code::FilterWindowInvalid,
            FilterFault::BackOff => Code::FilterBackOffInvalid,
            FilterFault::Tracks => Code::FilterTrackInvalid,
            FilterFault::FirstQuality => Code::FilterFirstQualityInvalid,
        };
        Self::new(code, format!("a filter cannot be applied: {fault}"))
    }
}

fn object<'a>(
    of: &'a Map<String, Value>,
    name: &str,
    fault: FilterFault,
) -> Result<Option<&'a Map<String, Value>>, FilterFault> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_object().map(Some).ok_or(fault),
    }
}

fn array(value: Option<&Value>) -> Result<impl Iterator<Item = &Value>, FilterFault> {
    let values = match value {
        None | Some(Value::Null) => &[][..],
        Some(value) => value.as_array().ok_or(FilterFault::Tracks)?,
    };
    Ok(values.iter())
}

fn number(
    of: &Map<String, Value>,
    name: &str,
    fault: FilterFault,
) -> Result<Option<u64>, FilterFault> {
    let number = match of.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number,
        Some(_) => return Err(fault),
    };
    if let Some(whole) = number.as_u64() {
        return Ok(Some(whole).filter(|n| *n < UNSET));
    }
    // A float past 64 bits is "not set" as JavaScript writes it.
    match number.as_f64() {
        Some(large) if large >= 9.2e18 => Ok(None),
        _ => Err(fault),
    }
}

fn condition(value: &Value) -> Result<Condition, FilterFault> {
    let text = |name: &str| {
        let text = value.get(name).and_then(Value::as_str);
        text.map(str::trim)
            .filter(|t| !t.is_empty())
            .ok_or(FilterFault::Tracks)
    };
    let wanted = text("value")?;
    let property = match text("property")?.to_ascii_lowercase().as_str() {
        "type" => Property::Type(match wanted.to_ascii_lowercase().as_str() {
            "video" => Kind::Video,
            "audio" => Kind::Audio,
            "text" => Kind::Text,
            _ => return Err(FilterFault::Tracks),
        }),
        "name" => Property::Name(wanted.to_owned()),
        "language" => Property::Language(wanted.to_owned()),
        "fourcc" => Property::FourCc(wanted.to_owned()),
        "bitrate" => {
            let number = |text: &str| text.trim().parse::<u64>().map_err(|_| FilterFault::Tracks);
            let (low, high) = wanted.split_once('-').unwrap_or((wanted, wanted));
            Property::Bitrate(number(low)?..=number(high)?)
        }
        _ => return Err(FilterFault::Tracks),
    };
    let equal = match text("operation")?.to_ascii_lowercase().as_str() {
        "equal" => true,
        "notequal" => false,
        _ => return Err(FilterFault::Tracks),
    };
    Ok(Condition { property, equal })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Filter, FilterFault> {
        Filter::read(
            serde_json::from_str::<Value>(text)
                .unwrap()
                .as_object()
                .unwrap(),
        )
    }

    #[test]
    fn numbers_that_javascript_wrote_are_not_set() {
        let filter = read(
            r#"{"presentationTimeRange": {"startTimestamp": 90000, "timescale": 90000,
                "endTimestamp": 9223372036854776000, "liveBackoffDuration": 9223372036854775807},
                "firstQuality": {"bitrate": 2200000},
                "tracks": [{"trackSelections": [{"property": "Bitrate", "operation": "NotEqual", "value": "0-2427000"},
                                                {"property": "Type", "operation": "Equal", "value": "VIDEO"}]}]}"#,
        )
        .unwrap();
        assert_eq!(filter.start, Some(Instant::new(1, 1)));
        assert_eq!((filter.end, filter.first_quality), (None, Some(2_200_000)));
        assert_eq!(
            filter.tracks,
            [[
                Condition {
                    property: Property::Bitrate(0..=2_427_000),
                    equal: false
                },
                Condition {
                    property: Property::Type(Kind::Video),
                    equal: true
                }
            ]]
        );
        assert_eq!(read("{}").unwrap(), Filter::default());
    }

    #[test]
    fn scales_may_be_finer_than_those_of_tracks() {
        let filter = read(
            r#"{"presentationTimeRange": {"startTimestamp": 25000000000, "timescale": 10000000000,
                "presentationWindowDuration": 600000000000}}"#,
        )
        .unwrap();
        assert_eq!(filter.start, Some(Instant::new(5, 2)));
        assert_eq!(filter.window_micros, Some(60_000_000));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (text, fault) in [
            (
                r#"{"presentationTimeRange": {"timescale": 0}}"#,
                FilterFault::Range,
            ),
            (
                r#"{"presentationTimeRange": {"startTimestamp": -1}}"#,
                FilterFault::Range,
            ),
            (
                r#"{"presentationTimeRange": {"presentationWindowDuration": -1}}"#,
                FilterFault::Window,
            ),
            (
                r#"{"presentationTimeRange": {"liveBackoffDuration": "10"}}"#,
                FilterFault::BackOff,
            ),
            (
                r#"{"firstQuality": {"bitrate": "x"}}"#,
                FilterFault::FirstQuality,
            ),
            (
                r#"{"tracks": [{"trackSelections": []}]}"#,
                FilterFault::Tracks,
            ),
            (
                r#"{"tracks": [{"trackSelections": [{"property": "Unknown", "operation": "Equal", "value": "x"}]}]}"#,
                FilterFault::Tracks,
            ),
        ] {
            assert_eq!(read(text), Err(fault), "{text}");
        }
    }
}
