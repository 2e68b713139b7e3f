//! What an instance keeps between requests: configuration for good, public keys for some seconds.

use std::cell::RefCell;
use std::rc::Rc;

use headwater_api::limits::{Limiter, Limits};
use headwater_api::{IssuerKeys, Settings};
use headwater_auth::{Issuer, Verifier};
use headwater_catalog::{CatalogError, Sql};
use headwater_edge::config::{self, ConfigError};
use headwater_keys::KeyVendor;
use headwater_seal::Seal;
use jiff::{SignedDuration, Timestamp};

/// How long public keys are believed. A key that was made since is found at once, because its id is unknown.
const KEYS_LIFE: SignedDuration = SignedDuration::from_secs(30);

pub(crate) struct State {
    pub(crate) seal: Seal,
    pub(crate) settings: Settings,
    /// Keys of other authorities, as they were read.
    pub(crate) issuer_keys: IssuerKeys,
    /// Counts what this instance answers, which is all that it can know.
    pub(crate) limiter: Limiter,
    /// Whether the host tells where requests come from, and lets nobody else tell it.
    pub(crate) tells_address: bool,
    verifier: RefCell<Option<(Timestamp, Rc<Verifier>)>>,
}

thread_local! {
    static STATE: RefCell<Option<Rc<State>>> = const { RefCell::new(None) };
}

/// The instance's state, made from the configuration on first use.
pub(crate) async fn get() -> Result<Rc<State>, ConfigError> {
    if let Some(state) = STATE.with_borrow(Clone::clone) {
        return Ok(state);
    }
    let state = Rc::new(State {
        seal: config::seal().await?,
        settings: Settings {
            public_url: config::public_url().await?,
            public_gallery: config::public_gallery().await?,
            storage_hosts: config::storage_hosts().await?,
            metrics_url: config::metrics_url().await?,
            issuers: config::oidc_issuers(Issuer::parse_all).await?,
            audit_days: config::number("audit_days").await?,
            key_vendors: config::licence_backends(|text| {
                KeyVendor::parse_all(text).map_err(|error| error.to_string())
            })
            .await?,
        },
        issuer_keys: IssuerKeys::default(),
        limiter: Limiter::new(Limits {
            reads: config::number("rate_limit_reads").await?,
            writes: config::number("rate_limit_writes").await?,
        }),
        tells_address: config::flag("client_address").await?,
        verifier: RefCell::new(None),
    });
    STATE.set(Some(Rc::clone(&state)));
    Ok(state)
}

impl State {
    /// Checks tokens against keys that are at most [`KEYS_LIFE`] old.
    pub(crate) async fn verifier<S: Sql>(
        &self,
        sql: &S,
        now: Timestamp,
    ) -> Result<Rc<Verifier>, CatalogError> {
        if let Some((made, verifier)) = &*self.verifier.borrow()
            && now.duration_since(*made) < KEYS_LIFE
        {
            return Ok(Rc::clone(verifier));
        }
        let verifier = Rc::new(headwater_api::verifier(sql, &self.settings, now).await?);
        self.verifier.replace(Some((now, Rc::clone(&verifier))));
        Ok(verifier)
    }
}
