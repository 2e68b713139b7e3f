//! Conditions, ranges, indexes, caches and refusals, over real media in memory.

use crate::common::*;
use bytes::Bytes;
use futures::executor::block_on;
use headwater_origin::{Body, Encrypted, Endpoint, Freshness, Protocols, Published, Request};
use http::{HeaderMap, Method};

fn film() -> Bench {
    let storage = Memory::default();
    storage.write("film.mp4", media("bigbuckbunny.mp4"));
    Bench::new(storage)
}

/// URL of the first video segment.
fn first_segment(bench: &Bench) -> String {
    let master = bench.get("film.ism/manifest(format=m3u8-cmaf)");
    let playlist_path = resolve("film.ism/manifest", &uris(master.text())[0]);
    let playlist = bench.get(&playlist_path);
    resolve(&playlist_path, &uris(playlist.text())[0])
}

#[test]
fn every_resource_has_a_tag_that_revalidates() {
    let bench = film();
    let segment = first_segment(&bench);
    for path in [
        "film.ism/manifest(format=m3u8-cmaf)",
        "film.ism/manifest(format=mpd-time-cmaf)",
        segment.as_str(),
        "film.mp4",
    ] {
        let first = bench.get(path);
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{path}: {tag}");
        let again = bench.ask(Method::GET, path, &[("if-none-match", &tag)]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), tag);
        assert!(!again.header("cache-control").is_empty());
        let head = bench.ask(Method::HEAD, path, &[]);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(
            head.header("content-length"),
            first.body.len().to_string(),
            "{path}"
        );
        assert_eq!(head.header("etag"), tag);
    }
}

#[test]
fn ranges_are_slices_of_the_whole() {
    let bench = film();
    let segment = first_segment(&bench);
    for path in [segment.as_str(), "film.mp4"] {
        let whole = bench.get(path);
        let tag = whole.header("etag").to_owned();
        let len = whole.body.len();
        for (start, end) in [
            (0, 1),
            (0, len),
            (1, 700),
            (len / 2, len / 2 + 5000),
            (len - 1, len),
        ] {
            let range = format!("bytes={start}-{}", end - 1);
            let part = bench.ask(Method::GET, path, &[("range", &range), ("if-range", &tag)]);
            assert_eq!(part.status, 206, "{path} {range}");
            assert_eq!(part.body, whole.body.slice(start..end), "{path} {range}");
            assert_eq!(
                part.header("content-range"),
                format!("bytes {start}-{}/{len}", end - 1)
            );
        }
        let beyond = bench.ask(Method::GET, path, &[("range", &format!("bytes={len}-"))]);
        assert_eq!(
            (beyond.status, beyond.header("content-range")),
            (416, format!("bytes */{len}").as_str())
        );
        let other = bench.ask(
            Method::GET,
            path,
            &[("range", "bytes=0-0"), ("if-range", "\"other\"")],
        );
        assert_eq!((other.status, other.body.len()), (200, len));
    }
}

#[test]
fn index_is_built_once_and_found_by_the_next_instance() {
    let bench = film();
    let segment = first_segment(&bench);
    let body = bench.get(&segment).body;
    let built = bench
        .storage
        .get(".headwater/film.mp4.hwx")
        .expect("the index is stored");
    bench.storage.calls();

    // A new instance.
    let next = Bench::new(bench.storage.clone());
    assert_eq!(next.get(&segment).body, body);
    let (calls, _) = bench.storage.calls();
    assert!(
        !calls
            .iter()
            .any(|c| c.starts_with("put") || c == "read film.mp4"),
        "{calls:?}"
    );
    assert_eq!(bench.storage.get(".headwater/film.mp4.hwx"), Some(built));

    // A warm one asks storage for nothing but media.
    assert_eq!(next.get(&segment).body, body);
    let (calls, _) = bench.storage.calls();
    assert_eq!(calls, ["media film.mp4"]);
}

