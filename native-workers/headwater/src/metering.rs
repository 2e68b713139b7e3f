//! What streaming locators delivered, from this host's memory into the catalog's readings: once a minute, and at the end.
//!
//! A host that is killed loses what it has not written yet, a minute at most. While the catalog is away sums are kept.

use crate::catalog::CatalogArgs;
use headwater_catalog::usage::{Streamed, streamed};
use headwater_host::{Delivered, Host};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

const EVERY: Duration = Duration::from_secs(60);

/// The component that streams.
const ORIGIN: &str = "origin";

/// Where sums come from, and where they go.
pub(crate) struct Metering {
    delivered: Delivered,
    catalog: CatalogArgs,
    data: PathBuf,
}

impl Metering {
    /// `data`: the data folder. `None`: the application counts nothing.
    pub(crate) fn of(host: &Host, catalog: &CatalogArgs, data: &Path) -> Option<Arc<Self>> {
        let delivered = host.delivered(ORIGIN)?;
        Some(Arc::new(Self {
            delivered,
            catalog: catalog.clone(),
            data: data.to_owned(),
        }))
    }

    /// Writes until `stopped` is true. [`Metering::write`] what has come together since, when nothing is delivered any more.
    pub(crate) async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let over = async move { stopped.wait_for(|stopped| *stopped).await.map(drop) };
        let mut over = std::pin::pin!(over);
        loop {
            tokio::select! {
                () = sleep(EVERY) => self.write().await,
                _ = &mut over => return,
            }
        }
    }

    /// Writes what has come together.
    pub(crate) async fn write(self: &Arc<Self>) {
        // A session with the catalog stays on its thread.
        let (here, this) = (Handle::current(), Arc::clone(self));
        let written = spawn_blocking(move || here.block_on(this.write_here())).await;
        if let Err(error) = written {
            tracing::error!("what was streamed is not counted: {error}");
        }
    }

    async fn write_here(&self) {
        let taken = self.delivered.take();
        // Other names lead to previews of live events, which are for whoever makes them.
        let all: Vec<_> = taken
            .iter()
            .filter_map(|(name, sum)| {
                Some(Streamed {
                    locator: name.parse().ok()?,
                    answers: sum.answers,
                    bytes: sum.bytes,
                })
            })
            .collect();
        if all.is_empty() {
            return;
        }
        let written = match self.catalog.open(&self.data) {
            Ok(catalog) => streamed(&catalog, &all, jiff::Timestamp::now())
                .await
                .map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::warn!("what was streamed is not in the catalog yet: {error:#}");
            for (name, sum) in taken {
                self.delivered.add(&name, sum.answers, sum.bytes);
            }
        }
    }
}
