//! The ffmpeg engine: sources of every kind through whole jobs, held against ffprobe and decoded.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use headwater_transcoder::auto::Choice;
use headwater_work::{JobErrorCode, Outcome};
use serde_json::{Value, json};
use support::{Fake, media, save, shared_media};

/// What a job made, on disk.
struct Made {
    folder: tempfile::TempDir,
    files: BTreeMap<String, bytes::Bytes>,
    manifest: String,
    engine: String,
    reason: String,
}

impl Made {
    fn names(&self, part: &str) -> Vec<String> {
        self.files
            .keys()
            .filter(|name| name.contains(part) && !name.starts_with(".headwater/"))
            .cloned()
            .collect()
    }

    fn path(&self, part: &str) -> PathBuf {
        let names = self.names(part);
        assert_eq!(names.len(), 1, "{part}: {:?}", self.files.keys());
        self.folder.path().join(&names[0])
    }
}

async fn run(fake: &Fake) -> Made {
    let outcome = fake.finish(2).await;
    let Outcome::Finished { manifests, .. } = outcome else {
        panic!("{outcome:?}");
    };
    let folder = tempfile::tempdir().unwrap();
    let files = fake.files("out0");
    save(&files, folder.path());
    let choice = fake.state.lock().unwrap().engines.pop().unwrap();
    Made {
        folder,
        files,
        manifest: manifests[0].clone(),
        engine: choice.name,
        reason: choice.reason,
    }
}

async fn fake(choice: Choice) -> Fake {
    let mut fake = Fake::start().await;
    fake.engine = choice;
    fake
}

async fn encode(source: &Path, preset: Value) -> Made {
    let fake = fake(Choice::Auto).await;
    let name = source.file_name().unwrap().to_str().unwrap();
    fake.upload(name, std::fs::read(source).unwrap());
    fake.queue_with(fake.input(name), vec![preset]);
    run(&fake).await
}

fn named(name: &str) -> Value {
    json!({"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": name})
}

fn standard(codecs: Value, filters: Value) -> Value {
    json!({
        "@odata.type": "#Microsoft.Media.StandardEncoderPreset",
        "codecs": codecs,
        "filters": filters,
        "formats": [
            {"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}_{Label}_{Resolution}_{AudioStream}{Extension}"},
            {"@odata.type": "#Microsoft.Media.JpgFormat", "filenamePattern": "{Basename}_{Label}_{Index}{Extension}"},
            {"@odata.type": "#Microsoft.Media.PngFormat", "filenamePattern": "{Basename}_{Index}{Extension}"},
        ],
    })
}

fn small(kind: &str) -> Value {
    json!({"@odata.type": format!("#Microsoft.Media.{kind}"), "complexity": "Speed",
        "layers": [{"width": 320, "height": 180, "bitrate": 300_000, "label": "small"},
                   {"width": 160, "height": 90, "bitrate": 100_000, "label": "tiny"}]})
}

fn aac() -> Value {
    json!({"@odata.type": "#Microsoft.Media.AacAudio", "bitrate": 96_000})
}

