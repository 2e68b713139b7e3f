//! What a layer of a preset asks for is in the bitstream that comes of it, as ffmpeg's own reader of headers tells.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::jobs::{encode, keys, stream};
use crate::support::media;

/// Four seconds, with a cut after one and a half.
fn film(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("film.mkv");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=1.52 -f lavfi -i smptebars=s=320x180:r=25:d=2.48 \
         -filter_complex [0][1]concat=n=2 -pix_fmt yuv420p -c:v ffv1",
        &path,
    );
    path
}

/// A preset of one layer: `video` and `layer` are laid over what it has otherwise.
fn preset(video: &Value, layer: &Value) -> Value {
    let over = |mut base: Value, more: &Value| {
        for (name, value) in more.as_object().into_iter().flatten() {
            base[name] = value.clone();
        }
        base
    };
    let plain = json!({"width": 320, "height": 180, "bitrate": 300_000});
    let base = json!({"@odata.type": "#Microsoft.Media.H264Video", "complexity": "Balanced", "layers": [over(plain, layer)]});
    json!({
        "@odata.type": "#Microsoft.Media.StandardEncoderPreset",
        "codecs": [over(base, video)],
        "formats": [{"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}_{Bitrate}{Extension}"}],
    })
}

/// What a film of that preset says of itself.
struct Told {
    made: crate::support::jobs::Made,
    headers: String,
}

async fn told(source: &Path, video: Value, layer: Value) -> Told {
    let made = encode(source, preset(&video, &layer)).await;
    assert_eq!(made.engine, "ffmpeg");
    let mut reader = Command::new("ffmpeg");
    reader
        .args(["-v", "info", "-nostdin", "-i"])
        .arg(made.path(".mp4"));
    reader.args(["-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"]);
    let headers = String::from_utf8_lossy(&reader.output().unwrap().stderr).into_owned();
    Told { made, headers }
}

impl Told {
    fn file(&self) -> std::path::PathBuf {
        self.made.path(".mp4")
    }

    /// The values of a syntax element (ITU-T H.264, clause 7.3), in the order in which they come.
    fn all(&self, element: &str) -> Vec<i64> {
        let named = self.headers.lines().filter(|line| {
            let mut words = line.split_whitespace();
            words.any(|word| word == element)
        });
        named
            .filter_map(|line| line.rsplit('=').next()?.trim().parse().ok())
            .collect()
    }

    /// The first of them.
    fn one(&self, element: &str) -> i64 {
        *self
            .all(element)
            .first()
            .unwrap_or_else(|| panic!("no {element}"))
    }

