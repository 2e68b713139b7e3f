//! `headwater import FILE`: takes over what was exported from Azure Media Services. `docs/import.md` says what the file is.
//!
//! Uses the public API's import call, one asset at a time, so that a file may hold thousands of them.

use crate::client::ApiClient;
use crate::connection::ConnectionFile;
use anyhow::{Context, Result, bail};
use clap::Parser;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
pub(crate) struct Args {
    /// The exported resources: a JSON file.
    file: PathBuf,
    /// Make what is missing. Without it nothing is made, and the report says what would be.
    #[arg(long, conflicts_with = "dry_run")]
    apply: bool,
    /// Only report, which is what happens anyway.
    #[arg(long)]
    dry_run: bool,
    /// Project to import into; the installation's first by default.
    #[arg(long)]
    project: Option<String>,
    /// Folder of the running installation.
    #[arg(long, env = "HEADWATER_DATA", default_value = ".headwater")]
    data: PathBuf,
    /// Print the report as JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// How often an asset is asked for again that is still being looked into.
const ATTEMPTS: usize = 60;
const PAUSE: Duration = Duration::from_secs(2);

pub(crate) async fn run(args: Args) -> Result<()> {
    let named = || format!("reading {}", args.file.display());
    let text = std::fs::read_to_string(&args.file).with_context(named)?;
    let document: Value =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).with_context(named)?;
    let parts = split(&document).with_context(named)?;
    let connection = ConnectionFile::read(&args.data)?;
    let api = ApiClient::new(&connection)?;
    let project = args.project.as_ref().unwrap_or(&connection.project);
    let path = format!("/api/v1/projects/{project}/media/import");
    let mut items: Vec<Value> = Vec::new();
    let (mut refused, mut failed) = (0, 0);
    for part in &parts {
        let mut body = part.body.clone();
        body["dryRun"] = json!(!args.apply);
        match ask(&api, &path, &body).await {
            Ok(answer) => {
                let lines = answer["items"].as_array().cloned().unwrap_or_default();
                for item in lines {
                    // What other parts refer to was reported with the first.
                    if !part
                        .kinds
                        .contains(&item["kind"].as_str().unwrap_or_default())
                    {
                        continue;
                    }
                    refused += usize::from(item["outcome"] == "Refused");
                    if !args.json {
                        print!("{}", describe(&item));
                    }
                    items.push(item);
                }
            }
            Err(error) => {
                failed += 1;
                eprintln!("error: {}: {error:#}", part.what);
            }
        }
    }
    if args.json {
        let report = json!({"dryRun": !args.apply, "items": items});
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else if !args.apply {
        println!("Nothing was made. With --apply it is.");
    }
    if refused > 0 || failed > 0 {
        bail!("{refused} resources are refused, and {failed} could not be asked about");
    }
    Ok(())
}

async fn ask(api: &ApiClient, path: &str, body: &Value) -> Result<Value> {
    let mut left = ATTEMPTS;
    loop {
        left = left.saturating_sub(1);
        let (status, answer) = api.try_call(Method::POST, path, Some(body)).await?;
        match status {
            StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS
                if left > 0 =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            status if status.is_success() => return Ok(answer),
            status => {
                let said = answer["error"]["detail"].as_str();
                let said = said.or(answer["error"]["message"].as_str());
                bail!("{status}: {}", said.unwrap_or("no reason given"));
            }
        }
    }
}

/// A request's worth of a document.
struct Part {
    /// For error messages.
    what: String,
    /// Kinds of resources whose outcome is reported.
    kinds: &'static [&'static str],
    body: Value,
}

const POLICIES: [&str; 2] = ["contentKeyPolicies", "streamingPolicies"];

/// Policies and filters, then each asset with its locators, then locators of assets that are here already.
fn split(document: &Value) -> Result<Vec<Part>> {
    let Value::Object(members) = document else {
        bail!("it is not a JSON object");
    };
    let known = [
        "contentKeyPolicies",
        "streamingPolicies",
        "accountFilters",
        "assets",
        "streamingLocators",
    ];
    if let Some(other) = members
        .keys()
        .find(|name| !known.contains(&name.as_str()) && !name.starts_with('$'))
    {
        bail!("'{other}' is not known; these are: {}", known.join(", "));
    }
    let list = |name: &str| -> Result<Vec<Value>> {
        match members.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items.clone()),
            Some(_) => bail!("'{name}' is not a list"),
        }
    };
    let mut policies = Map::new();
    for name in POLICIES {
        policies.insert(name.to_owned(), list(name)?.into());
    }
    let mut parts = Vec::new();
    let mut first = policies.clone();
    first.insert("accountFilters".to_owned(), list("accountFilters")?.into());
    parts.push(Part {
        what: "policies and filters".to_owned(),
        kinds: &["ContentKeyPolicy", "StreamingPolicy", "AccountFilter"],
        body: first.into(),
    });
    let mut locators = list("streamingLocators")?;
    let asset_of = |locator: &Value| {
        let properties = locator.get("properties").unwrap_or(locator);
        properties["assetName"].as_str().map(str::to_owned)
    };
    for asset in list("assets")? {
        let name = asset["name"].as_str().map(str::to_owned);
        let (own, rest): (Vec<Value>, Vec<Value>) = locators
            .into_iter()
            .partition(|locator| asset_of(locator) == name);
        locators = rest;
        let mut body = policies.clone();
        body.insert("assets".to_owned(), vec![asset].into());
        body.insert("streamingLocators".to_owned(), own.into());
        parts.push(Part {
            what: format!("asset '{}'", name.unwrap_or_default()),
            kinds: &["Asset", "AssetFilter", "StreamingLocator"],
            body: body.into(),
        });
    }
    if !locators.is_empty() {
        let mut body = policies;
        body.insert("streamingLocators".to_owned(), locators.into());
        parts.push(Part {
            what: "locators of other assets".to_owned(),
            kinds: &["StreamingLocator"],
            body: body.into(),
        });
    }
    Ok(parts)
}