/// Each would otherwise take its entity tag away from those that built before it, and their next block would be a 503.
#[test]
fn instances_that_build_an_index_at_the_same_time_agree_on_one() {
    let bench = film();
    let instances: Vec<_> = (0..6).map(|_| Bench::new(bench.storage.clone())).collect();
    let (path, headers) = (
        format!("/{LOCATOR}/film.ism/manifest(format=mpd-time-cmaf)"),
        http::HeaderMap::new(),
    );
    let request = Request {
        method: &Method::GET,
        path: &path,
        query: "",
        host: None,
        client: None,
        headers: &headers,
        now: bench.now,
    };
    let answers = instances
        .iter()
        .map(|instance| instance.origin.handle(&request, Freshness::Remembered));
    let answers = futures::executor::block_on(futures::future::join_all(answers));
    assert!(answers.iter().all(|answer| answer.status() == 200));
    // The film, its index and the note on its captions.
    assert_eq!(bench.storage.writes(), 3);
    // One that is damaged is replaced, once.
    bench.storage.write(".headwater/film.mp4.hwx", "HWIX");
    assert_eq!(
        Bench::new(bench.storage.clone())
            .get("film.ism/manifest(format=mpd-time-cmaf)")
            .status,
        200
    );
    assert_eq!(bench.storage.writes(), 5);
}

#[test]
fn asset_of_many_files_without_an_index_is_prepared_within_one_request() {
    let storage = Memory::default();
    let film = media("bigbuckbunny.mp4");
    let names: Vec<String> = (1..=8).map(|n| format!("film_{n}.mp4")).collect();
    for name in &names {
        storage.write(name, film.clone());
    }
    let bench = Bench::new(storage);
    let master = bench.get("film.ism/manifest(format=m3u8-cmaf)");
    assert_eq!(master.status, 200, "{}", master.text());
    for name in &names {
        let index = format!(".headwater/{name}.hwx");
        assert!(bench.storage.get(&index).is_some(), "{index} is stored");
    }
}

#[test]
fn store_that_refuses_the_index_is_streamed_from_all_the_same() {
    let bench = film();
    let expected = bench.get(&first_segment(&bench)).body;
    let storage = Memory::default();
    storage.write("film.mp4", media("bigbuckbunny.mp4"));
    storage.refuse_puts();
    let read_only = Bench::new(storage);
    let segment = first_segment(&read_only);
    assert_eq!(read_only.get(&segment).body, expected);
    assert_eq!(read_only.storage.get(".headwater/film.mp4.hwx"), None);
}

#[test]
fn replaced_media_is_noticed_within_one_request() {
    let bench = film();
    let segment = first_segment(&bench);
    let before = bench.get(&segment);
    bench.storage.write("film.mp4", media("bigbuckbunny.mp4"));
    // Same bytes, other entity tag: the plan's If-Match fails, the origin looks again.
    let after = bench.get(&segment);
    assert_eq!(after.status, 200);
    assert_eq!(after.body, before.body);
    assert_ne!(after.header("etag"), before.header("etag"));
    bench.storage.write("film.mp4", media("car-detection.mp4"));
    assert_eq!(
        bench.get(&segment).code(),
        "MPE_MANIFEST_MEDIA_ENTRY_NOT_FOUND"
    );
}

#[test]
fn damaged_and_foreign_indexes_are_built_again() {
    let bench = film();
    let segment = first_segment(&bench);
    let body = bench.get(&segment).body;
    let good = bench.storage.get(".headwater/film.mp4.hwx").unwrap();
    for bad in [
        vec![],
        b"rubbish".to_vec(),
        good[..good.len() / 2].to_vec(),
        {
            let mut flipped = good.to_vec();
            flipped[60] ^= 1;
            flipped
        },
    ] {
        bench.storage.write(".headwater/film.mp4.hwx", bad);
        let next = Bench::new(bench.storage.clone());
        assert_eq!(next.get(&segment).body, body);
        assert_eq!(
            bench.storage.get(".headwater/film.mp4.hwx"),
            Some(good.clone())
        );
    }
}

