//! `spin:sqlite` 3.1.0 over files, with the connections pooled in the host.
//!
//! A guest's `open` borrows a connection (WAL, prepared statements cached) and its drop gives it back, rolled back
//! if a transaction was left open, so that a connection a request costs nothing. Reads run where they are: in WAL
//! they wait for nobody. Writes wait for the disk and run on the blocking pool.
//!
//! Limits: 64 MiB of rows a statement, 512 open connections a database, no `ATTACH`.

use crate::bindings::spin::sqlite::sqlite::{
    Error, Host, HostConnection, HostConnectionWithStore, QueryResult, RowResult, Value,
};
use crate::instance::{ComponentData, HostView};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

const MAX_RESULT_BYTES: usize = 64 << 20;
const MAX_CONNECTIONS: usize = 512;
const IDLE_CONNECTIONS: usize = 32;
/// Of each connection. The default, 2000, holds the inner pages of the trees and little else.
const PAGE_CACHE_KIB: i64 = 8192;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// One database file and its idle connections.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    idle: Mutex<Vec<rusqlite::Connection>>,
    open: AtomicUsize,
}

impl Database {
    /// Opens (or creates) `path` once, so that a wrong path fails at start and not at the first request.
    pub fn open(path: impl AsRef<Path>) -> rusqlite::Result<Arc<Self>> {
        let database = Arc::new(Self {
            path: path.as_ref().to_owned(),
            idle: Mutex::new(Vec::new()),
            open: AtomicUsize::new(0),
        });
        let first = database.connect()?;
        database.idle().push(first);
        Ok(database)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<rusqlite::Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self) -> rusqlite::Result<rusqlite::Connection> {
        let mut connection = rusqlite::Connection::open(&self.path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // An acknowledged write is on the disk, not in a cache that a power cut empties.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(128);
        // Without it SQLite plans a statement anew whenever a value is bound to it, which costs more than to run it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
        connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
            AuthAction::Attach { .. } | AuthAction::Detach { .. } => Authorization::Deny,
            _ => Authorization::Allow,
        }))?;
        Ok(connection)
    }

    fn borrow(self: &Arc<Self>) -> Result<Connection, Error> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None if self.open.load(Ordering::Relaxed) >= MAX_CONNECTIONS => {
                return Err(Error::DatabaseFull);
            }
            None => self.connect().map_err(io)?,
        };
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Connection {
            database: self.clone(),
            connection: Arc::new(Mutex::new(Some(connection))),
        })
    }
}

/// A guest's connection: given back to the pool when the guest drops it.
#[allow(unreachable_pub)] // The generated bindings re-export it.
pub struct Connection {
    database: Arc<Database>,
    connection: Arc<Mutex<Option<rusqlite::Connection>>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.database.open.fetch_sub(1, Ordering::Relaxed);
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // A statement may still run on the blocking pool; then its connection is closed with it, not reused.
        if let Some(connection) = connection {
            if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
                return;
            }
            let mut idle = self.database.idle();
            if idle.len() < IDLE_CONNECTIONS {
                idle.push(connection);
            }
        }
    }
}

fn io(error: rusqlite::Error) -> Error {
    Error::Io(error.to_string())
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Integer(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Self::Real(value) => ToSqlOutput::Borrowed(ValueRef::Real(*value)),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Blob(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
        })
    }
}

type Rows = (Vec<String>, Vec<RowResult>);

fn is_readonly(connection: &rusqlite::Connection, sql: &str) -> rusqlite::Result<bool> {
    // BEGIN, COMMIT and PRAGMA count as read-only for SQLite; a COMMIT waits for the disk.
    let word = sql.trim_start().get(..6).unwrap_or_default();
    Ok(word.eq_ignore_ascii_case("select") && connection.prepare_cached(sql)?.readonly())
}

