//! Random ladders: the same pictures at several frame rates and timescales, and their sound, through index and packaging.
//! Segments tile, are the same span of time on every rendition, and stay where the media is for twelve hours.

mod support;

use headwater_cmaf::index::{SegmentEntry, TrackHead, TrackKind, build_from_movie};
use proptest::prelude::*;
use support::*;

/// Frames a second as a fraction, of the rendition that has the fewest.
const FRAME_RATES: [(u64, u64); 6] = [
    (12, 1),
    (25, 1),
    (24_000, 1001),
    (30_000, 1001),
    (30, 1),
    (15_000, 1001),
];
const TIMESCALES: [u32; 8] = [
    600, 1000, 12_800, 25_000, 30_000, 48_000, 90_000, 10_000_000,
];
const SAMPLE_RATES: [u32; 4] = [22_050, 32_000, 44_100, 48_000];

fn boxed(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len() + 8).unwrap();
    [&size.to_be_bytes()[..], name, payload].concat()
}

fn table(name: &[u8; 4], fields: &[u32]) -> Vec<u8> {
    let words = [0].iter().chain(fields);
    boxed(
        name,
        &words.flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>(),
    )
}

/// The sample description of picture or sound.
fn description(kind: TrackKind) -> Vec<u8> {
    let bumper = std::fs::read(media("azure-bumper.mp4")).unwrap();
    let mut found = (0..bumper.len()).filter(|at| bumper[*at..].starts_with(b"stsd"));
    let nth = usize::from(kind == TrackKind::Audio);
    let at = found.nth(nth).unwrap() - 4;
    let len = u32::from_be_bytes(bumper[at..at + 4].try_into().unwrap()) as usize;
    bumper[at..at + len].to_vec()
}

/// A track of samples of one byte.
struct Made {
    kind: TrackKind,
    timescale: u32,
    /// When each sample is decoded and shown, in ticks, and where the last ends.
    times: Vec<u64>,
    /// Places of the sync samples; empty: all are.
    sync: Vec<usize>,
}

impl Made {
    /// Pictures at `rate`, with these sync samples.
    fn video(timescale: u32, rate: (u64, u64), frames: usize, sync: Vec<usize>) -> Self {
        let at = |n: usize| {
            let ticks = n as u64 * u64::from(timescale) * rate.1;
            (ticks + rate.0 / 2) / rate.0
        };
        Self {
            kind: TrackKind::Video,
            timescale,
            times: (0..=frames).map(at).collect(),
            sync,
        }
    }

    /// Sound in frames of `frame` samples that lasts at least `seconds`.
    fn audio(rate: u32, frame: u64, seconds: f64) -> Self {
        // What is a frame too many by rounding begins behind the pictures, in a segment of its own.
        let count = (seconds * f64::from(rate) / frame as f64 - 1e-6).ceil() as u64;
        Self {
            kind: TrackKind::Audio,
            timescale: rate,
            times: (0..=count).map(|n| n * frame).collect(),
            sync: Vec::new(),
        }
    }

    fn count(&self) -> usize {
        self.times.len() - 1
    }

    fn trak(&self, id: u32, at: u32) -> Vec<u8> {
        let handler = match self.kind {
            TrackKind::Video => b"vide",
            _ => b"soun",
        };
        let count = u32::try_from(self.count()).unwrap();
        let mut runs: Vec<[u32; 2]> = Vec::new();
        for pair in self.times.windows(2) {
            let lasts = u32::try_from(pair[1] - pair[0]).unwrap();
            match runs.last_mut() {
                Some([many, same]) if *same == lasts => *many += 1,
                _ => runs.push([1, lasts]),
            }
        }
        let counted = |name: &[u8; 4], rows: &[u32], fields: usize| {
            let many = u32::try_from(rows.len() / fields).unwrap();
            table(name, &[&[many], rows].concat())
        };
        let mut tables = vec![
            description(self.kind),
            counted(b"stts", runs.as_flattened(), 2),
            table(b"stsz", &[1, count]),
            counted(b"stsc", &[1, count, 1], 3),
            counted(b"stco", &[at], 1),
        ];
        if !self.sync.is_empty() {
            let numbers = self.sync.iter().map(|n| u32::try_from(n + 1).unwrap());
            tables.push(counted(b"stss", &numbers.collect::<Vec<_>>(), 1));
        }
        let tkhd = table(b"tkhd", &[&[0, 0, id][..], &[0; 17]].concat());
        let mdhd = table(b"mdhd", &[0, 0, self.timescale, 0, 0x55c4_0000]);
        let hdlr = boxed(b"hdlr", &[&[0; 8], &handler[..], &[0; 13]].concat());
        let minf = boxed(b"minf", &boxed(b"stbl", &tables.concat()));
        let mdia = boxed(b"mdia", &[mdhd, hdlr, minf].concat());
        boxed(b"trak", &[tkhd, mdia].concat())
    }
}

