//! [`Cover`] on the wire.

use super::{DecodeError, Reader};
use crate::{Cover, MAX_CIPHER_BYTES, PlanError};
use bytes::{BufMut, BytesMut};
use headwater_protect::{Cipher, Key};

pub(super) fn put(out: &mut BytesMut, cover: &Cover) {
    let cipher = cover.cipher.encode();
    out.put_u8(1);
    out.put_u64_le(cover.clear);
    out.put_u64_le(cover.skip);
    out.put_u64_le(cover.len);
    out.put_slice(cover.key.expose());
    out.put_u32_le(u32::try_from(cipher.len()).unwrap_or(u32::MAX));
    out.put_slice(&cipher);
}

pub(super) fn read(reader: &mut Reader) -> Result<Cover, DecodeError> {
    let clear = reader.u64()?;
    let skip = reader.u64()?;
    let len = reader.u64()?;
    let key = Key::from_slice(&reader.take(16)?).map_err(|_| DecodeError::Cipher)?;
    let bytes = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    if bytes > MAX_CIPHER_BYTES {
        return Err(DecodeError::Plan(PlanError::Limit {
            what: "bytes of a cipher run",
            limit: u64::try_from(MAX_CIPHER_BYTES).unwrap_or(u64::MAX),
        }));
    }
    let cipher = Cipher::decode(&reader.take(bytes)?).map_err(|_| DecodeError::Cipher)?;
    Ok(Cover {
        clear,
        cipher,
        key,
        skip,
        len,
    })
}
