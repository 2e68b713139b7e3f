//! Sources as recorders, browsers and broadcasters leave them, which what is made for tests is not like.

use std::path::{Path, PathBuf};

use crate::support::jobs::{
    aac, beeps, encode, fake, flash, flashes, muxed, named, run, small, sound_start, standard,
    stream,
};
use crate::support::media;
use headwater_transcoder::auto::Choice;
use headwater_work::{Outcome, Selection};
use serde_json::{Value, json};

const PICTURES: &str = "-f lavfi -i testsrc2=s=160x90:r=25:d=6";
const SOUND: &str = "-f lavfi -i sine=440:d=6:r=48000";

fn source(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    let path = folder.join(name);
    media::ffmpeg(arguments, &path);
    path
}

/// The least and the most that a tone is heard in any hundredth of a second, but for its beginning and end.
fn loudness(file: &Path) -> (f32, f32) {
    let samples = media::sound(file, 48_000);
    let inner = &samples[24_000..samples.len() - 24_000];
    let peaks = inner.chunks(480).map(|part| {
        part.iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()))
    });
    peaks.fold((f32::MAX, 0.0), |(least, most), peak| {
        (least.min(peak), most.max(peak))
    })
}

/// Browsers and phones state when packets came, several at a time: no sound is missing between them.
#[tokio::test(flavor = "multi_thread")]
async fn sound_that_came_in_bursts_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let steady = format!("{PICTURES} {SOUND} -c:v libx264 -preset ultrafast -c:a libopus -b:a 64k");
    let steady = source(folder.path(), "steady.mkv", &steady);
    for (name, late) in [("pairs", "mod(N\\,2)*19"), ("threes", "mod(N\\,3)*18")] {
        let arguments = format!("-i {} -c copy -bsf:a setts=ts=PTS-{late}", steady.display());
        let film = source(folder.path(), &format!("{name}.mkv"), &arguments);
        let preset = standard(json!([aac(), small("H264Video")]), Value::Null);
        let made = encode(&film, preset).await;
        let (least, most) = loudness(&made.path("aac_"));
        assert!(least > 0.8 * most, "{name}: {least} to {most}");
    }
}

/// The same, where the engine is our own.
#[tokio::test(flavor = "multi_thread")]
async fn sound_that_came_in_bursts_is_whole_for_both_engines() {
    let folder = tempfile::tempdir().unwrap();
    let steady = format!("{PICTURES} {SOUND} -c:v libx264 -preset ultrafast -c:a aac -b:a 192k");
    let steady = source(folder.path(), "steady.mp4", &steady);
    let arguments = format!(
        "-i {} -c copy -bsf:a setts=ts=PTS-mod(N\\,2)*1000",
        steady.display()
    );
    let film = source(folder.path(), "film.mp4", &arguments);
    for choice in [Choice::BuiltIn, Choice::Ffmpeg] {
        let fake = fake(choice).await;
        fake.upload("film.mp4", std::fs::read(&film).unwrap());
        // Of a higher rate than the preset's, so that it is not copied.
        fake.queue_with(fake.input("film.mp4"), vec![named("AdaptiveStreaming")]);
        let made = run(&fake).await;
        let files = made.names(".mp4").into_iter();
        let mut sounds = files.map(|name| made.path(&name)).filter(|file| {
            let found = media::probe(file, "-select_streams a -show_entries stream=codec_name");
            found["streams"][0]["codec_name"] == "aac"
        });
        let (least, most) = loudness(&sounds.next().unwrap());
        assert!(least > 0.8 * most, "{choice:?}: {least} to {most}");
    }
}

/// What is recorded in a browser, or written to a pipe, says nowhere how long it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_film_without_a_length_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        format!("{PICTURES} {SOUND} -c:v libvpx -deadline realtime -c:a libopus -live 1 -f webm");
    let film = source(folder.path(), "film.webm", &arguments);
    let found = media::probe(&film, "-show_entries format=duration");
    assert!(found["format"]["duration"].is_null(), "{found}");
    let images = json!({"@odata.type": "#Microsoft.Media.JpgImage", "start": "PT0S", "step": "PT1S", "range": "PT6S",
        "layers": [{"width": "50%", "height": "50%"}]});
    let made = encode(&film, standard(json!([images]), Value::Null)).await;
    assert_eq!(made.names(".jpg").len(), 6, "{:?}", made.names(""));
}

