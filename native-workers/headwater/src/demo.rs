//! The demo asset: a test pattern that goes the whole way through upload, storage event, job and locator.

use crate::client::ApiClient;
use crate::connection::ConnectionFile;
use crate::publish::{self, Published};
use anyhow::{Context, Result};
use http::Method;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NAME: &str = "demo.mp4";
const SECONDS: u32 = 20;

/// Notes that a new installation is to have the demo: a first start may be ended before it is published.
pub(crate) fn request(data: &Path) -> Result<()> {
    std::fs::write(wish(data), "").context("noting that the demo is to be published")
}

/// Whether a demo was asked for and is not published yet.
pub(crate) fn is_requested(data: &Path) -> bool {
    wish(data).exists()
}

fn wish(data: &Path) -> PathBuf {
    data.join("demo.wanted")
}

/// Publishes the demo, unless an earlier start did.
pub(crate) async fn publish(
    api: &ApiClient,
    connection: &ConnectionFile,
    data: &Path,
    uploads: &str,
) -> Result<Published> {
    let published = go_the_way(api, connection, data, uploads).await?;
    let _ = std::fs::remove_file(wish(data));
    Ok(published)
}

/// Uploads the demo into the container `uploads` (a SAS URL), unless an earlier start did, and waits until it is
/// published.
async fn go_the_way(
    api: &ApiClient,
    connection: &ConnectionFile,
    data: &Path,
    uploads: &str,
) -> Result<Published> {
    let media = format!("/api/v1/projects/{}/media", connection.project);
    if let Some(locator) = find(api, &media).await? {
        return publish::paths(api, &media, &locator).await;
    }
    eprintln!("Making a demo of {SECONDS} seconds and publishing it …");
    let file = data.join(NAME);
    let path = file.clone();
    tokio::task::spawn_blocking(move || headwater_transcoder::demo_source(&path, SECONDS))
        .await?
        .context("encoding the demo source")?;
    let len = tokio::fs::metadata(&file).await?.len();

    publish::upload(api, uploads, NAME, &file, len).await?;
    tokio::fs::remove_file(&file).await?;

    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        if let Some(locator) = find(api, &media).await? {
            let job = format!("{media}/transforms/AdaptiveStreaming/jobs/{locator}");
            publish::wait_for(api, &job, NAME).await?;
            return publish::paths(api, &media, &locator).await;
        }
        if Instant::now() > deadline {
            anyhow::bail!("the storage event of {NAME} started no job within five minutes");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The locator that the upload rule made for the demo: it is called as its output asset and job are.
async fn find(api: &ApiClient, media: &str) -> Result<Option<String>> {
    let listed = api
        .call(Method::GET, &format!("{media}/streamingLocators"), None)
        .await?;
    Ok(listed["value"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|locator| locator["name"].as_str())
        .find(|name| is_the_demos(name))
        .map(str::to_owned))
}

/// `demo-` and the digits that the upload rule adds; not `demo-reel-` and those.
fn is_the_demos(name: &str) -> bool {
    name.strip_prefix("demo-")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()))
}
