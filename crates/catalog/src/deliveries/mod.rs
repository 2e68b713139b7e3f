//! The outbox as its sender sees it, and the log that it leaves.
//!
//! A delivery is claimed under a lease, tried, and reported on. `due` says when to try next; while it is leased that is
//! the end of the lease, so a sender that dies needs no sweeping up after. Every event reaches its receiver at least once,
//! always under the same CloudEvents id; order is not kept, not even within a rule.
//!
//! A receiver that is slow or dead holds up nobody else: of one rule at most [`PER_RULE`] deliveries are under way at
//! once, and rules with the fewest come first.
//!
//! The log of a rule goes back [`KEPT`] and has at most [`MOST`] entries, waiting ones included: a receiver that is away
//! while more than that happens misses the oldest.

mod schedule;

use headwater_seal::Seal;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::events::{EventType, Payload};
use crate::ids::{Moment, ProjectId};
use crate::projects::{self, Project};
use crate::query::{self, Field, FieldKind, Listing, Order, Page};
use crate::sql::{Row, Sql, Value, transaction};
use crate::webhooks::{self, Rule};

use schedule::Verdict;
pub use schedule::{ATTEMPTS, Outcome};

/// Deliveries of one rule under way at once.
pub const PER_RULE: u32 = 4;

/// Most deliveries of one claim.
pub const PER_CLAIM: u32 = 64;

/// Shortest and longest lease, in seconds.
pub const LEASE_SECONDS: std::ops::RangeInclusive<u32> = 5..=300;

/// How far back the log goes.
pub const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Most entries of a rule's log.
pub const MOST: u32 = 10_000;

/// Longest text of an error that is kept, in characters.
const LONGEST_ERROR: usize = 500;

/// Between two cuts of a log.
const TRIM_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// How a delivery stands, in MK.IO's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not tried yet.
    Pending,
    /// Tried in vain, and to be tried again.
    Retrying,
    /// Given up.
    Failed,
    Sent,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Retrying, Self::Failed, Self::Sent];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Retrying => "Retrying",
            Self::Failed => "Failed",
            Self::Sent => "Sent",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// An entry of a rule's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub event_id: Uuid,
    pub kind: String,
    /// What it happened to, below the account.
    pub subject: String,
    pub created: Timestamp,
    pub status: Status,
    pub attempts: u32,
    pub last_attempt: Option<Timestamp>,
    /// When it is tried next.
    pub next_attempt: Option<Timestamp>,
    /// What the receiver answered last.
    pub response_status: Option<u32>,
    /// Why the last attempt was in vain, for people.
    pub error: Option<String>,
}

const ENTITY: Entity<Delivery> = Entity {
    one: "Webhook event",
    many: "webhook events",
    table: "webhook_deliveries",
    columns: "event_id, event_type, subject, created, status, attempt, last_attempt, due, response_status, error",
    read: from_row,
    tie: Field::new("event_id", "event_id", FieldKind::Text),
    fields: &[
        Field::new("created", "created", FieldKind::Time),
        Field::new("type", "event_type", FieldKind::Text),
        Field::new("status", "status", FieldKind::Text),
    ],
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<Delivery, CatalogError> {
    Ok(Delivery {
        event_id: row.uuid("event_id")?,
        kind: row.text("event_type")?,
        subject: row.text("subject")?,
        created: row.time("created")?,
        status: Status::parse(row.str("status")?)
            .ok_or_else(|| CatalogError::corrupt("status", "unknown"))?,
        attempts: row.unsigned("attempt")?,
        last_attempt: row.opt_time("last_attempt")?,
        next_attempt: row.opt_time("due")?,
        response_status: row
            .opt_integer("response_status")?
            .and_then(|status| u32::try_from(status).ok()),
        error: row.opt_text("error")?,
    })
}

/// A page of a rule's log, the newest first unless another order is asked for.
///
/// Errors: [`CatalogError::NotFound`] for the rule.
pub async fn log<S: Sql>(
    sql: &S,
    project: &ProjectId,
    rule: &str,
    listing: &Listing,
) -> Result<Page<Delivery>, CatalogError> {
    let rule = webhooks::get(sql, project, rule).await?;
    let newest_first = Order {
        field: "created".to_owned(),
        descending: true,
    };
    let listing = Listing {
        order: listing.order.clone().or(Some(newest_first)),
        ..listing.clone()
    };
    query::list(sql, &ENTITY, &[("rule_id", rule.id.into())], &listing).await
}

/// A delivery that is now the caller's to try.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    pub project: Project,
    /// With its secrets.
    pub rule: Rule,
    pub event_id: Uuid,
    pub kind: EventType,
    pub subject: String,
    pub created: Timestamp,
    pub previous: Option<String>,
    pub state: Option<String>,
    pub payload: Payload,
    pub lease: String,
}

