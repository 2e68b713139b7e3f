//! What of an asset will play, and why the rest will not: the origin's own judgement, before anybody presses play.
//!
//! It goes the way that a player's request goes, so the packaging indexes are built and stored on the way. What a manifest
//! leaves out in silence is said here.

use crate::address::{Format, Options, SmoothVersion, child::Carried};
use crate::codec::Decoder;
use crate::documents::{Documents, NO_TEXT, Reader};
use crate::error::{Code, OriginError};
use crate::images;
use crate::index::{Found, Freshness, Indexes, LoadedIndex, MediaFile, SegmentTime};
use crate::manifests::{Beside, grid, smooth};
use crate::ports::Storage;
use crate::presentation::{self, LeftOut, Listing, Presentation, TextTrack, Track};
use crate::serve::listing::leaves_out;
use crate::transport;
use headwater_cmaf::index::TrackKind;
use headwater_text::mp4::{TTML_CODEC, WEBVTT_CODEC};
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// Room for the indexes of one presentation while it is looked at, bytes.
const INDEX_BYTES: usize = 4 << 20;
/// Room for its text.
const DOCUMENT_BYTES: usize = 8 << 20;

/// What there is of a presentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// A server manifest lists the tracks; else the files' names do.
    pub has_manifest: bool,
    /// The tracks that play: video, then audio, then text.
    pub tracks: Vec<TrackReport>,
    /// The WebVTT file whose cues are pictures for seeking, if there is one that plays.
    pub sheets: Option<String>,
    /// What does not.
    pub left_out: Vec<LeftOut>,
    /// What else operators should know: for example levels that one protocol cannot switch between.
    pub warnings: Vec<String>,
}

/// A track that plays, at least somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackReport {
    /// Media or text file, or the header of an archived track; relative to the asset.
    pub file: String,
    /// Track id in it; `None` of text, of which a file has one.
    pub id: Option<u32>,
    /// Video, audio or text.
    pub kind: TrackKind,
    /// Stream name in URLs.
    pub name: String,
    /// Bit rate in URLs, bit/s.
    pub bitrate: u32,
    /// RFC 6381.
    pub codec: String,
    /// BCP 47.
    pub language: Option<String>,
    /// Milliseconds.
    pub duration_ms: u64,
    /// Number of segments.
    pub segments: u32,
    /// Protocols that do not carry it.
    pub refusals: Vec<Refusal>,
}

/// A protocol that does not carry a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `HLS over MPEG-2 TS` or `Smooth Streaming`: everything is carried by HLS and DASH over CMAF.
    pub protocol: &'static str,
    /// Why, for people.
    pub reason: String,
}

/// Looks at the presentation `name` of the asset at `at`. `place`: see [`crate::Published::place`].
///
/// Errors: 404 if there is no presentation of this name, 415 for a server manifest that cannot be read, and what storage
/// says. A file that cannot be played is none.
pub async fn report<S: Storage>(
    storage: &S,
    (at, place): (&S::Location, &str),
    name: &str,
    now: Timestamp,
    log: fn(&str),
) -> Result<Report, OriginError> {
    let found = presentation::find(storage, at, name).await?;
    let mut report = Report {
        has_manifest: found.written_down,
        tracks: Vec::new(),
        sheets: None,
        left_out: found.left_out,
        warnings: Vec::new(),
    };
    let indexes = Indexes::new(INDEX_BYTES, INDEX_BYTES);
    let mut loaded: HashMap<String, Arc<LoadedIndex>> = HashMap::new();
    for file in found.listing.files() {
        let media = MediaFile { at, place, file };
        let looked = indexes
            .find(storage, &media, now, Freshness::Looked, log)
            .await;
        let index = match looked {
            Ok(Found::Index(index)) => Ok(index),
            Ok(Found::MediaOnly { info, useless }) => {
                let useless = useless.as_deref();
                indexes
                    .build(storage, &media, &info, useless, now, log)
                    .await
            }
            Err(error) => Err(error),
        };
        match index {
            Ok(index) => {
                for warning in &index.head().warnings {
                    match warning.track() {
                        None => report.warnings.push(format!("{file}: {warning}")),
                        track => report.left_out.push(LeftOut {
                            file: file.to_owned(),
                            track,
                            reason: warning.reason.clone(),
                        }),
                    }
                }
                loaded.insert(file.to_owned(), index);
            }
            Err(error) if leaves_out(error.code()) => report.left_out.push(LeftOut {
                file: file.to_owned(),
                track: None,
                reason: error.detail().to_owned(),
            }),
            Err(error) => return Err(error),
        }
    }
    let documents = Documents::new(DOCUMENT_BYTES);
    let reader = Reader {
        storage,
        documents: &documents,
        at,
        place,
        now,
        freshness: Freshness::Looked,
        log,
    };
    let texts = texts(&reader, &found.listing, &mut report.left_out).await?;
    let presentation = match Presentation::build(&found.listing, &loaded) {
        Ok(presentation) => presentation,
        Err(error) if error.code() == Code::FormatNotSupported => return Ok(report),
        Err(error) => return Err(error),
    };
    report
        .left_out
        .extend(presentation::without_track(&found.listing, &loaded));
    for track in presentation.tracks() {
        report.tracks.push(of_track(track)?);
        report.warnings.extend(warnings(track)?);
    }
    let mut timelines = Vec::new();
    for track in presentation.tracks() {
        let file = &track.index.file;
        let media = MediaFile { at, place, file };
        let directory = indexes.directory(storage, &media, &track.index, track.head()?, now);
        timelines.push(directory.await?);
    }
    let segments = text_segments(&presentation, &timelines)?;
    let grid = grid(&presentation)?;
    report
        .tracks
        .extend(texts.into_iter().map(|(file, mut text)| {
            reader.place(&mut text, grid);
            of_text(file, text, segments)
        }));
    if !presentation.videos.is_empty() {
        let sheets = images::find(&reader, name, &found.listing.texts).await;
        report.sheets = sheets.map(|(file, _)| file);
    }
    let options = Options::of(Format::Smooth(SmoothVersion::V22));
    let carried = Carried::new(&options, None);
    let beside = Beside {
        text: None,
        images: None,
        captions: None,
    };
    let version = SmoothVersion::V22;
    let written = smooth::manifest(&presentation, &timelines, version, carried, None, beside);
    match written {
        // What it does not carry is with the tracks already.
        Ok(written) => report.warnings.extend(
            written
                .left_out
                .into_iter()
                .filter(|line| !line.contains("does not carry"))
                .map(|line| format!("Smooth Streaming: {line}")),
        ),
        Err(error) if error.code() == Code::FormatNotSupported => {}
        Err(error) => return Err(error),
    }
    Ok(report)
}

