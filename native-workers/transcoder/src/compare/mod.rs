//! How much of a source is left in a rendition, measured by the filters of ffmpeg: for people at a command line, with files and
//! URLs of their own, so ffmpeg runs as they do.
//!
//! Pictures are brought together by their times, the source is scaled to the rendition's size, and what the filters say of
//! picture after picture is summed up by seconds. Errors are sentences.

mod plot;

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::ffmpeg::Tools;
pub use plot::svg;

/// A video stream of a rendition.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// Among the video streams.
    place: usize,
    pub codec: String,
    pub width: u64,
    pub height: u64,
    /// `None` if nobody says.
    pub kbps: Option<u64>,
    frames_per_second: f64,
}

/// The pictures of one second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Second {
    /// Its beginning.
    pub time: u64,
    pictures: u64,
    squares: f64,
    ssims: f64,
}

/// What was measured of a rendition.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub name: String,
    pub video: Video,
    pub pictures: u64,
    /// In order; those without a picture are left out.
    pub seconds: Vec<Second>,
}

/// PSNR of a mean squared error of samples with eight bits.
fn decibels(mean_square: f64) -> f64 {
    10.0 * (255.0_f64.powi(2) / mean_square).log10()
}

impl Second {
    /// Of the mean error of its pictures, in dB; infinite if they are equal.
    pub fn psnr(&self) -> f64 {
        decibels(self.squares / self.pictures.max(1) as f64)
    }

    pub fn ssim(&self) -> f64 {
        self.ssims / self.pictures.max(1) as f64
    }
}

impl Measured {
    fn mean(&self, of: impl Fn(&Second) -> f64) -> f64 {
        self.seconds.iter().map(of).sum::<f64>() / self.pictures.max(1) as f64
    }

    pub fn psnr(&self) -> f64 {
        decibels(self.mean(|second| second.squares))
    }

    pub fn ssim(&self) -> f64 {
        self.mean(|second| second.ssims)
    }

    /// PSNR and SSIM of the worst second.
    pub fn lowest(&self) -> (f64, f64) {
        let least =
            |of: fn(&Second) -> f64| self.seconds.iter().map(of).fold(f64::INFINITY, f64::min);
        (least(Second::psnr), least(Second::ssim))
    }
}

/// Files by path, and what lies on the web by its URL: nothing else is opened, whatever a playlist says.
fn input(what: &str) -> Vec<String> {
    let remote = what.starts_with("http://") || what.starts_with("https://");
    let (protocols, what) = if remote {
        ("http,https,tcp,tls,crypto", what.to_owned())
    } else {
        ("file,crypto", format!("file:{what}"))
    };
    ["-protocol_whitelist", protocols, "-i", &what]
        .map(str::to_owned)
        .to_vec()
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }
}

fn rate(text: &str) -> f64 {
    let pair = text.split_once('/');
    let pair =
        pair.and_then(|(up, down)| Some((up.parse::<f64>().ok()?, down.parse::<f64>().ok()?)));
    pair.map_or(0.0, |(up, down)| if down > 0.0 { up / down } else { 0.0 })
}

/// The videos in `what`, in order.
///
/// Err: it cannot be read.
pub async fn videos(tools: &Tools, what: &str) -> Result<Vec<Video>, String> {
    let output = Command::new(&tools.ffprobe)
        .args(["-v", "error", "-of", "json", "-select_streams", "v"])
        .args(["-show_entries", "stream=codec_name,width,height,bit_rate,avg_frame_rate:stream_tags=variant_bitrate:format=bit_rate,nb_streams"])
        .args(input(what))
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("ffprobe does not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{what} cannot be read: {}", said.trim()));
    }
    let found = serde_json::from_slice(&output.stdout);
    let found = found.map_err(|error| format!("ffprobe cannot be understood: {error}"))?;
    Ok(read_videos(&found))
}

fn read_videos(found: &Value) -> Vec<Video> {
    let streams = found["streams"].as_array().cloned().unwrap_or_default();
    let whole = &found["format"];
    // What a file of one stream has, the stream has.
    let alone = number(&whole["nb_streams"]).filter(|&count| count == 1.0);
    let alone = alone.and_then(|_| number(&whole["bit_rate"]));
    let video = |(place, stream): (usize, &Value)| {
        let text = |name: &str| stream[name].as_str().unwrap_or_default().to_owned();
        let bits = number(&stream["bit_rate"]).or(number(&stream["tags"]["variant_bitrate"]));
        Video {
            place,
            codec: text("codec_name"),
            width: stream["width"].as_u64().unwrap_or(0),
            height: stream["height"].as_u64().unwrap_or(0),
            kbps: bits.or(alone).map(|bits| (bits / 1000.0).round() as u64),
            frames_per_second: rate(&text("avg_frame_rate")),
        }
    };
    // Covers and the like are pictures, too, and no renditions.
    let real = |video: &Video| video.width > 0 && video.codec != "mjpeg" && video.codec != "png";
    let videos = streams.iter().enumerate().map(video);
    videos.filter(real).collect()
}

