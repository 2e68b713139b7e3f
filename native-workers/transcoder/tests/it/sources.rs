//! Sources of every shape, through whole jobs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::{Fake, media, save, shared_media};
use bytes::Bytes;
use headwater_work::Outcome;

struct Made {
    folder: tempfile::TempDir,
    files: BTreeMap<String, Bytes>,
}

impl Made {
    fn find(&self, part: &str) -> PathBuf {
        let name = self
            .files
            .keys()
            .find(|name| name.contains(part) && name.ends_with(".mp4"));
        self.folder
            .path()
            .join(name.unwrap_or_else(|| panic!("{part} in {:?}", self.files.keys())))
    }

    fn tracks(&self) -> Vec<&String> {
        self.files
            .keys()
            .filter(|name| name.ends_with(".mp4"))
            .collect()
    }
}

async fn encode(source: &Path, preset: &str) -> Made {
    let fake = Fake::start().await;
    fake.upload("source.mp4", std::fs::read(source).unwrap());
    fake.queue("source.mp4", &[preset]);
    let outcome = fake.finish(2).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    let folder = tempfile::tempdir().unwrap();
    let files = fake.files("out0");
    save(&files, folder.path());
    Made { folder, files }
}

fn generate(folder: &tempfile::TempDir, arguments: &str) -> PathBuf {
    let path = folder.path().join("source.mp4");
    media::ffmpeg(arguments, &path);
    path
}

fn size(file: &Path) -> (u64, u64) {
    let found = media::probe(
        file,
        "-select_streams v:0 -show_entries stream=width,height,sample_aspect_ratio",
    );
    let stream = &found["streams"][0];
    assert!(matches!(
        stream["sample_aspect_ratio"].as_str(),
        None | Some("1:1")
    ));
    (
        stream["width"].as_u64().unwrap(),
        stream["height"].as_u64().unwrap(),
    )
}

fn times(file: &Path) -> Vec<f64> {
    media::packets(file, "v:0")
        .iter()
        .map(|packet| packet.pts)
        .collect()
}

const PICTURE: &str =
    "-f lavfi -i testsrc2=s=480x270:r=25:d=5 -pix_fmt yuv420p -c:v libx264 -preset veryfast";

