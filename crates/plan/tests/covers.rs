//! Plans whose bodies are encrypted: assembled, sliced, encoded; what they refuse and what they show.

use bytes::Bytes;
use futures::executor::block_on;
use headwater_plan::*;
use headwater_protect::{Cipher, Key, Pattern, Subsample, encrypt};
use proptest::prelude::*;
use std::ops::Range;

const LEN: usize = 5000;

fn media() -> Vec<u8> {
    (0..LEN as u32).map(|i| (i * 7 + i / 256) as u8).collect()
}

/// One object, delivered in pieces of so many bytes.
struct Store(usize);

struct Pieces(Bytes, usize);

impl ByteStream for Pieces {
    type Error = ();
    async fn next(&mut self) -> Result<Option<Bytes>, ()> {
        let len = self.0.len().min(self.1);
        Ok((len > 0).then(|| self.0.split_to(len)))
    }
}

impl RangeSource for Store {
    type Stream = Pieces;
    type Error = ();
    async fn open(&self, _: &Object, range: Range<u64>) -> Result<Pieces, ()> {
        let bytes = Bytes::from(media());
        Ok(Pieces(
            bytes.slice(range.start as usize..range.end as usize),
            self.0,
        ))
    }
}

#[derive(Default)]
struct Collect(Vec<u8>);

impl Sink for Collect {
    type Error = ();
    async fn write(&mut self, bytes: Bytes) -> Result<(), ()> {
        assert!(!bytes.is_empty() && bytes.len() <= MAX_CHUNK_BYTES);
        self.0.extend_from_slice(&bytes);
        Ok(())
    }
}

fn body(plan: &Plan, piece: usize) -> Vec<u8> {
    let mut sink = Collect::default();
    let len = block_on(assemble(plan, &Store(piece), &mut sink)).unwrap();
    assert_eq!((len, plan.total_len()), (sink.0.len() as u64, len));
    sink.0
}

fn key() -> Key {
    Key::new([9; 16])
}

/// A head, and samples with subsamples of these sizes.
fn plan(head: &[u8], samples: &[Vec<(u32, u32)>], kind: u8) -> (Plan, Vec<u8>) {
    let samples: Vec<Vec<Subsample>> = samples
        .iter()
        .map(|sample| {
            let parts = sample.iter();
            parts
                .map(|(clear, protected)| Subsample {
                    clear: *clear,
                    protected: *protected,
                })
                .collect()
        })
        .collect();
    let len: u64 = samples.iter().flatten().map(Subsample::len).sum();
    let cipher = match kind {
        0 => Cipher::Ctr {
            first_iv: u64::MAX,
            samples,
        },
        1 => Cipher::Cbcs {
            pattern: Pattern::VIDEO,
            iv: [3; 16],
            samples,
        },
        2 => Cipher::Cbcs {
            pattern: Pattern::WHOLE,
            iv: [3; 16],
            samples,
        },
        _ => Cipher::Envelope { iv: [3; 16], len },
    };
    let mut builder = PlanBuilder::new();
    let object = builder
        .object(Object::new("http://blob/o?sig=secret", None).unwrap())
        .unwrap();
    builder.inline(head.to_vec()).unwrap();
    // Two runs that do not touch.
    let cut = len / 3;
    builder.range(object, 0..cut).unwrap();
    builder.range(object, cut + 5..len + 5).unwrap();
    let mut clear = media()[..cut as usize].to_vec();
    clear.extend_from_slice(&media()[cut as usize + 5..len as usize + 5]);
    let mut expected = head.to_vec();
    expected.extend(encrypt(&cipher, &key(), &clear).unwrap());
    let plan = builder.finish();
    let plan = plan.cover(head.len() as u64, cipher, key()).unwrap();
    (plan, expected)
}

fn samples() -> impl Strategy<Value = Vec<Vec<(u32, u32)>>> {
    let sample = prop::collection::vec((0u32..40, 0u32..90), 1..4);
    prop::collection::vec(sample, 1..12)
}

