//! A ladder of renditions made by ffmpeg: one switching set, groups of languages, fragmented sources served as stored.

use crate::common::*;
use std::process::Command;

/// Three videos with key frames every two seconds, and two languages of audio, 7 s each.
fn ladder() -> Memory {
    let folder = tempfile::tempdir().unwrap();
    let storage = Memory::default();
    let keep = |name: &str| storage.write(name, std::fs::read(folder.path().join(name)).unwrap());
    for (name, size, rate) in [
        ("v1.mp4", "426x240", "300k"),
        ("v2.mp4", "640x360", "900k"),
        ("v3.mp4", "1280x720", "3500k"),
    ] {
        let source = format!("testsrc2=size={size}:rate=25:duration=7");
        ffmpeg(
            folder.path(),
            &[
                "-f",
                "lavfi",
                "-i",
                &source,
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-b:v",
                rate,
                "-minrate",
                rate,
                "-maxrate",
                rate,
                "-bufsize",
                rate,
                "-x264-params",
                "nal-hrd=cbr:keyint=50:min-keyint=50:scenecut=0:open-gop=0",
                "-pix_fmt",
                "yuv420p",
                name,
            ],
        );
        keep(name);
    }
    for (name, language, frequency) in [("eng.m4a", "eng", 440), ("fra.m4a", "fra", 880)] {
        let source = format!("sine=frequency={frequency}:sample_rate=48000:duration=7");
        let tag = format!("language={language}");
        ffmpeg(
            folder.path(),
            &[
                "-f",
                "lavfi",
                "-i",
                &source,
                "-c:a",
                "aac",
                "-b:a",
                "96k",
                "-metadata:s:a:0",
                &tag,
                name,
            ],
        );
        keep(name);
    }
    storage.write(
        "show.ism",
        r#"<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="mp4"/></head><body><switch>
        <video src="v1.mp4"/><video src="v2.mp4"/><video src="v3.mp4"/>
        <audio src="eng.m4a"/><audio src="fra.m4a"><param name="accessibility" value="description"/></audio>
        </switch></body></smil>"#,
    );
    storage
}

