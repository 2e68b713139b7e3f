//! From a request to an answer.
//!
//! Every request goes the same way: the URL is read, the locator resolved and judged, then the resource it names is
//! made. What is decided where: [`crate::address`] reads, [`crate::policy`] judges, [`crate::presentation`] and
//! [`crate::manifests`] describe, [`crate::answer`] knows HTTP. Here they are put in order, with the IO between them.

use crate::address::{self, Format, Options, Part, Target, TrackAddress};
use crate::answer::{self, Body, Content, Meta, Request, Resource};
use crate::cache::Cache;
use crate::error::{Code, OriginError};
use crate::index::{Found, Freshness, Indexes, LoadedIndex, MediaFile, SegmentTime, storage_error};
use crate::manifests;
use crate::policy;
use crate::ports::{Catalog, Published, Storage, StorageError};
use crate::presentation::{Listing, Presentation, Track};
use crate::tag::Tag;
use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use headwater_cmaf::index::{MAX_RUNS, TrackKind, segment_bytes};
use headwater_plan::{MAX_STEPS, Plan, PlanBuilder, PlanError};
use http::{HeaderValue, Method, Response};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;

/// How long a resolved locator is believed: the time that a suppressed or deleted one may still be served.
const LOCATOR_TTL: SignedDuration = SignedDuration::from_secs(5);
/// How long a server manifest is believed.
const LISTING_TTL: SignedDuration = SignedDuration::from_secs(5);
/// How long an answer that is known in full is given again without asking what it was made from. Whether it may be given is
/// asked every time by an instance; the host's cache asks again after it ([`keepable`]).
const ANSWER_TTL: SignedDuration = SignedDuration::from_secs(2);
/// Most files that are looked at to make up a missing server manifest.
const LIST_LIMIT: usize = 5000;

/// Manifests change when an asset is edited; a minute later every player knows.
const MANIFEST_CACHE: &str = "public, max-age=60";
/// A segment's URL stands for the same bytes until its file is replaced.
const SEGMENT_CACHE: &str = "public, max-age=604800, immutable";
/// Files may be replaced under their name.
const FILE_CACHE: &str = "public, max-age=300";

/// Room for what an instance remembers, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSizes {
    /// Resolved locators and server manifests, each.
    pub names: usize,
    /// Heads of packaging indexes.
    pub indexes: usize,
    /// Directory pages and sample records.
    pub blocks: usize,
    /// Rendered manifests, and as much again for what was answered lately.
    pub texts: usize,
}

impl Default for CacheSizes {
    /// 13 MiB together.
    fn default() -> Self {
        Self {
            names: 1 << 20,
            indexes: 3 << 20,
            blocks: 2 << 20,
            texts: 3 << 20,
        }
    }
}

/// The origin over one catalog and one kind of storage. Cheap to share; holds nothing but caches.
pub struct Origin<C: Catalog, S> {
    catalog: C,
    storage: S,
    log: fn(&str),
    locators: Cache<Arc<Published<C::Location>>>,
    listings: Cache<Arc<Listing>>,
    texts: Cache<Bytes>,
    /// Manifests and init segments by their path.
    answers: Cache<Arc<Resource>>,
    indexes: Indexes,
}

/// A request on its way: what was decided so far.
struct Visit<'a, L> {
    published: &'a Published<L>,
    now: Timestamp,
    freshness: Freshness,
}

impl<L> Visit<'_, L> {
    fn media<'m>(&'m self, file: &'m str) -> MediaFile<'m, L> {
        MediaFile {
            at: &self.published.location,
            place: &self.published.place,
            file,
        }
    }
}

impl<C: Catalog, S: Storage<Location = C::Location>> Origin<C, S> {
    /// `log`: takes what operators should know; no line holds a signature or a key.
    pub fn new(catalog: C, storage: S, sizes: CacheSizes, log: fn(&str)) -> Self {
        Self {
            catalog,
            storage,
            log,
            locators: Cache::new(sizes.names),
            listings: Cache::new(sizes.names),
            texts: Cache::new(sizes.texts),
            answers: Cache::new(sizes.texts),
            indexes: Indexes::new(sizes.indexes, sizes.blocks),
        }
    }

    /// Answers `request`. Never fails: an error is a problem response.
    ///
    /// `freshness`: `Remembered`; if the assembler then finds that an object has changed since, the same request again
    /// with `Looked`.
    pub async fn handle(&self, request: &Request<'_>, freshness: Freshness) -> Response<Body> {
        match *request.method {
            Method::OPTIONS => return answer::preflight(request),
            Method::GET | Method::HEAD => {}
            _ => {
                let error = OriginError::new(
                    Code::MethodNotAllowed,
                    "only GET, HEAD and OPTIONS are served",
                );
                return answer::failure(request, &error);
            }
        }
        match self.serve(request, freshness).await {
            Ok(response) => response,
            Err(error) => {
                if error.code().kind().status() >= 500
                    || error.code() == Code::StorageAuthentication
                {
                    (self.log)(&error.log_line());
                }
                answer::failure(request, &error)
            }
        }
    }

