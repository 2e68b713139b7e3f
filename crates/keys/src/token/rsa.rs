//! RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2), as components have to check it for every request for a key.
//!
//! Everything here is public, so nothing takes the same time for all numbers. Limbs have 32 bits, whose products WebAssembly
//! has an instruction for: the general implementation, made for secrets and 64 bits, takes five times as long there.

use sha2::{Digest, Sha256, Sha384, Sha512};
use std::cell::Cell;

/// `DigestInfo` before the digest (§9.2 note 1), and the digest.
fn digest_info(algorithm: &str, message: &[u8]) -> Option<Vec<u8>> {
    let (kind, len, digest): (u8, u8, Vec<u8>) = match algorithm {
        "RS256" => (1, 32, Sha256::digest(message).to_vec()),
        "RS384" => (2, 48, Sha384::digest(message).to_vec()),
        "RS512" => (3, 64, Sha512::digest(message).to_vec()),
        _ => return None,
    };
    let mut info = vec![0x30, len.wrapping_add(17)];
    info.extend_from_slice(&[
        0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 3, 4, 2, kind, 5, 0, 4, len,
    ]);
    info.extend(digest);
    Some(info)
}

/// Whether `signature` over `message` is one of RS256, RS384 or RS512. `None`: the algorithm is another.
///
/// `modulus`: big-endian, odd, without leading zeros.
pub(super) fn verify(
    modulus: &[u8],
    exponent: u32,
    algorithm: &str,
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let info = digest_info(algorithm, message)?;
    // 00 01 ff … ff 00 info, at least eight bytes of ff. Compared as a whole, so that nothing is parsed.
    let Some(filler) = modulus
        .len()
        .checked_sub(info.len())
        .and_then(|left| left.checked_sub(3))
        .filter(|filler| *filler >= 8)
    else {
        return Some(false);
    };
    let mut expected = vec![0, 1];
    expected.resize(filler.saturating_add(2), 0xff);
    expected.push(0);
    expected.extend(info);
    if signature.len() != modulus.len() {
        return Some(false);
    }
    Some(power(signature, exponent, modulus).is_some_and(|found| found == expected))
}

/// `base^exponent mod modulus`, as long as the modulus. `None` unless the base is below it, and it is odd.
fn power(base: &[u8], exponent: u32, modulus: &[u8]) -> Option<Vec<u8>> {
    let field = Field::new(limbs(modulus))?;
    let base = limbs(base);
    if !is_below(&base, &field.modulus) {
        return None;
    }
    let base = field.multiply(&base, &field.square);
    let mut result = field.one.clone();
    for at in (0..u32::BITS.saturating_sub(exponent.leading_zeros())).rev() {
        result = field.multiply(&result, &result);
        if (exponent >> at) & 1 == 1 {
            result = field.multiply(&result, &base);
        }
    }
    let mut one = vec![0; field.modulus.len()];
    *one.first_mut()? = 1;
    let result = field.multiply(&result, &one);
    let mut bytes: Vec<u8> = result
        .iter()
        .rev()
        .flat_map(|limb| limb.to_be_bytes())
        .collect();
    bytes.drain(..bytes.len().checked_sub(modulus.len())?);
    Some(bytes)
}

/// The lowest first.
fn limbs(bytes: &[u8]) -> Vec<u32> {
    let limbs = bytes.rchunks(4).map(|chunk| {
        let number = |limb: u32, byte: &u8| (limb << 8) | u32::from(*byte);
        chunk.iter().fold(0, number)
    });
    limbs.collect()
}

fn is_below(a: &[u32], b: &[u32]) -> bool {
    a.len() == b.len() && a.iter().rev().lt(b.iter().rev())
}

/// Montgomery's arithmetic: numbers stand for themselves times 2^(32 n), n limbs.
struct Field {
    modulus: Vec<u32>,
    /// Minus the inverse of the modulus, modulo 2^32.
    inverse: u32,
    one: Vec<u32>,
    /// 2^(64 n): what makes a number one of these.
    square: Vec<u32>,
}

