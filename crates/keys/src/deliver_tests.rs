use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_protect::{Handle, Period};
use serde_json::{Value as Json, json};
use std::cell::Cell;
use std::collections::HashMap;
use std::task::{Context, Poll, Waker};

/// The tests' ports never wait.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a port waits"),
    }
}

const KID: &str = "00112233-4455-6677-8899-aabbccddeeff";
const OPEN: &str = "10112233-4455-6677-8899-aabbccddeeff";
const NOW: i64 = 1_800_000_000;

#[derive(Default)]
struct Store {
    keys: HashMap<String, Vec<StoredKey>>,
    uses: RefCell<HashMap<[u8; 32], u64>>,
    broken: bool,
}

impl KeyStore for Store {
    async fn find(&self, kid: Kid) -> Result<Vec<StoredKey>, String> {
        if self.broken {
            return Err("down".into());
        }
        let rotates = |key: &&StoredKey| {
            key.rotation.is_some() && Handle::of(key.id, &key.value) == Handle::in_id(kid)
        };
        Ok(match self.keys.get(&kid.to_string()) {
            Some(keys) => keys.clone(),
            None => self
                .keys
                .values()
                .flatten()
                .filter(rotates)
                .cloned()
                .collect(),
        })
    }

    async fn count(&self, used: &TokenUse) -> Result<bool, String> {
        let mut uses = self.uses.borrow_mut();
        let count = uses.entry(used.fingerprint).or_default();
        *count += 1;
        Ok(*count <= used.most)
    }
}

/// Answers by URL; counts.
#[derive(Default)]
struct Net {
    answers: HashMap<String, Result<(u16, String), OutboundFault>>,
    asked: RefCell<Vec<Request<Vec<u8>>>>,
    count: Cell<usize>,
}

impl Outbound for Net {
    async fn send(
        &self,
        request: Request<Vec<u8>>,
        _: usize,
    ) -> Result<Response<Vec<u8>>, OutboundFault> {
        self.count.set(self.count.get() + 1);
        let answer = self.answers.get(&request.uri().to_string()).cloned();
        self.asked.borrow_mut().push(request);
        let (status, body) = answer.unwrap_or(Err(OutboundFault::Failed))?;
        Ok(Response::builder()
            .status(status)
            .body(body.into_bytes())
            .unwrap())
    }
}

fn golden() -> Json {
    serde_json::from_str(include_str!("../testdata/tokens.json")).unwrap()
}

fn kind(name: &str) -> Json {
    json!(format!("#Microsoft.Media.ContentKeyPolicy{name}"))
}

fn option(system: &str, restriction: Json) -> Json {
    json!({"policyOptionId": "o", "configuration": {"@odata.type": kind(&format!("{system}Configuration")), "widevineTemplate": "{}"}, "restriction": restriction})
}

fn open() -> Json {
    json!({"@odata.type": kind("OpenRestriction")})
}

fn token(key: Json) -> Json {
    json!({
        "@odata.type": kind("TokenRestriction"), "issuer": "https://issuer.example", "audience": "urn:test", "restrictionTokenType": "Jwt",
        "primaryVerificationKey": key, "requiredClaims": [{"claimType": crate::CONTENT_KEY_IDENTIFIER}],
    })
}

fn symmetric() -> Json {
    json!({"@odata.type": kind("SymmetricTokenKey"), "keyValue": golden()["secret"]})
}

fn store(options: Json) -> Store {
    let key = |id: &str, policy_id: u128, options: &Json| StoredKey {
        id: Kid::parse(id).unwrap(),
        rotation: None,
        project: "p1".into(),
        policy_id: Uuid::from_u128(policy_id),
        policy: Arc::new(KeyPolicy::read(options).0),
        value: Key::new([7; 16]),
    };
    let open = json!([option("ClearKey", open()), option("Widevine", open())]);
    Store {
        keys: HashMap::from([
            (KID.to_owned(), vec![key(KID, 1, &options)]),
            (OPEN.to_owned(), vec![key(OPEN, 2, &open)]),
        ]),
        ..Store::default()
    }
}

struct Ask<'a> {
    method: Method,
    path: &'a str,
    query: String,
    token: Option<String>,
    body: &'a [u8],
}

