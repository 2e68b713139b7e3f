//! Prints what players are told of a key, for the tests in `tests/protect`: `signal SCHEME KID KEY [KID KEY …] [LA_URL]`.
//!
//! One line each: a name, a tab, and text or base64. `cpix` is a document with the keys and everything else in it.

use std::error::Error;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_protect::cpix::{
    AudioFilter, ContentKey, Cpix, DrmSystem, KeyPeriod, UsageRule, VideoFilter,
};
use headwater_protect::playready::PlayReadyHeader;
use headwater_protect::pssh::{Pssh, system};
use headwater_protect::widevine::WidevineData;
use headwater_protect::{IvSpace, Key, Kid, Scheme};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (scheme, keys) = arguments
        .split_first()
        .ok_or("usage: signal SCHEME KID KEY")?;
    let scheme = match scheme.as_str() {
        "cenc" => Scheme::Cenc,
        "cbcs" => Scheme::Cbcs,
        _ => return Err("no such scheme".into()),
    };
    let (keys, rest) = keys.as_chunks::<2>();
    let keys = keys
        .iter()
        .map(|pair| {
            let kid = Kid::parse(&pair[0]).ok_or("no such key id")?;
            let key = u128::from_str_radix(&pair[1], 16)?;
            Ok((kid, Key::new(key.to_be_bytes())))
        })
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let kids: Vec<Kid> = keys.iter().map(|(kid, _)| *kid).collect();
    let playready = PlayReadyHeader {
        keys: &keys,
        scheme,
        license_url: rest.first().map(String::as_str),
        custom_attributes: None,
    };
    let widevine = WidevineData::new(kids.clone(), scheme).pssh();
    println!("widevine\t{}", widevine.base64()?);
    println!("playready\t{}", playready.pssh()?.base64()?);
    println!("object\t{}", STANDARD.encode(playready.object()?));
    println!("common\t{}", Pssh::common(kids.clone()).base64()?);
    let cpix = Cpix {
        content_id: Some("film".into()),
        version: Some("2.3".into()),
        keys: keys
            .iter()
            .map(|(kid, key)| ContentKey {
                kid: *kid,
                value: Some(key.clone()),
                explicit_iv: (scheme == Scheme::Cbcs).then(|| IvSpace::constant(*kid)),
                scheme: Some(scheme),
            })
            .collect(),
        systems: kids
            .iter()
            .map(|kid| {
                Ok(DrmSystem {
                    kid: Some(*kid),
                    system: system::WIDEVINE,
                    pssh: Some(WidevineData::new([*kid], scheme).pssh().to_box()?),
                    content_protection: Some("<a xmlns=\"urn:a\">b</a>".into()),
                    hls_media: Some("#EXT-X-KEY:METHOD=SAMPLE-AES".into()),
                    hls_master: Some("#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES".into()),
                    smooth_header: Some("<ProtectionHeader/>".into()),
                })
            })
            .collect::<Result<_, Box<dyn Error>>>()?,
        periods: vec![
            KeyPeriod {
                id: "first".into(),
                index: Some(1),
                start: None,
                end: None,
            },
            KeyPeriod {
                id: "second".into(),
                index: None,
                start: Some("2026-01-01T00:00:00Z".into()),
                end: Some("2026-01-01T01:00:00Z".into()),
            },
        ],
        rules: kids
            .iter()
            .enumerate()
            .map(|(at, kid)| UsageRule {
                kid: Some(*kid),
                intended_track_type: Some(if at == 0 { "VIDEO" } else { "AUDIO" }.into()),
                periods: vec!["first".into(), "second".into()],
                labels: vec!["label".into()],
                video: vec![VideoFilter {
                    min_pixels: Some(1),
                    max_pixels: Some(2),
                    hdr: Some(true),
                    wcg: Some(false),
                    min_fps: Some(1),
                    max_fps: Some(60),
                }],
                audio: vec![AudioFilter {
                    min_channels: Some(1),
                    max_channels: Some(2),
                }],
                bitrate: vec![(Some(1), Some(2))],
            })
            .collect(),
    };
    println!("cpix\t{}", STANDARD.encode(cpix.to_xml()));
    Ok(())
}
