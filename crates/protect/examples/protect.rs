//! Protects a fragmented MP4 file of one track, for the tests in `tests/protect`:
//!
//! `protect IN OUT SCHEME KID KEY [KID KEY]`, where `SCHEME` is `cenc`, `cbcs` or `piff`, and ids and keys are hexadecimal. With a second
//! key the first fragment, and every other one, is under that and says so (`seig`).
//!
//! It reads the file as the packager would not (all of it at once), and leaves everything else to the crate. The `pssh`
//! boxes of Widevine, PlayReady and the W3C go into `moov`.

use std::collections::HashMap;
use std::error::Error;

use headwater_protect::init::{InitProtection, protect};
use headwater_protect::playready::PlayReadyHeader;
use headwater_protect::pssh::Pssh;
use headwater_protect::widevine::WidevineData;
use headwater_protect::{
    IvSpace, Key, Kid, ProtectedSegment, Scanner, Scheme, SegmentProtection, encrypt,
};

type Boxes<'a> = Vec<([u8; 4], usize, &'a [u8])>;

/// Type, length with header, and body of each box.
fn boxes(mut bytes: &[u8]) -> Boxes<'_> {
    let mut found = Vec::new();
    while bytes.len() >= 8 {
        let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        found.push((bytes[4..8].try_into().unwrap(), size, &bytes[8..size]));
        bytes = &bytes[size..];
    }
    found
}

