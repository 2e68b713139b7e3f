//! Content keys that a vendor makes, by a vendor of the test's own that looks at every byte and fails in every way.

use crate::protection::{enabled, four_cc, keys, protected, refused, world};
use crate::support::{ARM, MKIO, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use headwater_blob::TransportError;
use headwater_keys::KeyVendor;
use headwater_protect::cpix::Cpix;
use headwater_protect::{IvSpace, Key, Kid};
use http::{Request, Response, StatusCode};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::rc::Rc;

const SECRET: &str = "Basic a-secret-of-the-vendor";

/// What was ordered: the documents.
type Orders = Rc<RefCell<Vec<Cpix>>>;

fn with_vendor(systems: Json) -> World {
    let mut world = world();
    let configuration = json!([{
        "system": "Speke", "url": "https://vendor.example/speke/v2", "headers": {"Authorization": SECRET}, "systems": systems,
    }]);
    world.settings.key_vendors = KeyVendor::parse_all(&configuration.to_string()).unwrap();
    world
}

/// The key of a key id, as the vendor makes it.
fn key_of(kid: Kid) -> [u8; 16] {
    kid.bytes().map(|byte| !byte)
}

fn answered(status: StatusCode, body: String) -> Result<Response<Bytes>, TransportError> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    Ok(response)
}

/// Fills an order in.
fn fill(order: &Cpix) -> Cpix {
    let mut answer = order.clone();
    for key in &mut answer.keys {
        key.value = Some(Key::new(key_of(key.kid)));
    }
    for system in &mut answer.systems {
        system.hls_master = Some("#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI=\"skd://evil\"".into());
    }
    answer
}

fn answer_with(
    world: &World,
    answer: impl Fn(&Cpix) -> Result<Response<Bytes>, TransportError> + 'static,
) -> Orders {
    let orders = Orders::default();
    let noted = Rc::clone(&orders);
    *world.storage.vendor.borrow_mut() = Some(Box::new(move |request: &Request<Bytes>| {
        assert_eq!(
            (
                request.method().as_str(),
                request.uri().to_string().as_str()
            ),
            ("POST", "https://vendor.example/speke/v2")
        );
        let headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            headers,
            [
                "content-type: application/xml",
                "x-speke-version: 2.0",
                "x-speke-user-agent: Headwater",
                &format!("authorization: {SECRET}"),
            ]
        );
        let order = Cpix::from_xml(std::str::from_utf8(request.body()).unwrap()).unwrap();
        noted.borrow_mut().push(order.clone());
        answer(&order)
    }));
    orders
}

fn fair(world: &World) -> Orders {
    answer_with(world, |order| {
        answered(StatusCode::OK, fill(order).to_xml())
    })
}

fn drm() -> Json {
    protected(
        "Predefined_MultiDrmStreaming",
        json!({"defaultContentKeyPolicyName": "all", "contentId": "film-7"}),
    )
}

#[test]
fn keys_of_common_encryption_come_from_the_vendor() {
    let world = with_vendor(json!(["Widevine", "PlayReady", "FairPlay"]));
    let orders = fair(&world);
    let path = format!("{ARM}/streamingLocators/l");
    world.put(&path, drm()).expect(201);
    let placed = orders.borrow().clone();
    let [cenc, cbcs] = placed.as_slice() else {
        panic!("{placed:?}");
    };
    for (order, scheme, systems) in [
        (
            cenc,
            "cenc",
            &[
                "9a04f079-9840-4286-ab92-e65be0885f95",
                "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed",
            ][..],
        ),
        (cbcs, "cbcs", &["94ce86fb-07ff-4f43-adb8-93d2fa968ca2"]),
    ] {
        // Byte for byte but for the key's id.
        let kid = order.keys[0].kid;
        let iv = match scheme {
            "cbcs" => format!(
                " explicitIV=\"{}\"",
                STANDARD.encode(IvSpace::constant(kid))
            ),
            _ => String::new(),
        };
        let text = order.to_xml();
        assert!(text.contains("contentId=\"film-7\"") && text.contains("version=\"2.3\""));
        assert!(text.contains(&format!("kid=\"{kid}\"")), "{text}");
        assert!(text.contains(&iv), "{text}");
        assert!(text.contains(&format!("commonEncryptionScheme=\"{scheme}\"")));
        assert!(text.contains("intendedTrackType=\"ALL\""), "{text}");
        assert!(text.contains("VideoFilter") && text.contains("AudioFilter"));
        let asked: Vec<String> = order.systems.iter().map(|s| s.system.to_string()).collect();
        assert_eq!(asked, systems);
        assert!(order.keys[0].value.is_none());
    }
    let made = keys(&world, ARM, "l");
    for (shown, order) in made.iter().zip([cenc, cbcs]) {
        let kid = order.keys[0].kid;
        assert_eq!(shown["id"], kid.to_string());
        assert_eq!(shown["value"], STANDARD.encode(key_of(kid)));
    }
    // The same again, and what was read written back: nothing is ordered twice.
    world.put(&path, drm()).expect(201);
    world
        .put(&format!("{MKIO}/streamingLocators/l"), drm())
        .expect(200);
    assert_eq!(orders.borrow().len(), 2);
    assert_eq!(keys(&world, ARM, "l"), made);
    // Another locator has keys of its own.
    world
        .put(&format!("{ARM}/streamingLocators/m"), drm())
        .expect(201);
    assert_ne!(keys(&world, ARM, "m")[0]["value"], made[0]["value"]);
}

