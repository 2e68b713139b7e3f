//! Messages and cues of live presentations and of their recordings in HLS over MPEG-2 TS.

use crate::air::*;
use crate::common::*;
use crate::sealed::*;
use headwater_live::cue::{Body, Cue, ID3_SCHEME, Role, SPLICE_SCHEME, Said, event_message};
use headwater_live::timeline::Change;
use headwater_live::ts::{Demux, Found};
use headwater_origin::*;
use headwater_protect::{IvSpace, Kid};
use http::Method;
use std::process::Command;

/// The event's clock where row 0 begins.
const START: i64 = FIRST as i64 * 90_000;
const WRAP: i64 = 1 << 33;

/// An ID3 tag with one text frame.
fn id3(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len() + 1).unwrap();
    let frame = [
        b"TIT2".as_slice(),
        &[0, 0, 0, len, 0, 0, 3],
        text.as_bytes(),
    ]
    .concat();
    let whole = u8::try_from(frame.len()).unwrap();
    [b"ID3\x04\0\0\0\0\0".as_slice(), &[whole], &frame].concat()
}

/// Ticks of the event's clock and what is to be in the transport stream, in order.
pub(crate) struct Tag(i64, Vec<u8>);

/// An event with messages in three of its rows, some of which are for nobody's metadata stream.
pub(crate) fn air() -> (Air, Vec<Tag>) {
    let mut air = Air::avc();
    let tag = |id: u32, at: i64, data: &[u8]| event_message(ID3_SCHEME, "", (at, None), id, data);
    let at = |seconds: f64| START + (seconds * 90_000.0) as i64;
    // In the second row: before it, in it, and twice the same.
    air.say(1, 0, &tag(1, at(0.5), &id3("of before")));
    air.say(1, 2, &tag(2, at(1.5), &id3("in time")));
    air.say(1, 3, &tag(2, at(1.5), &id3("in time")));
    air.say(
        1,
        3,
        &event_message("urn:x", "", (at(1.5), None), 3, b"ID3 of another scheme"),
    );
    air.say(
        1,
        3,
        &event_message(SPLICE_SCHEME, "", (at(1.5), None), 4, &[0xfc, 0x30]),
    );
    air.say(1, 4, &tag(5, at(1.7), b"no tag"));
    // In the fourth: for the next but one, and a large one.
    air.say(3, 1, &tag(6, at(5.25), &id3("of later")));
    let large = [b"ID3\x04\0\0\0\0\x1f\x20".as_slice(), &[0xab; 4000]].concat();
    air.say(3, 0, &tag(7, at(3.1), &large));
    air.told.push(Change::Scheme {
        scheme: ID3_SCHEME.into(),
        value: String::new(),
    });
    let expected = vec![
        Tag(at(1.0), id3("of before")),
        Tag(at(1.5), id3("in time")),
        Tag(at(3.1), large),
        Tag(at(5.25), id3("of later")),
    ];
    (air, expected)
}