fn run(connection: &rusqlite::Connection, sql: &str, parameters: &[Value]) -> Result<Rows, Error> {
    let mut statement = connection.prepare_cached(sql).map_err(io)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement
        .query(rusqlite::params_from_iter(parameters))
        .map_err(io)?;
    let mut out = Vec::new();
    let mut bytes = 0usize;
    while let Some(row) = rows.next().map_err(io)? {
        let mut values = Vec::with_capacity(columns.len());
        for column in 0..columns.len() {
            let value = match row.get_ref(column).map_err(io)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(value) => Value::Integer(value),
                ValueRef::Real(value) => Value::Real(value),
                ValueRef::Text(text) => {
                    bytes += text.len();
                    Value::Text(
                        String::from_utf8(text.to_vec())
                            .map_err(|_| Error::Io(format!("column {column} is not UTF-8")))?,
                    )
                }
                ValueRef::Blob(blob) => {
                    bytes += blob.len();
                    Value::Blob(blob.to_vec())
                }
            };
            bytes += size_of::<Value>();
            values.push(value);
        }
        if bytes > MAX_RESULT_BYTES {
            return Err(Error::Io(format!(
                "the result exceeds {MAX_RESULT_BYTES} bytes"
            )));
        }
        out.push(RowResult { values });
    }
    Ok((columns, out))
}

async fn execute(
    connection: Arc<Mutex<Option<rusqlite::Connection>>>,
    sql: String,
    parameters: Vec<Value>,
) -> Result<Rows, Error> {
    {
        let guard = connection.lock().unwrap_or_else(PoisonError::into_inner);
        let open = guard.as_ref().ok_or(Error::InvalidConnection)?;
        if is_readonly(open, &sql).map_err(io)? {
            return run(open, &sql, &parameters);
        }
    }
    tokio::task::spawn_blocking(move || {
        let guard = connection.lock().unwrap_or_else(PoisonError::into_inner);
        run(
            guard.as_ref().ok_or(Error::InvalidConnection)?,
            &sql,
            &parameters,
        )
    })
    .await
    .map_err(|error| Error::Io(error.to_string()))?
}

impl HostView<'_> {
    fn open_connection(&mut self, database: &str) -> Result<Resource<Connection>, Error> {
        let database = self
            .component
            .databases
            .get(database)
            .ok_or(Error::AccessDenied)?;
        let connection = database.borrow()?;
        self.table
            .push(connection)
            .map_err(|error| Error::Io(error.to_string()))
    }

    fn raw(
        &self,
        connection: &Resource<Connection>,
    ) -> Result<Arc<Mutex<Option<rusqlite::Connection>>>, Error> {
        self.table
            .get(connection)
            .map(|c| c.connection.clone())
            .map_err(|_| Error::InvalidConnection)
    }

    fn counter<R: Default>(
        &self,
        connection: &Resource<Connection>,
        read: fn(&rusqlite::Connection) -> R,
    ) -> R {
        self.raw(connection)
            .ok()
            .and_then(|c| {
                c.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .as_ref()
                    .map(read)
            })
            .unwrap_or_default()
    }
}

impl Host for HostView<'_> {}

impl HostConnection for HostView<'_> {
    async fn open(&mut self, database: String) -> Result<Resource<Connection>, Error> {
        self.open_connection(&database)
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<QueryResult, Error> {
        let (columns, rows) = execute(self.raw(&connection)?, statement, parameters).await?;
        Ok(QueryResult { columns, rows })
    }

    async fn last_insert_rowid(&mut self, connection: Resource<Connection>) -> i64 {
        self.counter(&connection, rusqlite::Connection::last_insert_rowid)
    }

    async fn changes(&mut self, connection: Resource<Connection>) -> u64 {
        self.counter(&connection, rusqlite::Connection::changes)
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionWithStore<T> for ComponentData {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        database: String,
    ) -> Result<Resource<Connection>, Error> {
        accessor.with(|mut access| access.get().open_connection(&database))
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<Value>,
    ) -> Result<
        (
            Vec<String>,
            StreamReader<RowResult>,
            FutureReader<Result<(), Error>>,
        ),
        Error,
    > {
        let raw = accessor.with(|mut access| access.get().raw(&connection))?;
        let (columns, rows) = execute(raw, statement, parameters).await?;
        accessor.with(|mut access| {
            let stream =
                StreamReader::new(&mut access, rows).map_err(|e| Error::Io(e.to_string()))?;
            let done = FutureReader::new(&mut access, async { wasmtime::error::Ok(Ok(())) })
                .map_err(|e| Error::Io(e.to_string()))?;
            Ok((columns, stream, done))
        })
    }

    async fn last_insert_rowid_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
    ) -> i64 {
        accessor.with(|mut a| {
            a.get()
                .counter(&connection, rusqlite::Connection::last_insert_rowid)
        })
    }

    async fn changes_async(accessor: &Accessor<T, Self>, connection: Resource<Connection>) -> u64 {
        accessor.with(|mut a| a.get().counter(&connection, rusqlite::Connection::changes))
    }
}
