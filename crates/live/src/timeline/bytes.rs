//! Timelines, rows and changes as bytes: the payloads of journals, heads and pages.
//!
//! A timeline of version 1 counts no cuts (see [`group`](crate::group)): what was written then had a row to a segment. Up to
//! version 2 no track has a language.

use std::collections::{BTreeMap, VecDeque};

use headwater_time::Timescale;

use super::{Change, Config, Part, Row, Segment, Timeline, Track};
use crate::LiveError;
use crate::cue::{Body, Cue, Role};
use crate::group::Gone;
use crate::stream::Kind;
use crate::wire::{Reader, Writer};

fn write_kind(w: &mut Writer, kind: Kind) {
    w.u8(match kind {
        Kind::Video => 0,
        Kind::Audio => 1,
    });
}

fn read_kind(r: &mut Reader<'_>) -> Result<Kind, LiveError> {
    match r.u8()? {
        0 => Ok(Kind::Video),
        1 => Ok(Kind::Audio),
        _ => Err(r.damaged("a track is neither picture nor sound")),
    }
}

fn read_flag(r: &mut Reader<'_>) -> Result<bool, LiveError> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(r.damaged("a flag is neither 0 nor 1")),
    }
}

fn write_config(w: &mut Writer, config: &Config) {
    w.bytes(config.codec.as_bytes());
    w.u32(config.timescale.get());
    w.u32(config.width);
    w.u32(config.height);
    w.u32(config.sample_rate);
    w.u16(config.channels);
    w.bytes(&config.init);
}

fn read_config(r: &mut Reader<'_>) -> Result<Config, LiveError> {
    let codec = r.text()?;
    let scale = Timescale::new(r.u32()?);
    Ok(Config {
        codec,
        timescale: scale.ok_or_else(|| r.damaged("a timescale of 0"))?,
        width: r.u32()?,
        height: r.u32()?,
        sample_rate: r.u32()?,
        channels: r.u16()?,
        init: r.bytes()?.to_vec(),
    })
}

fn write_part(w: &mut Writer, part: &Part) {
    w.u32(part.offset);
    w.u32(part.duration);
    w.u32(part.size);
    w.u32(part.header);
    w.u8(u8::from(part.independent));
}

fn read_part(r: &mut Reader<'_>) -> Result<Part, LiveError> {
    Ok(Part {
        offset: r.u32()?,
        duration: r.u32()?,
        size: r.u32()?,
        header: r.u32()?,
        independent: read_flag(r)?,
    })
}

fn write_segment(w: &mut Writer, segment: &Segment) {
    w.u64(segment.start);
    w.u32(segment.duration);
    w.u16(segment.config);
    w.u8(u8::from(segment.complete));
    w.count(segment.parts.len());
    for part in &segment.parts {
        write_part(w, part);
    }
}

fn read_segment(r: &mut Reader<'_>) -> Result<Segment, LiveError> {
    let (start, duration, config) = (r.u64()?, r.u32()?, r.u16()?);
    let complete = read_flag(r)?;
    let mut parts = Vec::new();
    for _ in 0..r.count()? {
        parts.push(read_part(r)?);
    }
    Ok(Segment {
        start,
        duration,
        config,
        parts,
        complete,
    })
}

pub(crate) fn write_row(w: &mut Writer, row: &Row) {
    w.u64(row.number);
    w.i64(row.start);
    w.u8(u8::from(row.discontinuity));
    w.count(row.segments.len());
    for (track, segment) in &row.segments {
        w.u16(*track);
        write_segment(w, segment);
    }
}

pub(crate) fn read_row(r: &mut Reader<'_>) -> Result<Row, LiveError> {
    let (number, start) = (r.u64()?, r.i64()?);
    let discontinuity = read_flag(r)?;
    let mut segments = BTreeMap::new();
    for _ in 0..r.count()? {
        segments.insert(r.u16()?, read_segment(r)?);
    }
    Ok(Row {
        number,
        start,
        discontinuity,
        segments,
    })
}

/// Of what begins with a timeline or ends with one: journals, heads, snapshots.
pub(crate) const TIMELINE_VERSION: u16 = 3;

