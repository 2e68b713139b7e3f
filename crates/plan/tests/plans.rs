//! Plans: encoding, slicing, assembling, limits and what they show of themselves.

use bytes::Bytes;
use futures::executor::block_on;
use headwater_plan::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

/// Objects in memory, delivered in pieces of `piece` bytes.
struct Memory {
    objects: Vec<(String, Bytes)>,
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

impl RangeSource for Memory {
    type Stream = Pieces;
    type Error = &'static str;
    async fn open(&self, object: &Object, range: Range<u64>) -> Result<Pieces, Self::Error> {
        self.requests.borrow_mut().push(range.clone());
        let (_, bytes) = self
            .objects
            .iter()
            .find(|(url, _)| url == object.url())
            .ok_or("no such object")?;
        let range = range.start as usize..(range.end as usize).min(bytes.len());
        Ok(Pieces(bytes.slice(range), self.piece))
    }
}

#[derive(Default)]
struct Collect(Vec<u8>, usize);

impl Sink for Collect {
    type Error = &'static str;
    async fn write(&mut self, bytes: Bytes) -> Result<(), Self::Error> {
        assert!(!bytes.is_empty());
        self.1 = self.1.max(bytes.len());
        self.0.extend_from_slice(&bytes);
        Ok(())
    }
}

fn object(n: usize) -> Object {
    Object::new(
        format!("http://blob/local/asset/{n}?sig=secret"),
        Some(format!("\"0x{n}\"")),
    )
    .unwrap()
}

fn store(piece: usize) -> Memory {
    let objects = (0..3u32)
        .map(|n| {
            let bytes: Vec<u8> = (0..4000u32).map(|i| (i * 7 + n * 31) as u8).collect();
            (object(n as usize).url().to_owned(), bytes.into())
        })
        .collect();
    Memory {
        objects,
        piece,
        requests: RefCell::default(),
    }
}

fn body(plan: &Plan, piece: usize) -> Vec<u8> {
    let mut sink = Collect::default();
    let len = block_on(assemble(plan, &store(piece), &mut sink)).unwrap();
    assert_eq!(len, sink.0.len() as u64);
    sink.0
}

#[derive(Debug, Clone)]
enum Piece {
    Inline(Vec<u8>),
    Range(u32, Range<u64>),
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let inline = proptest::collection::vec(any::<u8>(), 0..20).prop_map(Piece::Inline);
    let range = (0u32..3, 0u64..3900, 0u64..100)
        .prop_map(|(object, start, len)| Piece::Range(object, start..start + len));
    proptest::collection::vec(prop_oneof![1 => inline, 3 => range], 0..20)
}

/// The plan of `pieces` and, straight from the objects, the body it stands for.
fn plan_of(pieces: &[Piece]) -> (Plan, Vec<u8>) {
    let memory = store(1);
    let mut builder = PlanBuilder::new();
    for n in 0..3 {
        builder.object(object(n)).unwrap();
    }
    let mut expected = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Inline(bytes) => {
                builder.inline(bytes.clone()).unwrap();
                expected.extend_from_slice(bytes);
            }
            Piece::Range(object, range) => {
                builder.range(*object, range.clone()).unwrap();
                let bytes = &memory.objects[*object as usize].1;
                expected.extend_from_slice(&bytes[range.start as usize..range.end as usize]);
            }
        }
    }
    (builder.finish(), expected)
}

