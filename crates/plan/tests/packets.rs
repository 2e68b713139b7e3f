//! Transport streams in plans: the same bytes whole and in parts, from any number of requests.

use bytes::Bytes;
use futures::executor::block_on;
use headwater_plan::*;
use headwater_protect::sample_aes::SampleAes;
use headwater_protect::{Key, Scheme};
use headwater_time::Timescale;
use headwater_ts::{
    Adts, Audio, AudioCodec, Fragment, ParameterSets, Part, Sample, StreamId, Tag, Video,
    encrypted_len, multiplex,
};
use proptest::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

/// A file with pictures in front and sound behind, delivered in small pieces.
struct File {
    bytes: Bytes,
    piece: usize,
    requests: RefCell<Vec<Range<u64>>>,
}

struct Pieces(Bytes, usize);

impl ByteStream for Pieces {
    type Error = &'static str;
    async fn next(&mut self) -> Result<Option<Bytes>, Self::Error> {
        let len = self.0.len().min(self.1);
        Ok((len > 0).then(|| self.0.split_to(len)))
    }
}

impl RangeSource for File {
    type Stream = Pieces;
    type Error = &'static str;
    async fn open(&self, _: &Object, range: Range<u64>) -> Result<Pieces, Self::Error> {
        self.requests.borrow_mut().push(range.clone());
        let range = range.start as usize..range.end as usize;
        Ok(Pieces(self.bytes.slice(range), self.piece))
    }
}

struct Collect(Vec<u8>);

impl Sink for Collect {
    type Error = ();
    async fn write(&mut self, bytes: Bytes) -> Result<(), ()> {
        assert!(!bytes.is_empty() && bytes.len() <= MAX_CHUNK_BYTES);
        self.0.extend_from_slice(&bytes);
        Ok(())
    }
}

fn samples(sizes: &[u32]) -> Vec<Sample> {
    let sample = |(n, size): (i64, &u32)| Sample {
        size: *size,
        decode: n * 20,
        present: n * 20,
        sync: n % 5 == 0,
        becomes: *size,
    };
    (0..).zip(sizes).map(sample).collect()
}

/// Pictures of one NAL unit each, then sound. Every picture is preceded by `gap` bytes of something else.
fn file(pictures: &[u32], sounds: &[u32], gap: u64) -> (Bytes, Vec<Range<u64>>, Range<u64>) {
    let mut bytes = Vec::new();
    let mut ranges = Vec::new();
    for size in pictures {
        bytes.resize(bytes.len() + gap as usize, 0xee);
        let start = bytes.len() as u64;
        bytes.extend_from_slice(&(size - 4).to_be_bytes());
        bytes.extend((4..*size).map(|n| if n == 4 { 0x65 } else { n as u8 }));
        ranges.push(start..bytes.len() as u64);
    }
    let start = bytes.len() as u64;
    bytes.extend((0..sounds.iter().sum::<u32>()).map(|n| n as u8));
    let end = bytes.len() as u64;
    (bytes.into(), ranges, start..end)
}

fn plan(pictures: &[u32], sounds: &[u32], gap: u64) -> (Plan, File) {
    plan_under(None, pictures, sounds, gap)
}

fn plan_under(key: Option<&SampleKey>, pictures: &[u32], sounds: &[u32], gap: u64) -> (Plan, File) {
    let (bytes, picture_ranges, sound) = file(pictures, sounds, gap);
    let parameters = ParameterSets::new([&[0x67, 1, 2][..], &[0x68, 3]]);
    let of = |sizes| {
        [Fragment {
            number: Some(5),
            samples: samples(sizes),
        }]
    };
    let (mut pictures, sounds) = (of(pictures), of(sounds));
    if let Some(SampleKey { key, iv }) = key {
        let cipher = SampleAes::new(key, *iv);
        for (sample, range) in pictures[0].samples.iter_mut().zip(&picture_ranges) {
            let bytes = &bytes[range.start as usize..range.end as usize];
            let len = encrypted_len(bytes, &cipher, &mut Vec::new()).unwrap();
            sample.becomes = len as u32;
        }
    }
    let video = Video {
        parameters: &parameters,
        timescale: Timescale::MILLIS,
        reordering: 0,
        fragments: &pictures,
        protected: key.is_some(),
    };
    let audio = Audio {
        codec: AudioCodec::Aac(Adts::new(48_000, 2).unwrap()),
        timescale: Timescale::MILLIS,
        fragments: &sounds,
        setup: key.map(|_| &[0x11, 0x90][..]),
    };
    let tags = [Tag {
        time: 1_800,
        data: b"ID3 with some words",
    }];
    let segment = multiplex(Some(&video), Some(&audio), Some(&tags)).unwrap();
    let pieces = segment.parts.into_iter().map(|part| match part {
        Part::Tables(bytes) | Part::Tag(bytes) => Piece::Packets(bytes.into()),
        Part::Pes(stream, pes) => Piece::Pes {
            stream: if stream == StreamId::Video { 0 } else { 1 },
            pes,
        },
    });
    let source = |range| Source { object: 0, range };
    let streams = vec![
        picture_ranges.into_iter().map(source).collect(),
        vec![source(sound)],
    ];
    let mut builder = PlanBuilder::new();
    builder
        .object(Object::new("http://blob/film?sig=secret", None).unwrap())
        .unwrap();
    builder
        .packetise(Packetise::new(streams, pieces.collect(), key.cloned()).unwrap())
        .unwrap();
    let file = File {
        bytes,
        piece: 333,
        requests: RefCell::default(),
    };
    (builder.finish(), file)
}

