//! Keys that an installation makes once and keeps: `DIR/secrets.json`, readable by its owner only.

use crate::files;
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// base64 texts. No `Debug`: they must not reach a log.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Secrets {
    /// 32 bytes; seals every secret in the catalog. Without it they are lost. Empty where it comes from outside; while it
    /// is being replaced, the new one and the old.
    #[serde(default)]
    pub(crate) master_key: String,
    /// 64 bytes; the embedded store's account key.
    pub(crate) account_key: String,
    /// What the embedded store presents to `/events`.
    pub(crate) event_secret: String,
    /// What scripts sign in with, as the client of `connection.json`. Folders of before it was kept have none.
    #[serde(default)]
    pub(crate) client_secret: String,
}

impl Secrets {
    /// Reads them, or makes them in a new installation. `keyless`: without a master key, which comes from outside.
    pub(crate) fn load(data: &Path, keyless: bool) -> Result<Self> {
        let path = data.join("secrets.json");
        match std::fs::read(&path) {
            Ok(text) => {
                let mut secrets: Self = serde_json::from_slice(&text)
                    .with_context(|| format!("reading {}", path.display()))?;
                if secrets.client_secret.is_empty() {
                    secrets.client_secret = random(32)?;
                    secrets.write(&path)?;
                }
                Ok(secrets)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let secrets = Self {
                    master_key: if keyless { String::new() } else { random(32)? },
                    account_key: random(64)?,
                    event_secret: random(32)?,
                    client_secret: random(32)?,
                };
                secrets.write(&path)?;
                Ok(secrets)
            }
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    pub(crate) fn save(&self, data: &Path) -> Result<()> {
        self.write(&data.join("secrets.json"))
    }

    fn write(&self, path: &Path) -> Result<()> {
        files::write_private(path, &serde_json::to_vec_pretty(self)?)
    }
}

pub(crate) fn random(len: usize) -> Result<String> {
    let mut bytes = vec![0; len];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(STANDARD.encode(bytes))
}