proptest! {
    #[test]
    fn assembled_body_is_what_the_steps_say(pieces in pieces(), piece in 1usize..300) {
        let (plan, expected) = plan_of(&pieces);
        prop_assert_eq!(plan.total_len(), expected.len() as u64);
        prop_assert_eq!(body(&plan, piece), expected);
    }

    #[test]
    fn decoding_gives_the_encoded_plan(pieces in pieces()) {
        let (plan, _) = plan_of(&pieces);
        let bytes = plan.encode();
        prop_assert!(bytes.len() <= MAX_ENCODED_BYTES);
        prop_assert_eq!(Plan::decode(bytes).unwrap(), plan);
    }

    #[test]
    fn slice_is_a_slice_of_the_body(pieces in pieces(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let (plan, expected) = plan_of(&pieces);
        let (a, b) = (a.index(expected.len() + 1), b.index(expected.len() + 1));
        let (start, end) = (a.min(b), a.max(b));
        let slice = plan.slice(start as u64..end as u64).unwrap();
        prop_assert_eq!(slice.total_len(), (end - start) as u64);
        prop_assert_eq!(body(&slice, 64), &expected[start..end]);
        prop_assert_eq!(Plan::decode(slice.encode()).unwrap(), slice);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Plan::decode(bytes.into());
    }

    #[test]
    fn damaged_plans_are_answered(pieces in pieces(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = plan_of(&pieces).0.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(plan) = Plan::decode(bytes.clone().into()) {
            prop_assert_eq!(plan.steps().iter().map(Step::len).sum::<u64>(), plan.total_len());
        }
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(Plan::decode(bytes.into()).is_err());
    }
}

#[test]
fn touching_ranges_become_one_step_and_near_ones_one_request() {
    let mut builder = PlanBuilder::new();
    let o = builder.object(object(0)).unwrap();
    builder.inline(vec![1, 2]).unwrap();
    builder.range(o, 10..20).unwrap();
    builder.range(o, 20..30).unwrap();
    builder.range(o, 50..60).unwrap();
    builder.range(o, 40..45).unwrap();
    let plan = builder.finish();
    assert_eq!(plan.steps().len(), 4);
    let memory = store(7);
    let mut sink = Collect::default();
    block_on(assemble(&plan, &memory, &mut sink)).unwrap();
    assert_eq!(*memory.requests.borrow(), [10..60, 40..45]);
    assert_eq!(sink.0.len(), 37);
}

#[test]
fn source_that_refuses_does_so_before_anything_is_written() {
    let mut builder = PlanBuilder::new();
    let o = builder
        .object(Object::new("http://blob/elsewhere", None).unwrap())
        .unwrap();
    builder.inline(vec![0; 8]).unwrap();
    builder.range(o, 0..10).unwrap();
    let mut sink = Collect::default();
    let result = block_on(assemble(&builder.finish(), &store(1), &mut sink));
    assert_eq!(result, Err(AssembleError::Source("no such object")));
    assert!(sink.0.is_empty());
}

#[test]
fn short_and_long_answers_are_errors() {
    let mut builder = PlanBuilder::new();
    let o = builder.object(object(0)).unwrap();
    builder.range(o, 3990..4100).unwrap();
    let result = block_on(assemble(
        &builder.finish(),
        &store(8),
        &mut Collect::default(),
    ));
    assert_eq!(
        result,
        Err(AssembleError::Length {
            expected: 110,
            delivered: 10
        })
    );

    struct Generous;
    impl RangeSource for Generous {
        type Stream = Pieces;
        type Error = &'static str;
        async fn open(&self, _: &Object, _: Range<u64>) -> Result<Pieces, Self::Error> {
            Ok(Pieces(vec![0; 100].into(), 60))
        }
    }
    let mut builder = PlanBuilder::new();
    let o = builder.object(object(0)).unwrap();
    builder.range(o, 0..70).unwrap();
    let mut sink = Collect::default();
    let result = block_on(assemble(&builder.finish(), &Generous, &mut sink));
    assert_eq!(
        result,
        Err(AssembleError::Length {
            expected: 70,
            delivered: 100
        })
    );
    assert_eq!(sink.0.len(), 60);
}

#[test]
fn chunks_are_bounded() {
    let mut builder = PlanBuilder::new();
    builder.inline(vec![9; 3 * MAX_CHUNK_BYTES + 1]).unwrap();
    let mut sink = Collect::default();
    block_on(assemble(&builder.finish(), &store(1), &mut sink)).unwrap();
    assert_eq!(
        (sink.0.len(), sink.1),
        (3 * MAX_CHUNK_BYTES + 1, MAX_CHUNK_BYTES)
    );
}

#[test]
fn text_shows_no_signature() {
    let (plan, _) = plan_of(&[Piece::Inline(vec![0; 8]), Piece::Range(1, 100..164)]);
    assert_eq!(
        plan.to_string(),
        "plan of 72 bytes, 3 objects, 2 steps\n\
         object 0 http://blob/local/asset/0?[redacted] if-match \"0x0\"\n\
         object 1 http://blob/local/asset/1?[redacted] if-match \"0x1\"\n\
         object 2 http://blob/local/asset/2?[redacted] if-match \"0x2\"\n\
         \x20          0          8 inline\n\
         \x20          8         64 object 1 at 100\n"
    );
    for text in [
        format!("{plan:?}"),
        format!("{:?}", plan.objects()),
        format!("{:?}", plan.steps()),
    ] {
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn limits_hold() {
    let mut builder = PlanBuilder::new();
    for _ in 0..MAX_OBJECTS {
        builder.object(object(0)).unwrap();
    }
    assert!(builder.object(object(0)).is_err());
    assert!(builder.inline(vec![0; MAX_INLINE_BYTES + 1]).is_err());
    assert_eq!(builder.range(99, 0..1), Err(PlanError::NoSuchObject(99)));
    assert!(builder.range(0, 0..MAX_TOTAL_BYTES + 1).is_err());
    for i in 0..MAX_STEPS as u64 {
        builder.range(0, i * 2..i * 2 + 1).unwrap();
    }
    assert!(builder.range(1, 0..1).is_err());
    let plan = builder.finish();
    assert_eq!(
        plan.slice(Range { start: 5, end: 3 }),
        Err(PlanError::SliceOutside {
            start: 5,
            end: 3,
            total: plan.total_len()
        })
    );
    assert!(plan.slice(0..plan.total_len() + 1).is_err());
}

#[test]
fn objects_that_cannot_be_requested_are_refused() {
    assert!(Object::new("file:///etc/passwd", None).is_err());
    assert!(Object::new("http://a/b c", None).is_err());
    assert!(Object::new("http://a/b\r\nx: y", None).is_err());
    assert!(Object::new("http://a/b", Some("\"a\"\r\nx: y".to_owned())).is_err());
    assert!(Object::new("http://a/b", Some(String::new())).is_err());
}

#[test]
fn unknown_versions_and_steps_are_errors() {
    let (plan, _) = plan_of(&[Piece::Inline(vec![7])]);
    let bytes = plan.encode().to_vec();
    let mut version = bytes.clone();
    version[4] = 1;
    assert_eq!(Plan::decode(version.into()), Err(DecodeError::Version(1)));
    let mut step = bytes.clone();
    let kind = step.len() - 7;
    step[kind] = 9;
    assert_eq!(Plan::decode(step.into()), Err(DecodeError::Step(9)));
    let mut long = bytes;
    long.push(0);
    assert!(matches!(
        Plan::decode(long.into()),
        Err(DecodeError::Length("too long", _))
    ));
}
