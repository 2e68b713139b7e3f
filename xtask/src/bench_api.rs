//! `cargo xtask bench api`: what the management API does in a second, on SQLite and on PostgreSQL.
//!
//! Headwater on core 0 (a PostgreSQL server wherever there is room), the load generator on core 1, a project with 100,000
//! assets that were put into the database directly. CPU is Headwater's own; a server's is not in it.

use crate::bench::{CONNECTIONS, Round, load_with};
use crate::installation::Installation;
use crate::postgres::Postgres;
use crate::run::{quiet, step};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

const ASSETS: u32 = 100_000;

/// One kind of request.
struct Case {
    name: &'static str,
    connections: u32,
    /// The body of wrk's `request` function; `prefix` and `headers` are there.
    lua: String,
}

fn cases() -> Vec<Case> {
    let list = "assets?$filter=contains(name,'asset')%20and%20properties/created%20gt%202020-01-01T00:00:00Z\
                &$orderby=properties/created%20desc&$top=1000";
    vec![
        Case {
            name: "GET one asset",
            connections: CONNECTIONS,
            lua: format!(
                "return wrk.format('GET', prefix .. 'assets/asset-' .. math.random({ASSETS}))"
            ),
        },
        Case {
            name: "list 1,000 of 100,000, filter and order",
            connections: 1,
            lua: format!("return wrk.format('GET', prefix .. \"{list}\")"),
        },
        Case {
            name: "PUT an asset, durable",
            connections: CONNECTIONS,
            lua: format!(
                "count = (count or 0) + 1
                 return wrk.format('PUT', prefix .. 'assets/asset-' .. math.random({ASSETS}), nil,
                     '{{\"properties\":{{\"description\":\"' .. count .. '\"}}}}')"
            ),
        },
    ]
}

pub(crate) fn api(binary: &Path, args: &[String]) -> Result<()> {
    if let Some(unknown) = args.first() {
        bail!("{unknown:?} is not an option of this benchmark; it has none");
    }
    println!("| what | catalog | connections | req/s | p50 ms | p99 ms | CPU µs a request |");
    println!("|---|---|---|---|---|---|---|");
    let embedded = start(binary, &[])?;
    let database = embedded.directory.join("catalog.db");
    step("Putting 100,000 assets into SQLite", || {
        let program = "import sqlite3, sys\n\
                       with sqlite3.connect(sys.argv[1], timeout=30) as db: db.executescript(sys.argv[2])";
        quiet(
            Command::new("python3")
                .args(["-c", program])
                .arg(&database)
                .arg(fill()),
        )
        .map(drop)
    })?;
    rows("SQLite", &embedded)?;
    drop(embedded);

    let server = Postgres::start_durable()?;
    let on_server = start(binary, &["--catalog", &server.address()])?;
    step("Putting 100,000 assets into PostgreSQL", || {
        quiet(&mut server.psql(&fill())?)?;
        // As the server would do by itself within a minute.
        quiet(&mut server.psql("VACUUM ANALYZE")?).map(drop)
    })?;
    rows("PostgreSQL", &on_server)
}

fn start(binary: &Path, args: &[&str]) -> Result<Installation> {
    let all: Vec<_> = ["--no-demo", "--no-access-log"]
        .iter()
        .chain(args)
        .copied()
        .collect();
    Installation::start_with(
        Command::new("taskset").args(["-c", "0"]).arg(binary),
        "bench-api",
        &all,
    )
}

/// The same words in both databases. Each asset is a second younger than the last.
fn fill() -> String {
    format!(
        "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {ASSETS})
         INSERT INTO assets (project_id, name, asset_id, storage_account, container, sub_path, deletion_policy,
             labels_json, extra_json, created, modified)
         SELECT p.id, 'asset-' || n.i, '00000000-0000-4000-8000-' || (100000000000 + n.i), 'local',
             'asset-' || n.i, '', 'Retain', '{{}}', '{{}}', 1700000000000000 + n.i * 1000000, 1700000000000000
         FROM n, projects p WHERE p.name = 'default'"
    )
}

fn rows(catalog: &str, headwater: &Installation) -> Result<()> {
    let token = headwater.token()?;
    for case in cases() {
        let script = headwater.directory.join("case.lua");
        std::fs::write(
            &script,
            format!(
                "wrk.headers['Authorization'] = 'Bearer {token}'
                 wrk.headers['Content-Type'] = 'application/json'
                 local prefix = '/api/v1/projects/default/media/'
                 request = function() {} end",
                case.lua
            ),
        )?;
        let Round {
            requests,
            seconds,
            cpu,
            p50_ms,
            p99_ms,
            ..
        } = load_with(
            &headwater.base()?,
            headwater.pid(),
            case.connections,
            Some(&script),
        )?;
        println!(
            "| {} | {catalog} | {} | {:.0} | {p50_ms:.2} | {p99_ms:.2} | {:.0} |",
            case.name,
            case.connections,
            requests / seconds,
            cpu / requests * 1e6,
        );
    }
    Ok(())
}