#[test]
fn cost_of_a_segment_does_not_grow_with_the_asset() {
    // The same movie once and sixty times over, joined by ffmpeg without encoding.
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.txt");
    let line = format!("file '{MEDIA}/bigbuckbunny.mp4'\n");
    std::fs::write(&list, line.repeat(240)).unwrap();
    let long = folder.path().join("long.mp4");
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "concat", "-safe", "0", "-i"])
        .arg(&list)
        .args(["-c", "copy"])
        .arg(&long)
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success());
    let long = bytes::Bytes::from(std::fs::read(long).unwrap());
    let mut costs = Vec::new();
    for file in [media("bigbuckbunny.mp4"), long] {
        let storage = Memory::default();
        storage.write("film.mp4", file);
        let segment = first_segment(&Bench::new(storage.clone()));
        let playlist = Bench::new(storage.clone());
        let last = {
            let master = playlist.get("film.ism/manifest(format=m3u8-cmaf)");
            let path = resolve("film.ism/manifest", &uris(master.text())[0]);
            resolve(&path, uris(playlist.get(&path).text()).last().unwrap())
        };
        for url in [segment, last] {
            let cold = Bench::new(storage.clone());
            storage.calls();
            assert_eq!(cold.get(&url).status, 200, "{url}");
            let (calls, bytes) = storage.calls();
            costs.push((calls.len(), bytes));
        }
    }
    let (short, long) = costs.split_at(2);
    for (calls, bytes) in long {
        // At most a directory page and a record more than the first read of the index, which is 16 KiB.
        assert!(*calls <= short[0].0 + 2, "{costs:?}");
        assert!(*bytes <= 16 * 1024 + 8 * 1024, "{costs:?}");
    }
}

#[test]
fn refusals_carry_their_names_and_are_cached_briefly() {
    let bench = film();
    let check = |path: &str, status: u16, code: &str| {
        let got = bench.get(path);
        assert_eq!((got.status, got.code().as_str()), (status, code), "{path}");
        assert_eq!(got.header("content-type"), "application/problem+json");
        assert!(
            matches!(
                got.header("cache-control"),
                "no-store" | "public, max-age=2"
            ),
            "{path}"
        );
    };
    check(
        "other.ism/manifest(format=m3u8-cmaf)",
        404,
        "MPE_RESOURCE_NOT_FOUND",
    );
    check(
        "film.ism/manifest(format=m3u8-cmaf,encryption=cbc)",
        403,
        "MPE_ENC_ENCRYPTION_NOT_SET_IN_DELIVERY_POLICY",
    );
    check(
        "film.ism/manifest(format=m3u8-cmaf",
        400,
        "MPE_BAD_URL_SYNTAX",
    );
    check(
        "film.ism/QualityLevels(1)/Manifest(video,format=mpd-time-cmaf)",
        400,
        "MPE_BAD_URL_SYNTAX",
    );
    check(
        "film.ism/QualityLevels(1)/Manifest(video,format=m3u8-cmaf)",
        404,
        "MPE_MANIFEST_MEDIA_ENTRY_NOT_FOUND",
    );
    check(
        "film.ism/QualityLevels(1)/Manifest(nobody,format=m3u8-cmaf)",
        404,
        "MPE_EGRESS_TRACK_NOT_FOUND",
    );
    let segment = first_segment(&bench);
    for time in ["1", "99999999999", "18446744073709551615"] {
        check(
            &segment.replace("video=0", &format!("video={time}")),
            404,
            "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND",
        );
    }
    check("nothing.mp4", 404, "MPE_RESOURCE_NOT_FOUND");
    check("film.ism", 404, "MPE_RESOURCE_NOT_FOUND");
    check(".headwater/film.mp4.hwx", 404, "MPE_RESOURCE_NOT_FOUND");
    assert_eq!(
        bench.ask(Method::POST, "film.mp4", &[]).code(),
        "MPE_METHOD_NOT_ALLOWED"
    );
    assert_eq!(bench.ask(Method::OPTIONS, "film.mp4", &[]).status, 204);
    assert_eq!(bench.ask(Method::HEAD, "nothing.mp4", &[]).body.len(), 0);
}

