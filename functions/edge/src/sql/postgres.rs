//! The catalog over `spin:postgres`.
//!
//! As in [`super::sqlite`], the older operations, which answer in one: the newer ones give a stream of rows, and each row that is
//! read from it is a turn of the host's event loop, which took longer than all else about a row. Nothing else of the instance goes
//! on meanwhile; it has one request at a time (ADR 0003). The newer ones are for a statement of few rows that takes the server
//! long, while there is something to do here.

use std::task::Poll;

use futures::future::{join, poll_fn};
use headwater_catalog::postgres::{self, Failure};
use headwater_catalog::{Rows, Value};
use spin_sdk::pg::wit::postgres::{Connection, ConnectionBuilder};
use spin_sdk::pg::{DbValue, ParameterValue, PgError, QueryError};

pub(super) struct Session {
    connection: Connection,
}

impl Session {
    /// `ca`: the certificate that TLS trusts, in PEM; empty for the roots of the web.
    pub(super) fn open(address: &str, ca: &str) -> Result<Self, Failure> {
        let builder = ConnectionBuilder::new(address);
        if !ca.trim().is_empty() {
            builder.set_ca_root(ca).map_err(failed)?;
        }
        let connection = builder.build().map_err(failed)?;
        Ok(Self { connection })
    }

    /// Makes the session fit for writing.
    pub(super) fn prepare_writing(&self) -> Result<(), Failure> {
        for statement in [
            // Not every host gives out a session on which the last request's transaction is over.
            "ROLLBACK",
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        ] {
            self.connection.execute(statement, &[]).map_err(failed)?;
        }
        Ok(())
    }
}

impl postgres::Connection for Session {
    async fn run(&self, sql: &str, params: &[Value]) -> Result<Rows, Failure> {
        let params: Vec<_> = params.iter().map(parameter).collect();
        let answer = self.connection.query(sql, &params).map_err(failed)?;
        Ok(Rows {
            columns: answer.columns.into_iter().map(|c| c.name).collect(),
            rows: answer
                .rows
                .into_iter()
                .map(values)
                .collect::<Result<_, _>>()?,
        })
    }

    async fn run_during<R>(
        &self,
        sql: &str,
        params: &[Value],
        work: impl FnOnce() -> R,
    ) -> (Result<Rows, Failure>, R) {
        let params = params.iter().map(parameter).collect();
        let asking = async {
            let (columns, mut rows, ended) = self
                .connection
                .query_async(sql.to_owned(), params)
                .await
                .map_err(failed)?;
            let mut answer = Rows {
                columns: columns.into_iter().map(|c| c.name).collect(),
                rows: Vec::new(),
            };
            while let Some(row) = rows.next().await {
                answer.rows.push(values(row)?);
            }
            ended.await.map_err(failed)?;
            Ok(answer)
        };
        let working = async {
            let mut asked = false;
            // Once round the host's loop, which sends what was asked.
            poll_fn(|context| {
                if std::mem::replace(&mut asked, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            work()
        };
        join(asking, working).await
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

fn values(row: Vec<DbValue>) -> Result<Vec<Value>, Failure> {
    row.into_iter().map(value).collect()
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

fn failed(error: PgError) -> Failure {
    let (code, message) = match error {
        PgError::QueryFailed(QueryError::DbError(error)) => (Some(error.code), error.message),
        PgError::QueryFailed(QueryError::Text(text)) => (None, text),
        other => (None, other.to_string()),
    };
    Failure { code, message }
}
