//! Cues of encoders: in the recording, at the start of rows, and in media.

use crate::support::rtmp::{Encoder, Tag, data, tags};
use crate::support::{Fake, publish, push, source};
use headwater_live::cue::{Body, Cue, ID3_SCHEME, Role, SPLICE_SCHEME};
use headwater_live::timeline::Row;
use headwater_rtmp::amf0::Value;
use headwater_work::live::facts::Fact;
use headwater_work::live::{EncodingType, Protocol};

/// ANSI/SCTE 35, 14.2.
const CUE: &str = "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo=";

fn cue(at: f64) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    let members = [
        ("type", text("scte35")),
        ("cue", text(CUE)),
        ("id", text("break")),
        ("duration", Value::Number(1.0)),
        ("time", Value::Number(at)),
    ];
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Six seconds with a cue at 3.6 s that is said two seconds before it, and an ID3 tag at 4 s.
fn said(folder: &std::path::Path, options: &str) -> Vec<Tag> {
    let (film, flv) = (folder.join("source.mp4"), folder.join("source.flv"));
    source(&film, 6, options);
    let made = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&film)
        .args(["-c", "copy", "-f", "flv"])
        .arg(&flv)
        .status();
    assert!(made.unwrap().success());
    let mut tags = tags(&std::fs::read(&flv).unwrap());
    tags.push(data(1_600, "onAdCue", &cue(3.6)));
    let xml = "<EventStream schemeIdUri='https://aomedia.org/emsg/ID3'><Event id='9' presentationTime='4000'>SUQzBA==</Event></EventStream>";
    tags.push(data(2_000, "onUserDataEvent", &Value::Text(xml.to_owned())));
    tags.push(data(2_000, "onAdCue", &Value::Text("nonsense".to_owned())));
    tags.sort_by_key(|tag| tag.timestamp);
    tags
}

fn count(bytes: &[u8], what: &[u8]) -> usize {
    bytes
        .windows(what.len())
        .filter(|window| window == &what)
        .count()
}