#[test]
fn policies_decide_what_leaves_the_house() {
    let storage = Memory::default();
    storage.write("film.mp4", media("bigbuckbunny.mp4"));
    storage.write("poster.jpg", "jpeg");
    let ask = |protocols: Protocols, path: &str| {
        Bench::with(
            storage.clone(),
            Published {
                protocols,
                ..published()
            },
        )
        .get(path)
        .status
    };
    let streaming = Protocols {
        hls: true,
        dash: false,
        smooth: false,
        download: false,
    };
    assert_eq!(ask(streaming, "film.ism/manifest(format=m3u8-cmaf)"), 200);
    assert_eq!(
        ask(streaming, "film.ism/manifest(format=mpd-time-cmaf)"),
        403
    );
    assert_eq!(ask(streaming, "film.mp4"), 403);
    assert_eq!(ask(streaming, "poster.jpg"), 403);
    let download = Protocols {
        hls: false,
        dash: false,
        smooth: false,
        download: true,
    };
    assert_eq!(ask(download, "film.ism/manifest(format=m3u8-cmaf)"), 403);
    assert_eq!(ask(download, "poster.jpg"), 200);
}

#[test]
fn what_cannot_be_encrypted_yet_does_not_leave_the_house() {
    let storage = Memory::default();
    storage.write("film.mp4", media("bigbuckbunny.mp4"));
    let fragment = first_segment(&Bench::new(storage.clone()));
    let check = |published: &Published<()>, path: &str, expected: (u16, &str)| {
        let got = Bench::with(storage.clone(), published.clone()).get(path);
        let code = if got.status == 200 {
            String::new()
        } else {
            got.code()
        };
        assert_eq!((got.status, code.as_str()), expected, "{path}");
    };
    let hls = Protocols {
        hls: true,
        ..Protocols::default()
    };
    let fair_play = Published {
        protocols: Protocols {
            download: true,
            ..Protocols::default()
        },
        encrypted: Encrypted {
            cbcs: hls,
            ..Encrypted::default()
        },
        ..published()
    };
    let unsaid = (400, "MPE_ENC_ENCRYPTION_NOT_SPECIFIED_IN_URL");
    let manifest = "film.ism/manifest(format=m3u8-cmaf)";
    check(&fair_play, manifest, unsaid);
    check(&fair_play, &fragment, unsaid);
    check(
        &fair_play,
        "film.ism/manifest(format=m3u8-aapl-v3,encryption=cbcs-aapl)",
        (415, "MPE_ENCRYPTION_NOT_SUPPORTED"),
    );
    check(
        &fair_play,
        "film.ism/manifest(format=m3u8-cmaf,encryption=cbc)",
        (403, "MPE_ENC_ENCRYPTION_NOT_SET_IN_DELIVERY_POLICY"),
    );
    // Files are given out as they are if the policy says so, in AMS too.
    check(&fair_play, "film.mp4", (200, ""));

    let mixed = Published {
        protocols: hls,
        ..fair_play
    };
    check(&mixed, manifest, (200, ""));
}

#[test]
fn bad_media_is_a_415_and_nothing_worse() {
    let storage = Memory::default();
    let good = media("bigbuckbunny.mp4");
    storage.write("empty.mp4", "");
    storage.write("text.mp4", "#EXTM3U\n#EXT-X-VERSION:7\n");
    storage.write("truncated.mp4", good.slice(..good.len() / 2));
    storage.write(
        "huge.mp4",
        [&[0, 0, 0, 1][..], b"moov", &[0x7f; 8]].concat(),
    );
    storage.write("zero.mp4", vec![0; 1000]);
    storage.write("bad.ism", "<smil><body><video/></body></smil>");
    storage.write("nothing.ism", "");
    storage.write(
        "elsewhere.ism",
        "<smil><body><video src='../secret.mp4'/></body></smil>",
    );
    let bench = Bench::new(storage);
    for name in [
        "empty",
        "text",
        "truncated",
        "huge",
        "zero",
        "bad",
        "nothing",
        "elsewhere",
    ] {
        let got = bench.get(&format!("{name}.ism/manifest(format=m3u8-cmaf)"));
        assert_eq!(
            (got.status, got.code().as_str()),
            (415, "MPE_FORMAT_NOT_SUPPORTED"),
            "{name}: {}",
            got.text()
        );
    }
}