proptest! {
    #[test]
    fn bodies_and_their_parts_are_those_of_the_engine(
        head in prop::collection::vec(any::<u8>(), 0..60),
        samples in samples(),
        kind in 0u8..4,
        piece in 1usize..300,
        ends: [prop::sample::Index; 4],
    ) {
        let (plan, expected) = plan(&head, &samples, kind);
        prop_assert_eq!(body(&plan, piece), &expected[..]);
        prop_assert_eq!(&Plan::decode(plan.encode()).unwrap(), &plan);
        let window = |len: usize, a: &prop::sample::Index, b: &prop::sample::Index| {
            let (a, b) = (a.index(len + 1), b.index(len + 1));
            a.min(b)..a.max(b)
        };
        let outer = window(expected.len(), &ends[0], &ends[1]);
        let part = plan.slice(outer.start as u64..outer.end as u64).unwrap();
        let part = Plan::decode(part.encode()).unwrap();
        prop_assert_eq!(body(&part, piece), &expected[outer.clone()]);
        let inner = window(outer.len(), &ends[2], &ends[3]);
        let part = part.slice(inner.start as u64..inner.end as u64).unwrap();
        prop_assert_eq!(body(&part, piece), &expected[outer][inner]);
    }

    #[test]
    fn damaged_covers_are_answered(samples in samples(), kind in 0u8..4, at: prop::sample::Index, byte: u8) {
        let (plan, _) = plan(b"head", &samples, kind);
        let mut bytes = plan.encode().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Plan::decode(bytes.into());
    }
}

#[test]
fn a_part_reads_no_more_than_the_samples_it_is_of() {
    let samples = vec![vec![(10, 90)]; 40];
    let (plan, _) = plan(b"head", &samples, 0);
    let part = plan.slice(2010..2020).unwrap();
    let read: u64 = part
        .ranges()
        .map(|(_, range)| range.end - range.start)
        .sum();
    assert!(read <= 150, "{read}");
    assert!(plan.slice(0..3).unwrap().encryption().is_none());
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut builder = PlanBuilder::new();
    builder.inline(vec![0; 32]).unwrap();
    let plan = builder.finish();
    let run = |len| Cipher::Envelope { iv: [0; 16], len };
    assert!(matches!(
        plan.clone().cover(0, run(31), key()),
        Err(PlanError::Cipher(_))
    ));
    let covered = plan.cover(0, run(32), key()).unwrap();
    assert_eq!((covered.total_len(), covered.inline_only()), (48, None));
    assert!(covered.cover(0, run(48), key()).is_err());
}

#[test]
fn the_wire_form_is_kept_and_not_that_of_another_plan() {
    let mut builder = PlanBuilder::new();
    builder.inline(vec![7; 32]).unwrap();
    let plain = builder.finish();
    let wire = plain.encode();
    assert_eq!(plain.clone().encode().as_ptr(), wire.as_ptr());
    let run = Cipher::Envelope {
        iv: [0; 16],
        len: 32,
    };
    let covered = plain.clone().cover(0, run, key()).unwrap();
    assert_ne!(covered.encode(), wire);
    assert_eq!(Plan::decode(covered.encode()).unwrap(), covered);
    assert_eq!(Plan::decode(covered.clone().into_encoded()), Ok(covered));
    assert_eq!(Plan::decode(plain.into_encoded()).unwrap().encode(), wire);
}

#[test]
fn text_shows_no_key() {
    let key_text = format!("{:?}", [9u8; 16]);
    let (plan, _) = plan(b"head", &[vec![(1, 2)]], 0);
    for text in [format!("{plan}"), format!("{plan:?}")] {
        assert!(
            text.contains("encrypted after 4 bytes (counter mode, 1 samples)"),
            "{text}"
        );
        assert!(
            !text.contains(&key_text) && !text.contains("0909"),
            "{text}"
        );
    }
}
