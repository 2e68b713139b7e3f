//! `spin:postgres` 4.2.0 over pooled sessions.
//!
//! A guest's connection is an address, not a session: a statement that only reads or writes rows takes whatever session is
//! idle, so that instances which keep a connection open do not keep a session from others. What needs a session of its own
//! (`BEGIN`, `SET`, and every other word) gets one: until the end of the transaction it began, or else until the guest
//! drops the connection. A session on which something was left open is closed, not reused; the others come back with
//! their settings reset.
//!
//! Of a component whose manifest says `tool.headwater.stale_if_error`, rows that were selected outside of transactions are gone by while
//! the server does not answer.
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
use crate::lately::{self, Lately, Said};
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use futures::TryStreamExt;
use futures::future::{Either, select};
use headwater_postgres::{Address, reason, roots, tls};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

const MAX_RESULT_BYTES: usize = 64 << 20;
const SESSIONS: usize = 32;
/// Prepared statements a session keeps.
const STATEMENTS: usize = 256;
/// Room for rows that may be gone by.
const LATELY_BYTES: u64 = 16 << 20;
/// How long a statement may wait for a session.
const WAIT: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(10);

/// The sessions of every address that a component has asked for.
pub(crate) struct Pools {
    by_address: Mutex<HashMap<Key, Arc<Sessions>>>,
    lately: Arc<Lately<Arc<Answer>>>,
}

/// An address and the certificate that TLS trusts.
type Key = (String, Option<String>);

struct Sessions {
    /// The server's host and port.
    peer: String,
    /// Of the whole address, which has a database and a user as well.
    name: lately::Key,
    /// For statements that need no session of their own.
    statements: Pool,
    /// Reset before they are given to the next one.
    own: Pool,
}

impl Default for Pools {
    fn default() -> Self {
        Self {
            by_address: Mutex::default(),
            lately: Arc::new(Lately::new(LATELY_BYTES)),
        }
    }
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
        let peers = address.endpoints().into_iter();
        let peers = peers.map(|(host, port)| format!("{host}:{port}"));
        let sessions = Arc::new(Sessions {
            peer: peers.collect::<Vec<_>>().join(","),
            name: lately::key([key.0.as_bytes(), key.1.as_deref().unwrap_or("").as_bytes()]),
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
    /// What is remembered, and for how long it is gone by; `None` if the component asks for nothing of the kind.
    lately: Option<(Arc<Lately<Arc<Answer>>>, Duration)>,
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

#[derive(Clone)]
struct Answer {
    columns: Vec<Column>,
    rows: Vec<Vec<DbValue>>,
    affected: u64,
    /// About how many bytes of memory.
    bytes: u64,
}

/// Whether a statement changes nothing.
fn only_reads(statement: &str) -> bool {
    let words: Vec<_> = statement
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_uppercase)
        .collect();
    // What locks rows is the beginning of a change.
    let locks = words
        .windows(2)
        .any(|two| two[0] == "FOR" && matches!(&*two[1], "UPDATE" | "NO" | "SHARE" | "KEY"));
    words.first().is_some_and(|word| word == "SELECT") && !locks
}

impl Connection {
    async fn query(&self, statement: &str, params: &[ParameterValue]) -> Result<Answer, Error> {
        let kind = Kind::of(statement);
        let mut own = self.own.lock().await;
        let Some(held) = &mut *own else {
            if kind == Kind::Rows {
                drop(own);
                return match &self.lately {
                    Some((lately, grace)) if only_reads(statement) => {
                        self.query_or_remember(lately, *grace, statement, params)
                            .await
                    }
                    _ => self.query_rows(statement, params).await,
                };
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

    async fn query_rows(
        &self,
        statement: &str,
        params: &[ParameterValue],
    ) -> Result<Answer, Error> {
        let session = self.sessions.statements.get().await.map_err(unreachable)?;
        run(&session, statement, params).await
    }

    async fn query_or_remember(
        &self,
        lately: &Lately<Arc<Answer>>,
        grace: Duration,
        statement: &str,
        params: &[ParameterValue],
    ) -> Result<Answer, Error> {
        let peer = &self.sessions.peer;
        let values = format!("{params:?}");
        let name = &self.sessions.name[..];
        let key = lately::key([name, statement.as_bytes(), values.as_bytes()]);
        let question = async {
            match self.query_rows(statement, params).await {
                Ok(answer) => {
                    let bytes = answer.bytes;
                    Ok(Said::Again(Arc::new(answer), bytes))
                }
                Err(error) if is_away(&error) => Err(error),
                // It is there, and says so.
                Err(error) => Ok(Said::Once(error)),
            }
        };
        let late = || Error::ConnectionFailed("no answer in time".into());
        match lately.ask(peer, key, grace, question, late).await? {
            Said::Again(answer, _) => Ok(Arc::unwrap_or_clone(answer)),
            Said::Once(error) | Said::Nothing(error) => Err(error),
        }
    }
}

/// Whether an error says that the server cannot be asked now, and not what is wrong with the question.
fn is_away(error: &Error) -> bool {
    match error {
        Error::ConnectionFailed(_) | Error::QueryFailed(QueryError::Text(_)) => true,
        // Connections, resources, and an operator's intervention: SQLSTATE classes 08, 53, 57; 25006 is a server that has become a
        // standby.
        Error::QueryFailed(QueryError::DbError(error)) => {
            let class = error.code.get(..2).unwrap_or_default();
            matches!(class, "08" | "53" | "57") || error.code == "25006"
        }
        _ => false,
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
        bytes: bytes as u64,
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
        let pools = &self.component.postgres;
        let sessions = pools.of(&address, (text, ca_root))?;
        let grace = self.component.stale_if_error;
        self.table
            .push(Connection {
                sessions,
                lately: (!grace.is_zero()).then(|| (pools.lately.clone(), grace)),
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

/// What one of the older operations waits for, as long as the request is in time. Nothing else of the instance goes on while it
/// waits, so that nobody else would notice.
async fn in_time<T>(
    late: impl Future<Output = ()>,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match select(pin!(asked), pin!(late)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(Error::ConnectionFailed(
            "no answer before the request's deadline".into(),
        )),
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
        let asked = connection.query(&statement, &params);
        let answer = in_time(self.running.late_while_waiting(), asked).await?;
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
        let asked = connection.query(&statement, &params);
        Ok(in_time(self.running.late_while_waiting(), asked)
            .await?
            .affected)
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

    #[tokio::test]
    async fn who_waits_for_an_answer_waits_no_longer_than_the_request_has() {
        let answered = async { Ok(1) };
        assert_eq!(in_time(std::future::pending(), answered).await.unwrap(), 1);
        let never = std::future::pending::<Result<(), Error>>();
        let late = in_time(std::future::ready(()), never).await;
        assert!(matches!(late, Err(Error::ConnectionFailed(_))));
    }

    #[test]
    fn what_changes_or_locks_rows_is_not_remembered() {
        assert!(only_reads(
            "  select a, b -- for now\n from t where format = $1"
        ));
        for statement in [
            "INSERT INTO t SELECT 1",
            "WITH gone AS (DELETE FROM t RETURNING a) SELECT a FROM gone",
            "SELECT a FROM t FOR UPDATE",
            "select a from t for no key update skip locked",
            "",
        ] {
            assert!(!only_reads(statement), "{statement}");
        }
    }
}
