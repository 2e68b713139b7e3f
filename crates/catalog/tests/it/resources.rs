//! Bootstrap, assets, transforms, keys.

use crate::support::{Catalog, CountedIds, config, start};
use futures::executor::block_on;
use headwater_catalog::assets::{self, AssetWrite};
use headwater_catalog::clients::{self, ClientSpec, NewSecret};
use headwater_catalog::endpoints::{self, EndpointState};
use headwater_catalog::query::Listing;
use headwater_catalog::rights::{self, TokenId};
use headwater_catalog::{
    CatalogError, Ids as _, Migrate as _, NativeSqlite, Sql as _, Written, keys, projects,
    publishing, storage, transforms, upload_rules,
};
use headwater_test_database::{Connection, Database};
use serde_json::json;

#[test]
fn starting_twice_changes_nothing_and_keeps_what_an_operator_did() {
    let sql = headwater_test_database::alone();
    let ids = CountedIds::default();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let first = start(&sql, &config(), &ids, now);
    assert!(first.migrations > 0);
    block_on(upload_rules::delete(&sql, &first.project.id, "uploads")).unwrap();
    block_on(endpoints::switch(
        &sql,
        &first.project.id,
        "default",
        EndpointState::Stopped,
        headwater_catalog::Moment { now, ids: &ids },
    ))
    .unwrap();

    let mut moved = config();
    moved.blob_url = "http://127.0.0.1:10001/local/".into();
    let second = start(&sql, &moved, &ids, now);
    assert_eq!(second.migrations, 0);
    assert_eq!(second.project.id, first.project.id);
    assert_eq!(second.signing_key.public(), first.signing_key.public());
    assert!(
        block_on(upload_rules::list(
            &sql,
            &first.project.id,
            &Listing::default()
        ))
        .unwrap()
        .items
        .is_empty()
    );
    assert!(!block_on(publishing::endpoint_running(&sql, &first.project.id)).unwrap());
    let account = block_on(storage::primary(&sql, &first.project.id)).unwrap();
    assert_eq!(account.url, "http://127.0.0.1:10001/local");
}

#[test]
fn an_installation_that_is_called_otherwise_takes_its_projects_along() {
    let sql = headwater_test_database::alone();
    let ids = CountedIds::default();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(start(&sql, &config(), &ids, now).project.location, "local");
    let copy = "INSERT INTO projects (id, name, display_name, location, subscription_id, resource_group, account_name, created, modified)
                SELECT '22222222-2222-4222-8222-222222222222', 'team', 'team', location, 's', 'g', 'team', created, modified FROM projects";
    block_on(sql.query(copy, &[])).unwrap();
    let mut moved = config();
    moved.location = "westeurope".into();
    let project = start(&sql, &moved, &ids, now).project;
    assert_eq!(project.location, "westeurope");
    let all = block_on(projects::list(&sql, None, None)).unwrap();
    let places: Vec<_> = all
        .iter()
        .map(|project| project.location.as_str())
        .collect();
    assert_eq!(places, ["westeurope", "westeurope"]);
}

#[test]
fn secrets_do_not_reach_the_database_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    drop(Catalog::on(Connection::Sqlite(
        NativeSqlite::open(&path).unwrap(),
    )));
    let bytes = std::fs::read(&path).unwrap();
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(
        holds(b"AdaptiveStreaming"),
        "the file is what we think it is"
    );
    assert!(!holds(b"YWNjb3VudCBrZXk="));
}

#[test]
fn an_older_program_refuses_a_newer_database() {
    let sql = headwater_test_database::alone();
    block_on(sql.migrate()).unwrap();
    block_on(sql.query(
        "INSERT INTO schema_migrations (number, name) VALUES (999, 'later')",
        &[],
    ))
    .unwrap();
    assert!(
        block_on(sql.migrate())
            .unwrap_err()
            .to_string()
            .contains("newer version")
    );
}

