//! Every format of every kind of asset, held against the source: how many frames there are, when each is shown, what is in it.
//!
//! Three readers judge what is served, and share no code: ffmpeg with ffprobe, GStreamer, and one for tests, of fragments
//! ([`crate::fragments`]) or of transport streams ([`crate::formats`]). Pictures are decoded by both of the first. Sound is
//! compared as it is coded, every frame of it, as decoders of most codecs take something along from a frame that is not
//! presented; where they do not, it is decoded as well.
//!
//! What a protocol does not carry is a cell of the table too: it is in no manifest, and operators are told.

use crate::archives::{Flavour, archive};
use crate::common::*;
use crate::formats::{Stream, pictures, smooth_init, write};
use crate::fragments::{self, Sample};
use crate::gstreamer;
use futures::executor::block_on;
use headwater_origin::report;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Codec {
    Avc,
    Hevc,
    Av1,
    Vp9,
    Aac,
    Ac3,
    Eac3,
    Opus,
    Flac,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Container {
    Cmaf,
    Ts,
    Smooth,
}

/// Formats of manifests, as URLs name them, and what their segments are.
const FORMATS: [(&str, Container); 8] = [
    ("m3u8-cmaf", Container::Cmaf),
    ("mpd-time-cmaf", Container::Cmaf),
    ("mpd-time-csf", Container::Cmaf),
    ("m3u8-aapl", Container::Ts),
    ("m3u8-aapl-v3", Container::Ts),
    ("m3u8-aapl-v8", Container::Ts),
    ("fmp4-v20", Container::Smooth),
    ("", Container::Smooth),
];

impl Container {
    fn carries(self, codec: Codec) -> bool {
        match self {
            Self::Cmaf => true,
            Self::Ts => matches!(codec, Codec::Avc | Codec::Aac | Codec::Ac3 | Codec::Eac3),
            Self::Smooth => {
                matches!(codec, Codec::Avc | Codec::Hevc | Codec::Aac | Codec::Eac3)
            }
        }
    }
}

impl Codec {
    fn is_video(self) -> bool {
        matches!(self, Self::Avc | Self::Hevc | Self::Av1 | Self::Vp9)
    }

    /// GStreamer's words for what comes out of a demuxer, and a parser that finds the frames.
    fn pads(self) -> (&'static str, &'static str) {
        match self {
            Self::Avc => ("video/x-h264", "h264parse ! video/x-h264,alignment=au"),
            Self::Hevc => ("video/x-h265", "h265parse"),
            Self::Av1 => ("video/x-av1", "av1parse"),
            Self::Vp9 => ("video/x-vp9", "vp9parse"),
            Self::Aac => ("audio/mpeg", "aacparse"),
            Self::Ac3 => ("audio/x-ac3", "ac3parse"),
            Self::Eac3 => ("audio/x-eac3", "ac3parse"),
            Self::Opus => ("audio/x-opus", "opusparse"),
            Self::Flac => ("audio/x-flac", "flacparse"),
        }
    }

    /// A decoder of GStreamer's that gives the very pictures. Its OpenH264 (1.22, 2.3) does not where pictures are shown in
    /// another order than they are decoded in.
    fn exact_decoder(self, reordered: bool) -> Option<&'static str> {
        match self {
            Self::Avc if !reordered => Some("h264parse ! openh264dec"),
            Self::Hevc => Some("h265parse ! libde265dec"),
            Self::Av1 => Some("av1parse ! av1dec"),
            Self::Vp9 => Some("vp9dec"),
            _ => None,
        }
    }
}

/// A track of an asset, and the file that it is of.
struct Track {
    name: &'static str,
    codec: Codec,
    file: PathBuf,
    /// As ffprobe counts.
    stream: String,
    /// When the first of it is presented, nanoseconds, where ffprobe cannot say: it does not look into `tfxd`, and shows
    /// fragmented tracks late where offsets are negative.
    start: Option<i64>,
}

struct Asset {
    /// Its presentation is `film.ism`.
    storage: Memory,
    tracks: Vec<Track>,
    /// Files that are downloaded as they are stored, and others.
    downloads: Vec<&'static str>,
    kept_in: Vec<&'static str>,
    _folder: Option<tempfile::TempDir>,
}

/// What a track is served as.
#[derive(PartialEq, Eq)]
struct Served {
    container: Container,
    /// Init segment, if there is one, and all segments.
    bytes: Vec<u8>,
    /// When they begin, by the manifest.
    starts: Vec<u64>,
    /// Of those times, if the manifest says.
    scale: Option<u64>,
}

