//! Answers that the host gives again without asking the component (RFC 9111, in memory).
//!
//! A component says which ones, and for how long, by the targeted field `Headwater-Cache-Control: max-age=SECONDS`
//! (RFC 9213, but that fractions of a second count), which no client sees; the manifest says for which components it is believed
//! (`tool.headwater.cache = true`). Nothing else is kept: not what sets cookies, not what is longer than
//! [`MAX_BODY_BYTES`], and of what `Vary`s only what does so by `Accept-Encoding` or `Origin`: one answer for each value,
//! found through an entry that says by which (RFC 9111 §4.1). What a CDN is told to fetch ahead is in answers to those alone who ask
//! for it, and they do not say so by `Vary`, with which some CDNs would keep nothing. Requests for the same thing that come while the
//! component makes it wait for that one answer, so a
//! thousand players at the live edge are one call. What is still growing (200 without a length) is read once for all who come while it does.
//! Of other answers than 200 those are kept that say "not yet" (404 and 412), where a component marks them: who is early is seldom alone.
//!
//! Requests with `Range`, `Authorization` or conditions other than `If-None-Match` go past it.

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, AGE, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, ORIGIN, RANGE, SET_COOKIE,
    VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime_wasi_http::WasiBody;

use crate::outgoing::full_body;
use crate::problem;
use crate::shared_body::SharedBody;

/// Longest body that is kept.
const MAX_BODY_BYTES: u64 = 4 << 20;
/// What a body counts for that is still coming.
const GROWING_WEIGHT: usize = 1 << 20;
/// Longest time that an answer is kept, whatever a component says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long it is remembered that an answer is not kept, so that those who ask for it do not wait for one another.
const PASSES: Duration = Duration::from_secs(1);
/// How long a request waits for another one's answer before it asks by itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a component says to us alone.
const TARGETED: HeaderName = HeaderName::from_static("headwater-cache-control");
const VARYING: usize = 2;
/// Headers that kept answers may vary by, in the order in which keys name them.
const VARIES_BY: [HeaderName; VARYING] = [ACCEPT_ENCODING, ORIGIN];
/// Who sets it to 1 is told what to fetch ahead.
const ASSISTED: HeaderName = HeaderName::from_static("cdn-origin-assist-prefetch-enabled");
/// Longest value of one of them; requests with a longer one go past the cache.
const MAX_VARIED_BYTES: usize = 512;
/// How long it is remembered by what an answer varies.
const VARIES: Duration = Duration::from_secs(60);
/// Headers that may not turn a request into one of many.
const SPECIAL: [HeaderName; 6] = [
    RANGE,
    IF_RANGE,
    IF_MATCH,
    IF_UNMODIFIED_SINCE,
    IF_MODIFIED_SINCE,
    AUTHORIZATION,
];

/// Kept answers, the least useful of which go first.
pub(crate) struct ResponseCache {
    entries: Cache<String, Entry, Weight>,
    hits: metrics::Counter,
    misses: metrics::Counter,
}

#[derive(Clone)]
enum Entry {
    Kept(Arc<Kept>),
    /// Still coming, and not to be waited for.
    Growing(Arc<Growing>),
    /// Not kept, and nothing to wait for.
    Passes {
        until: Instant,
    },
    /// Kept under other keys: see [`Question::variant`].
    Varies {
        by: Variation,
        until: Instant,
    },
}

/// Which of [`VARIES_BY`] make a difference.
type Variation = [bool; VARYING];

impl Entry {
    fn is_over(&self, now: Instant) -> bool {
        match self {
            Self::Growing(growing) => !growing.is_of_use(now),
            entry => entry.until() <= now,
        }
    }

    fn until(&self) -> Instant {
        match self {
            Self::Kept(kept) => kept.until,
            Self::Growing(growing) => growing.until,
            Self::Passes { until } | Self::Varies { until, .. } => *until,
        }
    }
}

/// A 200 without an end so far.
struct Growing {
    headers: HeaderMap,
    body: Arc<SharedBody>,
    until: Instant,
}

struct Kept {
    /// 200, 404 or 412.
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    made: Instant,
    until: Instant,
}

#[derive(Clone)]
struct Weight;

impl Weighter<String, Entry> for Weight {
    fn weight(&self, key: &String, entry: &Entry) -> u64 {
        let kept = match entry {
            // A header is about so long, with what holds it.
            Entry::Kept(kept) => kept.body.len() + kept.headers.len() * 128,
            // Whatever it will be; there is one for each track.
            Entry::Growing(_) => GROWING_WEIGHT,
            Entry::Passes { .. } | Entry::Varies { .. } => 0,
        };
        (key.len() + kept + 128) as u64
    }
}

/// A request that a kept answer may answer.
pub(crate) struct Question {
    key: String,
    /// Values of [`VARIES_BY`].
    varied: [String; VARYING],
    is_head: bool,
    if_none_match: Option<HeaderValue>,
}

