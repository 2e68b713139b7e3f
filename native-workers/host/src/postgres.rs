//! `spin:postgres` 4.2.0 over pooled sessions.
//!
//! A guest's connection is an address, not a session: a statement that only reads or writes rows takes whatever session is
//! idle, so that instances which keep a connection open do not keep a session from others. What needs a session of its own
//! (`BEGIN`, `SET`, and every other word) gets one: until the end of the transaction it began, or else until the guest
//! drops the connection. A session on which something was left open is closed, not reused; the others come back with
//! their settings reset.
//!
//! Not offered: dates, times, intervals, decimals, ranges and arrays. As parameters they are refused; as results they are
//! the variant `unsupported`. None of our components uses them.
//!
//! Limits: 64 MiB of rows a statement, 32 sessions for single statements and 32 for transactions an address.

// `Error` is as the interface has it.
#![expect(clippy::result_large_err)]

mod values;

use crate::bindings::spin::postgres::postgres::{
    Column, DbError, DbValue, Error, Host, HostConnection, HostConnectionBuilder,
    HostConnectionBuilderWithStore, HostConnectionWithStore, ParameterValue, QueryError, RowSet,
};
use crate::instance::{ComponentData, HostView};
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use futures::TryStreamExt;
use headwater_postgres::{Address, reason, roots, tls};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

const MAX_RESULT_BYTES: usize = 64 << 20;
const SESSIONS: usize = 32;
/// Prepared statements a session keeps.
const STATEMENTS: usize = 256;
/// How long a statement may wait for a session.
const WAIT: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(10);

/// The sessions of every address that a component has asked for.
#[derive(Default)]
pub(crate) struct Pools {
    by_address: Mutex<HashMap<Key, Arc<Sessions>>>,
}

/// An address and the certificate that TLS trusts.
type Key = (String, Option<String>);

struct Sessions {
    /// For statements that need no session of their own.
    statements: Pool,
    /// Reset before they are given to the next one.
    own: Pool,
}

impl Pools {
    fn of(&self, address: &Address, key: Key) -> Result<Arc<Sessions>, Error> {
        let mut pools = self
            .by_address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(sessions) = pools.get(&key) {
            return Ok(sessions.clone());
        }
        let roots = match &key.1 {
            Some(pem) => roots(pem).map_err(|error| Error::ConnectionFailed(error.to_string()))?,
            None => Vec::new(),
        };
        let pool = |recycling_method| {
            let manager = Manager::from_config(
                address.config.clone(),
                tls(&roots),
                ManagerConfig { recycling_method },
            );
            Pool::builder(manager)
                .max_size(SESSIONS)
                .runtime(Runtime::Tokio1)
                .wait_timeout(Some(WAIT))
                .create_timeout(Some(CONNECT))
                .build()
                .map_err(|error| Error::Other(error.to_string()))
        };
        let sessions = Arc::new(Sessions {
            statements: pool(RecyclingMethod::Fast)?,
            own: pool(RecyclingMethod::Clean)?,
        });
        pools.insert(key, sessions.clone());
        Ok(sessions)
    }
}

/// What a guest holds as a connection.
#[allow(unreachable_pub)] // The generated bindings re-export it.
#[derive(Clone)]
pub struct Connection {
    sessions: Arc<Sessions>,
    /// The session of its own, if it has one now.
    own: Arc<tokio::sync::Mutex<Option<Own>>>,
}

/// A session that one guest has to itself.
struct Own {
    session: Option<Object>,
    /// A transaction was begun, and nothing else that outlives it was done.
    until_end: bool,
    /// Whether something is open that must not reach the next one.
    open: bool,
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.open
            && let Some(session) = self.session.take()
        {
            // The server rolls back when it is gone.
            drop(Object::take(session));
        }
    }
}

/// What a statement does to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Reads or writes rows.
    Rows,
    Begin,
    /// Commits or rolls back the whole transaction.
    End,
    /// Within a transaction: savepoints.
    Within,
    /// Settings, locks, cursors, temporary tables: anything.
    Session,
}

impl Kind {
    fn of(statement: &str) -> Self {
        let mut words = statement
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_uppercase);
        match (words.next().as_deref(), words.next().as_deref()) {
            (Some("SELECT" | "INSERT" | "UPDATE" | "DELETE" | "WITH" | "VALUES"), _) => Self::Rows,
            (Some("BEGIN" | "START"), _) => Self::Begin,
            (Some("ROLLBACK"), Some("TO")) => Self::Within,
            (Some("COMMIT" | "ROLLBACK" | "END" | "ABORT"), _) => Self::End,
            (Some("SAVEPOINT" | "RELEASE"), _) => Self::Within,
            _ => Self::Session,
        }
    }
}