#[test]
fn an_asset_keeps_what_may_not_change() {
    let catalog = Catalog::new();
    let put = |write: &AssetWrite| {
        block_on(assets::put(
            &catalog.sql,
            &catalog.project,
            "a",
            write,
            catalog.ids.uuid(),
            catalog.now(),
        ))
    };
    let first = AssetWrite {
        container: Some("films".into()),
        sub_path: Some("/2026/".into()),
        description: Some("one".into()),
        extra: [("encryptionScope".to_owned(), json!("scope"))]
            .into_iter()
            .collect(),
        ..AssetWrite::default()
    };
    let (created, written) = put(&first).unwrap();
    assert_eq!(written, Written::Created);
    assert_eq!(created.sub_path, "2026");
    catalog.wait(1);
    let (same, written) = put(&first).unwrap();
    assert_eq!(
        (written, same.asset_id),
        (Written::Existing, created.asset_id)
    );
    assert!(same.modified > same.created);

    // PATCH keeps what it does not mention, PUT says all there is.
    let other = AssetWrite {
        alternate_id: Some("x".into()),
        ..AssetWrite::default()
    };
    let kept = block_on(assets::update(
        &catalog.sql,
        &catalog.project,
        "a",
        &other,
        catalog.now(),
    ))
    .unwrap();
    assert_eq!(
        (kept.description.as_deref(), kept.alternate_id.as_deref()),
        (Some("one"), Some("x"))
    );
    assert_eq!(kept.extra["encryptionScope"], "scope");
    let (replaced, _) = put(&other).unwrap();
    assert_eq!(
        (replaced.description, replaced.alternate_id.as_deref()),
        (None, Some("x"))
    );
    assert!(replaced.extra.is_empty());
    assert_eq!(
        (replaced.container, replaced.sub_path),
        ("films".into(), "2026".into())
    );

    for (field, write) in [
        (
            "properties.container",
            AssetWrite {
                container: Some("other".into()),
                ..AssetWrite::default()
            },
        ),
        (
            "properties.subPath",
            AssetWrite {
                sub_path: Some("other".into()),
                ..AssetWrite::default()
            },
        ),
        (
            "properties.storageAccountName",
            AssetWrite {
                storage_account: Some("other".into()),
                ..AssetWrite::default()
            },
        ),
    ] {
        let Err(CatalogError::Invalid { field: named, .. }) = put(&write) else {
            panic!("{field} changed")
        };
        assert_eq!(named, field);
    }
}

#[test]
fn concurrent_writers_of_one_asset_lose_no_update() {
    let database = Database::new();
    let catalog = Catalog::on(database.connect());
    catalog.asset("a");
    let (project, now) = (catalog.project.clone(), catalog.now());
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (database, project) = (&database, &project);
            scope.spawn(move || {
                let sql = database.connect();
                for step in 0..10 {
                    let write = AssetWrite {
                        extra: [(format!("w{writer}s{step}"), json!(true))]
                            .into_iter()
                            .collect(),
                        ..AssetWrite::default()
                    };
                    block_on(assets::update(&sql, project, "a", &write, now)).unwrap();
                }
            });
        }
    });
    let asset = block_on(assets::get(&catalog.sql, &catalog.project, "a")).unwrap();
    assert_eq!(asset.extra.len(), 40);
}

#[test]
fn a_transform_with_a_running_job_or_a_rule_stays() {
    let catalog = Catalog::new();
    let delete = || {
        block_on(transforms::delete(
            &catalog.sql,
            &catalog.project,
            crate::support::TRANSFORM,
        ))
    };
    assert!(
        matches!(delete(), Err(CatalogError::Conflict(_))),
        "the default rule uses it"
    );
    block_on(upload_rules::delete(
        &catalog.sql,
        &catalog.project,
        "uploads",
    ))
    .unwrap();
    catalog.job("a", Default::default());
    assert!(delete().unwrap());
    assert!(!delete().unwrap());
}

#[test]
fn clients_and_revocation() {
    let catalog = Catalog::new();
    let spec = ClientSpec {
        description: None,
        role: "operator".into(),
        project: Some("default".into()),
    };
    let secret = |secret| NewSecret {
        secret,
        salt: catalog.ids.uuid(),
    };
    let put = || {
        let new = secret("a long random secret");
        block_on(clients::put(
            &catalog.sql,
            "script",
            &spec,
            new,
            catalog.now(),
        ))
        .unwrap()
    };
    let (client, written) = put();
    assert_eq!(written, Written::Created);
    assert_eq!(put().1, Written::Existing);
    let check =
        |id: &str, secret: &str| block_on(clients::authenticate(&catalog.sql, id, secret)).unwrap();
    assert_eq!(check("script", "a long random secret"), Some(client));
    assert_eq!(check("script", "a long random secreT"), None);
    assert_eq!(check("other", "a long random secret"), None);
    let new = secret("another");
    block_on(clients::rotate(&catalog.sql, "script", new, catalog.now())).unwrap();
    assert_eq!(check("script", "a long random secret"), None);
    assert!(check("script", "another").is_some());

    let later = catalog.now() + jiff::SignedDuration::from_hours(1);
    for _ in 0..2 {
        block_on(keys::revoke(&catalog.sql, "t1", later, catalog.now())).unwrap();
    }
    let revoked = |jti: &str| {
        let token = TokenId { jti, kid: "k" };
        block_on(rights::is_token_revoked(&catalog.sql, token)).unwrap()
    };
    assert!(revoked("t1") && !revoked("t2"));
    assert_eq!(
        block_on(keys::revoked(&catalog.sql, catalog.now())).unwrap(),
        ["t1"]
    );
    assert!(
        block_on(keys::revoked(&catalog.sql, later))
            .unwrap()
            .is_empty()
    );
}
