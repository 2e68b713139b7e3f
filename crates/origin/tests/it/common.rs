//! An origin over memory, and the assembler to carry out its plans.
#![allow(dead_code, unreachable_pub)] // Every test file uses another part.

use bytes::Bytes;
use futures::executor::block_on;
use headwater_origin::filter::{Filter, Stored};
use headwater_origin::*;
use headwater_plan::{
    AssembleError, ByteStream, Object, RangeSource, Scan, Sink, SubsampleMap, assemble, scan,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use jiff::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::Poll;

thread_local! {
    /// What operators were told by this test.
    static LOGGED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What operators were told since the last time.
pub fn logged() -> Vec<String> {
    LOGGED.take()
}

pub const LOCATOR: &str = "1d2f3a4b-0000-4000-8000-00112233aabb";
pub const MEDIA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/media");

pub fn media(name: &str) -> Bytes {
    std::fs::read(format!("{MEDIA}/{name}"))
        .unwrap_or_else(|e| panic!("shared media {name} is present: {e}"))
        .into()
}

/// A folder of objects that counts what is asked of it. No call is answered at once.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, (Bytes, u64)>,
    lengths: BTreeMap<String, u64>,
    parts: BTreeMap<(String, String), Bytes>,
    writes: u64,
    pub refuses_puts: bool,
    reads_left: Option<u64>,
    /// Reads that were asked for and are not answered, and the most there were.
    under_way: (usize, usize),
    pub calls: Vec<String>,
    pub bytes_read: u64,
    store: Presence,
    catalog: Presence,
}

/// Whether somebody answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Presence {
    #[default]
    There,
    /// Every call fails.
    Away,
}

impl Presence {
    async fn answers(self) -> Result<(), StorageError> {
        match self {
            Self::There => Ok(()),
            Self::Away => Err(StorageError::Unavailable("a test".to_owned())),
        }
    }
}

impl Memory {
    /// What becomes of calls to the store and to the catalog. Media are with the assembler.
    pub fn be(&self, store: Presence, catalog: Presence) {
        let mut state = self.0.lock().unwrap();
        (state.store, state.catalog) = (store, catalog);
    }

    async fn answers(&self) -> Result<(), StorageError> {
        let presence = self.0.lock().unwrap().store;
        presence.answers().await
    }

    async fn catalog_answers(&self) -> Result<(), CatalogError> {
        let presence = self.0.lock().unwrap().catalog;
        let answers = presence.answers().await;
        answers.map_err(|error| CatalogError(error.to_string()))
    }

    pub fn write(&self, name: &str, bytes: impl Into<Bytes>) {
        let mut state = self.0.lock().unwrap();
        state.writes += 1;
        let version = state.writes;
        state
            .objects
            .insert(name.to_owned(), (bytes.into(), version));
    }

    /// An object of `len` bytes that are zeros behind `front`; those take no memory.
    pub fn write_sparse(&self, name: &str, front: impl Into<Bytes>, len: u64) {
        self.write(name, front);
        self.0.lock().unwrap().lengths.insert(name.to_owned(), len);
    }

    /// Bytes of all objects and parts.
    pub fn held_bytes(&self) -> usize {
        let state = self.0.lock().unwrap();
        let objects = state.objects.values().map(|(bytes, _)| bytes.len());
        objects.chain(state.parts.values().map(Bytes::len)).sum()
    }

    pub fn remove(&self, name: &str) {
        self.0.lock().unwrap().objects.remove(name);
    }

    pub fn get(&self, name: &str) -> Option<Bytes> {
        self.0
            .lock()
            .unwrap()
            .objects
            .get(name)
            .map(|(b, _)| b.clone())
    }

    /// Objects written so far, replaced ones included.
    pub fn writes(&self) -> u64 {
        self.0.lock().unwrap().writes
    }

    pub fn refuse_puts(&self) {
        self.0.lock().unwrap().refuses_puts = true;
    }

    /// Lets this many reads come through, and no more.
    pub fn fail_reads_after(&self, reads: u64) {
        self.0.lock().unwrap().reads_left = Some(reads);
    }

    /// Most reads that were under way at a time.
    pub fn most_at_once(&self) -> usize {
        self.0.lock().unwrap().under_way.1
    }

