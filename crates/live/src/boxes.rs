//! The few boxes that `headwater-bmff` does not write: CMAF headers of codecs that live passes on without looking inside.
//!
//! ```text
//! ftyp moov { mvhd trak { tkhd mdia { mdhd hdlr minf { vmhd|smhd dinf stbl { stsd {entry} stts stsc stsz stco } } } } mvex { trex } }
//! ```

use headwater_time::Timescale;

/// Nested boxes in one buffer. Headers have some hundred bytes, so 32-bit sizes never overflow.
#[derive(Default)]
struct Boxes(Vec<u8>);

impl Boxes {
    fn boxed(&mut self, name: &[u8; 4], fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.u32(0);
        self.bytes(name);
        fill(self);
        let size = u32::try_from(self.0.len().saturating_sub(start)).unwrap_or(u32::MAX);
        if let Some(field) = self.0.get_mut(start..start.saturating_add(4)) {
            field.copy_from_slice(&size.to_be_bytes());
        }
    }

    fn full(&mut self, name: &[u8; 4], flags: u32, fill: impl FnOnce(&mut Self)) {
        self.boxed(name, |w| {
            w.u32(flags);
            fill(w);
        });
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn zeros(&mut self, count: usize) {
        self.0.resize(self.0.len().saturating_add(count), 0);
    }

    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    fn matrix(&mut self) {
        for value in [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000] {
            self.u32(value);
        }
    }
}

/// What the sample entry says.
pub(crate) enum Entry<'a> {
    /// A picture's, with its configuration box.
    Video {
        name: &'a [u8; 4],
        size: (u16, u16),
        config: (&'a [u8; 4], &'a [u8]),
    },
    /// A sound's, with its configuration box.
    Audio {
        name: &'a [u8; 4],
        channels: u16,
        sample_rate: u32,
        config: (&'a [u8; 4], &'a [u8]),
    },
}

/// The CMAF header of a track with id 1.
pub(crate) fn init_segment(timescale: Timescale, entry: &Entry<'_>) -> Vec<u8> {
    let video = matches!(entry, Entry::Video { .. });
    let mut w = Boxes::default();
    w.boxed(b"ftyp", |w| {
        w.bytes(b"cmf2");
        w.u32(0);
        w.bytes(b"iso6cmfccmf2");
    });
    w.boxed(b"moov", |w| {
        w.full(b"mvhd", 0, |w| {
            w.zeros(8);
            w.u32(timescale.get());
            w.u32(0);
            w.u32(0x1_0000);
            w.u16(0x100);
            w.zeros(10);
            w.matrix();
            w.zeros(24);
            w.u32(2);
        });
        w.boxed(b"trak", |w| {
            w.full(b"tkhd", 7, |w| {
                w.zeros(8);
                w.u32(1);
                w.zeros(16);
                w.u32(0);
                w.u16(if video { 0 } else { 0x100 });
                w.u16(0);
                w.matrix();
                let (width, height) = match entry {
                    Entry::Video { size, .. } => *size,
                    Entry::Audio { .. } => (0, 0),
                };
                w.u32(u32::from(width) << 16);
                w.u32(u32::from(height) << 16);
            });
            w.boxed(b"mdia", |w| media(w, timescale, entry, video));
        });
        w.boxed(b"mvex", |w| {
            w.full(b"trex", 0, |w| {
                w.u32(1);
                w.u32(1);
                w.zeros(8);
                w.u32(if video { 0x0101_0000 } else { 0x0200_0000 });
            });
        });
    });
    w.0
}

fn media(w: &mut Boxes, timescale: Timescale, entry: &Entry<'_>, video: bool) {
    w.full(b"mdhd", 0, |w| {
        w.zeros(8);
        w.u32(timescale.get());
        w.u32(0);
        w.u16(0x55c4); // und
        w.u16(0);
    });
    w.full(b"hdlr", 0, |w| {
        w.u32(0);
        w.bytes(if video { b"vide" } else { b"soun" });
        w.zeros(12);
        w.bytes(if video { b"Video\0" } else { b"Audio\0" });
    });
    w.boxed(b"minf", |w| {
        match video {
            true => w.full(b"vmhd", 1, |w| w.zeros(8)),
            false => w.full(b"smhd", 0, |w| w.zeros(4)),
        }
        w.boxed(b"dinf", |w| {
            w.full(b"dref", 0, |w| {
                w.u32(1);
                w.full(b"url ", 1, |_| {});
            });
        });
        w.boxed(b"stbl", |w| {
            w.full(b"stsd", 0, |w| {
                w.u32(1);
                sample_entry(w, entry);
            });
            w.full(b"stts", 0, |w| w.u32(0));
            w.full(b"stsc", 0, |w| w.u32(0));
            w.full(b"stsz", 0, |w| w.zeros(8));
            w.full(b"stco", 0, |w| w.u32(0));
        });
    });
}

fn sample_entry(w: &mut Boxes, entry: &Entry<'_>) {
    match entry {
        Entry::Video { name, size, config } => w.boxed(name, |w| {
            w.zeros(6);
            w.u16(1);
            w.zeros(16);
            w.u16(size.0);
            w.u16(size.1);
            w.u32(0x48_0000);
            w.u32(0x48_0000);
            w.u32(0);
            w.u16(1);
            w.zeros(32);
            w.u16(24);
            w.u16(0xffff);
            w.boxed(config.0, |w| w.bytes(config.1));
        }),
        Entry::Audio {
            name,
            channels,
            sample_rate,
            config,
        } => w.boxed(name, |w| {
            w.zeros(6);
            w.u16(1);
            w.zeros(8);
            w.u16(*channels);
            w.u16(16);
            w.zeros(4);
            w.u32(sample_rate.checked_shl(16).unwrap_or(0));
            w.boxed(config.0, |w| w.bytes(config.1));
        }),
    }
}
