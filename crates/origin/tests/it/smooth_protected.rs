//! Parts of encrypted Smooth Streaming fragments: what precedes the media, the media alone, the sync samples alone. Of films and of
//! what is live, held against the clear ones sample by sample; a reader for tests ([`crate::fragments`]) and openssl decrypt.

use crate::air::{Air, on_air, opened};
use crate::common::*;
use crate::fragments::{alone, encryption};
use crate::made_up::chunks;
use crate::sealed::*;
use headwater_origin::Way;
use headwater_protect::{IvSpace, Kid};
use http::Method;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

const HEX_KEY: &str = "09090909090909090909090909090909";

/// A film of 6 s with a key frame every ten pictures, so that a fragment has several, and none of them is next to another.
fn film(codec: &str) -> Memory {
    let folder = tempfile::tempdir().unwrap();
    let tag = match codec {
        "libx265" => "-tag:v hvc1 -x265-params log-level=error:open-gop=0",
        _ => "-bf 2",
    };
    let args = format!(
        "-f lavfi -i testsrc2=duration=6:size=320x180:rate=25 -f lavfi -i sine=frequency=440:duration=6 -c:v {codec} {tag} \
         -preset veryfast -g 10 -keyint_min 10 -sc_threshold 0 -pix_fmt yuv420p -c:a aac film.mp4"
    );
    ffmpeg(folder.path(), &args.split_whitespace().collect::<Vec<_>>());
    let storage = Memory::default();
    storage.write(
        "film.mp4",
        std::fs::read(folder.path().join("film.mp4")).unwrap(),
    );
    storage
}

/// What openssl makes of counter blocks under a key.
fn key_stream(blocks: Vec<u8>) -> Vec<u8> {
    let mut openssl = Command::new("openssl")
        .args(["enc", "-aes-128-ecb", "-nopad", "-K", HEX_KEY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    let mut stdin = openssl.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&blocks));
    let output = openssl.wait_with_output().unwrap();
    assert!(output.status.success());
    writer.join().unwrap().unwrap();
    output.stdout
}

/// The samples of a fragment as they are in it.
fn stored(fragment: &[u8]) -> Vec<Vec<u8>> {
    let samples = alone(fragment).into_iter();
    samples
        .map(|sample| fragment[sample.place].to_vec())
        .collect()
}

/// The samples of a fragment in the clear. `vectors` learns what is under which vector.
fn decrypted(fragment: &[u8], vectors: &mut BTreeMap<[u8; 8], Vec<u8>>) -> Vec<Vec<u8>> {
    let mut samples = stored(fragment);
    let said = encryption(fragment);
    assert_eq!(said.len(), samples.len());
    let mut blocks = Vec::new();
    // Of each sample the places of its protected bytes, which make up whole blocks but for the last.
    let mut protected = Vec::new();
    for (sample, said) in samples.iter().zip(&said) {
        let known = vectors.entry(said.vector).or_insert_with(|| sample.clone());
        assert!(known == sample, "a vector is of two texts");
        let mut at = 0;
        let mut places = Vec::new();
        for (clear, len) in &said.parts {
            places.extend(at + clear..at + clear + len);
            at += clear + len;
        }
        match said.parts.is_empty() {
            true => places.extend(0..sample.len()),
            false => assert_eq!(at, sample.len(), "parts are all of a sample"),
        }
        for block in 0..places.len().div_ceil(16) {
            blocks.extend(said.vector);
            blocks.extend((block as u64).to_be_bytes());
        }
        protected.push(places);
    }
    let stream = key_stream(blocks);
    let mut from = 0;
    for (sample, places) in samples.iter_mut().zip(protected) {
        let len = places.len();
        for (place, key) in places.into_iter().zip(&stream[from..]) {
            sample[place] ^= key;
        }
        from += len.div_ceil(16) * 16;
    }
    samples
}