/// A timeline without its rows, then the rows.
pub(crate) fn write_timeline(w: &mut Writer, timeline: &Timeline) {
    w.count(timeline.tracks.len());
    for track in &timeline.tracks {
        write_kind(w, track.kind);
        w.bytes(track.name.as_bytes());
        w.u32(track.bitrate);
        // An empty text is none.
        w.bytes(track.language.as_deref().unwrap_or_default().as_bytes());
        w.count(track.configs.len());
        for config in &track.configs {
            write_config(w, config);
        }
    }
    w.u64(timeline.gone.discontinuities);
    for cuts in timeline.gone.cuts {
        w.u64(cuts);
    }
    w.u64(timeline.next_number.unwrap_or(u64::MAX));
    w.u8(u8::from(timeline.ended));
    w.count(timeline.rows.len());
    for row in &timeline.rows {
        write_row(w, row);
    }
    w.count(timeline.cues.len());
    for cue in &timeline.cues {
        write_cue(w, cue);
    }
    w.count(timeline.schemes.len());
    for (scheme, value) in &timeline.schemes {
        w.bytes(scheme.as_bytes());
        w.bytes(value.as_bytes());
    }
}

fn write_cue(w: &mut Writer, cue: &Cue) {
    w.bytes(cue.id.as_bytes());
    w.i64(cue.start);
    w.u64(cue.duration.unwrap_or(u64::MAX));
    match &cue.body {
        Body::Splice { role, section } => {
            w.u8(match role {
                Role::Out => 1,
                Role::In => 2,
                Role::Other => 3,
            });
            w.bytes(section);
        }
        Body::Break => w.u8(4),
    }
}

fn read_cue(r: &mut Reader<'_>) -> Result<Cue, LiveError> {
    let (id, start) = (r.text()?, r.i64()?);
    let duration = Some(r.u64()?).filter(|ticks| *ticks != u64::MAX);
    let splice = |role, section: &[u8]| Body::Splice {
        role,
        section: section.to_vec(),
    };
    let body = match r.u8()? {
        1 => splice(Role::Out, r.bytes()?),
        2 => splice(Role::In, r.bytes()?),
        3 => splice(Role::Other, r.bytes()?),
        4 => Body::Break,
        _ => return Err(r.damaged("a cue says what is not known")),
    };
    Ok(Cue {
        id,
        start,
        duration,
        body,
    })
}

/// What [`write_timeline`] wrote, in this version or an earlier one.
pub(crate) fn read_timeline(r: &mut Reader<'_>, version: u16) -> Result<Timeline, LiveError> {
    let mut tracks = Vec::new();
    for _ in 0..r.count()? {
        let (kind, name, bitrate) = (read_kind(r)?, r.text()?, r.u32()?);
        let language = match version {
            ..3 => None,
            _ => Some(r.text()?).filter(|tag| !tag.is_empty()),
        };
        let mut configs = Vec::new();
        for _ in 0..r.count()? {
            configs.push(read_config(r)?);
        }
        tracks.push(Track {
            kind,
            name,
            bitrate,
            language,
            configs,
        });
    }
    let mut gone = Gone {
        discontinuities: r.u64()?,
        ..Gone::default()
    };
    if version > 1 {
        for cuts in &mut gone.cuts {
            *cuts = r.u64()?;
        }
    }
    let next_number = Some(r.u64()?).filter(|number| *number != u64::MAX);
    let ended = read_flag(r)?;
    let mut rows: VecDeque<Row> = VecDeque::new();
    for _ in 0..r.count()? {
        let row = read_row(r)?;
        let expected = rows.back().map(|last| last.number.saturating_add(1));
        if expected.is_some_and(|expected| expected != row.number) {
            return Err(r.damaged("row numbers have a hole"));
        }
        rows.push_back(row);
    }
    let (mut cues, mut schemes) = (Vec::new(), Vec::new());
    // Version 1 ends here where there are none.
    if !r.is_empty() {
        for _ in 0..r.count()? {
            cues.push(read_cue(r)?);
        }
        for _ in 0..r.count()? {
            schemes.push((r.text()?, r.text()?));
        }
    }
    Ok(Timeline {
        tracks,
        rows,
        gone,
        next_number,
        ended,
        cues,
        schemes,
    })
}