/// A file of these tracks, with its media in front.
fn file(tracks: &[Made]) -> Vec<u8> {
    let bytes = tracks.iter().map(Made::count).sum();
    let mut at = 8;
    let mut moov = table(b"mvhd", &[&[0, 0, 1000][..], &[0; 22]].concat());
    for (id, made) in (1..).zip(tracks) {
        moov.extend(made.trak(id, at));
        at += u32::try_from(made.count()).unwrap();
    }
    [boxed(b"mdat", &vec![0; bytes]), boxed(b"moov", &moov)].concat()
}

/// The tracks of an index with their segments.
type Indexed = Vec<(TrackHead, Vec<SegmentEntry>)>;

/// The index of a file, and what is in it.
fn indexed(file: &[u8]) -> (Vec<u8>, Indexed) {
    let movie = headwater_bmff::parse_movie(file.to_vec().into()).unwrap();
    let index = build_from_movie(&movie, &source(file)).unwrap();
    let head = head(&index);
    let tracks = head.tracks.iter();
    let tracks = tracks.map(|track| (track.clone(), entries(&index, &head, track)));
    let tracks = tracks.collect();
    (index, tracks)
}

/// Starts of the segments and where the last ends, in ticks; they tile.
fn bounds(track: &TrackHead, segments: &[SegmentEntry]) -> Vec<u64> {
    let mut bounds = vec![track.start];
    for segment in segments {
        assert_eq!(Some(&segment.start), bounds.last(), "segments tile");
        assert!(segment.duration > 0, "no segment is empty");
        bounds.push(segment.start + segment.duration);
    }
    assert_eq!(bounds.last(), Some(&(track.start + track.duration)));
    bounds
}

/// Whether two instants are one, but for `ticks` of each scale.
fn same((a, of_a): (u64, u32), (b, of_b): (u64, u32)) -> bool {
    let (left, right) = (
        i128::from(a) * i128::from(of_b),
        i128::from(b) * i128::from(of_a),
    );
    (left - right).abs() <= i128::from(of_a.max(of_b))
}

/// What a ladder promises: of every file its tracks with their segments, the first with the sound in it.
fn is_a_ladder(files: &[(&[Made], Indexed)]) {
    let mut first: Option<(Vec<u64>, u32)> = None;
    for (made, tracks) in files {
        assert_eq!(made.len(), tracks.len());
        let mut video = None;
        for (made, (track, segments)) in made.iter().zip(tracks) {
            let bounds = bounds(track, segments);
            let scale = track.timescale.get();
            assert_eq!(scale, made.timescale, "times are those of the media");
            // Nothing drifts: every bound is the very tick at which the media has a sample.
            let inside = &bounds[..bounds.len() - 1];
            assert!(inside.iter().all(|at| made.times.binary_search(at).is_ok()));
            assert_eq!(bounds.last(), made.times.last());
            if made.kind == TrackKind::Video {
                let keys = inside
                    .iter()
                    .map(|at| made.times.binary_search(at).unwrap());
                let keys: Vec<_> = keys.collect();
                let are_keys = keys.iter().all(|key| made.sync.binary_search(key).is_ok());
                assert!(are_keys, "segments begin with key frames");
                let shortest = u64::from(scale) * 2 - made.times[1];
                let lasts = inside.windows(2).map(|pair| pair[1] - pair[0]);
                assert!(lasts.into_iter().all(|lasts| lasts >= shortest));
                let (first, of) = first.get_or_insert((bounds.clone(), scale));
                assert_eq!(bounds.len(), first.len(), "as many on every rendition");
                for (a, b) in bounds.iter().zip(first.iter()) {
                    assert!(same((*a, scale), (*b, *of)), "{a}/{scale} {b}/{of}");
                }
                video = Some((bounds, scale));
            } else if let Some((pictures, of)) = &video {
                // Sound begins a segment with the first frame at or after the picture does.
                let frame = i128::from(made.times[1]) * i128::from(*of);
                for (sound, picture) in inside.iter().zip(pictures) {
                    let late = i128::from(*sound) * i128::from(*of)
                        - i128::from(*picture) * i128::from(scale);
                    assert!((0..frame + i128::from(*of)).contains(&late), "{late}");
                }
                // In a last segment that is shorter than a frame of sound there may begin none.
                let last = pictures[pictures.len() - 1] - pictures[pictures.len() - 2];
                let short = i128::from(last) * i128::from(scale) < frame;
                let missing = pictures.len() - bounds.len();
                assert!(missing <= usize::from(short), "as many of sound");
            }
        }
    }
}

