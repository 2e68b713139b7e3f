//! The keys of other authorities, fetched when a token of theirs comes in and kept for a while.
//!
//! A token with an unknown key id makes us look again, but at most once a minute: whoever sends made-up ids must not make
//! us hammer somebody else's service. An authority that cannot be reached makes its tokens fail with 503, not 401: they may
//! well be good.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use headwater_auth::Issuer;
use headwater_auth::issuer::ForeignKeys;
use headwater_blob::HttpClient;
use http::{Request, StatusCode, header};
use jiff::{SignedDuration, Timestamp};

use crate::error::{ApiError, Kind};

/// Longest discovery document or key set. Entra ID's have some 20 KiB.
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;
/// How long keys are believed without looking again.
const LIFE: SignedDuration = SignedDuration::from_hours(1);
/// How long they are, if the authority cannot be reached meanwhile.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// How soon we look again at the earliest.
const PAUSE: SignedDuration = SignedDuration::from_secs(60);
/// The same while there are no keys at all.
const SHORT_PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// What an instance knows of other authorities' keys.
#[derive(Debug, Default)]
pub struct IssuerKeys(RefCell<BTreeMap<String, Entry>>);

#[derive(Debug, Clone, Default)]
struct Entry {
    /// With when they came.
    keys: Option<(Timestamp, Rc<ForeignKeys>)>,
    asked: Option<Timestamp>,
}

/// Whether the keys that are there will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Any,
    Newer,
}

impl IssuerKeys {
    /// The keys as they are known; fetched if there are none, or old ones.
    pub(crate) async fn known<C: HttpClient>(
        &self,
        issuer: &Issuer,
        http: &C,
        now: Timestamp,
    ) -> Result<Rc<ForeignKeys>, ApiError> {
        self.get(issuer, http, now, Wanted::Any).await
    }

    /// The keys after another look, unless the last one was just now.
    pub(crate) async fn newer<C: HttpClient>(
        &self,
        issuer: &Issuer,
        http: &C,
        now: Timestamp,
    ) -> Result<Rc<ForeignKeys>, ApiError> {
        self.get(issuer, http, now, Wanted::Newer).await
    }

    async fn get<C: HttpClient>(
        &self,
        issuer: &Issuer,
        http: &C,
        now: Timestamp,
        wanted: Wanted,
    ) -> Result<Rc<ForeignKeys>, ApiError> {
        let entry = self.entry(&issuer.issuer);
        let mut failure = None;
        if entry.is_due(wanted, now) {
            // Noted before the answer is there: others that come meanwhile do not ask as well.
            self.set(issuer, |entry| entry.asked = Some(now));
            match fetch(issuer, http).await {
                Ok(keys) => {
                    let keys = Rc::new(keys);
                    self.set(issuer, |entry| entry.keys = Some((now, Rc::clone(&keys))));
                    return Ok(keys);
                }
                Err(error) => failure = Some(error),
            }
        }
        match entry.keys {
            Some((came, keys)) if now.duration_since(came) < LONGEST_LIFE => Ok(keys),
            _ => Err(ApiError {
                context: failure.map(|reason| format!("{}: {reason}", issuer.issuer)),
                ..ApiError::new(
                    Kind::Unavailable,
                    "The token's authority cannot be reached at the moment. Try again.",
                )
            }),
        }
    }

    fn entry(&self, issuer: &str) -> Entry {
        self.0.borrow().get(issuer).cloned().unwrap_or_default()
    }

    fn set(&self, issuer: &Issuer, change: impl FnOnce(&mut Entry)) {
        // As many entries as the configuration has issuers.
        let mut entries = self.0.borrow_mut();
        change(entries.entry(issuer.issuer.clone()).or_default());
    }
}

impl Entry {
    fn is_due(&self, wanted: Wanted, now: Timestamp) -> bool {
        let (old, pause) = match &self.keys {
            None => (true, SHORT_PAUSE),
            Some((came, _)) => {
                let old = now.duration_since(*came) >= LIFE;
                (old || wanted == Wanted::Newer, PAUSE)
            }
        };
        old && self
            .asked
            .is_none_or(|asked| now.duration_since(asked) >= pause)
    }
}

/// Errors: what went wrong, for the log.
async fn fetch<C: HttpClient>(issuer: &Issuer, http: &C) -> Result<ForeignKeys, String> {
    let uri = match &issuer.jwks_uri {
        Some(uri) => uri.clone(),
        None => issuer.jwks_uri_of(&read(http, &issuer.discovery_url()).await?)?,
    };
    ForeignKeys::parse(&read(http, &uri).await?)
}

async fn read<C: HttpClient>(http: &C, uri: &str) -> Result<Bytes, String> {
    let request = Request::get(uri)
        .header(header::ACCEPT, "application/json")
        .body(Bytes::new())
        .map_err(|error| error.to_string())?;
    let answer = http
        .send(request)
        .await
        .map_err(|error| error.to_string())?;
    if answer.status() != StatusCode::OK {
        return Err(format!("{uri} answered {}", answer.status()));
    }
    let body = answer.into_body();
    if body.len() > MAX_DOCUMENT_BYTES {
        return Err(format!(
            "{uri} answered more than {MAX_DOCUMENT_BYTES} bytes"
        ));
    }
    Ok(body)
}
