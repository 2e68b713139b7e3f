//! From a request to an answer.
//!
//! Every request goes the same way: the URL is read, the locator resolved and judged, then the resource it names is
//! made. What is decided where: [`crate::address`] reads, [`crate::policy`] judges, [`crate::presentation`] and
//! [`crate::manifests`] describe, [`crate::filter`] leaves out, [`crate::answer`] knows HTTP. Here they are put in order,
//! with the IO between them: [`listing`] finds out what there is, [`manifest`], [`fragment`], [`text`] and [`images`] make the answers, [`protected`] encrypts them.

mod captions;
mod fragment;
mod images;
pub(crate) mod listing;
mod live;
mod manifest;
mod protected;
mod text;

use crate::added::AddedTrack;
use crate::address::{self, Address, Options, Target};
use crate::answer::{self, Body, Coding, Content, Meta, Request, Resource};
use crate::cache::Cache;
use crate::cross_site::Document;
use crate::documents::Documents;
use crate::endpoints;
use crate::error::{Code, OriginError};
use crate::filter::Stored;
use crate::images::Images;
use crate::index::{Freshness, Indexes, MediaFile};
use crate::policy;
use crate::ports::{Catalog, CatalogError, Published, Storage};
use crate::presentation::{Listing, Track};
use crate::protection::Protection;
use crate::segments::TrackReader;
use crate::shield::Shield;
use crate::tag::Tag;
use crate::token_proxy::Proxied;
use bytes::Bytes;
use headwater_plan::SubsampleMap;
use headwater_text::captions::Captions;
use http::{HeaderMap, HeaderValue, Method, Response};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// How long a resolved locator is believed: the time that a suppressed or deleted one may still be served.
const LOCATOR_TTL: SignedDuration = SignedDuration::from_secs(5);
/// How long a filter is believed.
const FILTER_TTL: SignedDuration = SignedDuration::from_secs(5);
/// How long a server manifest is believed.
const LISTING_TTL: SignedDuration = SignedDuration::from_secs(5);
/// How long an answer, or how a segment is put together, is given again without asking what it was made from. Whether it may be given is
/// asked every time by an instance; the host's cache asks again after it ([`keepable`]).
const ANSWER_TTL: SignedDuration = SignedDuration::from_secs(2);

/// Manifests change when an asset is edited; a minute later every player knows.
const MANIFEST_CACHE: &str = "public, max-age=60";
/// A segment's URL stands for the same bytes until its file is replaced.
const SEGMENT_CACHE: &str = "public, max-age=604800, immutable";
/// What holds a token is for whoever sent it.
const PRIVATE: &str = "no-store";
/// Files may be replaced under their name.
const FILE_CACHE: &str = "public, max-age=300";

/// Room for what an instance remembers, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSizes {
    /// Resolved locators, server manifests and filters, each.
    pub names: usize,
    /// Heads of packaging indexes.
    pub indexes: usize,
    /// Directory pages and sample records.
    pub blocks: usize,
    /// Subsamples of segments whose samples are encrypted.
    pub maps: usize,
    /// Text files.
    pub documents: usize,
    /// Rendered manifests, and as much again for what was answered lately.
    pub texts: usize,
}

impl Default for CacheSizes {
    /// 24 MiB together.
    fn default() -> Self {
        Self {
            names: 1 << 20,
            indexes: 3 << 20,
            blocks: 2 << 20,
            maps: 1 << 20,
            documents: 8 << 20,
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
    protections: Cache<Arc<Protection>>,
    listings: Cache<Arc<Listing>>,
    /// By locator and name; `None` for one that is not there.
    filters: Cache<Option<Stored>>,
    /// By file, version, track and segment.
    maps: Cache<Arc<SubsampleMap>>,
    texts: Cache<Bytes>,
    /// What the API has added to an asset, by locator.
    added: Cache<Arc<Vec<AddedTrack>>>,
    documents: Documents,
    /// By asset and presentation.
    images: Cache<Option<Arc<Images>>>,
    /// By place, file, track and version; `None` where it could not be found out.
    captions: Cache<Option<Captions>>,
    /// Manifests, init segments and plans of segments by their path.
    answers: Cache<Arc<Resource>>,
    indexes: Indexes,
    recordings: live::Memory,
}

/// A request on its way: what was decided so far.
struct Visit<'a, L> {
    locator: &'a str,
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
            protections: Cache::new(sizes.names),
            listings: Cache::new(sizes.names),
            filters: Cache::new(sizes.names),
            maps: Cache::new(sizes.maps),
            texts: Cache::new(sizes.texts),
            added: Cache::new(sizes.names),
            documents: Documents::new(sizes.documents),
            images: Cache::new(sizes.names),
            captions: Cache::new(sizes.names / 4),
            answers: Cache::new(sizes.texts),
            indexes: Indexes::new(sizes.indexes, sizes.blocks),
            recordings: live::Memory::new(sizes.blocks),
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
        if let Some(document) = Document::at(request.path) {
            return self.cross_site(request, document).await;
        }
        let mut address = address::parse(request.path)?;
        let published = self
            .resolve(&address.locator, request.now, freshness)
            .await?;
        policy::admit(&published, &mut address.target, request.now)?;
        let serving = endpoints::choose(&published.endpoints, request)?;
        let answered = self.respond(request, &address, &published, freshness).await;
        let mut response = match answered {
            Err(error) if error.code().is_early() && is_for_all(request, &address, &published) => {
                // Others are told it, too: nobody's request is named in it.
                let request = Request {
                    headers: &HeaderMap::new(),
                    ..*request
                };
                let response = answer::failure(&request, &error);
                keepable(response, &published, request.now, Keep::Early)
            }
            answered => answered?,
        };
        let stays = published.live.is_none() || matches!(address.target, Target::Fragment { .. });
        endpoints::rule(&published.endpoints, serving, stays, &mut response);
        Ok(response)
    }

