//! Keys that change with the time of what is live: what is served decrypts, period by period, to the clear media with tools that
//! we did not write, live and afterwards, whoever serves it.

use crate::air::*;
use crate::common::*;
use crate::live_formats::{frames_of_samples, hash};
use crate::sealed::*;
use headwater_live::stream::Kind;
use headwater_origin::*;
use headwater_protect::rotation::resolve;
use headwater_protect::{Cipher, IvSpace, Key, Kid, Period, Rotation};
use std::collections::HashSet;

const VIDEO: &str = "show.ism/QualityLevels(2000000)";
/// Rows last a second: boundaries are in front of rows 3 and 6.
const INTERVAL: u32 = 3;

fn rotating(way: Way) -> Protection {
    let mut protection = protection(way);
    protection.schemes[0].rotation = Rotation::every(INTERVAL);
    protection
}

fn live(storage: &Memory, way: Way) -> Bench {
    Bench::guarded(storage.clone(), on_air(published()), rotating(way), &[])
}

fn film(storage: &Memory, way: Way) -> Bench {
    Bench::protected(storage.clone(), rotating(way))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Number and key of the period that an id names.
fn period_of(kid: &str) -> (Period, String) {
    let kid = Kid::parse(kid).unwrap();
    assert_ne!(kid, Kid::parse(KID).unwrap(), "the stored key is not used");
    let (period, key) = resolve(kid, Kid::parse(KID).unwrap(), &Key::new([9; 16])).unwrap();
    (period, hex(key.expose()))
}

/// The period that a row of the air is in.
fn period_at(row: u64) -> u32 {
    u32::try_from((FIRST + row) / u64::from(INTERVAL)).unwrap()
}

/// Segments under one key.
#[derive(Debug, PartialEq, Clone)]
struct Group {
    kid: String,
    /// Of the key tag.
    iv: Option<String>,
    init: Option<String>,
    segments: Vec<String>,
}

/// A media playlist by its keys. Every segment is under one.
fn groups(path: &str, text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let (mut kid, mut iv, mut init) = (String::new(), None, None);
    for line in text.lines() {
        if line.starts_with("#EXT-X-KEY") {
            let after = |mark: &str| line.split_once(mark).map(|(_, rest)| rest.to_owned());
            if let Some(found) = after("KEYID=0x").or_else(|| after("?kid=")) {
                kid = found.split([',', '"']).next().unwrap().to_owned();
            }
            iv = after("IV=0x").map(|rest| rest.split(',').next().unwrap().to_owned());
        } else if line.starts_with("#EXT-X-MAP") {
            init = Some(resolve_uri(path, &attributes(line, "URI")[0]));
        } else if !line.starts_with('#') && !line.is_empty() {
            assert!(!kid.is_empty(), "{line} has no key: {text}");
            let url = resolve_uri(path, line);
            match groups.last_mut() {
                Some(last) if last.kid == kid => last.segments.push(url),
                _ => groups.push(Group {
                    kid: kid.clone(),
                    iv: iv.clone(),
                    init: init.clone(),
                    segments: vec![url],
                }),
            }
        }
    }
    groups
}

fn resolve_uri(path: &str, uri: &str) -> String {
    crate::common::resolve(path, uri)
}

/// Rows of seven by period.
const ROWS: [std::ops::Range<u64>; 3] = [0..3, 3..6, 6..7];

#[test]
fn samples_decrypt_period_by_period_live_and_afterwards() {
    for codec in ["libx264", "libx265", "libsvtav1"] {
        let mut args = vec!["-c:v", codec, "-preset", "ultrafast"];
        match codec {
            "libx265" => args.extend([
                "-tag:v",
                "hvc1",
                "-x265-params",
                "log-level=error:open-gop=0",
            ]),
            "libsvtav1" => args[3] = "10",
            _ => {}
        }
        let air = Air::new(&args);
        for (way, encryption) in [(Way::Cenc, "cenc"), (Way::Cbcs, "cbcs-aapl")] {
            let storage = air.airing(false);
            let bench = live(&storage, way);
            let options = format!("format=m3u8-cmaf,encryption={encryption}");
            let playlists = media_playlists(&bench, &options);
            assert_eq!(playlists.len(), 2);
            let mut served = Vec::new();
            for (path, text) in &playlists {
                let found = groups(path, text);
                assert_eq!(found.len(), 3, "{text}");
                assert!(!text.contains("#EXT-X-DISCONTINUITY"), "{text}");
                for (group, rows) in found.iter().zip(ROWS) {
                    let (period, key) = period_of(&group.kid);
                    assert_eq!(period.number(), period_at(rows.start));
                    assert_eq!(group.segments.len() as u64, rows.end - rows.start);
                    let init = ok(&bench, group.init.as_ref().unwrap()).body;
                    // The key that the init segment names is the playlist's.
                    let kid = *Kid::parse(&group.kid).unwrap().bytes();
                    assert!(init.windows(16).any(|part| part == kid));
                    let file = [init.to_vec(), bytes_of(&bench, &group.segments)].concat();
                    let clear = air.clear(kind_of(path), rows);
                    assert_eq!(frames(&file, Some(&key)), frames(&clear, None), "{codec}");
                    served.push((group.clone(), file));
                }
            }
            // A host that has just started says and serves the same.
            let other = live(&air.airing(false), way);
            assert_eq!(media_playlists(&other, &options), playlists);
            // So does everybody once it is a film.
            air.record(&storage, 0..7, true);
            let film = film(&storage, way);
            let mut before = served.iter();
            for (path, _) in &playlists {
                let text = ok(&film, path).text().to_owned();
                assert!(text.ends_with("#EXT-X-ENDLIST\n"));
                for group in groups(path, &text) {
                    let (known, bytes) = before.next().unwrap();
                    assert_eq!(&group, known);
                    let init = ok(&film, group.init.as_ref().unwrap()).body.to_vec();
                    assert_eq!(&[init, bytes_of(&film, &group.segments)].concat(), bytes);
                }
            }
            assert!(before.next().is_none());
        }
    }
}

#[test]
fn whole_segments_decrypt_with_the_key_of_their_period() {
    let air = Air::avc();
    for format in ["m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v3"] {
        let storage = air.airing(true);
        let plain = Bench::with(storage.clone(), on_air(published()));
        let bench = live(&storage, Way::Envelope);
        let options = format!("format={format}");
        let clear = media_playlists(&plain, &options);
        let protected = media_playlists(&bench, &format!("{options},encryption=cbc"));
        assert_eq!(clear.len(), protected.len());
        for ((path, text), (plain_path, plain_text)) in protected.iter().zip(&clear) {
            let found = groups(path, text);
            assert_eq!(found.len(), 3, "{text}");
            let mut out = Vec::new();
            for (group, rows) in found.iter().zip(ROWS) {
                let (period, key) = period_of(&group.kid);
                assert_eq!(period.number(), period_at(rows.start));
                let iv = hex(&IvSpace::constant(Kid::parse(&group.kid).unwrap()));
                assert_eq!(group.iv.as_ref(), Some(&iv), "the vector is written");
                // An init segment is in the clear, and the same for all keys.
                assert_eq!(group.init, found[0].init);
                for url in &group.segments {
                    out.extend(opened(&ok(&bench, url).body, &key, &iv));
                }
            }
            let urls = uris(plain_text);
            let urls: Vec<_> = urls
                .iter()
                .map(|uri| resolve_uri(plain_path, uri))
                .collect();
            assert_eq!(out, bytes_of(&plain, &urls[..7]), "{format}");
            if let Some(init) = &found[0].init {
                assert_eq!(text.matches("#EXT-X-MAP").count(), 1, "{text}");
                assert_eq!(ok(&bench, init).body, air.config(kind_of(path)).init);
            }
        }
        air.record(&storage, 0..7, true);
        let film = film(&storage, Way::Envelope);
        for (path, text) in &protected {
            let text_of_film = ok(&film, path).text().to_owned();
            assert_eq!(groups(path, &text_of_film), groups(path, text));
            for url in groups(path, text).iter().flat_map(|group| &group.segments) {
                assert_eq!(ok(&film, url).body, ok(&bench, url).body);
            }
        }
    }
}

#[test]
fn samples_of_transport_streams_change_their_keys() {
    let air = Air::avc();
    let storage = air.airing(false);
    let bench = live(&storage, Way::Cbcs);
    for (path, text) in media_playlists(&bench, "format=m3u8-aapl,encryption=cbcs-aapl") {
        // The player that is asked knows of the key itself, not of FairPlay.
        let lines = text.lines().filter(|line| !line.contains("skd:"));
        let mut parts: Vec<String> = Vec::new();
        let mut front = String::new();
        for line in lines {
            if line.starts_with("#EXT-X-KEY") {
                parts.push(front.clone());
            }
            match parts.last_mut() {
                Some(part) => *part += &format!("{line}\n"),
                None => front += &format!("{line}\n"),
            }
        }
        let found = groups(&path, &text);
        assert_eq!((found.len(), parts.len()), (3, 3), "{text}");
        // One period at a time: ffmpeg 5.1 decrypts the last packets that it takes apart of a segment with the key of the next.
        for ((group, part), rows) in found.iter().zip(parts).zip(ROWS) {
            let (period, _) = period_of(&group.kid);
            assert_eq!(period.number(), period_at(rows.start));
            let expected = frames(&air.clear(kind_of(&path), rows), None);
            let expected: Vec<String> = expected.iter().map(|line| hash(line)).collect();
            let got = frames_of_samples(&bench, &path, &part, expected.len());
            assert_eq!(got, expected, "{path}");
        }
    }
}

#[test]
fn a_segment_of_several_rows_is_under_the_key_that_its_first_row_has() {
    let mut air = Air::avc();
    air.rows_per_segment = headwater_live::group::RowsPerSegment::new(2).unwrap();
    let storage = Memory::default();
    air.record(&storage, 0..6, true);
    let film = film(&storage, Way::Envelope);
    let plain = Bench::new(storage);
    let (path, text) = media_playlists(&film, "format=m3u8-aapl,encryption=cbc").remove(0);
    let found = groups(&path, &text);
    // Rows 0 and 1, 2 and 3, 4 and 5: the key that changes in the middle of the second is that of the third.
    let sizes: Vec<usize> = found.iter().map(|group| group.segments.len()).collect();
    assert_eq!(sizes, [2, 1], "{text}");
    let mut out = Vec::new();
    for group in &found {
        let (_, key) = period_of(&group.kid);
        for url in &group.segments {
            out.extend(opened(
                &ok(&film, url).body,
                &key,
                group.iv.as_ref().unwrap(),
            ));
        }
    }
    let (path, text) = media_playlists(&plain, "format=m3u8-aapl").remove(0);
    assert_eq!(out, bytes_of(&plain, &segment_urls(&path, &text)));
}

#[test]
fn windows_deltas_and_parts_say_the_key_that_they_are_under() {
    let air = Air::avc();
    for (way, encryption) in [(Way::Cenc, "cenc"), (Way::Cbcs, "cbcs-aapl")] {
        // What grows is the first of a period.
        let storage = Memory::default();
        air.record(&storage, 0..4, false);
        air.tell(&storage, 1..6, 2, true, None);
        let bench = live(&storage, way);
        let options = format!("format=m3u8-cmaf,encryption={encryption}");
        for (path, text) in media_playlists(&bench, &options) {
            let tags: Vec<usize> = text
                .match_indices("KEYFORMAT=\"org.w3.clearkey\"")
                .map(|(at, _)| at)
                .collect();
            let maps: Vec<usize> = text.match_indices("#EXT-X-MAP").map(|(at, _)| at).collect();
            assert_eq!((tags.len(), maps.len()), (3, 3), "{text}");
            // Keys, the init segment that is made for them, media.
            assert!(tags.iter().zip(&maps).all(|(key, map)| key < map));
            let growing = text[maps[2]..].to_owned();
            assert!(!growing.contains("#EXTINF") && growing.contains("#EXT-X-PART:"));
            let uri = attributes(&growing, "URI")[0].clone();
            let init = ok(&bench, &resolve_uri(&path, &uri)).body;
            let parts: Vec<Vec<u8>> = growing
                .lines()
                .filter(|line| line.starts_with("#EXT-X-PART:"))
                .flat_map(|line| attributes(line, "URI"))
                .map(|uri| ok(&bench, &resolve_uri(&path, &uri)).body.to_vec())
                .collect();
            let kid = text[..maps[2]].rsplit_once("KEYID=0x").unwrap().1[..32].to_owned();
            let (period, key) = period_of(&kid);
            assert_eq!(period.number(), period_at(6));
            let got = frames(&[init.to_vec(), parts.concat()].concat(), Some(&key));
            let whole = frames(&air.clear(kind_of(&path), 6..7), None);
            assert!(!got.is_empty());
            assert_eq!(got[..], whole[..got.len()]);
            // They are the beginning of the segment that comes.
            let later = Memory::default();
            air.record(&later, 0..4, false);
            air.tell(&later, 2..7, 0, true, None);
            let later = live(&later, way);
            let (_, text) = media_playlists(&later, &options)
                .into_iter()
                .find(|(other, _)| *other == path)
                .unwrap();
            let last = groups(&path, &text).pop().unwrap();
            assert_eq!(last.kid, kid);
            let whole = ok(&later, last.segments.last().unwrap()).body;
            assert!(whole.starts_with(&parts.concat()));
        }
    }
    // A window that has lost its front, and a delta that leaves it out, begin with a key.
    let storage = Memory::default();
    air.tell(&storage, 0..8, 0, true, None);
    let bench = live(&storage, Way::Cenc);
    let path = format!("{VIDEO}/Manifest(video,format=m3u8-cmaf,encryption=cenc)");
    let whole = groups(&path, ok(&bench, &path).text());
    let delta = ok(&bench, &format!("{path}?_HLS_skip=YES"));
    let delta = delta.text();
    assert!(
        delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n"),
        "{delta}"
    );
    let listed = groups(&path, delta);
    assert_eq!(
        (listed[0].kid.clone(), listed[1..].to_vec()),
        (whole[0].kid.clone(), whole[1..].to_vec())
    );
    let clipped = path.replace(")", ",start=2026-06-01T00:00:04Z)");
    let clipped = groups(&clipped, ok(&bench, &clipped).text());
    assert_eq!(clipped[0].kid, whole[1].kid);
    assert_eq!((clipped[0].segments.len(), clipped.len()), (2, 2));
}

#[test]
fn pictures_of_their_own_are_under_the_key_of_their_row() {
    let air = Air::avc();
    let whole = frames(&air.clear(Kind::Video, 0..7), None);
    for (way, encryption) in [(Way::Cenc, "cenc"), (Way::Cbcs, "cbcs-aapl")] {
        let storage = air.airing(false);
        let bench = live(&storage, way);
        let options = format!("format=m3u8-cmaf,encryption={encryption}");
        let path = format!("{VIDEO}/Manifest(video,{options},type=keyframes)");
        let text = ok(&bench, &path).text().to_owned();
        let mut row = 0;
        for group in groups(&path, &text) {
            let (_, key) = period_of(&group.kid);
            let init = ok(&bench, group.init.as_ref().unwrap()).body.to_vec();
            for url in &group.segments {
                let picture = [init.clone(), ok(&bench, url).body.to_vec()].concat();
                assert_eq!(frames(&picture, Some(&key)), [whole[row * 25].as_str()]);
                row += 1;
            }
        }
        assert_eq!(row, 7, "{text}");
    }
}

/// An adaptation set: what of, the id of its key, and all of it, whole segments decrypted.
type Set = (Kind, String, Vec<u8>);

#[test]
fn dash_has_a_period_for_each_key() {
    const MPD: &str = "urn:mpeg:dash:schema:mpd:2011";
    let air = Air::avc();
    for (way, encryption, rows) in [
        (Way::Cenc, "cenc", 0..7),
        (Way::Cbcs, "cbcs", 0..7),
        (Way::Envelope, "cbc", 0..7),
    ] {
        let storage = air.airing(true);
        let bench = live(&storage, way);
        let path = format!("show.ism/manifest(format=mpd-time-cmaf,encryption={encryption})");
        let of = |bench: &Bench| -> Vec<(String, f64, Vec<Set>)> {
            let text = ok(bench, &path).text().to_owned();
            let document = roxmltree::Document::parse(&text).unwrap();
            let periods = document
                .descendants()
                .filter(|n| n.has_tag_name((MPD, "Period")));
            periods
                .map(|period| {
                    let start = period.attribute("start").unwrap();
                    let start = start.trim_start_matches("PT").trim_end_matches('S');
                    let sets = period
                        .children()
                        .filter(|n| n.has_tag_name((MPD, "AdaptationSet")));
                    let sets = sets.map(|set| {
                        let cenc = ("urn:mpeg:cenc:2013", "default_KID");
                        let kid = set.descendants().find_map(|n| n.attribute(cenc));
                        let named = |n: roxmltree::Node<'_, '_>| {
                            let mut uris = n.attributes().map(|a| a.value().to_owned());
                            uris.find_map(|uri| Some(uri.split_once("?kid=")?.1.to_owned()))
                        };
                        let kid = kid.map(str::to_owned);
                        let kid = kid.or_else(|| set.descendants().find_map(named)).unwrap();
                        let template = set
                            .descendants()
                            .find(|n| n.has_tag_name((MPD, "SegmentTemplate")))
                            .unwrap();
                        let quality = set
                            .descendants()
                            .find(|n| n.has_tag_name((MPD, "Representation")))
                            .unwrap();
                        let rate = quality.attribute("bandwidth").unwrap();
                        let base = |name: &str| {
                            let uri = template.attribute(name).unwrap();
                            let uri = uri.replace("$Bandwidth$", rate);
                            format!("show.ism/{uri}")
                        };
                        let mut file = ok(bench, &base("initialization")).body.to_vec();
                        let mut time = 0;
                        for entry in template
                            .descendants()
                            .filter(|n| n.has_tag_name((MPD, "S")))
                        {
                            let number =
                                |name| entry.attribute(name).map(|v| v.parse::<u64>().unwrap());
                            time = number("t").unwrap_or(time);
                            for _ in 0..=number("r").unwrap_or(0) {
                                let url = base("media").replace("$Time$", &time.to_string());
                                let body = ok(bench, &url).body.to_vec();
                                let (_, key) = period_of(&kid);
                                file.extend(match way {
                                    Way::Envelope => {
                                        let kid = Kid::parse(&kid).unwrap();
                                        opened(&body, &key, &hex(&IvSpace::constant(kid)))
                                    }
                                    _ => body,
                                });
                                time += number("d").unwrap();
                            }
                        }
                        let kind = match set.attribute("contentType") {
                            Some("audio") => Kind::Audio,
                            _ => Kind::Video,
                        };
                        (kind, kid, file)
                    });
                    let id = period.attribute("id").unwrap().to_owned();
                    (id, start.parse().unwrap(), sets.collect())
                })
                .collect()
        };
        let found = of(&bench);
        assert_eq!(found.len(), 3);
        for ((id, start, sets), rows) in found.iter().zip(ROWS) {
            assert_eq!(*id, format!("p0-{}", period_at(rows.start)));
            assert_eq!(*start, (FIRST + rows.start) as f64);
            assert_eq!(sets.len(), 2);
            for (kind, kid, file) in sets {
                let (period, key) = period_of(kid);
                assert_eq!(period.number(), period_at(rows.start));
                let key = (way != Way::Envelope).then_some(key.as_str());
                let clear = air.clear(*kind, rows.clone());
                assert_eq!(frames(file, key), frames(&clear, None), "{encryption}");
            }
        }
        // The window moves on: what is still there has its name, its place and its bytes.
        let storage = Memory::default();
        air.tell(&storage, 4..8, 0, false, None);
        let later = of(&live(&storage, way));
        assert_eq!(later.len(), 2);
        assert_eq!((&later[0].0, later[0].1), (&found[1].0, found[1].1));
        assert_eq!(later[0].2[0].1, found[1].2[0].1);
        // As a film it begins with 0, under the same keys.
        air.record(&storage, rows.clone(), true);
        let film = of(&film(&storage, way));
        for (at, (film, live)) in film.iter().zip(&found).enumerate() {
            assert_eq!((&film.0, &film.2), (&live.0, &live.2));
            assert_eq!(film.1, (at * 3) as f64);
        }
    }
}

#[test]
fn a_dash_period_begins_where_it_did_when_the_window_has_passed_its_beginning() {
    let mut air = Air::avc();
    // Half a second, so that no row begins when keys could change.
    air.late = 45_000;
    let periods = |storage: &Memory, rewind_ms: u64| {
        let mut published = on_air(published());
        published.live.as_mut().unwrap().rewind_ms = Some(rewind_ms);
        let bench = Bench::guarded(storage.clone(), published, rotating(Way::Cenc), &[]);
        let mpd = ok(
            &bench,
            "show.ism/manifest(format=mpd-time-cmaf,encryption=cenc)",
        );
        let lines = mpd.text().lines().filter(|line| line.contains("<Period"));
        lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let period = |row: u64, half: &str| {
        let start = FIRST + row;
        format!(
            "<Period id=\"p0-{}\" start=\"PT{start}{half}S\">",
            period_at(row)
        )
    };
    // Nothing was before the first row: its period begins when it could, and goes on to.
    let told = Memory::default();
    air.tell(&told, 0..7, 0, false, None);
    let all = [period(0, ""), period(3, ".5"), period(6, ".5")];
    assert_eq!(periods(&told, 60_000), all);
    // The worker knows of rows that are not shown any more.
    assert_eq!(periods(&told, 2_000), all[1..]);
    // It does not: storage has them in a page.
    let stored = Memory::default();
    air.record(&stored, 0..5, false);
    air.tell(&stored, 5..7, 0, false, None);
    assert_eq!(periods(&stored, 2_000), all[1..]);
    // Nobody does.
    let lost = Memory::default();
    air.tell(&lost, 5..7, 0, false, None);
    assert_eq!(periods(&lost, 2_000), [period(3, ""), all[2].clone()]);
}

#[test]
fn no_vector_is_used_twice_under_a_key_and_sessions_begin_with_the_newest() {
    let air = Air::avc();
    let storage = air.airing(true);
    let bench = live(&storage, Way::Cenc);
    let mut seen = HashSet::new();
    for (path, text) in media_playlists(&bench, "format=m3u8-cmaf,encryption=cenc") {
        for group in groups(&path, &text) {
            for url in &group.segments {
                let plan = bench.plan(url).unwrap();
                let Cipher::Ctr { first_iv, samples } = plan.encryption().unwrap().cipher() else {
                    panic!("{url} is in counter mode");
                };
                for at in 0..samples.len() as u64 {
                    assert!(seen.insert((group.kid.clone(), first_iv.wrapping_add(at))));
                }
            }
        }
    }
    assert!(seen.len() > 400);
    let master = ok(
        &bench,
        "show.ism/manifest(format=m3u8-cmaf,encryption=cenc)",
    );
    let session = master
        .text()
        .lines()
        .find(|l| l.starts_with("#EXT-X-SESSION-KEY") && l.contains("org.w3.clearkey"));
    let kid = session.unwrap().split_once("KEYID=0x").unwrap().1[..32].to_owned();
    assert_eq!(period_of(&kid).0.number(), period_at(7));
    // Who asks Widevine's servers may tell them of which key this is a period.
    let widevine = master
        .text()
        .lines()
        .find(|l| l.contains("edef8ba9"))
        .unwrap();
    let boxed = widevine
        .split_once("base64,")
        .unwrap()
        .1
        .split('"')
        .next()
        .unwrap();
    let boxed = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, boxed).unwrap();
    let found = headwater_protect::pssh::Pssh::read_all(&boxed).unwrap();
    let data = headwater_protect::widevine::WidevineData::decode(&found[0].data).unwrap();
    assert_eq!(data.crypto_period_index, Some(period_at(7)));
    assert_eq!(
        data.content_id.unwrap(),
        Kid::parse(KID).unwrap().bytes().to_vec()
    );
}

#[test]
fn init_segments_are_of_one_period_where_keys_rotate_and_nowhere_else() {
    let air = Air::avc();
    let storage = air.airing(false);
    let bench = live(&storage, Way::Cenc);
    let init = |options: &str| {
        format!("{VIDEO}/Fragments(video=i,format=m3u8-cmaf,encryption=cenc{options}).mp4")
    };
    let period = period_at(0);
    assert_eq!(ok(&bench, &init(&format!(",period={period}"))).status, 200);
    assert_eq!(bench.get(&init("")).status, 404);
    for wrong in [
        ",period=",
        ",period=-1",
        ",period=4294967296",
        ",period=1,period=1",
    ] {
        assert_eq!(bench.get(&init(wrong)).status, 400, "{wrong}");
    }
    let start = air.start(Kind::Video, 1);
    for url in [
        format!(
            "{VIDEO}/Fragments(video={start},format=m3u8-cmaf,encryption=cenc,period={period}).m4s"
        ),
        format!("{VIDEO}/Manifest(video,format=m3u8-cmaf,encryption=cenc,period={period})"),
        format!("show.ism/manifest(format=m3u8-cmaf,encryption=cenc,period={period})"),
    ] {
        assert_eq!(bench.get(&url).status, 400, "{url}");
    }
    let steady = Bench::guarded(
        storage.clone(),
        on_air(published()),
        protection(Way::Cenc),
        &[],
    );
    assert_eq!(steady.get(&init(&format!(",period={period}"))).status, 404);
    assert_eq!(ok(&steady, &init("")).status, 200);
    let whole = live(&storage, Way::Envelope);
    let init = init("").replace("cenc", "cbc");
    assert_eq!(ok(&whole, &init).status, 200);
    let named = init.replace(").mp4", &format!(",period={period}).mp4"));
    assert_eq!(whole.get(&named).status, 404);
}
