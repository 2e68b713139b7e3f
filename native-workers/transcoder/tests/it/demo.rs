//! The demo source: what it is, and that sound and picture stay together through a whole job.

use std::path::Path;

use crate::support::{Fake, media, save};
use headwater_bmff::write::{ProgressiveSample, ProgressiveTrack, write_progressive};
use headwater_bmff::{AacConfig, AudioObjectType, Edit, EditList, TrackConfig};
use headwater_time::Timescale;
use headwater_transcoder::aac::encoder::Encoder;
use headwater_work::Outcome;

#[test]
fn the_demo_source_is_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.mp4");
    headwater_transcoder::demo_source(&path, 4).unwrap();
    let found = media::probe(
        &path,
        "-show_entries stream=codec_name,profile,width,height,color_space,r_frame_rate,nb_frames,start_time,sample_rate,channels",
    );
    let video = &found["streams"][0];
    assert_eq!(video["codec_name"], "h264");
    assert_eq!(video["profile"], "High");
    assert_eq!(
        (&video["width"], &video["height"]),
        (&1280.into(), &720.into())
    );
    assert_eq!(video["color_space"], "bt709");
    assert_eq!(video["r_frame_rate"], "25/1");
    assert_eq!(video["nb_frames"], "100");
    assert_eq!(found["streams"][1]["sample_rate"], "48000");
    assert_eq!(media::frame_sums(&path).len(), 100);
    let again = headwater_transcoder::demo::demo_bytes(4).unwrap();
    assert!(std::fs::read(&path).unwrap() == again);
}

/// Times at which the sound sets in.
fn beeps(sound: &[f32], rate: u32) -> Vec<f64> {
    let window = rate as usize / 500;
    let loud = |chunk: &[f32]| chunk.iter().any(|sample| sample.abs() > 0.05);
    let mut beeps = Vec::new();
    let mut quiet = 100;
    for (index, chunk) in sound.chunks(window).enumerate() {
        if loud(chunk) {
            if quiet >= 100 {
                beeps.push((index * window) as f64 / f64::from(rate));
            }
            quiet = 0;
        } else {
            quiet += 1;
        }
    }
    beeps
}

/// Times at which the picture sets in bright, from mean luma.
fn flashes(file: &std::path::Path) -> Vec<f64> {
    let pictures = media::brightness(file);
    pictures
        .windows(2)
        .filter(|pair| pair[1].1 - pair[0].1 > 0.4)
        .map(|pair| pair[1].0)
        .collect()
}

/// Encodes a file to one video rendition and its sound, and holds the beep of every second against the flash.
///
/// `tracks`: the ends of the names of its audio files, with the sample rates they should have.
async fn assert_in_step(name: &str, source: Vec<u8>, tracks: &[(&str, u32)]) {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    fake.upload(name, source);
    fake.queue(name, &["H264SingleBitrateSD"]);
    let outcome = fake.finish(2).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    let files = fake.files("out0");
    save(&files, folder.path());
    let base = name.trim_end_matches(".mp4");
    let video = files
        .keys()
        .find(|name| name.starts_with(&format!("{base}_8")));
    let flashes = flashes(&folder.path().join(video.unwrap()));
    // The very first flash has no darker picture before it.
    assert_eq!(flashes.len() as u32, SECONDS - 1);
    for flash in &flashes {
        assert!((flash - flash.round()).abs() < 0.001, "{flash}");
    }
    for &(end, rate) in tracks {
        let audio = folder.path().join(format!("{base}_aac_und_{end}.mp4"));
        let found = media::probe(&audio, "-show_entries stream=profile,sample_rate,channels");
        assert_eq!(found["streams"][0]["profile"], "LC");
        assert_eq!(found["streams"][0]["sample_rate"], rate.to_string());
        assert_eq!(found["streams"][0]["channels"], 2);
        assert_heard_at(&flashes, &media::sound(&audio, rate), rate);
    }
}

/// A beep at every flash, and silence in between, over the seams of chunks as well.
fn assert_heard_at(flashes: &[f64], sound: &[f32], rate: u32) {
    let beeps = beeps(sound, rate);
    println!("beeps {beeps:.3?}\nflashes {flashes:.3?}");
    assert!(beeps.len() >= flashes.len());
    for flash in flashes {
        assert!(
            beeps.iter().any(|beep| (beep - flash).abs() < 0.020),
            "{flash} {beeps:?}"
        );
    }
    let rate = rate as usize;
    for second in 1..SECONDS as usize - 1 {
        let from = second * rate + rate * 3 / 10;
        let worst = sound[from..from + rate / 2]
            .iter()
            .fold(0.0_f32, |worst, sample| worst.max(sample.abs()));
        assert!(worst < 0.01, "{worst} after {second} s");
    }
}