    /// The calls since the last time, and how many bytes they read.
    pub fn calls(&self) -> (Vec<String>, u64) {
        let mut state = self.0.lock().unwrap();
        let bytes = std::mem::take(&mut state.bytes_read);
        (std::mem::take(&mut state.calls), bytes)
    }

    fn len_of(&self, name: &str, bytes: &Bytes) -> u64 {
        let lengths = &self.0.lock().unwrap().lengths;
        lengths.get(name).copied().unwrap_or(bytes.len() as u64)
    }

    fn find(&self, call: &str, name: &str) -> Result<(Bytes, String), StorageError> {
        let mut state = self.0.lock().unwrap();
        state.calls.push(format!("{call} {name}"));
        let (bytes, version) = state.objects.get(name).ok_or(StorageError::NotFound)?;
        Ok((bytes.clone(), format!("\"0x{version}\"")))
    }
}

/// Names on a page of a listing.
const PAGE: usize = 100;

/// Lets others go first, as every call to a real store does.
async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Storage for Memory {
    type Location = ();

    async fn head(&self, _: &(), name: &str) -> Result<ObjectInfo, StorageError> {
        pause().await;
        self.answers().await?;
        let (bytes, etag) = self.find("head", name)?;
        let last_modified = Some("2026-01-01T00:00:00Z".parse().unwrap());
        Ok(ObjectInfo {
            len: self.len_of(name, &bytes),
            etag,
            last_modified,
        })
    }

    async fn read(
        &self,
        _: &(),
        name: &str,
        range: Range<u64>,
        if_match: Option<&str>,
    ) -> Result<ObjectRead, StorageError> {
        {
            let (now, most) = &mut self.0.lock().unwrap().under_way;
            *now += 1;
            *most = (*most).max(*now);
        }
        pause().await;
        self.0.lock().unwrap().under_way.0 -= 1;
        self.answers().await?;
        if let Some(left) = &mut self.0.lock().unwrap().reads_left {
            let rest = left.checked_sub(1);
            *left = rest.ok_or_else(|| StorageError::Unavailable("a test".to_owned()))?;
        }
        let (bytes, etag) = self.find("read", name)?;
        if if_match.is_some_and(|tag| tag != etag) {
            return Err(StorageError::Changed);
        }
        let total_len = self.len_of(name, &bytes);
        if range.start >= total_len {
            return Err(StorageError::RangeNotSatisfiable);
        }
        let end = range.end.min(total_len) as usize;
        let bytes = match end <= bytes.len() {
            true => bytes.slice(range.start as usize..end),
            false => {
                let front = bytes.get(range.start as usize..).unwrap_or_default();
                let mut filled = front.to_vec();
                filled.resize(end - range.start as usize, 0);
                Bytes::from(filled)
            }
        };
        self.0.lock().unwrap().bytes_read += bytes.len() as u64;
        Ok(ObjectRead {
            bytes,
            total_len,
            etag,
        })
    }

    async fn list(&self, _: &(), limit: usize) -> Result<Vec<String>, StorageError> {
        pause().await;
        let state = self.0.lock().unwrap();
        Ok(state
            .objects
            .keys()
            .filter(|n| !n.contains('/'))
            .take(limit)
            .cloned()
            .collect())
    }

    async fn list_page(
        &self,
        _: &(),
        folder: &str,
        marker: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), StorageError> {
        pause().await;
        let mut state = self.0.lock().unwrap();
        state.calls.push(format!("list {folder}"));
        let names = state.objects.keys().filter_map(|name| {
            let name = name.strip_prefix(folder)?.strip_prefix('/')?;
            (!name.contains('/')).then(|| name.to_owned())
        });
        let from = |name: &String| marker.is_none_or(|marker| name.as_str() >= marker);
        let mut names: Vec<String> = names.filter(from).take(PAGE + 1).collect();
        let next = match names.len() > PAGE {
            true => names.pop(),
            false => None,
        };
        Ok((names, next))
    }

    async fn put(
        &self,
        _: &(),
        name: &str,
        bytes: Bytes,
        replaces: Option<&str>,
    ) -> Result<String, StorageError> {
        pause().await;
        if self.0.lock().unwrap().refuses_puts {
            return Err(StorageError::PermissionDenied(
                "AuthorizationPermissionMismatch".to_owned(),
            ));
        }
        let there = self.find("put", name).ok().map(|(_, etag)| etag);
        if there.as_deref() != replaces {
            return Err(StorageError::Changed);
        }
        self.write(name, bytes);
        let state = self.0.lock().unwrap();
        Ok(format!("\"0x{}\"", state.writes))
    }

    async fn stage(&self, _: &(), name: &str, id: &str, bytes: Bytes) -> Result<(), StorageError> {
        pause().await;
        let mut state = self.0.lock().unwrap();
        if state.refuses_puts {
            return Err(StorageError::PermissionDenied(
                "AuthorizationPermissionMismatch".to_owned(),
            ));
        }
        state.calls.push(format!("stage {name}"));
        state.parts.insert((name.to_owned(), id.to_owned()), bytes);
        Ok(())
    }

    async fn commit(
        &self,
        at: &(),
        name: &str,
        ids: &[String],
        replaces: Option<&str>,
    ) -> Result<String, StorageError> {
        let parts = {
            let mut state = self.0.lock().unwrap();
            let parts = ids
                .iter()
                .map(|id| state.parts.remove(&(name.to_owned(), id.clone())));
            let parts: Option<Vec<Bytes>> = parts.collect();
            parts.ok_or(StorageError::Changed)?.concat()
        };
        self.put(at, name, Bytes::from(parts), replaces).await
    }

    async fn scan(&self, asked: &Scan) -> Result<SubsampleMap, StorageError> {
        pause().await;
        self.0.lock().unwrap().calls.push("scan".to_owned());
        let asked = Scan::decode(asked.encode()).unwrap();
        let map = match scan(&asked, &Assembler(self)).await {
            Ok(map) => map,
            Err(AssembleError::Source(error)) => return Err(error),
            Err(error) => return Err(StorageError::Media(format!("{error:?}"))),
        };
        Ok(asked.read_map(&Scan::write_map(map)).unwrap())
    }

    fn object(&self, _: &(), name: &str, etag: &str) -> Result<Object, StorageError> {
        let name = headwater_origin::address::child::encode(name);
        Ok(Object::new(
            format!("http://memory/{name}?sig=secret"),
            (!etag.is_empty()).then(|| etag.to_owned()),
        )
        .unwrap())
    }

    /// A worker has what is in the memory below `live/`.
    async fn ask(&self, _: &Edge, path: &str) -> Result<Option<Bytes>, StorageError> {
        pause().await;
        let name = path.split('?').next().unwrap_or_default();
        match self.find("ask", name.trim_start_matches('/')) {
            Ok((bytes, _)) => Ok(Some(bytes)),
            Err(_) => Ok(None),
        }
    }
}