#[test]
fn what_the_vendor_does_not_license_or_the_writer_brings_is_not_ordered() {
    let world = with_vendor(json!(["FairPlay"]));
    let orders = fair(&world);
    let put = |name: &str, body: Json| {
        world
            .put(&format!("{ARM}/streamingLocators/{name}"), body)
            .expect(201);
        orders.borrow_mut().drain(..).count()
    };
    let with = |policy: &str, more: Json| {
        let mut body = protected(policy, more);
        body["properties"]["defaultContentKeyPolicyName"] = "all".into();
        body
    };
    assert_eq!(put("aes", with("Predefined_ClearKey", json!({}))), 0);
    let cenc = "Predefined_MultiDrmCencStreaming";
    assert_eq!(put("cenc", with(cenc, json!({}))), 0);
    let both = "Predefined_MultiDrmStreaming";
    assert_eq!(put("both", with(both, json!({}))), 1);
    let given = |more: Json| {
        let mut key = json!({
            "id": "60000000-0000-0000-0000-000000000001", "type": "CommonEncryptionCbcs",
            "labelReferenceInStreamingPolicy": "ContentKey_CBCS",
        });
        for (name, value) in more.as_object().unwrap() {
            key[name] = value.clone();
        }
        json!({"contentKeys": [key]})
    };
    // An id alone is ordered under that id; with a value there is nothing to order.
    assert_eq!(put("id", with(both, given(json!({})))), 1);
    let shown = &keys(&world, ARM, "id")[1];
    let kid = Kid::parse("60000000-0000-0000-0000-000000000001").unwrap();
    assert_eq!(shown["id"], kid.to_string());
    assert_eq!(shown["value"], STANDARD.encode(key_of(kid)));
    assert_eq!(put("known", with(both, given(json!({})))), 0);
    let mut other = with(both, given(json!({"value": "1UqLohAfWsEGkULYxHjYZg=="})));
    other["properties"]["contentKeys"][0]["id"] = "60000000-0000-0000-0000-000000000002".into();
    assert_eq!(put("given", other), 0);
}

#[test]
fn pictures_and_sound_have_keys_of_their_own_and_more_is_refused() {
    let world = with_vendor(json!(["Widevine"]));
    let orders = fair(&world);
    let policy = |name: &str, codes: &[&str]| {
        let mappings: Vec<_> = codes
            .iter()
            .map(|code| json!({"label": code, "tracks": four_cc(code)}))
            .collect();
        let body = json!({"properties": {"commonEncryptionCenc": {
            "enabledProtocols": enabled(&["dash"]), "clearTracks": [], "drm": {"widevine": {}},
            "contentKeys": {"defaultKey": {"label": "rest"}, "keyToTrackMappings": mappings},
        }}});
        let path = format!("{ARM}/streamingPolicies/{name}");
        world.put(&path, body).expect(201);
    };
    policy("two", &["mp4a"]);
    policy("three", &["mp4a", "hvc1"]);
    let locator = |policy: &str| {
        let body = protected(policy, json!({"defaultContentKeyPolicyName": "all"}));
        world.put(&format!("{ARM}/streamingLocators/{policy}"), body)
    };
    locator("two").expect(201);
    let kinds: Vec<_> = orders.borrow()[0]
        .rules
        .iter()
        .map(|rule| rule.intended_track_type.clone().unwrap())
        .collect();
    assert_eq!(kinds, ["VIDEO", "AUDIO"]);
    refused(
        locator("three"),
        "properties.streamingPolicyName",
        "key vendor",
    );
    world
        .get(&format!("{ARM}/streamingLocators/three"))
        .expect(404);
}

