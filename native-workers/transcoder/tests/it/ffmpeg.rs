//! The ffmpeg engine: sources of every kind through whole jobs, held against ffprobe and decoded.

use crate::support::jobs::{
    aac, assert_in_step, encode, failure, fake, flash, keys, muxed, named, run, small, standard,
    stream,
};
use crate::support::{media, shared_media};
use headwater_transcoder::auto::Choice;
use headwater_work::{JobErrorCode, Outcome, Selection, WorkInput};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn containers_and_codecs_come_in_and_stay_in_step() {
    let folder = tempfile::tempdir().unwrap();
    // Others are in the matrix.
    for (name, arguments) in [
        (
            "vp9.webm",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 300k -c:a libopus",
        ),
        ("mpeg2.ts", "-c:v mpeg2video -b:v 2M -bf 2 -c:a mp2"),
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
        // wmv in its container loses or repeats one at the ends.
        assert!(frames.len().abs_diff(150) <= 2, "{name}: {}", frames.len());
        assert!(frames[0].pts.abs() < 0.001, "{name}");
        let cuts = keys(&large);
        assert_eq!(cuts, keys(&tiny), "{name}");
        // A picture that a container repeats at the end begins a segment of its own.
        assert!((3..=4).contains(&cuts.len()), "{name}: {cuts:?}");
        for (index, cut) in cuts.iter().enumerate() {
            let grid = index as f64 * 2.0;
            assert!(
                (grid - 0.001..grid + 0.05).contains(cut),
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
    assert_eq!(tracks.len(), 3, "{tracks:?}");
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
async fn sound_that_only_ffmpeg_decodes_is_not_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("dubbed.mp4");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=3 -f lavfi -i sine=440:d=3 -f lavfi -i sine=880:d=3 -map 0 -map 1 -map 2 \
         -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a:0 aac -c:a:1 ac3 -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu",
        &source,
    );
    let made = encode(&source, named("AdaptiveStreaming")).await;
    assert_eq!(made.engine, "ffmpeg", "{}", made.reason);
    assert!(
        made.reason.contains("Track 3 is Dolby Digital (AC-3)"),
        "{}",
        made.reason
    );
    for language in ["_eng_", "_deu_"] {
        let seconds = media::sound(&made.path(language), 8000).len() as f64 / 8000.0;
        assert!((seconds - 3.0).abs() < 0.1, "{language}: {seconds}");
    }
}

/// HE-AAC is encoded whatever encoders ffmpeg has: known as such, and heard when it is seen, alone and beside the pictures in a file.
#[tokio::test(flavor = "multi_thread")]
async fn high_efficiency_sound_is_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let source = flash(
        folder.path(),
        "film.mkv",
        "-c:v libx264 -preset ultrafast -c:a pcm_s16le -ac 2",
    );
    // ffmpeg decodes one channel with band replication to two, as parametric stereo may come, and calls that HE-AAC where it is told of
    // it beforehand.
    for (profile, known, channels, decoded, rate, bitrate) in [
        ("HeAacV1", "HE-AAC", 2, 2, 48_000, 64_000),
        ("HeAacV1", "HE-AAC", 1, 2, 44_100, 32_000),
        ("HeAacV1", "HE-AAC", 6, 6, 48_000, 160_000),
        ("HeAacV2", "HE-AAC", 2, 2, 48_000, 32_000),
    ] {
        let sound = json!({"@odata.type": "#Microsoft.Media.AacAudio", "profile": profile, "channels": channels,
            "samplingRate": rate, "bitrate": bitrate});
        let codecs = json!([sound, small("H264Video")]);
        let alone = encode(&source, standard(codecs.clone(), Value::Null)).await;
        let together = encode(&source, muxed(codecs, Value::Null)).await;
        let beside = together.path("small");
        for (video, sound) in [
            (alone.path("small"), alone.path("aac_")),
            (beside.clone(), beside),
        ] {
            let found = stream(&sound, "a:0");
            let what = format!("{profile}, {channels}: {}", sound.display());
            assert_eq!(found["profile"], known, "{what}");
            assert_eq!(found["channels"], decoded, "{what}");
            assert_eq!(found["sample_rate"], rate.to_string(), "{what}");
            let bits = media::packets(&sound, "a:0")
                .into_iter()
                .map(|packet| packet.size as f64 * 8.0);
            // Six seconds, and what is behind the last of them in the last access unit.
            let bits = bits.sum::<f64>() / 6.0;
            assert!(
                (bits / f64::from(bitrate) - 1.0).abs() < 0.1,
                "{what}: {bits}"
            );
            assert_in_step(&video, &sound, &what);
        }
    }
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
        // libaom puts a second key frame behind one that it was told to make.
        let grid: std::collections::BTreeSet<u64> = keys(&large)
            .iter()
            .map(|time| (time / 2.0) as u64)
            .collect();
        assert_eq!(grid.len(), 3, "{codec}: {:?}", keys(&large));
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

/// Coded size, and by how many degrees it is to be turned before it is shown.
fn turned(file: &std::path::Path) -> (u64, u64, i64) {
    let entries = "-select_streams v:0 -show_entries stream=width,height:stream_side_data=rotation";
    let found = media::probe(file, entries);
    let stream = &found["streams"][0];
    let list = stream["side_data_list"].as_array();
    let degrees = list.and_then(|list| list.iter().find_map(|data| data["rotation"].as_i64()));
    let side = |name: &str| stream[name].as_u64().unwrap();
    (side("width"), side("height"), degrees.unwrap_or(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_says_of_a_turn_is_kept_or_dropped_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let lying = folder.path().join("lying.mp4");
    // Long enough for chunks.
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=160x90:r=5:d=45 -f lavfi -i sine=440:d=45 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac",
        &lying,
    );
    let upright = folder.path().join("upright.mov");
    media::ffmpeg(
        &format!("-i {} -c copy -metadata:s:v:0 rotate=90", lying.display()),
        &upright,
    );
    let (.., wanted) = turned(&upright);
    assert_eq!(wanted.abs(), 90);
    let preset = |rotation: &str| {
        let mut video = layered("H264Video", "Auto");
        video["layers"][0]["bitrate"] = json!(100_000);
        standard(json!([aac(), video]), json!({ "rotation": rotation }))
    };
    for (rotation, size) in [
        ("None", (160, 90, wanted)),
        ("Rotate0", (160, 90, 0)),
        ("Auto", (90, 160, 0)),
    ] {
        let made = encode(&upright, preset(rotation)).await;
        assert!(made.reason.contains("chunks"), "{}", made.reason);
        assert_eq!(turned(&made.path("_H264Video_")), size, "{rotation}");
    }
    // Of files with several tracks, MP4 has a place for it.
    let mut together = preset("None");
    together["codecs"][0]["label"] = json!("sound");
    together["formats"] = json!([
        {"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}-all{Extension}",
         "outputFiles": [{"labels": ["sound", "H264Video"]}]},
        {"@odata.type": "#Microsoft.Media.TransportStreamFormat", "filenamePattern": "{Basename}{Extension}"},
    ]);
    let made = encode(&upright, together).await;
    assert_eq!(turned(&made.path("-all.mp4")), (160, 90, wanted));
    assert_eq!(media::packets(&made.path("-all.mp4"), "v:0").len(), 225);
    assert_eq!(turned(&made.path(".ts")), (160, 90, 0));
    // And of a sequence only what all parts say.
    for (names, degrees) in [
        (["upright.mov", "upright.mov"], wanted),
        (["upright.mov", "lying.mp4"], 0),
    ] {
        let fake = fake(Choice::Auto).await;
        let inputs = names.iter().map(|name| {
            fake.upload(name, std::fs::read(folder.path().join(name)).unwrap());
            fake.cut_input(
                name,
                Selection {
                    end_ms: Some(2000),
                    ..Selection::default()
                },
            )
        });
        let inputs = inputs.collect();
        fake.queue_with(WorkInput::Sequence { inputs }, vec![preset("None")]);
        let made = run(&fake).await;
        assert_eq!(turned(&made.path("_H264Video_")), (160, 90, degrees));
    }
}

/// A grey picture in PQ.
fn bright(folder: &std::path::Path) -> std::path::PathBuf {
    let path = folder.join("hdr.mkv");
    media::ffmpeg(
        "-f lavfi -i color=0x808080:s=320x180:r=25:d=2 -pix_fmt yuv420p10le -c:v libx265 -preset ultrafast -x265-params \
         log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc",
        &path,
    );
    path
}

fn layered(kind: &str, profile: &str) -> Value {
    json!({"@odata.type": format!("#Microsoft.Media.{kind}"), "complexity": "Speed",
        "layers": [{"width": "100%", "height": "100%", "bitrate": 500_000, "label": kind, "profile": profile}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn codecs_of_one_preset_agree_about_dynamic_range() {
    let folder = tempfile::tempdir().unwrap();
    let source = bright(folder.path());
    let (high, plain) = (
        || layered("H265Video", "Main10"),
        || layered("H264Video", "Auto"),
    );
    let luma = |path: &std::path::Path| media::brightness(path)[10].1;
    let alone = encode(&source, standard(json!([plain()]), Value::Null)).await;
    let mapped = luma(&alone.path("_H264Video_"));
    for codecs in [json!([high(), plain()]), json!([plain(), high()])] {
        let made = encode(&source, standard(codecs, Value::Null)).await;
        for name in ["_H264Video_", "_H265Video_"] {
            let path = made.path(name);
            assert_eq!(stream(&path, "v:0")["color_transfer"], "bt709", "{name}");
            let seen = luma(&path);
            assert!((seen - mapped).abs() < 3.0, "{name}: {seen} {mapped}");
        }
    }
    // Ten bits throughout: it stays what it is.
    let made = encode(&source, standard(json!([high()]), Value::Null)).await;
    let path = made.path("_H265Video_");
    assert_eq!(stream(&path, "v:0")["color_transfer"], "smpte2084");
    assert!((luma(&path) - mapped).abs() > 10.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_of_a_sequence_has_its_own_dynamic_range() {
    let folder = tempfile::tempdir().unwrap();
    let usual = folder.path().join("usual.mkv");
    media::ffmpeg(
        "-f lavfi -i color=black:s=320x180:r=25:d=2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
        &usual,
    );
    let high = bright(folder.path());
    let preset = || standard(json!([layered("H264Video", "Auto")]), Value::Null);
    let alone = encode(&high, preset()).await;
    let mapped = media::brightness(&alone.path("_H264Video_"))[10].1;
    for names in [["usual.mkv", "hdr.mkv"], ["hdr.mkv", "usual.mkv"]] {
        let fake = fake(Choice::Auto).await;
        for file in [&usual, &high] {
            let name = file.file_name().unwrap().to_str().unwrap();
            fake.upload(name, std::fs::read(file).unwrap());
        }
        let inputs = names.iter().map(|name| fake.input(name)).collect();
        fake.queue_with(WorkInput::Sequence { inputs }, vec![preset()]);
        let made = run(&fake).await;
        let frames = media::brightness(&made.path("_H264Video_"));
        assert_eq!(frames.len(), 100);
        for (name, luma) in names.iter().zip([frames[20].1, frames[80].1]) {
            let wanted = if *name == "hdr.mkv" { mapped } else { 16.0 };
            assert!((luma - wanted).abs() < 3.0, "{names:?}: {luma} {wanted}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mp4_that_lacks_a_little_at_its_end_is_made_by_ffmpeg() {
    let folder = tempfile::tempdir().unwrap();
    let name = "film.mp4";
    let path = folder.path().join(name);
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=12 -f lavfi -i sine=440:d=12:r=48000 -pix_fmt yuv420p \
         -c:v libx264 -preset ultrafast -g 25 -c:a aac -movflags +faststart",
        &path,
    );
    let whole = std::fs::read(path).unwrap();
    let length = whole.len();
    for missing in [1, length / 100, length / 20] {
        let fake = fake(Choice::Auto).await;
        fake.upload(name, whole[..length - missing].to_vec());
        fake.queue_with(fake.input(name), vec![named("AdaptiveStreaming")]);
        let made = run(&fake).await;
        assert_eq!(made.engine, "ffmpeg", "{missing}");
        assert!(
            made.reason.contains("the file ends after"),
            "{}",
            made.reason
        );
        let pictures = media::brightness(&made.folder.path().join(&made.names("_320x180_")[0]));
        let lost = 300 - pictures.len();
        assert!(lost <= 300 / 10, "{missing} bytes, {lost} pictures");
    }
    // Where ffmpeg cannot use it either, the built-in engine's words say where, and ffmpeg's are beside them.
    let fake = fake(Choice::Auto).await;
    fake.upload(name, whole[..length * 2 / 3].to_vec());
    fake.queue_with(fake.input(name), vec![named("AdaptiveStreaming")]);
    let Outcome::Error(failure) = fake.finish(2).await else {
        panic!("a third is missing");
    };
    assert_eq!(failure.code, JobErrorCode::ContentMalformed);
    assert!(
        failure.message.contains("the file ends after"),
        "{failure:?}"
    );
    assert!(
        failure.details.iter().any(|line| line.contains("cut off")),
        "{failure:?}"
    );
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
        ("huge.ivf", huge, ContentMalformed, "how large"),
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
