//! `cargo xtask bench origin`: what a request costs, as a multiple of Debian's nginx serving the same bytes as static
//! files in the same run. What is made of text has a second multiple, of a static file of 2 KB: the aims are in those.
//!
//! Server on core 0, load generator on core 1 (both cores for the server in the two-core rows), CPU seconds from the
//! kernel's own account of the server's processes. Rounds alternate between the two servers, so that a noisy
//! neighbour meets both; the median of the rounds is printed.

use crate::bench_protected;
use crate::installation::Installation;
use crate::run::{quiet, step};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 3;
const SECONDS: u64 = 4;
pub(crate) const CONNECTIONS: u32 = 16;

/// One thing to ask for.
struct Case {
    name: &'static str,
    path: String,
    /// Compare CPU per byte rather than per request.
    per_byte: bool,
}

/// What one round of load showed.
#[derive(Clone, Copy)]
pub(crate) struct Round {
    pub(crate) requests: f64,
    pub(crate) bytes: f64,
    pub(crate) seconds: f64,
    pub(crate) cpu: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

pub(crate) fn origin(binary: &Path, args: &[String]) -> Result<()> {
    let mut cores: &[u32] = &[1, 2];
    let mut only = "";
    let mut args = args.iter();
    while let Some(argument) = args.next() {
        match argument.as_str() {
            "--one-core" => cores = &[1],
            "--only" => only = args.next().context("--only takes a part of a row's name")?,
            unknown => {
                bail!("{unknown:?} is not an option of this benchmark: --one-core, --only WORD")
            }
        }
    }
    let media = step("Preparing a source with 2.6 MB segments", source)?;
    println!(
        "| what | cache | bytes | cores | req/s | MB/s | p50 ms | p99 ms | CPU | nginx CPU | multiple | of 2 KB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for &cores in cores {
        for cache in ["0", "64"] {
            rows(binary, &media, cores, cache, only)?;
        }
    }
    Ok(())
}

/// Measures every case with `only` in its name on so many cores. `cache`: MiB for answers that are kept.
fn rows(binary: &Path, media: &Path, cores: u32, cache: &str, only: &str) -> Result<()> {
    // It starts as many threads as it has cores, so each number of cores is a start of its own.
    let list = if cores == 1 { "0" } else { "0,1" };
    let headwater = Installation::start_with(
        Command::new("taskset").args(["-c", list]).arg(binary),
        "bench",
        &["--no-demo", "--no-access-log", "--cache-mib", cache],
    )?;
    let cases = publish(&headwater, media)?;
    let folder = headwater.directory.join("static");
    let nginx = Nginx::start(&headwater, &folder, &cases, cores)?;
    for (index, case) in cases.iter().enumerate() {
        // Segments are not kept: once is enough.
        if (case.per_byte && cache != "0") || !case.name.contains(only) {
            continue;
        }
        let ours = format!("{}{}", headwater.base()?, case.path);
        let theirs = format!("http://127.0.0.1:{}/{index}", nginx.port);
        let small = format!("http://127.0.0.1:{}/{SMALL}", nginx.port);
        let mut rounds = Rounds::default();
        for _ in 0..ROUNDS {
            rounds.ours.push(load(&ours, headwater.pid())?);
            rounds.theirs.push(load(&theirs, nginx.pid())?);
            if !case.per_byte {
                rounds.small.push(load(&small, nginx.pid())?);
            }
        }
        print(case, cache, cores, &rounds);
    }
    Ok(())
}

/// A static file of [`SMALL_BYTES`], by its name.
const SMALL: &str = "small";
const SMALL_BYTES: usize = 2048;

/// What was measured of a case.
#[derive(Default)]
struct Rounds {
    ours: Vec<Round>,
    /// The very bytes as a static file.
    theirs: Vec<Round>,
    /// The static file that every request is held against, where requests count and not bytes.
    small: Vec<Round>,
}

fn print(case: &Case, cache: &str, cores: u32, rounds: &Rounds) {
    let Rounds {
        ours,
        theirs,
        small,
    } = rounds;
    let median = |rounds: &[Round], value: fn(&Round) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (cost, unit): (fn(&Round) -> f64, _) = if case.per_byte {
        (|r| r.cpu / (r.bytes / 1e9), "s/GB")
    } else {
        (|r| r.cpu / r.requests * 1e6, "µs")
    };
    let (a, b) = (median(ours, cost), median(theirs, cost));
    let of_small = match small.is_empty() {
        true => "-".to_owned(),
        false => format!("{:.2}", a / median(small, cost)),
    };
    println!(
        "| {} | {} | {:.0} | {cores} | {:.0} | {:.0} | {:.2} | {:.2} | {a:.2} {unit} | {b:.2} {unit} | {:.2} | {of_small} |",
        case.name,
        if cache == "0" { "off" } else { "on" },
        ours[0].bytes / ours[0].requests,
        median(ours, |r| r.requests / r.seconds),
        median(ours, |r| r.bytes / r.seconds / 1e6),
        median(ours, |r| r.p50_ms),
        median(ours, |r| r.p99_ms),
        a / b,
    );
}

/// CPU seconds of a process and of its children, so far.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let mut total = 0.0;
    let ticks: f64 = quiet(Command::new("getconf").arg("CLK_TCK"))?
        .trim()
        .parse()?;
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(id) = path
            .file_name()
            .and_then(|n| n.to_str())
            .and_then(|n| n.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(path.join("stat")) else {
            continue;
        };
        // Fields after the command, which may hold anything: state, parent, …
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        let fields: Vec<&str> = rest.split(' ').collect();
        let parent: u32 = fields.get(1).and_then(|f| f.parse().ok()).unwrap_or(0);
        if id == pid || parent == pid {
            let field = |n: usize| {
                fields
                    .get(n)
                    .and_then(|f| f.parse::<f64>().ok())
                    .unwrap_or(0.0)
            };
            total += (field(11) + field(12)) / ticks;
        }
    }
    Ok(total)
}