/// Takes up to `most` deliveries that are due. `most` and `lease_seconds` are within [`PER_CLAIM`] and [`LEASE_SECONDS`],
/// else [`CatalogError::Invalid`].
pub async fn claim<S: Sql>(
    sql: &S,
    seal: &Seal,
    most: u32,
    lease_seconds: u32,
    moment: Moment<'_>,
) -> Result<Vec<Claimed>, CatalogError> {
    if !(1..=PER_CLAIM).contains(&most) {
        let range = format!("must be 1 to {PER_CLAIM}");
        return Err(CatalogError::invalid("most", range));
    }
    if !LEASE_SECONDS.contains(&lease_seconds) {
        let (least, longest) = (LEASE_SECONDS.start(), LEASE_SECONDS.end());
        let range = format!("must be {least} to {longest}");
        return Err(CatalogError::invalid("leaseSeconds", range));
    }
    // Most polls find nothing; they must not take the write lock.
    let waiting = sql
        .query(
            "SELECT 1 FROM webhook_deliveries WHERE due <= ?1 LIMIT 1",
            &[moment.now.into()],
        )
        .await?;
    if waiting.is_empty() {
        return Ok(Vec::new());
    }
    transaction(sql, async |sql| {
        give_up_unreported(sql, moment.now).await?;
        let mut claimed = Vec::new();
        let mut left = most;
        for (rule_id, busy) in due_rules(sql, moment.now).await? {
            let room = PER_RULE.saturating_sub(busy).min(left);
            if room == 0 {
                continue;
            }
            trim(sql, rule_id, moment.now).await?;
            let taken = take(sql, seal, rule_id, room, lease_seconds, moment).await?;
            left = left.saturating_sub(u32::try_from(taken.len()).unwrap_or(left));
            claimed.extend(taken);
        }
        Ok(claimed)
    })
    .await
}

/// Deliveries whose senders went away without a word, every time.
async fn give_up_unreported<S: Sql>(sql: &S, now: Timestamp) -> Result<(), CatalogError> {
    sql.query(
        "UPDATE webhook_deliveries SET status = 'Failed', due = NULL, lease = NULL, payload_json = NULL,
             error = coalesce(error, 'No sender came back from it.')
         WHERE due <= ?1 AND attempt >= ?2",
        &[now.into(), ATTEMPTS.into()],
    )
    .await?;
    Ok(())
}

/// Rules with something due, and how many of their deliveries are under way: those with the fewest first, then those that
/// have waited longest.
async fn due_rules<S: Sql>(sql: &S, now: Timestamp) -> Result<Vec<(Uuid, u32)>, CatalogError> {
    let rows = sql
        .query(
            "SELECT d.rule_id, min(d.due) AS oldest,
                 (SELECT count(*) FROM webhook_deliveries b
                  WHERE b.rule_id = d.rule_id AND b.lease IS NOT NULL AND b.due > ?1) AS busy
             FROM webhook_deliveries d WHERE d.due <= ?1 GROUP BY d.rule_id ORDER BY busy, oldest",
            &[now.into()],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.uuid("rule_id")?, row.unsigned("busy")?)))
        .collect()
}

