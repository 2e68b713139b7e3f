//! The catalog's database port over `spin:sqlite`.
//!
//! Opening a connection costs more than a small request, so reads share one per instance ([`shared`]). A transaction needs
//! a connection that nobody else uses, so a request that writes opens its own ([`SpinSql::open`]) and drops it at its
//! end: should the request be cut off in the middle, the host closes the connection and SQLite rolls back.

use std::cell::RefCell;
use std::rc::Rc;

use headwater_catalog::{Rows, Sql, SqlError, Value};
use spin_sdk::sqlite::{Connection, Error, Value as SpinValue};

/// The database's label in the application manifest.
const LABEL: &str = "catalog";

/// One connection to the catalog.
pub struct SpinSql {
    connection: Connection,
}

thread_local! {
    static SHARED: RefCell<Option<Rc<SpinSql>>> = const { RefCell::new(None) };
}

impl SpinSql {
    /// A connection of one's own.
    pub async fn open() -> Result<Self, SqlError> {
        let connection = Connection::open(LABEL).await.map_err(failed)?;
        let opened = Self { connection };
        // Not every host waits for another writer by itself.
        opened.query("PRAGMA busy_timeout = 5000", &[]).await?;
        Ok(opened)
    }
}

/// The instance's connection for reads, which others use at the same time. Never begin a transaction on it.
pub async fn shared() -> Result<Rc<SpinSql>, SqlError> {
    if let Some(open) = SHARED.with_borrow(Clone::clone) {
        return Ok(open);
    }
    let opened = Rc::new(SpinSql::open().await?);
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
        let answer = self
            .connection
            .execute(sql, params.iter().map(parameter))
            .await
            .map_err(failed)?;
        let columns = answer.columns().to_vec();
        let rows = answer.collect().await.map_err(failed)?;
        Ok(Rows {
            columns,
            rows: rows
                .into_iter()
                .map(|row| row.values.into_iter().map(value).collect())
                .collect(),
        })
    }
}

fn parameter(value: &Value) -> SpinValue {
    match value {
        Value::Null => SpinValue::Null,
        Value::Integer(value) => SpinValue::Integer(*value),
        Value::Real(value) => SpinValue::Real(*value),
        Value::Text(text) => SpinValue::Text(text.clone()),
        Value::Blob(bytes) => SpinValue::Blob(bytes.clone()),
    }
}

fn value(value: SpinValue) -> Value {
    match value {
        SpinValue::Null => Value::Null,
        SpinValue::Integer(value) => Value::Integer(value),
        SpinValue::Real(value) => Value::Real(value),
        SpinValue::Text(text) => Value::Text(text),
        SpinValue::Blob(bytes) => Value::Blob(bytes),
    }
}

fn failed(error: Error) -> SqlError {
    match error {
        // The engine's own words are all there is to tell a busy database from a violated constraint.
        Error::Io(message) => SqlError::from_message(message),
        Error::NoSuchDatabase => SqlError::Failed("no such database".to_owned()),
        Error::AccessDenied => SqlError::Failed("access denied".to_owned()),
        Error::InvalidConnection => SqlError::Failed("invalid connection".to_owned()),
        Error::DatabaseFull => SqlError::Failed("the database is full".to_owned()),
    }
}
