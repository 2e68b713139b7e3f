//! The outline of a progressive file: all of `moov` but its sample tables, of which only the places are noted.
//!
//! A movie header of many hours is larger than what one instance may hold. Its small boxes are read through windows and
//! put together again without the tables, so that the ordinary parser reads them; [`TrackWalk`](super::walk::TrackWalk)
//! then reads the tables side by side. A fragmented file is recognised and left to
//! [`MovieReader`](crate::MovieReader): its samples are not in `moov`.

use bytes::Bytes;

use super::cursor::BoxHeader;
use super::moov;
use super::places::{TablePlaces, is_table};
use super::pull::FIRST_BOXES;
use super::window::Window;
use crate::{BmffError, Brands, CodecConfig, FourCc, Limits, Track};
use headwater_time::Timescale;

/// All that a progressive file says outside of its sample tables.
#[derive(Debug)]
pub struct MovieOutline {
    /// Ticks per second of edit list durations.
    pub timescale: Timescale,
    /// Brands of the `ftyp` box.
    pub brands: Brands,
    /// In the order of the file.
    pub tracks: Vec<OutlineTrack>,
}

/// A track whose samples were not read.
#[derive(Debug)]
pub struct OutlineTrack {
    /// Everything but the samples: the table is empty.
    pub track: Track,
    /// Where its tables are.
    pub(super) places: TablePlaces,
}

impl OutlineTrack {
    /// Number of samples, as the size table states it.
    #[must_use]
    pub fn sample_count(&self) -> u32 {
        self.places.sample_count()
    }
}

/// What [`OutlineReader`] wants or found.
#[derive(Debug)]
pub enum OutlineStep {
    /// Feed at least these bytes of the file.
    Need {
        /// First byte.
        offset: u64,
        /// Number of bytes, never past the end of the file and never 0.
        len: u64,
    },
    /// The file is progressive.
    Progressive(Box<MovieOutline>),
    /// The file has, or may have, movie fragments.
    Fragmented,
}

/// Most bytes of `moov` outside of its tables; without cover pictures that is a few hundred a track.
const MAX_OUTLINE_BYTES: usize = 4 << 20;

/// Reads an outline by ranges, as [`MovieReader`](crate::MovieReader) reads a whole movie.
#[derive(Debug)]
pub struct OutlineReader {
    len: u64,
    limits: Limits,
    window: Window,
    at: u64,
    boxes: u32,
    brands: Brands,
    moov: Option<std::ops::Range<u64>>,
    /// Boxes that are entered, from `moov` on.
    open: Vec<Open>,
    /// What `moov` holds besides tables, and which place in the file a part of it is from: (offset here, in the file).
    kept: Vec<u8>,
    origins: Vec<(u64, u64)>,
    places: Vec<TablePlaces>,
}

#[derive(Debug)]
struct Open {
    name: FourCc,
    end: u64,
    /// Where its header is in `kept`; `moov` has none.
    header: Option<usize>,
}

enum Entered {
    Need(u64),
    Passed,
}

impl OutlineReader {
    /// A reader of a file of `len` bytes.
    #[must_use]
    pub fn new(len: u64, limits: Limits) -> Self {
        Self {
            len,
            limits,
            window: Window::default(),
            at: 0,
            boxes: 0,
            brands: Brands::default(),
            moov: None,
            open: Vec::new(),
            kept: Vec::new(),
            origins: Vec::new(),
            places: Vec::new(),
        }
    }

    /// Hands over bytes that cover the last `Need`. Errors: `WrongFeed` if they do not.
    pub fn feed(&mut self, offset: u64, bytes: Bytes) -> Result<(), BmffError> {
        self.window.feed(offset, bytes)
    }

    /// Where `moov` is, once it is found.
    #[must_use]
    pub fn moov(&self) -> Option<std::ops::Range<u64>> {
        self.moov.clone()
    }

    /// Goes on until bytes are missing or `moov` is read. After any other step the reader is spent.
    pub fn step(&mut self) -> Result<OutlineStep, BmffError> {
        if self.len == 0 {
            return Err(BmffError::NotIsoMedia {
                reason: "the file is empty".to_owned(),
            });
        }
        loop {
            let Some(parent) = self.open.last() else {
                match self.top_level()? {
                    Entered::Need(len) => return Ok(self.need(len)),
                    Entered::Passed => continue,
                }
            };
            if parent.end.saturating_sub(self.at) < 8 {
                let name = parent.name;
                self.close();
                if name == b"moov" {
                    return self.finish();
                }
                continue;
            }
            match self.child()? {
                Entered::Need(len) => return Ok(self.need(len)),
                Entered::Passed => {}
            }
            if self.is_fragmented() {
                return Ok(OutlineStep::Fragmented);
            }
        }
    }

    fn is_fragmented(&self) -> bool {
        self.open.last().is_some_and(|open| open.name == b"mvex")
    }

