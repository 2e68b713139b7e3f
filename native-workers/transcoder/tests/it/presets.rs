//! What presets ask for, beyond layers: filters, files, pictures, copies.

use crate::support::jobs::{
    self, aac, encode, fake, flash, keys, muxed, named, run, small, standard, stream,
};
use crate::support::{media, shared_media};
use headwater_ism::EntryKind;
use headwater_transcoder::auto::Choice;
use headwater_work::WorkInput;
use serde_json::{Value, json};

fn layer(filters: Value) -> Value {
    standard(
        json!([aac(), {"@odata.type": "#Microsoft.Media.H264Video", "complexity": "Speed",
            "layers": [{"width": "100%", "height": "100%", "bitrate": 400_000, "label": "v"}]}]),
        filters,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_change_what_is_seen_and_heard() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("half.mkv");
    // Red on the left, blue on the right.
    media::ffmpeg(
        "-f lavfi -i color=red:s=160x180:r=25:d=4 -f lavfi -i color=blue:s=160x180:r=25:d=4 -f lavfi -i sine=440:d=4 \
         -filter_complex [0][1]hstack -c:v libx264 -preset ultrafast -c:a aac",
        &source,
    );
    let size = |file: &std::path::Path| {
        let found = stream(file, "v:0");
        (
            found["width"].as_u64().unwrap(),
            found["height"].as_u64().unwrap(),
        )
    };
    let made = encode(
        &source,
        layer(json!({"crop": {"left": "50%", "width": 100}})),
    )
    .await;
    assert_eq!(size(&made.path("_v_")), (100, 180));
    let [red, _, blue] = media::average_colour(&made.path("_v_"));
    assert!(blue > 200 && red < 50, "{red} {blue}");

    let made = encode(&source, layer(json!({"rotation": "Rotate90"}))).await;
    assert_eq!(size(&made.path("_v_")), (180, 320));

    let fades = json!({
        "fadeIn": {"duration": "PT1S", "fadeColor": "white"},
        "fadeOut": {"duration": "PT1S", "fadeColor": "black"},
    });
    let made = encode(&source, layer(fades)).await;
    let luma = media::brightness(&made.path("_v_"));
    let middle = luma[luma.len() / 2].1;
    assert!(luma[0].1 > middle + 80.0, "{} {middle}", luma[0].1);
    assert!(luma[luma.len() - 1].1 < middle - 20.0);
    let sound = media::sound(&made.path("aac_"), 8000);
    let loudest = |part: &[f32]| {
        part.iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()))
    };
    let (whole, end) = (
        loudest(&sound[12_000..20_000]),
        loudest(&sound[31_500..31_900]),
    );
    assert!(end < whole * 0.3, "{end} {whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_put_together_as_the_preset_says() {
    let folder = tempfile::tempdir().unwrap();
    let source = flash(
        folder.path(),
        "film.mkv",
        "-c:v libx264 -preset ultrafast -c:a aac",
    );
    let mut preset = standard(
        json!([
            {"@odata.type": "#Microsoft.Media.AacAudio", "bitrate": 96_000, "label": "sound"}, small("H264Video")
        ]),
        Value::Null,
    );
    preset["formats"] = json!([
        {"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}-{Label}-{Codec}-{Bitrate}{Extension}",
         "outputFiles": [{"labels": ["small", "sound"]}, {"labels": ["tiny", "sound"]}]},
        {"@odata.type": "#Microsoft.Media.TransportStreamFormat", "filenamePattern": "{Basename}-{Resolution}{Extension}"},
    ]);
    let made = encode(&source, preset).await;
    assert_eq!(
        made.names("film-"),
        [
            "film-160x90.ts",
            "film-320x180.ts",
            "film-small-H264-300.mp4",
            "film-tiny-H264-100.mp4"
        ]
    );
    for file in made.names("film-") {
        let path = made.folder.path().join(&file);
        assert_eq!(stream(&path, "v:0")["codec_name"], "h264", "{file}");
        assert_eq!(stream(&path, "a:0")["codec_name"], "aac", "{file}");
        assert_eq!(media::packets(&path, "v:0").len(), 150, "{file}");
    }
    let manifest = String::from_utf8_lossy(&made.files[&made.manifest]).into_owned();
    let read = headwater_ism::parse(manifest.as_bytes()).unwrap();
    assert_eq!(read.formats.as_deref(), Some("mp4"));
    // The sound lies in both files, and is there once for players.
    let kinds: Vec<_> = read.tracks.iter().map(|track| track.kind).collect();
    assert_eq!(
        kinds,
        [EntryKind::Video, EntryKind::Audio, EntryKind::Video],
        "{manifest}"
    );
    assert!(!manifest.contains(".ts"), "{manifest}");
}

