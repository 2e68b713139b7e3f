//! The outbox: what is recorded, who gets it, and that nothing is lost or held up.

use crate::support::{Catalog, TRANSFORM};
use futures::executor::block_on;
use headwater_catalog::deliveries::{self, Claimed, MOST, Outcome, PER_RULE, Status};
use headwater_catalog::events::{self, Event, EventType, Payload};
use headwater_catalog::jobs::{self, JobState, Priority, queue};
use headwater_catalog::query::Listing;
use headwater_catalog::webhooks::{self, Authentication, RuleWrite, Texts};
use headwater_catalog::{CatalogError, NativeSqlite, Sql, Value, transaction};
use headwater_test_database::Connection;
use serde_json::json;

const KIND: EventType = EventType::LIVE_HEARTBEAT;

impl Catalog {
    fn rule(&self, name: &str, events: &[EventType], enabled: bool) {
        let write = RuleWrite {
            enabled,
            url: format!("https://{name}.example.com/"),
            events: events.to_vec(),
            headers: Texts::new(),
            query_params: Texts::new(),
            authentication: Authentication::default(),
        };
        block_on(webhooks::put(
            &self.sql,
            &self.seal,
            &self.project,
            name,
            &write,
            self.moment(),
        ))
        .unwrap();
    }

    fn record(&self, number: u32) {
        let event = Event {
            id: None,
            project: self.project.clone(),
            kind: KIND,
            subject: format!("liveEvents/{number}"),
            previous: None,
            state: None,
            payload: Payload::Rendered(json!({ "number": number })),
        };
        block_on(events::record(&self.sql, self.moment(), &event)).unwrap();
    }

    fn due(&self, most: u32) -> Vec<Claimed> {
        block_on(deliveries::claim(
            &self.sql,
            &self.seal,
            most,
            60,
            self.moment(),
        ))
        .unwrap()
    }

    fn report(&self, claimed: &Claimed, status: u16) -> Result<(), CatalogError> {
        let outcome = Outcome::Answered {
            status,
            retry_after_seconds: None,
        };
        block_on(deliveries::report(
            &self.sql,
            (claimed.rule.id, claimed.event_id),
            &claimed.lease,
            &outcome,
            self.moment(),
        ))
    }

    fn log(&self, rule: &str) -> Vec<deliveries::Delivery> {
        let listing = Listing::default();
        block_on(deliveries::log(&self.sql, &self.project, rule, &listing))
            .unwrap()
            .items
    }

    fn run(&self, statement: &str) {
        block_on(self.sql.query(statement, &[])).unwrap();
    }
}

#[test]
fn only_rules_that_want_it_are_told_and_each_once() {
    let catalog = Catalog::new();
    catalog.rule("on", &[KIND], true);
    catalog.rule("too", &[KIND, EventType::JOB_FINISHED], true);
    catalog.rule("off", &[KIND], false);
    catalog.rule("other", &[EventType::JOB_FINISHED], true);
    catalog.record(1);
    let due = catalog.due(64);
    let mut names: Vec<_> = due
        .iter()
        .map(|claimed| claimed.rule.name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["on", "too"]);
    assert_eq!(due[0].event_id, due[1].event_id);
    assert_eq!(due[0].payload, Payload::Rendered(json!({"number": 1})));
    assert!(catalog.due(64).is_empty(), "they are under way");
}

#[test]
fn a_fact_and_its_event_are_there_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let catalog = Catalog::on(Connection::Sqlite(NativeSqlite::open(&path).unwrap()));
    catalog.rule("r", &[EventType::JOB_FINISHED], true);
    catalog.job("a", Priority::Normal);
    // A transaction that fails after the job was cancelled in it.
    let undone: Result<(), _> = block_on(transaction(&catalog.sql, async |sql| {
        sql.query("UPDATE jobs SET state = 'Finished'", &[]).await?;
        let event = Event {
            id: None,
            project: catalog.project.clone(),
            kind: EventType::JOB_FINISHED,
            subject: "transforms/t/jobs/a".into(),
            previous: None,
            state: None,
            payload: Payload::Rendered(json!({})),
        };
        events::record(sql, catalog.moment(), &event).await?;
        Err(CatalogError::Conflict("no".into()))
    }));
    undone.unwrap_err();
    assert_eq!(catalog.job_now("a").state, JobState::Queued);
    assert!(catalog.log("r").is_empty());
    block_on(jobs::cancel(
        &catalog.sql,
        &catalog.project,
        TRANSFORM,
        "a",
        catalog.moment(),
    ))
    .unwrap();
    // As after a power cut: another connection sees both.
    let other = NativeSqlite::open(&path).unwrap();
    let rows = block_on(other.query(
        "SELECT j.state AS job, d.state AS told FROM jobs j, webhook_deliveries d",
        &[],
    ));
    let rows = rows.unwrap();
    let row = rows.first().unwrap();
    assert_eq!(
        (row.text("job").unwrap(), row.text("told").unwrap()),
        ("Canceled".into(), "Canceled".into())
    );
}

