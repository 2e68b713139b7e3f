//! `moof`: one movie fragment's samples (ISO/IEC 14496-12 §8.8.4 to §8.8.12).
//!
//! Positions: a run begins at its data offset from the fragment's base, which is the first byte of `moof`
//! (`default-base-is-moof`, or the first track fragment without a base), an explicit base data offset, or the end of the
//! previous track fragment's data.

use super::cursor::{BoxReader, Path, Read};
use super::moov::{PendingMovie, SampleBudget, TrackDefaults};
use super::trak::PendingTrack;
use crate::table::{RunSample, SampleSizes};
use crate::{FourCc, TrackKind};

/// What a fragment added.
pub(super) struct ParsedFragment {
    /// Track of the first `traf`.
    pub(super) track_id: u32,
    /// Its samples, as indices in its track.
    pub(super) samples: std::ops::Range<u32>,
    /// One `traf` with `tfdt`, one `trun` and `default-base-is-moof`; then where its data begins and ends.
    pub(super) only_run: Option<std::ops::Range<u64>>,
}

const TFHD_BASE_DATA_OFFSET: u32 = 0x1;
const TFHD_DESCRIPTION: u32 = 0x2;
const TFHD_DURATION: u32 = 0x8;
const TFHD_SIZE: u32 = 0x10;
const TFHD_FLAGS: u32 = 0x20;
const TFHD_BASE_IS_MOOF: u32 = 0x2_0000;

const TRUN_DATA_OFFSET: u32 = 0x1;
const TRUN_FIRST_FLAGS: u32 = 0x4;
const TRUN_DURATION: u32 = 0x100;
const TRUN_SIZE: u32 = 0x200;
const TRUN_FLAGS: u32 = 0x400;
const TRUN_CTO: u32 = 0x800;

/// `sample_is_non_sync_sample` of the sample flags (§8.8.3.1).
const NON_SYNC: u32 = 0x1_0000;

struct State<'a> {
    /// Offset of the first byte of `moof` in the file.
    moof: u64,
    tracks: &'a mut [PendingTrack],
    defaults: &'a [TrackDefaults],
    budget: &'a mut SampleBudget,
    /// End of the data of the previous track fragment.
    data_end: Option<u64>,
    trafs: u32,
    first: Option<(u32, std::ops::Range<u32>)>,
    runs: u32,
    simple: bool,
    run_bytes: std::ops::Range<u64>,
}

/// `moof`: offset of the box in the file; `header_len`: of its header.
pub(super) fn parse(
    moof: u64,
    header_len: u64,
    payload: &[u8],
    movie: &mut PendingMovie,
) -> Read<ParsedFragment> {
    let path = Path::top(FourCc(*b"moof"));
    let mut reader = BoxReader::new(&path, moof.saturating_add(header_len), payload);
    let mut state = State {
        moof,
        tracks: &mut movie.tracks,
        defaults: movie.defaults.as_deref().unwrap_or(&[]),
        budget: &mut movie.samples,
        data_end: None,
        trafs: 0,
        first: None,
        runs: 0,
        simple: true,
        run_bytes: 0..0,
    };
    reader.children(|child, name| {
        if name == b"traf" {
            state.traf(child)?;
        }
        Ok(())
    })?;
    let simple = state.simple && state.trafs == 1 && state.runs == 1;
    let (track_id, samples) = state.first.unwrap_or((0, 0..0));
    Ok(ParsedFragment {
        track_id,
        samples,
        only_run: simple.then_some(state.run_bytes),
    })
}

struct TrackFragment {
    defaults: TrackDefaults,
    track: usize,
    /// Base of data offsets.
    base: u64,
    /// Where a run without a data offset begins.
    next_data: u64,
    /// Decode time of the next sample.
    time: u64,
    /// Presentation time of the next sample, where that is stated instead of its decode time.
    presented_at: Option<u64>,
}

/// Extended type of `tfxd` ([MS-SSTR] §2.2.4.4).
const TFXD: [u8; 16] = [
    0x6d, 0x1d, 0x9b, 0x05, 0x42, 0xd5, 0x44, 0xe6, 0x80, 0xe2, 0x14, 0x1d, 0xaf, 0xf7, 0x57, 0xb2,
];

