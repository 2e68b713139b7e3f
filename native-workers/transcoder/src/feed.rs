//! Samples from storage to whoever decodes them, in decode order, with a bounded read-ahead.

use std::ops::Range;

use bytes::Bytes;
use headwater_bmff::{Sample, SampleTable};
use tokio::sync::mpsc::Sender;

use crate::failure::Step;
use crate::source::Source;

/// Bytes of one read, and the largest gap between samples that is read along.
const READ_BYTES: u64 = 2 << 20;
const GAP_BYTES: u64 = 64 << 10;

/// Samples that wait for the decoder.
pub const QUEUE: usize = 64;

/// Reads `samples` of `table` and sends them one by one. Ends quietly when nobody listens any more.
pub async fn feed(
    source: &Source,
    table: &SampleTable,
    samples: Range<u32>,
    to: Sender<Bytes>,
) -> Step<()> {
    let count = (samples.end - samples.start) as usize;
    let mut iter = table.iter_from(samples.start).take(count).peekable();
    while let Some(first) = iter.next() {
        let mut range = extent(&first);
        let mut batch = vec![first];
        while let Some(next) = iter.next_if(|next| joins(&range, next)) {
            range.end = range.end.max(extent(&next).end);
            batch.push(next);
        }
        let bytes = if range.is_empty() {
            Bytes::new()
        } else {
            source.read(range.clone()).await?
        };
        for sample in batch {
            let from = (sample.offset.saturating_sub(range.start)) as usize;
            let to_byte = from + sample.size as usize;
            let slice = if sample.size == 0 {
                Bytes::new()
            } else {
                bytes.slice(from..to_byte)
            };
            if to.send(slice).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn extent(sample: &Sample) -> Range<u64> {
    sample.offset..sample.offset + u64::from(sample.size)
}

/// Whether `next` is read along with `range`: it follows closely and keeps the read short.
fn joins(range: &Range<u64>, next: &Sample) -> bool {
    let next = extent(next);
    next.start >= range.start
        && next.start <= range.end + GAP_BYTES
        && next.end.max(range.end) - range.start <= READ_BYTES
}