/// A packet as ffprobe reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Packet {
    /// Presentation time, nanoseconds.
    shown: i64,
    size: usize,
    md5: String,
}

/// Packets in the order of decoding.
fn packets(file: &Path, stream: &str) -> Vec<Packet> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-of", "json"])
        .args(["-show_data_hash", "md5", "-show_entries"])
        .arg("packet=pts,size,data_hash:stream=time_base")
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    let fault = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(fault.is_empty(), "{}: {fault}", file.display());
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let base = said["streams"][0]["time_base"].as_str().unwrap();
    let (units, per) = base.split_once('/').unwrap();
    let (units, per): (i128, i128) = (units.parse().unwrap(), per.parse().unwrap());
    let found = said["packets"].as_array().unwrap().iter().map(|packet| {
        let text = |name: &str| packet[name].as_str().unwrap();
        let ticks = i128::from(packet["pts"].as_i64().unwrap());
        Packet {
            shown: nanos(ticks * units, per),
            size: text("size").parse().unwrap(),
            md5: text("data_hash").replace("MD5:", ""),
        }
    });
    found.collect()
}

/// To the nearest.
fn nanos(ticks: i128, per_second: i128) -> i64 {
    let twice = ticks * 2_000_000_000 + per_second;
    twice.div_euclid(2 * per_second) as i64
}

/// What of a track is to be presented: sound begins with the first frame that starts within.
fn presented(track: &Track) -> Vec<Packet> {
    let mut found = packets(&track.file, &track.stream);
    if let Some(start) = track.start {
        let first = found.iter().map(|packet| packet.shown).min().unwrap();
        for packet in &mut found {
            packet.shown += start - first;
        }
    }
    if !track.codec.is_video() {
        found.retain(|packet| packet.shown >= 0);
    }
    found
}

/// Whether any picture is decoded after one that is shown later.
fn reordered(packets: &[Packet]) -> bool {
    packets.windows(2).any(|two| two[0].shown > two[1].shown)
}

/// The clock of transport streams has 33 bits and goes round. At time 0 it shows ten seconds.
const ROUND: i64 = ((1_i128 << 33) * 1_000_000_000 / 90_000) as i64;
const ORIGIN: i64 = 10_000_000_000;

/// From one time to the other, on a clock that goes round or does not.
fn apart(a: i64, b: i64, round: Option<i64>) -> i64 {
    match round {
        Some(round) => {
            let distance = (a - b).rem_euclid(round);
            distance.min(round - distance)
        }
        None => (a - b).abs(),
    }
}

fn are_at(found: &[i64], wanted: &[i64], (most, round): (i64, Option<i64>), what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}: frames");
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!(
            apart(*found, *wanted, round) <= most,
            "{what}: frame {at} at {found}, not at {wanted}"
        );
    }
}

fn from_first(times: &[i64]) -> Vec<i64> {
    let first = times.iter().min().copied().unwrap_or(0);
    times.iter().map(|time| time - first).collect()
}

fn get(bench: &Bench, path: &str) -> Got {
    let got = bench.get(path);
    let said = || String::from_utf8_lossy(&got.body).into_owned();
    assert_eq!(got.status, 200, "{path}: {}", said());
    got
}

fn manifest_path(format: &str, option: &str) -> String {
    match format {
        "" => "film.ism/Manifest".to_owned(),
        _ => format!("film.ism/manifest(format={format}{option})"),
    }
}

/// What a format has of a track; `None` if the manifest does not list it.
fn served(bench: &Bench, format: &str, track: &Track, with_video: bool) -> Option<Served> {
    match format {
        "mpd-time-cmaf" | "mpd-time-csf" => dash(bench, format, track),
        "fmp4-v20" | "" => smooth(bench, format, track),
        _ => hls(bench, format, track, with_video),
    }
}