/// Pictures of six seconds with sound of three, of which a preset takes the sound alone; and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn a_track_that_ends_before_the_others_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let codecs = "-c:v libx264 -preset ultrafast -c:a aac";
    let silent = json!([small("H264Video")]);
    let (short_sound, short_pictures) = ("-af atrim=end=3", "-vf trim=end=3");
    for (name, shorter, preset) in [
        ("sound.mkv", short_sound, named("DDGoodQualityAudio")),
        ("sound.mp4", short_sound, named("DDGoodQualityAudio")),
        (
            "pictures.mp4",
            short_pictures,
            standard(silent, Value::Null),
        ),
    ] {
        let film = source(
            folder.path(),
            name,
            &format!("{PICTURES} {SOUND} -map 0:v -map 1:a {shorter} {codecs}"),
        );
        let fake = fake(Choice::Ffmpeg).await;
        fake.upload(name, std::fs::read(&film).unwrap());
        fake.queue_with(fake.input(name), vec![preset]);
        let outcome = fake.finish(1).await;
        assert!(
            matches!(outcome, Outcome::Finished { .. }),
            "{name}: {outcome:?}"
        );
    }
}

/// Of sounds in one file, players play the first unless somebody chooses; it is the one that the source would have had played.
#[tokio::test(flavor = "multi_thread")]
async fn one_sound_of_a_file_is_its_default() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!(
        "{PICTURES} {SOUND} -f lavfi -i sine=880:d=6:r=48000 -map 0 -map 1 -map 2 -c:v libx264 -preset ultrafast -c:a ac3 \
         -metadata:s:a:0 language=deu -metadata:s:a:1 language=eng -disposition:a:0 0 -disposition:a:1 default"
    );
    let film = source(folder.path(), "film.mkv", &arguments);
    let made = encode(
        &film,
        muxed(json!([aac(), small("H264Video")]), Value::Null),
    )
    .await;
    let file = made.path("small");
    let sounds = ["a:0", "a:1"].map(|which| {
        let found = media::probe(
            &file,
            &format!("-select_streams {which} -show_entries stream_tags=language:stream_disposition=default"),
        );
        let found = &found["streams"][0];
        let language = found["tags"]["language"].as_str().unwrap().to_owned();
        (language, found["disposition"]["default"].as_u64().unwrap())
    });
    assert_eq!(sounds, [("eng".to_owned(), 1), ("deu".to_owned(), 0)]);
    assert_eq!(stream(&file, "v:0")["codec_name"], "h264");
}

/// A commentary that is over before the part begins that is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_sound_of_which_nothing_is_left_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!(
        "{PICTURES} {SOUND} -f lavfi -i sine=880:d=2:r=48000 -map 0 -map 1 -map 2 -c:v libx264 -preset ultrafast -c:a ac3"
    );
    let film = source(folder.path(), "film.mkv", &arguments);
    let part = Selection {
        start_ms: Some(3_000),
        ..Selection::default()
    };
    let fake = fake(Choice::Ffmpeg).await;
    fake.upload("film.mkv", std::fs::read(&film).unwrap());
    let preset = standard(json!([aac(), small("H264Video")]), Value::Null);
    fake.queue_with(fake.cut_input("film.mkv", part), vec![preset]);
    let made = run(&fake).await;
    assert_eq!(made.names("aac_").len(), 1, "{:?}", made.names(""));
    assert!(made.reason.contains("without 1 of"), "{}", made.reason);
    assert_eq!(media::packets(&made.path("small"), "v:0").len(), 75);
}

/// A copy with a hole: pictures that cannot be decoded fill a whole chunk, and there are others before and behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_stretch_costs_its_own_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let film = source(
        folder.path(),
        "film.mp4",
        "-f lavfi -i testsrc2=s=160x90:r=25:d=70 -f lavfi -i sine=440:d=70 -c:v libx264 -preset ultrafast -g 50 -c:a aac",
    );
    let found = media::probe(
        &film,
        "-select_streams v:0 -show_entries packet=pts_time,pos,size",
    );
    let mut bytes = std::fs::read(&film).unwrap();
    for packet in found["packets"].as_array().unwrap() {
        let number = |name: &str| packet[name].as_str().unwrap().parse::<f64>().unwrap();
        if (18.0..50.0).contains(&number("pts_time")) {
            let at = number("pos") as usize;
            bytes[at..at + number("size") as usize].fill(0);
        }
    }
    let fake = fake(Choice::Ffmpeg).await;
    fake.upload("film.mp4", bytes);
    let preset = standard(json!([aac(), small("H264Video")]), Value::Null);
    fake.queue_with(fake.input("film.mp4"), vec![preset]);
    let made = run(&fake).await;
    assert!(made.reason.contains("in one piece"), "{}", made.reason);
    let pictures = media::packets(&made.path("small"), "v:0");
    let before = pictures.iter().filter(|picture| picture.pts < 17.9).count();
    let behind = pictures.iter().filter(|picture| picture.pts > 50.1).count();
    assert!(before >= 445 && behind >= 490, "{before} and {behind}");
}