fn find<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, name| {
        let mut found = boxes(bytes).into_iter();
        found
            .find(|(kind, ..)| kind == *name)
            .map(|(.., body)| body)
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// A scanner for the track, and whether it is video.
fn scanner(moov: &[u8]) -> Result<(Scanner, bool), Box<dyn Error>> {
    let stsd = find(moov, &[b"trak", b"mdia", b"minf", b"stbl", b"stsd"]).ok_or("no stsd")?;
    let (kind, _, entry) = boxes(&stsd[8..])[0];
    match &kind {
        b"avc1" => {
            let record = find(&entry[78..], &[b"avcC"]).ok_or("no avcC")?;
            let mut sets = Vec::new();
            let mut rest = &record[6..];
            for group in 0..2 {
                let count = match group {
                    0 => record[5] & 31,
                    _ => {
                        let count = rest[0];
                        rest = &rest[1..];
                        count
                    }
                };
                for _ in 0..count {
                    let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                    sets.push(&rest[2..2 + length]);
                    rest = &rest[2 + length..];
                }
            }
            Ok((Scanner::avc((record[4] & 3) + 1, sets)?, true))
        }
        b"hvc1" | b"hev1" => {
            let record = find(&entry[78..], &[b"hvcC"]).ok_or("no hvcC")?;
            Ok((Scanner::hevc(record)?, true))
        }
        b"av01" => {
            let record = find(&entry[78..], &[b"av1C"]).ok_or("no av1C")?;
            Ok((Scanner::av1(record)?, true))
        }
        _ => Ok((Scanner::Whole, false)),
    }
}

/// Sizes and durations of a fragment's samples.
fn samples(traf: &[u8], defaults: (u32, u32)) -> Vec<(u32, u32)> {
    let tfhd = find(traf, &[b"tfhd"]).unwrap();
    let flags = u32_at(tfhd, 0) & 0xff_ffff;
    let (mut duration, mut size) = defaults;
    let mut at = 8;
    at += if flags & 1 != 0 { 8 } else { 0 };
    at += if flags & 2 != 0 { 4 } else { 0 };
    if flags & 8 != 0 {
        duration = u32_at(tfhd, at);
        at += 4;
    }
    if flags & 16 != 0 {
        size = u32_at(tfhd, at);
    }
    let trun = find(traf, &[b"trun"]).unwrap();
    let flags = u32_at(trun, 0) & 0xff_ffff;
    let mut at = 8;
    at += if flags & 1 != 0 { 4 } else { 0 };
    at += if flags & 4 != 0 { 4 } else { 0 };
    (0..u32_at(trun, 4))
        .map(|_| {
            let mut field = |flag: u32, default: u32| {
                if flags & flag == 0 {
                    return default;
                }
                at += 4;
                u32_at(trun, at - 4)
            };
            let duration = field(0x100, duration);
            let size = field(0x200, size);
            field(0x400, 0);
            field(0x800, 0);
            (size, duration)
        })
        .collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, input, output, scheme, kid, key, more @ ..] = arguments.as_slice() else {
        return Err("usage: protect IN OUT cenc|cbcs|piff KID KEY [KID KEY]".into());
    };
    let scheme = HashMap::from([
        ("cenc", Scheme::Cenc),
        ("cbcs", Scheme::Cbcs),
        ("piff", Scheme::Piff),
    ])
    .remove(scheme.as_str())
    .ok_or("no such scheme")?;
    let kid = Kid::parse(kid).ok_or("no such key id")?;
    let read = |key: &str| u128::from_str_radix(key, 16).map(|key| Key::new(key.to_be_bytes()));
    let key = read(key)?;
    let other = match more {
        [] => None,
        [kid, key] => Some((Kid::parse(kid).ok_or("no such key id")?, read(key)?)),
        _ => return Err("a second key has an id and a value".into()),
    };

    let bytes = std::fs::read(input)?;
    let moov = find(&bytes, &[b"moov"]).ok_or("no moov")?;
    let (mut scanner, video) = scanner(moov)?;
    let mdhd = find(moov, &[b"trak", b"mdia", b"mdhd"]).ok_or("no mdhd")?;
    let timescale = u32_at(mdhd, if mdhd[0] == 1 { 20 } else { 12 });
    let trex = find(moov, &[b"mvex", b"trex"]).ok_or("no trex")?;
    let protection = SegmentProtection {
        scheme,
        kid,
        video,
        constant_iv: IvSpace::constant(kid),
    };
    let keys = [(kid, key.clone())];
    let playready = PlayReadyHeader {
        keys: &keys,
        scheme,
        license_url: None,
        custom_attributes: None,
    };
    let pssh = [
        Pssh::common([kid]).to_box()?,
        WidevineData::new([kid], scheme).pssh().to_box()?,
        playready.pssh()?.to_box()?,
    ];

    let mut out = Vec::new();
    let (mut at, mut head, mut decode_time, mut number) = (0, 0, 0, 0);
    let mut fragment: Vec<(u32, u32)> = Vec::new();
    for (kind, size, body) in boxes(&bytes) {
        match &kind {
            b"moov" => {
                let init = InitProtection {
                    scheme,
                    encryption: protection.encryption(),
                    pssh: &pssh,
                };
                out.extend(protect(&bytes[..at + size], &init)?);
                head = at + size;
            }
            b"moof" => {
                let traf = find(body, &[b"traf"]).ok_or("no traf")?;
                let tfdt = find(traf, &[b"tfdt"]).ok_or("no tfdt")?;
                decode_time = match tfdt[0] {
                    1 => u64::from_be_bytes(tfdt[4..12].try_into()?),
                    _ => u32_at(tfdt, 4).into(),
                };
                head = at;
                fragment = samples(traf, (u32_at(trex, 12), u32_at(trex, 16)));
            }
            b"mdat" => {
                let mut media = body;
                let mut maps = Vec::new();
                for (size, _) in &fragment {
                    let (sample, rest) = media.split_at(*size as usize);
                    maps.push(scanner.scan(sample, scheme)?);
                    media = rest;
                }
                let duration = fragment
                    .iter()
                    .map(|(_, duration)| u64::from(*duration))
                    .sum();
                let rotated = other.as_ref().filter(|_| number % 2 == 0);
                number += 1;
                let (kid, key) = match rotated {
                    Some((kid, key)) => (*kid, key),
                    None => (kid, &key),
                };
                let own = SegmentProtection {
                    kid,
                    constant_iv: IvSpace::constant(kid),
                    ..protection
                };
                let pssh = [Pssh::common([kid]).to_box()?];
                let space = IvSpace::new(kid, input.as_bytes(), 0);
                let first = space.first(decode_time, duration, fragment.len(), timescale)?;
                let clear = &bytes[head..at + 8];
                let rotated = rotated.map(|_| &pssh[..]);
                let made = ProtectedSegment::plan(&own, clear, maps, first, rotated)?;
                out.extend(made.head);
                out.extend(encrypt(&made.cipher, key, body)?);
            }
            _ => {}
        }
        at += size;
    }
    std::fs::write(output, out)?;
    Ok(())
}
