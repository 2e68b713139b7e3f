//! When a delivery is tried again, and when it is given up.
//!
//! | attempt | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 |
//! |---|---|---|---|---|---|---|---|---|---|
//! | after the one before | | 5 s | 30 s | 2 min | 10 min | 1 h | 6 h | 6 h | 6 h |
//!
//! Each wait is up to a fifth longer, so that what failed together does not come back together. All in all a receiver has
//! at least nineteen hours to come back. An attempt that cannot succeed as it is ends at once.

use jiff::{SignedDuration, Timestamp};

use crate::ids::Moment;

const WAITS: [i64; 8] = [5, 30, 120, 600, 3600, 21_600, 21_600, 21_600];

/// Attempts that a delivery gets.
pub const ATTEMPTS: u32 = 9;

/// The longest wait that a receiver can ask for.
const LONGEST_WAIT: i64 = 21_600;

/// Answers after which the same bytes will not be tried again: the request is wrong, too long, or unwanted for good.
const FINAL: [u16; 3] = [400, 410, 413];

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered.
    Answered {
        status: u16,
        /// What its `Retry-After` says.
        retry_after_seconds: Option<u32>,
    },
    /// It did not. `reason`: for people.
    Unanswered { reason: String },
    /// The request was not sent, because it must not be or cannot be.
    Refused { reason: String },
}

impl Outcome {
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Unanswered { .. } | Self::Refused { .. } => None,
        }
    }

    /// For people; none for a success.
    pub(super) fn error(&self) -> Option<String> {
        match self {
            Self::Answered { status, .. } => match status {
                200..=299 => None,
                300..=399 => Some(format!(
                    "The receiver answered {status}: redirects are not followed."
                )),
                410 => Some("The receiver answered 410: it wants no more of this.".to_owned()),
                _ => Some(format!("The receiver answered {status}.")),
            },
            Self::Unanswered { reason } | Self::Refused { reason } => Some(reason.clone()),
        }
    }
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Sent,
    Failed,
    Again(Timestamp),
}

/// `attempt`: the one that was made, from 1.
pub(super) fn verdict(attempt: u32, outcome: &Outcome, moment: Moment<'_>) -> Verdict {
    let asked = match outcome {
        Outcome::Refused { .. } => return Verdict::Failed,
        Outcome::Answered {
            status: 200..=299, ..
        } => return Verdict::Sent,
        Outcome::Answered { status, .. } if FINAL.contains(status) => return Verdict::Failed,
        Outcome::Answered {
            status: 429 | 503,
            retry_after_seconds: Some(seconds),
        } => i64::from(*seconds).min(LONGEST_WAIT),
        Outcome::Answered { .. } | Outcome::Unanswered { .. } => 0,
    };
    let made = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(wait) = WAITS.get(made) else {
        return Verdict::Failed;
    };
    let millis = wait.max(&asked).saturating_mul(1000);
    // Any bits of a fresh identifier are as good as a random number.
    let chance = moment.ids.uuid().as_u128() & 0x3ff;
    let chance = i64::try_from(chance).unwrap_or(0);
    let longer = millis.saturating_mul(chance).saturating_div(5 * 1024);
    let wait = SignedDuration::from_millis(millis.saturating_add(longer));
    Verdict::Again(moment.now.saturating_add(wait).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RandomIds;

    fn after(attempt: u32, outcome: &Outcome) -> Option<i64> {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let moment = Moment {
            now,
            ids: &RandomIds,
        };
        match verdict(attempt, outcome, moment) {
            Verdict::Again(at) => Some(at.duration_since(now).as_secs()),
            Verdict::Sent | Verdict::Failed => None,
        }
    }

    fn answered(status: u16, retry_after_seconds: Option<u32>) -> Outcome {
        Outcome::Answered {
            status,
            retry_after_seconds,
        }
    }

    #[test]
    fn waits_grow_and_end() {
        let silence = Outcome::Unanswered {
            reason: "It did not answer.".into(),
        };
        for (attempt, wait) in (1..).zip(WAITS) {
            let waited = after(attempt, &silence).unwrap();
            assert!(
                (wait..=wait + wait / 5).contains(&waited),
                "{attempt}: {waited}"
            );
        }
        assert_eq!(after(ATTEMPTS, &silence), None);
        assert_eq!(after(u32::MAX, &silence), None);
        assert_eq!(usize::try_from(ATTEMPTS).unwrap(), WAITS.len() + 1);
    }

    #[test]
    fn a_receiver_is_heard() {
        assert!((900..=1080).contains(&after(1, &answered(429, Some(900))).unwrap()));
        assert!(
            after(5, &answered(429, Some(1))).unwrap() >= 3600,
            "no sooner than planned"
        );
        assert!(after(1, &answered(503, Some(u32::MAX))).unwrap() <= LONGEST_WAIT * 6 / 5);
        assert!(after(1, &answered(500, Some(900))).unwrap() <= 6);
        for status in [301, 401, 404, 500] {
            assert!(after(1, &answered(status, None)).is_some(), "{status}");
        }
        for status in [200, 204, 400, 410, 413] {
            assert_eq!(after(1, &answered(status, None)), None, "{status}");
        }
        let refused = Outcome::Refused {
            reason: "The address is private.".into(),
        };
        assert_eq!(after(1, &refused), None);
    }
}
