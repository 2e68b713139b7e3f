//! The access log: one line a request, written by a thread of its own.
//!
//! Combined-like: `time client "METHOD path HTTP/1.1" status bytes milliseconds "user agent"`. The query is left
//! out: it may carry tokens. A reader that is too slow costs lines (counted), never requests.

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};

/// Where lines go. Cheap to clone.
#[derive(Clone)]
pub struct AccessLog(Option<SyncSender<String>>);

impl AccessLog {
    /// No log.
    pub fn off() -> Self {
        Self(None)
    }

    /// Appends to `path`.
    pub fn file(path: &Path) -> std::io::Result<Self> {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        let (sender, receiver) = sync_channel::<String>(16_384);
        std::thread::spawn(move || {
            let mut out = std::io::BufWriter::new(file);
            while let Ok(line) = receiver.recv() {
                let mut next = Some(line);
                while let Some(line) = next {
                    // A full disk must not stop the serving.
                    let _ = out.write_all(line.as_bytes());
                    next = receiver.try_recv().ok();
                }
                let _ = out.flush();
            }
        });
        Ok(Self(Some(sender)))
    }

    /// Whether lines are wanted at all.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Hands over one line, which ends in a line feed.
    pub fn write(&self, line: String) {
        if let Some(sender) = &self.0
            && sender.try_send(line).is_err()
        {
            metrics::counter!("headwater_access_log_lost_total").increment(1);
        }
    }
}
