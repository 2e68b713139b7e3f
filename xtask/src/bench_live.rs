//! `cargo xtask bench live`: how far behind players are, what viewers who wait cost, and what a publisher costs beside nginx-rtmp.
//!
//! The measuring is done by `tests/players/bench/live.mjs`; here are the servers. Nothing is pinned to a core: encoder, server
//! and browser share the machine as they do on an operator's.

use crate::installation::Installation;
use crate::{node, paths, run};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Debian's module.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

pub(crate) fn live(binary: &Path, args: &[String]) -> Result<()> {
    let seconds = match args {
        [] => "60",
        [option, seconds] if option == "--seconds" => seconds,
        _ => bail!("this benchmark has one option: --seconds N"),
    };
    let folder = paths::root().join("tests/players");
    node::install(&folder)?;
    let headwater = Installation::start(binary, "bench-live", &["--no-demo", "--no-access-log"])?;
    let nginx = Nginx::start(&headwater.directory.join("nginx-rtmp"))?;
    run::run(
        Command::new("node")
            .arg("bench/live.mjs")
            .env("HEADWATER_CONNECTION", headwater.connection())
            .env("HEADWATER_PID", headwater.pid().to_string())
            .env(
                "NGINX_RTMP",
                format!("rtmp://127.0.0.1:{}/live", nginx.port),
            )
            .env("NGINX_PID", nginx.child.id().to_string())
            .env("LIVE_SECONDS", seconds)
            .current_dir(folder),
    )
}

/// An nginx that takes RTMP and writes HLS, in one process; ended when dropped.
struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let configuration: PathBuf = folder.join("nginx.conf");
        std::fs::write(
            &configuration,
            format!(
                "load_module {MODULE};\ndaemon off; master_process off; pid {dir}/pid; error_log {dir}/log;\n\
                 events {{ worker_connections 1024; }}\n\
                 rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; hls on; hls_path {dir}/hls; \
                 hls_fragment 2s; }} }} }}\n",
                dir = folder.display()
            ),
        )?;
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting nginx")?;
        let nginx = Self { child, port };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
                bail!("nginx did not listen within ten seconds:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
