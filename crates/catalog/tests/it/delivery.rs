//! Content keys as key delivery sees them, and the uses of tokens.

use crate::support::Catalog;
use futures::executor::block_on;
use headwater_catalog::delivery::{count_use, deliverable};
use headwater_catalog::key_policies::{self, Options};
use headwater_catalog::locator_keys;
use headwater_catalog::locators::{self, IfExists, NewLocator};
use headwater_catalog::{Sql as _, policies};
use headwater_protect::rotation::derive;
use headwater_protect::{Key, Kid, Period, Rotation};
use headwater_test_database::Connection;
use serde_json::json;
use uuid::Uuid;

fn policy(catalog: &Catalog, name: &str) -> Uuid {
    put_policy(catalog, name, name)
}

fn put_policy(catalog: &Catalog, name: &str, secret: &str) -> Uuid {
    let option = json!({
        "name": "o",
        "configuration": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration", "secret": secret},
        "restriction": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyOpenRestriction"},
    });
    let options = Options {
        complete: vec![option],
        blank: |option| {
            let mut shown = option.clone();
            shown["configuration"]["secret"] = json!(null);
            shown
        },
    };
    let put = key_policies::put(
        &catalog.sql,
        &catalog.seal,
        &catalog.project,
        name,
        None,
        &options,
        catalog.moment(),
    );
    block_on(put).unwrap().0.policy_id
}

fn locator(catalog: &Catalog, name: &str, key_policy: Option<&str>) -> Uuid {
    locator_on(catalog, "Predefined_ClearKey", name, key_policy)
}

fn locator_on(catalog: &Catalog, policy: &str, name: &str, key_policy: Option<&str>) -> Uuid {
    let new = NewLocator {
        asset_name: "film".into(),
        policy_name: policy.into(),
        key_policy: key_policy.map(str::to_owned),
        fingerprint: name.into(),
        ..NewLocator::default()
    };
    let put = locators::put(
        &catalog.sql,
        &catalog.seal,
        &catalog.project,
        name,
        &new,
        IfExists::Keep,
        catalog.moment(),
    );
    block_on(put).unwrap();
    let keys = locator_keys::list(&catalog.sql, &catalog.seal, &catalog.project, name);
    block_on(keys).unwrap()[0].id
}

#[test]
fn a_key_comes_with_the_policy_that_gives_it_out() {
    let catalog = Catalog::new();
    catalog.asset("film");
    let policy = policy(&catalog, "p");
    let kid = locator(&catalog, "l", Some("p"));
    let found = |kid| block_on(deliverable(&catalog.sql, &catalog.seal, kid)).unwrap();
    let [key] = found(kid).try_into().expect("one policy");
    assert_eq!(key.value.expose().len(), 16);
    let options = &key.options;
    assert_eq!(
        (options.policy_id, &key.project),
        (policy, &catalog.project)
    );
    let opened = options.open(&catalog.seal).unwrap();
    assert_eq!(
        opened[0]["configuration"]["secret"], "p",
        "secrets are there"
    );
    // Who has read these options need not open them again, and sees when they were written anew.
    assert_eq!(found(kid)[0].options, *options);
    for secret in ["p", "another"] {
        assert_eq!(put_policy(&catalog, "p", secret), policy);
        let [now] = found(kid).try_into().expect("one policy");
        assert_ne!(now.options, *options, "{secret}");
        let opened = now.options.open(&catalog.seal).unwrap();
        assert_eq!(opened[0]["configuration"]["secret"], secret);
    }
    assert!(found(Uuid::nil()).is_empty());
}

#[test]
fn a_key_that_rotates_is_found_by_the_ids_of_its_periods() {
    let catalog = Catalog::new();
    catalog.asset("film");
    policy(&catalog, "p");
    let properties = json!({"envelopeEncryption": {
        "enabledProtocols": {"hls": true}, "keyRotationInterval": "PT1M",
        "contentKeys": {"defaultKey": {"label": "ContentKey_AES"}},
    }});
    let made = policies::create(
        &catalog.sql,
        &catalog.project,
        "rotating",
        properties,
        catalog.moment(),
    );
    block_on(made).unwrap();
    let steady = locator(&catalog, "steady", Some("p"));
    let kid = locator_on(&catalog, "rotating", "l", Some("p"));
    let found = |kid: Kid| block_on(deliverable(&catalog.sql, &catalog.seal, kid.uuid())).unwrap();
    let [stored] = found(kid.into()).try_into().expect("by its own id");
    assert_eq!((stored.id, stored.rotation), (kid, Rotation::every(60)));
    let key = Key::from_slice(stored.value.expose()).unwrap();
    for number in [0, 29_671_200, u32::MAX] {
        let (id, _) = derive(kid.into(), &key, Period::numbered(number));
        let [same] = found(id).try_into().expect("by that of a period");
        assert_eq!((same.id, same.value.expose()), (kid, stored.value.expose()));
    }
    let [other] = found(steady.into()).try_into().expect("a key");
    assert_eq!(other.rotation, None);
    let other = Key::from_slice(other.value.expose()).unwrap();
    let (id, _) = derive(steady.into(), &other, Period::FILM);
    assert!(
        found(id).is_empty(),
        "a key that does not rotate has no periods"
    );
    // A locator that changes to another policy keeps its key, which rotates no more.
    let new = NewLocator {
        asset_name: "film".into(),
        policy_name: "Predefined_ClearKey".into(),
        key_policy: Some("p".into()),
        fingerprint: "again".into(),
        ..NewLocator::default()
    };
    let put = locators::put(
        &catalog.sql,
        &catalog.seal,
        &catalog.project,
        "l",
        &new,
        IfExists::Replace,
        catalog.moment(),
    );
    block_on(put).unwrap();
    let [stored] = found(kid.into()).try_into().expect("by its own id");
    assert_eq!(stored.rotation, None);
    let (id, _) = derive(kid.into(), &key, Period::FILM);
    assert!(found(id).is_empty());
    // What SQLite says of it: neither way looks at other keys.
    if let Connection::Sqlite(_) = catalog.sql {
        let plan = "EXPLAIN QUERY PLAN SELECT 1 FROM locator_keys WHERE key_id = ?1 OR rotation_handle = ?2";
        let rows = block_on(catalog.sql.query(plan, &["a".into(), "b".into()])).unwrap();
        let steps: Vec<String> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
        let steps = steps.join("\n");
        assert!(
            steps.contains("locator_keys_by_id") && steps.contains("locator_keys_by_handle"),
            "{steps}"
        );
    }
}

#[test]
fn uses_are_counted_up_to_the_last() {
    let catalog = Catalog::new();
    let now = catalog.moment().now;
    let later = now + jiff::SignedDuration::from_mins(10);
    let use_of = |policy, fingerprint: u8, now| {
        block_on(count_use(
            &catalog.sql,
            policy,
            &[fingerprint; 32],
            2,
            later,
            now,
        ))
        .unwrap()
    };
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    assert_eq!(
        [use_of(a, 1, now), use_of(a, 1, now), use_of(a, 1, now)],
        [true, true, false]
    );
    assert!(use_of(a, 2, now), "another token");
    assert!(use_of(b, 1, now), "another policy");
    let after = later + jiff::SignedDuration::from_secs(1);
    assert!(use_of(a, 1, after), "forgotten with the token");
}
