//! A live output's place in storage.

use std::time::Duration;

use bytes::Bytes;
use headwater_blob::client::{Auth, ClientError, Conditions, Container, HyperClient, Store};
use headwater_work::Place;
use tokio_util::sync::CancellationToken;

/// The first wait after a request that failed, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A place, with the signature of the newest assignment.
#[derive(Clone)]
pub(crate) struct Storage {
    store: Store<HyperClient>,
    /// With a slash at its end, or empty.
    prefix: String,
}

impl Storage {
    pub(crate) fn new(client: &HyperClient, place: &Place) -> Result<Self, String> {
        let auth = match place.sas.is_empty() {
            true => Auth::None,
            false => Auth::Sas(place.sas.clone()),
        };
        let container =
            Container::new(&place.container_url, auth).map_err(|error| error.to_string())?;
        let prefix = match place.sub_path.is_empty() {
            true => String::new(),
            false => format!("{}/", place.sub_path),
        };
        Ok(Self {
            store: Store::new(client.clone(), container, jiff::Timestamp::now),
            prefix,
        })
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(crate) async fn put(
        &self,
        name: &str,
        content_type: &str,
        bytes: Bytes,
    ) -> Result<(), ClientError> {
        let written = self
            .store
            .put(
                &self.name(name),
                content_type,
                bytes,
                &Conditions::default(),
            )
            .await;
        written.map(|_| ())
    }

    /// Puts an object in the place of the one with this entity tag, `None`: where there is none. The new one's tag; `None` if
    /// another is there.
    pub(crate) async fn replace(
        &self,
        name: &str,
        content_type: &str,
        bytes: Bytes,
        tag: Option<&str>,
    ) -> Result<Option<String>, ClientError> {
        let conditions = Conditions {
            if_match: tag.map(str::to_owned),
            if_none_match: tag.is_none().then(|| "*".to_owned()),
        };
        let name = self.name(name);
        let written = self.store.put(&name, content_type, bytes, &conditions);
        match written.await {
            Ok(written) => Ok(Some(written.etag)),
            Err(ClientError::PreconditionFailed { .. }) => Ok(None),
            Err(ClientError::Conflict { code }) if code == "BlobAlreadyExists" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An object and its entity tag. `None` if there is no such object.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<(Bytes, String)>, ClientError> {
        match self.store.get_range(&self.name(name), None, None).await {
            Ok(read) => Ok(Some((read.bytes, read.etag))),
            Err(ClientError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Entity tag of an object; `None` if there is none.
    pub(crate) async fn tag(&self, name: &str) -> Result<Option<String>, ClientError> {
        match self.store.head(&self.name(name)).await {
            Ok(properties) => Ok(Some(properties.etag)),
            Err(ClientError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Length of an object; `None` if there is none.
    pub(crate) async fn len(&self, name: &str) -> Result<Option<u64>, ClientError> {
        match self.store.head(&self.name(name)).await {
            Ok(properties) => Ok(Some(properties.len)),
            Err(ClientError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An object that is gone already is deleted.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), ClientError> {
        match self.store.delete(&self.name(name), None).await {
            Err(ClientError::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Pauses between attempts, longer each time.
pub(crate) struct Patience(Duration);

impl Patience {
    pub(crate) fn new() -> Self {
        Self(WAITS.0)
    }

    /// Waits; `false` if `stop` came in between.
    pub(crate) async fn wait(&mut self, stop: &CancellationToken) -> bool {
        let pause = self.0;
        self.0 = (pause * 2).min(WAITS.1);
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = stop.cancelled() => false,
        }
    }
}
