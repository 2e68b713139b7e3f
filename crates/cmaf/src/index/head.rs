//! The head of an index: identification of the media file, and its tracks.

use headwater_time::Timescale;

use super::bytes::{Fields, checked, push_crc};
use super::{
    FORMAT_VERSION, IndexHead, SegmentOrigin, SourceId, TrackHead, TrackKind, TrackWarning,
    VideoRange,
};
use crate::CmafError;

pub(super) const MAGIC: [u8; 8] = *b"\x89HWX\r\n\x1a\n";

/// Bytes that say how long the head is.
const PREFIX: u64 = 32;

/// Longest head accepted: room for many tracks of several days.
const MAX_HEAD: u32 = 16 << 20;

/// What the first bytes of an index hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadParse {
    /// The whole head.
    Complete(IndexHead),
    /// The head is this many bytes long, more than were given.
    NeedMore(u64),
}

/// Reads the head from the first bytes of an index. 16 KiB are enough for a file of a few tracks and 12 hours.
///
/// Errors: `NotAnIndex`, `OtherVersion` (build it again), `Damaged`.
pub fn parse_head(bytes: &[u8]) -> Result<HeadParse, CmafError> {
    let known = bytes.len().min(MAGIC.len());
    if bytes.get(..known) != MAGIC.get(..known) {
        return Err(CmafError::NotAnIndex);
    }
    let mut fields = Fields::new(bytes, "the head");
    let prefix = usize::try_from(PREFIX).unwrap_or(usize::MAX);
    if fields.remaining() < prefix {
        return Ok(HeadParse::NeedMore(PREFIX));
    }
    fields.take(MAGIC.len())?;
    let version = fields.u16()?;
    if version != FORMAT_VERSION {
        return Err(CmafError::OtherVersion(version));
    }
    fields.u16()?;
    let length = fields.u32()?;
    if length > MAX_HEAD || u64::from(length) < PREFIX {
        return Err(fields.damaged("states an impossible length"));
    }
    let Some(whole) = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.get(..length))
    else {
        return Ok(HeadParse::NeedMore(u64::from(length)));
    };
    let mut fields = checked(whole, "the head")?;
    fields.take(MAGIC.len())?;
    fields.u16()?;
    let count = fields.u16()?;
    fields.u32()?;
    let index_len = fields.u64()?;
    let len = fields.u64()?;
    let etag = fields.text()?;
    let mut tracks = Vec::new();
    for _ in 0..count {
        let track = parse_track(&mut fields)?;
        if track.directory_range().end > index_len {
            return Err(fields.damaged("places a directory past the end of the index"));
        }
        tracks.push(track);
    }
    let mut warnings = Vec::new();
    for _ in 0..fields.u16()? {
        warnings.push(TrackWarning {
            track: fields.u32()?,
            reason: fields.text()?,
        });
    }
    Ok(HeadParse::Complete(IndexHead {
        source: SourceId { etag, len },
        index_len,
        tracks,
        warnings,
    }))
}

fn parse_track(fields: &mut Fields<'_>) -> Result<TrackHead, CmafError> {
    let id = fields.u32()?;
    let kind = match fields.u8()? {
        0 => TrackKind::Video,
        1 => TrackKind::Audio,
        2 => TrackKind::Text,
        _ => return Err(fields.damaged("has a track of unknown kind")),
    };
    let origin = match fields.u8()? {
        0 => SegmentOrigin::Packaged,
        1 => SegmentOrigin::Stored,
        2 => SegmentOrigin::Archived,
        _ => return Err(fields.damaged("has a track of unknown origin")),
    };
    let rotation = fields.u16()?;
    let timescale = Timescale::new(fields.u32()?);
    let timescale = timescale.ok_or_else(|| fields.damaged("has a timescale of zero"))?;
    let start = fields.u64()?;
    let duration = fields.u64()?;
    let max_segment_duration = fields.u64()?;
    let bitrate = fields.u32()?;
    let peak_bitrate = fields.u32()?;
    let joined_peak_bitrates = [fields.u32()?, fields.u32()?];
    let key_frame_bitrate = fields.u32()?;
    let width = fields.u16()?;
    let height = fields.u16()?;
    let pixel_aspect = (fields.u32()?, fields.u32()?);
    let frame_rate = (fields.u32()?, fields.u32()?);
    let sample_rate = fields.u32()?;
    let channels = fields.u16()?;
    let objects = fields.u8()?;
    let open_groups = match fields.u8()? {
        0 => false,
        1 => true,
        _ => return Err(fields.damaged("has a flag that is neither set nor clear")),
    };
    let video_range = match fields.u8()? {
        0 => VideoRange::Sdr,
        1 => VideoRange::Hlg,
        2 => VideoRange::Pq,
        _ => return Err(fields.damaged("has an unknown video range")),
    };
    let colour = [fields.u16()?, fields.u16()?, fields.u16()?];
    let reordering = fields.u32()?;
    let codec = fields.text()?;
    let supplemental_codec = fields.text()?;
    let language = fields.text()?;
    let init_len = fields.u32()?;
    let init = fields
        .take(usize::try_from(init_len).unwrap_or(usize::MAX))?
        .to_vec();
    let segment_count = fields.u32()?;
    let directory = fields.u64()?;
    let mut track = TrackHead {
        id,
        kind,
        origin,
        timescale,
        codec,
        supplemental_codec,
        bitrate,
        peak_bitrate,
        joined_peak_bitrates,
        key_frame_bitrate,
        width,
        height,
        pixel_aspect,
        rotation,
        frame_rate,
        sample_rate,
        channels,
        objects,
        open_groups,
        video_range,
        colour,
        reordering,
        language,
        start,
        duration,
        max_segment_duration,
        segment_count,
        init,
        page_first_times: Vec::new(),
        directory,
    };
    let pages = usize::try_from(track.page_count()).unwrap_or(usize::MAX);
    if pages > fields.remaining() / 8 {
        return Err(fields.damaged("is cut off"));
    }
    for _ in 0..pages {
        track.page_first_times.push(fields.u64()?);
    }
    let ascending = track.page_first_times.is_sorted_by(|a, b| a < b);
    if !ascending
        || track
            .page_first_times
            .first()
            .is_some_and(|first| *first != start)
    {
        return Err(fields.damaged("has page times out of order"));
    }
    Ok(track)
}

