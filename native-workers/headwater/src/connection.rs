//! `DIR/connection.json`: how scripts reach a running installation. There from readiness to exit.

use crate::files;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The contract of the design, section 3, and what the Azure SDKs ask for: `tenantId`, `clientId` and `clientSecret` for
/// `ClientSecretCredential`, `blobConnectionString` for storage clients. `rtmpUrl` and `srtUrl` are null where no live
/// events are taken in; where each is taken in, its resource says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConnectionFile {
    pub(crate) api_url: String,
    pub(crate) arm_url: String,
    pub(crate) streaming_url: String,
    pub(crate) keys_url: String,
    pub(crate) portal_url: String,
    pub(crate) blob_url: String,
    pub(crate) blob_connection_string: String,
    pub(crate) rtmp_url: Option<String>,
    pub(crate) srt_url: Option<String>,
    pub(crate) metrics_url: String,
    pub(crate) subscription_id: String,
    pub(crate) resource_group: String,
    pub(crate) account_name: String,
    pub(crate) project: String,
    pub(crate) token: String,
    pub(crate) tenant_id: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) pid: u32,
}

pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("connection.json")
}

impl ConnectionFile {
    pub(crate) fn write(&self, data: &Path) -> Result<()> {
        files::write_private(&path(data), &serde_json::to_vec_pretty(self)?)
    }

    pub(crate) fn read(data: &Path) -> Result<Self> {
        let path = path(data);
        let text = std::fs::read(&path).with_context(|| {
            format!(
                "no installation runs on {} (no {}); start one with `headwater up`",
                data.display(),
                path.display()
            )
        })?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
    }
}
