//! Broken files through everything that a server does with an upload: read, index, package. No panic, no file that takes
//! longer than a second, and none that takes more memory than 64 MiB or eight times its size.
//!
//! `cargo xtask fuzz` tries 100,000. `HEADWATER_MUTATIONS` sets how many (3000 by default); a file depends on its number alone, so
//! that `HEADWATER_MUTATION_SEED` repeats a failure.

mod mutate;
mod support;

use std::path::Path;

use bytes::Bytes;
use headwater_bmff::Limits;
use headwater_cmaf::index::{
    BuildSizes, BuildStep, HeadParse, IndexBuilder, parse_head, parse_page, segment_bytes,
};
use mutate::{Random, Seed};
use support::*;

/// What the origin accepts.
const LIMITS: Limits = Limits {
    moov_bytes: 1 << 30,
    moof_bytes: 4 << 20,
    samples: 1 << 24,
    table_bytes: 48 << 20,
    top_level_boxes: 1 << 18,
    window_bytes: 64 << 10,
};

/// Indexes a file and packages all of its segments.
fn digest(file: &Bytes) -> Result<(), String> {
    let text = |error: headwater_cmaf::CmafError| error.to_string();
    let mut builder = IndexBuilder::new(source(file), LIMITS, BuildSizes::default());
    let mut parts = Vec::new();
    let front = loop {
        match builder.step().map_err(text)? {
            BuildStep::Need { offset, len } => {
                let bytes = file.slice(offset as usize..(offset + len) as usize);
                builder.feed(offset, bytes).map_err(text)?;
            }
            BuildStep::Part(part) => parts.push(part),
            BuildStep::Done(front) => break front,
        }
    };
    drop(builder);
    let HeadParse::Complete(head) = parse_head(&front).unwrap() else {
        panic!("the front holds the head");
    };
    let index = [front, parts.concat()].concat();
    assert_eq!(head.index_len, index.len() as u64);
    for track in &head.tracks {
        for page in 0..track.page_count() {
            let range = track.page_range(page).unwrap();
            for entry in parse_page(&head, track, page, part(&index, range)).unwrap() {
                let record = part(&index, entry.record.clone());
                let plan = segment_bytes(&head, track, &entry, record).unwrap();
                for range in plan.ranges {
                    assert!(range.end <= file.len() as u64);
                }
            }
        }
    }
    Ok(())
}

fn made(folder: &Path, name: &str, options: &str) -> Vec<u8> {
    let path = folder.join(name);
    let inputs = "-f lavfi -i testsrc2=size=160x90:rate=25:duration=3 -f lavfi -i sine=sample_rate=48000:duration=3";
    let options = format!("{inputs} {options}");
    let options: Vec<&str> = options.split_whitespace().collect();
    ffmpeg(&[&options[..], &[text(&path)]].concat());
    std::fs::read(path).unwrap()
}

fn seeds() -> Vec<Seed> {
    let folder = tempfile::tempdir().unwrap();
    let x264 = "-c:v libx264 -preset veryfast -g 25 -bf 2 -b:v 60k -c:a aac -b:a 32k";
    let make = |name: &str, options: &str| made(folder.path(), name, options);
    let files = [
        std::fs::read(media("bigbuckbunny.mp4")).unwrap(),
        make("a.mp4", x264),
        make(
            "b.mp4",
            &format!("{x264} -movflags faststart -output_ts_offset 0.5"),
        ),
        make(
            "c.mp4",
            &format!("{x264} -movflags frag_keyframe+empty_moov+default_base_moof"),
        ),
        make("d.mp4", &format!("{x264} -movflags frag_keyframe")),
        make("e.mp4", &format!("{x264} -movflags cmaf")),
        make("f.ismv", &format!("{x264} -f ismv")),
        make("g.mov", x264),
        make(
            "h.mp4",
            "-c:v libx265 -preset ultrafast -x265-params log-level=none -c:a ac3",
        ),
        make(
            "i.mp4",
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus",
        ),
        make("j.mp4", "-c:v libsvtav1 -preset 12 -c:a flac -strict -2"),
        make("k.mp4", "-vn -c:a eac3"),
    ];
    files.into_iter().map(Seed::new).collect()
}

#[test]
fn mutated_files_are_digested_or_refused() {
    let seeds = seeds();
    for seed in &seeds {
        digest(&Bytes::from(seed.bytes.clone())).unwrap();
    }
    let make = |nth: u64| {
        let seed = &seeds[(nth % seeds.len() as u64) as usize];
        let file = seed.mutated(&mut Random(nth));
        vec![("file.mp4".to_owned(), file)]
    };
    let tally = mutate::run("index", 3000, make, |_, files| {
        let file = Bytes::from(files[0].1.clone());
        (digest(&file), file.len())
    });
    let (count, refused) = (tally.count, tally.refused);
    assert!(
        refused > count / 10,
        "mutations hit what matters: {refused}"
    );
    assert!(
        refused < count * 19 / 20,
        "and do not end all at the front: {refused}"
    );
}
