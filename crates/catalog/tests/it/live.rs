//! Who runs a live event, and what time alone decides.

use crate::support::Catalog;
use futures::executor::block_on;
use headwater_catalog::live::queue::{self, Assigned, Report};
use headwater_catalog::live::sweep::CLAIM_WITHIN;
use headwater_catalog::live::{
    Acted, Action, LiveEventState, LiveEventWrite, actions, events, outputs,
};
use headwater_catalog::operations::{self, LIVE_EVENTS, Operation, OperationStatus};
use headwater_catalog::{CatalogError, Sql as _};
use headwater_work::live::health::{EncoderHealth, Health};
use headwater_work::live::{EncodingType, Endpoints, Wanted, WorkerState};
use uuid::Uuid;

const LEASE: u32 = 30;

/// Makes an event and asks for something to be done with it.
fn event(catalog: &Catalog, name: &str, action: Action) -> Operation {
    let write = LiveEventWrite::default();
    block_on(events::put(
        &catalog.sql,
        &catalog.seal,
        &catalog.project,
        name,
        &write,
        false,
        catalog.moment(),
    ))
    .unwrap();
    act(catalog, name, action)
}

/// Makes an event that does not run yet.
pub(crate) fn encoded_as(catalog: &Catalog, name: &str, encoding: EncodingType) {
    let mut write = LiveEventWrite::default();
    let encoding = serde_json::json!({"encodingType": encoding});
    write.properties.insert("encoding".into(), encoding);
    block_on(events::put(
        &catalog.sql,
        &catalog.seal,
        &catalog.project,
        name,
        &write,
        false,
        catalog.moment(),
    ))
    .unwrap();
}

fn act(catalog: &Catalog, name: &str, action: Action) -> Operation {
    let moment = catalog.moment();
    let acted = block_on(actions::act(
        &catalog.sql,
        &catalog.project,
        name,
        action,
        moment,
    ));
    match acted.unwrap() {
        Acted::Begun(operation) => operation,
        other => panic!("{other:?}"),
    }
}

fn state(catalog: &Catalog, name: &str) -> LiveEventState {
    block_on(events::get(
        &catalog.sql,
        &catalog.project,
        name,
        catalog.now(),
    ))
    .unwrap()
    .state
}

fn claim(catalog: &Catalog) -> Option<(String, Assigned)> {
    claim_of(catalog, false)
}

/// `leave_lapsed`: not of those that somebody had.
fn claim_of(catalog: &Catalog, leave_lapsed: bool) -> Option<(String, Assigned)> {
    let moment = catalog.moment();
    block_on(queue::claim(
        &catalog.sql,
        &catalog.seal,
        "w",
        LEASE,
        leave_lapsed,
        moment,
    ))
    .unwrap()
}

fn renew(
    catalog: &Catalog,
    event: Uuid,
    lease: &str,
    state: WorkerState,
) -> Result<Assigned, CatalogError> {
    renew_with(catalog, event, lease, state, None)
}

/// As [`renew`], with measurements.
fn renew_with(
    catalog: &Catalog,
    event: Uuid,
    lease: &str,
    state: WorkerState,
    health: Option<&Health>,
) -> Result<Assigned, CatalogError> {
    let report = Report {
        state,
        generation: 1,
        endpoints: &Endpoints::default(),
        edge: None,
        health,
        outputs: &[],
    };
    block_on(queue::renew(
        &catalog.sql,
        &catalog.seal,
        event,
        lease,
        report,
        catalog.now(),
    ))
}

fn status(catalog: &Catalog, operation: &Operation) -> OperationStatus {
    let (sql, project) = (&catalog.sql, &catalog.project);
    block_on(actions::operation(
        sql,
        project,
        LIVE_EVENTS,
        &operation.id,
        catalog.now(),
    ))
    .unwrap()
    .status
}

#[test]
fn the_event_that_has_waited_longest_is_taken_first() {
    let catalog = Catalog::new();
    for name in ["b", "a"] {
        event(&catalog, name, Action::Start);
        catalog.wait(1);
    }
    for name in ["b", "a"] {
        assert_eq!(claim(&catalog).unwrap().1.event.name, name);
    }
    assert!(claim(&catalog).is_none());
}

#[test]
fn a_late_worker_goes_on_if_nobody_took_its_event() {
    let catalog = Catalog::new();
    event(&catalog, "e", Action::Start);
    let (lease, assigned) = claim(&catalog).unwrap();
    let id = assigned.event.id;
    renew(&catalog, id, &lease, WorkerState::Running).unwrap();
    catalog.wait(3600);
    renew(&catalog, id, &lease, WorkerState::Running).unwrap();
    catalog.wait(31);
    let (second, _) = claim(&catalog).unwrap();
    let lost = renew(&catalog, id, &lease, WorkerState::Running);
    assert_eq!(lost.unwrap_err(), CatalogError::LeaseLost);
    renew(&catalog, id, &second, WorkerState::Preparing).unwrap();
    assert_eq!(state(&catalog, "e"), LiveEventState::Running);
}

#[test]
fn who_could_not_ask_either_leaves_an_event_to_its_worker() {
    let catalog = Catalog::new();
    event(&catalog, "e", Action::Start);
    let (lease, assigned) = claim_of(&catalog, true).unwrap();
    let id = assigned.event.id;
    renew(&catalog, id, &lease, WorkerState::Running).unwrap();
    catalog.wait(3600);
    assert!(claim_of(&catalog, true).is_none());
    renew(&catalog, id, &lease, WorkerState::Running).unwrap();
    catalog.wait(3600);
    assert!(claim_of(&catalog, false).is_some());
}

