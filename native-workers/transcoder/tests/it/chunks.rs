//! The ffmpeg engine in chunks: workers that come and go, seams that are not seen, and reasons for making it in one piece.

use std::path::{Path, PathBuf};

use crate::support::jobs::{aac, assert_as_in, fake, keys, run, standard};
use crate::support::{Change, Fake, media, save};
use headwater_transcoder::auto::Choice;
use headwater_work::{Outcome, Selection, WorkInput};
use serde_json::{Value, json};

/// A minute with a flash and a beep every second, at an odd frame rate, in groups of pictures of any length.
fn source(folder: &Path) -> PathBuf {
    let path = folder.join("film.mkv");
    let video = "color=black:s=16x10:r=30000/1001:d=50,geq=lum='if(lt(mod(T\\,1)\\,0.099)\\,235\\,16+mod(N\\,64))':cb=128:cr=128,\
                 scale=160:90:flags=neighbor";
    let sound = "sine=1000:d=50:r=48000,volume='if(lt(mod(t\\,1)\\,0.1)\\,1\\,0)':eval=frame";
    let status = std::process::Command::new("ffmpeg")
        .args([
            "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", video, "-f", "lavfi", "-i", sound,
        ])
        .args("-c:v libx264 -preset veryfast -g 170 -bf 2 -c:a libvorbis".split(' '))
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

/// 44 seconds with sound, of pictures at the times that `filters` leave; `rate` frames a second before that.
fn moving(folder: &Path, rate: &str, filters: &str) -> PathBuf {
    let path = folder.join("film.mkv");
    let video = format!("testsrc2=s=160x90:r={rate}:d=44{filters}");
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", &video])
        .args("-f lavfi -i sine=1000:d=44:r=48000 -fps_mode vfr".split(' '))
        .args("-c:v libx264 -preset veryfast -g 170 -bf 3 -x264-params open-gop=1".split(' '))
        .args(["-c:a", "mp3"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

/// Video of the sources' size and of less: there are many pictures, and what is in them is seen all the same.
fn small(kind: &str) -> Value {
    json!({"@odata.type": format!("#Microsoft.Media.{kind}"), "complexity": "Speed",
           "layers": [{"width": 160, "height": 90, "bitrate": 200_000, "label": "small"},
                      {"width": 96, "height": 54, "bitrate": 80_000, "label": "tiny"}]})
}

const IN_CHUNKS: &str = "in 2 chunks";
const IN_ONE_PIECE: &str = "in one piece";

/// What a job made, in a folder.
type Kept = (tempfile::TempDir, Vec<String>);

/// The only file whose name has `part` in it.
fn path((folder, names): &Kept, part: &str) -> PathBuf {
    let mut found = names.iter().filter(|name| name.contains(part));
    folder.path().join(found.next().unwrap())
}

/// A moving picture of a few samples, for a second near the end, in a container that cannot be searched: what it is laid over is made in
/// one piece.
fn dot(folder: &Path) -> PathBuf {
    let path = folder.join("dot.mpg");
    media::ffmpeg(
        "-f lavfi -i color=black:s=16x16:r=25:d=1 -c:v mpeg2video",
        &path,
    );
    path
}

/// `filters` with that.
fn with_dot(mut filters: Value) -> Value {
    if filters.is_null() {
        filters = json!({"overlays": []});
    }
    let over = json!({"@odata.type": "#Microsoft.Media.VideoOverlay", "inputLabel": "dot", "start": "PT41S", "end": "PT42S",
                      "position": {"left": "0", "top": "0", "width": "2", "height": "2"}});
    filters["overlays"].as_array_mut().unwrap().push(over);
    filters
}

/// `inputs`, and that if it is to be in one piece.
fn over_dot(fake: &Fake, how: &str, mut inputs: Vec<WorkInput>) -> WorkInput {
    let label = Some("dot".to_owned());
    if how == IN_ONE_PIECE {
        let selection = Selection {
            label,
            ..Selection::default()
        };
        inputs.push(fake.cut_input("dot.mpg", selection));
    }
    WorkInput::Several { inputs }
}

/// Encodes `input` of `files` with the first preset in chunks, and with the second in one piece. `input`: also by that.
async fn both_ways(
    files: &[&Path],
    input: impl Fn(&Fake, &str) -> WorkInput,
    presets: &[Value; 2],
) -> [Kept; 2] {
    let mut made = Vec::new();
    for (how, preset) in [IN_CHUNKS, IN_ONE_PIECE].into_iter().zip(presets) {
        let fake = fake(Choice::Ffmpeg).await;
        for file in files {
            let name = file.file_name().unwrap().to_str().unwrap();
            fake.upload(name, std::fs::read(file).unwrap());
        }
        fake.queue_with(input(&fake, how), vec![preset.clone()]);
        let outcome = fake.finish(2).await;
        assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
        assert!(reason(&fake).contains(how), "{how}: {}", reason(&fake));
        let files = fake.files("out0");
        let folder = tempfile::tempdir().unwrap();
        save(&files, folder.path());
        let names = files.into_keys().filter(|name| !name.starts_with('.'));
        made.push((folder, names.collect()));
    }
    made.try_into().unwrap()
}

/// `film` in a transport stream that begins when nobody expects it, its sound moved by `shift` seconds.
fn transported(film: &Path, name: &str, shift: &str) -> PathBuf {
    let path = film.with_file_name(name);
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-i"])
        .arg(film)
        .args(["-itsoffset", shift, "-i"])
        .arg(film)
        .args("-map 0:v -map 1:a -c:v copy -c:a mp2 -output_ts_offset 4000 -f mpegts".split(' '))
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    path
}

/// Encodes `film` with `codec` in chunks and in one piece, and holds both against each other and the source.
async fn joins_like_one_piece(film: &Path, codec: &str) {
    let layers = json!([{"width": 128, "height": 72, "bitrate": 300_000, "label": "small"},
                        {"width": 64, "height": 36, "bitrate": 80_000, "label": "tiny"}]);
    let video = json!({"@odata.type": format!("#Microsoft.Media.{codec}Video"), "complexity": "Speed",
                       "layers": layers});
    let dot = dot(film.parent().unwrap());
    let input = |fake: &Fake, how: &str| over_dot(fake, how, vec![fake.input("film.mkv")]);
    let ways = [Value::Null, with_dot(Value::Null)]
        .map(|filters| standard(json!([aac(), video]), filters));
    let kept = both_ways(&[film, &dot], input, &ways).await;
    let paths = |made| ["small", "tiny", "aac_"].map(|part| path(made, part));
    let made = kept.each_ref().map(paths);
    let (chunked, whole) = (&made[0], &made[1]);
    let own = media::packets(film, "v:0");
    for (chunked, whole) in chunked.iter().zip(whole).take(2) {
        let (parts, one) = (media::packets(chunked, "v:0"), media::packets(whole, "v:0"));
        assert_eq!(parts.len(), own.len(), "{codec}");
        assert_eq!(one.len(), own.len(), "{codec}");
        for (at, ((parts, one), own)) in parts.iter().zip(&one).zip(&own).enumerate() {
            assert!(
                (parts.pts - one.pts).abs() < 0.0015,
                "{codec}: {parts:?} {one:?}"
            );
            // What is first on screen is so from the start.
            assert!(
                at == 0 || (parts.pts - own.pts).abs() < 0.0015,
                "{codec}: {parts:?} {own:?}"
            );
            assert_eq!(parts.key, one.key, "{codec}: {parts:?} {one:?}");
        }
        assert_eq!(media::frame_sums(chunked).len(), own.len(), "{codec}");
        // Picture by picture the same: at a seam, one that is missing or comes twice would move all others.
        let alike = media::ssim(chunked, whole);
        assert!(alike > 0.9, "{codec}: {alike}");
    }
    assert_eq!(keys(&chunked[0]), keys(&chunked[1]));
    // Sound is one piece in both.
    let times = |file: &Path| -> Vec<f64> {
        let packets = media::packets(file, "a:0").into_iter();
        packets.map(|packet| packet.pts).collect()
    };
    assert_eq!(times(&chunked[2]), times(&whole[2]));
}

const STEADY: &str = "";
/// Two seconds of every picture, two seconds of every third.
const UNSTEADY: &str = ",select='lt(mod(t\\,4)\\,2)+not(mod(n\\,3))'";

/// Asserts that both files show the same pictures at the same times.
fn assert_same_pictures(chunked: &Path, whole: &Path) {
    assert_same_but(chunked, whole, 0);
}

/// As [`assert_same_pictures`], of a whole that shows its last picture for up to `longer` more.
fn assert_same_but(chunked: &Path, whole: &Path, longer: usize) {
    let (parts, one) = (media::packets(chunked, "v:0"), media::packets(whole, "v:0"));
    let more = one.len().checked_sub(parts.len());
    let (chunks, whole_has) = (parts.len(), one.len());
    assert!(
        more.is_some_and(|more| more <= longer),
        "{chunks} and {whole_has}"
    );
    for (parts, one) in parts.iter().zip(&one) {
        assert!((parts.pts - one.pts).abs() < 0.0015, "{parts:?} {one:?}");
        assert_eq!(parts.key, one.key, "{parts:?} {one:?}");
    }
    assert_eq!(media::frame_sums(chunked).len(), parts.len());
    let luma = media::brightness(chunked).into_iter();
    for (own, other) in luma.zip(media::brightness(whole)) {
        assert!((own.1 - other.1).abs() < 3.0, "{own:?} {other:?}");
    }
    let alike = media::ssim(chunked, whole);
    assert!(alike > 0.9, "{alike}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fades_and_has_pictures_laid_over_it_goes_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let film = moving(folder.path(), "30000/1001", STEADY);
    let (logo, bug) = (
        folder.path().join("logo.png"),
        folder.path().join("bug.png"),
    );
    media::ffmpeg("-f lavfi -i color=white:s=64x64 -frames:v 1", &logo);
    media::ffmpeg("-f lavfi -i color=red:s=64x64 -frames:v 1", &bug);
    let labelled = |label: &str| Selection {
        label: Some(label.into()),
        ..Selection::default()
    };
    // One across the seam, which comes and goes slowly; one that is over before it; fades that take seconds at both ends.
    let over = |label: &str, start: &str, end: &str| {
        json!({"@odata.type": "#Microsoft.Media.VideoOverlay", "inputLabel": label, "start": start, "end": end,
               "opacity": 0.8, "fadeInDuration": "PT8S", "fadeOutDuration": "PT5S",
               "position": {"left": "10%", "top": "10%", "width": "50%", "height": "50%"}})
    };
    let filters = json!({
        "overlays": [over("logo", "PT14S", "PT38S"), over("bug", "PT2S", "PT15S")],
        "fadeIn": {"start": "PT1S", "duration": "PT4S", "fadeColor": "blue"},
        "fadeOut": {"start": "PT18S", "duration": "PT20S", "fadeColor": "black"},
    });
    let dot = dot(folder.path());
    let input = |fake: &Fake, how: &str| {
        let inputs = vec![
            fake.input("film.mkv"),
            fake.cut_input("logo.png", labelled("logo")),
            fake.cut_input("bug.png", labelled("bug")),
        ];
        over_dot(fake, how, inputs)
    };
    let ways = [filters.clone(), with_dot(filters)]
        .map(|filters| standard(json!([aac(), small("H264Video")]), filters));
    let made = both_ways(&[&film, &logo, &bug, &dot], input, &ways).await;
    for part in ["small", "tiny"] {
        let [chunked, whole] = made.each_ref().map(|made| path(made, part));
        assert_same_pictures(&chunked, &whole);
    }
}

/// Of what moves over a film, each chunk has what belongs there: across the seam, over before it, and begun behind it.
#[tokio::test(flavor = "multi_thread")]
async fn what_moves_over_a_film_goes_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let film = moving(folder.path(), "30000/1001", STEADY);
    let clip = folder.path().join("clip.mp4");
    media::ffmpeg(
        "-f lavfi -i testsrc=s=64x36:r=25:d=30 -f lavfi -i sine=300:d=30 -c:v libx264 -preset veryfast -g 110 -bf 3 -c:a aac",
        &clip,
    );
    let labelled = |label: &str, start: Option<u64>| Selection {
        label: Some(label.into()),
        start_ms: start,
        ..Selection::default()
    };
    let over = |label: &str, start: &str, end: &str, left: &str| {
        json!({"@odata.type": "#Microsoft.Media.VideoOverlay", "inputLabel": label, "start": start, "end": end,
               "opacity": 0.9, "fadeInDuration": "PT3S", "fadeOutDuration": "PT2S",
               "position": {"left": left, "top": "10%", "width": "40%", "height": "40%"}})
    };
    let filters = json!({"overlays": [
        over("across", "PT9.3S", "PT34.5S", "5%"),
        over("before", "PT1S", "PT8S", "50%"),
        over("behind", "PT30S", "PT42S", "50%"),
    ]});
    let dot = dot(folder.path());
    let input = |fake: &Fake, how: &str| {
        let inputs = vec![
            fake.input("film.mkv"),
            fake.cut_input("clip.mp4", labelled("across", Some(2_210))),
            fake.cut_input("clip.mp4", labelled("before", None)),
            fake.cut_input("clip.mp4", labelled("behind", Some(11_000))),
        ];
        over_dot(fake, how, inputs)
    };
    let ways = [filters.clone(), with_dot(filters)]
        .map(|filters| standard(json!([aac(), small("H264Video")]), filters));
    let made = both_ways(&[&film, &clip, &dot], input, &ways).await;
    for part in ["small", "tiny"] {
        let [chunked, whole] = made.each_ref().map(|made| path(made, part));
        assert_same_pictures(&chunked, &whole);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transport_streams_go_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let film = moving(folder.path(), "30000/1001", STEADY);
    let film = transported(&film, "film.ts", "-0.25");
    let dot = dot(folder.path());
    for (start, end) in [(None, None), (Some(1_500), Some(43_600))] {
        let input = |fake: &Fake, how: &str| {
            let selection = Selection {
                start_ms: start,
                end_ms: end,
                ..Selection::default()
            };
            over_dot(fake, how, vec![fake.cut_input("film.ts", selection)])
        };
        let ways = [Value::Null, with_dot(Value::Null)]
            .map(|filters| standard(json!([aac(), small("H264Video")]), filters));
        let made = both_ways(&[&film, &dot], input, &ways).await;
        for part in ["small", "tiny"] {
            let [chunked, whole] = made.each_ref().map(|made| path(made, part));
            assert_same_pictures(&chunked, &whole);
        }
    }
    // Pictures and sound are made by themselves, and stay together, whichever begins first.
    for (name, shift) in [("early.ts", "-0.4"), ("late.ts", "0.4")] {
        let flashing = source(folder.path());
        let film = transported(&flashing, name, shift);
        let fake = with(&film).await;
        fake.queue_with(fake.input(name), vec![preset()]);
        let made = run(&fake).await;
        assert!(made.reason.contains("in 2 chunks"), "{}", made.reason);
        assert_as_in(&film, &made.path("small"), &made.path("aac_"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_go_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let film = moving(folder.path(), "25", UNSTEADY);
    let other = folder.path().join("other.mp4");
    media::ffmpeg(
        "-f lavfi -i testsrc=s=176x144:r=30000/1001:d=30 -f lavfi -i sine=500:d=30 -c:v libx264 -preset ultrafast -g 90 -c:a aac",
        &other,
    );
    let between = |start: u64, end: Option<u64>| Selection {
        start_ms: Some(start),
        end_ms: end,
        ..Selection::default()
    };
    // The seam is in the second part, which is over in the second chunk.
    let input = |fake: &Fake, _: &str| WorkInput::Sequence {
        inputs: vec![
            fake.cut_input("film.mkv", between(1_300, Some(15_300))),
            fake.cut_input("other.mp4", between(3_100, Some(22_000))),
            fake.cut_input("film.mkv", between(29_000, None)),
        ],
    };
    // A rate of its own keeps it in one piece; the sequence has the same.
    let mut rated = small("H264Video");
    for layer in rated["layers"].as_array_mut().unwrap() {
        layer["frameRate"] = json!("25");
    }
    let filters = json!({"fadeOut": {"start": "PT40S", "duration": "PT7S", "fadeColor": "black"}});
    let ways =
        [small("H264Video"), rated].map(|video| standard(json!([aac(), video]), filters.clone()));
    let made = both_ways(&[&film, &other], input, &ways).await;
    for part in ["small", "tiny"] {
        let [chunked, whole] = made.each_ref().map(|made| path(made, part));
        // Of one rate throughout, whatever the parts' own.
        for (number, picture) in media::packets(&chunked, "v:0").iter().enumerate() {
            let time = number as f64 / 25.0;
            assert!((picture.pts - time).abs() < 0.0015, "{number}: {picture:?}");
        }
        assert_same_pictures(&chunked, &whole);
    }
}

/// A frame rate that all renditions have is made in chunks as in one piece, from a steady source or not, and of a clip.
#[tokio::test(flavor = "multi_thread")]
async fn frames_of_another_rate_join_like_one_piece() {
    let rated = |rate: &str| {
        let mut video = small("H264Video");
        match rate {
            "Cfr" => video["syncMode"] = json!("Cfr"),
            rate => {
                for layer in video["layers"].as_array_mut().unwrap() {
                    layer["frameRate"] = json!(rate);
                }
            }
        }
        video
    };
    let whole = Selection::default;
    let clip = || Selection {
        start_ms: Some(1_310),
        end_ms: Some(43_770),
        ..Selection::default()
    };
    for (source, filters, rate, selection, frames) in [
        ("30000/1001", STEADY, "15", whole(), 660),
        ("25", STEADY, "60", clip(), 0),
        ("25", UNSTEADY, "30000/1001", whole(), 0),
        ("25", UNSTEADY, "Cfr", clip(), 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let film = moving(folder.path(), source, filters);
        let input = |fake: &Fake, _: &str| fake.cut_input("film.mkv", selection.clone());
        // A rendition of yet another rate keeps all in one piece.
        let mut other = rated(rate);
        let layer = json!({"width": 64, "height": 36, "bitrate": 50_000, "label": "other", "frameRate": "10"});
        other["layers"].as_array_mut().unwrap().push(layer);
        let ways = [rated(rate), other].map(|video| standard(json!([aac(), video]), Value::Null));
        let made = both_ways(&[&film], input, &ways).await;
        for part in ["small", "tiny"] {
            let [chunked, whole] = made.each_ref().map(|made| path(made, part));
            let pictures = media::packets(&chunked, "v:0");
            if frames > 0 {
                assert_eq!(pictures.len(), frames, "{source} at {rate}");
            }
            let pairs = pictures.windows(2).map(|pair| pair[1].pts - pair[0].pts);
            let (least, most) = pairs.fold((f64::MAX, 0.0_f64), |(least, most), length| {
                (least.min(length), most.max(length))
            });
            assert!(
                most - least < 0.0005,
                "{source} at {rate}: {least} to {most}"
            );
            // How long ffmpeg shows the last picture of a clip is a matter of its own.
            assert_same_but(&chunked, &whole, 3);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_x264_join_like_one_piece() {
    for (rate, filters) in [("25", STEADY), ("30000/1001", STEADY), ("25", UNSTEADY)] {
        let folder = tempfile::tempdir().unwrap();
        joins_like_one_piece(&moving(folder.path(), rate, filters), "H264").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_x265_join_like_one_piece() {
    for (rate, filters) in [("30000/1001", STEADY), ("25", UNSTEADY)] {
        let folder = tempfile::tempdir().unwrap();
        joins_like_one_piece(&moving(folder.path(), rate, filters), "H265").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_av1_join_like_one_piece() {
    let folder = tempfile::tempdir().unwrap();
    let film = moving(folder.path(), "30000/1001", STEADY);
    joins_like_one_piece(&film, "AV1").await;
}

fn preset() -> Value {
    standard(json!([aac(), small("H264Video")]), Value::Null)
}

async fn with(source: &Path) -> Fake {
    let fake = fake(Choice::Ffmpeg).await;
    let name = source.file_name().unwrap().to_str().unwrap();
    fake.upload(name, std::fs::read(source).unwrap());
    fake
}

fn reason(fake: &Fake) -> String {
    fake.state
        .lock()
        .unwrap()
        .engines
        .last()
        .unwrap()
        .reason
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_worker_costs_a_chunk_and_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let film = source(folder.path());
    let whole = with(&film).await;
    whole.queue_with(whole.input("film.mkv"), vec![preset()]);
    let outcome = whole.finish(2).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    assert!(reason(&whole).contains("in 2 chunks"), "{}", reason(&whole));

    // The first worker loses its lease with two made of the chunks and the sound; the second has other threads.
    let torn = with(&film).await;
    torn.state.lock().unwrap().lose_lease_after = Some(2);
    torn.queue_with(torn.input("film.mkv"), vec![preset()]);
    torn.finish_or(1, |state| {
        !state.chunks.is_empty() && state.lose_lease_after.is_none()
    })
    .await;
    // Nothing of it is to be seen.
    let there = torn.files("out0");
    let hidden = |name: &String| name.starts_with(".headwater/") && !name.ends_with(".hwx");
    assert!(there.keys().all(hidden), "{:?}", there.keys());
    torn.queue_with(torn.input("film.mkv"), vec![preset()]);
    assert!(matches!(torn.finish(2).await, Outcome::Finished { .. }));
    assert!(whole.files("out0") == torn.files("out0"));
    // Files came and went as where no worker was lost: what was kept of the sound was not put there again.
    let blobs = |fake: &Fake| {
        let state = fake.state.lock().unwrap();
        let blobs = state
            .journal
            .iter()
            .filter(|&&change| change == Change::Blob);
        blobs.count()
    };
    assert_eq!(blobs(&torn), blobs(&whole));

    let files = whole.files("out0");
    save(&files, folder.path());
    let path = |part: &str| {
        let mut found = files.keys().filter(|name| name.contains(part));
        let name = found.find(|name| !name.starts_with('.')).unwrap();
        folder.path().join(name)
    };
    let (large, tiny, sound) = (path("small"), path("tiny"), path("aac_"));
    let own = media::packets(&film, "v:0");
    for file in [&large, &tiny] {
        let frames = media::packets(file, "v:0");
        assert_eq!(frames.len(), own.len());
        // What is first on screen is so from the start.
        for (own, made) in own.iter().zip(&frames).skip(1) {
            assert!((own.pts - made.pts).abs() < 0.0015, "{own:?} {made:?}");
        }
        // Every picture can be decoded, across the seams too.
        assert_eq!(media::frame_sums(file).len(), own.len());
    }
    assert_eq!(keys(&large), keys(&tiny));
    assert_eq!(keys(&large).len(), 25);
    assert_as_in(&film, &large, &sound);
}

/// Files of several tracks, and transport streams, are put together of what was made in chunks.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_several_tracks_go_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let film = source(folder.path());
    let mut sound = aac();
    sound["label"] = json!("sound");
    let formats = json!([
        {"@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}_{Label}{Extension}",
         "outputFiles": [{"labels": ["small", "sound"]}, {"labels": ["tiny", "sound"]}, {"labels": ["tiny"]}]},
        {"@odata.type": "#Microsoft.Media.TransportStreamFormat", "filenamePattern": "{Basename}_{Label}{Extension}"},
    ]);
    let ways = [Value::Null, with_dot(Value::Null)].map(|filters| {
        let mut preset = standard(json!([sound, small("H264Video")]), filters);
        preset["formats"] = formats.clone();
        preset
    });
    let dot = dot(folder.path());
    let input = |fake: &Fake, how: &str| over_dot(fake, how, vec![fake.input("film.mkv")]);
    let made = both_ways(&[&film, &dot], input, &ways).await;
    let names = |made: &Kept| {
        let mut names = made.1.clone();
        names.sort();
        names
    };
    assert_eq!(names(&made[0]), names(&made[1]));
    assert_eq!(
        names(&made[0]),
        [
            "film.ism",
            "film_small.mp4",
            "film_small.ts",
            "film_tiny.mp4",
            "film_tiny.ts",
            "film_tiny_2.mp4"
        ]
    );
    for (part, tracks) in [
        ("small.mp4", 2),
        ("tiny.mp4", 2),
        ("tiny_2.mp4", 1),
        ("small.ts", 2),
        ("tiny.ts", 2),
    ] {
        let [chunked, whole] = made.each_ref().map(|made| path(made, part));
        assert_same_pictures(&chunked, &whole);
        for file in [&chunked, &whole] {
            let streams = media::probe(file, "-show_streams");
            assert_eq!(
                streams["streams"].as_array().unwrap().len(),
                tracks,
                "{part}"
            );
        }
        if tracks == 2 {
            assert_as_in(&film, &chunked, &chunked);
            assert_as_in(&film, &whole, &whole);
        }
    }
    // Each track is there once for players, and nothing is left of its parts.
    let [manifest, other] = made
        .each_ref()
        .map(|made| std::fs::read_to_string(path(made, ".ism")).unwrap());
    assert_eq!(manifest.matches("<audio").count(), 1, "{manifest}");
    assert_eq!(manifest.matches("<video").count(), 2, "{manifest}");
    assert_eq!(other.matches("<audio").count(), 1, "{other}");
}

/// However a job ends, nothing is left of the tracks that its files are put together of.
#[tokio::test(flavor = "multi_thread")]
async fn parts_are_gone_when_a_job_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let film = source(folder.path());
    let mut sound = aac();
    sound["label"] = json!("sound");
    let mut preset = standard(json!([sound, small("H264Video")]), Value::Null);
    preset["formats"] = json!([{
        "@odata.type": "#Microsoft.Media.Mp4Format", "filenamePattern": "{Basename}_{Label}{Extension}",
        "outputFiles": [{"labels": ["small", "sound"]}, {"labels": ["tiny", "sound"]}],
    }]);
    for refused in [None, Some("out0/film_tiny.mp4")] {
        let fake = with(&film).await;
        fake.state.lock().unwrap().refuse = refused.map(str::to_owned);
        fake.queue_with(fake.input("film.mkv"), vec![preset.clone()]);
        let outcome = fake.finish(2).await;
        assert!(reason(&fake).contains(IN_CHUNKS), "{}", reason(&fake));
        let state = fake.state.lock().unwrap();
        let parts = |name: &&String| name.starts_with("out0/.headwater/") && name.ends_with(".mp4");
        let left: Vec<_> = state.blobs.keys().filter(parts).collect();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(
            refused.is_some(),
            matches!(outcome, Outcome::Error(_)),
            "{outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_in_chunks_has_exactly_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let film = source(folder.path());
    let fake = with(&film).await;
    let selection = Selection {
        start_ms: Some(3_500),
        end_ms: Some(47_000),
        ..Selection::default()
    };
    let video = standard(json!([small("H265Video")]), Value::Null);
    fake.queue_with(fake.cut_input("film.mkv", selection), vec![video]);
    let outcome = fake.finish(2).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    assert!(reason(&fake).contains("in 2 chunks"), "{}", reason(&fake));
    let files = fake.files("out0");
    save(&files, folder.path());
    let mut names = files.keys().filter(|name| name.contains("small"));
    let name = names.find(|name| !name.starts_with('.')).unwrap();
    let expected: Vec<f64> = media::packets(&film, "v:0")
        .iter()
        .map(|packet| packet.pts - 3.5)
        .filter(|time| (0.0..43.5).contains(time))
        .collect();
    let made = media::packets(&folder.path().join(name), "v:0");
    assert_eq!(made.len(), expected.len());
    for (made, expected) in made.iter().zip(&expected).skip(1) {
        assert!((made.pts - expected).abs() < 0.0015, "{made:?} {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_whole_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let film = source(folder.path());
    let fake = with(&film).await;
    let mut rated = small("H264Video");
    rated["layers"][0]["frameRate"] = json!("15");
    let rated = standard(json!([rated]), Value::Null);
    let short = Selection {
        end_ms: Some(3_000),
        ..Selection::default()
    };
    for (selection, preset, says) in [
        (
            Selection::default(),
            rated,
            "its renditions have frame rates of their own",
        ),
        (short, preset(), "it is short"),
    ] {
        fake.queue_with(fake.cut_input("film.mkv", selection), vec![preset]);
        let outcome = fake.finish(2).await;
        assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
        let reason = reason(&fake);
        assert!(
            reason.contains(&format!("in one piece: {says}")),
            "{reason}"
        );
    }
}
