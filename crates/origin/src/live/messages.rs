//! Messages in front of a live segment's chunks, for containers that have another place for them.

use headwater_live::chunk::Chunk;
use headwater_live::cue::ID3_SCHEME;
use headwater_live::message::told;
use headwater_ts::{MAX_TAG_BYTES, Tag};
use std::sync::Arc;

/// Most bytes of a segment's tags, which are part of its plan.
const MOST_BYTES: usize = 512 << 10;

/// The ID3 tags of a segment. `rows`: the chunks of each of its rows, and when that starts on the event's clock. Each is there
/// once, in the order of chunks. Left out is what is no tag, what no transport stream carries, and what is too much.
///
/// A tag for a moment before its row is for the row's beginning, as nobody plays what was before. One for a moment after it keeps
/// its time: segments stand alone, and none can say what another has said. So tags have the same times in all tracks of a row, and
/// however many rows a segment has.
pub(crate) fn tags<'a>(rows: impl IntoIterator<Item = (&'a [Arc<Chunk>], i64)>) -> Vec<Tag<'a>> {
    let mut tags: Vec<Tag<'_>> = Vec::new();
    let mut bytes: usize = 0;
    let rows = rows.into_iter();
    let told = rows.flat_map(|(chunks, start)| {
        let messages = chunks.iter().flat_map(|chunk| told(&chunk.header));
        messages.map(move |message| (message, start))
    });
    for (message, start) in told {
        let data = message.data;
        if message.scheme != ID3_SCHEME
            || !data.starts_with(b"ID3")
            || data.len() > MAX_TAG_BYTES
            || bytes.saturating_add(data.len()) > MOST_BYTES
        {
            continue;
        }
        let tag = Tag {
            time: message.time(start).max(start),
            data,
        };
        if !tags.contains(&tag) {
            bytes = bytes.saturating_add(data.len());
            tags.push(tag);
        }
    }
    tags
}
