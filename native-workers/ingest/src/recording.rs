//! One live output: what is complete goes into its place in storage, in the layout of `headwater_live::archive`.
//!
//! A segment is written before the head that names it, and a page before the head that refers to it: whoever reads a head
//! finds everything. Requests that fail are repeated for as long as the output is wanted; meanwhile segments wait on the
//! worker's disk.
//!
//! A head takes the place of the very head that was read or written before it (`If-Match`). Of two workers that both believe to
//! have the event, as one of them cannot ask the catalog, the one that comes second with a head is told, and writes nothing
//! more; and who cannot be sure looks at the head before it writes whatever else, which another may have written by the same
//! name. That is what lets a worker record on while the catalog is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use headwater_blob::client::{ClientError, HyperClient};
use headwater_ism::{EntryKind, ServerManifest, TrackEntry};
use headwater_live::archive::{self, Object, Recording};
use headwater_live::group::RowsPerSegment;
use headwater_live::stream::Kind;
use headwater_live::timeline::{Change, Row, Segment, Timeline, TrackIndex};
use headwater_trace::{Here, Kind as SpanKind, Span};
use headwater_work::Place;
use headwater_work::live::{Output, OutputState, OutputWanted};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::event::{Live, Told};
use crate::spool::Kept;
use crate::store::{Patience, Storage};

/// How often what left the archive window is looked for.
const TRIM_EVERY: Duration = Duration::from_secs(10);

/// Requests of one output at once.
const AT_ONCE: usize = 6;

/// What a recording has come to, as its handle shows it.
const NOTHING_YET: u8 = 0;
const RECORDS: u8 = 1;
const FINISHED: u8 = 2;
/// Another head is in storage than the one that this recording wrote: it has stopped.
const FENCED: u8 = 3;

/// Steps taken at once, so that one head serves for all of them.
const MOST_STEPS: usize = 64;

const SEGMENT_TYPE: &str = "video/mp4";
const TIMELINE_TYPE: &str = "application/octet-stream";

/// What the newest assignment says.
#[derive(Clone, PartialEq)]
struct Wanted {
    place: Place,
    archive_window_ms: u64,
    finish: bool,
}

/// A recording that runs.
pub(crate) struct Handle {
    pub(crate) id: Uuid,
    wanted: watch::Sender<Wanted>,
    state: Arc<AtomicU8>,
    stop: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Handle {
    /// Takes over what a new assignment says. `finish`: the event itself ends.
    pub(crate) fn update(&self, output: &Output, finish: bool) {
        let new = wanted(output, finish);
        self.wanted.send_if_modified(|old| {
            let changed = *old != new;
            *old = new;
            changed
        });
    }

    /// `None` while nothing is in storage yet.
    pub(crate) fn state(&self) -> Option<OutputState> {
        match self.state.load(Ordering::Acquire) {
            NOTHING_YET => None,
            FINISHED => Some(OutputState::Finished),
            _ => Some(OutputState::Recording),
        }
    }

    /// Whether it has stopped because somebody else records in its place.
    pub(crate) fn is_fenced(&self) -> bool {
        self.state.load(Ordering::Acquire) == FENCED
    }

    /// Stops at once, wherever it is.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Some(task) = self.task {
            let _ = task.await;
        }
    }

    /// Everything told so far is stored, or `patience` is over.
    pub(crate) async fn settle(&mut self, patience: Duration) {
        // The task ends by itself once the event tells nothing more and all is stored.
        if let Some(task) = &mut self.task
            && tokio::time::timeout(patience, task).await.is_ok()
        {
            self.task = None;
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.task.as_ref().is_none_or(|task| task.is_finished())
    }
}

fn wanted(output: &Output, finish: bool) -> Wanted {
    Wanted {
        place: output.place.clone(),
        archive_window_ms: output.archive_window_ms,
        finish: finish || output.wanted == OutputWanted::Finish,
    }
}