/// Compares `video` of `what` with the first video of `source`, `most_seconds` of it at most.
///
/// Err: one of them cannot be read.
pub async fn compare(
    tools: &Tools,
    source: &str,
    what: &str,
    video: Video,
    most_seconds: Option<u32>,
) -> Result<Measured, String> {
    // A picture is compared with the one that the source shows at its time. Containers round times: a quarter of a picture
    // later it is still that one. The rendition's end is the end: the source's last picture stays a little longer, so that it
    // is not the one that ends first by such a rounding.
    let later = if video.frames_per_second > 0.0 {
        0.25 / video.frames_per_second
    } else {
        0.005
    };
    let graph = format!(
        "[0:v:{}]settb=1/90000,setpts=PTS-STARTPTS+{later:.6}/TB,format=yuv420p,setsar=1[b];\
         [1:v:0]settb=1/90000,setpts=PTS-STARTPTS,scale={}:{}:flags=bicubic,format=yuv420p,setsar=1,\
         tpad=stop_mode=clone:stop_duration=1,split[a1][a2];\
         [b][a1]psnr=shortest=1[p];[p][a2]ssim=shortest=1,metadata=mode=print:file=-[out]",
        video.place, video.width, video.height
    );
    let mut command = Command::new(&tools.ffmpeg);
    command.args(["-hide_banner", "-nostdin", "-v", "error"]);
    for (at, what) in [what, source].into_iter().enumerate() {
        if let Some(seconds) = most_seconds {
            // The source may not end before the rendition does.
            command.args(["-t", &(u64::from(seconds) + at as u64).to_string()]);
        }
        command.args(input(what));
    }
    command.args([
        "-filter_complex",
        &graph,
        "-map",
        "[out]",
        "-fps_mode",
        "passthrough",
    ]);
    command.args(["-f", "null", "-"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("ffmpeg does not start: {error}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, mut stderr) = stdout.zip(stderr).ok_or("ffmpeg has no output")?;
    let complaints = tokio::spawn(async move {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text).await;
        text
    });
    let mut tally = Tally::default();
    let mut lines = BufReader::new(stdout).lines();
    let broken = |error: std::io::Error| format!("ffmpeg cannot be listened to: {error}");
    while let Some(line) = lines.next_line().await.map_err(broken)? {
        tally.line(&line);
    }
    let status = child.wait().await.map_err(broken)?;
    let said = complaints.await.unwrap_or_default();
    let measured = tally.finish(what, video);
    if !status.success() || measured.pictures == 0 {
        return Err(format!(
            "{what} cannot be compared with {source}: {}",
            said.trim()
        ));
    }
    Ok(measured)
}

/// Reads what the filters say of picture after picture.
#[derive(Debug, Default)]
struct Tally {
    time: u64,
    square: f64,
    pictures: u64,
    seconds: Vec<Second>,
}

impl Tally {
    /// `frame:7 pts:... pts_time:0.28`, then one line for each number.
    fn line(&mut self, line: &str) {
        if line.starts_with("frame:") {
            let time = line
                .rsplit("pts_time:")
                .next()
                .and_then(|time| time.trim().parse::<f64>().ok());
            self.time = time.unwrap_or(0.0).max(0.0) as u64;
        } else if let Some(square) = line.strip_prefix("lavfi.psnr.mse_avg=") {
            self.square = square.trim().parse().unwrap_or(0.0);
        } else if let Some(ssim) = line.strip_prefix("lavfi.ssim.All=") {
            let ssim: f64 = ssim.trim().parse().unwrap_or(0.0);
            if self
                .seconds
                .last()
                .is_none_or(|last| last.time != self.time)
            {
                self.seconds.push(Second {
                    time: self.time,
                    ..Second::default()
                });
            }
            if let Some(second) = self.seconds.last_mut() {
                second.pictures += 1;
                second.squares += self.square;
                second.ssims += ssim;
            }
            self.pictures += 1;
        }
    }

    fn finish(self, what: &str, video: Video) -> Measured {
        let name = what.split(['?', '#']).next().unwrap_or(what);
        let name = name
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or(name);
        Measured {
            name: name.to_owned(),
            video,
            pictures: self.pictures,
            seconds: self.seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(super) fn measured(name: &str, seconds: &[(u64, f64, f64)]) -> Measured {
        let second = |&(time, squares, ssims): &(u64, f64, f64)| Second {
            time,
            pictures: 1,
            squares,
            ssims,
        };
        Measured {
            name: name.into(),
            video: Video {
                place: 0,
                codec: "h264".into(),
                width: 320,
                height: 180,
                kbps: Some(300),
                frames_per_second: 25.0,
            },
            pictures: seconds.len() as u64,
            seconds: seconds.iter().map(second).collect(),
        }
    }

    #[test]
    fn what_filters_print_is_summed_up_by_seconds() {
        let mut tally = Tally::default();
        for (time, square, ssim) in [
            ("0.01", "1.0", "0.9"),
            ("0.51", "3.0", "1.0"),
            ("1.01", "0.0", "1.0"),
        ] {
            tally.line(&format!("frame:0    pts:900     pts_time:{time}"));
            tally.line(&format!("lavfi.psnr.mse_avg={square}"));
            tally.line("lavfi.psnr.psnr_avg=48.13");
            tally.line(&format!("lavfi.ssim.All={ssim}"));
        }
        let measured = tally.finish(
            "https://host/a/film.ism/manifest?token=x",
            measured("", &[]).video,
        );
        assert_eq!(measured.name, "manifest");
        assert_eq!((measured.pictures, measured.seconds.len()), (3, 2));
        assert!((measured.seconds[0].ssim() - 0.95).abs() < 1e-9);
        assert!((measured.seconds[0].psnr() - 45.12).abs() < 0.01);
        assert!(measured.seconds[1].psnr().is_infinite());
        assert!((measured.psnr() - decibels(4.0 / 3.0)).abs() < 1e-9);
        assert!((measured.lowest().1 - 0.95).abs() < 1e-9);
    }

    async fn ffmpeg(tools: &Tools, arguments: &str, out: &std::path::Path) {
        let mut command = Command::new(&tools.ffmpeg);
        command.args(["-v", "error", "-nostdin", "-y"]);
        let status = command
            .args(arguments.split_whitespace())
            .arg(out)
            .status()
            .await;
        assert!(status.unwrap().success());
    }

    #[tokio::test]
    async fn a_worse_rendition_has_worse_numbers_and_a_copy_is_equal() {
        let tools = Tools::find(None).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let source = at("source.mkv");
        // An odd rate in a container that rounds times to milliseconds.
        ffmpeg(
            &tools,
            "-f lavfi -i testsrc2=s=320x180:r=30000/1001:d=4 -c:v libx264 -qp 0",
            &source,
        )
        .await;
        let from = format!("-i {}", source.display());
        ffmpeg(
            &tools,
            &format!("{from} -c:v libx264 -crf 20 -pix_fmt yuv420p"),
            &at("good.mp4"),
        )
        .await;
        ffmpeg(
            &tools,
            &format!("{from} -c:v libx264 -crf 45 -pix_fmt yuv420p"),
            &at("bad.mp4"),
        )
        .await;
        // Pictures a third of a second late, but for that the good ones.
        ffmpeg(
            &tools,
            &format!("{from} -vf tpad=start=10 -c:v libx264 -crf 20"),
            &at("late.mp4"),
        )
        .await;
        ffmpeg(
            &tools,
            &format!("{from} -vf fps=30000/2002,scale=160:90 -c:v libx264 -crf 20"),
            &at("thin.mp4"),
        )
        .await;
        let mut found = Vec::new();
        for name in ["source.mkv", "good.mp4", "bad.mp4", "late.mp4", "thin.mp4"] {
            let (what, source) = (at(name), source.to_str().unwrap());
            let what = what.to_str().unwrap();
            let mut videos = videos(&tools, what).await.unwrap();
            assert_eq!(videos.len(), 1, "{name}");
            found.push(
                compare(&tools, source, what, videos.remove(0), Some(3))
                    .await
                    .unwrap(),
            );
        }
        let numbers: Vec<_> = found.iter().map(|one| (one.psnr(), one.ssim())).collect();
        assert!(
            numbers[0].0.is_infinite() && numbers[0].1 > 0.9999,
            "{numbers:?}"
        );
        assert!(numbers[1].0 > 35.0 && numbers[1].1 > 0.97, "{numbers:?}");
        assert!(
            numbers[2].0 < numbers[1].0 - 5.0 && numbers[2].1 < numbers[1].1,
            "{numbers:?}"
        );
        assert!(numbers[3].1 < 0.95, "{numbers:?}");
        // Half the pictures, each beside the one that is shown with it.
        assert!(numbers[4].1 > 0.95, "{numbers:?}");
        assert!(
            (85..=95).contains(&found[1].pictures),
            "{}",
            found[1].pictures
        );
        assert_eq!(found[1].seconds.len(), 3);
        let (from, good) = (source.to_str().unwrap(), at("good.mp4"));
        let video = found.remove(1).video;
        let all = compare(&tools, from, good.to_str().unwrap(), video, None);
        assert_eq!(all.await.unwrap().pictures, 120);
    }

    #[test]
    fn renditions_are_the_videos_of_a_presentation() {
        let found = json!({"streams": [
            {"codec_name": "h264", "width": 1280, "height": 720, "avg_frame_rate": "25/1", "tags": {"variant_bitrate": "2000400"}},
            {"codec_name": "mjpeg", "width": 100, "height": 100, "avg_frame_rate": "0/0"},
            {"codec_name": "h264", "width": 640, "height": 360, "avg_frame_rate": "25/1", "bit_rate": "700000"}],
            "format": {"nb_streams": 3, "bit_rate": "9"}});
        let videos = read_videos(&found);
        let read: Vec<_> = videos
            .iter()
            .map(|video| (video.place, video.kbps))
            .collect();
        assert_eq!(read, [(0, Some(2000)), (2, Some(700))]);
    }
}