    /// Who may read the host's media.
    async fn cross_site(
        &self,
        request: &Request<'_>,
        document: Document,
    ) -> Result<Response<Body>, OriginError> {
        let (endpoints, events) = self.catalog.cross_site().await.map_err(catalog_error)?;
        let text = document
            .of(request.host, &endpoints, &events)
            .ok_or_else(|| {
                OriginError::new(
                    Code::ResourceNotFound,
                    "nobody says who may read this host's media",
                )
            })?;
        let mut tag = Tag::new();
        tag.text(text);
        let meta = Meta {
            content_type: "text/xml",
            etag: tag.finish(),
            last_modified: None,
            cache_control: MANIFEST_CACHE,
            coding: Coding::Plain,
            prefetch: None,
        };
        let body = Content::Bytes(Bytes::copy_from_slice(text.as_bytes()));
        answer::answer(request, Resource { body, meta })
    }

    /// The answer, whoever it is for.
    async fn respond(
        &self,
        request: &Request<'_>,
        address: &Address,
        published: &Published<C::Location>,
        freshness: Freshness,
    ) -> Result<Response<Body>, OriginError> {
        let proxied = Proxied::read(request.query, &address.target)?;
        // Of a path there may be an answer in each coding.
        let key = match Coding::of(request.headers).name() {
            Some(coding) => format!("{coding} {}", request.path),
            None => request.path.to_owned(),
        };
        if proxied.is_none()
            && freshness == Freshness::Remembered
            && let Some(resource) = self.answers.get(&key, request.now)
        {
            let response = answer::answer(request, Resource::clone(&resource))?;
            return Ok(match resource.body {
                Content::Bytes(_) => keepable(response, published, request.now, Keep::Answer),
                Content::Plan(_) => response,
            });
        }
        let visit = Visit {
            locator: &address.locator,
            published,
            now: request.now,
            freshness,
        };
        if let Some(response) = self
            .live(request, &visit, &address.target, proxied.as_ref())
            .await?
        {
            return Ok(response);
        }
        if let Some(proxied) = proxied {
            return self
                .with_token(request, &visit, &address.target, &proxied)
                .await;
        }
        let resource = match &address.target {
            Target::Manifest { name, options } => {
                self.manifest(request, &visit, name, options).await?
            }
            Target::MediaPlaylist { track, options } => {
                self.media_playlist(request, &visit, track, options).await?
            }
            Target::Fragment {
                track,
                part,
                noun,
                options,
            } => {
                let asked = fragment::Asked {
                    track,
                    part: *part,
                    noun: *noun,
                    options,
                };
                self.fragment(request, &visit, asked).await?
            }
            Target::Time => return Ok(answer::time(request)),
            Target::File { path } => self.file(request, &visit, path).await?,
        };
        match resource {
            Made::Resource(resource) => {
                let (bytes, known) = match &resource.body {
                    Content::Bytes(bytes) => (Some(bytes.len()), true),
                    // What a thousand players ask for within a second is not looked up a thousand times.
                    Content::Plan(plan) => (plan.footprint(), false),
                };
                if let Some(bytes) = bytes {
                    self.answers.put(
                        &key,
                        Arc::new(resource.clone()),
                        bytes.saturating_add(key.len()),
                        request.now.checked_add(ANSWER_TTL).ok(),
                    );
                }
                let response = answer::answer(request, resource)?;
                Ok(match known {
                    true => keepable(response, published, request.now, Keep::Answer),
                    false => response,
                })
            }
            Made::NotModified(meta) => answer::not_modified(&meta),
        }
    }