    fn need(&mut self, len: u64) -> OutlineStep {
        let left = self.len.saturating_sub(self.at);
        let len = len.max(self.limits.window_bytes).min(left);
        self.window.want(self.at, len);
        OutlineStep::Need {
            offset: self.at,
            len,
        }
    }

    fn top_level(&mut self) -> Result<Entered, BmffError> {
        let left = self.len.saturating_sub(self.at);
        if left == 0 {
            return Err(BmffError::NoMovie);
        }
        let Some(bytes) = self.window.have(self.at, left.min(16)) else {
            return Ok(Entered::Need(left.min(16)));
        };
        let header = BoxHeader::parse(&bytes);
        if self.boxes == 0 {
            let reason = match header {
                None => Some(format!("{} bytes are too few", self.len)),
                Some(header) if FIRST_BOXES.iter().any(|name| header.name == *name) => None,
                Some(header) => Some(format!(
                    "it begins with '{}' where a box type belongs",
                    header.name
                )),
            };
            if let Some(reason) = reason {
                return Err(BmffError::NotIsoMedia { reason });
            }
        }
        let Some(header) = header else {
            return Err(self.truncated(FourCc(*b"    "), 8, left));
        };
        let size = header.size.unwrap_or(left);
        if size < header.header_len {
            return Err(self.malformed(header.name, format!("a size of {size} bytes")));
        }
        if size > left {
            return Err(self.truncated(header.name, size, left));
        }
        self.boxes = self.boxes.saturating_add(1);
        if self.boxes > self.limits.top_level_boxes {
            let fault = format!("more than {} boxes", self.limits.top_level_boxes);
            return Err(self.malformed(header.name, fault));
        }
        let end = self.at.saturating_add(size);
        match &header.name.0 {
            b"ftyp" if size <= 4096 => {
                let Some(whole) = self.window.have(self.at, size) else {
                    return Ok(Entered::Need(size));
                };
                let payload_at = self.at.saturating_add(header.header_len);
                let skip = usize::try_from(header.header_len).unwrap_or(usize::MAX);
                self.brands = moov::parse_ftyp(payload_at, whole.get(skip..).unwrap_or(&[]))?;
                self.at = end;
            }
            b"ftyp" => return Err(self.too_large(header.name, size, 4096)),
            b"moov" if size > self.limits.moov_bytes => {
                return Err(self.too_large(header.name, size, self.limits.moov_bytes));
            }
            b"moov" => {
                self.moov = Some(self.at..end);
                self.open.push(Open {
                    name: header.name,
                    end,
                    header: None,
                });
                self.at = self.at.saturating_add(header.header_len);
            }
            // Without a moov before it, a fragment belongs to nothing; the other reader says so.
            b"moof" => return Err(self.malformed(header.name, "no moov box before it".to_owned())),
            _ => self.at = end,
        }
        Ok(Entered::Passed)
    }

    /// Reads, notes, enters or passes the box at `at` inside of `moov`.
    fn child(&mut self) -> Result<Entered, BmffError> {
        let Some((parent, end)) = self.open.last().map(|open| (open.name, open.end)) else {
            return Ok(Entered::Passed);
        };
        let left = end.saturating_sub(self.at);
        let Some(bytes) = self.window.have(self.at, left.min(16)) else {
            return Ok(Entered::Need(left.min(16)));
        };
        let header = BoxHeader::parse(&bytes);
        let Some(header) = header else {
            return Err(self.misfit(FourCc(*b"    "), 1));
        };
        let Some(size) = header.size else {
            // QuickTime closes some containers with four zero bytes.
            self.at = end;
            return Ok(Entered::Passed);
        };
        if size < header.header_len || size > left {
            return Err(self.misfit(header.name, size));
        }
        let payload = self.at.saturating_add(header.header_len);
        let box_end = self.at.saturating_add(size);
        match (&parent.0, &header.name.0) {
            (b"moov", b"trak" | b"mvex")
            | (b"trak", b"mdia")
            | (b"mdia", b"minf")
            | (b"minf", b"stbl") => {
                if header.name == b"trak" {
                    self.places.push(TablePlaces::default());
                }
                if header.name == b"stbl"
                    && let Some(places) = self.places.last_mut()
                {
                    *places = TablePlaces::default();
                }
                let at = self.keep(&[])?;
                self.keep(&[0; 4])?;
                self.keep(&header.name.0)?;
                self.open.push(Open {
                    name: header.name,
                    end: box_end,
                    header: Some(at),
                });
                self.at = payload;
                self.mark();
                return Ok(Entered::Passed);
            }
            (b"stbl", name) if is_table(name) => {
                let head = box_end.saturating_sub(payload).min(12);
                let whole = header.header_len.saturating_add(head);
                let Some(bytes) = self.window.have(self.at, whole) else {
                    return Ok(Entered::Need(whole));
                };
                let skip = usize::try_from(header.header_len).unwrap_or(usize::MAX);
                let fields = bytes.get(skip..).unwrap_or(&[]);
                let path = self.path(header.name);
                if let Some(places) = self.places.last_mut() {
                    places.note(header.name, path, payload..box_end, fields)?;
                }
            }
            (b"moov", b"mvhd" | b"cmov")
            | (b"trak", b"tkhd" | b"edts")
            | (b"mdia", b"mdhd" | b"hdlr" | b"elng")
            | (b"stbl", b"stsd") => {
                let most = u64::try_from(MAX_OUTLINE_BYTES).unwrap_or(u64::MAX);
                if size > most {
                    return Err(self.too_large(header.name, size, most));
                }
                let Some(whole) = self.window.have(self.at, size) else {
                    return Ok(Entered::Need(size));
                };
                self.mark();
                self.keep(&whole)?;
            }
            _ => {}
        }
        self.at = box_end;
        self.mark();
        Ok(Entered::Passed)
    }