/// Appends a head that states `index_len`. Its length depends on neither that nor the directories' offsets.
///
/// Errors: `TooLarge` if texts, init segments or the head itself do not fit their length fields.
pub(super) fn push_head(
    out: &mut Vec<u8>,
    source: &SourceId,
    index_len: u64,
    tracks: &[TrackHead],
    warnings: &[TrackWarning],
) -> Result<(), CmafError> {
    let too_large = |track: u32, what| CmafError::TooLarge { track, what };
    let from = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    let count = u16::try_from(tracks.len()).map_err(|_| too_large(0, "the number of tracks"))?;
    out.extend_from_slice(&count.to_le_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&index_len.to_le_bytes());
    out.extend_from_slice(&source.len.to_le_bytes());
    push_text(out, &source.etag).ok_or_else(|| too_large(0, "the entity tag"))?;
    for track in tracks {
        push_track(out, track).ok_or_else(|| too_large(track.id, "a text"))?;
    }
    let count = u16::try_from(warnings.len());
    let count = count.map_err(|_| too_large(0, "the number of warnings"))?;
    out.extend_from_slice(&count.to_le_bytes());
    for warning in warnings {
        out.extend_from_slice(&warning.track.to_le_bytes());
        push_text(out, &warning.reason).ok_or_else(|| too_large(warning.track, "a text"))?;
    }
    let length = out.len().saturating_sub(from).saturating_add(4);
    let length = u32::try_from(length)
        .ok()
        .filter(|length| *length <= MAX_HEAD);
    let length = length.ok_or_else(|| too_large(0, "the head of the index"))?;
    let end = length_at.saturating_add(4);
    if let Some(field) = out.get_mut(length_at..end) {
        field.copy_from_slice(&length.to_le_bytes());
    }
    push_crc(out, from);
    Ok(())
}

fn push_text(out: &mut Vec<u8>, text: &str) -> Option<()> {
    out.extend_from_slice(&u16::try_from(text.len()).ok()?.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Some(())
}

fn push_track(out: &mut Vec<u8>, track: &TrackHead) -> Option<()> {
    let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
    put(&track.id.to_le_bytes());
    put(&[match track.kind {
        TrackKind::Video => 0,
        TrackKind::Audio => 1,
        TrackKind::Text => 2,
    }]);
    put(&[match track.origin {
        SegmentOrigin::Packaged => 0,
        SegmentOrigin::Stored => 1,
        SegmentOrigin::Archived => 2,
    }]);
    put(&track.rotation.to_le_bytes());
    put(&track.timescale.get().to_le_bytes());
    put(&track.start.to_le_bytes());
    put(&track.duration.to_le_bytes());
    put(&track.max_segment_duration.to_le_bytes());
    put(&track.bitrate.to_le_bytes());
    put(&track.peak_bitrate.to_le_bytes());
    for peak in track.joined_peak_bitrates {
        put(&peak.to_le_bytes());
    }
    put(&track.key_frame_bitrate.to_le_bytes());
    put(&track.width.to_le_bytes());
    put(&track.height.to_le_bytes());
    put(&track.pixel_aspect.0.to_le_bytes());
    put(&track.pixel_aspect.1.to_le_bytes());
    put(&track.frame_rate.0.to_le_bytes());
    put(&track.frame_rate.1.to_le_bytes());
    put(&track.sample_rate.to_le_bytes());
    put(&track.channels.to_le_bytes());
    put(&[track.objects]);
    put(&[u8::from(track.open_groups)]);
    put(&[match track.video_range {
        VideoRange::Sdr => 0,
        VideoRange::Hlg => 1,
        VideoRange::Pq => 2,
    }]);
    for code in track.colour {
        put(&code.to_le_bytes());
    }
    put(&track.reordering.to_le_bytes());
    push_text(out, &track.codec)?;
    push_text(out, &track.supplemental_codec)?;
    push_text(out, &track.language)?;
    out.extend_from_slice(&u32::try_from(track.init.len()).ok()?.to_le_bytes());
    out.extend_from_slice(&track.init);
    out.extend_from_slice(&track.segment_count.to_le_bytes());
    out.extend_from_slice(&track.directory.to_le_bytes());
    for first in &track.page_first_times {
        out.extend_from_slice(&first.to_le_bytes());
    }
    Some(())
}
