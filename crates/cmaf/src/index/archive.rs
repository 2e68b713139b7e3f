//! The index of an archived live track: a folder with one object for each fragment, called by its start in decimal, and
//! one called `header` that holds `ftyp` and `moov` (Azure Media Services, and our own recordings).
//!
//! Two kinds of fragments are read: `moof` and `mdat` with a `tfxd` box ([MS-SSTR] §2.2.4.4), and CMAF chunks with `tfdt`
//! (ISO/IEC 23000-19 §7.3.2). A fragment becomes one segment, whose start is the object's name, so that URLs from
//! before go on working. What the boxes inside say is believed as far as it fits the name; if it does not, the
//! fragment is moved there. A fragment that is missing or cannot be read leaves a gap.
//!
//! Fragments are noted one by one; [`ArchiveBuilder::state`] lets another builder go on. Only when all are known, and
//! with them where each ends, are they put together.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use headwater_bmff::write::SegmentSample;
use headwater_bmff::{
    CodecConfig, Limits, Movie, MovieReader, Step, TrackConfig, TrackKind, parse_movie,
};

use super::assemble::{Room, assemble};
use super::bytes::{Fields, checked, push_crc, push_varint};
use super::from_movie::messages;
use super::package::Made;
use super::playable::not_playable;
use super::{SegmentOrigin, SourceId, TrackWarning, record};
use crate::CmafError;
use crate::segments::{MAX_SEGMENT_SAMPLES, MAX_SEGMENTS};
use crate::timeline::TimedSample;

/// Name of the object that holds the movie header.
pub const ARCHIVE_HEADER: &str = "header";

/// Most fragments of one track: three days of two seconds.
pub const MAX_FRAGMENTS: usize = MAX_SEGMENTS;

/// Most bytes of notes: two days of pictures and sound.
const MAX_NOTE_BYTES: usize = 32 << 20;

const STATE_MAGIC: [u8; 8] = *b"\x89HWA\r\n\x1a\n";
const STATE_VERSION: u16 = 2;

/// What a fragment is made of.
const LIMITS: Limits = Limits {
    moov_bytes: 1 << 20,
    moof_bytes: 1 << 20,
    samples: 1 << 16,
    table_bytes: 4 << 20,
    top_level_boxes: 1 << 12,
    window_bytes: 16 << 10,
};

/// A fragment, as its object has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedFragment {
    /// Decode time of the first sample, as the boxes state it.
    decode_time: u64,
    samples: Vec<SegmentSample>,
    /// Where the samples are in the object.
    ranges: Vec<Range<u64>>,
    /// Number of `emsg` boxes, which are not noted.
    messages: u32,
}

/// What [`FragmentReader`] wants or has.
#[derive(Debug)]
pub enum FragmentStep {
    /// Feed at least these bytes of the object.
    Need {
        /// First byte.
        offset: u64,
        /// Number of bytes, never past the end of the object and never 0.
        len: u64,
    },
    /// The fragment is read.
    Done(NotedFragment),
}

/// Reads one fragment by ranges.
#[derive(Debug)]
pub struct FragmentReader {
    header: Bytes,
    track: u32,
    reader: MovieReader,
    /// Where the bytes asked for begin, in header and object put together.
    wanted: u64,
}

impl FragmentReader {
    /// Hands over bytes that cover the last `Need`. Errors: `Movie` if they do not.
    pub fn feed(&mut self, offset: u64, bytes: Bytes) -> Result<(), CmafError> {
        let header_len = wide(self.header.len());
        let at = header_len.saturating_add(offset);
        match usize::try_from(self.wanted) {
            // The header's end and the object's front in one.
            Ok(from) if from < self.header.len() && offset == 0 => {
                let front = self.header.slice(from..);
                let mut both = BytesMut::with_capacity(front.len().saturating_add(bytes.len()));
                both.extend_from_slice(&front);
                both.extend_from_slice(&bytes);
                Ok(self.reader.feed(self.wanted, both.freeze())?)
            }
            _ => Ok(self.reader.feed(at, bytes)?),
        }
    }

    /// Goes on until bytes are missing or the fragment is read; then the reader is spent.
    ///
    /// Errors: `Movie` for what is no fragment of the track, `NoMedia` if it has no samples, `TooLarge`.
    pub fn step(&mut self) -> Result<FragmentStep, CmafError> {
        let header_len = wide(self.header.len());
        loop {
            match self.reader.step()? {
                Step::Need { offset, len } => {
                    let end = offset.saturating_add(len);
                    if end <= header_len {
                        let at = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                        let bytes = self.header.slice(at(offset)..at(end));
                        self.reader.feed(offset, bytes)?;
                        continue;
                    }
                    self.wanted = offset;
                    let offset = offset.saturating_sub(header_len);
                    let len = end.saturating_sub(header_len).saturating_sub(offset);
                    return Ok(FragmentStep::Need { offset, len });
                }
                Step::Done(movie) => {
                    return NotedFragment::of(&movie, self.track, header_len)
                        .map(FragmentStep::Done);
                }
            }
        }
    }
}

