//! The pull parser: walks the top level of a file of known length, asking for the ranges it needs.
//!
//! A fragmented file that ends in the middle of a fragment is read up to there.
//!
//! A progressive file costs one range per box that lies in front of `moov`, `moov` itself, and no media. A fragmented
//! file is walked to its end: one range per fragment, whose `mdat` is stepped over. Ranges are at least
//! [`Limits::window_bytes`] long (unless the file ends), so that small boxes do not cost a request each.

use bytes::Bytes;

use super::cursor::BoxHeader;
use super::moof;
use super::moov::{self, PendingMovie};
use crate::{BmffError, Brands, FourCc, Fragment, Movie, StoredFragments, Track};

/// What a reader accepts. [`Limits::default`] suits files of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest `moov`, 64 MiB by default; up to four times as much memory is used while it is read, itself included.
    pub moov_bytes: u64,
    /// Largest `moof`, 16 MiB by default.
    pub moof_bytes: u64,
    /// Most samples of all tracks together, 2^24 by default: more than a day at 120 frames a second. Sizes and
    /// fragments can claim samples without spending bytes on them, so a bound is needed that the input does not give.
    pub samples: u32,
    /// Most memory that the sample tables of all tracks take, 512 MiB by default. Those of a progressive file never take
    /// more than three times its `moov`.
    pub table_bytes: usize,
    /// Most boxes at the top level, 2^20 by default.
    pub top_level_boxes: u32,
    /// Shortest range asked for, 64 KiB by default.
    pub window_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            moov_bytes: 64 << 20,
            moof_bytes: 16 << 20,
            samples: 1 << 24,
            table_bytes: 512 << 20,
            top_level_boxes: 1 << 20,
            window_bytes: 64 << 10,
        }
    }
}

/// What the reader wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Feed at least these bytes of the file.
    Need {
        /// First byte.
        offset: u64,
        /// Number of bytes, never past the end of the file and never 0.
        len: u64,
    },
    /// The file is read.
    Done(Box<Movie>),
}

/// Reads a file by ranges.
///
/// ```
/// # use headwater_bmff::{BmffError, Movie, MovieReader, Step};
/// # fn read(file: &[u8]) -> Result<Box<Movie>, BmffError> {
/// let mut reader = MovieReader::new(file.len() as u64);
/// loop {
///     match reader.step()? {
///         Step::Need { offset, len } => {
///             let range = offset as usize..(offset + len) as usize;
///             reader.feed(offset, file[range].to_vec().into())?;
///         }
///         Step::Done(movie) => return Ok(movie),
///     }
/// }
/// # }
/// # assert!(read(b"#EXTM3U\n#EXT-X-VERSION:7\n").is_err());
/// ```
#[derive(Debug)]
pub struct MovieReader {
    len: u64,
    limits: Limits,
    /// Bytes fed last, and where they begin.
    window: Bytes,
    window_at: u64,
    /// The range asked for.
    wanted: Option<(u64, u64)>,
    /// Where the next top-level box begins.
    at: u64,
    boxes: u32,
    brands: Brands,
    /// `ftyp` as stored, while nothing else has preceded `moov`.
    ftyp: Option<Bytes>,
    only_ftyp_so_far: bool,
    movie: Option<PendingMovie>,
    init: Option<Vec<u8>>,
    fragments: Vec<Fragment>,
    messages: u32,
    cut_off: u64,
    /// Data of the last fragment's only run, until its `mdat` is seen.
    open_run: Option<std::ops::Range<u64>>,
}

/// Largest `ftyp` and `moov` that are kept as an init segment.
const MAX_INIT_BYTES: usize = 1 << 20;

/// Types that the first box of a file has; anything else is not this format.
pub(super) const FIRST_BOXES: [&[u8; 4]; 14] = [
    b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"sidx",
    b"uuid", b"udta", b"PICT", b"junk",
];

impl MovieReader {
    /// A reader of a file of `len` bytes.
    #[must_use]
    pub fn new(len: u64) -> Self {
        Self::with_limits(len, Limits::default())
    }

    /// A reader that accepts what `limits` say.
    #[must_use]
    pub fn with_limits(len: u64, limits: Limits) -> Self {
        Self {
            len,
            limits,
            window: Bytes::new(),
            window_at: 0,
            wanted: None,
            at: 0,
            boxes: 0,
            brands: Brands::default(),
            ftyp: None,
            only_ftyp_so_far: true,
            movie: None,
            init: None,
            fragments: Vec::new(),
            messages: 0,
            cut_off: 0,
            open_run: None,
        }
    }

