//! What stands in for what is missing, if the event asks for it: silence, and black pictures.
//!
//! * Nothing stands in while anything of its kind comes. Once nothing has for [`Fill::after_ms`], all tracks of that kind go on that
//!   were there until then: from where they ended, and at the pace at which they came, but [`LAG`] behind it. An encoder that comes
//!   back with its clock running finds its place free.
//! * Who comes back later than that is behind what stood in, and left out until it has caught up. If it does not, it gets a new place.
//! * Black has parameters of its own. It begins with a key frame and a discontinuity, in all renditions at one moment, and so does
//!   what comes after it.
//! * Silence is coded for the parameters that a track has. Where pictures come and no sound ever did, it is a track of its own.

use std::sync::Arc;

use bytes::Bytes;

use super::sound::Held;
use super::{Engine, TrackState};
use crate::reason::Drop;
use crate::silence::{self, Silence};
use crate::stream::{Kind, StreamConfig};
use crate::timeline::{Change, Config, TrackIndex, clock_of_ticks};
use crate::track::Unit;
use crate::{CLOCK, clock_of_ms};

/// How far what stands in stays behind what would have come.
const LAG: i64 = clock_of_ms(300);

/// Tracks that ended so long before the last of their kind are not missed.
const MISSED: i64 = clock_of_ms(10_000);

/// How far back it begins at most: a worker may have been away.
const MOST_BACK: i64 = clock_of_ms(30_000);

/// Pictures come for so long, at least, before sound is missed that never came.
const SOUND_AWAITED_MS: i64 = 2_000;

/// Who is behind what stood in is given so long to catch up.
const CATCH_UP_MS: i64 = 1_500;

/// From picture to picture, of 60, 50, 30, 25 and 24 a second.
const STEPS: [i64; 5] = [1_500, 1_800, 3_000, 3_600, 3_750];

/// What is to stand in for what is missing. Silence always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    pub black: bool,
    /// How long nothing has to come before something stands in.
    pub after_ms: u32,
    /// Of a track of silence that is made where no sound ever came, bits per second: part of its address.
    pub sound_bitrate: u32,
}

/// Black pictures for a track: a key frame and those that depend on it, in the order in which they are decoded and shown.
#[derive(Debug)]
pub struct Black {
    pub config: StreamConfig,
    /// Not empty.
    pub group: Vec<Bytes>,
}

/// Black pictures that may be needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlackWanted {
    pub track: TrackIndex,
    pub width: u32,
    pub height: u32,
    /// 90 kHz ticks from one to the next.
    pub step: i64,
    /// How many are a group.
    pub pictures: usize,
}

/// What an engine knows of what stands in.
#[derive(Debug)]
pub(super) struct Filling {
    fill: Option<Fill>,
    /// Wall clock. What was missing before the engine was there is given time to come.
    begun_ms: i64,
    /// From one black picture to the next, in all tracks.
    step: Option<i64>,
    black: Option<BlackRun>,
}

/// Black pictures on their way.
#[derive(Debug)]
struct BlackRun {
    run: Run,
    /// Those that the current group is in.
    tracks: Vec<TrackIndex>,
}

/// Units at even distances, event clock.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: i64,
    next: u32,
}

/// What a track knows of it.
#[derive(Debug, Default)]
pub(super) struct Standing {
    own: Option<Own>,
    /// Wall clock of what stood in last.
    filled_ms: i64,
    /// What its encoder sends, while black stands in.
    pub(super) aside: Option<StreamConfig>,
    /// How much later its encoder's key frames are shown than decoded. So are black ones, or what comes next would be decoded
    /// before them.
    delay: i64,
    black: Option<Arc<Black>>,
    /// For what it has been asked for: codec and size.
    asked: Option<(String, u32, u32)>,
    silence: Option<(Run, Silence)>,
    /// Since when what comes is behind what stood in.
    late_since_ms: Option<i64>,
}

/// What has come of a track itself.
#[derive(Debug, Clone, Copy)]
struct Own {
    /// The newest, event clock, and when it came.
    time: i64,
    came_ms: i64,
    /// When the first came.
    since_ms: i64,
}

impl Own {
    /// Where it would be, had it gone on.
    fn pace(&self, now_ms: i64) -> i64 {
        let passed = clock_of_ms(now_ms.saturating_sub(self.came_ms));
        self.time.saturating_add(passed).saturating_sub(LAG)
    }
}