/// What segments of transport streams hold; the API lets no other count pass.
fn rows_per_segment(output: &Output) -> RowsPerSegment {
    RowsPerSegment::new(output.fragments_per_ts_segment).unwrap_or_default()
}

/// The event's clock at a time in ticks of 100 ns.
fn clock_of_ticks(ticks: i64) -> i64 {
    let (seconds, rest) = (ticks.div_euclid(10_000_000), ticks.rem_euclid(10_000_000));
    headwater_live::clock_of_ms(seconds.saturating_mul(1000)).saturating_add(rest * 9 / 1000)
}

/// A storage that is silent for longer is asked again: the lease has to be kept meanwhile.
const PATIENCE_TO_LOOK: Duration = Duration::from_secs(3);

/// What is in an output's place already.
pub(crate) struct Found {
    pub(crate) recording: Option<Recording>,
    /// The entity tag of its head.
    tag: Option<String>,
}

/// Looks for the recording that is in an output's place already.
///
/// Errors: storage does not say.
pub(crate) async fn found(client: &HyperClient, output: &Output) -> Result<Found, String> {
    let storage = Storage::new(client, &output.place)?;
    let name = archive::head_name(&output.manifest_name);
    let head = tokio::time::timeout(PATIENCE_TO_LOOK, storage.get(&name))
        .await
        .map_err(|_| "storage does not answer".to_owned())?
        .map_err(|error| error.to_string())?;
    let (recording, tag) = head.map_or((None, None), |(head, tag)| {
        (Recording::parse(&head).ok(), Some(tag))
    });
    Ok(Found { recording, tag })
}

/// Starts to record, or goes on with what was found.
pub(crate) fn start(
    client: &HyperClient,
    live: &Arc<Live>,
    output: &Output,
    found: Found,
) -> Handle {
    let Found {
        recording: found,
        tag,
    } = found;
    let (sender, receiver) = watch::channel(wanted(output, false));
    let (stop, state) = (
        CancellationToken::new(),
        Arc::new(AtomicU8::new(NOTHING_YET)),
    );
    let writer = Writer {
        client: client.clone(),
        live: live.clone(),
        manifest: output.manifest_name.clone(),
        wanted: receiver,
        stop: stop.clone(),
        state: state.clone(),
        recording: Recording {
            rows_per_segment: rows_per_segment(output),
            ..Recording::default()
        },
        first: 0,
        from: output.output_snap_time.map(clock_of_ticks),
        made: output.made.map(clock_of_ticks),
        tag,
        written: Bytes::new(),
    };
    let over = found.as_ref().is_some_and(|found| found.open.ended);
    if over {
        state.store(FINISHED, Ordering::Release);
    }
    let task = match over {
        true => tokio::spawn(async {}),
        false => tokio::spawn(writer.run(found)),
    };
    Handle {
        id: output.output_id,
        wanted: sender,
        state,
        stop,
        task: Some(task),
    }
}

struct Writer {
    /// Its requests are part of the span of the step that is being taken.
    client: HyperClient,
    live: Arc<Live>,
    manifest: String,
    wanted: watch::Receiver<Wanted>,
    stop: CancellationToken,
    state: Arc<AtomicU8>,
    recording: Recording,
    /// Rows before it are not recorded.
    first: u64,
    /// Nor are those that start before this moment of the event's clock.
    from: Option<i64>,
    /// When the output was made, by the API's clock.
    made: Option<i64>,
    /// The entity tag of the head that was read or written last.
    tag: Option<String>,
    /// That head, if it was written.
    written: Bytes,
}

/// Stopped from outside, or as somebody else records.
struct Stopped;

type Step<T> = Result<T, Stopped>;

impl Writer {
    async fn run(mut self, found: Option<Recording>) {
        let _ = self.record(found).await;
    }