#[test]
fn a_lost_workers_job_is_told_of_as_well() {
    let catalog = Catalog::new();
    catalog.rule("r", &[EventType::AMS_JOB_STATE_CHANGE], true);
    catalog.job("a", Priority::Normal);
    let claim = || {
        block_on(queue::claim(
            &catalog.sql,
            &catalog.seal,
            "w",
            30,
            catalog.moment(),
        ))
        .unwrap()
    };
    claim().unwrap();
    catalog.wait(31);
    claim().unwrap();
    let mut told: Vec<_> = catalog
        .due(64)
        .into_iter()
        .map(|claimed| (claimed.previous.unwrap(), claimed.state.unwrap()))
        .collect();
    told.sort();
    let expected = [
        ("Queued", "Scheduled"),
        ("Queued", "Scheduled"),
        ("Scheduled", "Queued"),
    ];
    assert_eq!(
        told,
        expected.map(|(from, to)| (from.to_owned(), to.to_owned()))
    );
}

#[test]
fn a_receiver_that_is_flooded_holds_up_no_other() {
    let catalog = Catalog::new();
    catalog.rule("dead", &[KIND], true);
    for number in 0..100 {
        catalog.record(number);
    }
    catalog.rule("alive", &[KIND], true);
    catalog.wait(1);
    catalog.record(100);
    let due = catalog.due(64);
    let of = |name: &str| {
        due.iter()
            .filter(|claimed| claimed.rule.name == name)
            .count()
    };
    assert_eq!((of("dead"), of("alive")), (PER_RULE as usize, 1));
    // With little room, the one with the fewest under way goes first.
    catalog.wait(1);
    catalog.record(101);
    let alive: Vec<_> = due
        .iter()
        .filter(|claimed| claimed.rule.name == "alive")
        .collect();
    catalog.report(alive[0], 200).unwrap();
    let next = catalog.due(1);
    assert_eq!(next[0].rule.name, "alive");
    assert!(catalog.due(64).is_empty(), "the dead one has its share");
}

#[test]
fn a_sender_that_dies_leaves_its_deliveries_to_the_next() {
    let catalog = Catalog::new();
    catalog.rule("r", &[KIND], true);
    catalog.record(1);
    let lost = catalog.due(1).remove(0);
    catalog.wait(61);
    let taken = catalog.due(1).remove(0);
    assert_eq!(taken.event_id, lost.event_id);
    assert_eq!(catalog.report(&lost, 200), Err(CatalogError::LeaseLost));
    catalog.report(&taken, 200).unwrap();
    assert_eq!(catalog.report(&taken, 200), Err(CatalogError::LeaseLost));
    let entry = catalog.log("r").remove(0);
    assert_eq!((entry.status, entry.attempts), (Status::Sent, 2));
    // One that kills every sender ends.
    catalog.record(2);
    for _ in 0..deliveries::ATTEMPTS {
        assert_eq!(catalog.due(1).len(), 1);
        catalog.wait(61);
    }
    assert!(catalog.due(1).is_empty());
    assert_eq!(catalog.log("r")[0].status, Status::Failed);
}

#[test]
fn a_rule_that_changes_or_goes_takes_what_waits_along() {
    let catalog = Catalog::new();
    catalog.rule("r", &[KIND], true);
    catalog.record(1);
    let claimed = catalog.due(1).remove(0);
    block_on(webhooks::delete(&catalog.sql, &catalog.project, "r")).unwrap();
    assert_eq!(catalog.report(&claimed, 200), Err(CatalogError::LeaseLost));
    catalog.rule("r", &[KIND], true);
    assert!(catalog.log("r").is_empty(), "another rule of the same name");
    catalog.record(2);
    // What cannot be read or sent must not be tried for ever, nor hold up what can.
    catalog.run("UPDATE webhook_deliveries SET payload_json = '{}'");
    catalog.record(3);
    assert_eq!(catalog.due(64).len(), 1);
    let failed = catalog
        .log("r")
        .into_iter()
        .filter(|entry| entry.status == Status::Failed);
    assert_eq!(failed.count(), 1);
    catalog.record(4);
    block_on(catalog.sql.query(
        "UPDATE webhook_rules SET authentication_sealed = ?1",
        &[Value::Blob(vec![0])],
    ))
    .unwrap();
    assert!(catalog.due(64).is_empty());
    catalog.run("DELETE FROM webhook_rules");
    catalog.run("UPDATE webhook_deliveries SET due = 0");
    assert!(catalog.due(64).is_empty());
}

#[test]
fn a_log_is_cut_to_its_length_and_age() {
    let catalog = Catalog::new();
    catalog.rule("r", &[KIND], true);
    catalog.record(0);
    let done = catalog.due(1).remove(0);
    catalog.report(&done, 200).unwrap();
    catalog.wait(31 * 24 * 3600);
    catalog.record(1);
    let due = catalog.due(1);
    assert_eq!(catalog.log("r").len(), 1, "what is too old is gone");
    catalog.report(&due[0], 200).unwrap();
    catalog.run("BEGIN");
    for number in 0..MOST + 10 {
        catalog.wait(1);
        catalog.record(number);
    }
    catalog.run("COMMIT");
    catalog.wait(600);
    catalog.due(1);
    let rows = block_on(
        catalog
            .sql
            .query("SELECT count(*) AS n FROM webhook_deliveries", &[]),
    );
    assert_eq!(
        rows.unwrap().first().unwrap().integer("n").unwrap(),
        i64::from(MOST)
    );
}
