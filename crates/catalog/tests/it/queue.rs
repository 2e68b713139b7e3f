//! The job queue: states, leases, retries, lost workers.

use crate::support::{Catalog, TRANSFORM};
use futures::executor::block_on;
use headwater_catalog::jobs::queue::{self, Claimed, Ending, MAX_ATTEMPTS};
use headwater_catalog::jobs::{
    self, JobInput, JobState, MissingAssets, NewJob, NewOutput, Priority,
};
use headwater_catalog::projects::{self, NewProject};
use headwater_catalog::transforms::{self, TransformOutput};
use headwater_catalog::{CatalogError, assets, storage};
use headwater_test_database::Database;
use headwater_work::{
    ChunkRecord, EngineChoice, JobErrorCode, JobFailure, OutputFailure, OutputProgress,
};
use serde_json::json;

impl Catalog {
    fn claim(&self) -> Option<Claimed> {
        block_on(queue::claim(
            &self.sql,
            &self.seal,
            "test",
            30,
            self.moment(),
        ))
        .unwrap()
    }

    fn renew(
        &self,
        claimed: &Claimed,
        percent: u8,
        chunks: &[ChunkRecord],
    ) -> Result<bool, CatalogError> {
        let progress = [OutputProgress { index: 0, percent }];
        block_on(queue::renew(
            &self.sql,
            claimed.job_id,
            &claimed.lease,
            &progress,
            chunks,
            self.moment(),
        ))
    }

    fn finish(&self, claimed: &Claimed, ending: Ending) -> Result<(), CatalogError> {
        block_on(queue::finish(
            &self.sql,
            claimed.job_id,
            &claimed.lease,
            &ending,
            None,
            self.moment(),
        ))
    }

    fn cancel(&self, name: &str) -> Result<jobs::Job, CatalogError> {
        block_on(jobs::cancel(
            &self.sql,
            &self.project,
            TRANSFORM,
            name,
            self.moment(),
        ))
    }
}

fn done() -> Ending {
    Ending::Finished {
        manifests: vec!["film.ism".into()],
        encoded: vec![],
        failed: vec![],
    }
}

fn failure(code: JobErrorCode) -> Ending {
    Ending::Failed(JobFailure {
        code,
        message: "Track 1 is VP8.".into(),
        details: vec![],
    })
}

fn chunk(number: u32) -> ChunkRecord {
    ChunkRecord {
        output: 0,
        chunk: number,
        record: json!({"bytes": number}),
    }
}

#[test]
fn a_job_goes_from_queued_to_finished() {
    let catalog = Catalog::new();
    assert_eq!(catalog.job("a", Priority::Normal).state, JobState::Queued);
    assert!(catalog.claim().is_some_and(|claimed| {
        let job = catalog.job_now("a");
        assert_eq!(
            (job.state, job.outputs[0].state),
            (JobState::Scheduled, JobState::Scheduled)
        );
        assert_eq!(claimed.attempt, 1);
        assert_eq!(
            claimed.outputs[0].location.container,
            format!("asset-{}", {
                let asset = block_on(assets::get(&catalog.sql, &catalog.project, "out-a")).unwrap();
                asset.asset_id
            })
        );
        assert!(!catalog.renew(&claimed, 40, &[]).unwrap());
        let job = catalog.job_now("a");
        assert_eq!(
            (job.state, job.outputs[0].progress),
            (JobState::Processing, 40)
        );
        catalog.finish(&claimed, done()).unwrap();
        true
    }));
    let job = catalog.job_now("a");
    assert_eq!(
        (job.state, job.outputs[0].progress),
        (JobState::Finished, 100)
    );
    assert!(job.ended.is_some() && job.outputs[0].ended.is_some());
    let asset = block_on(assets::get(&catalog.sql, &catalog.project, "out-a")).unwrap();
    assert_eq!(asset.manifest.as_deref(), Some("film.ism"));
    assert!(catalog.claim().is_none());
}

