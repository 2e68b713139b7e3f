//! The catalog over `spin:sqlite`.

use headwater_catalog::{Rows, Sql, SqlError, Value};
use spin_sdk::sqlite::{Connection, Error, Value as SpinValue};

/// The database's label in the application manifest.
const LABEL: &str = "catalog";

pub(super) struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    pub(super) async fn open() -> Result<Self, SqlError> {
        let connection = Connection::open(LABEL).await.map_err(failed)?;
        let opened = Self { connection };
        // Not every host waits for another writer by itself.
        opened.query("PRAGMA busy_timeout = 5000", &[]).await?;
        Ok(opened)
    }
}

impl Sql for Sqlite {
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
