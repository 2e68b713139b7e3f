//! How many requests a project may make in a minute. Spec: the management API reference, 1.3.
//!
//! Reads and writes are counted apart, per project as the path names it (so its two surfaces count apart, too); paths outside
//! of any project count for the organization. Each has a
//! bucket that holds a minute's worth and fills evenly (GCRA, ATM Forum TM 4.0 section 4.4), so a bucket is one instant.
//!
//! A request is let in if there is room, and counted once it has an answer other than 401: somebody without a token cannot
//! use up what is a project's. Signing in, keys and workers are not counted.
//!
//! **Where the count lives.** A component's instances share nothing, and our host gives an instance one request at a time, so
//! a count inside of them would be one per concurrent request; a count in the database would turn every read into a write.
//! `headwater up` therefore counts in its own process, in front of the components, where the count is exact. On another Spin
//! host each instance of the API counts for itself: an approximation that lets in up to as many times the limit as there
//! are instances, for installations with nothing better in front of them.
//!
//! **No limit by default.** MK.IO sells a shared service; here the machine is its operator's, and a script that is
//! throttled by its own server helps nobody. Whoever has several tenants sets the limits.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use headwater_catalog::Ids;
use http::{Method, StatusCode};
use jiff::Timestamp;

use crate::dialect::Dialect;
use crate::error::{ApiError, Kind};
use crate::reply::Reply;
use crate::routes::{self, Matched};
use crate::{Answer, writes};

const MINUTE: i64 = 60_000_000;

/// Buckets that are kept before the full ones are thrown away, which are as good as new ones.
const BUCKETS: usize = 1024;

/// Requests in a minute; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    pub reads: u32,
    pub writes: u32,
}

/// A limiter that counts. Shared by everything that answers for one installation.
#[derive(Debug, Default)]
pub struct Limiter {
    limits: Limits,
    /// When each bucket is full again, in microseconds since the epoch.
    full_at: Mutex<HashMap<Scope, i64>>,
}

/// What a request counts for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scope {
    /// As the path names it; empty outside of any.
    project: String,
    writes: bool,
}

/// A request that was let in, to be counted.
#[derive(Debug)]
pub struct Admitted(Option<Scope>);

