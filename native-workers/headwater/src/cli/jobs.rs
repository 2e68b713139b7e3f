//! `headwater jobs`.

use super::table::instant;
use super::{Listing, Session, Target, text};
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
            let jobs = match &transform {
                Some(transform) => {
                    session
                        .list(&["transforms", transform, "jobs"], &listing)
                        .await?
                }
                None => session.list(&["jobs"], &listing).await?,
            };
            session.print_list(
                &jobs,
                &["transform", "job", "state", "progress", "created", "error"],
                |job| {
                    vec![
                        transform_of(job),
                        text(job, "/name").to_owned(),
                        text(job, "/properties/state").to_owned(),
                        format!("{} %", progress(job)),
                        instant(text(job, "/properties/created")),
                        error(job),
                    ]
                },
            )
        }
        Command::Transforms(listing) => {
            let transforms = session.list(&["transforms"], &listing).await?;
            session.print_list(&transforms, &["name", "preset", "description"], |item| {
                let preset = &item["properties"]["outputs"][0]["preset"];
                let kind = text(preset, "/@odata.type").rsplit('.').next();
                let named = text(preset, "/presetName");
                vec![
                    text(item, "/name").to_owned(),
                    if named.is_empty() {
                        kind.unwrap_or_default().to_owned()
                    } else {
                        named.to_owned()
                    },
                    text(item, "/properties/description").to_owned(),
                ]
            })
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

async fn show(session: &Session, transform: &str, name: &str) -> Result<()> {
    let job = session
        .get(&["transforms", transform, "jobs", name])
        .await?;
    let property = |name: &str| text(&job, &format!("/properties/{name}")).to_owned();
    let outputs: Vec<_> = job["properties"]["outputs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|output| text(output, "/assetName").to_owned())
        .collect();
    session.print_one(
        &job,
        &[
            ("job", text(&job, "/name").to_owned()),
            ("transform", transform.to_owned()),
            ("state", property("state")),
            ("progress", format!("{} %", progress(&job))),
            (
                "input",
                text(&job, "/properties/input/assetName").to_owned(),
            ),
            ("output", outputs.join(", ")),
            ("priority", property("priority")),
            ("created", instant(&property("created"))),
            ("started", instant(&property("startTime"))),
            ("ended", instant(&property("endTime"))),
            ("error", error(&job)),
        ],
    )
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
}
