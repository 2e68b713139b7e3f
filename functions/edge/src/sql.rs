//! The catalog's database port over what the manifest configures: `spin:sqlite`, or `spin:postgres` if `catalog_url` names
//! a server.
//!
//! Opening a connection costs more than a small request, so reads share one per instance ([`shared`]). A transaction needs
//! a connection that nobody else uses, so a request that writes opens its own ([`SpinSql::open`]) and drops it at its
//! end: should the request be cut off in the middle, the host closes the connection and the database rolls back.

mod postgres;
mod sqlite;

use std::cell::RefCell;
use std::rc::Rc;

use headwater_catalog::postgres::Postgres;
use headwater_catalog::{Rows, Sql, SqlError, Value};

use crate::{config, memory};
use postgres::Session;
use sqlite::Sqlite;

/// One connection to the catalog.
pub struct SpinSql(Engine);

enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres<Session>),
}

/// Where the catalog is.
struct Place {
    /// Empty for SQLite.
    address: String,
    ca: String,
}

thread_local! {
    static SHARED: RefCell<Option<Rc<SpinSql>>> = const { RefCell::new(None) };
    static PLACE: RefCell<Option<Rc<Place>>> = const { RefCell::new(None) };
}

async fn place() -> Result<Rc<Place>, SqlError> {
    if let Some(known) = PLACE.with_borrow(Clone::clone) {
        return Ok(known);
    }
    let (address, ca) = config::catalog()
        .await
        .map_err(|error| SqlError::Failed(error.to_string()))?;
    let place = Rc::new(Place { address, ca });
    PLACE.set(Some(Rc::clone(&place)));
    Ok(place)
}

impl SpinSql {
    /// A connection of one's own.
    pub async fn open() -> Result<Self, SqlError> {
        Self::connect(true).await
    }

    async fn connect(writes: bool) -> Result<Self, SqlError> {
        let place = place().await?;
        if place.address.is_empty() {
            return Sqlite::open().map(|open| Self(Engine::Sqlite(open)));
        }
        let session = Session::open(&place.address, &place.ca)?;
        if writes {
            session.prepare_writing()?;
        }
        Ok(Self(Engine::Postgres(Postgres::new(session))))
    }
}

/// The instance's connection for reads, which others use at the same time. Never begin a transaction on it.
pub async fn shared() -> Result<Rc<SpinSql>, SqlError> {
    memory::others().await;
    if let Some(open) = SHARED.with_borrow(Clone::clone) {
        return Ok(open);
    }
    let opened = Rc::new(SpinSql::connect(false).await?);
    // Somebody else may have opened one meanwhile; either will do.
    SHARED.set(Some(Rc::clone(&opened)));
    Ok(opened)
}

/// Gives the shared connection up after it failed; the next read opens another.
pub fn forget_shared() {
    SHARED.set(None);
}

impl Sql for SpinSql {
    async fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, SqlError> {
        match &self.0 {
            Engine::Sqlite(sqlite) => sqlite.query(sql, params).await,
            Engine::Postgres(postgres) => postgres.query(sql, params).await,
        }
    }

    async fn query_during<R>(
        &self,
        sql: &str,
        params: &[Value],
        work: impl FnOnce() -> R,
    ) -> (Result<Rows, SqlError>, R) {
        match &self.0 {
            Engine::Sqlite(sqlite) => sqlite.query_during(sql, params, work).await,
            Engine::Postgres(postgres) => postgres.query_during(sql, params, work).await,
        }
    }
}
