//! Events that are encoded here: one stream in, a ladder out, decoded and measured by ffmpeg.

use std::path::Path;
use std::process::Command;

use crate::support::{Fake, publish, source};
use headwater_live::stream::Kind;
use headwater_live::timeline::Row;
use headwater_work::live::facts::Fact;
use headwater_work::live::{EncodingType, Ladder, Layer, Protocol, StretchMode};

/// An event of type `Standard` with a key frame every second.
fn queue(fake: &Fake, protocol: Protocol, stretch: StretchMode) {
    fake.queue(protocol, EncodingType::Standard);
    let mut state = fake.state.lock().unwrap();
    let assignment = state.waiting.as_mut().unwrap();
    assignment.input.key_frame_interval_ms = None;
    assignment.encoding.key_frame_interval_ms = Some(1_000);
    assignment.encoding.stretch_mode = Some(stretch);
}

fn text(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Width, height, and for every picture, in order of decoding, whether it is a key frame. Decodes all of them.
fn pictures(film: &Path) -> (u32, u32, Vec<bool>) {
    let film = film.to_str().unwrap();
    let asked = |entries: &str| {
        let options = ["-v", "error", "-select_streams", "v", "-of", "csv=p=0"];
        text(
            "ffprobe",
            &[&options[..], &["-show_entries", entries, film]].concat(),
        )
    };
    let size = asked("stream=width,height");
    let mut size = size.trim().split(',').map(|side| side.parse().unwrap());
    let keys = asked("frame=key_frame");
    let keys = keys.lines().map(|line| line.starts_with('1')).collect();
    (size.next().unwrap(), size.next().unwrap(), keys)
}

/// Seconds from the beginning of a film of sound at which a tone begins.
fn tones(film: &Path) -> Vec<f64> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(film)
        .args(["-ac", "1", "-ar", "48000", "-f", "s16le", "-"])
        .output()
        .unwrap();
    let samples: Vec<i16> = output
        .stdout
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let loud: Vec<bool> = samples
        .chunks(48)
        .map(|chunk| chunk.iter().any(|sample| sample.unsigned_abs() > 3_000))
        .collect();
    let starts = (0..loud.len())
        .filter(|at| loud[*at] && !loud[at.saturating_sub(100)..*at].contains(&true));
    starts.map(|at| at as f64 / 1_000.0).collect()
}

