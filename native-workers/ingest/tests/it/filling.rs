//! What stands in while an encoder is away, decoded by ffmpeg: black, silence, and no hole on either side.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Fake, frames, publish, source};
use headwater_bmff::write::{SegmentHeader, SegmentSample, segment_header};
use headwater_live::silence;
use headwater_live::stream::{Kind, StreamConfig};
use headwater_live::timeline::Row;
use headwater_work::live::{EncodingType, Fill, FillWith, Protocol};

/// `after_ms`: how long nothing has to come before something stands in.
fn queue(fake: &Fake, encoding_type: EncodingType, with: FillWith, after_ms: u64) {
    fake.queue(Protocol::Rtmp, encoding_type);
    let mut state = fake.state.lock().unwrap();
    let assignment = state.waiting.as_mut().unwrap();
    if !encoding_type.is_passthrough() {
        assignment.input.key_frame_interval_ms = None;
        assignment.encoding.key_frame_interval_ms = Some(1_000);
    }
    assignment.input.fill = Some(Fill { with, after_ms });
}

/// What ffmpeg makes of a film, without a word of complaint.
fn decoded(film: &Path, options: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(film)
        .args(options)
        .arg("-")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    output.stdout
}

/// The mean luma of every picture.
fn lumas(film: &Path) -> Vec<u8> {
    let one = "-vf scale=1:1:flags=area,format=gray -fps_mode passthrough -f rawvideo";
    decoded(film, &one.split(' ').collect::<Vec<_>>())
}

/// Segments of a track that follow each other: to the tick in pictures and sound, but where black ends with a picture.
fn is_whole(rows: &[Row], track: u16, slack: u64) {
    let segments: Vec<_> = rows
        .iter()
        .filter_map(|row| row.segments.get(&track))
        .collect();
    for pair in segments.windows(2) {
        let apart = pair[1].start.abs_diff(pair[0].end());
        assert!(
            apart <= slack,
            "track {track}: {apart} ticks between {pair:?}"
        );
    }
    assert_eq!(segments.len(), rows.len(), "track {track}: {rows:#?}");
}