/// Longer than a chunk of audio, so that its seam is heard as well.
const SECONDS: u32 = 66;

#[tokio::test(flavor = "multi_thread")]
async fn sound_and_picture_stay_in_step() {
    let source = headwater_transcoder::demo::demo_bytes(SECONDS).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let demo = folder.path().join("demo.mp4");
    std::fs::write(&demo, &source).unwrap();
    // Too fast to be copied, so that it is encoded again.
    let loud = folder.path().join("loud.mp4");
    media::ffmpeg(
        &format!("-i {} -c:v copy -c:a aac -b:a 256k", demo.display()),
        &loud,
    );
    let loud = std::fs::read(&loud).unwrap();
    assert_in_step("demo.mp4", source, &[("128", 48_000)]).await;
    assert_in_step("loud.mp4", loud, &[("128", 48_000)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rendition_of_the_demo_has_a_rate_of_its_own() {
    let seconds = 8;
    let fake = Fake::start().await;
    fake.upload(
        "demo.mp4",
        headwater_transcoder::demo::demo_bytes(seconds).unwrap(),
    );
    fake.queue("demo.mp4", &["AdaptiveStreaming"]);
    let outcome = fake.finish(2).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    let mut sizes: Vec<(usize, String)> = fake
        .files("out0")
        .into_iter()
        .filter(|(name, _)| name.ends_with(".mp4") && !name.contains("_aac_"))
        .map(|(name, bytes)| (bytes.len(), name))
        .collect();
    sizes.sort();
    for (bytes, name) in &sizes {
        println!("{name}: {} kbit/s", bytes / 125 / seconds as usize);
    }
    assert_eq!(sizes.len(), 5);
    assert!(sizes[4].1.contains("_1280x720_"));
    for pair in sizes.windows(2) {
        assert!(pair[1].0 * 10 > pair[0].0 * 13, "{sizes:?}");
    }
}

/// A beep at every second, in one of the kinds of AAC that replicate the upper half of the spectrum.
///
/// The edit list leaves out the encoder's delay; that of the decoder's band replication is the decoder's business
/// (FDK's `aacenc_lib.h` on `nDelayCore`).
fn high_efficiency(object_type: AudioObjectType, rate: u32, path: &Path) {
    const FRAME: u64 = 2048;
    let mut encoder = Encoder::of_type(object_type, 2, rate, 48_000).unwrap();
    let length = u64::from(SECONDS) * u64::from(rate) + encoder.delay();
    let beep = |at: u64| {
        let within = at as u32 % rate;
        let turns = f64::from(within) * 1000.0 / f64::from(rate);
        let on = within < rate * 8 / 100;
        f64::from(u8::from(on)) * (turns * std::f64::consts::TAU).sin() * 12_000.0
    };
    let mut units = Vec::new();
    for frame in 0..length.div_ceil(FRAME) + 1 {
        let pcm: Vec<i16> = (frame * FRAME..(frame + 1) * FRAME)
            .flat_map(|at| [beep(at) as i16; 2])
            .collect();
        units.extend(encoder.encode(&pcm).unwrap().map(<[u8]>::to_vec));
    }
    let config = AacConfig::parse(encoder.config()).unwrap();
    assert_eq!(
        (config.object_type, config.sample_rate),
        (object_type, rate)
    );
    let scale = Timescale::new(rate).unwrap();
    let track = ProgressiveTrack {
        config: TrackConfig::audio(1, scale, "und", config),
        edits: EditList {
            entries: vec![Edit {
                duration: u64::from(SECONDS) * u64::from(rate),
                media_time: Some(encoder.delay()),
                rate: 0x1_0000,
            }],
        },
        samples: units
            .iter()
            .map(|bytes| ProgressiveSample {
                bytes,
                duration: FRAME as u32,
                cto: 0,
                sync: true,
            })
            .collect(),
    };
    std::fs::write(path, write_progressive(scale, &[track]).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn high_efficiency_sound_stays_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let demo = folder.path().join("demo.mp4");
    headwater_transcoder::demo_source(&demo, SECONDS).unwrap();
    let (first, second) = (folder.path().join("he.mp4"), folder.path().join("v2.mp4"));
    high_efficiency(AudioObjectType::He, 48_000, &first);
    high_efficiency(AudioObjectType::HeV2, 44_100, &second);
    let source = folder.path().join("source.mp4");
    media::ffmpeg(
        &format!(
            "-i {} -i {} -i {} -map 0:v -map 1:a -map 2:a -c copy",
            demo.display(),
            first.display(),
            second.display()
        ),
        &source,
    );
    let source = std::fs::read(&source).unwrap();
    assert_in_step("source.mp4", source, &[("128", 48_000), ("128_2", 44_100)]).await;
}