impl<'a> Ask<'a> {
    fn new(path: &'a str, query: String, token: Option<&str>, body: &'a [u8]) -> Self {
        let token = token.map(str::to_owned);
        let method = Method::POST;
        Self {
            method,
            path,
            query,
            token,
            body,
        }
    }

    fn send(&self, delivery: &Delivery, store: &Store, net: &Net) -> Response<Vec<u8>> {
        self.send_at(delivery, store, net, NOW)
    }

    fn send_at(
        &self,
        delivery: &Delivery,
        store: &Store,
        net: &Net,
        now: i64,
    ) -> Response<Vec<u8>> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let asked = Asked {
            method: &self.method,
            path: self.path,
            query: &self.query,
            headers: &headers,
            body: self.body,
            now: Timestamp::from_second(now).unwrap(),
        };
        run(delivery.answer(store, net, &asked))
    }
}

fn delivery(backends: Json) -> Delivery {
    Delivery::new(Backend::parse_all(&backends.to_string()).unwrap(), |_| {})
}

fn kid_query(kid: &str) -> String {
    format!("KID={kid}")
}

#[test]
fn a_key_is_sixteen_bytes_for_whom_it_is_meant() {
    let (delivery, store, net) = (
        delivery(json!([])),
        store(json!([option("ClearKey", token(symmetric()))])),
        Net::default(),
    );
    let good = golden()["tokens"]["HS256"].as_str().unwrap().to_owned();
    let response = Ask::new("/", kid_query(KID), Some(&good), b"").send(&delivery, &store, &net);
    assert_eq!(
        (response.status().as_u16(), response.body().as_slice()),
        (200, &[7; 16][..])
    );
    assert_eq!(
        response.headers()["content-type"],
        "application/octet-stream"
    );
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let by_query = format!("kid={KID}&token={good}");
    let get = Ask {
        method: Method::GET,
        ..Ask::new("/", by_query, None, b"")
    };
    assert_eq!(get.send(&delivery, &store, &net).status(), 200);
    for (expected, query, token) in [
        (401, kid_query(KID), None),
        (401, kid_query(KID), Some("x")),
        (200, kid_query(OPEN), None),
        (400, kid_query("../etc"), Some(good.as_str())),
        (400, String::new(), Some(good.as_str())),
        (400, format!("kid={KID}&kid={OPEN}"), Some(good.as_str())),
    ] {
        let response = Ask::new("", query, token, b"").send(&delivery, &store, &net);
        assert_eq!(response.status().as_u16(), expected);
    }
}

#[test]
fn an_unknown_key_looks_like_a_guarded_one() {
    let (delivery, net) = (delivery(json!([])), Net::default());
    let good = golden()["tokens"]["HS256"].as_str().unwrap().to_owned();
    let guarded = store(json!([option("ClearKey", token(symmetric()))]));
    let elsewhere = store(json!([option("FairPlay", open())]));
    let ask = |store: &Store, kid: &str, token: Option<&str>| {
        let response = Ask::new("/", kid_query(kid), token, b"").send(&delivery, store, &net);
        let (parts, body) = response.into_parts();
        (parts.status, format!("{:?}", parts.headers), body)
    };
    let unknown = "99999999-4455-6677-8899-aabbccddeeff";
    let reference = ask(&guarded, KID, None);
    assert_eq!(reference.0, 401);
    assert_eq!(ask(&guarded, unknown, None), reference);
    assert_eq!(ask(&guarded, unknown, Some(&good)), reference);
    assert_eq!(ask(&guarded, KID, Some("a.b.c")), reference);
    assert_eq!(ask(&elsewhere, KID, None), reference);
}

#[test]
fn a_genuine_token_for_another_key_is_forbidden() {
    let net = Net::default();
    let mut guarded = store(json!([option("ClearKey", token(symmetric()))]));
    let other = "20112233-4455-6677-8899-aabbccddeeff";
    let mut same = guarded.keys[KID].clone();
    same[0].id = Kid::parse(other).unwrap();
    guarded.keys.insert(other.into(), same);
    let good = golden()["tokens"]["HS256"].as_str().unwrap().to_owned();
    let response = Ask::new("/", kid_query(other), Some(&good), b"").send(
        &delivery(json!([])),
        &guarded,
        &net,
    );
    assert_eq!(response.status(), 403);
    let broken = Store {
        broken: true,
        ..guarded
    };
    let response =
        Ask::new("/", kid_query(KID), Some(&good), b"").send(&delivery(json!([])), &broken, &net);
    assert_eq!(response.status(), 503);
}

