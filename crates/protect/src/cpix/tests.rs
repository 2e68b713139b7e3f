use super::*;
use crate::pssh::{Pssh, system};

fn document() -> Cpix {
    let kid = Kid::parse("00112233-4455-6677-8899-aabbccddeeff").unwrap();
    let other = Kid::from_bytes([9; 16]);
    let key = |kid, fill| ContentKey {
        kid,
        value: Some(Key::new([fill; 16])),
        explicit_iv: Some([fill; 16]),
        scheme: Some(Scheme::Cbcs),
    };
    Cpix {
        content_id: Some("a & b".into()),
        version: Some("2.3".into()),
        keys: vec![key(kid, 1), key(other, 2)],
        systems: vec![DrmSystem {
            kid: Some(kid),
            system: system::COMMON,
            pssh: Some(Pssh::common([kid]).to_box().unwrap()),
            content_protection: Some("<cenc:pssh>AA==</cenc:pssh>".into()),
            hls_media: Some("#EXT-X-KEY:METHOD=NONE".into()),
            hls_master: Some("#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"x\"".into()),
            smooth_header: Some("AAAA".into()),
        }],
        periods: vec![KeyPeriod {
            id: "p0".into(),
            index: Some(0),
            start: None,
            end: None,
        }],
        rules: vec![
            UsageRule {
                kid: Some(kid),
                intended_track_type: Some("VIDEO".into()),
                periods: vec!["p0".into()],
                video: vec![VideoFilter {
                    max_pixels: Some(921_600),
                    hdr: Some(false),
                    ..VideoFilter::default()
                }],
                bitrate: vec![(Some(1), None)],
                ..UsageRule::default()
            },
            UsageRule {
                kid: Some(other),
                intended_track_type: Some("AUDIO".into()),
                labels: vec!["eng".into()],
                audio: vec![AudioFilter {
                    min_channels: Some(1),
                    max_channels: Some(2),
                }],
                ..UsageRule::default()
            },
        ],
    }
}

#[test]
fn a_document_comes_back() {
    let document = document();
    assert_eq!(Cpix::from_xml(&document.to_xml()).unwrap(), document);
}

#[test]
fn a_track_has_one_key_or_packaging_stops() {
    let mut document = document();
    let video = Media {
        pixels: Some(640 * 360),
        bitrate: Some(5),
        period: Some("p0".into()),
        ..Media::default()
    };
    let audio = Media {
        channels: Some(2),
        label: Some("eng".into()),
        ..Media::default()
    };
    let (first, second) = (document.keys[0].kid, document.keys[1].kid);
    assert_eq!(document.key_for(&video), Ok(first));
    assert_eq!(document.key_for(&audio), Ok(second));
    let large = Media {
        pixels: Some(3840 * 2160),
        ..video.clone()
    };
    assert_eq!(document.key_for(&large), Err(RuleError::NoRule));
    document.rules.push(UsageRule {
        kid: Some(second),
        ..UsageRule::default()
    });
    assert_eq!(document.key_for(&video), Err(RuleError::Ambiguous));
    assert_eq!(document.key_for(&audio), Ok(second));
}

#[test]
fn hostile_documents_are_refused() {
    let good = document().to_xml();
    let wrong = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        Cpix::from_xml(&good.replacen(from, to, 1))
            .unwrap_err()
            .to_string()
    };
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let key = encode("#EXT-X-KEY:METHOD=NONE");
    for lines in ["#EXT-X-KEY:METHOD=NONE\n#EXT-X-ENDLIST", "https://evil/"] {
        assert!(wrong(&key, &encode(lines)).contains("HLSSignalingData"));
    }
    let cp = encode("<cenc:pssh>AA==</cenc:pssh>");
    for xml in ["</CP><x/><CP>", "<a>", "&xxe;", "<x:y/>"] {
        assert!(
            wrong(&cp, &encode(xml)).contains("ContentProtectionData"),
            "{xml}"
        );
    }
    assert!(wrong("PlainValue>", "EncryptedValue>").contains("XML"));
    assert!(
        Cpix::from_xml(&good.replace("PlainValue>", "EncryptedValue>"))
            .unwrap_err()
            .to_string()
            .contains("EncryptedValue")
    );
    assert!(
        wrong("<ContentKeyList>", "<DeliveryDataList/><ContentKeyList>")
            .contains("DeliveryDataList")
    );
    assert!(
        wrong(
            "09090909-0909-0909-0909-090909090909",
            "00112233-4455-6677-8899-aabbccddeeff"
        )
        .contains("twice")
    );
    assert!(wrong("<LabelFilter label=\"eng\"/>", "<Mystery/>").contains("Mystery"));
    let dtd = good.replacen("<CPIX", "<!DOCTYPE x [<!ENTITY a \"b\">]><CPIX", 1);
    assert!(Cpix::from_xml(&dtd).is_err());
}
