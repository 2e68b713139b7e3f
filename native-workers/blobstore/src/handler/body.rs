//! Bodies as streams: uploads to a scratch file, files to the socket, both in bounded memory.

use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headwater_blob::server::{ErrorCode, ServiceError};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body as _, Incoming};

use super::checksum::Checksums;
use super::{AnswerBody, Result};
use crate::disk::{ScratchFile, SyncedFile};

/// Bytes per read and write.
const FRAME: usize = 256 << 10;

/// A body that arrived whole.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: SyncedFile,
    pub(super) len: u64,
    /// Base64, if it was computed.
    pub(super) md5: Option<String>,
}

/// The announced length. Azure demands one of every upload.
pub(super) fn announced_len(body: &Incoming, limit: u64) -> Result<u64> {
    let len = body
        .size_hint()
        .exact()
        .ok_or(ErrorCode::MissingContentLengthHeader)?;
    if len > limit {
        return Err(ServiceError::new(
            ErrorCode::RequestBodyTooLarge,
            format!("The limit is {limit} bytes."),
        )
        .into());
    }
    Ok(len)
}

/// Streams a body into a scratch file and makes it durable. An upload that stalls, breaks off or does not match its checksum leaves nothing.
pub(super) async fn receive(
    body: &mut Incoming,
    scratch: ScratchFile,
    checksums: Checksums,
    idle: Duration,
) -> Result<Received> {
    let mut sink = Sink {
        scratch,
        checksums,
        len: 0,
    };
    let mut buffer = BytesMut::with_capacity(FRAME);
    loop {
        let next = next_bytes(body, idle).await?;
        let ended = next.is_none();
        buffer.extend_from_slice(&next.unwrap_or_default());
        if buffer.len() >= FRAME || (ended && !buffer.is_empty()) {
            let chunk = std::mem::replace(&mut buffer, BytesMut::with_capacity(FRAME));
            let written =
                tokio::task::spawn_blocking(move || sink.write(&chunk).map(|()| sink)).await;
            sink = written.map_err(io::Error::other)??;
        }
        if ended {
            let (len, md5, scratch) = (sink.len, sink.checksums.finish()?, sink.scratch);
            let synced = tokio::task::spawn_blocking(move || scratch.synced()).await;
            let bytes = synced.map_err(io::Error::other)??;
            return Ok(Received { bytes, len, md5 });
        }
    }
}

/// Gathers a small body.
pub(super) async fn gather(body: &mut Incoming, limit: usize, idle: Duration) -> Result<Bytes> {
    let mut whole = BytesMut::new();
    while let Some(bytes) = next_bytes(body, idle).await? {
        if whole.len() + bytes.len() > limit {
            return Err(ErrorCode::RequestBodyTooLarge.into());
        }
        whole.extend_from_slice(&bytes);
    }
    Ok(whole.freeze())
}

async fn next_bytes(body: &mut Incoming, idle: Duration) -> Result<Option<Bytes>> {
    loop {
        match tokio::time::timeout(idle, body.frame()).await {
            Err(_) => return Err(ErrorCode::OperationTimedOut.into()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => {
                return Err(
                    ServiceError::new(ErrorCode::InvalidInput, "The body broke off.").into(),
                );
            }
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

#[derive(Debug)]
struct Sink {
    scratch: ScratchFile,
    checksums: Checksums,
    len: u64,
}

impl Sink {
    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.checksums.update(chunk);
        self.len += chunk.len() as u64;
        self.scratch.file().write_all(chunk)
    }
}

/// A range of a file, read as the socket takes it.
pub(crate) fn send(file: File, range: Range<u64>) -> AnswerBody {
    let file = Arc::new(file);
    let frames = futures::stream::try_unfold(range, move |rest| {
        let file = Arc::clone(&file);
        async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let len = usize::try_from(rest.end - rest.start)
                .unwrap_or(FRAME)
                .min(FRAME);
            let read =
                tokio::task::spawn_blocking(move || read_range(&file, rest.start, len)).await;
            let bytes = read.map_err(io::Error::other)??;
            Ok(Some((
                Frame::data(bytes),
                rest.start + len as u64..rest.end,
            )))
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

/// Reads exactly `len` bytes.
pub(crate) fn read_range(file: &File, offset: u64, len: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; len];
    file.read_exact_at(&mut buffer, offset)?;
    Ok(buffer.into())
}
