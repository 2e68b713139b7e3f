//! `esds`: the elementary stream descriptor (ISO/IEC 14496-1 §7.2.6, ISO/IEC 14496-14 §6.7.2).
//!
//! Descriptors are `u8 tag | length in 7-bit groups | payload`; ours nest ES (3) > DecoderConfig (4) >
//! DecoderSpecificInfo (5), whose payload is the `AudioSpecificConfig`.

use super::cursor::{BoxReader, Read};

/// What an `esds` box says about a stream.
pub(super) struct StreamDescriptor {
    /// `objectTypeIndication`: 0x40 is MPEG-4 audio.
    pub(super) object_type_indication: u8,
    /// `DecoderSpecificInfo`, empty if absent.
    pub(super) decoder_specific: Vec<u8>,
}

const ES: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC: u8 = 5;

/// Reads a descriptor's tag and length; the length is refused unless the box holds it.
fn descriptor(reader: &mut BoxReader<'_>) -> Read<(u8, usize)> {
    let tag = reader.u8()?;
    let mut length: usize = 0;
    for _ in 0..4 {
        let byte = reader.u8()?;
        length = (length << 7) | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    // Some writers state lengths that end past the box; what follows is then cut to what there is.
    Ok((tag, length.min(reader.remaining())))
}

pub(super) fn parse(reader: &mut BoxReader<'_>) -> Read<StreamDescriptor> {
    reader.version_and_flags()?;
    let (tag, _) = descriptor(reader)?;
    if tag != ES {
        return Err(reader.malformed(format!("descriptor {tag} where an ES descriptor belongs")));
    }
    reader.skip(2)?; // ES_ID
    let flags = reader.u8()?;
    if flags & 0x80 != 0 {
        reader.skip(2)?; // dependsOn_ES_ID
    }
    if flags & 0x40 != 0 {
        let length = reader.u8()?;
        reader.skip(usize::from(length))?; // URL
    }
    if flags & 0x20 != 0 {
        reader.skip(2)?; // OCR_ES_ID
    }
    let (tag, _) = descriptor(reader)?;
    if tag != DECODER_CONFIG {
        return Err(reader.malformed(format!(
            "descriptor {tag} where a decoder configuration belongs"
        )));
    }
    let object_type_indication = reader.u8()?;
    reader.skip(12)?; // stream type, buffer size, bit rates
    let mut decoder_specific = Vec::new();
    while reader.remaining() >= 2 {
        let (tag, length) = descriptor(reader)?;
        let payload = reader.take(length)?;
        if tag == DECODER_SPECIFIC {
            decoder_specific = payload.to_vec();
            break;
        }
    }
    Ok(StreamDescriptor {
        object_type_indication,
        decoder_specific,
    })
}