/// As [`store`], with keys that change every minute.
fn rotating(options: Json) -> Store {
    let mut store = store(options);
    for key in store.keys.values_mut().flatten() {
        key.rotation = Rotation::every(60);
    }
    store
}

/// Id and value of a key's period, so many before or after the present one.
fn period(kid: &str, from_now: i64) -> (String, Vec<u8>) {
    let number = u32::try_from(NOW / 60 + from_now).unwrap();
    let (kid, stored) = (Kid::parse(kid).unwrap(), Key::new([7; 16]));
    let (id, key) = rotation::derive(kid, &stored, Period::numbered(number));
    (id.to_string(), key.expose().to_vec())
}

#[test]
fn keys_of_periods_are_for_whom_the_stored_key_is() {
    let (delivery, net) = (delivery(json!([])), Net::default());
    let store = rotating(json!([option("ClearKey", token(symmetric()))]));
    let good = golden()["tokens"]["HS256"].as_str().unwrap().to_owned();
    let ask = |kid: &str, token: Option<&str>| {
        let response = Ask::new("/", kid_query(kid), token, b"").send(&delivery, &store, &net);
        let (parts, body) = response.into_parts();
        (parts.status.as_u16(), body)
    };
    // That of films, past ones, the present one, the next, and what an encoder's clock may be ahead.
    for from_now in [-(NOW / 60), -500_000, -1, 0, 1, 11] {
        let (id, value) = period(KID, from_now);
        assert_eq!(ask(&id, Some(&good)), (200, value), "{from_now}");
        let (status, body) = ask(&id, None);
        assert_eq!((status, body), ask(KID, None));
        assert_eq!(status, 401);
        let (id, value) = period(OPEN, from_now);
        assert_eq!(ask(&id, None), (200, value));
    }
    // What all of them can be made of is never handed over, whoever asks.
    assert_eq!(
        ask(KID, Some(&good)),
        ask("99999999-4455-6677-8899-aabbccddeeff", Some(&good))
    );
    assert_eq!(ask(OPEN, None).0, 401);
    // Neither is what is too far away to be on air.
    for from_now in [12, 13, 600, i64::from(u32::MAX) - NOW / 60] {
        assert_eq!(ask(&period(KID, from_now).0, Some(&good)), ask(KID, None));
        assert_eq!(ask(&period(OPEN, from_now).0, None).0, 401);
    }
}

#[test]
fn ids_of_periods_lead_to_no_other_key() {
    let (delivery, net) = (delivery(json!([])), Net::default());
    let store = rotating(json!([option("ClearKey", token(symmetric()))]));
    let good = golden()["tokens"]["HS256"].as_str().unwrap().to_owned();
    let ask = |kid: Kid, token: Option<&str>| {
        let query = kid_query(&kid.to_string());
        let response = Ask::new("/", query, token, b"").send(&delivery, &store, &net);
        let (parts, body) = response.into_parts();
        (parts.status, format!("{:?}", parts.headers), body)
    };
    let unknown = ask(Kid::from_bytes([0x99; 16]), None);
    assert_eq!(unknown.0, 401);
    let opened = *Kid::parse(&period(OPEN, 0).0).unwrap().bytes();
    let guarded = *Kid::parse(&period(KID, 0).0).unwrap().bytes();
    assert_eq!(ask(Kid::from_bytes(opened), None).0, 200);
    // The open key's handle with anything else, and the guarded key's with what belongs to the open one.
    for at in 0..16 {
        for flip in [1, 0x80, 0xff] {
            let mut id = opened;
            id[at] ^= flip;
            assert_eq!(ask(Kid::from_bytes(id), None), unknown);
            assert_eq!(ask(Kid::from_bytes(id), Some(&good)), unknown);
        }
    }
    for cut in 1..16 {
        let mut id = guarded;
        id[cut..].copy_from_slice(&opened[cut..]);
        assert_eq!(ask(Kid::from_bytes(id), None), unknown);
        let mut id = opened;
        id[cut..].copy_from_slice(&guarded[cut..]);
        if id != opened && id != guarded {
            assert_eq!(ask(Kid::from_bytes(id), None), unknown);
        }
    }
    // A key that does not rotate has no periods.
    let steady = super::tests::store(json!([option("ClearKey", open())]));
    let query = kid_query(&period(OPEN, 0).0);
    let response = Ask::new("/", query, None, b"").send(&delivery, &steady, &net);
    assert_eq!(response.status(), 401);
}