fn is_filled(fake: &Fake, kinds: &[&str]) -> impl Future<Output = ()> {
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    fake.until("a measurement of what stands in", move |state| {
        let health = state.renewals.last().and_then(|r| r.health.as_ref());
        health.is_some_and(|health| health.filled == kinds)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn black_and_silence_stand_in_until_the_encoder_is_back() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    source(&file, 4, "-bf 2");
    queue(
        &fake,
        EncodingType::PassthroughStandard,
        FillWith::BlackAndSilence,
        // An encoder on a busy machine may stop for a second: that is not what is counted here.
        2_500,
    );
    let (worker, url) = fake.recording(folder.path()).await;
    let begun = Instant::now();
    for _ in 0..2 {
        let mut encoder = publish(&file, "flv", &format!("{url}/main"));
        assert!(encoder.0.wait().unwrap().success());
        is_filled(&fake, &["video", "audio"]).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    fake.finish(worker).await;
    // Nothing stands in for longer than all of it took.
    let most = begun.elapsed().as_secs() as usize + 1;

    let state = fake.state.lock().unwrap();
    assert_eq!(state.released[0].failure, None);
    let recording = state.recording().unwrap();
    let tracks = &recording.open.tracks;
    assert_eq!(tracks.len(), 2);
    let index = |kind| u16::try_from(tracks.iter().position(|t| t.kind == kind).unwrap()).unwrap();
    let (video, audio) = (index(Kind::Video), index(Kind::Audio));
    let rows = state.rows();
    // Half a picture at most; half a frame of sound.
    is_whole(&rows, video, 1_800);
    is_whole(&rows, audio, 512);
    // Away, back, away.
    assert_eq!(rows.iter().filter(|row| row.discontinuity).count(), 3);
    let film = |name: &str, bytes: Vec<u8>| {
        let film = folder.path().join(name);
        std::fs::write(&film, bytes).unwrap();
        film
    };
    // What comes back is told apart from what was before, by its configuration.
    assert_eq!(tracks[usize::from(video)].configs.len(), 4);
    for (own, black) in [(0, 1), (2, 3)] {
        let shown = film("own.mp4", state.film_of(video, own, &rows));
        assert_eq!(frames(&shown, "v"), frames(&file, "v"));
        let black = lumas(&film("black.mp4", state.film_of(video, black, &rows)));
        assert!((40..most * 25).contains(&black.len()), "{}", black.len());
        assert!(black.iter().all(|luma| *luma <= 17), "{black:?}");
    }
    // Sound is one film, without a change of its parameters: what was sent, and nothing.
    assert!(rows.iter().all(|row| row.segments[&audio].config == 0));
    let sound = film("sound.mp4", state.film(audio));
    let samples = decoded(&sound, &["-f", "s16le", "-ac", "1"]);
    let seconds = samples.chunks(2 * 44_100);
    let is_silent = |second: &[u8]| second.iter().all(|byte| *byte == 0);
    let silent = seconds.filter(|second| is_silent(second)).count();
    assert!((2..=most).contains(&silent), "{silent} seconds of silence");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_sound_gets_silence() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let (both, file) = (
        folder.path().join("both.mp4"),
        folder.path().join("source.mp4"),
    );
    source(&both, 8, "-bf 2");
    decoded(
        &both,
        &[
            "-y",
            "-map",
            "0:v",
            "-c",
            "copy",
            file.to_str().unwrap(),
            "-f",
            "null",
        ],
    );
    queue(
        &fake,
        EncodingType::PassthroughStandard,
        FillWith::Silence,
        500,
    );
    let (worker, url) = fake.recording(folder.path()).await;
    let mut encoder = publish(&file, "flv", &format!("{url}/main"));
    is_filled(&fake, &["audio"]).await;
    assert!(encoder.0.wait().unwrap().success());
    fake.finish(worker).await;

    let state = fake.state.lock().unwrap();
    let recording = state.recording().unwrap();
    assert_eq!(recording.open.tracks.len(), 2);
    let rows = state.rows();
    let whole = rows.iter().filter(|row| row.segments.len() == 2).count();
    assert!(whole >= 5, "{whole} of {} rows", rows.len());
    assert!(rows.iter().all(|row| !row.discontinuity));
    let film = folder.path().join("sound.mp4");
    std::fs::write(&film, state.film(1)).unwrap();
    let samples = decoded(&film, &["-f", "s16le", "-ac", "2"]);
    assert!(samples.len() > 5 * 4 * 48_000 && samples.iter().all(|byte| *byte == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_are_encoded_here_go_on_in_black() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    source(&file, 4, "");
    queue(
        &fake,
        EncodingType::Standard,
        FillWith::BlackAndSilence,
        500,
    );
    let (worker, url) = fake.recording(folder.path()).await;
    let mut encoder = publish(&file, "flv", &format!("{url}/main"));
    assert!(encoder.0.wait().unwrap().success());
    is_filled(&fake, &["video", "audio"]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    fake.finish(worker).await;

    let state = fake.state.lock().unwrap();
    let recording = state.recording().unwrap();
    let tracks = &recording.open.tracks;
    let rows = state.rows();
    let layers = (0..)
        .zip(tracks)
        .filter(|(_, track)| track.kind == Kind::Video);
    let mut sizes = Vec::new();
    for (index, track) in layers {
        is_whole(&rows, index, 1_800);
        let last = rows.last().unwrap().segments[&index].config;
        let config = &track.configs[usize::from(last)];
        sizes.push((config.width, config.height));
        let tail = &rows[rows.len() - 2..];
        let film = folder.path().join(format!("{index}.mp4"));
        std::fs::write(&film, state.film_of(index, last, tail)).unwrap();
        let lumas = lumas(&film);
        assert!(
            lumas.len() >= 20 && lumas.iter().all(|luma| *luma <= 17),
            "{lumas:?}"
        );
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [(320, 180)]);
}

#[test]
fn silence_is_what_a_decoder_hears_of_every_layout() {
    // AAC-LC of one, two, six and eight channels; HE-AAC and HE-AAC v2 at 48 kHz; Opus.
    let aac: [(&[u8], u16); 6] = [
        (&[0x11, 0x88], 1),
        (&[0x12, 0x10], 2),
        (&[0x11, 0xb0], 6),
        (&[0x11, 0xb8], 8),
        (&[0x2b, 0x11, 0x88, 0], 2),
        (&[0xeb, 0x09, 0x88, 0], 2),
    ];
    let aac = aac.map(|(asc, channels)| (StreamConfig::aac(asc).unwrap(), channels));
    let head = b"OpusHead\x01\x02\0\0\x80\xbb\0\0\0\0\0";
    let opus = [(StreamConfig::opus(head).unwrap(), 2)];
    let folder = tempfile::tempdir().unwrap();
    for (stream, channels) in aac.into_iter().chain(opus) {
        let silence = silence::of(&stream).unwrap();
        let sample = SegmentSample {
            size: u32::try_from(silence.bytes.len()).unwrap(),
            duration: silence.duration,
            cto: 0,
            sync: true,
        };
        let header = segment_header(&SegmentHeader {
            sequence_number: 1,
            track_id: 1,
            decode_time: 0,
            samples: &[sample; 50],
        });
        let film = folder.path().join("film.mp4");
        let bytes = [
            &stream.init[..],
            &header.unwrap(),
            &silence.bytes.repeat(50),
        ]
        .concat();
        std::fs::write(&film, bytes).unwrap();
        let samples = decoded(&film, &["-f", "s16le"]);
        // Opus leaves out what its decoder begins with.
        let least = 49 * silence.duration as usize * usize::from(channels) * 2;
        let name = (&stream.codec, stream.channels);
        assert!(
            samples.len() >= least,
            "{name:?}: {} of {least}",
            samples.len()
        );
        assert!(samples.iter().all(|byte| *byte == 0), "{name:?}");
    }
}
