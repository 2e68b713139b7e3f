//! An index that is built by range reads is the one that is built in memory.

mod support;

use headwater_bmff::Limits;
use headwater_cmaf::CmafError;
use headwater_cmaf::index::{BuildSizes, build_from_movie};
use proptest::prelude::*;
use support::*;

/// Small enough that every table takes many reads.
const TINY: BuildSizes = BuildSizes {
    window_bytes: 40,
    whole_moov_bytes: 0,
    part_bytes: 500,
};

fn limits(window_bytes: u64) -> Limits {
    Limits {
        window_bytes,
        ..Limits::default()
    }
}

fn boxed(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let payload = parts.concat();
    let size = u32::try_from(payload.len() + 8).unwrap();
    [&size.to_be_bytes()[..], name, &payload].concat()
}

fn table(name: &[u8; 4], fields: &[u32]) -> Vec<u8> {
    let words = [0].iter().chain(fields);
    boxed(
        name,
        &[&words
            .flat_map(|word| word.to_be_bytes())
            .collect::<Vec<u8>>()],
    )
}

/// A table that begins with the number of its rows.
fn counted(name: &[u8; 4], rows: &[Vec<u32>]) -> Vec<u8> {
    let count = u32::try_from(rows.len()).unwrap();
    table(name, &[&[count][..], &rows.concat()].concat())
}

/// The sample description of picture or sound.
fn description(nth: usize) -> Vec<u8> {
    let bumper = std::fs::read(media("azure-bumper.mp4")).unwrap();
    let mut found = (0..bumper.len()).filter(|at| bumper[*at..].starts_with(b"stsd"));
    let at = found.nth(nth).unwrap() - 4;
    let len = u32::from_be_bytes(bumper[at..at + 4].try_into().unwrap()) as usize;
    bumper[at..at + len].to_vec()
}

/// One track of a made-up file.
#[derive(Debug, Clone)]
struct Made {
    video: bool,
    sizes: Vec<u32>,
    uniform: bool,
    durations: Vec<Vec<u32>>,
    offsets: Vec<Vec<u32>>,
    sync: Option<Vec<u32>>,
    chunk_runs: Vec<u32>,
    chunks: Vec<u32>,
    wide: bool,
    edit: Option<(u32, u32, u32)>,
    late_handler: bool,
}

fn made() -> impl Strategy<Value = Made> {
    let times = (
        proptest::collection::vec((1u32..40, 0u32..2000), 1..30),
        proptest::collection::vec((1u32..4, -1500i32..3000), 0..60),
        proptest::option::weighted(0.8, proptest::collection::vec(1u32..200, 1..40)),
    );
    let places = (
        proptest::collection::vec(1u32..9, 1..12),
        proptest::collection::vec(0u32..5000, 1..200),
        any::<bool>(),
    );
    let sizes = (proptest::collection::vec(0u32..300, 1..300), any::<bool>());
    let edit = proptest::option::of((0u32..500, 0u32..9000, 0u32..20_000));
    (any::<bool>(), times, places, sizes, edit, 0u32..20).prop_map(
        |(
            video,
            (durations, offsets, sync),
            (per_chunk, chunks, wide),
            (sizes, uniform),
            edit,
            late,
        )| Made {
            video,
            sizes,
            uniform,
            durations: durations
                .iter()
                .map(|(count, ticks)| vec![*count, *ticks])
                .collect(),
            offsets: offsets
                .iter()
                .map(|(count, ticks)| vec![*count, *ticks as u32])
                .collect(),
            sync: sync.map(|mut numbers| {
                numbers.insert(0, 1);
                numbers
            }),
            chunk_runs: per_chunk,
            chunks,
            wide,
            edit,
            late_handler: late == 0,
        },
    )
}