#[test]
fn a_vendor_that_is_slow_wrong_or_down_leaves_no_locator_behind() {
    type Failure = fn(&Cpix) -> Result<Response<Bytes>, TransportError>;
    let failures: [Failure; 10] = [
        |_| Err(TransportError::Timeout),
        |_| Err(TransportError::Broken("connection refused".into())),
        |_| answered(StatusCode::UNAUTHORIZED, "a secret of the vendor".into()),
        |_| answered(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        |_| answered(StatusCode::OK, String::new()),
        |_| answered(StatusCode::OK, "<html>login</html>".into()),
        |order| answered(StatusCode::OK, order.to_xml()),
        |order| {
            let mut answer = fill(order);
            answer.keys[0].kid = Kid::from_bytes([1; 16]);
            answered(StatusCode::OK, answer.to_xml())
        },
        |order| {
            let mut answer = fill(order);
            answer.rules[0].intended_track_type = Some("UHD".into());
            answered(StatusCode::OK, answer.to_xml())
        },
        |order| {
            let mut answer = fill(order);
            answer.systems.clear();
            answered(StatusCode::OK, answer.to_xml())
        },
    ];
    let world = with_vendor(json!(["Widevine", "PlayReady"]));
    let path = format!("{ARM}/streamingLocators/l");
    for failure in failures {
        answer_with(&world, failure);
        let body = world.put(&path, drm()).expect(503).body;
        let text = body.to_string();
        assert!(
            !text.contains("secret") && !text.contains("vendor.example"),
            "{text}"
        );
        world.get(&path).expect(404);
    }
    // Too much of it.
    answer_with(&world, |_| {
        answered(StatusCode::OK, " ".repeat(5 * 1024 * 1024))
    });
    world.put(&path, drm()).expect(503);
    // It comes back.
    fair(&world);
    world.put(&path, drm()).expect(201);
}

#[test]
fn uploads_do_not_wait_for_a_vendor() {
    let world = with_vendor(json!(["Widevine"]));
    let body = json!({"properties": {"commonEncryptionCenc": {
        "enabledProtocols": enabled(&["dash"]), "clearTracks": [],
        "drm": {"widevine": {"customLicenseAcquisitionUrlTemplate": "https://drm.example/"}},
        "contentKeys": {"defaultKey": {"label": "k"}},
    }}});
    world
        .put(&format!("{ARM}/streamingPolicies/theirs"), body)
        .expect(201);
    let transform = crate::support::transform("AdaptiveStreaming");
    world
        .put(&format!("{ARM}/transforms/t"), transform)
        .expect(201);
    let rule = json!({"properties": {
        "storageAccountName": "local", "container": "uploads", "suffixes": [".mp4"], "transformName": "t",
        "streamingPolicyName": "theirs",
    }});
    let refusal = world
        .put(&format!("{MKIO}/uploadRules/r"), rule)
        .expect(400)
        .body;
    assert!(
        refusal.to_string().contains("streamingPolicyName"),
        "{refusal}"
    );
}

#[test]
fn keys_that_a_vendor_makes_do_not_rotate() {
    let world = with_vendor(json!(["Widevine"]));
    let orders = fair(&world);
    let policy = |systems: Json| {
        json!({"properties": {"commonEncryptionCenc": {
            "enabledProtocols": enabled(&["dash"]), "keyRotationInterval": "PT5M", "drm": systems,
            "clearKeyEncryptionConfiguration": {},
        }}})
    };
    let name = |at: &str| format!("{ARM}/streamingPolicies/{at}");
    world
        .put(&name("theirs"), policy(json!({"widevine": {}})))
        .expect(201);
    world
        .put(&name("ours"), policy(json!({"playReady": {}})))
        .expect(201);
    let of = |policy: &str, more: Json| {
        let mut body = protected(policy, json!({"defaultContentKeyPolicyName": "all"}));
        body["properties"]["contentKeys"] = more;
        body
    };
    let path = |at: &str| format!("{ARM}/streamingLocators/{at}");
    let field = "properties.streamingPolicyName";
    let given = json!([{"id": "60000000-0000-0000-0000-000000000001", "value": "1UqLohAfWsEGkULYxHjYZg=="}]);
    for keys in [json!([]), given.clone()] {
        refused(
            world.put(&path("l"), of("theirs", keys)),
            field,
            "keyRotationInterval",
        );
    }
    world.get(&path("l")).expect(404);
    // Those that are made here or brought along are what periods are derived from.
    world.put(&path("made"), of("ours", json!([]))).expect(201);
    world.put(&path("given"), of("ours", given)).expect(201);
    let shown = keys(&world, ARM, "given");
    assert_eq!(shown[0]["value"], "1UqLohAfWsEGkULYxHjYZg==");
    assert!(orders.borrow().is_empty());
}
