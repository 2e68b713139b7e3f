//! The boxes of `trak` around the sample tables, shared by headers of fragmented and progressive files.

use super::boxes::BoxWriter;
use super::entry::Entry;
use crate::{BmffError, BoxedKind, CodecConfig, Edit, Matrix, TrackConfig, TrackKind};

/// What `trak` states beside the track's configuration.
pub(super) struct TrackBoxes<'a> {
    pub(super) config: &'a TrackConfig,
    entry: Entry<'a>,
    pub(super) duration: TrackDuration,
    pub(super) edits: &'a [Edit],
}

/// Durations of a track; both 0 in the header of a fragmented file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TrackDuration {
    /// In the movie's timescale.
    pub(super) presentation: u64,
    /// In the track's timescale.
    pub(super) media: u64,
}

impl<'a> TrackBoxes<'a> {
    pub(super) fn new(config: &'a TrackConfig) -> Result<Self, BmffError> {
        if config.id == 0 {
            return Err(BmffError::unwritable("tkhd", "track id 0"));
        }
        Ok(Self {
            config,
            entry: Entry::of(config)?,
            duration: TrackDuration::default(),
            edits: &[],
        })
    }

    /// Writes `trak`; `tables` writes the children of `stbl` that follow `stsd`.
    pub(super) fn write(&self, w: &mut BoxWriter, tables: impl FnOnce(&mut BoxWriter)) {
        w.boxed(b"trak", |w| {
            self.tkhd(w);
            if !self.edits.is_empty() {
                w.boxed(b"edts", |w| elst(w, self.edits));
            }
            w.boxed(b"mdia", |w| {
                self.mdhd(w);
                self.hdlr(w);
                w.boxed(b"minf", |w| {
                    match self.config.kind {
                        TrackKind::Video => w.full(b"vmhd", 0, 1, |w| w.zeros(8)),
                        TrackKind::Audio => w.full(b"smhd", 0, 0, |w| w.zeros(4)),
                        TrackKind::Text if self.is_ttml() => w.full(b"sthd", 0, 0, |_| {}),
                        TrackKind::Text | TrackKind::Other => w.full(b"nmhd", 0, 0, |_| {}),
                    }
                    w.boxed(b"dinf", |w| {
                        w.full(b"dref", 0, 0, |w| {
                            w.u32(1);
                            w.full(b"url ", 0, 1, |_| {});
                        });
                    });
                    w.boxed(b"stbl", |w| {
                        self.entry.write(w, self.config);
                        tables(w);
                    });
                });
            });
        });
    }

    fn is_ttml(&self) -> bool {
        matches!(&self.config.codec, CodecConfig::Boxed(codec) if codec.kind == BoxedKind::Ttml)
    }

    fn tkhd(&self, w: &mut BoxWriter) {
        let duration = self.duration.presentation;
        let version = u8::from(u32::try_from(duration).is_err());
        // Enabled, in the movie, in the preview.
        w.full(b"tkhd", version, 7, |w| {
            w.zeros(if version == 1 { 16 } else { 8 });
            w.u32(self.config.id);
            w.u32(0);
            sized(w, version, duration);
            w.zeros(8);
            w.u16(0); // layer
            w.u16(0); // alternate group
            let volume = match self.config.kind {
                TrackKind::Audio => 0x100,
                _ => 0,
            };
            w.u16(volume);
            w.u16(0);
            matrix(w, &self.config.matrix);
            let (width, height) = self.config.display_size();
            w.u32(width << 16);
            w.u32(height << 16);
        });
    }

    fn mdhd(&self, w: &mut BoxWriter) {
        let duration = self.duration.media;
        let version = u8::from(u32::try_from(duration).is_err());
        let packed = pack_language(&self.config.language);
        w.full(b"mdhd", version, 0, |w| {
            w.zeros(if version == 1 { 16 } else { 8 });
            w.u32(self.config.timescale.get());
            sized(w, version, duration);
            w.u16(packed.unwrap_or(UNDETERMINED));
            w.u16(0);
        });
        if packed.is_none() {
            w.full(b"elng", 0, 0, |w| {
                w.bytes(self.config.language.as_bytes());
                w.u8(0);
            });
        }
    }

    fn hdlr(&self, w: &mut BoxWriter) {
        let (handler, name): (&[u8; 4], &[u8]) = match self.config.kind {
            TrackKind::Video => (b"vide", b"Video\0"),
            TrackKind::Audio => (b"soun", b"Audio\0"),
            // TTML is in subtitle tracks (ISO/IEC 14496-12 §12.6), WebVTT in text tracks (ISO/IEC 14496-30 §7.3).
            TrackKind::Text if self.is_ttml() => (b"subt", b"Text\0"),
            TrackKind::Text => (b"text", b"Text\0"),
            TrackKind::Other => (b"meta", b"Data\0"),
        };
        w.full(b"hdlr", 0, 0, |w| {
            w.u32(0);
            w.bytes(handler);
            w.zeros(12);
            w.bytes(name);
        });
    }
}

/// `und` in three times five bits.
const UNDETERMINED: u16 = 0x55c4;

/// Three lower-case letters in five bits each (ISO/IEC 14496-12 §8.4.2.3); `None` for longer tags.
fn pack_language(language: &str) -> Option<u16> {
    let letters = <[u8; 3]>::try_from(language.as_bytes()).ok()?;
    letters.iter().try_fold(0_u16, |packed, letter| {
        let code = letter
            .checked_sub(0x60)
            .filter(|code| (1..=26).contains(code))?;
        Some((packed << 5) | u16::from(code))
    })
}

/// A 64-bit field in version 1, a 32-bit one in version 0, for which the value must fit.
pub(super) fn sized(w: &mut BoxWriter, version: u8, value: u64) {
    match u32::try_from(value) {
        Ok(small) if version == 0 => w.u32(small),
        _ => w.u64(value),
    }
}

pub(super) fn matrix(w: &mut BoxWriter, matrix: &Matrix) {
    for value in matrix.0 {
        w.i32(value);
    }
}

/// `mvhd`, with an identity matrix and a next track id after `last_track_id`.
pub(super) fn mvhd(w: &mut BoxWriter, timescale: u32, duration: u64, last_track_id: u32) {
    let version = u8::from(u32::try_from(duration).is_err());
    w.full(b"mvhd", version, 0, |w| {
        w.zeros(if version == 1 { 16 } else { 8 });
        w.u32(timescale);
        sized(w, version, duration);
        w.u32(0x1_0000); // rate
        w.u16(0x100); // volume
        w.zeros(10);
        matrix(w, &Matrix::IDENTITY);
        w.zeros(24);
        w.u32(last_track_id.saturating_add(1));
    });
}

fn elst(w: &mut BoxWriter, edits: &[Edit]) {
    w.full(b"elst", 1, 0, |w| {
        w.count(edits.len());
        for edit in edits {
            w.u64(edit.duration);
            w.u64(edit.media_time.unwrap_or(u64::MAX));
            w.i32(edit.rate);
        }
    });
}
