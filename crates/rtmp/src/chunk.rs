//! The chunk stream (RTMP 1.0 §5.3): messages in interleaved pieces.

use std::collections::BTreeMap;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::RtmpError;

/// What one connection may hold in memory.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest message, bytes.
    pub message_bytes: u32,
    /// All unfinished messages together, bytes.
    pub unfinished_bytes: usize,
    /// Chunk streams used at once.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 8 << 20,
            unfinished_bytes: 10 << 20,
            streams: 32,
        }
    }
}

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    /// Milliseconds, modulo 2^32.
    pub(crate) timestamp: u32,
    pub(crate) payload: Bytes,
}

#[derive(Debug, Default, Clone)]
struct Stream {
    timestamp: u32,
    /// The field of the last header: a time, then deltas.
    field: u32,
    extended: bool,
    len: u32,
    kind: u8,
    stream: u32,
    payload: BytesMut,
    /// A header has come.
    known: bool,
}

/// Puts messages together.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    limits: Limits,
    chunk_size: usize,
    streams: BTreeMap<u32, Stream>,
    /// Bytes taken so far.
    pub(crate) offset: u64,
}

struct Header {
    len: usize,
    format: u8,
    id: u32,
}

fn basic_header(bytes: &[u8]) -> Option<Header> {
    let first = *bytes.first()?;
    let format = first >> 6;
    let header = |len, id| Header { len, format, id };
    Some(match first & 63 {
        0 => header(2, u32::from(*bytes.get(1)?).saturating_add(64)),
        1 => {
            let low = u32::from(*bytes.get(1)?);
            let high = u32::from(*bytes.get(2)?);
            header(
                3,
                high.saturating_mul(256)
                    .saturating_add(low)
                    .saturating_add(64),
            )
        }
        id => header(1, u32::from(id)),
    })
}

fn u24(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(3)
        .fold(0, |value, byte| (value << 8) | u32::from(*byte))
}

impl ChunkReader {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: 128,
            streams: BTreeMap::new(),
            offset: 0,
        }
    }

    fn malformed(&self, fault: &'static str) -> RtmpError {
        RtmpError::Malformed {
            offset: self.offset,
            fault,
        }
    }

    /// Set Chunk Size came. Larger chunks than a message may be are as good as that.
    pub(crate) fn set_chunk_size(&mut self, bytes: u32) -> Result<(), RtmpError> {
        let bytes = bytes & 0x7fff_ffff;
        if bytes == 0 {
            return Err(self.malformed("a chunk size of 0"));
        }
        self.chunk_size = usize::try_from(bytes.min(self.limits.message_bytes)).unwrap_or(128);
        Ok(())
    }

    /// Abort Message came.
    pub(crate) fn abort(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.payload.clear();
        }
    }

    /// Takes chunks off `input` until one ends a message. `None`: more bytes are needed.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Message>, RtmpError> {
        loop {
            let before = input.len();
            let message = self.chunk(input)?;
            let taken = before.saturating_sub(input.len());
            self.offset = self
                .offset
                .saturating_add(u64::try_from(taken).unwrap_or(0));
            if message.is_some() || taken == 0 {
                return Ok(message);
            }
        }
    }

    /// Takes one chunk, if all of it is there.
    fn chunk(&mut self, input: &mut BytesMut) -> Result<Option<Message>, RtmpError> {
        let Some(basic) = basic_header(input) else {
            return Ok(None);
        };
        let fields: usize = match basic.format {
            0 => 11,
            1 => 7,
            2 => 3,
            _ => 0,
        };
        let Some(header) = input.get(basic.len..basic.len.saturating_add(fields)) else {
            return Ok(None);
        };
        let mut stream = match self.streams.get_mut(&basic.id) {
            Some(stream) => Stream {
                payload: BytesMut::new(),
                ..stream.clone_header()
            },
            None => Stream::default(),
        };
        if !stream.known && basic.format != 0 {
            // Some encoders begin with format 1; then the time before it is 0. A stream cannot begin without a length.
            if basic.format != 1 {
                return Err(self.malformed("a chunk stream begins without a header"));
            }
        }
        let unfinished = self
            .streams
            .get(&basic.id)
            .map_or(0, |known| known.payload.len());
        if fields > 0 {
            if unfinished > 0 && basic.format != 3 {
                // A new message without an end of the last: that one is lost.
                self.abort(basic.id);
            }
            stream.field = u24(header);
            stream.extended = stream.field == 0xff_ffff;
        }
        if fields >= 7 {
            stream.len = u24(header.get(3..).unwrap_or_default());
            stream.kind = header.get(6).copied().unwrap_or(0);
        }
        if fields == 11 {
            let id = header.get(7..).unwrap_or_default();
            stream.stream = id
                .iter()
                .rev()
                .fold(0, |value, byte| (value << 8) | u32::from(*byte));
        }
        let mut at = basic.len.saturating_add(fields);
        if stream.extended {
            let Some(extended) = input.get(at..).and_then(|rest| rest.first_chunk::<4>()) else {
                return Ok(None);
            };
            let extended = u32::from_be_bytes(*extended);
            // Encoders disagree on whether a chunk without a header repeats the field.
            if fields > 0 || extended == stream.field {
                stream.field = extended;
                at = at.saturating_add(4);
            }
        }
        if stream.len > self.limits.message_bytes {
            return Err(RtmpError::MessageTooLarge {
                offset: self.offset,
                bytes: stream.len.into(),
            });
        }
        let starts = fields > 0 || unfinished == 0;
        let done = if starts { 0 } else { unfinished };
        let len = usize::try_from(stream.len).unwrap_or(usize::MAX);
        let piece = len.saturating_sub(done).min(self.chunk_size);
        let end = at.saturating_add(piece);
        if input.len() < end {
            return Ok(None);
        }
        if starts {
            stream.timestamp = match basic.format {
                0 => stream.field,
                _ => stream.timestamp.wrapping_add(stream.field),
            };
        }
        stream.known = true;
        self.store(basic.id, stream, starts)?;
        input.advance(at);
        let body = input.split_to(piece);
        let held: usize = self
            .streams
            .values()
            .map(|stream| stream.payload.len())
            .sum();
        if held.saturating_add(piece) > self.limits.unfinished_bytes {
            return Err(RtmpError::TooManyUnfinished {
                offset: self.offset,
            });
        }
        let Some(stream) = self.streams.get_mut(&basic.id) else {
            return Ok(None);
        };
        stream.payload.extend_from_slice(&body);
        if stream.payload.len() < len {
            return Ok(None);
        }
        Ok(Some(Message {
            kind: stream.kind,
            stream: stream.stream,
            timestamp: stream.timestamp,
            payload: std::mem::take(&mut stream.payload).freeze(),
        }))
    }

    fn store(&mut self, id: u32, header: Stream, starts: bool) -> Result<(), RtmpError> {
        if !self.streams.contains_key(&id) && self.streams.len() >= self.limits.streams {
            return Err(RtmpError::TooManyUnfinished {
                offset: self.offset,
            });
        }
        let stream = self.streams.entry(id).or_default();
        let payload = match starts {
            true => BytesMut::new(),
            false => std::mem::take(&mut stream.payload),
        };
        *stream = Stream { payload, ..header };
        Ok(())
    }
}