fn load(url: &str, pid: u32) -> Result<Round> {
    load_with(url, pid, CONNECTIONS, None)
}

/// Loads the server `pid` and measures. `script`: for wrk.
pub(crate) fn load_with(
    url: &str,
    pid: u32,
    connections: u32,
    script: Option<&Path>,
) -> Result<Round> {
    let wrk = |seconds: u64| {
        let mut command = Command::new("taskset");
        command
            .args(["-c", "1", "wrk", "-t1", "--latency"])
            .args([&format!("-c{connections}"), &format!("-d{seconds}s")]);
        if let Some(script) = script {
            command.arg("-s").arg(script);
        }
        quiet(command.arg(url))
    };
    wrk(1)?;
    let before = cpu_seconds(pid)?;
    let output = wrk(SECONDS)?;
    let cpu = cpu_seconds(pid)? - before;
    if output.contains("Non-2xx") {
        bail!("{url} did not always answer 2xx:\n{output}");
    }
    let summary = output
        .lines()
        .find(|l| l.contains(" requests in "))
        .context("wrk gave no summary")?;
    let words: Vec<&str> = summary.split_whitespace().collect();
    let latency = |name: &str| {
        let line = output
            .lines()
            .find(|l| l.trim().starts_with(name))
            .unwrap_or_default();
        duration_ms(line.split_whitespace().nth(1).unwrap_or_default())
    };
    Ok(Round {
        requests: words
            .first()
            .and_then(|w| w.parse().ok())
            .context("wrk's count of requests")?,
        seconds: duration_ms(
            words
                .get(3)
                .copied()
                .unwrap_or_default()
                .trim_end_matches(','),
        ) / 1000.0,
        bytes: size(words.get(4).copied().unwrap_or_default()),
        cpu,
        p50_ms: latency("50%"),
        p99_ms: latency("99%"),
    })
}

fn duration_ms(text: &str) -> f64 {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("m", 60_000.0), ("s", 1000.0)] {
        if let Some(number) = text.strip_suffix(unit).and_then(|n| n.parse::<f64>().ok()) {
            return number * factor;
        }
    }
    0.0
}

fn size(text: &str) -> f64 {
    for (unit, factor) in [
        ("KB", 1024.0),
        ("MB", 1_048_576.0),
        ("GB", 1_073_741_824.0),
        ("B", 1.0),
    ] {
        if let Some(number) = text.strip_suffix(unit).and_then(|n| n.parse::<f64>().ok()) {
            return number * factor;
        }
    }
    0.0
}

/// Ten minutes of noise-like 720p, 2 s GOPs, constant 10.4 Mbit/s: 2.6 MB a segment, 300 of them. Served as it is,
/// through the packaging index of a progressive file.
fn source() -> Result<PathBuf> {
    let file = crate::paths::cache()?.join("bench-origin.mp4");
    if !file.exists() {
        let temporary = file.with_extension("tmp.mp4");
        quiet(
            Command::new("ffmpeg")
                .args([
                    "-v",
                    "error",
                    "-y",
                    "-f",
                    "lavfi",
                    "-i",
                    "testsrc2=s=1280x720:r=25:d=60,noise=alls=60:allf=t",
                ])
                .args([
                    "-f",
                    "lavfi",
                    "-i",
                    "sine=440:r=48000:d=60",
                    "-c:v",
                    "libx264",
                    "-preset",
                    "ultrafast",
                ])
                .args([
                    "-x264-params",
                    "keyint=50:min-keyint=50:scenecut=0:nal-hrd=cbr",
                    "-b:v",
                    "10400k",
                ])
                .args([
                    "-minrate", "10400k", "-maxrate", "10400k", "-bufsize", "5200k", "-pix_fmt",
                    "yuv420p",
                ])
                .args(["-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart"])
                .arg(&temporary),
        )?;
        repeat(&temporary, 10, &file)?;
    }
    Ok(file)
}

