//! RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2), as components have to check it for every request for a key.
//!
//! Everything here is public, so nothing takes the same time for all numbers. The products of limbs fit into the
//! 64 bits that WebAssembly multiplies, with room for their sums: the general implementation, made for secrets and 64 bits, takes
//! many times as long there.

use sha2::{Digest, Sha256, Sha384, Sha512};

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

/// A public key, with what of its arithmetic can be done beforehand.
#[derive(Clone)]
pub(super) struct PublicKey {
    field: Field,
    exponent: u32,
}

impl PublicKey {
    /// `modulus`: big-endian. `None` unless it is odd and without leading zeros.
    pub(super) fn new(modulus: &[u8], exponent: u32) -> Option<Self> {
        Some(Self {
            field: Field::new(modulus)?,
            exponent,
        })
    }

    /// Whether `signature` over `message` is one of RS256, RS384 or RS512. `None`: the algorithm is another.
    pub(super) fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        let info = digest_info(algorithm, message)?;
        let len = self.field.len;
        // 00 01 ff … ff 00 info, at least eight bytes of ff. Compared as a whole, so that nothing is parsed.
        let Some(filler) = len
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
        if signature.len() != len {
            return Some(false);
        }
        let found = self.field.power(signature, self.exponent);
        Some(found.is_some_and(|found| found == expected))
    }
}

/// Bits of a limb.
const BITS: u32 = 28;
const LIMB: u32 = (1 << BITS) - 1;

/// Rows of products, of which two meet in a limb, until they have to be carried: a product has 56 bits, and 64 hold the sum of
/// 256. An even number.
const ROWS: usize = 100;
/// The same of a square, where those of the number are twice as large.
const SQUARE_ROWS: usize = 80;

/// The lowest `BITS` bits.
fn limb(number: u64) -> u32 {
    // Masked first: nothing is cut off.
    (number & u64::from(LIMB)) as u32
}

/// Two rows of products of each of two numbers, the second a limb higher, added to `from`: with `by` the two factors of the first
/// number, then those of the second, and `before` the limbs below the first ones. Returns the last limbs.
///
/// Two rows at once, as reading and writing the sum costs as much as the products. Not within another function, where the loop has
/// no registers left.
#[inline(never)]
fn add_rows(
    to: &mut [u64],
    from: &[u64],
    [b, n]: [&[u32]; 2],
    [b0, b1, n0, n1]: [u64; 4],
    [mut b_before, mut n_before]: [u32; 2],
) -> [u32; 2] {
    for (((to, from), b), n) in to.iter_mut().zip(from).zip(b).zip(n) {
        let first = times(b, b0).wrapping_add(times(n, n0));
        let second = times(&b_before, b1).wrapping_add(times(&n_before, n1));
        *to = from.wrapping_add(first).wrapping_add(second);
        (b_before, n_before) = (*b, *n);
    }
    [b_before, n_before]
}

/// The same of one number.
#[inline(never)]
fn reduce(to: &mut [u64], from: &[u64], n: &[u32], [n0, n1]: [u64; 2], mut before: u32) -> u32 {
    for ((to, from), n) in to.iter_mut().zip(from).zip(n) {
        let reduced = times(n, n0).wrapping_add(times(&before, n1));
        *to = from.wrapping_add(reduced);
        before = *n;
    }
    before
}

/// The highest limbs: of the second rows alone, and nothing.
fn end_rows(sum: &mut [u64], [b, n]: [u32; 2], [b1, n1]: [u64; 2]) {
    if let [.., last_but_one, last] = sum {
        *last_but_one = times(&b, b1).wrapping_add(times(&n, n1));
        *last = 0;
    }
}

fn times(a: &u32, b: u64) -> u64 {
    u64::from(*a).wrapping_mul(b)
}

/// Makes limbs of sums of products.
fn carry(sum: &mut [u64]) {
    let mut carry = 0;
    for part in sum {
        let all = part.wrapping_add(carry);
        carry = all >> BITS;
        *part = u64::from(limb(all));
    }
}

fn is_below(a: &[u32], b: &[u32]) -> bool {
    a.len() == b.len() && a.iter().rev().lt(b.iter().rev())
}

/// Montgomery's arithmetic: numbers stand for themselves times 2^(28 n), n limbs, the lowest first. As that is more than four
/// times the modulus, products of what is below twice the modulus are so too, and only the last has to be made less.
#[derive(Clone)]
struct Field {
    /// Of the modulus, in bytes.
    len: usize,
    modulus: Vec<u32>,
    /// Minus the inverse of the modulus, modulo 2^28.
    inverse: u32,
    /// 2^(56 n) modulo the modulus: a number times this stands for the number.
    squared: Vec<u32>,
}

