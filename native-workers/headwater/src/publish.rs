//! `headwater publish FILE...`: upload, encode, publish, and print what plays.
//!
//! Uses nothing but the public API, so it is also the shortest example of it.

use crate::client::ApiClient;
use crate::connection::ConnectionFile;
use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Parser;
use http::{Method, Request, header};
use http_body_util::Full;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncReadExt;

#[derive(Parser)]
pub(crate) struct Args {
    /// Video or audio files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Folder of the running installation.
    #[arg(long, env = "HEADWATER_DATA", default_value = ".headwater")]
    data: PathBuf,
    /// Encoding preset.
    #[arg(long, default_value = "AdaptiveStreaming")]
    preset: String,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

const BLOCK_BYTES: usize = 8 << 20;

pub(crate) async fn run(args: Args) -> Result<()> {
    let connection = ConnectionFile::read(&args.data)?;
    let api = ApiClient::new(&connection)?;
    let mut published = Vec::new();
    let mut failed = 0;
    for file in &args.files {
        match publish(&api, &connection, file, &args.preset).await {
            Ok(result) => {
                if !args.json {
                    print(&result, &connection);
                }
                published.push(result);
            }
            Err(error) => {
                failed += 1;
                eprintln!("error: {}: {error:#}", file.display());
            }
        }
    }
    if args.json {
        let value: Vec<Value> = published.iter().map(|p| p.to_json(&connection)).collect();
        println!("{}", serde_json::to_string_pretty(&value)?);
    }
    if failed > 0 {
        bail!("{failed} of {} files were not published", args.files.len());
    }
    Ok(())
}

/// What came out.
pub(crate) struct Published {
    pub(crate) asset: String,
    pub(crate) locator: String,
    /// Protocol and path.
    pub(crate) paths: Vec<(String, String)>,
    pub(crate) downloads: Vec<String>,
}

impl Published {
    fn to_json(&self, connection: &ConnectionFile) -> Value {
        let url = |path: &String| format!("{}{path}", connection.streaming_url);
        json!({
            "asset": self.asset,
            "locator": self.locator,
            "urls": self.paths.iter().rev().map(|(p, path)| (p.to_lowercase(), json!(url(path)))).collect::<serde_json::Map<_, _>>(),
            "downloads": self.downloads.iter().map(url).collect::<Vec<_>>(),
        })
    }
}

fn print(published: &Published, connection: &ConnectionFile) {
    println!("{} is published:", published.asset);
    for (protocol, path) in &published.paths {
        println!("  {protocol:<5} {}{path}", connection.streaming_url);
    }
    println!("  page  {}", connection.portal_url);
}

/// Publishes one file; progress goes to standard error.
pub(crate) async fn publish(
    api: &ApiClient,
    connection: &ConnectionFile,
    file: &Path,
    preset: &str,
) -> Result<Published> {
    let len = tokio::fs::metadata(file)
        .await
        .with_context(|| format!("reading {}", file.display()))?
        .len();
    let name = blob_name(file)?;
    let short = &uuid::Uuid::new_v4().simple().to_string()[..8];
    let stem: String = resource_name(&name);
    let media = format!("/api/v1/projects/{}/media", connection.project);
    let (input, output) = (format!("{stem}-source-{short}"), format!("{stem}-{short}"));

    let account = format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Media/mediaServices/{}",
        connection.subscription_id, connection.resource_group, connection.account_name
    );
    let version = "api-version=2022-08-01";
    api.call(
        Method::PUT,
        &format!("{account}/assets/{input}?{version}"),
        Some(&json!({"properties": {"description": name}})),
    )
    .await?;
    let expiry = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
    let sas = api
        .call(
            Method::POST,
            &format!("{account}/assets/{input}/listContainerSas?{version}"),
            Some(&json!({"permissions": "ReadWrite", "expiryTime": expiry.to_string()})),
        )
        .await?;
    let container = sas["assetContainerSasUrls"][0]
        .as_str()
        .context("the API gave no upload URL")?;
    upload(api, container, &name, file, len).await?;

    // A name of its own: a user's transform that is called like the preset may do something else.
    let transform = format!("publish-{preset}");
    api.call(
        Method::PUT,
        &format!("{media}/transforms/{transform}"),
        Some(&json!({"properties": {"outputs": [{"preset": {
            "@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": preset}}]}})),
    )
    .await?;
    api.call(
        Method::PUT,
        &format!("{account}/assets/{output}?{version}"),
        Some(&json!({"properties": {"description": name}})),
    )
    .await?;
    let job = format!("{media}/transforms/{transform}/jobs/{output}");
    api.call(
        Method::PUT,
        &job,
        Some(&json!({"properties": {
            "input": {"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": input, "files": [name]},
            "outputs": [{"@odata.type": "#Microsoft.Media.JobOutputAsset", "assetName": output}],
        }})),
    )
    .await?;
    wait_for(api, &job, &name).await?;

