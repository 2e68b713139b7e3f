//! Segments tile: of films of any frame rate, any groups of pictures and any sampling rate, every format has every frame once, in
//! segments that begin where the one before ends, and the same time on every rendition. And after twelve hours times are where
//! they were at the beginning: on the tick.

use crate::common::*;
use crate::formats::Stream;
use crate::fragments;
use crate::made_up::{chunks, config, sample};
use headwater_bmff::write::{ProgressiveTrack, write_progressive};
use headwater_bmff::{EditList, TrackKind};
use headwater_time::Timescale;
use proptest::prelude::*;

/// A film that is made up: its frames say which they are.
#[derive(Debug, Clone)]
struct Film {
    /// Ticks a second, and to a picture.
    scale: u32,
    tick: u32,
    /// Pictures in each group.
    groups: Vec<u32>,
    /// Of the sound, and how many frames of 1024 samples there are.
    rate: u32,
    sounds: u32,
    /// It is in a file of its own, where nothing says where the pictures are cut.
    apart: bool,
    /// Levels of pictures.
    levels: usize,
}

/// A number in bytes that no parser takes for anything else.
fn digits(number: u32) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| 0x80 | (number >> shift & 0x7f) as u8)
}

fn numbers(bytes: &[u8]) -> u32 {
    let digits = bytes.iter().take(4);
    digits.fold(0, |number, digit| number << 7 | u32::from(digit & 0x7f))
}

impl Film {
    fn pictures(&self) -> u32 {
        self.groups.iter().sum()
    }

    /// First pictures of the groups.
    fn keys(&self) -> Vec<u32> {
        let firsts = self.groups.iter().scan(0, |at, count| {
            let first = *at;
            *at += count;
            Some(first)
        });
        firsts.collect()
    }

