//! One request from its bytes to its answer, over ports.
//!
//! An unknown key, a key that nobody gives out here, one whose policy has no option for the key system, and a token that is not
//! genuine all get the same 401: whoever has no good token learns nothing about which keys there are.

use std::cell::RefCell;
use std::sync::Arc;

use headwater_protect::{Key, Kid, Rotation, rotation};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::answer::{Failure, found, preflight};
use crate::discovery::{self, Discovery, MAX_DOCUMENT_BYTES};
use crate::policy::{Configuration, KeyPolicy, Refusal, System};
use crate::request::{KeyRequest, RequestError, token_of};
use crate::token::{Accepted, KeySet, TokenError};
use crate::{Backend, Licence, MAX_ANSWER_BYTES, Message, clearkey};

/// A key as it is stored, once for each policy that gives it out.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Whose it is.
    pub project: String,
    /// The id of the policy that gives it out, for counting.
    pub policy_id: Uuid,
    /// That policy.
    pub policy: Arc<KeyPolicy>,
    /// Its id.
    pub id: Kid,
    /// The key.
    pub value: Key,
    /// How often the keys change that are given out in its place, which are derived from it.
    pub rotation: Option<Rotation>,
}

/// What a key is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// To be handed over.
    Value,
    /// To have a licence made by somebody else.
    Licence,
}

/// Live media may be ahead of the clock by so many seconds: encoders' clocks run.
const AHEAD_S: u64 = 600;

impl StoredKey {
    /// The key that `kid` names. `None` if it names none of this one's, or one that is too far in the future: of periods there
    /// are those that have been, the present one and the next.
    ///
    /// Where keys rotate the stored one is all of them. It is not handed over; by its name licences may be asked for, as
    /// `listPaths` says where they are before there is a period.
    fn named(&self, kid: Kid, wanted: Wanted, now: Timestamp) -> Option<Key> {
        let Some(every) = self.rotation else {
            return (kid == self.id).then(|| self.value.clone());
        };
        if kid == self.id {
            return (wanted == Wanted::Licence).then(|| self.value.clone());
        }
        let (period, key) = rotation::resolve(kid, self.id, &self.value)?;
        let now = u64::try_from(now.as_second()).unwrap_or(0);
        let latest = now
            .saturating_add(every.seconds().into())
            .saturating_add(AHEAD_S);
        (period.start(every) <= latest).then_some(key)
    }
}

/// One use of a token whose uses are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUse {
    /// Of the policy that the token was accepted by.
    pub policy_id: Uuid,
    /// Tells tokens apart.
    pub fingerprint: [u8; 32],
    /// How often it may be used in all.
    pub most: u64,
    /// When the count can be forgotten: seconds since the epoch.
    pub expires: i64,
}

/// Where keys are, and where uses are counted.
#[allow(async_fn_in_trait)] // Guests are single-threaded.
pub trait KeyStore {
    /// Every policy's view of the key with this id, and of those that the id of a period may lead to ([`rotation`]); none if there
    /// is no such key.
    ///
    /// Errors: what went wrong, for the log.
    async fn find(&self, kid: Kid) -> Result<Vec<StoredKey>, String>;

    /// Counts a use, in one step with the check. Whether there was one left.
    ///
    /// Errors: what went wrong, for the log.
    async fn count(&self, used: &TokenUse) -> Result<bool, String>;
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboundFault {
    /// It took too long.
    Timeout,
    /// Anything else.
    Failed,
}

/// Other people's servers.
#[allow(async_fn_in_trait)]
pub trait Outbound {
    /// Sends a request and reads the answer, of at most `limit` bytes, in bounded time. Redirects are answers.
    async fn send(
        &self,
        request: Request<Vec<u8>>,
        limit: usize,
    ) -> Result<Response<Vec<u8>>, OutboundFault>;
}

/// Delivers keys. Kept between requests for what providers publish.
pub struct Delivery {
    backends: Vec<Backend>,
    discovery: RefCell<Discovery>,
    log: fn(&str),
}

/// A request as it came.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// Behind `/keys`.
    pub path: &'a str,
    /// Without its question mark; empty without one.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, at most a byte longer than [`crate::MAX_BODY_BYTES`].
    pub body: &'a [u8],
    /// The time.
    pub now: Timestamp,
}

