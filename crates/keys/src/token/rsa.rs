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

/// `base^exponent mod modulus`, as long as the modulus. `None` unless the base is below it, it is odd, and the exponent is not zero.
fn power(base: &[u8], exponent: u32, modulus: &[u8]) -> Option<Vec<u8>> {
    let field = Field::new(limbs(modulus))?;
    let base = field.number(&limbs(base))?;
    let mut result = base.clone();
    // The highest bit is the base itself.
    let bits = u32::BITS.checked_sub(exponent.leading_zeros())?;
    for at in (0..bits.checked_sub(1)?).rev() {
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
        Some(Self {
            modulus,
            inverse: inverse.wrapping_neg(),
        })
    }

    /// What stands for a number. `None` unless it is below the modulus.
    fn number(&self, number: &[u32]) -> Option<Vec<u32>> {
        if !is_below(number, &self.modulus) {
            return None;
        }
        // Dividing goes by the highest limb, which has to have its highest bit.
        let bits = self.modulus.last()?.leading_zeros();
        let (mut number, modulus) = (shifted(number, bits), shifted(&self.modulus, bits));
        for _ in 0..modulus.len() {
            next_limb(&mut number, &modulus)?;
        }
        let mut above = 0;
        for limb in number.iter_mut().rev() {
            let all = (u64::from(above) << 32 | u64::from(*limb)) >> bits;
            above = *limb;
            *limb = (all & 0xffff_ffff) as u32;
        }
        Some(number)
    }

    /// Takes the modulus off once, if `carry` and the number are not below it.
    fn reduce(&self, number: &mut [u32], carry: u32) {
        if carry > 0 || !is_below(number, &self.modulus) {
            take_product(number, &self.modulus, 1);
        }
    }

    /// a b / 2^(32 n).
    fn multiply(&self, a: &[u32], b: &[u32]) -> Vec<u32> {
        let mut sum = vec![0_u32; self.modulus.len()];
        let mut top = 0_u32;
        for factor in a {
            top = self.add_and_shift(&mut sum, top, b, *factor);
        }
        self.reduce(&mut sum, top);
        sum
    }

    /// Adds `factor` times `number`, and as much of the modulus as makes the lowest limb zero, which is left out: all others move
    /// down. What is above them before, and after.
    fn add_and_shift(&self, sum: &mut [u32], top: u32, number: &[u32], factor: u32) -> u32 {
        let mut parts = number.iter().zip(&self.modulus);
        let (Some((part, modulus)), Some(lowest)) = (parts.next(), sum.first().copied()) else {
            return top;
        };
        let (low, mut carry) = add_product(lowest, *part, factor, 0);
        let multiple = low.wrapping_mul(self.inverse);
        let (_, mut other) = add_product(low, *modulus, multiple, 0);
        let cells = Cell::from_mut(sum).as_slice_of_cells();
        for (pair, (part, modulus)) in cells.windows(2).zip(parts) {
            if let [to, from] = pair {
                let (limb, next) = add_product(from.get(), *part, factor, carry);
                carry = next;
                let (limb, next) = add_product(limb, *modulus, multiple, other);
                other = next;
                to.set(limb);
            }
        }
        let above = u64::from(top)
            .wrapping_add(u64::from(carry))
            .wrapping_add(u64::from(other));
        if let Some(last) = cells.last() {
            last.set((above & 0xffff_ffff) as u32);
        }
        (above >> 32) as u32
    }
}

/// `limb + a b + carry`: at most (2^32 - 1)^2 + 2 (2^32 - 1), which two limbs hold. The lower one and the higher one.
#[inline]
fn add_product(limb: u32, a: u32, b: u32, carry: u32) -> (u32, u32) {
    let all = u64::from(a)
        .wrapping_mul(u64::from(b))
        .wrapping_add(u64::from(limb))
        .wrapping_add(u64::from(carry));
    ((all & 0xffff_ffff) as u32, (all >> 32) as u32)
}

/// Shifted left by less than a limb, into which nothing but zeros is lost.
fn shifted(number: &[u32], bits: u32) -> Vec<u32> {
    let mut below = 0;
    let limbs = number.iter().map(|limb| {
        let all = u64::from(*limb) << bits | below;
        below = all >> 32;
        (all & 0xffff_ffff) as u32
    });
    limbs.collect()
}