struct Answer {
    columns: Vec<Column>,
    rows: Vec<Vec<DbValue>>,
    affected: u64,
}

impl Connection {
    async fn query(&self, statement: &str, params: &[ParameterValue]) -> Result<Answer, Error> {
        let kind = Kind::of(statement);
        let mut own = self.own.lock().await;
        let Some(held) = &mut *own else {
            if kind == Kind::Rows {
                drop(own);
                let session = self.sessions.statements.get().await.map_err(unreachable)?;
                return run(&session, statement, params).await;
            }
            let session = self.sessions.own.get().await.map_err(unreachable)?;
            let mut held = Own {
                session: Some(session),
                until_end: kind == Kind::Begin,
                open: false,
            };
            let answer = held.run(kind, statement, params).await;
            // A rollback of nothing leaves nothing to hold on to.
            if kind != Kind::End {
                *own = Some(held);
            }
            return answer;
        };
        let answer = held.run(kind, statement, params).await;
        if kind == Kind::End && answer.is_ok() && held.until_end {
            *own = None;
        }
        answer
    }
}

impl Own {
    async fn run(
        &mut self,
        kind: Kind,
        statement: &str,
        params: &[ParameterValue],
    ) -> Result<Answer, Error> {
        let Some(session) = &self.session else {
            return Err(Error::Other("the session is gone".into()));
        };
        let was_open = self.open;
        // Should this future be dropped while the statement runs, nobody knows what is open.
        self.open = true;
        let answer = run(session, statement, params).await;
        self.open = match (kind, &answer) {
            (Kind::End, Ok(_)) => false,
            (Kind::Begin, Ok(_)) => true,
            _ => was_open,
        };
        if kind == Kind::Session {
            self.until_end = false;
        }
        answer
    }
}

/// A statement that was run before on the session is not parsed and planned again.
async fn run(
    session: &Object,
    statement: &str,
    params: &[ParameterValue],
) -> Result<Answer, Error> {
    if session.statement_cache.size() >= STATEMENTS {
        session.statement_cache.clear();
    }
    let prepared = session.prepare_cached(statement).await.map_err(failed)?;
    let params = params
        .iter()
        .map(values::parameter)
        .collect::<Result<Vec<_>, _>>()?;
    let columns = values::columns(prepared.columns());
    let rows = session.query_raw(&prepared, params).await.map_err(failed)?;
    futures::pin_mut!(rows);
    let mut out = Vec::new();
    let mut bytes = 0usize;
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        let (row, size) = values::row(&row)?;
        bytes += size;
        if bytes > MAX_RESULT_BYTES {
            return Err(Error::Other(format!(
                "the result exceeds {MAX_RESULT_BYTES} bytes"
            )));
        }
        out.push(row);
    }
    Ok(Answer {
        columns,
        rows: out,
        affected: rows.rows_affected().unwrap_or(0),
    })
}

fn unreachable(error: PoolError) -> Error {
    Error::ConnectionFailed(match error {
        PoolError::Backend(error) => reason(&error),
        error => error.to_string(),
    })
}

fn failed(error: tokio_postgres::Error) -> Error {
    let Some(db) = error.as_db_error() else {
        return Error::QueryFailed(QueryError::Text(reason(&error)));
    };
    let named = [
        ("table", db.table()),
        ("column", db.column()),
        ("constraint", db.constraint()),
        ("hint", db.hint()),
    ];
    Error::QueryFailed(QueryError::DbError(DbError {
        as_text: error.to_string(),
        severity: db.severity().to_owned(),
        code: db.code().code().to_owned(),
        message: db.message().to_owned(),
        detail: db.detail().map(str::to_owned),
        extras: named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect(),
    }))
}

/// An address on its way to a connection.
#[allow(unreachable_pub)] // The generated bindings re-export it.
pub struct Builder {
    address: String,
    ca_root: Option<String>,
}