/// Fragments of every stream of a Smooth manifest: the stream's kind, and URLs from the presentation's name on.
fn fragments(bench: &Bench, film: &str, options: &str) -> Vec<(String, String)> {
    let options = match options {
        "" => String::new(),
        options => format!("({options})"),
    };
    let manifest = bench.get(&format!("{film}/manifest{options}"));
    assert_eq!(manifest.status, 200, "{}", manifest.text());
    let document = roxmltree::Document::parse(manifest.text()).unwrap();
    let mut found = Vec::new();
    for stream in document.descendants() {
        let Some(url) = stream.attribute("Url") else {
            continue;
        };
        let level = stream.descendants().find_map(|n| n.attribute("Bitrate"));
        let kind = stream.attribute("Type").unwrap();
        for (at, _) in chunks(manifest.text(), stream.attribute("Name").unwrap()) {
            let url = url.replace("{bitrate}", level.unwrap());
            let url = url.replace("{start time}", &at.to_string());
            found.push((kind.to_owned(), format!("{film}/{url}")));
        }
    }
    found
}

fn get(bench: &Bench, url: &str) -> Vec<u8> {
    let got = bench.get(url);
    let said = || String::from_utf8_lossy(&got.body).into_owned();
    assert_eq!(got.status, 200, "{url}: {}", said());
    got.body.to_vec()
}

fn noun(url: &str, noun: &str) -> String {
    url.replacen("/Fragments(", &format!("/{noun}("), 1)
}

/// Each part of every fragment that is encrypted sample by sample, held against the clear one. How many fragments of pictures
/// there were with sync samples behind others.
fn are_parts_of_their_fragments(clear: &Bench, bench: &Bench, (film, way): (&str, &str)) -> usize {
    let plain = fragments(clear, film, "");
    let own = fragments(bench, film, &format!("encryption={way}"));
    assert_eq!(plain.len(), own.len());
    let mut vectors = BTreeMap::new();
    let mut scattered = 0;
    for ((kind, plain), (_, url)) in plain.iter().zip(&own) {
        assert!(url.contains(&format!("encryption={way}")), "{url}");
        let whole = get(bench, url);
        let samples = stored(&get(clear, plain));
        assert_eq!(decrypted(&whole, &mut vectors), samples, "{url}");
        let info = get(bench, &noun(url, "FragmentInfo"));
        let raw = get(bench, &noun(url, "RawFragments"));
        let header = &whole[info.len()..info.len() + 8];
        assert_eq!(&header[4..], b"mdat");
        assert_eq!([&info[..], header, &raw].concat(), whole, "{url}");

        let url = noun(url, "KeyFrames");
        let keys = get(bench, &url);
        let plain = get(clear, &noun(plain, "KeyFrames"));
        let found = decrypted(&keys, &mut vectors);
        assert_eq!(found, stored(&plain), "{url}");
        let times = |fragment: &[u8]| -> Vec<_> {
            let samples = alone(fragment).into_iter();
            let times = samples.map(|s| (s.decoded, s.decoded_until, s.shown));
            times.collect()
        };
        assert_eq!(times(&keys), times(&plain), "{url}");
        // Each as it is in the whole fragment, with what that says of it.
        let mut places = Vec::new();
        for sample in &found {
            let from = places.last().map_or(0, |last| last + 1);
            let behind = samples[from..].iter().position(|s| s == sample);
            places.push(from + behind.unwrap());
        }
        assert_eq!(stored(&keys), at_places(&stored(&whole), &places), "{url}");
        let said = at_places(&encryption(&whole), &places);
        assert_eq!(encryption(&keys), said, "{url}");
        if kind == "video" {
            assert!(places.len() < samples.len(), "{url}");
            scattered += usize::from(places.len() > 1);
        } else {
            assert_eq!(keys, whole, "of sound, every frame is a sync sample");
        }
        // Any part of it is a part of it, wherever the cipher run begins again.
        for (from, to) in [
            (0, 0),
            (info.len() / 2, keys.len() / 2),
            (keys.len() - 1000, keys.len() - 1),
        ] {
            let range = format!("bytes={from}-{to}");
            let got = bench.ask(Method::GET, &url, &[("range", &range)]);
            assert_eq!((got.status, &got.body[..]), (206, &keys[from..=to]));
        }
    }
    scattered
}

