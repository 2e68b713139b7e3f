//! A Headwater to test and to measure, in a folder of its own.

use crate::paths;
use crate::run::{one_at_a_time, quiet};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process of ours, ended by its own pid when dropped.
struct Server(Child);

impl Server {
    /// Asks it to stop and waits.
    fn stop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Copies a folder's files, and those of folders in it; hidden ones are somebody's at work.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => copy_files(&path, &to.join(name))?,
            false => drop(std::fs::copy(&path, to.join(name))?),
        }
    }
    Ok(())
}

/// A Headwater of its own in a fresh folder: ports free, ready when `connection.json` is there.
pub(crate) struct Installation {
    server: Server,
    pub(crate) directory: PathBuf,
    pub(crate) connection: PathBuf,
}

impl Installation {
    /// With the compiled code of the one that was started before it, which is half a minute's work on two cores.
    pub(crate) fn start(binary: &Path, name: &str, args: &[&str]) -> Result<Self> {
        let directory = Self::folder(name)?;
        let own = directory.join("cache/compiled");
        let kept = paths::target()?.join("compiled");
        {
            let _turn = one_at_a_time();
            if kept.exists() {
                copy_files(&kept, &own)?;
            }
        }
        let started = Self::start_in(&mut Command::new(binary), directory, args)?;
        let _turn = one_at_a_time();
        if kept.exists() {
            std::fs::remove_dir_all(&kept)?;
        }
        copy_files(&own, &kept)?;
        Ok(started)
    }

    /// Starts `command`, which is the binary or something that becomes it, with nothing compiled.
    pub(crate) fn start_with(command: &mut Command, name: &str, args: &[&str]) -> Result<Self> {
        Self::start_in(command, Self::folder(name)?, args)
    }

    /// A new folder.
    fn folder(name: &str) -> Result<PathBuf> {
        let directory = paths::target()?
            .join("installations")
            .join(format!("{name}-{}", std::process::id()));
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        std::fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    fn start_in(command: &mut Command, directory: PathBuf, args: &[&str]) -> Result<Self> {
        let (server, connection) = Self::run(command, &directory, args)?;
        Ok(Self {
            server,
            directory,
            connection,
        })
    }

    /// Stops it and starts it on the same folder; how long until it was ready.
    pub(crate) fn restart(&mut self, binary: &Path, args: &[&str]) -> Result<Duration> {
        self.server.stop();
        let started = Instant::now();
        let (server, _) = Self::run(&mut Command::new(binary), &self.directory, args)?;
        self.server = server;
        Ok(started.elapsed())
    }

    /// Starts `command` on `directory` and waits until it is ready.
    fn run(command: &mut Command, directory: &Path, args: &[&str]) -> Result<(Server, PathBuf)> {
        let log = std::fs::File::create(directory.with_extension("log"))?;
        command
            .args([
                "up",
                "--listen",
                "127.0.0.1:0",
                "--blob-listen",
                "127.0.0.1:0",
                "--metrics-listen",
                "127.0.0.1:0",
                "--rtmp-listen",
                "127.0.0.1:0",
                "--rtmps-listen",
                "127.0.0.1:0",
                "--srt-listen",
                "127.0.0.1:0",
            ])
            .arg("--data")
            .arg(directory)
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut server = Server(command.spawn().context("starting headwater")?);
        let connection = directory.join("connection.json");
        // Where nothing is compiled yet, several do it at once.
        let deadline = Instant::now() + Duration::from_secs(600);
        while !connection.exists() {
            if let Some(status) = server.0.try_wait()? {
                let log =
                    std::fs::read_to_string(directory.with_extension("log")).unwrap_or_default();
                bail!("headwater ended with {status} before it was ready:\n{log}");
            }
            if Instant::now() > deadline {
                bail!("headwater was not ready within ten minutes");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok((server, connection))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.0.id()
    }

    /// Where its `connection.json` is.
    pub(crate) fn connection(&self) -> &Path {
        &self.connection
    }

    fn contract(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&std::fs::read(&self.connection)?)?)
    }

    /// Scheme, host and port.
    pub(crate) fn base(&self) -> Result<String> {
        let contract = self.contract()?;
        Ok(contract["apiUrl"]
            .as_str()
            .context("connection.json has no apiUrl")?
            .to_owned())
    }

    /// An owner's.
    pub(crate) fn token(&self) -> Result<String> {
        let contract = self.contract()?;
        let token = contract["token"].as_str();
        Ok(token.context("connection.json has no token")?.to_owned())
    }

    /// The body of a GET.
    pub(crate) fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let url = format!("{}{path}", self.base()?);
        let output = Command::new("curl")
            .args(["-sS", "--fail", "--globoff", &url])
            .output()
            .context("running curl")?;
        if !output.status.success() {
            bail!("GET {path}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output.stdout)
    }

    pub(crate) fn get(&self, path: &str) -> Result<String> {
        Ok(String::from_utf8(self.get_bytes(path)?)?)
    }

    /// Calls the API.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value> {
        let token = self.token()?;
        let output = quiet(
            Command::new("curl")
                .args([
                    "-sS",
                    "--fail-with-body",
                    "-X",
                    method,
                    "-H",
                    "Content-Type: application/json",
                ])
                .args([
                    "-H",
                    &format!("Authorization: Bearer {token}"),
                    "-d",
                    &body.to_string(),
                ])
                .arg(format!("{}{path}", self.base()?)),
        )?;
        serde_json::from_str(&output)
            .with_context(|| format!("{method} {path} answered {output:?}"))
    }

    /// Puts a file into a new asset and publishes that, without encoding; returns the path of its HLS manifest.
    pub(crate) fn publish_as_is(&self, file: &Path) -> Result<String> {
        let account = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/headwater/providers/Microsoft.Media/mediaServices/default";
        let version = "?api-version=2022-08-01";
        let name = file
            .file_stem()
            .and_then(|s| s.to_str())
            .context("a file name")?;
        self.call(
            "PUT",
            &format!("{account}/assets/{name}{version}"),
            &serde_json::json!({"properties": {}}),
        )?;
        let sas = self.call(
            "POST",
            &format!("{account}/assets/{name}/listContainerSas{version}"),
            &serde_json::json!({"permissions": "ReadWrite"}),
        )?;
        let url = sas["assetContainerSasUrls"][0]
            .as_str()
            .context("no upload URL")?;
        let (container, query) = url.split_once('?').context("no signature")?;
        quiet(
            Command::new("curl")
                .args([
                    "-sS",
                    "--fail",
                    "-X",
                    "PUT",
                    "-H",
                    "x-ms-blob-type: BlockBlob",
                    "-H",
                    "x-ms-version: 2021-12-02",
                    "-T",
                ])
                .arg(file)
                .arg(format!("{container}/{name}.mp4?{query}")),
        )?;
        self.call(
            "PUT",
            &format!("{account}/streamingLocators/{name}{version}"),
            &serde_json::json!({"properties": {"assetName": name, "streamingPolicyName": "Predefined_ClearStreamingOnly"}}),
        )?;
        let paths = self.call(
            "POST",
            &format!("{account}/streamingLocators/{name}/listPaths{version}"),
            &serde_json::json!({}),
        )?;
        paths["streamingPaths"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|p| p["streamingProtocol"] == "Hls")
            .and_then(|p| p["paths"][0].as_str())
            .map(str::to_owned)
            .context("the locator has no HLS path")
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.server.stop();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