/// What plays, but not everywhere or not well.
fn warnings(track: &Track) -> Result<Vec<String>, OriginError> {
    let head = track.head()?;
    let mut warnings = Vec::new();
    if head.kind != TrackKind::Video {
        return Ok(warnings);
    }
    let (file, id) = (&track.index.file, head.id);
    if Decoder::of(head).is_some_and(|decoder| decoder.config.may_be_interlaced()) {
        warnings.push(format!(
            "{file}: the pictures of track {id} may be interlaced; players on iOS play such video without pictures"
        ));
    }
    if head.rotation != 0 {
        warnings.push(format!(
            "{file}: the pictures of track {id} are to be turned by {} degrees; Smooth Streaming and MPEG-2 TS cannot say so, and players on iOS do not turn them: encode it",
            head.rotation
        ));
    }
    if head.open_groups {
        warnings.push(format!(
            "{file}: some groups of pictures of track {id} begin with pictures that need the group before (open GOPs); \
             they can be missing or damaged after a switch of levels, and some players show no pictures at all"
        ));
    }
    Ok(warnings)
}

fn of_track(track: &Track) -> Result<TrackReport, OriginError> {
    let head = track.head()?;
    let mut refusals = Vec::new();
    if let Err(reason) = transport::carriage(head) {
        refusals.push(Refusal {
            protocol: "HLS over MPEG-2 TS",
            reason,
        });
    }
    if smooth::level(track.bitrate, head).is_none() {
        refusals.push(Refusal {
            protocol: "Smooth Streaming",
            reason: format!("Smooth Streaming does not carry {}", head.codec),
        });
    }
    let ms = u128::from(head.duration).saturating_mul(1000);
    let ms = ms.checked_div(head.timescale.get().into());
    Ok(TrackReport {
        file: track.index.file.clone(),
        id: Some(head.id),
        kind: head.kind,
        name: track.name.clone(),
        bitrate: track.bitrate,
        codec: head.codec.clone(),
        language: track.language.clone(),
        duration_ms: ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
        segments: head.segment_count,
        refusals,
    })
}

/// The text tracks of a listing with their files; what cannot be shown goes to `left_out`.
async fn texts<S: Storage>(
    reader: &Reader<'_, S>,
    listing: &Listing,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<(String, TextTrack)>, OriginError> {
    let mut found = Vec::new();
    for entry in &listing.texts {
        let reason = match reader.of_entry(entry).await {
            Ok(_) if entry.settings.hidden => "the server manifest hides it".to_owned(),
            Ok(document) if document.sheets.is_some() => NO_TEXT.to_owned(),
            Ok(document) => {
                found.push((entry.file.clone(), TextTrack::new(entry, document)));
                continue;
            }
            Err(error) if leaves_out(error.code()) => error.detail().to_owned(),
            Err(error) => return Err(error),
        };
        left_out.push(LeftOut {
            file: entry.file.clone(),
            track: None,
            reason,
        });
    }
    Ok(found)
}

/// Number of the segments that text is cut into. `timelines`: of the tracks, in order.
fn text_segments(
    presentation: &Presentation,
    timelines: &[Vec<SegmentTime>],
) -> Result<u32, OriginError> {
    let grid = grid(presentation)?;
    let stated = grid.track.fragments_per_hls_segment;
    let fragments = transport::fragments_per_hls_segment(grid.head, stated);
    let all = timelines.first().map_or(0, Vec::len);
    Ok(u32::try_from(all)
        .unwrap_or(u32::MAX)
        .div_ceil(fragments.max(1)))
}

fn of_text(file: String, text: TextTrack, segments: u32) -> TrackReport {
    TrackReport {
        file,
        id: None,
        kind: TrackKind::Text,
        bitrate: text.bitrate,
        codec: match text.document.text.format() {
            headwater_text::Format::WebVtt => WEBVTT_CODEC,
            headwater_text::Format::Ttml => TTML_CODEC,
        }
        .to_owned(),
        duration_ms: text.document.text.end_ms(),
        name: text.name,
        language: text.language,
        segments,
        // Each protocol has a form that it carries text in.
        refusals: Vec::new(),
    }
}
