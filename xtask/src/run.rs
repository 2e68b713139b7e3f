//! Running other programs: what is being done is shown, and a failure carries the program's own words.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    calling_cargo(env!("CARGO"))
}

/// `program`, which calls cargo, without what that told us about our own package: build scripts of dependencies watch some of
/// these variables, and would run again after every call of cargo that does not come from here.
pub(crate) fn calling_cargo(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let ours = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
        ];
        if ours.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name.as_ref());
        }
    }
    if let Some(path) = crate::debian::search_path() {
        command.env("PATH", path);
    }
    command
}

/// A step that says what it does, and how long it took if that was more than two seconds.
pub(crate) fn step<T>(what: &str, action: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {what}");
    let started = Instant::now();
    let result = action().with_context(|| what.to_owned())?;
    if started.elapsed() > Duration::from_secs(2) {
        eprintln!("    {what}: {:.0} s", started.elapsed().as_secs_f64());
    }
    Ok(result)
}

/// For what several suites need: one at a time installs it, and the second of two that start together finds it there.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    static INSTALLING: Mutex<()> = Mutex::new(());
    INSTALLING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, what this thread starts has a lower priority. Where that cannot be had, nothing is lost but time.
pub(crate) fn give_way() {
    of_this_thread(Command::new("renice").args(["-n", "5", "-p"]));
}

/// From now on, what this thread starts has what nobody else wants of the processors, or next to nothing where there is no such class.
pub(crate) fn only_when_idle() {
    of_this_thread(Command::new("renice").args(["-n", "19", "-p"]));
    of_this_thread(Command::new("chrt").args(["--idle", "--pid", "0"]));
}

/// Linux has a priority for each thread, and it is handed down.
fn of_this_thread(command: &mut Command) {
    let Ok(thread) = std::fs::read_link("/proc/thread-self") else {
        return;
    };
    let _ = quiet(command.arg(thread.file_name().unwrap_or_default()));
}

/// Runs with our own outputs; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("starting {name}"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

/// Runs quietly; on failure the last lines of its output become the error. A dot a second shows it lives.
pub(crate) fn quiet(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    let collect = |stream: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut stream) = stream {
                let _ = std::io::Read::read_to_string(&mut stream, &mut text);
            }
            text
        })
    };
    let out = collect(child.stdout.take().map(|s| Box::new(s) as _));
    let err = collect(child.stderr.take().map(|s| Box::new(s) as _));
    let started = Instant::now();
    let mut shown = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let seconds = started.elapsed().as_secs();
        if seconds > shown + 1 && std::io::stderr().is_terminal() {
            shown = seconds;
            eprint!(".");
            let _ = std::io::stderr().flush();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if shown > 0 {
        eprintln!();
    }
    let (out, err) = (
        out.join().unwrap_or_default(),
        err.join().unwrap_or_default(),
    );
    if !status.success() {
        let all = format!("{out}{err}");
        let lines: Vec<_> = all.lines().collect();
        let tail = lines[lines.len().saturating_sub(30)..].join("\n");
        bail!("{name} ended with {status}:\n{tail}");
    }
    Ok(out)
}

/// Runs with its output passed on line by line and returned as text, whatever the exit code.
pub(crate) fn tee(command: &mut Command) -> Result<(bool, String)> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    let forward = |stream: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(stream) = stream {
                for line in BufReader::new(stream)
                    .split(b'\n')
                    .map_while(std::io::Result::ok)
                {
                    let line = String::from_utf8_lossy(&line).into_owned();
                    println!("{line}");
                    text.push_str(&line);
                    text.push('\n');
                }
            }
            text
        })
    };
    let out = forward(child.stdout.take().map(|s| Box::new(s) as _));
    let err = forward(child.stderr.take().map(|s| Box::new(s) as _));
    let status = child.wait()?;
    Ok((
        status.success(),
        out.join().unwrap_or_default() + &err.join().unwrap_or_default(),
    ))
}

/// Whether a program is on PATH.
pub(crate) fn has(program: &str) -> bool {
    find(program).is_some()
}

/// Where a program is on PATH.
pub(crate) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| Path::is_file(file))
}
