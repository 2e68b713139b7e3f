//! The catalog over `spin:postgres`.

use headwater_catalog::postgres::{self, Failure};
use headwater_catalog::{Rows, Value};
use spin_sdk::pg::{
    Certificate, Connection, DbValue, Error, OpenOptions, ParameterValue, PgError, QueryError,
};

pub(super) struct Session {
    connection: Connection,
}

impl Session {
    /// `ca`: the certificate that TLS trusts, in PEM; empty for the roots of the web.
    pub(super) async fn open(address: &str, ca: &str) -> Result<Self, Failure> {
        let options = OpenOptions {
            ca_root: (!ca.trim().is_empty()).then(|| Certificate::Text(ca.to_owned())),
        };
        let connection = Connection::open_with_options(address, options)
            .await
            .map_err(failed)?;
        Ok(Self { connection })
    }

    /// Makes the session fit for writing.
    pub(super) async fn prepare_writing(&self) -> Result<(), Failure> {
        for statement in [
            // Not every host gives out a session on which the last request's transaction is over.
            "ROLLBACK",
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        ] {
            self.connection
                .execute(statement, Vec::new())
                .await
                .map_err(failed)?;
        }
        Ok(())
    }
}

impl postgres::Connection for Session {
    async fn run(&self, sql: &str, params: &[Value]) -> Result<Rows, Failure> {
        let params: Vec<_> = params.iter().map(parameter).collect();
        let answer = self.connection.query(sql, params).await.map_err(failed)?;
        let columns = answer.columns().iter().map(|c| c.name.clone()).collect();
        let (_, mut stream, done) = answer.into_inner();
        let mut rows = Vec::new();
        while let Some(row) = stream.next().await {
            rows.push(row.into_iter().map(value).collect::<Result<_, _>>()?);
        }
        done.await.map_err(|error| failed(error.into()))?;
        Ok(Rows { columns, rows })
    }
}

fn parameter(value: &Value) -> ParameterValue {
    match value {
        Value::Null => ParameterValue::DbNull,
        Value::Integer(value) => ParameterValue::Int64(*value),
        Value::Real(value) => ParameterValue::Floating64(*value),
        Value::Text(text) => ParameterValue::Str(text.clone()),
        Value::Blob(bytes) => ParameterValue::Binary(bytes.clone()),
    }
}

/// Integers and truth values widened, as the catalog's statements expect.
fn value(value: DbValue) -> Result<Value, Failure> {
    Ok(match value {
        DbValue::DbNull => Value::Null,
        DbValue::Boolean(value) => value.into(),
        DbValue::Int8(value) => Value::Integer(value.into()),
        DbValue::Int16(value) => Value::Integer(value.into()),
        DbValue::Int32(value) => Value::Integer(value.into()),
        DbValue::Int64(value) => Value::Integer(value),
        DbValue::Floating64(value) => Value::Real(value),
        DbValue::Str(text) => Value::Text(text),
        DbValue::Binary(bytes) => Value::Blob(bytes),
        _ => {
            return Err(Failure {
                code: None,
                message: "a column has a type that the catalog does not use".into(),
            });
        }
    })
}

fn failed(error: Error) -> Failure {
    let (code, message) = match error {
        Error::PgError(PgError::QueryFailed(QueryError::DbError(error))) => {
            (Some(error.code), error.message)
        }
        Error::PgError(PgError::QueryFailed(QueryError::Text(text))) => (None, text),
        other => (None, other.to_string()),
    };
    Failure { code, message }
}