impl Field {
    fn new(modulus: &[u8]) -> Option<Self> {
        let (last, first) = (*modulus.last()?, *modulus.first()?);
        if last & 1 == 0 || first == 0 {
            return None;
        }
        let len = modulus.len();
        let bits = len.checked_mul(8)?;
        // An even number of them.
        let limbs = bits.checked_add(2)?.div_ceil(BITS as usize);
        let limbs = limbs.checked_next_multiple_of(2)?;
        let modulus = limbs_of(modulus, limbs);
        let low = *modulus.first()?;
        // Newton's iteration doubles the bits that are right.
        let mut inverse: u32 = 1;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2_u32.wrapping_sub(low.wrapping_mul(inverse)));
        }
        let mut squared = vec![0; limbs];
        *squared.first_mut()? = 1;
        for _ in 0..2 {
            squared = moved_up(&squared, &modulus)?;
        }
        Some(Self {
            len,
            modulus,
            inverse: inverse.wrapping_neg() & LIMB,
            squared,
        })
    }

    /// `base^exponent` modulo the modulus, as long as that. `None` unless the base is below it and the exponent is not zero.
    fn power(&self, base: &[u8], exponent: u32) -> Option<Vec<u8>> {
        let base = self.limbs(base);
        let number = self.number(&base)?;
        let mut result = number.clone();
        // The highest bit is the base itself.
        for at in (0..exponent.checked_ilog2()?).rev() {
            result = self.square(&result);
            if (exponent >> at) & 1 == 0 {
                continue;
            }
            if at == 0 {
                // The last: by the base as it is, which makes the product stand for itself.
                return Some(self.bytes(&self.multiply(&result, &base)));
            }
            result = self.multiply(&result, &number);
        }
        let mut one = vec![0; base.len()];
        *one.first_mut()? = 1;
        Some(self.bytes(&self.multiply(&result, &one)))
    }

    fn limbs(&self, number: &[u8]) -> Vec<u32> {
        limbs_of(number, self.modulus.len())
    }

    /// What stands for a number. `None` unless it is below the modulus.
    fn number(&self, number: &[u32]) -> Option<Vec<u32>> {
        is_below(number, &self.modulus).then(|| self.multiply(number, &self.squared))
    }

    /// a b / 2^(28 n), below twice the modulus as both are.
    fn multiply(&self, a: &[u32], b: &[u32]) -> Vec<u32> {
        let mut sum = vec![0_u64; self.modulus.len()];
        let mut next = sum.clone();
        for factors in a.chunks(ROWS) {
            for pair in factors.as_chunks().0 {
                self.add_two_and_shift(&sum, b, *pair, &mut next);
                std::mem::swap(&mut sum, &mut next);
            }
            carry(&mut sum);
        }
        sum.into_iter().map(limb).collect()
    }

    /// a a / 2^(28 n), below twice the modulus as a is.
    ///
    /// Products of two different limbs are in it twice, and are made once: with each limb those behind it, doubled.
    fn square(&self, a: &[u32]) -> Vec<u32> {
        let mut sum = vec![0_u64; self.modulus.len()];
        let mut next = sum.clone();
        let mut done = 0_usize;
        for factors in a.chunks(SQUARE_ROWS) {
            for pair in factors.as_chunks().0 {
                self.add_square_and_shift(&sum, (a, done, *pair), &mut next);
                std::mem::swap(&mut sum, &mut next);
                done = done.wrapping_add(2);
            }
            carry(&mut sum);
        }
        sum.into_iter().map(limb).collect()
    }

    /// As [`Field::add_two_and_shift`], with what has not been added yet of the products of the limbs `done` and `done + 1` of
    /// `number`, which are `factors`, and all of its limbs.
    fn add_square_and_shift(
        &self,
        sum: &[u64],
        (number, done, factors): (&[u32], usize, [u32; 2]),
        next: &mut [u64],
    ) {
        let ([low, high, sum @ ..], [n0, n1, modulus @ ..]) = (sum, &*self.modulus) else {
            return;
        };
        let [a0, a1] = factors.map(u64::from);
        let [twice0, twice1] = [a0, a1].map(|a| a.wrapping_mul(2));
        // A limb's own products are as far up in the sum as the limb is in the number: the sum has been moved down meanwhile.
        let (own, both) = (a0.wrapping_mul(a0), a0.wrapping_mul(twice1));
        let (own_low, both_high) = if done == 0 { (own, both) } else { (0, 0) };
        let low = low.wrapping_add(own_low);
        let m0 = self.multiple(low);
        let carry = low.wrapping_add(times(n0, m0)) >> BITS;
        let high = high.wrapping_add(both_high).wrapping_add(carry);
        let high = high.wrapping_add(times(n1, m0));
        let m1 = self.multiple(high);
        let carry = high.wrapping_add(times(n0, m1)) >> BITS;

        // Of the modulus alone, up to the third of those products.
        let alone = done.wrapping_add(1).min(sum.len());
        let (first, rest) = next.split_at_mut(alone);
        let n_before = reduce(first, sum, modulus, [m0, m1], *n1);
        let third = number.get(done.wrapping_add(2)).copied().unwrap_or(0);
        let behind = number.get(done.wrapping_add(3)..).unwrap_or_default();
        let sum = sum.get(alone..).unwrap_or_default();
        let modulus = modulus.get(alone..).unwrap_or_default();
        let (numbers, before) = ([behind, modulus], [third, n_before]);
        let by = [twice0, twice1, m0, m1];
        let before = add_rows(rest, sum, numbers, by, before);
        end_rows(next, before, [twice1, m1]);
        let mut add = |at: Option<usize>, product: u64| {
            if let Some(to) = at.and_then(|at| next.get_mut(at)) {
                *to = to.wrapping_add(product);
            }
        };
        add(done.checked_sub(2), own);
        add(done.checked_sub(1), both);
        let others = times(&third, twice0).wrapping_add(a1.wrapping_mul(a1));
        add(Some(done), others);
        add(Some(0), carry);
    }

    /// What makes the lowest limb zero, times the modulus.
    fn multiple(&self, low: u64) -> u64 {
        u64::from(limb(low).wrapping_mul(self.inverse) & LIMB)
    }

    /// Adds `number` times two limbs of a factor to `sum`, and as much of the modulus as makes the two lowest limbs zero, which
    /// are left out: all others move down, to `next`. Nothing is carried but what is above those two.
    fn add_two_and_shift(&self, sum: &[u64], number: &[u32], factors: [u32; 2], next: &mut [u64]) {
        let ([low, high, sum @ ..], [b0, b1, number @ ..], [n0, n1, modulus @ ..]) =
            (sum, number, &*self.modulus)
        else {
            return;
        };
        let [a0, a1] = factors.map(u64::from);
        let low = low.wrapping_add(times(b0, a0));
        let m0 = self.multiple(low);
        let carry = low.wrapping_add(times(n0, m0)) >> BITS;
        let high = high.wrapping_add(carry).wrapping_add(times(b1, a0));
        let high = high.wrapping_add(times(n1, m0)).wrapping_add(times(b0, a1));
        let m1 = self.multiple(high);
        let carry = high.wrapping_add(times(n0, m1)) >> BITS;

        let by = [a0, a1, m0, m1];
        let before = add_rows(next, sum, [number, modulus], by, [*b1, *n1]);
        end_rows(next, before, [a1, m1]);
        if let Some(first) = next.first_mut() {
            *first = first.wrapping_add(carry);
        }
    }

    /// What is below twice the modulus, made less than it, in as many bytes as that has, the highest first.
    fn bytes(&self, number: &[u32]) -> Vec<u8> {
        let mut number = number.to_vec();
        if !is_below(&number, &self.modulus) {
            take_product(&mut number, &self.modulus, 1);
        }
        let (mut bytes, mut held, mut bits) = (Vec::with_capacity(self.len), 0_u64, 0_u32);
        for limb in number {
            held |= u64::from(limb) << bits;
            bits = bits.wrapping_add(BITS);
            while bits >= 8 {
                bytes.push((held & 0xff) as u8);
                held >>= 8;
                bits = bits.wrapping_sub(8);
            }
        }
        bytes.resize(self.len, 0);
        bytes.reverse();
        bytes
    }
}

