//! `ftyp` and `moov`: the movie header, its tracks, and the defaults for fragments (ISO/IEC 14496-12 §4.3, §8.2, §8.8).

use headwater_time::Timescale;

use super::cursor::{BoxReader, Path, Read};
use super::trak::{self, PendingTrack};
use crate::{Brands, CodecConfig, FourCc};

/// A parsed `moov`, before its fragments.
#[derive(Debug)]
pub(super) struct PendingMovie {
    pub(super) timescale: Timescale,
    pub(super) duration: u64,
    pub(super) tracks: Vec<PendingTrack>,
    /// `Some` if the file may have fragments (`mvex`).
    pub(super) defaults: Option<Vec<TrackDefaults>>,
    /// How many samples its tracks may have, and how many of them they do not have yet.
    pub(super) samples: SampleBudget,
}

/// Most tracks of a file: fragments look theirs up one by one.
const MAX_TRACKS: usize = 1024;

/// A bound on the samples of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct SampleBudget {
    limit: u32,
    left: u32,
}

impl SampleBudget {
    fn new(limit: u32) -> Self {
        Self { limit, left: limit }
    }

    /// Takes `count` samples out. Errors: what is wrong if there are not as many left.
    pub(super) fn take(&mut self, count: u32) -> Result<(), String> {
        let left = self.left.checked_sub(count);
        self.left =
            left.ok_or_else(|| format!("more samples than the {} that are accepted", self.limit))?;
        Ok(())
    }
}

/// `trex`: what a fragment leaves out.
#[derive(Debug, Clone, Copy)]
pub(super) struct TrackDefaults {
    pub(super) track_id: u32,
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
}

pub(super) fn parse_ftyp(offset: u64, payload: &[u8]) -> Read<Brands> {
    let path = Path::top(FourCc(*b"ftyp"));
    let mut reader = BoxReader::new(&path, offset, payload);
    let major = reader.fourcc()?;
    reader.skip(4)?; // minor version
    let mut compatible = Vec::new();
    while reader.remaining() >= 4 {
        compatible.push(reader.fourcc()?);
    }
    Ok(Brands {
        major: Some(major),
        compatible,
    })
}

/// `offset`: of the payload in the file. `max_samples`: see [`Limits::samples`](crate::Limits::samples).
pub(super) fn parse(offset: u64, payload: &[u8], max_samples: u32) -> Read<PendingMovie> {
    let path = Path::top(FourCc(*b"moov"));
    let mut moov = BoxReader::new(&path, offset, payload);
    let mut header = None;
    let mut tracks: Vec<PendingTrack> = Vec::new();
    let mut defaults = None;
    let mut samples = SampleBudget::new(max_samples);
    moov.children(|child, name| {
        match &name.0 {
            b"mvhd" => {
                let (version, _) = child.version_and_flags()?;
                child.skip(if version == 1 { 16 } else { 8 })?; // creation, modification
                let timescale = trak::timescale(child)?;
                header = Some((timescale, child.u32_or_u64(version)?));
            }
            b"trak" => {
                if tracks.len() >= MAX_TRACKS {
                    return Err(child.malformed(format!("more than {MAX_TRACKS} tracks")));
                }
                let pending = trak::parse(child)?;
                let id = pending.track.config.id;
                if tracks.iter().any(|other| other.track.config.id == id) {
                    return Err(child.malformed(format!("track id {id} is taken twice")));
                }
                if pending.is_read() {
                    let count = pending.samples.len();
                    samples
                        .take(count)
                        .map_err(|fault| child.malformed(fault))?;
                }
                tracks.push(pending);
            }
            b"mvex" => {
                let mut list = Vec::new();
                child.children(|trex, name| {
                    if name == b"trex" {
                        list.push(parse_trex(trex)?);
                    }
                    Ok(())
                })?;
                defaults = Some(list);
            }
            b"cmov" => {
                return Err(crate::BmffError::Unsupported {
                    path: child.path(),
                    offset: child.offset(),
                    feature: "a compressed movie header".to_owned(),
                });
            }
            _ => {}
        }
        Ok(())
    })?;
    let (timescale, duration) = header.ok_or_else(|| moov.malformed("no mvhd box"))?;
    Ok(PendingMovie {
        timescale,
        duration,
        tracks,
        defaults,
        samples,
    })
}

fn parse_trex(trex: &mut BoxReader<'_>) -> Read<TrackDefaults> {
    trex.version_and_flags()?;
    let track_id = trex.u32()?;
    trex.skip(4)?; // sample description index
    Ok(TrackDefaults {
        track_id,
        duration: trex.u32()?,
        size: trex.u32()?,
        flags: trex.u32()?,
    })
}

impl PendingTrack {
    /// Samples of codecs that are only recognised are never read, so where they point does not matter (QuickTime
    /// reference tracks point into other files).
    pub(super) fn is_read(&self) -> bool {
        !matches!(self.track.config.codec, CodecConfig::Other(_))
    }
}