fn trak(id: u32, made: &Made) -> Vec<u8> {
    let (handler, place) = if made.video {
        (b"vide", 0)
    } else {
        (b"soun", 1)
    };
    let count = made.sizes.len() as u32;
    let mut tables = vec![description(place)];
    tables.push(counted(b"stts", &made.durations));
    if !made.offsets.is_empty() {
        tables.push(counted(b"ctts", &made.offsets));
    }
    if let Some(sync) = &made.sync {
        let rows: Vec<Vec<u32>> = sync.iter().map(|number| vec![*number]).collect();
        tables.push(counted(b"stss", &rows));
    }
    tables.push(match made.uniform {
        true => table(b"stsz", &[made.sizes[0].max(1), count]),
        false => table(b"stsz", &[&[0, count][..], &made.sizes].concat()),
    });
    let runs: Vec<Vec<u32>> = (1..)
        .zip(&made.chunk_runs)
        .map(|(first, per)| vec![first * 2 - 1, *per, 1])
        .collect();
    tables.push(counted(b"stsc", &runs));
    tables.push(match made.wide {
        true => {
            let rows: Vec<Vec<u32>> = made.chunks.iter().map(|at| vec![0, *at]).collect();
            let count = [0, 0, 0, 0]
                .iter()
                .copied()
                .chain((rows.len() as u32).to_be_bytes());
            let head: Vec<u8> = count.collect();
            let rows: Vec<u8> = rows
                .concat()
                .iter()
                .flat_map(|word| word.to_be_bytes())
                .collect();
            boxed(b"co64", &[&head, &rows])
        }
        false => {
            let rows: Vec<Vec<u32>> = made.chunks.iter().map(|at| vec![*at]).collect();
            counted(b"stco", &rows)
        }
    });
    let tkhd = table(b"tkhd", &[&[0, 0, id][..], &[0; 17]].concat());
    let mdhd = table(b"mdhd", &[0, 0, 1000, 0, 0x55c4_0000]);
    let hdlr = boxed(b"hdlr", &[&[0; 8], handler, &[0; 13]]);
    let minf = boxed(b"minf", &[&boxed(b"stbl", &[&tables.concat()])]);
    let mdia = match made.late_handler {
        true => boxed(b"mdia", &[&mdhd, &minf, &hdlr]),
        false => boxed(b"mdia", &[&mdhd, &hdlr, &minf]),
    };
    let edts = made.edit.map(|(delay, start, length)| {
        let rows = [
            vec![delay, u32::MAX, 0x1_0000],
            vec![length, start, 0x1_0000],
        ];
        boxed(b"edts", &[&counted(b"elst", &rows)])
    });
    boxed(b"trak", &[&tkhd, &edts.unwrap_or_default(), &mdia])
}

fn file(tracks: &[Made], after: bool) -> Vec<u8> {
    let mvhd = table(b"mvhd", &[&[0, 0, 1000][..], &[0; 22]].concat());
    let traks: Vec<Vec<u8>> = (1..).zip(tracks).map(|(id, made)| trak(id, made)).collect();
    let free = boxed(b"udta", &[&[7; 333]]);
    let moov = boxed(b"moov", &[&mvhd, &free, &traks.concat()]);
    let mdat = boxed(b"mdat", &[&[0; 20_000]]);
    if after {
        [mdat, moov].concat()
    } else {
        [moov, mdat].concat()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_tables_give_the_same_index_or_both_are_refused(
        tracks in proptest::collection::vec(made(), 1..4), after: bool, window in 16u64..300
    ) {
        let file = file(&tracks, after);
        let whole = headwater_bmff::parse_movie(file.clone().into())
            .map_err(headwater_cmaf::CmafError::from)
            .and_then(|movie| build_from_movie(&movie, &source(&file)));
        for (limits, sizes) in [
            (limits(window), TINY),
            (limits(window), BuildSizes { whole_moov_bytes: 1 << 20, ..TINY }),
            (Limits::default(), BuildSizes::default()),
        ] {
            let built = build(&file, limits, sizes);
            match (&whole, built) {
                (Ok(index), Ok((built, _))) => prop_assert_eq!(index, &built),
                (Err(_), Err(_)) => {}
                // A track of which nothing is presented is not looked at any closer by ranges.
                (Err(CmafError::Movie(_)), Ok((built, _))) => {
                    prop_assert!(head(&built).tracks.len() < tracks.len());
                }
                (whole, built) => prop_assert!(
                    false, "in memory {:?}, by ranges {:?}", whole.as_ref().map(Vec::len), built.map(|b| b.0.len())
                ),
            }
        }
    }
}

#[test]
fn made_up_tables_are_packaged_often_enough_to_prove_something() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let packaged = (0..100)
        .filter(|_| {
            let made = made().new_tree(&mut runner).unwrap().current();
            build(
                &file(&[made], false),
                Limits::default(),
                BuildSizes::default(),
            )
            .is_ok()
        })
        .count();
    println!("{packaged} of 100");
    assert!(packaged > 20, "{packaged} of 100");
}

#[test]
fn real_files_give_the_same_index_and_few_reads() {
    for name in [
        "bigbuckbunny.mp4",
        "car-detection.mp4",
        "azure-bumper.mp4",
        "surround-audio.mp4",
    ] {
        let file = std::fs::read(media(name)).unwrap();
        let index = build_from_movie(&movie(&file), &source(&file)).unwrap();
        let (built, reads) = build(&file, Limits::default(), BuildSizes::default()).unwrap();
        assert_eq!(built, index, "{name}");
        assert!(reads.len() <= 4, "{name}: {reads:?}");
        let (built, _) = build(&file, limits(64), TINY).unwrap();
        assert_eq!(built, index, "{name}");
    }
}
