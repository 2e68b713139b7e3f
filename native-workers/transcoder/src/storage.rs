//! The way to a job's places.
//!
//! A claim's signatures last for a day, and what is made in one piece may take longer. So the stores of a job share the
//! signature of their place, and that can be replaced while they are in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use headwater_blob::{Auth, Container, HyperClient, RenewedSas, Store};
use headwater_work::Place;

/// A client, and the signatures that it goes with. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Storage {
    client: HyperClient,
    /// By container and the signature that the claim has for it: there may be one for reading and one for writing.
    signatures: Arc<Mutex<HashMap<(String, String), RenewedSas>>>,
}

impl Storage {
    pub fn new(client: HyperClient) -> Self {
        Self {
            client,
            signatures: Arc::default(),
        }
    }

    fn signatures(&self) -> MutexGuard<'_, HashMap<(String, String), RenewedSas>> {
        self.signatures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The signature that is good for `place` by now.
    fn signature(&self, place: &Place) -> RenewedSas {
        let key = (place.container_url.clone(), place.sas.clone());
        let mut signatures = self.signatures();
        let found = signatures
            .entry(key)
            .or_insert_with(|| RenewedSas::new(place.sas.clone()));
        found.clone()
    }

    /// The container of `place`, which is one of the claim's.
    ///
    /// Errors: a sentence, if its URL is none.
    pub fn store(&self, place: &Place) -> Result<Store<HyperClient>, String> {
        let auth = if place.sas.is_empty() {
            Auth::None
        } else {
            Auth::Renewed(self.signature(place))
        };
        let container =
            Container::new(&place.container_url, auth).map_err(|error| error.to_string())?;
        Ok(Store::new(
            self.client.clone(),
            container,
            jiff::Timestamp::now,
        ))
    }

    /// From now on `fresh` is what all stores of `place`, one of the claim's, show; unless it is for another container.
    pub fn renew(&self, place: &Place, fresh: &Place) {
        if place.container_url == fresh.container_url {
            self.signature(place).replace(fresh.sas.clone());
        }
    }
}