#[test]
fn a_job_is_over_together_with_what_is_said_of_its_engine() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let claimed = catalog.claim().unwrap();
    let finish = |name: String| {
        let engine = EngineChoice {
            name,
            reason: "It can.".into(),
        };
        block_on(queue::finish(
            &catalog.sql,
            claimed.job_id,
            &claimed.lease,
            &done(),
            Some(&engine),
            catalog.moment(),
        ))
    };
    // One transaction: what refuses the engine leaves the job as it was.
    let refused = finish("x".repeat(65)).unwrap_err();
    assert!(matches!(&refused, CatalogError::Invalid { field, .. } if field == "engine"));
    assert_eq!(catalog.job_now("a").state, JobState::Scheduled);
    finish("ffmpeg".into()).unwrap();
    let ended = catalog.job_now("a");
    assert_eq!(ended.engine.as_ref().unwrap().name, "ffmpeg");
    finish("builtin".into()).unwrap();
    assert_eq!(catalog.job_now("a"), ended);
}

#[test]
fn a_job_that_is_over_before_it_was_renewed_has_times_all_the_same() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    catalog.wait(1);
    let claimed_at = catalog.now();
    let claimed = catalog.claim().unwrap();
    catalog.wait(1);
    catalog.finish(&claimed, done()).unwrap();
    let job = catalog.job_now("a");
    assert_eq!(
        (job.started, job.outputs[0].started),
        (Some(claimed_at), Some(claimed_at))
    );
    assert_eq!(job.ended, Some(catalog.now()));
}

#[test]
fn the_oldest_of_the_highest_priority_goes_first() {
    let catalog = Catalog::new();
    for (name, priority) in [
        ("low", Priority::Low),
        ("first", Priority::Normal),
        ("second", Priority::Normal),
        ("high", Priority::High),
    ] {
        catalog.job(name, priority);
        catalog.wait(1);
    }
    let order: Vec<_> = std::iter::from_fn(|| catalog.claim())
        .map(|claimed| claimed.outputs[0].asset_name.clone())
        .collect();
    assert_eq!(order, ["out-high", "out-first", "out-second", "out-low"]);
}

#[test]
fn a_lost_worker_loses_its_lease_and_the_next_goes_on_from_its_chunks() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let first = catalog.claim().unwrap();
    catalog.renew(&first, 60, &[chunk(0), chunk(1)]).unwrap();
    catalog.renew(&first, 50, &[chunk(1)]).unwrap();
    assert_eq!(
        catalog.job_now("a").outputs[0].progress,
        60,
        "progress never goes back"
    );
    catalog.wait(29);
    assert!(catalog.claim().is_none(), "the lease still holds");
    catalog.wait(2);

    let second = catalog.claim().expect("the lapsed job");
    assert_eq!(second.job_id, first.job_id);
    assert_eq!(second.chunks, [chunk(0), chunk(1)]);
    assert_eq!(
        catalog.renew(&first, 70, &[chunk(9)]).unwrap_err(),
        CatalogError::LeaseLost
    );
    assert_eq!(
        catalog.finish(&first, done()).unwrap_err(),
        CatalogError::LeaseLost
    );
    catalog.finish(&second, done()).unwrap();
    assert_eq!(catalog.job_now("a").state, JobState::Finished);
}

#[test]
fn renewing_keeps_the_job() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let claimed = catalog.claim().unwrap();
    for step in 1..10 {
        catalog.wait(25);
        catalog.renew(&claimed, step * 10, &[]).unwrap();
        assert!(catalog.claim().is_none());
    }
}

#[test]
fn a_job_that_kills_its_workers_is_given_up() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    for attempt in 1..=MAX_ATTEMPTS {
        assert_eq!(catalog.claim().unwrap().attempt, attempt);
        catalog.wait(31);
    }
    assert!(catalog.claim().is_none());
    let job = catalog.job_now("a");
    assert_eq!(job.state, JobState::Error);
    let error = job.outputs[0].error.as_ref().unwrap();
    assert_eq!(
        (error.code.as_str(), error.category.as_str()),
        ("ServiceError", "Service")
    );
}