    async fn serve(
        &self,
        request: &Request<'_>,
        freshness: Freshness,
    ) -> Result<Response<Body>, OriginError> {
        let address = address::parse(request.path)?;
        let published = self
            .resolve(&address.locator, request.now, freshness)
            .await?;
        policy::admit(&published, &address.target, request.now)?;
        if freshness == Freshness::Remembered
            && let Some(resource) = self.answers.get(request.path, request.now)
        {
            let response = answer::answer(request, Resource::clone(&resource))?;
            return Ok(keepable(response, &published, request.now));
        }
        let visit = Visit {
            published: &published,
            now: request.now,
            freshness,
        };
        let resource = match &address.target {
            Target::Manifest { name, options } => {
                self.manifest(request, &visit, name, options).await?
            }
            Target::MediaPlaylist { track, .. } => {
                self.media_playlist(request, &visit, track).await?
            }
            Target::Fragment { track, part, .. } => {
                self.fragment(request, &visit, track, *part).await?
            }
            Target::File { path } => self.file(request, &visit, path).await?,
        };
        match resource {
            Made::Resource(resource) => {
                if let Content::Bytes(bytes) = &resource.body {
                    self.answers.put(
                        request.path,
                        Arc::new(resource.clone()),
                        bytes.len().saturating_add(request.path.len()),
                        request.now.checked_add(ANSWER_TTL).ok(),
                    );
                    let response = answer::answer(request, resource)?;
                    return Ok(keepable(response, &published, request.now));
                }
                answer::answer(request, resource)
            }
            Made::NotModified(meta) => answer::not_modified(&meta),
        }
    }

    async fn resolve(
        &self,
        locator: &str,
        now: Timestamp,
        freshness: Freshness,
    ) -> Result<Arc<Published<C::Location>>, OriginError> {
        if freshness == Freshness::Remembered
            && let Some(published) = self.locators.get(locator, now)
        {
            return Ok(published);
        }
        let found = self.catalog.resolve(locator).await.map_err(|error| {
            OriginError::new(Code::StorageServerBusy, "the catalog is not available").because(error)
        })?;
        let published = Arc::new(found.ok_or_else(|| {
            OriginError::new(Code::ResourceNotFound, "there is nothing at this address")
        })?);
        self.locators.put(
            locator,
            Arc::clone(&published),
            1024,
            now.checked_add(LOCATOR_TTL).ok(),
        );
        Ok(published)
    }

    async fn manifest(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        name: &str,
        options: &Options,
    ) -> Result<Made, OriginError> {
        let presentation = self.presentation(visit, name).await?;
        let mut tag = Tag::new();
        tag.text(if options.format == Format::DashCmaf {
            "mpd"
        } else {
            "m3u8"
        });
        tag.number(u64::from(options.audio_only));
        for track in presentation.tracks() {
            tag.track(track);
        }
        let meta = Meta {
            content_type: match options.format {
                Format::DashCmaf => headwater_dash::CONTENT_TYPE,
                _ => headwater_hls::CONTENT_TYPE,
            },
            etag: tag.finish(),
            last_modified: None,
            cache_control: MANIFEST_CACHE,
        };
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        if let Some(text) = self.texts.get(&meta.etag, visit.now) {
            return Ok(made(Content::Bytes(text), meta));
        }
        let text = match options.format {
            Format::DashCmaf => {
                let directories = presentation
                    .tracks()
                    .map(|track| self.directory(visit, track));
                let segments = try_join_all(directories).await?;
                manifests::mpd(&presentation, &segments)?
            }
            _ => manifests::multivariant(&presentation, options.audio_only)?,
        };
        Ok(self.text(text, meta))
    }

    async fn media_playlist(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        address: &TrackAddress,
    ) -> Result<Made, OriginError> {
        let track = self.track(visit, address).await?;
        let mut tag = Tag::new();
        tag.text("playlist");
        tag.track(&track);
        let meta = Meta {
            content_type: headwater_hls::CONTENT_TYPE,
            etag: tag.finish(),
            last_modified: None,
            cache_control: MANIFEST_CACHE,
        };
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        if let Some(text) = self.texts.get(&meta.etag, visit.now) {
            return Ok(made(Content::Bytes(text), meta));
        }
        let segments = self.directory(visit, &track).await?;
        let text = manifests::media_playlist(&track, &segments)?;
        Ok(self.text(text, meta))
    }

