//! A catalog goes from a file to the database under test (a PostgreSQL server in `cargo xtask test`) and back.

#[path = "../../../crates/catalog/tests/it/support/mod.rs"]
#[allow(dead_code, reason = "the catalog's own tests use the rest")]
mod support;

use futures::executor::block_on;
use headwater_catalog::jobs::Priority;
use headwater_catalog::{NativeSqlite, Sql as _, SqlError, Value};
use headwater_postgres::Catalog;
use headwater_postgres::copy::{After, CopyError, copy, reopen};
use headwater_test_database::Database;
use std::path::Path;

fn file(path: &Path) -> Catalog {
    Catalog::Sqlite(NativeSqlite::open(path).expect("SQLite"))
}

/// A file with enough of everything that pages, counters and blobs matter.
fn filled(path: &Path) -> support::Catalog {
    let catalog = support::Catalog::on(file(path));
    for n in 0..2100 {
        let statement = "INSERT INTO milestones (name, reached) VALUES (?1, ?2)";
        let values = [Value::from(format!("mile ä {n}")), Value::from(n as i64)];
        block_on(catalog.sql.query(statement, &values)).unwrap();
    }
    for name in ["a", "b", "c"] {
        catalog.job(name, Priority::Normal);
    }
    // The highest number is not in use any more.
    block_on(catalog.sql.query("DELETE FROM jobs WHERE name = 'c'", &[])).unwrap();
    catalog
}

fn numbers(sql: &Catalog) -> Vec<i64> {
    let rows = block_on(sql.query("SELECT seq FROM jobs ORDER BY seq", &[])).unwrap();
    rows.rows
        .iter()
        .map(|row| match row.as_slice() {
            [Value::Integer(seq)] => *seq,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn everything_arrives_there_and_back_again() {
    let folder = tempfile::tempdir().unwrap();
    let from = filled(&folder.path().join("from.db"));
    let database = Database::new();
    let there = block_on(copy(&from.sql, &database.connect(), After::Leave)).unwrap();
    let rows = |table: &str| {
        there
            .iter()
            .find(|copied| copied.table == table)
            .unwrap()
            .rows
    };
    assert_eq!(rows("jobs"), 2);
    assert!(rows("milestones") > 2100);
    assert!(rows("storage_credentials") > 0 && rows("signing_keys") > 0);

    let back = file(&folder.path().join("back.db"));
    let again = block_on(copy(&database.connect(), &back, After::Leave)).unwrap();
    assert_eq!(there, again, "the checksums do not depend on the database");

    // Whoever goes on writing there gives no number twice.
    for sql in [database.connect(), back] {
        let one_more = "INSERT INTO jobs (id, project_id, transform_name, name, input_json, correlation_json, priority,
               fingerprint, state, created, modified)
             SELECT 'another', project_id, transform_name, 'd', input_json, correlation_json, priority, fingerprint, state,
               created, modified FROM jobs WHERE name = 'a'";
        block_on(sql.query(one_more, &[])).unwrap();
        assert_eq!(numbers(&sql), [1, 2, 4]);
    }
}

#[test]
fn what_is_written_meanwhile_is_either_whole_or_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("from.db");
    let from = filled(&path);
    let reader = file(&path);
    let begun = ["BEGIN", "SELECT count(*) AS n FROM jobs"];
    for statement in begun {
        block_on(reader.query(statement, &[])).unwrap();
    }
    // The copy's own way of reading keeps no writer waiting.
    from.job("meanwhile", Priority::Normal);
    block_on(reader.query("COMMIT", &[])).unwrap();
    let database = Database::new();
    let copied = block_on(copy(&reader, &database.connect(), After::Leave)).unwrap();
    let jobs = copied.iter().find(|copied| copied.table == "jobs").unwrap();
    assert_eq!(jobs.rows, 3);
}

#[test]
fn a_target_with_anything_in_it_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let from = filled(&folder.path().join("from.db"));
    let database = Database::new();
    let taken = support::Catalog::on(database.connect());
    let refused = block_on(copy(&from.sql, &database.connect(), After::Leave));
    assert!(
        matches!(refused, Err(CopyError::NotEmpty { .. })),
        "{refused:?}"
    );
    assert_eq!(numbers(&taken.sql), [] as [i64; 0]);

    let database = Database::new();
    let strange = "CREATE TABLE invoices (id INTEGER)";
    block_on(database.connect().query(strange, &[])).unwrap();
    let refused = block_on(copy(&from.sql, &database.connect(), After::Leave)).unwrap_err();
    assert!(refused.to_string().contains("invoices"), "{refused}");
}

#[test]
fn a_copy_that_fails_half_way_can_be_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let from = filled(&folder.path().join("from.db"));
    let database = Database::new();
    // What a text column of either database can hold and the checksum cannot overlook: a number among texts.
    let odd = "UPDATE milestones SET reached = 'not a number' WHERE name = 'mile ä 7'";
    block_on(from.sql.query(odd, &[])).unwrap();
    let outcome = block_on(copy(&from.sql, &database.connect(), After::Close));
    if let Database::Postgres { .. } = database {
        assert!(matches!(outcome, Err(CopyError::Target(_))), "{outcome:?}");
        // The source was not closed.
        let mend = "UPDATE milestones SET reached = 7 WHERE name = 'mile ä 7'";
        block_on(from.sql.query(mend, &[])).unwrap();
        block_on(copy(&from.sql, &database.connect(), After::Leave)).unwrap();
    } else {
        outcome.unwrap();
    }
}

#[test]
fn a_closed_source_can_be_read_and_not_written_until_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("from.db");
    let from = filled(&path);
    let database = Database::new();
    block_on(copy(&from.sql, &database.connect(), After::Close)).unwrap();
    let Catalog::Sqlite(sqlite) = file(&path) else {
        unreachable!()
    };
    assert_eq!(numbers(&from.sql), [1, 2]);
    for statement in [
        "INSERT INTO milestones (name, reached) VALUES ('x', 1)",
        "UPDATE jobs SET name = 'x'",
        "DELETE FROM assets",
    ] {
        let Err(error) = block_on(sqlite.query(statement, &[])) else {
            panic!("{statement} went through")
        };
        // As a component's host tells it: with the words only.
        let told = SqlError::from_message(error.to_string());
        assert!(matches!(told, SqlError::Busy(_)), "{told}");
    }
    block_on(reopen(&sqlite)).unwrap();
    from.job("e", Priority::Normal);

    let server = database.connect();
    if let Catalog::Postgres(_) = &server {
        let back = file(&folder.path().join("back.db"));
        let refused = block_on(copy(&server, &back, After::Close));
        assert!(matches!(refused, Err(CopyError::CannotClose)));
    }
}

#[test]
fn another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let from = filled(&folder.path().join("from.db"));
    let newest =
        "DELETE FROM schema_migrations WHERE number = (SELECT max(number) FROM schema_migrations)";
    block_on(from.sql.query(newest, &[])).unwrap();
    let refused = block_on(copy(&from.sql, &Database::new().connect(), After::Leave));
    assert!(
        matches!(refused, Err(CopyError::OtherVersion { .. })),
        "{refused:?}"
    );
}