#[test]
fn only_attempts_without_progress_count() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    for number in 0..2 * MAX_ATTEMPTS {
        let claimed = catalog.claim().expect("still queued");
        assert_eq!(claimed.attempt, 1);
        catalog.renew(&claimed, 10, &[chunk(number)]).unwrap();
        catalog.wait(31);
    }
    for attempt in 1..=MAX_ATTEMPTS {
        let claimed = catalog.claim().unwrap();
        assert_eq!(claimed.attempt, attempt);
        // A chunk that is stored once more takes the job no further.
        catalog.renew(&claimed, 10, &[chunk(0)]).unwrap();
        catalog.wait(31);
    }
    assert!(catalog.claim().is_none());
    assert_eq!(catalog.job_now("a").state, JobState::Error);
}

#[test]
fn what_may_be_retried_is_and_later_each_time() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    for seconds in [5, 10, 20, 40] {
        let claimed = catalog.claim().unwrap();
        catalog
            .finish(&claimed, failure(JobErrorCode::DownloadTransientError))
            .unwrap();
        assert_eq!(catalog.job_now("a").state, JobState::Queued);
        catalog.wait(seconds - 1);
        assert!(catalog.claim().is_none(), "not before {seconds} s");
        catalog.wait(1);
    }
    let claimed = catalog.claim().unwrap();
    catalog
        .finish(&claimed, failure(JobErrorCode::DownloadTransientError))
        .unwrap();
    let job = catalog.job_now("a");
    assert_eq!(job.state, JobState::Error);
    assert_eq!(job.outputs[0].error.as_ref().unwrap().retry, "MayRetry");
}

#[test]
fn a_job_that_cannot_be_prepared_lets_others_go_first_and_ends_in_error() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    catalog.wait(1);
    catalog.job("b", Priority::Normal);
    let unprepared = || {
        let Ending::Failed(failure) = failure(JobErrorCode::UploadNotAccessible) else {
            panic!()
        };
        Ending::Unprepared(failure)
    };
    let claimed = catalog.claim().unwrap();
    catalog.finish(&claimed, unprepared()).unwrap();
    let waiting = catalog.job_now("a");
    assert_eq!((waiting.state, waiting.started), (JobState::Queued, None));
    let other = catalog.claim().unwrap();
    assert_eq!(other.outputs[0].asset_name, "out-b");
    catalog.finish(&other, done()).unwrap();
    for seconds in [30, 60, 120, 240] {
        catalog.wait(seconds - 1);
        assert!(catalog.claim().is_none(), "not before {seconds} s");
        catalog.wait(1);
        let claimed = catalog.claim().unwrap();
        catalog.finish(&claimed, unprepared()).unwrap();
    }
    let job = catalog.job_now("a");
    assert_eq!((job.state, job.started), (JobState::Error, None));
    assert_eq!(
        job.outputs[0].error.as_ref().unwrap().code,
        "UploadNotAccessible"
    );
}

#[test]
fn bad_content_fails_at_once_with_its_sentence() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let claimed = catalog.claim().unwrap();
    catalog
        .finish(&claimed, failure(JobErrorCode::ContentUnsupported))
        .unwrap();
    let job = catalog.job_now("a");
    let error = job.outputs[0].error.as_ref().unwrap();
    assert_eq!(job.state, JobState::Error);
    assert_eq!(
        (error.message.as_str(), error.retry.as_str()),
        ("Track 1 is VP8.", "DoNotRetry")
    );
    // The worker repeats a call whose answer it did not see.
    catalog
        .finish(&claimed, failure(JobErrorCode::ContentUnsupported))
        .unwrap();
}

#[test]
fn cancelling_a_queued_job_is_immediate_and_repeatable() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    assert_eq!(catalog.cancel("a").unwrap().state, JobState::Canceled);
    assert_eq!(catalog.cancel("a").unwrap().state, JobState::Canceled);
    assert!(catalog.claim().is_none());
}

