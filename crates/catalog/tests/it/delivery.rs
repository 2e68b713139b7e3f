//! Content keys as key delivery sees them, and the uses of tokens.

use crate::support::Catalog;
use futures::executor::block_on;
use headwater_catalog::delivery::{count_use, deliverable};
use headwater_catalog::key_policies::{self, Options};
use headwater_catalog::locator_keys;
use headwater_catalog::locators::{self, IfExists, NewLocator};
use serde_json::json;
use uuid::Uuid;

fn policy(catalog: &Catalog, name: &str) -> Uuid {
    let option = json!({
        "name": "o",
        "configuration": {"@odata.type": "#Microsoft.Media.ContentKeyPolicyClearKeyConfiguration", "secret": name},
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
    let new = NewLocator {
        asset_name: "film".into(),
        policy_name: "Predefined_ClearKey".into(),
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
    assert_eq!((key.policy_id, &key.project), (policy, &catalog.project));
    assert_eq!(
        key.options[0]["configuration"]["secret"], "p",
        "secrets are there"
    );
    assert!(found(Uuid::nil()).is_empty());
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