/// How many of the times at which something is heard are those at which something is seen.
fn in_step(video: &Path, sound: &Path) -> (usize, usize) {
    let (seen, shift) = (flashes(video), sound_start(sound));
    let heard = beeps(sound);
    let met = |beep: &&f64| {
        seen.iter()
            .any(|flash| (flash - (*beep + shift)).abs() < 0.02)
    };
    (heard.iter().filter(met).count(), heard.len())
}

/// What a recorder joined whose clock began anew each time, and whose sound ended before its pictures.
#[tokio::test(flavor = "multi_thread")]
async fn a_transport_stream_whose_clock_jumps_stays_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let codecs = "-af atrim=end=5.6 -c:v libx264 -preset ultrafast -g 25 -c:a aac";
    let mut bytes = Vec::new();
    for (name, offset) in [("late.ts", 1_000), ("early.ts", 0)] {
        let part = flash(
            folder.path(),
            name,
            &format!("{codecs} -output_ts_offset {offset}"),
        );
        bytes.push(std::fs::read(part).unwrap());
    }
    let fake = fake(Choice::Ffmpeg).await;
    fake.upload("film.ts", bytes.concat().repeat(4));
    let preset = standard(json!([aac(), small("H264Video")]), Value::Null);
    fake.queue_with(fake.input("film.ts"), vec![preset]);
    let made = run(&fake).await;
    let (video, sound) = (made.path("small"), made.path("aac_"));
    let (met, heard) = in_step(&video, &sound);
    assert!(heard >= 40 && heard - met <= 8, "{met} of {heard}");
    let pictures = media::packets(&video, "v:0").len();
    assert!((1_190..=1_210).contains(&pictures), "{pictures}");
}

/// The tags of an FLV, each later by `later` milliseconds. Adobe's Video File Format 10.1, E.3.
fn tags(file: &[u8], later: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 13;
    while at + 11 <= file.len() {
        let size = u32::from_be_bytes([0, file[at + 1], file[at + 2], file[at + 3]]) as usize;
        let time = [file[at + 7], file[at + 4], file[at + 5], file[at + 6]];
        let time = (u32::from_be_bytes(time) + later).to_be_bytes();
        let end = at + 11 + size + 4;
        // Neither what it says of itself nor its end.
        let kind = file[at];
        let is_end = kind == 9 && file[at + 12] == 2;
        if kind != 18 && !is_end {
            out.extend(&file[at..at + 4]);
            out.extend([time[1], time[2], time[3], time[0]]);
            out.extend(&file[at + 8..end]);
        }
        at = end;
    }
    out
}

/// An encoder that went away while a server recorded it, and came back with other settings.
#[tokio::test(flavor = "multi_thread")]
async fn an_flv_whose_encoder_came_back_is_decoded_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str, preset: &str| {
        let arguments = format!(
            "-f lavfi -i testsrc2=s=160x90:r=25:d=24 -f lavfi -i sine=440:d=24:r=48000 -c:v libx264 -g 50 {preset} -c:a aac"
        );
        std::fs::read(source(folder.path(), name, &arguments)).unwrap()
    };
    let first = part("first.flv", "-profile:v baseline -preset ultrafast");
    let second = part("second.flv", "-profile:v high -preset medium");
    let film = [&first[..13], &tags(&first, 0), &tags(&second, 24_000)].concat();
    let fake = fake(Choice::Ffmpeg).await;
    fake.upload("film.flv", film);
    let preset = standard(json!([aac(), small("H264Video")]), Value::Null);
    fake.queue_with(fake.input("film.flv"), vec![preset]);
    let made = run(&fake).await;
    let video = made.path("small");
    let reference = source(
        folder.path(),
        "reference.mp4",
        "-f lavfi -i testsrc2=s=160x90:r=25:d=24 -f lavfi -i testsrc2=s=160x90:r=25:d=24 \
         -filter_complex concat=n=2,scale=320:180 -c:v libx264 -preset ultrafast -crf 10",
    );
    let size = stream(&video, "v:0");
    let likeness = media::ssim(&video, &reference);
    assert!(likeness > 0.8, "{likeness} at {size}");
    let pictures = media::packets(&video, "v:0").len();
    assert!((1_199..=1_201).contains(&pictures), "{pictures}");
}

