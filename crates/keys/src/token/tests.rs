//! Genuine tokens, made by another tool (`testdata/make.py`), and what is asked of their claims.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_seal::Secret;
use serde_json::json;

pub(super) const KID: &str = "00112233-4455-6677-8899-aabbccddeeff";
pub(super) const NOW: i64 = 1_800_000_000;

pub(super) fn golden() -> Json {
    serde_json::from_str(include_str!("../../testdata/tokens.json")).unwrap()
}

pub(super) fn bytes(golden: &Json, name: &str) -> Vec<u8> {
    STANDARD.decode(golden[name].as_str().unwrap()).unwrap()
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

pub(super) fn kid() -> Kid {
    Kid::parse(KID).unwrap()
}

pub(super) fn restriction(kind: TokenKind, keys: Vec<VerificationKey>) -> TokenRestriction {
    TokenRestriction {
        kind,
        issuer: "https://issuer.example".into(),
        audience: "urn:test".into(),
        keys,
        discovery: None,
        claims: vec![RequiredClaim {
            name: CONTENT_KEY_IDENTIFIER.into(),
            value: None,
        }],
    }
}

pub(super) fn symmetric(golden: &Json) -> VerificationKey {
    VerificationKey::symmetric(Secret::new(bytes(golden, "secret"))).unwrap()
}

pub(super) fn rsa(golden: &Json) -> VerificationKey {
    VerificationKey::rsa(&bytes(golden, "modulus"), &bytes(golden, "exponent")).unwrap()
}

#[test]
fn genuine_tokens_are_accepted_by_the_keys_of_their_kind_only() {
    let golden = golden();
    let certificate = VerificationKey::certificate(&bytes(&golden, "certificate")).unwrap();
    let set = KeySet::parse(golden["jwks"].to_string().as_bytes()).unwrap();
    let jwt = |keys| restriction(TokenKind::Jwt, keys);
    let by_secret = jwt(vec![symmetric(&golden)]);
    let by_rsa = jwt(vec![rsa(&golden)]);
    let by_certificate = jwt(vec![certificate]);
    // The primary key is of another kind: an alternate one is as good.
    let by_either = jwt(vec![symmetric(&golden), rsa(&golden)]);
    let by_provider = jwt(Vec::new());
    let swt = restriction(TokenKind::Swt, vec![symmetric(&golden)]);
    for (name, token) in golden["tokens"].as_object().unwrap() {
        let token = token.as_str().unwrap();
        let accepted: Vec<_> = [
            (&by_secret, None),
            (&by_rsa, None),
            (&by_certificate, None),
            (&by_either, None),
            (&by_provider, Some(&set)),
            (&swt, None),
        ]
        .iter()
        .map(|(restriction, set)| u8::from(restriction.verify(token, kid(), *set, now()).is_ok()))
        .collect();
        let expected = match &name[..2] {
            "HS" => [1, 0, 0, 1, 0, 0],
            "RS" | "PS" => [0, 1, 1, 1, 1, 0],
            "ES" => [0, 0, 0, 0, 1, 0],
            _ => [0, 0, 0, 0, 0, 1],
        };
        assert_eq!(accepted, expected, "{name}");
        let other = Kid::from_bytes([1; 16]);
        for (restriction, set) in [
            (&by_secret, None),
            (&by_rsa, None),
            (&by_provider, Some(&set)),
            (&swt, None),
        ] {
            if restriction.verify(token, kid(), set, now()).is_ok() {
                assert_eq!(
                    restriction.verify(token, other, set, now()),
                    Err(TokenError::OtherKey)
                );
            }
        }
    }
}

#[test]
fn a_provider_without_the_key_is_to_be_asked_again() {
    let golden = golden();
    let token = golden["tokens"]["RS256"].as_str().unwrap();
    let by_provider = restriction(TokenKind::Jwt, Vec::new());
    let empty = KeySet::default();
    assert_eq!(
        by_provider.verify(token, kid(), Some(&empty), now()),
        Err(TokenError::UnknownKey)
    );
    assert_eq!(
        by_provider.verify(token, kid(), None, now()),
        Err(TokenError::Algorithm)
    );
}

#[test]
fn weak_keys_are_refused_when_they_are_configured() {
    let golden = golden();
    for secret in [0, 1, 31] {
        assert!(VerificationKey::symmetric(Secret::new(vec![1; secret])).is_err());
    }
    let (modulus, exponent) = (bytes(&golden, "modulus"), bytes(&golden, "exponent"));
    for exponent in [&[][..], &[0], &[1], &[2], &[0, 1], &[1, 0, 0, 0, 1]] {
        assert!(VerificationKey::rsa(&modulus, exponent).is_err());
    }
    assert!(VerificationKey::rsa(&modulus[..100], &exponent).is_err());
    assert!(VerificationKey::rsa(&[0; 256], &exponent).is_err());
    let certificate = bytes(&golden, "certificate");
    for end in 0..400 {
        assert!(VerificationKey::certificate(&certificate[..end]).is_err());
    }
}

fn judged(claims: Json, required: &[(&str, Option<&str>)]) -> Result<Accepted, TokenError> {
    let mut all = json!({"iss": "https://issuer.example", "aud": "urn:test", "exp": NOW + 60});
    all.as_object_mut()
        .unwrap()
        .extend(claims.as_object().unwrap().clone());
    let restriction = TokenRestriction {
        claims: required
            .iter()
            .map(|(name, value)| RequiredClaim {
                name: (*name).into(),
                value: value.map(str::to_owned),
            })
            .collect(),
        ..restriction(TokenKind::Jwt, Vec::new())
    };
    let signed = Signed {
        claims: all.as_object().unwrap().clone(),
        message: b"",
    };
    restriction.judge(&signed, kid(), now())
}

#[test]
fn required_claims_must_be_there_with_their_values() {
    for (claims, required, right) in [
        (json!({"a": "b"}), ("a", Some("b")), true),
        (json!({"a": ["x", "b"]}), ("a", Some("b")), true),
        (json!({"a": 7}), ("a", Some("7")), true),
        (json!({"a": true}), ("a", Some("true")), true),
        (json!({"a": "anything"}), ("a", None), true),
        (json!({"a": "B"}), ("a", Some("b")), false),
        (json!({"a": {"b": 1}}), ("a", Some("b")), false),
        (json!({"a": null}), ("a", None), false),
        (json!({}), ("a", None), false),
        (
            json!({CONTENT_KEY_IDENTIFIER: KID.to_uppercase()}),
            (CONTENT_KEY_IDENTIFIER, None),
            true,
        ),
        (
            json!({CONTENT_KEY_IDENTIFIER: "ff112233-4455-6677-8899-aabbccddeeff"}),
            (CONTENT_KEY_IDENTIFIER, None),
            false,
        ),
        (
            json!({CONTENT_KEY_IDENTIFIER: [KID]}),
            (CONTENT_KEY_IDENTIFIER, None),
            false,
        ),
    ] {
        assert_eq!(
            judged(claims.clone(), &[required]).is_ok(),
            right,
            "{claims} {required:?}"
        );
    }
}

#[test]
fn times_count_with_the_skew_of_clocks() {
    for (claims, right) in [
        (json!({"exp": NOW - 299}), Ok(())),
        (json!({"exp": NOW - 300}), Err(TokenError::Expired)),
        (json!({"nbf": NOW + 300}), Ok(())),
        (json!({"nbf": NOW + 301}), Err(TokenError::NotYetValid)),
        (json!({"aud": ["x", "urn:test"]}), Ok(())),
        (json!({"aud": ["x"]}), Err(TokenError::Audience)),
        (json!({"aud": "URN:test"}), Err(TokenError::Audience)),
        (
            json!({"iss": "https://issuer.example/"}),
            Err(TokenError::Issuer),
        ),
    ] {
        assert_eq!(judged(claims.clone(), &[]).map(drop), right, "{claims}");
    }
}

#[test]
fn counted_tokens_are_short_lived() {
    for two in [json!(2), json!("2")] {
        let accepted = judged(json!({ MAX_USES: two }), &[]).unwrap();
        assert_eq!(accepted.uses.map(|uses| uses.most), Some(2));
    }
    for bad in [
        json!(0),
        json!(-1),
        json!("-1"),
        json!(1.5),
        json!(""),
        json!(null),
        json!(u64::MAX),
    ] {
        assert_eq!(judged(json!({MAX_USES: bad}), &[]), Err(TokenError::Uses));
    }
    assert_eq!(
        judged(json!({MAX_USES: 2, "exp": NOW + 3601}), &[]),
        Err(TokenError::Uses)
    );
}

/// What jsonwebtoken signs is accepted, and what it refuses is not.
#[test]
fn rsa_signatures_are_judged_as_a_second_implementation_judges_them() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
    let golden = golden();
    let private = golden["rsa_private"].as_str().unwrap();
    let signer = EncodingKey::from_rsa_pem(private.as_bytes()).unwrap();
    let (modulus, exponent) = (bytes(&golden, "modulus"), bytes(&golden, "exponent"));
    let theirs = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
    let ours = rsa(&golden);
    for (algorithm, name) in [
        (Algorithm::RS256, "RS256"),
        (Algorithm::RS384, "RS384"),
        (Algorithm::RS512, "RS512"),
    ] {
        let message = b"what is signed";
        let signature = crypto::sign(message, &signer, algorithm).unwrap();
        let raw = URL_SAFE_NO_PAD.decode(&signature).unwrap();
        assert_eq!(ours.check(name, message, &signature, &raw), Some(true));
        for (other, its) in [("RS256", 0), ("RS384", 1), ("RS512", 2), ("HS256", 3)] {
            let expected = if its == 3 { None } else { Some(other == name) };
            assert_eq!(ours.check(other, message, &signature, &raw), expected);
        }
        assert_eq!(ours.check(name, b"another", &signature, &raw), Some(false));
        let mut wrong: Vec<Vec<u8>> = (0..raw.len())
            .map(|at| {
                let mut changed = raw.clone();
                changed[at] ^= 1 << (at % 8);
                changed
            })
            .collect();
        wrong.extend([
            Vec::new(),
            vec![0; raw.len()],
            vec![0xff; raw.len()],
            modulus.clone(),
            raw[1..].to_vec(),
            [&raw[..], &[0]].concat(),
            [&[0], &raw[..]].concat(),
        ]);
        for raw in wrong {
            let text = URL_SAFE_NO_PAD.encode(&raw);
            let expected = crypto::verify(&text, message, &theirs, algorithm).unwrap_or(false);
            assert!(!expected);
            assert_eq!(ours.check(name, message, &text, &raw), Some(false));
        }
    }
}
