//! `cargo xtask up`, `test` and `e2e`.

use crate::build::For;
use crate::checks::pure_crates;
use crate::debian::Need;
use crate::installation::Installation;
use crate::postgres::Postgres;
use crate::run::{
    calling_cargo, cargo, give_way, has, one_at_a_time, only_when_idle, quiet, step, tee,
};
use crate::sum::{Outcome, Report, Sum};
use crate::tally::Tally;
use crate::{build, debian, node, paths, ports};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What the tests need beyond the build.
const TEST_TOOLS: [Need; 11] = [
    Need::program("ffmpeg", "ffmpeg"),
    Need::program("chromium", "chromium"),
    Need::python("venv, ensurepip", "python3-venv"),
    Need::program("curl", "curl"),
    Need::program("nginx", "nginx"),
    Need::program("srt-live-transmit", "srt-tools"),
    // An encoder beside ffmpeg. Its plug-ins are where the architecture says.
    Need::program("gst-launch-1.0", "gstreamer1.0-tools"),
    Need::path(
        "/usr/share/doc/gstreamer1.0-plugins-base",
        "gstreamer1.0-plugins-base",
    ),
    Need::path(
        "/usr/share/doc/gstreamer1.0-plugins-good",
        "gstreamer1.0-plugins-good",
    ),
    Need::path(
        "/usr/share/doc/gstreamer1.0-plugins-bad",
        "gstreamer1.0-plugins-bad",
    ),
    Need::path(
        "/usr/share/doc/gstreamer1.0-plugins-ugly",
        "gstreamer1.0-plugins-ugly",
    ),
];

/// How a suite is run, and what has to be there first.
enum Run {
    /// Nothing but the sources.
    Sources(fn() -> Outcome),
    /// The whole build, so that what it embeds is there.
    Built(fn() -> Outcome),
    /// Against a running Headwater.
    EndToEnd(fn(&Path) -> Outcome),
}

struct Suite {
    name: &'static str,
    run: Run,
}

const fn suite(name: &'static str, run: Run) -> Suite {
    Suite { name, run }
}

/// Suites that are run one after the other.
type Row = &'static [Suite];

/// What only computes, whatever time it takes. Where a suite needs a running Headwater, it is run in what everything else leaves of
/// the machine, from the build on; elsewhere before everything else.
const MEANWHILE: Row = &[
    suite("pure crates and functions", Run::Sources(pure)),
    suite(
        "catalog and API on PostgreSQL",
        Run::Sources(catalog_on_postgres),
    ),
];

/// In the order in which they are run: what fails soonest first. The rows of a stage are run at the same time, as whoever plays,
/// browses or asks again later waits more than he works; the others give way to the first, where media come in live.
const STAGES: [&[Row]; 7] = [
    &[&[suite("portal", Run::Built(portal))]],
    &[&[suite("workers", Run::Built(workers))]],
    &[&[suite("blob store with the Azure SDK", Run::Built(blob))]],
    &[&[suite("blob client with Azurite", Run::Built(azurite))]],
    &[&[suite("protection with other tools", Run::Built(protection))]],
    &[
        &[suite("SDKs", Run::EndToEnd(sdks))],
        &[
            suite(
                "SDKs, catalog on PostgreSQL",
                Run::EndToEnd(sdks_on_postgres),
            ),
            suite("JavaScript SDK", Run::EndToEnd(javascript)),
            suite("OpenAPI contract", Run::EndToEnd(contract)),
            suite("what falls and comes back", Run::EndToEnd(falling)),
        ],
    ],
    &[
        &[suite("players", Run::EndToEnd(players))],
        &[suite("portal in a browser", Run::EndToEnd(portal_pages))],
    ],
];

/// Which suites to run.
pub(crate) enum Selection {
    All,
    EndToEnd,
    /// Those whose name has one of these words, in any case.
    Named(Vec<String>),
}

impl Selection {
    fn has(&self, suite: &Suite) -> bool {
        match self {
            Self::All => true,
            Self::EndToEnd => matches!(suite.run, Run::EndToEnd(_)),
            Self::Named(words) => {
                let name = suite.name.to_lowercase();
                words.iter().any(|word| name.contains(&word.to_lowercase()))
            }
        }
    }
}

/// Builds everything and becomes `headwater up`.
pub(crate) fn up(args: &[String]) -> Result<()> {
    let binary = build::everything(For::Use)?;
    let mut command = Command::new(binary);
    command.arg("up").args(args);
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    Err(error).context("starting headwater")
}

