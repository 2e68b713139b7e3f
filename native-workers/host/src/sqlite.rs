//! `spin:sqlite` 3.1.0 over files, with the connections pooled in the host.
//!
//! A guest's `open` borrows a connection (WAL, prepared statements cached) and its drop gives it back, rolled back
//! if a transaction was left open, so that a connection a request costs nothing. Reads run where they are: in WAL
//! they wait for nobody. Writes wait for the disk and run on the blocking pool, one writer after the other in the order in
//! which they came: SQLite itself lets who waits sleep and try again, and some come late for seconds.
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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
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
    /// The turn to write.
    turn: Arc<Semaphore>,
}

impl Database {
    /// Opens (or creates) `path` once, so that a wrong path fails at start and not at the first request.
    pub fn open(path: impl AsRef<Path>) -> rusqlite::Result<Arc<Self>> {
        let database = Arc::new(Self {
            path: path.as_ref().to_owned(),
            idle: Mutex::new(Vec::new()),
            open: AtomicUsize::new(0),
            turn: Arc::new(Semaphore::new(1)),
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
            opened: Arc::new(Opened {
                connection: Mutex::new(Some(connection)),
                turn: Mutex::new(None),
                turns: self.turn.clone(),
            }),
        })
    }
}

/// A connection that is borrowed.
struct Opened {
    connection: Mutex<Option<rusqlite::Connection>>,
    /// From the beginning of a transaction to its end.
    turn: Mutex<Option<OwnedSemaphorePermit>>,
    turns: Arc<Semaphore>,
}

impl Opened {
    fn lock(&self) -> MutexGuard<'_, Option<rusqlite::Connection>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn to write, unless it is held already.
    ///
    /// Errors: what SQLite says of a database that others do not let go of.
    async fn take_turn(&self) -> Result<(), Error> {
        if self.turn().is_some() {
            return Ok(());
        }
        let turn = tokio::time::timeout(BUSY_TIMEOUT, self.turns.clone().acquire_owned()).await;
        let turn = turn
            .map_err(|_| Error::Io("database is locked".to_owned()))?
            .map_err(|error| Error::Io(error.to_string()))?;
        *self.turn() = Some(turn);
        Ok(())
    }

    /// Gives the turn up once no transaction is open.
    fn give_turn_up(&self) {
        let open = self.lock();
        if open
            .as_ref()
            .is_none_or(rusqlite::Connection::is_autocommit)
        {
            *self.turn() = None;
        }
    }
}

