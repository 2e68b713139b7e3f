//! A catalog copied from one database to another: all of it, or nothing.
//!
//! The source is read in one transaction, so the copy is the catalog of one moment, whatever is written meanwhile. The target gets
//! everything in one transaction as well, reads it back, and commits only if every table has the rows and the checksum of
//! the source's. A copy that is broken off leaves empty tables, which the next attempt takes.
//!
//! Which tables and columns there are is this version's schema, as an empty database of it has them; both sides have to be
//! at that version.

use headwater_catalog::{
    CatalogError, Migrate, NativeSqlite, Rows, Sql, SqlError, Value, migrations,
};
use sha2::{Digest, Sha256};

use crate::Catalog;

/// Rows that are read at once.
const PAGE: i64 = 2000;
/// Parameters of one `INSERT`; SQLite takes 32766.
const PARAMETERS: usize = 8000;

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    #[error("reading the source")]
    Source(#[source] CatalogError),
    #[error("writing to the target")]
    Target(#[source] CatalogError),
    #[error(
        "the source is at schema {found}, this program at {known}: start this version on it once"
    )]
    OtherVersion { found: i64, known: u32 },
    #[error("the target is not empty: it has {table}")]
    NotEmpty { table: String },
    #[error(
        "table {table} came out different: {from} rows with checksum {wanted}, then {to} rows with {found}"
    )]
    Different {
        table: String,
        from: u64,
        to: u64,
        wanted: String,
        found: String,
    },
    #[error(
        "only a SQLite catalog can be closed to writers: stop every process that writes to the source instead"
    )]
    CannotClose,
}

type Step<T> = Result<T, CopyError>;

fn source(error: impl Into<CatalogError>) -> CopyError {
    CopyError::Source(error.into())
}

fn target(error: impl Into<CatalogError>) -> CopyError {
    CopyError::Target(error.into())
}

/// What becomes of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It stays as it is. What is written to it from now on is not in the copy.
    Leave,
    /// It takes no writes any more from the moment that the copy shows. Reads go on. SQLite only.
    Close,
}

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub table: String,
    pub rows: u64,
    /// SHA-256 over the rows' own, in hexadecimal; it does not depend on their order.
    pub checksum: String,
}

/// A table of this version's schema.
struct Table {
    name: String,
    columns: Vec<String>,
    /// What rows are ordered by: unique.
    key: Vec<String>,
}

impl Table {
    fn select(&self) -> String {
        format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT ?1 OFFSET ?2",
            self.columns.join(", "),
            self.name,
            self.key.join(", ")
        )
    }

    /// `rows` of them. PostgreSQL would number identities itself.
    fn insert(&self, rows: usize, to: &Catalog) -> String {
        let columns = self.columns.len();
        let values: Vec<_> = (0..rows)
            .map(|row| {
                let numbers: Vec<_> = (1..=columns)
                    .map(|column| format!("?{}", row * columns + column))
                    .collect();
                format!("({})", numbers.join(", "))
            })
            .collect();
        let overriding = match to {
            Catalog::Sqlite(_) => "",
            Catalog::Postgres(_) => " OVERRIDING SYSTEM VALUE",
        };
        format!(
            "INSERT INTO {} ({}){overriding} VALUES {}",
            self.name,
            self.columns.join(", "),
            values.join(", ")
        )
    }
}

/// Everything but the list of migrations, which the target makes itself.
async fn tables() -> Result<Vec<Table>, CatalogError> {
    let model = NativeSqlite::in_memory()?;
    model.migrate().await?;
    let names = model
        .query(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
             AND name <> 'schema_migrations' ORDER BY name",
            &[],
        )
        .await?;
    let mut tables = Vec::new();
    for row in names.iter() {
        let name = row.text("name")?;
        let info = model
            .query(
                "SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid",
                &[Value::from(&name)],
            )
            .await?;
        let (mut columns, mut key) = (Vec::new(), Vec::new());
        for row in info.iter() {
            let column = row.text("name")?;
            let at = row.unsigned("pk")?;
            if at > 0 {
                key.push((at, column.clone()));
            }
            columns.push(column);
        }
        key.sort();
        let mut key: Vec<_> = key.into_iter().map(|(_, column)| column).collect();
        if key.is_empty() {
            key.clone_from(&columns);
        }
        tables.push(Table { name, columns, key });
    }
    Ok(tables)
}

/// What a table holds, whatever the order.
#[derive(Default)]
struct Sum {
    rows: u64,
    /// The rows' hashes, added up.
    words: [u64; 4],
}

