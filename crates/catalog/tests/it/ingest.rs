//! Storage events: what they start, and that they start it once.

use crate::support::{Catalog, TRANSFORM};
use futures::executor::block_on;
use headwater_catalog::ingest::{
    BlobEvent, BlobEventKind, Outcome, Refused, Started, concerns_a_rule, storage_event,
};
use headwater_catalog::jobs::queue::{self, ClaimedInput};
use headwater_catalog::{CatalogError, assets, jobs, locators, transforms, upload_rules};

fn event(id: &str, blob: &str, etag: &str) -> BlobEvent {
    BlobEvent {
        kind: BlobEventKind::Created,
        account: "local".into(),
        container: "uploads".into(),
        blob: blob.into(),
        etag: etag.into(),
        event_id: id.into(),
    }
}

/// What was started and what was refused.
fn taken(outcome: Result<Outcome, CatalogError>) -> (Vec<Started>, Vec<Refused>) {
    match outcome.unwrap() {
        Outcome::Applied { started, refused } => (started, refused),
        other => panic!("{other:?}"),
    }
}

fn names(started: &[Started]) -> Vec<&str> {
    started.iter().map(|job| job.rule.as_str()).collect()
}

/// A rule `second` beside `uploads`, for MP4 files in the folder `in`.
fn second_rule(catalog: &Catalog) -> upload_rules::UploadRuleWrite {
    let mut rule = block_on(upload_rules::get(&catalog.sql, &catalog.project, "uploads"))
        .unwrap()
        .rule;
    rule.prefix = "in/".into();
    rule.suffixes = vec![".mp4".into()];
    block_on(upload_rules::put(
        &catalog.sql,
        &catalog.project,
        "second",
        &rule,
        catalog.now(),
    ))
    .unwrap();
    rule
}

fn take(catalog: &Catalog, event: &BlobEvent) -> Result<Outcome, CatalogError> {
    block_on(storage_event(
        &catalog.sql,
        &catalog.seal,
        event,
        catalog.moment(),
    ))
}

#[test]
fn an_upload_becomes_assets_a_job_and_a_locator() {
    let catalog = Catalog::new();
    let (started, _) = taken(take(&catalog, &event("e1", "in/My film.MP4", "\"0x1\"")));
    let [job] = started.as_slice() else {
        panic!("{started:?}")
    };
    assert!(
        job.output_asset.starts_with("My-film-"),
        "{}",
        job.output_asset
    );
    let locator = block_on(locators::get(&catalog.sql, &catalog.project, &job.job_name)).unwrap();
    assert_eq!(locator.locator_id, job.locator_id);
    assert_eq!(locator.asset_name, job.output_asset);
    let source = format!("{}-source", job.output_asset);
    let input = block_on(assets::get(&catalog.sql, &catalog.project, &source)).unwrap();
    assert_eq!(input.container, "uploads");
    assert_eq!(input.deletion_policy, assets::DeletionPolicy::Retain);

    let claimed = block_on(queue::claim(
        &catalog.sql,
        &catalog.seal,
        "w",
        30,
        catalog.moment(),
    ))
    .unwrap()
    .unwrap();
    assert_eq!(claimed.job_id, job.job_id);
    let ClaimedInput::Asset {
        location, files, ..
    } = claimed.input
    else {
        panic!("not an asset")
    };
    assert_eq!(
        (location.container.as_str(), files),
        ("uploads", vec!["in/My film.MP4".to_owned()])
    );
}

#[test]
fn events_repeated_in_any_way_start_nothing_twice() {
    let catalog = Catalog::new();
    assert!(matches!(
        take(&catalog, &event("e1", "a.mp4", "\"0x1\"")).unwrap(),
        Outcome::Applied { .. }
    ));
    assert_eq!(
        take(&catalog, &event("e1", "a.mp4", "\"0x1\"")).unwrap(),
        Outcome::Duplicate
    );
    assert_eq!(
        take(&catalog, &event("e2", "a.mp4", "0x1")).unwrap(),
        Outcome::Ignored,
        "the same version"
    );
    assert!(
        matches!(
            take(&catalog, &event("e3", "a.mp4", "\"0x2\"")).unwrap(),
            Outcome::Applied { .. }
        ),
        "a new one"
    );
}

