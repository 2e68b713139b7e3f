//! Where the catalog is: a file in the data folder, or a PostgreSQL server.

use crate::fault::{self, Blame, Fault, Kind};
use crate::files;
use anyhow::Result;
use clap::Args;
use headwater_catalog::{CatalogError, NativeSqlite};
use headwater_postgres::{Address, Catalog, Session, roots};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Args, Clone)]
pub(crate) struct CatalogArgs {
    /// The catalog's PostgreSQL server, e.g. postgres://headwater:secret@db.example/headwater. Without it the catalog is a
    /// SQLite file in the data folder.
    #[arg(long = "catalog", env = "HEADWATER_CATALOG", hide_env_values = true)]
    url: Option<String>,
    /// The certificate that TLS to that server trusts, in PEM; without it those of the web.
    #[arg(long = "catalog-ca", env = "HEADWATER_CATALOG_CA")]
    ca: Option<PathBuf>,
}

impl CatalogArgs {
    fn ca_pem(&self) -> Result<Option<String>> {
        let read = |path: &PathBuf| -> Result<String> {
            let (pem, _) = files::certificates(path, fault::CATALOG_CA)?;
            String::from_utf8(pem).blame(Kind::Configuration, fault::CATALOG_CA)
        };
        self.ca.as_ref().map(read).transpose()
    }

    /// What can be said without asking the server.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.url {
            Some(url) => {
                Address::parse(url).blame(Kind::Configuration, fault::CATALOG)?;
                self.ca_pem().map(drop)
            }
            None if self.ca.is_some() => {
                let why = format!("it is of no use without {}", fault::CATALOG);
                Err(Fault::bad(fault::CATALOG_CA, why))
            }
            None => Ok(()),
        }
    }

    /// What a failure of the first statements means. `master_key`: where that comes from.
    pub(crate) fn fault(&self, error: CatalogError, master_key: String) -> anyhow::Error {
        let what = match (&error, &self.url) {
            (CatalogError::Seal(_), _) => {
                format!(
                    "{master_key}: it opens nothing of this catalog, which another key has sealed"
                )
            }
            (_, Some(_)) => fault::CATALOG.to_string(),
            (_, None) => fault::DATA.to_string(),
        };
        let kind = fault::of_catalog(&error);
        anyhow::Error::new(error).context(Fault::new(kind, what))
    }

    /// A connection of the process's own.
    pub(crate) fn open(&self, data: &Path) -> Result<Catalog> {
        let Some(url) = &self.url else {
            let path = data.join("catalog.db");
            let opened = NativeSqlite::open(&path).map_err(|error| {
                let what = format!("{}: opening the catalog {}", fault::DATA, path.display());
                let kind = fault::of_sql(&error);
                anyhow::Error::new(error).context(Fault::new(kind, what))
            })?;
            return Ok(Catalog::Sqlite(opened));
        };
        let roots = match self.ca_pem()? {
            Some(pem) => roots(&pem).blame(Kind::Configuration, fault::CATALOG_CA)?,
            None => Vec::new(),
        };
        let session = Session::open(url, &roots).map_err(|error| {
            let what = format!("{}: connecting to the catalog", fault::CATALOG);
            let kind = fault::of_sql(&error);
            anyhow::Error::new(error).context(Fault::new(kind, what))
        })?;
        Ok(Catalog::Postgres(session))
    }

    /// The file behind the manifest's database `catalog`; `None` closes it to the components.
    pub(crate) fn file(&self, data: &Path) -> Option<PathBuf> {
        self.url.is_none().then(|| data.join("catalog.db"))
    }

    /// What the components are told.
    pub(crate) fn variables(&self) -> Result<BTreeMap<String, String>> {
        let Some(url) = &self.url else {
            return Ok(BTreeMap::new());
        };
        let hosts: Vec<_> = Address::parse(url)
            .blame(Kind::Configuration, fault::CATALOG)?
            .endpoints()
            .iter()
            .map(|(host, port)| match host.contains(':') {
                true => format!("postgres://[{host}]:{port}"),
                false => format!("postgres://{host}:{port}"),
            })
            .collect();
        Ok(BTreeMap::from([
            ("catalog_url".into(), url.clone()),
            ("catalog_hosts".into(), hosts.join(" ")),
            ("catalog_ca".into(), self.ca_pem()?.unwrap_or_default()),
        ]))
    }
}
