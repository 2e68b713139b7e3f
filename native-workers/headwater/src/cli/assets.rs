//! `headwater assets`.

use super::table::{bytes, instant};
use super::{Listing, Session, Target, print_json, say, text};
use crate::publish;
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde_json::json;
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
            let assets = session.list(&["assets"], &listing).await?;
            session.print_list(
                &assets,
                &["name", "created", "storage", "container", "description"],
                |asset| {
                    vec![
                        text(asset, "/name").to_owned(),
                        instant(text(asset, "/properties/created")),
                        text(asset, "/properties/storageAccountName").to_owned(),
                        text(asset, "/properties/container").to_owned(),
                        text(asset, "/properties/description").to_owned(),
                    ]
                },
            )
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

async fn show(session: &Session, name: &str) -> Result<()> {
    let asset = session.get(&["assets", name]).await?;
    let storage = session.get(&["assets", name, "storage"]).await?;
    let locators = session
        .post(&["assets", name, "listStreamingLocators"], None)
        .await?;
    if session.json {
        return print_json(&json!({
            "asset": asset,
            "storage": storage["spec"],
            "streamingLocators": locators["streamingLocators"],
        }));
    }
    let property = |name: &str| text(&asset, &format!("/properties/{name}")).to_owned();
    session.print_one(
        &asset,
        &[
            ("name", text(&asset, "/name").to_owned()),
            ("id", property("assetId")),
            ("description", property("description")),
            ("storage", property("storageAccountName")),
            ("container", property("container")),
            ("created", instant(&property("created"))),
        ],
    )?;
    let files = storage["spec"]["files"].as_array();
    let rows: Vec<_> = files
        .into_iter()
        .flatten()
        .map(|file| {
            vec![
                text(file, "/name").to_owned(),
                bytes(file["size"].as_u64().unwrap_or(0)),
            ]
        })
        .collect();
    say("\n")?;
    say(&super::table::table(&["file", "size"], &rows))?;
    let published = locators["streamingLocators"].as_array();
    let rows: Vec<_> = published
        .into_iter()
        .flatten()
        .map(|locator| {
            vec![
                text(locator, "/name").to_owned(),
                text(locator, "/streamingPolicyName").to_owned(),
                instant(text(locator, "/endTime")),
            ]
        })
        .collect();
    if !rows.is_empty() {
        say("\n")?;
        say(&super::table::table(&["locator", "policy", "ends"], &rows))?;
    }
    Ok(())
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