/// As in Microsoft's samples: "mux the H.264 video and AAC audio into MP4 files" is what a format without `outputFiles` does, encoded
/// or copied, so that each file is heard when it is downloaded.
#[tokio::test(flavor = "multi_thread")]
async fn sound_is_in_every_file_of_pictures_where_a_preset_does_not_say() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.mkv");
    media::ffmpeg(
        "-f lavfi -i testsrc=s=320x180:r=25:d=4 -f lavfi -i sine=440:d=4:r=48000 -f lavfi -i sine=880:d=4:r=48000 -map 0 -map 1 -map 2 \
         -c:v libx264 -preset ultrafast -c:a aac -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu",
        &film,
    );
    let copy = json!([{"@odata.type": "#Microsoft.Media.CopyVideo"}, {"@odata.type": "#Microsoft.Media.CopyAudio"}]);
    let encoded: &[&str] = &["film_small_320x180_.mp4", "film_tiny_160x90_.mp4"];
    for (codecs, names) in [
        (json!([aac(), small("H264Video")]), encoded),
        (copy, &["film__320x180_.mp4"]),
    ] {
        let made = encode(&film, muxed(codecs, Value::Null)).await;
        assert_eq!(made.names(".mp4"), names);
        for name in names {
            let file = made.folder.path().join(name);
            assert_eq!(media::packets(&file, "v:0").len(), 100, "{name}");
            for (track, language, tone) in [(0, "eng", 440.0), (1, "deu", 880.0)] {
                let said = jobs::language(&file, &format!("a:{track}"));
                assert_eq!(said, language, "{name}");
                let sound = media::sound_of(&file, track, 8000);
                let heard = crossings(&sound[8000..16_000]) / 2.0;
                assert!((heard - tone).abs() < 5.0, "{name}: {heard} Hz");
            }
        }
        let manifest = &made.files[&made.manifest];
        let read = headwater_ism::parse(manifest).unwrap();
        let of = |kind| {
            read.tracks
                .iter()
                .filter(|track| track.kind == kind)
                .count()
        };
        assert_eq!(
            (of(EntryKind::Video), of(EntryKind::Audio)),
            (names.len(), 2)
        );
    }
    // Sound alone is a file for each.
    let made = encode(&film, muxed(json!([aac()]), Value::Null)).await;
    assert_eq!(
        made.names(".mp4"),
        ["film___aac_deu.mp4", "film___aac_eng.mp4"]
    );
}