fn body(plan: &Plan, file: &File) -> Vec<u8> {
    let decoded = Plan::decode(plan.encode()).unwrap();
    assert_eq!(decoded, *plan);
    assert!(plan.encode().len() <= MAX_ENCODED_BYTES);
    let mut sink = Collect(Vec::new());
    let len = block_on(assemble(&decoded, file, &mut sink)).unwrap();
    assert_eq!(
        (len, plan.total_len()),
        (sink.0.len() as u64, sink.0.len() as u64)
    );
    sink.0
}

proptest! {
    #[test]
    fn part_is_a_part_of_the_whole(
        pictures in proptest::collection::vec(5u32..4000, 1..12), sounds in proptest::collection::vec(1u32..900, 1..30),
        a: prop::sample::Index, b: prop::sample::Index
    ) {
        let (plan, file) = plan(&pictures, &sounds, 3);
        let whole = body(&plan, &file);
        prop_assert_eq!(whole.len() % 188, 0);
        let (a, b) = (a.index(whole.len() + 1), b.index(whole.len() + 1));
        let (start, end) = (a.min(b), a.max(b));
        let part = plan.slice(start as u64..end as u64).unwrap();
        prop_assert_eq!(body(&part, &file), &whole[start..end]);
        // A part of a part.
        let middle = (end - start) / 2;
        let again = part.slice(0..middle as u64).unwrap();
        prop_assert_eq!(body(&again, &file), &whole[start..start + middle]);
    }

    #[test]
    fn damaged_plans_are_answered(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let (plan, file) = plan(&[300, 40], &[20; 9], 0);
        let mut bytes = plan.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(plan) = Plan::decode(bytes.clone().into()) {
            let inside = |s: &Source| s.range.end <= file.bytes.len() as u64;
            let readable = plan.steps().iter().all(|s| match s {
                Step::Packetise(step) => step.streams().iter().flatten().all(inside),
                _ => true,
            });
            if readable {
                let mut sink = Collect(Vec::new());
                let _ = block_on(assemble(&plan, &file, &mut sink));
                prop_assert!(sink.0.len() as u64 <= plan.total_len());
            }
        }
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(Plan::decode(bytes.into()).is_err());
    }
}

#[test]
fn streams_are_read_side_by_side_in_few_requests() {
    let (plan, file) = plan(&[2000; 10], &[100; 20], 7);
    let whole = body(&plan, &file);
    let (video, audio) = (7..20_070, 20_070..22_070);
    assert_eq!(*file.requests.borrow(), [video.clone(), audio]);
    assert_eq!(plan.first_run().unwrap().range, video);
    // The first packet after the tables holds the delimiter and the parameter sets, then the picture.
    let payload = &whole[2 * 188 + 12..3 * 188];
    let prefix = [
        0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65,
    ];
    assert_eq!(payload[14..14 + prefix.len()], prefix);
    // A part needs the bytes of its own samples only.
    file.requests.borrow_mut().clear();
    let end = plan.total_len();
    body(&plan.slice(end - 188..end).unwrap(), &file);
    assert_eq!(file.requests.borrow().len(), 1);
    let text = plan.to_string();
    assert!(
        text.contains("transport stream of 30 samples") && !text.contains("secret"),
        "{text}"
    );
}