#[test]
fn only_what_a_rule_is_for_starts_work() {
    let catalog = Catalog::new();
    let mut elsewhere = event("e1", "a.mp4", "1");
    elsewhere.container = "other".into();
    let mut foreign = event("e2", "a.mp4", "1");
    foreign.account = "theirs".into();
    let mut deleted = event("e3", "a.mp4", "1");
    deleted.kind = BlobEventKind::Deleted;
    for event in [elsewhere, foreign, deleted, event("e4", "notes.txt", "1")] {
        assert!(!block_on(concerns_a_rule(&catalog.sql, &event)).unwrap());
        assert_eq!(
            take(&catalog, &event).unwrap(),
            Outcome::Ignored,
            "{event:?}"
        );
    }
    let mut rule = block_on(upload_rules::get(&catalog.sql, &catalog.project, "uploads"))
        .unwrap()
        .rule;
    rule.enabled = false;
    block_on(upload_rules::put(
        &catalog.sql,
        &catalog.project,
        "uploads",
        &rule,
        catalog.now(),
    ))
    .unwrap();
    assert_eq!(
        take(&catalog, &event("e5", "a.mp4", "1")).unwrap(),
        Outcome::Ignored
    );
}

#[test]
fn an_event_that_a_rule_refused_is_not_remembered() {
    let catalog = Catalog::new();
    let (started, refused) = taken(take(&catalog, &event("e1", "../a.mp4", "1")));
    assert!(started.is_empty() && refused.len() == 1, "{refused:?}");
    let (started, _) = taken(take(&catalog, &event("e1", "a.mp4", "1")));
    assert_eq!(started.len(), 1, "not a duplicate");
}

#[test]
fn a_broken_rule_leaves_the_upload_to_the_others() {
    let catalog = Catalog::new();
    let second = second_rule(&catalog);
    // Somebody else's hand in the database: neither can be brought about through the API.
    let all = |statement: &str| {
        use headwater_catalog::Sql as _;
        block_on(catalog.sql.query(statement, &[])).unwrap()
    };
    all("UPDATE upload_rules SET transform_name = 'gone' WHERE name = 'second'");
    let (started, refused) = taken(take(&catalog, &event("e1", "in/a.mp4", "1")));
    assert_eq!(names(&started), ["uploads"]);
    let [refused] = refused.as_slice() else {
        panic!("{refused:?}")
    };
    assert_eq!(refused.rule, "second");
    assert!(matches!(refused.error, CatalogError::NotFound { .. }));
    assert_eq!(
        all("SELECT name FROM assets").iter().count(),
        2,
        "nothing is left of what was refused"
    );

    // Mended, and the same event sent again: only what is missing is made.
    block_on(upload_rules::put(
        &catalog.sql,
        &catalog.project,
        "second",
        &second,
        catalog.now(),
    ))
    .unwrap();
    let (started, refused) = taken(take(&catalog, &event("e1", "in/a.mp4", "1")));
    assert_eq!(
        (names(&started), refused.len()),
        (vec!["second"], 0),
        "{refused:?}"
    );
    assert_eq!(
        take(&catalog, &event("e1", "in/a.mp4", "1")).unwrap(),
        Outcome::Duplicate
    );
}

