//! Who changed what: one row per request that changes something, in the transaction that changes it.
//!
//! [`Journal`] stands between a handler and its connection. It lets the handler's transaction run and holds its `COMMIT`
//! back until the answer is known; then it adds the row with the answer's status and commits. So a change and its row are
//! there together or not at all, whenever the process dies, the answer leaves only after both are durable, and a write
//! still waits for the disk once. A statement outside of a transaction gets one.
//!
//! A handler that goes on after its `COMMIT` with another transaction, or with a request to storage, must find the first
//! one committed, and storage must not be waited for under the write lock: then the row goes in without a status, which
//! follows at the end. A row that is left without one tells of a change that was made and an answer that was not.
//!
//! A request that changed nothing, because it was refused, leaves its row in a write of its own; a transaction that only
//! looked is over when its handler says so.

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};

use crate::entity::Entity;
use crate::error::CatalogError;
use crate::query::{self, Field, FieldKind, Listing, Order, Page};
use crate::sql::{Row, Rows, Sql, SqlError, Value};

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Also in the answer and in the server's own log.
    pub request_id: String,
    pub at: Timestamp,
    /// Whom the token stands for; the client's id where a token was asked for.
    pub subject: String,
    pub token_id: Option<String>,
    /// Separated by spaces.
    pub roles: String,
    /// Where the request came from, if the edge knows.
    pub address: Option<String>,
    pub operation: String,
    pub method: String,
    /// Without its query.
    pub path: String,
    pub project: Option<String>,
    /// Below the project: `transforms/t/jobs/j`.
    pub resource: Option<String>,
    /// HTTP's. `None`: the change is made, and there was no answer.
    pub status: Option<u16>,
    pub error_code: Option<String>,
}

const COLUMNS: &str = "request_id, at, subject, token_id, roles, address, operation, method, path, project, resource, status, error_code";

const ENTITY: Entity<Entry> = Entity {
    one: "Audit log entry",
    many: "audit log entries",
    table: "audit_log",
    columns: COLUMNS,
    read: from_row,
    tie: Field::new("request_id", "request_id", FieldKind::Text),
    fields: &[
        Field::new("time", "at", FieldKind::Time),
        Field::new("who", "subject", FieldKind::Text),
        Field::new("operation", "operation", FieldKind::Text),
        Field::new("project", "project", FieldKind::OptionalText),
        Field::new("resource", "resource", FieldKind::OptionalText),
        Field::new("status", "status", FieldKind::Integer),
        Field::new("requestId", "request_id", FieldKind::Uuid),
    ],
    labels: None,
};

fn from_row(row: &Row<'_>) -> Result<Entry, CatalogError> {
    Ok(Entry {
        request_id: row.text("request_id")?,
        at: row.time("at")?,
        subject: row.text("subject")?,
        token_id: row.opt_text("token_id")?,
        roles: row.text("roles")?,
        address: row.opt_text("address")?,
        operation: row.text("operation")?,
        method: row.text("method")?,
        path: row.text("path")?,
        project: row.opt_text("project")?,
        resource: row.opt_text("resource")?,
        status: row
            .opt_integer("status")?
            .and_then(|status| u16::try_from(status).ok()),
        error_code: row.opt_text("error_code")?,
    })
}

/// A page of the log, the newest first unless another order is asked for. `projects`: only rows of these.
pub async fn list<S: Sql>(
    sql: &S,
    projects: Option<&[String]>,
    listing: &Listing,
) -> Result<Page<Entry>, CatalogError> {
    let newest_first = Order {
        field: "time".to_owned(),
        descending: true,
    };
    let listing = Listing {
        order: listing.order.clone().or(Some(newest_first)),
        ..listing.clone()
    };
    match projects {
        None => query::list(sql, &ENTITY, &[], &listing).await,
        Some(names) => {
            let names = names.iter().map(Value::from).collect();
            query::list_within(sql, &ENTITY, ("project", names), &listing).await
        }
    }
}