impl Delivery {
    /// `log`: gets lines without secrets.
    pub fn new(backends: Vec<Backend>, log: fn(&str)) -> Self {
        Self {
            backends,
            discovery: RefCell::default(),
            log,
        }
    }

    /// Answers a request.
    pub async fn answer<S: KeyStore, O: Outbound>(
        &self,
        store: &S,
        outbound: &O,
        asked: &Asked<'_>,
    ) -> Response<Vec<u8>> {
        let mut response = if asked.method == Method::OPTIONS {
            preflight(asked.headers)
        } else {
            match self.deliver(store, outbound, asked).await {
                Ok(response) => response,
                Err(failure) => failure.response(),
            }
        };
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(VARY, HeaderValue::from_static("Authorization"));
        response
    }

    async fn deliver<S: KeyStore, O: Outbound>(
        &self,
        store: &S,
        outbound: &O,
        asked: &Asked<'_>,
    ) -> Result<Response<Vec<u8>>, Failure> {
        let request = KeyRequest::read(asked.method, asked.path, asked.query, asked.body)
            .map_err(Failure::Request)?;
        let token = token_of(asked.headers, asked.query, asked.body);
        let access = Access {
            delivery: self,
            store,
            outbound,
            token: token.as_deref(),
            now: asked.now,
            counted: RefCell::default(),
        };
        match request {
            KeyRequest::Raw(kid) => {
                let granted = access.grant(System::ClearKey, kid, Wanted::Value).await?;
                Ok(found(
                    "application/octet-stream",
                    granted.key.expose().to_vec(),
                ))
            }
            KeyRequest::ClearKey(kids) => {
                let mut keys = Vec::new();
                let mut first = None;
                for kid in kids {
                    match access.grant(System::ClearKey, kid, Wanted::Value).await {
                        Ok(granted) => keys.push((kid, granted.key)),
                        Err(Failure::Refused(refusal)) => {
                            first = first.or(Some(Failure::Refused(refusal)))
                        }
                        Err(failure) => return Err(failure),
                    }
                }
                match (keys.is_empty(), first) {
                    (true, Some(failure)) => Err(failure),
                    _ => Ok(found("application/json", clearkey::licence(&keys))),
                }
            }
            KeyRequest::Licence {
                system,
                kids,
                challenge,
            } => {
                let mut granted = None;
                for kid in &kids {
                    // All of them, or none: what the licence server makes of the message is its own affair.
                    granted = Some(access.grant(system, *kid, Wanted::Licence).await?);
                }
                let granted = granted.ok_or(Failure::Request(RequestError::Malformed(
                    "no key is asked for",
                )))?;
                let message = Message {
                    kids: &kids,
                    challenge: &challenge,
                    configuration: Some(&granted.configuration),
                };
                self.carry(outbound, system, &granted.project, &message)
                    .await
            }
            KeyRequest::WidevineCertificate(kid) => {
                let project = match kid {
                    Some(kid) => access.project_of(System::Widevine, kid).await?,
                    None => None,
                };
                let message = Message {
                    kids: &[],
                    challenge: &[0x08, 0x04],
                    configuration: None,
                };
                let project = project.unwrap_or_default();
                self.carry(outbound, System::Widevine, &project, &message)
                    .await
            }
        }
    }