/// What a plan reads from a [`Memory`], as the assembler would.
struct Assembler<'a>(&'a Memory);

struct Pieces(Bytes);

impl ByteStream for Pieces {
    type Error = StorageError;
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        let len = self.0.len().min(10_000);
        Ok((len > 0).then(|| self.0.split_to(len)))
    }
}

impl RangeSource for Assembler<'_> {
    type Stream = Pieces;
    type Error = StorageError;
    async fn open(&self, object: &Object, range: Range<u64>) -> Result<Pieces, StorageError> {
        let url = object
            .url()
            .strip_prefix("http://memory/")
            .unwrap()
            .split('?')
            .next()
            .unwrap();
        let name = percent_encoding::percent_decode_str(url)
            .decode_utf8()
            .unwrap()
            .into_owned();
        let (bytes, etag) = self.0.find("media", &name)?;
        if object.if_match().is_some_and(|wanted| wanted != etag) {
            return Err(StorageError::Changed);
        }
        Ok(Pieces(
            bytes.slice(range.start as usize..range.end as usize),
        ))
    }
}

struct Collect(Vec<u8>);

impl Sink for Collect {
    type Error = ();
    async fn write(&mut self, bytes: Bytes) -> Result<(), ()> {
        self.0.extend_from_slice(&bytes);
        Ok(())
    }
}

#[derive(Clone)]
pub struct OneLocator(
    pub Published<()>,
    pub BTreeMap<String, Stored>,
    pub Option<Protection>,
    pub Vec<AddedTrack>,
    pub Memory,
);

