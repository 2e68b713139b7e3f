//! What native programs that listen or send share.
//!
//! [`egress`]: where requests may go whose address a user chose.
//!
//! [`Patience`]: a connection of the host's and the blob store's listeners that gives up on a peer which says nothing at
//! all, or takes no bytes. hyper bounds how long it waits for a request's head, the handlers bound how long they wait for
//! its body. This bounds what is left: the wait for the first bytes, by which hyper tells HTTP/1.1 from HTTP/2 and for
//! which it has no timer, and how long an answer may sit in front of a full socket.

pub mod egress;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Length of the HTTP/2 preface: after so many bytes the protocol is known. Every request worth an answer is longer.
const PREFACE: usize = 24;

/// A stream with bounded waits, as the module says.
pub struct Patience<S> {
    stream: S,
    limit: Duration,
    /// Bytes still to come before hyper's own timers run.
    preface: usize,
    /// Runs while the first bytes are awaited.
    silent: Option<Pin<Box<Sleep>>>,
    /// Runs while a write is stuck.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Patience<S> {
    /// `limit`: for each of the two waits.
    pub fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            preface: PREFACE,
            silent: None,
            stuck: None,
        }
    }

    /// Lets a write be stuck for no longer than the limit.
    fn watch<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stuck = None;
            return poll;
        }
        expire(&mut self.stuck, self.limit, cx)
    }
}

/// Starts the timer if it does not run; an error once it is over.
fn expire<T>(
    timer: &mut Option<Pin<Box<Sleep>>>,
    limit: Duration,
    cx: &mut Context<'_>,
) -> Poll<io::Result<T>> {
    let timer =
        timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
    ready!(timer.as_mut().poll(cx));
    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.preface == 0 {
            return poll;
        }
        self.preface = self.preface.saturating_sub(buf.filled().len() - before);
        if self.preface == 0 {
            self.silent = None;
        }
        if poll.is_ready() {
            return poll;
        }
        let this = &mut *self;
        expire(&mut this.silent, this.limit, cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, poll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_is_given_up() {
        let (_peer, ours) = duplex(64);
        let mut stream = Patience::new(ours, LIMIT);
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_has_spoken_may_be_silent() {
        let (mut peer, ours) = duplex(64);
        let mut stream = Patience::new(ours, LIMIT);
        peer.write_all(&[0; PREFACE]).await.unwrap();
        stream.read_exact(&mut [0; PREFACE]).await.unwrap();
        let more = tokio::time::timeout(LIMIT * 10, stream.read_u8()).await;
        assert!(more.is_err(), "{more:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (_peer, ours) = duplex(64);
        let mut stream = Patience::new(ours, LIMIT);
        let error = stream.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
