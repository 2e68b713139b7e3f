//! Captions in SEI messages: what is found in bytes that were put together by hand, and that nothing in them is fatal.

use headwater_text::captions::{CaptionScan, Captions, Pictures};
use proptest::prelude::*;

const AVC: Pictures = Pictures::Avc { nal_length_size: 4 };
const HEVC: Pictures = Pictures::Hevc { nal_length_size: 4 };

/// Odd parity, as CEA-608 has it.
fn parity(byte: u8) -> u8 {
    match byte.count_ones() % 2 {
        0 => byte | 0x80,
        _ => byte,
    }
}

fn pair(kind: u8, first: u8, second: u8) -> [u8; 3] {
    [0xfc | kind, parity(first), parity(second)]
}

/// A NAL unit with caption data, emulation prevention and length included.
fn sei(header: &[u8], triplets: &[[u8; 3]]) -> Vec<u8> {
    let mut payload = vec![0xb5, 0x00, 0x31, b'G', b'A', b'9', b'4', 0x03];
    payload.push(0x40 | triplets.len() as u8);
    payload.push(0xff);
    payload.extend(triplets.iter().flatten());
    payload.push(0xff);
    // A message before it that is none of captions.
    let mut messages = vec![5, 3, 1, 2, 3, 4, payload.len() as u8];
    messages.extend(payload);
    messages.push(0x80);
    let mut nal = header.to_vec();
    let mut zeros = 0;
    for byte in messages {
        if zeros == 2 && byte <= 3 {
            nal.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        nal.push(byte);
    }
    let mut out = (nal.len() as u32).to_be_bytes().to_vec();
    out.extend(nal);
    out
}

/// A picture: delimiter, caption data, slice.
fn picture(triplets: &[[u8; 3]]) -> Vec<u8> {
    let mut sample = vec![0, 0, 0, 2, 9, 0xf0];
    sample.extend(sei(&[6], triplets));
    sample.extend([0, 0, 0, 3, 0x65, 1, 2]);
    sample
}

fn found(samples: &[Vec<u8>]) -> Captions {
    let mut scan = CaptionScan::new(AVC);
    scan.look((0..).zip(samples.iter().map(Vec::as_slice)).collect());
    scan.captions()
}

#[test]
fn control_codes_name_their_channels() {
    let first = [
        picture(&[pair(0, 0x14, 0x20)]),
        picture(&[pair(1, 0x15, 0x2c)]),
    ];
    assert_eq!(found(&first), Captions::new(&[1, 3], &[]));
    let second = picture(&[pair(0, 0x1c, 0x20), pair(1, 0x1d, 0x2f)]);
    assert_eq!(found(&[second]), Captions::new(&[2, 4], &[]));
}

#[test]
fn room_without_a_word_in_it_is_the_first_channel() {
    let quiet = picture(&[[0xfc, 0x80, 0x80]]);
    assert_eq!(found(&[quiet]), Captions::new(&[1], &[]));
    let quiet = picture(&[[0xfe, 0, 0]]);
    assert_eq!(found(&[quiet]), Captions::new(&[], &[1]));
    // Data that is marked as none, and no data.
    let none = picture(&[[0xf8, 0x80, 0x80], [0xfa, 0, 0]]);
    assert_eq!(found(&[none]), Captions::default());
    assert_eq!(found(&[vec![0, 0, 0, 3, 0x65, 1, 2]]), Captions::default());
}

#[test]
fn text_mode_and_other_data_are_no_captions() {
    // Text restart, extended data services, a broken parity bit.
    let said = [
        pair(0, 0x14, 0x2a),
        pair(1, 0x01, 0x03),
        pair(1, 0x2b, 0x41),
        [0xfd, 0x15, 0xa0],
    ];
    assert_eq!(found(&[picture(&said)]), Captions::new(&[1], &[]));
}

#[test]
fn service_blocks_are_read_in_the_order_of_presentation() {
    // A packet of 8 bytes: service 1 with two bytes, service 9 in the long form with one.
    let packet = [
        [0xff, 0x04, (1 << 5) | 2],
        [0xfe, 0x41, 0x42],
        [0xfe, (7 << 5) | 1, 9],
        [0xfe, 0x43, 0x00],
    ];
    let pictures: Vec<Vec<u8>> = packet.iter().map(|t| picture(&[*t])).collect();
    assert_eq!(found(&pictures), Captions::new(&[], &[1, 9]));
    // Decoded as 0 3 1 2.
    let decoded = [0_u8, 3, 1, 2].map(|at| (at.into(), pictures[usize::from(at)].as_slice()));
    let mut scan = CaptionScan::new(AVC);
    scan.look(decoded.to_vec());
    assert_eq!(scan.captions(), Captions::new(&[], &[1, 9]));
    // A packet whose end is not there says nothing but that there is room.
    assert_eq!(found(&pictures[..3]), Captions::new(&[], &[1]));
}

#[test]
fn hevc_has_headers_of_two_bytes() {
    let mut sample = sei(&[39 << 1, 1], &[pair(0, 0x14, 0x25)]);
    sample.extend([0, 0, 0, 3, 0x26, 1, 2]);
    let mut scan = CaptionScan::new(HEVC);
    scan.look(vec![(0, &sample)]);
    assert_eq!(scan.captions(), Captions::new(&[1], &[]));
    let mut scan = CaptionScan::new(AVC);
    scan.look(vec![(0, &sample)]);
    assert!(scan.captions().is_empty());
}

#[test]
fn services_that_repeat_a_channel_are_not_told_twice() {
    let both = Captions::new(&[1], &[1, 2, 5]);
    assert_eq!(both.own_services().collect::<Vec<_>>(), [2, 5]);
    assert_eq!(both.to_word(), "608:1;708:1,2,5");
    assert_eq!(Captions::from_word("608:1;708:1,2,5"), Some(both));
    assert_eq!(Captions::from_word("608:;708:"), Some(Captions::default()));
    for wrong in ["", "608:1", "608:1;708:64", "608:5;708:", "608:3,1;708:"] {
        assert_eq!(Captions::from_word(wrong), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_looked_at(bytes in proptest::collection::vec(any::<u8>(), 0..400), size in 0_u8..5) {
        for pictures in [Pictures::Avc { nal_length_size: size }, Pictures::Hevc { nal_length_size: size }] {
            let mut scan = CaptionScan::new(pictures);
            scan.look(vec![(0, &bytes)]);
            let _ = scan.captions();
        }
    }

    #[test]
    fn damaged_caption_data_is_looked_at(at in 0_usize..60, byte: u8, cut in 0_usize..80) {
        let mut sample = picture(&[pair(0, 0x14, 0x20), [0xff, 0x04, 0x22], [0xfe, 0x41, 0x42]]);
        if let Some(place) = sample.get_mut(at) {
            *place = byte;
        }
        sample.truncate(cut);
        let mut scan = CaptionScan::new(AVC);
        scan.look(vec![(0, &sample), (1, &sample)]);
        let _ = scan.captions();
    }
}