async fn take<S: Sql>(
    sql: &S,
    seal: &Seal,
    rule_id: Uuid,
    room: u32,
    lease_seconds: u32,
    moment: Moment<'_>,
) -> Result<Vec<Claimed>, CatalogError> {
    let Some((project, rule)) = load(sql, seal, rule_id).await? else {
        return Ok(Vec::new());
    };
    let lease = moment.ids.uuid().simple().to_string();
    let lease_end = moment
        .now
        .saturating_add(SignedDuration::from_secs(lease_seconds.into()))
        .unwrap_or(Timestamp::MAX);
    let rows = sql
        .query(
            "UPDATE webhook_deliveries SET lease = ?3, due = ?4, last_attempt = ?2, attempt = attempt + 1
             WHERE rule_id = ?1 AND event_id IN
                 (SELECT event_id FROM webhook_deliveries WHERE rule_id = ?1 AND due <= ?2 ORDER BY due LIMIT ?5)
             RETURNING event_id, event_type, subject, created, previous_state, state, payload_json",
            &[
                rule_id.into(),
                moment.now.into(),
                Value::from(&lease),
                lease_end.into(),
                room.into(),
            ],
        )
        .await?;
    let mut taken = Vec::new();
    for row in rows.iter() {
        match read(&row) {
            Ok((payload, kind)) => taken.push(Claimed {
                project: project.clone(),
                rule: rule.clone(),
                event_id: row.uuid("event_id")?,
                kind,
                subject: row.text("subject")?,
                created: row.time("created")?,
                previous: row.opt_text("previous_state")?,
                state: row.opt_text("state")?,
                payload,
                lease: lease.clone(),
            }),
            // It must not hold up the others for ever.
            Err(_) => give_up_on(sql, rule_id, row.uuid("event_id")?).await?,
        }
    }
    Ok(taken)
}

fn read(row: &Row<'_>) -> Result<(Payload, EventType), CatalogError> {
    let kind = EventType::parse(row.str("event_type")?)
        .ok_or_else(|| CatalogError::corrupt("event_type", "unknown"))?;
    Ok((row.json("payload_json")?, kind))
}

async fn give_up_on<S: Sql>(sql: &S, rule_id: Uuid, event_id: Uuid) -> Result<(), CatalogError> {
    sql.query(
        "UPDATE webhook_deliveries SET status = 'Failed', due = NULL, lease = NULL, payload_json = NULL,
             error = 'Another version of this program recorded it, and this one cannot read it.'
         WHERE rule_id = ?1 AND event_id = ?2",
        &[rule_id.into(), event_id.into()],
    )
    .await?;
    Ok(())
}