#[test]
fn a_token_names_the_stored_key_or_the_period() {
    let (delivery, net) = (delivery(json!([])), Net::default());
    // The golden token names KID: it is good for all periods of that, and for none of another key.
    let good = golden()["tokens"]["HS256"].as_str().unwrap().to_owned();
    let mut store = rotating(json!([option("ClearKey", token(symmetric()))]));
    let guarded = store.keys[KID][0].policy.clone();
    store.keys.get_mut(OPEN).unwrap()[0].policy = guarded.clone();
    let status = |store: &Store, kid: &str| {
        let asked = Ask::new("/", kid_query(kid), Some(&good), b"");
        asked.send(&delivery, store, &net).status().as_u16()
    };
    assert_eq!(status(&store, &period(KID, 0).0), 200);
    assert_eq!(status(&store, &period(OPEN, 0).0), 403);
    // Under a key whose period has the id that the token names.
    let mut stored = store.keys[KID][0].clone();
    stored.id = Kid::parse(OPEN).unwrap();
    stored.policy = guarded;
    assert_eq!(
        stored.named(
            Kid::parse(KID).unwrap(),
            Wanted::Value,
            Timestamp::from_second(NOW).unwrap()
        ),
        None
    );
}

#[test]
fn licences_are_asked_for_by_the_period_and_by_the_stored_key() {
    let backends = json!([{"system": "Widevine", "url": "https://drm.example/wv"}]);
    let delivery = delivery(backends);
    let store = rotating(json!([
        option("ClearKey", open()),
        option("Widevine", open())
    ]));
    let net = Net {
        answers: HashMap::from([(
            "https://drm.example/wv".to_owned(),
            Ok((200, "licence".to_owned())),
        )]),
        ..Net::default()
    };
    for (kid, expected) in [
        (KID.to_owned(), 200),
        (period(KID, 0).0, 200),
        (period(KID, 1_000).0, 401),
    ] {
        let asked = Ask::new("/Widevine/", kid_query(&kid), None, b"challenge");
        let response = asked.send(&delivery, &store, &net);
        assert_eq!(response.status().as_u16(), expected, "{kid}");
    }
    assert_eq!(net.count.get(), 2);
}

#[test]
fn a_clearkey_licence_has_keys_of_several_periods() {
    let (delivery, net) = (delivery(json!([])), Net::default());
    let store = rotating(json!([option("ClearKey", token(symmetric()))]));
    let good = golden()["tokens"]["HS256"].as_str().unwrap().to_owned();
    let periods: Vec<_> = [-1, 0, 1, 50].map(|at| period(KID, at)).into();
    let b64 = |kid: &str| Kid::parse(kid).unwrap().base64url();
    let kids: Vec<_> = periods
        .iter()
        .map(|(id, _)| b64(id))
        .chain([b64(KID)])
        .collect();
    let body = json!({"kids": kids, "type": "temporary"}).to_string();
    let asked = Ask::new("/ClearKey", String::new(), Some(&good), body.as_bytes());
    let response = asked.send(&delivery, &store, &net);
    assert_eq!(response.status(), 200);
    let licence: Json = serde_json::from_slice(response.body()).unwrap();
    let keys = licence["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 3, "neither the stored one nor a far one");
    for (key, (id, value)) in keys.iter().zip(&periods) {
        let k = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value);
        assert_eq!((&key["kid"], &key["k"]), (&json!(b64(id)), &json!(k)));
    }
}