    api.call(
        Method::PUT,
        &format!("{media}/streamingLocators/{output}"),
        Some(&json!({"properties": {"assetName": output, "streamingPolicyName": "Predefined_DownloadAndClearStreaming"}})),
    )
    .await?;
    paths(api, &media, &output).await
}

/// Asks a locator for its paths.
pub(crate) async fn paths(api: &ApiClient, media: &str, locator: &str) -> Result<Published> {
    let listed = api
        .call(
            Method::POST,
            &format!("{media}/streamingLocators/{locator}/listPaths"),
            None,
        )
        .await?;
    let mut paths = Vec::new();
    for entry in listed["streamingPaths"].as_array().into_iter().flatten() {
        let protocol = entry["streamingProtocol"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        for path in entry["paths"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            paths.push((protocol.clone(), path.to_owned()));
        }
    }
    let downloads = listed["downloadPaths"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|p| p.as_str().map(str::to_owned))
        .collect();
    Ok(Published {
        asset: locator.into(),
        locator: locator.into(),
        paths,
        downloads,
    })
}

/// The file's own name, as far as a blob may be called that.
pub(crate) fn blob_name(file: &Path) -> Result<String> {
    let name = file
        .file_name()
        .with_context(|| format!("{} names no file", file.display()))?;
    let name: String = name
        .to_string_lossy()
        .chars()
        .map(|c| {
            if c.is_control() || "!*'();:@&=+$,/?%#[]\"\\".contains(c) {
                '_'
            } else {
                c
            }
        })
        .collect();
    Ok(name)
}

/// A resource name from a file name: letters, digits, hyphens.
fn resource_name(file: &str) -> String {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let name: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(60)
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() {
        "video".into()
    } else {
        name.into()
    }
}

fn bar(len: u64, template: &str, message: String) -> ProgressBar {
    let bar = ProgressBar::new(len).with_message(message);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Uploads in blocks; `container` is a SAS URL.
pub(crate) async fn upload(
    api: &ApiClient,
    container: &str,
    name: &str,
    file: &Path,
    len: u64,
) -> Result<()> {
    let (place, sas) = container
        .split_once('?')
        .context("the upload URL carries no signature")?;
    let escaped: String = headwater_blob::names::encode_blob(name);
    let bar = bar(
        len,
        "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
        format!("uploading {name}"),
    );
    let mut source = tokio::fs::File::open(file).await?;
    let mut ids = String::new();
    let mut index = 0u32;
    loop {
        let mut block = vec![0; BLOCK_BYTES];
        let mut filled = 0;
        while filled < block.len() {
            match source.read(&mut block[filled..]).await? {
                0 => break,
                read => filled += read,
            }
        }
        block.truncate(filled);
        if filled == 0 {
            break;
        }
        let id = STANDARD.encode(format!("block-{index:08}"));
        ids += &format!("<Latest>{id}</Latest>");
        let query: String = id.bytes().map(|b| format!("%{b:02X}")).collect();
        put(
            api,
            format!("{place}/{escaped}?comp=block&blockid={query}&{sas}"),
            block.into(),
        )
        .await?;
        bar.inc(filled as u64);
        index += 1;
    }
    let list = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{ids}</BlockList>");
    put(
        api,
        format!("{place}/{escaped}?comp=blocklist&{sas}"),
        list.into(),
    )
    .await?;
    bar.finish_and_clear();
    Ok(())
}

async fn put(api: &ApiClient, url: String, body: Bytes) -> Result<()> {
    for attempt in 0.. {
        let request = Request::put(&url)
            .header("x-ms-version", "2021-12-02")
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(Full::new(body.clone()))?;
        let outcome = match api.send(request).await {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) if response.status().is_client_error() => {
                bail!("the storage refused the upload: {}", response.status())
            }
            Ok(response) => anyhow::anyhow!("the storage answered {}", response.status()),
            Err(error) => error,
        };
        if attempt == 4 {
            return Err(outcome);
        }
        tokio::time::sleep(Duration::from_millis(250 << attempt)).await;
    }
    Ok(())
}

/// Waits for a job's end, with a bar.
pub(crate) async fn wait_for(api: &ApiClient, job: &str, name: &str) -> Result<()> {
    let bar = bar(100, "{msg} {wide_bar} {pos} %", format!("encoding {name}"));
    loop {
        let value = api.call(Method::GET, job, None).await?;
        let properties = &value["properties"];
        let output = &properties["outputs"][0];
        bar.set_position(output["progress"].as_u64().unwrap_or(0));
        match properties["state"].as_str().unwrap_or_default() {
            "Finished" => {
                bar.finish_and_clear();
                return Ok(());
            }
            "Error" => {
                bar.finish_and_clear();
                let error = &output["error"];
                bail!(
                    "{}: {}",
                    error["code"].as_str().unwrap_or("ServiceError"),
                    error["message"].as_str().unwrap_or("the job failed")
                );
            }
            "Canceled" => {
                bar.finish_and_clear();
                bail!("the job was canceled");
            }
            _ => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}