impl Limiter {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            full_at: Mutex::default(),
        }
    }

    /// Whether nothing is limited.
    pub fn is_off(&self) -> bool {
        self.limits == Limits::default()
    }

    /// Lets a request in, or gives its answer. Paths that are not the API's are let in.
    pub fn admit(
        &self,
        method: &Method,
        path: &str,
        now: Timestamp,
        ids: &dyn Ids,
    ) -> Result<Admitted, Box<Answer>> {
        if self.is_off() {
            return Ok(Admitted(None));
        }
        let Ok(matched) = routes::find(method, path) else {
            return Ok(Admitted(None));
        };
        self.check(method, &matched, now).map_err(|error| {
            let request_id = ids.uuid().to_string();
            let reply = Reply::failure(&error, matched.surface, &request_id);
            Box::new(Answer {
                response: reply.render(&request_id),
                request_id,
                context: None,
                passing: None,
            })
        })
    }

    /// As [`Limiter::admit`], for a request whose route is known.
    pub(crate) fn check(
        &self,
        method: &Method,
        matched: &Matched,
        now: Timestamp,
    ) -> Result<Admitted, ApiError> {
        let Some(scope) = scope(method, matched) else {
            return Ok(Admitted(None));
        };
        let Some(interval) = self.interval(&scope) else {
            return Ok(Admitted(None));
        };
        let now = now.as_microsecond();
        let full_at = self.lock().get(&scope).copied().unwrap_or(now).max(now);
        let over = full_at
            .saturating_add(interval)
            .saturating_sub(now)
            .saturating_sub(MINUTE);
        if over <= 0 {
            return Ok(Admitted(Some(scope)));
        }
        let seconds = over.saturating_add(999_999).saturating_div(1_000_000);
        let (limit, what) = if scope.writes {
            (self.limits.writes, "writes")
        } else {
            (self.limits.reads, "reads")
        };
        Err(ApiError {
            retry_after_seconds: u32::try_from(seconds).ok(),
            ..ApiError::new(
                Kind::TooManyRequests,
                format!("More than {limit} {what} in a minute. Try again in {seconds} s."),
            )
        })
    }

    /// Counts a request by its answer.
    pub fn count(&self, admitted: Admitted, status: StatusCode, now: Timestamp) {
        let Admitted(Some(scope)) = admitted else {
            return;
        };
        let Some(interval) = self.interval(&scope) else {
            return;
        };
        if status == StatusCode::UNAUTHORIZED {
            return;
        }
        let now = now.as_microsecond();
        let mut buckets = self.lock();
        if buckets.len() >= BUCKETS {
            buckets.retain(|_, full_at| *full_at > now);
        }
        let full_at = buckets.entry(scope).or_insert(now);
        *full_at = (*full_at).max(now).saturating_add(interval);
    }

    /// Microseconds between two requests of an even stream; `None`: no limit.
    fn interval(&self, scope: &Scope) -> Option<i64> {
        let limit = if scope.writes {
            self.limits.writes
        } else {
            self.limits.reads
        };
        MINUTE.checked_div(limit.into())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Scope, i64>> {
        // An instant is whole or not there: a panic elsewhere leaves nothing half done.
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn scope(method: &Method, matched: &Matched) -> Option<Scope> {
    if matched.surface == Dialect::Own {
        return None;
    }
    let vars = &matched.vars;
    let project = match (vars.get("account"), vars.get("project")) {
        ("", name) => name.to_owned(),
        // Of another group it is another account, and the Azure clients do not agree on case.
        (account, _) => format!("{}/{account}", vars.get("group")).to_ascii_lowercase(),
    };
    Some(Scope {
        project,
        writes: writes(method),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_catalog::RandomIds;
    use jiff::SignedDuration;

    const ASSETS: &str = "/api/v1/projects/default/media/assets";

    struct Clocked {
        limiter: Limiter,
        now: Timestamp,
    }

    impl Clocked {
        fn new(reads: u32, writes: u32) -> Self {
            Self {
                limiter: Limiter::new(Limits { reads, writes }),
                now: Timestamp::from_second(1_800_000_000).unwrap(),
            }
        }

        /// The answer's status: 200 if it was let in.
        fn ask(&self, method: Method, path: &str, answer: StatusCode) -> u16 {
            match self.limiter.admit(&method, path, self.now, &RandomIds) {
                Ok(admitted) => {
                    self.limiter.count(admitted, answer, self.now);
                    200
                }
                Err(refused) => refused.response.status().as_u16(),
            }
        }

        fn get(&self, path: &str) -> u16 {
            self.ask(Method::GET, path, StatusCode::OK)
        }
    }

    #[test]
    fn a_minute_holds_as_many_as_it_may_and_fills_evenly() {
        let mut world = Clocked::new(60, 0);
        for _ in 0..60 {
            assert_eq!(world.get(ASSETS), 200);
        }
        assert_eq!(world.get(ASSETS), 429);
        world.now += SignedDuration::from_secs(2);
        assert_eq!(
            [world.get(ASSETS), world.get(ASSETS), world.get(ASSETS)],
            [200, 200, 429]
        );
        world.now += SignedDuration::from_secs(3600);
        for _ in 0..60 {
            assert_eq!(world.get(ASSETS), 200);
        }
        assert_eq!(world.get(ASSETS), 429);
        for _ in 0..100 {
            assert_eq!(
                world.ask(Method::PUT, &format!("{ASSETS}/a"), StatusCode::OK),
                200
            );
        }
    }

    #[test]
    fn projects_reads_and_writes_are_counted_apart() {
        let world = Clocked::new(1, 1);
        for (method, path) in [
            (Method::GET, ASSETS.to_owned()),
            (Method::PUT, format!("{ASSETS}/a")),
            (Method::GET, "/api/v1/projects/other/media/assets".into()),
            (Method::GET, "/api/v1/projects".into()),
        ] {
            let ask = || world.ask(method.clone(), &path, StatusCode::OK);
            assert_eq!([ask(), ask()], [200, 429], "{method} {path}");
        }
        for path in [
            "/api/ready",
            "/.well-known/jwks.json",
            "/locator/film.ism/manifest",
            "/",
        ] {
            assert_eq!([world.get(path), world.get(path)], [200, 200], "{path}");
        }
    }

    #[test]
    fn strangers_use_nothing_up() {
        let world = Clocked::new(1, 1);
        for _ in 0..10 {
            assert_eq!(
                world.ask(Method::GET, ASSETS, StatusCode::UNAUTHORIZED),
                200
            );
        }
        assert_eq!(world.get(ASSETS), 200);
    }

    #[test]
    fn a_refusal_says_when_to_come_back_in_the_words_of_its_surface() {
        let world = Clocked::new(2, 0);
        let arm =
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Media/mediaServices/a/assets";
        for (path, member) in [(arm, "message"), (ASSETS, "detail")] {
            world.get(path);
            world.get(path);
            let refused = world
                .limiter
                .admit(&Method::GET, path, world.now, &RandomIds)
                .unwrap_err();
            assert_eq!(refused.response.headers()["retry-after"], "30");
            let body: serde_json::Value = serde_json::from_slice(refused.response.body()).unwrap();
            assert_eq!(body["error"]["code"], "TooManyRequests");
            assert!(body["error"][member].is_string(), "{body}");
        }
    }

    #[test]
    fn buckets_of_names_that_are_not_asked_for_again_go() {
        let mut world = Clocked::new(60, 60);
        for number in 0..3000 {
            world.now += SignedDuration::from_millis(10);
            world.get(&format!("/api/v1/projects/p{number}/media/assets"));
        }
        assert!(world.limiter.lock().len() <= BUCKETS);
    }
}