fn run(tool: &str, file: &[u8], args: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.ts"), file).unwrap();
    let output = Command::new(tool)
        .current_dir(folder.path())
        .args(["-v", "error"])
        .args(args)
        .output()
        .expect("ffmpeg and ffprobe are installed");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn probe(file: &[u8], args: &[&str]) -> String {
    let args = [args, &["-of", "csv=p=0", "in.ts"]].concat();
    String::from_utf8(run("ffprobe", file, &args)).unwrap()
}

/// Time stamps and contents of the packets of the metadata stream, as ffmpeg has them. Of the contents ffmpeg 5.1 leaves out
/// five bytes in front, which other metadata has for a header.
fn told(file: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let shown = probe(
        file,
        &["-select_streams", "d", "-show_entries", "packet=pts,size"],
    );
    let all = run(
        "ffmpeg",
        file,
        &[
            "-i", "in.ts", "-map", "0:d", "-c", "copy", "-f", "data", "-",
        ],
    );
    let mut rest = all.as_slice();
    let mut found = Vec::new();
    // What ffprobe says of side data are empty lines.
    for line in shown.lines().filter(|line| !line.is_empty()) {
        let mut fields = line.split(',');
        let mut next = || fields.next().unwrap().parse::<i64>().unwrap();
        let (pts, size) = (next(), next());
        let (own, after) = rest.split_at(usize::try_from(size).unwrap());
        found.push((pts.rem_euclid(WRAP), own.to_vec()));
        rest = after;
    }
    assert!(rest.is_empty());
    found
}

/// The same as what takes streams of encoders in has it, which knows no such header.
fn heard(file: &[u8]) -> Vec<(i64, Vec<u8>)> {
    let mut demux = Demux::default();
    demux.feed(file).unwrap();
    demux.end();
    let found = std::iter::from_fn(|| demux.poll()).filter_map(|found| match found {
        Found::Said(Said::Message(message)) => Some((message.time.rem_euclid(WRAP), message.data)),
        _ => None,
    });
    found.collect()
}

pub(crate) fn check_tags(file: &[u8], expected: &[Tag]) {
    let expected = stamped(expected);
    let (told, heard) = (told(file), heard(file));
    let times = |tags: &[(i64, Vec<u8>)]| tags.iter().map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!(times(&told), times(&expected));
    assert_eq!(times(&heard), times(&expected));
    for ((_, whole), ((_, told), (_, heard))) in expected.iter().zip(told.iter().zip(&heard)) {
        assert!(heard == whole);
        assert!(told == whole || told == &whole[5..]);
    }
}

fn stamped(expected: &[Tag]) -> Vec<(i64, Vec<u8>)> {
    let stamped = expected.iter();
    stamped
        .map(|Tag(at, data)| {
            let pts = at + headwater_ts::CLOCK_ORIGIN;
            (pts.rem_euclid(WRAP), data.clone())
        })
        .collect()
}

/// Pictures and sound as ffprobe sees them.
fn packets(file: &[u8]) -> Vec<String> {
    let shown = probe(
        file,
        &["-show_entries", "packet=codec_type,pts,dts,size,flags"],
    );
    let lines = shown.lines().filter(|line| !line.is_empty());
    let media = lines.filter(|line| !line.starts_with("data"));
    media.map(str::to_owned).collect()
}

#[test]
fn id3_is_a_stream_of_its_own_in_every_rendition() {
    let (air, expected) = air();
    let silent = Air::avc();
    let storage = air.airing(true);
    let bench = Bench::with(storage.clone(), on_air(published()));
    let without = Bench::with(silent.airing(true), on_air(published()));
    let mut while_live = Vec::new();
    for format in ["m3u8-aapl", "m3u8-aapl-v3"] {
        let options = format!("format={format}");
        let playlists = media_playlists(&bench, &options);
        for ((path, text), (_, other)) in playlists.iter().zip(media_playlists(&without, &options))
        {
            let urls = segment_urls(path, text);
            let served = bytes_of(&bench, &urls);
            let streams = probe(&served, &["-show_entries", "stream=codec_name,id"]);
            assert!(streams.contains("timed_id3,0x102"), "{streams}");
            check_tags(&served, &expected);
            let plain = bytes_of(&without, &segment_urls(path, &other));
            let media = packets(&plain);
            assert!(media.len() > 150);
            assert_eq!(packets(&served), media, "{path}");
            // The stream is there in the first segment already, or players would have to begin anew.
            let segment = ok(&bench, &urls[0]).body;
            let streams = probe(&segment, &["-show_entries", "stream=codec_name"]);
            assert!(streams.contains("timed_id3"), "{streams}");
            // Parts are those of the whole.
            let whole = ok(&bench, &urls[1]).body;
            for range in [0..100, 187..4_000, 3_000..9_001] {
                let header = format!("bytes={}-{}", range.start, range.end - 1);
                let part = bench.ask(Method::GET, &urls[1], &[("range", &header)]);
                assert_eq!((part.status, &part.body[..]), (206, &whole[range]));
            }
            while_live.push((path.clone(), served));
        }
    }
    assert_eq!(while_live.len(), 3);
    // What players are told of the bandwidth has room for sixteen packets a second in pictures, and in sound.
    let announced = |bench: &Bench| {
        let master = ok(bench, "show.ism/manifest(format=m3u8-aapl)");
        let peak = master.text().split("#EXT-X-STREAM-INF:BANDWIDTH=").nth(1);
        let peak = peak.unwrap().split(',').next().unwrap();
        peak.parse::<u64>().unwrap()
    };
    assert!(announced(&bench) >= announced(&without) + 2 * 16 * 188 * 8);
    // The other versions are the same segments.
    let own = media_playlists(&bench, "format=m3u8-aapl-v8");
    for ((path, text), (_, segments)) in own.iter().zip(&while_live) {
        assert!(bytes_of(&bench, &segment_urls(path, text)) == *segments);
    }
    air.record(&storage, 0..7, true);
    let film = Bench::new(storage);
    for (path, before) in while_live {
        let text = ok(&film, &path).text().to_owned();
        assert!(text.ends_with("#EXT-X-ENDLIST\n"));
        let now = bytes_of(&film, &segment_urls(&path, &text));
        assert!(now == before, "{path}");
    }
}

/// Continuity counters of all packets with payload, of one PID.
pub(crate) fn counters(file: &[u8], pid: u16) -> Vec<u8> {
    let packets = file.chunks(188).filter(|packet| {
        assert_eq!(packet[0], 0x47);
        u16::from_be_bytes([packet[1] & 0x1f, packet[2]]) == pid
    });
    packets.map(|packet| packet[3] & 15).collect()
}

#[test]
fn counters_run_on_over_segments() {
    let (air, _) = air();
    let bench = Bench::with(air.airing(true), on_air(published()));
    for (path, text) in media_playlists(&bench, "format=m3u8-aapl-v3") {
        let served = bytes_of(&bench, &segment_urls(&path, &text));
        let pids = [
            headwater_ts::VIDEO_PID,
            headwater_ts::AUDIO_PID,
            headwater_ts::METADATA_PID,
        ];
        for pid in pids {
            let found = counters(&served, pid);
            let on = |pair: &[u8]| pair[1] == (pair[0] + 1) & 15;
            assert!(found.len() >= 32 && found.windows(2).all(on), "{pid}");
        }
    }
}

fn guarded(storage: &Memory, way: Way) -> Bench {
    Bench::guarded(storage.clone(), on_air(published()), protection(way), &[])
}

#[test]
fn encrypted_samples_leave_id3_in_the_clear_and_encrypted_segments_hold_it() {
    let (air, expected) = air();
    let storage = air.airing(true);
    let plain = Bench::with(storage.clone(), on_air(published()));
    let samples = guarded(&storage, Way::Cbcs);
    for (path, text) in media_playlists(&samples, "format=m3u8-aapl,encryption=cbcs-aapl") {
        let served = bytes_of(&samples, &segment_urls(&path, &text));
        check_tags(&served, &expected);
    }
    let whole = guarded(&storage, Way::Envelope);
    let iv = IvSpace::constant(Kid::parse(KID).unwrap());
    let iv = format!("{:032x}", u128::from_be_bytes(iv));
    let clear = media_playlists(&plain, "format=m3u8-aapl-v3");
    let sealed = media_playlists(&whole, "format=m3u8-aapl-v3,encryption=cbc");
    for ((path, text), (plain_path, plain_text)) in sealed.iter().zip(&clear) {
        let mut out = Vec::new();
        for url in segment_urls(path, text) {
            let key = "09090909090909090909090909090909";
            out.extend(opened(&ok(&whole, &url).body, key, &iv));
        }
        assert!(out == bytes_of(&plain, &segment_urls(plain_path, plain_text)));
    }
    assert_eq!((clear.len(), sealed.len()), (1, 1));
}

/// Date ranges, and cues with the number of the segment they are in front of.
fn cues_of(playlist: &str) -> Vec<(usize, String)> {
    let (mut number, mut found) = (0, Vec::new());
    for line in playlist.lines() {
        match line {
            _ if line.starts_with("#EXT-X-DATERANGE:") => found.push((0, line.to_owned())),
            _ if line.starts_with("#EXT-X-CUE:") => found.push((number, line.to_owned())),
            _ if !line.starts_with('#') => number += 1,
            _ => {}
        }
    }
    found
}

/// An event with a break of two seconds, and one that nobody ends.
fn with_breaks() -> Air {
    let mut air = Air::avc();
    for (id, at, role, lasting) in [
        ("7", 2, Role::Out, Some(3)),
        ("7", 4, Role::In, None),
        ("8", 5, Role::Out, None),
    ] {
        air.told.push(Change::Cue(Cue {
            id: id.into(),
            start: START + at * 90_000,
            duration: lasting.map(|seconds| seconds * 90_000),
            body: Body::Splice {
                role,
                section: vec![0xfc, 0x30, id.as_bytes()[0], u8::try_from(at).unwrap()],
            },
        }));
    }
    air
}

#[test]
fn playlists_of_transport_streams_say_the_same_cues() {
    let air = with_breaks();
    let storage = air.airing(true);
    let check = |bench: &Bench| {
        let cmaf = media_playlists(bench, "format=m3u8-cmaf");
        for (format, count) in [
            ("m3u8-aapl-v3", 1),
            ("m3u8-aapl", 2),
            ("m3u8-aapl-v4", 2),
            ("m3u8-aapl-v8", 2),
        ] {
            let found = media_playlists(bench, &format!("format={format}"));
            assert_eq!(found.len(), count);
            for ((path, text), (_, cmaf)) in found.iter().zip(&cmaf) {
                let expected = cues_of(cmaf);
                assert_eq!(expected.len(), 5, "{expected:?}");
                assert_eq!(cues_of(text), expected, "{path}");
            }
        }
    };
    check(&Bench::with(storage.clone(), on_air(published())));
    air.record(&storage, 0..7, true);
    check(&Bench::new(storage));
}

#[test]
fn smooth_streaming_has_a_stream_of_cues() {
    let mut air = with_breaks();
    // One has no section, and one begins where another ends.
    for (id, at, body) in [
        ("simple", 3, Body::Break),
        (
            "9",
            4,
            Body::Splice {
                role: Role::Out,
                section: b"other".to_vec(),
            },
        ),
    ] {
        air.told.push(Change::Cue(Cue {
            id: id.into(),
            start: START + at * 90_000,
            duration: None,
            body,
        }));
    }
    let storage = air.airing(true);
    let name = |at: u64| ((FIRST + at) * 10_000_000).to_string();
    let expected = [
        (2, "/DA3Ag=="),
        (4, "/DA3BA=="),
        (4, "b3RoZXI="),
        (5, "/DA4BQ=="),
    ]
    .map(|(at, data)| (name(at), data.to_owned()));
    let sections = |bench: &Bench, options: &str| {
        let manifest = ok(bench, &format!("show.ism/manifest{options}"));
        let document = roxmltree::Document::parse(manifest.text()).unwrap();
        let streams = document.descendants();
        let stream = streams
            .filter(|node| node.has_tag_name("StreamIndex"))
            .find(|node| node.attribute("Subtype") == Some("DATA"))
            .unwrap();
        assert_eq!(stream.attribute("ParentStreamIndex"), Some("video"));
        let url = stream.attribute("Url").unwrap().to_owned();
        let chunks = stream.children().filter(|node| node.has_tag_name("c"));
        let chunks = chunks.map(|c| {
            let data = c.first_element_child().unwrap().text().unwrap();
            (c.attribute("t").unwrap().to_owned(), data.to_owned())
        });
        (url, chunks.collect::<Vec<_>>())
    };
    let path = |url: &str, time: &str| {
        let url = url.replace("{bitrate}", "0").replace("{start time}", time);
        format!("show.ism/{url}")
    };
    let live = Bench::with(storage.clone(), on_air(published()));
    let (url, found) = sections(&live, "");
    assert_eq!(found, expected);
    let fragment = ok(&live, &path(&url, &name(4)));
    // Its time and its two messages.
    let time = (FIRST + 4) * 10_000_000;
    let holds = |what: &[u8]| fragment.body.windows(what.len()).any(|bytes| bytes == what);
    assert!(holds(&time.to_be_bytes()));
    let moof = u32::from_be_bytes(*fragment.body.first_chunk().unwrap()) as usize;
    let media = &fragment.body[moof + 8..];
    assert_eq!(media.len(), 12 + 4 + 12 + 5);
    assert_eq!(
        (&media[..4], &media[8..16]),
        (&[0, 0, 0, 1][..], &[0, 0, 0, 0, 0xfc, 0x30, b'7', 4][..])
    );
    assert_eq!(&media[24..], b"\0\0\0\0other");
    for time in [3, 6] {
        let none = live.get(&path(&url, &name(time)));
        assert_eq!(none.code(), "MPE_FRAGMENT_TIMESTAMP_NOT_FOUND");
    }
    let whole = guarded(&storage, Way::Envelope);
    let (sealed_url, found) = sections(&whole, "(encryption=cbc)");
    assert_eq!(found, expected);
    let sealed = ok(&whole, &path(&sealed_url, &name(4))).body;
    let iv = IvSpace::constant(Kid::parse(KID).unwrap());
    let iv = format!("{:032x}", u128::from_be_bytes(iv));
    let key = "09090909090909090909090909090909";
    assert!(opened(&sealed, key, &iv) == fragment.body);
    air.record(&storage, 0..7, true);
    let film = Bench::new(storage.clone());
    assert_eq!(sections(&film, "").1, expected);
    assert!(ok(&film, &path(&url, &name(4))).body == fragment.body);
    // Without any there is no stream.
    let silent = Bench::with(Air::avc().airing(true), on_air(published()));
    assert!(!ok(&silent, "show.ism/manifest").text().contains("DATA"));
}
