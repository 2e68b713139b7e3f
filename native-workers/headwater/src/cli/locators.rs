//! `headwater locators`.

use super::table::{instant, table};
use super::{Listing, Session, Target, name, print_json, property, say, text};
use anyhow::Result;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};

#[derive(Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List what is published.
    List(Listing),
    /// Print one locator: what it publishes, how, until when, and where it plays.
    Show { locator: String },
    /// Publish an asset and print where it plays.
    Create {
        locator: String,
        #[arg(long)]
        asset: String,
        /// The streaming policy.
        #[arg(long, default_value = "Predefined_ClearStreamingOnly")]
        policy: String,
        /// The content key policy, for a streaming policy that encrypts.
        #[arg(long)]
        key_policy: Option<String>,
        /// A filter of the asset or the account that always applies.
        #[arg(long)]
        filter: Vec<String>,
        /// When it ends, e.g. 2027-01-01T00:00:00Z.
        #[arg(long)]
        end: Option<String>,
    },
    /// Print where a locator plays, and where its licences are.
    Paths { locator: String },
    /// Withdraw a locator.
    Delete { locator: String },
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let session = args.target.open()?;
    match args.command {
        Command::List(listing) => {
            session
                .print_list(
                    &["streamingLocators"],
                    &listing,
                    &[
                        ("name", name),
                        ("asset", |locator| property(locator, "assetName")),
                        ("policy", |locator| property(locator, "streamingPolicyName")),
                        ("created", |locator| instant(&property(locator, "created"))),
                        ("ends", |locator| instant(&property(locator, "endTime"))),
                    ],
                )
                .await
        }
        Command::Show { locator } => show(&session, &locator).await,
        Command::Create {
            locator,
            asset,
            policy,
            key_policy,
            filter,
            end,
        } => {
            let mut properties = json!({"assetName": asset, "streamingPolicyName": policy});
            if let Some(keys) = key_policy {
                properties["defaultContentKeyPolicyName"] = keys.into();
            }
            if !filter.is_empty() {
                properties["filters"] = json!(filter);
            }
            if let Some(end) = end {
                properties["endTime"] = end.into();
            }
            session
                .put(
                    &["streamingLocators", &locator],
                    &json!({ "properties": properties }),
                )
                .await?;
            paths(&session, &locator).await
        }
        Command::Paths { locator } => paths(&session, &locator).await,
        Command::Delete { locator } => {
            session
                .delete(
                    &["streamingLocators", &locator],
                    &format!("locator '{locator}'"),
                )
                .await
        }
    }
}

async fn show(session: &Session, locator_name: &str) -> Result<()> {
    let locator = session.get(&["streamingLocators", locator_name]).await?;
    let listed = list_paths(session, locator_name).await?;
    if session.json {
        return print_json(&json!({"streamingLocator": locator, "paths": listed}));
    }
    let filters: Vec<_> = locator["properties"]["filters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    session.print_one(
        &locator,
        &[
            ("name", name(&locator)),
            ("id", property(&locator, "streamingLocatorId")),
            ("asset", property(&locator, "assetName")),
            ("policy", property(&locator, "streamingPolicyName")),
            (
                "key policy",
                property(&locator, "defaultContentKeyPolicyName"),
            ),
            ("filters", filters.join(", ")),
            ("created", instant(&property(&locator, "created"))),
            ("starts", instant(&property(&locator, "startTime"))),
            ("ends", instant(&property(&locator, "endTime"))),
        ],
    )?;
    say("\n")?;
    print_paths(session, &listed).await
}

async fn list_paths(session: &Session, locator: &str) -> Result<Value> {
    session
        .post(&["streamingLocators", locator, "listPaths"], None)
        .await
}

async fn paths(session: &Session, locator: &str) -> Result<()> {
    let listed = list_paths(session, locator).await?;
    if session.json {
        return print_json(&listed);
    }
    print_paths(session, &listed).await
}

async fn print_paths(session: &Session, listed: &Value) -> Result<()> {
    let host = session.streaming_url().await?;
    let rows = rows(listed, &host);
    if rows.is_empty() {
        say("Nothing plays yet: the asset holds no media that the policy lets out.\n")?;
        return Ok(());
    }
    say(&table(&["protocol", "encryption", "url"], &rows))?;
    for (system, named) in listed["drm"].as_object().into_iter().flatten() {
        for url in urls(named) {
            say(&format!("{system}  {url}\n"))?;
        }
    }
    Ok(())
}

/// A line for each path, with the host in front.
fn rows(listed: &Value, host: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for entry in listed["streamingPaths"].as_array().into_iter().flatten() {
        for path in entry["paths"].as_array().into_iter().flatten() {
            rows.push(vec![
                text(entry, "/streamingProtocol").to_owned(),
                text(entry, "/encryptionScheme").to_owned(),
                format!("{host}{}", path.as_str().unwrap_or_default()),
            ]);
        }
    }
    for path in listed["downloadPaths"].as_array().into_iter().flatten() {
        rows.push(vec![
            "Download".to_owned(),
            String::new(),
            format!("{host}{}", path.as_str().unwrap_or_default()),
        ]);
    }
    rows
}

/// Every URL in what is said of a key system.
fn urls(named: &Value) -> Vec<&str> {
    match named {
        Value::String(url) if url.contains("://") => vec![url],
        Value::Array(items) => items.iter().flat_map(urls).collect(),
        Value::Object(members) => members.values().flat_map(urls).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_path() {
        let listed = json!({
            "streamingPaths": [{"streamingProtocol": "Hls", "encryptionScheme": "NoEncryption", "paths": ["/a", "/b"]}],
            "downloadPaths": ["/c.mp4"],
        });
        let lines = rows(&listed, "https://h");
        let last: Vec<_> = lines.iter().map(|line| line[2].as_str()).collect();
        assert_eq!(last, ["https://h/a", "https://h/b", "https://h/c.mp4"]);
        let drm =
            json!({"licenseServerUrl": "https://keys/x", "scheme": "cenc", "more": ["https://y"]});
        assert_eq!(urls(&drm), ["https://keys/x", "https://y"]);
    }
}