fn hls(bench: &Bench, format: &str, track: &Track, with_video: bool) -> Option<Served> {
    // Sound is in the segments of the pictures.
    let muxed = format == "m3u8-aapl-v3" && with_video && !track.codec.is_video();
    let option = match muxed {
        true => format!(",audioTrack={}", track.name),
        false => String::new(),
    };
    let path = manifest_path(format, &option);
    if muxed {
        let got = bench.get(&path);
        if got.status == 404 {
            assert_eq!(got.code(), "MPE_EGRESS_TRACK_NOT_FOUND");
            return None;
        }
    }
    let master = get(bench, &path);
    let name = if muxed { "video" } else { track.name };
    let mut playlists = uris(master.text());
    playlists.extend(attributes(master.text(), "URI"));
    let own = format!("Manifest({name},");
    let path = resolve(&path, playlists.iter().find(|uri| uri.contains(&own))?);
    let text = get(bench, &path).text().to_owned();
    assert!(!text.contains("#EXT-X-GAP"), "{text}");
    let listed = uris(&text);
    let time = |uri: &String| uri.split(['=', ',']).nth(1).unwrap().parse().unwrap();
    let starts = listed.iter().map(time).collect();
    let init = attributes(&text, "URI").into_iter();
    let parts = init
        .chain(listed)
        .map(|uri| get(bench, &resolve(&path, &uri)).body.to_vec());
    let bytes = parts.collect::<Vec<_>>().concat();
    Some(Served {
        container: match format {
            "m3u8-cmaf" => Container::Cmaf,
            _ => Container::Ts,
        },
        bytes,
        starts,
        scale: None,
    })
}

/// When segments begin: of runs of starts, durations and how many there are.
fn timeline(runs: impl Iterator<Item = (Option<u64>, u64, u64)>) -> Vec<u64> {
    let (mut at, mut starts) = (0, Vec::new());
    for (start, duration, count) in runs {
        at = start.unwrap_or(at);
        for _ in 0..count {
            starts.push(at);
            at += duration;
        }
    }
    starts
}

fn number(node: roxmltree::Node<'_, '_>, name: &str) -> Option<u64> {
    node.attribute(name).map(|value| value.parse().unwrap())
}

fn dash(bench: &Bench, format: &str, track: &Track) -> Option<Served> {
    let path = manifest_path(format, "");
    let mpd = get(bench, &path);
    let document = roxmltree::Document::parse(mpd.text()).unwrap();
    let own = format!("Fragments({}=", track.name);
    let named =
        |name: &'static str| move |node: &roxmltree::Node<'_, '_>| node.tag_name().name() == name;
    let mut templates = document.descendants().filter(named("SegmentTemplate"));
    let media = |template: &roxmltree::Node<'_, '_>| template.attribute("media").map(str::to_owned);
    let template = templates.find(|node| media(node).is_some_and(|url| url.contains(&own)))?;
    let mut children = template.parent().unwrap().children();
    let representation = children.find(named("Representation")).unwrap();
    let bandwidth = representation.attribute("bandwidth").unwrap();
    let starts = timeline(template.descendants().filter(named("S")).map(|s| {
        let count = number(s, "r").unwrap_or(0) + 1;
        (number(s, "t"), number(s, "d").unwrap(), count)
    }));
    let url = |name: &str| {
        let url = template.attribute(name).unwrap();
        resolve(&path, &url.replace("$Bandwidth$", bandwidth))
    };
    let mut bytes = get(bench, &url("initialization")).body.to_vec();
    for start in &starts {
        let url = url("media").replace("$Time$", &start.to_string());
        bytes.extend_from_slice(&get(bench, &url).body);
    }
    Some(Served {
        container: Container::Cmaf,
        bytes,
        starts,
        scale: number(template, "timescale"),
    })
}

fn smooth(bench: &Bench, format: &str, track: &Track) -> Option<Served> {
    let path = manifest_path(format, "");
    let manifest = get(bench, &path);
    let document = roxmltree::Document::parse(manifest.text()).unwrap();
    let name = track.name;
    let mut nodes = document.descendants();
    let stream = nodes.find(|node| node.attribute("Name") == Some(name))?;
    let mut levels = stream.children().filter(|n| n.has_tag_name("QualityLevel"));
    let bitrate = levels.next().unwrap().attribute("Bitrate").unwrap();
    let chunks = stream.children().filter(|node| node.has_tag_name("c"));
    let starts = timeline(chunks.map(|c| {
        let count = number(c, "r").unwrap_or(1);
        (number(c, "t"), number(c, "d").unwrap(), count)
    }));
    let init = format!("film.ism/QualityLevels({bitrate})/Fragments({name}=i,format=m3u8-cmaf)");
    let mut bytes = smooth_init(&get(bench, &init).body);
    for start in &starts {
        let url = stream.attribute("Url").unwrap();
        let url = url.replace("{bitrate}", bitrate);
        let url = resolve(&path, &url.replace("{start time}", &start.to_string()));
        bytes.extend_from_slice(&get(bench, &url).body);
    }
    Some(Served {
        container: Container::Smooth,
        bytes,
        starts,
        scale: Some(10_000_000),
    })
}

