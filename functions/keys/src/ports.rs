//! The ports of key delivery over the catalog and outbound HTTP.

use std::pin::pin;

use bytes::Bytes;
use futures::future::{Either, select};
use headwater_blob::{HttpClient as _, TransportError};
use headwater_catalog::delivery::{Deliverable, count_use, deliverable};
use headwater_catalog::key_policies::SealedOptions;
use headwater_edge::http::SpinHttp;
use headwater_edge::sql::{self, SpinSql};
use headwater_keys::{KeyStore, Outbound, OutboundFault, Policies, StoredKey, TokenUse};
use headwater_protect::{Key, Kid};
use headwater_seal::Seal;
use http::{Request, Response};
use jiff::Timestamp;
use spin_sdk::wasip3::clocks::monotonic_clock;

/// How long another server may take, in nanoseconds. Players give up after some ten seconds.
const PATIENCE_NS: u64 = 8_000_000_000;

/// The catalog's keys.
pub(crate) struct Keys<'a> {
    pub(crate) seal: &'a Seal,
    pub(crate) policies: &'a Policies<SealedOptions>,
    /// Gets lines without secrets.
    pub(crate) log: fn(&str),
}

impl Keys<'_> {
    fn stored(&self, key: Deliverable) -> Result<StoredKey, String> {
        let policy_id = key.options.policy_id;
        let open = |options: &SealedOptions| options.open(self.seal);
        let told = |error| (self.log)(&format!("content key policy {policy_id}: {error}"));
        let policy = self.policies.get(policy_id, key.options, open, told);
        Ok(StoredKey {
            project: key.project.as_str().to_owned(),
            policy_id,
            policy: policy.map_err(text)?,
            id: key.id.into(),
            rotation: key.rotation,
            value: Key::from_slice(key.value.expose()).map_err(text)?,
        })
    }
}

impl KeyStore for Keys<'_> {
    async fn find(&self, kid: Kid) -> Result<Vec<StoredKey>, String> {
        let connection = sql::shared().await.map_err(text)?;
        let found = deliverable(&*connection, self.seal, kid.uuid()).await;
        let found = found.map_err(|error| {
            // The connection may be what is wrong.
            sql::forget_shared();
            text(error)
        })?;
        found.into_iter().map(|key| self.stored(key)).collect()
    }

    async fn count(&self, used: &TokenUse) -> Result<bool, String> {
        let connection = SpinSql::open().await.map_err(text)?;
        let expires = Timestamp::from_second(used.expires).map_err(text)?;
        let now = Timestamp::now();
        count_use(
            &connection,
            used.policy_id,
            &used.fingerprint,
            used.most,
            expires,
            now,
        )
        .await
        .map_err(text)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Licence servers and OpenID providers.
pub(crate) struct Servers;

impl Outbound for Servers {
    async fn send(
        &self,
        request: Request<Vec<u8>>,
        limit: usize,
    ) -> Result<Response<Vec<u8>>, OutboundFault> {
        let client = SpinHttp {
            limit_bytes: u64::try_from(limit).unwrap_or(u64::MAX),
        };
        let sent = pin!(client.send(request.map(Bytes::from)));
        let over = pin!(monotonic_clock::wait_for(PATIENCE_NS));
        match select(sent, over).await {
            Either::Left((Ok(response), _)) => Ok(response.map(Vec::from)),
            Either::Left((Err(TransportError::Timeout), _)) | Either::Right(_) => {
                Err(OutboundFault::Timeout)
            }
            Either::Left((Err(_), _)) => Err(OutboundFault::Failed),
        }
    }
}
