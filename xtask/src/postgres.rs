//! A PostgreSQL server of the tests' own: Debian's binaries, a folder that goes away, a free port, one user.

use crate::debian::{self, Need, is_root};
use crate::run::{quiet, step};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The server does not run as root; this user is in every Debian.
const USER: &str = "nobody";

/// A running server, stopped when dropped.
pub(crate) struct Postgres {
    server: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Postgres {
    /// One whose data is not meant to outlive it, so it need not wait for the disk.
    pub(crate) fn start() -> Result<Self> {
        Self::start_with("fsync=off", &memory().unwrap_or_else(std::env::temp_dir))
    }

    /// One as an operator has it, for benchmarks.
    pub(crate) fn start_durable() -> Result<Self> {
        Self::start_with("fsync=on", &std::env::temp_dir())
    }

    fn start_with(setting: &str, place: &Path) -> Result<Self> {
        let binaries = binaries()?;
        step("A PostgreSQL server for the tests", || {
            let directory = tempfile::tempdir_in(place)?;
            let data = directory.path().join("data");
            std::fs::create_dir(&data)?;
            if is_root() {
                quiet(
                    Command::new("chown")
                        .arg("-R")
                        .arg(USER)
                        .arg(directory.path()),
                )?;
            }
            quiet(
                as_user(&binaries.join("initdb"))
                    .arg("-D")
                    .arg(&data)
                    .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"])
                    .current_dir(directory.path()),
            )?;
            let [port] = crate::ports::free()?;
            let log = std::fs::File::create(directory.path().join("log"))?;
            let server = as_user(&binaries.join("postgres"))
                .arg("-D")
                .arg(&data)
                .args(["-p", &port.to_string()])
                .args(["-c", "listen_addresses=127.0.0.1"])
                .args(["-c", "unix_socket_directories="])
                .args(["-c", setting])
                // A session for every test that runs at the same time, and a schema with all tables for every test.
                .args(["-c", "max_connections=200"])
                .args(["-c", "max_locks_per_transaction=256"])
                .current_dir(directory.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
                .context("starting postgres")?;
            let mut started = Self {
                server,
                port,
                directory,
            };
            started.wait()?;
            Ok(started)
        })
    }

    /// In libpq's words.
    pub(crate) fn address(&self) -> String {
        format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres",
            self.port
        )
    }

    /// A new database in it; its address.
    pub(crate) fn database(&self, name: &str) -> Result<String> {
        quiet(&mut self.psql(&format!("CREATE DATABASE {name}"))?)?;
        Ok(format!(
            "host=127.0.0.1 port={} user=postgres dbname={name}",
            self.port
        ))
    }

    /// Runs SQL.
    pub(crate) fn psql(&self, sql: &str) -> Result<Command> {
        let mut command = Command::new(binaries()?.join("psql"));
        command.args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &self.address(),
            "-c",
            sql,
        ]);
        Ok(command)
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(120);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = self.directory.path().join("log");
            if let Some(status) = self.server.try_wait()? {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                bail!("postgres ended with {status}:\n{log}");
            }
            if Instant::now() > deadline {
                bail!("postgres did not listen within two minutes");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: it ends its sessions and goes.
        let _ = Command::new("kill")
            .args(["-INT", &self.server.id().to_string()])
            .status();
        let _ = self.server.wait();
    }
}

/// A folder in memory with room for the tests' schemas. They are some 100,000 files in the end, and a disk that is told of
/// every block that becomes free takes minutes to delete them.
fn memory() -> Option<PathBuf> {
    const ROOM: u64 = 4 << 30;
    let folder = PathBuf::from("/dev/shm");
    let output = Command::new("df")
        .args(["--output=avail", "--block-size=1"])
        .arg(&folder)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let free: u64 = text.lines().nth(1)?.trim().parse().ok()?;
    (free >= ROOM).then_some(folder)
}

/// The folder with `initdb` and `postgres`. Debian keeps one for each version, and none on the PATH.
fn binaries() -> Result<PathBuf> {
    debian::ensure(&[Need::path("/usr/lib/postgresql", "postgresql")])?;
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .context("PostgreSQL is not installed (Debian: postgresql)")?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions
        .pop()
        .context("no version of PostgreSQL is installed (Debian: postgresql)")
}

fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    // `setpriv` becomes the program, so that a signal to the child reaches it.
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", USER, "--regid", "nogroup", "--clear-groups"])
        .arg(program);
    command
}
