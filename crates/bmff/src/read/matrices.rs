//! Where a movie keeps the display matrices of its tracks (`tkhd`, ISO/IEC 14496-12 §8.3.2), for a file that is to be shown
//! otherwise without being written anew.

use super::cursor::{BoxReader, Path};
use crate::{BmffError, FourCc};

/// Offsets in the file of the matrices, 36 bytes each ([`crate::Matrix::to_bytes`]), track by track as the file has them.
///
/// `moov`: the payload of the box. `offset`: where that begins in the file.
///
/// Errors: [`BmffError::Malformed`] for boxes that do not fit, and for a track without a header.
pub fn matrix_places(moov: &[u8], offset: u64) -> Result<Vec<u64>, BmffError> {
    let path = Path::top(FourCc(*b"moov"));
    let mut places = Vec::new();
    BoxReader::new(&path, offset, moov).children(|trak, name| {
        if name != b"trak" {
            return Ok(());
        }
        let mut place = None;
        trak.children(|tkhd, name| {
            if name == b"tkhd" {
                let (version, _) = tkhd.version_and_flags()?;
                // Times, id, reserved, duration; then reserved, layer, group, volume, reserved.
                tkhd.skip(if version == 1 { 32 } else { 20 })?;
                tkhd.skip(16)?;
                place = Some(tkhd.offset());
                tkhd.skip(36)?;
            }
            Ok(())
        })?;
        places.push(place.ok_or_else(|| trak.malformed("no tkhd box"))?);
        Ok(())
    })?;
    Ok(places)
}
