//! The catalog over `spin:sqlite`.
//!
//! The interface has each operation twice. The SDK's `Connection` takes the newer ones, which answer with a stream of rows
//! and a future: five crossings for a statement whose rows are there at once. The older ones answer in one, and keep only
//! the instance waiting, which serves one request at a time (ADR 0003).

use headwater_catalog::{Rows, Sql, SqlError, Value};
use spin_sdk::sqlite::wit::sqlite::{Connection, Error, Value as SpinValue};

/// The database's label in the application manifest.
const LABEL: &str = "catalog";

pub(super) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    pub(super) fn open() -> Result<Self, SqlError> {
        let connection = Connection::open(LABEL).map_err(failed)?;
        let opened = Self { connection };
        // Not every host waits for another writer by itself.
        opened.execute("PRAGMA busy_timeout = 5000", &[])?;
        Ok(opened)
    }

    fn execute(&self, sql: &str, params: &[Value]) -> Result<Rows, SqlError> {
        let params: Vec<_> = params.iter().map(parameter).collect();
        let answer = self.connection.execute(sql, &params).map_err(failed)?;
        Ok(Rows {
            columns: answer.columns,
            rows: answer
                .rows
                .into_iter()
                .map(|row| row.values.into_iter().map(value).collect())
                .collect(),
        })
    }
}

impl Sql for Sqlite {
    async fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, SqlError> {
        self.execute(sql, params)
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