    /// Hands over bytes of the file that cover the last [`Step::Need`]. Errors: `WrongFeed` if they do not.
    pub fn feed(&mut self, offset: u64, bytes: Bytes) -> Result<(), BmffError> {
        let (wanted_at, wanted_len) = self.wanted.unwrap_or((offset, 0));
        let fed_len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let covers = offset <= wanted_at
            && offset.saturating_add(fed_len) >= wanted_at.saturating_add(wanted_len);
        if !covers {
            return Err(BmffError::WrongFeed {
                offset: wanted_at,
                len: wanted_len,
                fed_offset: offset,
                fed_len,
            });
        }
        self.wanted = None;
        self.window = bytes;
        self.window_at = offset;
        Ok(())
    }

    /// Goes on until bytes are missing or the file is read. After `Done` the reader is spent.
    pub fn step(&mut self) -> Result<Step, BmffError> {
        if self.len == 0 {
            return Err(BmffError::NotIsoMedia {
                reason: "the file is empty".to_owned(),
            });
        }
        while self.at < self.len {
            let left = self.len.saturating_sub(self.at);
            let Some(bytes) = self.have(left.min(16)) else {
                return Ok(self.need(left.min(16)));
            };
            let header = BoxHeader::parse(&bytes);
            if self.boxes == 0 {
                self.check_first(header)?;
            }
            let Some(header) = header else {
                if !self.fragments.is_empty() {
                    return self.break_off();
                }
                return Err(self.truncated(FourCc(*b"    "), 8, left));
            };
            let size = header.size.unwrap_or(left);
            if size < header.header_len {
                return Err(self.malformed(header.name, format!("a size of {size} bytes")));
            }
            if size > left {
                if !self.fragments.is_empty() {
                    return self.break_off();
                }
                return Err(self.truncated(header.name, size, left));
            }
            if let Some(limit) = self.limit(header.name) {
                if size > limit {
                    return Err(BmffError::TooLarge {
                        path: header.name.to_string(),
                        offset: self.at,
                        size,
                        limit,
                    });
                }
                if header.name == b"moof" && !self.fragments.is_empty() {
                    // Whether its media is there is known before it is read: what is read is not taken back.
                    let with_next = size.saturating_add(16).min(left);
                    let Some(bytes) = self.have(with_next) else {
                        return Ok(self.need(with_next));
                    };
                    let at = usize::try_from(size).unwrap_or(usize::MAX);
                    let next = bytes.get(at..).and_then(BoxHeader::parse);
                    let is_whole = next.is_some_and(|next| {
                        let behind = left.saturating_sub(size);
                        next.name != b"mdat" || next.size.is_none_or(|len| len <= behind)
                    });
                    if !is_whole {
                        return self.break_off();
                    }
                }
                let Some(whole) = self.have(size) else {
                    return Ok(self.need(size));
                };
                if self.read_box(header, &whole)? == Progress::Complete {
                    return self.finish();
                }
            } else {
                self.pass(header, size);
            }
            self.boxes = self.boxes.saturating_add(1);
            if self.boxes > self.limits.top_level_boxes {
                let fault = format!("more than {} boxes", self.limits.top_level_boxes);
                return Err(self.malformed(header.name, fault));
            }
            self.at = self.at.saturating_add(size);
        }
        self.finish()
    }

    /// Ends where a recorder was stopped, or fell: whole fragments are good without those that follow.
    fn break_off(&mut self) -> Result<Step, BmffError> {
        self.cut_off = self.len.saturating_sub(self.at);
        self.finish()
    }

    fn check_first(&self, header: Option<BoxHeader>) -> Result<(), BmffError> {
        let reason = match header {
            None => format!("{} bytes are too few", self.len),
            Some(header) if FIRST_BOXES.iter().any(|name| header.name == *name) => return Ok(()),
            Some(header) => format!("it begins with '{}' where a box type belongs", header.name),
        };
        Err(BmffError::NotIsoMedia { reason })
    }

    /// Largest accepted size of the boxes that are read; `None` for those that are stepped over.
    fn limit(&self, name: FourCc) -> Option<u64> {
        match &name.0 {
            b"ftyp" => Some(4096),
            b"moov" if self.movie.is_none() => Some(self.limits.moov_bytes),
            b"moof" => Some(self.limits.moof_bytes),
            _ => None,
        }
    }

