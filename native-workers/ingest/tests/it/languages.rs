//! Sound in several languages: each is a track, and the recording says its language.

use std::path::Path;
use std::process::Command;

use crate::support::{Fake, Program, packets, publish, push};
use headwater_live::stream::Kind;
use headwater_work::live::{EncodingType, Protocol};

/// Six seconds of pictures with sound in English and in German: other pitches, one bit rate.
fn two_languages(path: &Path) {
    let arguments = "-v error -y -f lavfi -i testsrc2=s=320x180:r=25:d=6 -f lavfi -i sine=440:d=6 -f lavfi -i sine=880:d=6 \
                     -map 0 -map 1 -map 2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -sc_threshold 0 -b:v 400k \
                     -c:a aac -b:a 96k -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu";
    let made = Command::new("ffmpeg")
        .args(arguments.split_whitespace())
        .arg(path)
        .status()
        .unwrap();
    assert!(made.success());
}

async fn are_recorded(protocol: Protocol, encoder: impl Fn(&Path, &str) -> Program) {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    two_languages(&file);
    fake.queue(protocol, EncodingType::PassthroughStandard);
    let (worker, url) = fake.recording(folder.path()).await;
    let mut encoder = encoder(&file, &url);
    assert!(encoder.0.wait().unwrap().success());
    fake.until_stored(4).await;
    fake.finish(worker).await;
    let state = fake.state.lock().unwrap();
    assert_eq!(state.rejections(), ["S_OK"]);
    let tracks = state.recording().unwrap().open.tracks;
    let sounds: Vec<_> = (0_u16..)
        .zip(&tracks)
        .filter(|(_, track)| track.kind == Kind::Audio)
        .map(|(at, track)| (at, track.name.as_str(), track.language.as_deref()))
        .collect();
    let [
        (english, "audio", Some("eng")),
        (german, "audio-2", Some("deu")),
    ] = sounds[..]
    else {
        panic!("{sounds:?}");
    };
    // Each has its own sound, in order, and nothing of the other's. A frame of silence may stand where a stream begins, and what comes
    // last of a transport stream may be missing.
    let sent = ["0:a:0", "0:a:1"].map(|stream| packets(&file, stream));
    for (track, own, other) in [(english, &sent[0], &sent[1]), (german, &sent[1], &sent[0])] {
        let film = folder.path().join("film.mp4");
        std::fs::write(&film, state.film(track)).unwrap();
        let kept = packets(&film, "0:0");
        let places = kept
            .iter()
            .filter_map(|sum| own.iter().position(|own| own == sum));
        let places: Vec<usize> = places.collect();
        assert!(places.is_sorted(), "{track}: {places:?}");
        assert!(places.len() + 1 >= kept.len(), "{track}: {places:?}");
        assert!(places.len() + 20 > own.len(), "{track}: {places:?}");
        let foreign = kept.iter().filter(|sum| other.contains(sum)).count();
        assert!(foreign <= 1, "{track}: {foreign}");
    }
    let manifest = headwater_ism::parse(&state.blobs["show.ism"]).unwrap();
    let stated: Vec<_> = manifest
        .tracks
        .iter()
        .map(|track| (track.track_name.as_deref(), track.language.as_deref()))
        .collect();
    assert!(stated.contains(&(Some("audio"), Some("eng"))), "{stated:?}");
    assert!(
        stated.contains(&(Some("audio-2"), Some("deu"))),
        "{stated:?}"
    );
    assert!(stated.contains(&(Some("video"), None)), "{stated:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transport_stream_with_two_languages_is_two_sounds() {
    are_recorded(Protocol::Srt, |file, url| publish(file, "mpegts", url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_with_two_languages_is_two_sounds() {
    are_recorded(Protocol::FragmentedMp4, push).await;
}
