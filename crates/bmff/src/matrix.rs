//! Display matrices (ISO/IEC 14496-12 §8.3.2, §6.2.2).

/// The nine values of `tkhd`'s matrix: `{a b u c d v x y w}`, 16.16 fixed point except `u v w`, which are 2.30.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Matrix(pub [i32; 9]);

/// Clockwise turn a player applies before display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// Displayed as coded.
    None,
    /// A quarter turn clockwise: a phone held upright.
    Cw90,
    /// Upside down.
    Cw180,
    /// A quarter turn counter-clockwise.
    Cw270,
}

const ONE: i32 = 0x1_0000;

impl Matrix {
    /// No transformation.
    pub const IDENTITY: Self = Self([ONE, 0, 0, 0, ONE, 0, 0, 0, 0x4000_0000]);

    /// The matrix that turns a `width` x `height` picture and moves it back to the origin.
    #[must_use]
    pub fn rotate(rotation: Rotation, width: u16, height: u16) -> Self {
        let (w, h) = (i32::from(width), i32::from(height));
        let (w, h) = (w.wrapping_shl(16), h.wrapping_shl(16));
        let one = 0x4000_0000;
        match rotation {
            Rotation::None => Self::IDENTITY,
            Rotation::Cw90 => Self([0, ONE, 0, -ONE, 0, 0, h, 0, one]),
            Rotation::Cw180 => Self([-ONE, 0, 0, 0, -ONE, 0, w, h, one]),
            Rotation::Cw270 => Self([0, -ONE, 0, ONE, 0, 0, 0, w, one]),
        }
    }

    /// As `tkhd` has it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 36] {
        let mut bytes = [0; 36];
        for (place, value) in bytes.chunks_exact_mut(4).zip(self.0) {
            place.copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    /// The quarter turn nearest to this matrix. Mirroring and scale do not count.
    #[must_use]
    pub fn rotation(&self) -> Rotation {
        let [a, b, _, c, d, ..] = self.0;
        if a.unsigned_abs() >= b.unsigned_abs() && d.unsigned_abs() >= c.unsigned_abs() {
            if a < 0 && d < 0 {
                Rotation::Cw180
            } else {
                Rotation::None
            }
        } else if b > 0 {
            Rotation::Cw90
        } else {
            Rotation::Cw270
        }
    }
}

impl Rotation {
    /// Clockwise degrees: 0, 90, 180 or 270.
    #[must_use]
    pub fn degrees(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Cw90 => 90,
            Self::Cw180 => 180,
            Self::Cw270 => 270,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_rotation_is_read_back() {
        for rotation in [
            Rotation::None,
            Rotation::Cw90,
            Rotation::Cw180,
            Rotation::Cw270,
        ] {
            assert_eq!(Matrix::rotate(rotation, 1920, 1080).rotation(), rotation);
        }
    }
}
