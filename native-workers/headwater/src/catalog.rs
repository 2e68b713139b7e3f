//! Where the catalog is: a file in the data folder, or a PostgreSQL server.

use anyhow::{Context, Result};
use clap::Args;
use headwater_catalog::NativeSqlite;
use headwater_postgres::{Address, Catalog, Session, roots};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Args)]
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
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
        };
        self.ca.as_ref().map(read).transpose()
    }

    /// A connection of the process's own.
    pub(crate) fn open(&self, data: &Path) -> Result<Catalog> {
        let Some(url) = &self.url else {
            let path = data.join("catalog.db");
            let opened = NativeSqlite::open(&path)
                .with_context(|| format!("opening the catalog {}", path.display()))?;
            return Ok(Catalog::Sqlite(opened));
        };
        let roots = match self.ca_pem()? {
            Some(pem) => roots(&pem).context("--catalog-ca")?,
            None => Vec::new(),
        };
        let session =
            Session::open(url, &roots).context("connecting to the catalog (--catalog)")?;
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
            .context("--catalog")?
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
