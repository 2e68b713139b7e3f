//! Captions inside of pictures: where a track is looked at, and the note that is kept of it.
//!
//! The note lies beside the packaging index, `{folder}/.headwater/{file}.captions`, and is of one state of the media file:
//!
//! ```text
//! headwater captions 1
//! "entity tag of the media file"
//! 608:1,3;708:1
//! ```
//!
//! It is safe to delete, and made anew from the media then.

use headwater_cmaf::index::{SegmentSamples, blob_name};
use headwater_text::captions::Captions;
use std::ops::Range;

/// Largest note that is read.
pub(crate) const MAX_NOTE_BYTES: u64 = 4096;
/// Most bytes that are read at one place of a track: some seconds of the smallest rendition, and of any a few pictures.
pub(crate) const PROBE_BYTES: u64 = 512 << 10;
/// Places of a track that are looked at.
const PROBES: u32 = 4;
const TITLE: &str = "headwater captions 1";

/// Name of the note on media file `file`.
pub(crate) fn note_name(file: &str) -> String {
    let index = blob_name(file);
    let stem = index.strip_suffix(".hwx").unwrap_or(&index);
    format!("{stem}.captions")
}

pub(crate) fn note(etag: &str, captions: Captions) -> String {
    format!("{TITLE}\n{etag}\n{}\n", captions.to_word())
}

/// What a note says of the state `etag`; `None` if it is of another, or none.
pub(crate) fn read_note(note: &[u8], etag: &str) -> Option<Captions> {
    let mut lines = std::str::from_utf8(note).ok()?.lines();
    let ours = lines.next() == Some(TITLE) && lines.next() == Some(etag);
    Captions::from_word(lines.next().filter(|_| ours)?)
}

/// Numbers of the segments that are looked at, of `count`: the first and others spread over the track.
pub(crate) fn probes(count: u32) -> Vec<u32> {
    let at = |part: u32| {
        let place = u64::from(count).saturating_mul(part.into());
        u32::try_from(place.checked_div(PROBES.into()).unwrap_or(0)).unwrap_or(u32::MAX)
    };
    let mut numbers: Vec<u32> = (0..PROBES).map(at).collect();
    numbers.dedup();
    numbers
}

/// The bytes to read of a segment; `None` of one that is empty.
pub(crate) fn window(samples: &SegmentSamples) -> Option<Range<u64>> {
    let start = samples.ranges.first()?.start;
    let behind = samples.ranges.iter().filter(|range| range.start >= start);
    let end = behind.map(|range| range.end).max()?;
    let end = end.min(start.saturating_add(PROBE_BYTES));
    (end > start).then_some(start..end)
}

/// The pictures of a segment that begin in `bytes`, which were read at `start`: presentation times, and as much of their
/// samples as is there.
pub(crate) fn pictures<'a>(
    samples: &SegmentSamples,
    start: u64,
    bytes: &'a [u8],
) -> Vec<(i64, &'a [u8])> {
    let mut found = Vec::new();
    let mut ranges = samples.ranges.iter().cloned();
    let mut range = ranges.next().unwrap_or_default();
    let mut decoded = 0_i64;
    for sample in &samples.samples {
        while range.start >= range.end && sample.size > 0 {
            match ranges.next() {
                Some(next) => range = next,
                None => return found,
            }
        }
        let end = range.start.saturating_add(sample.size.into());
        let at = |offset: u64| {
            let offset = offset.checked_sub(start)?;
            usize::try_from(offset).ok()
        };
        if let Some((from, to)) = at(range.start).zip(at(end))
            && let Some(picture) = bytes.get(from..to.min(bytes.len()))
        {
            found.push((decoded.saturating_add(sample.cto.into()), picture));
        }
        range.start = end;
        decoded = decoded.saturating_add(sample.duration.into());
    }
    found
}

/// Contents of the `mdat` boxes of a segment, which may be cut off at its end.
pub(crate) fn media_boxes(mut segment: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let Some((head, _)) = segment.split_first_chunk::<8>() {
        let [a, b, c, d, kind @ ..] = *head;
        // Larger ones than 4 GiB are none of ours.
        let size = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if size < 8 {
            break;
        }
        let end = size.min(segment.len());
        if &kind == b"mdat" {
            found.push(segment.get(8..end).unwrap_or_default());
        }
        segment = segment.get(end..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_of_one_state() {
        let captions = Captions::new(&[1, 3], &[1]);
        let text = note("\"a\"", captions);
        assert_eq!(read_note(text.as_bytes(), "\"a\""), Some(captions));
        assert_eq!(read_note(text.as_bytes(), "\"b\""), None);
        assert_eq!(
            read_note(b"headwater captions 2\n\"a\"\n608:;708:\n", "\"a\""),
            None
        );
        assert_eq!(read_note(&[0xff], "\"a\""), None);
        assert_eq!(note_name("a/b.mp4"), "a/.headwater/b.mp4.captions");
    }

    #[test]
    fn media_is_found_behind_other_boxes() {
        let segment = b"\0\0\0\x09styp!\0\0\0\x0amdatab\0\0\0\x08moof\0\0\0\xffmdatcut";
        assert_eq!(media_boxes(segment), [&b"ab"[..], b"cut"]);
        assert!(media_boxes(b"\0\0\0\x01mdat").is_empty());
    }

    #[test]
    fn tracks_are_looked_at_here_and_there() {
        assert_eq!(probes(1), [0]);
        assert_eq!(probes(2), [0, 1]);
        assert_eq!(probes(40), [0, 10, 20, 30]);
        assert_eq!(probes(u32::MAX).len(), 4);
    }
}
