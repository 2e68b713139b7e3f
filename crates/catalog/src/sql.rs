//! The database port: one method that runs one statement.
//!
//! Statements use numbered parameters (`?1`) and only what SQLite and PostgreSQL share (`ON CONFLICT`, `RETURNING`);
//! [`postgres`](crate::postgres) says it in PostgreSQL's words. Begin and commit are statements like any other, so one
//! `Sql` is one connection, and a write needs a connection that nobody else is using meanwhile: see [`transaction`].

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;

use crate::error::CatalogError;

/// What a column holds or a parameter carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}
impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}
impl From<uuid::Uuid> for Value {
    fn from(value: uuid::Uuid) -> Self {
        Self::Text(value.to_string())
    }
}
/// Microseconds since the epoch.
impl From<Timestamp> for Value {
    fn from(value: Timestamp) -> Self {
        Self::Integer(value.as_microsecond())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Why a statement failed. The text is for the log, never for a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// Another writer holds the database. The transaction may be tried again.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The transaction met another one and one of the two had to give way. It has been rolled back and may be run again.
    #[error("the transaction met another: {0}")]
    Conflict(String),
    /// A unique or check constraint refused the row.
    #[error("a constraint was violated: {0}")]
    Constraint(String),
    /// Anything else: no such database, disk full, broken file.
    #[error("the database failed: {0}")]
    Failed(String),
}

impl SqlError {
    /// Whether the same may work in a moment.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Conflict(_))
    }

    /// Sorts out what an engine said, for adapters that get nothing but the message.
    pub fn from_message(message: String) -> Self {
        let lower = message.to_ascii_lowercase();
        if lower.contains("locked") || lower.contains("busy") {
            Self::Busy(message)
        } else if lower.contains("constraint") {
            Self::Constraint(message)
        } else {
            Self::Failed(message)
        }
    }
}

/// One connection to the catalog's database.
#[allow(
    async_fn_in_trait,
    reason = "futures of components are not Send, and natives are awaited in place"
)]
pub trait Sql {
    /// Runs one statement and returns its rows, in order; none for a statement that returns nothing.
    async fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, SqlError>;

    /// Runs one statement that changes nothing, and `work` meanwhile, where the database is a server that works for itself.
    async fn query_during<R>(
        &self,
        sql: &str,
        params: &[Value],
        work: impl FnOnce() -> R,
    ) -> (Result<Rows, SqlError>, R) {
        (self.query(sql, params).await, work())
    }
}

impl<T: Sql + ?Sized> Sql for &T {
    async fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, SqlError> {
        (**self).query(sql, params).await
    }

    async fn query_during<R>(
        &self,
        sql: &str,
        params: &[Value],
        work: impl FnOnce() -> R,
    ) -> (Result<Rows, SqlError>, R) {
        (**self).query_during(sql, params, work).await
    }
}

/// The answer to one statement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

impl Rows {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The first row, if there is one.
    pub fn first(&self) -> Option<Row<'_>> {
        self.iter().next()
    }

    /// What a `SELECT count(*) AS total` counted.
    pub(crate) fn total(&self) -> Result<u32, CatalogError> {
        self.first()
            .ok_or_else(|| CatalogError::corrupt("total", "no row"))?
            .unsigned("total")
    }

    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row {
            columns: &self.columns,
            values,
            next: Cell::new(0),
        })
    }
}

/// One row, read by column name. A missing column or an unexpected type is [`CatalogError::Corrupt`]: the schema and
/// this crate disagree, or somebody else wrote to the database.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    columns: &'a [String],
    values: &'a [Value],
    /// The column after the one that was read last. Readers go by the order in which columns are selected, mostly, and then
    /// a name is compared with one other and not with all before it.
    next: Cell<usize>,
}