/// Whether a row of `operation` with a failure is younger than a second: a cheap look before one that strangers can cause.
pub async fn failed_just_now<S: Sql>(
    sql: &S,
    operation: &str,
    now: Timestamp,
) -> Result<bool, CatalogError> {
    let recent = now
        .checked_sub(SignedDuration::from_secs(1))
        .unwrap_or(Timestamp::MIN);
    let rows = sql
        .query(
            "SELECT 1 FROM audit_log WHERE at > ?1 AND operation = ?2 AND status >= 400 LIMIT 1",
            &[recent.into(), operation.into()],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// One in so many rows sweeps out old ones.
const SWEEP: i32 = 100;

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    /// The handler's.
    Open,
    /// The handler takes it for committed.
    Held,
    /// What the handler took for committed could not be. Nothing more can be done on this connection for this request.
    Lost,
}

/// A handler's connection, as the module says. For one request.
pub struct Journal<'a, S> {
    sql: &'a S,
    /// `None`: nothing is written down, and every statement goes through as it is.
    entry: Option<Entry>,
    /// How long rows are kept.
    kept: SignedDuration,
    transaction: Cell<Transaction>,
    /// Whether anything is committed: from then on the request cannot be put again as a whole.
    committed: Cell<bool>,
    /// Whether the end of a transaction met another one, which went before.
    met_another: Cell<bool>,
    /// Whether the handler's transaction has changed anything.
    wrote: Cell<bool>,
}

impl<'a, S: Sql> Journal<'a, S> {
    /// `entry`: the row as far as it is known, without a status.
    pub fn new(sql: &'a S, entry: Option<Entry>, kept: SignedDuration) -> Self {
        Self {
            sql,
            entry,
            kept,
            transaction: Cell::new(Transaction::None),
            committed: Cell::new(false),
            met_another: Cell::new(false),
            wrote: Cell::new(false),
        }
    }

    /// Whether the request changed nothing because what it would have changed was changed by another at the same moment
    /// ([`SqlError::Conflict`]): it may be put again with a new journal. [`crate::transaction`] does so by itself as long
    /// as the conflict shows before its `COMMIT`, which is held back here.
    pub fn gave_way(&self) -> bool {
        self.met_another.get() && !self.committed.get()
    }

    /// Commits what the handler takes for committed. Call it before anything that must come after.
    pub async fn settle(&self) -> Result<(), CatalogError> {
        match (&self.entry, self.transaction.get()) {
            (Some(entry), Transaction::Held) => self.commit(entry).await,
            _ => Ok(()),
        }
    }

    /// Writes the row with the answer's status, and commits. `subject`: who asked, if that came out only then.
    ///
    /// Errors: [`CatalogError::Sql`]; then nothing that was held is there, nor the row.
    pub async fn close(
        &self,
        status: u16,
        error_code: Option<&str>,
        subject: Option<&str>,
    ) -> Result<(), CatalogError> {
        let Some(entry) = &self.entry else {
            return Ok(());
        };
        let entry = Entry {
            subject: subject.unwrap_or(&entry.subject).to_owned(),
            status: Some(status),
            error_code: error_code.map(str::to_owned),
            ..entry.clone()
        };
        match self.transaction.get() {
            Transaction::None => self.begin().await?,
            Transaction::Lost => return Err(self.lost().into()),
            Transaction::Open | Transaction::Held => {}
        }
        self.commit(&entry).await
    }

    async fn begin(&self) -> Result<(), SqlError> {
        self.sql.query("BEGIN IMMEDIATE", &[]).await?;
        self.transaction.set(Transaction::Open);
        self.wrote.set(false);
        Ok(())
    }

    /// What follows on a commit that failed. Where it met another one, the client may put the request again.
    fn lost(&self) -> SqlError {
        let text = "an earlier part of the request could not be committed".to_owned();
        if self.met_another.get() {
            SqlError::Busy(text)
        } else {
            SqlError::Failed(text)
        }
    }

    async fn roll_back(&self) {
        self.transaction.set(Transaction::None);
        // The first error is the one that matters; a failed rollback leaves a connection that its owner drops.
        let _ = self.sql.query("ROLLBACK", &[]).await;
    }