    /// Leaves the innermost box: its size in `kept` is known now.
    fn close(&mut self) {
        let Some(open) = self.open.pop() else {
            return;
        };
        self.at = open.end;
        let Some(header) = open.header else {
            return;
        };
        let size = u32::try_from(self.kept.len().saturating_sub(header)).unwrap_or(u32::MAX);
        if let Some(field) = self.kept.get_mut(header..header.saturating_add(4)) {
            field.copy_from_slice(&size.to_be_bytes());
        }
        self.mark();
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<usize, BmffError> {
        let at = self.kept.len();
        if at.saturating_add(bytes.len()) > MAX_OUTLINE_BYTES {
            return Err(self.malformed(
                FourCc(*b"moov"),
                format!("more than {MAX_OUTLINE_BYTES} bytes outside of sample tables"),
            ));
        }
        self.kept.extend_from_slice(bytes);
        Ok(at)
    }

    /// What is kept next is from here.
    fn mark(&mut self) {
        let kept = u64::try_from(self.kept.len()).unwrap_or(u64::MAX);
        if let Some(last) = self.origins.last_mut().filter(|last| last.0 == kept) {
            last.1 = self.at;
            return;
        }
        self.origins.push((kept, self.at));
    }

    fn finish(&mut self) -> Result<OutlineStep, BmffError> {
        let origins = std::mem::take(&mut self.origins);
        let origin = |offset: u64| {
            let after = origins.partition_point(|(kept, _)| *kept <= offset);
            let mark = after.checked_sub(1).and_then(|at| origins.get(at));
            mark.map_or(offset, |(kept, at)| {
                at.saturating_add(offset.saturating_sub(*kept))
            })
        };
        let kept = std::mem::take(&mut self.kept);
        let movie = moov::parse(0, &kept, u32::MAX).map_err(|error| error.moved(origin))?;
        let mut tracks = Vec::with_capacity(movie.tracks.len());
        let mut left = self.limits.samples;
        for (pending, places) in movie
            .tracks
            .into_iter()
            .zip(std::mem::take(&mut self.places))
        {
            if !matches!(pending.track.config.codec, CodecConfig::Other(_)) {
                let rest = left.checked_sub(places.sample_count());
                left = rest.ok_or_else(|| {
                    self.malformed(
                        FourCc(*b"moov"),
                        format!(
                            "more samples than the {} that are accepted",
                            self.limits.samples
                        ),
                    )
                })?;
            }
            tracks.push(OutlineTrack {
                track: pending.track,
                places,
            });
        }
        Ok(OutlineStep::Progressive(Box::new(MovieOutline {
            timescale: movie.timescale,
            brands: std::mem::take(&mut self.brands),
            tracks,
        })))
    }

    fn path(&self, name: FourCc) -> String {
        let mut path = String::new();
        for open in &self.open {
            path.push_str(&open.name.to_string());
            if open.name == b"trak" {
                path.push_str(&format!("[{}]", self.places.len()));
            }
            path.push('/');
        }
        path.push_str(&name.to_string());
        path
    }

    fn misfit(&self, name: FourCc, size: u64) -> BmffError {
        let fault = format!("a size of {size} bytes does not fit its parent");
        BmffError::Malformed {
            path: self.path(name),
            offset: self.at,
            fault,
        }
    }

    fn too_large(&self, name: FourCc, size: u64, limit: u64) -> BmffError {
        BmffError::TooLarge {
            path: name.to_string(),
            offset: self.at,
            size,
            limit,
        }
    }

    fn malformed(&self, name: FourCc, fault: String) -> BmffError {
        BmffError::Malformed {
            path: name.to_string(),
            offset: self.at,
            fault,
        }
    }

    fn truncated(&self, name: FourCc, needed: u64, available: u64) -> BmffError {
        BmffError::Truncated {
            path: name.to_string(),
            offset: self.at,
            needed,
            available,
        }
    }
}
