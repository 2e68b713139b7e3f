//! `headwater jobs`.

use super::table::instant;
use super::{Listing, Session, Target, name, property, text};
use crate::publish;
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
    /// List jobs, the newest first.
    List {
        /// Only those of this transform.
        #[arg(long)]
        transform: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
    /// List what jobs can be made of.
    Transforms(Listing),
    /// Print one job.
    Show { transform: String, job: String },
    /// Start a job. Its output asset is made if it is not there.
    Submit {
        transform: String,
        job: String,
        /// The asset to encode.
        #[arg(long)]
        input: String,
        /// A file of it; all of them if none is named.
        #[arg(long)]
        file: Vec<String>,
        /// The asset for what comes out; called like the job if none is named.
        #[arg(long)]
        output: Option<String>,
        /// Wait for its end.
        #[arg(long)]
        wait: bool,
    },
    /// Follow a job to its end.
    Watch { transform: String, job: String },
    /// Stop a job.
    Cancel { transform: String, job: String },
    /// Delete a job. What it made stays.
    Delete { transform: String, job: String },
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let session = args.target.open()?;
    match args.command {
        Command::List {
            transform,
            mut listing,
        } => {
            listing
                .orderby
                .get_or_insert_with(|| "properties/created desc".to_owned());
            let path = match &transform {
                Some(transform) => vec!["transforms", transform.as_str(), "jobs"],
                None => vec!["jobs"],
            };
            session
                .print_list(
                    &path,
                    &listing,
                    &[
                        ("transform", transform_of),
                        ("job", name),
                        ("state", |job| property(job, "state")),
                        ("progress", |job| format!("{} %", progress(job))),
                        ("input", |job| input(&job["properties"]["input"])),
                        ("created", |job| instant(&property(job, "created"))),
                        ("error", error),
                    ],
                )
                .await
        }
        Command::Transforms(listing) => {
            session
                .print_list(
                    &["transforms"],
                    &listing,
                    &[
                        ("name", name),
                        ("preset", preset),
                        ("description", |item| property(item, "description")),
                    ],
                )
                .await
        }
        Command::Show { transform, job } => show(&session, &transform, &job).await,
        Command::Submit {
            transform,
            job,
            input,
            file,
            output,
            wait,
        } => {
            let output = output.unwrap_or_else(|| job.clone());
            session
                .put(&["assets", &output], &json!({"properties": {}}))
                .await?;
            let mut source =
                json!({"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": input});
            if !file.is_empty() {
                source["files"] = json!(file);
            }
            session
                .put(
                    &["transforms", &transform, "jobs", &job],
                    &json!({"properties": {
                        "input": source,
                        "outputs": [{"@odata.type": "#Microsoft.Media.JobOutputAsset", "assetName": output}],
                    }}),
                )
                .await?;
            if wait {
                return watch(&session, &transform, &job).await;
            }
            show(&session, &transform, &job).await
        }
        Command::Watch { transform, job } => watch(&session, &transform, &job).await,
        Command::Cancel { transform, job } => {
            session
                .post(&["transforms", &transform, "jobs", &job, "cancelJob"], None)
                .await?;
            show(&session, &transform, &job).await
        }
        Command::Delete { transform, job } => {
            session
                .delete(
                    &["transforms", &transform, "jobs", &job],
                    &format!("job '{job}' of transform '{transform}'"),
                )
                .await
        }
    }
}

/// Follows a job; it fails as the job does, so that a script can tell.
async fn watch(session: &Session, transform: &str, job: &str) -> Result<()> {
    let path = session.path(&["transforms", transform, "jobs", job]);
    publish::wait_for(&session.api, &path, job).await?;
    show(session, transform, job).await
}

