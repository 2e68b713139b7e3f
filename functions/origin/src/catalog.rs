//! The origin's catalog port over the instance's shared database connection.

use headwater_blob::Container;
use headwater_catalog::policies;
use headwater_catalog::publishing::{PublishedLocator, applicable_filters, published_locator};
use headwater_edge::{config, sql};
use headwater_origin::filter::Filter;
use headwater_origin::{BlobFolder, Catalog, CatalogError, Encrypted, Protocols, Published};
use headwater_seal::Seal;
use std::cell::RefCell;
use std::rc::Rc;

/// Resolves locators; keeps what opens sealed credentials.
#[derive(Default)]
pub(crate) struct SpinCatalog {
    seal: RefCell<Option<Rc<Seal>>>,
}

impl SpinCatalog {
    async fn seal(&self) -> Result<Rc<Seal>, CatalogError> {
        if let Some(seal) = self.seal.borrow().as_ref() {
            return Ok(Rc::clone(seal));
        }
        let seal = Rc::new(config::seal().await.map_err(failed)?);
        self.seal.replace(Some(Rc::clone(&seal)));
        Ok(seal)
    }
}

impl Catalog for SpinCatalog {
    type Location = BlobFolder;

    async fn resolve(&self, locator: &str) -> Result<Option<Published<BlobFolder>>, CatalogError> {
        let seal = self.seal().await?;
        let connection = sql::shared().await.map_err(failed)?;
        match published_locator(&*connection, &seal, locator).await {
            Ok(Some(locator)) => publish(locator).map(Some),
            Ok(None) => Ok(None),
            Err(error) => {
                // The connection may be what is wrong.
                sql::forget_shared();
                Err(failed(error))
            }
        }
    }

    async fn filters(
        &self,
        locator: &str,
        names: &[String],
    ) -> Result<Vec<Option<Filter>>, CatalogError> {
        let connection = sql::shared().await.map_err(failed)?;
        let found = applicable_filters(&*connection, locator, names).await;
        let found = found.map_err(|error| {
            sql::forget_shared();
            failed(error)
        })?;
        let filters = found.iter().map(|properties| {
            let filter = properties.as_ref().map(Filter::read);
            filter.transpose().map_err(failed)
        });
        filters.collect()
    }
}

fn publish(locator: PublishedLocator) -> Result<Published<BlobFolder>, CatalogError> {
    let container = Container::new(&locator.container_url, locator.auth).map_err(failed)?;
    let policy = locator.policy;
    Ok(Published {
        start: locator.start_time,
        end: locator.end_time,
        suppressed: locator.suppressed || locator.unfinished,
        endpoint_running: locator.endpoint_running,
        protocols: protocols(policy.clear),
        encrypted: Encrypted {
            envelope: protocols(policy.envelope),
            cenc: protocols(policy.cenc),
            cbcs: protocols(policy.cbcs),
        },
        filters: locator.filters,
        place: format!("{}/{}", locator.container_url, locator.sub_path),
        location: BlobFolder {
            container,
            folder: locator.sub_path,
        },
    })
}

fn protocols(enabled: policies::Protocols) -> Protocols {
    Protocols {
        hls: enabled.hls,
        dash: enabled.dash,
        smooth: enabled.smooth,
        download: enabled.download,
    }
}

fn failed(error: impl std::fmt::Display) -> CatalogError {
    CatalogError(error.to_string())
}
