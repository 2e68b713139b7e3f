//! Storage events: what they start, and that they start it once.

mod support;

use futures::executor::block_on;
use headwater_catalog::ingest::{
    BlobEvent, BlobEventKind, Outcome, concerns_a_rule, storage_event,
};
use headwater_catalog::jobs::queue::{self, ClaimedInput};
use headwater_catalog::{CatalogError, assets, locators, upload_rules};
use support::{Catalog, TRANSFORM};

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
    let Outcome::Started(started) =
        take(&catalog, &event("e1", "in/My film.MP4", "\"0x1\"")).unwrap()
    else {
        panic!("nothing was started");
    };
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
    let ClaimedInput::Asset { location, files } = claimed.input else {
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
        Outcome::Started(_)
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
            Outcome::Started(_)
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
fn an_event_that_fails_is_not_remembered() {
    let catalog = Catalog::new();
    assert!(matches!(
        take(&catalog, &event("e1", "../a.mp4", "1")),
        Err(CatalogError::Invalid { .. })
    ));
    assert!(!matches!(
        take(&catalog, &event("e1", "a.mp4", "1")).unwrap(),
        Outcome::Duplicate
    ));
}

#[test]
fn each_rule_gets_a_job_of_its_own() {
    let catalog = Catalog::new();
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
    let Outcome::Started(started) = take(&catalog, &event("e1", "in/a.mp4", "1")).unwrap() else {
        panic!()
    };
    assert_eq!(
        started
            .iter()
            .map(|job| job.rule.as_str())
            .collect::<Vec<_>>(),
        ["second", "uploads"]
    );
    let jobs = block_on(headwater_catalog::jobs::list(
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
