//! Live presentations and their recordings as DASH.

use super::cues;
use super::hls::{Listed, begins_with_key_frame};
use super::media;
use super::show::{Item, Lane, Show, longest_row_ms};
use super::texts::{self, pieces};
use crate::address::child::Carried;
use crate::address::{Format, TIME};
use crate::error::{Code, OriginError};
use crate::manifests::dash::{audio_role, closed_captions, representation_id, stated_colour};
use crate::manifests::{SetKey, grouped};
use crate::presentation::TextTrack;
use crate::shield::Shield;
use headwater_cmaf::index::{codec_family, pictures_of};
use headwater_dash as dash;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Config, Row, Segment, Track, ticks_of_clock};
use headwater_live::{CLOCK, CLOCK_PER_MS, clock_of_ms};
use headwater_protect::Period;
use headwater_time::{Rounding, rescale};
use jiff::Timestamp;

/// Players that are told of low latency stay so far behind, at least and in segments.
const LEAST_LATENCY_MS: u64 = 2_000;
/// Pictures in a second, at least as many as there usually are.
const USUAL_RATE: u32 = 24;
/// So little sound in front of the first picture is cut: about two frames of it.
const MOMENT_MS: i64 = 50;
/// Others stay so many segments behind.
const DELAY_SEGMENTS: u64 = 3;

/// Rows with the same init segments of all tracks, and the same keys.
struct Stretch {
    /// Numbers of its rows.
    rows: std::ops::RangeInclusive<u64>,
    /// On the event's clock.
    start: i64,
    /// How often the parameters of a track had changed before: does not count down from stretch to stretch.
    changes: u64,
    /// Of keys, where they rotate.
    period: Option<Period>,
}

impl Stretch {
    /// The same for as long as any of it is shown, and no other's.
    fn id(&self) -> String {
        match self.period {
            None => format!("p{}", self.changes),
            Some(period) => format!("p{}-{}", self.changes, period.number()),
        }
    }
}