    /// Levels of the same pictures, and sound.
    fn stored(&self) -> Memory {
        let storage = Memory::default();
        let keys = self.keys();
        let is_key = |n: u32| keys.binary_search(&n).is_ok();
        let frames: Vec<[u8; 4]> = (0..self.sounds).map(digits).collect();
        let sound = ProgressiveTrack {
            config: config(TrackKind::Audio, self.rate),
            edits: EditList::default(),
            samples: frames.iter().map(|f| sample(f, 1024, true)).collect(),
        };
        let file = |tracks: &[ProgressiveTrack<'_>]| write_progressive(Timescale::MILLIS, tracks);
        let mut sound = Some(sound);
        if let Some(sound) = sound.take_if(|_| self.apart) {
            storage.write("sound.mp4", file(&[sound]).unwrap());
        }
        for (level, name) in [(0_u8, "high.mp4"), (1, "low.mp4")]
            .into_iter()
            .take(self.levels)
        {
            let pictures = (0..self.pictures()).map(|n| {
                let kind = if is_key(n) { 0x65 } else { 0x41 };
                let unit = [&[kind][..], &digits(n), &[0x80 | level]].concat();
                [&(unit.len() as u32).to_be_bytes()[..], &unit].concat()
            });
            let pictures: Vec<Vec<u8>> = pictures.collect();
            let samples = pictures.iter().zip(0..);
            let samples = samples.map(|(bytes, n)| sample(bytes, self.tick, is_key(n)));
            let video = ProgressiveTrack {
                config: config(TrackKind::Video, self.scale),
                edits: EditList::default(),
                samples: samples.collect(),
            };
            let tracks: Vec<ProgressiveTrack<'_>> =
                [Some(video), sound.take()].into_iter().flatten().collect();
            storage.write(name, file(&tracks).unwrap());
        }
        let low = match self.levels {
            1 => "",
            _ => {
                r#"<video src="low.mp4" systemBitrate="100000"><param name="trackName" value="video"/></video>"#
            }
        };
        let sound = if self.apart { "sound.mp4" } else { "high.mp4" };
        storage.write(
            "film.ism",
            format!(
                r#"<smil><head><meta name="formats" content="mp4"/></head><body><switch>
                <video src="high.mp4" systemBitrate="200000"><param name="trackName" value="video"/></video>{low}
                <audio src="{sound}" systemBitrate="64000"><param name="trackName" value="sound"/></audio>
                </switch></body></smil>"#
            ),
        );
        storage
    }
}

const HIGH: &str = "film.ism/QualityLevels(200000)";
const LOW: &str = "film.ism/QualityLevels(100000)";
const SOUND: &str = "film.ism/QualityLevels(64000)";

fn get(bench: &Bench, path: &str) -> Got {
    let got = bench.get(path);
    assert_eq!(
        got.status,
        200,
        "{path}: {}",
        String::from_utf8_lossy(&got.body)
    );
    got
}

/// Segments of a playlist: the times in their URLs, what `EXTINF` says (microseconds), and their bytes if they are asked for.
fn listed(bench: &Bench, path: &str) -> Vec<(u64, u64, String)> {
    let text = get(bench, path).text().to_owned();
    let lengths = text
        .lines()
        .filter_map(|line| line.strip_prefix("#EXTINF:"));
    let lengths: Vec<u64> = lengths
        .map(|line| line.trim_end_matches(',').replace('.', "").parse().unwrap())
        .collect();
    let uris = uris(&text);
    assert_eq!(uris.len(), lengths.len());
    let found = uris.iter().zip(lengths).map(|(uri, length)| {
        let time = uri.split(['=', ',']).nth(1).unwrap().parse().unwrap();
        (time, length, resolve(path, uri))
    });
    found.collect()
}

/// Starts and durations of a stream in a Smooth manifest; every chunk begins where the one before ends.
fn unbroken(manifest: &str, name: &str) -> Vec<(u64, u64)> {
    let found = chunks(manifest, name);
    for two in found.windows(2) {
        assert_eq!(two[0].0 + two[0].1, two[1].0);
    }
    found
}

/// Starts of `S` in the timeline of a track, and where the last ends.
fn periods(mpd: &str, name: &str) -> Vec<u64> {
    let document = roxmltree::Document::parse(mpd).unwrap();
    let own = format!("Fragments({name}=");
    let mut nodes = document.descendants();
    let is_own =
        |node: &roxmltree::Node<'_, '_>| node.attribute("media").is_some_and(|m| m.contains(&own));
    let template = nodes.find(is_own).unwrap();
    let (mut at, mut found) = (0, Vec::new());
    for s in template
        .descendants()
        .filter(|node| node.tag_name().name() == "S")
    {
        let number = |name: &str| s.attribute(name).map(|value| value.parse::<u64>().unwrap());
        let start = number("t").unwrap_or(at);
        assert!(found.is_empty() || start == at, "{start} is not {at}");
        at = start;
        for _ in 0..=number("r").unwrap_or(0) {
            found.push(at);
            at += number("d").unwrap();
        }
    }
    found.push(at);
    found
}

/// Numbers of the pictures, and of the frames of sound, in transport streams.
fn in_packets(bench: &Bench, path: &str) -> (Vec<u32>, Vec<u32>) {
    let mut stream = Stream::default();
    for (_, _, url) in listed(bench, path) {
        stream.feed(&get(bench, &url).body);
    }
    let packets = |pid: u16| stream.packets.get(&pid).map_or(&[][..], Vec::as_slice);
    let pictures = packets(0x100).iter().map(|(_, _, bytes)| {
        // The unit of the picture is the last one.
        let unit = bytes
            .windows(4)
            .rposition(|w| w[..3] == [0, 0, 1] && matches!(w[3], 0x65 | 0x41));
        numbers(&bytes[unit.unwrap() + 4..])
    });
    let sounds = packets(0x101).iter().flat_map(|(_, _, bytes)| {
        // Seven bytes of header, four of frame.
        assert_eq!(bytes.len() % 11, 0);
        bytes.chunks(11).map(|frame| numbers(&frame[7..]))
    });
    (pictures.collect(), sounds.collect())
}

/// Nearest unit of `to` in a second to `ticks` of `scale`; halves go up.
fn nearest(ticks: u64, scale: u32, to: u64) -> u64 {
    let twice = u128::from(ticks) * u128::from(to) * 2 + u128::from(scale);
    (twice / (2 * u128::from(scale))) as u64
}

fn films() -> impl Strategy<Value = Film> {
    let clocks = prop_oneof![
        Just((30_000, 1001)),
        Just((24_000, 1001)),
        Just((12_800, 512)),
        Just((90_000, 3600)),
        Just((1000, 40)),
        Just((600, 20)),
        (1000..100_000_u32).prop_flat_map(|scale| (Just(scale), scale / 60..scale / 10)),
    ];
    let rates = prop_oneof![Just(44_100_u32), Just(48_000), Just(32_000), Just(22_050)];
    let groups = proptest::collection::vec(1..90_u32, 1..14);
    (clocks, groups, rates, -3..4_i64, any::<bool>()).prop_map(
        |((scale, tick), groups, rate, more, apart)| {
            let pictures: u32 = groups.iter().sum();
            let ticks = u64::from(pictures) * u64::from(tick);
            let lasts = ticks * u64::from(rate) / u64::from(scale) / 1024;
            Film {
                scale,
                tick,
                groups,
                rate,
                sounds: u32::try_from((lasts as i64 + more).max(1)).unwrap(),
                apart,
                levels: 2,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_frame_is_there_once_in_every_format(film in films()) {
        let bench = Bench::new(film.stored());
        let pictures: Vec<u32> = (0..film.pictures()).collect();
        let sounds: Vec<u32> = (0..film.sounds).collect();
        let end = u64::from(film.pictures()) * u64::from(film.tick);

        // CMAF: segments begin where the one before ends, at key frames, on both levels alike.
        let playlist = |level: &str, name: &str, format: &str| {
            listed(&bench, &format!("{level}/Manifest({name},format={format})"))
        };
        let high = playlist(HIGH, "video", "m3u8-cmaf");
        let low = playlist(LOW, "video", "m3u8-cmaf");
        let times = |list: &[(u64, u64, String)]| list.iter().map(|(t, l, _)| (*t, *l)).collect::<Vec<_>>();
        prop_assert_eq!(times(&high), times(&low));
        let keys: Vec<u64> = film.keys().iter().map(|n| u64::from(*n) * u64::from(film.tick)).collect();
        let starts: Vec<u64> = high.iter().map(|(start, _, _)| *start).collect();
        prop_assert!(starts.iter().all(|start| keys.contains(start)));
        let sound = playlist(SOUND, "sound", "m3u8-cmaf");
        for (level, name, list, ends) in [
            (HIGH, "video", &high, end),
            (LOW, "video", &low, end),
            (SOUND, "sound", &sound, u64::from(film.sounds) * 1024),
        ] {
            let mut file = get(&bench, &format!("{level}/Fragments({name}=i,format=m3u8-cmaf)")).body.to_vec();
            let mut firsts = Vec::new();
            for (start, _, url) in list {
                file.extend_from_slice(&get(&bench, url).body);
                firsts.push(*start);
            }
            let (_, samples) = fragments::read(&file);
            let begins: Vec<u64> = samples.iter().filter_map(|sample| sample.begins).collect();
            prop_assert_eq!(&begins, &firsts);
            prop_assert!(samples.windows(2).all(|two| two[0].decoded_until == two[1].decoded));
            prop_assert_eq!(samples.last().unwrap().decoded_until as u64, ends);
            // DASH lists the same.
            let mpd = get(&bench, "film.ism/manifest(format=mpd-time-cmaf)");
            firsts.push(ends);
            prop_assert_eq!(periods(mpd.text(), name), firsts);
        }

        // All playlists of a film state one target duration (§6.2.4).
        for format in ["m3u8-cmaf", "m3u8-aapl", "m3u8-aapl-v4"] {
            let of = |level: &str, name: &str| {
                let text = get(&bench, &format!("{level}/Manifest({name},format={format})")).text().to_owned();
                let number = |tag: &str| {
                    let lines = text.lines().filter_map(|line| line.strip_prefix(tag));
                    lines.map(|value| value.trim_end_matches(',').parse::<f64>().unwrap()).collect::<Vec<_>>()
                };
                (number("#EXT-X-TARGETDURATION:")[0], number("#EXTINF:").into_iter().fold(0.0, f64::max))
            };
            let all = [of(HIGH, "video"), of(LOW, "video"), of(SOUND, "sound")];
            for (target, longest) in all {
                prop_assert_eq!(target, all[0].0, "{}", format);
                prop_assert!(longest.round() <= target);
            }
        }

        // Smooth: the same, on its own clock, and of every chunk what it is called.
        let manifest = get(&bench, "film.ism/Manifest");
        for (name, list, scale, ends) in [
            ("video", &high, film.scale, end),
            ("sound", &sound, film.rate, u64::from(film.sounds) * 1024),
        ] {
            let found = unbroken(manifest.text(), name);
            let called = list.iter().map(|(start, _, _)| nearest(*start, scale, 10_000_000));
            prop_assert_eq!(found.iter().map(|(start, _)| *start).collect::<Vec<_>>(), called.collect::<Vec<_>>());
            let (start, duration) = found.last().unwrap();
            prop_assert_eq!(start + duration, nearest(ends, scale, 10_000_000));
        }

        // Transport streams: segments of several fragments, with all the frames.
        for level in [HIGH, LOW] {
            let (found, none) = in_packets(&bench, &format!("{level}/Manifest(video,format=m3u8-aapl)"));
            prop_assert_eq!(&found, &pictures);
            prop_assert!(none.is_empty());
        }
        let (_, found) = in_packets(&bench, &format!("{SOUND}/Manifest(sound,format=m3u8-aapl)"));
        prop_assert_eq!(&found, &sounds);
        let grouped = playlist(HIGH, "video", "m3u8-aapl");
        prop_assert_eq!(times(&grouped), times(&playlist(LOW, "video", "m3u8-aapl")));
        prop_assert!(grouped.iter().all(|(start, _, _)| starts.contains(start)));

        // And with sound in the segments of the pictures, each frame of it in one of them.
        for level in [HIGH, LOW] {
            let path = format!("{level}/Manifest(video,format=m3u8-aapl-v3,audioTrack=sound)");
            let (found, heard) = in_packets(&bench, &path);
            prop_assert_eq!(&found, &pictures);
            prop_assert_eq!(&heard, &sounds);
        }
    }
}

/// Twelve hours of 29.97 pictures a second and of 44.1 kHz.
#[test]
fn times_have_not_drifted_after_twelve_hours() {
    let seconds = 12 * 3600;
    let film = Film {
        scale: 30_000,
        tick: 1001,
        groups: vec![60; (seconds * 30_000 / (60 * 1001)) as usize],
        rate: 44_100,
        sounds: seconds * 44_100 / 1024,
        apart: false,
        levels: 1,
    };
    let bench = Bench::new(film.stored());
    let groups = film.groups.len() as u64;
    let starts: Vec<u64> = (0..groups).map(|n| n * 60 * 1001).collect();
    let end = groups * 60 * 1001;
    let sound_end = u64::from(film.sounds) * 1024;

    let video = listed(&bench, &format!("{HIGH}/Manifest(video,format=m3u8-cmaf)"));
    let found: Vec<u64> = video.iter().map(|(start, _, _)| *start).collect();
    assert_eq!(found, starts);
    let sound = listed(&bench, &format!("{SOUND}/Manifest(sound,format=m3u8-cmaf)"));
    // A segment of sound begins with the first frame behind its picture, twelve hours in as at the beginning.
    for ((at, _, _), picture) in sound.iter().zip(&starts) {
        assert_eq!(at % 1024, 0);
        let ahead = u128::from(*at) * 30_000;
        let of_picture = u128::from(*picture) * 44_100;
        assert!(
            ahead >= of_picture && ahead < of_picture + 1024 * 30_000,
            "{at}"
        );
    }
    // HLS players add up what they are told: to the microsecond.
    for (list, ends, scale) in [(&video, end, 30_000), (&sound, sound_end, 44_100)] {
        let told: u64 = list.iter().map(|(_, length, _)| *length).sum();
        let exact = nearest(ends, scale, 1_000_000);
        assert!(told.abs_diff(exact) <= 1, "{told} us, not {exact}");
    }
    let mpd = get(&bench, "film.ism/manifest(format=mpd-time-cmaf)");
    let mut all = starts.clone();
    all.push(end);
    assert_eq!(periods(mpd.text(), "video"), all);
    assert_eq!(periods(mpd.text(), "sound").last(), Some(&sound_end));
    let manifest = get(&bench, "film.ism/Manifest");
    let called = all.iter().map(|at| nearest(*at, 30_000, 10_000_000));
    let found = unbroken(manifest.text(), "video");
    let ends = found.last().map(|(start, duration)| start + duration);
    let found: Vec<u64> = found.iter().map(|(start, _)| *start).chain(ends).collect();
    assert_eq!(found, called.collect::<Vec<_>>());
    let found = unbroken(manifest.text(), "sound");
    let (start, duration) = found.last().unwrap();
    assert_eq!(start + duration, nearest(sound_end, 44_100, 10_000_000));
    // The last frames of all, by the clock of transport streams.
    for (level, name, pid, scale) in [
        (HIGH, "video", 0x100, 30_000),
        (SOUND, "sound", 0x101, 44_100),
    ] {
        let list = listed(
            &bench,
            &format!("{level}/Manifest({name},format=m3u8-aapl)"),
        );
        let (at, _, url) = list.last().unwrap();
        let mut stream = Stream::default();
        stream.feed(&get(&bench, url).body);
        let first = stream.packets[&pid].first().unwrap().0;
        assert_eq!(first, nearest(*at, scale, 90_000) + 900_000);
    }
}
