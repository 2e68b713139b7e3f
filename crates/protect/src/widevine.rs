//! Widevine's `pssh` data: a Protocol Buffers message, of which these fields are written and read.
//!
//! 2 `key_ids` (bytes, repeated), 3 `provider`, 4 `content_id`, 7 `crypto_period_index`, 9 `protection_scheme` (a FourCC
//! as a number). The box is of version 0, which every client takes.

use crate::pssh::{Pssh, system};
use crate::{Kid, Period, ProtectError, Scheme};

/// What the `pssh` data says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WidevineData {
    /// The keys.
    pub kids: Vec<Kid>,
    /// Whose keys they are, to Google's service.
    pub provider: Option<String>,
    /// The content, to whoever makes keys.
    pub content_id: Option<Vec<u8>>,
    /// Of keys that rotate.
    pub crypto_period_index: Option<u32>,
    /// `None`: `cenc`, which goes without saying.
    pub scheme: Option<[u8; 4]>,
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, (field << 3) | 2);
    varint(out, u64::try_from(value.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(value);
}

fn number(out: &mut Vec<u8>, field: u64, value: u32) {
    varint(out, field << 3);
    varint(out, value.into());
}

impl WidevineData {
    /// The data for `kids` under `scheme`.
    pub fn new(kids: impl Into<Vec<Kid>>, scheme: Scheme) -> Self {
        Self {
            kids: kids.into(),
            scheme: (scheme == Scheme::Cbcs).then_some(*b"cbcs"),
            ..Self::default()
        }
    }

    /// The same, of a period of the key `stored`.
    #[must_use]
    pub fn in_period(mut self, stored: Kid, period: Period) -> Self {
        self.content_id = Some(stored.bytes().to_vec());
        self.crypto_period_index = Some(period.number());
        self
    }

    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for kid in &self.kids {
            bytes(&mut out, 2, kid.bytes());
        }
        if let Some(provider) = &self.provider {
            bytes(&mut out, 3, provider.as_bytes());
        }
        if let Some(content_id) = &self.content_id {
            bytes(&mut out, 4, content_id);
        }
        if let Some(index) = self.crypto_period_index {
            number(&mut out, 7, index);
        }
        if let Some(scheme) = self.scheme {
            number(&mut out, 9, u32::from_be_bytes(scheme));
        }
        out
    }

    /// Reads the message; fields that are not named above are passed over.
    ///
    /// Errors: `Value`.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtectError> {
        read(bytes).ok_or_else(|| ProtectError::value("Widevine pssh data", "does not parse"))
    }

    /// The `pssh`.
    pub fn pssh(&self) -> Pssh {
        Pssh {
            system: system::WIDEVINE,
            kids: Vec::new(),
            data: self.encode(),
        }
    }
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    for shift in (0..64_u32).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn read(mut rest: &[u8]) -> Option<WidevineData> {
    let mut data = WidevineData::default();
    while !rest.is_empty() {
        let tag = take_varint(&mut rest)?;
        let (field, wire) = (tag >> 3, tag & 7);
        let mut number = 0;
        let mut value: &[u8] = &[];
        match wire {
            0 => number = take_varint(&mut rest)?,
            1 | 5 => rest = rest.get(if wire == 1 { 8 } else { 4 }..)?,
            2 => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                (value, rest) = rest.split_at_checked(length)?;
            }
            _ => return None,
        }
        match (field, wire) {
            (2, 2) => data.kids.push(Kid::from_bytes(value.try_into().ok()?)),
            (3, 2) => data.provider = Some(String::from_utf8(value.to_vec()).ok()?),
            (4, 2) => data.content_id = Some(value.to_vec()),
            (7, 0) => data.crypto_period_index = Some(u32::try_from(number).ok()?),
            (9, 0) => data.scheme = Some(u32::try_from(number).ok()?.to_be_bytes()),
            _ => {}
        }
    }
    Some(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_message_comes_back(kids: Vec<[u8; 16]>, provider: Option<String>, content_id: Option<Vec<u8>>, period: Option<u32>, cbcs: bool) {
            let data = WidevineData {
                kids: kids.into_iter().map(Kid::from_bytes).collect(),
                provider,
                content_id,
                crypto_period_index: period,
                scheme: cbcs.then_some(*b"cbcs"),
            };
            prop_assert_eq!(WidevineData::decode(&data.encode()).unwrap(), data);
        }

        #[test]
        fn bytes_never_panic(bytes: Vec<u8>) {
            let _ = WidevineData::decode(&bytes);
        }
    }
}
