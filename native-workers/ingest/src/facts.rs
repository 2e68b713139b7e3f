//! What clients are told of an event, in the order in which it happened.

use std::collections::VecDeque;
use std::sync::Mutex;

use headwater_live::CLOCK;
use headwater_work::live::facts::{Fact, IngestFact, MOST_FACTS, ReportFacts};
use uuid::Uuid;

/// Facts that wait while the API cannot be reached. The oldest make room.
const MOST_WAITING: usize = 1000;

#[derive(Default)]
pub(crate) struct Facts {
    waiting: Mutex<VecDeque<IngestFact>>,
}

impl Facts {
    pub(crate) fn tell(&self, fact: Fact) {
        if let Ok(mut waiting) = self.waiting.lock() {
            if waiting.len() >= MOST_WAITING {
                waiting.pop_front();
            }
            waiting.push_back(IngestFact {
                id: Uuid::now_v7(),
                fact,
            });
        }
    }

    /// The oldest, as many as go into one call.
    pub(crate) fn next(&self) -> Option<ReportFacts> {
        let waiting = self.waiting.lock().ok()?;
        let facts: Vec<IngestFact> = waiting.iter().take(MOST_FACTS).cloned().collect();
        (!facts.is_empty()).then_some(ReportFacts { facts })
    }

    /// Those have been told.
    pub(crate) fn done(&self, report: &ReportFacts) {
        if let Ok(mut waiting) = self.waiting.lock() {
            waiting.retain(|fact| report.facts.iter().all(|told| told.id != fact.id));
        }
    }
}

/// A media time as events have it.
pub(crate) fn time(clock: i64) -> String {
    clock.to_string()
}

/// Scale of [`time`].
pub(crate) fn scale() -> String {
    CLOCK.get().to_string()
}

/// A moment of the wall clock as events have it, milliseconds since the Unix epoch.
pub(crate) fn moment(at_ms: Option<i64>) -> String {
    let at = at_ms.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.map_or_else(String::new, |at| at.to_string())
}

/// Seconds per minute by which delivery is behind, as AMS has it.
pub(crate) fn drift(ms: Option<i64>) -> String {
    match ms {
        None => "n/a".to_owned(),
        Some(ms) => {
            let ms = ms.max(0);
            match ms % 1000 {
                0 => (ms / 1000).to_string(),
                rest => format!("{}.{rest:03}", ms / 1000),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_and_moments_are_written_as_ams_had_them() {
        assert_eq!(drift(None), "n/a");
        assert_eq!(drift(Some(-40)), "0");
        assert_eq!(drift(Some(2050)), "2.050");
        assert_eq!(moment(None), "");
        assert_eq!(moment(Some(1_500)), "1970-01-01T00:00:01.5Z");
    }
}