impl Run {
    fn time(self, step: i64, scale: i64) -> i64 {
        let passed = i64::from(self.next).saturating_mul(step);
        let passed = passed.checked_div(scale).unwrap_or(0);
        self.start.saturating_add(passed)
    }
}

impl Standing {
    /// A unit of its own is taken.
    pub(super) fn came(&mut self, now_ms: i64, time: i64) {
        let since_ms = self.own.map_or(now_ms, |own| own.since_ms);
        self.own = Some(Own {
            time,
            came_ms: now_ms,
            since_ms,
        });
        self.silence = None;
        self.late_since_ms = None;
    }

    /// A unit of its own is left out, as its time is filled. Whether that has gone on for too long.
    pub(super) fn is_late(&mut self, now_ms: i64) -> bool {
        if !self.is_filled() {
            return false;
        }
        let since_ms = *self.late_since_ms.get_or_insert(now_ms);
        let late = now_ms.saturating_sub(since_ms) >= CATCH_UP_MS;
        if late {
            self.late_since_ms = None;
        }
        late
    }

    /// Whether something stands in for it, or has until now.
    pub(super) fn is_filled(&self) -> bool {
        self.aside.is_some() || self.silence.is_some()
    }

    /// It rests on purpose: nothing is missing.
    pub(super) fn rests(&mut self) {
        self.own = None;
    }
}

impl Filling {
    pub(super) fn new(now_ms: i64) -> Self {
        Self {
            fill: None,
            begun_ms: now_ms,
            step: None,
            black: None,
        }
    }
}

impl TrackState {
    /// Gives it frames of silence that begin up to `until`.
    fn be_silent(&mut self, now_ms: i64, until: i64, run: &mut Run, silence: &Silence) {
        let scale = i64::from(self.builder.scale().get());
        let step = i64::from(silence.duration).saturating_mul(CLOCK.get().into());
        loop {
            let time = run.time(step, scale);
            if time > until {
                return;
            }
            self.last = Some(time);
            self.standing.filled_ms = now_ms;
            let unit = Unit {
                dts: time,
                pts: time,
                sync: true,
                bytes: silence.bytes.clone(),
            };
            self.sound.hold(now_ms, unit);
            run.next = run.next.saturating_add(1);
        }
    }

    /// Wall clock of the last thing that was given to it, its own or not.
    pub(super) fn heard_ms(&self) -> i64 {
        self.last_ms.max(self.standing.filled_ms)
    }
}

impl Engine {
    /// What is to stand in for what is missing from now on.
    pub fn set_fill(&mut self, fill: Option<Fill>) {
        self.filling.fill = fill;
        if fill.is_none_or(|fill| !fill.black) {
            self.filling.black = None;
        }
    }

    /// Black pictures that are to be made for [`Self::set_black`]. Each is asked for once, and anew when a track's size changes.
    pub fn black_wanted(&mut self) -> Vec<BlackWanted> {
        if self.filling.fill.is_none_or(|fill| !fill.black) {
            return Vec::new();
        }
        let mut wanted = Vec::new();
        for (index, track) in (0..).zip(&mut self.tracks) {
            // Known by then is how often pictures come.
            let here = track.standing.own.is_some() && track.builder.row().is_some();
            let resumed = track.standing.own.is_some() && track.last.is_none();
            if track.kind != Kind::Video || !(here || resumed) {
                continue;
            }
            let standing = &mut track.standing;
            let own = standing.aside.as_ref().unwrap_or(&track.stream);
            let (width, height) = (own.width, own.height);
            let is = |(codec, across, down): &(String, u32, u32)| {
                (codec, *across, *down) == (&own.codec, width, height)
            };
            if standing.asked.as_ref().is_some_and(is) {
                continue;
            }
            standing.asked = Some((own.codec.clone(), width, height));
            if !own.codec.starts_with("avc") {
                standing.black = None;
                continue;
            }
            let usual = track.builder.usual();
            let step = *self.filling.step.get_or_insert_with(|| {
                let nearest = |step: &i64| step.saturating_sub(usual).saturating_abs();
                STEPS.into_iter().min_by_key(nearest).unwrap_or(3_600)
            });
            let interval = clock_of_ms(i64::from(self.settings.interval_ms));
            let pictures = interval.saturating_add(step / 2).checked_div(step);
            wanted.push(BlackWanted {
                track: index,
                width,
                height,
                step,
                pictures: usize::try_from(pictures.unwrap_or(1)).unwrap_or(1).max(1),
            });
        }
        wanted
    }