#[test]
fn cancelling_a_running_job_waits_for_its_worker_or_the_end_of_its_lease() {
    let catalog = Catalog::new();
    catalog.job("told", Priority::Normal);
    let told = catalog.claim().unwrap();
    assert_eq!(catalog.cancel("told").unwrap().state, JobState::Canceling);
    assert!(catalog.renew(&told, 10, &[]).unwrap(), "the worker is told");
    catalog.finish(&told, Ending::Stopped).unwrap();
    assert_eq!(catalog.job_now("told").state, JobState::Canceled);

    catalog.job("lost", Priority::Normal);
    catalog.claim().unwrap();
    catalog.cancel("lost").unwrap();
    catalog.wait(31);
    assert!(catalog.claim().is_none());
    assert_eq!(catalog.job_now("lost").state, JobState::Canceled);

    catalog.job("won", Priority::Normal);
    let won = catalog.claim().unwrap();
    catalog.cancel("won").unwrap();
    catalog.finish(&won, done()).unwrap();
    assert_eq!(
        catalog.job_now("won").state,
        JobState::Finished,
        "it was done before it noticed"
    );
    assert!(matches!(
        catalog.cancel("won"),
        Err(CatalogError::WrongState(_))
    ));
}

#[test]
fn a_worker_that_goes_away_gives_the_job_back_uncharged() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    for _ in 0..10 {
        let claimed = catalog.claim().unwrap();
        assert_eq!(claimed.attempt, 1);
        catalog.finish(&claimed, Ending::Stopped).unwrap();
        assert_eq!(catalog.job_now("a").state, JobState::Queued);
    }
}

#[test]
fn hostile_reports_are_refused_and_change_nothing() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let claimed = catalog.claim().unwrap();
    let bad_output = ChunkRecord {
        output: 7,
        chunk: 0,
        record: json!(1),
    };
    let too_long = ChunkRecord {
        output: 0,
        chunk: 0,
        record: json!("x".repeat(headwater_work::MAX_CHUNK_BYTES)),
    };
    for bad in [bad_output, too_long] {
        assert!(matches!(
            catalog.renew(&claimed, 99, &[bad]),
            Err(CatalogError::Invalid { .. })
        ));
    }
    assert_eq!(catalog.job_now("a").outputs[0].progress, 0, "rolled back");
    let two = Ending::Finished {
        manifests: vec!["a.ism".into(), "b.ism".into()],
        encoded: vec![],
        failed: vec![],
    };
    let climbing = Ending::Finished {
        manifests: vec!["../other/x.ism".into()],
        encoded: vec![],
        failed: vec![],
    };
    for bad in [two, climbing] {
        assert!(matches!(
            catalog.finish(&claimed, bad),
            Err(CatalogError::Invalid { .. })
        ));
    }
    catalog.finish(&claimed, done()).unwrap();
}

#[test]
fn projects_take_turns_and_who_hands_in_much_keeps_nobody_waiting() {
    let mut catalog = Catalog::new();
    for name in ["a", "b", "c", "d"] {
        catalog.job(name, Priority::Normal);
    }
    let first = catalog.project.clone();
    let local = block_on(storage::get(&catalog.sql, &first, "local")).unwrap();
    let new = NewProject {
        name: "second",
        display_name: "Second",
        location: "local",
        subscription_id: "s",
        resource_group: "g",
        tags: serde_json::Map::new(),
        storage: &[local],
        by: "me",
    };
    let second = block_on(projects::create(
        &catalog.sql,
        &catalog.seal,
        &new,
        catalog.moment(),
    ))
    .unwrap()
    .id;
    catalog.project = second.clone();
    for name in ["x", "y", "z"] {
        catalog.job(name, Priority::Normal);
    }
    catalog.job("urgent", Priority::High);
    let next = |catalog: &Catalog| {
        catalog.wait(1);
        catalog.claim().map(|claimed| {
            let name = claimed.outputs[0].asset_name.clone();
            (name.trim_start_matches("out-").to_owned(), claimed)
        })
    };
    // One after the other, as a worker alone has them: by turns, whoever was there first.
    let mut order = Vec::new();
    for _ in 0..4 {
        let (name, claimed) = next(&catalog).unwrap();
        catalog.finish(&claimed, done()).unwrap();
        order.push(name);
    }
    assert_eq!(order, ["urgent", "a", "x", "b"]);
    // Several at once: those of the project that has fewer under way.
    let taken: Vec<_> = std::iter::from_fn(|| next(&catalog)).collect();
    let names: Vec<_> = taken.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["y", "c", "z", "d"]);
}

