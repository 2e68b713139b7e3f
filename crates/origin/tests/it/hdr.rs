//! Pictures of high dynamic range: HLS has to say so, or players show them washed out or leave them alone.

use crate::common::*;
use crate::live;
use headwater_live::timeline::Change;

/// Two seconds of HEVC in 10 bits with these transfer characteristics.
fn film(transfer: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let input = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=128x72:rate=25:duration=2",
    ];
    let x265 = format!(
        "log-level=none:keyint=25:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    );
    let coded = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-pix_fmt",
        "yuv420p10le",
        "-tag:v",
        "hvc1",
        "-x265-params",
        &x265,
        "film.mp4",
    ];
    ffmpeg(folder.path(), &[&input[..], &coded].concat());
    std::fs::read(folder.path().join("film.mp4")).unwrap()
}

/// The film with this box in its sample entry. Its media is before its `moov`, so no offset moves.
fn with_box(film: &[u8], added: &[u8]) -> Vec<u8> {
    let mut film = film.to_vec();
    let mut from = 0;
    let mut end = film.len();
    // Payload of a box before the boxes in it: `stsd` counts its entries, `hvc1` describes its pictures.
    for (name, before) in [
        (b"moov", 0),
        (b"trak", 0),
        (b"mdia", 0),
        (b"minf", 0),
        (b"stbl", 0),
        (b"stsd", 8),
        (b"hvc1", 78),
    ] {
        let size = loop {
            let size = u32::from_be_bytes(film[from..from + 4].try_into().unwrap());
            if &film[from + 4..from + 8] == name {
                break size;
            }
            from += size as usize;
            assert!(from < end, "the file has the box");
        };
        let grown = size + u32::try_from(added.len()).unwrap();
        film[from..from + 4].copy_from_slice(&grown.to_be_bytes());
        end = from + size as usize;
        from += 8 + before;
    }
    film.splice(end..end, added.iter().copied());
    film
}

fn lines(film: Vec<u8>) -> Vec<String> {
    let storage = Memory::default();
    storage.write("film.mp4", film);
    streams(&Bench::new(storage), "film.ism/manifest(format=m3u8-cmaf)")
}

fn streams(bench: &Bench, manifest: &str) -> Vec<String> {
    let master = bench.get(manifest);
    assert_eq!(master.status, 200, "{}", master.text());
    let lines = master.text().lines();
    let streams = lines.filter(|line| line.contains("STREAM-INF:"));
    streams.map(str::to_owned).collect()
}

#[test]
fn variants_and_key_frames_say_their_dynamic_range() {
    for (transfer, range) in [
        ("smpte2084", "PQ"),
        ("arib-std-b67", "HLG"),
        ("bt709", "SDR"),
    ] {
        let lines = lines(film(transfer));
        assert_eq!(lines.len(), 2, "{lines:?}");
        for line in lines {
            assert!(line.contains(&format!(",VIDEO-RANGE={range}")), "{line}");
            assert!(!line.contains("SUPPLEMENTAL-CODECS"), "{line}");
        }
    }
}

/// The opening tags of the adaptation sets of an MPD, each with the colour that it states.
fn sets(mpd: &str) -> Vec<Vec<String>> {
    let sets = mpd.split("<AdaptationSet").skip(1);
    let colours = sets.map(|set| {
        let lines = set.lines().filter(|line| line.contains("mpegB:cicp"));
        lines.map(|line| line.trim().to_owned()).collect()
    });
    colours.collect()
}

const PQ: [&str; 3] = [
    r#"<SupplementalProperty schemeIdUri="urn:mpeg:mpegB:cicp:ColourPrimaries" value="9"/>"#,
    r#"<SupplementalProperty schemeIdUri="urn:mpeg:mpegB:cicp:TransferCharacteristics" value="16"/>"#,
    r#"<SupplementalProperty schemeIdUri="urn:mpeg:mpegB:cicp:MatrixCoefficients" value="9"/>"#,
];

/// Players do not switch from pictures of one range to those of another.
#[test]
fn an_mpd_keeps_dynamic_ranges_apart_and_states_them() {
    let storage = Memory::default();
    storage.write("bright.mp4", film("smpte2084"));
    storage.write("usual.mp4", film("bt709"));
    let video = |file: &str, rate: u32| {
        format!(
            r#"<video src="{file}" systemBitrate="{rate}"><param name="trackName" value="video"/></video>"#
        )
    };
    let (bright, usual) = (video("bright.mp4", 200_000), video("usual.mp4", 100_000));
    storage.write(
        "film.ism",
        format!("<smil><head/><body><switch>{bright}{usual}</switch></body></smil>"),
    );
    let bench = Bench::new(storage);
    let mpd = bench.get("film.ism/manifest(format=mpd-time-cmaf)");
    let sets = sets(mpd.text());
    assert!(sets.contains(&PQ.map(str::to_owned).to_vec()), "{sets:?}");
    assert!(sets.contains(&Vec::new()), "{sets:?}");
}

#[test]
fn what_is_live_says_it_as_well() {
    let storage = Memory::default();
    storage.write("film.mp4", film("smpte2084"));
    let bench = Bench::new(storage);
    let master = bench.get("film.ism/manifest(format=m3u8-cmaf)");
    let path = resolve("film.ism/manifest", &uris(master.text())[0]);
    let init = attributes(bench.get(&path).text(), "URI").remove(0);
    let init = bench.get(&resolve(&path, &init)).body.to_vec();
    let mut changes = [live::tracks(), live::rows(0..3, None)].concat();
    for change in &mut changes {
        if let Change::Config { track: 0, config } = change {
            config.init.clone_from(&init);
        }
    }
    let storage = Memory::default();
    live::record_all(&storage, &changes, true);
    let bench = Bench::new(storage);
    let mpd = bench.get("show.ism/manifest(format=mpd-time-cmaf)");
    let stated = sets(mpd.text());
    assert!(
        stated.contains(&PQ.map(str::to_owned).to_vec()),
        "{}",
        mpd.text()
    );
    let lines = streams(&bench, live::MANIFEST);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains(",VIDEO-RANGE=PQ")));
}

#[test]
fn dolby_vision_over_hlg_is_a_supplemental_codec() {
    // Profile 8, level 4, with a layer of its own data, compatible with HLG (4).
    let mut dvvc = b"\0\0\0\x20dvvC".to_vec();
    dvvc.extend([1, 0, 8 << 1, 4 << 3 | 0b101, 4 << 4]);
    dvvc.resize(32, 0);
    let lines = lines(with_box(&film("arib-std-b67"), &dvvc));
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        assert!(
            line.contains(r#",SUPPLEMENTAL-CODECS="dvh1.08.04/db4h","#),
            "{line}"
        );
        assert!(line.contains(",VIDEO-RANGE=HLG"), "{line}");
    }
}