    fn read_box(&mut self, header: BoxHeader, whole: &Bytes) -> Result<Progress, BmffError> {
        let payload_at = self.at.saturating_add(header.header_len);
        let skip = usize::try_from(header.header_len).unwrap_or(usize::MAX);
        let payload = whole.get(skip..).unwrap_or(&[]);
        match &header.name.0 {
            b"ftyp" => {
                self.brands = moov::parse_ftyp(payload_at, payload)?;
                if self.at == 0 {
                    self.ftyp = Some(whole.clone());
                }
            }
            b"moov" => {
                let movie = moov::parse(payload_at, payload, self.limits.samples)?;
                let fragmented = movie.defaults.is_some();
                self.movie = Some(movie);
                if !fragmented {
                    return Ok(Progress::Complete);
                }
                if self.only_ftyp_so_far && whole.len() <= MAX_INIT_BYTES {
                    self.init = self
                        .ftyp
                        .as_ref()
                        .map(|ftyp| [&ftyp[..], &whole[..]].concat());
                }
            }
            _ => {
                let Some(movie) = self.movie.as_mut() else {
                    return Err(self.malformed(header.name, "no moov box before it".to_owned()));
                };
                let parsed = moof::parse(self.at, header.header_len, payload, movie)?;
                let size = u64::try_from(whole.len()).unwrap_or(u64::MAX);
                self.open_run = parsed.only_run;
                self.fragments.push(Fragment {
                    bytes: self.at..self.at.saturating_add(size),
                    header_len: size,
                    self_contained: false,
                    track_id: parsed.track_id,
                    samples: parsed.samples,
                });
                self.check_tables(header.name)?;
            }
        }
        Ok(Progress::Continue)
    }

    fn check_tables(&self, name: FourCc) -> Result<(), BmffError> {
        let tracks = self.movie.iter().flat_map(|movie| &movie.tracks);
        let held = tracks.fold(0, |sum: usize, track| {
            sum.saturating_add(track.samples.heap_bytes())
        });
        if held > self.limits.table_bytes {
            let fault = "with it, the sample tables take more memory than is allowed".to_owned();
            return Err(self.malformed(name, fault));
        }
        Ok(())
    }

    /// Steps over a box that is not read; an `mdat` right behind a `moof` completes a fragment.
    fn pass(&mut self, header: BoxHeader, size: u64) {
        self.only_ftyp_so_far = false;
        if header.name == b"emsg" {
            self.messages = self.messages.saturating_add(1);
        }
        if header.name != b"mdat" {
            return;
        }
        let Some(fragment) = self.fragments.last_mut() else {
            return;
        };
        if fragment.bytes.end != self.at {
            return;
        }
        let end = self.at.saturating_add(size);
        let data = self.at.saturating_add(header.header_len)..end;
        fragment.bytes.end = end;
        fragment.header_len = fragment.header_len.saturating_add(header.header_len);
        fragment.self_contained = self.open_run.take() == Some(data);
    }

    fn finish(&mut self) -> Result<Step, BmffError> {
        let movie = self.movie.take().ok_or(BmffError::NoMovie)?;
        let mut tracks = Vec::with_capacity(movie.tracks.len());
        for pending in movie.tracks {
            if let Some(stray) = pending
                .samples
                .stray(self.len)
                .filter(|_| pending.is_read())
            {
                let id = pending.track.config.id;
                return Err(BmffError::Truncated {
                    path: format!("sample {} of track {id}", stray.first_sample),
                    offset: stray.offset,
                    needed: stray.bytes,
                    available: self.len.saturating_sub(stray.offset),
                });
            }
            tracks.push(Track {
                samples: pending.samples.into_table(),
                ..pending.track
            });
        }
        let fragments = movie.defaults.map(|_| StoredFragments {
            init: self.init.take(),
            list: std::mem::take(&mut self.fragments),
            messages: self.messages,
            cut_off: self.cut_off,
        });
        Ok(Step::Done(Box::new(Movie {
            timescale: movie.timescale,
            duration: movie.duration,
            brands: std::mem::take(&mut self.brands),
            tracks,
            fragments,
        })))
    }

    /// `len` bytes from the next box on, if they were fed.
    fn have(&self, len: u64) -> Option<Bytes> {
        let start = usize::try_from(self.at.checked_sub(self.window_at)?).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        (end <= self.window.len()).then(|| self.window.slice(start..end))
    }

    fn need(&mut self, len: u64) -> Step {
        let left = self.len.saturating_sub(self.at);
        let len = len.max(self.limits.window_bytes).min(left);
        self.wanted = Some((self.at, len));
        Step::Need {
            offset: self.at,
            len,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Continue,
    Complete,
}

/// Reads a file that is in memory as a whole: an init segment, a fixture.
pub fn parse_movie(file: Bytes) -> Result<Movie, BmffError> {
    let len = u64::try_from(file.len()).unwrap_or(u64::MAX);
    let mut reader = MovieReader::new(len);
    loop {
        match reader.step()? {
            Step::Need { .. } => reader.feed(0, file.clone())?,
            Step::Done(movie) => return Ok(*movie),
        }
    }
}
