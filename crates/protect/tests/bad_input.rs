//! Damaged and hostile media: an error, never a panic, and never bytes that a run does not cover.

use headwater_protect::boxes::{Encryption, Iv};
use headwater_protect::fragment::{self, FragmentProtection};
use headwater_protect::init::{self, InitProtection};
use headwater_protect::{
    IvSpace, Kid, ProtectedSegment, Scanner, Scheme, SegmentProtection, Subsample, boxes,
};
use proptest::prelude::*;

/// bigbuckbunny.mp4's parameter sets.
const SPS: &[u8] = &[
    0x67, 0x4d, 0x40, 0x1f, 0xe8, 0x80, 0x28, 0x02, 0xdd, 0x80, 0xb5, 0x01, 0x01, 0x01, 0x40, 0x00,
    0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc6, 0x0c, 0x44, 0x80,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xaf, 0x20];

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).unwrap().to_be_bytes();
    [&size, kind.as_slice(), body].concat()
}

fn init() -> Vec<u8> {
    let entry = boxed(b"avc1", &[0; 78]);
    let stsd = boxed(
        b"stsd",
        &[&[0, 0, 0, 0, 0, 0, 0, 1], entry.as_slice()].concat(),
    );
    let trak = [b"stbl", b"minf", b"mdia", b"trak"]
        .iter()
        .fold(stsd, |inner, kind| boxed(kind, &inner));
    [boxed(b"ftyp", b"cmf2\0\0\0\0"), boxed(b"moov", &trak)].concat()
}

/// A head with one sample of `size` bytes; `before`: boxes that precede the `moof`.
fn head(before: &[u8], size: u32) -> Vec<u8> {
    let tfhd = boxed(b"tfhd", &[0, 2, 0, 0, 0, 0, 0, 1]);
    let trun = boxed(
        b"trun",
        &[
            &[0, 0, 2, 1, 0, 0, 0, 1, 0, 0, 0, 100],
            size.to_be_bytes().as_slice(),
        ]
        .concat(),
    );
    let traf = boxed(b"traf", &[tfhd, trun].concat());
    let moof = boxed(b"moof", &traf);
    let mdat = [(size + 8).to_be_bytes().as_slice(), b"mdat"].concat();
    [before, &moof, &mdat].concat()
}

fn protection(scheme: Scheme, video: bool) -> SegmentProtection {
    let kid = Kid::from_bytes([1; 16]);
    SegmentProtection {
        scheme,
        kid,
        video,
        constant_iv: IvSpace::constant(kid),
    }
}

#[test]
fn the_offset_of_the_media_grows_by_what_is_added() {
    let samples = || {
        vec![vec![Subsample {
            clear: 10,
            protected: 32,
        }]]
    };
    for before in [Vec::new(), boxed(b"styp", b"cmfs\0\0\0\0")] {
        let clear = head(&before, 42);
        for scheme in [Scheme::Cenc, Scheme::Cbcs, Scheme::Piff] {
            for rotated in [None, Some(&[boxed(b"pssh", &[0; 24])][..])] {
                let made = ProtectedSegment::plan(
                    &protection(scheme, true),
                    &clear,
                    samples(),
                    7,
                    rotated,
                )
                .unwrap();
                let grown = made.head.len() - clear.len();
                let at = made
                    .head
                    .windows(4)
                    .position(|window| window == b"trun")
                    .unwrap()
                    + 12;
                let offset = u32::from_be_bytes(made.head[at..at + 4].try_into().unwrap());
                assert_eq!(offset as usize, 100 + grown, "{scheme:?}");
                assert!(made.head.starts_with(&before));
                if scheme != Scheme::Piff {
                    // `saio` points at the first sample's information inside `senc`.
                    let saio = made
                        .head
                        .windows(4)
                        .position(|window| window == b"saio")
                        .unwrap()
                        + 12;
                    let offset =
                        u32::from_be_bytes(made.head[saio..saio + 4].try_into().unwrap()) as usize;
                    let senc = made
                        .head
                        .windows(4)
                        .position(|window| window == b"senc")
                        .unwrap();
                    assert_eq!(before.len() + offset, senc + 12, "{scheme:?}");
                }
            }
        }
    }
}

#[test]
fn whole_samples_with_a_constant_vector_need_nothing_said() {
    let clear = head(&[], 42);
    let made = ProtectedSegment::plan(
        &protection(Scheme::Cbcs, false),
        &clear,
        SegmentProtection::whole([42]),
        0,
        None,
    )
    .unwrap();
    assert_eq!(made.head, clear);
}

#[test]
fn a_map_that_does_not_fit_the_media_is_refused() {
    for size in [41, 43, 0] {
        let made = ProtectedSegment::plan(
            &protection(Scheme::Cenc, false),
            &head(&[], 42),
            SegmentProtection::whole([size]),
            0,
            None,
        );
        assert!(made.is_err());
    }
}

