//! What renditions spend: on stills, on noise and across cuts no two seconds take more than a player on a line of the
//! announced rate has buffered, and content that needs its rate gets it.

use crate::support::jobs::{Made, fake, named, run};
use crate::support::media;
use headwater_transcoder::auto::Choice;
use std::path::Path;

const RATE: f64 = 25.0;
/// Of the announced rate, in any two seconds.
const MOST: f64 = 1.5;
/// The same where a chunk ends in the worst that there is for it: x264 does not use all that its buffer would let it.
const AT_SEAMS: f64 = 1.3;
/// How far the whole file may be from it.
const OFF: f64 = 0.05;

async fn ladder(source: &Path, engine: Choice) -> Made {
    let fake = fake(engine).await;
    fake.upload("film.mp4", std::fs::read(source).unwrap());
    fake.queue_with(fake.input("film.mp4"), vec![named("AdaptiveStreaming")]);
    run(&fake).await
}

/// Of each rendition: what it is announced as, and bits of its pictures in order.
fn renditions(made: &Made) -> Vec<(String, f64, Vec<f64>)> {
    let of = |name: String| {
        let kbps = name
            .rsplit('_')
            .next()?
            .strip_suffix(".mp4")?
            .parse::<f64>();
        let packets = media::packets(&made.folder.path().join(&name), "v:0");
        let bits = packets.iter().map(|packet| packet.size as f64 * 8.0);
        Some((name.clone(), kbps.ok()? * 1000.0, bits.collect()))
    };
    let names = made.names(".mp4").into_iter();
    names
        .filter(|name| name.contains('x'))
        .filter_map(of)
        .collect()
}

fn most_in_two_seconds(bits: &[f64]) -> f64 {
    let window = (2.0 * RATE) as usize;
    let sums = bits
        .windows(window)
        .map(|window| window.iter().sum::<f64>());
    sums.fold(0.0, f64::max) / 2.0
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_seconds_take_more_than_players_have_buffered() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("film.mp4");
    // A title that stands, noise that no rate is enough for, and cuts between scenes every 0.7 s.
    media::ffmpeg(
        "-f lavfi -i color=gray:s=640x360:r=25:d=8 \
         -f lavfi -i testsrc2=s=640x360:r=25:d=8,noise=alls=60:allf=t \
         -f lavfi -i mandelbrot=s=640x360:r=25,trim=duration=8,hue=h=360*floor(t/0.7)/5:s=1+floor(t/0.7)/4 \
         -filter_complex [0][1][2]concat=n=3,format=yuv420p -c:v libx264 -preset ultrafast -crf 12 -g 50",
        &source,
    );
    for engine in [Choice::BuiltIn, Choice::Ffmpeg] {
        let made = ladder(&source, engine).await;
        let all = renditions(&made);
        assert!(all.len() >= 3, "{:?}", made.files.keys());
        for (name, rate, bits) in all {
            let most = most_in_two_seconds(&bits) / rate;
            assert!(most <= MOST, "{engine:?} {name}: {most:.2} times its rate");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_its_rate_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("film.mp4");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=640x360:r=25:d=20,noise=alls=40:allf=t,format=yuv420p \
         -c:v libx264 -preset ultrafast -crf 12 -g 50",
        &source,
    );
    for engine in [Choice::BuiltIn, Choice::Ffmpeg] {
        let made = ladder(&source, engine).await;
        for (name, rate, bits) in renditions(&made) {
            let spent = bits.iter().sum::<f64>() * RATE / bits.len() as f64 / rate;
            assert!(
                (spent - 1.0).abs() <= OFF,
                "{engine:?} {name}: {spent:.3} of its rate"
            );
            let most = most_in_two_seconds(&bits) / rate;
            assert!(most <= MOST, "{engine:?} {name}: {most:.2} times its rate");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seams_of_chunks_take_no_more_than_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("film.mp4");
    // Two chunks of 22 s. What is easy ends a second before the second begins, when pictures of noise come that stand for 0.3 s each.
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=640x360:r=25:d=21 \
         -f lavfi -i testsrc2=s=640x360:r=10/3:d=23,noise=alls=100:allf=t,fps=25 \
         -filter_complex [0][1]concat=n=2,format=yuv420p -c:v libx264 -preset ultrafast -crf 12 -g 50",
        &source,
    );
    let made = ladder(&source, Choice::Ffmpeg).await;
    assert!(made.reason.contains("in 2 chunks"), "{}", made.reason);
    for (name, rate, bits) in renditions(&made) {
        let most = most_in_two_seconds(&bits) / rate;
        assert!(most <= AT_SEAMS, "{name}: {most:.2} times its rate");
    }
}