/// Makes `file` of `part`, so many times over, and takes `part` away.
pub(crate) fn repeat(part: &Path, times: usize, file: &Path) -> Result<()> {
    let list = file.with_extension("txt");
    std::fs::write(&list, format!("file '{}'\n", part.display()).repeat(times))?;
    let joined = file.with_extension("joined.mp4");
    quiet(
        Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "concat", "-safe", "0", "-i"])
            .arg(&list)
            .args(["-c", "copy", "-movflags", "+faststart"])
            .arg(&joined),
    )?;
    std::fs::remove_file(part)?;
    std::fs::remove_file(&list)?;
    Ok(std::fs::rename(&joined, file)?)
}

/// Paths of the first media playlist, of its first segment and of its init segment.
pub(crate) fn first_segment(
    headwater: &Installation,
    master: &str,
) -> Result<(String, String, String)> {
    let text = headwater.get(master)?;
    let base = master.rsplit_once('/').map_or("", |(base, _)| base);
    let playlist = text
        .lines()
        .find(|l| l.starts_with("QualityLevels"))
        .context("the multivariant playlist lists no variant")?;
    let playlist = format!("{base}/{playlist}");
    let media = headwater.get(&playlist)?;
    let level = playlist.rsplit_once('/').map_or("", |(base, _)| base);
    let segment = media
        .lines()
        .find(|l| l.starts_with("Fragments"))
        .context("no segment")?;
    let init = media
        .split("URI=\"")
        .nth(1)
        .and_then(|r| r.split('"').next())
        .context("no EXT-X-MAP")?;
    let (segment, init) = (format!("{level}/{segment}"), format!("{level}/{init}"));
    Ok((playlist, segment, init))
}

/// Publishes the source without encoding it, and finds what to ask for.
fn publish(headwater: &Installation, media: &Path) -> Result<Vec<Case>> {
    let master = headwater.publish_as_is(media)?;
    let (playlist, segment, init) = first_segment(headwater, &master)?;
    let case = |name, path, per_byte| Case {
        name,
        path,
        per_byte,
    };
    let mut cases = vec![
        case("multivariant playlist", master.clone(), false),
        case("media playlist (300 segments)", playlist, false),
        case(
            "MPD (300 segments)",
            master.replace("m3u8-cmaf", "mpd-time-cmaf"),
            false,
        ),
        case("init segment", init, false),
        case("video segment 2.6 MB", segment, true),
    ];
    let others = crate::bench_formats::paths(headwater, &master)?;
    cases.extend(
        others
            .into_iter()
            .map(|(name, path, per_byte)| case(name, path, per_byte)),
    );
    let asset = media
        .file_stem()
        .and_then(|name| name.to_str())
        .context("a file name")?;
    for (name, master) in bench_protected::publish(headwater, asset)? {
        cases.push(case(name, first_media_segment(headwater, &master)?, true));
    }
    Ok(cases)
}

/// Path of the first segment of a presentation, which in transport streams has no init segment.
fn first_media_segment(headwater: &Installation, master: &str) -> Result<String> {
    let line = |text: &str, prefix: &str| {
        text.lines()
            .find(|line| line.starts_with(prefix))
            .map(str::to_owned)
            .with_context(|| format!("no line with {prefix}"))
    };
    let beside = |path: &str, child: String| {
        let base = path.rsplit_once('/').map_or("", |(base, _)| base);
        format!("{base}/{child}")
    };
    let playlist = beside(master, line(&headwater.get(master)?, "QualityLevels")?);
    let segment = line(&headwater.get(&playlist)?, "Fragments")?;
    Ok(beside(&playlist, segment))
}

/// Debian's nginx with the very bytes of each case as static files.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(headwater: &Installation, folder: &Path, cases: &[Case], cores: u32) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        for (index, case) in cases.iter().enumerate() {
            std::fs::write(
                folder.join(index.to_string()),
                headwater.get_bytes(&case.path)?,
            )?;
        }
        std::fs::write(folder.join(SMALL), vec![b'x'; SMALL_BYTES])?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let configuration = folder.with_extension("conf");
        std::fs::write(
            &configuration,
            format!(
                "daemon off; master_process off; pid {dir}.pid; error_log {dir}.log;\nevents {{ worker_connections 1024; }}\nhttp {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; client_body_temp_path {dir}.tmp; server {{ listen 127.0.0.1:{port}; root {dir}; }} }}\n",
                dir = folder.display()
            ),
        )?;
        let child = Command::new("taskset")
            .args(["-c", if cores == 1 { "0" } else { "0,1" }, "nginx", "-c"])
            .arg(&configuration)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting nginx")?;
        let nginx = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                bail!("nginx did not listen within ten seconds");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(nginx)
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