/// The presentation time of a Smooth Streaming fragment's first sample, which has a `tfxd` box in place of `tfdt`, and
/// behind `trun`. `None` without one, or where there is a `tfdt` too.
fn tfxd(traf: &mut BoxReader<'_>) -> Read<Option<u64>> {
    let (mut time, mut has_tfdt) = (None, false);
    traf.children(|child, name| {
        match &name.0 {
            b"tfdt" => has_tfdt = true,
            b"uuid" if child.remaining() >= 24 && child.array()? == TFXD => {
                let (version, _) = child.version_and_flags()?;
                time = Some(child.u32_or_u64(version)?);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(time.filter(|_| !has_tfdt))
}

impl State<'_> {
    fn traf(&mut self, traf: &mut BoxReader<'_>) -> Read<()> {
        self.trafs = self.trafs.saturating_add(1);
        let mut current: Option<TrackFragment> = None;
        let (mut has_time, mut before) = (false, 0);
        let presented_at = tfxd(&mut traf.clone())?;
        traf.children(|child, name| {
            match (&name.0, current.as_mut()) {
                (b"tfhd", None) => {
                    let fragment = self.tfhd(child)?;
                    before = self.sample_count(fragment.track);
                    current = Some(fragment);
                }
                (b"tfhd", Some(_)) => return Err(child.malformed("a second tfhd")),
                (b"tfdt", Some(fragment)) => {
                    has_time = true;
                    let (version, _) = child.version_and_flags()?;
                    fragment.time = child.u32_or_u64(version)?;
                }
                (b"trun", Some(fragment)) => {
                    if !has_time && fragment.presented_at.is_none() {
                        fragment.presented_at = presented_at;
                    }
                    self.trun(child, fragment)?;
                    // Runs behind the first follow it.
                    has_time |= presented_at.is_some();
                    fragment.presented_at = None;
                }
                (b"tfdt" | b"trun", None) => return Err(child.malformed("no tfhd before it")),
                _ => {}
            }
            Ok(())
        })?;
        let fragment = current.ok_or_else(|| traf.malformed("no tfhd box"))?;
        self.simple &= has_time && presented_at.is_none();
        self.data_end = Some(fragment.next_data);
        if self.first.is_none() {
            let after = self.sample_count(fragment.track);
            self.first = Some((fragment.defaults.track_id, before..after));
        }
        Ok(())
    }

    fn are_pictures(&self, track: usize) -> bool {
        let track = self.tracks.get(track);
        track.is_some_and(|track| track.track.config.kind == TrackKind::Video)
    }

    fn sample_count(&self, track: usize) -> u32 {
        self.tracks
            .get(track)
            .map_or(0, |track| track.samples.len())
    }

    fn tfhd(&mut self, tfhd: &mut BoxReader<'_>) -> Read<TrackFragment> {
        let (_, flags) = tfhd.version_and_flags()?;
        let track_id = tfhd.u32()?;
        let track = self
            .tracks
            .iter()
            .position(|track| track.track.config.id == track_id)
            .ok_or_else(|| tfhd.malformed(format!("no track has id {track_id}")))?;
        let mut defaults = self
            .defaults
            .iter()
            .copied()
            .find(|defaults| defaults.track_id == track_id)
            .unwrap_or(TrackDefaults {
                track_id,
                duration: 0,
                size: 0,
                flags: 0,
            });
        let mut base = match self.data_end {
            Some(end) if flags & TFHD_BASE_IS_MOOF == 0 => end,
            _ => self.moof,
        };
        if flags & TFHD_BASE_DATA_OFFSET != 0 {
            base = tfhd.u64()?;
        }
        if flags & TFHD_DESCRIPTION != 0 && tfhd.u32()? > 1 {
            return Err(tfhd.malformed("a sample description other than the first"));
        }
        if flags & TFHD_DURATION != 0 {
            defaults.duration = tfhd.u32()?;
        }
        if flags & TFHD_SIZE != 0 {
            defaults.size = tfhd.u32()?;
        }
        if flags & TFHD_FLAGS != 0 {
            defaults.flags = tfhd.u32()?;
        }
        self.simple &= flags & TFHD_BASE_IS_MOOF != 0 && flags & TFHD_BASE_DATA_OFFSET == 0;
        Ok(TrackFragment {
            defaults,
            track,
            base,
            next_data: base,
            time: self
                .tracks
                .get(track)
                .map_or(0, |track| track.samples.end()),
            presented_at: None,
        })
    }

    fn trun(&mut self, trun: &mut BoxReader<'_>, fragment: &mut TrackFragment) -> Read<()> {
        self.runs = self.runs.saturating_add(1);
        let (_, flags) = trun.version_and_flags()?;
        let stated = trun.u32()?;
        let mut position = fragment.next_data;
        if flags & TRUN_DATA_OFFSET != 0 {
            position = fragment
                .base
                .checked_add_signed(i64::from(trun.i32()?))
                .ok_or_else(|| trun.malformed("data before the start of the file"))?;
        }
        let first_flags = match flags & TRUN_FIRST_FLAGS {
            0 => None,
            _ => Some(trun.u32()?),
        };
        let fields = flags & (TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS | TRUN_CTO);
        let row_bytes = usize::try_from(fields.count_ones())
            .unwrap_or(4)
            .saturating_mul(4);
        trun.check_count(stated, row_bytes)?;
        self.budget
            .take(stated)
            .map_err(|fault| trun.malformed(fault))?;

        let defaults = fragment.defaults;
        let mut listed = Vec::new();
        let mut run = Vec::new();
        let default = RunSample {
            duration: defaults.duration,
            cto: 0,
            sync: defaults.flags & NON_SYNC == 0,
        };
        if fields != 0 {
            // As many rows as the box has bytes for.
            for _ in 0..stated {
                let mut sample = default;
                if flags & TRUN_DURATION != 0 {
                    sample.duration = trun.u32()?;
                }
                if flags & TRUN_SIZE != 0 {
                    listed.push(trun.u32()?);
                }
                if flags & TRUN_FLAGS != 0 {
                    sample.sync = trun.u32()? & NON_SYNC == 0;
                }
                if flags & TRUN_CTO != 0 {
                    // Signed in version 1; in version 0 as in `ctts`.
                    sample.cto = trun.i32()?;
                }
                run.push(sample);
            }
        }
        let first_sync = first_flags.map(|flags| flags & NON_SYNC == 0);
        let sizes = if flags & TRUN_SIZE != 0 {
            SampleSizes::Listed(listed)
        } else {
            SampleSizes::Uniform {
                size: defaults.size,
                count: stated,
            }
        };
        let bytes = match &sizes {
            SampleSizes::Uniform { size, count } => {
                u64::from(*size).saturating_mul(u64::from(*count))
            }
            SampleSizes::Listed(list) => list
                .iter()
                .fold(0_u64, |sum, size| sum.saturating_add(u64::from(*size))),
        };
        let end = position
            .checked_add(bytes)
            .ok_or_else(|| trun.malformed("data past 64 bits"))?;
        let sample = |index: u32| {
            let place = usize::try_from(index).ok();
            let mut sample = place.and_then(|at| run.get(at)).copied().unwrap_or(default);
            if let Some(sync) = first_sync.filter(|_| index == 0) {
                sample.sync = sync;
            }
            sample
        };
        // Writers of Smooth Streaming that state no flags have every picture a key frame, which only the first of a fragment is.
        let only_first = fragment.presented_at.is_some()
            && self.are_pictures(fragment.track)
            && (0..stated).all(|index| sample(index).sync);
        let samples = (0..stated).map(|index| {
            let mut sample = sample(index);
            sample.sync &= !only_first || index == 0;
            sample
        });
        let Some(track) = self.tracks.get_mut(fragment.track) else {
            return Err(trun.malformed("no such track"));
        };
        if let Some(presented_at) = fragment.presented_at {
            // What is cut off at zero or runs back by rounding follows the fragment before.
            let offset = run.first().map_or(0, |sample| sample.cto);
            // Writers state the priming of sound as a negative time.
            let presented_at = i64::from_ne_bytes(presented_at.to_ne_bytes());
            let time = presented_at.saturating_sub(offset.into()).max(0);
            let time = u64::try_from(time).unwrap_or(0);
            fragment.time = time.max(track.samples.end());
        }
        let last = track.samples.last_decode_time();
        if stated > 0 && fragment.time < last {
            let time = fragment.time;
            return Err(trun.malformed(format!("decode time {time} runs back from {last}")));
        }
        track
            .samples
            .append_run(position, fragment.time, sizes, samples)
            .map_err(|fault| trun.malformed(fault))?;
        if stated > 0 {
            fragment.time = track.samples.end();
        }
        fragment.next_data = end;
        self.run_bytes = position..end;
        Ok(())
    }
}