    /// Black pictures as [`Self::black_wanted`] asked for them.
    pub fn set_black(&mut self, track: TrackIndex, black: Black) {
        if let Some(track) = self.tracks.get_mut(usize::from(track))
            && !black.group.is_empty()
        {
            track.standing.black = Some(Arc::new(black));
        }
    }

    /// Whether something stands in for tracks of a kind.
    #[must_use]
    pub fn is_filled(&self, kind: Kind) -> bool {
        let silent = |track: &TrackState| track.standing.silence.is_some();
        match kind {
            Kind::Video => self.filling.black.is_some(),
            Kind::Audio => self.tracks.iter().any(silent),
        }
    }

    /// Takes up the tracks of a timeline that goes on.
    pub(super) fn stand_from(&mut self) {
        for index in 0..self.tracks.len() {
            let Ok(index) = TrackIndex::try_from(index) else {
                return;
            };
            let Some(end) = self.end_of(index) else {
                continue;
            };
            let Some(track) = self.tracks.get_mut(usize::from(index)) else {
                return;
            };
            // What came was shown as soon as it came, and the last of it lasted until the end.
            let came_ms = end / crate::CLOCK_PER_MS;
            let usual = u64::try_from(track.builder.usual()).unwrap_or(0);
            let lasted = clock_of_ticks(usual, track.builder.scale());
            track.standing.own = Some(Own {
                time: end.saturating_sub(lasted),
                came_ms,
                since_ms: came_ms,
            });
        }
    }

    /// Where a track's segments end, event clock.
    fn end_of(&self, track: TrackIndex) -> Option<i64> {
        let rows = self.timeline.rows.iter().rev();
        let mut segments = rows.filter_map(|row| row.segments.get(&track));
        let last = segments.find(|segment| segment.complete)?;
        let scale = self.timeline.config(track, last.config)?.timescale;
        Some(clock_of_ticks(last.end(), scale))
    }

    /// Whether a unit of a source can be taken by a track that black may stand in for.
    pub(super) fn may_come_back(&mut self, index: TrackIndex, sync: bool) -> bool {
        let Some(track) = self.tracks.get_mut(usize::from(index)) else {
            return false;
        };
        let may = sync || track.standing.aside.is_none();
        if !may {
            track.stats.dropped(Drop::NoSync);
        }
        may
    }

    /// Lets something stand in for what has been missing for long enough.
    pub(super) fn fill_in(&mut self, now_ms: i64) {
        let Some(fill) = self.filling.fill else {
            return;
        };
        if self.opening.is_some() {
            return;
        }
        if fill.black {
            self.fill_pictures(now_ms, fill);
        }
        self.fill_sound(now_ms, fill);
        self.release_sound(now_ms, Held::Waits);
        self.drain();
    }

    /// The tracks of a kind that are missed, with what came of them; `None` while any of that kind comes.
    fn missed(&self, kind: Kind, now_ms: i64, fill: Fill) -> Option<Vec<(TrackIndex, Own)>> {
        let tracks = (0..).zip(&self.tracks);
        let own = tracks.filter_map(|(index, track)| Some((index, track.standing.own?, track)));
        let own = own.filter(|(.., track)| track.kind == kind);
        let own: Vec<(TrackIndex, Own)> = own.map(|(index, own, _)| (index, own)).collect();
        let came_ms = own.iter().map(|(_, own)| own.came_ms).max()?;
        let last = own.iter().map(|(_, own)| own.time).max()?;
        let silent = now_ms.saturating_sub(came_ms.max(self.filling.begun_ms));
        let after = last.saturating_sub(MISSED);
        let missed = own.into_iter().filter(|(_, own)| own.time >= after);
        (silent >= i64::from(fill.after_ms)).then(|| missed.collect())
    }