#[test]
fn a_start_is_given_up_a_minute_after_its_last_worker() {
    let catalog = Catalog::new();
    let begun = event(&catalog, "e", Action::Start);
    catalog.wait(CLAIM_WITHIN.as_secs() - 1);
    let (lease, assigned) = claim(&catalog).unwrap();
    catalog.wait(i64::from(LEASE) + CLAIM_WITHIN.as_secs() - 1);
    assert_eq!(status(&catalog, &begun), OperationStatus::InProgress);
    catalog.wait(1);
    assert!(claim(&catalog).is_none());
    let late = renew(&catalog, assigned.event.id, &lease, WorkerState::Running);
    assert_eq!(late.unwrap_err(), CatalogError::LeaseLost);
    assert_eq!(status(&catalog, &begun), OperationStatus::Failed);
    assert_eq!(state(&catalog, "e"), LiveEventState::Stopped);
}

#[test]
fn a_deletion_without_its_worker_is_over_and_leaves_nothing() {
    let catalog = Catalog::new();
    event(&catalog, "e", Action::Allocate);
    let (lease, assigned) = claim(&catalog).unwrap();
    renew(&catalog, assigned.event.id, &lease, WorkerState::StandBy).unwrap();
    let deleted = block_on(actions::delete(
        &catalog.sql,
        &catalog.project,
        "e",
        catalog.moment(),
    ));
    let Acted::Begun(deleted) = deleted.unwrap() else {
        panic!("nothing was deleted");
    };
    assert_eq!(state(&catalog, "e"), LiveEventState::Deleting);
    catalog.wait(i64::from(LEASE) + CLAIM_WITHIN.as_secs());
    assert_eq!(status(&catalog, &deleted), OperationStatus::Succeeded);
    for table in ["live_events", "live_event_labels", "live_outputs"] {
        let rows = block_on(catalog.sql.query(&format!("SELECT 1 FROM {table}"), &[]));
        assert!(rows.unwrap().is_empty(), "{table}");
    }
    let outputs = block_on(outputs::delete(
        &catalog.sql,
        &catalog.project,
        "e",
        "o",
        catalog.moment(),
    ));
    assert_eq!(outputs.unwrap(), None);
}

#[test]
fn an_operation_in_progress_is_not_forgotten() {
    let catalog = Catalog::new();
    let begun = event(&catalog, "slow", Action::Start);
    let (lease, assigned) = claim(&catalog).unwrap();
    // More than a day, and never so long that it is given up.
    for _ in 0..1100 {
        catalog.wait(85);
        renew(&catalog, assigned.event.id, &lease, WorkerState::Preparing).unwrap();
    }
    // Making one sweeps out the old ones.
    event(&catalog, "other", Action::Start);
    assert_eq!(act(&catalog, "slow", Action::Start), begun);
    renew(&catalog, assigned.event.id, &lease, WorkerState::Running).unwrap();
    catalog.wait(1);
    event(&catalog, "third", Action::Start);
    let gone = block_on(operations::get(
        &catalog.sql,
        &catalog.project,
        LIVE_EVENTS,
        &begun.id,
    ));
    assert!(matches!(gone, Err(CatalogError::NotFound { .. })));
}

/// Twelve hours after its encoder has gone, an event that encodes and records nothing is stopped.
#[test]
fn a_forgotten_encoding_is_stopped() {
    const RUNS: WorkerState = WorkerState::Running;
    let none = Health::default();
    let one = Health {
        encoders: vec![EncoderHealth {
            ingest_url: "rtmp://h/live".into(),
            stream_id: "main".into(),
            protocol: "RTMP".into(),
            encoder_ip: "192.0.2.1".into(),
            encoder_port: "1".into(),
            connected_for_ms: 1,
            incoming_bitrate: 1,
        }],
        ..Health::default()
    };
    for (encoding, stops) in [
        (EncodingType::Standard, true),
        (EncodingType::PassthroughStandard, false),
    ] {
        let catalog = Catalog::new();
        encoded_as(&catalog, "e", encoding);
        act(&catalog, "e", Action::Start);
        let (lease, assigned) = claim(&catalog).unwrap();
        let renewed = |seconds, health: &Health| {
            catalog.wait(seconds);
            renew_with(&catalog, assigned.event.id, &lease, RUNS, Some(health))
                .unwrap()
                .wanted()
        };
        // Who waits for the first encoder may do so.
        assert_eq!(renewed(1, &none), Wanted::Run);
        assert_eq!(renewed(13 * 3600, &none), Wanted::Run);
        assert_eq!(renewed(1, &one), Wanted::Run);
        assert_eq!(renewed(12 * 3600 - 1, &none), Wanted::Run);
        let wanted = renewed(1, &none);
        assert_eq!(wanted, if stops { Wanted::Stop } else { Wanted::Run });
        if stops {
            assert_eq!(state(&catalog, "e"), LiveEventState::Stopping);
            let now = catalog.now();
            block_on(queue::release(
                &catalog.sql,
                assigned.event.id,
                &lease,
                None,
                now,
            ))
            .unwrap();
            assert_eq!(state(&catalog, "e"), LiveEventState::Stopped);
            // A new start begins anew.
            act(&catalog, "e", Action::Start);
            let (lease, again) = claim(&catalog).unwrap();
            let next = renew_with(&catalog, again.event.id, &lease, RUNS, Some(&none));
            assert_eq!(next.unwrap().wanted(), Wanted::Run);
        }
    }
}