impl Sum {
    fn add(&mut self, row: &[Value]) {
        let mut hash = Sha256::new();
        for value in row {
            let (kind, bytes): (u8, &[u8]) = match value {
                Value::Null => (0, &[]),
                Value::Integer(value) => (1, &value.to_be_bytes()),
                Value::Real(value) => (2, &value.to_be_bytes()),
                Value::Text(text) => (3, text.as_bytes()),
                Value::Blob(bytes) => (4, bytes),
            };
            hash.update([kind]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
        let hash = hash.finalize();
        for (word, bytes) in self.words.iter_mut().zip(hash.chunks_exact(8)) {
            let mut eight = [0; 8];
            eight.copy_from_slice(bytes);
            *word = word.wrapping_add(u64::from_be_bytes(eight));
        }
        self.rows += 1;
    }

    fn checksum(&self) -> String {
        self.words.map(|word| format!("{word:016x}")).concat()
    }
}

/// Reads a table page by page within the transaction that `sql` is in.
async fn pages(
    sql: &Catalog,
    table: &Table,
    mut each: impl AsyncFnMut(Rows) -> Step<()>,
    fault: fn(SqlError) -> CopyError,
) -> Step<Sum> {
    let select = table.select();
    let mut sum = Sum::default();
    let mut at = 0;
    loop {
        let page = sql.query(&select, &[PAGE.into(), at.into()]).await;
        let page = page.map_err(fault)?;
        let len = i64::try_from(page.rows.len()).unwrap_or(PAGE);
        for row in &page.rows {
            sum.add(row);
        }
        if len > 0 {
            each(page).await?;
        }
        if len < PAGE {
            return Ok(sum);
        }
        at += len;
    }
}

/// Copies everything from `from` to `to`, which has to be empty. Both are connections of the caller's alone.
///
/// Ok: the tables, with what both sides hold. Errors: see [`CopyError`]; the target is empty then, and the source as it was.
pub async fn copy(from: &Catalog, to: &Catalog, after: After) -> Step<Vec<Copied>> {
    if after == After::Close && matches!(from, Catalog::Postgres(_)) {
        return Err(CopyError::CannotClose);
    }
    same_version(from).await?;
    let tables = tables().await.map_err(source)?;
    empty(to, &tables).await?;
    let begin = match (from, after) {
        // A snapshot that keeps nobody from writing.
        (Catalog::Sqlite(_), After::Leave) => "BEGIN",
        // Writers wait, and are refused when it is over.
        (Catalog::Sqlite(_), After::Close) => "BEGIN IMMEDIATE",
        (Catalog::Postgres(_), _) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    run(from, begin).await.map_err(source)?;
    let copied = within(from, to, &tables, after).await;
    let end = match copied {
        Ok(_) => "COMMIT",
        Err(_) => "ROLLBACK",
    };
    let ended = run(from, end).await.map_err(source);
    let copied = copied?;
    ended?;
    Ok(copied)
}

async fn run(sql: &Catalog, statement: &str) -> Result<(), SqlError> {
    sql.query(statement, &[]).await.map(drop)
}

/// The part between begin and end of the source's transaction.
async fn within(from: &Catalog, to: &Catalog, tables: &[Table], after: After) -> Step<Vec<Copied>> {
    run(to, "BEGIN IMMEDIATE").await.map_err(target)?;
    let filled = async {
        let mut copied = Vec::new();
        for table in tables {
            copied.push(fill(from, to, table).await?);
        }
        counters(from, to, tables).await?;
        if after == After::Close {
            close(from, tables).await.map_err(source)?;
        }
        Ok::<_, CopyError>(copied)
    }
    .await;
    match filled {
        Ok(copied) => {
            run(to, "COMMIT").await.map_err(target)?;
            Ok(copied)
        }
        Err(error) => {
            let _ = run(to, "ROLLBACK").await;
            Err(error)
        }
    }
}

async fn fill(from: &Catalog, to: &Catalog, table: &Table) -> Step<Copied> {
    let at_once = (PARAMETERS / table.columns.len().max(1)).max(1);
    let write = async |page: Rows| {
        for rows in page.rows.chunks(at_once) {
            let values: Vec<Value> = rows.iter().flatten().cloned().collect();
            let done = to.query(&table.insert(rows.len(), to), &values).await;
            done.map_err(target)?;
        }
        Ok::<(), CopyError>(())
    };
    let wanted = pages(from, table, write, source).await?;
    let found = pages(to, table, async |_| Ok(()), target).await?;
    if (wanted.rows, wanted.words) != (found.rows, found.words) {
        return Err(CopyError::Different {
            table: table.name.clone(),
            from: wanted.rows,
            to: found.rows,
            wanted: wanted.checksum(),
            found: found.checksum(),
        });
    }
    Ok(Copied {
        table: table.name.clone(),
        rows: wanted.rows,
        checksum: wanted.checksum(),
    })
}

/// The one table whose rows the database numbers, and the column with the number. A number is never given twice, not even
/// that of a row which is gone.
const COUNTED: (&str, &str) = ("jobs", "seq");

async fn counters(from: &Catalog, to: &Catalog, tables: &[Table]) -> Step<()> {
    let (table, column) = COUNTED;
    debug_assert!(tables.iter().any(|known| known.name == table));
    let highest = match from {
        Catalog::Sqlite(_) => {
            "SELECT coalesce(max(seq), 0) AS last FROM sqlite_sequence WHERE name = 'jobs'"
        }
        // Nobody has read from a sequence whose `is_called` is false.
        Catalog::Postgres(_) => {
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last FROM jobs_seq_seq"
        }
    };
    let found = from.query(highest, &[]).await.map_err(source)?;
    let last = match found.rows.first().and_then(|row| row.first()) {
        Some(Value::Integer(last)) => *last,
        _ => 0,
    };
    if last == 0 {
        return Ok(());
    }
    let raise = match to {
        Catalog::Sqlite(_) => {
            // There is no row yet if no job was copied.
            let clear = format!("DELETE FROM sqlite_sequence WHERE name = '{table}'");
            run(to, &clear).await.map_err(target)?;
            format!("INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', ?1)")
        }
        Catalog::Postgres(_) => {
            format!("SELECT setval(pg_get_serial_sequence('{table}', '{column}'), ?1)")
        }
    };
    to.query(&raise, &[last.into()]).await.map_err(target)?;
    Ok(())
}

async fn same_version(from: &Catalog) -> Step<()> {
    let newest = from.query(migrations::NEWEST, &[]).await.map_err(source)?;
    let known = migrations::all().last().map_or(0, |last| last.number);
    let found = match newest.rows.first().and_then(|row| row.first()) {
        Some(Value::Integer(found)) => *found,
        _ => 0,
    };
    if found != i64::from(known) {
        return Err(CopyError::OtherVersion { found, known });
    }
    Ok(())
}

/// Makes the tables, unless there is anything in the target but empty ones of ours.
async fn empty(to: &Catalog, tables: &[Table]) -> Step<()> {
    let list = match to {
        Catalog::Sqlite(_) => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        }
        Catalog::Postgres(_) => {
            "SELECT CAST(tablename AS TEXT) AS name FROM pg_tables WHERE schemaname = current_schema()"
        }
    };
    let found = to.query(list, &[]).await.map_err(target)?;
    for row in found.iter() {
        let name = row.text("name").map_err(target)?;
        let ours = tables.iter().any(|table| table.name == name);
        if !ours && name != "schema_migrations" {
            let table = format!("a table {name} of somebody else's");
            return Err(CopyError::NotEmpty { table });
        }
    }
    to.migrate().await.map_err(target)?;
    for table in tables {
        let one = format!("SELECT 1 AS one FROM {} LIMIT 1", table.name);
        if !to.query(&one, &[]).await.map_err(target)?.is_empty() {
            let table = format!("rows in {}", table.name);
            return Err(CopyError::NotEmpty { table });
        }
    }
    Ok(())
}

/// Whoever writes is told so, in words that every way to SQLite takes for "busy, try again": workers keep what they have to
/// say, clients are answered 503, until the processes are started on the new catalog.
const CLOSED: &str = "the database is locked: this catalog was copied to another server, start this process with that one";

const CHANGES: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];

fn trigger(table: &Table, change: &str) -> String {
    format!("closed_{}_{}", table.name, change.to_lowercase())
}

async fn close(from: &Catalog, tables: &[Table]) -> Result<(), SqlError> {
    for table in tables {
        for change in CHANGES {
            let statement = format!(
                "CREATE TRIGGER {} BEFORE {change} ON {} BEGIN SELECT RAISE(ABORT, '{CLOSED}'); END",
                trigger(table, change),
                table.name
            );
            run(from, &statement).await?;
        }
    }
    Ok(())
}

/// Lets writers into a SQLite catalog again that [`After::Close`] has closed. What was written to the copy meanwhile is not in it.
pub async fn reopen(sqlite: &NativeSqlite) -> Result<(), CatalogError> {
    headwater_catalog::transaction(sqlite, async |sql| {
        for table in &tables().await? {
            for change in CHANGES {
                let statement = format!("DROP TRIGGER IF EXISTS {}", trigger(table, change));
                sql.query(&statement, &[]).await?;
            }
        }
        Ok(())
    })
    .await
}
