//! Files as phones, recorders and the encoders of others leave them, which what is made for tests is not like.

use crate::common::*;
use headwater_origin::report;
use std::path::Path;

/// What ffmpeg makes of six seconds of pictures and of two sounds (`0:v`, `1:a`, `2:a`) with these arguments.
fn made(folder: &Path, name: &str, arguments: &str) -> Vec<u8> {
    let input = "-f lavfi -i testsrc2=duration=6:size=128x72:rate=25 -f lavfi -i sine=440:duration=6:sample_rate=48000 \
                 -f lavfi -i sine=880:duration=6:sample_rate=48000";
    let words = input.split_whitespace().chain(arguments.split_whitespace());
    ffmpeg(folder, &words.chain([name]).collect::<Vec<_>>());
    std::fs::read(folder.join(name)).unwrap()
}

const X264: &str = "-c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p";

fn bench(files: &[(&str, Vec<u8>)]) -> Bench {
    let storage = Memory::default();
    for (name, bytes) in files {
        storage.write(name, bytes.clone());
    }
    Bench::new(storage)
}

fn lines(bench: &Bench, path: &str, start: &str) -> Vec<String> {
    let got = bench.get(path);
    assert_eq!(got.status, 200, "{path}: {}", got.text());
    let lines = got.text().lines().filter(|line| line.starts_with(start));
    lines.map(str::to_owned).collect()
}

/// A film's own sound, and what its director says of it at a higher bit rate.
#[test]
fn sounds_of_one_language_in_a_file_are_no_steps_of_a_ladder() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!(
        "-map 0:v -map 1:a -map 2:a {X264} -c:a aac -b:a:0 64k -b:a:1 128k -metadata:s:a language=eng"
    );
    let bench = bench(&[("film.mp4", made(folder.path(), "film.mp4", &arguments))]);
    let sounds = lines(
        &bench,
        "film.ism/manifest(format=m3u8-cmaf)",
        "#EXT-X-MEDIA:TYPE=AUDIO",
    );
    assert_eq!(sounds.len(), 2, "{sounds:?}");
    let has = |line: &str, text: &str| assert!(line.contains(text), "{text}: {line}");
    for (line, (name, default)) in sounds
        .iter()
        .zip([("\"English\"", "YES"), ("\"English (2)\"", "NO")])
    {
        has(line, "GROUP-ID=\"aac\"");
        has(line, &format!("NAME={name}"));
        has(line, &format!("DEFAULT={default}"));
    }
    // The first is the film's own.
    has(&sounds[0], "_2_1,");
    has(&sounds[1], "_3_1,");
}

/// Films from studios have Dolby Atmos beside a plain mix, which players that know it shall find.
#[test]
fn dolby_atmos_is_told_from_the_same_codec_without() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("-map 0:v -map 1:a -map 2:a {X264} -ac 6 -c:a eac3 -b:a 256k");
    let mut film = made(folder.path(), "film.mp4", &arguments);
    // FFmpeg makes none: what its configuration lacks takes the place of the bit rates behind it.
    let at = film.windows(4).position(|name| name == b"dec3").unwrap();
    assert_eq!(film[at - 4..at], [0, 0, 0, 13]);
    assert_eq!(film[at + 9..at + 17], *b"\0\0\0\x14btrt");
    film[at - 1] = 15;
    film[at + 9..at + 19].copy_from_slice(b"\x01\x10\0\0\0\x12free");
    let bench = bench(&[("film.mp4", film)]);
    let hls = "film.ism/manifest(format=m3u8-cmaf)";
    let sounds = lines(&bench, hls, "#EXT-X-MEDIA:TYPE=AUDIO");
    for (line, told) in sounds.iter().zip([
        ["GROUP-ID=\"ec-3_16joc\"", "CHANNELS=\"16/JOC\""],
        ["GROUP-ID=\"ec-3_6ch\"", "CHANNELS=\"6\""],
    ]) {
        assert!(told.iter().all(|told| line.contains(told)), "{line}");
    }
    assert_eq!(sounds.len(), 2, "{sounds:?}");
    let got = bench.get("film.ism/manifest(format=mpd-time-cmaf)");
    let mpd = got.text();
    let scheme = "tag:dolby.com,2018:dash:EC3_Extension";
    let told = mpd.lines().filter(|line| line.contains(scheme));
    assert_eq!(
        told.map(str::trim).collect::<Vec<_>>(),
        [
            format!("<SupplementalProperty schemeIdUri=\"{scheme}Type:2018\" value=\"JOC\"/>"),
            format!(
                "<SupplementalProperty schemeIdUri=\"{scheme}ComplexityIndex:2018\" value=\"16\"/>"
            ),
        ]
    );
    assert_eq!(mpd.matches("contentType=\"audio\"").count(), 2, "{mpd}");
}