/// How often `samples` change their sign.
fn crossings(samples: &[f32]) -> f64 {
    let changes = samples
        .windows(2)
        .filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0 || pair[0] >= 0.0 && pair[1] < 0.0);
    changes.count() as f64
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_the_packets_of_the_source() {
    let source = shared_media().join("car-detection.mp4");
    for (name, files) in [
        ("CopyAllBitrateNonInterleaved", 2),
        ("CopyAllBitrateInterleaved", 1),
    ] {
        let made = encode(&source, named(name)).await;
        assert_eq!(made.engine, "ffmpeg");
        let names = made.names(".mp4");
        assert_eq!(names.len(), files, "{name}: {names:?}");
        for kind in ["v:0", "a:0"] {
            let own = names
                .iter()
                .map(|name| made.folder.path().join(name))
                .find(|path| !stream(path, kind).is_null())
                .unwrap();
            let sizes = |file: &std::path::Path| -> Vec<u64> {
                media::packets(file, kind)
                    .iter()
                    .map(|packet| packet.size)
                    .collect()
            };
            assert_eq!(sizes(&own), sizes(&source), "{name} {kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_taken_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = flash(
        folder.path(),
        "film.mkv",
        "-c:v libx264 -preset ultrafast -c:a aac",
    );
    let mut preset = standard(
        json!([
            {"@odata.type": "#Microsoft.Media.PngImage", "start": "PT1S", "step": "PT1S", "range": "95%",
             "layers": [{"width": "50%", "height": "50%"}]},
            {"@odata.type": "#Microsoft.Media.JpgImage", "start": "{Best}", "layers": [{"quality": 90, "width": 200, "label": "best"}]},
        ]),
        Value::Null,
    );
    let made = encode(&source, preset.clone()).await;
    assert_eq!(made.manifest, "");
    let pictures = made.names(".png");
    assert_eq!(pictures.len(), 5, "{pictures:?}");
    for name in &pictures {
        let path = made.folder.path().join(name);
        let found = stream(&path, "v:0");
        assert_eq!(
            (&found["width"], &found["height"]),
            (&json!(160), &json!(90))
        );
        // Taken at full seconds, where the picture is white.
        let [red, ..] = media::average_colour(&path);
        assert!(red > 200, "{name}: {red}");
    }
    assert_eq!(stream(&made.path("_best_"), "v:0")["width"], 200);

    // A sheet of 25 pictures, five beside each other.
    preset["codecs"] = json!([
        {"@odata.type": "#Microsoft.Media.JpgImage", "start": "0%", "step": "4%", "range": "100%", "spriteColumn": 5,
         "layers": [{"width": 64, "height": 36, "label": "sheet"}]},
    ]);
    let made = encode(&source, preset).await;
    let found = stream(&made.path(".jpg"), "v:0");
    assert_eq!(
        (&found["width"], &found["height"]),
        (&json!(320), &json!(180))
    );
    let index = String::from_utf8_lossy(&made.files[&made.names(".vtt")[0]]).into_owned();
    assert_eq!(index.matches("#xywh=").count(), 25, "{index}");
    assert!(index.contains("#xywh=256,144,64,36"), "{index}");

    let thumbnails = json!({"@odata.type": "#MediaKind.ThumbnailGeneratorPreset", "baseFilename": "pic", "thumbnails": [
        {"format": "Jpeg", "width": "25%", "start": "PT2S", "label": "one"},
        {"format": "Jpeg", "width": 80, "start": "0%", "range": "100%", "step": "25%", "label": "row"},
    ]});
    let made = encode(&source, thumbnails).await;
    assert_eq!(
        made.names(""),
        [
            "pic_one000001.jpg",
            "pic_row000001.jpg",
            "pic_row000002.jpg",
            "pic_row000003.jpg",
            "pic_row000004.jpg"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_pictures_counts_from_the_first_and_none_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let source = flash(
        folder.path(),
        "film.mkv",
        "-c:v libx264 -preset ultrafast -c:a aac",
    );
    let taken = async |start: &str, step: &str, range: &str| {
        let codec = json!({"@odata.type": "#Microsoft.Media.PngImage", "start": start, "step": step, "range": range,
            "layers": [{"width": 64}]});
        let made = encode(&source, standard(json!([codec]), Value::Null)).await;
        made.names(".png").len()
    };
    // Of six seconds: from 2 s to 4 s, from 3 s to 4.5 s, from 2 s to 4 s, and to the end.
    assert_eq!(taken("PT2S", "PT1S", "PT2S").await, 2);
    assert_eq!(taken("50%", "PT1S", "25%").await, 2);
    assert_eq!(taken("50", "25", "50").await, 2);
    assert_eq!(taken("PT4S", "PT1S", "100%").await, 2);

    let mut preset = standard(
        json!([{"@odata.type": "#Microsoft.Media.PngImage", "start": "PT1S", "range": 1,
            "layers": [{"width": 64}, {"width": 128}]}]),
        Value::Null,
    );
    preset["formats"] = json!([{"@odata.type": "#Microsoft.Media.PngFormat", "filenamePattern": "{Basename}-{Index}{Extension}"}]);
    let made = encode(&source, preset).await;
    let width = |name: &str| stream(&made.folder.path().join(name), "v:0")["width"].clone();
    assert_eq!(made.names(".png").len(), 2);
    assert_eq!(width("film-000001.png"), 64);
    assert_eq!(width("film-000001_2.png"), 128);
    let thumbnails = json!({"@odata.type": "#MediaKind.ThumbnailGeneratorPreset", "thumbnails": [
        {"format": "Jpeg", "width": 64, "start": "PT2S"}, {"format": "Jpeg", "width": 80, "start": "PT3S"},
    ]});
    let made = encode(&source, thumbnails).await;
    assert_eq!(made.names(".jpg").len(), 2, "{:?}", made.names(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_a_sequence_are_of_all_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let fake = fake(Choice::Auto).await;
    for (name, colour, size, seconds) in [
        ("red.mkv", "red", "320x180", 2),
        ("blue.mkv", "blue", "320x180", 8),
    ] {
        let path = folder.path().join(name);
        media::ffmpeg(
            &format!(
                "-f lavfi -i color={colour}:s={size}:r=25:d={seconds} -c:v libx264 -preset ultrafast"
            ),
            &path,
        );
        fake.upload(name, std::fs::read(&path).unwrap());
    }
    let picture = |label: &str, rest: Value| {
        let mut codec = json!({"@odata.type": "#Microsoft.Media.JpgImage", "start": "0%",
            "layers": [{"width": 64, "height": 36, "quality": 95, "label": label}]});
        let all = codec.as_object_mut().unwrap();
        all.extend(rest.as_object().unwrap().clone());
        codec
    };
    let codecs = json!([
        picture("half", json!({"start": "50%", "range": 1})),
        // So many that they are taken in one run.
        picture("many", json!({"step": "PT0.2S"})),
        picture("sheet", json!({"step": "10%", "spriteColumn": 10})),
    ]);
    let inputs = vec![fake.input("red.mkv"), fake.input("blue.mkv")];
    fake.queue_with(
        WorkInput::Sequence { inputs },
        vec![standard(codecs, Value::Null)],
    );
    let made = run(&fake).await;
    let is_blue = |path: &std::path::Path| {
        let [red, _, blue] = media::average_colour(path);
        assert!(red.abs_diff(blue) > 150, "{red} {blue}");
        blue > red
    };
    assert!(is_blue(&made.path("_half_")));
    let many = made.names("_many_");
    let seen: Vec<bool> = many
        .iter()
        .map(|name| is_blue(&made.folder.path().join(name)))
        .collect();
    let wanted: Vec<bool> = (0..50).map(|index| index >= 10).collect();
    assert_eq!(seen, wanted);
    // The third of the sheet is the first that is blue.
    for (place, wanted) in [(0, false), (1, false), (2, true), (9, true)] {
        let cell = made.folder.path().join("cell.png");
        let sheet = made.path("_sheet_000001");
        let from = format!("-i {} -vf crop=64:36:{}:0", sheet.display(), place * 64);
        media::ffmpeg(&from, &cell);
        assert_eq!(is_blue(&cell), wanted, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_not_distorted_unless_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("film.mkv");
    media::ffmpeg(
        "-f lavfi -i color=white:s=320x180:r=25:d=2 -c:v libx264 -preset ultrafast",
        &source,
    );
    let size = |path: &std::path::Path| {
        let found = stream(path, "v:0");
        (found["width"].clone(), found["height"].clone())
    };
    for (mode, wanted, brightness) in [
        (Value::Null, (160, 90), 250..256_u32),
        (json!("AutoSize"), (160, 90), 250..256),
        (json!("None"), (160, 160), 250..256),
        // White between black bars: 90 of 160 lines.
        (json!("AutoFit"), (160, 160), 138..149),
    ] {
        let codec = |kind: &str, rest: Value| {
            let mut codec = json!({"@odata.type": format!("#Microsoft.Media.{kind}"), "start": "PT1S",
                "stretchMode": mode, "layers": [{"width": 160, "height": 160}]});
            let all = codec.as_object_mut().unwrap();
            all.extend(rest.as_object().unwrap().clone());
            codec
        };
        let codecs = json!([
            codec("PngImage", json!({"range": 1})),
            codec(
                "JpgImage",
                json!({"start": "0%", "step": "50%", "spriteColumn": 2})
            ),
        ]);
        let made = encode(&source, standard(codecs, Value::Null)).await;
        let one = made.path(".png");
        assert_eq!(size(&one), (json!(wanted.0), json!(wanted.1)), "{mode}");
        let [red, ..] = media::average_colour(&one);
        assert!(brightness.contains(&u32::from(red)), "{mode}: {red}");
        let sheet = made.path(".jpg");
        assert_eq!(
            size(&sheet),
            (json!(2 * wanted.0), json!(wanted.1)),
            "{mode}"
        );
    }
    let thumbnails = json!({"@odata.type": "#MediaKind.ThumbnailGeneratorPreset", "baseFilename": "pic",
        "thumbnails": [{"format": "Jpeg", "width": 160, "height": 160, "start": "PT1S", "label": "one"}]});
    let made = encode(&source, thumbnails).await;
    assert_eq!(size(&made.path("pic_one")), (json!(160), json!(90)));
}

#[tokio::test(flavor = "multi_thread")]
async fn quality_and_content_decide_how_much_is_spent() {
    let folder = tempfile::tempdir().unwrap();
    let still = folder.path().join("still.mkv");
    media::ffmpeg(
        "-f lavfi -i color=gray:s=640x360:r=25:d=6 -f lavfi -i sine=440:d=6 -c:v libx264 -preset ultrafast -b:v 4M -c:a pcm_s16le",
        &still,
    );
    let rates = |made: &crate::support::jobs::Made| -> Vec<u32> {
        let text = made.files[&made.manifest].clone();
        let read = headwater_ism::parse(&text).unwrap();
        read.tracks
            .iter()
            .filter(|track| track.kind == headwater_ism::EntryKind::Video)
            .map(|track| track.bitrate.unwrap())
            .collect()
    };
    let plain = encode(&still, named("H264MultipleBitrateSDWithCVQ")).await;
    assert!(plain.reason.contains("rate control"), "{}", plain.reason);
    let large = plain.names("_640x360_");
    assert!(!large.is_empty());
    // A grey picture needs next to nothing at constant quality.
    assert!(
        plain.files[&large[0]].len() < 60_000,
        "{}",
        plain.files[&large[0]].len()
    );

    let aware = encode(&still, named("ContentAwareEncoding")).await;
    let noisy = folder.path().join("noise.mkv");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=640x360:r=25:d=4,noise=alls=60:allf=t -c:v libx264 -preset ultrafast -b:v 20M",
        &noisy,
    );
    let busy = encode(&noisy, named("ContentAwareEncoding")).await;
    let (calm, busy_rates) = (rates(&aware), rates(&busy));
    assert!(calm[0] * 3 < busy_rates[0], "{calm:?} {busy_rates:?}");
    let limited = json!({"@odata.type": "#Microsoft.Media.BuiltInStandardEncoderPreset", "presetName": "ContentAwareEncoding",
        "configurations": {"maxLayers": 2, "maxHeight": 270, "keyFrameIntervalInSeconds": 1, "interleaveOutput": "InterleavedOutput"}});
    let made = encode(&still, limited).await;
    let names = made.names(".mp4");
    assert_eq!(names.len(), 2, "{names:?}");
    let path = made.folder.path().join(&names[0]);
    assert!(stream(&path, "v:0")["height"].as_u64().unwrap() <= 270);
    assert_eq!(stream(&path, "a:0")["codec_name"], "aac");
    assert_eq!(keys(&path).len(), 6);
}
