//! Text that was added to the recording of a live event.

use crate::air::Air;
use crate::common::*;
use crate::live::*;
use crate::live_formats::packet_times;
use crate::texts::protection;
use headwater_live::group::RowsPerSegment;
use headwater_origin::{AddedKind, AddedTrack, Way};

/// Rows of a second, with a discontinuity at the seventh: a cue within the first row, one over the discontinuity, one at the end.
const VTT: &str = "WEBVTT\n\n00:00:00.250 --> 00:00:00.750\nAt once\n\n00:00:06.500 --> 00:00:07.500\nAcross\n\n00:00:09.000 --> 00:00:10.000\nLast\n";
const NAME: &str = "english";

fn english() -> AddedTrack {
    let properties = serde_json::json!({ "displayName": "English", "languageCode": "en" });
    AddedTrack::read(
        NAME.to_owned(),
        AddedKind::Text,
        "en.vtt".to_owned(),
        properties.as_object().unwrap(),
    )
}

fn storage(rows: u64, ended: bool) -> Memory {
    let storage = Memory::default();
    record(&storage, rows, ended);
    storage.write("en.vtt", VTT);
    storage
}

fn film(rows: u64) -> Bench {
    Bench::added(storage(rows, true), &[], &[english()])
}

/// The URL of the text's playlist, from the multivariant playlist.
fn text_playlist(bench: &Bench, format: &str) -> String {
    let master = bench.get(&format!("show.ism/manifest(format={format})"));
    let line = master.text().lines().find(|l| l.contains("TYPE=SUBTITLES"));
    let line = line.unwrap_or_else(|| panic!("no subtitles in {}", master.text()));
    assert!(line.contains("NAME=\"English\",LANGUAGE=\"en\""), "{line}");
    let (_, uri) = line.split_once("URI=\"").unwrap();
    format!("show.ism/{}", uri.trim_end_matches('"'))
}

#[test]
fn hls_has_text_cut_like_the_pictures() {
    let bench = film(10);
    let path = text_playlist(&bench, "m3u8-cmaf");
    let text = bench.get(&path).text().to_owned();
    let video = bench.get(VIDEO).text().to_owned();
    let of = |text: &str, tag: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with(tag));
        lines.map(str::to_owned).collect()
    };
    for tag in [
        "#EXTINF",
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-PROGRAM-DATE-TIME",
        "#EXT-X-MEDIA-SEQUENCE",
        "#EXT-X-TARGETDURATION",
        "#EXT-X-ENDLIST",
    ] {
        assert_eq!(of(&text, tag), of(&video, tag), "{text}\n{video}");
    }
    let init = attributes(&text, "URI").remove(0);
    let init = bench.get(&resolve(&path, &init));
    assert_eq!((init.status, &init.body[4..8]), (200, &b"ftyp"[..]));
    let segments: Vec<Got> = uris(&text)
        .iter()
        .map(|uri| bench.get(&resolve(&path, uri)))
        .collect();
    let holds = |at: usize, what: &str| {
        let body = String::from_utf8_lossy(&segments[at].body).into_owned();
        assert_eq!(segments[at].status, 200);
        body.contains(what)
    };
    assert!(holds(0, "At once") && !holds(1, "At once"));
    assert!(!holds(5, "Across") && holds(6, "Across") && holds(7, "Across") && !holds(8, "Across"));
    assert!(holds(9, "Last"));
    // The decode time is that of the row, on the clock of the event.
    let tfdt = segments[9]
        .body
        .windows(4)
        .position(|w| w == b"tfdt")
        .unwrap();
    let time = u64::from_be_bytes(segments[9].body[tfdt + 8..tfdt + 16].try_into().unwrap());
    assert_eq!(time, (FIRST + 9) * 90_000);
}

/// What was on air and is over, with real media: seven rows.
fn aired(air: &Air) -> Bench {
    let storage = Memory::default();
    air.record(&storage, 0..7, true);
    storage.write("en.vtt", VTT);
    Bench::added(storage, &[], &[english()])
}

#[test]
fn webvtt_says_where_it_is_in_the_transport_stream() {
    for rows in [1, 3] {
        let mut air = Air::avc();
        air.rows_per_segment = RowsPerSegment::new(rows).unwrap();
        let bench = aired(&air);
        let path = text_playlist(&bench, "m3u8-aapl");
        let text = bench.get(&path).text().to_owned();
        let video = "show.ism/QualityLevels(2000000)/Manifest(video,format=m3u8-aapl)";
        let pictures = bench.get(video).text().to_owned();
        // The last row lasts as long as the longer of its tracks.
        let durations = |text: &str| {
            let mut all = attributes_of(text, "#EXTINF:");
            all.pop().map(|_| all)
        };
        assert_eq!(durations(&text), durations(&pictures), "{text}\n{pictures}");
        // Documents count from the moment of the first picture.
        let first = bench.get(&resolve(video, &uris(&pictures)[0]));
        let zero = packet_times(&first.body, "v", "pts")[0];
        let zero = format!("X-TIMESTAMP-MAP=MPEGTS:{zero},LOCAL:00:00:00.000");
        let mut all = String::new();
        for uri in uris(&text) {
            let got = bench.get(&resolve(&path, &uri));
            assert_eq!(got.status, 200, "{uri}");
            assert_eq!(got.header("content-type"), "text/vtt; charset=utf-8");
            assert!(got.text().contains(&zero), "{zero}: {}", got.text());
            all.push_str(got.text());
        }
        for cue in [
            "00:00:00.250 --> 00:00:00.750\nAt once",
            "00:00:06.500 --> 00:00:07.500\nAcross",
        ] {
            assert!(all.contains(cue), "{all}");
        }
        assert!(!all.contains("Last"), "{all}");
    }
}