#[test]
fn a_clearkey_licence_has_the_keys_that_were_granted() {
    let (delivery, net) = (delivery(json!([])), Net::default());
    let systems = ["ClearKey", "Widevine"].map(|system| option(system, token(symmetric())));
    let store = store(json!(systems));
    let b64 = |kid: &str| Kid::parse(kid).unwrap().base64url();
    let body = json!({"kids": [b64(KID), b64(OPEN), b64("99999999-4455-6677-8899-aabbccddeeff")], "type": "temporary"}).to_string();
    let ask = |token: Option<&str>, body: &str| {
        Ask::new("/ClearKey/", String::new(), token, body.as_bytes()).send(&delivery, &store, &net)
    };
    let licence =
        |response: Response<Vec<u8>>| serde_json::from_slice::<Json>(response.body()).unwrap();
    let one = licence(ask(None, &body));
    assert_eq!(
        one,
        json!({"keys": [{"kty": "oct", "kid": b64(OPEN), "k": "BwcHBwcHBwcHBwcHBwcHBw"}], "type": "temporary"})
    );
    let good = golden()["tokens"]["HS256"].as_str().unwrap().to_owned();
    assert_eq!(
        licence(ask(Some(&good), &body))["keys"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let guarded = json!({"kids": [b64(KID)]}).to_string();
    assert_eq!(ask(None, &guarded).status(), 401);
    for bad in [
        "",
        "{}",
        "{\"kids\":[]}",
        "{\"kids\":[1]}",
        "{\"kids\":[\"../..\"]}",
        "[]",
        "\u{0}\u{0}",
    ] {
        assert_eq!(ask(Some(&good), bad).status(), 400, "{bad}");
    }
    let many = json!({"kids": (0..33).map(|at| Kid::from_bytes([at; 16]).base64url()).collect::<Vec<_>>()}).to_string();
    assert_eq!(ask(None, &many).status(), 400);
    let pssh = headwater_protect::pssh::Pssh::common([Kid::parse(OPEN).unwrap()])
        .to_box()
        .unwrap();
    let response = Ask::new("/ClearKey/", String::new(), None, &pssh).send(&delivery, &store, &net);
    assert_eq!(response.status(), 200);
}

#[test]
fn licences_are_carried_after_the_policy_let_them_through() {
    let backends = json!([{"system": "Widevine", "url": "https://wv.example/"}, {"system": "PlayReady", "url": "https://pr.example/"}]);
    let delivery = delivery(backends);
    let answers = HashMap::from([
        (
            "https://wv.example/".to_owned(),
            Ok((200, "licence".to_owned())),
        ),
        (
            "https://pr.example/".to_owned(),
            Err(OutboundFault::Timeout),
        ),
    ]);
    let net = Net {
        answers,
        ..Net::default()
    };
    let store = store(json!([
        option("Widevine", token(symmetric())),
        option("PlayReady", open()),
        option("FairPlay", open())
    ]));
    let widevine = |kid: &str, token: Option<&str>| {
        Ask::new("/Widevine/", kid_query(kid), token, b"challenge").send(&delivery, &store, &net)
    };
    assert_eq!(widevine(KID, None).status(), 401);
    assert_eq!(net.count.get(), 0, "nothing is carried for strangers");
    let good = golden()["tokens"]["HS256"].as_str().unwrap().to_owned();
    assert_eq!(widevine(KID, Some(&good)).body(), b"licence");
    assert_eq!(net.asked.borrow()[0].body(), b"challenge");
    assert!(
        !net.asked.borrow()[0]
            .headers()
            .contains_key("authorization"),
        "the player's token stays here"
    );
    let certificate =
        Ask::new("/Widevine/", String::new(), None, &[8, 4]).send(&delivery, &store, &net);
    assert_eq!(certificate.status(), 200);

    let header = headwater_protect::playready::PlayReadyHeader {
        keys: &[(Kid::parse(KID).unwrap(), Key::new([7; 16]))],
        scheme: headwater_protect::Scheme::Cenc,
        license_url: None,
        custom_attributes: None,
    };
    let soap = |inner: &str| {
        format!(
            "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>{inner}</soap:Body></soap:Envelope>"
        )
    };
    let challenge = soap(&header.xml().unwrap());
    let playready = |body: &str| {
        Ask::new("/PlayReady/", String::new(), None, body.as_bytes()).send(&delivery, &store, &net)
    };
    assert_eq!(playready(&challenge).status(), 504);
    for bad in [
        "",
        "<x/>",
        &soap(""),
        &soap("<WRMHEADER/>"),
        &format!("<!DOCTYPE x [<!ENTITY a 'b'>]>{challenge}"),
        &challenge[..challenge.len() - 3],
    ] {
        assert_eq!(playready(bad).status(), 400, "{bad}");
    }
    assert_eq!(playready(&"x".repeat(65 * 1024)).status(), 400);
    let fairplay = |body: &[u8]| {
        Ask::new("/FairPlay/", kid_query(KID), None, body)
            .send(&delivery, &store, &net)
            .status()
    };
    assert_eq!(fairplay(b"spc=AAAA"), 503, "no licence server");
    assert_eq!(fairplay(b"spc=%00"), 400);
    assert_eq!(fairplay(b""), 400);
    let get = Ask {
        method: Method::GET,
        ..Ask::new("/Widevine/", kid_query(KID), None, b"")
    };
    assert_eq!(get.send(&delivery, &store, &net).status(), 405);
    assert_eq!(
        Ask::new("/../x", kid_query(KID), None, b"")
            .send(&delivery, &store, &net)
            .status(),
        404
    );
    let options = Ask {
        method: Method::OPTIONS,
        ..Ask::new("/", String::new(), None, b"")
    };
    assert_eq!(options.send(&delivery, &store, &net).status(), 204);
}

#[test]
fn playready_carries_its_token_in_custom_data() {
    let xml = "<CustomData xmlns=\"http://schemas.microsoft.com/Azure/MediaServices/KeyDelivery/PlayReadyCustomData/v1\"><Token>Bearer abc</Token></CustomData>";
    let escaped = xml.replace('<', "&lt;").replace('>', "&gt;");
    for body in [
        format!("<E><CustomData>{escaped}</CustomData></E>"),
        format!("<E>{xml}</E>"),
    ] {
        assert_eq!(
            token_of(&HeaderMap::new(), "", body.as_bytes()).as_deref(),
            Some("abc")
        );
    }
    let mut headers = HeaderMap::new();
    for (header, token) in [
        ("Bearer abc", Some("abc")),
        ("bearer abc", Some("abc")),
        ("Bearer=abc", Some("abc")),
        ("Basic abc", None),
        ("Bear", None),
    ] {
        headers.insert("authorization", header.parse().unwrap());
        assert_eq!(token_of(&headers, "", b"").as_deref(), token, "{header}");
    }
    assert_eq!(
        token_of(&HeaderMap::new(), "token=Bearer%20abc", b"").as_deref(),
        Some("abc")
    );
}

#[test]
fn a_services_certificate_is_that_of_the_projects_licence_server() {
    let delivery = delivery(json!([
        {"system": "Widevine", "url": "https://all.example/"},
        {"system": "Widevine", "url": "https://p1.example/", "project": "p1"},
    ]));
    let answer = |body: &str| Ok((200, body.to_owned()));
    let net = Net {
        answers: HashMap::from([
            ("https://all.example/".to_owned(), answer("of all")),
            ("https://p1.example/".to_owned(), answer("of p1")),
        ]),
        ..Net::default()
    };
    let store = store(json!([option("Widevine", token(symmetric()))]));
    let good = golden()["tokens"]["HS256"].as_str().unwrap().to_owned();
    let unknown = "00000000-0000-0000-0000-0000000000aa";
    for (kid, token, expected) in [
        (Some(KID), Some(good.as_str()), "of p1"),
        (Some(OPEN), None, "of p1"),
        // Who may not have the key does not learn that there is one.
        (Some(KID), None, "of all"),
        (Some(unknown), Some(good.as_str()), "of all"),
        (None, Some(good.as_str()), "of all"),
    ] {
        let query = kid.map(kid_query).unwrap_or_default();
        let got = Ask::new("/Widevine/", query, token, &[8, 4]).send(&delivery, &store, &net);
        assert_eq!(got.body(), expected.as_bytes(), "{kid:?} {token:?}");
    }
    let asked = net.asked.borrow();
    assert!(asked.iter().all(|request| request.body() == &[8, 4]));
}

#[test]
fn a_counted_token_is_used_up() {
    use hmac::{Hmac, KeyInit, Mac};
    let (delivery, net) = (delivery(json!([])), Net::default());
    let systems = ["ClearKey", "Widevine"].map(|system| option(system, token(symmetric())));
    let store = store(json!(systems));
    let b64 = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let claims = json!({"iss": "https://issuer.example", "aud": "urn:test", "exp": NOW + 60, crate::CONTENT_KEY_IDENTIFIER: KID, crate::MAX_USES: 2});
    let message = format!(
        "{}.{}",
        b64(b"{\"alg\":\"HS256\"}"),
        b64(claims.to_string().as_bytes())
    );
    let secret = STANDARD
        .decode(golden()["secret"].as_str().unwrap())
        .unwrap();
    let signature = Hmac::<sha2::Sha256>::new_from_slice(&secret)
        .unwrap()
        .chain_update(&message)
        .finalize()
        .into_bytes();
    let token = format!("{message}.{}", b64(&signature));
    // For a service's certificate its genuine token is looked at, and not used.
    let certificate = Ask::new("/Widevine/", kid_query(KID), Some(&token), &[8, 4]);
    assert_eq!(certificate.send(&delivery, &store, &net).status(), 503);
    let statuses: Vec<_> = (0..3)
        .map(|_| {
            Ask::new("/", kid_query(KID), Some(&token), b"")
                .send(&delivery, &store, &net)
                .status()
                .as_u16()
        })
        .collect();
    assert_eq!(statuses, [200, 200, 403]);
}

#[test]
fn a_provider_is_asked_once_and_outages_are_bridged() {
    const DOCUMENT: &str = "https://login.example.com/.well-known/openid-configuration";
    const KEYS: &str = "https://login.example.com/keys";
    let mut restriction = token(json!(null));
    restriction["openIdConnectDiscoveryDocument"] = DOCUMENT.into();
    let store = store(json!([option("ClearKey", restriction)]));
    let document = json!({"issuer": "https://issuer.example", "jwks_uri": KEYS}).to_string();
    let up = Net {
        answers: HashMap::from([
            (DOCUMENT.into(), Ok((200, document.clone()))),
            (KEYS.into(), Ok((200, golden()["jwks"].to_string()))),
        ]),
        ..Net::default()
    };
    let down = Net::default();
    let good = golden()["tokens"]["ES256"].as_str().unwrap().to_owned();
    let ask = |delivery: &Delivery, net: &Net, now| {
        Ask::new("/", kid_query(KID), Some(&good), b"")
            .send_at(delivery, &store, net, now)
            .status()
            .as_u16()
    };
    let one = delivery(json!([]));
    assert_eq!(ask(&one, &up, NOW), 200);
    assert_eq!(ask(&one, &up, NOW + 1), 200);
    assert_eq!(up.count.get(), 2, "document and keys, once");
    let lasts =
        |asked: &Request<Vec<u8>>| asked.headers()["cache-control"] == "stale-if-error=86400";
    assert!(up.asked.borrow().iter().all(lasts));
    assert_eq!(
        ask(&one, &down, NOW + 400),
        200,
        "the last good keys bridge an outage"
    );
    let two = delivery(json!([]));
    assert_eq!(
        ask(&two, &down, NOW),
        401,
        "without keys nothing is accepted"
    );
    assert_eq!(ask(&two, &down, NOW + 1), 401);
    assert_eq!(
        down.count.get(),
        2,
        "who is down is left alone for a minute"
    );
    for (wrong, keys) in [
        (
            document.replace("issuer.example", "evil.example"),
            golden()["jwks"].to_string(),
        ),
        (
            document.replace("login.example.com/keys", "127.0.0.1/keys"),
            golden()["jwks"].to_string(),
        ),
        (document.clone(), "{}".into()),
        (
            document.clone(),
            "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"e\",\"k\":\"AAAA\"}]}".into(),
        ),
        ("<html>".into(), String::new()),
    ] {
        let net = Net {
            answers: HashMap::from([
                (DOCUMENT.into(), Ok((200, wrong))),
                (KEYS.into(), Ok((200, keys))),
            ]),
            ..Net::default()
        };
        assert_eq!(ask(&delivery(json!([])), &net, NOW), 401);
    }
}
