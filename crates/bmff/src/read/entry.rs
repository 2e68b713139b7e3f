//! `stsd`: sample entries of video and audio (ISO/IEC 14496-12 §8.5.2, §12.1.3, §12.2.3; QuickTime File Format,
//! "Sound sample description").
//!
//! Only the first entry is read; `stsc` tells whether samples use another one.

use super::cursor::{BoxReader, Read};
use super::esds;
use crate::aac::AacFault;
use crate::{
    AacConfig, AvcConfig, BoxedCodec, BoxedKind, CodecConfig, Colour, FourCc, OtherCodec,
    PixelAspect, TrackKind,
};

/// What the first sample entry says.
pub(super) struct SampleEntries {
    pub(super) codec: CodecConfig,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) pixel_aspect: Option<PixelAspect>,
    pub(super) colour: Option<Colour>,
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
}

impl SampleEntries {
    pub(super) fn other(codec: OtherCodec) -> Self {
        Self {
            codec: CodecConfig::Other(codec),
            width: 0,
            height: 0,
            pixel_aspect: None,
            colour: None,
            sample_rate: 0,
            channels: 0,
        }
    }
}

pub(super) fn parse_stsd(stsd: &mut BoxReader<'_>, kind: TrackKind) -> Read<SampleEntries> {
    let (version, _) = stsd.version_and_flags()?;
    stsd.table_count(8)?;
    let mut first = None;
    stsd.children(|entry, fourcc| {
        if first.is_none() {
            first = Some(match kind {
                TrackKind::Video => video(entry, fourcc)?,
                TrackKind::Audio => audio(entry, fourcc, version)?,
                TrackKind::Text => text(entry, fourcc)?,
                TrackKind::Other => SampleEntries::other(OtherCodec::recognise(fourcc)),
            });
        }
        Ok(())
    })?;
    first.ok_or_else(|| stsd.malformed("no sample entry"))
}

fn video(entry: &mut BoxReader<'_>, fourcc: FourCc) -> Read<SampleEntries> {
    let mut found = SampleEntries::other(OtherCodec::recognise(fourcc));
    entry.skip(24)?; // reserved, data reference index, pre-defined
    found.width = entry.u16()?;
    found.height = entry.u16()?;
    let boxed = BoxedKind::of_entry(fourcc);
    if fourcc != b"avc1" && fourcc != b"avc3" && boxed.is_none() {
        return Ok(found);
    }
    entry.skip(50)?; // resolution, frame count, compressor name, depth, pre-defined
    let config_box = boxed.map_or(FourCc(*b"avcC"), |(_, config)| config);
    let (mut config, mut extra) = (None, Vec::new());
    entry.children(|child, name| {
        match &name.0 {
            _ if name == config_box => config = Some(child.rest().to_vec()),
            b"pasp" => found.pixel_aspect = pixel_aspect(child)?,
            b"colr" => found.colour = colour(child)?.or(found.colour),
            b"mdcv" | b"clli" | b"dvcC" | b"dvvC" => push_box(&mut extra, name, child.rest()),
            _ => {}
        }
        Ok(())
    })?;
    let config = config.unwrap_or_default();
    let codec = match boxed {
        Some(_) => BoxedCodec::parse(fourcc, &config, &extra).map(CodecConfig::Boxed),
        None => AvcConfig::parse(fourcc, &config).map(CodecConfig::Avc),
    };
    found.codec = codec.unwrap_or_else(|| CodecConfig::Other(OtherCodec::broken(fourcc)));
    Ok(found)
}

/// Appends a box; those of a sample entry are far below 4 GiB.
fn push_box(out: &mut Vec<u8>, name: FourCc, payload: &[u8]) {
    let size = u32::try_from(payload.len().saturating_add(8)).unwrap_or(u32::MAX);
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&name.0);
    out.extend_from_slice(payload);
}

/// Longest sample entry of text that is carried: it is part of every init segment.
const MAX_TEXT_ENTRY: usize = 64 << 10;

fn text(entry: &mut BoxReader<'_>, fourcc: FourCc) -> Read<SampleEntries> {
    let mut found = SampleEntries::other(OtherCodec::recognise(fourcc));
    if BoxedKind::of_entry(fourcc).is_some() {
        entry.skip(8)?; // reserved, data reference index
        let config = entry.rest();
        let codec = match config.len() <= MAX_TEXT_ENTRY {
            true => BoxedCodec::parse(fourcc, config, &[]).map(CodecConfig::Boxed),
            false => None,
        };
        found.codec = codec.unwrap_or_else(|| CodecConfig::Other(OtherCodec::broken(fourcc)));
    }
    Ok(found)
}