#[test]
fn damaged_samples_break_the_body_off() {
    let (plan, file) = plan(&[50], &[10], 0);
    let mut bytes = file.bytes.to_vec();
    bytes[3] = 200;
    let file = File {
        bytes: bytes.into(),
        ..file
    };
    let result = block_on(assemble(&plan, &file, &mut Collect(Vec::new())));
    assert!(matches!(result, Err(AssembleError::Media(_))), "{result:?}");
}

#[test]
fn what_does_not_match_is_no_step() {
    let pes = match multiplex(
        None,
        Some(&Audio {
            codec: AudioCodec::Ac3,
            timescale: Timescale::MILLIS,
            fragments: &[Fragment {
                number: Some(0),
                samples: samples(&[100]),
            }],
            setup: None,
        }),
        None,
    )
    .unwrap()
    .parts
    .pop()
    .unwrap()
    {
        Part::Pes(_, pes) => pes,
        Part::Tables(_) | Part::Tag(_) => panic!(),
    };
    let piece = |stream| Piece::Pes {
        stream,
        pes: pes.clone(),
    };
    let source = |range| Source { object: 0, range };
    assert!(Packetise::new(vec![vec![source(5..105)]], vec![piece(0)], None).is_ok());
    for (streams, pieces) in [
        (vec![vec![source(5..104)]], vec![piece(0)]),
        (vec![vec![source(5..105)]], vec![piece(1)]),
        (vec![vec![source(5..105), source(7..7)]], vec![piece(0)]),
        (vec![vec![]], vec![Piece::Packets(Bytes::new())]),
        (vec![], vec![]),
    ] {
        assert!(matches!(
            Packetise::new(streams, pieces, None),
            Err(PlanError::Packets(_))
        ));
    }
    let mut builder = PlanBuilder::new();
    let step = Packetise::new(vec![vec![source(5..105)]], vec![piece(0)], None).unwrap();
    assert_eq!(builder.packetise(step), Err(PlanError::NoSuchObject(0)));
}

fn carried_out(plan: &Plan, file: &File) -> Vec<u8> {
    let mut out = Collect(Vec::new());
    block_on(assemble(plan, file, &mut out)).unwrap();
    out.0
}

#[test]
fn encrypted_samples_go_over_the_wire_and_into_parts() {
    let key = SampleKey {
        key: Key::new([0x5a; 16]),
        iv: [6; 16],
    };
    let pictures = [9000, 60, 700, 3000, 40, 8000];
    let sounds = [400, 15, 380, 16, 500];
    let (clear, file) = plan(&pictures, &sounds, 3);
    let (plan, _) = plan_under(Some(&key), &pictures, &sounds, 3);
    let whole = carried_out(&plan, &file);
    assert_ne!(whole, carried_out(&clear, &file));
    assert_eq!(whole.len() as u64, plan.total_len());
    let again = Plan::decode(plan.encode()).unwrap();
    assert_eq!(again, plan);
    let len = plan.total_len();
    for range in [
        0..1,
        0..188,
        188..400,
        1000..9000,
        9000..len - 7,
        len - 1..len,
    ] {
        let part = Plan::decode(plan.slice(range.clone()).unwrap().encode()).unwrap();
        let expected = &whole[range.start as usize..range.end as usize];
        assert_eq!(carried_out(&part, &file), expected, "{range:?}");
    }
    let shown = format!("{plan} {plan:?}");
    assert!(!shown.contains("90, 90") && !shown.contains("5a5a"));
    // An answer for lengths is what the layout was made with.
    let (_, ranges, _) = self::file(&pictures, &[], 3);
    let mut builder = PlanBuilder::new();
    let object = builder
        .object(Object::new("http://blob/film", None).unwrap())
        .unwrap();
    for range in &ranges {
        builder.range(object, range.clone()).unwrap();
    }
    let asked = Scan {
        scheme: Scheme::Cbcs,
        codec: ScanCodec::SampleAes(key.clone()),
        sizes: pictures.to_vec(),
        plan: builder.finish(),
    };
    let asked = Scan::decode(asked.encode()).unwrap();
    let map = block_on(scan(&asked, &file)).unwrap();
    let answer = asked.read_map(&Scan::write_map(map)).unwrap();
    let cipher = SampleAes::new(&key.key, key.iv);
    for (sample, range) in answer.iter().zip(&ranges) {
        let bytes = &file.bytes[range.start as usize..range.end as usize];
        let len = encrypted_len(bytes, &cipher, &mut Vec::new()).unwrap();
        assert_eq!(sample[0].len(), len as u64);
    }
    assert!(
        asked
            .read_map(&Scan::write_map(answer[1..].to_vec()))
            .is_err()
    );
}
