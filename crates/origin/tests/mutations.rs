//! Broken assets through everything that the origin does with them: server manifests, client manifests, progressive and fragmented
//! MP4, Smooth Streaming and archives of live events of both kinds, with captions, in every format, in the clear and encrypted. No panic, nothing that takes
//! longer than a second or more memory than 64 MiB or eight times the input; what is answered is well-formed.
//!
//! `cargo xtask fuzz` tries 100,000. `HEADWATER_MUTATIONS` sets how many (2000 by default); an asset depends on its number alone, so
//! that `HEADWATER_MUTATION_SEED` repeats a failure.

#[path = "it/common.rs"]
mod common;
#[path = "../../cmaf/tests/mutate/mod.rs"]
mod mutate;
#[path = "../../dash/tests/schema/mod.rs"]
mod schema;
#[path = "it/sealed.rs"]
mod sealed;

use common::*;
use headwater_origin::*;
use mutate::{Random, Seed, Text};
use std::path::Path;

/// A file of an asset.
enum Part {
    Boxes(Seed),
    Text(Text),
}

impl Part {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Boxes(seed) => &seed.bytes,
            Self::Text(text) => &text.0,
        }
    }

    fn mutated(&self, random: &mut Random) -> Vec<u8> {
        match self {
            Self::Boxes(seed) => seed.mutated(random),
            Self::Text(text) => text.mutated(random),
        }
    }
}

type Asset = Vec<(String, Part)>;

fn boxes(name: &str, bytes: Vec<u8>) -> (String, Part) {
    (name.to_owned(), Part::Boxes(Seed::new(bytes)))
}

fn text(name: &str, text: &str) -> (String, Part) {
    (name.to_owned(), Part::Text(Text(text.as_bytes().to_vec())))
}

fn made(folder: &Path, name: &str, options: &str) -> Vec<u8> {
    let inputs = "-f lavfi -i testsrc2=size=160x90:rate=25:duration=5 -f lavfi -i sine=sample_rate=48000:duration=5";
    let options = format!("{inputs} {options} {name}");
    ffmpeg(folder, &options.split_whitespace().collect::<Vec<_>>());
    std::fs::read(folder.join(name)).unwrap()
}

/// Element, id, name.
type Track<'a> = (&'a str, u32, &'a str);

/// A server manifest of files, each with its tracks.
fn server_manifest(formats: &str, files: &[(&str, &[Track<'_>])]) -> String {
    let mut out = format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<smil xmlns="http://www.w3.org/2001/SMIL20/Language">
<head><meta name="formats" content="{formats}" /><meta name="fragmentsPerHLSSegment" content="2" />
<meta name="clientManifestRelativePath" content="film.ismc" /></head><body><switch>
"#
    );
    for (file, tracks) in files {
        for (bitrate, (element, id, name)) in (100_001..).zip(*tracks) {
            out += &format!(
                r#"<{element} src="{file}" systemBitrate="{bitrate}" systemLanguage="eng"><param name="trackID" value="{id}" valuetype="data" /><param name="trackName" value="{name}" valuetype="data" /></{element}>
"#
            );
        }
    }
    out + "</switch></body></smil>"
}

fn boxed(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len() + 8).unwrap();
    [&size.to_be_bytes()[..], name, payload].concat()
}

/// A TTML document with one cue.
fn caption(number: u64) -> String {
    format!(
        r#"<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="en"><body><div><p begin="00:00:00.200" end="00:00:01.000">cue {number}</p></div></body></tt>"#
    )
}

/// A fragment of text as channels and encoders of Smooth Streaming wrote them: one sample, which is a document, and `tfxd`.
fn caption_fragment(start: u64, duration: u32, document: &str) -> Vec<u8> {
    let times = [start.to_be_bytes(), u64::from(duration).to_be_bytes()].concat();
    let tfxd = [&TFXD[..], &[1, 0, 0, 0], &times].concat();
    let moof = |offset: u32| {
        let size = u32::try_from(document.len()).unwrap();
        let fields = [0x301, 1, offset, duration, size];
        let traf = [
            boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 1]),
            boxed(b"trun", &fields.map(u32::to_be_bytes).concat()),
            boxed(b"uuid", &tfxd),
        ];
        let mfhd = boxed(b"mfhd", &[0; 8]);
        boxed(b"moof", &[mfhd, boxed(b"traf", &traf.concat())].concat())
    };
    let offset = u32::try_from(moof(0).len() + 8).unwrap();
    [moof(offset), boxed(b"mdat", document.as_bytes())].concat()
}

/// A file of such fragments.
fn packaged_captions() -> Vec<u8> {
    let mut file = headwater_text::archive::init(b"").unwrap();
    let init = file.clone();
    for at in [0, 20_000_000, 40_000_000] {
        let fragment = caption_fragment(at, 20_000_000, &caption(at / 20_000_000));
        let fragment = headwater_text::archive::fragment(&init, &fragment);
        file.extend(fragment.unwrap().unwrap());
    }
    file
}

