//! `headwater compare A B...`: how much of A is left in its renditions.
//!
//! A is the source; each B is a file, or a playlist, an MPD or a file by URL, and every video in it is a rendition. Pictures
//! are brought together by their times, A is scaled to the rendition's size, and PSNR and SSIM of all planes are computed by
//! the filters of the ffmpeg that a worker encodes with. To standard output: a table, or with `--json` everything, second by
//! second. `--plot` writes both over time as an SVG.

use anyhow::{Context, Error, Result, bail};
use clap::Parser;
use headwater_transcoder::compare::{self, Measured, Second};
use headwater_transcoder::ffmpeg::Tools;
use serde_json::{Value, json};
use std::path::PathBuf;

use crate::cli::{say, table::table};

#[derive(Parser)]
pub(crate) struct Args {
    /// The source: a file or a URL.
    source: String,
    /// Files, playlists or MPDs made of it; or their URLs.
    #[arg(required = true)]
    renditions: Vec<String>,
    /// Compare no more than so many seconds.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Draw PSNR and SSIM over time into this file.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Print JSON, with every second.
    #[arg(long)]
    json: bool,
    /// Folder with ffmpeg and ffprobe, if they are not to be looked for in PATH.
    #[arg(long, env = "HEADWATER_FFMPEG_DIR")]
    ffmpeg_dir: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let tools = Tools::find(args.ffmpeg_dir).await.map_err(Error::msg)?;
    for filter in ["psnr", "ssim"] {
        if !tools.has_filter(filter) {
            bail!("ffmpeg {} lacks the filter {filter}", tools.version);
        }
    }
    let of = async |what: &str| {
        let videos = compare::videos(&tools, what).await.map_err(Error::msg)?;
        if videos.is_empty() {
            bail!("{what} has no video");
        }
        anyhow::Ok(videos)
    };
    of(&args.source).await?;
    let mut measured = Vec::new();
    for what in &args.renditions {
        for video in of(what).await? {
            let one = compare::compare(&tools, &args.source, what, video, args.seconds).await;
            measured.push(one.map_err(Error::msg)?);
        }
    }
    if let Some(path) = &args.plot {
        let svg = compare::svg(&measured);
        std::fs::write(path, svg).with_context(|| format!("writing {}", path.display()))?;
    }
    if args.json {
        let renditions: Vec<Value> = measured.iter().map(json).collect();
        let all = json!({"source": args.source, "renditions": renditions});
        return say(&format!("{}\n", serde_json::to_string_pretty(&all)?));
    }
    let rows: Vec<Vec<String>> = measured.iter().map(row).collect();
    let heads = [
        "rendition",
        "codec",
        "size",
        "kbit/s",
        "pictures",
        "psnr",
        "lowest",
        "ssim",
        "lowest",
    ];
    say(&table(&heads, &rows))
}

/// Decibels; equal pictures have no end of them.
fn decibels(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.2}")
    } else {
        "equal".into()
    }
}

fn row(measured: &Measured) -> Vec<String> {
    let video = &measured.video;
    let lowest = measured.lowest();
    vec![
        measured.name.clone(),
        video.codec.clone(),
        format!("{}x{}", video.width, video.height),
        video.kbps.map_or_else(String::new, |kbps| kbps.to_string()),
        measured.pictures.to_string(),
        decibels(measured.psnr()),
        decibels(lowest.0),
        format!("{:.4}", measured.ssim()),
        format!("{:.4}", lowest.1),
    ]
}

fn json(measured: &Measured) -> Value {
    // JSON has no infinity.
    let finite = |value: f64| value.is_finite().then_some(value);
    let second = |second: &Second| json!({"time": second.time, "psnr": finite(second.psnr()), "ssim": second.ssim()});
    let lowest = measured.lowest();
    json!({
        "name": measured.name,
        "codec": measured.video.codec,
        "width": measured.video.width,
        "height": measured.video.height,
        "kbps": measured.video.kbps,
        "pictures": measured.pictures,
        "psnr": finite(measured.psnr()),
        "lowestPsnr": finite(lowest.0),
        "ssim": measured.ssim(),
        "lowestSsim": lowest.1,
        "seconds": measured.seconds.iter().map(second).collect::<Vec<_>>(),
    })
}