#[test]
fn a_job_can_finish_without_an_output_of_which_the_transform_says_so() {
    let catalog = Catalog::new();
    let output = |on_error: Option<&str>, priority: Option<&str>| TransformOutput {
        on_error: on_error.map(str::to_owned),
        relative_priority: priority.map(str::to_owned),
        preset: json!({
            "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset",
            "presetName": "H264SingleBitrateSD",
        }),
    };
    let outputs = [
        output(Some("ContinueJob"), Some("High")),
        output(Some("StopProcessingJob"), None),
        output(None, Some("Low")),
    ];
    block_on(transforms::put(
        &catalog.sql,
        &catalog.project,
        "three",
        None,
        &outputs,
        catalog.now(),
    ))
    .unwrap();
    catalog.asset("in");
    let new = NewJob {
        input: JobInput::Asset {
            asset_name: "in".into(),
            files: vec!["film.mp4".into()],
            label: None,
            cut: Default::default(),
        },
        outputs: (0..3)
            .map(|at| NewOutput {
                asset_name: format!("out-{at}"),
                label: None,
                preset_override: None,
            })
            .collect(),
        description: None,
        correlation: Default::default(),
        priority: Priority::Normal,
        missing_assets: MissingAssets::Create,
        fingerprint: "f".into(),
    };
    block_on(jobs::create(
        &catalog.sql,
        &catalog.seal,
        &catalog.project,
        "three",
        "job",
        &new,
        catalog.moment(),
    ))
    .unwrap();
    let claimed = catalog.claim().unwrap();
    let told: Vec<_> = claimed
        .outputs
        .iter()
        .map(|output| (output.continues, output.urgency))
        .collect();
    assert_eq!(told, [(true, 2), (false, 1), (false, 0)]);
    let without = |index: u32| Ending::Finished {
        manifests: vec!["".into(), "b.ism".into(), "c.ism".into()],
        encoded: vec![],
        failed: vec![OutputFailure {
            index,
            failure: JobFailure {
                code: JobErrorCode::ContentUnsupported,
                message: "There is no audio.".into(),
                details: vec![],
            },
        }],
    };
    for refused in [1, 2, 3] {
        assert!(matches!(
            catalog.finish(&claimed, without(refused)),
            Err(CatalogError::Invalid { field, .. }) if field == "outcome.failed[0].index"
        ));
    }
    catalog.finish(&claimed, without(0)).unwrap();
    let job = block_on(jobs::get(&catalog.sql, &catalog.project, "three", "job")).unwrap();
    assert_eq!(job.state, JobState::Finished);
    let states: Vec<_> = job
        .outputs
        .iter()
        .map(|output| (output.state, output.progress, output.error.is_some()))
        .collect();
    assert_eq!(
        states,
        [
            (JobState::Error, 0, true),
            (JobState::Finished, 100, false),
            (JobState::Finished, 100, false),
        ]
    );
}

#[test]
fn a_job_that_is_tried_again_says_why_until_it_is_over() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let claimed = catalog.claim().unwrap();
    let failed = Ending::Failed(JobFailure {
        code: JobErrorCode::DownloadTransientError,
        message: "The input file could not be fetched.".into(),
        details: vec!["The connection to the server broke.".into()],
    });
    catalog.finish(&claimed, failed).unwrap();
    let waiting = catalog.job_now("a");
    assert_eq!(waiting.state, JobState::Queued);
    let error = waiting.outputs[0].error.as_ref().unwrap();
    assert_eq!(
        (error.code.as_str(), error.retry.as_str()),
        ("DownloadTransientError", "MayRetry")
    );
    catalog.wait(600);
    let claimed = catalog.claim().unwrap();
    assert!(catalog.job_now("a").outputs[0].error.is_some());
    let made = Ending::Finished {
        manifests: vec!["a.ism".into()],
        encoded: vec![],
        failed: vec![],
    };
    catalog.finish(&claimed, made).unwrap();
    let job = catalog.job_now("a");
    assert_eq!(job.state, JobState::Finished);
    let output = &job.outputs[0];
    assert_eq!(
        (output.state, output.progress, output.error.is_some()),
        (JobState::Finished, 100, false)
    );
}

