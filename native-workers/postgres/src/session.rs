//! The catalog on one session with PostgreSQL.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use headwater_catalog::postgres::{Connection, Failure, Postgres, schema};
use headwater_catalog::{
    CatalogError, Migrate, Rows, Sql, SqlError, Value, migrations, transaction,
};
use rustls_pki_types::CertificateDer;
use tokio::runtime::Runtime;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Statement};

use crate::{Address, AddressError, reason, tls};

/// Prepared statements that a session keeps.
const STATEMENTS: usize = 256;

/// Who changes the schema holds this advisory lock: "headwatr" in ASCII.
const SCHEMA_LOCK: i64 = 0x6865_6164_7761_7472;

/// One session, with a thread of its own that moves its bytes, so that it can be waited for anywhere.
///
/// Statements of concurrent callers take turns, but a transaction needs a session of its own.
pub struct Session {
    sql: Postgres<Socket>,
}

impl Session {
    /// Connects. `roots`: what TLS trusts; empty for the roots of the web.
    pub fn open(address: &str, roots: &[CertificateDer<'_>]) -> Result<Self, SqlError> {
        let mut address = Address::parse(address).map_err(refused)?;
        let serializable = "-c default_transaction_isolation=serializable";
        let options = match address.config.get_options() {
            Some(options) => format!("{options} {serializable}"),
            None => serializable.to_owned(),
        };
        address.config.options(options);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postgres")
            .enable_all()
            .build()
            .map_err(|error| SqlError::Failed(error.to_string()))?;
        let tls = tls(roots);
        // Not `block_on`: the caller may be on a runtime itself.
        let (done, connected) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            match address.config.connect(tls).await {
                Ok((client, connection)) => {
                    let _ = done.send(Ok(client));
                    // Ends with the client; an error shows in the statement that was under way.
                    let _ = connection.await;
                }
                Err(error) => {
                    let _ = done.send(Err(reason(&error)));
                }
            }
        });
        let connected = connected
            .recv()
            .map_err(|error| SqlError::Failed(error.to_string()))
            .and_then(|connected| connected.map_err(SqlError::Failed));
        let client = match connected {
            Ok(client) => client,
            Err(error) => {
                // As below: to wait for it is not allowed on a thread of another runtime.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        Ok(Self {
            sql: Postgres::new(Socket {
                client,
                statements: Mutex::new(HashMap::new()),
                runtime: Some(runtime),
            }),
        })
    }

    async fn batch(&self, sql: &str) -> Result<(), SqlError> {
        let done = self.sql.connection().client.batch_execute(sql).await;
        done.map_err(|error| SqlError::Failed(failure(&error).message))
    }
}

fn refused(error: AddressError) -> SqlError {
    SqlError::Failed(error.to_string())
}

impl Sql for Session {
    async fn query(&self, sql: &str, params: &[Value]) -> Result<Rows, SqlError> {
        self.sql.query(sql, params).await
    }
}

impl Migrate for Session {
    async fn migrate(&self) -> Result<usize, CatalogError> {
        // Before the transaction begins: its snapshot shall hold what another starter has just done.
        self.batch(&format!("SELECT pg_advisory_lock({SCHEMA_LOCK})"))
            .await?;
        let done = transaction(self, async |session| {
            session.batch(&schema(migrations::LEDGER)).await?;
            let newest = session.query(migrations::NEWEST, &[]).await?;
            let pending = migrations::pending(&newest)?;
            for migration in pending {
                session.batch(&schema(migration.sql)).await?;
                session
                    .query(migrations::RECORD, &migration.record())
                    .await?;
            }
            Ok(pending.len())
        })
        .await;
        self.batch(&format!("SELECT pg_advisory_unlock({SCHEMA_LOCK})"))
            .await?;
        done
    }
}

struct Socket {
    client: Client,
    statements: Mutex<HashMap<String, Statement>>,
    runtime: Option<Runtime>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A runtime must not be dropped on another one's thread; this does not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Socket {
    async fn prepared(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        let lock = || {
            self.statements
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = lock().get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(sql).await?;
        let mut statements = lock();
        if statements.len() >= STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    async fn rows(&self, sql: &str, params: &[Value]) -> Result<Rows, tokio_postgres::Error> {
        let statement = self.prepared(sql).await?;
        let params: Vec<_> = params.iter().map(parameter).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| &**p).collect();
        let found = self.client.query(&statement, &params).await?;
        let columns = statement.columns();
        let rows = found
            .iter()
            .map(|row| {
                (0..columns.len())
                    .map(|at| value(row, at))
                    .collect::<Result<_, _>>()
            })
            .collect::<Result<_, _>>()?;
        Ok(Rows {
            columns: columns.iter().map(|c| c.name().to_owned()).collect(),
            rows,
        })
    }
}

impl Connection for Socket {
    async fn run(&self, sql: &str, params: &[Value]) -> Result<Rows, Failure> {
        self.rows(sql, params)
            .await
            .map_err(|error| failure(&error))
    }
}

fn failure(error: &tokio_postgres::Error) -> Failure {
    Failure {
        code: error.code().map(|state| state.code().to_owned()),
        message: match error.as_db_error() {
            Some(error) => error.message().to_owned(),
            None => reason(error),
        },
    }
}

type Parameter<'a> = Box<dyn ToSql + Sync + 'a>;

fn parameter(value: &Value) -> Parameter<'_> {
    match value {
        Value::Null => Box::new(Null),
        Value::Integer(value) => Box::new(*value),
        Value::Real(value) => Box::new(*value),
        Value::Text(text) => Box::new(text.as_str()),
        Value::Blob(bytes) => Box::new(bytes.as_slice()),
    }
}

/// A null of any type.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    fn to_sql(
        &self,
        _: &Type,
        _: &mut tokio_postgres::types::private::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(tokio_postgres::types::IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// Integers and truth values widened, as the catalog's statements expect.
fn value(row: &tokio_postgres::Row, at: usize) -> Result<Value, tokio_postgres::Error> {
    let kind = row.columns()[at].type_();
    Ok(match *kind {
        Type::BOOL => row.try_get::<_, Option<bool>>(at)?.into(),
        Type::INT2 => row.try_get::<_, Option<i16>>(at)?.map(i64::from).into(),
        Type::INT4 => row.try_get::<_, Option<i32>>(at)?.map(i64::from).into(),
        Type::INT8 => row.try_get::<_, Option<i64>>(at)?.into(),
        Type::FLOAT8 => row
            .try_get::<_, Option<f64>>(at)?
            .map_or(Value::Null, Value::Real),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at)?.into(),
        Type::VOID => Value::Null,
        _ => row.try_get::<_, Option<String>>(at)?.into(),
    })
}