    async fn commit(&self, entry: &Entry) -> Result<(), CatalogError> {
        let committed = async {
            write(self.sql, entry, self.kept).await?;
            self.sql.query("COMMIT", &[]).await?;
            Ok(())
        }
        .await;
        match &committed {
            Ok(()) => {
                self.committed.set(true);
                self.transaction.set(Transaction::None);
            }
            Err(error) => {
                let met = matches!(error, CatalogError::Sql(SqlError::Conflict(_)));
                self.met_another.set(met);
                self.roll_back().await;
                self.transaction.set(Transaction::Lost);
            }
        }
        committed
    }
}

/// Inside a transaction: writes a row, or over it. Old ones are swept out on the way.
async fn write<S: Sql>(sql: &S, entry: &Entry, kept: SignedDuration) -> Result<(), CatalogError> {
    sql.query(
        &format!(
            "INSERT INTO audit_log ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (request_id) DO UPDATE SET subject = excluded.subject, status = excluded.status,
                 error_code = excluded.error_code"
        ),
        &[
            Value::from(&entry.request_id),
            entry.at.into(),
            Value::from(&entry.subject),
            Value::from(entry.token_id.as_deref()),
            Value::from(&entry.roles),
            Value::from(entry.address.as_deref()),
            Value::from(&entry.operation),
            Value::from(&entry.method),
            Value::from(&entry.path),
            Value::from(entry.project.as_deref()),
            Value::from(entry.resource.as_deref()),
            Value::from(entry.status.map(u32::from)),
            Value::from(entry.error_code.as_deref()),
        ],
    )
    .await?;
    // Not with each: it looks at rows that others are writing.
    if entry.at.subsec_microsecond() % SWEEP != 0 {
        return Ok(());
    }
    let oldest = entry.at.checked_sub(kept).unwrap_or(Timestamp::MIN);
    sql.query("DELETE FROM audit_log WHERE at < ?1", &[oldest.into()])
        .await?;
    Ok(())
}

/// What a statement does to the transaction that it is in.
#[derive(Debug, PartialEq, Eq)]
enum Statement {
    Begin,
    Commit,
    Rollback,
    Write,
    Other,
}

fn statement(sql: &str) -> Statement {
    // `ROLLBACK TO` and `SAVEPOINT` are a part's own affair.
    let mut words = sql.split_ascii_whitespace();
    match (words.next().unwrap_or_default(), words.next()) {
        ("BEGIN", _) => Statement::Begin,
        ("COMMIT", _) => Statement::Commit,
        ("ROLLBACK", None) => Statement::Rollback,
        ("INSERT" | "UPDATE" | "DELETE", _) => Statement::Write,
        _ => Statement::Other,
    }
}

