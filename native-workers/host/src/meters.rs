//! How many requests there are, how many fail, and how long they take: by route, and by a parameter of the route.
//!
//! A component that serves what many people own says which (`tool.headwater.count_by`): the origin, the locator. Those are as
//! many as there are, so only they are shown that were served in the last minute, and of those that come up within [`KEEP`] not
//! more than [`MOST`]; the rest is `other`. They are gauges that grow, as gauges are taken back when nothing is said of them any more.

use crate::delivered::Delivered;
use http::{Method, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Names that are told apart at a time.
const MOST: usize = 250;

/// How long handles are kept: less than what is not touched is shown for, so that none outlives what it counts into.
const KEEP: Duration = Duration::from_secs(20);

/// What is counted of requests. Looked up once: the registry's tables cost more than counting does.
#[derive(Clone)]
pub(crate) struct Meters {
    /// By the status's first digit, from 1.
    requests: [metrics::Counter; 5],
    seconds: metrics::Histogram,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

fn class(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1
}

impl Meters {
    /// Of all requests.
    pub(crate) fn of_all() -> Self {
        Self {
            requests: CLASSES
                .map(|class| metrics::counter!("headwater_http_requests_total", "status" => class)),
            seconds: metrics::histogram!("headwater_http_seconds"),
        }
    }

    /// Of those of one route.
    pub(crate) fn of_route(route: &str) -> Self {
        let route = route.to_owned();
        Self {
            requests: CLASSES.map(|class| {
                metrics::counter!("headwater_route_requests_total", "route" => route.clone(), "status" => class)
            }),
            seconds: metrics::histogram!("headwater_route_seconds", "route" => route.clone()),
        }
    }

    pub(crate) fn note(&self, status: StatusCode, took: Duration) {
        if let Some(counter) = self.requests.get(class(status)) {
            counter.increment(1);
        }
        self.seconds.record(took.as_secs_f64());
    }
}

/// What is counted by a parameter's value.
pub(crate) struct NameMeters {
    /// The parameter: `locator`, for instance.
    kind: String,
    known: Mutex<Known>,
    delivered: Delivered,
}

struct Known {
    since: Instant,
    by_name: HashMap<Box<str>, Arc<OfName>>,
}

struct OfName {
    requests: [metrics::Gauge; 5],
    bytes: metrics::Gauge,
    seconds: metrics::Gauge,
}

impl OfName {
    fn new(kind: &str, name: &str) -> Self {
        let labels = |more: Option<&'static str>| {
            let mut labels = vec![metrics::Label::new(kind.to_owned(), name.to_owned())];
            labels.extend(more.map(|class| metrics::Label::new("status", class)));
            labels
        };
        Self {
            requests: CLASSES.map(|class| {
                metrics::gauge!(format!("headwater_{kind}_requests"), labels(Some(class)))
            }),
            bytes: metrics::gauge!(format!("headwater_{kind}_bytes"), labels(None)),
            seconds: metrics::gauge!(format!("headwater_{kind}_seconds"), labels(None)),
        }
    }
}

impl NameMeters {
    pub(crate) fn new(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            known: Mutex::new(Known {
                since: Instant::now(),
                by_name: HashMap::new(),
            }),
            delivered: Delivered::default(),
        }
    }

    /// The same for whoever keeps it, which nothing is left out of.
    pub(crate) fn delivered(&self) -> Delivered {
        self.delivered.clone()
    }

    /// The parameter's value, of a request that counts.
    pub(crate) fn name_of(&self, method: &Method, captures: &[(String, String)]) -> Option<String> {
        let (_, name) = captures.iter().find(|(name, _)| *name == self.kind)?;
        matches!(*method, Method::GET | Method::HEAD).then(|| name.to_ascii_lowercase())
    }

    /// `name`: of [`NameMeters::name_of`]; other methods are answered whatever the name. `bytes`: of the body, if that is known.
    pub(crate) fn note(&self, name: &str, status: StatusCode, bytes: Option<u64>, took: Duration) {
        if status.as_u16() < 400 {
            self.delivered.add(name, 1, bytes.unwrap_or(0));
        }
        let of = self.of(name, status);
        if let Some(requests) = of.requests.get(class(status)) {
            requests.increment(1.0);
        }
        of.bytes.increment(bytes.unwrap_or(0) as f64);
        of.seconds.increment(took.as_secs_f64());
    }

    /// What was never served is nobody's: whoever makes names up is not to fill the table.
    fn of(&self, name: &str, status: StatusCode) -> Arc<OfName> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.since.elapsed() > KEEP {
            known.since = Instant::now();
            known.by_name.clear();
        }
        if let Some(found) = known.by_name.get(name) {
            return found.clone();
        }
        let name = match status.as_u16() < 400 && known.by_name.len() < MOST {
            true => name,
            false => "other",
        };
        let entry = known.by_name.entry(name.into());
        let made = entry.or_insert_with(|| Arc::new(OfName::new(&self.kind, name)));
        made.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_not_more_names_than_are_told_apart() {
        let meters = NameMeters::new("locator");
        let path = |number: usize| [("locator".to_owned(), format!("Name-{number}"))];
        let took = Duration::from_millis(1);
        assert_eq!(meters.name_of(&Method::OPTIONS, &path(0)), None);
        let name = |number| meters.name_of(&Method::GET, &path(number)).unwrap();
        meters.note(&name(0), StatusCode::NOT_FOUND, None, took);
        let names = || meters.known.lock().unwrap().by_name.len();
        assert_eq!(names(), 1, "what is not there is `other`");
        for number in 0..2 * MOST {
            meters.note(&name(number), StatusCode::OK, Some(7), took);
        }
        assert_eq!(names(), MOST);
        let delivered = meters.delivered().take();
        assert_eq!(delivered.len(), 2 * MOST);
        let (name, sum) = delivered.iter().next().unwrap();
        assert!(name.starts_with("name-"));
        assert_eq!((sum.answers, sum.bytes), (1, 7));
    }
}