/// A ladder of sound has a file for each step, or the same names in one.
#[test]
fn sounds_of_one_language_in_several_files_are_a_ladder() {
    let folder = tempfile::tempdir().unwrap();
    let film = made(folder.path(), "film.mp4", &format!("-map 0:v {X264}"));
    let sound = |name: &str, rate: &str| {
        let arguments = format!("-map 1:a -c:a aac -b:a {rate} -metadata:s:a language=eng");
        made(folder.path(), name, &arguments)
    };
    let (low, high) = (sound("low.mp4", "64k"), sound("high.mp4", "128k"));
    let manifest = r#"<smil><body><switch><video src="film.mp4"/><audio src="low.mp4"/><audio src="high.mp4"/></switch></body></smil>"#;
    let bench = bench(&[
        ("film.mp4", film),
        ("low.mp4", low),
        ("high.mp4", high),
        ("film.ism", manifest.into()),
    ]);
    let sounds = lines(
        &bench,
        "film.ism/manifest(format=m3u8-cmaf)",
        "#EXT-X-MEDIA:TYPE=AUDIO",
    );
    let group = |line: &String| line.split('"').nth(1).unwrap().to_owned();
    let groups: Vec<String> = sounds.iter().map(group).collect();
    assert_eq!(groups, ["aac", "aac_1ch_2"], "{sounds:?}");
}

/// A phone that was held upright.
#[test]
fn pictures_that_are_to_be_turned_keep_their_shape_where_nobody_is_told() {
    let folder = tempfile::tempdir().unwrap();
    made(
        folder.path(),
        "flat.mp4",
        &format!("-map 0:v -map 1:a {X264} -c:a aac"),
    );
    let turn = "-i flat.mp4 -c copy -metadata:s:v:0 rotate=90 film.mp4";
    ffmpeg(folder.path(), &turn.split(' ').collect::<Vec<_>>());
    let storage = Memory::default();
    storage.write(
        "film.mp4",
        std::fs::read(folder.path().join("film.mp4")).unwrap(),
    );
    let bench = Bench::new(storage.clone());
    for (format, size) in [
        ("m3u8-cmaf", "RESOLUTION=72x128"),
        ("m3u8-aapl", "RESOLUTION=128x72"),
    ] {
        let path = format!("film.ism/manifest(format={format})");
        let levels = lines(&bench, &path, "#EXT-X-STREAM-INF");
        assert!(levels[0].contains(size), "{levels:?}");
    }
    let smooth = bench.get("film.ism/manifest");
    let display = "DisplayWidth=\"128\" DisplayHeight=\"72\"";
    assert!(smooth.text().contains(display), "{}", smooth.text());
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    let found = futures::executor::block_on(report(&storage, (&(), "memory"), "film", now, |_| {}));
    let warnings = found.unwrap().warnings;
    assert!(
        warnings.iter().any(|line| line.contains("turned by 270")),
        "{warnings:?}"
    );
}

/// ffmpeg's own choice of a name, which Apple's players show nothing of.
#[test]
fn hevc_is_served_by_the_name_that_everybody_plays() {
    let folder = tempfile::tempdir().unwrap();
    let film = made(
        folder.path(),
        "film.mp4",
        "-map 0:v -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50 -tag:v hev1",
    );
    assert!(film.windows(4).any(|name| name == b"hev1"));
    let bench = bench(&[("film.mp4", film)]);
    let levels = lines(
        &bench,
        "film.ism/manifest(format=m3u8-cmaf)",
        "#EXT-X-STREAM-INF",
    );
    assert!(levels[0].contains("CODECS=\"hvc1."), "{levels:?}");
    let (path, playlist) = playlist(&bench, "film");
    let init = &attributes(playlist.text(), "URI")[0];
    let init = bench.get(&resolve(&path, init));
    let has = |name: &[u8]| init.body.windows(4).any(|found| found == name);
    assert!(has(b"hvc1") && !has(b"hev1"));
}

/// Of 30 pictures a second and of 15, one of which is shown for longer at the end.
#[test]
fn smooth_streaming_keeps_a_level_whose_last_picture_ends_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let level = |name: &str, rate: u32, frames: u32| {
        let group = rate * 2;
        let arguments = format!(
            "-map 0:v -r {rate} -frames:v {frames} -c:v libx264 -preset ultrafast -g {group} -keyint_min {group} -pix_fmt yuv420p \
             -video_track_timescale 30000"
        );
        made(folder.path(), name, &arguments)
    };
    let (high, low) = (level("high.mp4", 30, 151), level("low.mp4", 15, 76));
    let manifest = r#"<smil><body><switch><video src="high.mp4" systemBitrate="900000"/><video src="low.mp4" systemBitrate="300000"/></switch></body></smil>"#;
    let bench = bench(&[
        ("high.mp4", high),
        ("low.mp4", low),
        ("film.ism", manifest.into()),
    ]);
    let smooth = bench.get("film.ism/manifest");
    assert!(
        smooth.text().contains("QualityLevels=\"2\""),
        "{}",
        smooth.text()
    );
    for bitrate in [900_000, 300_000] {
        let path = format!("film.ism/QualityLevels({bitrate})/Fragments(video=40000000)");
        assert_eq!(bench.get(&path).status, 200, "{path}");
    }
}