/// Runs an event, and holds what it leaves to the cue. `exact`: the cut is where the encoder was told to have it.
async fn run(encoding: EncodingType, options: &str) {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let tags = said(folder.path(), options);
    fake.queue(Protocol::Rtmp, encoding);
    let (worker, url) = fake.recording(&folder.path().join("data")).await;
    tokio::task::spawn_blocking(move || Encoder::publish(&format!("{url}/main")).send(&tags))
        .await
        .unwrap();
    fake.until("what was sent", |state| {
        let end = state.recording().and_then(|recording| recording.open.end());
        let start = state.rows().first().map(|row| row.start);
        end.zip(start)
            .is_some_and(|(end, start)| end - start > 5 * 90_000)
    })
    .await;
    fake.finish(worker).await;
    let state = fake.state.lock().unwrap();
    let recording = state.recording().unwrap();
    let [cue] = &recording.open.cues[..] else {
        panic!("{:?}", recording.open.cues);
    };
    assert_eq!((cue.id.as_str(), cue.duration), ("break", Some(90_000)));
    assert!(
        matches!(
            cue.body,
            Body::Splice {
                role: Role::Out,
                ..
            }
        ),
        "{cue:?}"
    );
    let schemes: Vec<&str> = recording
        .open
        .schemes
        .iter()
        .map(|(scheme, _)| scheme.as_str())
        .collect();
    assert_eq!(schemes, [SPLICE_SCHEME, ID3_SCHEME]);
    // A row begins at the cue, and one where the break ends; none of them is a discontinuity.
    let rows = state.rows();
    for at in [cue.start, cue.end()] {
        let near = rows.iter().any(|row| (row.start - at).abs() <= 90 * 40);
        assert!(
            near,
            "{at} of {:?}",
            rows.iter().map(|row| row.start).collect::<Vec<_>>()
        );
    }
    assert!(
        rows.iter()
            .all(|row| !row.discontinuity && row.segments.len() == recording.open.tracks.len())
    );
    // Media says it where it is announced and again at the segments before it; and the tag once.
    for (index, track) in recording.open.tracks.iter().enumerate() {
        let film = state.film(u16::try_from(index).unwrap());
        let told = count(&film, b"emsg\x01\0\0\0");
        assert!((2..=6).contains(&told), "{told} in {}", track.name);
        assert_eq!(count(&film, b"ID3\x04"), 1, "{}", track.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cue_is_cut_at_where_the_encoder_has_a_key_frame() {
    run(
        EncodingType::PassthroughStandard,
        "-force_key_frames expr:eq(mod(n,25),0)+eq(n,90)+eq(n,115)",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_event_makes_the_key_frame_itself() {
    run(EncodingType::Standard, "-g 25").await;
}

fn boxed(name: &[u8; 4], payload: &[&[u8]]) -> Vec<u8> {
    let payload = payload.concat();
    let size = u32::try_from(payload.len() + 8).unwrap();
    [&size.to_be_bytes()[..], name, &payload].concat()
}

/// What an encoder sends of a sparse track of splice sections: header, and a fragment at `ms` that speaks of a second later.
fn sparse(ms: u64) -> Vec<u8> {
    const SCALE: u32 = 10_000_000;
    let manifest = "<smil xmlns='http://www.w3.org/2001/SMIL20/Language'><body><switch><textstream src='Streams' systemBitrate='0'>\
        <param name='trackID' value='1'/><param name='trackName' value='scte35'/><param name='Scheme' value='urn:scte:scte35:2013:bin'/>\
        <param name='manifestOutput' value='true'/><param name='parentTrackName' value='video'/><param name='Subtype' value='DATA'/>\
        </textstream></switch></body></smil>";
    let uuid = b"\xa5\xd4\x0b\x30\xe8\x14\x11\xdd\xba\x2f\x08\x00\x20\x0c\x9a\x66";
    let none = [0_u8; 80];
    let be = u32::to_be_bytes;
    let entry = boxed(b"urim", &[&none[..6], &[0, 1]]);
    let tables = [b"stts", b"stsc", b"stco"].map(|name| boxed(name, &[&none[..8]]));
    let stbl = boxed(
        b"stbl",
        &[
            &boxed(b"stsd", &[&none[..4], &be(1), &entry]),
            &tables.concat(),
            &boxed(b"stsz", &[&none[..12]]),
        ],
    );
    let url = boxed(b"url ", &[&be(1)]);
    let dinf = boxed(b"dinf", &[&boxed(b"dref", &[&none[..4], &be(1), &url])]);
    let minf = boxed(b"minf", &[&boxed(b"nmhd", &[&none[..4]]), &dinf, &stbl]);
    let mdhd = boxed(
        b"mdhd",
        &[&none[..12], &be(SCALE), &none[..4], &[0x55, 0xc4, 0, 0]],
    );
    let hdlr = boxed(b"hdlr", &[&none[..8], b"meta", &none[..13]]);
    let tkhd = boxed(b"tkhd", &[&be(7), &none[..8], &be(1), &none[..68]]);
    let trak = boxed(b"trak", &[&tkhd, &boxed(b"mdia", &[&mdhd, &hdlr, &minf])]);
    let mvhd = boxed(b"mvhd", &[&none[..12], &be(SCALE), &none[..80]]);
    let trex = boxed(b"trex", &[&none[..4], &be(1), &be(1), &none[..12]]);
    let moov = boxed(b"moov", &[&mvhd, &trak, &boxed(b"mvex", &[&trex])]);

    let section = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, CUE).unwrap();
    let sample = [&be(1)[..], &be(77), &be(SCALE), &section].concat();
    let time = (ms * u64::from(SCALE) / 1_000).to_be_bytes();
    let size = be(u32::try_from(sample.len()).unwrap());
    let moof = |offset: u32| {
        let tfhd = boxed(b"tfhd", &[&be(0x02_0000), &be(1)]);
        let tfdt = boxed(b"tfdt", &[&[1, 0, 0, 0], &time]);
        let trun = boxed(
            b"trun",
            &[&be(0x301), &be(1), &be(offset), &be(SCALE), &size],
        );
        let mfhd = boxed(b"mfhd", &[&none[..4], &be(1)]);
        boxed(b"moof", &[&mfhd, &boxed(b"traf", &[&tfhd, &tfdt, &trun])])
    };
    let head = u32::try_from(moof(0).len() + 8).unwrap();
    [
        boxed(b"ftyp", &[b"isml", &be(1), b"piff"]),
        boxed(b"uuid", &[uuid, &none[..4], manifest.as_bytes()]),
        moov,
        moof(head),
        boxed(b"mdat", &[&sample]),
    ]
    .concat()
}

/// Posts to a URL of the worker: the status, and what is said.
fn post(url: &str, kind: &str, body: &[u8]) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let (host, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Who is refused is not listened to until the end.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    let said = answer.split_once("\r\n\r\n").map_or("", |(_, said)| said);
    (
        status.unwrap_or_else(|| panic!("{answer}")),
        said.to_owned(),
    )
}

/// An encoder whose sparse track has a connection of its own, as they have it, and comes first.
async fn sparse_beside(encoding: EncodingType) -> (Cue, Vec<Row>) {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    source(&file, 14, "");
    fake.queue(Protocol::FragmentedMp4, encoding);
    let (worker, url) = fake.recording(&folder.path().join("data")).await;
    let to = format!("{url}/Streams(scte35)");
    let say = move || {
        let to = to.clone();
        // Of a moment that is to come still when the first row is stored, on a machine that is busy, too.
        tokio::task::spawn_blocking(move || post(&to, "video/mp4", &sparse(10_300)))
    };
    // Of what nobody has seen yet nothing can be said; that is no reason to turn anybody away.
    assert_eq!(say().await.unwrap(), (200, String::new()));
    let mut encoder = push(&file, &url);
    fake.until("rows", |state| !state.rows().is_empty()).await;
    assert_eq!(say().await.unwrap(), (200, String::new()));
    assert!(encoder.0.wait().unwrap().success());
    fake.finish(worker).await;
    let state = fake.state.lock().unwrap();
    let connected = state
        .facts
        .iter()
        .filter(|fact| matches!(fact, Fact::EncoderConnected(_)));
    assert_eq!(connected.count(), 1);
    assert_eq!(state.rejections(), ["S_OK"]);
    let recording = state.recording().unwrap();
    let [cue] = &recording.open.cues[..] else {
        panic!("{:?}", recording.open.cues);
    };
    (cue.clone(), state.rows())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_track_of_splice_sections_is_cues() {
    let (cue, rows) = sparse_beside(EncodingType::PassthroughStandard).await;
    // A second after the fragment; the duration is the section's.
    let after = cue.start - rows[0].start;
    assert!((after - 11_300 * 90).abs() < 90 * 100, "{after}");
    assert_eq!((cue.id.as_str(), cue.duration), ("77", Some(0x52_ccf5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_encoded_has_a_key_frame_where_a_sparse_track_says() {
    let (cue, rows) = sparse_beside(EncodingType::Standard).await;
    let near = rows
        .iter()
        .any(|row| (row.start - cue.start).abs() <= 90 * 40);
    assert!(near, "{} of {rows:?}", cue.start);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_by_http_are_id3_tags_at_the_newest_moment() {
    let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = folder.path().join("source.mp4");
    // As long as all that is said takes on a busy machine.
    source(&file, 20, "");
    fake.queue(Protocol::Rtmp, EncodingType::PassthroughStandard);
    let (worker, url) = fake.recording(&folder.path().join("data")).await;
    let endpoints = fake
        .state
        .lock()
        .unwrap()
        .renewals
        .last()
        .unwrap()
        .endpoints
        .clone();
    let [to] = &endpoints.timed_metadata[..] else {
        panic!("{endpoints:?}");
    };
    let to = to.clone();
    let say = move |kind: &'static str, body: Vec<u8>| {
        let to = to.clone();
        tokio::task::spawn_blocking(move || post(&to, kind, &body))
    };
    const JSON: &str = "application/json; charset=utf-8";
    let hello = br#"{"message": "Hello from Seattle"}"#.to_vec();
    // Nobody sends anything.
    let (status, said) = say(JSON, hello.clone()).await.unwrap();
    assert_eq!(status, 409, "{said}");

    let mut encoder = publish(&file, "flv", &format!("{url}/main"));
    fake.until_stored(2).await;
    for (kind, body, wanted, words) in [
        ("text/plain", hello.clone(), 415, "application/json"),
        (JSON, b"{\"message\": ".to_vec(), 400, "no JSON"),
        (JSON, Vec::new(), 400, "no JSON"),
        (JSON, "[".repeat(250_000).into_bytes(), 400, "no JSON"),
        (JSON, vec![b' '; (256 << 10) + 1], 400, "262144 bytes"),
    ] {
        let (status, said) = say(kind, body).await.unwrap();
        assert!(status == wanted && said.contains(words), "{status} {said}");
    }
    // What was refused does not count; what was taken a second ago does.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let large = format!("\"{}\"", "x".repeat((256 << 10) - 2)).into_bytes();
    assert_eq!(say(JSON, hello.clone()).await.unwrap().0, 200);
    assert_eq!(say(JSON, large.clone()).await.unwrap().0, 200);
    // So many at once that three of them come within a second, however busy the machine is.
    let begun = std::time::Instant::now();
    let many: Vec<_> = (0..40).map(|_| say(JSON, hello.clone())).collect();
    let mut taken = 0;
    for one in many {
        match one.await.unwrap() {
            (200, _) => taken += 1,
            (status, said) => assert_eq!(
                (status, said.as_str()),
                (429, "An event takes 2 messages a second.")
            ),
        }
    }
    let seconds = begun.elapsed().as_secs() as usize + 1;
    assert!(taken <= 2 * seconds, "{taken} in {seconds} s");
    assert!(taken < 40, "all were taken");
    assert!(encoder.0.wait().unwrap().success());
    fake.finish(worker).await;
    let state = fake.state.lock().unwrap();
    let recording = state.recording().unwrap();
    assert_eq!(
        recording.open.schemes,
        [(ID3_SCHEME.to_owned(), String::new())]
    );
    for track in 0..2 {
        let film = state.film(track);
        let object = [&b"GEOB\0\0\0\x35\0\0\x03application/json\0\0\0"[..], &hello].concat();
        assert_eq!(count(&film, &object), 1 + taken);
        assert_eq!(count(&film, &large), 1);
    }
}