/// Every second a white picture of 0.1 s and a beep, exactly together: what is measured afterwards.
fn flash(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    let path = folder.join(name);
    let video = "color=black:s=320x180:r=25:d=6,geq=lum='if(lt(mod(T\\,1)\\,0.099)\\,235\\,16)':cb=128:cr=128";
    let sound = "sine=1000:d=6:r=48000,volume='if(lt(mod(t\\,1)\\,0.1)\\,1\\,0)':eval=frame";
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", video])
        .args(["-f", "lavfi", "-i", sound])
        .args(arguments.split_whitespace())
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

/// When pictures turn bright.
fn flashes(file: &Path) -> Vec<f64> {
    let pictures = media::brightness(file);
    (0..pictures.len())
        .filter(|&at| pictures[at].1 > 128.0 && (at == 0 || pictures[at - 1].1 < 128.0))
        .map(|at| pictures[at].0)
        .collect()
}

/// When sound begins.
fn beeps(file: &Path) -> Vec<f64> {
    const RATE: u32 = 48_000;
    let sound = media::sound(file, RATE);
    let loud = |at: usize| sound[at].abs() > 0.05;
    let mut found = Vec::new();
    let mut quiet_since = usize::MAX / 2;
    for at in 0..sound.len() {
        if loud(at) {
            if quiet_since == usize::MAX / 2 || at - quiet_since > RATE as usize / 4 {
                found.push(at as f64 / f64::from(RATE));
            }
            quiet_since = at;
        }
    }
    found
}

/// Start of the decoded sound: ffmpeg leaves out what an edit list or a late start does.
fn sound_start(file: &Path) -> f64 {
    media::packets(file, "a:0")[0].pts
}

fn assert_in_step(video: &Path, sound: &Path, what: &str) {
    let (seen, heard) = (flashes(video), beeps(sound));
    let shift = sound_start(sound);
    assert!(
        seen.len() >= 5 && heard.len() >= 5,
        "{what}: {seen:?} {heard:?}"
    );
    // The first may be cut by an encoder's run-up.
    for (seen, heard) in seen.iter().zip(&heard).skip(1) {
        let apart = seen - (heard + shift);
        assert!(
            apart.abs() < 0.02,
            "{what}: {apart} s apart, {seen} {heard} {shift}"
        );
    }
}

fn keys(file: &Path) -> Vec<f64> {
    media::packets(file, "v:0")
        .iter()
        .filter(|packet| packet.key)
        .map(|packet| packet.pts)
        .collect()
}

fn stream(file: &Path, which: &str) -> Value {
    let found = media::probe(
        file,
        &format!(
            "-select_streams {which} -show_entries stream=codec_name,profile,width,height,channels,sample_rate,pix_fmt,color_transfer,codec_tag_string,duration"
        ),
    );
    found["streams"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_and_codecs_come_in_and_stay_in_step() {
    let folder = tempfile::tempdir().unwrap();
    for (name, arguments) in [
        (
            "vp9.webm",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 300k -c:a libopus",
        ),
        (
            "h264.mkv",
            "-c:v libx264 -preset ultrafast -bf 3 -c:a libvorbis",
        ),
        ("prores.mov", "-c:v prores_ks -profile:v 0 -c:a pcm_s16le"),
        ("ts.ts", "-c:v libx264 -preset ultrafast -bf 2 -c:a aac"),
        ("mpeg2.ts", "-c:v mpeg2video -b:v 2M -bf 2 -c:a mp2"),
        ("mpeg4.avi", "-c:v mpeg4 -b:v 1M -c:a mp3"),
        ("flv.flv", "-c:v flv1 -b:v 1M -ar 44100 -c:a mp3"),
        (
            "hevc.mp4",
            "-c:v libx265 -preset ultrafast -x265-params log-level=none -tag:v hvc1 -c:a aac",
        ),
        ("ps.mpg", "-c:v mpeg2video -b:v 2M -c:a mp2 -f vob"),
        ("wmv.wmv", "-c:v wmv2 -b:v 1M -c:a wmav2"),
    ] {
        let source = flash(folder.path(), name, arguments);
        let made = encode(
            &source,
            standard(json!([aac(), small("H264Video")]), Value::Null),
        )
        .await;
        assert_eq!(made.engine, "ffmpeg", "{name}: {}", made.reason);
        assert!(made.manifest.ends_with(".ism"));
        let (large, tiny) = (made.path("small"), made.path("tiny"));
        let frames = media::packets(&large, "v:0");
        // flv1 and wmv in their containers lose or repeat one at the ends.
        assert!(frames.len().abs_diff(150) <= 2, "{name}: {}", frames.len());
        assert!(frames[0].pts.abs() < 0.001, "{name}");
        let cuts = keys(&large);
        assert_eq!(cuts, keys(&tiny), "{name}");
        assert_eq!(cuts.len(), 3, "{name}: {cuts:?}");
        for (index, cut) in cuts.iter().enumerate() {
            let grid = index as f64 * 2.0;
            assert!(
                (grid - 0.001..grid + 0.041).contains(cut),
                "{name}: {cuts:?}"
            );
        }
        for file in [&large, &tiny] {
            let index = format!(
                ".headwater/{}.hwx",
                file.file_name().unwrap().to_str().unwrap()
            );
            assert!(made.files.contains_key(&index), "{index}");
        }
        assert_in_step(&large, &made.path("aac_"), name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_webm_plays_after_adaptive_streaming() {
    let made = encode(
        &shared_media().join("echo-hereweare.webm"),
        named("AdaptiveStreaming"),
    )
    .await;
    assert_eq!(made.engine, "ffmpeg");
    assert!(made.reason.contains("Matroska"), "{}", made.reason);
    let tracks = made.names(".mp4");
    assert_eq!(tracks.len(), 4, "{tracks:?}");
    let source = media::packets(&shared_media().join("echo-hereweare.webm"), "v:0");
    let large = made
        .folder
        .path()
        .join(tracks.iter().find(|name| name.contains("480x270")).unwrap());
    assert!(media::packets(&large, "v:0").len().abs_diff(source.len()) <= 1);
    assert_eq!(made.names("_Thumbnail000001.jpg").len(), 1);
    println!("{}", String::from_utf8_lossy(&made.files[&made.manifest]));
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_keeps_to_the_built_in_engine_where_it_can() {
    let made = encode(
        &shared_media().join("car-detection.mp4"),
        named("AACGoodQualityAudio"),
    )
    .await;
    assert_eq!(made.engine, "builtin", "{}", made.reason);
    let made = encode(
        &shared_media().join("car-detection.mp4"),
        named("DDGoodQualityAudio"),
    )
    .await;
    assert_eq!(made.engine, "ffmpeg");
    assert!(made.reason.contains("AAC-LC"), "{}", made.reason);
    let sound = stream(&made.path("_ac3_"), "a:0");
    assert_eq!(
        (&sound["codec_name"], &sound["channels"]),
        (&json!("ac3"), &json!(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_codecs_are_cut_alike() {
    let folder = tempfile::tempdir().unwrap();
    let source = flash(
        folder.path(),
        "film.mkv",
        "-c:v libx264 -preset ultrafast -c:a aac",
    );
    for (kind, codec, tag) in [("H265Video", "hevc", "hvc1"), ("AV1Video", "av1", "av01")] {
        let made = encode(&source, standard(json!([aac(), small(kind)]), Value::Null)).await;
        let (large, tiny) = (made.path("small"), made.path("tiny"));
        let found = stream(&large, "v:0");
        assert_eq!(found["codec_name"], codec);
        assert_eq!(found["codec_tag_string"], tag);
        assert_eq!(media::packets(&large, "v:0").len(), 150, "{codec}");
        assert_eq!(keys(&large), keys(&tiny), "{codec}");
        assert_eq!(keys(&large).len(), 3, "{codec}: {:?}", keys(&large));
        assert_in_step(&large, &made.path("aac_"), codec);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shapes_rates_and_layouts_become_what_players_know() {
    let folder = tempfile::tempdir().unwrap();
    let source = |name: &str, arguments: &str| {
        let path = folder.path().join(name);
        media::ffmpeg(arguments, &path);
        path
    };
    let layer = || {
        standard(
            json!([aac(), {"@odata.type": "#Microsoft.Media.H264Video", "complexity": "Speed",
                "layers": [{"width": "100%", "height": "100%", "bitrate": 500_000, "label": "v"}]}]),
            Value::Null,
        )
    };
    // Interlaced, in pixels that are not square, six channels at an odd rate.
    let interlaced = source(
        "interlaced.ts",
        "-f lavfi -i testsrc2=s=352x288:r=50:d=3 -f lavfi -i sine=440:d=3:r=44100 -vf tinterlace=interleave_top,setsar=16/11 \
         -flags +ilme+ildct -c:v mpeg2video -b:v 3M -ac 6 -c:a ac3",
    );
    let made = encode(&interlaced, layer()).await;
    let found = stream(&made.path("_v_"), "v:0");
    assert_eq!(
        (&found["width"], &found["height"]),
        (&json!(512), &json!(288))
    );
    let sound = stream(&made.path("aac_"), "a:0");
    assert_eq!(
        (&sound["channels"], &sound["sample_rate"]),
        (&json!(2), &json!("44100"))
    );
    assert_eq!(media::packets(&made.path("_v_"), "v:0").len(), 75);

    // A variable frame rate keeps its times.
    let variable = source(
        "vfr.mkv",
        "-f lavfi -i testsrc2=s=320x180:r=30:d=4 -f lavfi -i sine=440:d=4:r=22050 -vf select='not(mod(n\\,3))+lt(t\\,2)' -fps_mode vfr \
         -c:v libvpx -deadline realtime -b:v 500k -ac 1 -c:a pcm_s16le",
    );
    let made = encode(&variable, layer()).await;
    let (own, made_times) = (
        media::packets(&variable, "v:0"),
        media::packets(&made.path("_v_"), "v:0"),
    );
    assert_eq!(own.len(), made_times.len());
    for (own, made) in own.iter().zip(&made_times) {
        assert!((own.pts - made.pts).abs() < 0.002, "{own:?} {made:?}");
    }
    assert_eq!(stream(&made.path("aac_"), "a:0")["sample_rate"], "44100");

    // Upright: coded lying, with a matrix that turns it.
    let lying = source(
        "lying.mp4",
        "-f lavfi -i testsrc2=s=320x180:r=25:d=2 -c:v mpeg4",
    );
    let upright = folder.path().join("upright.mov");
    let lying = lying.display();
    media::ffmpeg(
        &format!("-i {lying} -c copy -metadata:s:v:0 rotate=90"),
        &upright,
    );
    let made = encode(&upright, layer()).await;
    let found = stream(&made.path("_v_"), "v:0");
    assert_eq!(
        (&found["width"], &found["height"]),
        (&json!(180), &json!(320))
    );

    // Sixty frames a second are halved by the built-in presets.
    let fast = source(
        "fast.mkv",
        "-f lavfi -i testsrc2=s=320x180:r=60:d=2 -c:v libx264 -preset ultrafast",
    );
    let made = encode(&fast, named("H264SingleBitrateSD")).await;
    assert_eq!(media::packets(&made.path("_320x180_"), "v:0").len(), 60);

    // High dynamic range is mapped.
    let hdr = source(
        "hdr.mkv",
        "-f lavfi -i testsrc2=s=320x180:r=25:d=1 -pix_fmt yuv420p10le -c:v libx265 -preset ultrafast -x265-params \
         log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
    );
    let made = encode(&hdr, layer()).await;
    let found = stream(&made.path("_v_"), "v:0");
    assert_eq!(
        (&found["pix_fmt"], &found["color_transfer"]),
        (&json!("yuv420p"), &json!("bt709"))
    );

    // Sound alone.
    for (name, arguments) in [
        (
            "tone.wav",
            "-f lavfi -i sine=440:d=5:r=96000 -c:a pcm_s24le",
        ),
        ("tone.mp3", "-f lavfi -i sine=440:d=5:r=44100 -c:a mp3"),
        ("tone.flac", "-f lavfi -i sine=440:d=5:r=48000 -c:a flac"),
        (
            "tone.ogg",
            "-f lavfi -i sine=440:d=5:r=48000 -c:a libvorbis",
        ),
    ] {
        let made = encode(&source(name, arguments), named("AACGoodQualityAudio")).await;
        let seconds = media::sound(&made.path("_aac_"), 8000).len() as f64 / 8000.0;
        assert!((seconds - 5.0).abs() < 0.06, "{name}: {seconds}");
    }
}

async fn failure(name: &str, bytes: Vec<u8>, preset: Value) -> (JobErrorCode, String) {
    let fake = fake(Choice::Ffmpeg).await;
    fake.upload(name, bytes);
    fake.queue_with(fake.input(name), vec![preset]);
    match fake.finish(2).await {
        Outcome::Error(failure) => (
            failure.code,
            format!("{} {:?}", failure.message, failure.details),
        ),
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_encoded_says_why() {
    use JobErrorCode::{ContentMalformed, ContentUnsupported};
    let folder = tempfile::tempdir().unwrap();
    let whole =
        |name: &str, arguments: &str| std::fs::read(flash(folder.path(), name, arguments)).unwrap();
    let mkv = whole("film.mkv", "-c:v libx264 -preset ultrafast -c:a aac");
    let mp4 = whole(
        "film.mp4",
        "-c:v libx264 -preset ultrafast -c:a aac -movflags +faststart",
    );
    let late = whole("late.mp4", "-c:v libx264 -preset ultrafast -c:a aac");
    let preset = || standard(json!([aac(), small("H264Video")]), Value::Null);
    // 65535 samples each way, in a header of IVF.
    let mut huge = b"DKIF\0\0\x20\0VP80\xff\xff\xff\xff".to_vec();
    huge.extend([25, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    huge.extend([32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    huge.extend([0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0xff, 0xff, 0xff]);
    huge.resize(huge.len() + 22, 0);
    // A hundred hours, in the duration of Matroska's segment: 4489 88 and eight bytes.
    let mut long = mkv.clone();
    let at = long
        .windows(3)
        .position(|bytes| bytes == [0x44, 0x89, 0x88])
        .unwrap();
    long[at + 3..at + 11].copy_from_slice(&360_000_000_f64.to_be_bytes());
    for (name, bytes, code, says) in [
        (
            "cut.mkv",
            mkv[..mkv.len() / 2].to_vec(),
            ContentMalformed,
            "cut off",
        ),
        (
            "cut.mp4",
            mp4[..mp4.len() / 2].to_vec(),
            ContentMalformed,
            "cut off",
        ),
        (
            "late.mp4",
            late[..late.len() / 2].to_vec(),
            ContentMalformed,
            "cut off",
        ),
        ("huge.ivf", huge, ContentUnsupported, "6553"),
        ("long.mkv", long, ContentUnsupported, "hours"),
        (
            "bait.m3u8",
            b"#EXTM3U\n#EXTINF:1,\nconcat:/etc/passwd\n".to_vec(),
            ContentUnsupported,
            "playlist",
        ),
        (
            "bait.mp4",
            b"ffconcat version 1.0\nfile '/etc/passwd'\n".to_vec(),
            ContentUnsupported,
            "no format",
        ),
        (
            "bait.mpd",
            b"<?xml version=\"1.0\"?><MPD/>".to_vec(),
            ContentUnsupported,
            "XML",
        ),
        (
            "noise.bin",
            vec![0x5a; 4096],
            ContentUnsupported,
            "no format",
        ),
        ("noise.ts", [0x47; 188 * 40].to_vec(), ContentMalformed, ""),
    ] {
        let (got, message) = failure(name, bytes, preset()).await;
        assert_eq!(got, code, "{name}: {message}");
        assert!(message.contains(says), "{name}: {message}");
        assert!(!message.contains("/tmp"), "{name}: {message}");
    }
}