#[test]
fn renditions_form_one_switching_set() {
    let storage = ladder();
    let bench = Bench::new(storage.clone());
    let mpd = bench.get("show.ism/manifest(format=mpd-time-cmaf)");
    assert_eq!(mpd.status, 200, "{}", mpd.text());
    let document = roxmltree::Document::parse(mpd.text()).unwrap();
    let sets: Vec<_> = document
        .descendants()
        .filter(|n| n.tag_name().name() == "AdaptationSet")
        .collect();
    assert_eq!(sets.len(), 3, "{}", mpd.text());
    let video = sets[0];
    assert_eq!(video.attribute("segmentAlignment"), Some("true"));
    assert_eq!(video.attribute("maxHeight"), Some("720"));
    let children: Vec<_> = video
        .children()
        .filter(|n| n.is_element())
        .map(|n| n.tag_name().name())
        .collect();
    assert_eq!(
        children,
        [
            "SegmentTemplate",
            "Representation",
            "Representation",
            "Representation"
        ]
    );
    assert_eq!(
        (sets[1].attribute("lang"), sets[2].attribute("lang")),
        (Some("en"), Some("fr"))
    );
    assert!(
        mpd.text().contains(
            r#"<Accessibility schemeIdUri="urn:mpeg:dash:role:2011" value="description"/>"#
        )
    );
    assert!(
        mpd.text().contains("mediaPresentationDuration=\"PT7S\""),
        "{}",
        mpd.text()
    );

    let master = bench.get("show.ism/manifest(format=m3u8-cmaf)");
    let text = master.text();
    let heights: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("#EXT-X-STREAM-INF"))
        .filter_map(|l| l.split("RESOLUTION=").nth(1))
        .map(|l| l.split(',').next().unwrap().split('x').nth(1).unwrap())
        .collect();
    // Players begin with the first: not the largest, but the best that any line carries.
    assert_eq!(heights, ["360", "720", "240"], "{text}");
    assert!(
        text.contains("NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES"),
        "{text}"
    );
    assert!(
        text.contains("NAME=\"French\",LANGUAGE=\"fr\",DEFAULT=NO"),
        "{text}"
    );
    assert!(
        text.contains("CHARACTERISTICS=\"public.accessibility.describes-video\""),
        "{text}"
    );
    let with_audio_only = bench.get("show.ism/manifest(format=m3u8-cmaf,audio-only=true)");
    assert_eq!(uris(with_audio_only.text()).len(), 4);
    assert_ne!(with_audio_only.header("etag"), master.header("etag"));

    // BANDWIDTH is not exceeded by any segment, audio included, and not far from the worst one.
    let line = text.lines().find(|l| l.contains("x720")).unwrap();
    let bandwidth: f64 = line
        .split("BANDWIDTH=")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let mut peak = 0.0;
    let video_uri = uris(text).into_iter().nth(1).unwrap();
    for uri in [video_uri, attributes(text, "URI")[0].clone()] {
        let path = format!("show.ism/{uri}");
        let playlist = bench.get(&path);
        let durations = playlist
            .text()
            .lines()
            .filter_map(|l| l.strip_prefix("#EXTINF:"))
            .map(|l| l.trim_end_matches(',').parse::<f64>().unwrap());
        let worst = uris(playlist.text())
            .iter()
            .zip(durations)
            .filter(|(_, duration)| *duration > 1.5)
            .map(|(uri, duration)| {
                bench.get(&resolve(&path, uri)).body.len() as f64 * 8.0 / duration
            })
            .fold(0.0, f64::max);
        peak += worst;
    }
    assert!(
        peak <= bandwidth * 1.01 && peak >= bandwidth * 0.9,
        "{peak} against {bandwidth}"
    );
}

#[test]
fn complete_server_manifest_needs_only_the_index_of_the_file_asked_for() {
    let storage = ladder();
    let bench = Bench::new(storage.clone());
    let text = bench.get("show.ism/manifest(format=m3u8-cmaf)");
    assert_eq!(text.status, 200);
    let tracks = [("v1.mp4", 300_000), ("v2.mp4", 900_000)];
    let videos: String = tracks
        .iter()
        .map(|(file, rate)| {
            format!(
                r#"<video src="{file}" systemBitrate="{rate}"><param name="trackID" value="1"/><param name="trackName" value="video"/></video>"#
            )
        })
        .collect();
    storage.write(
        "own.ism",
        format!("<smil><head/><body><switch>{videos}</switch></body></smil>"),
    );
    storage.calls();
    let cold = Bench::new(storage.clone());
    let init = cold.get("own.ism/QualityLevels(900000)/Fragments(video=i,format=m3u8-cmaf)");
    assert_eq!(init.status, 200);
    assert_eq!(
        storage.calls().0,
        ["read own.ism", "head v2.mp4", "read .headwater/v2.mp4.hwx"]
    );
}

#[test]
fn fragmented_track_files_are_served_as_they_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    ffmpeg(
        folder.path(),
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x180:rate=25:duration=7",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-bf",
            "0",
            "-x264-params",
            "keyint=50:min-keyint=50:scenecut=0",
            "-pix_fmt",
            "yuv420p",
            "-movflags",
            "+cmaf+frag_keyframe+empty_moov+default_base_moof",
            "track.mp4",
        ],
    );
    let storage = Memory::default();
    storage.write(
        "track.mp4",
        std::fs::read(folder.path().join("track.mp4")).unwrap(),
    );
    let bench = Bench::new(storage.clone());
    let packaged = parts(&bench, "track");
    assert_eq!(packaged.len(), 1 + 4);

    // What was served, as a file of its own: a CMAF track file of ours.
    let whole = packaged.concat();
    storage.write("own.mp4", whole.clone());
    let stored = parts(&bench, "own");
    assert_eq!(stored, packaged);
    let path = first_segment(&bench, "own");
    let plan = bench.plan(&path).expect("a segment is a plan");
    assert_eq!(plan.steps().len(), 1, "{plan}");
    assert!(
        matches!(plan.steps()[0], headwater_plan::Step::Range { .. }),
        "{plan}"
    );

    let file = folder.path().join("whole.mp4");
    std::fs::write(&file, whole).unwrap();
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames",
            "-of",
            "csv=p=0",
        ])
        .arg(&file)
        .output()
        .expect("ffprobe is installed");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .trim_end_matches(','),
        "175"
    );
}