impl Question {
    /// `None` for a request that goes past the cache.
    pub(crate) fn of(request: &Request<WasiBody>) -> Option<Self> {
        let is_head = *request.method() == Method::HEAD;
        if !(is_head || *request.method() == Method::GET) || !request.body().is_end_stream() {
            return None;
        }
        let headers = request.headers();
        if SPECIAL.iter().any(|name| headers.contains_key(name)) {
            return None;
        }
        let varied = VARIES_BY.map(|name| value_of(headers, &name));
        if varied.iter().any(|value| value.len() > MAX_VARIED_BYTES) {
            return None;
        }
        let mut tags = headers.get_all(IF_NONE_MATCH).iter();
        let if_none_match = tags.next().cloned();
        if tags.next().is_some() {
            return None;
        }
        let authority = match request.uri().authority() {
            Some(authority) => authority.as_str(),
            None => headers.get(http::header::HOST)?.to_str().ok()?,
        };
        let target = request.uri().path_and_query()?.as_str();
        let mut key = String::with_capacity(authority.len() + target.len());
        key.push_str(authority);
        key.push_str(target);
        if headers.get(ASSISTED).is_some_and(|value| value == "1") {
            // No target holds a space.
            key.push_str(" assisted");
        }
        Some(Self {
            key,
            varied,
            is_head,
            if_none_match,
        })
    }

    /// The key of the answer to this question among those that vary `by`; without any variation that of all of them.
    fn variant(&self, by: Variation) -> String {
        let mut key = self.key.clone();
        for ((varies, name), value) in by.iter().zip(&VARIES_BY).zip(&self.varied) {
            if *varies {
                // No target holds a space.
                key.push(' ');
                key.push_str(name.as_str());
                key.push('=');
                key.push_str(value);
            }
        }
        key
    }
}

/// A field's value without what makes no difference: order, case and spaces of the codings that are accepted.
fn value_of(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter();
    let text = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let text = text.collect::<Vec<_>>().join(",");
    if *name != ACCEPT_ENCODING {
        return text;
    }
    let spaceless: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let lower = spaceless.to_ascii_lowercase();
    let mut codings: Vec<&str> = lower.split(',').filter(|item| !item.is_empty()).collect();
    codings.sort_unstable();
    codings.dedup();
    codings.join(",")
}

impl ResponseCache {
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            // The estimate only sizes tables; the bound is the weight.
            entries: Cache::with_weighter((bytes / 4096).clamp(16, 65_536) as usize, bytes, Weight),
            hits: metrics::counter!("headwater_cache_hits_total"),
            misses: metrics::counter!("headwater_cache_misses_total"),
        }
    }

    /// The answer to `question`: one that is kept, or what `ask` gives.
    pub(crate) async fn answer(
        &self,
        question: Question,
        ask: impl Future<Output = Response<WasiBody>>,
    ) -> Response<WasiBody> {
        let mut key = question.key.clone();
        // The second round is for one of several variants.
        for _ in 0..2 {
            let now = Instant::now();
            match self.entries.get(&key) {
                Some(Entry::Kept(kept)) if kept.until > now => {
                    self.hits.increment(1);
                    return kept.answer(&question, now);
                }
                Some(Entry::Growing(growing)) if growing.is_of_use(now) && !question.is_head => {
                    self.hits.increment(1);
                    return growing.answer();
                }
                Some(Entry::Growing(growing)) if growing.is_of_use(now) => return ask.await,
                Some(Entry::Passes { until }) if until > now => return ask.await,
                Some(Entry::Varies { by, until }) if until > now => {
                    key = question.variant(by);
                    continue;
                }
                Some(_) => {
                    self.entries.remove_if(&key, |entry| entry.is_over(now));
                }
                None => {}
            }
            if question.is_head {
                return ask.await;
            }
            let turn = self.entries.get_value_or_guard_async(&key);
            match tokio::time::timeout(PATIENCE, turn).await {
                Ok(Ok(Entry::Kept(kept))) => {
                    self.hits.increment(1);
                    return kept.answer(&question, Instant::now());
                }
                Ok(Ok(Entry::Growing(growing))) => {
                    self.hits.increment(1);
                    return growing.answer();
                }
                Ok(Ok(Entry::Passes { .. })) | Err(_) => return ask.await,
                Ok(Ok(Entry::Varies { by, .. })) => key = question.variant(by),
                Ok(Err(guard)) => {
                    self.misses.increment(1);
                    let (response, entry) = self.keep(&question, &key, ask.await).await;
                    // It may have been thrown out meanwhile, which is as good.
                    let _ = guard.insert(entry);
                    return response;
                }
            }
        }
        ask.await
    }

    /// The answer to `question` from a component's `response`, and what belongs under `key`.
    async fn keep(
        &self,
        question: &Question,
        key: &str,
        mut response: Response<WasiBody>,
    ) -> (Response<WasiBody>, Entry) {
        let now = Instant::now();
        let passes = Entry::Passes {
            until: now + PASSES,
        };
        let Some((lifetime, by)) = lifetime(&response).zip(variation(response.headers())) else {
            return (response, passes);
        };
        response.headers_mut().remove(TARGETED);
        let is_growing = length(&response).is_none();
        let (head, body) = response.into_parts();
        if is_growing {
            let growing = Growing {
                headers: head.headers,
                body: SharedBody::of(body),
                until: now + lifetime,
            };
            let response = growing.answer();
            return self.placed(
                question,
                key,
                by,
                (response, Entry::Growing(Arc::new(growing))),
            );
        }
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                tracing::warn!("an answer that was to be kept broke off: {error}");
                let why = "The component's answer broke off.";
                return (problem::response(StatusCode::BAD_GATEWAY, why), passes);
            }
        };
        let kept = Arc::new(Kept {
            status: head.status,
            headers: head.headers,
            body,
            made: now,
            until: now + lifetime,
        });
        let response = kept.answer(question, now);
        self.placed(question, key, by, (response, Entry::Kept(kept)))
    }

    /// What belongs under `key` where the entry is for those questions that are alike `by`.
    fn placed(
        &self,
        question: &Question,
        key: &str,
        by: Variation,
        (response, entry): (Response<WasiBody>, Entry),
    ) -> (Response<WasiBody>, Entry) {
        let place = question.variant(by);
        if place == key {
            return (response, entry);
        }
        self.entries.insert(place, entry);
        let until = Instant::now() + VARIES;
        (response, Entry::Varies { by, until })
    }
}