async fn show(session: &Session, transform: &str, job_name: &str) -> Result<()> {
    let job = session
        .get(&["transforms", transform, "jobs", job_name])
        .await?;
    let outputs: Vec<_> = job["properties"]["outputs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|output| text(output, "/assetName"))
        .collect();
    session.print_one(
        &job,
        &[
            ("job", name(&job)),
            ("transform", transform.to_owned()),
            ("state", property(&job, "state")),
            ("progress", format!("{} %", progress(&job))),
            ("input", input(&job["properties"]["input"])),
            ("output", outputs.join(", ")),
            ("priority", property(&job, "priority")),
            ("created", instant(&property(&job, "created"))),
            ("started", instant(&property(&job, "startTime"))),
            ("ended", instant(&property(&job, "endTime"))),
            ("error", error(&job)),
        ],
    )
}

/// What a job reads, whatever kind of input it is: assets by name and files, URLs, one after the other with a plus, and what a
/// preset calls by label with the label in front.
fn input(input: &Value) -> String {
    let parts = |separator: &str| {
        let inputs = input["inputs"].as_array().into_iter().flatten();
        inputs.map(self::input).collect::<Vec<_>>().join(separator)
    };
    let kind = text(input, "/@odata.type").rsplit('.').next();
    let files: Vec<_> = input["files"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let what = match kind {
        Some("JobInputSequence") => return parts(" + "),
        Some("JobInputs") => return parts(", "),
        Some("JobInputHttp") => match text(input, "/baseUri") {
            "" => files.join(", "),
            base => {
                let base = base.trim_end_matches('/');
                let urls: Vec<_> = files.iter().map(|file| format!("{base}/{file}")).collect();
                urls.join(", ")
            }
        },
        _ => {
            let asset = text(input, "/assetName");
            match files.is_empty() {
                true => asset.to_owned(),
                false => format!("{asset} ({})", files.join(", ")),
            }
        }
    };
    let time = |end: &str| text(input, &format!("/{end}/time"));
    let cut = match (time("start"), time("end")) {
        ("", "") => String::new(),
        (start, "") => format!(" from {start}"),
        ("", end) => format!(" to {end}"),
        (start, end) => format!(" from {start} to {end}"),
    };
    match text(input, "/label") {
        "" => format!("{what}{cut}"),
        label => format!("{label}: {what}{cut}"),
    }
}

/// What a transform makes, by the preset's name or, without one, its kind.
fn preset(item: &Value) -> String {
    let preset = &item["properties"]["outputs"][0]["preset"];
    match text(preset, "/presetName") {
        "" => {
            let kind = text(preset, "/@odata.type").rsplit('.').next();
            kind.unwrap_or_default().to_owned()
        }
        named => named.to_owned(),
    }
}

/// The mean of its outputs', in per cent.
fn progress(job: &Value) -> u64 {
    let of = |output: &Value| output["progress"].as_u64().unwrap_or(0);
    let outputs = job["properties"]["outputs"].as_array();
    let all: Vec<_> = outputs.into_iter().flatten().map(of).collect();
    let count = u64::try_from(all.len()).unwrap_or(1).max(1);
    all.iter().sum::<u64>() / count
}

/// What went wrong with the first output that failed.
fn error(job: &Value) -> String {
    let outputs = job["properties"]["outputs"].as_array();
    let failed = outputs
        .into_iter()
        .flatten()
        .find(|output| output["error"].is_object());
    failed.map_or_else(String::new, |output| {
        format!(
            "{}: {}",
            text(output, "/error/code"),
            text(output, "/error/message")
        )
    })
}

/// `.../transforms/{transform}/jobs/{job}`, as the resource's id has it.
fn transform_of(job: &Value) -> String {
    let mut parts = text(job, "/id").rsplit('/');
    parts.nth(2).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_in_a_line() {
        let job = json!({
            "id": "/subscriptions/s/x/transforms/t/jobs/j",
            "properties": {"outputs": [
                {"progress": 100},
                {"progress": 51, "error": {"code": "ContentUnsupported", "message": "no video"}},
            ]},
        });
        assert_eq!(transform_of(&job), "t");
        assert_eq!(progress(&job), 75);
        assert_eq!(error(&job), "ContentUnsupported: no video");
        assert_eq!(progress(&json!({})), 0);
    }

    #[test]
    fn inputs_of_every_kind_in_a_line() {
        let asset = json!({"@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": "film", "files": []});
        assert_eq!(input(&asset), "film");
        let cut = json!({
            "@odata.type": "#Microsoft.Media.JobInputAsset", "assetName": "film", "files": ["a.mp4", "b.mp4"],
            "label": "main",
            "start": {"@odata.type": "#Microsoft.Media.AbsoluteClipTime", "time": "PT5S"},
        });
        assert_eq!(input(&cut), "main: film (a.mp4, b.mp4) from PT5S");
        let http = json!({
            "@odata.type": "#Microsoft.Media.JobInputHttp", "baseUri": "https://h/x/", "files": ["a.mp4"],
            "end": {"time": "PT9S"},
        });
        assert_eq!(input(&http), "https://h/x/a.mp4 to PT9S");
        let alone =
            json!({"@odata.type": "#Microsoft.Media.JobInputHttp", "files": ["https://h/a.mp4"]});
        let sequence =
            json!({"@odata.type": "#Microsoft.Media.JobInputSequence", "inputs": [asset, alone]});
        assert_eq!(input(&sequence), "film + https://h/a.mp4");
        let several =
            json!({"@odata.type": "#Microsoft.Media.JobInputs", "inputs": [sequence, cut]});
        assert_eq!(
            input(&several),
            "film + https://h/a.mp4, main: film (a.mp4, b.mp4) from PT5S"
        );
    }
}
