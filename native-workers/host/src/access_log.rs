//! The access log: one line a request, written by a thread of its own.
//!
//! Combined-like: `time client "METHOD path HTTP/1.1" status bytes milliseconds "user agent"`. The query is left
//! out: it may carry tokens. A reader that is too slow costs lines (counted), never requests.
//!
//! A full file becomes `access.log.1`, that one `access.log.2`, and so on; the oldest goes, so that the log never takes the
//! room that media need.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
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
        let mut out = Rotated::open(path, FULL)?;
        let (sender, receiver) = sync_channel::<String>(16_384);
        std::thread::spawn(move || {
            while let Ok(line) = receiver.recv() {
                let mut next = Some(line);
                while let Some(line) = next {
                    // A full disk must not stop the serving.
                    let _ = out.write(line.as_bytes());
                    next = receiver.try_recv().ok();
                }
                let _ = out.file.flush();
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

/// Bytes of a file, and files, that are kept.
const FULL: u64 = 64 << 20;
const KEPT: u32 = 4;

/// A file that makes way for a new one when it is full.
struct Rotated {
    path: PathBuf,
    file: BufWriter<File>,
    full: u64,
    len: u64,
}

impl Rotated {
    fn open(path: &Path, full: u64) -> std::io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            len: file.metadata()?.len(),
            file: BufWriter::new(file),
            full,
        })
    }

    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.len >= self.full {
            self.rotate()?;
        }
        self.len += line.len() as u64;
        self.file.write_all(line)
    }

    fn rotate(&mut self) -> std::io::Result<()> {
        self.file.flush()?;
        let numbered = |number: u32| self.path.with_added_extension(number.to_string());
        for number in (1..KEPT - 1).rev() {
            match std::fs::rename(numbered(number), numbered(number + 1)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, numbered(1))?;
        *self = Self::open(&self.path, self.full)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_makes_way_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut log = Rotated::open(&path, 4).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n", "six\n"] {
            log.write(line.as_bytes()).unwrap();
        }
        log.file.flush().unwrap();
        let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).ok();
        assert_eq!(text("access.log").unwrap(), "six\n");
        assert_eq!(text("access.log.1").unwrap(), "five\n");
        assert_eq!(text("access.log.2").unwrap(), "four\n");
        assert_eq!(text("access.log.3").unwrap(), "three\n");
        assert_eq!(text("access.log.4"), None);
        // Opened again, it goes on where it was.
        let mut log = Rotated::open(&path, 100).unwrap();
        log.write(b"seven\n").unwrap();
        log.file.flush().unwrap();
        assert_eq!(text("access.log").unwrap(), "six\nseven\n");
    }
}