    fn fill_pictures(&mut self, now_ms: i64, fill: Fill) {
        let Some(missed) = self.missed(Kind::Video, now_ms, fill) else {
            self.filling.black = None;
            return;
        };
        let paces = missed.iter().map(|(_, own)| own.pace(now_ms));
        let (Some(pace), Some(step)) = (paces.max(), self.filling.step) else {
            return;
        };
        let mut black = match self.filling.black.take() {
            Some(black) => black,
            None => {
                // Reordered pictures are shown, and so decoded here, after the time that they came with.
                let ends = missed.iter().map(|(index, own)| {
                    let track = self.tracks.get(usize::from(*index));
                    let reaches = track.map_or(0, |track| track.builder.reaches());
                    let after = own.time.saturating_add(step).max(reaches);
                    self.end_of(*index).map_or(after, |end| after.max(end))
                });
                let rows = self.timeline.rows.back();
                let rows = rows.map(|row| row.start.saturating_add(1));
                let start = ends.chain(rows).max().unwrap_or(pace);
                let late = pace.saturating_sub(start) > MOST_BACK;
                BlackRun {
                    run: Run {
                        start: if late { pace } else { start },
                        next: 0,
                    },
                    tracks: Vec::new(),
                }
            }
        };
        let missed: Vec<TrackIndex> = missed.into_iter().map(|(index, _)| index).collect();
        while black.run.time(step, 1) <= pace {
            if !self.fill_picture(now_ms, &mut black, &missed, step) {
                break;
            }
        }
        self.filling.black = Some(black);
    }

    /// What stands in for a track goes on up to `time`, where what it stood in for comes back.
    pub(super) fn give_way(&mut self, now_ms: i64, index: TrackIndex, time: i64) {
        if let Some(mut black) = self.filling.black.take()
            && let Some(step) = self.filling.step
        {
            let tracks = black.tracks.clone();
            if tracks.contains(&index) {
                let end = |black: &BlackRun| black.run.time(step, 1).saturating_add(step / 2);
                let near = time.saturating_sub(end(&black)) <= MOST_BACK;
                while near && end(&black) <= time {
                    if !self.fill_picture(now_ms, &mut black, &tracks, step) {
                        break;
                    }
                }
                black.tracks.retain(|other| *other != index);
            }
            self.filling.black = Some(black);
        }
        if let Some(track) = self.tracks.get_mut(usize::from(index))
            && let Some((mut run, silence)) = track.standing.silence.take()
            && time.saturating_sub(track.last.unwrap_or(time)) <= MOST_BACK
        {
            // No frame that would reach more than half into what comes.
            let half = clock_of_ticks((silence.duration / 2).into(), track.builder.scale());
            track.be_silent(now_ms, time.saturating_sub(half), &mut run, &silence);
        }
    }

    /// The next black picture of every track. False if there is none for any.
    fn fill_picture(
        &mut self,
        now_ms: i64,
        black: &mut BlackRun,
        missed: &[TrackIndex],
        step: i64,
    ) -> bool {
        let of = |index: &TrackIndex| self.tracks.get(usize::from(*index));
        let ready = |index: &TrackIndex| of(index)?.standing.black.clone();
        let groups = missed.iter().filter_map(ready);
        let Some(pictures) = groups.map(|black| black.group.len()).min() else {
            return false;
        };
        let at = usize::try_from(black.run.next).unwrap_or(0);
        let at = at.checked_rem(pictures).unwrap_or(0);
        if at == 0 {
            let tracks = missed.iter().copied();
            black.tracks = tracks.filter(|index| ready(index).is_some()).collect();
        }
        let time = black.run.time(step, 1);
        let mut shown = false;
        for index in &black.tracks {
            let Some(track) = self.tracks.get_mut(usize::from(*index)) else {
                continue;
            };
            let Some(picture) = track.standing.black.clone() else {
                continue;
            };
            if at == 0 && track.standing.aside.is_none() {
                let own = track.pending.take();
                track.standing.aside = Some(own.unwrap_or_else(|| track.stream.clone()));
                track.standing.delay = track.builder.shift();
                track.pending = Some(picture.config.clone());
            }
            track.standing.filled_ms = now_ms;
            let delay = track.standing.delay;
            let bytes = picture.group.get(at).cloned().unwrap_or_default();
            self.push_video(
                *index,
                Unit {
                    dts: time.saturating_sub(delay),
                    pts: time,
                    sync: at == 0,
                    bytes,
                },
            );
            let track = self.tracks.get(usize::from(*index));
            shown |= track.is_some_and(|track| track.builder.row().is_some());
        }
        match shown {
            true => black.run.next = black.run.next.saturating_add(1),
            // So soon after a row that none begins here: with the next picture.
            false => {
                black.run.start = time.saturating_add(step);
                black.run.next = 0;
            }
        }
        true
    }

