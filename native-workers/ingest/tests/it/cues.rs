//! Cues of encoders: in the recording, at the start of rows, and in media.

use crate::support::rtmp::{Encoder, Tag, data, tags};
use crate::support::{Fake, source};
use headwater_live::cue::{Body, ID3_SCHEME, Role, SPLICE_SCHEME};
use headwater_rtmp::amf0::Value;
use headwater_work::live::{EncodingType, Protocol, Wanted};

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
    let worker = fake.worker(&folder.path().join("data")).await;
    let url = fake.until_running().await;
    fake.until("an empty recording", |state| state.recording().is_some())
        .await;
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
    fake.change(|assignment| assignment.wanted = Wanted::Stop);
    fake.until("the release", |state| !state.released.is_empty())
        .await;
    worker.end().await;
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
