use super::*;
use headwater_protect::IvSpace;

const CONFIGURATION: &str = r#"[
    {"system": "Widevine", "url": "https://licences.example/"},
    {"system": "Speke", "url": "https://vendor.example/speke", "headers": {"Authorization": "Basic dTpw"}},
    {"system": "Speke", "url": "http://localhost:9/speke", "project": "p", "systems": ["FairPlay"]}
]"#;

fn vendors() -> Vec<KeyVendor> {
    KeyVendor::parse_all(CONFIGURATION).unwrap()
}

fn wanted(fill: u8, codes: &[&str]) -> WantedKey {
    WantedKey {
        kid: Kid::from_bytes([fill; 16]),
        codes: codes.iter().map(|code| (*code).to_owned()).collect(),
    }
}

#[test]
fn vendors_and_licence_servers_share_a_configuration() {
    let all = vendors();
    assert_eq!(crate::Backend::parse_all(CONFIGURATION).unwrap().len(), 1);
    let origins: Vec<_> = all.iter().map(|vendor| vendor.origin().unwrap()).collect();
    assert_eq!(origins, ["https://vendor.example", "http://localhost:9"]);
    let of = |project| KeyVendor::choose(&all, project).unwrap().origin().unwrap();
    assert_eq!(of("p"), "http://localhost:9");
    assert_eq!(of("q"), "https://vendor.example");
    assert!(all[0].licenses(System::PlayReady) && !all[1].licenses(System::PlayReady));
    for (text, says) in [
        (
            r#"[{"system": "Speke", "url": "http://vendor.example"}]"#,
            "https",
        ),
        (
            r#"[{"system": "Speke", "url": "https://v", "systems": ["ClearKey"]}]"#,
            "systems",
        ),
        (
            r#"[{"system": "Speke", "url": "https://v", "wrapping": "json"}]"#,
            "members",
        ),
        (
            r#"[{"system": "Speke", "url": "https://v", "headers": {"a b": "c"}}]"#,
            "headers",
        ),
    ] {
        for error in [
            KeyVendor::parse_all(text).unwrap_err(),
            crate::Backend::parse_all(text).unwrap_err(),
        ] {
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

#[test]
fn an_order_says_what_each_key_is_for() {
    let vendor = &vendors()[0];
    let kinds = |keys: &[WantedKey]| {
        let order = vendor.order("film", Scheme::Cbcs, keys, &[System::FairPlay])?;
        let request = vendor.request(&order)?;
        assert_eq!(request.headers()["authorization"], "Basic dTpw");
        let document = Cpix::from_xml(std::str::from_utf8(request.body()).unwrap()).unwrap();
        for key in &document.keys {
            assert_eq!(key.explicit_iv, Some(IvSpace::constant(key.kid)));
        }
        let kinds = document.rules.iter().map(|rule| {
            let filters = (rule.video.len(), rule.audio.len());
            (rule.intended_track_type.clone().unwrap(), filters)
        });
        Ok::<Vec<_>, SpekeError>(kinds.collect())
    };
    let kind = |name: &str, filters| (name.to_owned(), filters);
    let (all, video, audio) = (
        kind("ALL", (1, 1)),
        kind("VIDEO", (1, 0)),
        kind("AUDIO", (0, 1)),
    );
    assert_eq!(kinds(&[wanted(1, &[])]), Ok(vec![all]));
    assert_eq!(
        kinds(&[wanted(1, &[]), wanted(2, &["mp4a", "ec-3"])]),
        Ok(vec![video.clone(), audio.clone()])
    );
    assert_eq!(
        kinds(&[wanted(1, &[]), wanted(2, &["avc1"])]),
        Ok(vec![audio, video])
    );
    for keys in [
        vec![wanted(1, &[]), wanted(2, &["avc1"]), wanted(3, &["hvc1"])],
        vec![wanted(1, &[]), wanted(2, &["avc1", "mp4a"])],
        vec![],
    ] {
        assert!(matches!(kinds(&keys), Err(SpekeError::Order(_))));
    }
}

#[test]
fn answers_are_keys_or_nothing() {
    let vendor = &vendors()[0];
    let order = vendor
        .order("film", Scheme::Cenc, &[wanted(1, &[])], &[System::Widevine])
        .unwrap();
    let request = vendor.request(&order).unwrap();
    let mut answer = Cpix::from_xml(std::str::from_utf8(request.body()).unwrap()).unwrap();
    answer.keys[0].value = Some(Key::new([9; 16]));
    answer.systems[0].hls_master = Some("#EXT-X-SESSION-KEY:METHOD=NONE".into());
    let body = answer.to_xml().into_bytes();
    let keys = vendor.keys(&order, StatusCode::OK, &body).unwrap();
    assert_eq!(keys, [(Kid::from_bytes([1; 16]), Key::new([9; 16]))]);
    assert_eq!(
        vendor.keys(&order, StatusCode::FORBIDDEN, &body),
        Err(SpekeError::Status(403))
    );
    assert!(vendor.keys(&order, StatusCode::OK, b"").is_err());
}