/// What a `uuid` box is called that says when its fragment begins.
const TFXD: [u8; 16] = [
    0x6d, 0x1d, 0x9b, 0x05, 0x42, 0xd5, 0x44, 0xe6, 0x80, 0xe2, 0x14, 0x1d, 0xaf, 0xf7, 0x57, 0xb2,
];

/// When a `moof` begins, by `tfxd` or `tfdt`.
fn time_of(moof: &[u8]) -> u64 {
    let long = |at: usize| u64::from_be_bytes(moof[at..at + 8].try_into().unwrap());
    if let Some(at) = moof.windows(16).position(|name| name == TFXD) {
        return long(at + 20);
    }
    let tfdt = moof.windows(4).position(|name| name == b"tfdt").unwrap() + 4;
    match moof[tfdt] {
        1 => long(tfdt + 4),
        _ => u32::from_be_bytes(moof[tfdt + 4..tfdt + 8].try_into().unwrap()).into(),
    }
}

/// The fragments of a fragmented file with one track as an archive has them: header, then objects called by their times.
fn taken_apart(folder: &str, file: &[u8]) -> Asset {
    let mut found = Vec::new();
    let (mut at, mut header, mut time) = (0, Vec::new(), None);
    let mut fragment = Vec::new();
    while at + 8 <= file.len() {
        let len = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let one = &file[at..at + len];
        match &one[4..8] {
            b"moof" => {
                time = Some(time_of(one));
                fragment = one.to_vec();
            }
            b"mdat" => {
                fragment.extend_from_slice(one);
                let time: u64 = time.take().unwrap();
                found.push(boxes(
                    &format!("{folder}/{time}"),
                    std::mem::take(&mut fragment),
                ));
            }
            _ if time.is_none() && found.is_empty() => header.extend_from_slice(one),
            _ => {}
        }
        at += len;
    }
    found.push(boxes(&format!("{folder}/header"), header));
    found
}