#[tokio::test(flavor = "multi_thread")]
async fn an_upright_recording_stands_upright() {
    let folder = tempfile::tempdir().unwrap();
    let flat = folder.path().join("flat.mp4");
    media::ffmpeg(PICTURE, &flat);
    for (degrees, wanted) in [(90, (270, 480)), (180, (480, 270)), (270, (270, 480))] {
        let source = generate(
            &folder,
            &format!(
                "-i {} -c copy -metadata:s:v:0 rotate={degrees}",
                flat.display()
            ),
        );
        let made = encode(&source, "AdaptiveStreaming").await;
        let top = made.find(&format!("_{}x{}_", wanted.0, wanted.1));
        assert_eq!(size(&top), wanted);
        // ffmpeg turns the source upright by itself.
        let ssim = media::ssim(&top, &source);
        assert!(ssim > 0.85, "{degrees}: {ssim}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_frame_rate_keeps_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let source = generate(
        &folder,
        "-f lavfi -i testsrc2=s=320x180:r=30:d=9 -vf select='not(mod(n\\,3))+gt(mod(n\\,70)\\,50)' -fps_mode vfr -bf 2 \
         -pix_fmt yuv420p -c:v libx264 -preset veryfast -video_track_timescale 90000",
    );
    let made = encode(&source, "AdaptiveStreaming").await;
    let (wanted, got) = (times(&source), times(&made.find("_320x180_")));
    assert_eq!(wanted.len(), got.len());
    for (wanted, got) in wanted.iter().zip(&got) {
        assert!(
            (wanted - wanted_offset(&source) - got).abs() < 0.0005,
            "{wanted} {got}"
        );
    }
}

fn wanted_offset(source: &Path) -> f64 {
    times(source)[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_frames_a_second_are_halved() {
    let folder = tempfile::tempdir().unwrap();
    let source = generate(
        &folder,
        "-f lavfi -i testsrc2=s=320x180:r=60:d=4 -pix_fmt yuv420p -c:v libx264 -preset veryfast",
    );
    let made = encode(&source, "AdaptiveStreaming").await;
    assert_eq!(times(&made.find("_320x180_")).len(), 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_groups_of_pictures_are_cut_and_joined_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    // Chunks begin far from a sync sample, with reordering across the cut.
    let source = generate(
        &folder,
        "-f lavfi -i testsrc2=s=320x180:r=25:d=40 -pix_fmt yuv420p -c:v libx264 -g 600 -bf 4 -refs 4 -sc_threshold 0",
    );
    let made = encode(&source, "AdaptiveStreaming").await;
    let top = made.find("_320x180_");
    let (wanted, got) = (times(&source), times(&top));
    assert_eq!(wanted.len(), got.len());
    let ssim = media::ssim(&top, &source);
    assert!(ssim > 0.85, "{ssim}");
    let keys = media::packets(&top, "v:0")
        .iter()
        .filter(|packet| packet.key)
        .count();
    assert_eq!(keys, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_shapes_come_out_even_and_square() {
    let folder = tempfile::tempdir().unwrap();
    // 4:3 with stretched pixels; a shape that divides oddly.
    let source = generate(
        &folder,
        "-f lavfi -i testsrc2=s=352x288:r=25:d=2 -vf setsar=12/11 -pix_fmt yuv420p -c:v libx264",
    );
    let made = encode(&source, "AdaptiveStreaming").await;
    let top = made.find("_384x288_");
    assert_eq!(size(&top), (384, 288));
    let source = generate(
        &folder,
        "-f lavfi -i testsrc2=s=638x350:r=25:d=2 -pix_fmt yuv420p -c:v libx264",
    );
    let made = encode(&source, "H264MultipleBitrateSD").await;
    for name in made.tracks() {
        let (width, height) = size(&made.folder.path().join(name));
        assert!(width % 2 == 0 && height % 2 == 0 && width <= 638 && height <= 350);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_alone_and_pictures_alone() {
    let folder = tempfile::tempdir().unwrap();
    let source = generate(
        &folder,
        "-f lavfi -i sine=440:d=7 -c:a aac -b:a 96k -ar 22050 -ac 1",
    );
    for preset in ["AACGoodQualityAudio", "H264MultipleBitrate720p"] {
        let made = encode(&source, preset).await;
        assert_eq!(made.tracks().len(), 1);
        assert!(made.files.keys().all(|name| !name.ends_with(".jpg")));
        let file = made.find("_aac_");
        let found = media::probe(
            &file,
            "-show_entries stream=sample_rate,channels:format=duration",
        );
        assert_eq!(found["streams"][0]["sample_rate"], "44100");
        assert_eq!(found["streams"][0]["channels"], 2);
        let duration: f64 = found["format"]["duration"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((duration - 7.0).abs() < 0.05, "{duration}");
    }
    let source = generate(&folder, PICTURE);
    let made = encode(&source, "H264SingleBitrateSD").await;
    assert_eq!(made.tracks().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn surround_and_high_efficiency_become_stereo() {
    let made = encode(
        &shared_media().join("surround-audio.mp4"),
        "AACGoodQualityAudio",
    )
    .await;
    assert_eq!(made.tracks().len(), 8);
    let folder = tempfile::tempdir().unwrap();
    let source = generate(
        &folder,
        "-f lavfi -i sine=440:d=4 -af pan=5.1|FL=0*c0|FR=0*c0|FC=c0|LFE=0*c0|BL=0*c0|BR=0*c0 -c:a aac -b:a 256k -ar 48000",
    );
    let made = encode(&source, "H264SingleBitrateSD").await;
    let file = made.find("_aac_");
    let found = media::probe(&file, "-show_entries stream=profile,channels,sample_rate");
    assert_eq!(found["streams"][0]["profile"], "LC");
    assert_eq!(found["streams"][0]["channels"], 2);
    // The centre is there, at -3 dB and scaled so that nothing clips: 0.125 of full scale in, 0.293 of it out on each
    // side, which ffmpeg adds up to mono at -3 dB.
    let sound = media::sound(&file, 48_000);
    let peak = sound[48_000..96_000]
        .iter()
        .fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!((0.03..0.06).contains(&peak), "{peak}");
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_lists_are_applied() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.mp4");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=8 -f lavfi -i sine=440:d=8 -pix_fmt yuv420p -c:v libx264 -g 50 -bf 2 \
         -c:a aac -b:a 200k -shortest",
        &whole,
    );
    // A cut in the middle of a group of pictures: ffmpeg keeps the group and leaves an edit list.
    let source = generate(&folder, &format!("-ss 2.6 -i {} -c copy", whole.display()));
    let made = encode(&source, "AdaptiveStreaming").await;
    let got = times(&made.find("_320x180_"));
    assert_eq!(got[0], 0.0);
    let end = got.last().unwrap();
    assert!((5.2..5.45).contains(end), "{end}");
    // Sound that begins late stays late.
    let source = generate(
        &folder,
        &format!(
            "-i {0} -itsoffset 0.7 -i {0} -map 0:v -map 1:a -c copy",
            whole.display()
        ),
    );
    let made = encode(&source, "H264SingleBitrateSD").await;
    let sound = media::sound(&made.find("_aac_"), 48_000);
    let first = sound.iter().position(|sample| sample.abs() > 0.02).unwrap() as f64 / 48_000.0;
    assert!((first - 0.7).abs() < 0.02, "{first}");
}

/// How far two colours are apart in the worst of their components.
fn distance(a: [u8; 3], b: [u8; 3]) -> u8 {
    (0..3).map(|at| a[at].abs_diff(b[at])).max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dark_grey_of_full_range_stays_dark_grey() {
    let folder = tempfile::tempdir().unwrap();
    // Black, if taken for the narrow range.
    let source = generate(
        &folder,
        "-f lavfi -i color=c=0x101010:s=320x180:r=25:d=1 -pix_fmt yuvj420p -c:v libx264",
    );
    let made = encode(&source, "AdaptiveStreaming").await;
    for file in [
        made.find("_320x180_"),
        made.folder.path().join("source_Thumbnail000001.jpg"),
    ] {
        let colour = media::average_colour(&file);
        assert!(distance(colour, [16; 3]) <= 2, "{file:?}: {colour:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_language_is_published() {
    let folder = tempfile::tempdir().unwrap();
    // ffmpeg enables the first track of a kind only.
    let source = generate(
        &folder,
        "-f lavfi -i sine=440:d=2 -f lavfi -i sine=880:d=2 -map 0 -map 1 -c:a aac \
         -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu",
    );
    let made = encode(&source, "AACGoodQualityAudio").await;
    let manifest = String::from_utf8_lossy(&made.files["source.ism"]).into_owned();
    for language in ["eng", "deu"] {
        made.find(&format!("_aac_{language}_"));
        assert!(
            manifest.contains(&format!("aac_{language}_2_192000")),
            "{manifest}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unmarked_colours_are_the_same_at_every_size() {
    let folder = tempfile::tempdir().unwrap();
    for (size, matrix, space, preset) in [
        ("1280x720", "bt709", "bt709", "H264MultipleBitrateSD"),
        ("640x360", "bt601", "smpte170m", "AdaptiveStreaming"),
    ] {
        let source = generate(
            &folder,
            &format!(
                "-f lavfi -i color=c=0x20a040:s={size}:r=25:d=1 \
                 -vf format=rgb24,scale=out_color_matrix={matrix},format=yuv420p,setparams=colorspace=unknown \
                 -c:v libx264"
            ),
        );
        let unmarked = media::probe(&source, "-show_entries stream=color_space");
        let unmarked = unmarked["streams"][0]["color_space"].as_str();
        assert!(matches!(unmarked, None | Some("unknown")), "{unmarked:?}");
        let made = encode(&source, preset).await;
        for name in made.tracks() {
            let file = made.folder.path().join(name);
            let found = media::probe(&file, "-show_entries stream=color_space");
            assert_eq!(found["streams"][0]["color_space"], space, "{name}");
            let colour = media::average_colour(&file);
            assert!(
                distance(colour, [0x20, 0xa0, 0x40]) <= 7,
                "{name}: {colour:?}"
            );
        }
        // Of a size that alone would say BT.601.
        let poster = made.folder.path().join("source_Thumbnail000001.jpg");
        let colour = media::average_colour(&poster);
        assert!(distance(colour, [0x20, 0xa0, 0x40]) <= 7, "{colour:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_group_of_pictures_is_read_about_twice_at_most() {
    let folder = tempfile::tempdir().unwrap();
    // Twelve chunks, and not one sync sample but the first.
    let source = generate(
        &folder,
        "-f lavfi -i testsrc2=s=160x90:r=25:d=96 -pix_fmt yuv420p -c:v libx264 -preset veryfast -g 100000 \
         -keyint_min 100000 -sc_threshold 0 -bf 2",
    );
    let bytes = std::fs::read(&source).unwrap();
    let len = bytes.len();
    let fake = Fake::start().await;
    fake.upload("source.mp4", bytes);
    fake.queue("source.mp4", &["AdaptiveStreaming"]);
    let outcome = fake.finish(2).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    let read = fake.state.lock().unwrap().bytes_read;
    println!("{read} bytes of {len} read");
    assert!(read < 2 * len, "{read} of {len}");
    let files = fake.files("out0");
    save(&files, folder.path());
    let top = files.keys().find(|name| name.starts_with("source_160x90_"));
    let top = folder.path().join(top.unwrap());
    assert_eq!(times(&top).len(), times(&source).len());
    assert!(media::ssim(&top, &source) > 0.8);
}
