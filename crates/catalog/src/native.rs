//! SQLite in the process: for the binary's own start, for tools and for tests. Components go through their host.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use crate::error::CatalogError;
use crate::migrations::{self, Migrate};
use crate::sql::{Rows, Sql, SqlError, Value, transaction};

/// How a connection is set up. Hosts that open the same file for components use the same.
///
/// Write-ahead logging lets readers go on while one writer commits; `synchronous = FULL` makes an answered write
/// survive a power cut.
pub const PRAGMAS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;";

/// One SQLite connection. Statements of concurrent callers take turns, but a transaction needs one of its own.
pub struct NativeSqlite {
    connection: Mutex<Connection>,
}

impl NativeSqlite {
    /// Opens or creates the database file.
    pub fn open(path: &Path) -> Result<Self, SqlError> {
        Self::prepare(Connection::open(path).map_err(failed)?)
    }

    /// A database that is gone with the connection.
    pub fn in_memory() -> Result<Self, SqlError> {
        Self::prepare(Connection::open_in_memory().map_err(failed)?)
    }

    fn prepare(connection: Connection) -> Result<Self, SqlError> {
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(failed)?;
        connection.execute_batch(PRAGMAS).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(128);
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }
}

impl Migrate for NativeSqlite {
    async fn migrate(&self) -> Result<usize, CatalogError> {
        transaction(self, async |sql| {
            sql.batch(migrations::LEDGER)?;
            let newest = sql.query(migrations::NEWEST, &[]).await?;
            let pending = migrations::pending(&newest)?;
            for migration in pending {
                sql.batch(migration.sql)?;
                sql.query(migrations::RECORD, &migration.record()).await?;
            }
            Ok(pending.len())
        })
        .await
    }
}

impl NativeSqlite {
    fn batch(&self, sql: &str) -> Result<(), SqlError> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .execute_batch(sql)
            .map_err(failed)
    }
}

impl Sql for NativeSqlite {
    async fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, SqlError> {
        let guard = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut statement = guard.prepare_cached(sql).map_err(failed)?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut answer = statement
            .query(params_from_iter(params.iter().map(parameter)))
            .map_err(failed)?;
        let mut rows = Vec::new();
        while let Some(row) = answer.next().map_err(failed)? {
            let mut values = Vec::with_capacity(columns.len());
            for at in 0..columns.len() {
                values.push(match row.get_ref(at).map_err(failed)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(value) => Value::Integer(value),
                    ValueRef::Real(value) => Value::Real(value),
                    ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
                });
            }
            rows.push(values);
        }
        Ok(Rows { columns, rows })
    }
}

fn parameter(value: &Value) -> rusqlite::types::Value {
    match value {
        Value::Null => rusqlite::types::Value::Null,
        Value::Integer(value) => rusqlite::types::Value::Integer(*value),
        Value::Real(value) => rusqlite::types::Value::Real(*value),
        Value::Text(text) => rusqlite::types::Value::Text(text.clone()),
        Value::Blob(bytes) => rusqlite::types::Value::Blob(bytes.clone()),
    }
}

fn failed(error: rusqlite::Error) -> SqlError {
    let message = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SqlError::Busy(message),
        Some(ErrorCode::ConstraintViolation) => SqlError::Constraint(message),
        _ => SqlError::Failed(message),
    }
}