/// The rule with its secrets, and its project. What waits for a rule whose secrets do not open any more is given up, and
/// what was recorded while its rule was being deleted goes after it.
async fn load<S: Sql>(
    sql: &S,
    seal: &Seal,
    rule_id: Uuid,
) -> Result<Option<(Project, Rule)>, CatalogError> {
    let rows = sql
        .query(
            &format!(
                "SELECT {}, project_id, authentication_sealed FROM webhook_rules WHERE rule_id = ?1",
                webhooks::ENTITY.columns
            ),
            &[rule_id.into()],
        )
        .await?;
    let Some(row) = rows.first() else {
        sql.query(
            "DELETE FROM webhook_deliveries WHERE rule_id = ?1",
            &[rule_id.into()],
        )
        .await?;
        return Ok(None);
    };
    let project = projects::by_id(sql, &row.text("project_id")?)
        .await?
        .ok_or_else(|| CatalogError::corrupt("project_id", "project vanished"))?;
    let mut rule = (webhooks::ENTITY.read)(&row)?;
    match webhooks::open(seal, rule_id, &row.blob("authentication_sealed")?) {
        Ok(secrets) => rule.rule.authentication = secrets,
        Err(CatalogError::Seal(_)) => {
            let why = "The rule's secrets cannot be read; write the rule again with all of them.";
            give_up(sql, rule_id, why).await?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    Ok(Some((project, rule)))
}

/// Gives up whatever waits for a rule.
pub(crate) async fn give_up<S: Sql>(sql: &S, rule_id: Uuid, why: &str) -> Result<(), CatalogError> {
    sql.query(
        "UPDATE webhook_deliveries SET status = 'Failed', due = NULL, lease = NULL, payload_json = NULL, error = ?2
         WHERE rule_id = ?1 AND due IS NOT NULL",
        &[rule_id.into(), why.into()],
    )
    .await?;
    Ok(())
}

/// Cuts a rule's log to its length, now and then.
async fn trim<S: Sql>(sql: &S, rule_id: Uuid, now: Timestamp) -> Result<(), CatalogError> {
    let before = |span| now.checked_sub(span).unwrap_or(Timestamp::MIN);
    let turn = sql
        .query(
            "UPDATE webhook_rules SET trimmed = ?2 WHERE rule_id = ?1 AND trimmed <= ?3 RETURNING rule_id",
            &[rule_id.into(), now.into(), before(TRIM_AFTER).into()],
        )
        .await?;
    if turn.is_empty() {
        return Ok(());
    }
    sql.query(
        "DELETE FROM webhook_deliveries WHERE rule_id = ?1 AND created < ?2",
        &[rule_id.into(), before(KEPT).into()],
    )
    .await?;
    sql.query(
        "DELETE FROM webhook_deliveries WHERE rule_id = ?1 AND created <=
             (SELECT created FROM webhook_deliveries WHERE rule_id = ?1 ORDER BY created DESC LIMIT 1 OFFSET ?2)",
        &[rule_id.into(), MOST.into()],
    )
    .await?;
    Ok(())
}

/// Says what came of an attempt.
///
/// Errors: [`CatalogError::LeaseLost`] if the delivery is somebody else's by now, settled, or gone with its rule.
pub async fn report<S: Sql>(
    sql: &S,
    (rule_id, event_id): (Uuid, Uuid),
    lease: &str,
    outcome: &Outcome,
    moment: Moment<'_>,
) -> Result<(), CatalogError> {
    transaction(sql, async |sql| {
        let key = [rule_id.into(), event_id.into(), Value::from(lease)];
        let rows = sql
            .query(
                "SELECT attempt FROM webhook_deliveries WHERE rule_id = ?1 AND event_id = ?2 AND lease = ?3",
                &key,
            )
            .await?;
        let row = rows.first().ok_or(CatalogError::LeaseLost)?;
        let verdict = schedule::verdict(row.unsigned("attempt")?, outcome, moment);
        let (status, due) = match verdict {
            Verdict::Sent => (Status::Sent, None),
            Verdict::Failed => (Status::Failed, None),
            Verdict::Again(due) => (Status::Retrying, Some(due)),
        };
        let error: Option<String> = outcome
            .error()
            .map(|error| error.chars().take(LONGEST_ERROR).collect());
        let [rule, event, lease] = key;
        sql.query(
            "UPDATE webhook_deliveries SET status = ?4, due = ?5, lease = NULL, response_status = ?6, error = ?7,
                 payload_json = CASE WHEN CAST(?8 AS BIGINT) = 1 THEN payload_json ELSE NULL END
             WHERE rule_id = ?1 AND event_id = ?2 AND lease = ?3",
            &[
                rule,
                event,
                lease,
                status.name().into(),
                Value::from(due),
                Value::from(outcome.status().map(u32::from)),
                Value::from(error),
                due.is_some().into(),
            ],
        )
        .await?;
        Ok(())
    })
    .await
}
