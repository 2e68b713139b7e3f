//! `headwater live`.

use super::table::instant;
use super::{Listing, Session, Target, name, print_json, print_more, property, text};
use anyhow::{Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

#[derive(Parser)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

/// What an encoder speaks.
#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    Rtmp,
    Srt,
    /// Smooth ingest: fragmented MP4 by HTTP
    Smooth,
}

#[derive(Subcommand)]
enum Command {
    /// List live events.
    List(Listing),
    /// Print a live event: where to send it, where to watch it, what is recorded.
    Show { event: String },
    /// Make a live event.
    Create {
        event: String,
        #[arg(long, value_enum, default_value = "rtmp")]
        protocol: Protocol,
        /// The AMS encoding type.
        #[arg(long, default_value = "PassthroughBasic")]
        encoding: String,
        /// Parts of segments, for a latency of some seconds.
        #[arg(long)]
        low_latency: bool,
        /// Start it at once.
        #[arg(long)]
        start: bool,
    },
    /// Take encoders in from now on.
    Start { event: String },
    /// Stop it. Its recordings have to be ended before, or are with `--remove-outputs`.
    Stop {
        event: String,
        /// End its recordings; what they recorded stays.
        #[arg(long)]
        remove_outputs: bool,
    },
    /// Send its encoder away and begin a new timeline.
    Reset { event: String },
    /// Record into an asset, which is made if it is not there.
    Record {
        event: String,
        output: String,
        /// Called like the output if none is named.
        #[arg(long)]
        asset: Option<String>,
        /// How far viewers can go back, and how much is kept, as an ISO 8601 duration.
        #[arg(long, default_value = "PT1H")]
        window: String,
    },
    /// End a recording. The asset stays.
    EndRecording { event: String, output: String },
    /// Delete a stopped live event.
    Delete { event: String },
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let session = args.target.open()?;
    match args.command {
        Command::List(listing) => {
            session
                .print_list(
                    &["liveEvents"],
                    &listing,
                    &[
                        ("name", name),
                        ("state", |event| property(event, "resourceState")),
                        ("protocol", |event| {
                            property(event, "input/streamingProtocol")
                        }),
                        ("encoding", |event| property(event, "encoding/encodingType")),
                        ("created", |event| instant(&property(event, "created"))),
                    ],
                )
                .await
        }
        Command::Show { event } => show(&session, &event).await,
        Command::Create {
            event,
            protocol,
            encoding,
            low_latency,
            start,
        } => {
            let protocol = match protocol {
                Protocol::Rtmp => "RTMP",
                Protocol::Srt => "SRT",
                Protocol::Smooth => "FragmentedMP4",
            };
            let mut properties = json!({
                "input": {"streamingProtocol": protocol},
                "encoding": {"encodingType": encoding},
            });
            if low_latency {
                properties["streamOptions"] = json!(["LowLatencyV2"]);
            }
            session
                .put(&["liveEvents", &event], &json!({"properties": properties}))
                .await?;
            if start {
                act(&session, &event, "start", None, "Running").await?;
            }
            show(&session, &event).await
        }
        Command::Start { event } => {
            act(&session, &event, "start", None, "Running").await?;
            show(&session, &event).await
        }
        Command::Stop {
            event,
            remove_outputs,
        } => {
            let body = json!({ "removeOutputsOnStop": remove_outputs });
            act(&session, &event, "stop", Some(&body), "Stopped").await?;
            show(&session, &event).await
        }
        Command::Reset { event } => {
            act(&session, &event, "reset", None, "Running").await?;
            show(&session, &event).await
        }
        Command::Record {
            event,
            output,
            asset,
            window,
        } => {
            let asset = asset.unwrap_or_else(|| output.clone());
            session
                .put(&["assets", &asset], &json!({"properties": {}}))
                .await?;
            session
                .put(
                    &["liveEvents", &event, "liveOutputs", &output],
                    &json!({"properties": {"assetName": asset, "archiveWindowLength": window}}),
                )
                .await?;
            // While the event runs its worker is told within some seconds: who sends before would miss the beginning.
            let running = session.get(&["liveEvents", &event]).await?;
            if property(&running, "resourceState") == "Running" {
                session
                    .wait_until(
                        &["liveEvents", &event, "liveOutputs", &output],
                        &format!("{event}: record"),
                        |item| Ok(property(item, "resourceState") == "Running"),
                    )
                    .await?;
            }
            show(&session, &event).await
        }
        Command::EndRecording { event, output } => {
            session
                .delete(
                    &["liveEvents", &event, "liveOutputs", &output],
                    &format!("output '{output}' of live event '{event}'"),
                )
                .await
        }
        Command::Delete { event } => {
            session
                .delete(&["liveEvents", &event], &format!("live event '{event}'"))
                .await
        }
    }
}

/// Asks for a change of state and waits for it.
async fn act(
    session: &Session,
    event: &str,
    action: &str,
    body: Option<&Value>,
    wanted: &str,
) -> Result<()> {
    session.post(&["liveEvents", event, action], body).await?;
    let doing = format!("{event}: {action}");
    session
        .wait_until(&["liveEvents", event], &doing, |item| {
            let state = text(item, "/properties/resourceState");
            if state == "Error" {
                bail!("live event '{event}' failed; its ingest worker's log says why");
            }
            Ok(state == wanted)
        })
        .await?;
    Ok(())
}

async fn show(session: &Session, event_name: &str) -> Result<()> {
    let event = session.get(&["liveEvents", event_name]).await?;
    let listing = Listing {
        filter: None,
        orderby: None,
        limit: 1000,
    };
    let outputs = session
        .list(&["liveEvents", event_name, "liveOutputs"], &listing)
        .await?;
    if session.json {
        return print_json(&json!({"liveEvent": event, "liveOutputs": outputs}));
    }
    session.print_one(
        &event,
        &[
            ("name", name(&event)),
            ("state", property(&event, "resourceState")),
            ("encoding", property(&event, "encoding/encodingType")),
            ("send to", urls(&event, "/properties/input/endpoints")),
            ("preview", urls(&event, "/properties/preview/endpoints")),
            ("created", instant(&property(&event, "created"))),
        ],
    )?;
    print_more(
        &json!(outputs),
        &[
            ("output", name),
            ("asset", |output| property(output, "assetName")),
            ("state", |output| property(output, "resourceState")),
            ("window", |output| property(output, "archiveWindowLength")),
            ("manifest", |output| property(output, "manifestName")),
        ],
    )
}

/// The URLs of an event's endpoints, one to a line and indented below the first.
fn urls(event: &Value, pointer: &str) -> String {
    let endpoints = event.pointer(pointer).and_then(Value::as_array);
    let urls: Vec<_> = endpoints
        .into_iter()
        .flatten()
        .map(|endpoint| text(endpoint, "/url"))
        .collect();
    urls.join("\n          ")
}