/// The MPD of `tracks`, and of `texts` as `format` carries them.
///
/// Errors: 404 if no segment is complete; as those of [`Shield`].
pub(crate) fn mpd(
    show: &Show,
    (tracks, (texts, format)): (&[Listed<'_>], (&[TextTrack], Format)),
    carried: Carried<'_>,
    shield: Option<&Shield>,
    now: Timestamp,
) -> Result<String, OriginError> {
    let lanes: Vec<(&Listed<'_>, Lane<'_>)> = tracks
        .iter()
        .map(|listed| (listed, show.lane(listed.0)))
        .collect();
    let mut stretches = stretches(show, shield);
    let waits = |last: Option<&Stretch>| last.is_some_and(|last| awaits(show, &lanes, last));
    while !show.ended && stretches.len() > 1 && waits(stretches.last()) {
        stretches.pop();
    }
    let zero = match show.ended {
        true => first_start(&lanes),
        false => 0,
    };
    let pieces = match texts {
        [] => Vec::new(),
        _ => pieces(show),
    };
    // The first is what players begin with, in every period.
    let mut sounds = tracks.iter().map(|(_, track, _)| track);
    let default_sound = sounds.find(|track| track.kind == Kind::Audio);
    let default_sound = default_sound.map(|track| set_key(track));
    let mut periods = Vec::new();
    let mut namespaces = Vec::new();
    for (at, stretch) in stretches.iter().enumerate() {
        let shield = shield.map(|shield| shield.in_period(stretch.period));
        let shield = shield.as_ref();
        // Until it is known that something was before, time counts from the epoch itself. Where keys rotate that is known; of what
        // nothing was before, or nobody has the first row any more, the period begins when it may have at the earliest.
        let earliest = || {
            show.keys_began
                .or_else(|| shield?.earliest(stretch.period?))
        };
        let start = match (at, show.ended) {
            (0, true) => zero,
            (0, false) => earliest().unwrap_or(zero),
            _ => stretch.start,
        };
        // Init segments of whole encrypted segments name no key.
        let named = shield.is_some_and(|shield| shield.samples().is_some());
        let named = stretch.period.filter(|_| named);
        let mut sets = Vec::new();
        for kind in [Kind::Video, Kind::Audio] {
            let own = lanes.iter().filter(|((_, track, _), _)| track.kind == kind);
            let keyed = own.filter_map(|(listed, lane)| {
                let made = representation(show, listed, lane, (stretch, start, named), carried)?;
                let family = codec_family(&made.codecs).to_owned();
                let colour = colour(show, listed, lane, stretch);
                Some(((family, colour, set_key(listed.1)), made))
            });
            for ((_, colour, key), alternatives) in grouped(keyed) {
                for (protection, representations) in under_one_key(alternatives, shield)? {
                    if !protection.is_empty() {
                        namespaces = headwater_protect::dash::NAMESPACES.to_vec();
                    }
                    let is_default = default_sound.as_ref() == Some(&key);
                    let of = (kind, key.1.clone(), is_default);
                    let mut set = adaptation_set(of, representations, protection);
                    set.colour = colour;
                    set.inband = cues::inband(show);
                    if kind == Kind::Video {
                        set.accessibility = closed_captions(show.captions);
                    }
                    sets.push(set);
                }
            }
        }
        if !sets.is_empty() {
            let own = texts::of_rows(&pieces, &stretch.rows);
            let placed = (own.as_slice(), start);
            let all = texts
                .iter()
                .map(|text| texts::adaptation_set(text, placed, format, carried, shield));
            for set in all {
                let set = set?;
                if !set.protection.is_empty() {
                    namespaces = headwater_protect::dash::NAMESPACES.to_vec();
                }
                sets.push(set);
            }
        }
        let next = stretches.get(at.saturating_add(1));
        let until = next.map_or(i64::MAX, |next| next.start);
        if !sets.is_empty() {
            periods.push(dash::Period {
                id: stretch.id(),
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
                clock: TIME.to_owned(),
                update_ms: interval_ms,
                window_ms: show.window_ms,
                delay_ms: latency_ms.unwrap_or(delay),
                latency_ms,
            })
        }
    };
    Ok(dash::Recording {
        profile: match format {
            Format::DashCsf => dash::Profile::CommonStreamingFormat,
            _ => dash::Profile::Cmaf,
        },
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

/// Where a recording begins, on the event's clock and rounded down: with its earliest complete media, but with the first picture where
/// only a moment of sound is in front of it. Players cut that moment; one that starts in front of the first picture has nothing to
/// show, and Shaka Player 5.2 jumps over the gap. A picture is never cut: all up to the next key frame would go with it.
fn first_start(lanes: &[(&Listed<'_>, Lane<'_>)]) -> i64 {
    let earliest = |kind: Kind| {
        let own = lanes.iter().filter(|((_, track, _), _)| track.kind == kind);
        let starts = own.filter_map(|(_, lane)| {
            let mut items = lane.items.iter();
            let first = items.find(|item| item.segment.is_some())?;
            let clock = rescale(first.start, lane.scale, CLOCK, Rounding::Floor)?;
            i64::try_from(clock).ok()
        });
        starts.min()
    };
    match (earliest(Kind::Video), earliest(Kind::Audio)) {
        // Sound that begins later than the pictures is waited for.
        (Some(pictures), Some(sound))
            if pictures.saturating_sub(sound) < clock_of_ms(MOMENT_MS) =>
        {
            pictures
        }
        (Some(_), Some(sound)) => sound,
        (pictures, sound) => pictures.or(sound).unwrap_or(0),
    }
}

/// The window's rows by init segments and keys.
fn stretches(show: &Show, shield: Option<&Shield>) -> Vec<Stretch> {
    let mut configs: Vec<u16> = vec![0; show.timeline.tracks.len()];
    let mut stretches: Vec<Stretch> = Vec::new();
    for row in &show.timeline.rows {
        let changed = take(&mut configs, row);
        let changes = configs.iter().map(|config| u64::from(*config));
        let changes = changes.fold(0, u64::saturating_add);
        let period = shield.and_then(|shield| shield.period(row.start));
        match stretches.last_mut() {
            Some(last) if !changed && last.period == period => {
                last.rows = *last.rows.start()..=row.number
            }
            _ => stretches.push(Stretch {
                rows: row.number..=row.number,
                start: row.start,
                changes,
                period,
            }),
        }
    }
    stretches
}

/// Whether a track has nothing of the stretch yet and may still: a period that is first listed without its sound has none for players
/// that do not look for more tracks in what they know (Shaka Player).
fn awaits(show: &Show, lanes: &[(&Listed<'_>, Lane<'_>)], stretch: &Stretch) -> bool {
    let nothing = |lane: &Lane<'_>| lane.next_number <= *stretch.rows.start();
    let mut lanes = lanes.iter();
    lanes.any(|(_, lane)| nothing(lane) && growing(show, lane, stretch).is_none())
}

/// What is listed of a track before it is complete: with low latency alone, once there is a part of it.
fn growing<'a>(show: &Show, lane: &Lane<'a>, stretch: &Stretch) -> Option<&'a Segment> {
    let (row, segment) = lane.growing.filter(|_| early(show).is_some())?;
    (stretch.rows.contains(&row.number) && !segment.parts.is_empty()).then_some(segment)
}

/// How long before its end a segment can be asked for, milliseconds: with low latency, while it is live.
fn early(show: &Show) -> Option<u32> {
    let part = show.part_ms.filter(|_| !show.ended)?;
    Some(show.interval_ms.saturating_sub(part))
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
    (stretch, start, named): (&Stretch, i64, Option<Period>),
    carried: Carried<'_>,
) -> Option<dash::Representation> {
    let items = of_rows(lane, &stretch.rows);
    let mut timeline: Vec<dash::Segment> = Vec::new();
    let mut used: Option<u16> = None;
    let mut all_begin_with_one = true;
    for item in items {
        if let Some(segment) = item.segment {
            all_begin_with_one &= begins_with_key_frame(segment);
            used = Some(segment.config);
            timeline.push(dash::Segment {
                start: segment.start,
                duration: segment.duration.into(),
            });
        }
    }
    // What grows has none yet.
    let count = timeline.len();
    if let Some(segment) = growing(show, lane, stretch) {
        used = Some(segment.config);
        timeline.push(dash::Segment {
            start: segment.start,
            duration: promised(show, lane),
        });
    }
    let number = used?;
    let config: &Config = show.timeline.config(*index, number)?;
    let (initialization, media) = carried.live_templates(&track.name, number, named);
    let is_video = track.kind == Kind::Video;
    // Encoders that leave key frames out have segments without.
    let key_frames = carried.dash_key_frames(&track.name);
    let key_frames = key_frames.filter(|_| is_video && all_begin_with_one && count > 0);
    Some(dash::Representation {
        id: representation_id(&track.name, track.bitrate),
        bandwidth: track.bitrate,
        codecs: config.codec.clone(),
        resolution: is_video.then_some((config.width, config.height)),
        frame_rate: is_video
            .then(|| pictures_of(&config.init).frame_rate)
            .flatten(),
        sample_rate: (!is_video).then_some(config.sample_rate),
        channels: (!is_video).then_some(config.channels),
        objects: 0,
        segments: dash::SegmentTemplate {
            timescale: config.timescale,
            presentation_time_offset: ticks_of_clock(start, config.timescale),
            initialization,
            media,
            available_early_ms: early(show),
            timeline,
        },
        key_frames: key_frames.map(|media| dash::KeyFrames {
            media,
            count,
            rate: USUAL_RATE.saturating_mul(show.interval_ms.div_ceil(1_000)),
        }),
    })
}

/// The colour that a set of pictures states in a stretch, which has one init segment of each track.
fn colour(
    show: &Show,
    (index, track, _): &Listed<'_>,
    lane: &Lane<'_>,
    stretch: &Stretch,
) -> Option<[u16; 3]> {
    if track.kind != Kind::Video {
        return None;
    }
    let mut segments = of_rows(lane, &stretch.rows)
        .iter()
        .filter_map(|item| item.segment);
    let segment = segments.next().or_else(|| growing(show, lane, stretch))?;
    let pictures = pictures_of(&show.timeline.config(*index, segment.config)?.init);
    stated_colour(pictures.range, pictures.colour)
}

/// A track's items in some rows. There may be thousands of stretches: none looks at what is others'.
fn of_rows<'l, 'a>(lane: &'l Lane<'a>, rows: &std::ops::RangeInclusive<u64>) -> &'l [Item<'a>] {
    let items = &lane.items;
    let from = items.partition_point(|item| item.row.number < *rows.start());
    let to = items.partition_point(|item| item.row.number <= *rows.end());
    items.get(from..to).unwrap_or_default()
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
    representations: Vec<dash::Representation>,
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

/// What tells tracks of a kind and codec apart that are no alternatives of each other.
fn set_key(track: &Track) -> SetKey {
    (track.name.clone(), media::language(track), None, false)
}

fn adaptation_set(
    (kind, language, is_default): (Kind, Option<String>, bool),
    mut representations: Vec<dash::Representation>,
    protection: Vec<String>,
) -> dash::AdaptationSet {
    representations.sort_by_key(|representation| std::cmp::Reverse(representation.bandwidth));
    dash::AdaptationSet {
        content_type: match kind {
            Kind::Video => dash::ContentType::Video,
            Kind::Audio => dash::ContentType::Audio,
        },
        language,
        label: None,
        accessibility: Vec::new(),
        roles: match kind {
            Kind::Video => Vec::new(),
            Kind::Audio => vec![audio_role(None, is_default)],
        },
        segment_alignment: true,
        starts_with: dash::AccessPoint::Closed,
        colour: None,
        protection,
        inband: Vec::new(),
        representations,
    }
}