/// A source with a tone of a tenth of a second at every full second.
fn counted(path: &Path, seconds: u32, size: &str, options: &str) {
    let tone = "if(lt(mod(t,1),0.1),0.5*sin(2*PI*1000*t),0)";
    let video = format!("testsrc2=size={size}:rate=25:duration={seconds}");
    let audio = format!("aevalsrc='{tone}|{tone}':s=44100:d={seconds}");
    let made = Command::new("ffmpeg")
        .args([
            "-v", "error", "-y", "-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &audio,
        ])
        .args(
            "-c:v libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p -g 60 -sc_threshold 0"
                .split(' '),
        )
        .args("-b:v 800k -c:a aac -b:a 96k".split(' '))
        .args(options.split_whitespace())
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

/// Rows that have all tracks: what is cut short at an end aside.
fn whole(rows: &[Row], tracks: usize) -> Vec<&Row> {
    let whole = rows.iter().filter(|row| row.segments.len() == tracks);
    whole.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ladder_of_its_own_is_what_an_event_is_encoded_to() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    counted(&file, 6, "640x360", "");
    queue(&fake, Protocol::Rtmp, StretchMode::AutoSize);
    let layer = |bitrate, width, height| Layer {
        width,
        height,
        bitrate,
    };
    fake.state
        .lock()
        .unwrap()
        .waiting
        .as_mut()
        .unwrap()
        .encoding
        .ladder = Some(Ladder {
        layers: vec![
            layer(900_000, 1280, 720),
            layer(600_000, 480, 270),
            layer(300_000, 256, 144),
        ],
        sound_bitrate: Some(64_000),
    });
    let (worker, url) = fake.recording(folder.path()).await;
    let mut encoder = publish(&file, "flv", &format!("{url}/main"));
    assert!(encoder.0.wait().unwrap().success());
    fake.finish(worker).await;
    let state = fake.state.lock().unwrap();
    assert_eq!(state.released[0].failure, None);
    let tracks = &state.recording().unwrap().open.tracks;
    let mut found: Vec<(u32, u32, u32)> = tracks
        .iter()
        .map(|track| {
            (
                track.bitrate,
                track.configs[0].width,
                track.configs[0].height,
            )
        })
        .collect();
    found.sort_unstable();
    // The largest would enlarge the source.
    assert_eq!(
        found,
        [(64_000, 0, 0), (300_000, 256, 144), (600_000, 480, 270)]
    );
    for (at, track) in (0..)
        .zip(tracks)
        .filter(|(_, track)| track.kind == Kind::Video)
    {
        let film = folder.path().join(format!("{at}.mp4"));
        std::fs::write(&film, state.film(at)).unwrap();
        let (width, height, keys) = pictures(&film);
        let config = &track.configs[0];
        assert_eq!(
            (width, height, keys.len()),
            (config.width, config.height, 150)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_becomes_a_ladder_whose_layers_are_cut_together() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    // Long enough for the other to come while it is there, however late it is told of.
    const SECONDS: usize = 14;
    counted(&file, SECONDS as u32, "640x360", "");
    queue(&fake, Protocol::Rtmp, StretchMode::AutoSize);
    let (worker, url) = fake.recording(folder.path()).await;
    let mut encoder = publish(&file, "flv", &format!("{url}/main"));
    // Another stream name is another stream, and there is one.
    fake.until("pictures", |state| {
        state
            .facts
            .iter()
            .any(|fact| matches!(fact, Fact::StreamReceived(_)))
    })
    .await;
    let mut other = publish(&file, "flv", &format!("{url}/other"));
    assert!(!other.0.wait().unwrap().success());
    assert!(encoder.0.wait().unwrap().success());
    fake.finish(worker).await;

    let state = fake.state.lock().unwrap();
    assert_eq!(state.released[0].failure, None);
    assert_eq!(
        state.rejections(),
        ["MPE_INGEST_MEDIA_QUALITIES_EXCEEDED", "S_OK"]
    );
    let recording = state.recording().unwrap();
    let tracks = &recording.open.tracks;
    let mut layers: Vec<(u32, u16)> = (0..)
        .zip(tracks)
        .filter(|(_, track)| track.kind == Kind::Video)
        .map(|(at, track)| (track.bitrate, at))
        .collect();
    layers.sort_unstable_by(|one, other| other.cmp(one));
    let rates: Vec<u32> = layers.iter().map(|(rate, _)| *rate).collect();
    assert_eq!(rates, [850_000, 550_000, 200_000]);
    assert_eq!(tracks.len(), 4);

    let rows = state.rows();
    assert!(rows.iter().all(|row| !row.discontinuity));
    let whole = whole(&rows, tracks.len());
    assert!(
        whole.len() >= SECONDS - 1,
        "{} of {}",
        whole.len(),
        rows.len()
    );
    for row in whole {
        let starts = layers.iter().map(|(_, at)| row.segments[at].start);
        let starts: Vec<u64> = starts.collect();
        assert!(starts.iter().all(|start| *start == starts[0]), "{starts:?}");
    }
    let film = |track: u16| {
        let film = folder.path().join(format!("{track}.mp4"));
        std::fs::write(&film, state.film(track)).unwrap();
        film
    };
    for ((_, at), size) in layers.iter().zip([(512, 288), (384, 216), (340, 190)]) {
        let (width, height, keys) = pictures(&film(*at));
        assert_eq!((width, height), size);
        // Every picture, and a key frame at every full second, wherever the source has its own.
        assert_eq!(keys.len(), SECONDS * 25);
        let keys: Vec<usize> = (0..keys.len()).filter(|at| keys[*at]).collect();
        assert_eq!(
            keys,
            (0..SECONDS).map(|second| second * 25).collect::<Vec<_>>()
        );
    }
    // Sound is where it was beside the pictures: tones begin at full seconds of them.
    let sound = u16::try_from(tracks.iter().position(|t| t.kind == Kind::Audio).unwrap()).unwrap();
    assert_eq!(
        (
            tracks[usize::from(sound)].bitrate,
            tracks[usize::from(sound)].configs[0].sample_rate
        ),
        (96_000, 48_000)
    );
    let first = |track: u16| {
        rows.iter()
            .find_map(|row| Some(row.segments.get(&track)?.start))
    };
    let late =
        first(sound).unwrap() as f64 / 48_000.0 - first(layers[0].1).unwrap() as f64 / 90_000.0;
    let tones = tones(&film(sound));
    assert!(tones.len() >= SECONDS - 1, "{tones:?}");
    for tone in tones
        .iter()
        .map(|tone| tone + late)
        .filter(|tone| *tone > 0.5)
    {
        assert!(
            (tone - tone.round()).abs() < 0.02,
            "{tone} of {tones:?}, late by {late}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encoders_that_come_back_and_workers_too_go_on_with_the_same_layers() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    // 50 pictures a second become 25, and bars are put beside what is narrower than a layer.
    counted(&file, 20, "480x360", "-r 50");
    queue(&fake, Protocol::Srt, StretchMode::AutoFit);
    let data = folder.path().join("data");
    let worker = fake.worker(&data).await;
    let url = fake.until_running().await;
    let encoder = publish(&file, "mpegts", &url);
    fake.until_stored(3).await;
    drop(encoder);
    // Who comes back before that, from the beginning, could be a second encoder on the same clock.
    fake.until("the encoder's loss", |state| {
        let gone = |fact: &Fact| matches!(fact, Fact::EncoderDisconnected(_));
        state.facts.iter().any(gone)
    })
    .await;
    let discontinuities = |state: &crate::support::State| {
        let rows = state.rows();
        rows.iter().filter(|row| row.discontinuity).count()
    };
    let stored = fake.state.lock().unwrap().rows().len();
    let encoder = publish(&file, "mpegts", &url);
    // What the first still had to encode comes before the break.
    fake.until("the encoder's return", |state| {
        let back = discontinuities(state) == 1 && state.rows().len() >= stored + 4;
        back && state.recording().is_some()
    })
    .await;
    let before = {
        let state = fake.state.lock().unwrap();
        state.recording().unwrap()
    };
    worker.end().await;
    drop(encoder);
    {
        let mut state = fake.state.lock().unwrap();
        state.waiting = state.assignment.clone();
        state.renewals.clear();
    }
    let worker = fake.worker(&data).await;
    let url = fake.until_running().await;
    let stored = fake.state.lock().unwrap().rows().len();
    let _encoder = publish(&file, "mpegts", &url);
    fake.until("the worker's return", |state| {
        discontinuities(state) == 2 && state.rows().len() >= stored + 3
    })
    .await;
    fake.finish(worker).await;
    let state = fake.state.lock().unwrap();
    let after = state.recording().unwrap();
    let names = |recording: &headwater_live::archive::Recording| {
        let tracks = recording.open.tracks.iter();
        let names = tracks.map(|track| (track.name.clone(), track.bitrate, track.configs.len()));
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&before), names(&after));
    assert!(names(&after).iter().all(|(.., configs)| *configs == 1));
    assert_eq!(discontinuities(&state), 2);
    // The picture has 384x288 of it.
    let tracks = &after.open.tracks;
    let at = tracks.iter().position(|track| track.bitrate == 850_000);
    let film = folder.path().join("film.mp4");
    std::fs::write(&film, state.film(u16::try_from(at.unwrap()).unwrap())).unwrap();
    let (width, height, keys) = pictures(&film);
    assert_eq!((width, height), (512, 288));
    let film = film.to_str().unwrap();
    let crop = "crop=iw:ih:0:0,cropdetect=limit=24:round=2:skip=0:reset=1,metadata=print:file=-";
    let found = text(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-i",
            film,
            "-frames:v",
            "20",
            "-vf",
            crop,
            "-f",
            "null",
            "-",
        ],
    );
    let found = found
        .lines()
        .filter(|line| line.starts_with("lavfi.cropdetect.w="));
    assert!(
        found.clone().count() > 0 && found.clone().all(|line| line.ends_with("=384")),
        "{:?}",
        found.collect::<Vec<_>>()
    );
    // Half of 50 pictures a second, in groups of one second.
    let groups: Vec<&[bool]> = keys.chunk_by(|_, next| !*next).collect();
    let whole = groups.iter().filter(|group| group.len() == 25).count();
    assert!(
        whole >= groups.len() / 2,
        "{:?}",
        groups.iter().map(|g| g.len()).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decoded_and_presets_that_say_nothing_are_refused() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    source(&file, 3, "-pix_fmt yuv422p");
    queue(&fake, Protocol::Rtmp, StretchMode::None);
    let worker = fake.worker(folder.path()).await;
    let url = fake.until_running().await;
    let mut encoder = publish(&file, "flv", &format!("{url}/main"));
    fake.until("the rejection", |state| !state.rejections().is_empty())
        .await;
    let _ = encoder.0.wait();
    worker.end().await;
    {
        let mut state = fake.state.lock().unwrap();
        assert_eq!(state.rejections(), ["MPE_INGEST_CODEC_NOT_SUPPORTED"]);
        let mut assignment = state.assignment.clone().unwrap();
        assignment.encoding.preset_name = Some("Mine".into());
        state.waiting = Some(assignment);
        state.released.clear();
    }
    let worker = fake.worker(folder.path()).await;
    fake.until("the release", |state| !state.released.is_empty())
        .await;
    worker.end().await;
    let state = fake.state.lock().unwrap();
    let failure = state.released[0].failure.clone().unwrap();
    assert!(failure.contains("presetName 'Mine'"), "{failure}");
}