/// A broadcast that is recorded from before its sound comes on.
#[tokio::test(flavor = "multi_thread")]
async fn sound_that_comes_on_late_in_a_transport_stream_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let film = source(
        folder.path(),
        "film.ts",
        "-f lavfi -i testsrc2=s=160x90:r=25:d=24 -itsoffset 12 -f lavfi -i sine=440:d=12:r=48000 \
         -c:v libx264 -preset ultrafast -g 50 -c:a aac",
    );
    let preset = standard(json!([aac(), small("H264Video")]), Value::Null);
    let made = encode(&film, preset).await;
    let sound = made.path("aac_");
    let (heard, shift) = (media::sound(&sound, 48_000), sound_start(&sound));
    let first = heard.iter().position(|value| value.abs() > 0.05).unwrap();
    let begins = first as f64 / 48_000.0 + shift;
    assert!((begins - 12.0).abs() < 0.05, "{begins}");
}

/// What a tuner records of a multiplex: each programme has sound of its own.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_programmes_one_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let film = source(
        folder.path(),
        "film.ts",
        "-f lavfi -i testsrc2=s=160x90:r=25:d=6 -f lavfi -i sine=880:d=6:r=48000 \
         -f lavfi -i testsrc2=s=320x180:r=25:d=6 -f lavfi -i sine=440:d=6:r=48000 \
         -map 0 -map 1 -map 2 -map 3 -c:v libx264 -preset ultrafast -c:a mp2 \
         -program program_num=1:st=0:st=1 -program program_num=2:st=2:st=3",
    );
    let codecs = json!([aac(), small("H264Video")]);
    let made = encode(&film, muxed(codecs, Value::Null)).await;
    let file = made.path("small");
    let found = media::probe(&file, "-show_entries stream=codec_type");
    assert_eq!(found["streams"].as_array().unwrap().len(), 2, "{found}");
    // The one with the larger pictures.
    let sound = media::sound(&file, 48_000);
    let crossings = sound[48_000..96_000].windows(2);
    let crossings = crossings
        .filter(|two| two[0] < 0.0 && two[1] >= 0.0)
        .count();
    assert!((435..=445).contains(&crossings), "{crossings}");
}

/// A broadcast that goes from stereo to surround and back.
#[tokio::test(flavor = "multi_thread")]
async fn sound_that_changes_its_channels_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str, rest: &str| {
        let arguments = format!(
            "{PICTURES} {SOUND} -c:v libx264 -preset ultrafast -g 50 -c:a ac3 {rest} -f mpegts"
        );
        std::fs::read(source(folder.path(), name, &arguments)).unwrap()
    };
    let film = [
        part("stereo.ts", "-ac 2"),
        part("surround.ts", "-ac 6 -output_ts_offset 6"),
        part("again.ts", "-ac 2 -output_ts_offset 12"),
    ];
    let film_path = folder.path().join("film.ts");
    std::fs::write(&film_path, film.concat()).unwrap();
    // Recorders put such broadcasts into other containers as they are.
    let matroska = folder.path().join("film.mkv");
    media::ffmpeg(&format!("-i {} -c copy", film_path.display()), &matroska);
    for film in [film_path, matroska] {
        let preset = standard(json!([aac(), small("H264Video")]), Value::Null);
        let made = encode(&film, preset).await;
        let (name, sound) = (film.display(), made.path("aac_"));
        // Of 18 seconds, and each at its time.
        let packets = media::packets(&sound, "a:0");
        let count = packets.len();
        assert!((838..=852).contains(&count), "{name}: {count}");
        for pair in packets.windows(2) {
            let (at, apart) = (pair[0].pts, pair[1].pts - pair[0].pts);
            assert!((0.02..0.023).contains(&apart), "{name}: {apart} at {at}");
        }
        let heard = media::sound(&sound, 48_000);
        let silent = heard[24_000..heard.len() - 24_000]
            .chunks(4_800)
            .filter(|part| part.iter().all(|value| value.abs() < 0.02))
            .count();
        assert_eq!(silent, 0, "{name}");
    }
}
