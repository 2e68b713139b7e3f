//! Live presentations and their recordings as DASH.

use super::cues;
use super::hls::Listed;
use super::show::{Item, Lane, Show, longest_row_ms};
use crate::address::child::Carried;
use crate::error::{Code, OriginError};
use crate::manifests::dash::closed_captions;
use crate::shield::Shield;
use headwater_dash as dash;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Config, Row, ticks_of_clock};
use headwater_live::{CLOCK, CLOCK_PER_MS, clock_of_ms};
use headwater_time::{Rounding, rescale};
use jiff::Timestamp;

/// Players that are told of low latency stay so far behind, at least and in segments.
const LEAST_LATENCY_MS: u64 = 2_000;
/// Others stay so many segments behind.
const DELAY_SEGMENTS: u64 = 3;

/// Rows with the same init segments of all tracks.
struct Stretch {
    /// Numbers of its rows.
    rows: std::ops::RangeInclusive<u64>,
    /// On the event's clock.
    start: i64,
    /// How often the parameters of a track had changed before: counts up from stretch to stretch.
    changes: u64,
}

/// The MPD of `tracks`.
///
/// Errors: 404 if no segment is complete; as those of [`Shield`].
pub(crate) fn mpd(
    show: &Show,
    tracks: &[Listed<'_>],
    carried: Carried<'_>,
    shield: Option<&Shield>,
    now: Timestamp,
) -> Result<String, OriginError> {
    let lanes: Vec<(&Listed<'_>, Lane<'_>)> = tracks
        .iter()
        .map(|listed| (listed, show.lane(listed.0)))
        .collect();
    let stretches = stretches(show);
    let zero = match show.ended {
        true => first_start(&lanes),
        false => 0,
    };
    let mut periods = Vec::new();
    let mut namespaces = Vec::new();
    for (at, stretch) in stretches.iter().enumerate() {
        // Until it is known that something was before, time counts from the epoch itself.
        let start = match (at, show.ended) {
            (0, _) => zero,
            _ => stretch.start,
        };
        let mut sets = Vec::new();
        for kind in [Kind::Video, Kind::Audio] {
            let own = lanes.iter().filter(|((_, track, _), _)| track.kind == kind);
            let representations = own.filter_map(|(listed, lane)| {
                representation(show, listed, lane, stretch, start, carried)
            });
            for (protection, representations) in under_one_key(representations, shield)? {
                if !protection.is_empty() {
                    namespaces = headwater_protect::dash::NAMESPACES.to_vec();
                }
                let mut set = adaptation_set(kind, representations, protection);
                set.inband = cues::inband(show);
                if kind == Kind::Video {
                    set.accessibility = closed_captions(show.captions);
                }
                sets.push(set);
            }
        }
        let next = stretches.get(at.saturating_add(1));
        let until = next.map_or(i64::MAX, |next| next.start);
        if !sets.is_empty() {
            periods.push(dash::Period {
                id: format!("p{}", stretch.changes),
                start_ticks: u64::try_from(start.saturating_sub(zero)).unwrap_or(0),
                timescale: CLOCK,
                events: cues::events(show, start, until),
                adaptation_sets: sets,
            });
        }
    }
    let end = show.end().filter(|_| !periods.is_empty());
    let end = end.ok_or_else(|| {
        OriginError::new(
            Code::NotYetAvailable,
            "nothing of the presentation is there yet",
        )
    })?;
    let interval_ms = u64::from(show.interval_ms);
    let timing = match show.ended {
        true => dash::Timing::Static {
            duration_ticks: u64::try_from(end.saturating_sub(zero)).unwrap_or(0),
            timescale: CLOCK,
        },
        false => {
            let latency_ms = show
                .part_ms
                .map(|part| interval_ms.saturating_add(u64::from(part).saturating_mul(3)))
                .map(|latency| latency.max(LEAST_LATENCY_MS));
            let delay = interval_ms.saturating_mul(DELAY_SEGMENTS);
            dash::Timing::Dynamic(dash::Dynamic {
                published: date(end),
                now: format!("{now:.3}"),
                update_ms: interval_ms,
                window_ms: show.window_ms,
                delay_ms: latency_ms.unwrap_or(delay),
                latency_ms,
            })
        }
    };
    Ok(dash::Recording {
        profile: dash::Profile::Cmaf,
        timing,
        longest_segment_ms: interval_ms.max(longest_row_ms(&show.timeline).into()),
        namespaces,
        periods,
    }
    .write())
}

/// A time of the event's clock as a time of day.
fn date(clock: i64) -> String {
    let ms = clock.checked_div(CLOCK_PER_MS).unwrap_or(0);
    let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

/// The earliest time of complete media, on the event's clock and rounded down, so that no time is negative.
fn first_start(lanes: &[(&Listed<'_>, Lane<'_>)]) -> i64 {
    let starts = lanes.iter().filter_map(|(_, lane)| {
        let mut items = lane.items.iter();
        let first = items.find(|item| item.segment.is_some())?;
        let clock = rescale(first.start, lane.scale, CLOCK, Rounding::Floor)?;
        i64::try_from(clock).ok()
    });
    starts.min().unwrap_or(0)
}

/// The window's rows by init segments.
fn stretches(show: &Show) -> Vec<Stretch> {
    let mut configs: Vec<u16> = vec![0; show.timeline.tracks.len()];
    let mut stretches: Vec<Stretch> = Vec::new();
    for row in &show.timeline.rows {
        let changed = take(&mut configs, row);
        let changes = configs.iter().map(|config| u64::from(*config));
        let changes = changes.fold(0, u64::saturating_add);
        match stretches.last_mut() {
            Some(last) if !changed => last.rows = *last.rows.start()..=row.number,
            _ => stretches.push(Stretch {
                rows: row.number..=row.number,
                start: row.start,
                changes,
            }),
        }
    }
    stretches
}

/// Takes over a row's init segments; says whether one is another.
fn take(configs: &mut [u16], row: &Row) -> bool {
    let mut changed = false;
    for (track, segment) in &row.segments {
        if let Some(config) = configs.get_mut(usize::from(*track)) {
            changed |= *config != segment.config;
            *config = segment.config;
        }
    }
    changed
}

fn representation(
    show: &Show,
    (index, track, _): &Listed<'_>,
    lane: &Lane<'_>,
    stretch: &Stretch,
    start: i64,
    carried: Carried<'_>,
) -> Option<dash::Representation> {
    let own = |item: &&Item<'_>| stretch.rows.contains(&item.row.number);
    let items = lane.items.iter().filter(own);
    let mut timeline: Vec<dash::Segment> = Vec::new();
    let mut used: Option<u16> = None;
    for item in items {
        if let Some(segment) = item.segment {
            used = Some(segment.config);
            timeline.push(dash::Segment {
                start: segment.start,
                duration: segment.duration.into(),
            });
        }
    }
    let early = show
        .part_ms
        .filter(|_| !show.ended)
        .map(|part| show.interval_ms.saturating_sub(part));
    if let Some((row, segment)) = lane.growing.filter(|_| early.is_some())
        && stretch.rows.contains(&row.number)
        && !segment.parts.is_empty()
    {
        used = Some(segment.config);
        timeline.push(dash::Segment {
            start: segment.start,
            duration: promised(show, lane),
        });
    }
    let number = used?;
    let config: &Config = show.timeline.config(*index, number)?;
    let (initialization, media) = carried.live_templates(&track.name, number);
    let is_video = track.kind == Kind::Video;
    Some(dash::Representation {
        id: format!("{}_{}", track.name, track.bitrate),
        bandwidth: track.bitrate,
        codecs: config.codec.clone(),
        resolution: is_video.then_some((config.width, config.height)),
        frame_rate: None,
        sample_rate: (!is_video).then_some(config.sample_rate),
        channels: (!is_video).then_some(config.channels),
        segments: dash::SegmentTemplate {
            timescale: config.timescale,
            presentation_time_offset: ticks_of_clock(start, config.timescale),
            initialization,
            media,
            available_early_ms: early,
            timeline,
        },
    })
}

/// How long a segment that grows is going to be: to where the next row is expected.
fn promised(show: &Show, lane: &Lane<'_>) -> u64 {
    let interval = clock_of_ms(show.interval_ms.into());
    let last = lane.items.last().and_then(|item| item.segment);
    let usual = last.map_or(0, |segment| u64::from(segment.duration));
    let promised = u64::try_from(interval).unwrap_or(0);
    let promised = rescale(promised, CLOCK, lane.scale, Rounding::HalfUp).unwrap_or(usual);
    // Sound does not end on the second: what the last segment was, the next one is about.
    match usual {
        0 => promised,
        usual => usual.min(promised.saturating_mul(2)),
    }
}

/// What a set says of its key, and the representations that are under it.
type UnderOneKey = (Vec<String>, Vec<dash::Representation>);

/// Splits representations by key, as an adaptation set names one.
fn under_one_key(
    representations: impl Iterator<Item = dash::Representation>,
    shield: Option<&Shield>,
) -> Result<Vec<UnderOneKey>, OriginError> {
    let mut sets: Vec<UnderOneKey> = Vec::new();
    for representation in representations {
        let protection = match shield {
            Some(shield) => match shield.key_for(&representation.codecs)? {
                Some(key) => shield.dash(key)?,
                None => Vec::new(),
            },
            None => Vec::new(),
        };
        match sets.iter_mut().find(|(known, _)| *known == protection) {
            Some((_, set)) => set.push(representation),
            None => sets.push((protection, vec![representation])),
        }
    }
    Ok(sets)
}

fn adaptation_set(
    kind: Kind,
    mut representations: Vec<dash::Representation>,
    protection: Vec<String>,
) -> dash::AdaptationSet {
    representations.sort_by_key(|representation| std::cmp::Reverse(representation.bandwidth));
    dash::AdaptationSet {
        content_type: match kind {
            Kind::Video => dash::ContentType::Video,
            Kind::Audio => dash::ContentType::Audio,
        },
        language: None,
        label: None,
        accessibility: Vec::new(),
        roles: match kind {
            Kind::Video => Vec::new(),
            Kind::Audio => vec![dash::Descriptor {
                scheme: dash::ROLE_SCHEME,
                value: "main".to_owned(),
            }],
        },
        segment_alignment: true,
        starts_with: dash::AccessPoint::Closed,
        protection,
        inband: Vec::new(),
        representations,
    }
}
