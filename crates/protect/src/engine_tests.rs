use super::*;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn key() -> Key {
    Key::from_slice(&hex("2b7e151628aed2a6abf7158809cf4f3c")).unwrap()
}

const PLAIN: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

/// NIST SP 800-38A, F.2.1 (CBC-AES128.Encrypt).
#[test]
fn cbc_gives_the_nist_vector() {
    let cipher = Cipher::Cbcs {
        pattern: Pattern::WHOLE,
        iv: hex("000102030405060708090a0b0c0d0e0f").try_into().unwrap(),
        samples: vec![vec![Subsample {
            clear: 0,
            protected: 64,
        }]],
    };
    let out = encrypt(&cipher, &key(), &hex(PLAIN)).unwrap();
    assert_eq!(
        out,
        hex(
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"
        )
    );
}

/// Made with `openssl enc -aes-128-ctr -K 2b7e… -iv f0f1f2f3f4f5f6f70000000000000000`.
#[test]
fn ctr_gives_what_openssl_does() {
    let cipher = Cipher::Ctr {
        first_iv: 0xf0f1_f2f3_f4f5_f6f7,
        samples: vec![vec![Subsample {
            clear: 0,
            protected: 64,
        }]],
    };
    let out = encrypt(&cipher, &key(), &hex(PLAIN)).unwrap();
    assert_eq!(out, hex(OPENSSL_CTR));
}
const OPENSSL_CTR: &str = "67ee05547499f8bcf0c38324e8605c28018216a5f4dac1af7e12ae7a0c2e3e9f13e8bc4a3757a548139805cf9563140d2f888d314b552b839678e5f12d56a948";

/// Made with `openssl enc -aes-128-cbc -K 2b7e… -iv 0001…0f` over the first 20 bytes.
#[test]
fn an_envelope_is_padded_as_openssl_pads() {
    let cipher = Cipher::Envelope {
        iv: hex("000102030405060708090a0b0c0d0e0f").try_into().unwrap(),
        len: 20,
    };
    let out = encrypt(&cipher, &key(), &hex(PLAIN)[..20]).unwrap();
    assert_eq!(out, hex(OPENSSL_CBC));
    assert_eq!(cipher.output_len(), 32);
}
const OPENSSL_CBC: &str = "7649abac8119b246cee98e9b12e9197d2e013f890472d82217b17f45f6e7f539";

fn samples() -> impl Strategy<Value = Vec<Vec<Subsample>>> {
    let part = (0u32..40, 0u32..400).prop_map(|(clear, protected)| Subsample { clear, protected });
    proptest::collection::vec(proptest::collection::vec(part, 1..4), 1..5)
}

fn ciphers() -> impl Strategy<Value = Cipher> {
    (samples(), 0..4, any::<[u8; 16]>(), any::<u64>()).prop_map(|(samples, kind, iv, first_iv)| {
        match kind {
            0 => Cipher::Ctr { first_iv, samples },
            1 => Cipher::Cbcs {
                pattern: Pattern::VIDEO,
                iv,
                samples,
            },
            2 => Cipher::Cbcs {
                pattern: Pattern::WHOLE,
                iv,
                samples,
            },
            _ => Cipher::Envelope {
                iv,
                len: first_iv % 1000,
            },
        }
    })
}

fn media(cipher: &Cipher) -> Vec<u8> {
    (0..cipher.input_len())
        .map(|at| (at * 7 % 251) as u8)
        .collect()
}

proptest! {
    #[test]
    fn pieces_of_any_length_give_the_same_bytes(cipher in ciphers(), sizes in proptest::collection::vec(1usize..50, 1..20)) {
        let media = media(&cipher);
        let whole = encrypt(&cipher, &key(), &media).unwrap();
        prop_assert_eq!(whole.len() as u64, cipher.output_len());
        let mut engine = Engine::new(&cipher, &key());
        let (mut rest, mut out) = (media.as_slice(), Vec::new());
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            engine.push(piece, &mut out).unwrap();
            rest = after;
        }
        engine.finish(&mut out).unwrap();
        prop_assert_eq!(out, whole);
    }

    #[test]
    fn a_run_that_begins_in_between_gives_the_same_bytes(cipher in ciphers(), at: prop::sample::Index) {
        let media = media(&cipher);
        let whole = encrypt(&cipher, &key(), &media).unwrap();
        let at = at.index(whole.len() + 1);
        let restart = cipher.restart(at as u64);
        let from = restart.offset as usize;
        prop_assert!(from <= at);
        prop_assert_eq!(restart.cipher.input_len(), (media.len() - from) as u64);
        let out = encrypt(&restart.cipher, &key(), &media[from..]).unwrap();
        prop_assert_eq!(&out[..], &whole[from..]);
    }

    #[test]
    fn clear_bytes_stay(cipher in ciphers()) {
        let media = media(&cipher);
        let out = encrypt(&cipher, &key(), &media).unwrap();
        if let Cipher::Ctr { samples, .. } | Cipher::Cbcs { samples, .. } = &cipher {
            let mut at = 0;
            for part in samples.iter().flatten() {
                let clear = part.clear as usize;
                prop_assert_eq!(&out[at..at + clear], &media[at..at + clear]);
                at += clear + part.protected as usize;
            }
        }
    }

    #[test]
    fn a_run_survives_its_wire_form(cipher in ciphers()) {
        let bytes = cipher.encode();
        prop_assert_eq!(Cipher::decode(&bytes).unwrap(), cipher);
        for end in 0..bytes.len() {
            prop_assert!(Cipher::decode(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn bytes_that_are_no_run_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = Cipher::decode(&bytes);
    }
}

#[test]
fn media_of_another_length_is_refused() {
    let cipher = Cipher::Envelope {
        iv: [0; 16],
        len: 5,
    };
    assert!(encrypt(&cipher, &key(), &[0; 4]).is_err());
    assert!(encrypt(&cipher, &key(), &[0; 6]).is_err());
}