#[test]
fn media_that_is_refused_is_not_read_again_until_it_changes() {
    let storage = Memory::default();
    storage.write("bad.mp4", media("echo-hereweare.webm"));
    let bench = Bench::new(storage.clone());
    let reads = || {
        let got = bench.get("bad.ism/manifest(format=m3u8-cmaf)");
        let (calls, _) = storage.calls();
        let reads = calls.iter().filter(|call| *call == "read bad.mp4").count();
        (got.status, reads)
    };
    assert_eq!(reads(), (415, 1));
    assert_eq!(reads(), (415, 0));
    storage.write("bad.mp4", media("bigbuckbunny.mp4"));
    assert_eq!(reads().0, 200);
}

#[test]
fn same_asset_gives_the_same_bytes_on_every_node() {
    let texts: Vec<_> = (0..2)
        .map(|_| {
            let bench = film();
            let master = bench.get("film.ism/manifest(format=m3u8-cmaf)");
            let mpd = bench.get("film.ism/manifest(format=mpd-time-cmaf)");
            let segment = bench.get(&first_segment(&bench));
            [master, mpd, segment].map(|got| (got.header("etag").to_owned(), got.body))
        })
        .collect();
    assert_eq!(texts[0], texts[1]);
}

mod hostile {
    use super::*;
    use proptest::prelude::*;
    use std::sync::OnceLock;

    /// One origin for all cases: building the index takes longer than a case.
    fn bench() -> &'static Bench {
        static BENCH: OnceLock<Bench> = OnceLock::new();
        BENCH.get_or_init(film)
    }

    fn is_sane(got: &Got) -> bool {
        matches!(got.status, 200 | 206 | 400 | 403 | 404 | 415 | 416)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_path_gets_a_plain_answer(path in "\\PC{0,80}") {
            prop_assert!(is_sane(&bench().get(&path)));
        }

        #[test]
        fn streaming_like_paths_get_a_plain_answer(
            noun in "(manifest|Manifest|QualityLevels\\([0-9]{0,10}\\)/(Manifest|Fragments)|%2e%2e|film)",
            inner in "[a-z0-9=,%();-]{0,40}",
        ) {
            let got = bench().get(&format!("film.ism/{noun}({inner})"));
            prop_assert!(is_sane(&got), "{}", got.status);
        }

        #[test]
        fn any_range_gets_a_plain_answer(range in "bytes=[0-9]{0,22}-[0-9]{0,22}(,[0-9]-)?", tag in "\\PC{0,20}") {
            let tag = tag.chars().filter(char::is_ascii).collect::<String>();
            let got = bench().ask(Method::GET, "film.mp4", &[("range", &range), ("if-none-match", &tag)]);
            prop_assert!(is_sane(&got) || got.status == 304);
        }
    }
}

#[test]
fn documents_of_older_players_are_at_the_host_and_nowhere_else() {
    let bench = film();
    let ask = |method, path: &str| {
        let headers = HeaderMap::new();
        let request = Request {
            method: &method,
            path,
            query: "",
            host: Some("localhost:8080"),
            client: None,
            headers: &headers,
            now: bench.now,
        };
        let answer = block_on(bench.origin.handle(&request, Freshness::Remembered));
        let (head, body) = answer.into_parts();
        (head.status.as_u16(), head.headers, body)
    };
    let (status, headers, body) = ask(Method::GET, "/clientaccesspolicy.xml");
    assert_eq!(
        (status, body),
        (200, Body::Bytes(Bytes::from_static(b"<access-policy/>")))
    );
    assert_eq!(headers["content-type"], "text/xml");
    assert_eq!(headers["cache-control"], "public, max-age=60");
    let (status, headers, body) = ask(Method::HEAD, "/clientaccesspolicy.xml");
    assert_eq!(headers["content-length"], "16");
    assert_eq!((status, body), (200, Body::Empty));
    // Nobody says anything of Flash.
    assert_eq!(ask(Method::GET, "/crossdomain.xml").0, 404);
    assert_eq!(ask(Method::GET, "/clientaccesspolicy.xml/").0, 404);
    assert_eq!(bench.get("clientaccesspolicy.xml").status, 404);
    bench.storage.be(Presence::There, Presence::Away);
    assert_eq!(ask(Method::GET, "/clientaccesspolicy.xml").0, 503);
}