/// A number below the modulus, times 2^32, modulo the modulus, of which the highest bit is set: one digit of a long division
/// (Knuth, The Art of Computer Programming, vol. 2, 4.3.1, algorithm D).
fn next_limb(number: &mut [u32], modulus: &[u32]) -> Option<()> {
    number.rotate_right(1);
    let above = std::mem::take(number.first_mut()?);
    let two = u64::from(above) << 32 | u64::from(*number.last()?);
    // At most two more than it should be.
    let digit = two
        .checked_div(u64::from(*modulus.last()?))?
        .min(0xffff_ffff);
    let borrow = take_product(number, modulus, (digit & 0xffff_ffff) as u32);
    let mut missing = borrow.saturating_sub(above);
    while missing > 0 {
        let mut carry = 0;
        for (limb, part) in number.iter_mut().zip(modulus) {
            (*limb, carry) = add_product(*limb, *part, 1, carry);
        }
        missing = missing.saturating_sub(carry);
    }
    Some(())
}

/// Takes `factor` times `other` off; what is to be taken off above.
fn take_product(number: &mut [u32], other: &[u32], factor: u32) -> u32 {
    let mut borrow = 0;
    for (limb, part) in number.iter_mut().zip(other) {
        let (low, high) = add_product(0, *part, factor, borrow);
        let (less, under) = limb.overflowing_sub(low);
        *limb = less;
        borrow = high.wrapping_add(u32::from(under));
    }
    borrow
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
            modulus in (1_u128 << 64..1 << 126).prop_map(|n| n | 1), base: u128, exponent in prop_oneof![Just(3_u32), Just(65_537), 1..=u32::MAX]
        ) {
            let base = base % modulus;
            let bytes = modulus.to_be_bytes();
            let skip = bytes.iter().take_while(|byte| **byte == 0).count();
            let got = power(&base.to_be_bytes()[skip..], exponent, &bytes[skip..]).unwrap();
            let expected = plain(base, exponent, modulus).to_be_bytes();
            prop_assert_eq!(got, &expected[skip..]);
        }
    }

    /// Numbers of many limbs against laws that hold of them: (a b)^e = a^e b^e, and the digits of a division that are guessed too high.
    #[test]
    fn long_numbers_keep_the_laws() {
        let ones = |len: usize| vec![0xff_u8; len];
        for (len, top) in [
            (256, 0xff),
            (256, 0x80),
            (256, 0x01),
            (255, 0x7f),
            (384, 0xc3),
        ] {
            let mut modulus = ones(len);
            modulus[0] = top;
            let field = Field::new(limbs(&modulus)).unwrap();
            let mut below = modulus.clone();
            *below.last_mut().unwrap() -= 1;
            // Minus one: its square is one, and an odd power is itself.
            let mut one = vec![0; len];
            one[len - 1] = 1;
            assert_eq!(power(&below, 2, &modulus).unwrap(), one, "{len} {top}");
            assert_eq!(
                power(&below, 65_537, &modulus).unwrap(),
                below,
                "{len} {top}"
            );
            let (a, b) = (vec![0x01; len - 1], vec![0x5a; len - 1]);
            let long = |bytes: &[u8]| limbs(&[&[0], bytes].concat());
            let times = |a: &[u32], b: &[u32]| {
                let (a, b) = (field.number(a).unwrap(), field.number(b).unwrap());
                let mut one = vec![0; a.len()];
                one[0] = 1;
                field.multiply(&field.multiply(&a, &b), &one)
            };
            let bytes = |number: &[u32]| -> Vec<u8> {
                let all: Vec<u8> = number.iter().rev().flat_map(|l| l.to_be_bytes()).collect();
                all[all.len() - len..].to_vec()
            };
            let product = bytes(&times(&long(&a), &long(&b)));
            let raised = |number: &[u8]| limbs(&power(number, 65_537, &modulus).unwrap());
            let whole = |number: &[u8]| [&[0], number].concat();
            assert_eq!(
                raised(&product),
                times(&raised(&whole(&a)), &raised(&whole(&b))),
                "{len} {top}"
            );
        }
    }

    #[test]
    fn what_is_no_number_below_an_odd_modulus_has_no_power() {
        assert_eq!(power(&[5], 3, &[7]), Some(vec![6]));
        for (base, modulus) in [(&[7_u8][..], &[7_u8][..]), (&[1], &[8]), (&[], &[])] {
            assert_eq!(power(base, 3, modulus), None);
        }
        assert_eq!(power(&[5], 0, &[7]), None);
        assert_eq!(verify(&[0xff; 40], 3, "RS256", b"", &[1; 40]), Some(false));
        assert_eq!(verify(&[0xff; 256], 3, "PS256", b"", &[1; 256]), None);
    }
}
