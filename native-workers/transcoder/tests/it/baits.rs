//! Files that want something else than to be encoded: to have an address opened or a file read, or to use up the machine. Every
//! engine ends their jobs with a reason, soon, and without a packet to anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use headwater_transcoder::auto::Choice;
use headwater_work::{JobErrorCode, Outcome};
use serde_json::Value;

use crate::support::jobs::named;
use crate::support::{Fake, media};

const ENGINES: [Choice; 3] = [Choice::Auto, Choice::BuiltIn, Choice::Ffmpeg];

/// What a file may take that is refused; the suite beside it has the same two cores.
const SOON: Duration = Duration::from_secs(60);

/// Somebody who waits to be called, by TCP and UDP at one port.
struct Listener {
    port: u16,
    calls: Arc<AtomicUsize>,
}

impl Listener {
    async fn start() -> Self {
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = tcp.local_addr().unwrap().port();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        tokio::spawn(async move {
            while tcp.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        // The same port may be somebody else's for UDP: then a call by TCP is what is left to notice.
        if let Ok(udp) = tokio::net::UdpSocket::bind(("127.0.0.1", port)).await {
            let counted = Arc::clone(&calls);
            tokio::spawn(async move {
                let mut byte = [0; 1];
                while udp.recv(&mut byte).await.is_ok() {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { port, calls }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}/film.ts", self.port)
    }
}

async fn outcome(engine: Choice, name: &str, bytes: &[u8], preset: &Value) -> Outcome {
    let mut fake = Fake::start().await;
    fake.engine = engine;
    fake.upload(name, bytes.to_vec());
    fake.queue_with(fake.input(name), vec![preset.clone()]);
    fake.finish(2).await
}

/// `bytes` are refused by every engine: with a code of what they are, a message that says something, and soon.
async fn refused(name: &str, bytes: &[u8]) {
    for engine in ENGINES {
        let started = Instant::now();
        let outcome = outcome(engine, name, bytes, &named("AdaptiveStreaming")).await;
        let Outcome::Error(failure) = outcome else {
            panic!("{name}, {engine:?}: {outcome:?}");
        };
        let message = &failure.message;
        assert!(
            matches!(
                failure.code,
                JobErrorCode::ContentMalformed | JobErrorCode::ContentUnsupported
            ),
            "{name}, {engine:?}: {failure:?}"
        );
        assert!(
            message.len() > 20 && !message.contains("/tmp"),
            "{name}, {engine:?}: {message}"
        );
        assert!(!failure.code.may_retry(), "{name}, {engine:?}: {failure:?}");
        assert!(
            started.elapsed() < SOON,
            "{name}, {engine:?}: {:?}",
            started.elapsed()
        );
    }
}

/// A second of film with its movie header at the end, so that boxes may grow without moving a sample.
fn film() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=160x90:r=25:d=1 -pix_fmt yuv420p -c:v libx264 -preset ultrafast",
        &path,
    );
    std::fs::read(path).unwrap()
}

/// Where `what` begins in `bytes`.
fn find(bytes: &[u8], what: &[u8]) -> usize {
    let found = bytes.windows(what.len()).position(|some| some == what);
    found.unwrap_or_else(|| panic!("no {what:?}"))
}

/// `film` with `entry` for its only data reference.
fn referring(film: &[u8], entry: &[u8]) -> Vec<u8> {
    let (at, old) = (find(film, b"url ") - 4, 12);
    let mut bytes = [&film[..at], entry, &film[at + old..]].concat();
    // Every box that it is in, which are those on the way down to it.
    for kind in [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"] {
        let size = find(&bytes, kind) - 4;
        let mut number = [0; 4];
        number.copy_from_slice(&bytes[size..size + 4]);
        let grown = u32::from_be_bytes(number) + entry.len() as u32 - old as u32;
        bytes[size..size + 4].copy_from_slice(&grown.to_be_bytes());
    }
    bytes
}

fn full_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = (12 + body.len() as u32).to_be_bytes();
    [&size[..], kind, &[0; 4], body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_an_address_has_it_called_by_nobody() {
    let listener = Listener::start().await;
    let web = listener.url("http");
    for (name, text) in [
        (
            "list.m3u8",
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{web}\n"),
        ),
        (
            "list.mp4",
            format!("#EXTM3U\n#EXTINF:4,\nconcat:{web}|file:///etc/passwd\n"),
        ),
        (
            "key.m3u8",
            format!(
                "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"{web}\"\n#EXTINF:4,\nfile:///etc/passwd\n"
            ),
        ),
        (
            "list.ts",
            format!("ffconcat version 1.0\nfile '{web}'\nfile '/etc/passwd'\n"),
        ),
        (
            "list.mpd",
            format!("<?xml version=\"1.0\"?><MPD><BaseURL>{web}</BaseURL></MPD>"),
        ),
        (
            "film.smil",
            format!("<smil><body><video src=\"{web}\"/></body></smil>"),
        ),
        (
            "film.sdp",
            format!(
                "v=0\nc=IN IP4 127.0.0.1\nm=video {} RTP/AVP 33\n",
                listener.port
            ),
        ),
        (
            "film.asx",
            format!("<asx version=\"3.0\"><entry><ref href=\"{web}\"/></entry></asx>"),
        ),
        ("film.avs", format!("DirectShowSource(\"{web}\")\n")),
        (
            "tcp.m3u8",
            format!("#EXTM3U\n#EXTINF:4,\n{}\n", listener.url("tcp")),
        ),
        (
            "udp.m3u8",
            format!("#EXTM3U\n#EXTINF:4,\n{}\n", listener.url("udp")),
        ),
    ] {
        refused(name, text.as_bytes()).await;
    }
    assert_eq!(listener.calls.load(Ordering::SeqCst), 0);
}

/// A QuickTime movie may have its samples in another file. That is not opened: a job that finishes has made something of what lies
/// in the movie itself, at the same places.
#[tokio::test(flavor = "multi_thread")]
async fn samples_in_another_file_stay_there() {
    let listener = Listener::start().await;
    let film = film();
    let elsewhere = [
        full_box(b"url ", format!("{}\0", listener.url("http")).as_bytes()),
        full_box(b"url ", b"file:///etc/passwd\0"),
        full_box(b"urn ", b"name\0file:///etc/passwd\0"),
    ];
    for entry in elsewhere {
        let bytes = referring(&film, &entry);
        for engine in ENGINES {
            let ended = outcome(engine, "film.mov", &bytes, &named("AdaptiveStreaming")).await;
            let own = match &ended {
                Outcome::Finished { encoded, .. } => {
                    encoded.iter().all(|track| track.duration_ms == 1000)
                }
                Outcome::Error(failure) => matches!(
                    failure.code,
                    JobErrorCode::ContentMalformed | JobErrorCode::ContentUnsupported
                ),
                Outcome::Canceled => false,
            };
            assert!(own, "{engine:?}: {ended:?}");
            assert!(
                !format!("{ended:?}").contains("root:"),
                "{engine:?}: {ended:?}"
            );
        }
    }
    assert_eq!(listener.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_four_billion_samples_are_not_made_room_for() {
    // In the header of AVI, and in the sample entry of MP4.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.avi");
    media::ffmpeg(
        "-f lavfi -i testsrc2=s=64x48:r=25:d=1 -c:v rawvideo -pix_fmt bgr24",
        &path,
    );
    let mut avi = std::fs::read(path).unwrap();
    let (main, format) = (find(&avi, b"avih") + 8 + 32, find(&avi, b"strf") + 8 + 4);
    for at in [main, format] {
        avi[at..at + 4].copy_from_slice(&65_535_u32.to_le_bytes());
        avi[at + 4..at + 8].copy_from_slice(&65_535_u32.to_le_bytes());
    }
    refused("film.avi", &avi).await;

    // A picture that says so itself: JPEG in Matroska would be decoded, were it not for its size.
    let mut jpeg = vec![0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0xff, 0xff, 0xff, 0xff, 3];
    jpeg.extend([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1, 0xff, 0xd9]);
    jpeg.resize(4096, 0);
    refused("film.mjpeg", &jpeg).await;
}

/// The size of an element in eight bytes.
fn ebml(id: &[u8], body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u64 | 1 << 56).to_be_bytes();
    [id, &size, body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_streams_are_refused() {
    let header = ebml(&[0x1a, 0x45, 0xdf, 0xa3], &ebml(&[0x42, 0x82], b"matroska"));
    let track = |number: u32| {
        let number = number.to_be_bytes();
        let fields = [
            ebml(&[0xd7], &number),
            ebml(&[0x73, 0xc5], &number),
            ebml(&[0x83], &[2]),
            ebml(&[0x86], b"A_PCM/INT/LIT"),
        ];
        ebml(&[0xae], &fields.concat())
    };
    let tracks: Vec<u8> = (1..=1_000_000).flat_map(track).collect();
    let segment = ebml(
        &[0x18, 0x53, 0x80, 0x67],
        &ebml(&[0x16, 0x54, 0xae, 0x6b], &tracks),
    );
    refused("film.mkv", &[header, segment].concat()).await;

    // The one track of a film, a hundred thousand times.
    let film = film();
    let (movie, track) = (find(&film, b"moov") - 4, find(&film, b"trak") - 4);
    let length = |at: usize| {
        let mut number = [0; 4];
        number.copy_from_slice(&film[at..at + 4]);
        u32::from_be_bytes(number) as usize
    };
    let end = track + length(track);
    let again = film[track..end].repeat(99_999);
    let mut bytes = [&film[..end], &again, &film[end..]].concat();
    let grown = (length(movie) + again.len()) as u32;
    bytes[movie..movie + 4].copy_from_slice(&grown.to_be_bytes());
    refused("film.mp4", &bytes).await;
}