    async fn carry<O: Outbound>(
        &self,
        outbound: &O,
        system: System,
        project: &str,
        message: &Message<'_>,
    ) -> Result<Response<Vec<u8>>, Failure> {
        let backend = Backend::choose(&self.backends, system, project).ok_or(Failure::NoBackend)?;
        let bad = |error: crate::BackendError| {
            (self.log)(&format!("{system:?} licence server: {error}"));
            Failure::Upstream(StatusCode::BAD_GATEWAY)
        };
        let request = backend.request(message).map_err(bad)?;
        let answer = outbound
            .send(request, MAX_ANSWER_BYTES)
            .await
            .map_err(|fault| {
                (self.log)(&format!("{system:?} licence server: {fault:?}"));
                Failure::Upstream(match fault {
                    OutboundFault::Timeout => StatusCode::GATEWAY_TIMEOUT,
                    OutboundFault::Failed => StatusCode::BAD_GATEWAY,
                })
            })?;
        let (parts, body) = answer.into_parts();
        let content_type = parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let Licence {
            status,
            content_type,
            body,
        } = backend
            .answer(parts.status, content_type, body)
            .map_err(bad)?;
        let mut response = found(content_type, body);
        *response.status_mut() = status;
        Ok(response)
    }

    /// Asks providers whose keys are not there, not fresh, or lack the key that a token names.
    async fn refresh<O: Outbound>(
        &self,
        outbound: &O,
        policy: &KeyPolicy,
        system: System,
        unknown: bool,
        now: Timestamp,
    ) {
        for (url, issuer) in policy.discoveries(system) {
            let wanted = self
                .discovery
                .borrow_mut()
                .wanted(url, issuer, unknown, now);
            let Some(wanted) = wanted else { continue };
            match fetch(outbound, &wanted).await {
                Ok((keys, max_age)) => self
                    .discovery
                    .borrow_mut()
                    .store(&wanted, keys, max_age, now),
                Err(fault) => (self.log)(&format!("the keys of an OpenID provider: {fault}")),
            }
        }
    }
}

/// A key with whom it was granted by.
struct Granted {
    key: Key,
    project: String,
    configuration: Arc<Configuration>,
}

/// One request's way to keys.
struct Access<'a, S, O> {
    delivery: &'a Delivery,
    store: &'a S,
    outbound: &'a O,
    token: Option<&'a str>,
    now: Timestamp,
    /// Policies that have counted this request's token: one request is one use, however many keys it asks for.
    counted: RefCell<Vec<Uuid>>,
}