/// Runs the suites and prints one line that sums them.
pub(crate) fn test(selection: &Selection) -> Result<()> {
    let chosen = |row: &Row| -> Vec<&'static Suite> {
        row.iter().filter(|suite| selection.has(suite)).collect()
    };
    let meanwhile = chosen(&MEANWHILE);
    let stages = STAGES.iter().map(|rows| rows.iter().map(chosen).collect());
    let stages: Vec<Vec<_>> = stages
        .filter(|rows: &Vec<Vec<_>>| rows.iter().any(|row| !row.is_empty()))
        .collect();
    if meanwhile.is_empty() && stages.is_empty() {
        let suites = STAGES.iter().copied().flatten().copied().flatten();
        let names: Vec<_> = MEANWHILE.iter().chain(suites).map(|s| s.name).collect();
        bail!("no suite is named so; there are: {}", names.join("; "));
    }
    debian::ensure(&TEST_TOOLS)?;
    let mut suites = stages.iter().flatten().flatten();
    let waits = suites.any(|suite| matches!(suite.run, Run::EndToEnd(_)));
    let mut sum = Sum::default();
    if !waits {
        sum.extend(in_turn(&meanwhile, None));
    }
    std::thread::scope(|scope| {
        let beside = waits.then(|| {
            scope.spawn(|| {
                only_when_idle();
                in_turn(&meanwhile, None)
            })
        });
        // What the build lacks, the suites that need none of it do not miss.
        let built = (!stages.is_empty()).then(|| build::everything(For::Tests));
        for rows in &stages {
            sum.extend(at_once(rows, built.as_ref())?);
        }
        if let Some(beside) = beside {
            sum.extend(joined(beside)?);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    sum.tell()
}

/// The rows of a stage.
fn at_once(rows: &[Vec<&'static Suite>], built: Option<&Result<PathBuf>>) -> Result<Vec<Report>> {
    std::thread::scope(|scope| {
        let run = |(place, row): (usize, &Vec<&'static Suite>)| {
            let row = row.clone();
            scope.spawn(move || {
                if place > 0 {
                    give_way();
                }
                in_turn(&row, built)
            })
        };
        let running: Vec<_> = rows.iter().enumerate().map(run).collect();
        let ended = running.into_iter().map(joined);
        Ok(ended
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    })
}

fn in_turn(row: &[&'static Suite], built: Option<&Result<PathBuf>>) -> Vec<Report> {
    row.iter().map(|suite| suite.report(built)).collect()
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> Result<T> {
    thread
        .join()
        .map_err(|_| anyhow::anyhow!("the thread of a suite"))
}

impl Suite {
    fn report(&self, built: Option<&Result<PathBuf>>) -> Report {
        let started = Instant::now();
        let outcome = match (&self.run, built) {
            (Run::Sources(run) | Run::Built(run), _) => run(),
            (Run::EndToEnd(run), Some(Ok(binary))) => run(binary),
            (Run::EndToEnd(_), Some(Err(error))) => {
                Err(anyhow::anyhow!("there is no binary: {error:#}"))
            }
            (Run::EndToEnd(_), None) => Err(anyhow::anyhow!("nothing was built")),
        };
        match &outcome {
            Ok((_, output)) => {
                let tally = Tally::read(output).unwrap_or_default();
                println!(
                    "---- {}: {} passed, {} failed, {} s",
                    self.name,
                    tally.passed,
                    tally.failed,
                    started.elapsed().as_secs()
                );
            }
            Err(error) => println!("---- {} could not run: {error:#}", self.name),
        }
        Report {
            name: self.name,
            outcome,
        }
    }
}

/// `cargo nextest` where it is, `cargo test` elsewhere; the words differ, the tests do not.
fn cargo_tests(profile: Option<&str>, packages: &[String]) -> Outcome {
    tee(&mut tests_of(profile, packages, None))
}

/// The tests of `packages`, or of `only` some of them: built together all the same, as another selection would unite other
/// features of what they share, and compile it once more.
fn tests_of(profile: Option<&str>, packages: &[String], only: Option<&[&str]>) -> Command {
    let mut command = cargo();
    let nextest = has("cargo-nextest");
    command.args(if nextest {
        &["nextest", "run", "--no-fail-fast"][..]
    } else {
        &["test", "--no-fail-fast"][..]
    });
    if profile == Some("release") {
        command.arg("--release").args(For::Tests.args());
    }
    let filter = only.filter(|_| nextest);
    for package in packages {
        let chosen = only.is_none_or(|only| only.contains(&package.as_str()));
        if chosen || filter.is_some() {
            command.args(["--package", package]);
        }
    }
    if let Some(only) = filter {
        let packages: Vec<_> = only.iter().map(|name| format!("package({name})")).collect();
        command.args(["-E", &packages.join(" | ")]);
    }
    command.current_dir(paths::root());
    command
}

/// What is tested with debug assertions: the pure crates, what the functions add to them (what they do in the host is tested
/// end to end), the client of PostgreSQL, and this program.
fn debugged() -> Result<Vec<String>> {
    let mut packages = pure_crates()?;
    packages.extend(build::FUNCTIONS.map(|name| format!("headwater-fn-{name}")));
    packages.extend(["headwater-postgres", "xtask"].map(String::from));
    Ok(packages)
}

fn pure() -> Outcome {
    // One of the functions has it in it.
    build::portal()?;
    cargo_tests(None, &debugged()?)
}

/// What talks to the catalog, on a server instead of a file.
fn catalog_on_postgres() -> Outcome {
    build::portal()?;
    let server = Postgres::start()?;
    let only = ["headwater-catalog", "headwater-api", "headwater-postgres"];
    let mut command = tests_of(None, &debugged()?, Some(&only));
    tee(command.env("HEADWATER_TEST_POSTGRES", server.address()))
}

fn portal() -> Outcome {
    tee(Command::new("npm")
        .args(["test", "--silent"])
        .current_dir(paths::root().join("portal")))
}

fn workers() -> Outcome {
    build::guests()?;
    let packages = build::WORKERS.map(String::from);
    cargo_tests(Some("release"), &packages)
}

/// A Python environment with the pinned packages of a suite.
pub(crate) fn python(requirements: &Path) -> Result<PathBuf> {
    let text = std::fs::read(requirements)
        .with_context(|| format!("reading {}", requirements.display()))?;
    let suite = requirements
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default();
    let venv = paths::cache()?.join("python").join(suite);
    let _turn = one_at_a_time();
    let python = venv.join("bin/python");
    let stamp = venv.join("requirements.done");
    if std::fs::read(&stamp).is_ok_and(|done| done == text) && python.exists() {
        return Ok(python);
    }
    step(
        &format!("Python packages of {}", suite.to_string_lossy()),
        || {
            quiet(
                Command::new("python3")
                    .args(["-m", "venv", "--clear"])
                    .arg(&venv),
            )
            .context("python3 -m venv (Debian: python3-venv)")?;
            quiet(
                Command::new(&python)
                    .args(["-m", "pip", "install", "--quiet", "-r"])
                    .arg(requirements),
            )?;
            std::fs::write(&stamp, &text)?;
            Ok(())
        },
    )?;
    Ok(python)
}

/// Tests of live resources bring a worker of their own, and tests of live media an installation.
const WORKERLESS: &str = "--no-ingest";

/// What runs as long as it plays, on installations of its own.
const LIVE: [&str; 5] = [
    "test_live_cues.py",
    "test_live_encoders.py",
    "test_live_protected.py",
    "test_live_stream.py",
    "test_live_told.py",
];

/// What starts, kills and starts again installations of its own.
const FALLING: [&str; 10] = [
    "test_assemblers.py",
    "test_bad_night.py",
    "test_bucket.py",
    "test_killed_parts.py",
    "test_licence_servers.py",
    "test_master_key.py",
    "test_memory.py",
    "test_outages.py",
    "test_traces.py",
    "test_usage.py",
];

/// Live media comes in beside all the rest, which gives way to it.
fn sdks(binary: &Path) -> Outcome {
    let plain = Installation::start(binary, "sdk", &["--no-demo", WORKERLESS])?;
    let tls = Installation::start(binary, "sdk-tls", &["--no-demo", WORKERLESS, "--tls"])?;
    let both = [&plain, &tls];
    let (live, rest) = std::thread::scope(|scope| {
        let live = scope.spawn(|| end_to_end(binary, &both, &Files::Of(&LIVE)));
        let rest = end_to_end(binary, &both, &Files::Without(&[&LIVE, &FALLING]));
        (live.join(), rest)
    });
    let (live_well, live) = live.map_err(|_| anyhow::anyhow!("the live tests' thread"))??;
    let (rest_well, rest) = rest?;
    Ok((live_well && rest_well, live + &rest))
}

/// What mostly asks the catalog, with the catalog on a server: two installations, each with a database of its own.
fn sdks_on_postgres(binary: &Path) -> Outcome {
    let server = Postgres::start()?;
    let start = |name: &str, more: &[&str]| {
        let address = server.database(&name.replace('-', "_"))?;
        let args = [&["--no-demo", WORKERLESS, "--catalog", &address], more].concat();
        Installation::start(binary, name, &args)
    };
    let plain = start("sdk-postgres", &[])?;
    let tls = start("sdk-postgres-tls", &["--tls"])?;
    let files = [
        "test_ams.py",
        "test_ams_policies.py",
        "test_mkio.py",
        "test_mkio_storage.py",
        "test_people.py",
        "test_concurrent_writers.py",
    ];
    end_to_end(binary, &[&plain, &tls], &Files::Of(&files))
}

fn falling(binary: &Path) -> Outcome {
    // Theirs begin with its compiled components.
    let plain = Installation::start(binary, "falling", &["--no-demo", WORKERLESS])?;
    end_to_end(binary, &[&plain], &Files::Of(&FALLING))
}

/// Files of the end-to-end suite.
enum Files<'a> {
    Of(&'a [&'a str]),
    /// All others, at a lower priority.
    Without(&'a [&'a [&'a str]]),
}

/// `installations`: one that speaks HTTP, and, where it is asked for, one that speaks HTTPS.
fn end_to_end(binary: &Path, installations: &[&Installation], files: &Files<'_>) -> Outcome {
    let folder = paths::root().join("tests/e2e");
    let python = python(&folder.join("requirements.txt"))?;
    let mut command = match files {
        Files::Of(_) => Command::new(python),
        Files::Without(_) => {
            let mut yielding = Command::new("nice");
            yielding.args(["-n", "5"]).arg(python);
            yielding
        }
    };
    command.args(["-m", "pytest", "-q", "-ra", "--durations=10"]);
    match files {
        Files::Of(files) => command.args(files.iter().map(|file| folder.join(file))),
        Files::Without(others) => {
            let others = others.iter().copied().flatten();
            let left_out = others.map(|file| format!("--ignore={}", folder.join(file).display()));
            command.args(left_out).arg(&folder)
        }
    };
    let names = ["HEADWATER_CONNECTION", "HEADWATER_CONNECTION_TLS"];
    for (name, installation) in names.iter().zip(installations) {
        command.env(name, &installation.connection);
    }
    tee(command
        .env("HEADWATER_BINARY", binary)
        .env("SHAKA_PACKAGER", shaka_packager()?)
        .current_dir(paths::root()))
}

fn javascript(binary: &Path) -> Outcome {
    let folder = paths::root().join("tests/sdk-js");
    node::install(&folder)?;
    let installation = Installation::start(binary, "sdk-js", &["--no-demo", WORKERLESS, "--tls"])?;
    tee(Command::new("npm")
        .args(["test", "--silent"])
        .env("HEADWATER_CONNECTION_TLS", &installation.connection)
        .env("HEADWATER_BINARY", binary)
        .current_dir(&folder))
}

/// Requests made from `docs/openapi.json`. `HEADWATER_REQUESTS` says about how many.
fn contract(binary: &Path) -> Outcome {
    let folder = paths::root().join("tests/schemathesis");
    let python = python(&folder.join("requirements.txt"))?;
    let installation = Installation::start(binary, "contract", &["--no-demo", WORKERLESS])?;
    tee(Command::new(python)
        .args(["-m", "pytest", "-q", "-ra", "--durations=5"])
        .arg(&folder)
        .env("HEADWATER_CONNECTION", &installation.connection)
        .current_dir(paths::root()))
}

fn players(binary: &Path) -> Outcome {
    let folder = paths::root().join("tests/players");
    node::install(&folder)?;
    let installation = Installation::start(binary, "players", &["--demo"])?;
    tee(Command::new("npm")
        .args(["test", "--silent"])
        .env("HEADWATER_CONNECTION", &installation.connection)
        .env("HEADWATER_BINARY", binary)
        .current_dir(&folder))
}

/// What people do in the portal, in a browser. The tests bring an authority to sign in at; another is not there.
fn portal_pages(binary: &Path) -> Outcome {
    let folder = paths::root().join("tests/portal");
    node::install(&folder)?;
    let [port, silent] = ports::free()?.map(|port: u16| port.to_string());
    let issuers = quiet(
        Command::new("node")
            .arg("lib/issuers.mjs")
            .args([&port, &silent])
            .current_dir(&folder),
    )?;
    let config = paths::target()?.join(format!("portal-issuers-{}.json", std::process::id()));
    std::fs::write(&config, issuers)?;
    let oidc = format!("--oidc-config={}", config.display());
    let started = Installation::start(
        binary,
        "portal",
        &["--demo", "--egress-allow=127.0.0.0/8", &oidc],
    );
    std::fs::remove_file(&config)?;
    let installation = started?;
    tee(Command::new("npm")
        .args(["test", "--silent"])
        .env("HEADWATER_CONNECTION", &installation.connection)
        .env("HEADWATER_AUTHORITY_PORT", &port)
        .current_dir(&folder))
}

fn blob() -> Outcome {
    let folder = paths::root().join("tests/blob");
    let python = python(&folder.join("requirements.txt"))?;
    let serve = example("serve", For::Tests)?;
    tee(Command::new(python)
        .args(["-m", "pytest", "-q", "-ra"])
        .arg(&folder)
        .env("HEADWATER_BLOB_SERVE", serve.get_program())
        .current_dir(paths::root()))
}

/// An example of the workers, built with all of them: `cargo run` takes one package only, and one alone would compile
/// wasmtime once more.
pub(crate) fn example(name: &str, purpose: For) -> Result<Command> {
    let mut examples = cargo();
    examples
        .args(["build", "--release", "--example", name])
        .args(purpose.args())
        .args(build::WORKERS.iter().flat_map(|name| ["--package", name]))
        .current_dir(paths::root());
    crate::run::run(&mut examples)?;
    Ok(Command::new(
        paths::target()?.join("release/examples").join(name),
    ))
}

fn azurite() -> Outcome {
    let modules = azurite_modules()?;
    tee(calling_cargo("sh")
        .arg(paths::root().join("tests/blob/test_azurite.sh"))
        .arg(&modules)
        .args([env!("CARGO"), "test", "--release"])
        .args(For::Tests.args())
        .args(build::WORKERS.iter().flat_map(|name| ["--package", name]))
        .args([
            "--test",
            "it",
            "--",
            "--ignored",
            "--nocapture",
            "azurite::",
        ])
        .current_dir(paths::root()))
}

/// The folder that npm has installed Azurite in.
pub(crate) fn azurite_modules() -> Result<PathBuf> {
    let modules = paths::cache()?.join("node/azurite");
    let package = paths::root().join("tests/blob/package.json");
    node::install_into(&package, &modules)?;
    Ok(modules)
}

/// What `headwater-protect` makes, judged by ffmpeg, shaka-packager and readers of CPIX.
fn protection() -> Outcome {
    debian::ensure(&[Need::program("ffmpeg", "ffmpeg")])?;
    let folder = paths::root().join("tests/protect");
    let python = python(&folder.join("requirements.txt"))?;
    let packager = shaka_packager()?;
    let mut examples = cargo();
    examples.arg("build").current_dir(paths::root());
    for name in ["protect", "sample_aes", "signal"] {
        examples.args(["--example", name]);
    }
    // With all that is tested so, for the same reason as there.
    for package in debugged()? {
        examples.args(["--package", &package]);
    }
    crate::run::run(&mut examples)?;
    tee(Command::new(python)
        .args(["-m", "pytest", "-q", "-ra"])
        .arg(&folder)
        .env(
            "HEADWATER_PROTECT_EXAMPLES",
            paths::target()?.join("debug/examples"),
        )
        .env("SHAKA_PACKAGER", packager)
        .current_dir(paths::root()))
}

/// npm's build of shaka-packager.
fn shaka_packager() -> Result<PathBuf> {
    let modules = paths::cache()?.join("node/protect");
    let folder = paths::root().join("tests/protect");
    node::install_into(&folder.join("package.json"), &modules)?;
    let machine = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    };
    let packager = format!("node_modules/shaka-packager/bin/packager-linux-{machine}");
    Ok(modules.join(packager))
}