#[test]
fn endpoints_serve_whom_they_are_for_and_say_how_long_to_keep() {
    let range = |address: &str| headwater_work::live::IpRange {
        name: None,
        address: address.parse().unwrap(),
        subnet_prefix_length: Some(24),
    };
    let storage = film().storage;
    let ruled = Published {
        endpoints: vec![
            Endpoint {
                hosts: vec!["inside.example".into()],
                allow: Some(vec![range("10.0.0.0")]),
                max_age: Some(5),
                ..Endpoint::default()
            },
            Endpoint {
                allow: Some(vec![range("192.0.2.0")]),
                ..Endpoint::default()
            },
        ],
        ..published()
    };
    let mut bench = Bench::with(storage.clone(), ruled);
    let manifest = "film.ism/manifest(format=m3u8-cmaf)";
    let mut ask = |host, client: &str| {
        bench.host = Some(host);
        bench.client = client.parse().ok();
        let answers = [bench.get(manifest), bench.get(manifest)];
        assert_eq!(answers[0].status, answers[1].status);
        // The host's cache would give it to anybody.
        assert!(
            answers
                .iter()
                .all(|answer| answer.header("headwater-cache-control").is_empty())
        );
        let [_, answer] = answers;
        (answer.status, answer.header("cache-control").to_owned())
    };
    assert_eq!(
        ask("inside.example", "10.0.0.9"),
        (200, "public, max-age=5".into())
    );
    assert_eq!(
        ask("localhost:8080", "192.0.2.9"),
        (200, "public, max-age=60".into())
    );
    let nobody = (404, "no-store".to_owned());
    assert_eq!(ask("inside.example", "192.0.2.9"), nobody);
    assert_eq!(ask("localhost:8080", "203.0.113.1"), nobody);
    for refused in [bench.get("film.ism/time"), bench.get(manifest)] {
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (404, "MPE_UNAUTHORIZED")
        );
    }

    // Only who is served is a matter of the host's cache.
    let mut aged = published();
    aged.endpoints[0].max_age = Some(86_400);
    let bench = Bench::with(storage, aged);
    for path in [manifest, &first_segment(&bench)] {
        let answer = bench.get(path);
        assert_eq!(
            answer.header("cache-control"),
            "public, max-age=86400",
            "{path}"
        );
    }
    assert_eq!(
        bench.get(manifest).header("headwater-cache-control"),
        "max-age=2"
    );
    // What time it is nobody keeps.
    let time = bench.get("film.ism/time");
    assert_eq!(time.header("cache-control"), "no-store");
    assert_eq!(time.header("headwater-cache-control"), "");
    let head = bench.ask(Method::HEAD, "film.ism/time", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), time.body.len().to_string());
    assert_eq!(
        bench
            .get("film.ism/manifest(format=nonsense)")
            .header("cache-control"),
        "public, max-age=2"
    );
}

/// What was said lately is the host's to go by. Here nobody says it, so it is an error, and soon over.
#[test]
fn nobody_there_is_an_error_that_passes() {
    for (store, catalog) in [
        (Presence::Away, Presence::There),
        (Presence::There, Presence::Away),
    ] {
        let mut bench = film();
        let path = "film.ism/manifest(format=m3u8-cmaf)";
        assert_eq!(bench.get(path).status, 200);
        bench.storage.be(store, catalog);
        // What an instance knows it does not ask for.
        assert_eq!(bench.get(path).status, 200);
        bench.now += jiff::SignedDuration::from_secs(6);
        let got = bench.get(path);
        assert_eq!(
            (got.status, got.code().as_str()),
            (503, "MPE_STORAGE_SERVER_BUSY")
        );
        bench.storage.be(Presence::There, Presence::There);
        assert_eq!(bench.get(path).status, 200);
    }
}

/// What the store says is so, also when it is bad news.
#[test]
fn a_file_that_is_gone_is_not_gone_by() {
    let mut bench = film();
    let segment = first_segment(&bench);
    assert_eq!(bench.get(&segment).status, 200);
    bench.storage.remove("film.mp4");
    bench.now += jiff::SignedDuration::from_secs(6);
    assert_eq!(bench.get(&segment).status, 404);
}