fn pixel_aspect(pasp: &mut BoxReader<'_>) -> Read<Option<PixelAspect>> {
    let (horizontal, vertical) = (pasp.u32()?, pasp.u32()?);
    let shaped = horizontal > 0 && vertical > 0 && horizontal != vertical;
    Ok(shaped.then_some(PixelAspect {
        horizontal,
        vertical,
    }))
}

fn colour(colr: &mut BoxReader<'_>) -> Read<Option<Colour>> {
    let kind = colr.fourcc()?;
    if kind != b"nclx" && kind != b"nclc" {
        return Ok(None);
    }
    let (primaries, transfer, matrix) = (colr.u16()?, colr.u16()?, colr.u16()?);
    let full_range = kind == b"nclx" && colr.u8()? & 0x80 != 0;
    Ok(Some(Colour {
        primaries,
        transfer,
        matrix,
        full_range,
    }))
}

fn audio(entry: &mut BoxReader<'_>, fourcc: FourCc, stsd_version: u8) -> Read<SampleEntries> {
    let mut found = SampleEntries::other(OtherCodec::recognise(fourcc));
    entry.skip(8)?; // reserved, data reference index
    let version = entry.u16()?;
    entry.skip(6)?; // revision, vendor
    found.channels = entry.u16()?;
    entry.skip(6)?; // sample size, compression id, packet size
    found.sample_rate = entry.u32()? >> 16;
    // ISO's own version 1 entry (in an stsd of version 1) has QuickTime's version number but not its fields.
    match (version, stsd_version) {
        (1, 0) => entry.skip(16)?,
        (2, 0) => {
            entry.skip(4)?;
            found.sample_rate = whole_hertz(entry.u64()?);
            found.channels = u16::try_from(entry.u32()?).unwrap_or(u16::MAX);
            entry.skip(20)?;
        }
        _ => {}
    }
    if let Some((_, config_box)) = BoxedKind::of_entry(fourcc) {
        let mut config = Vec::new();
        entry.children(|child, name| {
            if name == config_box {
                config = child.rest().to_vec();
            }
            Ok(())
        })?;
        found.codec = match BoxedCodec::parse(fourcc, &config, &[]) {
            Some(codec) => {
                if codec.sample_rate > 0 {
                    (found.sample_rate, found.channels) = (codec.sample_rate, codec.channels);
                }
                CodecConfig::Boxed(codec)
            }
            None => CodecConfig::Other(OtherCodec::broken(fourcc)),
        };
        return Ok(found);
    }
    if fourcc != b"mp4a" {
        return Ok(found);
    }
    let mut stream = None;
    entry.children(|child, name| {
        match &name.0 {
            b"esds" => stream = Some(esds::parse(child)?),
            b"wave" => child.children(|inner, name| {
                if name == b"esds" {
                    stream = Some(esds::parse(inner)?);
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    let Some(stream) = stream else {
        found.codec = CodecConfig::Other(OtherCodec::broken(fourcc));
        return Ok(found);
    };
    found.codec = match stream.object_type_indication {
        0x40 | 0x66..=0x68 => match AacConfig::read(&stream.decoder_specific) {
            Ok(mut aac) => {
                if aac.channels == 0 {
                    aac.channels = found.channels;
                }
                (found.sample_rate, found.channels) = (aac.sample_rate, aac.channels);
                CodecConfig::Aac(aac)
            }
            Err(AacFault::ObjectType(number)) => CodecConfig::Other(OtherCodec::named(
                fourcc,
                format!("MPEG-4 audio object type {number}"),
            )),
            Err(AacFault::Malformed) => CodecConfig::Other(OtherCodec::broken(fourcc)),
        },
        0x69 | 0x6b => CodecConfig::Other(OtherCodec::named(fourcc, "MP3")),
        0xa5 => CodecConfig::Other(OtherCodec::named(fourcc, "Dolby Digital (AC-3)")),
        0xa6 => CodecConfig::Other(OtherCodec::named(fourcc, "Dolby Digital Plus (E-AC-3)")),
        0xa9 | 0xac => CodecConfig::Other(OtherCodec::named(fourcc, "DTS")),
        0xdd => CodecConfig::Other(OtherCodec::named(fourcc, "Vorbis")),
        0xad => CodecConfig::Other(OtherCodec::named(fourcc, "Opus")),
        other => CodecConfig::Other(OtherCodec::named(
            fourcc,
            format!("MPEG-4 stream type {other:#04x}"),
        )),
    };
    Ok(found)
}

/// The whole part of a sampling rate that QuickTime states as a double; 0 if it is no rate.
fn whole_hertz(bits: u64) -> u32 {
    let rate = f64::from_bits(bits);
    if rate.is_finite() && rate >= 0.0 && rate <= f64::from(u32::MAX) {
        // In range, so the cast only drops the fraction.
        rate as u32
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AudioObjectType;
    use crate::read::cursor::Path;

    fn boxed(name: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len() + 8).unwrap();
        [&size.to_be_bytes()[..], name, payload].concat()
    }

    fn esds(object_type_indication: u8, asc: &[u8]) -> Vec<u8> {
        let asc_len = u8::try_from(asc.len()).unwrap();
        // Lengths in four bytes, as QuickTime writes them.
        let mut payload = vec![0, 0, 0, 0, 3, 0x80, 0x80, 0x80, 32, 0, 0, 0];
        payload.extend([4, 0x80, 0x80, 0x80, 20, object_type_indication, 0x15]);
        payload.extend([0; 11]);
        payload.extend([5, 0x80, 0x80, 0x80, asc_len]);
        payload.extend(asc);
        boxed(b"esds", &payload)
    }

    /// `mp4a` of a QuickTime or ISO version around `fields`, which follow the sampling rate.
    fn entry(version: u8, fields: &[u8]) -> Vec<u8> {
        let mut payload = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, version, 0, 0, 0, 0, 0, 0];
        payload.extend([0, 2, 0, 16, 0, 0, 0, 0, 0xac, 0x44, 0, 0]);
        payload.extend(fields);
        boxed(b"mp4a", &payload)
    }

    fn read(stsd_version: u8, entry: &[u8]) -> Read<SampleEntries> {
        let payload = [&[stsd_version, 0, 0, 0, 0, 0, 0, 1][..], entry].concat();
        let path = Path::top(FourCc(*b"stsd"));
        parse_stsd(&mut BoxReader::new(&path, 0, &payload), TrackKind::Audio)
    }

    const STEREO_44: [u8; 2] = [0x12, 0x10];

    fn check(found: SampleEntries) {
        assert_eq!((found.sample_rate, found.channels), (44_100, 2));
        let CodecConfig::Aac(aac) = found.codec else {
            panic!("{:?}", found.codec);
        };
        assert_eq!(aac.object_type, AudioObjectType::Lc);
        assert_eq!(aac.asc, STEREO_44);
    }

    #[test]
    fn sound_entries_of_every_version() {
        let config = esds(0x40, &STEREO_44);
        check(read(0, &entry(0, &config)).unwrap());
        // ISO version 1 has no further fields; QuickTime's has four, and the configuration in a `wave` that closes
        // with a box of eight zero bytes.
        check(read(1, &entry(1, &config)).unwrap());
        let inner = boxed(b"mp4a", &[0; 4]);
        let wave = [
            boxed(b"frma", b"mp4a"),
            inner,
            config.clone(),
            vec![0, 0, 0, 8, 0, 0, 0, 0],
        ];
        let wave = boxed(b"wave", &wave.concat());
        check(read(0, &entry(1, &[vec![0; 16], wave].concat())).unwrap());
        // Version 2 states rate and channels anew.
        let mut fields = vec![0, 0, 0, 72];
        fields.extend(44_100_f64.to_bits().to_be_bytes());
        fields.extend([0, 0, 0, 2]);
        fields.extend([0; 20]);
        check(read(0, &entry(2, &[fields, config].concat())).unwrap());
    }

    #[test]
    fn other_streams_in_mp4a_are_named() {
        let name = |indication, asc: &[u8]| {
            let found = read(0, &entry(0, &esds(indication, asc))).unwrap();
            found.codec.name().to_owned()
        };
        assert_eq!(name(0x6b, &[]), "MP3");
        assert_eq!(name(0x40, &[0x0a, 0x10]), "MPEG-4 audio object type 1");
        assert_eq!(name(0xa5, &[]), "Dolby Digital (AC-3)");
        let broken = "MPEG-4 audio without a valid configuration";
        assert_eq!(name(0x40, &[0x12]), broken, "cut off");
        let found = read(0, &entry(0, &[])).unwrap();
        assert_eq!(found.codec.name(), broken, "no esds");
    }
}
