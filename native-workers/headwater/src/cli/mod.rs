//! The daily verbs against a running installation, here or elsewhere: `assets`, `jobs`, `locators`, `live`.
//!
//! They use nothing but the public API (the MK.IO surface). Tables go to standard output, progress to standard error, and
//! `--json` prints what the API answered, so that a script gets everything and a person what matters.

pub(crate) mod assets;
pub(crate) mod jobs;
pub(crate) mod live;
pub(crate) mod locators;
pub(crate) mod table;

use crate::client::ApiClient;
use crate::connection::ConnectionFile;
use anyhow::{Context, Result, bail};
use clap::Parser;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);

/// Which installation, and how to print.
#[derive(Parser)]
pub(crate) struct Target {
    /// Folder of an installation that runs on this machine.
    #[arg(
        long,
        env = "HEADWATER_DATA",
        default_value = ".headwater",
        global = true
    )]
    data: PathBuf,
    /// Where the API of an installation elsewhere answers, e.g. `https://video.example.com`.
    #[arg(long, env = "HEADWATER_API_URL", global = true)]
    api_url: Option<String>,
    /// A token for it. Better in the environment than on the command line.
    #[arg(long, env = "HEADWATER_TOKEN", hide_env_values = true, global = true)]
    token: Option<String>,
    /// A PEM file of roots to trust besides the public ones.
    #[arg(long, env = "HEADWATER_CA_FILE", global = true)]
    ca_file: Option<PathBuf>,
    /// The project; of an installation on this machine its first one.
    #[arg(long, env = "HEADWATER_PROJECT", global = true)]
    project: Option<String>,
    /// Print what the API answers instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

/// A project of an installation.
pub(crate) struct Session {
    api: ApiClient,
    base: String,
    media: String,
    json: bool,
}

impl Target {
    pub(crate) fn open(&self) -> Result<Session> {
        let (api, base, project) = match &self.api_url {
            Some(url) => {
                let base = url.trim_end_matches('/').to_owned();
                let token = self.token.as_deref().context(
                    "a token is needed for --api-url: set HEADWATER_TOKEN (`headwater token` prints one where the installation runs)",
                )?;
                let api = ApiClient::to(&base, token, self.ca_file.as_deref())?;
                (api, base, "default".to_owned())
            }
            None => {
                let connection = ConnectionFile::read(&self.data)?;
                let api = ApiClient::new(&connection)?;
                (api, connection.api_url, connection.project)
            }
        };
        let project = self.project.as_deref().unwrap_or(&project);
        Ok(Session {
            api,
            base,
            media: format!("/api/v1/projects/{}/media", segment(project)),
            json: self.json,
        })
    }
}

/// A name as part of a path.
fn segment(name: &str) -> String {
    headwater_blob::names::encode_blob(name).replace('/', "%2F")
}

