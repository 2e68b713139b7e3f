//! Leases outlive the process: a worker that was killed goes on with its events at once, rather than when they run out.
//!
//! `{data}/{event id}.lease` is what was last said about an event, as it was said. It holds the event's URLs, so only its
//! owner may read it.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater_work::live::{Claim, RenewRequest};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::api::ApiError;
use crate::holder::Around;

/// An API that does not answer is asked for so long; by then the leases are over.
const PATIENCE: Duration = Duration::from_secs(20);

fn path(data: &Path, event: Uuid) -> PathBuf {
    data.join(format!("{event}.lease"))
}

/// Keeps what was said.
pub(crate) fn keep(data: &Path, event: Uuid, report: &RenewRequest) -> io::Result<()> {
    let path = path(data, event);
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(&serde_json::to_vec(report)?)?;
    std::fs::rename(&new, &path)
}

/// The event has been let go.
pub(crate) fn forget(data: &Path, event: Uuid) {
    let _ = std::fs::remove_file(path(data, event));
}

fn found(data: &Path) -> io::Result<Vec<(Uuid, RenewRequest)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(data)? {
        let path = entry?.path();
        if path
            .extension()
            .is_none_or(|extension| extension != "lease")
        {
            continue;
        }
        let event = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        let report = std::fs::read(&path).map(|text| serde_json::from_slice(&text).ok());
        match (event, report?) {
            (Some(event), Some(report)) => found.push((event, report)),
            _ => std::fs::remove_file(&path)?,
        }
    }
    Ok(found)
}

/// The events of the worker's last life that are still its own.
pub(crate) async fn all(around: &Around, shutdown: &CancellationToken) -> Vec<Claim> {
    let data = &around.config.data;
    let found = found(data).unwrap_or_else(|error| {
        tracing::warn!("reading the leases of before: {error}");
        Vec::new()
    });
    let began = tokio::time::Instant::now();
    let mut claims = Vec::new();
    for (event, report) in found {
        loop {
            match around.api.renew(event, &report).await {
                Ok(assignment) => {
                    tracing::info!(%event, "going on with a live event");
                    claims.push(Claim {
                        lease: report.lease.clone(),
                        lease_seconds: around.config.lease_seconds,
                        assignment,
                    });
                    break;
                }
                Err(ApiError::Unavailable(_))
                    if began.elapsed() < PATIENCE && !shutdown.is_cancelled() =>
                {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(_) => {
                    forget(data, event);
                    break;
                }
            }
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_work::live::{Endpoints, WorkerState};

    #[test]
    fn what_was_said_is_found_again_and_rubbish_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (event, report) = (
            Uuid::from_u128(7),
            RenewRequest {
                lease: "l".into(),
                state: WorkerState::Running,
                generation: 3,
                endpoints: Endpoints::default(),
                edge: None,
                outputs: Vec::new(),
                health: None,
            },
        );
        keep(folder.path(), event, &report).unwrap();
        std::fs::write(folder.path().join("x.lease"), "{}").unwrap();
        assert_eq!(found(folder.path()).unwrap(), [(event, report)]);
        forget(folder.path(), event);
        assert_eq!(found(folder.path()).unwrap(), []);
        assert!(!folder.path().join("x.lease").exists());
    }
}