/// Encoders that say of every picture of a Smooth Streaming file that it can be begun with.
#[test]
fn only_the_first_picture_of_a_smooth_fragment_is_a_key_frame_where_nothing_tells_them_apart() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("-map 0:v {X264} -f ismv");
    let plain = made(folder.path(), "plain.ismv", &arguments);
    let mut bare = plain.clone();
    let mut patched = 0;
    for at in 0..bare.len() - 24 {
        // tfhd with the track's id and the flags of its samples.
        if &bare[at..at + 4] == b"tfhd" && bare[at + 7] & 0x20 != 0 {
            let fields = bare[at + 7];
            let before = 4 * ((fields & 0x1a).count_ones() as usize + usize::from(fields & 1) * 2);
            let flags = at + 12 + before;
            bare[flags..flags + 4].copy_from_slice(&[2, 0, 0, 0]);
            patched += 1;
        }
    }
    assert!(patched >= 3, "{patched}");
    let bench = bench(&[("plain.ismv", plain), ("bare.ismv", bare)]);
    assert_eq!(parts(&bench, "bare"), parts(&bench, "plain"));
}

/// A time code track that nobody can read, beside pictures and sound that everybody can.
#[test]
fn a_track_that_nobody_reads_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("-map 0:v -map 1:a {X264} -c:a aac -timecode 01:00:00:00");
    let mut film = made(folder.path(), "film.mp4", &arguments);
    let places: Vec<usize> = (0..film.len() - 4)
        .filter(|at| &film[*at..at + 4] == b"mdhd")
        .collect();
    assert_eq!(places.len(), 3, "pictures, sound and time codes");
    // Its timescale.
    film[places[2] + 16..places[2] + 20].fill(0);
    let bench = bench(&[("film.mp4", film)]);
    let path = "film.ism/manifest(format=m3u8-cmaf)";
    assert_eq!(lines(&bench, path, "#EXT-X-STREAM-INF").len(), 1);
    assert_eq!(lines(&bench, path, "#EXT-X-MEDIA:TYPE=AUDIO").len(), 1);
}

/// A recorder whose machine lost its power.
#[test]
fn a_recording_that_was_broken_off_plays_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("-map 0:v -map 1:a {X264} -c:a aac -movflags frag_keyframe+empty_moov");
    let film = made(folder.path(), "film.mp4", &arguments);
    let places = |name: &[u8]| -> Vec<usize> {
        (4..film.len() - 4)
            .filter(|at| &film[*at..at + 4] == name)
            .map(|at| at - 4)
            .collect()
    };
    let (moofs, mdats) = (places(b"moof"), places(b"mdat"));
    assert_eq!((moofs.len(), mdats.len()), (3, 3));
    let whole = segments_of(&film);
    assert_eq!(whole.len(), 3);
    // In the media of the last fragment, behind its header, in the header, and behind the box before it.
    for end in [
        film.len() - film.len() / 20,
        mdats[2] + 4,
        mdats[2],
        moofs[2] + 20,
        moofs[2] + 3,
    ] {
        let storage = Memory::default();
        storage.write("film.mp4", film[..end].to_vec());
        assert_eq!(segments_of(&film[..end]), whole[..2], "{end}");
        let now = "2026-06-01T00:00:00Z".parse().unwrap();
        let found = report(&storage, (&(), "memory"), "film", now, |_| {});
        let warnings = futures::executor::block_on(found).unwrap().warnings;
        let left_out = format!("the last {} bytes are left out", end - moofs[2]);
        assert!(
            warnings.iter().any(|line| line.contains(&left_out)),
            "{warnings:?}"
        );
    }
    // Before there is one whole fragment there is nothing to play.
    let bench = bench(&[("film.mp4", film[..mdats[0] + 100].to_vec())]);
    let got = bench.get("film.ism/manifest(format=m3u8-cmaf)");
    assert_eq!(got.status, 415, "{}", got.text());
}

/// The media segments of the pictures.
fn segments_of(film: &[u8]) -> Vec<Vec<u8>> {
    parts(&bench(&[("film.mp4", film.to_vec())]), "film").split_off(1)
}