#[test]
fn a_job_that_went_on_without_all_of_its_outputs_has_failed() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    let sql = "UPDATE job_outputs SET continues = 1";
    block_on(headwater_catalog::Sql::query(&catalog.sql, sql, &[])).unwrap();
    let claimed = catalog.claim().unwrap();
    let nothing = Ending::Finished {
        manifests: vec!["".into()],
        encoded: vec![],
        failed: vec![OutputFailure {
            index: 0,
            failure: JobFailure {
                code: JobErrorCode::ContentUnsupported,
                message: "There is no audio.".into(),
                details: vec![],
            },
        }],
    };
    catalog.finish(&claimed, nothing).unwrap();
    let job = catalog.job_now("a");
    assert_eq!(job.state, JobState::Error);
    let output = &job.outputs[0];
    assert_eq!(
        (output.state, output.error.is_some()),
        (JobState::Error, true)
    );
}

#[test]
fn a_job_whose_asset_is_gone_fails_when_it_is_claimed() {
    let catalog = Catalog::new();
    catalog.job("a", Priority::Normal);
    catalog.job("b", Priority::Normal);
    let refused = block_on(assets::delete(&catalog.sql, &catalog.project, "out-a"));
    assert!(
        matches!(refused, Err(CatalogError::Conflict(_))),
        "it is in use"
    );
    // Somebody else's hand in the database.
    use headwater_catalog::Sql as _;
    block_on(
        catalog
            .sql
            .query("DELETE FROM assets WHERE name = 'out-a'", &[]),
    )
    .unwrap();
    assert_eq!(catalog.claim().unwrap().outputs[0].asset_name, "out-b");
    let error = catalog.job_now("a").outputs[0].error.clone().unwrap();
    assert_eq!(error.code, "UploadNotAccessible");
}

#[test]
fn acknowledged_work_is_there_after_the_process_died() {
    let database = Database::new();
    let claimed = {
        let catalog = Catalog::on(database.connect());
        catalog.job("a", Priority::Normal);
        let claimed = catalog.claim().unwrap();
        catalog.renew(&claimed, 30, &[chunk(0)]).unwrap();
        // A transaction that never gets to its end.
        use headwater_catalog::Sql as _;
        block_on(catalog.sql.query("BEGIN IMMEDIATE", &[])).unwrap();
        block_on(catalog.sql.query("DELETE FROM jobs", &[])).unwrap();
        claimed
    };
    let catalog = Catalog::on(database.connect());
    assert_eq!(catalog.job_now("a").state, JobState::Processing);
    catalog.renew(&claimed, 50, &[]).unwrap();
    catalog.wait(31);
    assert_eq!(catalog.claim().unwrap().chunks, [chunk(0)]);
}

#[test]
fn two_workers_never_get_the_same_job() {
    let database = Database::new();
    let catalog = Catalog::on(database.connect());
    for number in 0..20 {
        catalog.job(&format!("j{number}"), Priority::Normal);
    }
    let now = catalog.now();
    let claimed: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let sql = database.connect();
                    let seal = headwater_seal::Seal::new(crate::support::MASTER_KEY).unwrap();
                    let moment = headwater_catalog::Moment {
                        now,
                        ids: &headwater_catalog::RandomIds,
                    };
                    std::iter::from_fn(|| {
                        block_on(queue::claim(&sql, &seal, "w", 30, moment)).unwrap()
                    })
                    .map(|claimed| claimed.job_id)
                    .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    let distinct: std::collections::BTreeSet<_> = claimed.iter().collect();
    assert_eq!((claimed.len(), distinct.len()), (20, 20));
}