    /// A playlist that carries the token of its URL on.
    async fn with_token(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_, C::Location>,
        target: &Target,
        proxied: &Proxied,
    ) -> Result<Response<Body>, OriginError> {
        // Conditions are for the text with the token.
        let headers = HeaderMap::new();
        let bare = Request {
            headers: &headers,
            ..*request
        };
        let (made, options) = match target {
            Target::Manifest { name, options } => {
                (self.manifest(&bare, visit, name, options).await?, options)
            }
            Target::MediaPlaylist { track, options } => {
                let made = self.media_playlist(&bare, visit, track, options).await?;
                (made, options)
            }
            Target::Fragment { .. } | Target::Time | Target::File { .. } => {
                return Err(no_playlist());
            }
        };
        let shield = self.shield(visit, options).await?.ok_or_else(no_playlist)?;
        let Made::Resource(mut resource) = made else {
            return Err(no_playlist());
        };
        carry_token(&mut resource, proxied, &shield)?;
        answer::answer(request, resource)
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
        let found = self.catalog.resolve(locator).await;
        let found = found.map_err(catalog_error)?;
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

    /// The encryption that a URL asks for.
    async fn shield(
        &self,
        visit: &Visit<'_, C::Location>,
        options: &Options,
    ) -> Result<Option<Shield>, OriginError> {
        let Some(encryption) = options.encryption else {
            return Ok(None);
        };
        let remembered = self
            .protections
            .get(visit.locator, visit.now)
            .filter(|_| visit.freshness == Freshness::Remembered);
        let protection = match remembered {
            Some(protection) => protection,
            None => self.protection(visit).await?,
        };
        Shield::of(protection, encryption, options.format).map(Some)
    }

    async fn protection(
        &self,
        visit: &Visit<'_, C::Location>,
    ) -> Result<Arc<Protection>, OriginError> {
        let found = self.catalog.protection(visit.locator).await;
        let found = found.map_err(catalog_error)?;
        let protection = Arc::new(found.ok_or_else(|| {
            OriginError::new(Code::ResourceNotFound, "there is nothing at this address")
        })?);
        let until = visit.now.checked_add(LOCATOR_TTL).ok();
        self.protections
            .put(visit.locator, Arc::clone(&protection), 4096, until);
        Ok(protection)
    }

    /// Where to read of a track.
    fn reader<'a>(
        &'a self,
        visit: &'a Visit<'_, C::Location>,
        track: &'a Track,
    ) -> Result<TrackReader<'a, S>, OriginError> {
        Ok(TrackReader {
            indexes: &self.indexes,
            storage: &self.storage,
            media: visit.media(&track.index.file),
            index: &track.index,
            head: track.head()?,
            now: visit.now,
        })
    }
}

fn catalog_error(error: CatalogError) -> OriginError {
    OriginError::new(Code::StorageServerBusy, "the catalog is not available").because(error)
}

/// Puts a token into a playlist.
fn carry_token(
    resource: &mut Resource,
    proxied: &Proxied,
    shield: &Shield,
) -> Result<(), OriginError> {
    let Content::Bytes(text) = &resource.body else {
        return Err(no_playlist());
    };
    let text = proxied.carry(&String::from_utf8_lossy(text), shield.delivery());
    resource.body = Content::Bytes(text.into());
    let mut tag = Tag::new();
    tag.text(&resource.meta.etag);
    tag.text(proxied.tag());
    resource.meta.etag = tag.finish();
    resource.meta.cache_control = PRIVATE;
    Ok(())
}

fn no_playlist() -> OriginError {
    OriginError::new(Code::Internal, "a token is carried by playlists only")
}

/// How long the host may give an answer to others, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// As long as an instance remembers one.
    Answer,
    /// What is another one a moment later: as long as is not noticed, so that those who ask at the same time are answered at once.
    Moment,
    /// The same, where a moment is a part of a segment.
    Part,
    /// What grows until it is whole, and is then what it stays.
    Growing,
    /// That something is still to come.
    Early,
}

impl Keep {
    fn max_age(self) -> &'static str {
        match self {
            Self::Answer => {
                const { assert!(ANSWER_TTL.as_secs() == 2) };
                "max-age=2"
            }
            Self::Moment => "max-age=0.25",
            Self::Part | Self::Early => "max-age=0.1",
            Self::Growing => "max-age=10",
        }
    }
}

/// What the host's cache looks at, and no client sees.
pub(crate) const HOST_CACHE: &str = "headwater-cache-control";

/// Marks an answer that the host may give to others, too (`Headwater-Cache-Control`, RFC 9213, with fractions of a second). Not
/// past the locator's end.
fn keepable<L>(
    mut response: Response<Body>,
    published: &Published<L>,
    now: Timestamp,
    keep: Keep,
) -> Response<Body> {
    let ends_soon = published
        .end
        .is_some_and(|end| end.duration_since(now) <= ANSWER_TTL);
    let is_early = keep == Keep::Early;
    if !ends_soon && (is_early || response.status() == http::StatusCode::OK) {
        response
            .headers_mut()
            .insert(HOST_CACHE, HeaderValue::from_static(keep.max_age()));
    }
    response
}

/// Whether what one client is told is what all are.
fn is_for_all<L>(request: &Request<'_>, address: &Address, published: &Published<L>) -> bool {
    let is_preview = published
        .live
        .as_ref()
        .is_some_and(|live| live.preview.is_some());
    !is_preview && matches!(Proxied::read(request.query, &address.target), Ok(None))
}

/// A resource, or the knowledge that the client has it already.
enum Made {
    Resource(Resource),
    NotModified(Meta),
}

fn made(body: Content, meta: Meta) -> Made {
    Made::Resource(Resource { body, meta })
}