#[test]
fn a_name_that_is_taken_refuses_the_rule_instead_of_failing_the_event() {
    let catalog = Catalog::new();
    let (started, _) = taken(take(&catalog, &event("e1", "a.mp4", "1")));
    let taken_name = started[0].output_asset.clone();
    for taken_by in ["asset", "job", "locator"] {
        let catalog = Catalog::new();
        match taken_by {
            "asset" => catalog.asset(&taken_name),
            "job" => drop(catalog.job(&taken_name, jobs::Priority::Normal)),
            _ => {
                catalog.asset("other");
                use headwater_catalog::Sql as _;
                let locator = "INSERT INTO streaming_locators (project_id, name, locator_id, asset_name, policy_name,
                        suppressed, extra_json, fingerprint, created)
                    SELECT project_id, ?1, 'x', 'other', 'p', 0, '{}', '', 0 FROM assets WHERE name = 'other'";
                block_on(catalog.sql.query(locator, &[taken_name.as_str().into()])).unwrap();
            }
        }
        let (started, refused) = taken(take(&catalog, &event("e1", "a.mp4", "1")));
        assert!(started.is_empty(), "{taken_by}");
        assert!(
            matches!(&refused[0].error, CatalogError::Taken { name, .. } if *name == taken_name),
            "{refused:?}"
        );
    }
}

#[test]
fn each_rule_gets_a_job_of_its_own() {
    let catalog = Catalog::new();
    second_rule(&catalog);
    let (started, _) = taken(take(&catalog, &event("e1", "in/a.mp4", "1")));
    assert_eq!(names(&started), ["second", "uploads"]);
    let jobs = block_on(jobs::list(
        &catalog.sql,
        &catalog.project,
        Some(TRANSFORM),
        &Default::default(),
    ))
    .unwrap();
    assert_eq!(jobs.items.len(), 2);
}

#[test]
fn rules_are_checked_when_they_are_written() {
    let catalog = Catalog::new();
    let good = block_on(upload_rules::get(&catalog.sql, &catalog.project, "uploads"))
        .unwrap()
        .rule;
    let put = |rule| {
        block_on(upload_rules::put(
            &catalog.sql,
            &catalog.project,
            "r",
            &rule,
            catalog.now(),
        ))
    };
    for (field, rule) in [
        (
            "properties.container",
            upload_rules::UploadRuleWrite {
                container: "A".into(),
                ..good.clone()
            },
        ),
        (
            "properties.suffixes",
            upload_rules::UploadRuleWrite {
                suffixes: vec![],
                ..good.clone()
            },
        ),
        (
            "properties.suffixes[0]",
            upload_rules::UploadRuleWrite {
                suffixes: vec![String::new()],
                ..good.clone()
            },
        ),
        (
            "properties.transformName",
            upload_rules::UploadRuleWrite {
                transform_name: "x".into(),
                ..good.clone()
            },
        ),
        (
            "properties.storageAccountName",
            upload_rules::UploadRuleWrite {
                storage_account_name: "x".into(),
                ..good.clone()
            },
        ),
        (
            "properties.streamingPolicyName",
            upload_rules::UploadRuleWrite {
                streaming_policy_name: "Predefined_ClearKey".into(),
                ..good.clone()
            },
        ),
    ] {
        let Err(CatalogError::Invalid { field: named, .. }) = put(rule) else {
            panic!("{field} was accepted")
        };
        assert_eq!(named, field);
    }
}

#[test]
fn a_transform_keeps_its_one_output_while_a_rule_uses_it() {
    let catalog = Catalog::new();
    let old = block_on(transforms::get(&catalog.sql, &catalog.project, TRANSFORM)).unwrap();
    let two = [old.outputs.clone(), old.outputs.clone()].concat();
    let put = |name, outputs| {
        block_on(transforms::put(
            &catalog.sql,
            &catalog.project,
            name,
            None,
            outputs,
            catalog.now(),
        ))
    };
    let refused = put(TRANSFORM, two.as_slice());
    assert!(
        matches!(&refused, Err(CatalogError::Conflict(message)) if message.contains("'uploads'")),
        "{refused:?}"
    );
    let refused = block_on(transforms::update(
        &catalog.sql,
        &catalog.project,
        TRANSFORM,
        None,
        Some(&two),
        catalog.now(),
    ));
    assert!(
        matches!(refused, Err(CatalogError::Conflict(_))),
        "{refused:?}"
    );
    put(TRANSFORM, &old.outputs).unwrap();
    put("another", &two).unwrap();
    let now = block_on(transforms::get(&catalog.sql, &catalog.project, TRANSFORM)).unwrap();
    assert_eq!(now.outputs, old.outputs);
}
