//! Storage accounts and projects as the catalog keeps them.

use crate::support::{Catalog, CountedIds, config, start};
use futures::executor::block_on;
use headwater_blob::{AccountUrl, Auth};
use headwater_catalog::projects::{self, NewProject};
use headwater_catalog::storage::{self, NewCredential, StorageWrite, credentials};
use headwater_catalog::{
    CatalogError, Migrate as _, NativeSqlite, Sql as _, migrations, rights, tokens,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Map;

const OTHER_KEY: &str = "YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE=";

fn new(name: &str) -> NewProject<'_> {
    NewProject {
        name,
        display_name: name,
        location: "local",
        subscription_id: "s",
        resource_group: "g",
        tags: Map::new(),
        storage: &[],
        by: "me",
    }
}

fn opens_with(auth: &Auth, key: &str) -> bool {
    matches!(auth, Auth::SharedKey { key: own, .. } if own.to_base64() == key)
}

/// A database as the versions before the seventh left it, with an account key in its old place.
#[test]
fn a_key_of_before_opens_what_it_did() {
    let catalog = Catalog::new();
    let own = block_on(storage::get(&catalog.sql, &catalog.project, "local")).unwrap();
    let sealed = block_on(catalog.sql.query(
        "SELECT secret_sealed FROM storage_credentials WHERE id = ?1",
        &[own.id.into()],
    ))
    .unwrap();
    let sealed = sealed.first().unwrap().blob("secret_sealed").unwrap();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    let old = NativeSqlite::open(&path).unwrap();
    let run = |sql: &str| block_on(old.query(sql, &[])).unwrap();
    run("CREATE TABLE schema_migrations (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL)");
    for step in migrations::all().iter().filter(|step| step.number < 7) {
        let lines = step
            .sql
            .lines()
            .filter(|line| !line.trim().starts_with("--"));
        let text: Vec<_> = lines.collect();
        for statement in text.join("\n").split_terminator(';') {
            run(statement);
        }
        run(&format!(
            "INSERT INTO schema_migrations VALUES ({}, 'x')",
            step.number
        ));
    }
    block_on(old.query(
        "INSERT INTO storage_accounts (project_id, name, id, account, url, credential_sealed, is_primary, created, modified)
         VALUES ('p', 'local', ?1, 'local', 'http://127.0.0.1:1/local', ?2, 1, 5, 5)",
        &[own.id.into(), sealed.into()],
    ))
    .unwrap();
    assert!(block_on(old.migrate()).unwrap() >= 1);
    let found = block_on(storage::called(&old, "local")).unwrap().unwrap();
    let never = Timestamp::MAX.as_microsecond();
    assert_eq!(found.credential.expires.as_microsecond(), never);
    let key = config().account_key;
    assert!(opens_with(
        &found.auth(&catalog.seal).unwrap(),
        key.expose_str().unwrap()
    ));
}

#[test]
fn the_embedded_store_moves_in_every_project_that_has_it() {
    let sql = headwater_test_database::alone();
    let ids = CountedIds::default();
    let catalog = Catalog::on(sql);
    let local = [block_on(storage::get(&catalog.sql, &catalog.project, "local")).unwrap()];
    let mut second = new("second");
    second.storage = &local;
    let second = block_on(projects::create(
        &catalog.sql,
        &catalog.seal,
        &second,
        catalog.moment(),
    ));
    let second = second.unwrap();
    let mut moved = config();
    moved.blob_url = "http://127.0.0.1:20000/local".into();
    moved.account_key = OTHER_KEY.into();
    start(&catalog.sql, &moved, &ids, catalog.now());
    for project in [&catalog.project, &second.id] {
        let found = block_on(storage::primary(&catalog.sql, project)).unwrap();
        assert_eq!(found.url, "http://127.0.0.1:20000/local");
        assert!(opens_with(&found.auth(&catalog.seal).unwrap(), OTHER_KEY));
    }
}

#[test]
fn another_takes_the_place_of_the_primary() {
    let catalog = Catalog::new();
    let (sql, seal) = (&catalog.sql, &catalog.seal);
    let project = block_on(projects::create(
        sql,
        seal,
        &new("second"),
        catalog.moment(),
    ))
    .unwrap();
    let key = NewCredential::account_key(OTHER_KEY).unwrap();
    for name in ["b", "a", "c"] {
        let url = AccountUrl::parse(&format!("https://{name}.example.com")).unwrap();
        let write = StorageWrite {
            url: &url,
            description: None,
            credential: Some(&key),
            by: "me",
        };
        block_on(storage::put(
            sql,
            seal,
            &project.id,
            name,
            &write,
            catalog.moment(),
        ))
        .unwrap();
        catalog.wait(1);
    }
    let primary = || block_on(storage::primary(sql, &project.id)).map(|account| account.name);
    for name in ["b", "a", "c"] {
        assert_eq!(primary().unwrap(), name);
        assert!(block_on(storage::delete(sql, &project.id, name)).unwrap());
    }
    assert!(matches!(primary(), Err(CatalogError::NotFound { .. })));
    let left = block_on(sql.query("SELECT count(*) AS n FROM storage_credentials", &[])).unwrap();
    assert_eq!(left.first().unwrap().integer("n").unwrap(), 1);
}

#[test]
fn there_is_an_end_to_credentials() {
    let catalog = Catalog::new();
    let (sql, seal) = (&catalog.sql, &catalog.seal);
    let own = block_on(storage::get(sql, &catalog.project, "local")).unwrap();
    let add = |number: u8| {
        let key = headwater_blob::AccountKey::from_bytes(vec![number; 32]).unwrap();
        let key = NewCredential::account_key(&key.to_base64()).unwrap();
        block_on(credentials::add(
            sql,
            seal,
            own.id,
            &key,
            "me",
            catalog.moment(),
        ))
    };
    for number in 1..20 {
        add(number).unwrap();
    }
    assert!(matches!(add(20), Err(CatalogError::Conflict(_))));
    add(19).unwrap();
    assert_eq!(
        block_on(credentials::all(sql, own.id)).unwrap().len(),
        credentials::MOST
    );
}

#[test]
fn a_deleted_project_takes_its_tokens_with_it() {
    let catalog = Catalog::new();
    let (sql, seal) = (&catalog.sql, &catalog.seal);
    let project = block_on(projects::create(
        sql,
        seal,
        &new("second"),
        catalog.moment(),
    ))
    .unwrap();
    let token = tokens::TokenRecord {
        id: "t".into(),
        kind: tokens::TokenKind::FullAccess,
        subject: "me".into(),
        description: None,
        roles: Some(vec![headwater_auth::Role::Viewer]),
        project: Some("second".into()),
        permissions: None,
        issued: catalog.now(),
        expires: catalog.now() + SignedDuration::from_hours(24),
        revoked: None,
        revoked_by: None,
    };
    block_on(tokens::record(sql, &token)).unwrap();
    let delete = || block_on(projects::delete(sql, &project.id, "me", catalog.now()));
    assert!(delete().unwrap());
    assert!(!delete().unwrap());
    // Whoever takes the name next is somebody else.
    let id = rights::TokenId {
        jti: "t",
        kid: "any",
    };
    assert!(block_on(rights::is_token_revoked(sql, id)).unwrap());
    block_on(projects::create(
        sql,
        seal,
        &new("second"),
        catalog.moment(),
    ))
    .unwrap();
    let default = block_on(projects::delete(sql, &catalog.project, "me", catalog.now()));
    assert!(matches!(default, Err(CatalogError::WrongState(_))));
}
