//! Rewriting what precedes a fragment's media for protected samples (CENC §7).
//!
//! ```text
//! moof { mfhd, traf { …, [sgpd, sbgp], saiz, saio, senc | uuid }, [pssh] }
//! ```
//! New boxes go to the end of `traf` and `moof`; `trun`'s data offsets grow by what they take.

use crate::boxes::{Auxiliary, Encryption, boxed, piff_senc, saio, saiz, seig, senc};
use crate::init::children;
use crate::{ProtectError, Scheme};

/// What is added to a fragment.
#[derive(Debug, Clone)]
pub struct FragmentProtection<'a> {
    /// PIFF has its own sample encryption box and neither `saiz` nor `saio`.
    pub scheme: Scheme,
    /// Of the fragment's samples.
    pub auxiliary: Auxiliary<'a>,
    /// A key other than that of the init segment, once keys rotate.
    pub rotated: Option<Encryption>,
    /// Whole `pssh` boxes for that key.
    pub pssh: &'a [Vec<u8>],
}

/// Rewrites `head`: the boxes of a fragment up to its media, one `moof` with one `traf` among them, the header of `mdat` last.
///
/// Errors: `Box` for anything else; `TooLarge` if an offset no longer fits.
pub fn protect(head: &[u8], protection: &FragmentProtection<'_>) -> Result<Vec<u8>, ProtectError> {
    let start = moof_start(head)?;
    let (before, rest) = head.split_at_checked(start).unwrap_or((&[], head));
    let size = be_u32(rest, 0).and_then(|size| usize::try_from(size).ok());
    let (moof, after) = size
        .and_then(|size| rest.split_at_checked(size))
        .ok_or_else(|| fault("moof", "it is cut off"))?;
    let body = moof
        .get(8..)
        .ok_or_else(|| fault("moof", "it is cut off"))?;
    let added = addition(protection, 0)?;
    let pssh = protection
        .pssh
        .iter()
        .fold(0_usize, |sum, pssh| sum.saturating_add(pssh.len()));
    let growth = added.bytes.len().saturating_add(pssh);
    let growth = i32::try_from(growth).map_err(|_| ProtectError::TooLarge("a moof"))?;

    let mut rewritten = Vec::new();
    let mut seen = false;
    for found in children(body, "moof", start.saturating_add(8))? {
        if &found.kind != b"traf" {
            rewritten.extend_from_slice(found.header);
            rewritten.extend_from_slice(found.body);
            continue;
        }
        if std::mem::replace(&mut seen, true) {
            return Err(fault("moof", "it has more than one traf"));
        }
        let mut traf = shifted(found.body, growth)?;
        // Where the addition begins, from the start of the moof: its header, what precedes, the traf's header and body.
        let at = [8, rewritten.len(), 8, traf.len()]
            .into_iter()
            .fold(0_usize, usize::saturating_add);
        let at = u32::try_from(at).map_err(|_| ProtectError::TooLarge("a moof"))?;
        traf.extend(addition(protection, at)?.bytes);
        rewritten.extend(boxed(b"traf", &[&traf])?);
    }
    if !seen {
        return Err(fault("moof/traf", "it is missing"));
    }
    for pssh in protection.pssh {
        rewritten.extend_from_slice(pssh);
    }
    let mut out = before.to_vec();
    out.extend(boxed(b"moof", &[&rewritten])?);
    out.extend_from_slice(after);
    Ok(out)
}

fn fault(path: &str, fault: &'static str) -> ProtectError {
    ProtectError::Box {
        path: path.to_owned(),
        offset: 0,
        fault,
    }
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    Some(u32::from_be_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// Where `moof` begins. What follows the last whole box is the start of `mdat`, whose media is not here.
fn moof_start(head: &[u8]) -> Result<usize, ProtectError> {
    let mut at: usize = 0;
    loop {
        let size = be_u32(head, at).ok_or_else(|| fault("moof", "it is missing"))?;
        let kind = at.saturating_add(4);
        match head.get(kind..kind.saturating_add(4)) {
            Some(b"moof") => return Ok(at),
            Some(b"mdat") | None => return Err(fault("moof", "it is missing")),
            Some(_) if size < 8 => return Err(fault("moof", "a box before it has no size")),
            Some(_) => {
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                at = at.saturating_add(size);
            }
        }
    }
}

struct Addition {
    bytes: Vec<u8>,
}

/// What goes to the end of `traf`. `at`: where that is, from the start of the `moof`.
fn addition(protection: &FragmentProtection<'_>, at: u32) -> Result<Addition, ProtectError> {
    let mut bytes = Vec::new();
    let auxiliary = &protection.auxiliary;
    if let Some(encryption) = &protection.rotated {
        let count = u32::try_from(auxiliary.samples.len())
            .map_err(|_| ProtectError::TooLarge("the number of samples"))?;
        bytes.extend(seig(encryption, count)?);
    }
    if auxiliary.is_empty() {
        return Ok(Addition { bytes });
    }
    if protection.scheme == Scheme::Piff {
        bytes.extend(piff_senc(auxiliary)?);
        return Ok(Addition { bytes });
    }
    bytes.extend(saiz(auxiliary)?);
    let (senc, inside) = senc(auxiliary)?;
    let saio_len = saio(0)?.len();
    let offset = u32::try_from(bytes.len().saturating_add(saio_len))
        .ok()
        .and_then(|len| len.checked_add(at)?.checked_add(inside))
        .ok_or(ProtectError::TooLarge("a moof"))?;
    bytes.extend(saio(offset)?);
    bytes.extend(senc);
    Ok(Addition { bytes })
}

/// A `traf`'s body whose `trun`s point `growth` further.
fn shifted(traf: &[u8], growth: i32) -> Result<Vec<u8>, ProtectError> {
    let mut out = Vec::with_capacity(traf.len());
    for found in children(traf, "moof/traf", 0)? {
        match &found.kind {
            b"senc" | b"saiz" | b"saio" => {
                return Err(fault("moof/traf", "it is protected already"));
            }
            b"tfhd" if be_u32(found.body, 0).is_none_or(|flags| flags & 1 != 0) => {
                return Err(fault(
                    "moof/traf/tfhd",
                    "it has a base data offset, so its media cannot move",
                ));
            }
            _ => {}
        }
        out.extend_from_slice(found.header);
        if &found.kind != b"trun" || be_u32(found.body, 0).is_none_or(|flags| flags & 1 == 0) {
            out.extend_from_slice(found.body);
            continue;
        }
        let cut = || fault("moof/traf/trun", "it is cut off");
        let (head, rest) = found.body.split_at_checked(8).ok_or_else(cut)?;
        let (offset, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let offset = i32::from_be_bytes(*offset)
            .checked_add(growth)
            .ok_or(ProtectError::TooLarge("trun's data offset"))?;
        out.extend_from_slice(head);
        out.extend_from_slice(&offset.to_be_bytes());
        out.extend_from_slice(rest);
    }
    Ok(out)
}
