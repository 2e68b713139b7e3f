//! The master key: where it comes from, and how it is replaced.
//!
//! Without any of the options an installation makes one and keeps it in `DIR/secrets.json`. Wherever it comes from, it may
//! be several keys separated by white space: the first seals, all of them open.

use crate::catalog::CatalogArgs;
use crate::fault::{self, Blame, Fault, Kind};
use crate::secrets::{self, Secrets};
use crate::up;
use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use headwater_seal::Seal;
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[derive(Args)]
pub(crate) struct MasterKeyArgs {
    /// The master key (base64 of 32 bytes), in place of the one in the data folder. Further keys after white space open
    /// what they sealed.
    #[arg(
        long = "master-key",
        env = "HEADWATER_MASTER_KEY",
        hide_env_values = true,
        hide = true
    )]
    value: Option<String>,
    /// A file that holds the master key, e.g. one that a secret store mounts.
    #[arg(
        long = "master-key-file",
        env = "HEADWATER_MASTER_KEY_FILE",
        conflicts_with = "value"
    )]
    file: Option<PathBuf>,
    /// A command that prints the master key, run by the shell at every start: a client of a key vault.
    #[arg(
        long = "master-key-command",
        env = "HEADWATER_MASTER_KEY_COMMAND",
        conflicts_with_all = ["value", "file"]
    )]
    command: Option<String>,
}

impl MasterKeyArgs {
    /// Whether it comes from outside of the data folder.
    pub(crate) fn is_given(&self) -> bool {
        self.value.is_some() || self.file.is_some() || self.command.is_some()
    }

    /// Where it comes from, for whoever has to mend it.
    pub(crate) fn setting(&self) -> String {
        if self.file.is_some() {
            fault::MASTER_KEY_FILE.to_string()
        } else if self.command.is_some() {
            fault::MASTER_KEY_COMMAND.to_string()
        } else if self.value.is_some() {
            fault::MASTER_KEY.to_string()
        } else {
            "the master key of this data folder (secrets.json)".to_owned()
        }
    }

    /// The keys, checked.
    pub(crate) fn keys(&self, secrets: &Secrets) -> Result<String> {
        let (text, source) = if let Some(value) = &self.value {
            (value.clone(), fault::MASTER_KEY.to_string())
        } else if let Some(file) = &self.file {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("reading the master key from {}", file.display()))
                .blame(Kind::Configuration, fault::MASTER_KEY_FILE)?;
            (
                text,
                format!("{}: {}", fault::MASTER_KEY_FILE, file.display()),
            )
        } else if let Some(command) = &self.command {
            let printed = printed_by(command);
            let printed = printed.blame(Kind::Unavailable, fault::MASTER_KEY_COMMAND)?;
            (printed, fault::MASTER_KEY_COMMAND.to_string())
        } else {
            (
                secrets.master_key.clone(),
                "secrets.json: masterKey".to_owned(),
            )
        };
        let text = text.trim();
        if text.is_empty() {
            let what = format!("{source} holds no master key");
            return Err(Fault::new(Kind::Configuration, what).into());
        }
        Seal::with_keys(text).blame(Kind::Configuration, source)?;
        Ok(text.to_owned())
    }

    pub(crate) fn seal(&self, secrets: &Secrets) -> Result<Seal> {
        Ok(Seal::with_keys(&self.keys(secrets)?)?)
    }
}

/// Its errors go to our own standard error; what it prints goes nowhere else.
fn printed_by(command: &str) -> Result<String> {
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("starting --master-key-command")?;
    if !output.status.success() {
        bail!("--master-key-command ended with {}", output.status);
    }
    String::from_utf8(output.stdout).context("--master-key-command printed no text")
}

/// `headwater master-key`: replaces the master key.
#[derive(Parser)]
pub(crate) struct Commands {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Makes a new master key for a stopped installation that keeps its key in the data folder.
    Rotate(Place),
    /// Seals everything under the first of the given keys, beside running processes that have the same keys. When it is
    /// done, the others can be taken away.
    Reseal(Place),
}

#[derive(Args)]
struct Place {
    /// Folder of the installation.
    #[arg(long, env = "HEADWATER_DATA", default_value = ".headwater")]
    data: PathBuf,
    #[command(flatten)]
    catalog: CatalogArgs,
    #[command(flatten)]
    master_key: MasterKeyArgs,
}

pub(crate) async fn run(commands: Commands) -> Result<()> {
    match commands.command {
        Action::Rotate(place) => place.rotate().await,
        Action::Reseal(place) => {
            let secrets = Secrets::load(&place.data, place.master_key.is_given())?;
            place.reseal(&place.master_key.seal(&secrets)?).await
        }
    }
}

impl Place {
    async fn rotate(&self) -> Result<()> {
        if self.master_key.is_given() {
            bail!(
                "the master key comes from outside: put the new key in front of the old one there, restart every \
                 process, run `headwater master-key reseal`, then take the old one away"
            );
        }
        if !self.data.join("secrets.json").exists() {
            bail!("{} holds no installation", self.data.display());
        }
        let _lock = up::lock(&self.data, fault::DATA)?;
        let mut secrets = Secrets::load(&self.data, false)?;
        // It came from outside so far: a key made here would open nothing.
        self.master_key.keys(&secrets)?;
        // Both keys are kept until everything is under the new one, so that this may be broken off anywhere.
        secrets.master_key = format!("{} {}", secrets::random(32)?, secrets.master_key);
        secrets.save(&self.data)?;
        self.reseal(&self.master_key.seal(&secrets)?).await?;
        let newest = secrets.master_key.split(' ').next().unwrap_or_default();
        secrets.master_key = newest.to_owned();
        secrets.save(&self.data)
    }

    async fn reseal(&self, seal: &Seal) -> Result<()> {
        let catalog = self.catalog.open(&self.data)?;
        let count = headwater_catalog::reseal::reseal(&catalog, seal).await?;
        println!("{count} secrets are under the new master key.");
        Ok(())
    }
}