fn at_places<T: Clone>(all: &[T], places: &[usize]) -> Vec<T> {
    places.iter().map(|at| all[*at].clone()).collect()
}

#[test]
fn parts_of_encrypted_films_are_those_of_their_fragments() {
    for codec in ["libx264", "libx265"] {
        let storage = film(codec);
        let clear = Bench::new(storage.clone());
        for encryption in ["cenc", "piff"] {
            let bench = Bench::protected(storage.clone(), protection(Way::Cenc));
            let of = ("film.ism", encryption);
            let scattered = are_parts_of_their_fragments(&clear, &bench, of);
            assert!(scattered > 0, "{codec} {encryption}");
        }
    }
}

#[test]
fn key_frames_of_encrypted_films_have_the_same_bytes_on_every_node() {
    let storage = film("libx264");
    let nodes = [storage.clone(), storage].map(|s| Bench::protected(s, protection(Way::Cenc)));
    let urls = fragments(&nodes[0], "film.ism", "encryption=piff");
    for (_, url) in urls {
        for part in ["KeyFrames", "FragmentInfo", "RawFragments"] {
            let url = noun(&url, part);
            let [first, second] = nodes.each_ref().map(|bench| bench.get(&url));
            assert_eq!((first.status, &first.body), (200, &second.body), "{url}");
            assert_eq!(first.header("etag"), second.header("etag"));
        }
    }
}

#[test]
fn key_frames_decode_with_the_init_segment_of_their_track() {
    let bench = Bench::protected(film("libx264"), protection(Way::Cenc));
    let (_, url) = fragments(&bench, "film.ism", "encryption=cenc").remove(0);
    let keys = get(&bench, &noun(&url, "KeyFrames"));
    // Smooth has no init segments, so that of CMAF stands in.
    let master = bench.get("film.ism/manifest(format=m3u8-cmaf,encryption=cenc)");
    let path = format!("film.ism/{}", uris(master.text())[0]);
    let init = segment_urls(&path, bench.get(&path).text()).remove(0);
    let file = [get(&bench, &init), keys.clone()].concat();
    let decoded = frame_sums(&file, Some(HEX_KEY), &["-vsync", "passthrough"]);
    let frames = decoded.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(frames.count(), alone(&keys).len());
}

#[test]
fn parts_of_encrypted_live_media_are_those_of_their_fragments() {
    let air = Air::avc();
    let storage = air.airing(false);
    for encryption in ["cenc", "piff"] {
        let clear = Bench::with(storage.clone(), on_air(published()));
        let bench = Bench::guarded(
            storage.clone(),
            on_air(published()),
            protection(Way::Cenc),
            &[],
        );
        are_parts_of_their_fragments(&clear, &bench, ("show.ism", encryption));
    }
    air.record(&storage, 0..7, true);
    let clear = Bench::new(storage.clone());
    let bench = Bench::protected(storage, protection(Way::Cenc));
    are_parts_of_their_fragments(&clear, &bench, ("show.ism", "cenc"));
}

#[test]
fn parts_that_are_encrypted_as_a_whole_decrypt_to_the_clear_ones() {
    let iv = IvSpace::constant(Kid::parse(KID).unwrap());
    let iv = format!("{:032x}", u128::from_be_bytes(iv));
    let storage = film("libx264");
    let clear = Bench::new(storage.clone());
    let bench = Bench::protected(storage, protection(Way::Envelope));
    let plain = fragments(&clear, "film.ism", "");
    let own = fragments(&bench, "film.ism", "encryption=cbc");
    assert_eq!(plain.len(), own.len());
    for ((_, plain), (_, url)) in plain.iter().zip(&own) {
        for part in ["Fragments", "KeyFrames", "FragmentInfo", "RawFragments"] {
            let got = get(&bench, &noun(url, part));
            let wanted = get(&clear, &noun(plain, part));
            assert_eq!(opened(&got, HEX_KEY, &iv), wanted, "{url} {part}");
        }
    }
}