/// Hashes of what ffmpeg makes of a stream of sound, `how` says what.
fn sound(file: &Path, stream: &str, how: &[&str]) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-map", &format!("0:{stream}")])
        .args(how)
        .args(["-f", "framemd5", "-"])
        .output()
        .expect("ffmpeg is installed");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let hash = |line: &str| line.split(',').nth(5).unwrap().trim().to_owned();
    lines.map(hash).collect()
}

/// What is known of a source, found out once.
struct Known {
    packets: Vec<Packet>,
    /// When they are presented, nanoseconds.
    times: Vec<i64>,
    /// Hashes of decoded pictures, in the order in which they are shown.
    pictures: Vec<String>,
}

impl Known {
    fn of(track: &Track) -> Self {
        let pictures = match track.codec.is_video() {
            true => pictures(&track.file),
            false => Vec::new(),
        };
        let packets = presented(track);
        assert!(!packets.is_empty());
        if track.codec.is_video() {
            assert_eq!(pictures.len(), packets.len(), "the source decodes");
        }
        Self {
            times: packets.iter().map(|packet| packet.shown).collect(),
            packets,
            pictures,
        }
    }

    fn md5s(&self) -> Vec<&str> {
        let packets = self.packets.iter();
        packets.map(|packet| packet.md5.as_str()).collect()
    }
}

/// Holds what is served of a track against its source, by every reader.
fn judge(served: &Served, track: &Track, known: &Known, what: &str) {
    let stream = if track.codec.is_video() { "v:0" } else { "a:0" };
    let suffix = match served.container {
        Container::Ts => ".ts",
        _ => ".mp4",
    };
    let file = write(&served.bytes, suffix);
    let found = packets(file.path(), stream);
    let times: Vec<i64> = found.iter().map(|packet| packet.shown).collect();
    let md5s: Vec<&str> = found.iter().map(|packet| packet.md5.as_str()).collect();
    let probed = format!("{what}, ffprobe");
    match served.container {
        Container::Cmaf => {
            are_at(&times, &known.times, (1, None), &probed);
            assert_eq!(md5s, known.md5s(), "{probed}");
            are_samples(served, known, 1, what);
        }
        Container::Smooth => {
            // See [`Track::start`].
            let wanted = from_first(&known.times);
            are_at(&from_first(&times), &wanted, (100, None), &probed);
            assert_eq!(md5s, known.md5s(), "{probed}");
            are_samples(served, known, 50, what);
        }
        Container::Ts => {
            let wanted: Vec<i64> = known.times.iter().map(|time| time + ORIGIN).collect();
            // Frames behind the first of a packet have no time of their own: ffprobe counts on from that, in units.
            let most = if track.codec.is_video() {
                UNIT
            } else {
                5 * UNIT
            };
            are_at(&times, &wanted, (most, Some(ROUND)), &probed);
            match track.codec {
                Codec::Ac3 | Codec::Eac3 => assert_eq!(md5s, known.md5s(), "{probed}"),
                Codec::Aac => {
                    let how = ["-c", "copy", "-bsf:a", "aac_adtstoasc"];
                    assert_eq!(sound(file.path(), stream, &how), known.md5s(), "{probed}");
                }
                _ => {}
            }
            are_packets(served, track, &wanted, what);
        }
    }
    if track.codec.is_video() {
        let decoded = pictures(file.path());
        assert_eq!(decoded, known.pictures, "{what}, decoded by ffmpeg");
    } else if track.codec == Codec::Flac {
        let source = sound(&track.file, &track.stream, &[]);
        let decoded = sound(file.path(), stream, &[]);
        assert_eq!(decoded, source, "{what}, decoded by ffmpeg");
    }
    by_gstreamer(file.path(), served.container, track, known, what);
}