#[test]
fn video_with_key_frames_too_far_apart_is_refused_by_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Memory::default();
    for (name, seconds) in [("still", "30"), ("long", "31")] {
        let source = format!("testsrc2=size=64x36:rate=10:duration={seconds}.1");
        let out = format!("{name}.mp4");
        let input = ["-f", "lavfi", "-i", &source, "-c:v", "libx264"];
        let keys = [
            "-preset",
            "ultrafast",
            "-x264-params",
            "keyint=infinite:scenecut=0",
        ];
        ffmpeg(folder.path(), &[&input[..], &keys, &[&out]].concat());
        storage.write(&out, std::fs::read(folder.path().join(&out)).unwrap());
    }
    let bench = Bench::new(storage);
    let (_, played) = playlist(&bench, "still");
    assert_eq!(uris(played.text()).len(), 1, "{}", played.text());
    let got = bench.get("long.ism/manifest(format=m3u8-cmaf)");
    assert_eq!(got.status, 415);
    assert_eq!(got.code(), "MPE_KEY_FRAME_INTERVAL_TOO_LARGE");
    let detail = "track 1 has no key frame from second 0 to second 31";
    assert!(got.text().contains(detail), "{}", got.text());
}

#[test]
fn open_groups_of_pictures_are_not_called_independent() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Memory::default();
    for (name, parameters) in [
        (
            "open",
            "keyint=50:min-keyint=50:scenecut=0:bframes=3:b-adapt=0:open-gop=1",
        ),
        (
            "closed",
            "keyint=50:min-keyint=50:scenecut=0:bframes=3:b-adapt=0:open-gop=0",
        ),
    ] {
        let out = format!("{name}.mp4");
        let input = [
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=128x72:rate=25:duration=7",
        ];
        let coded = [
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-x264-params",
            parameters,
        ];
        ffmpeg(folder.path(), &[&input[..], &coded, &[&out]].concat());
        storage.write(&out, std::fs::read(folder.path().join(&out)).unwrap());
    }
    storage.write(
        "both.ism",
        r#"<smil><head/><body><switch><video src="open.mp4"/><video src="closed.mp4"/></switch></body></smil>"#,
    );
    let bench = Bench::new(storage);
    let says_so = |text: &str| text.contains("#EXT-X-INDEPENDENT-SEGMENTS");
    let described = |name: &str| {
        let master = bench.get(&format!("{name}.ism/manifest(format=m3u8-cmaf)"));
        let mpd = bench.get(&format!("{name}.ism/manifest(format=mpd-time-cmaf)"));
        let points = attributes(mpd.text(), "startWithSAP");
        let (_, playlist) = playlist(&bench, name);
        assert!(uris(playlist.text()).len() >= 3, "{}", playlist.text());
        (says_so(master.text()), says_so(playlist.text()), points)
    };
    assert_eq!(described("closed"), (true, true, vec!["1".to_owned()]));
    assert_eq!(described("open"), (false, false, vec!["3".to_owned()]));
    let (master, _, points) = described("both");
    assert_eq!((master, points), (false, vec!["3".to_owned()]));
}

fn first_segment(bench: &Bench, name: &str) -> String {
    let (path, playlist) = playlist(bench, name);
    resolve(&path, &uris(playlist.text())[0])
}
