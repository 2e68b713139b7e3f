use super::*;
use headwater_protect::Kid;
use serde_json::json;

const KID: &str = "00112233-4455-6677-8899-aabbccddeeff";

fn backends() -> Vec<Backend> {
    let configuration = json!([
        {"system": "PlayReady", "url": "https://pr.example/rightsmanager.asmx", "headers": {"X-Auth": "secret"}},
        {"system": "PlayReady", "url": "https://own.example/", "project": "p1"},
        {"system": "FairPlay", "url": "https://fp.example/{ContentKeyId}", "wrapping": "form"},
        {"system": "FairPlay", "url": "https://fp.example/", "wrapping": "json", "project": "p1"},
        {"system": "Widevine", "url": "http://127.0.0.1:9/wv", "wrapping": "widevineCloud", "provider": "widevine_test",
         "key": "1ae8ccd0e7985cc0b6203a55855a1034afc252980e970ca90e5202689f947ab9", "iv": "d58ce954203b7c9a9a9d467f59839249"},
    ]);
    Backend::parse_all(&configuration.to_string()).unwrap()
}

fn message<'a>(kids: &'a [Kid], configuration: Option<&'a Configuration>) -> Message<'a> {
    Message {
        kids,
        challenge: b"challenge",
        configuration,
    }
}

#[test]
fn a_project_has_its_own_backend_before_that_of_all() {
    let all = backends();
    let kids = [Kid::parse(KID).unwrap()];
    let url = |project| {
        let backend = Backend::choose(&all, System::PlayReady, project).unwrap();
        backend
            .request(&message(&kids, None))
            .unwrap()
            .uri()
            .to_string()
    };
    assert_eq!(url("p1"), "https://own.example/");
    assert_eq!(url("p2"), "https://pr.example/rightsmanager.asmx");
    assert!(Backend::choose(&[], System::Widevine, "p1").is_none());
}

#[test]
fn messages_are_carried_as_each_system_wants_them() {
    let all = backends();
    let kids = [Kid::parse(KID).unwrap()];
    let request = all[0].request(&message(&kids, None)).unwrap();
    assert_eq!(request.body(), b"challenge");
    assert!(request.headers()["x-auth"].is_sensitive());
    assert!(
        request.headers()["soapaction"]
            .to_str()
            .unwrap()
            .contains("AcquireLicense")
    );

    let request = all[2].request(&message(&kids, None)).unwrap();
    assert_eq!(request.uri(), format!("https://fp.example/{KID}").as_str());
    assert_eq!(
        request.body(),
        format!("spc=Y2hhbGxlbmdl&assetId={KID}").as_bytes()
    );
    let request = all[3].request(&message(&kids, None)).unwrap();
    let body: Json = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body, json!({"spc": "Y2hhbGxlbmdl", "assetId": KID}));
}

/// The key and vector are those that shaka-packager publishes for the provider `widevine_test`; the signature was made with
/// `openssl dgst -sha1 -binary | openssl enc -aes-256-cbc`.
#[test]
fn a_widevine_request_is_signed_as_openssl_signs() {
    let all = backends();
    let kids = [Kid::parse(KID).unwrap()];
    let configuration = Configuration(json!({
        "widevineTemplate": "{\"provider\": \"other\", \"policy_overrides\": {\"can_play\": true}, \"x\": 1}"
    }));
    let request = all[4]
        .request(&message(&kids, Some(&configuration)))
        .unwrap();
    let envelope: Json = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(envelope["signer"], "widevine_test");
    let inner = decode(envelope["request"].as_str().unwrap()).unwrap();
    assert_eq!(
        String::from_utf8(inner).unwrap(),
        r#"{"content_id":"ABEiM0RVZneImaq7zN3u/w==","payload":"Y2hhbGxlbmdl","policy_overrides":{"can_play":true},"provider":"widevine_test","x":1}"#
    );
    assert_eq!(envelope["signature"], OPENSSL);
}
const OPENSSL: &str = "Cx8hIqPaExeX44+9VF/6JFV6wzkICnXu3TZoR41XcMo=";

#[test]
fn answers_are_handed_on_or_are_bad_gateways() {
    let all = backends();
    let (playready, form, js, cloud) = (&all[0], &all[2], &all[3], &all[4]);
    let ok = StatusCode::OK;
    let body = |licence: Licence| String::from_utf8(licence.body).unwrap();
    assert_eq!(
        body(playready.answer(ok, None, b"<soap/>".to_vec()).unwrap()),
        "<soap/>"
    );
    let fault = playready
        .answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            Some("text/xml"),
            b"<fault/>".to_vec(),
        )
        .unwrap();
    assert_eq!(
        (fault.status.as_u16(), fault.body.as_slice()),
        (500, b"<fault/>".as_slice())
    );
    assert_eq!(
        playready
            .answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                Some("text/html"),
                b"x".to_vec()
            )
            .unwrap_err(),
        BackendError::Status(500)
    );
    for answer in ["<ckc>Y2tj</ckc>", "ckc=Y2tj", "Y2tj\n"] {
        assert_eq!(
            body(form.answer(ok, None, answer.into()).unwrap()),
            "<ckc>Y2tj</ckc>"
        );
    }
    assert_eq!(
        body(js.answer(ok, None, b"{\"ckc\":\"Y2tj\"}".to_vec()).unwrap()),
        "<ckc>Y2tj</ckc>"
    );
    assert_eq!(
        cloud
            .answer(
                ok,
                None,
                b"{\"status\":\"OK\",\"license\":\"Y2tj\"}".to_vec()
            )
            .unwrap()
            .body,
        b"ckc"
    );
    for (backend, answer) in [
        (form, "<html>"),
        (js, "{}"),
        (js, "x"),
        (cloud, "{\"status\":\"DENIED\"}"),
        (cloud, "{\"status\":\"OK\"}"),
        (playready, ""),
    ] {
        assert!(
            matches!(
                backend.answer(ok, None, answer.into()),
                Err(BackendError::Answer(_))
            ),
            "{answer}"
        );
    }
    for status in [301, 400, 401, 403, 404, 429, 500, 503] {
        let status = StatusCode::from_u16(status).unwrap();
        assert!(cloud.answer(status, None, b"x".to_vec()).is_err());
    }
    assert!(
        playready
            .answer(ok, None, vec![0; MAX_ANSWER_BYTES + 1])
            .is_err()
    );
}

#[test]
fn configurations_that_cannot_work_are_refused() {
    for bad in [
        json!([{"system": "ClearKey", "url": "https://a/"}]),
        json!([{"system": "Widevine", "url": "http://a/"}]),
        json!([{"system": "Widevine", "url": "http://localhost.evil.example/"}]),
        json!([{"system": "Widevine", "url": "https://a/{x}"}]),
        json!([{"system": "Widevine", "url": "https://a/", "wrapping": "form"}]),
        json!([{"system": "Widevine", "url": "https://a/", "wrapping": "widevineCloud"}]),
        json!([{"system": "Widevine", "url": "https://a/", "headers": {"a b": "c"}}]),
        json!([{"system": "Widevine", "url": "https://a/", "more": 1}]),
        json!({}),
    ] {
        assert!(Backend::parse_all(&bad.to_string()).is_err(), "{bad}");
    }
    assert!(Backend::parse_all(" ").unwrap().is_empty());
    assert!(!format!("{:?}", backends()).contains("secret"));
}