/// By the reader of fragments. `most`: nanoseconds that times may be off by.
fn are_samples(served: &Served, known: &Known, most: i64, what: &str) {
    let what = format!("{what}, by its boxes");
    let (scale, samples) = fragments::read(&served.bytes);
    if let Some(stated) = served.scale {
        assert_eq!(stated, u64::from(scale), "{what}: of the manifest's times");
    }
    let shown = |sample: &Sample| nanos(sample.shown.into(), scale.into());
    let times: Vec<i64> = samples.iter().map(shown).collect();
    are_at(&times, &known.times, (most, None), &what);
    let md5s: Vec<&str> = samples.iter().map(|s| s.md5.as_str()).collect();
    assert_eq!(md5s, known.md5s(), "{what}");
    // Segments begin when the manifest says, and where the one before ends.
    let begins: BTreeSet<u64> = samples.iter().filter_map(|s| s.begins).collect();
    for start in &served.starts {
        assert!(begins.contains(start), "{what}: nothing begins at {start}");
    }
    for pair in samples.windows(2) {
        assert_eq!(pair[0].decoded_until, pair[1].decoded, "{what}: they tile");
    }
}

/// Nanoseconds to half a unit of a transport stream's clock.
const UNIT: i64 = 5_600;

/// By the reader of transport streams, which forgives nothing.
fn are_packets(served: &Served, track: &Track, wanted: &[i64], what: &str) {
    let what = format!("{what}, by its packets");
    let mut stream = Stream::default();
    stream.feed(&served.bytes);
    let pid = if track.codec.is_video() { 0x100 } else { 0x101 };
    let stamps = stream.packets[&pid].iter().map(|(shown, _, _)| *shown);
    let times: Vec<i64> = stamps.map(|stamp| nanos(stamp.into(), 90_000)).collect();
    if track.codec.is_video() {
        are_at(&times, wanted, (UNIT, Some(ROUND)), &what);
        return;
    }
    // One holds several frames, and has the time of the first.
    assert!(!times.is_empty() && times.len() <= wanted.len(), "{what}");
    for time in times {
        let is_there = |wanted: &i64| apart(time, *wanted, Some(ROUND)) <= UNIT;
        assert!(
            wanted.iter().any(is_there),
            "{what}: no frame begins at {time}"
        );
    }
}

fn by_gstreamer(file: &Path, container: Container, track: &Track, known: &Known, what: &str) {
    let (pad, parser) = track.codec.pads();
    let (demuxer, chain, most) = match container {
        Container::Ts => ("tsdemux", format!("{pad} ! {parser}"), 5 * UNIT),
        _ => ("qtdemux", pad.to_owned(), 101),
    };
    let what = format!("{what}, by GStreamer");
    let found = gstreamer::samples(file, demuxer, &chain);
    let times: Vec<i64> = found.iter().map(|(time, _)| *time).collect();
    are_at(&times, &from_first(&known.times), (most, None), &what);
    if container != Container::Ts {
        let sizes: Vec<usize> = found.iter().map(|(_, size)| *size).collect();
        let wanted: Vec<usize> = known.packets.iter().map(|packet| packet.size).collect();
        assert_eq!(sizes, wanted, "{what}");
    }
    if let Some(decoder) = track.codec.exact_decoder(reordered(&known.packets)) {
        let chain = format!("{pad} ! {decoder}");
        let decoded = gstreamer::pictures(file, demuxer, &chain);
        assert_eq!(decoded, known.pictures, "{what}, decoded");
    }
}

/// Every format of an asset.
fn plays_in_every_format(asset: &Asset) {
    let bench = Bench::new(asset.storage.clone());
    let sources: Vec<Known> = asset.tracks.iter().map(Known::of).collect();
    // Formats share most segments: what has been judged is not judged again.
    let mut judged: BTreeMap<usize, Vec<Served>> = BTreeMap::new();
    for (format, container) in FORMATS {
        let carried = |track: &Track| container.carries(track.codec);
        if !asset.tracks.iter().any(carried) {
            let none = bench.get(&manifest_path(format, ""));
            assert_eq!(
                (none.status, none.code().as_str()),
                (415, "MPE_FORMAT_NOT_SUPPORTED")
            );
            continue;
        }
        let mut videos = asset.tracks.iter().filter(|track| track.codec.is_video());
        let with_video = videos.any(carried);
        for (at, track) in asset.tracks.iter().enumerate() {
            let what = format!("{} ({:?}) in {format:?}", track.name, track.codec);
            let found = served(&bench, format, track, with_video);
            assert_eq!(found.is_some(), carried(track), "{what}: is it listed?");
            let Some(found) = found else { continue };
            let before = judged.entry(at).or_default();
            let same = |other: &Served| {
                let all = (other.container, &other.bytes, &other.starts);
                all == (found.container, &found.bytes, &found.starts)
            };
            if !before.iter().any(same) {
                judge(&found, track, &sources[at], &what);
            }
            before.push(found);
        }
    }
    for name in &asset.downloads {
        let got = get(&bench, name);
        assert_eq!(Some(got.body), asset.storage.get(name), "{name}");
    }
    for name in &asset.kept_in {
        assert_eq!(bench.get(name).status, 404, "{name}");
    }
    are_told(asset);
}