impl Catalog for OneLocator {
    type Location = ();
    async fn resolve(&self, locator: &str) -> Result<Option<Published<()>>, CatalogError> {
        self.4.catalog_answers().await?;
        Ok((locator == LOCATOR).then(|| self.0.clone()))
    }

    async fn protection(&self, locator: &str) -> Result<Option<Protection>, CatalogError> {
        self.4.catalog_answers().await?;
        assert_eq!(locator, LOCATOR);
        Ok(self.2.clone())
    }

    async fn filters(
        &self,
        locator: &str,
        names: &[String],
    ) -> Result<Vec<Option<Stored>>, CatalogError> {
        self.4.catalog_answers().await?;
        assert_eq!(locator, LOCATOR);
        Ok(names.iter().map(|name| self.1.get(name).cloned()).collect())
    }

    async fn added_tracks(&self, locator: &str) -> Result<Vec<AddedTrack>, CatalogError> {
        self.4.catalog_answers().await?;
        assert_eq!(locator, LOCATOR);
        Ok(self.3.clone())
    }

    async fn cross_site(&self) -> Result<(Vec<CrossSite>, Vec<CrossSite>), CatalogError> {
        self.4.catalog_answers().await?;
        let endpoint = CrossSite {
            client_access: Some("<access-policy/>".into()),
            ..CrossSite::default()
        };
        Ok((vec![endpoint], Vec::new()))
    }
}

/// Why a plan was not carried out.
enum Broken {
    Changed(StorageError),
    Media(String),
}

pub struct Bench {
    pub storage: Memory,
    pub origin: Origin<OneLocator, Memory>,
    pub now: Timestamp,
    /// What [`Bench::ask`] asks for, and from where.
    pub host: Option<&'static str>,
    pub client: Option<std::net::IpAddr>,
}

pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Got {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub fn code(&self) -> String {
        let text = self.text();
        let at = text
            .find("\"code\":\"")
            .unwrap_or_else(|| panic!("a problem body: {text}"))
            + 8;
        text[at..].split('"').next().unwrap().to_owned()
    }
}

pub fn published() -> Published<()> {
    Published {
        start: None,
        end: None,
        suppressed: false,
        endpoints: vec![Endpoint::default()],
        protocols: Protocols {
            hls: true,
            dash: true,
            smooth: true,
            download: true,
        },
        encrypted: Encrypted::default(),
        filters: Vec::new(),
        place: "memory".to_owned(),
        location: (),
        live: None,
    }
}

impl Bench {
    pub fn new(storage: Memory) -> Self {
        Self::with(storage, published())
    }

    pub fn with(storage: Memory, published: Published<()>) -> Self {
        Self::filtered(storage, published, &[])
    }

    /// `filters`: name and properties.
    pub fn filtered(storage: Memory, published: Published<()>, filters: &[(&str, &str)]) -> Self {
        Self::made(storage, published, filters, None, &[])
    }

    /// With tracks that were added through the API.
    pub fn added(storage: Memory, filters: &[(&str, &str)], added: &[AddedTrack]) -> Self {
        Self::made(storage, published(), filters, None, added)
    }

    /// The same, of what is published in another way.
    pub fn added_to(storage: Memory, published: Published<()>, added: &[AddedTrack]) -> Self {
        Self::made(storage, published, &[], None, added)
    }

    /// Nothing goes out in the clear; what `protection` has goes out in every protocol.
    pub fn protected(storage: Memory, protection: Protection) -> Self {
        Self::protected_with(storage, protection, &[])
    }

    /// The same, with tracks that were added through the API.
    pub fn protected_with(storage: Memory, protection: Protection, added: &[AddedTrack]) -> Self {
        Self::guarded(storage, published(), protection, added)
    }

    /// The same, of what is published in another way.
    pub fn guarded(
        storage: Memory,
        published: Published<()>,
        protection: Protection,
        added: &[AddedTrack],
    ) -> Self {
        let all = Protocols {
            hls: true,
            dash: true,
            smooth: true,
            download: false,
        };
        let of = |way| match protection.schemes.iter().any(|s| s.way == way) {
            true => all,
            false => Protocols::default(),
        };
        let published = Published {
            protocols: Protocols::default(),
            encrypted: Encrypted {
                envelope: of(Way::Envelope),
                cenc: of(Way::Cenc),
                cbcs: of(Way::Cbcs),
            },
            ..published
        };
        Self::made(storage, published, &[], Some(protection), added)
    }

