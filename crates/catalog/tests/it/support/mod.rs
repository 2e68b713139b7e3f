//! A bootstrapped catalog in memory, with a clock and identifiers that the test controls.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::executor::block_on;
use headwater_catalog::bootstrap::{BootstrapConfig, Bootstrapped, bootstrap};
use headwater_catalog::jobs::{JobInput, MissingAssets, NewJob, NewOutput, Priority};
use headwater_catalog::{Ids, Moment, ProjectId, assets, jobs};
use headwater_seal::{Seal, Secret};
use headwater_test_database::Connection;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

pub(crate) const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const TRANSFORM: &str = "AdaptiveStreaming";

/// Identifiers that count up.
#[derive(Default)]
pub(crate) struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn uuid(&self) -> Uuid {
        Uuid::from_u64_pair(
            0x1111_2222_3333_4444,
            0x8000_0000_0000_0000 | self.0.fetch_add(1, Ordering::Relaxed),
        )
    }
}

pub(crate) struct Catalog {
    pub(crate) sql: Connection,
    pub(crate) seal: Seal,
    pub(crate) project: ProjectId,
    pub(crate) ids: CountedIds,
    now: Cell<Timestamp>,
}

pub(crate) fn config() -> BootstrapConfig {
    BootstrapConfig {
        master_key: MASTER_KEY.into(),
        blob_url: "http://127.0.0.1:10000/local".into(),
        account: "local".into(),
        account_key: Secret::from("YW4gYWNjb3VudCBrZXkgb2YgdGhpcnR5LXR3byBieXQ="),
        subscription_id: Uuid::nil().to_string(),
        resource_group: "headwater".into(),
        location: "local".into(),
        client: None,
    }
}

pub(crate) fn start(
    sql: &Connection,
    config: &BootstrapConfig,
    ids: &CountedIds,
    now: Timestamp,
) -> Bootstrapped {
    block_on(bootstrap(sql, config, now, ids)).expect("bootstrap")
}

impl Catalog {
    pub(crate) fn new() -> Self {
        Self::on(headwater_test_database::alone())
    }

    pub(crate) fn on(sql: Connection) -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
        let ids = CountedIds::default();
        let started = start(&sql, &config(), &ids, now);
        Self {
            sql,
            seal: Seal::new(MASTER_KEY).expect("a master key"),
            project: started.project.id,
            ids,
            now: Cell::new(now),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now.get()
    }

    /// Moves the clock.
    pub(crate) fn wait(&self, seconds: i64) {
        self.now
            .set(self.now() + SignedDuration::from_secs(seconds));
    }

    pub(crate) fn moment(&self) -> Moment<'_> {
        Moment {
            now: self.now(),
            ids: &self.ids,
        }
    }

    pub(crate) fn asset(&self, name: &str) {
        let write = assets::AssetWrite::default();
        block_on(assets::put(
            &self.sql,
            &self.project,
            name,
            &write,
            self.ids.uuid(),
            self.now(),
        ))
        .expect("an asset");
    }

    /// A queued job that reads `in` and writes `out-{name}`.
    pub(crate) fn job(&self, name: &str, priority: Priority) -> jobs::Job {
        self.asset("in");
        let new = NewJob {
            input: JobInput::Asset {
                asset_name: "in".into(),
                files: vec!["film.mp4".into()],
                label: None,
                cut: Default::default(),
            },
            outputs: vec![NewOutput {
                asset_name: format!("out-{name}"),
                label: None,
                preset_override: None,
            }],
            description: None,
            correlation: Default::default(),
            priority,
            missing_assets: MissingAssets::Create,
            fingerprint: name.into(),
        };
        block_on(jobs::create(
            &self.sql,
            &self.seal,
            &self.project,
            TRANSFORM,
            name,
            &new,
            self.moment(),
        ))
        .expect("a job")
        .0
    }

    pub(crate) fn job_now(&self, name: &str) -> jobs::Job {
        block_on(jobs::get(&self.sql, &self.project, TRANSFORM, name)).expect("the job")
    }
}