/// Operators are told what is not carried, of each track, and nothing else.
fn are_told(asset: &Asset) {
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    let storage = asset.storage.clone();
    let told = block_on(report(&storage, (&(), "memory"), "film", now, |_| {})).unwrap();
    assert!(told.left_out.is_empty(), "{:?}", told.left_out);
    for track in &asset.tracks {
        let mut tracks = told.tracks.iter();
        let found = tracks.find(|found| found.name == track.name).unwrap();
        for (protocol, container) in [
            ("HLS over MPEG-2 TS", Container::Ts),
            ("Smooth Streaming", Container::Smooth),
        ] {
            let mut refusals = found.refusals.iter();
            let refused = refusals.any(|refusal| refusal.protocol == protocol);
            assert_eq!(refused, !container.carries(track.codec), "{found:?}");
        }
    }
}

const PICTURE: &str = "testsrc2=size=160x90:rate=25:duration=5.2";
const SOUND: &str = "sine=frequency=440:sample_rate=48000:duration=5.2";
/// Pictures that are decoded in another order than they are shown in.
const REORDERED: &str = "-c:v libx264 -preset veryfast -g 50 -sc_threshold 0 -bf 2 -x264-params open-gop=0 -pix_fmt yuv420p";
const IN_ORDER: &str = "-c:v libx264 -preset veryfast -g 50 -sc_threshold 0 -bf 0 -pix_fmt yuv420p";
const AAC: &str = "-c:a aac -b:a 64k";
const X265: &str = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50:open-gop=0 -tag:v hvc1 -pix_fmt yuv420p";
const AV1: &str = "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 50 -b:v 200k -pix_fmt yuv420p";
const VP9: &str = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -b:v 200k -pix_fmt yuv420p";

/// Makes `name`. `between`: options of the input of sound.
fn encoded(folder: &Path, name: &str, between: &str, options: &str) -> PathBuf {
    let inputs = format!("-f lavfi -i {PICTURE} {between} -f lavfi -i {SOUND} {options} {name}");
    ffmpeg(folder, &inputs.split_whitespace().collect::<Vec<_>>());
    folder.join(name)
}

/// A server manifest of tracks: element, name, file, and number in the file.
fn server_manifest(formats: &str, tracks: &[(&str, &str, &str, u32)]) -> String {
    let elements: String = (100_001..)
        .zip(tracks)
        .map(|(bitrate, (element, name, file, id))| {
            format!(
                r#"<{element} src="{file}" systemBitrate="{bitrate}"><param name="trackName" value="{name}"/><param name="trackID" value="{id}"/></{element}>"#
            )
        })
        .collect();
    format!(
        r#"<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="{formats}"/></head><body><switch>{elements}</switch></body></smil>"#
    )
}

fn track(name: &'static str, codec: Codec, file: &Path) -> Track {
    let stream = if codec.is_video() { "v:0" } else { "a:0" };
    Track {
        name,
        codec,
        file: file.to_owned(),
        stream: stream.to_owned(),
        start: None,
    }
}

/// The same, whose first frame is presented at this time.
fn track_from(start: i64, track: Track) -> Track {
    Track {
        start: Some(start),
        ..track
    }
}

/// Pictures and sound in one file, which ffmpeg makes.
fn one_file(codecs: (Codec, Codec), between: &str, options: &str) -> Asset {
    let folder = tempfile::tempdir().unwrap();
    let file = encoded(folder.path(), "film.mp4", between, options);
    let storage = Memory::default();
    storage.write("film.mp4", std::fs::read(&file).unwrap());
    let both = [
        ("video", "video", "film.mp4", 1),
        ("audio", "sound", "film.mp4", 2),
    ];
    storage.write("film.ism", server_manifest("mp4", &both));
    Asset {
        storage,
        tracks: vec![
            track("video", codecs.0, &file),
            track("sound", codecs.1, &file),
        ],
        downloads: vec!["film.mp4"],
        kept_in: vec!["film.ism"],
        _folder: Some(folder),
    }
}

/// Boxes of the file's top level, in order.
fn boxes(asset: &Asset) -> Vec<String> {
    let file = asset.storage.get("film.mp4").unwrap();
    let children = fragments::children(&file).into_iter();
    let names = children.map(|(name, _)| String::from_utf8_lossy(&name).into_owned());
    names.collect()
}