    fn fill_sound(&mut self, now_ms: i64, fill: Fill) {
        let heard = |track: &TrackState| track.kind == Kind::Audio && track.standing.own.is_some();
        if !self.tracks.iter().any(heard) {
            self.make_sound(now_ms, fill);
        }
        let Some(missed) = self.missed(Kind::Audio, now_ms, fill) else {
            return;
        };
        // Rows of a worker before this one are not begun anew, even if nothing of them is left.
        let resumed = self.grid.newest().is_none();
        let rows = self.timeline.rows.back().filter(|_| resumed);
        let rows = rows.map(|row| row.start.saturating_add(1));
        // Rows begin with pictures: where there are some, silence comes after them.
        let pictures = self.tracks.iter().filter(|track| {
            let heard = now_ms.saturating_sub(track.heard_ms()) < super::SILENT_MS;
            track.kind == Kind::Video && heard
        });
        let front = pictures.filter_map(|track| track.last).max();
        for (index, own) in missed {
            let pace = own.pace(now_ms).min(front.unwrap_or(i64::MAX));
            let end = self.end_of(index).max(rows);
            let Some(track) = self.tracks.get_mut(usize::from(index)) else {
                continue;
            };
            let Some((mut run, silence)) = track.standing.silence.take().or_else(|| {
                let silence = silence::of(&track.stream)?;
                let scale = track.builder.scale();
                let after = clock_of_ticks(silence.duration.into(), scale);
                let start = own.time.saturating_add(after).max(end.unwrap_or(i64::MIN));
                let late = own.pace(now_ms).saturating_sub(start) > MOST_BACK;
                let start = if late { own.pace(now_ms) } else { start };
                Some((Run { start, next: 0 }, silence))
            }) else {
                continue;
            };
            track.be_silent(now_ms, pace, &mut run, &silence);
            track.standing.silence = Some((run, silence));
        }
    }

    /// Takes it that sound is missing where pictures have come for a while without: from the first row on, if that is near.
    fn make_sound(&mut self, now_ms: i64, fill: Fill) {
        let pictures = self.tracks.iter().filter(|t| t.kind == Kind::Video);
        let own: Vec<Own> = pictures.filter_map(|track| track.standing.own).collect();
        let since_ms = own.iter().map(|own| own.since_ms).min();
        let awaited_ms = SOUND_AWAITED_MS.max(fill.after_ms.into());
        let Some(newest) = own.iter().max_by_key(|own| own.time) else {
            return;
        };
        let awaited = since_ms.is_none_or(|since| now_ms.saturating_sub(since) < awaited_ms);
        let come = now_ms.saturating_sub(newest.came_ms) < super::SILENT_MS;
        if awaited || !come {
            return;
        }
        let near = newest.time.saturating_sub(MISSED);
        let row = self.grid.after(None).find(|mark| mark.start >= near);
        let Some(row) = row else {
            return;
        };
        let announced = self.tracks.iter().position(|t| t.kind == Kind::Audio);
        let index = match announced.and_then(|at| TrackIndex::try_from(at).ok()) {
            Some(index) => index,
            None => match self.make_sound_track(fill.sound_bitrate) {
                Some(index) => index,
                None => return,
            },
        };
        if let Some(track) = self.tracks.get_mut(usize::from(index)) {
            let behind = newest.time.saturating_sub(row.start);
            let came_ms = newest.came_ms.saturating_sub(behind / crate::CLOCK_PER_MS);
            track.standing.own = Some(Own {
                time: row.start,
                came_ms,
                since_ms: came_ms,
            });
        }
    }

    fn make_sound_track(&mut self, bitrate: u32) -> Option<TrackIndex> {
        /// AAC-LC, 48 kHz, stereo.
        const CONFIG: [u8; 2] = [0x11, 0x90];
        let stream = StreamConfig::aac(&CONFIG).ok()?;
        let index = TrackIndex::try_from(self.tracks.len()).ok()?;
        if index >= super::MOST_TRACKS {
            return None;
        }
        self.change(Change::Track {
            kind: Kind::Audio,
            name: Kind::Audio.name().to_owned(),
            bitrate,
            // That of the sound that it stands in for, once that has come.
            language: None,
        });
        self.change(Change::Config {
            track: index,
            config: Config::from(&stream),
        });
        self.tracks.push(TrackState::new(stream, &self.settings));
        Some(index)
    }
}