/// By what a response varies; `None` if by something that is not looked at.
fn variation(headers: &HeaderMap) -> Option<Variation> {
    let mut by = Variation::default();
    for list in headers.get_all(VARY) {
        for name in list.to_str().ok()?.split(',').map(str::trim) {
            if name.is_empty() {
                continue;
            }
            let at = VARIES_BY
                .iter()
                .position(|known| name.eq_ignore_ascii_case(known.as_str()))?;
            by[at] = true;
        }
    }
    Some(by)
}

/// Takes out what a component says to the cache alone.
pub(crate) fn unmark(response: &mut Response<WasiBody>) {
    response.headers_mut().remove(TARGETED);
}

/// For how long a response may be kept; `None` if not at all.
fn lifetime(response: &Response<WasiBody>) -> Option<Duration> {
    let headers = response.headers();
    let seconds: f64 = headers
        .get(TARGETED)?
        .to_str()
        .ok()?
        .strip_prefix("max-age=")?
        .parse()
        .ok()?;
    let lifetime = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|lifetime| *lifetime <= LONGEST)?;
    let length = length(response);
    let fits = match response.status() {
        StatusCode::OK => length.is_none_or(|len| len <= MAX_BODY_BYTES),
        StatusCode::NOT_FOUND | StatusCode::PRECONDITION_FAILED => {
            length.is_some_and(|len| len <= MAX_BODY_BYTES)
        }
        _ => false,
    };
    let may_be = fits && !lifetime.is_zero() && !headers.contains_key(SET_COOKIE);
    may_be.then_some(lifetime)
}

/// Of the body, as it is known or announced. A body that a component hands on is not there yet.
fn length(response: &Response<WasiBody>) -> Option<u64> {
    let announced = || {
        let value = response.headers().get(CONTENT_LENGTH)?;
        value.to_str().ok()?.parse().ok()
    };
    response.body().size_hint().exact().or_else(announced)
}

impl Growing {
    fn is_of_use(&self, now: Instant) -> bool {
        self.until > now && !self.body.is_broken()
    }

    fn answer(&self) -> Response<WasiBody> {
        let mut response = Response::new(self.body.body());
        *response.headers_mut() = self.headers.clone();
        response
    }
}

impl Kept {
    fn answer(&self, question: &Question, now: Instant) -> Response<WasiBody> {
        let mut headers = self.headers.clone();
        headers.insert(AGE, now.duration_since(self.made).as_secs().into());
        let fresh = match (&question.if_none_match, headers.get(ETAG)) {
            (Some(asked), Some(etag)) => lists(asked, etag),
            _ => false,
        };
        // Errors have no tag.
        let mut response = Response::new(full_body(if fresh || question.is_head {
            Bytes::new()
        } else {
            self.body.clone()
        }));
        *response.status_mut() = self.status;
        if fresh {
            headers.remove(CONTENT_LENGTH);
            headers.remove(CONTENT_TYPE);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            headers.insert(CONTENT_LENGTH, self.body.len().into());
        }
        *response.headers_mut() = headers;
        response
    }
}

/// Whether a list of entity tags holds `*` or `etag`, by the weak comparison (RFC 9110 §8.8.3.2).
fn lists(list: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(list), Ok(etag)) = (list.to_str(), etag.to_str()) else {
        return false;
    };
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    list.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || opaque(tag) == opaque(etag))
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