#[test]
fn interleaved_files_with_reordered_pictures_and_edit_lists() {
    // Half a second without sound is an edit of its own.
    let options = format!("{REORDERED} {AAC} -movflags +faststart");
    let asset = one_file((Codec::Avc, Codec::Aac), "-itsoffset 0.5", &options);
    assert_eq!(boxes(&asset), ["ftyp", "moov", "free", "mdat"]);
    let [video, sound] = [0, 1].map(|at| presented(&asset.tracks[at]));
    assert!(reordered(&video));
    assert!(sound[0].shown > 450_000_000);
    plays_in_every_format(&asset);
}

#[test]
fn files_with_their_tables_at_the_end() {
    let options = format!("{IN_ORDER} {AAC}");
    let asset = one_file((Codec::Avc, Codec::Aac), "", &options);
    assert_eq!(boxes(&asset), ["ftyp", "free", "mdat", "moov"]);
    plays_in_every_format(&asset);
}

#[test]
fn fragmented_files() {
    let flags = "-movflags frag_keyframe+delay_moov+default_base_moof";
    let options = format!("{REORDERED} {AAC} {flags}");
    let asset = one_file((Codec::Avc, Codec::Aac), "", &options);
    assert!(boxes(&asset).contains(&"moof".to_owned()));
    plays_in_every_format(&asset);
}

/// With its header first, which knows nothing of what follows, ffmpeg makes the first frame of sound last until the second.
#[test]
fn fragmented_files_with_a_hole_in_their_sound() {
    let flags = "-movflags frag_keyframe+empty_moov+default_base_moof";
    let options = format!("{REORDERED} {AAC} {flags}");
    let asset = one_file((Codec::Avc, Codec::Aac), "", &options);
    let sound = presented(&asset.tracks[1]);
    assert!(sound[1].shown - sound[0].shown > 40_000_000);
    plays_in_every_format(&asset);
}

#[test]
fn files_of_smooth_streaming() {
    let folder = tempfile::tempdir().unwrap();
    let options = format!("{REORDERED} {AAC} -movflags frag_keyframe -f ismv");
    let file = encoded(folder.path(), "film.ismv", "", &options);
    let storage = Memory::default();
    storage.write("film.ismv", std::fs::read(&file).unwrap());
    let both = [
        ("video", "video", "film.ismv", 1),
        ("audio", "sound", "film.ismv", 2),
    ];
    storage.write("film.ism", server_manifest("fmp4", &both));
    plays_in_every_format(&Asset {
        storage,
        tracks: vec![
            track_from(0, track("video", Codec::Avc, &file)),
            track("sound", Codec::Aac, &file),
        ],
        downloads: Vec::new(),
        kept_in: vec!["film.ism", "film.ismv"],
        _folder: Some(folder),
    });
}

/// A file for each track, as our transcoder leaves them.
#[test]
fn our_own_track_files() {
    let folder = tempfile::tempdir().unwrap();
    let options = format!("{REORDERED} {AAC}");
    let file = encoded(folder.path(), "source.mp4", "", &options);
    let packaged = Memory::default();
    packaged.write("film.mp4", std::fs::read(&file).unwrap());
    let both = [
        ("video", "video", "film.mp4", 1),
        ("audio", "sound", "film.mp4", 2),
    ];
    packaged.write("film.ism", server_manifest("mp4", &both));
    let bench = Bench::new(packaged);
    let tracks = vec![
        track("video", Codec::Avc, &file),
        track("sound", Codec::Aac, &file),
    ];
    let storage = Memory::default();
    for (name, track) in ["film_video.mp4", "film_sound.mp4"].iter().zip(&tracks) {
        let whole = hls(&bench, "m3u8-cmaf", track, true).unwrap();
        storage.write(name, whole.bytes);
    }
    let listed = [
        ("video", "video", "film_video.mp4", 1),
        ("audio", "sound", "film_sound.mp4", 2),
    ];
    storage.write("film.ism", server_manifest("cmaf", &listed));
    plays_in_every_format(&Asset {
        storage,
        tracks,
        downloads: vec!["film_video.mp4", "film_sound.mp4"],
        kept_in: vec!["film.ism"],
        _folder: Some(folder),
    });
}