/// A line of the report, with what belongs to it.
fn describe(item: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = format!(
        "{:<17} {} {}",
        text(&item["kind"]),
        text(&item["outcome"]),
        text(&item["name"])
    );
    if let Some(reason) = item["reason"].as_str() {
        let _ = write!(out, ": {reason}");
    }
    out.push('\n');
    if let Some(manifest) = item["serverManifest"].as_str() {
        let _ = writeln!(
            out,
            "    server manifest {manifest} is missing and is written"
        );
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let streaming = &item["streaming"];
    for track in list(&streaming["tracks"]) {
        let protocols: Vec<String> = list(&track["protocols"]).iter().map(text).collect();
        let _ = writeln!(
            out,
            "    plays: {} {} at {} bit/s ({}, {}) in {}",
            text(&track["type"]).to_lowercase(),
            text(&track["name"]),
            track["bitRate"],
            text(&track["codec"]),
            text(&track["fileName"]),
            protocols.join(", ")
        );
        for refusal in list(&track["refusals"]) {
            let _ = writeln!(
                out,
                "        not in {}: {}",
                text(&refusal["protocol"]),
                text(&refusal["reason"])
            );
        }
    }
    for left_out in list(&streaming["leftOut"]) {
        let _ = writeln!(
            out,
            "    does not play: {}: {}",
            text(&left_out["fileName"]),
            text(&left_out["reason"])
        );
    }
    if streaming.is_object() && list(&streaming["tracks"]).is_empty() {
        out.push_str("    nothing plays\n");
    }
    for path in list(&item["paths"]) {
        let _ = writeln!(out, "    {}", text(&path));
    }
    for warning in list(&streaming["warnings"])
        .iter()
        .chain(&list(&item["warnings"]))
    {
        let _ = writeln!(out, "    warning: {}", text(warning));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_travel_one_by_one_with_their_locators() {
        let document = json!({
            "contentKeyPolicies": [{"name": "p"}],
            "assets": [{"name": "a"}, {"name": "b"}],
            "streamingLocators": [
                {"name": "1", "assetName": "b"},
                {"name": "2", "properties": {"assetName": "a"}},
                {"name": "3", "assetName": "elsewhere"},
            ],
        });
        let parts = split(&document).unwrap();
        let seen: Vec<(String, Vec<String>)> = parts
            .iter()
            .map(|part| {
                let locators = part.body["streamingLocators"]
                    .as_array()
                    .into_iter()
                    .flatten();
                let names = locators.map(|l| l["name"].as_str().unwrap().to_owned());
                (part.what.clone(), names.collect())
            })
            .collect();
        let of = |what: &str, names: &[&str]| {
            (
                what.to_owned(),
                names.iter().map(|n| (*n).to_owned()).collect(),
            )
        };
        assert_eq!(
            seen,
            [
                of("policies and filters", &[]),
                of("asset 'a'", &["2"]),
                of("asset 'b'", &["1"]),
                of("locators of other assets", &["3"]),
            ]
        );
        assert!(
            parts
                .iter()
                .all(|part| part.body["contentKeyPolicies"][0]["name"] == "p")
        );
        assert!(split(&json!({"asset": []})).is_err());
        assert!(split(&json!({"assets": {}})).is_err());
        assert!(split(&json!([])).is_err());
    }

    #[test]
    fn a_report_reads_as_text() {
        let item = json!({"kind": "Asset", "name": "film", "outcome": "WouldCreate", "serverManifest": "film.ism",
            "streaming": {"tracks": [{"type": "Audio", "name": "a", "bitRate": 5, "codec": "opus", "fileName": "a.mp4",
                "protocols": ["Hls", "Dash"], "refusals": [{"protocol": "HlsTs", "reason": "no"}]}],
                "leftOut": [{"fileName": "x.mp4", "reason": "not there"}], "warnings": ["w"]}});
        assert_eq!(
            describe(&item),
            "Asset             WouldCreate film\n    server manifest film.ism is missing and is written\n    plays: audio a at 5 bit/s \
             (opus, a.mp4) in Hls, Dash\n        not in HlsTs: no\n    does not play: x.mp4: not there\n    warning: w\n"
        );
    }
}
