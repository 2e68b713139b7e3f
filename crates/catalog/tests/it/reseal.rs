//! A new master key.

use crate::support::{Catalog, MASTER_KEY};
use futures::executor::block_on;
use headwater_catalog::reseal::reseal;
use headwater_catalog::{CatalogError, keys, storage};
use headwater_seal::{Seal, SealError};
use jiff::SignedDuration;

const NEW_KEY: &str = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=";

#[test]
fn what_an_old_key_sealed_is_read_with_the_new_one_alone() {
    let catalog = Catalog::new();
    let both = Seal::with_keys(&format!("{NEW_KEY} {MASTER_KEY}")).unwrap();
    // The account's key and the signing key.
    assert_eq!(block_on(reseal(&catalog.sql, &both)).unwrap(), 2);
    assert_eq!(block_on(reseal(&catalog.sql, &both)).unwrap(), 0);

    let new = Seal::new(NEW_KEY).unwrap();
    let account = block_on(storage::primary(&catalog.sql, &catalog.project)).unwrap();
    assert!(account.auth(&new).is_ok());
    assert!(
        block_on(keys::signing_key(&catalog.sql, &new))
            .unwrap()
            .is_some()
    );
    let old = Seal::new(MASTER_KEY).unwrap();
    assert!(matches!(
        account.auth(&old),
        Err(CatalogError::Seal(SealError::UnknownKey))
    ));
}

#[test]
fn a_signing_key_that_was_replaced_has_no_secret_to_seal() {
    let catalog = Catalog::new();
    let old = Seal::new(MASTER_KEY).unwrap();
    let later = catalog.now() + SignedDuration::from_hours(1);
    let second = block_on(keys::rotate(&catalog.sql, &old, later)).unwrap();
    block_on(keys::revoke_key(&catalog.sql, &old, &second.kid, later)).unwrap();

    let both = Seal::with_keys(&format!("{NEW_KEY} {MASTER_KEY}")).unwrap();
    assert_eq!(block_on(reseal(&catalog.sql, &both)).unwrap(), 2);
    let new = Seal::new(NEW_KEY).unwrap();
    assert!(block_on(keys::signing_key(&catalog.sql, &new)).is_ok_and(|key| key.is_some()));
}

#[test]
fn a_secret_of_an_unknown_key_is_reported_and_left_alone() {
    let catalog = Catalog::new();
    let stranger = Seal::new(NEW_KEY).unwrap();
    assert!(matches!(
        block_on(reseal(&catalog.sql, &stranger)),
        Err(CatalogError::Seal(SealError::UnknownKey))
    ));
    let account = block_on(storage::primary(&catalog.sql, &catalog.project)).unwrap();
    assert!(account.auth(&Seal::new(MASTER_KEY).unwrap()).is_ok());
}