impl HostView<'_> {
    /// No session is opened yet: one that cannot be is the first statement's error.
    fn open(
        &mut self,
        text: String,
        ca_root: Option<String>,
    ) -> Result<Resource<Connection>, Error> {
        let address =
            Address::parse(&text).map_err(|error| Error::ConnectionFailed(error.to_string()))?;
        for (host, port) in address.endpoints() {
            if !self.component.allowed_hosts.allows("postgres", &host, port) {
                return Err(Error::ConnectionFailed(format!(
                    "allowed_outbound_hosts does not list postgres://{host}:{port}"
                )));
            }
        }
        let sessions = self.component.postgres.of(&address, (text, ca_root))?;
        self.table
            .push(Connection {
                sessions,
                own: Arc::default(),
            })
            .map_err(|error| Error::Other(error.to_string()))
    }

    fn connection(&self, connection: &Resource<Connection>) -> Result<Connection, Error> {
        self.table
            .get(connection)
            .cloned()
            .map_err(|error| Error::Other(error.to_string()))
    }

    fn builder(&mut self, builder: &Resource<Builder>) -> Result<&mut Builder, Error> {
        self.table
            .get_mut(builder)
            .map_err(|error| Error::Other(error.to_string()))
    }

    fn build_connection(
        &mut self,
        builder: &Resource<Builder>,
    ) -> Result<Resource<Connection>, Error> {
        let builder = self.builder(builder)?;
        let (address, ca_root) = (builder.address.clone(), builder.ca_root.clone());
        self.open(address, ca_root)
    }
}

impl Host for HostView<'_> {}

impl HostConnectionBuilder for HostView<'_> {
    async fn new(&mut self, address: String) -> Resource<Builder> {
        let builder = Builder {
            address,
            ca_root: None,
        };
        // A constructor cannot fail: where the table is full, every use of what it gives does.
        self.table
            .push(builder)
            .unwrap_or_else(|_| Resource::new_own(u32::MAX))
    }

    async fn set_ca_root(
        &mut self,
        builder: Resource<Builder>,
        certificate: String,
    ) -> Result<(), Error> {
        self.builder(&builder)?.ca_root = Some(certificate);
        Ok(())
    }

    async fn build(&mut self, builder: Resource<Builder>) -> Result<Resource<Connection>, Error> {
        self.build_connection(&builder)
    }

    async fn drop(&mut self, builder: Resource<Builder>) -> wasmtime::Result<()> {
        self.table.delete(builder)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionBuilderWithStore<T> for ComponentData {
    async fn build_async(
        accessor: &Accessor<T, Self>,
        builder: Resource<Builder>,
    ) -> Result<Resource<Connection>, Error> {
        accessor.with(|mut access| access.get().build_connection(&builder))
    }
}

impl HostConnection for HostView<'_> {
    async fn open(&mut self, address: String) -> Result<Resource<Connection>, Error> {
        HostView::open(self, address, None)
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        let connection = self.connection(&connection)?;
        let answer = connection.query(&statement, &params).await?;
        Ok(RowSet {
            columns: answer.columns,
            rows: answer.rows,
        })
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let connection = self.connection(&connection)?;
        Ok(connection.query(&statement, &params).await?.affected)
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionWithStore<T> for ComponentData {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> Result<Resource<Connection>, Error> {
        accessor.with(|mut access| access.get().open(address, None))
    }

    async fn query_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<
        (
            Vec<Column>,
            StreamReader<Vec<DbValue>>,
            FutureReader<Result<(), Error>>,
        ),
        Error,
    > {
        let connection = accessor.with(|mut access| access.get().connection(&connection))?;
        let answer = connection.query(&statement, &params).await?;
        accessor.with(|mut access| {
            let stream = StreamReader::new(&mut access, answer.rows)
                .map_err(|e| Error::Other(e.to_string()))?;
            let done = FutureReader::new(&mut access, async { wasmtime::error::Ok(Ok(())) })
                .map_err(|e| Error::Other(e.to_string()))?;
            Ok((answer.columns, stream, done))
        })
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let connection = accessor.with(|mut access| access.get().connection(&connection))?;
        Ok(connection.query(&statement, &params).await?.affected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart_by_their_first_words() {
        for (statement, kind) in [
            ("  select 1", Kind::Rows),
            ("INSERT INTO t VALUES ($1)", Kind::Rows),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", Kind::Begin),
            ("start transaction", Kind::Begin),
            ("ROLLBACK", Kind::End),
            ("ROLLBACK TO part", Kind::Within),
            ("SAVEPOINT part", Kind::Within),
            ("COMMIT", Kind::End),
            ("SET search_path = x", Kind::Session),
            ("LISTEN x", Kind::Session),
            ("-- a comment", Kind::Session),
            ("", Kind::Session),
        ] {
            assert_eq!(Kind::of(statement), kind, "{statement}");
        }
    }
}
