//! The catalog's statements in PostgreSQL's words.
//!
//! Statements and migrations are written once, in what SQLite takes. [`Postgres`] makes an [`Sql`] of any connection that
//! can run one statement: the host's `spin:postgres` in components, a socket in the binary and in tests.
//!
//! | Here | PostgreSQL |
//! |---|---|
//! | `?1` | `$1` |
//! | `BEGIN IMMEDIATE` | `BEGIN ISOLATION LEVEL SERIALIZABLE` |
//! | `LIKE` (does not tell ASCII cases apart) | `ILIKE` |
//! | `/*pg x */` | `x`: what only makes it faster, and there only |
//! | `INTEGER`, `REAL`, `BLOB` | `BIGINT`, `DOUBLE PRECISION`, `BYTEA` |
//! | `TEXT` (ordered by bytes) | `TEXT COLLATE "C"` |
//! | `INTEGER PRIMARY KEY AUTOINCREMENT` | `BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY` |
//!
//! Nothing in quotation marks or comments is touched.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::sql::{Rows, Sql, SqlError, Value};

/// One session with a PostgreSQL server.
///
/// Results hold 64-bit integers (narrower ones and truth values widened), texts, blobs, doubles and nulls.
#[allow(
    async_fn_in_trait,
    reason = "futures of components are not Send, and natives are awaited in place"
)]
pub trait Connection {
    /// Runs one statement in PostgreSQL's words and returns its rows.
    async fn run(&self, sql: &str, params: &[Value]) -> Result<Rows, Failure>;

    /// As [`Self::run`], and `work` while the server is at it, where that can be.
    async fn run_during<R>(
        &self,
        sql: &str,
        params: &[Value],
        work: impl FnOnce() -> R,
    ) -> (Result<Rows, Failure>, R) {
        (self.run(sql, params).await, work())
    }
}

/// Why the server, or the way to it, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// SQLSTATE, if the server answered.
    pub code: Option<String>,
    pub message: String,
}

/// What it means for the caller. PostgreSQL 15, appendix A.
impl From<Failure> for SqlError {
    fn from(failure: Failure) -> Self {
        let text = match &failure.code {
            Some(code) => format!("{} ({code})", failure.message),
            None => failure.message,
        };
        match failure.code.as_deref() {
            // serialization_failure, deadlock_detected
            Some("40001" | "40P01") => Self::Conflict(text),
            // lock_not_available; too_many_connections; the server starts or stops
            Some("55P03" | "53300" | "57P01" | "57P02" | "57P03") => Self::Busy(text),
            Some(code) if code.starts_with("23") => Self::Constraint(text),
            _ => Self::Failed(text),
        }
    }
}

/// How often a statement outside of a transaction is run that keeps meeting transactions.
const ATTEMPTS: usize = 40;

/// An [`Sql`] on PostgreSQL.
///
/// The session must be one whose `default_transaction_isolation` is `serializable`, if it writes: then single statements
/// and transactions together are as if they had run one after the other.
#[derive(Debug)]
pub struct Postgres<C> {
    connection: C,
    /// What [`State`] says.
    state: AtomicU8,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum State {
    /// Every statement is a transaction of its own.
    Idle,
    /// Between begin and commit.
    Open,
    /// A statement has failed since begin. The server would answer a commit with success and roll back.
    Broken,
}

impl<C: Connection> Postgres<C> {
    pub fn new(connection: C) -> Self {
        Self {
            connection,
            state: AtomicU8::new(State::Idle as u8),
        }
    }

    pub fn connection(&self) -> &C {
        &self.connection
    }

    fn is(&self, state: State) -> bool {
        self.state.load(Ordering::Relaxed) == state as u8
    }

    fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }
}

impl<C: Connection> Sql for Postgres<C> {
    async fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, SqlError> {
        if self.is(State::Broken) && sql == "COMMIT" {
            return Err(SqlError::Failed(
                "a statement of this transaction failed, so it cannot be committed".into(),
            ));
        }
        let text = statement(sql);
        let mut left = ATTEMPTS;
        loop {
            left = left.saturating_sub(1);
            let failure = match self.connection.run(&text, params).await {
                Ok(rows) => {
                    match sql {
                        "BEGIN IMMEDIATE" => self.set(State::Open),
                        "COMMIT" | "ROLLBACK" => self.set(State::Idle),
                        _ if sql.starts_with("ROLLBACK TO ") => self.set(State::Open),
                        _ => {}
                    }
                    return Ok(rows);
                }
                Err(failure) => SqlError::from(failure),
            };
            if self.is(State::Open) {
                self.set(State::Broken);
            }
            let alone = self.is(State::Idle) && sql != "BEGIN IMMEDIATE";
            match failure {
                SqlError::Conflict(_) if alone && left > 0 => {}
                failure => return Err(failure),
            }
        }
    }