/// `scales`: of the times that its fragments are called by.
fn plays_as_archive(flavour: Flavour, scales: [i128; 2]) {
    let made = archive(flavour);
    let manifest = made.storage.get("live.ism").unwrap();
    made.storage.write("film.ism", manifest);
    let start = |times: &[u64], scale| nanos(times[0].into(), scale);
    let starts = [start(&made.video, scales[0]), start(&made.audio, scales[1])];
    let of = |name, codec| {
        let file = made.folder.path().join(format!("{name}.out"));
        track(name, codec, &file)
    };
    plays_in_every_format(&Asset {
        tracks: vec![
            track_from(starts[0], of("video", Codec::Avc)),
            track_from(starts[1], of("audio", Codec::Aac)),
        ],
        storage: made.storage,
        downloads: Vec::new(),
        kept_in: vec!["film.ism"],
        _folder: Some(made.folder),
    });
}

#[test]
fn archives_of_regular_channels() {
    plays_as_archive(Flavour::Regular, [10_000_000; 2]);
}

#[test]
fn archives_of_low_latency_channels() {
    plays_as_archive(Flavour::LowLatency, [12_800, 48_000]);
}

#[test]
fn hevc_with_dolby_digital() {
    let options = format!("{X265} -c:a ac3 -b:a 96k");
    plays_in_every_format(&one_file((Codec::Hevc, Codec::Ac3), "", &options));
}

#[test]
fn hevc_with_dolby_digital_plus() {
    let options = format!("{X265} -ac 6 -c:a eac3 -b:a 192k");
    plays_in_every_format(&one_file((Codec::Hevc, Codec::Eac3), "", &options));
}

#[test]
fn avc_with_dolby_digital() {
    let options = format!("{REORDERED} -c:a ac3 -b:a 96k");
    plays_in_every_format(&one_file((Codec::Avc, Codec::Ac3), "", &options));
}

#[test]
fn avc_with_dolby_digital_plus() {
    let options = format!("{REORDERED} -ac 6 -c:a eac3 -b:a 192k");
    plays_in_every_format(&one_file((Codec::Avc, Codec::Eac3), "", &options));
}

#[test]
fn av1_with_opus() {
    let options = format!("{AV1} -c:a libopus -b:a 48k");
    plays_in_every_format(&one_file((Codec::Av1, Codec::Opus), "", &options));
}

#[test]
fn vp9_with_flac() {
    let options = format!("{VP9} -c:a flac -strict -2");
    plays_in_every_format(&one_file((Codec::Vp9, Codec::Flac), "", &options));
}

/// Pictures are carried everywhere and their sound is not, and the other way round.
#[test]
fn avc_with_opus() {
    let options = format!("{REORDERED} -c:a libopus -b:a 48k");
    plays_in_every_format(&one_file((Codec::Avc, Codec::Opus), "", &options));
}

#[test]
fn av1_with_aac() {
    let options = format!("{AV1} {AAC}");
    plays_in_every_format(&one_file((Codec::Av1, Codec::Aac), "", &options));
}

/// A shared file. `tracks`: element, name and number in the file.
fn real(name: &'static str, tracks: &[(&str, &'static str, u32)]) {
    let storage = Memory::default();
    storage.write(name, media(name));
    let listed = tracks
        .iter()
        .map(|(element, own, id)| (*element, *own, name, *id));
    let listed: Vec<_> = listed.collect();
    storage.write("film.ism", server_manifest("mp4", &listed));
    let file = PathBuf::from(format!("{MEDIA}/{name}"));
    let mut sounds = 0..;
    let of = |(element, own, _): &(&str, &'static str, u32)| match *element {
        "video" => track(own, Codec::Avc, &file),
        _ => Track {
            stream: format!("a:{}", sounds.next().unwrap()),
            ..track(own, Codec::Aac, &file)
        },
    };
    plays_in_every_format(&Asset {
        storage,
        tracks: tracks.iter().map(of).collect(),
        downloads: vec![name],
        kept_in: vec!["film.ism"],
        _folder: None,
    });
}

const BOTH: [(&str, &str, u32); 2] = [("video", "video", 1), ("audio", "sound", 2)];

#[test]
fn big_buck_bunny() {
    real("bigbuckbunny.mp4", &BOTH);
}

#[test]
fn car_detection() {
    real("car-detection.mp4", &BOTH);
}

#[test]
fn azure_bumper() {
    real("azure-bumper.mp4", &BOTH);
}

#[test]
fn sound_without_pictures() {
    let two = [("audio", "left", 1), ("audio", "right", 2)];
    real("surround-audio.mp4", &two);
}
