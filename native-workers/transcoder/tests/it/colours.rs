//! Colours that are laid over a film or faded to, as a screen shows them.

use std::path::Path;
use std::process::Command;

use crate::support::jobs::{fake, run, small, standard};
use crate::support::media;
use headwater_transcoder::auto::Choice;
use headwater_work::{Selection, WorkInput};
use serde_json::{Value, json};

/// Red, green and blue of `file` at `seconds` around `(x, y)`, read as BT.709.
fn colour(file: &Path, seconds: &str, (x, y): (u32, u32)) -> [u8; 3] {
    let filters = format!(
        "scale=in_color_matrix=bt709:in_range=tv:flags=accurate_rnd+full_chroma_int,format=rgb24,crop=2:2:{x}:{y},scale=1:1"
    );
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-ss", seconds, "-i"])
        .arg(file)
        .args(["-frames:v", "1", "-vf", &filters, "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    output.stdout.try_into().unwrap()
}

#[track_caller]
fn assert_close(found: [u8; 3], wanted: [u8; 3]) {
    let near = found
        .iter()
        .zip(wanted)
        .all(|(found, wanted)| found.abs_diff(wanted) <= 6);
    assert!(near, "{found:?} for {wanted:?}");
}

fn hd(codec: &str, layer: Value) -> Value {
    let mut video = small(codec);
    video["layers"] = json!([layer]);
    video
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logo_keeps_its_colours() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("film.mkv");
    media::ffmpeg(
        "-f lavfi -i color=gray:s=1280x720:r=25:d=2 -c:v libx264 -preset ultrafast",
        &source,
    );
    let logo = folder.path().join("logo.png");
    media::ffmpeg(
        "-f lavfi -i color=0x00e000:s=200x200 -frames:v 1 -pix_fmt rgb24",
        &logo,
    );
    for opacity in [1.0, 0.5] {
        let fake = fake(Choice::Auto).await;
        for path in [&source, &logo] {
            let name = path.file_name().unwrap().to_str().unwrap();
            fake.upload(name, std::fs::read(path).unwrap());
        }
        let labelled = Selection {
            label: Some("logo".into()),
            ..Selection::default()
        };
        let input = WorkInput::Several {
            inputs: vec![fake.input("film.mkv"), fake.cut_input("logo.png", labelled)],
        };
        let overlays = json!({"overlays": [{"@odata.type": "#Microsoft.Media.VideoOverlay", "inputLabel": "logo",
            "opacity": opacity, "position": {"left": "100", "top": "100"}}]});
        let layer =
            json!({"width": 1280, "height": 720, "bitrate": 3_000_000, "profile": "Main10"});
        let codecs = json!([hd("H265Video", layer)]);
        fake.queue_with(input, vec![standard(codecs, overlays)]);
        let made = run(&fake).await;
        let file = made.path(".mp4");
        assert_close(colour(&file, "1", (600, 400)), [128; 3]);
        let wanted = [0_u8, 224, 0]
            .map(|value| (f64::from(value) * opacity + 128.0 * (1.0 - opacity)).round() as u8);
        assert_close(colour(&file, "1", (200, 200)), wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fading_to_a_colour_leaves_the_rest_of_the_film_alone() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("film.mkv");
    // Not marked, so BT.709 by its size.
    media::ffmpeg(
        "-f lavfi -i color=0x00e000:s=1280x720:r=25:d=3 -vf scale=out_color_matrix=bt709:out_range=tv,format=yuv420p \
         -c:v libx264 -preset ultrafast",
        &source,
    );
    let fake = fake(Choice::Auto).await;
    fake.upload("film.mkv", std::fs::read(source).unwrap());
    let fades = json!({"fadeOut": {"duration": "PT1S", "start": "PT1.5S", "fadeColor": "#e00000"}});
    let layer = json!({"width": 1280, "height": 720, "bitrate": 3_000_000});
    let codecs = json!([hd("H264Video", layer)]);
    fake.queue_with(fake.input("film.mkv"), vec![standard(codecs, fades)]);
    let made = run(&fake).await;
    let file = made.path(".mp4");
    assert_close(colour(&file, "0.5", (600, 400)), [0, 224, 0]);
    assert_close(colour(&file, "2.8", (600, 400)), [224, 0, 0]);
}
