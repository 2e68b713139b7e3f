//! Manifests in fewer bytes, for those who take it.

use crate::common::*;
use http::Method;
use std::io::Read as _;

fn film() -> Bench {
    let storage = Memory::default();
    storage.write("film.mp4", media("azure-bumper.mp4"));
    Bench::new(storage)
}

/// As browsers ask, and as others do.
const CODINGS: [(&str, &str); 2] = [("gzip, deflate, br", "br"), ("gzip", "gzip")];

fn unpacked(got: &Got) -> String {
    let mut text = String::new();
    match got.header("content-encoding") {
        "gzip" => flate2::read::GzDecoder::new(&got.body[..]).read_to_string(&mut text),
        "br" => brotli::Decompressor::new(&got.body[..], 4096).read_to_string(&mut text),
        _ => panic!("in no coding"),
    }
    .unwrap();
    text
}

#[test]
fn manifests_are_sent_in_each_coding_under_a_tag_of_their_own() {
    for (accepted, coding) in CODINGS {
        manifests_are_sent_in(("accept-encoding", accepted), coding);
    }
    // What an instance remembers in one coding it gives in no other.
    let bench = film();
    let path = "film.ism/manifest(format=m3u8-cmaf)";
    let tags = CODINGS.map(|(accepted, coding)| {
        let got = bench.ask(Method::GET, path, &[("accept-encoding", accepted)]);
        assert_eq!(got.header("content-encoding"), coding);
        got.header("etag").to_owned()
    });
    assert_ne!(tags[0], tags[1]);
}

fn manifests_are_sent_in(accepted: (&str, &str), coding: &str) {
    let packed_too = [accepted];
    let bench = film();
    let master = bench.get("film.ism/manifest(format=m3u8-cmaf)");
    let playlist = format!("film.ism/{}", uris(master.text())[0]);
    for path in [
        "film.ism/manifest(format=m3u8-cmaf)",
        "film.ism/manifest(format=m3u8-aapl)",
        "film.ism/manifest(format=mpd-time-cmaf)",
        "film.ism/Manifest",
        &playlist,
    ] {
        // In either order, and from what the instance remembers, too.
        for _ in 0..2 {
            let packed = bench.ask(Method::GET, path, &packed_too);
            let plain = bench.get(path);
            assert_eq!((plain.status, packed.status), (200, 200), "{path}");
            assert_eq!(plain.header("vary"), "Accept-Encoding");
            assert_eq!(packed.header("vary"), "Accept-Encoding");
            assert_eq!(plain.header("content-encoding"), "");
            assert_eq!(packed.header("content-encoding"), coding);
            assert_eq!(packed.header("content-type"), plain.header("content-type"));
            assert_ne!(packed.header("etag"), plain.header("etag"));
            assert_eq!(unpacked(&packed), plain.text());
        }
        let packed = bench.ask(Method::GET, path, &packed_too);
        let again = film().ask(Method::GET, path, &packed_too);
        assert_eq!(
            packed.body, again.body,
            "the same bytes from every instance"
        );
        let head = bench.ask(Method::HEAD, path, &packed_too);
        assert_eq!(head.header("content-length"), packed.body.len().to_string());
        let had = [accepted, ("if-none-match", packed.header("etag"))];
        let had = bench.ask(Method::GET, path, &had);
        assert_eq!((had.status, had.header("vary")), (304, "Accept-Encoding"));
        let part = bench.ask(Method::GET, path, &[accepted, ("range", "bytes=2-5")]);
        assert_eq!((part.status, part.header("content-encoding")), (206, ""));
        assert_eq!(part.body, bench.get(path).body.slice(2..6));
        // The tag of one coding is not the other's.
        let other = bench.ask(
            Method::GET,
            path,
            &[("if-none-match", packed.header("etag"))],
        );
        assert_eq!(other.status, 200);
        let fresh = film().ask(
            Method::GET,
            path,
            &[("if-none-match", packed.header("etag")), accepted],
        );
        assert_eq!(fresh.status, 304);
    }
}

#[test]
fn media_is_sent_as_it_is() {
    let bench = film();
    for part in 0..2 {
        let (path, playlist) = playlist(&bench, "film");
        let uri = match part {
            0 => attributes(playlist.text(), "URI")[0].clone(),
            _ => uris(playlist.text())[0].clone(),
        };
        let got = bench.ask(
            Method::GET,
            &resolve(&path, &uri),
            &[("accept-encoding", CODINGS[0].0)],
        );
        assert_eq!(got.status, 200);
        assert_eq!(got.header("content-encoding"), "");
        assert_eq!(got.header("vary"), "");
    }
}