fn attributes_of(text: &str, tag: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(tag));
    lines.map(str::to_owned).collect()
}

#[test]
fn dash_and_smooth_have_it_in_every_period_and_at_every_fragment() {
    let bench = film(10);
    let mpd = bench.get("show.ism/manifest(format=mpd-time-cmaf)");
    let mpd = mpd.text();
    assert_eq!(
        count(mpd, "contentType=\"text\""),
        count(mpd, "<Period "),
        "{mpd}"
    );
    assert!(
        mpd.contains("codecs=\"wvtt\"") && mpd.contains("lang=\"en\""),
        "{mpd}"
    );
    let document = roxmltree::Document::parse(mpd).unwrap();
    let text = document
        .descendants()
        .find(|node| node.attribute("contentType") == Some("text"))
        .unwrap();
    let rate = text
        .descendants()
        .find_map(|node| node.attribute("bandwidth"))
        .unwrap();
    let (csf, template) = (
        bench.get("show.ism/manifest(format=mpd-time-csf)"),
        text.descendants()
            .find_map(|node| node.attribute("media"))
            .unwrap(),
    );
    assert!(csf.text().contains("codecs=\"stpp.ttml.im1t\""));
    let url = |at: u64| {
        let time = ((FIRST + at) * 90_000).to_string();
        let path = template
            .replace("$Bandwidth$", rate)
            .replace("$Time$", &time);
        format!("show.ism/{path}")
    };
    let segment = bench.get(&url(6));
    let body = String::from_utf8_lossy(&segment.body).into_owned();
    assert!(segment.status == 200 && body.contains("Across"), "{body}");
    assert_eq!(bench.get(&url(10)).status, 404);
    assert_eq!(bench.get(&url(6).replace(rate, "7")).status, 404);

    let bench = aired(&Air::avc());
    let smooth = bench.get("show.ism/manifest");
    let smooth = smooth.text();
    let document = roxmltree::Document::parse(smooth).unwrap();
    let streams: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("StreamIndex"))
        .collect();
    let of = |kind: &str| {
        let own = streams.iter().find(|n| n.attribute("Type") == Some(kind));
        own.unwrap_or_else(|| panic!("no {kind} in {smooth}"))
    };
    let first = |kind: &str| -> u64 {
        let mut chunks = of(kind).descendants();
        let first = chunks.find_map(|node| node.attribute("t")).unwrap();
        first.parse().unwrap()
    };
    assert_eq!(first("text"), first("video"));
    assert_eq!(
        of("text").attribute("Chunks"),
        of("video").attribute("Chunks")
    );
    let url = of("text").attribute("Url").unwrap();
    let url = url.replace("{bitrate}", rate);
    let url = url.replace("{start time}", &(first("text") + 60_000_000).to_string());
    let fragment = bench.get(&format!("show.ism/{url}"));
    let body = String::from_utf8_lossy(&fragment.body).into_owned();
    assert!(fragment.status == 200 && body.contains("Across"), "{body}");
}

#[test]
fn a_window_shows_its_part_under_the_same_names() {
    let bench = film(200);
    let whole = text_playlist(&bench, "m3u8-cmaf");
    let part = whole.replace(
        "format=m3u8-cmaf",
        "format=m3u8-cmaf,vbegin=PT100S,vend=PT103S",
    );
    let all = uris(bench.get(&whole).text());
    let some = uris(bench.get(&part).text());
    assert_eq!(all.len(), 200);
    assert_eq!(some, all[100..103]);
    // From pages of the recording, not only from its open rows.
    for uri in [&all[0], &all[127], &all[199]] {
        assert_eq!(bench.get(&resolve(&whole, uri)).status, 200, "{uri}");
    }
}

#[test]
fn what_is_live_has_none_and_nothing_else_of_it_changes() {
    let live = {
        let storage = storage(5, false);
        tell(
            &storage,
            timeline(&[tracks(), rows(0..8, None)].concat()),
            false,
        );
        Bench::added_to(storage, on_air(None), &[english()])
    };
    assert!(!live.get(MANIFEST).text().contains("SUBTITLES"));
    let rate = {
        let film = film(8);
        let path = text_playlist(&film, "m3u8-cmaf");
        path.split(['(', ')']).nth(1).unwrap().to_owned()
    };
    let path = format!("show.ism/QualityLevels({rate})/Manifest({NAME},format=m3u8-cmaf)");
    assert_eq!(live.get(&path).code(), "MPE_EGRESS_TRACK_NOT_FOUND");
    // A file that is gone leaves the film as it is.
    let film = film(8);
    film.storage.remove("en.vtt");
    let text = film.get(MANIFEST).text().to_owned();
    assert!(text.contains("QualityLevels(2000000)") && !text.contains("SUBTITLES"));
}

#[test]
fn whole_segments_are_encrypted_and_say_by_what() {
    let bench = Bench::protected_with(storage(3, true), protection(Way::Envelope), &[english()]);
    let path = text_playlist(&bench, "m3u8-cmaf,encryption=cbc");
    let text = bench.get(&path).text().to_owned();
    assert!(text.contains("#EXT-X-KEY:METHOD=AES-128"), "{text}");
    let uri = uris(&text).remove(0);
    let segment = bench.get(&resolve(&path, &uri));
    assert_eq!((segment.status, segment.body.len() % 16), (200, 0));
    assert!(!String::from_utf8_lossy(&segment.body).contains("At once"));
}