    fn text(&self, text: String, meta: Meta) -> Made {
        let text = Bytes::from(text);
        self.texts.put(&meta.etag, text.clone(), text.len(), None);
        made(Content::Bytes(text), meta)
    }

    async fn fragment(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        address: &TrackAddress,
        part: Part,
    ) -> Result<Made, OriginError> {
        let track = self.track(visit, address).await?;
        let head = track.head()?;
        let mut tag = Tag::new();
        tag.track_bytes(&track);
        let content_type = match head.kind {
            TrackKind::Video => "video/mp4",
            TrackKind::Audio => "audio/mp4",
            TrackKind::Text => "application/mp4",
        };
        let meta = |tag: Tag| Meta {
            content_type,
            etag: tag.finish(),
            last_modified: None,
            cache_control: SEGMENT_CACHE,
        };
        let time = match part {
            Part::Init => {
                tag.text("init");
                return Ok(made(
                    Content::Bytes(Bytes::copy_from_slice(&head.init)),
                    meta(tag),
                ));
            }
            Part::Start(time) => time,
        };
        let media = visit.media(&track.index.file);
        let index = &track.index;
        let entry = self
            .indexes
            .segment(&self.storage, &media, index, head, time, visit.now)
            .await?;
        tag.number(entry.number.into());
        let meta = meta(tag);
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        let record = self
            .indexes
            .block(
                &self.storage,
                &media,
                index,
                entry.record.clone(),
                visit.now,
            )
            .await?;
        let bytes = segment_bytes(index.head(), head, &entry, &record).map_err(|e| {
            OriginError::new(Code::Internal, "the packaging index is damaged").because(e)
        })?;
        let object = self
            .storage
            .object(media.at, media.file, index.source_etag())
            .map_err(storage_error)?;
        let plan = segment_plan(object, bytes.inline, &bytes.ranges).map_err(unplannable)?;
        Ok(made(Content::Plan(plan), meta))
    }

    async fn file(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        path: &str,
    ) -> Result<Made, OriginError> {
        let at = &visit.published.location;
        let info = self
            .storage
            .head(at, path)
            .await
            .map_err(|error| match error {
                StorageError::NotFound => {
                    OriginError::new(Code::ResourceNotFound, "there is nothing at this address")
                }
                other => storage_error(other),
            })?;
        let meta = Meta {
            content_type: policy::content_type(path),
            etag: info.etag.clone(),
            last_modified: info.last_modified,
            cache_control: FILE_CACHE,
        };
        if answer::is_not_modified(request.headers, &meta)? {
            return Ok(Made::NotModified(meta));
        }
        let object = self
            .storage
            .object(at, path, &info.etag)
            .map_err(storage_error)?;
        let whole = 0..info.len;
        let plan =
            segment_plan(object, Vec::new(), std::slice::from_ref(&whole)).map_err(unplannable)?;
        Ok(made(Content::Plan(plan), meta))
    }

    /// The track that a URL names. Where the server manifest alone can tell which file that is, only that file's index
    /// is looked at.
    async fn track(
        &self,
        visit: &Visit<'_, C::Location>,
        address: &TrackAddress,
    ) -> Result<Track, OriginError> {
        let listing = self.listing(visit, &address.manifest).await?;
        if let Some(entry) = listing.written_down(&address.name, address.bitrate) {
            let alone = Listing {
                entries: vec![entry.clone()],
            };
            let presentation = self.join(visit, &alone).await?;
            return presentation.find(&address.name, address.bitrate).cloned();
        }
        let presentation = self.join(visit, &listing).await?;
        presentation.find(&address.name, address.bitrate).cloned()
    }

    async fn presentation(
        &self,
        visit: &Visit<'_, C::Location>,
        name: &str,
    ) -> Result<Presentation, OriginError> {
        let listing = self.listing(visit, name).await?;
        self.join(visit, &listing).await
    }