impl<S: KeyStore, O: Outbound> Access<'_, S, O> {
    async fn find(&self, kid: Kid) -> Result<Vec<StoredKey>, Failure> {
        self.store.find(kid).await.map_err(|error| {
            (self.delivery.log)(&format!("the catalog: {error}"));
            Failure::Store
        })
    }

    /// Whose the key is, for those who would be granted it. Of a token no use is counted: nothing of the key is handed over.
    /// `None` for all others, who learn nothing.
    async fn project_of(&self, system: System, kid: Kid) -> Result<Option<String>, Failure> {
        for key in self.find(kid).await? {
            if key.named(kid, Wanted::Licence, self.now).is_some()
                && self.judge(system, kid, &key).await.is_ok()
            {
                return Ok(Some(key.project));
            }
        }
        Ok(None)
    }

    async fn grant(&self, system: System, kid: Kid, wanted: Wanted) -> Result<Granted, Failure> {
        let mut refusal = Refusal::System;
        for key in self.find(kid).await? {
            let Some(value) = key.named(kid, wanted, self.now) else {
                continue;
            };
            match self.try_policy(system, kid, &key).await? {
                Ok(configuration) => {
                    return Ok(Granted {
                        key: value,
                        project: key.project,
                        configuration,
                    });
                }
                Err(refused @ Refusal::Forbidden(_)) => refusal = refused,
                Err(refused) if refusal == Refusal::System => refusal = refused,
                Err(_) => {}
            }
        }
        Err(Failure::Refused(refusal))
    }

    async fn try_policy(
        &self,
        system: System,
        kid: Kid,
        key: &StoredKey,
    ) -> Result<Result<Arc<Configuration>, Refusal>, Failure> {
        let (configuration, token) = match self.judge(system, kid, key).await {
            Ok(granted) => granted,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match token {
            Some(token) if !self.use_up(key.policy_id, &token).await? => {
                Ok(Err(Refusal::Forbidden(TokenError::Uses)))
            }
            _ => Ok(Ok(configuration)),
        }
    }

    /// What the key's policy says, with what providers publish.
    async fn judge(
        &self,
        system: System,
        kid: Kid,
        key: &StoredKey,
    ) -> Result<(Arc<Configuration>, Option<Accepted>), Refusal> {
        let policy = &*key.policy;
        self.delivery
            .refresh(self.outbound, policy, system, false, self.now)
            .await;
        let mut verdict = self.decide(policy, system, (kid, key.id));
        if matches!(
            verdict,
            Err(Refusal::Unauthenticated(TokenError::UnknownKey))
        ) {
            self.delivery
                .refresh(self.outbound, policy, system, true, self.now)
                .await;
            verdict = self.decide(policy, system, (kid, key.id));
        }
        verdict
    }

    /// `kid`: what is asked for. `stored`: another id of it, where keys rotate. A token may name either.
    fn decide(
        &self,
        policy: &KeyPolicy,
        system: System,
        (kid, stored): (Kid, Kid),
    ) -> Result<(Arc<Configuration>, Option<Accepted>), Refusal> {
        let discovery = self.delivery.discovery.borrow();
        let keys = |url: &str, issuer: &str| discovery.keys(url, issuer, self.now);
        let mut decision = policy.decide(system, stored, self.token, keys, self.now);
        if kid != stored && matches!(decision, Err(Refusal::Forbidden(_))) {
            decision = policy.decide(system, kid, self.token, keys, self.now);
        }
        let decision = decision?;
        Ok((Arc::clone(&decision.option.configuration), decision.token))
    }

    async fn use_up(&self, policy_id: Uuid, token: &Accepted) -> Result<bool, Failure> {
        let Some(uses) = &token.uses else {
            return Ok(true);
        };
        if self.counted.borrow().contains(&policy_id) {
            return Ok(true);
        }
        let used = TokenUse {
            policy_id,
            fingerprint: uses.fingerprint,
            most: uses.most,
            // Accepted for some minutes longer than it says.
            expires: token.expires.saturating_add(600),
        };
        let left = self.store.count(&used).await.map_err(|error| {
            (self.delivery.log)(&format!("the catalog: {error}"));
            Failure::Store
        })?;
        if left {
            self.counted.borrow_mut().push(policy_id);
        }
        Ok(left)
    }
}

/// What a provider said is good for a day in an outage (RFC 5861 §4). Our host knows of it and remembers for all instances, which
/// come and go; an instance has its own [`Discovery`] beside.
const LAST_GOOD: &str = "stale-if-error=86400";

async fn fetch<O: Outbound>(
    outbound: &O,
    wanted: &discovery::Wanted,
) -> Result<(KeySet, Option<SignedDuration>), &'static str> {
    let get = async |url: &str| {
        let request = Request::get(url)
            .header(http::header::ACCEPT, "application/json")
            .header(CACHE_CONTROL, LAST_GOOD)
            .body(Vec::new())
            .map_err(|_| "its URL is none")?;
        let answer = outbound
            .send(request, MAX_DOCUMENT_BYTES)
            .await
            .map_err(|_| "it does not answer")?;
        if answer.status() == StatusCode::OK {
            Ok(answer)
        } else {
            Err("it answers with another status than 200")
        }
    };
    let document = get(&wanted.url).await?;
    let keys = get(&wanted.jwks_uri(document.body())?).await?;
    let max_age = keys
        .headers()
        .get(CACHE_CONTROL)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| {
            value
                .split(',')
                .find_map(|part| part.trim().strip_prefix("max-age=")?.parse().ok())
        })
        .and_then(|seconds: u32| SignedDuration::try_from_secs_f64(f64::from(seconds)).ok());
    let set = KeySet::parse(keys.body())?;
    if set.is_empty() {
        return Err("its key set has no key that is of use");
    }
    Ok((set, max_age))
}

#[cfg(test)]
#[path = "deliver_tests.rs"]
mod tests;
