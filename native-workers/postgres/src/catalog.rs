//! The catalog in the process, on either database.

use headwater_catalog::{CatalogError, Migrate, NativeSqlite, Rows, Sql, SqlError, Value};

use crate::Session;

/// A connection to the catalog.
pub enum Catalog {
    Sqlite(NativeSqlite),
    Postgres(Session),
}

impl Sql for Catalog {
    async fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, SqlError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.query(sql, params).await,
            Self::Postgres(session) => session.query(sql, params).await,
        }
    }
}

impl Migrate for Catalog {
    async fn migrate(&self) -> Result<usize, CatalogError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.migrate().await,
            Self::Postgres(session) => session.migrate().await,
        }
    }
}