/// One column of a table: its head, and what of an item stands in it.
type Column = (&'static str, fn(&Value) -> String);

/// A table of items.
fn print_rows(items: &[Value], columns: &[Column]) -> Result<()> {
    let heads: Vec<_> = columns.iter().map(|(head, _)| *head).collect();
    let row = |item: &Value| columns.iter().map(|(_, cell)| cell(item)).collect();
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    say(&table::table(&heads, &rows))
}

/// The same below something else, and nothing without items.
fn print_more(items: &Value, columns: &[Column]) -> Result<()> {
    match items.as_array() {
        Some(items) if !items.is_empty() => {
            say("\n")?;
            print_rows(items, columns)
        }
        _ => Ok(()),
    }
}

fn name(item: &Value) -> String {
    text(item, "/name").to_owned()
}

/// A text among an item's properties, by its path below them; empty if it is not there.
fn property(item: &Value, path: &str) -> String {
    text(item, &format!("/properties/{path}")).to_owned()
}

/// A text of an answer, by its path; empty if it is not there.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

/// What a list command takes.
#[derive(Parser)]
pub(crate) struct Listing {
    /// An OData condition, e.g. "properties/created gt 2026-01-01T00:00:00Z".
    #[arg(long)]
    filter: Option<String>,
    /// An OData order, e.g. "properties/created desc".
    #[arg(long)]
    orderby: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

impl Session {
    fn path(&self, parts: &[&str]) -> String {
        let mut path = self.media.clone();
        for part in parts {
            path.push('/');
            path.push_str(&segment(part));
        }
        path
    }

    async fn get(&self, parts: &[&str]) -> Result<Value> {
        self.api.call(Method::GET, &self.path(parts), None).await
    }

    async fn put(&self, parts: &[&str], body: &Value) -> Result<Value> {
        self.api
            .call(Method::PUT, &self.path(parts), Some(body))
            .await
    }

    async fn post(&self, parts: &[&str], body: Option<&Value>) -> Result<Value> {
        self.api.call(Method::POST, &self.path(parts), body).await
    }

    /// Deletes what is there; that there was nothing is an error, because a name was probably mistyped.
    async fn delete(&self, parts: &[&str], what: &str) -> Result<()> {
        let path = self.path(parts);
        let (status, answer) = self.api.try_call(Method::DELETE, &path, None).await?;
        match status {
            StatusCode::NO_CONTENT => bail!("there is no {what}"),
            status if status.is_success() => {
                if !self.json {
                    say(&format!("{what} is deleted.\n"))?;
                }
                Ok(())
            }
            status => bail!("{what} was not deleted: {status}: {}", said(&answer)),
        }
    }

    /// A list, page after page.
    async fn list(&self, parts: &[&str], listing: &Listing) -> Result<Vec<Value>> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("$top", &listing.limit.clamp(1, 1000).to_string());
        for (name, value) in [("$filter", &listing.filter), ("$orderby", &listing.orderby)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let mut path = format!("{}?{}", self.path(parts), query.finish());
        let mut items = Vec::new();
        loop {
            let mut page = self.api.call(Method::GET, &path, None).await?;
            if let Some(more) = page["value"].as_array_mut() {
                items.append(more);
            }
            let next = text(&page, "/@odata.nextLink");
            if items.len() >= listing.limit || next.is_empty() {
                break;
            }
            path = next
                .strip_prefix(&self.base)
                .with_context(|| format!("the next page is on another host: {next}"))?
                .to_owned();
        }
        items.truncate(listing.limit);
        Ok(items)
    }

    /// A list command: reads the list and prints some of what it holds as a table, or all of it as JSON.
    async fn print_list(
        &self,
        parts: &[&str],
        listing: &Listing,
        columns: &[Column],
    ) -> Result<()> {
        let items = self.list(parts, listing).await?;
        match self.json {
            true => print_json(&json!(items)),
            false => print_rows(&items, columns),
        }
    }

    /// Prints one resource: pairs of a name and a value, without those that have none.
    fn print_one(&self, item: &Value, pairs: &[(&str, String)]) -> Result<()> {
        if self.json {
            return print_json(item);
        }
        let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            say(&format!("{name:width$}  {value}\n"))?;
        }
        Ok(())
    }

    /// Waits until `reached` says so of the resource, two minutes at most. Progress goes to a spinner.
    async fn wait_until(
        &self,
        parts: &[&str],
        doing: &str,
        reached: impl Fn(&Value) -> Result<bool>,
    ) -> Result<Value> {
        let spinner = indicatif::ProgressBar::new_spinner().with_message(doing.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(120));
        let begun = Instant::now();
        loop {
            let item = self.get(parts).await?;
            if reached(&item)? {
                spinner.finish_and_clear();
                return Ok(item);
            }
            if begun.elapsed() > PATIENCE {
                spinner.finish_and_clear();
                bail!(
                    "it is still '{}' after two minutes; is a worker running that does it?",
                    text(&item, "/properties/resourceState")
                );
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// `https://host` of the default streaming endpoint.
    async fn streaming_url(&self) -> Result<String> {
        let endpoint = self.get(&["streamingEndpoints", "default"]).await?;
        let host = text(&endpoint, "/properties/hostName");
        let scheme = self.base.split("://").next().unwrap_or("https");
        Ok(format!("{scheme}://{host}"))
    }
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no failure.
pub(crate) fn say(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn print_json(value: &Value) -> Result<()> {
    say(&format!("{}\n", serde_json::to_string_pretty(value)?))?;
    Ok(())
}

fn said(answer: &Value) -> &str {
    let detail = text(answer, "/error/detail");
    if detail.is_empty() {
        text(answer, "/error/message")
    } else {
        detail
    }
}