/// A ladder, before it is made: frame rate of the slowest rendition, its groups of pictures in frames, the other renditions
/// (times as many frames, timescale), and the sound.
#[derive(Debug, Clone)]
struct Plan {
    rate: (u64, u64),
    groups: Vec<usize>,
    renditions: Vec<(usize, u32)>,
    sample_rate: u32,
    frame: u64,
}

impl Plan {
    fn make(&self) -> Vec<Vec<Made>> {
        let mut frames = 0;
        let mut keys = Vec::new();
        for group in &self.groups {
            keys.push(frames);
            frames += group;
        }
        let seconds = (frames as u64 * self.rate.1) as f64 / self.rate.0 as f64;
        let renditions = self.renditions.iter().enumerate();
        let files = renditions.map(|(place, (times, timescale))| {
            let rate = (self.rate.0 * *times as u64, self.rate.1);
            let keys = keys.iter().map(|key| key * times).collect();
            let mut tracks = vec![Made::video(*timescale, rate, frames * times, keys)];
            if place == 0 {
                tracks.push(Made::audio(self.sample_rate, self.frame, seconds));
            }
            tracks
        });
        files.collect()
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    let rendition = (1_usize..=2, prop::sample::select(TIMESCALES.to_vec()));
    // Key frames where an encoder wants them: regular groups of two seconds, and cuts of scenes in between.
    let groups = prop::collection::vec((1_usize..=4, any::<bool>()), 1..25);
    (
        prop::sample::select(FRAME_RATES.to_vec()),
        groups,
        prop::collection::vec(rendition, 2..5),
        prop::sample::select(SAMPLE_RATES.to_vec()),
        prop::sample::select(vec![960_u64, 1024, 1536]),
    )
        .prop_map(|(rate, groups, renditions, sample_rate, frame)| {
            let regular = (rate.0 * 2).div_ceil(rate.1) as usize;
            let groups = groups.into_iter().map(|(part, whole)| match whole {
                true => regular,
                false => (regular * part / 3).max(1),
            });
            Plan {
                rate,
                groups: groups.collect(),
                renditions,
                sample_rate,
                frame,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn segments_tile_and_are_the_same_time_on_every_rendition(plan in plans()) {
        let made = plan.make();
        let mut files = Vec::new();
        for tracks in &made {
            let file = file(tracks);
            let (index, heads) = indexed(&file);
            for (track, _) in &heads {
                // As a player gets it: samples fill their segments, and the start is what is shown first.
                play(&file, &index, track);
            }
            files.push((tracks.as_slice(), heads));
        }
        is_a_ladder(&files);
    }
}

#[test]
fn nothing_drifts_in_twelve_hours() {
    const SECONDS: usize = 12 * 3600;
    // Few samples, each long: what could add up does so with the number of segments.
    let plan = |sample_rate, renditions: [(usize, u32); 3]| Plan {
        rate: (1000, 1001),
        groups: vec![2; SECONDS / 2],
        renditions: renditions.to_vec(),
        sample_rate,
        frame: 16_384,
    };
    for plan in [
        plan(44_100, [(1, 90_000), (2, 10_000_000), (1, 600)]),
        plan(48_000, [(2, 1000), (1, 30_000), (1, 12_800)]),
    ] {
        let made = plan.make();
        let files = made.iter().map(|tracks| {
            let (_, heads) = indexed(&file(tracks));
            assert_eq!(heads[0].1.len(), SECONDS / 2);
            (tracks.as_slice(), heads)
        });
        is_a_ladder(&files.collect::<Vec<_>>());
    }
}