/// `number`, big-endian, in `limbs` limbs at least.
fn limbs_of(number: &[u8], limbs: usize) -> Vec<u32> {
    let (mut found, mut held, mut bits) = (Vec::with_capacity(limbs), 0_u64, 0_u32);
    for byte in number.iter().rev() {
        held |= u64::from(*byte) << bits;
        bits = bits.wrapping_add(8);
        if bits >= BITS {
            found.push(limb(held));
            held >>= BITS;
            bits = bits.wrapping_sub(BITS);
        }
    }
    found.push(limb(held));
    found.resize(found.len().max(limbs), 0);
    found
}

/// `limb + a b + carry`: two limbs hold it. The lower one and the higher one.
#[inline]
fn add_product(part: u32, a: u32, b: u32, carry: u32) -> (u32, u32) {
    let all = u64::from(a)
        .wrapping_mul(u64::from(b))
        .wrapping_add(u64::from(part))
        .wrapping_add(u64::from(carry));
    (limb(all), limb(all >> BITS))
}

/// Shifted left by less than a limb, into which nothing but zeros is lost.
fn shifted(number: &[u32], bits: u32) -> Vec<u32> {
    let mut below = 0;
    let limbs = number.iter().map(|part| {
        let all = u64::from(*part) << bits | below;
        below = all >> BITS;
        limb(all)
    });
    limbs.collect()
}