    async fn record(&mut self, found: Option<Recording>) -> Step<()> {
        if found.is_none() && self.from.is_none() {
            self.from = self.made.and_then(|made| self.row_of(made));
        }
        // What was recorded is gone on from with all that is in memory: those who were to store it may be gone.
        let last = found.as_ref().and_then(|found| found.open.rows.back());
        let from = match &found {
            None => self.from,
            Some(_) => last.map(|row| row.start),
        };
        let mut subscription = self.live.subscribe(from);
        if found.is_none() {
            let (live, timeline) = (&self.live, &subscription.timeline);
            // What others are still storing is not for a recording that begins now.
            let is_ours = |number: u64| match from {
                Some(from) => timeline.row(number).is_some_and(|row| row.start >= from),
                None => live.inherits(number),
            };
            subscription.kept.retain(|(number, _), _| is_ours(*number));
        }
        let behind = self.begin(&subscription.timeline, found, &mut subscription.kept);
        drop(subscription.kept);
        self.take(behind).await?;
        self.put_head().await?;
        self.state.store(RECORDS, Ordering::Release);
        let mut trim = tokio::time::interval(TRIM_EVERY);
        let stop = self.stop.clone();
        loop {
            let mut steps = Vec::new();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Stopped),
                count = subscription.told.recv_many(&mut steps, MOST_STEPS) => {
                    if count == 0 {
                        return Ok(()); // the event is left
                    }
                    self.take_and_tell(steps).await?;
                }
                _ = self.wanted.changed() => {}
                _ = trim.tick() => self.trim().await?,
            }
            if self.wanted.borrow().finish {
                while let Ok(step) = subscription.told.try_recv() {
                    self.take(vec![step]).await?;
                }
                return self.finish().await;
            }
        }
    }

    /// Where the row starts in which a recording begins that was asked for at `made`: the worker hears of it some seconds later. The
    /// event's clock, which is its encoder's, may be behind, and the API's ahead: then it is the newest. `None`: there is none yet.
    fn row_of(&self, made: i64) -> Option<i64> {
        self.live.ask(|timeline| {
            timeline.rows.back()?;
            let starts = timeline.rows.iter().rev().map(|row| row.start);
            Some(
                starts
                    .into_iter()
                    .find(|start| *start <= made)
                    .unwrap_or(made),
            )
        })
    }

    /// The steps that bring what was found up to the event's timeline.
    fn begin(
        &mut self,
        timeline: &Timeline,
        found: Option<Recording>,
        kept: &mut std::collections::BTreeMap<(u64, TrackIndex), Arc<Kept>>,
    ) -> Vec<Told> {
        let resumed = found.is_some();
        if let Some(found) = found {
            // What it has begun with it goes on with, segments of transport streams included.
            self.recording = found;
        }
        let open = &mut self.recording.open;
        if !resumed {
            // Recording begins with the next row, or with the first that an earlier life of the worker did not get to store.
            let earliest = kept.keys().next().map(|(number, _)| *number);
            // With a moment to begin with it may be the row that still grows.
            let growing = self.from.and_then(|from| {
                let grows = |row: &&Row| {
                    row.segments.is_empty() || row.segments.values().any(|s| !s.complete)
                };
                let late = timeline.rows.iter().filter(|row| row.start >= from);
                late.filter(grows).map(|row| row.number).next()
            });
            let first = [earliest, growing].into_iter().flatten().min();
            open.next_number = first.or(timeline.next_number);
            // It counts as the event does, whose rows are shown before it has any.
            open.gone = timeline.gone_before(open.next_number.unwrap_or(u64::MAX));
        }
        self.first = open.next_number.unwrap_or(0);
        let mut steps = Vec::new();
        for (at, track) in timeline.tracks.iter().enumerate() {
            let known = open.tracks.get(at);
            if known.is_none() {
                steps.push(Told::Change(Change::Track {
                    kind: track.kind,
                    name: track.name.clone(),
                    bitrate: track.bitrate,
                    language: track.language.clone(),
                }));
            }
            // It came to be known while storage was away.
            let unknown = known.is_some_and(|known| known.language.is_none());
            if let Some(language) = track.language.clone().filter(|_| unknown) {
                steps.push(Told::Change(Change::Language {
                    track: u16::try_from(at).unwrap_or(u16::MAX),
                    language,
                }));
            }
            let configs = known.map_or(0, |known| known.configs.len());
            for config in track.configs.iter().skip(configs) {
                steps.push(Told::Change(Change::Config {
                    track: u16::try_from(at).unwrap_or(u16::MAX),
                    config: config.clone(),
                }));
            }
        }
        // Said before the recording began, or while storage was away in an earlier life of the worker.
        let mut recorded = timeline.rows.iter();
        let begins = open.rows.front();
        let begins = begins.or_else(|| recorded.find(|row| row.number >= self.first));
        let begins = begins.map_or(i64::MIN, |row| row.start);
        let begins = begins.max(self.from.unwrap_or(i64::MIN));
        for cue in timeline.cues.iter().filter(|cue| cue.end() >= begins) {
            steps.push(Told::Change(Change::Cue(cue.clone())));
        }
        for (scheme, value) in &timeline.schemes {
            steps.push(Told::Change(Change::Scheme {
                scheme: scheme.clone(),
                value: value.clone(),
            }));
        }
        let stored = open.rows.front().map(|row| row.number);
        for row in &timeline.rows {
            if row.number >= self.first {
                steps.push(Told::Change(Change::Row {
                    number: row.number,
                    start: row.start,
                    discontinuity: row.discontinuity,
                }));
            }
            for (track, segment) in row.segments.iter().filter(|(_, s)| s.complete) {
                let known = open.row(row.number);
                let missing = known.is_none_or(|known| !known.segments.contains_key(track));
                let ours = row.number >= self.first || stored.is_some_and(|s| row.number >= s);
                if missing && ours {
                    steps.push(Told::Whole {
                        track: *track,
                        number: row.number,
                        segment: segment.clone(),
                        kept: kept.remove(&(row.number, *track)),
                    });
                }
            }
        }
        steps
    }

    /// Whether a row comes before the moment with which the recording is to begin.
    fn is_early(&self, start: i64) -> bool {
        self.recording.open.rows.is_empty() && self.from.is_some_and(|from| start < from)
    }

    /// Stores what has come, and the head that names it: within the trace of the encoder's connection.
    async fn take_and_tell(&mut self, steps: Vec<Told>) -> Step<()> {
        let mut span = Span::part_of(self.live.here().as_ref(), SpanKind::Internal, "record");
        span.tell("headwater.manifest", || self.manifest.clone().into());
        self.client = Here::through(span.here().as_ref(), &self.client);
        self.take(steps).await?;
        self.put_head().await
    }

    /// Stores what has come, then takes it over.
    async fn take(&mut self, steps: Vec<Told>) -> Step<()> {
        // Headers first: segments name their configuration.
        let mut whole = Vec::new();
        for step in steps {
            match step {
                Told::Change(Change::Row { number, .. }) if number < self.first => {}
                Told::Change(Change::Row {
                    number,
                    start,
                    discontinuity,
                }) if self.is_early(start) => {
                    let open = &mut self.recording.open;
                    open.pass_over(number, start, discontinuity);
                }
                Told::Change(change) => {
                    if let Change::Config { track, config } = &change {
                        self.put_header(*track, &config.init).await?;
                    }
                    self.apply(&change);
                }
                Told::Whole {
                    track,
                    number,
                    segment,
                    kept,
                } => {
                    let row = self.recording.open.row(number);
                    if row.is_some_and(|row| !row.segments.contains_key(&track)) {
                        whole.push((track, number, segment, kept));
                    }
                }
            }
        }
        let this = &*self;
        let stored: Vec<_> = futures::stream::iter(whole)
            .map(|(track, number, segment, kept)| async move {
                let there = this.put_segment(track, &segment, kept).await?;
                Ok((track, number, segment, there))
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        for stored in stored {
            let (track, number, segment, there) = stored?;
            if there {
                self.apply(&Change::Whole {
                    track,
                    number,
                    segment,
                });
            }
        }
        while let Some(page) = self.recording.seal(&self.manifest, self.live.settled()) {
            self.put(page).await?;
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change) {
        // A late segment of a row that is in a page already is the only misfit, and a gap.
        if let Err(error) = self.recording.apply(change) {
            tracing::warn!(event = %self.live.id, manifest = self.manifest, "a step is not recorded: {error}");
        }
    }

    async fn put_header(&mut self, track: TrackIndex, init: &[u8]) -> Step<()> {
        let Some(known) = self.recording.open.tracks.get(usize::from(track)) else {
            return Ok(());
        };
        let number = u16::try_from(known.configs.len()).unwrap_or(u16::MAX);
        let name = archive::header_name(known, number);
        let bytes = Bytes::copy_from_slice(init);
        self.write(&name, SEGMENT_TYPE, bytes).await
    }

    /// `false`: nobody has the segment any more.
    async fn put_segment(
        &self,
        track: TrackIndex,
        segment: &Segment,
        kept: Option<Arc<Kept>>,
    ) -> Step<bool> {
        let Some(known) = self.recording.open.tracks.get(usize::from(track)) else {
            return Ok(false);
        };
        let name = archive::segment_name(known, segment.start);
        let bytes = match &kept {
            Some(kept) => kept.read().await.ok(),
            None => None,
        };
        match bytes {
            Some(bytes) => {
                self.write(&name, SEGMENT_TYPE, bytes).await?;
                Ok(true)
            }
            // An earlier life of the worker may have stored it without coming to the head.
            None => {
                let name = name.as_str();
                let len = self
                    .insist(name, |storage| async move { storage.len(name).await })
                    .await?;
                Ok(len == Some(segment.size()))
            }
        }
    }

    /// Writes the head in the place of the last one.
    async fn put_head(&mut self) -> Step<()> {
        let head = self.recording.head(&self.manifest);
        let (name, bytes) = (head.name.as_str(), Bytes::from(head.bytes));
        let mut patience = Patience::new();
        loop {
            let (tag, this) = (self.tag.clone(), &*self);
            let replace = |storage: Storage| {
                let (bytes, tag) = (bytes.clone(), tag.clone());
                async move {
                    let tag = tag.as_deref();
                    storage.replace(name, TIMELINE_TYPE, bytes, tag).await
                }
            };
            if let Some(tag) = this.insist(name, replace).await? {
                (self.tag, self.written) = (Some(tag), bytes);
                return Ok(());
            }
            let read = this.insist(name, |storage| async move { storage.get(name).await });
            match read.await? {
                // By this very request, whose answer was lost.
                Some((there, tag)) if there == bytes => {
                    (self.tag, self.written) = (Some(tag), bytes);
                    return Ok(());
                }
                // It is the last one still: somebody has set its properties.
                Some((there, tag)) if there == self.written => self.tag = Some(tag),
                Some(_) => return Err(self.fence()),
                // Somebody has deleted it: the recording is still to be had.
                None => self.tag = None,
            }
            if !patience.wait(&self.stop).await {
                return Err(Stopped);
            }
        }
    }

    async fn put(&self, object: Object) -> Step<()> {
        self.write(&object.name, TIMELINE_TYPE, object.bytes.into())
            .await
    }

    /// Somebody else records in its place: it is over.
    fn fence(&self) -> Stopped {
        tracing::warn!(event = %self.live.id, manifest = self.manifest, "somebody else records here; nothing more is written");
        self.state.store(FENCED, Ordering::Release);
        Stopped
    }

    /// Writes an object whose name another worker may give, too. Whose the event may not be any more looks first whether the head
    /// is still its own, each time that it tries.
    async fn write(&self, name: &str, content_type: &str, bytes: Bytes) -> Step<()> {
        let head = archive::head_name(&self.manifest);
        let head = head.as_str();
        let written = self.insist(name, |storage| {
            let bytes = bytes.clone();
            async move {
                if !self.live.lease.is_sure() && storage.tag(head).await? != self.tag {
                    return Ok(false);
                }
                storage.put(name, content_type, bytes).await.map(|()| true)
            }
        });
        match written.await? {
            true => Ok(()),
            false => Err(self.fence()),
        }
    }

    /// Repeats a request until it succeeds or the recording is stopped, each time with the newest signature.
    async fn insist<T, F>(&self, name: &str, request: impl Fn(Storage) -> F) -> Step<T>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut patience = Patience::new();
        loop {
            let place = self.wanted.borrow().place.clone();
            let error = match Storage::new(&self.client, &place) {
                Ok(storage) => {
                    let answer = tokio::select! {
                        biased;
                        () = self.stop.cancelled() => return Err(Stopped),
                        answer = request(storage) => answer,
                    };
                    match answer {
                        Ok(answer) => return Ok(answer),
                        Err(error) => error.to_string(),
                    }
                }
                Err(error) => error,
            };
            tracing::warn!(event = %self.live.id, object = name, "storage: {error}; trying again");
            if !patience.wait(&self.stop).await {
                return Err(Stopped);
            }
        }
    }

    /// Deletes what left the archive window: whole pages, segments first.
    async fn trim(&mut self) -> Step<()> {
        let window = self.wanted.borrow().archive_window_ms;
        let Some(end) = self.recording.open.end() else {
            return Ok(());
        };
        let window = headwater_live::clock_of_ms(i64::try_from(window).unwrap_or(i64::MAX));
        let Some(first) = self.recording.needed_from(end.saturating_sub(window)) else {
            return Ok(());
        };
        let gone = self.recording.trim(first);
        self.put_head().await?;
        for page in gone {
            let name = archive::page_name(&self.manifest, page.first);
            let name = name.as_str();
            let read = self
                .insist(name, |storage| async move { storage.get(name).await })
                .await?;
            let rows = read
                .and_then(|(bytes, _)| archive::parse_page(&bytes).ok())
                .unwrap_or_default();
            for row in rows {
                for (track, segment) in &row.segments {
                    if let Some(track) = self.recording.open.tracks.get(usize::from(*track)) {
                        let name = archive::segment_name(track, segment.start);
                        let name = name.as_str();
                        self.insist(name, |storage| async move { storage.delete(name).await })
                            .await?;
                    }
                }
            }
            self.insist(name, |storage| async move { storage.delete(name).await })
                .await?;
        }
        Ok(())
    }

    /// Makes the recording a film.
    async fn finish(&mut self) -> Step<()> {
        self.apply(&Change::End);
        let tracks = self.recording.open.tracks.iter().map(|track| {
            let kind = match track.kind {
                Kind::Video => EntryKind::Video,
                Kind::Audio => EntryKind::Audio,
            };
            TrackEntry {
                bitrate: Some(track.bitrate),
                language: track.language.clone(),
                track_id: Some(1),
                track_name: Some(track.name.clone()),
                ..TrackEntry::new(kind, archive::folder(track))
            }
        });
        let manifest = ServerManifest {
            formats: Some("vod-cmaf".to_owned()),
            tracks: tracks.collect(),
            ..ServerManifest::default()
        };
        let text = headwater_ism::write(&manifest);
        let name = format!("{}.ism", self.manifest);
        self.write(&name, "text/xml", text.into()).await?;
        self.put_head().await?;
        self.state.store(FINISHED, Ordering::Release);
        Ok(())
    }
}
