//! Whole jobs, from the queue to files that ffprobe reads.

use crate::support::{Fake, media, save, shared_media};
use headwater_work::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn shared_media_comes_out_aligned_and_complete() {
    for (file, renditions, audio_copied) in [
        ("bigbuckbunny.mp4", 5, false),
        ("car-detection.mp4", 4, true),
        ("azure-bumper.mp4", 6, true),
    ] {
        let source = shared_media().join(file);
        let fake = Fake::start().await;
        fake.upload(file, std::fs::read(&source).unwrap());
        fake.queue(file, &["AdaptiveStreaming"]);
        let outcome = fake.finish(2).await;
        let base = file.trim_end_matches(".mp4");
        let Outcome::Finished {
            manifests, encoded, ..
        } = outcome
        else {
            panic!("{file}: {outcome:?}");
        };
        assert_eq!(manifests, [format!("{base}.ism")]);
        // What is metered: every rendition, and the sound unless it was copied.
        let pictures = encoded.iter().filter(|track| track.picture.is_some());
        let pictures = pictures.count();
        let sounds = encoded.len() - pictures;
        assert_eq!(pictures, renditions, "{file}: {encoded:?}");
        assert_eq!(sounds == 0, audio_copied, "{file}: {encoded:?}");
        assert!(encoded.iter().all(|track| track.duration_ms > 1000));
        let folder = tempfile::tempdir().unwrap();
        let files = fake.files("out0");
        save(&files, folder.path());
        println!("{file}: {:?}", files.keys());
        let tracks: Vec<_> = files.keys().filter(|name| name.ends_with(".mp4")).collect();
        let videos: Vec<_> = tracks
            .iter()
            .filter(|name| !name.contains("_aac_"))
            .collect();
        assert_eq!(videos.len(), renditions, "{file}: {tracks:?}");
        let wanted = media::packets(&source, "v:0");
        let start = wanted[0].pts;
        let mut keys: Option<Vec<f64>> = None;
        for name in videos {
            assert!(
                files.contains_key(&format!(".headwater/{name}.hwx")),
                "{name}"
            );
            let made = media::packets(&folder.path().join(name), "v:0");
            assert_eq!(made.len(), wanted.len(), "{name}");
            for (made, wanted) in made.iter().zip(&wanted) {
                assert!(
                    (made.pts - (wanted.pts - start)).abs() < 0.0005,
                    "{name}: {made:?} {wanted:?}"
                );
            }
            let own: Vec<f64> = made
                .iter()
                .filter(|packet| packet.key)
                .map(|packet| packet.pts)
                .collect();
            for (index, time) in own.iter().enumerate() {
                let grid = index as f64 * 2.0;
                assert!(
                    (grid - 0.0005..grid + 0.1).contains(time),
                    "{name}: {own:?}"
                );
            }
            assert_eq!(*keys.get_or_insert_with(|| own.clone()), own, "{name}");
            let seconds = made.last().unwrap().pts;
            let kbps =
                made.iter().map(|packet| packet.size).sum::<u64>() as f64 * 8.0 / seconds / 1000.0;
            println!(
                "  {name}: {kbps:.0} kbit/s, SSIM {:.4}",
                media::ssim(&folder.path().join(name), &source)
            );
        }
        let sound = tracks.iter().find(|name| name.contains("_aac_")).unwrap();
        let stream = media::probe(
            &folder.path().join(sound),
            "-show_entries stream=codec_name,profile,channels,start_time,duration",
        );
        assert_eq!(stream["streams"][0]["profile"], "LC");
        assert_eq!(stream["streams"][0]["channels"], 2);
        let source_sizes: Vec<u64> = media::packets(&source, "a:0")
            .iter()
            .map(|packet| packet.size)
            .collect();
        let sizes: Vec<u64> = media::packets(&folder.path().join(sound), "a:0")
            .iter()
            .map(|packet| packet.size)
            .collect();
        assert_eq!(source_sizes.ends_with(&sizes), audio_copied, "{file}");
        let jpeg = media::probe(
            &folder.path().join(format!("{base}_Thumbnail000001.jpg")),
            "-show_entries stream=width,height",
        );
        println!("  poster {jpeg}");
        println!(
            "{}",
            String::from_utf8_lossy(&files[&format!("{base}.ism")])
        );
    }
}

/// The other workers have nothing to do any more while files are put together.
#[tokio::test(flavor = "multi_thread")]
async fn files_are_put_together_side_by_side() {
    let fake = Fake::start().await;
    let film = std::fs::read(shared_media().join("bigbuckbunny.mp4")).unwrap();
    fake.upload("film.mp4", film);
    fake.state.lock().unwrap().slow = std::time::Duration::from_millis(200);
    fake.queue("film.mp4", &["AdaptiveStreaming"]);
    let outcome = fake.finish(2).await;
    assert!(matches!(outcome, Outcome::Finished { .. }), "{outcome:?}");
    let files = fake.files("out0").into_keys();
    let tracks = files.filter(|name| name.ends_with(".mp4")).count();
    let (_, most) = fake.state.lock().unwrap().beginnings;
    assert_eq!(most, tracks);
}
