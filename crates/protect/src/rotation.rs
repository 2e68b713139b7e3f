//! Keys that change with media time: each period's id and value are derived from the key that is stored, so nothing is written
//! when a period begins, and every host, restarted or not, comes to the same ones.
//!
//! ```text
//! period  = floor(seconds since the epoch / interval)
//! handle  = HMAC("headwater period handle", kid)[0..8]
//! id      = handle | period, u32be | HMAC("headwater period id", kid | period)[0..4]
//! key     = HMAC("headwater period key", kid | period)[0..16]
//! HMAC(label, message) = HMAC-SHA-256(stored key, label | message)
//! ```
//! The handle leads from an id to the stored key without looking at others; to make one that leads to somebody else's key
//! takes that key. The last four bytes belong to the key too: ids are not made by who has merely seen others.

use std::num::NonZeroU32;

use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Key, Kid};

/// How often the keys of live media change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rotation(NonZeroU32);

/// A time during which media is under one key, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Period(u32);

/// What finds a stored key by the ids of its periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Handle([u8; 8]);

impl Rotation {
    /// `None` for no time at all.
    pub fn every(seconds: u32) -> Option<Self> {
        NonZeroU32::new(seconds).map(Self)
    }

    /// Seconds from one key to the next.
    pub const fn seconds(self) -> u32 {
        self.0.get()
    }

    /// The period that a moment is in, which is in ticks since the epoch, so many a second. What was before the epoch is in
    /// that of films.
    pub fn period(self, ticks: u64, ticks_per_second: u32) -> Period {
        let interval = u64::from(self.seconds()).saturating_mul(ticks_per_second.into());
        let number = ticks.checked_div(interval).unwrap_or(0);
        Period(u32::try_from(number).unwrap_or(u32::MAX))
    }
}

impl Period {
    /// Of media without a time of day: that which was not live.
    pub const FILM: Self = Self(0);

    /// By its number.
    pub const fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// When it begins: seconds since the epoch.
    pub fn start(self, rotation: Rotation) -> u64 {
        u64::from(self.0).saturating_mul(rotation.seconds().into())
    }
}

impl Handle {
    /// That of a stored key.
    pub fn of(kid: Kid, key: &Key) -> Self {
        let mac = mac(key, b"headwater period handle", kid, None);
        let mut handle = [0; 8];
        copy(&mut handle, &*mac);
        Self(handle)
    }

    /// That in the id of a period. Every id has one, most lead nowhere.
    pub fn in_id(id: Kid) -> Self {
        let mut handle = [0; 8];
        copy(&mut handle, id.bytes());
        Self(handle)
    }

    /// 16 hexadecimal digits, lower case.
    pub fn hex(self) -> String {
        format!("{:016x}", u64::from_be_bytes(self.0))
    }
}

/// Id and value of a stored key's `period`.
pub fn derive(kid: Kid, key: &Key, period: Period) -> (Kid, Key) {
    let mut id = [0; 16];
    let check = mac(key, b"headwater period id", kid, Some(period));
    let parts = Handle::of(kid, key)
        .0
        .into_iter()
        .chain(period.0.to_be_bytes())
        .chain(check.iter().copied());
    id.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    let mut value = Zeroizing::new([0; 16]);
    copy(
        &mut *value,
        &*mac(key, b"headwater period key", kid, Some(period)),
    );
    (Kid::from_bytes(id), Key::new(*value))
}

/// Which period of a stored key `id` names, and that period's key. `None` if it names none.
pub fn resolve(id: Kid, kid: Kid, key: &Key) -> Option<(Period, Key)> {
    let (_, rest) = id.bytes().split_first_chunk::<8>()?;
    let (number, _) = rest.split_first_chunk::<4>()?;
    let period = Period(u32::from_be_bytes(*number));
    let (made, value) = derive(kid, key, period);
    // Ids are public, but how far a guess has come is nobody's business.
    let differs = made
        .bytes()
        .iter()
        .zip(id.bytes())
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    (differs == 0).then_some((period, value))
}

fn copy(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

fn mac(key: &Key, label: &[u8], kid: Kid, period: Option<Period>) -> Zeroizing<[u8; 32]> {
    // A key shorter than a block is filled up with zeros (RFC 2104 §2).
    let mut block = Zeroizing::new([0_u8; 64]);
    copy(&mut *block, key.expose());
    let mut mac = Hmac::<Sha256>::new(&(*block).into());
    mac.update(label);
    mac.update(kid.bytes());
    if let Some(period) = period {
        mac.update(&period.0.to_be_bytes());
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn kid() -> Kid {
        Kid::parse("00112233-4455-6677-8899-aabbccddeeff").unwrap()
    }

    /// Made with Python: `hmac.new(bytes([9]) * 16, label + kid + period, "sha256")`.
    #[test]
    fn ids_and_keys_are_those_that_anybody_with_the_key_can_make() {
        let (id, key) = derive(kid(), &Key::new([9; 16]), Period::numbered(29_671_200));
        assert_eq!(id.to_string(), GOLDEN_ID);
        let hex: String = key.expose().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, GOLDEN_KEY);
    }

    const GOLDEN_ID: &str = "4cb2d5e5-f516-5a03-01c4-bf20d404cc12";
    const GOLDEN_KEY: &str = "844e8b1965955857b0ae1528ddd113fd";

    #[test]
    fn periods_begin_at_whole_intervals_since_the_epoch() {
        let minute = Rotation::every(60).unwrap();
        let at = |ticks| minute.period(ticks, 90_000).number();
        let boundary = 60 * 90_000 * 29_671_200;
        assert_eq!(
            [
                at(0),
                at(boundary - 1),
                at(boundary),
                at(boundary + 5_399_999)
            ],
            [0, 29_671_199, 29_671_200, 29_671_200]
        );
        assert_eq!(at(u64::MAX), u32::MAX);
        assert_eq!(Period::numbered(29_671_200).start(minute), 29_671_200 * 60);
        assert_eq!(Rotation::every(0), None);
    }

    proptest! {
        #[test]
        fn an_id_leads_to_its_own_key_alone(number: u32, at in 0_usize..16, bit in 0_u8..8) {
            let key = Key::new([9; 16]);
            let period = Period::numbered(number);
            let (id, value) = derive(kid(), &key, period);
            prop_assert_eq!(Handle::in_id(id), Handle::of(kid(), &key));
            prop_assert_eq!(resolve(id, kid(), &key), Some((period, value)));
            // Neither another id, nor another key, nor the same value under another name.
            let mut bytes = *id.bytes();
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(resolve(Kid::from_bytes(bytes), kid(), &key), None);
            prop_assert_eq!(resolve(id, kid(), &Key::new([8; 16])), None);
            prop_assert_eq!(resolve(id, Kid::from_bytes([9; 16]), &key), None);
        }
    }

    #[test]
    fn no_two_periods_share_a_key_an_id_or_a_vector() {
        let stored = Key::new([9; 16]);
        let mut seen = HashSet::from([*stored.expose(), *kid().bytes()]);
        for number in (0..500).chain(29_671_000..29_671_500) {
            let (id, key) = derive(kid(), &stored, Period::numbered(number));
            assert!(seen.insert(*id.bytes()) && seen.insert(*key.expose()));
            assert!(seen.insert(crate::IvSpace::constant(id)));
        }
    }
}
