//! Forms of the sample tables that ffmpeg does not write: the same media in them is served as the same bytes.

use crate::common::*;

/// Seven seconds of pictures with a key frame every second, `moov` behind the media.
fn film() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let input = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=128x72:rate=25:duration=7",
    ];
    let keys = "keyint=25:min-keyint=25:scenecut=0:bframes=2";
    let coded = [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-x264-params",
        keys,
    ];
    ffmpeg(folder.path(), &[&input[..], &coded, &["film.mp4"]].concat());
    std::fs::read(folder.path().join("film.mp4")).unwrap()
}

fn boxed(name: &[u8], payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len() + 8).unwrap();
    [&size.to_be_bytes()[..], name, payload].concat()
}

/// The boxes of `parent` with what `change` makes of those that hold no others: `None` leaves a box as it is.
fn rewritten(parent: &[u8], change: &impl Fn(&[u8], &[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = parent;
    while !rest.is_empty() {
        let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (whole, behind) = rest.split_at(size);
        let (name, payload) = (&whole[4..8], &whole[8..]);
        match name {
            b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" => {
                out.extend(boxed(name, &rewritten(payload, change)));
            }
            _ => out.extend(change(name, payload).unwrap_or_else(|| whole.to_vec())),
        }
        rest = behind;
    }
    out
}

/// 32-bit fields of a full box behind its version and flags.
fn fields(payload: &[u8]) -> Vec<u32> {
    let fields = payload[4..].chunks_exact(4);
    fields
        .map(|field| u32::from_be_bytes(field.try_into().unwrap()))
        .collect()
}

/// A full box of version 0.
fn table(name: &[u8], fields: &[u32]) -> Vec<u8> {
    let bytes = [0]
        .iter()
        .chain(fields)
        .flat_map(|field| field.to_be_bytes());
    boxed(name, &bytes.collect::<Vec<u8>>())
}

fn bench(file: Vec<u8>) -> Bench {
    let storage = Memory::default();
    storage.write("film.mp4", file);
    Bench::new(storage)
}

fn refusal(file: Vec<u8>) -> String {
    let got = bench(file).get("film.ism/manifest(format=m3u8-cmaf)");
    assert_eq!(got.status, 415);
    got.text().to_owned()
}

#[test]
fn large_offsets_and_compact_sizes() {
    let film = film();
    let other = rewritten(&film, &|name, payload| match name {
        b"stco" => {
            let offsets = fields(payload);
            let wide = offsets[1..].iter().flat_map(|offset| [0, *offset]);
            let wide: Vec<u32> = [offsets[0]].into_iter().chain(wide).collect();
            Some(table(b"co64", &wide))
        }
        b"stsz" => {
            let sizes = fields(payload);
            let mut compact = [&[0; 7][..], &[16], &sizes[1].to_be_bytes()].concat();
            for size in &sizes[2..] {
                compact.extend(u16::try_from(*size).unwrap().to_be_bytes());
            }
            Some(boxed(b"stz2", &compact))
        }
        _ => None,
    });
    let has = |name: &[u8]| other.windows(4).any(|four| four == name);
    assert!(has(b"co64") && has(b"stz2") && !has(b"stco") && !has(b"stsz"));
    let expected = parts(&bench(film), "film");
    assert_eq!(expected.len(), 1 + 4);
    assert_eq!(parts(&bench(other), "film"), expected);
}

#[test]
fn sample_entries_that_no_sample_uses_do_no_harm_and_others_are_refused() {
    let film = film();
    let with_entries = |chunk_uses: u32| {
        rewritten(&film, &|name, payload| match name {
            b"stsd" => {
                let two = [
                    &payload[..4],
                    &2_u32.to_be_bytes(),
                    &payload[8..],
                    &payload[8..],
                ];
                Some(boxed(name, &two.concat()))
            }
            b"stsc" => {
                let mut runs = fields(payload);
                *runs.last_mut().unwrap() = chunk_uses;
                Some(table(name, &runs))
            }
            _ => None,
        })
    };
    let expected = parts(&bench(film.clone()), "film");
    assert_eq!(parts(&bench(with_entries(1)), "film"), expected);
    let refusal = refusal(with_entries(2));
    assert!(
        refusal.contains("changes its codec configuration midway"),
        "{refusal}"
    );
}

#[test]
fn sync_samples_that_are_not_listed_begin_no_segment() {
    let film = film();
    let listing = |numbers: &[u32]| {
        let count = u32::try_from(numbers.len()).unwrap();
        rewritten(&film, &|name, _| {
            (name == b"stss").then(|| table(name, &[&[count], numbers].concat()))
        })
    };
    // One second, three, and three; the first two run together.
    let sparse = parts(&bench(listing(&[1, 26, 101])), "film");
    assert_eq!(sparse.len(), 1 + 2);
    // Not in order, and past the end.
    assert_eq!(parts(&bench(listing(&[101, 1, 26, 9999])), "film"), sparse);
    let refusal = refusal(listing(&[]));
    assert!(
        refusal.contains("no sync sample to start decoding from"),
        "{refusal}"
    );
}
