//! `headwater assets`.

use super::table::{bytes, instant};
use super::{Listing, Session, Target, name, print_json, print_more, property, say, text};
use crate::publish;
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List assets.
    List(Listing),
    /// Print one asset, its files and its locators.
    Show { asset: String },
    /// Make an asset.
    Create {
        asset: String,
        /// For people.
        #[arg(long)]
        description: Option<String>,
        /// Its container; one is made if none is named.
        #[arg(long)]
        container: Option<String>,
        /// The storage account; the project's first if none is named.
        #[arg(long)]
        storage: Option<String>,
    },
    /// Upload files into an asset, which is made if it is not there.
    Upload {
        asset: String,
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Delete an asset. Its files stay unless its deletion policy says otherwise.
    Delete { asset: String },
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let session = args.target.open()?;
    match args.command {
        Command::List(listing) => {
            session
                .print_list(
                    &["assets"],
                    &listing,
                    &[
                        ("name", name),
                        ("created", |asset| instant(&property(asset, "created"))),
                        ("storage", |asset| property(asset, "storageAccountName")),
                        ("container", |asset| property(asset, "container")),
                        ("description", |asset| property(asset, "description")),
                    ],
                )
                .await
        }
        Command::Show { asset } => show(&session, &asset).await,
        Command::Create {
            asset,
            description,
            container,
            storage,
        } => {
            let mut properties = serde_json::Map::new();
            for (name, value) in [
                ("description", description),
                ("container", container),
                ("storageAccountName", storage),
            ] {
                if let Some(value) = value {
                    properties.insert(name.to_owned(), value.into());
                }
            }
            let made = session
                .put(&["assets", &asset], &json!({ "properties": properties }))
                .await?;
            session.print_one(
                &made,
                &[
                    ("name", text(&made, "/name").to_owned()),
                    ("container", text(&made, "/properties/container").to_owned()),
                ],
            )
        }
        Command::Upload { asset, files } => upload(&session, &asset, &files).await,
        Command::Delete { asset } => {
            session
                .delete(&["assets", &asset], &format!("asset '{asset}'"))
                .await
        }
    }
}

async fn show(session: &Session, asset_name: &str) -> Result<()> {
    let asset = session.get(&["assets", asset_name]).await?;
    let storage = session.get(&["assets", asset_name, "storage"]).await?;
    let locators = session
        .post(&["assets", asset_name, "listStreamingLocators"], None)
        .await?;
    if session.json {
        return print_json(&json!({
            "asset": asset,
            "storage": storage["spec"],
            "streamingLocators": locators["streamingLocators"],
        }));
    }
    session.print_one(
        &asset,
        &[
            ("name", name(&asset)),
            ("id", property(&asset, "assetId")),
            ("description", property(&asset, "description")),
            ("storage", property(&asset, "storageAccountName")),
            ("container", property(&asset, "container")),
            ("created", instant(&property(&asset, "created"))),
        ],
    )?;
    print_more(
        &contents(&storage["spec"]),
        &[
            ("file", |item| text(item, "/path").to_owned()),
            ("size", |item| {
                item["size"].as_u64().map_or_else(String::new, bytes)
            }),
        ],
    )?;
    print_more(
        &locators["streamingLocators"],
        &[
            ("locator", name),
            ("policy", |locator| {
                text(locator, "/streamingPolicyName").to_owned()
            }),
            ("ends", |locator| instant(text(locator, "/endTime"))),
        ],
    )
}

/// Folders, with a slash behind as paths have it, then files.
fn contents(spec: &Value) -> Value {
    let of = |member: &str| spec[member].as_array().cloned().unwrap_or_default();
    let folders = of("folders")
        .into_iter()
        .map(|folder| json!({"path": format!("{}/", text(&folder, "/name"))}));
    let files = of("files")
        .into_iter()
        .map(|file| json!({"path": text(&file, "/name"), "size": file["size"]}));
    folders.chain(files).collect()
}

async fn upload(session: &Session, asset: &str, files: &[PathBuf]) -> Result<()> {
    let (status, _) = session
        .api
        .try_call(http::Method::GET, &session.path(&["assets", asset]), None)
        .await?;
    if status == http::StatusCode::NOT_FOUND {
        session
            .put(&["assets", asset], &json!({"properties": {}}))
            .await?;
    }
    let expiry = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
    let signed = session
        .post(
            &["assets", asset, "listContainerSas"],
            Some(&json!({"permissions": "ReadWrite", "expiryTime": expiry.to_string()})),
        )
        .await?;
    let container = signed["assetContainerSasUrls"][0]
        .as_str()
        .context("the API gave no upload URL")?;
    let mut done = Vec::new();
    for file in files {
        let len = tokio::fs::metadata(file)
            .await
            .with_context(|| format!("reading {}", file.display()))?
            .len();
        let name = publish::blob_name(file)?;
        publish::upload(&session.api, container, &name, file, len)
            .await
            .with_context(|| format!("uploading {}", file.display()))?;
        if !session.json {
            say(&format!("{name}  {}\n", bytes(len)))?;
        }
        done.push(json!({"name": name, "size": len}));
    }
    if session.json {
        print_json(&json!({"asset": asset, "files": done}))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_files() {
        let spec =
            json!({"files": [{"name": "a.mp4", "size": 3}], "folders": [{"name": "film.live"}]});
        assert_eq!(
            contents(&spec),
            json!([{"path": "film.live/"}, {"path": "a.mp4", "size": 3}])
        );
        assert_eq!(contents(&json!({})), json!([]));
    }
}