impl NotedFragment {
    fn of(movie: &Movie, id: u32, header_len: u64) -> Result<Self, CmafError> {
        let track = movie.tracks.iter().find(|track| track.config.id == id);
        let table = &track.ok_or(CmafError::NoMedia)?.samples;
        let too_large = |what| CmafError::TooLarge { track: id, what };
        if usize::try_from(table.len()).map_or(true, |count| count > MAX_SEGMENT_SAMPLES) {
            return Err(too_large("a fragment"));
        }
        let mut samples: Vec<SegmentSample> = Vec::new();
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let (mut first, mut previous) = (None, 0_u64);
        for sample in table {
            first.get_or_insert(sample.dts);
            // Chunks follow one another by their decode times, not by what their samples say to last.
            if let Some(last) = samples.last_mut() {
                let lasted = sample.dts.saturating_sub(previous);
                last.duration =
                    u32::try_from(lasted).map_err(|_| too_large("the duration of a sample"))?;
            }
            previous = sample.dts;
            samples.push(SegmentSample {
                size: sample.size,
                duration: sample.duration,
                cto: sample.cto,
                sync: sample.sync,
            });
            let at = sample.offset.checked_sub(header_len);
            let at = at.ok_or_else(|| too_large("the distance of a sample"))?;
            let end = at.saturating_add(sample.size.into());
            match ranges.last_mut() {
                Some(run) if run.end == at => run.end = end,
                _ if sample.size == 0 => {}
                _ => ranges.push(at..end),
            }
        }
        Ok(Self {
            decode_time: first.ok_or(CmafError::NoMedia)?,
            samples,
            ranges,
            messages: messages(movie),
        })
    }

    /// The samples in decode order, with their places in the object, at the time that its `name` says.
    #[must_use]
    pub fn samples(&self, name: u64) -> Vec<TimedSample> {
        self.placed(name).0
    }

    /// The samples at the time that `name` says, and what they last together.
    fn placed(&self, name: u64) -> (Vec<TimedSample>, u64) {
        let first_dts = i64::try_from(self.decode_time).unwrap_or(i64::MAX);
        let name = i64::try_from(name).unwrap_or(i64::MAX);
        let mut timed = Vec::with_capacity(self.samples.len());
        let mut runs = self.ranges.iter().cloned();
        let mut run = runs.next().unwrap_or_default();
        let (mut dts, mut earliest) = (first_dts, i64::MAX);
        for (index, sample) in (0_u32..).zip(&self.samples) {
            while run.start >= run.end && sample.size > 0 {
                run = runs.next().unwrap_or(run.start..u64::MAX);
            }
            let pts = dts.saturating_add(sample.cto.into());
            earliest = earliest.min(pts);
            timed.push(TimedSample {
                index,
                offset: run.start,
                size: sample.size,
                dts,
                pts,
                duration: sample.duration,
                sync: sample.sync,
            });
            run.start = run.start.saturating_add(sample.size.into());
            dts = dts.saturating_add(sample.duration.into());
        }
        let first_pts = timed.first().map_or(first_dts, |sample| sample.pts);
        if ![first_dts, first_pts, earliest].contains(&name) {
            let shift = name.saturating_sub(first_pts);
            for sample in &mut timed {
                sample.dts = sample.dts.saturating_add(shift);
                sample.pts = sample.pts.saturating_add(shift);
            }
        }
        for sample in &mut timed {
            sample.pts = sample.pts.max(0);
        }
        let lasts = dts.saturating_sub(first_dts);
        (timed, u64::try_from(lasts).unwrap_or(0))
    }
}

/// Builds the index of one archived track.
#[derive(Debug)]
pub struct ArchiveBuilder {
    source: SourceId,
    header: Bytes,
    config: TrackConfig,
    /// Fragments one behind the other: see [`Self::push`].
    notes: Vec<u8>,
    count: u32,
    last: Option<u64>,
    skipped: u32,
    first_skipped: Option<(u64, String)>,
    messages: u32,
}

