//! Empty databases for tests, of the kind that `HEADWATER_TEST_POSTGRES` says: unset, SQLite; else the address of a
//! PostgreSQL server in libpq's words (`host=127.0.0.1 port=5433 user=postgres dbname=postgres`), where every test gets
//! a schema of its own. `cargo xtask test` runs the same suites on both.

use futures::executor::block_on;
use headwater_catalog::{NativeSqlite, Sql as _};
use headwater_postgres::Session;

pub use headwater_postgres::Catalog as Connection;

/// The variable that names the server.
pub const SERVER: &str = "HEADWATER_TEST_POSTGRES";

/// An empty database that outlives its connections.
pub enum Database {
    Sqlite(tempfile::TempDir),
    Postgres { address: String },
}

impl Database {
    #[allow(clippy::new_without_default, reason = "every call makes another one")]
    pub fn new() -> Self {
        match std::env::var(SERVER) {
            Err(_) => Self::Sqlite(tempfile::tempdir().expect("a folder for the database")),
            Ok(server) => {
                let schema = format!("t_{}", uuid::Uuid::new_v4().simple());
                let session = Session::open(&server, &[]).expect("the PostgreSQL server");
                block_on(session.query(&format!("CREATE SCHEMA {schema}"), &[])).expect("a schema");
                Self::Postgres {
                    address: format!("{server} options='-c search_path={schema}'"),
                }
            }
        }
    }

    /// Opens a connection. As many as a test likes, from any thread.
    pub fn connect(&self) -> Connection {
        match self {
            Self::Sqlite(folder) => {
                let path = folder.path().join("catalog.db");
                Connection::Sqlite(NativeSqlite::open(&path).expect("SQLite"))
            }
            Self::Postgres { address } => {
                Connection::Postgres(Session::open(address, &[]).expect("PostgreSQL"))
            }
        }
    }
}

/// The only connection to an empty database.
pub fn alone() -> Connection {
    match std::env::var(SERVER) {
        Err(_) => Connection::Sqlite(NativeSqlite::in_memory().expect("SQLite in memory")),
        Ok(_) => Database::new().connect(),
    }
}