/// A guest's connection: given back to the pool when the guest drops it.
#[allow(unreachable_pub)] // The generated bindings re-export it.
pub struct Connection {
    database: Arc<Database>,
    opened: Arc<Opened>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.database.open.fetch_sub(1, Ordering::Relaxed);
        let connection = self.opened.lock().take();
        // A statement may still run on the blocking pool; then its connection is closed with it, not reused.
        if let Some(connection) = connection {
            let undone = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
            *self.opened.turn() = None;
            if !undone {
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

/// Whether a statement may be one that only reads.
///
/// `BEGIN`, `COMMIT` and `PRAGMA` count as read-only for SQLite; a `COMMIT` waits for the disk.
fn is_select(sql: &str) -> bool {
    let word = sql.trim_start().get(..6).unwrap_or_default();
    word.eq_ignore_ascii_case("select")
}

fn prepare<'a>(
    connection: &'a rusqlite::Connection,
    sql: &str,
) -> Result<rusqlite::CachedStatement<'a>, Error> {
    connection.prepare_cached(sql).map_err(io)
}

fn run(mut statement: rusqlite::CachedStatement<'_>, parameters: &[Value]) -> Result<Rows, Error> {
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

/// Whether a statement is about the connection itself.
fn is_pragma(sql: &str) -> bool {
    let word = sql.trim_start().get(..6).unwrap_or_default();
    word.eq_ignore_ascii_case("pragma")
}

async fn execute(opened: Arc<Opened>, sql: String, parameters: Vec<Value>) -> Result<Rows, Error> {
    {
        let guard = opened.lock();
        let open = guard.as_ref().ok_or(Error::InvalidConnection)?;
        if is_select(&sql) {
            let statement = prepare(open, &sql)?;
            if statement.readonly() {
                return run(statement, &parameters);
            }
        }
    }
    if !is_pragma(&sql) {
        opened.take_turn().await?;
    }
    tokio::task::spawn_blocking(move || {
        let done = match opened.lock().as_ref() {
            Some(open) => prepare(open, &sql).and_then(|statement| run(statement, &parameters)),
            None => Err(Error::InvalidConnection),
        };
        opened.give_turn_up();
        done
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

    fn raw(&self, connection: &Resource<Connection>) -> Result<Arc<Opened>, Error> {
        self.table
            .get(connection)
            .map(|c| c.opened.clone())
            .map_err(|_| Error::InvalidConnection)
    }

    fn counter<R: Default>(
        &self,
        connection: &Resource<Connection>,
        read: fn(&rusqlite::Connection) -> R,
    ) -> R {
        self.raw(connection)
            .ok()
            .and_then(|c| c.lock().as_ref().map(read))
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn say(connection: &Connection, sql: &str) -> Result<Rows, Error> {
        execute(connection.opened.clone(), sql.to_owned(), Vec::new()).await
    }

    async fn database() -> (tempfile::TempDir, Arc<Database>) {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path().join("catalog.db")).unwrap();
        let first = database.borrow().unwrap();
        say(
            &first,
            "CREATE TABLE writers (place INTEGER PRIMARY KEY, name INTEGER)",
        )
        .await
        .unwrap();
        (folder, database)
    }

    async fn names(database: &Arc<Database>) -> Vec<i64> {
        let reader = database.borrow().unwrap();
        let (_, rows) = say(&reader, "SELECT name FROM writers ORDER BY place")
            .await
            .unwrap();
        rows.iter()
            .map(|row| match row.values[0] {
                Value::Integer(name) => name,
                _ => panic!("not a number"),
            })
            .collect()
    }

    #[tokio::test]
    async fn writers_come_in_the_order_in_which_they_asked() {
        let (_folder, database) = database().await;
        let first = database.borrow().unwrap();
        say(&first, "BEGIN IMMEDIATE").await.unwrap();
        let mut waiting = Vec::new();
        for name in 0..20 {
            let connection = database.borrow().unwrap();
            waiting.push(tokio::spawn(async move {
                // Half of them in a transaction, half without.
                let wrapped = name % 2 == 0;
                if wrapped {
                    say(&connection, "BEGIN IMMEDIATE").await?;
                }
                let insert = format!("INSERT INTO writers (name) VALUES ({name})");
                say(&connection, &insert).await?;
                if wrapped {
                    say(&connection, "COMMIT").await?;
                }
                Ok::<_, Error>(())
            }));
            tokio::task::yield_now().await;
        }
        // Who reads waits for nobody.
        assert!(names(&database).await.is_empty());
        say(&first, "INSERT INTO writers (name) VALUES (-1)")
            .await
            .unwrap();
        say(&first, "COMMIT").await.unwrap();
        for one in waiting {
            assert!(one.await.unwrap().is_ok());
        }
        assert_eq!(names(&database).await, (-1..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn who_leaves_in_the_middle_lets_the_next_write() {
        let (_folder, database) = database().await;
        let first = database.borrow().unwrap();
        say(&first, "BEGIN IMMEDIATE").await.unwrap();
        say(&first, "INSERT INTO writers (name) VALUES (1)")
            .await
            .unwrap();
        drop(first);
        let second = database.borrow().unwrap();
        say(&second, "INSERT INTO writers (name) VALUES (2)")
            .await
            .unwrap();
        assert!(
            say(&second, "INSERT INTO nothing VALUES (2)")
                .await
                .is_err()
        );
        let third = database.borrow().unwrap();
        say(&third, "INSERT INTO writers (name) VALUES (3)")
            .await
            .unwrap();
        assert_eq!(names(&database).await, [2, 3]);
    }
}
