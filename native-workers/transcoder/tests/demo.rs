//! The demo source: what it is, and that sound and picture stay together through a whole job.

mod support;

use headwater_work::Outcome;
use support::{Fake, media, save};

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

#[tokio::test(flavor = "multi_thread")]
async fn sound_and_picture_stay_in_step() {
    // Longer than a chunk of audio, so that its seam is heard as well.
    let seconds = 66;
    let fake = Fake::start().await;
    let source = headwater_transcoder::demo::demo_bytes(seconds).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("demo.mp4"), &source).unwrap();
    // Too fast to be copied, so that it is encoded again.
    let loud = folder.path().join("loud.mp4");
    media::ffmpeg(
        &format!(
            "-i {} -c:v copy -c:a aac -b:a 256k",
            folder.path().join("demo.mp4").display()
        ),
        &loud,
    );
    for (name, bytes) in [
        ("demo.mp4", source),
        ("loud.mp4", std::fs::read(&loud).unwrap()),
    ] {
        fake.upload(name, bytes);
        fake.queue(name, &["H264SingleBitrateSD"]);
        let outcome = fake.finish(2).await;
        assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
        let files = fake.files("out0");
        save(&files, folder.path());
        let base = name.trim_end_matches(".mp4");
        let video = files
            .keys()
            .find(|name| name.starts_with(&format!("{base}_8")));
        let video = folder.path().join(video.unwrap());
        let audio = folder.path().join(format!("{base}_aac_und_128.mp4"));
        let sound = media::sound(&audio, 48_000);
        let (beeps, flashes) = (beeps(&sound, 48_000), flashes(&video));
        println!("{name}: beeps {beeps:.3?}\nflashes {flashes:.3?}");
        // The very first flash has no darker picture before it.
        assert_eq!(flashes.len() as u32, seconds - 1);
        assert!(beeps.len() as u32 >= seconds - 1);
        for flash in flashes {
            assert!((flash - flash.round()).abs() < 0.001, "{flash}");
            assert!(
                beeps.iter().any(|beep| (beep - flash).abs() < 0.020),
                "{name}: {flash} {beeps:?}"
            );
        }
        // Between beeps there is silence, over the seams of chunks as well.
        for second in 1..seconds - 1 {
            let from = second as usize * 48_000 + 14_400;
            let worst = sound[from..from + 24_000]
                .iter()
                .fold(0.0_f32, |worst, sample| worst.max(sample.abs()));
            assert!(worst < 0.01, "{name}: {worst} after {second} s");
        }
    }
}
