//! What there is of a live presentation or a recording: from the worker, and from storage.

use super::super::{Origin, Visit};
use crate::address::Format;
use crate::cache::Cache;
use crate::error::{Code, OriginError};
use crate::index::{Freshness, storage_error};
use crate::live::show::{self, DEFAULT_WINDOW_MS, Show, Span};
use crate::live::{Broadcast, Edge};
use crate::ports::{Catalog, Storage, StorageError};
use crate::shield::Shield;
use futures::future::try_join_all;
use headwater_live::archive::{self, PageRef, Recording};
use headwater_live::chunk::Chunk;
use headwater_live::clock_of_ms;
use headwater_live::edge::{Place, Snapshot, path};
use headwater_live::group::RowsPerSegment;
use headwater_live::timeline::Row;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// How long a head is believed while the worker tells what is newer; it shows many more rows than that.
const HEAD_TTL: SignedDuration = SignedDuration::from_secs(3);
/// How long the head of what has ended is believed.
const FILM_TTL: SignedDuration = SignedDuration::from_secs(5);
/// A worker that does not answer may be on its way up again: it is asked so often, with pauses.
const ATTEMPTS: u32 = 10;
const PAUSE_MS: u64 = 300;
/// Pages asked for at once.
pub(super) const AT_ONCE: usize = 16;
/// Longest head, page or snapshot: a week of pages, and a hundred tracks.
const MOST_BYTES: u64 = 8 << 20;

/// What an instance remembers of recordings.
pub(crate) struct Memory {
    heads: Cache<Arc<Recording>>,
    /// They never change.
    pages: Cache<Arc<Vec<Row>>>,
    /// Headers of segments' chunks.
    pub(super) chunks: Cache<Arc<Chunk>>,
}

