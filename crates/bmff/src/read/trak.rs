//! `trak`: one track's header, edit list, media header and sample tables (ISO/IEC 14496-12 §8.3 to §8.6).

use headwater_time::Timescale;

use super::cursor::{BoxReader, Read};
use super::stbl::{self, SampleTables};
use crate::table::TableBuilder;
use crate::{
    CodecConfig, Edit, EditList, FourCc, Matrix, OtherCodec, SampleTable, Track, TrackConfig,
    TrackKind,
};

/// A track whose samples may still grow by fragments.
#[derive(Debug)]
pub(super) struct PendingTrack {
    /// `samples` is empty until the reader is done.
    pub(super) track: Track,
    pub(super) samples: TableBuilder,
}

struct Header {
    enabled: bool,
    id: u32,
    matrix: Matrix,
}

/// What is wrong with the media of a track that is neither pictures nor sound nor text (time codes, metadata, hints) is no matter: nobody
/// reads it, and its file is good.
pub(super) fn parse(trak: &mut BoxReader<'_>) -> Read<PendingTrack> {
    let mut header = None;
    let mut edits = Ok(EditList::default());
    let mut media = Media::default();
    trak.children(|child, name| {
        match &name.0 {
            b"tkhd" => header = Some(tkhd(child)?),
            b"edts" => child.children(|list, name| {
                if name == b"elst" {
                    edits = elst(list);
                }
                Ok(())
            })?,
            b"mdia" => media = mdia(child)?,
            _ => {}
        }
        Ok(())
    })?;
    let header = header.ok_or_else(|| trak.malformed("no tkhd box"))?;
    let lacks = |name: &str| trak.malformed(format!("no {name} box"));
    let own_time = media.header.unwrap_or_else(|| Err(lacks("mdhd")));
    let tables = media.tables.unwrap_or_else(|| Err(lacks("stbl")));
    let is_passed_over = media.kind == TrackKind::Other && media.handler != FourCc([0; 4]);
    let ((timescale, duration, packed), tables, edits) = if is_passed_over {
        (
            own_time.unwrap_or_else(|_| (Timescale::MILLIS, 0, "und".to_owned())),
            tables.unwrap_or_else(|_| SampleTables::unread(media.handler)),
            edits.unwrap_or_default(),
        )
    } else {
        (own_time?, tables?, edits?)
    };
    let mut entries = tables.entries;
    if tables.entry_changes {
        entries.codec = CodecConfig::Other(changing(&entries.codec));
    }
    Ok(PendingTrack {
        samples: tables.samples,
        track: Track {
            config: TrackConfig {
                id: header.id,
                kind: media.kind,
                timescale,
                language: media.extended_language.unwrap_or(packed),
                codec: entries.codec,
                width: entries.width,
                height: entries.height,
                matrix: match media.kind {
                    TrackKind::Video => header.matrix,
                    _ => Matrix::IDENTITY,
                },
                pixel_aspect: entries.pixel_aspect,
                colour: entries.colour,
                sample_rate: entries.sample_rate,
                channels: entries.channels,
            },
            handler: media.handler,
            enabled: header.enabled,
            duration,
            edits,
            samples: SampleTable::default(),
        },
    })
}

/// A codec whose samples do not all have the same configuration.
fn changing(codec: &CodecConfig) -> OtherCodec {
    let name = format!("{} that changes its configuration midway", codec.name());
    OtherCodec::named(FourCc(*b"stsd"), name)
}

fn tkhd(reader: &mut BoxReader<'_>) -> Read<Header> {
    let (version, flags) = reader.version_and_flags()?;
    reader.skip(if version == 1 { 16 } else { 8 })?; // creation, modification
    let id = reader.u32()?;
    if id == 0 {
        return Err(reader.malformed("track id 0"));
    }
    // reserved, duration, reserved, layer, group, volume, reserved
    reader.skip(if version == 1 { 4 + 8 + 16 } else { 4 + 4 + 16 })?;
    let mut matrix = [0; 9];
    for value in &mut matrix {
        *value = reader.i32()?;
    }
    Ok(Header {
        enabled: flags & 1 != 0,
        id,
        matrix: Matrix(matrix),
    })
}

fn elst(reader: &mut BoxReader<'_>) -> Read<EditList> {
    let (version, _) = reader.version_and_flags()?;
    let count = reader.table_count(if version == 1 { 20 } else { 12 })?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let duration = reader.u32_or_u64(version)?;
        let media_time = if version == 1 {
            i64::from_be_bytes(reader.array()?)
        } else {
            i64::from(reader.i32()?)
        };
        let media_time = match media_time {
            -1 => None,
            time => {
                Some(u64::try_from(time).map_err(|_| reader.malformed("a negative media time"))?)
            }
        };
        let rate = reader.i32()?;
        entries.push(Edit {
            duration,
            media_time,
            rate,
        });
    }
    Ok(EditList { entries })
}