pub(crate) fn write_change(w: &mut Writer, change: &Change) {
    match change {
        Change::Track {
            kind,
            name,
            bitrate,
            language,
        } => {
            w.u8(if language.is_some() { 13 } else { 1 });
            write_kind(w, *kind);
            w.bytes(name.as_bytes());
            w.u32(*bitrate);
            if let Some(language) = language {
                w.bytes(language.as_bytes());
            }
        }
        Change::Language { track, language } => {
            w.u8(14);
            w.u16(*track);
            w.bytes(language.as_bytes());
        }
        Change::Config { track, config } => {
            w.u8(2);
            w.u16(*track);
            write_config(w, config);
        }
        Change::Row {
            number,
            start,
            discontinuity,
        } => {
            w.u8(3);
            w.u64(*number);
            w.i64(*start);
            w.u8(u8::from(*discontinuity));
        }
        Change::Open {
            track,
            number,
            start,
            config,
        } => {
            w.u8(4);
            w.u16(*track);
            w.u64(*number);
            w.u64(*start);
            w.u16(*config);
        }
        Change::Part {
            track,
            number,
            part,
        } => {
            w.u8(5);
            w.u16(*track);
            w.u64(*number);
            write_part(w, part);
        }
        Change::Close {
            track,
            number,
            duration,
        } => {
            w.u8(6);
            w.u16(*track);
            w.u64(*number);
            w.u32(*duration);
        }
        Change::Whole {
            track,
            number,
            segment,
        } => {
            w.u8(7);
            w.u16(*track);
            w.u64(*number);
            write_segment(w, segment);
        }
        Change::Trim { number } => {
            w.u8(8);
            w.u64(*number);
        }
        Change::End => w.u8(9),
        Change::Cue(cue) => {
            w.u8(10);
            write_cue(w, cue);
        }
        Change::Withdrawn { id, start } => {
            w.u8(11);
            w.bytes(id.as_bytes());
            w.i64(*start);
        }
        Change::Scheme { scheme, value } => {
            w.u8(12);
            w.bytes(scheme.as_bytes());
            w.bytes(value.as_bytes());
        }
    }
}

pub(crate) fn read_change(r: &mut Reader<'_>) -> Result<Change, LiveError> {
    Ok(match r.u8()? {
        1 => Change::Track {
            kind: read_kind(r)?,
            name: r.text()?,
            bitrate: r.u32()?,
            language: None,
        },
        2 => Change::Config {
            track: r.u16()?,
            config: read_config(r)?,
        },
        3 => Change::Row {
            number: r.u64()?,
            start: r.i64()?,
            discontinuity: read_flag(r)?,
        },
        4 => Change::Open {
            track: r.u16()?,
            number: r.u64()?,
            start: r.u64()?,
            config: r.u16()?,
        },
        5 => Change::Part {
            track: r.u16()?,
            number: r.u64()?,
            part: read_part(r)?,
        },
        6 => Change::Close {
            track: r.u16()?,
            number: r.u64()?,
            duration: r.u32()?,
        },
        7 => Change::Whole {
            track: r.u16()?,
            number: r.u64()?,
            segment: read_segment(r)?,
        },
        8 => Change::Trim { number: r.u64()? },
        9 => Change::End,
        10 => Change::Cue(read_cue(r)?),
        11 => Change::Withdrawn {
            id: r.text()?,
            start: r.i64()?,
        },
        12 => Change::Scheme {
            scheme: r.text()?,
            value: r.text()?,
        },
        13 => Change::Track {
            kind: read_kind(r)?,
            name: r.text()?,
            bitrate: r.u32()?,
            language: Some(r.text()?),
        },
        14 => Change::Language {
            track: r.u16()?,
            language: r.text()?,
        },
        _ => return Err(r.damaged("an unknown change")),
    })
}
