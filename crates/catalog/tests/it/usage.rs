//! What is metered beside jobs: what locators sent, and for how long live events ran.

use crate::live::encoded_as;
use crate::support::Catalog;
use futures::executor::block_on;
use headwater_catalog::live::queue::{self, Report};
use headwater_catalog::live::{Acted, Action, actions};
use headwater_catalog::locators::{self, IfExists, NewLocator};
use headwater_catalog::usage::{self, Meter, Streamed};
use headwater_work::live::{EncodingType, Endpoints, WorkerState};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use uuid::Uuid;

const LEASE: u32 = 15;

/// Sums of the project, of all hours.
fn used(catalog: &Catalog) -> BTreeMap<Meter, i64> {
    let mut sums = BTreeMap::new();
    for reading in readings(catalog) {
        *sums.entry(reading.meter).or_default() += reading.quantity;
    }
    sums
}

fn readings(catalog: &Catalog) -> Vec<usage::Reading> {
    let (from, to) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
    block_on(usage::readings(
        &catalog.sql,
        Some(&catalog.project),
        from,
        to,
    ))
    .unwrap()
}

fn streamed(catalog: &Catalog, all: &[(Uuid, u64, u64)]) {
    let all: Vec<_> = all
        .iter()
        .map(|(locator, answers, bytes)| Streamed {
            locator: *locator,
            answers: *answers,
            bytes: *bytes,
        })
        .collect();
    block_on(usage::streamed(&catalog.sql, &all, catalog.now())).unwrap();
}

#[test]
fn what_locators_sent_is_their_projects() {
    let catalog = Catalog::new();
    catalog.asset("film");
    let locator = |name: &str| {
        let new = NewLocator {
            asset_name: "film".into(),
            policy_name: "Predefined_ClearStreamingOnly".into(),
            fingerprint: name.into(),
            ..NewLocator::default()
        };
        let made = block_on(locators::put(
            &catalog.sql,
            &catalog.seal,
            &catalog.project,
            name,
            &new,
            IfExists::Keep,
            catalog.moment(),
        ));
        made.unwrap().0.locator_id
    };
    let (one, other) = (locator("one"), locator("other"));
    streamed(&catalog, &[(one, 3, 5_000_000_000), (other, 1, 7)]);
    // Hosts write at their own time, and name what somebody made up, or what is gone.
    streamed(&catalog, &[(one, 2, 10), (Uuid::from_u128(1), 9, 9)]);
    catalog.wait(3600);
    streamed(&catalog, &[(other, 1, 1)]);
    streamed(&catalog, &[]);
    let sums = used(&catalog);
    assert_eq!(
        sums,
        BTreeMap::from([
            (Meter::StreamedBytes, 5_000_000_018),
            (Meter::StreamedAnswers, 7)
        ])
    );
    let hours: Vec<_> = readings(&catalog).iter().map(|r| r.hour).collect();
    assert_eq!(hours.len(), 4);
    assert_ne!(hours.first(), hours.last());
}

#[test]
fn a_live_event_is_metered_for_as_long_as_it_runs() {
    for (encoding, meter) in [
        (EncodingType::PassthroughStandard, Meter::LivePassthrough),
        (EncodingType::Standard, Meter::LiveEncoded),
    ] {
        let catalog = Catalog::new();
        encoded_as(&catalog, "e", encoding);
        let act = |action| {
            let acted = block_on(actions::act(
                &catalog.sql,
                &catalog.project,
                "e",
                action,
                catalog.moment(),
            ));
            assert!(matches!(acted.unwrap(), Acted::Begun(_)));
        };
        let claim = || {
            let claimed = block_on(queue::claim(
                &catalog.sql,
                &catalog.seal,
                "w",
                LEASE,
                false,
                catalog.moment(),
            ));
            let (lease, assigned) = claimed.unwrap().unwrap();
            (lease, assigned.event.id)
        };
        let renew = |(lease, event): &(String, Uuid), state| {
            let report = Report {
                state,
                generation: 1,
                endpoints: &Endpoints::default(),
                edge: None,
                health: None,
                outputs: &[],
            };
            let (sql, seal) = (&catalog.sql, &catalog.seal);
            block_on(queue::renew(
                sql,
                seal,
                *event,
                lease,
                report,
                catalog.now(),
            ))
            .unwrap();
        };
        let ran = || used(&catalog).get(&meter).copied().unwrap_or(0) / 1000;

        act(Action::Start);
        let first = claim();
        catalog.wait(5);
        // It was starting so far.
        renew(&first, WorkerState::Running);
        assert_eq!(ran(), 0);
        for _ in 0..4 {
            catalog.wait(5);
            renew(&first, WorkerState::Running);
        }
        assert_eq!(ran(), 20);
        // The catalog was away, and the worker went on.
        catalog.wait(60);
        renew(&first, WorkerState::Running);
        assert_eq!(ran(), 80);
        // The worker is lost: it runs again with the next one, and what was between them is nobody's.
        catalog.wait(100);
        let second = claim();
        catalog.wait(5);
        renew(&second, WorkerState::Running);
        assert_eq!(ran(), 85);
        act(Action::Stop);
        catalog.wait(5);
        renew(&second, WorkerState::Running);
        assert_eq!(ran(), 85);
        let sums = used(&catalog);
        assert_eq!(sums.keys().collect::<Vec<_>>(), [&meter]);
        let hour = readings(&catalog)[0].hour;
        assert!(catalog.now().duration_since(hour) < SignedDuration::from_hours(2));
    }
}