impl<S: Sql> Sql for Journal<'_, S> {
    async fn query_during<R>(
        &self,
        sql: &str,
        params: &[Value],
        work: impl FnOnce() -> R,
    ) -> (Result<Rows, SqlError>, R) {
        if self.entry.is_none() {
            return self.sql.query_during(sql, params, work).await;
        }
        (self.query(sql, params).await, work())
    }

    async fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, SqlError> {
        if self.entry.is_none() {
            return self.sql.query(sql, params).await;
        }
        let held = |error| match error {
            CatalogError::Sql(error) => error,
            error => SqlError::Failed(error.to_string()),
        };
        match (statement(sql), self.transaction.get()) {
            (_, Transaction::Lost) => Err(self.lost()),
            (Statement::Begin, _) => {
                self.settle().await.map_err(held)?;
                self.begin().await?;
                Ok(Rows::default())
            }
            // There is nothing to hold back. What follows shall see what others have written since, and the request can still
            // be put again as a whole.
            (Statement::Commit, Transaction::Open) if !self.wrote.get() => {
                let done = self.sql.query(sql, params).await;
                if done.is_ok() {
                    self.transaction.set(Transaction::None);
                }
                done
            }
            (Statement::Commit, Transaction::Open) => {
                self.transaction.set(Transaction::Held);
                Ok(Rows::default())
            }
            (Statement::Rollback, Transaction::Open) => {
                self.roll_back().await;
                Ok(Rows::default())
            }
            (Statement::Write, Transaction::None | Transaction::Held) => {
                self.settle().await.map_err(held)?;
                self.begin().await?;
                self.wrote.set(true);
                let done = self.sql.query(sql, params).await;
                match &done {
                    Ok(_) => self.transaction.set(Transaction::Held),
                    Err(_) => self.roll_back().await,
                }
                done
            }
            (Statement::Write, Transaction::Open) => {
                self.wrote.set(true);
                self.sql.query(sql, params).await
            }
            _ => self.sql.query(sql, params).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart() {
        for (sql, is) in [
            ("BEGIN IMMEDIATE", Statement::Begin),
            ("COMMIT", Statement::Commit),
            ("ROLLBACK", Statement::Rollback),
            ("ROLLBACK TO part", Statement::Other),
            ("SAVEPOINT part", Statement::Other),
            ("SELECT 1", Statement::Other),
            ("\n  UPDATE\n jobs SET x = 1", Statement::Write),
            ("DELETE FROM x", Statement::Write),
        ] {
            assert_eq!(statement(sql), is, "{sql}");
        }
    }

    /// Remembers what it was asked, and refuses the commit of that number.
    struct Recorder {
        asked: std::cell::RefCell<Vec<String>>,
        commits: Cell<u32>,
        refused: u32,
    }

    impl Recorder {
        fn refusing(refused: u32) -> Self {
            Self {
                asked: std::cell::RefCell::default(),
                commits: Cell::new(0),
                refused,
            }
        }

        /// The first words of what it was asked since.
        fn asked(&self) -> Vec<String> {
            self.asked.take()
        }
    }

    impl Sql for Recorder {
        async fn query(&self, sql: &str, _: &[Value]) -> Result<Rows, SqlError> {
            let first = sql.split_ascii_whitespace().next().unwrap_or_default();
            self.asked.borrow_mut().push(first.to_owned());
            if first == "COMMIT" {
                self.commits.set(self.commits.get() + 1);
                if self.commits.get() == self.refused {
                    return Err(SqlError::Conflict("others were first".into()));
                }
            }
            Ok(Rows::default())
        }
    }

    fn entry() -> Entry {
        Entry {
            request_id: "r".into(),
            at: Timestamp::from_second(1).unwrap(),
            subject: "s".into(),
            token_id: None,
            roles: String::new(),
            address: None,
            operation: "o".into(),
            method: "PATCH".into(),
            path: "/".into(),
            project: None,
            resource: None,
            status: None,
            error_code: None,
        }
    }

    async fn look<S: Sql>(sql: &S) {
        let looked = crate::sql::transaction(sql, async |sql| {
            sql.query("SELECT 1", &[]).await?;
            Ok(())
        });
        looked.await.unwrap();
    }

    async fn change<S: Sql>(sql: &S) -> Result<(), CatalogError> {
        crate::sql::transaction(sql, async |sql| {
            sql.query("UPDATE x", &[]).await?;
            Ok(())
        })
        .await
    }

    /// Who looks first and finds that others were there has done nothing yet, and is put again when it is overtaken once more.
    #[test]
    fn a_transaction_that_only_looked_is_no_part_of_what_was_done() {
        futures::executor::block_on(async {
            let sql = Recorder::refusing(2);
            let journal = Journal::new(&sql, Some(entry()), SignedDuration::from_hours(1));
            look(&journal).await;
            assert_eq!(sql.asked(), ["BEGIN", "SELECT", "COMMIT"]);
            change(&journal).await.unwrap();
            assert_eq!(sql.asked(), ["BEGIN", "UPDATE"]);
            assert!(journal.close(200, None, None).await.is_err());
            assert_eq!(sql.asked()[..2], ["INSERT", "DELETE"]);
            assert!(journal.gave_way());
        });
    }

    /// What is half done cannot be put again here; who asked can.
    #[test]
    fn the_second_part_of_a_request_that_met_another_is_a_matter_of_trying_again() {
        futures::executor::block_on(async {
            let sql = Recorder::refusing(2);
            let journal = Journal::new(&sql, Some(entry()), SignedDuration::from_hours(1));
            change(&journal).await.unwrap();
            change(&journal).await.unwrap();
            let third = change(&journal).await.unwrap_err();
            assert!(
                matches!(third, CatalogError::Sql(SqlError::Busy(_))),
                "{third}"
            );
            assert!(!journal.gave_way());
            let closed = journal.close(200, None, None).await.unwrap_err();
            assert!(matches!(closed, CatalogError::Sql(SqlError::Busy(_))));
        });
    }
}
