//! `stsd` with its one sample entry: of video with the codec's configuration box, `colr` and `pasp`; `mp4a` with `esds` or
//! another audio codec with its configuration box; of text as it is.

use super::boxes::BoxWriter;
use crate::{AacConfig, BmffError, BoxedCodec, CodecConfig, FourCc, TrackConfig, TrackKind};

/// Checked before anything is written, so that writing itself cannot fail.
pub(super) enum Entry<'a> {
    Aac(&'a AacConfig),
    Boxed(Boxed<'a>),
}

/// A sample entry around a configuration box.
pub(super) struct Boxed<'a> {
    entry: FourCc,
    config_box: FourCc,
    config: &'a [u8],
    extra: &'a [u8],
}

impl<'a> Boxed<'a> {
    fn of(codec: &'a BoxedCodec) -> Self {
        Self {
            entry: codec.sample_entry,
            config_box: codec.config_box,
            config: &codec.config,
            extra: &codec.extra,
        }
    }
}

/// Longest `AudioSpecificConfig` written: it and the descriptors around it then have one-byte lengths.
const MAX_ASC: usize = 64;

impl<'a> Entry<'a> {
    pub(super) fn of(config: &'a TrackConfig) -> Result<Self, BmffError> {
        match &config.codec {
            CodecConfig::Avc(avc) => Ok(Self::Boxed(Boxed {
                entry: avc.sample_entry,
                config_box: FourCc(*b"avcC"),
                config: &avc.record,
                extra: &[],
            })),
            CodecConfig::Boxed(codec) => Ok(Self::Boxed(Boxed::of(codec))),
            CodecConfig::Aac(aac) if aac.asc.len() > MAX_ASC => Err(BmffError::unwritable(
                "esds",
                format!("an AudioSpecificConfig of {} bytes", aac.asc.len()),
            )),
            CodecConfig::Aac(aac) => Ok(Self::Aac(aac)),
            CodecConfig::Other(other) => Err(BmffError::unwritable(
                "stsd",
                format!("a sample entry for {}", other.name),
            )),
        }
    }

    pub(super) fn write(&self, w: &mut BoxWriter, config: &TrackConfig) {
        w.full(b"stsd", 0, 0, |w| {
            w.u32(1);
            match self {
                Self::Boxed(boxed) => match config.kind {
                    TrackKind::Video => video(w, boxed, config),
                    TrackKind::Audio => audio(w, boxed.entry, config, |w| {
                        w.boxed(&boxed.config_box.0, |w| w.bytes(boxed.config));
                    }),
                    TrackKind::Text | TrackKind::Other => w.boxed(&boxed.entry.0, |w| {
                        w.zeros(6);
                        w.u16(1); // data reference index
                        w.bytes(boxed.config);
                    }),
                },
                Self::Aac(aac) => audio(w, FourCc(*b"mp4a"), config, |w| {
                    w.full(b"esds", 0, 0, |w| stream_descriptor(w, &aac.asc));
                }),
            }
        });
    }
}

fn video(w: &mut BoxWriter, boxed: &Boxed<'_>, config: &TrackConfig) {
    w.boxed(&boxed.entry.0, |w| {
        w.zeros(6);
        w.u16(1); // data reference index
        w.zeros(16);
        w.u16(config.width);
        w.u16(config.height);
        w.u32(0x48_0000); // 72 dpi
        w.u32(0x48_0000);
        w.zeros(4);
        w.u16(1); // frames per sample
        w.zeros(32); // compressor name
        w.u16(0x18); // colour, no alpha
        w.u16(0xffff);
        w.boxed(&boxed.config_box.0, |w| w.bytes(boxed.config));
        w.bytes(boxed.extra);
        if let Some(colour) = config.colour {
            w.boxed(b"colr", |w| {
                w.bytes(b"nclx");
                w.u16(colour.primaries);
                w.u16(colour.transfer);
                w.u16(colour.matrix);
                w.u8(if colour.full_range { 0x80 } else { 0 });
            });
        }
        if let Some(aspect) = config.pixel_aspect {
            w.boxed(b"pasp", |w| {
                w.u32(aspect.horizontal);
                w.u32(aspect.vertical);
            });
        }
    });
}

fn audio(
    w: &mut BoxWriter,
    entry: FourCc,
    config: &TrackConfig,
    configuration: impl FnOnce(&mut BoxWriter),
) {
    w.boxed(&entry.0, |w| {
        w.zeros(6);
        w.u16(1); // data reference index
        w.zeros(8);
        w.u16(config.channels);
        w.u16(16); // bits per sample
        w.zeros(4);
        // 16.16 fixed point; rates it cannot hold are stated in the decoder configuration only.
        let rate = u16::try_from(config.sample_rate).unwrap_or(0);
        w.u32(u32::from(rate) << 16);
        configuration(w);
    });
}

/// ES descriptor > decoder configuration > decoder specific info (ISO/IEC 14496-1 §7.2.6), lengths in one byte each.
fn stream_descriptor(w: &mut BoxWriter, asc: &[u8]) {
    let asc_len = u8::try_from(asc.len()).unwrap_or(u8::MAX);
    let specific = asc_len.saturating_add(2);
    let config = specific.saturating_add(13);
    w.u8(3);
    w.u8(config.saturating_add(3 + 2 + 3));
    w.u16(0); // ES_ID: 0 in files (ISO/IEC 14496-14 §3.1.2)
    w.u8(0);
    w.u8(4);
    w.u8(config);
    w.u8(0x40); // MPEG-4 audio
    w.u8(0x15); // audio stream, upstream 0, reserved 1
    w.zeros(11); // buffer size and bit rates: not stated
    w.u8(5);
    w.u8(asc_len);
    w.bytes(asc);
    w.bytes(&[6, 1, 2]); // SL configuration: predefined for MP4
}