fn assets() -> Vec<Asset> {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, options: &str| made(folder.path(), name, options);
    let x264 = "-c:v libx264 -preset veryfast -g 25 -bf 2 -b:v 60k -c:a aac -b:a 32k";
    let muxed: &[Track<'_>] = &[("video", 1, "video"), ("audio", 2, "sound")];
    let alone: &[Track<'_>] = &[("video", 1, "video")];
    let small = "-c:v libx264 -preset veryfast -g 25 -b:v 30k -an";
    let ladder = || {
        vec![
            boxes("film.mp4", make("film.mp4", x264)),
            boxes("small.mp4", make("small.mp4", small)),
        ]
    };
    let both = [("film.mp4", muxed), ("small.mp4", alone)];
    let mut with_text = ladder();
    with_text.push(text("film.ism", &server_manifest("mp4-v3", &both).replace(
        "</switch>",
        r#"<textstream src="en.vtt" systemBitrate="52" systemLanguage="en"><param name="trackName" value="subs"/></textstream></switch>"#,
    )));
    with_text.push(text("en.vtt", "WEBVTT\n\n00:00.500 --> 00:03.000 line:0\nOne \"two\"\n\n00:04.000 --> 00:04.500\n<b>Three</b>\n"));
    let smooth = |movflags: &str| {
        vec![
            boxes(
                "film.ismv",
                make("film.ismv", &format!("{x264} {movflags} -f ismv")),
            ),
            text(
                "film.ism",
                &server_manifest("fmp4", &[("film.ismv", muxed)]),
            ),
        ]
    };
    let fragmented = |movflags: &str| {
        vec![boxes(
            "film.mp4",
            make("film.mp4", &format!("{x264} -movflags {movflags}")),
        )]
    };
    let dash = "-movflags frag_keyframe+empty_moov+default_base_moof";
    let mut archive = taken_apart("live-video", &make("v.mp4", &format!("{small} {dash}")));
    archive.extend(taken_apart(
        "live-audio",
        &make(
            "a.mp4",
            "-vn -c:a aac -b:a 32k -frag_duration 1000000 -movflags empty_moov+default_base_moof",
        ),
    ));
    archive.push(text(
        "film.ism",
        &server_manifest(
            "vod-cmaf",
            &[
                ("live-video", alone),
                ("live-audio", &[("audio", 1, "sound")]),
            ],
        ),
    ));
    archive.push(text(
        "film.ismc",
        r#"<SmoothStreamingMedia MajorVersion="2" MinorVersion="2" TimeScale="10000000" Duration="50000000"><StreamIndex Type="video" Name="video" Chunks="5" QualityLevels="1" TimeScale="12800" Url="QualityLevels({bitrate})/Fragments(video={start time})"><QualityLevel Index="0" Bitrate="100001" FourCC="H264" CodecPrivateData="00"/><c t="0" d="12800" r="5"/></StreamIndex></SmoothStreamingMedia>"#,
    ));
    // The same as regular channels left it, whose fragments say their times in `tfxd`, and with captions.
    let mut regular = taken_apart(
        "live-video",
        &make(
            "v.ismv",
            &format!("{small} -movflags frag_keyframe -f ismv"),
        ),
    );
    let sound = "-vn -c:a aac -b:a 32k -frag_duration 1000000 -f ismv";
    regular.extend(taken_apart("live-audio", &make("a.isma", sound)));
    for at in [0, 20_000_000, 40_000_000] {
        let fragment = caption_fragment(at, 20_000_000, &caption(at / 20_000_000));
        regular.push(boxes(&format!("live-subs/{at}"), fragment));
    }
    let sparse = |source: &str| {
        format!(
            r#"<textstream src="{source}" systemBitrate="1000" systemLanguage="eng"><param name="trackName" value="subs"/><param name="Subtype" value="SUBT"/></textstream></switch>"#
        )
    };
    let sound_alone: &[Track<'_>] = &[("audio", 1, "sound")];
    let tracks = [("live-video", alone), ("live-audio", sound_alone)];
    let listed = server_manifest("vod-fmp4", &tracks);
    regular.push(text(
        "film.ism",
        &listed.replace("</switch>", &sparse("live-subs")),
    ));
    // Captions of Smooth Streaming on demand: all in one file, and as a document.
    let mut captioned = smooth("-movflags frag_keyframe");
    let listed = server_manifest("fmp4", &[("film.ismv", muxed)]);
    let document = r#"<textstream src="fra.ttml" systemBitrate="1001" systemLanguage="fra"><param name="trackName" value="french"/></textstream></switch>"#;
    let listed = listed.replace("</switch>", &sparse("subs.ismt"));
    captioned.retain(|(name, _)| name != "film.ism");
    captioned.push(text("film.ism", &listed.replace("</switch>", document)));
    captioned.push(boxes("subs.ismt", packaged_captions()));
    captioned.push(text("fra.ttml", &caption(1)));
    let mut hevc = vec![boxes(
        "film.mp4",
        make(
            "film.mp4",
            "-c:v libx265 -preset ultrafast -x265-params log-level=none -tag:v hvc1 -g 25 -c:a ac3",
        ),
    )];
    hevc.push(text(
        "film.ism",
        &server_manifest("mp4", &[("film.mp4", muxed)]),
    ));
    vec![
        with_text,
        ladder(),
        smooth(""),
        smooth("-movflags frag_keyframe"),
        fragmented("frag_keyframe"),
        fragmented("cmaf"),
        fragmented("faststart"),
        archive,
        regular,
        captioned,
        hevc,
        vec![boxes("film.mp4", media("bigbuckbunny.mp4").to_vec())],
    ]
}

/// Every answer of a broken asset is one of these; nothing of it is our fault.
fn answered(bench: &Bench, path: &str) -> Option<Got> {
    let got = bench.asked(http::Method::GET, path, &[]).ok()?;
    match got.status {
        200 => Some(got),
        // 412 is for objects that are not what their index is of.
        400 | 403 | 404 | 412 | 415 => {
            got.code();
            None
        }
        status => panic!("{path}: {status} {}", String::from_utf8_lossy(&got.body)),
    }
}

/// What players do with a presentation, here and there. Err if there is none.
fn played(bench: &Bench, random: &mut Random, encryption: &str) -> Result<(), String> {
    let mut there = false;
    for format in ["m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3"] {
        let Some(master) = answered(
            bench,
            &format!("film.ism/manifest(format={format}{encryption})"),
        ) else {
            continue;
        };
        there = true;
        let text = master.text();
        let frames = text
            .lines()
            .filter(|line| line.starts_with("#EXT-X-I-FRAME-STREAM-INF"));
        let frames = frames.filter_map(|line| line.split("URI=\"").nth(1));
        let frames = frames.map(|uri| uri.trim_end_matches('"').to_owned());
        let mut lists: Vec<String> = uris(text)
            .into_iter()
            .chain(attributes(text, "URI"))
            .chain(frames)
            .collect();
        lists.retain(|uri| uri.starts_with("QualityLevels"));
        for _ in 0..2.min(lists.len()) {
            let list = &lists[random.below(lists.len())];
            let path = format!("film.ism/{list}");
            let Some(playlist) = answered(bench, &path) else {
                continue;
            };
            let text = playlist.text();
            assert!(text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
            let maps = text.lines().filter(|line| line.starts_with("#EXT-X-MAP"));
            let mut segments = uris(text);
            segments.extend(attributes(&maps.collect::<Vec<_>>().join("\n"), "URI"));
            for _ in 0..3.min(segments.len()) {
                let segment = &segments[random.below(segments.len())];
                let segment = resolve(&path, segment);
                answered(bench, &segment.replace("Fragments(", "KeyFrames("));
                if let Some(got) = answered(bench, &segment) {
                    assert!(
                        !got.body.is_empty() || segment.contains(".vtt"),
                        "{segment} is empty"
                    );
                }
            }
        }
    }
    for format in [
        "mpd-time-cmaf",
        "mpd-time-csf",
        "mpd-time-cmaf,type=keyframes",
    ] {
        // Which is held against the standard as it is answered.
        there |= answered(
            bench,
            &format!("film.ism/manifest(format={format}{encryption})"),
        )
        .is_some();
    }
    let smooth = match encryption {
        "" => "film.ism/manifest".to_owned(),
        some => format!("film.ism/manifest({})", some.trim_start_matches(',')),
    };
    if let Some(manifest) = answered(bench, &smooth) {
        there = true;
        let document = roxmltree::Document::parse(manifest.text());
        let document = document.unwrap_or_else(|fault| panic!("{fault}: {}", manifest.text()));
        let streams = document
            .descendants()
            .filter(|node| node.has_tag_name("StreamIndex"));
        for stream in streams.take(3) {
            let find = |name: &str| stream.descendants().find(|node| node.has_tag_name(name));
            let (Some(level), Some(first)) = (find("QualityLevel"), find("c")) else {
                continue;
            };
            let url = stream.attribute("Url").unwrap();
            let url = url.replace("{bitrate}", level.attribute("Bitrate").unwrap());
            let url = url.replace("{start time}", first.attribute("t").unwrap_or("0"));
            answered(bench, &format!("film.ism/{url}"));
            if encryption.is_empty() {
                answered(
                    bench,
                    &format!("film.ism/{}", url.replace("Fragments", "KeyFrames")),
                );
            }
        }
    }
    match there {
        true => Ok(()),
        false => Err("there is nothing to play".to_owned()),
    }
}

fn digest(nth: u64, files: &[(String, Vec<u8>)]) -> (Result<(), String>, usize) {
    let storage = Memory::default();
    for (name, bytes) in files {
        storage.write(name, bytes.clone());
    }
    let mut random = Random(!nth);
    let (bench, encryption) = match nth / 16 % 6 {
        0 => (Some(Way::Cbcs), ",encryption=cbcs-aapl"),
        1 => (Some(Way::Cenc), ",encryption=cenc"),
        2 => (Some(Way::Envelope), ",encryption=cbc"),
        _ => (None, ""),
    };
    let bench = match bench {
        Some(way) => Bench::protected(storage.clone(), sealed::protection(way)),
        None => Bench::new(storage.clone()),
    };
    let result = played(&bench, &mut random, encryption);
    (result, storage.held_bytes())
}

#[test]
fn mutated_assets_are_served_or_refused() {
    let assets = assets();
    for (nth, asset) in (0..).zip(&assets) {
        let files: Vec<_> = asset
            .iter()
            .map(|(name, part)| (name.clone(), part.bytes().to_vec()))
            .collect();
        // In the clear.
        digest(48 + nth, &files)
            .0
            .unwrap_or_else(|fault| panic!("asset {nth}: {fault}"));
        let texts = files.iter().map(|(_, bytes)| {
            let text = String::from_utf8_lossy(bytes);
            text.matches("<textstream").count()
        });
        let storage = Memory::default();
        for (name, bytes) in &files {
            storage.write(name, bytes.clone());
        }
        let master = Bench::new(storage).get("film.ism/manifest(format=m3u8-cmaf)");
        let listed = master.text().matches("TYPE=SUBTITLES").count();
        assert_eq!(
            listed,
            texts.sum::<usize>(),
            "asset {nth}: {}",
            master.text()
        );
    }
    let make = |nth: u64| {
        let asset = &assets[(nth % assets.len() as u64) as usize];
        let mut random = Random(nth);
        let chosen = random.below(asset.len());
        // Manifests are small, and most assets have one.
        let manifest = asset.iter().position(|(name, _)| name.ends_with(".ism"));
        let chosen = manifest.filter(|_| random.below(3) == 0).unwrap_or(chosen);
        let parts = asset.iter().enumerate().map(|(at, (name, part))| {
            let bytes = match at == chosen {
                true => part.mutated(&mut random),
                false => part.bytes().to_vec(),
            };
            (name.clone(), bytes)
        });
        parts.collect()
    };
    let tally = mutate::run("origin", 2000, make, digest);
    let (count, refused) = (tally.count, tally.refused);
    assert!(
        refused > count / 20,
        "mutations hit what matters: {refused}"
    );
    assert!(
        refused < count * 19 / 20,
        "and do not end all at the front: {refused}"
    );
}