impl ArchiveBuilder {
    /// `header`: the object of that name. `source`: its state.
    ///
    /// Errors: `Movie` if it does not parse, `NoMedia` without a track of pictures, sound or text, `Unsupported` for codecs
    /// that are not packaged, `Encrypted`.
    pub fn new(header: Bytes, source: SourceId) -> Result<Self, CmafError> {
        let movie = parse_movie(header.clone())?;
        let mut tracks: Vec<TrackConfig> = movie.tracks.into_iter().map(|t| t.config).collect();
        tracks.retain(|config| config.kind != TrackKind::Other);
        let playable = tracks
            .iter()
            .position(|config| !matches!(config.codec, CodecConfig::Other(_)));
        let config = match (playable, tracks.first()) {
            (Some(place), _) => tracks.swap_remove(place),
            (None, Some(first)) => return Err(not_playable(first)),
            (None, None) => return Err(CmafError::NoMedia),
        };
        Ok(Self {
            source,
            header,
            config,
            notes: Vec::new(),
            count: 0,
            last: None,
            skipped: 0,
            first_skipped: None,
            messages: 0,
        })
    }

    /// What the movie header says of the track.
    #[must_use]
    pub fn config(&self) -> &TrackConfig {
        &self.config
    }

    /// The last fragment that was pushed or skipped.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// A reader of a fragment of `len` bytes.
    #[must_use]
    pub fn reader(&self, len: u64) -> FragmentReader {
        let whole = wide(self.header.len()).saturating_add(len);
        FragmentReader {
            header: self.header.clone(),
            track: self.config.id,
            reader: MovieReader::with_limits(whole, LIMITS),
            wanted: 0,
        }
    }

    /// Takes the fragment called `start`, whose object has the entity tag `etag`. Starts ascend.
    ///
    /// Errors: `BadSegment` if they do not, `TooLarge` if there is no room for more.
    pub fn push(
        &mut self,
        start: u64,
        etag: &str,
        fragment: &NotedFragment,
    ) -> Result<(), CmafError> {
        self.follow(start)?;
        let mut body = Vec::new();
        record::encode_body(&mut body, &fragment.samples, &fragment.ranges);
        push_varint(&mut self.notes, start);
        push_varint(&mut self.notes, fragment.decode_time);
        push_varint(&mut self.notes, wide(etag.len()));
        self.notes.extend_from_slice(etag.as_bytes());
        push_varint(&mut self.notes, wide(body.len()));
        self.notes.extend_from_slice(&body);
        self.count = self.count.saturating_add(1);
        self.messages = self.messages.saturating_add(fragment.messages);
        if self.notes.len() > MAX_NOTE_BYTES {
            return Err(CmafError::TooLarge {
                track: self.config.id,
                what: "the archive",
            });
        }
        Ok(())
    }

    /// Leaves out the fragment called `start`, and says why: there will be a gap.
    ///
    /// Errors: as [`Self::push`].
    pub fn skip(&mut self, start: u64, why: &str) -> Result<(), CmafError> {
        self.follow(start)?;
        self.skipped = self.skipped.saturating_add(1);
        self.first_skipped
            .get_or_insert_with(|| (start, why.chars().take(200).collect()));
        Ok(())
    }

    fn follow(&mut self, start: u64) -> Result<(), CmafError> {
        if self.last.is_some_and(|last| last >= start) {
            return Err(CmafError::BadSegment {
                number: self.count,
                fault: "it does not start after the previous one".to_owned(),
            });
        }
        self.last = Some(start);
        Ok(())
    }