impl Stream {
    fn clone_header(&self) -> Self {
        Self {
            payload: BytesMut::new(),
            ..*self
        }
    }
}

/// Appends a message as chunks of format 0 and 3, 128 bytes each unless `chunk_size` says otherwise.
pub(crate) fn write_message(
    out: &mut Vec<u8>,
    id: u8,
    chunk_size: usize,
    kind: u8,
    stream: u32,
    payload: &[u8],
) {
    let len = u32::try_from(payload.len()).unwrap_or(0);
    out.push(id & 63);
    out.extend_from_slice(&[0, 0, 0]);
    out.extend_from_slice(len.to_be_bytes().get(1..).unwrap_or_default());
    out.push(kind);
    out.extend_from_slice(&stream.to_le_bytes());
    for (at, piece) in payload.chunks(chunk_size.max(1)).enumerate() {
        if at > 0 {
            out.push(0xc0 | (id & 63));
        }
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8], pieces: usize) -> Result<Vec<Message>, RtmpError> {
        let mut reader = ChunkReader::new(Limits::default());
        let (mut input, mut messages) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(pieces.max(1)) {
            input.extend_from_slice(piece);
            while let Some(message) = reader.next(&mut input)? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    #[test]
    fn deltas_and_repeated_headers_are_added_up() {
        let mut bytes = vec![4, 0, 0, 40, 0, 0, 1, 9, 1, 0, 0, 0, b'a'];
        bytes.extend([0x44, 0, 0, 33, 0, 0, 1, 8, b'b']);
        bytes.extend([0x84, 0, 0, 7, b'c']);
        bytes.extend([0xc4, b'd']);
        let messages = all(&bytes, 1).unwrap();
        let times: Vec<(u32, u8)> = messages.iter().map(|m| (m.timestamp, m.kind)).collect();
        assert_eq!(times, [(40, 9), (73, 8), (80, 8), (87, 8)]);
    }

    #[test]
    fn times_beyond_24_bits_are_extended() {
        let mut bytes = vec![4, 0xff, 0xff, 0xff, 0, 0, 200, 9, 1, 0, 0, 0, 1, 2, 3, 4];
        bytes.extend([7; 128]);
        bytes.push(0xc4);
        bytes.extend([1, 2, 3, 4]);
        bytes.extend([7; 72]);
        let messages = all(&bytes, 3).unwrap();
        assert_eq!(messages[0].timestamp, 0x0102_0304);
        assert_eq!(messages[0].payload.len(), 200);
    }

    #[test]
    fn large_messages_and_many_streams_are_refused() {
        let large = [4, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0];
        assert!(matches!(
            all(&large, 99),
            Err(RtmpError::MessageTooLarge { .. })
        ));
        let mut many = Vec::new();
        for id in 3..63 {
            many.extend([id, 0, 0, 0, 0, 1, 0, 9, 1, 0, 0, 0]);
            many.extend([0; 128]);
        }
        assert!(matches!(
            all(&many, 999),
            Err(RtmpError::TooManyUnfinished { .. })
        ));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(payload in prop::collection::vec(any::<u8>(), 1..2000), pieces in 1_usize..300) {
            let mut bytes = Vec::new();
            write_message(&mut bytes, 5, 128, 20, 1, &payload);
            let messages = all(&bytes, pieces).unwrap();
            prop_assert_eq!(messages.len(), 1);
            prop_assert_eq!(&messages[0].payload[..], &payload[..]);
        }

        #[test]
        fn anything_may_come(bytes in prop::collection::vec(any::<u8>(), 0..3000), pieces in 1_usize..300) {
            let _ = all(&bytes, pieces);
        }
    }
}