    fn made(
        storage: Memory,
        published: Published<()>,
        filters: &[(&str, &str)],
        protection: Option<Protection>,
        added: &[AddedTrack],
    ) -> Self {
        let filters = filters.iter().map(|(name, properties)| {
            let properties: serde_json::Value = serde_json::from_str(properties).unwrap();
            let filter = Filter::read(properties.as_object().unwrap());
            ((*name).to_owned(), filter)
        });
        let origin = Origin::new(
            OneLocator(
                published,
                filters.collect(),
                protection,
                added.to_vec(),
                storage.clone(),
            ),
            storage.clone(),
            CacheSizes::default(),
            |line| LOGGED.with_borrow_mut(|lines| lines.push(line.to_owned())),
        );
        Self {
            storage,
            origin,
            now: "2026-06-01T00:00:00Z".parse().unwrap(),
            host: None,
            client: None,
        }
    }

    pub fn get(&self, path: &str) -> Got {
        self.ask(Method::GET, path, &[])
    }

    /// The plan that a GET of `path` is answered with.
    pub fn plan(&self, path: &str) -> Option<headwater_plan::Plan> {
        let path = format!("/{LOCATOR}/{path}");
        let headers = HeaderMap::new();
        let request = Request {
            method: &Method::GET,
            path: &path,
            query: "",
            host: None,
            client: None,
            headers: &headers,
            now: self.now,
        };
        match block_on(self.origin.handle(&request, Freshness::Remembered)).into_body() {
            Body::Plan(plan) => Some(plan),
            _ => None,
        }
    }

    /// `path`: relative to the locator, with a query if there is one.
    pub fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Got {
        self.asked(method, path, headers).unwrap()
    }

    /// The same. Err if the assembler cannot carry out the plan, as the media is not what it is said to be: the client's answer
    /// breaks off then.
    pub fn asked(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Got, String> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = format!("/{LOCATOR}/{path}");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let request = Request {
            method: &method,
            path: &path,
            query,
            host: self.host,
            client: self.client,
            headers: &map,
            now: self.now,
        };
        let mut response = block_on(self.origin.handle(&request, Freshness::Remembered));
        let mut body = self.body(&response);
        if let Err(Broken::Changed(_)) = body {
            // What the component does when the assembler says 412.
            response = block_on(self.origin.handle(&request, Freshness::Looked));
            body = self.body(&response);
        }
        let body = match body {
            Ok(body) => body,
            Err(Broken::Media(why)) => return Err(why),
            Err(Broken::Changed(error)) => panic!("{path}: {error}"),
        };
        assert_eq!(
            response
                .headers()
                .get_all("access-control-allow-origin")
                .iter()
                .count(),
            1
        );
        if method != Method::HEAD
            && let Some(len) = response.headers().get("content-length")
        {
            assert_eq!(
                len.to_str().unwrap(),
                body.len().to_string(),
                "content-length of {path}"
            );
        }
        let got = Got {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
        };
        let plain = got.status == 200 && got.header("content-encoding").is_empty();
        if plain && !got.body.is_empty() && got.header("content-type") == "application/dash+xml" {
            crate::schema::check(got.text());
        }
        Ok(got)
    }

    fn body(&self, response: &Response<Body>) -> Result<Bytes, Broken> {
        match response.body() {
            Body::Empty | Body::Growing(_) => Ok(Bytes::new()),
            Body::Bytes(bytes) => Ok(bytes.clone()),
            Body::Plan(plan) => {
                let decoded = headwater_plan::Plan::decode(plan.encode()).unwrap();
                let mut sink = Collect(Vec::new());
                match block_on(assemble(&decoded, &Assembler(&self.storage), &mut sink)) {
                    Ok(len) => assert_eq!(len, plan.total_len()),
                    Err(AssembleError::Source(error)) => return Err(Broken::Changed(error)),
                    Err(AssembleError::Media(fault)) => {
                        return Err(Broken::Media(format!("{fault:?}")));
                    }
                    Err(error) => panic!("{error:?}"),
                }
                Ok(sink.0.into())
            }
        }
    }
}