/// A number below the modulus, times 2^(28 n), n limbs, modulo the modulus.
fn moved_up(number: &[u32], modulus: &[u32]) -> Option<Vec<u32>> {
    let limbs = modulus.len();
    // Dividing goes by the highest limb, which has to have its highest bit.
    let used = modulus.iter().rposition(|limb| *limb > 0)?.checked_add(1)?;
    let (number, modulus) = (number.get(..used)?, modulus.get(..used)?);
    let bits = modulus.last()?.leading_zeros().checked_sub(32 - BITS)?;
    let (mut number, modulus) = (shifted(number, bits), shifted(modulus, bits));
    for _ in 0..limbs {
        next_limb(&mut number, &modulus)?;
    }
    let mut above = 0;
    for part in number.iter_mut().rev() {
        let all = (u64::from(above) << BITS | u64::from(*part)) >> bits;
        above = *part;
        *part = limb(all);
    }
    number.resize(limbs, 0);
    Some(number)
}

/// A number below the modulus, times 2^28, modulo the modulus, of which the highest bit is set: one digit of a long division
/// (Knuth, The Art of Computer Programming, vol. 2, 4.3.1, algorithm D).
fn next_limb(number: &mut [u32], modulus: &[u32]) -> Option<()> {
    number.rotate_right(1);
    let above = std::mem::take(number.first_mut()?);
    let two = u64::from(above) << BITS | u64::from(*number.last()?);
    // At most two more than it should be.
    let digit = two
        .checked_div(u64::from(*modulus.last()?))?
        .min(u64::from(LIMB));
    let borrow = take_product(number, modulus, limb(digit));
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
        let under = *limb < low;
        *limb = limb.wrapping_sub(low) & LIMB;
        borrow = high.wrapping_add(u32::from(under));
    }
    borrow
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn power(base: &[u8], exponent: u32, modulus: &[u8]) -> Option<Vec<u8>> {
        Field::new(modulus)?.power(base, exponent)
    }

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
            (512, 0xff),
            (1024, 0xff),
        ] {
            let mut modulus = ones(len);
            modulus[0] = top;
            let field = Field::new(&modulus).unwrap();
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
            let times = |a: &[u8], b: &[u8]| {
                let (a, b) = (field.limbs(a), field.limbs(b));
                let product = field.multiply(&field.number(&a).unwrap(), &b);
                field.bytes(&product)
            };
            for number in [&below, &whole_of(&[0xa5, 0x00, 0xff], len), &one] {
                let number = field.limbs(number);
                assert_eq!(
                    field.bytes(&field.square(&number)),
                    field.bytes(&field.multiply(&number, &number))
                );
            }
            let raised = |number: &[u8]| power(number, 65_537, &modulus).unwrap();
            let whole = |number: &[u8]| [&[0], number].concat();
            let (a, b) = (whole(&a), whole(&b));
            assert_eq!(
                raised(&times(&a, &b)),
                times(&raised(&a), &raised(&b)),
                "{len} {top}"
            );
        }
    }

    /// Below every modulus of that length.
    fn whole_of(pattern: &[u8], len: usize) -> Vec<u8> {
        let rest = pattern.iter().cycle().take(len - 1);
        std::iter::once(&0).chain(rest).copied().collect()
    }

    #[test]
    fn what_is_no_number_below_an_odd_modulus_has_no_power() {
        assert_eq!(power(&[5], 3, &[7]), Some(vec![6]));
        for (base, modulus) in [(&[7_u8][..], &[7_u8][..]), (&[1], &[8]), (&[], &[])] {
            assert_eq!(power(base, 3, modulus), None);
        }
        assert_eq!(power(&[5], 0, &[7]), None);
        let verify = |len: usize, algorithm| {
            let key = PublicKey::new(&vec![0xff; len], 3).unwrap();
            key.verify(algorithm, b"", &vec![1; len])
        };
        assert_eq!(verify(40, "RS256"), Some(false));
        assert_eq!(verify(256, "PS256"), None);
    }
}