    async fn query_during<R>(
        &self,
        sql: &str,
        params: &[Value],
        work: impl FnOnce() -> R,
    ) -> (Result<Rows, SqlError>, R) {
        if !self.is(State::Idle) {
            return (self.query(sql, params).await, work());
        }
        let (answer, done) = self
            .connection
            .run_during(&statement(sql), params, work)
            .await;
        let answer = match answer.map_err(SqlError::from) {
            Err(SqlError::Conflict(_)) => self.query(sql, params).await,
            answer => answer,
        };
        (answer, done)
    }
}

/// A statement in PostgreSQL's words.
pub fn statement(sql: &str) -> String {
    if sql == "BEGIN IMMEDIATE" {
        return "BEGIN ISOLATION LEVEL SERIALIZABLE".into();
    }
    rewrite(sql, |word, out| match word {
        "LIKE" => out.push_str("ILIKE"),
        word => match word.strip_prefix('?') {
            Some(number) => {
                out.push('$');
                out.push_str(number);
            }
            None => out.push_str(word),
        },
    })
}

/// A migration in PostgreSQL's words. It may hold several statements.
pub fn schema(sql: &str) -> String {
    let sql = sql.replace(
        "INTEGER PRIMARY KEY AUTOINCREMENT",
        "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    );
    rewrite(&sql, |word, out| {
        out.push_str(match word {
            "INTEGER" => "BIGINT",
            "REAL" => "DOUBLE PRECISION",
            "BLOB" => "BYTEA",
            "TEXT" => "TEXT COLLATE \"C\"",
            word => word,
        });
    })
}

/// The beginning of a comment for SQLite.
const ONLY_HERE: &str = "/*pg ";

/// Hands every word outside of quotation marks and comments to `replace`, and copies what is between them.
fn rewrite(sql: &str, replace: impl Fn(&str, &mut String)) -> String {
    let mut out = String::with_capacity(sql.len().saturating_add(32));
    let mut rest = sql;
    while let Some(first) = rest.bytes().next() {
        let len = match first {
            b'\'' | b'"' => quoted(rest, first.into()),
            b'-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            byte if is_word(byte) => rest
                .bytes()
                .position(|byte| !is_word(byte))
                .unwrap_or(rest.len()),
            b'/' if rest.starts_with(ONLY_HERE) => {
                rest = rest.get(ONLY_HERE.len()..).unwrap_or_default();
                continue;
            }
            b'*' if rest.starts_with("*/") => {
                rest = rest.get(2..).unwrap_or_default();
                continue;
            }
            // All that is between two words, at once. The first is one of it, even where it begins nothing after all.
            _ => rest
                .bytes()
                .skip(1)
                .position(|byte| is_word(byte) || b"'\"-/*".contains(&byte))
                .map_or(rest.len(), |at| at.saturating_add(1)),
        };
        let (piece, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
        if is_word(first) {
            replace(piece, &mut out);
        } else {
            out.push_str(piece);
        }
        rest = after;
    }
    out
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'?')
}

/// Length of the quotation at the front of `text`. A doubled mark opens the next one, which comes to the same.
fn quoted(text: &str, mark: char) -> usize {
    text.char_indices()
        .skip(1)
        .find(|(_, c)| *c == mark)
        .map_or(text.len(), |(at, _)| at.saturating_add(mark.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::transaction;
    use crate::{CatalogError, migrations};
    use futures::executor::block_on;
    use std::cell::{Cell, RefCell};

    #[test]
    fn statements_are_translated_outside_of_quotation_marks() {
        assert_eq!(
            statement(
                "SELECT 'why? it''s LIKE ?1' FROM t WHERE a = ?1 AND b LIKE ?12 ESCAPE '\\' -- ?3"
            ),
            "SELECT 'why? it''s LIKE ?1' FROM t WHERE a = $1 AND b ILIKE $12 ESCAPE '\\' -- ?3"
        );
        assert_eq!(statement("SELECT 'open ?1"), "SELECT 'open ?1");
        assert_eq!(
            statement("SELECT a - ?1, -?2 FROM größe WHERE é=?3 AND'?4'<>?5--LIKE ?6\n-- -?7"),
            "SELECT a - $1, -$2 FROM größe WHERE é=$3 AND'?4'<>$5--LIKE ?6\n-- -?7"
        );
        assert_eq!(
            statement("SELECT 4*2/ 2 WHERE (/*pg a like ?1 OR */a LIKE ?1)"),
            "SELECT 4*2/ 2 WHERE (a like $1 OR a ILIKE $1)"
        );
        assert_eq!(
            schema(
                "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT DEFAULT 'TEXT', b BLOB, c INTEGER);"
            ),
            "CREATE TABLE t (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a TEXT COLLATE \"C\" DEFAULT 'TEXT', \
             b BYTEA, c BIGINT);"
        );
    }

    #[test]
    fn migrations_hold_nothing_that_only_one_database_knows() {
        for migration in migrations::all() {
            for foreign in [
                "json_",
                "GLOB",
                "WITHOUT ROWID",
                "STRICT",
                "INSERT OR",
                "unixepoch",
            ] {
                assert!(
                    !migration.sql.contains(foreign),
                    "{}: {foreign}",
                    migration.name
                );
            }
        }
    }

    /// Answers each statement with what the test has prepared, or with nothing.
    #[derive(Default)]
    struct Scripted {
        failures: RefCell<Vec<Option<&'static str>>>,
        seen: RefCell<Vec<String>>,
    }

    impl Scripted {
        fn new(failures: &[Option<&'static str>]) -> Postgres<Self> {
            Postgres::new(Self {
                failures: RefCell::new(failures.iter().rev().copied().collect()),
                ..Self::default()
            })
        }
    }

    impl Connection for Scripted {
        async fn run(&self, sql: &str, _: &[Value]) -> Result<Rows, Failure> {
            self.seen.borrow_mut().push(sql.into());
            match self.failures.borrow_mut().pop().flatten() {
                Some(code) => Err(Failure {
                    code: Some(code.into()),
                    message: "no".into(),
                }),
                None => Ok(Rows::default()),
            }
        }

        async fn run_during<R>(
            &self,
            sql: &str,
            params: &[Value],
            work: impl FnOnce() -> R,
        ) -> (Result<Rows, Failure>, R) {
            self.seen.borrow_mut().push("meanwhile".into());
            let done = work();
            (self.run(sql, params).await, done)
        }
    }

    #[test]
    fn work_is_done_once_while_a_server_counts_but_never_beside_a_transaction() {
        let sql = Scripted::new(&[Some("40001")]);
        let done = Cell::new(0);
        let work = || done.set(done.get() + 1);
        let (counted, ()) = block_on(sql.query_during("SELECT ?1", &[], work));
        assert_eq!((counted, done.get()), (Ok(Rows::default()), 1));
        let seen = sql.connection.seen.take();
        assert_eq!(seen, ["meanwhile", "SELECT $1", "SELECT $1"]);

        block_on(transaction(&sql, async |sql| {
            let (counted, ()) = sql.query_during("SELECT ?1", &[], work).await;
            counted?;
            Ok(())
        }))
        .unwrap();
        assert_eq!(done.get(), 2);
        let seen = sql.connection.seen.take();
        assert_eq!(
            seen,
            ["BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT $1", "COMMIT"]
        );
    }

    #[test]
    fn a_transaction_that_met_another_is_run_again_from_its_beginning() {
        let sql = Scripted::new(&[None, Some("40001")]);
        block_on(transaction(&sql, async |sql| {
            sql.query("UPDATE a", &[]).await?;
            Ok(())
        }))
        .unwrap();
        assert_eq!(
            *sql.connection.seen.borrow(),
            [
                "BEGIN ISOLATION LEVEL SERIALIZABLE",
                "UPDATE a",
                "ROLLBACK",
                "BEGIN ISOLATION LEVEL SERIALIZABLE",
                "UPDATE a",
                "COMMIT"
            ]
        );
    }

    #[test]
    fn a_statement_alone_that_met_a_transaction_is_run_again() {
        let sql = Scripted::new(&[Some("40001"), Some("40P01")]);
        block_on(sql.query("DELETE FROM a", &[])).unwrap();
        assert_eq!(sql.connection.seen.borrow().len(), 3);
        let never = Scripted::new(&[Some("40001"); 50]);
        assert!(matches!(
            block_on(never.query("DELETE FROM a", &[])),
            Err(SqlError::Conflict(_))
        ));
    }

    #[test]
    fn a_transaction_with_a_swallowed_failure_is_not_committed() {
        let sql = Scripted::new(&[None, Some("23505")]);
        let done = block_on(transaction(&sql, async |sql| {
            let _ = sql.query("INSERT a", &[]).await;
            Ok(())
        }));
        assert!(matches!(done, Err(CatalogError::Sql(SqlError::Failed(_)))));
        assert_eq!(sql.connection.seen.borrow().last().unwrap(), "ROLLBACK");
    }
}