    /// How the pictures are coded, in the order in which they are shown: `I`, `P`, `B`.
    fn kinds(&self) -> String {
        let frames = media::probe(
            &self.file(),
            "-select_streams v:0 -show_entries frame=pict_type",
        );
        let frames = frames["frames"].as_array().unwrap().iter();
        frames
            .map(|frame| frame["pict_type"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn count(kinds: &str, kind: char) -> usize {
    kinds.chars().filter(|&other| other == kind).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_references_slices_and_entropy_coding_are_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());

    let plain = told(&film, json!({}), json!({})).await;
    assert!(count(&plain.kinds(), 'B') > 20, "{}", plain.kinds());
    assert_eq!(plain.one("entropy_coding_mode_flag"), 1);
    assert_eq!(plain.all("slice_type").len(), 100);

    let none = told(
        &film,
        json!({}),
        json!({"bFrames": 0, "referenceFrames": 2}),
    )
    .await;
    assert_eq!(count(&none.kinds(), 'B'), 0, "{}", none.kinds());
    assert_eq!(none.one("max_num_ref_frames"), 2);

    let fixed = json!({"bFrames": 3, "adaptiveBFrame": false, "referenceFrames": 4});
    let fixed = told(&film, json!({}), fixed).await;
    // Three between any two others, but for the ends of groups.
    let kinds = fixed.kinds();
    assert!(count(&kinds, 'B') >= 70, "{kinds}");
    assert!(
        kinds.contains("PBBBP") && !kinds.contains("BBBB"),
        "{kinds}"
    );
    assert_eq!(fixed.one("max_num_ref_frames"), 4);

    let cut = told(
        &film,
        json!({}),
        json!({"slices": 4, "entropyMode": "Cavlc"}),
    )
    .await;
    assert_eq!(cut.one("entropy_coding_mode_flag"), 0);
    assert_eq!(cut.all("slice_type").len(), 400);
    assert_eq!(media::packets(&cut.file(), "v:0").len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_and_levels_are_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());
    for (profile, number, pixels) in [
        ("Baseline", 66, "yuv420p"),
        ("Main", 77, "yuv420p"),
        ("High", 100, "yuv420p"),
        ("High422", 122, "yuv422p"),
        ("High444", 244, "yuv444p"),
    ] {
        let told = told(
            &film,
            json!({}),
            json!({"profile": profile, "level": "3.1"}),
        )
        .await;
        assert_eq!(told.one("profile_idc"), number, "{profile}");
        assert_eq!(told.one("level_idc"), 31, "{profile}");
        assert_eq!(stream(&told.file(), "v:0")["pix_fmt"], pixels, "{profile}");
        if profile == "Baseline" {
            assert_eq!(count(&told.kinds(), 'B'), 0);
            assert_eq!(told.one("entropy_coding_mode_flag"), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_frames_and_frame_rates_are_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let film = film(folder.path());

    let dense = told(&film, json!({"keyFrameInterval": "PT1S"}), json!({})).await;
    assert_eq!(keys(&dense.file()), [0.0, 1.0, 2.0, 3.0]);

    let cuts = json!({"keyFrameInterval": "PT2S", "sceneChangeDetection": true});
    let cuts = told(&film, cuts, json!({})).await;
    assert_eq!(keys(&cuts.file()), [0.0, 1.52, 2.0]);
    let none = told(&film, json!({"keyFrameInterval": "PT2S"}), json!({})).await;
    assert_eq!(keys(&none.file()), [0.0, 2.0]);

    let half = told(&film, json!({}), json!({"frameRate": "25/2"})).await;
    let mut times: Vec<f64> = media::packets(&half.file(), "v:0")
        .iter()
        .map(|packet| packet.pts)
        .collect();
    times.sort_by(f64::total_cmp);
    assert_eq!(times.len(), 50);
    assert!(
        times
            .windows(2)
            .all(|two| (two[1] - two[0] - 0.08).abs() < 0.001),
        "{times:?}"
    );
}

/// Noise after a title: what is saved on the one must not be spent on the other in one go.
#[tokio::test(flavor = "multi_thread")]
async fn a_buffer_holds_what_it_was_asked_to_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise.mkv");
    media::ffmpeg(
        "-f lavfi -i color=gray:s=320x180:r=25:d=4 -f lavfi -i color=gray:s=320x180:r=25:d=8 \
         -filter_complex [1]noise=alls=60:allf=t[n];[0][n]concat=n=2 -pix_fmt yuv420p -c:v ffv1",
        &path,
    );
    for (window, seconds) in [("PT1S", 1.0), ("PT4S", 4.0)] {
        let layer = json!({"bitrate": 300_000, "maxBitrate": 450_000, "bufferWindow": window});
        let told = told(&path, json!({}), layer).await;
        let packets = media::packets(&told.file(), "v:0");
        let mut most = 0.0_f64;
        for (index, first) in packets.iter().enumerate() {
            let second = packets[index..]
                .iter()
                .take_while(|packet| packet.pts < first.pts + 1.0);
            most = most.max(second.map(|packet| packet.size).sum::<u64>() as f64 * 8.0);
        }
        // What comes in a second and what the buffer held before it.
        let allowed = 450_000.0 * (1.0 + seconds);
        assert!(
            most < allowed * 1.05,
            "{window}: {most} of {allowed} in a second"
        );
    }
}