    /// What is known so far, for [`Self::resume`].
    #[must_use]
    pub fn state(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.notes.len().saturating_add(512));
        out.extend_from_slice(&STATE_MAGIC);
        push_varint(&mut out, STATE_VERSION.into());
        let text = |out: &mut Vec<u8>, text: &str| {
            push_varint(out, wide(text.len()));
            out.extend_from_slice(text.as_bytes());
        };
        text(&mut out, &self.source.etag);
        push_varint(&mut out, self.source.len);
        push_varint(&mut out, self.last.map_or(0, |last| last.saturating_add(1)));
        push_varint(&mut out, self.skipped.into());
        let (at, why) = self.first_skipped.clone().unwrap_or_default();
        push_varint(&mut out, at);
        text(&mut out, &why);
        push_varint(&mut out, self.messages.into());
        push_varint(&mut out, self.count.into());
        out.extend_from_slice(&self.notes);
        push_crc(&mut out, 0);
        out
    }

    /// Goes on from what another builder of the same header knew.
    ///
    /// Errors: `Damaged` if `state` is none, or of another state of the header; the builder is as it was.
    pub fn resume(&mut self, state: &[u8]) -> Result<(), CmafError> {
        let mut fields = checked(state, "a half-built index")?;
        if fields.take(STATE_MAGIC.len())? != STATE_MAGIC
            || fields.varint()? != u64::from(STATE_VERSION)
        {
            return Err(fields.damaged("is of another kind"));
        }
        let etag = record::decode_tag(&mut fields)?;
        if etag != self.source.etag || fields.varint()? != self.source.len {
            return Err(fields.damaged("is of another state of the header"));
        }
        let last = fields.varint()?.checked_sub(1);
        let skipped = fields.varint_u32()?;
        let at = fields.varint()?;
        let why = record::decode_tag(&mut fields)?;
        let messages = fields.varint_u32()?;
        let count = fields.varint_u32()?;
        let notes = fields.take(fields.remaining())?.to_vec();
        self.last = last;
        self.skipped = skipped;
        self.first_skipped = (skipped > 0).then_some((at, why));
        self.messages = messages;
        self.count = count;
        self.notes = notes;
        Ok(())
    }

    /// The whole index, and what operators should know of the archive.
    ///
    /// Errors: `NoMedia` without a fragment, `KeyFrameInterval` and `TooLarge` as any index.
    pub fn finish(self) -> Result<(Vec<u8>, Vec<String>), CmafError> {
        let mut fields = Fields::new(&self.notes, "a half-built index");
        let mut made = Made::new();
        let (mut room, mut records) = (Room::default(), Vec::new());
        let mut gaps = Gaps::default();
        let mut next = read_note(&mut fields)?;
        while let Some(note) = next.take() {
            next = read_note(&mut fields)?;
            let following = next.as_ref().map(|note| note.start);
            let (samples, lasts) = note.fragment.placed(note.start);
            let duration = duration(lasts, wide(samples.len()), note.start, following);
            let end = note.start.checked_add(duration).filter(|_| duration > 0);
            let Some(end) = end else {
                gaps.pass(note.start);
                continue;
            };
            if following.is_some_and(|following| following > end) {
                gaps.pass(end);
            }
            let (span, etag) = (note.start..end, Some(note.etag.as_str()));
            made.take(
                &self.config,
                span,
                &samples,
                etag,
                (&mut room, &mut records),
            )?;
        }
        if made.is_empty() {
            return Err(CmafError::NoMedia);
        }
        let track = made.finish(0, self.config, SegmentOrigin::Archived)?;
        let told = TrackWarning::of_messages(self.messages);
        let mut index = assemble(&self.source, &[track], told.as_slice())?;
        index.append(&mut records);
        let mut remarks = Vec::new();
        if let Some((at, why)) = &self.first_skipped {
            let skipped = self.skipped;
            remarks.push(format!(
                "fragments that cannot be read: {skipped}, the first is {at}: {why}"
            ));
        }
        if let Some(first) = gaps.first {
            remarks.push(format!("gaps: {}, the first at {first}", gaps.count));
        }
        Ok((index, remarks))
    }
}

#[derive(Debug, Default)]
struct Gaps {
    count: u32,
    first: Option<u64>,
}

impl Gaps {
    fn pass(&mut self, at: u64) {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert(at);
    }
}

struct Note {
    start: u64,
    etag: String,
    fragment: NotedFragment,
}

/// The next note; `None` behind the last.
fn read_note(fields: &mut Fields<'_>) -> Result<Option<Note>, CmafError> {
    if fields.remaining() == 0 {
        return Ok(None);
    }
    let start = fields.varint()?;
    let decode_time = fields.varint()?;
    let etag = record::decode_tag(fields)?;
    let len = usize::try_from(fields.varint()?).unwrap_or(usize::MAX);
    let mut body = Fields::new(fields.take(len)?, "a half-built index");
    let (samples, ranges) = record::decode_body(&mut body)?;
    Ok(Some(Note {
        start,
        etag,
        fragment: NotedFragment {
            decode_time,
            samples,
            ranges,
            messages: 0,
        },
    }))
}

/// How long a fragment is: what its `count` samples last, or up to the next one if that is where it ends but for rounding,
/// or begins before.
fn duration(lasts: u64, count: u64, start: u64, following: Option<u64>) -> u64 {
    let Some(room) = following.map(|following| following.saturating_sub(start)) else {
        return lasts;
    };
    let half_a_sample = lasts.checked_div(count.saturating_mul(2)).unwrap_or(0);
    match lasts == 0 || lasts.saturating_add(half_a_sample.max(1)) >= room {
        true => room,
        false => lasts,
    }
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