#[test]
fn what_is_protected_already_is_refused() {
    let encryption = Encryption {
        kid: Kid::from_bytes([1; 16]),
        iv: Iv::PerSample,
        pattern: None,
    };
    let protection = InitProtection {
        scheme: Scheme::Cenc,
        encryption,
        pssh: &[],
    };
    let once = init::protect(&init(), &protection).unwrap();
    assert!(once.windows(4).any(|window| window == b"encv"));
    assert!(init::protect(&once, &protection).is_err());
    let samples = vec![vec![Subsample {
        clear: 10,
        protected: 32,
    }]];
    let made = ProtectedSegment::plan(
        &self::protection(Scheme::Cenc, true),
        &head(&[], 42),
        samples.clone(),
        0,
        None,
    )
    .unwrap();
    assert!(
        ProtectedSegment::plan(
            &self::protection(Scheme::Cenc, true),
            &made.head,
            samples,
            0,
            None
        )
        .is_err()
    );
}

fn is_media(parts: &[Subsample], sample: &[u8]) -> bool {
    parts.iter().map(Subsample::len).sum::<u64>() == sample.len() as u64
        && parts.iter().all(|part| part.clear <= 0xffff)
}

proptest! {
    #[test]
    fn a_scan_covers_the_sample_or_fails(
        mut sample: Vec<u8>,
        nals in proptest::collection::vec((0u8..32, proptest::collection::vec(any::<u8>(), 0..200)), 0..6),
    ) {
        let mut scanner = Scanner::avc(4, [SPS, PPS]).unwrap();
        if let Ok(parts) = scanner.scan(&sample, Scheme::Cbcs) {
            prop_assert!(is_media(&parts, &sample));
        }
        sample.clear();
        for (kind, body) in nals {
            sample.extend((u32::try_from(body.len()).unwrap() + 1).to_be_bytes());
            sample.push(0x60 | kind);
            sample.extend(body);
        }
        for scheme in [Scheme::Cenc, Scheme::Cbcs] {
            if let Ok(parts) = Scanner::avc(4, [SPS, PPS]).unwrap().scan(&sample, scheme) {
                prop_assert!(is_media(&parts, &sample));
                prop_assert!(scheme == Scheme::Cbcs || parts.iter().all(|part| part.protected % 16 == 0));
            }
        }
    }

    #[test]
    fn parameter_sets_never_panic(record: Vec<u8>, nal in proptest::collection::vec(any::<u8>(), 0..120), kind in 0u8..64) {
        let _ = Scanner::hevc(&record);
        let nal = [&[kind << 1, 1], nal.as_slice()].concat();
        let length = u16::try_from(nal.len()).unwrap().to_be_bytes();
        let record = [&[0; 21][..], &[3, 1, kind, 0, 1], &length, &nal].concat();
        if let Ok(mut scanner) = Scanner::hevc(&record) {
            let sample = [&u32::try_from(nal.len()).unwrap().to_be_bytes(), nal.as_slice()].concat();
            let _ = scanner.scan(&sample, Scheme::Cbcs);
        }
        let _ = Scanner::avc(4, [nal.as_slice()]);
    }

    #[test]
    fn damaged_boxes_never_panic(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let encryption = Encryption { kid: Kid::from_bytes([1; 16]), iv: Iv::PerSample, pattern: None };
        let protection = InitProtection { scheme: Scheme::Cenc, encryption, pssh: &[] };
        let samples = vec![vec![Subsample { clear: 10, protected: 32 }]];
        for mut bytes in [init(), head(&boxed(b"styp", b"cmfs"), 42)] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
            let _ = init::protect(&bytes, &protection);
            let auxiliary = boxes::Auxiliary { first_iv: Some(1), samples: &samples, places: None, subsamples: true };
            let fragment = FragmentProtection { scheme: Scheme::Cenc, auxiliary, rotated: None, pssh: &[] };
            let _ = fragment::protect(&bytes, &fragment);
        }
    }
}

/// A sequence header of 320x180 as SVT-AV1 writes it, and `av1C` in front of it.
const AV1C: &[u8] = &[
    0x81, 0x00, 0x0c, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcc, 0x02, 0xf8, 0x00,
    0x40,
];

proptest! {
    #[test]
    fn av1_that_is_none_is_refused_or_covered(
        record in proptest::collection::vec(any::<u8>(), 0..40),
        samples in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..4),
        kind in prop_oneof![Just(0x32_u8), Just(0x1a), Just(0x22), Just(0x0a)],
    ) {
        let _ = Scanner::av1(&record);
        let mut scanner = Scanner::av1(AV1C).unwrap();
        for mut sample in samples {
            // A frame, a frame header, a tile group or a sequence header with its size.
            if let [first, second, ..] = sample.as_mut_slice() {
                (*first, *second) = (kind, 100);
            }
            if let Ok(parts) = scanner.scan(&sample, Scheme::Cenc) {
                let covered: u64 = parts.iter().map(Subsample::len).sum();
                prop_assert_eq!(covered, sample.len() as u64);
                prop_assert!(parts.iter().all(|part| part.protected % 16 == 0));
            }
        }
    }
}