struct Media {
    header: Option<Read<(Timescale, u64, String)>>,
    handler: FourCc,
    kind: TrackKind,
    extended_language: Option<String>,
    tables: Option<Read<SampleTables>>,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            header: None,
            handler: FourCc([0; 4]),
            kind: TrackKind::Other,
            extended_language: None,
            tables: None,
        }
    }
}

fn mdia(reader: &mut BoxReader<'_>) -> Read<Media> {
    let mut media = Media::default();
    reader.children(|child, name| {
        match &name.0 {
            b"mdhd" => media.header = Some(mdhd(child)),
            b"hdlr" => {
                child.skip(8)?; // version, flags, component type
                media.handler = child.fourcc()?;
                media.kind = match &media.handler.0 {
                    b"vide" => TrackKind::Video,
                    b"soun" => TrackKind::Audio,
                    b"text" | b"subt" | b"sbtl" => TrackKind::Text,
                    _ => TrackKind::Other,
                };
            }
            b"elng" => {
                child.version_and_flags()?;
                let text = child.rest().split(|byte| *byte == 0).next();
                let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
                media.extended_language =
                    text.filter(|tag| is_language_tag(tag)).map(str::to_owned);
            }
            b"minf" => {
                let kind = media.kind;
                child.children(|stbl, name| {
                    if name == b"stbl" {
                        media.tables = Some(stbl::parse(stbl, kind));
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(media)
}

fn is_language_tag(text: &str) -> bool {
    (2..=35).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn mdhd(reader: &mut BoxReader<'_>) -> Read<(Timescale, u64, String)> {
    let (version, _) = reader.version_and_flags()?;
    reader.skip(if version == 1 { 16 } else { 8 })?; // creation, modification
    let timescale = timescale(reader)?;
    let duration = reader.u32_or_u64(version)?;
    let language = language(reader.u16()?);
    Ok((timescale, duration, language))
}

/// Reads a timescale, which must not be zero.
pub(super) fn timescale(reader: &mut BoxReader<'_>) -> Read<Timescale> {
    let fault = reader.malformed("a timescale of zero");
    Timescale::new(reader.u32()?).ok_or(fault)
}

/// Three letters in five bits each, or a Macintosh language code (QuickTime File Format, "Language code values").
fn language(packed: u16) -> String {
    if packed < 0x400 {
        let name = match packed {
            0 => "eng",
            1 => "fra",
            2 => "deu",
            3 => "ita",
            4 => "nld",
            5 => "swe",
            6 => "spa",
            7 => "dan",
            8 => "por",
            9 => "nor",
            11 => "jpn",
            13 => "fin",
            19 | 33 => "zho",
            23 => "kor",
            _ => "und",
        };
        return name.to_owned();
    }
    let letter = |shift: u32| {
        let code = packed.checked_shr(shift).unwrap_or(0) & 31;
        let code = u8::try_from(code)
            .ok()
            .filter(|code| (1..=26).contains(code));
        code.and_then(|code| code.checked_add(0x60)).map(char::from)
    };
    let letters: Option<String> = [10, 5, 0].into_iter().map(letter).collect();
    letters.unwrap_or_else(|| "und".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::cursor::Path;

    #[test]
    fn languages_of_both_kinds() {
        assert_eq!(language(0x15c7), "eng");
        assert_eq!(language(0x55c4), "und");
        assert_eq!(language(0), "eng");
        assert_eq!(language(2), "deu");
        assert_eq!(language(0x7fff), "und");
    }

    #[test]
    fn edit_lists_of_both_versions() {
        let path = Path::top(FourCc(*b"elst"));
        let old = [
            &[0, 0, 0, 0, 0, 0, 0, 2][..],
            &[0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0],
            &[0, 0, 2, 0, 0, 0, 4, 0, 0, 1, 0, 0],
        ]
        .concat();
        let list = elst(&mut BoxReader::new(&path, 0, &old)).unwrap();
        let times: Vec<_> = list
            .entries
            .iter()
            .map(|e| (e.duration, e.media_time))
            .collect();
        assert_eq!(times, [(256, None), (512, Some(1024))]);
        let new = [
            &[1, 0, 0, 0, 0, 0, 0, 1][..],
            &u64::MAX.to_be_bytes(),
            &(-2_i64).to_be_bytes(),
            &[0, 1, 0, 0],
        ]
        .concat();
        assert!(
            elst(&mut BoxReader::new(&path, 0, &new)).is_err(),
            "a time before the media"
        );
    }
}