/// Resolves a child URL against a parent's path, as players do (RFC 3986 §5.2, no dots).
pub fn resolve(base: &str, child: &str) -> String {
    match base.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{child}"),
        None => child.to_owned(),
    }
}

/// URLs of a playlist: every line that is not a tag.
pub fn uris(playlist: &str) -> Vec<String> {
    playlist
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Values of a quoted attribute, wherever it occurs but in what lists I-frame playlists.
pub fn attributes(playlist: &str, name: &str) -> Vec<String> {
    let needle = format!("{name}=\"");
    let lines = playlist
        .lines()
        .filter(|l| !l.starts_with("#EXT-X-I-FRAME-STREAM-INF"));
    let lines = lines.collect::<Vec<_>>().join("\n");
    lines
        .match_indices(&needle)
        .map(|(at, _)| {
            lines[at + needle.len()..]
                .split('"')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

/// Init segment and segments of the first Representation in the set of key frames of an MPD at `path`, and how many times
/// as fast it may be played.
pub fn dash_key_frames(path: &str, mpd: &str) -> (Vec<String>, u32) {
    let document = roxmltree::Document::parse(mpd).unwrap();
    let named = |name: &'static str| {
        move |node: &roxmltree::Node<'_, '_>| {
            node.has_tag_name(("urn:mpeg:dash:schema:mpd:2011", name))
        }
    };
    let sets: Vec<_> = document
        .descendants()
        .filter(named("AdaptationSet"))
        .collect();
    let trick = sets.iter().find(|set| {
        let mut properties = set.children().filter(named("EssentialProperty"));
        properties
            .any(|p| p.attribute("schemeIdUri") == Some("http://dashif.org/guidelines/trickmode"))
    });
    let set = trick.unwrap_or_else(|| panic!("no key frames: {mpd}"));
    let of = set
        .children()
        .find(named("EssentialProperty"))
        .unwrap()
        .attribute("value");
    let main = sets.iter().find(|set| set.attribute("id") == of).unwrap();
    assert_eq!(main.attribute("contentType"), Some("video"));
    let template = set.descendants().find(named("SegmentTemplate")).unwrap();
    let bandwidth = set
        .descendants()
        .find(named("Representation"))
        .unwrap()
        .attribute("bandwidth")
        .unwrap();
    let filled = |name: &str, time: u64| {
        let url = template
            .attribute(name)
            .unwrap()
            .replace("$Bandwidth$", bandwidth);
        resolve(path, &url.replace("$Time$", &time.to_string()))
    };
    let mut urls = vec![filled("initialization", 0)];
    let mut at = 0;
    for run in template.descendants().filter(named("S")) {
        let number = |name: &str| run.attribute(name).map(|n| n.parse::<u64>().unwrap());
        at = number("t").unwrap_or(at);
        for _ in 0..=number("r").unwrap_or(0) {
            urls.push(filled("media", at));
            at += number("d").unwrap();
        }
    }
    let rate = set.attribute("maxPlayoutRate").unwrap().parse().unwrap();
    (urls, rate)
}

/// Runs ffmpeg in `folder`.
pub fn ffmpeg(folder: &Path, args: &[&str]) {
    let output = Command::new("ffmpeg")
        .current_dir(folder)
        .args(["-v", "error", "-y"])
        .args(args)
        .output()
        .expect("ffmpeg is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The media playlist of the first track: its path, and what it says.
pub fn playlist(bench: &Bench, name: &str) -> (String, Got) {
    let master = bench.get(&format!("{name}.ism/manifest(format=m3u8-cmaf)"));
    assert_eq!(master.status, 200, "{}", master.text());
    let path = format!("{name}.ism/{}", uris(master.text())[0]);
    let playlist = bench.get(&path);
    (path, playlist)
}

/// Init segment and media segments of the only track.
pub fn parts(bench: &Bench, name: &str) -> Vec<Vec<u8>> {
    let (path, playlist) = playlist(bench, name);
    let init = attributes(playlist.text(), "URI");
    let uris = init.into_iter().chain(uris(playlist.text()));
    uris.map(|uri| bench.get(&resolve(&path, &uri)).body.to_vec())
        .collect()
}
