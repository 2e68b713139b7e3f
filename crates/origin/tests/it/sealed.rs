//! What tests of encrypted delivery share: keys, policies, and the tools that decrypt.
#![allow(dead_code, unreachable_pub)] // Every test file uses another part.

use super::common::{attributes, resolve, uris};
use headwater_origin::*;
use headwater_protect::{Key, Kid};
use serde_json::json;
use std::io::Write as _;
use std::process::{Command, Stdio};

pub const KID: &str = "00112233-4455-6677-8899-aabbccddeeff";
pub const AUDIO_KID: &str = "10112233-4455-6677-8899-aabbccddeeff";

pub fn key(kid: &str, fill: u8, tracks: serde_json::Value) -> ContentKey {
    ContentKey {
        kid: Kid::parse(kid).unwrap(),
        key: Key::new([fill; 16]),
        tracks: Tracks::read(&tracks),
    }
}

pub fn offer(system: KeySystem) -> KeyOffer {
    KeyOffer {
        system,
        url_template: None,
        custom_attributes: None,
    }
}

/// One key of nines for everything, with every key system that goes with `way`.
pub fn protection(way: Way) -> Protection {
    let offers: &[KeySystem] = match way {
        Way::Envelope => &[KeySystem::ClearKey],
        Way::Cenc => &[
            KeySystem::PlayReady,
            KeySystem::Widevine,
            KeySystem::ClearKey,
        ],
        Way::Cbcs => &[KeySystem::FairPlay, KeySystem::ClearKey],
    };
    Protection {
        schemes: vec![SchemeProtection {
            way,
            keys: vec![key(KID, 9, json!([]))],
            clear: Tracks::default(),
            offers: offers.iter().copied().map(offer).collect(),
            rotation: None,
        }],
        media_id: Some("film".to_owned()),
        key_url: "https://video.example/keys".to_owned(),
    }
}

/// URLs of a media playlist's segments, that of the init segment first if there is one.
pub fn segment_urls(path: &str, text: &str) -> Vec<String> {
    let map: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("#EXT-X-MAP"))
        .collect();
    let map = attributes(&map.join("\n"), "URI");
    let all = map.into_iter().chain(uris(text));
    all.map(|uri| resolve(path, &uri)).collect()
}

/// ffmpeg's checksums of all decoded frames of a file, `how` being options of its output. The file comes through a pipe: of one
/// that it can seek in, ffmpeg 5.1 takes the vectors of the last fragment for those of all.
pub fn frame_sums(file: &[u8], key: Option<&str>, how: &[&str]) -> String {
    let key: Vec<&str> = key
        .map(|key| vec!["-decryption_key", key])
        .unwrap_or_default();
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror"])
        .args(key)
        .args(["-i", "pipe:0"])
        .args(how)
        .args(["-f", "framemd5", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed");
    let mut stdin = ffmpeg.stdin.take().unwrap();
    let bytes = file.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = ffmpeg.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
