//! `headwater events replay`: makes up for storage events that were lost, by listing what is there.
//!
//! Every blob of a container is told to `/events/storage` as if it had just been written. Whatever was taken in in this version is
//! known there and starts nothing again, so replaying too much does no harm, and so does replaying twice.

use crate::client::ApiClient;
use crate::fault::{self, Fault, Kind};
use crate::storage::StorageArgs;
use crate::{connect, files};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::{Parser, Subcommand};
use headwater_blob::List;
use headwater_catalog::bootstrap::UPLOADS;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Parser)]
pub(crate) struct Commands {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Tell an installation of the blobs of a container again. What it knows already starts nothing.
    Replay(Replay),
}

#[derive(clap::Args)]
struct Replay {
    /// Where the installation answers, e.g. `https://video.example.com`.
    #[arg(long, env = "HEADWATER_API_URL")]
    api_url: String,
    /// What storage shows when it reports events.
    #[arg(long, env = "HEADWATER_EVENT_SECRET", hide_env_values = true)]
    event_secret: String,
    #[command(flatten)]
    storage: StorageArgs,
    #[arg(long, default_value = UPLOADS)]
    container: String,
    /// Only blobs whose names begin so.
    #[arg(long, default_value = "")]
    prefix: String,
    /// Only blobs that were written since, e.g. 2026-11-26T00:00:00Z.
    #[arg(long)]
    since: Option<Timestamp>,
    /// A PEM file of roots to trust besides the public ones.
    #[arg(long, env = "HEADWATER_CA_FILE")]
    ca_file: Option<PathBuf>,
}

/// Events of one request: each may cost a look at storage, and hosts give a request half a minute.
const AT_ONCE: usize = 50;

/// As Event Grid would say that a blob was written. `run` tells this replay from others, `at` this event from others of it.
fn event(account: &str, container: &str, blob: &str, run: Timestamp, at: usize) -> Value {
    json!({
        "topic": format!("/subscriptions/listed/resourceGroups/listed/providers/Microsoft.Storage/storageAccounts/{account}"),
        "subject": format!("/blobServices/default/containers/{container}/blobs/{blob}"),
        "eventType": "Microsoft.Storage.BlobCreated",
        "eventTime": run.to_string(),
        "id": format!("listed-{}-{at}", run.as_microsecond()),
        "data": {},
        "dataVersion": "",
        "metadataVersion": "1",
    })
}

pub(crate) async fn run(commands: Commands) -> Result<()> {
    let Action::Replay(replay) = commands.command;
    replay.run().await
}

impl Replay {
    async fn run(&self) -> Result<()> {
        connect::origin(&self.api_url, fault::API_URL)?;
        let ca = files::ca(self.ca_file.as_deref())?;
        let account = self.storage.account()?.ok_or_else(|| {
            Fault::bad(
                fault::STORAGE_URL,
                "it says which storage account is listed",
            )
        })?;
        let store = account.container(&self.container, ca)?;
        let client = ApiClient::to(&self.api_url, &self.event_secret, self.ca_file.as_deref())?;
        let run = Timestamp::now();
        let mut marker: Option<String> = None;
        let (mut told, mut started) = (0, 0);
        loop {
            let list = List {
                prefix: &self.prefix,
                marker: marker.as_deref(),
                ..List::default()
            };
            let page = store.list(&list).await.context("listing the container")?;
            let wanted: Vec<_> = page
                .blobs
                .iter()
                .filter(|blob| {
                    self.since
                        .is_none_or(|since| blob.last_modified.is_none_or(|at| at >= since))
                })
                .collect();
            for some in wanted.chunks(AT_ONCE) {
                let events: Vec<_> = some
                    .iter()
                    .enumerate()
                    .map(|(at, blob)| {
                        event(&account.name, &self.container, &blob.name, run, told + at)
                    })
                    .collect();
                started += self.tell(&client, &Value::Array(events)).await?;
                told += some.len();
            }
            // A server that repeats its marker would keep us here for ever.
            match page.next_marker {
                Some(next) if marker.as_ref() != Some(&next) => marker = Some(next),
                _ => break,
            }
        }
        println!("{told} blobs were told again; {started} of them had been missed.");
        Ok(())
    }

    /// How many events started something.
    async fn tell(&self, client: &ApiClient, events: &Value) -> Result<u64> {
        for attempt in 0..5 {
            let url = format!("{}/events/storage", self.api_url.trim_end_matches('/'));
            let request = Request::builder()
                .method(Method::POST)
                .uri(url)
                .header(
                    header::AUTHORIZATION,
                    format!("Bearer {}", self.event_secret),
                )
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from(serde_json::to_vec(events)?)))?;
            let answer = client.send(request).await?;
            match answer.status() {
                StatusCode::OK => {
                    let tally: Value = serde_json::from_slice(answer.body())?;
                    return Ok(tally["started"].as_u64().unwrap_or(0));
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    let what = format!("{}: it is not the installation's", fault::EVENT_SECRET);
                    return Err(Fault::new(Kind::Refused, what).into());
                }
                StatusCode::SERVICE_UNAVAILABLE => {
                    tokio::time::sleep(std::time::Duration::from_secs(1 << attempt)).await;
                }
                status => bail!("{}: /events/storage answered {status}", fault::API_URL),
            }
        }
        let what = format!("{}: events are not taken in at the moment", fault::API_URL);
        Err(Fault::new(Kind::Unavailable, what).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_the_events_function_reads() {
        let run: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        let body = json!([event("media1", "uploads", "a/b film.mp4", run, 7)]).to_string();
        let read = headwater_events::read(&http::HeaderMap::new(), body.as_bytes()).unwrap();
        let headwater_events::Delivery::Events(batch) = read else {
            panic!("{read:?}")
        };
        let [event] = batch.events.as_slice() else {
            panic!("{batch:?}")
        };
        assert_eq!(event.account.as_deref(), Some("media1"));
        assert_eq!(
            (event.container.as_str(), event.blob.as_str()),
            ("uploads", "a/b film.mp4")
        );
    }
}