impl Field {
    fn new(modulus: Vec<u32>) -> Option<Self> {
        let (low, high) = (*modulus.first()?, *modulus.last()?);
        if low & 1 == 0 || high == 0 {
            return None;
        }
        // Newton's iteration doubles the bits that are right.
        let mut inverse: u32 = 1;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2_u32.wrapping_sub(low.wrapping_mul(inverse)));
        }
        // The highest power of two below the modulus, doubled until it is 2^(32 n).
        let mut one = vec![0; modulus.len()];
        *one.last_mut()? = 1_u32.checked_shl(31_u32.checked_sub(high.leading_zeros())?)?;
        let mut field = Self {
            inverse: inverse.wrapping_neg(),
            one: Vec::new(),
            square: Vec::new(),
            modulus,
        };
        for _ in 0..=high.leading_zeros() {
            field.double(&mut one);
        }
        // 2 to the number of bits of n limbs.
        let bits = u32::try_from(field.modulus.len()).ok()?.checked_mul(32)?;
        let mut square = one.clone();
        for at in (0..u32::BITS.checked_sub(bits.leading_zeros())?).rev() {
            square = field.multiply(&square, &square);
            if (bits >> at) & 1 == 1 {
                field.double(&mut square);
            }
        }
        field.one = one;
        field.square = square;
        Some(field)
    }

    /// Twice a number below the modulus.
    fn double(&self, number: &mut [u32]) {
        let mut carry = 0;
        for limb in number.iter_mut() {
            let high = *limb >> 31;
            *limb = (*limb << 1) | carry;
            carry = high;
        }
        self.reduce(number, carry);
    }

    /// Takes the modulus off once, if `carry` and the number are not below it.
    fn reduce(&self, number: &mut [u32], carry: u32) {
        if carry == 0 && is_below(number, &self.modulus) {
            return;
        }
        let mut borrow = false;
        for (limb, part) in number.iter_mut().zip(&self.modulus) {
            let (less, first) = limb.overflowing_sub(*part);
            let (less, second) = less.overflowing_sub(u32::from(borrow));
            *limb = less;
            borrow = first || second;
        }
    }

    /// a b / 2^(32 n).
    fn multiply(&self, a: &[u32], b: &[u32]) -> Vec<u32> {
        let mut sum = vec![0_u32; self.modulus.len()];
        let mut top = 0_u32;
        for factor in a {
            let carry = add_product(&mut sum, b, *factor);
            let (high, over) = top.overflowing_add(carry);
            let low = sum.first().copied().unwrap_or(0);
            let carry = add_and_shift(&mut sum, &self.modulus, low.wrapping_mul(self.inverse));
            let (high, again) = high.overflowing_add(carry);
            if let Some(last) = sum.last_mut() {
                *last = high;
            }
            top = u32::from(over).wrapping_add(u32::from(again));
        }
        self.reduce(&mut sum, top);
        sum
    }
}

/// Adds `factor` times `number`; what does not fit.
fn add_product(sum: &mut [u32], number: &[u32], factor: u32) -> u32 {
    let factor = u64::from(factor);
    let mut carry: u64 = 0;
    for (limb, part) in sum.iter_mut().zip(number) {
        // At most (2^32 - 1)^2 + 2 (2^32 - 1): fits.
        let product = factor.wrapping_mul(u64::from(*part));
        let all = product.wrapping_add(u64::from(*limb)).wrapping_add(carry);
        *limb = (all & 0xffff_ffff) as u32;
        carry = all >> 32;
    }
    (carry & 0xffff_ffff) as u32
}

/// The same where the lowest limb becomes zero, which is left out: all others move down, and the highest stays as it was.
fn add_and_shift(sum: &mut [u32], number: &[u32], factor: u32) -> u32 {
    let factor = u64::from(factor);
    let limb = |part: &u32, limb: u32, carry: u64| {
        let product = factor.wrapping_mul(u64::from(*part));
        product.wrapping_add(u64::from(limb)).wrapping_add(carry)
    };
    let mut parts = number.iter();
    let lowest = sum.first().copied().unwrap_or(0);
    let mut carry = parts.next().map_or(0, |part| limb(part, lowest, 0) >> 32);
    let cells = Cell::from_mut(sum).as_slice_of_cells();
    for (pair, part) in cells.windows(2).zip(parts) {
        if let [to, from] = pair {
            let all = limb(part, from.get(), carry);
            to.set((all & 0xffff_ffff) as u32);
            carry = all >> 32;
        }
    }
    (carry & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, digit by digit.
    fn plain(base: u128, exponent: u32, modulus: u128) -> u128 {
        let multiply = |mut a: u128, mut b: u128| {
            let mut sum = 0_u128;
            while b > 0 {
                if b & 1 == 1 {
                    sum = (sum + a) % modulus;
                }
                a = (a * 2) % modulus;
                b >>= 1;
            }
            sum
        };
        let (mut result, mut square, mut rest) = (1 % modulus, base, exponent);
        while rest > 0 {
            if rest & 1 == 1 {
                result = multiply(result, square);
            }
            square = multiply(square, square);
            rest >>= 1;
        }
        result
    }

    proptest! {
        #[test]
        fn powers_are_those_of_plain_arithmetic(
            modulus in (1_u128 << 64..1 << 126).prop_map(|n| n | 1), base: u128, exponent in prop_oneof![Just(3_u32), Just(65_537), any::<u32>()]
        ) {
            let base = base % modulus;
            let bytes = modulus.to_be_bytes();
            let skip = bytes.iter().take_while(|byte| **byte == 0).count();
            let got = power(&base.to_be_bytes()[skip..], exponent, &bytes[skip..]).unwrap();
            let expected = plain(base, exponent, modulus).to_be_bytes();
            prop_assert_eq!(got, &expected[skip..]);
        }
    }

    #[test]
    fn what_is_no_number_below_an_odd_modulus_has_no_power() {
        assert_eq!(power(&[5], 3, &[7]), Some(vec![6]));
        for (base, modulus) in [(&[7_u8][..], &[7_u8][..]), (&[1], &[8]), (&[], &[])] {
            assert_eq!(power(base, 3, modulus), None);
        }
        assert_eq!(verify(&[0xff; 40], 3, "RS256", b"", &[1; 40]), Some(false));
        assert_eq!(verify(&[0xff; 256], 3, "PS256", b"", &[1; 256]), None);
    }
}