impl<'a> Row<'a> {
    fn get(&self, column: &str) -> Result<&'a Value, CatalogError> {
        let next = self.next.get();
        let at = match self.columns.get(next) {
            Some(name) if name == column => Some(next),
            _ => self.columns.iter().position(|name| name == column),
        };
        at.and_then(|at| {
            self.next.set(at.saturating_add(1));
            self.values.get(at)
        })
        .ok_or_else(|| CatalogError::corrupt(column, "missing"))
    }

    pub fn text(&self, column: &str) -> Result<String, CatalogError> {
        self.str(column).map(str::to_owned)
    }

    pub fn opt_text(&self, column: &str) -> Result<Option<String>, CatalogError> {
        Ok(self.opt_str(column)?.map(str::to_owned))
    }

    /// A text that is only looked at.
    pub fn str(&self, column: &str) -> Result<&'a str, CatalogError> {
        self.opt_str(column)?
            .ok_or_else(|| CatalogError::corrupt(column, "NULL"))
    }

    pub fn opt_str(&self, column: &str) -> Result<Option<&'a str>, CatalogError> {
        match self.get(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(CatalogError::corrupt(column, "not text")),
        }
    }

    pub fn integer(&self, column: &str) -> Result<i64, CatalogError> {
        self.opt_integer(column)?
            .ok_or_else(|| CatalogError::corrupt(column, "NULL"))
    }

    pub fn opt_integer(&self, column: &str) -> Result<Option<i64>, CatalogError> {
        match self.get(column)? {
            Value::Null => Ok(None),
            Value::Integer(value) => Ok(Some(*value)),
            _ => Err(CatalogError::corrupt(column, "not an integer")),
        }
    }

    pub fn unsigned(&self, column: &str) -> Result<u32, CatalogError> {
        u32::try_from(self.integer(column)?)
            .map_err(|_| CatalogError::corrupt(column, "out of range"))
    }

    pub fn flag(&self, column: &str) -> Result<bool, CatalogError> {
        Ok(self.integer(column)? != 0)
    }

    pub fn blob(&self, column: &str) -> Result<Vec<u8>, CatalogError> {
        self.opt_blob(column)?
            .ok_or_else(|| CatalogError::corrupt(column, "NULL"))
    }

    pub fn opt_blob(&self, column: &str) -> Result<Option<Vec<u8>>, CatalogError> {
        match self.get(column)? {
            Value::Null => Ok(None),
            Value::Blob(bytes) => Ok(Some(bytes.clone())),
            _ => Err(CatalogError::corrupt(column, "not a blob")),
        }
    }

    pub fn time(&self, column: &str) -> Result<Timestamp, CatalogError> {
        self.opt_time(column)?
            .ok_or_else(|| CatalogError::corrupt(column, "NULL"))
    }

    pub fn opt_time(&self, column: &str) -> Result<Option<Timestamp>, CatalogError> {
        self.opt_integer(column)?
            .map(|micros| {
                // Unlike `from_microsecond`, this reads the last instant there is.
                Timestamp::from_duration(SignedDuration::from_micros(micros))
                    .map_err(|_| CatalogError::corrupt(column, "not an instant"))
            })
            .transpose()
    }

    pub fn uuid(&self, column: &str) -> Result<uuid::Uuid, CatalogError> {
        uuid::Uuid::parse_str(self.str(column)?)
            .map_err(|_| CatalogError::corrupt(column, "not a UUID"))
    }

    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, CatalogError> {
        serde_json::from_str(self.str(column)?)
            .map_err(|_| CatalogError::corrupt(column, "not the JSON expected"))
    }
}

/// How often a transaction is run that keeps meeting others. Where many want the same row, as workers do who all claim the
/// oldest job, one gets it in each round; so many can be in one.
const ATTEMPTS: usize = 40;

/// Runs `work` between `BEGIN IMMEDIATE` and `COMMIT`; rolls back if it fails.
///
/// Transactions are as if they had run one after the other. SQLite lets one writer in at a time; PostgreSQL runs them side
/// by side and breaks one off when that would show ([`SqlError::Conflict`]), so `work` may run more than once and must
/// change nothing but the database.
///
/// `sql` must be a connection that nobody else uses until this returns. If the process dies in between, the database
/// rolls back by itself; if a component is dropped, its host closes the connection, which does the same.
///
/// Errors: those of `work`, and [`CatalogError::Sql`].
pub async fn transaction<S, T, W>(sql: &S, work: W) -> Result<T, CatalogError>
where
    S: Sql,
    W: AsyncFn(&S) -> Result<T, CatalogError>,
{
    let mut left = ATTEMPTS;
    let mut violated = false;
    loop {
        left = left.saturating_sub(1);
        match attempt(sql, &work).await {
            Err(CatalogError::Sql(SqlError::Conflict(_))) if left > 0 => {}
            // A row that another transaction was inserting at the same time looks like this too; the next look sees it.
            Err(CatalogError::Sql(SqlError::Constraint(_)) | CatalogError::Taken { .. })
                if !violated =>
            {
                violated = true;
            }
            done => return done,
        }
    }
}

async fn attempt<S, T, W>(sql: &S, work: &W) -> Result<T, CatalogError>
where
    S: Sql,
    W: AsyncFn(&S) -> Result<T, CatalogError>,
{
    sql.query("BEGIN IMMEDIATE", &[]).await?;
    let done = match work(sql).await {
        Ok(done) => sql
            .query("COMMIT", &[])
            .await
            .map(|_| done)
            .map_err(Into::into),
        Err(error) => Err(error),
    };
    if done.is_err() {
        // The first error is the one that matters; a failed rollback leaves a connection that its owner drops.
        let _ = sql.query("ROLLBACK", &[]).await;
    }
    done
}

/// Runs `work` as a part of a [`transaction`] that can be undone by itself: what it wrote is taken back if it fails, and
/// the transaction goes on. Parts do not nest.
///
/// Errors: those of `work`. After [`CatalogError::Sql`] the transaction has to be given up as a whole: the database may
/// have rolled it back already.
pub(crate) async fn part<S, T, W>(sql: &S, work: W) -> Result<T, CatalogError>
where
    S: Sql,
    W: AsyncFnOnce(&S) -> Result<T, CatalogError>,
{
    sql.query("SAVEPOINT part", &[]).await?;
    let done = work(sql).await;
    if matches!(done, Err(CatalogError::Sql(_))) {
        return done;
    }
    if done.is_err() {
        sql.query("ROLLBACK TO part", &[]).await?;
    }
    sql.query("RELEASE part", &[]).await?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_in_any_order() {
        let rows = Rows {
            columns: ["a", "b", "c"].map(str::to_owned).to_vec(),
            rows: vec![[1_i64, 2, 3].map(Value::from).to_vec()],
        };
        let row = rows.first().unwrap();
        for (column, value) in [("a", 1), ("b", 2), ("c", 3), ("a", 1), ("c", 3), ("c", 3)] {
            assert_eq!(row.integer(column).unwrap(), value, "{column}");
        }
        assert!(row.integer("d").is_err());
        assert_eq!(row.integer("b").unwrap(), 2);
    }
}
