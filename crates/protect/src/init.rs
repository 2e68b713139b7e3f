//! Rewriting an init segment for protected samples (CENC §4.2, ISO/IEC 14496-12 §8.12).
//!
//! Sample entries of video, audio and everything else become `encv`, `enca` and `enct` with a `sinf` at their end; `pssh`
//! boxes go to the end of `moov`. Nothing else changes but the sizes of what is around them.

use crate::boxes::{Encryption, boxed, sinf};
use crate::{ProtectError, Scheme};

/// How an init segment's tracks are protected.
#[derive(Debug, Clone)]
pub struct InitProtection<'a> {
    /// Of all tracks.
    pub scheme: Scheme,
    /// Of all tracks.
    pub encryption: Encryption,
    /// Whole boxes. CMAF prefers them in the manifest only.
    pub pssh: &'a [Vec<u8>],
}

/// A box within `bytes`.
pub(crate) struct Found<'a> {
    pub(crate) kind: [u8; 4],
    pub(crate) header: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// The boxes of `bytes`, which must be whole. `path`, `base`: for errors.
pub(crate) fn children<'a>(
    mut bytes: &'a [u8],
    path: &str,
    base: usize,
) -> Result<Vec<Found<'a>>, ProtectError> {
    let whole = bytes.len();
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let at = base.saturating_add(whole.saturating_sub(bytes.len()));
        let fault = |fault| ProtectError::Box {
            path: path.to_owned(),
            offset: at,
            fault,
        };
        let cut = || fault("a box in it is cut off");
        let (size, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let (kind, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let (header, size) = match u32::from_be_bytes(*size) {
            0 => (8, bytes.len()),
            1 => {
                let (large, _) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
                let size = usize::try_from(u64::from_be_bytes(*large)).map_err(|_| cut())?;
                (16, size)
            }
            size => (8, usize::try_from(size).map_err(|_| cut())?),
        };
        let (this, after) = bytes.split_at_checked(size).ok_or_else(cut)?;
        let (header, body) = this
            .split_at_checked(header)
            .ok_or_else(|| fault("a box in it is shorter than its header"))?;
        found.push(Found {
            kind: *kind,
            header,
            body,
        });
        bytes = after;
    }
    Ok(found)
}

impl Found<'_> {
    fn copy(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.header);
        out.extend_from_slice(self.body);
    }
}

/// Rewrites `bytes`, an init segment with one or more tracks.
///
/// Errors: `Box` if a box on the way is cut off or missing, or an entry is protected already.
pub fn protect(bytes: &[u8], protection: &InitProtection<'_>) -> Result<Vec<u8>, ProtectError> {
    let mut out = Vec::new();
    let mut seen = false;
    for found in children(bytes, "", 0)? {
        if &found.kind == b"moov" {
            seen = true;
            let mut body = Vec::new();
            descend(found.body, "moov", &PATH, protection, &mut body)?;
            for pssh in protection.pssh {
                body.extend_from_slice(pssh);
            }
            out.extend(boxed(b"moov", &[&body])?);
        } else {
            found.copy(&mut out);
        }
    }
    if !seen {
        return Err(missing("moov"));
    }
    Ok(out)
}

const PATH: [&[u8; 4]; 5] = [b"trak", b"mdia", b"minf", b"stbl", b"stsd"];

fn missing(path: &str) -> ProtectError {
    ProtectError::Box {
        path: path.to_owned(),
        offset: 0,
        fault: "it is missing",
    }
}

fn descend(
    bytes: &[u8],
    path: &str,
    way: &[&[u8; 4]],
    protection: &InitProtection<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ProtectError> {
    let Some((next, way)) = way.split_first() else {
        return entries(bytes, path, protection, out);
    };
    let mut seen = false;
    for found in children(bytes, path, 0)? {
        if &found.kind == *next {
            seen = true;
            let path = format!("{path}/{}", String::from_utf8_lossy(*next));
            let mut body = Vec::new();
            descend(found.body, &path, way, protection, &mut body)?;
            out.extend(boxed(next, &[&body])?);
        } else {
            found.copy(out);
        }
    }
    if seen {
        return Ok(());
    }
    Err(missing(&format!(
        "{path}/{}",
        String::from_utf8_lossy(*next)
    )))
}

/// `stsd`'s body: version, flags, count, sample entries.
fn entries(
    bytes: &[u8],
    path: &str,
    protection: &InitProtection<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ProtectError> {
    let fault = |fault| ProtectError::Box {
        path: path.to_owned(),
        offset: 0,
        fault,
    };
    let (head, entries) = bytes
        .split_at_checked(8)
        .ok_or_else(|| fault("it is cut off"))?;
    out.extend_from_slice(head);
    for entry in children(entries, path, 8)? {
        let name: &[u8; 4] = match &entry.kind {
            b"encv" | b"enca" | b"enct" => return Err(fault("an entry is protected already")),
            b"avc1" | b"avc3" | b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" | b"dva1" | b"dvav"
            | b"av01" | b"vp09" | b"vp08" | b"mp4v" => b"encv",
            b"mp4a" | b"ac-3" | b"ec-3" | b"ac-4" | b"Opus" | b"fLaC" | b"alac" | b"dtsc"
            | b"dtse" | b"dtsh" | b"dtsl" | b"dtsx" | b"mha1" | b"mhm1" => b"enca",
            _ => b"enct",
        };
        let sinf = sinf(&entry.kind, protection.scheme, &protection.encryption)?;
        out.extend(boxed(name, &[entry.body, &sinf])?);
    }
    Ok(())
}