impl Memory {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            heads: Cache::new(max_bytes),
            pages: Cache::new(max_bytes),
            chunks: Cache::new(max_bytes),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    Live(&'a Broadcast),
    /// A recording that nobody makes any more, by its manifest.
    Film(&'a str),
}

impl Source<'_> {
    pub(super) fn manifest(&self) -> &str {
        match self {
            Self::Live(broadcast) => &broadcast.manifest,
            Self::Film(manifest) => manifest,
        }
    }

    /// What segments of transport streams hold. `recording`: what is in storage, if there is something.
    pub(super) fn rows_per_segment(&self, recording: Option<&Recording>) -> RowsPerSegment {
        match (recording, self) {
            (Some(recording), _) => recording.rows_per_segment,
            (None, Self::Live(broadcast)) => broadcast.rows_per_segment,
            (None, Self::Film(_)) => RowsPerSegment::ONE,
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> OriginError {
    OriginError::new(Code::Internal, "the recording's timeline is damaged").because(error)
}

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// What of `source` is shown, by the segments of `format`. `window`: which time that is, given where the recording starts on
    /// the event's clock.
    ///
    /// Errors: 404 while there is nothing, and for a time that is not there any more; 415 where filters leave no time at all.
    pub(super) async fn show(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        format: Format,
        wait: Option<(Place, u64)>,
        window: &dyn Fn(i64) -> Span,
    ) -> Result<Show, OriginError> {
        let snapshot = match source {
            Source::Live(broadcast) => self.snapshot(visit, broadcast, wait).await?,
            Source::Film(_) => None,
        };
        let recording = match source {
            Source::Live(broadcast) if broadcast.preview.is_some() => None,
            _ => self.recording(visit, source, snapshot.is_some()).await?,
        };
        // What comes after the end of a recording is not its own.
        let over = recording.as_ref().is_some_and(|r| r.open.ended);
        let snapshot = snapshot.filter(|_| !over);
        if snapshot.is_none() && recording.is_none() {
            return Err(OriginError::new(
                Code::NotYetAvailable,
                "nothing of the presentation is there yet",
            ));
        }
        let began = recording.as_ref().and_then(|r| began(r));
        let began = began.or_else(|| Some(snapshot.as_ref()?.timeline.rows.front()?.start));
        let span = window(began.unwrap_or(0));
        // A film is over when its worker says so; without one, also when nobody runs it.
        let ended = match source {
            Source::Film(_) => true,
            Source::Live(_) => over,
        };
        let window_ms = match source {
            Source::Live(broadcast) => broadcast.rewind_ms.map_or(broadcast.archive_ms, |rewind| {
                rewind.min(broadcast.archive_ms)
            }),
            Source::Film(_) => u64::MAX,
        };
        let whole = clock_of_ms(i64::try_from(window_ms).unwrap_or(i64::MAX));
        if !ended && span.back_off > 0 && span.back_off >= whole {
            return Err(OriginError::new(
                Code::FilterBackOffOverWindow,
                "the filters put the newest moment back behind all that may be shown",
            ));
        }
        let window_ms = match span.start.is_some() && span.end.is_some() {
            true => window_ms,
            false => window_ms.min(DEFAULT_WINDOW_MS),
        };
        let rows = match format {
            Format::HlsTs(_) => source.rows_per_segment(recording.as_deref()),
            _ => RowsPerSegment::ONE,
        };
        let end = snapshot.as_ref().and_then(|s| s.timeline.end());
        let end = end.or_else(|| recording.as_ref().and_then(|r| r.open.end()));
        let back = clock_of_ms(i64::try_from(window_ms).unwrap_or(i64::MAX));
        let oldest = end.map_or(0, |end| end.saturating_sub(back));
        let from = span.start.map_or(oldest, |start| start.max(oldest));
        let pages = match &recording {
            Some(recording) => {
                self.pages_from(visit, source, recording, &snapshot, (from, rows))
                    .await?
            }
            None => Vec::new(),
        };
        let timeline = show::join(snapshot.as_ref(), recording.as_deref(), pages);
        let begun = recording.as_deref().filter(|r| r.first.is_none());
        let longest = show::longest_row_ms(&timeline).max(1_000);
        let mut show = Show {
            interval_ms: snapshot.as_ref().map_or(longest, |s| s.interval_ms),
            promised: snapshot.is_some(),
            part_ms: snapshot
                .as_ref()
                .and_then(|s| s.low_latency.then_some(s.part_ms)),
            ended,
            window_ms,
            captions: None,
            rows_per_segment: rows,
            closed: None,
            earlier: Vec::new(),
            keys_began: None,
            begun: begun.and_then(|r| r.first_row().or(r.open.next_number)),
            timeline,
        };
        let front = show.timeline.rows.front();
        if let (Some(end), Some(front), true) = (span.end, front, span.forced)
            && end <= front.start
        {
            return Err(OriginError::new(
                Code::ForcedEndLeftWindow,
                "what is to be shown is older than what there still is",
            ));
        }
        let starts: Vec<i64> = show.timeline.rows.iter().map(|row| row.start).collect();
        show.cut(Span {
            start: Some(from),
            ..span
        });
        show.earlier = starts;
        let front = show.timeline.rows.front().map(|row| row.start);
        show.earlier
            .retain(|start| front.is_some_and(|front| *start < front));
        if show.timeline.rows.is_empty() && (span.start.is_some() || span.end.is_some()) {
            return Err(OriginError::new(
                Code::EgressTimestampNotFound,
                "the presentation has nothing in the time asked for",
            ));
        }
        Ok(show)
    }

    /// The newest rows. Ok `None` while no worker has the event.
    pub(super) async fn snapshot(
        &self,
        visit: &Visit<'_, C::Location>,
        broadcast: &Broadcast,
        wait: Option<(Place, u64)>,
    ) -> Result<Option<Snapshot>, OriginError> {
        let Some(mut edge) = broadcast.edge.clone() else {
            return Ok(None);
        };
        for attempt in 0..ATTEMPTS {
            let asked = path::timeline(&broadcast.event, wait);
            match self.storage.ask(&edge, &asked).await {
                Ok(Some(bytes)) => return Snapshot::parse(&bytes).map(Some).map_err(damaged),
                // The worker may be on its way up again, or another has the event, or it is over.
                Ok(None)
                | Err(StorageError::PermissionDenied(_) | StorageError::Unavailable(_)) => {
                    match self.edge_now(visit).await? {
                        Some(now) => edge = now,
                        None => return Ok(None),
                    }
                }
                Err(error) => return Err(storage_error(error)),
            }
            if attempt > 0 {
                self.storage.pause(PAUSE_MS).await;
            }
        }
        (self.log)(
            "the worker of a live event does not answer; it is shown as far as it is in storage",
        );
        Ok(None)
    }

    /// Where the worker is, as the catalog has it at this moment.
    async fn edge_now(&self, visit: &Visit<'_, C::Location>) -> Result<Option<Edge>, OriginError> {
        let now = self
            .resolve(visit.locator, visit.now, Freshness::Looked)
            .await?;
        Ok(now.live.as_ref().and_then(|live| live.edge.clone()))
    }

    /// The recording's head. Ok `None` if there is none yet. `known`: the worker has told what is newest, so that storage
    /// may be away for a while.
    pub(super) async fn recording(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        known: bool,
    ) -> Result<Option<Arc<Recording>>, OriginError> {
        let manifest = source.manifest();
        let key = format!("{}\n{manifest}", visit.published.place);
        let remembered = self.recordings.heads.get(&key, visit.now);
        if let Some(recording) = remembered
            && visit.freshness == Freshness::Remembered
            // Without the worker the head is all there is.
            && (known || recording.open.ended)
        {
            return Ok(Some(recording));
        }
        let at = &visit.published.location;
        let name = archive::head_name(manifest);
        let read = match self.storage.read(at, &name, 0..MOST_BYTES, None).await {
            Ok(read) => read,
            Err(StorageError::NotFound) => return Ok(None),
            Err(error) if known => {
                let error = storage_error(error);
                (self.log)(&error.log_line());
                return Ok(self.recordings.heads.stale(&key));
            }
            Err(error) => return Err(storage_error(error)),
        };
        let recording = Arc::new(Recording::parse(&read.bytes).map_err(damaged)?);
        let ttl = match recording.open.ended {
            true => FILM_TTL,
            false => HEAD_TTL,
        };
        let until = visit.now.checked_add(ttl).ok();
        let cost = read.bytes.len().saturating_mul(2);
        let heads = &self.recordings.heads;
        heads.put(&key, Arc::clone(&recording), cost, until);
        Ok(Some(recording))
    }

    /// [`Show::keys_began`], from whoever knows. Players must not see that time change while they play what follows it (Shaka Player
    /// 5.2 takes the offset that it has seen first for that of all segments of a period).
    ///
    /// Errors: as of reading a page.
    pub(super) async fn keys_began(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        show: &Show,
        shield: &Shield,
    ) -> Result<Option<i64>, OriginError> {
        let front = show.timeline.rows.front().map(|row| row.start);
        let earliest = front.and_then(|front| shield.earliest(shield.period(front)?));
        let (Some(front), Some(earliest)) = (front, earliest) else {
            return Ok(None);
        };
        let is_own = |start: &i64| *start >= earliest;
        if show.earlier.first().is_some_and(|first| !is_own(first)) {
            let mut known = show.earlier.iter().copied().chain([front]);
            return Ok(known.find(is_own));
        }
        // What nothing is before, or what is deleted, has no page.
        let recording = self.stored(visit, source, true).await?;
        let place = recording.and_then(|r| Some((r.page_at(earliest)?, r)));
        let Some((page, recording)) = place else {
            return Ok(None);
        };
        let rows = match self.page(visit, source, page).await {
            Err(error) if error.code() == Code::ResourceNotFound => return Ok(None),
            rows => rows?,
        };
        let later = recording
            .pages
            .iter()
            .filter(|later| later.first > page.first);
        let mut starts = rows
            .iter()
            .map(|row| row.start)
            .chain(later.map(|page| page.start))
            .chain(recording.open.rows.iter().map(|row| row.start));
        Ok(starts.find(is_own))
    }

    /// Whether there is a recording of that name.
    pub(super) async fn has_head(
        &self,
        visit: &Visit<'_, C::Location>,
        manifest: &str,
    ) -> Result<bool, OriginError> {
        let found = self.recording(visit, Source::Film(manifest), false).await?;
        Ok(found.is_some())
    }

    /// Those whole pages that have rows from `from` on, and those that are one segment with them, unless the worker has told
    /// those all.
    async fn pages_from(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        recording: &Recording,
        snapshot: &Option<Snapshot>,
        (from, rows): (i64, RowsPerSegment),
    ) -> Result<Vec<(PageRef, Vec<Row>)>, OriginError> {
        let told = snapshot.as_ref().map(|s| &s.timeline.rows);
        let enough = [Some(&recording.open.rows), told];
        let enough = enough.into_iter().flatten().any(|known| {
            let mut before = known.iter().take_while(|row| row.start <= from);
            before.any(|row| rows.begins(row))
        });
        if enough {
            return Ok(Vec::new());
        }
        let after = recording.pages.partition_point(|page| page.start <= from);
        let mut first = after.saturating_sub(1);
        // A segment may begin on the page before.
        if let Some(page) = recording.pages.get(first)
            && !rows.is_start(page.first)
        {
            first = first.saturating_sub(1);
        }
        let needed = recording.pages.get(first..);
        let mut pages = Vec::new();
        for batch in needed.unwrap_or_default().chunks(AT_ONCE) {
            let reads = batch.iter().map(|page| async {
                let rows = self.page(visit, source, *page).await?;
                Ok::<_, OriginError>((*page, Vec::clone(&rows)))
            });
            pages.extend(try_join_all(reads).await?);
        }
        Ok(pages)
    }

    pub(super) async fn page(
        &self,
        visit: &Visit<'_, C::Location>,
        source: Source<'_>,
        page: PageRef,
    ) -> Result<Arc<Vec<Row>>, OriginError> {
        let name = archive::page_name(source.manifest(), page.first);
        let key = format!("{}\n{name}", visit.published.place);
        if let Some(rows) = self.recordings.pages.get(&key, Timestamp::MIN) {
            return Ok(rows);
        }
        let at = &visit.published.location;
        let read = self.storage.read(at, &name, 0..MOST_BYTES, None).await;
        let read = read.map_err(storage_error)?;
        let rows = archive::parse_page(&read.bytes).map_err(damaged)?;
        let rows = Arc::new(Vec::from(rows));
        let cost = read.bytes.len().saturating_mul(2);
        self.recordings
            .pages
            .put(&key, Arc::clone(&rows), cost, None);
        Ok(rows)
    }
}

/// Where a recording starts on the event's clock.
fn began(recording: &Recording) -> Option<i64> {
    let page = recording.pages.first().map(|page| page.start);
    page.or_else(|| recording.open.rows.front().map(|row| row.start))
}