    /// Looks for the indexes of all files of a listing side by side, then builds those that are missing one by one.
    ///
    /// A file that is not there or cannot be packaged is left out, unless no other is left; every other failure is the
    /// request's, as a presentation that changes with the weather is worse than none.
    async fn join(
        &self,
        visit: &Visit<'_, C::Location>,
        listing: &Listing,
    ) -> Result<Presentation, OriginError> {
        let searches = listing.files().into_iter().map(|file| async move {
            let media = visit.media(file);
            let found = self
                .indexes
                .find(&self.storage, &media, visit.now, visit.freshness, self.log)
                .await;
            (media, found)
        });
        let mut indexes: HashMap<String, Arc<LoadedIndex>> = HashMap::new();
        let mut missing = None;
        for (media, found) in join_all(searches).await {
            let index = match found {
                Ok(Found::Index(index)) => Ok(index),
                Ok(Found::MediaOnly { info, useless }) => {
                    self.indexes
                        .build(
                            &self.storage,
                            &media,
                            &info,
                            useless.as_deref(),
                            visit.now,
                            self.log,
                        )
                        .await
                }
                Err(error) => Err(error),
            };
            match index {
                Ok(index) => {
                    indexes.insert(media.file.to_owned(), index);
                }
                Err(error) if leaves_out(error.code()) => {
                    (self.log)(&format!("{}: {}", media.file, error.log_line()));
                    missing.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match missing {
            Some(error) if indexes.is_empty() => Err(error),
            _ => Presentation::build(listing, &indexes),
        }
    }

    /// The server manifest, or the listing that stands in for it.
    async fn listing(
        &self,
        visit: &Visit<'_, C::Location>,
        name: &str,
    ) -> Result<Arc<Listing>, OriginError> {
        let key = format!("{}\n{name}", visit.published.place);
        if visit.freshness == Freshness::Remembered
            && let Some(listing) = self.listings.get(&key, visit.now)
        {
            return Ok(listing);
        }
        let at = &visit.published.location;
        let limit = u64::try_from(headwater_ism::MAX_BYTES)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let listing = match self
            .storage
            .read(at, &format!("{name}.ism"), 0..limit, None)
            .await
        {
            Ok(read) => {
                let manifest = headwater_ism::parse(&read.bytes)
                    .map_err(|e| OriginError::new(Code::FormatNotSupported, e.to_string()))?;
                Listing::of(&manifest)
            }
            Err(StorageError::NotFound) => {
                let files = self
                    .storage
                    .list(at, LIST_LIMIT)
                    .await
                    .map_err(storage_error)?;
                Listing::made_up(name, &files).ok_or_else(|| {
                    OriginError::new(
                        Code::ResourceNotFound,
                        "the asset has no presentation of this name",
                    )
                })?
            }
            Err(StorageError::RangeNotSatisfiable) => {
                return Err(OriginError::new(
                    Code::FormatNotSupported,
                    "the server manifest is empty",
                ));
            }
            Err(error) => return Err(storage_error(error)),
        };
        let listing = Arc::new(listing);
        let cost = listing.entries.len().saturating_mul(256);
        self.listings.put(
            &key,
            Arc::clone(&listing),
            cost,
            visit.now.checked_add(LISTING_TTL).ok(),
        );
        Ok(listing)
    }

    async fn directory(
        &self,
        visit: &Visit<'_, C::Location>,
        track: &Track,
    ) -> Result<Vec<SegmentTime>, OriginError> {
        let media = visit.media(&track.index.file);
        self.indexes
            .directory(
                &self.storage,
                &media,
                &track.index,
                track.head()?,
                visit.now,
            )
            .await
    }
}

// What `keepable` writes.
const _: () = assert!(ANSWER_TTL.as_secs() == 2);

/// Marks an answer that the host may give to others, too, for as long as one that an instance remembers
/// (`Headwater-Cache-Control`, RFC 9213). Not past the locator's end.
fn keepable<L>(
    mut response: Response<Body>,
    published: &Published<L>,
    now: Timestamp,
) -> Response<Body> {
    let ends_soon = published
        .end
        .is_some_and(|end| end.duration_since(now) <= ANSWER_TTL);
    if !ends_soon && response.status() == http::StatusCode::OK {
        response.headers_mut().insert(
            "headwater-cache-control",
            const { HeaderValue::from_static("max-age=2") },
        );
    }
    response
}

/// Whether a presentation goes without a file that fails like this.
fn leaves_out(code: Code) -> bool {
    matches!(
        code,
        Code::FormatNotSupported | Code::KeyFrameIntervalTooLarge | Code::ResourceNotFound
    )
}

/// A resource, or the knowledge that the client has it already.
enum Made {
    Resource(Resource),
    NotModified(Meta),
}

fn made(body: Content, meta: Meta) -> Made {
    Made::Resource(Resource { body, meta })
}

// An index holds no segment that a plan could not: its runs and what is put in front of them.
const _: () = assert!(MAX_RUNS < MAX_STEPS);

fn segment_plan(
    object: headwater_plan::Object,
    inline: Vec<u8>,
    ranges: &[std::ops::Range<u64>],
) -> Result<Plan, PlanError> {
    let mut plan = PlanBuilder::new();
    let object = plan.object(object)?;
    plan.inline(inline)?;
    for range in ranges {
        plan.range(object, range.clone())?;
    }
    Ok(plan.finish())
}

fn unplannable(error: PlanError) -> OriginError {
    OriginError::new(
        Code::FormatNotSupported,
        "the segment is too large or too scattered to be served",
    )
    .because(error)
}
