//! Permission letters of a shared access signature (`sp`).

use std::fmt;

/// A set of permission letters.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u16);

/// Letters in the order Azure requires in `sp`, with their bits.
const LETTERS: [(char, u16); 14] = [
    ('r', 1),
    ('a', 1 << 1),
    ('c', 1 << 2),
    ('w', 1 << 3),
    ('d', 1 << 4),
    ('x', 1 << 5),
    ('y', 1 << 6),
    ('l', 1 << 7),
    ('t', 1 << 8),
    ('f', 1 << 9),
    ('m', 1 << 10),
    ('e', 1 << 11),
    ('i', 1 << 12),
    ('u', 1 << 13),
];

/// A letter that is no permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a permission letter")]
pub struct UnknownPermission(pub char);

impl Permissions {
    pub const NONE: Self = Self(0);
    /// `r`: read content, properties, metadata and block lists.
    pub const READ: Self = Self(1);
    /// `c`: write a blob that does not exist yet.
    pub const CREATE: Self = Self(1 << 2);
    /// `w`: write a blob, new or not.
    pub const WRITE: Self = Self(1 << 3);
    /// `d`: delete.
    pub const DELETE: Self = Self(1 << 4);
    /// `l`: list blobs (container) or containers (account).
    pub const LIST: Self = Self(1 << 7);

    /// Reads letters in any order.
    pub fn parse(text: &str) -> Result<Self, UnknownPermission> {
        text.chars().try_fold(Self::NONE, |set, letter| {
            let found = LETTERS.iter().find(|(known, _)| *known == letter);
            found
                .map(|(_, bit)| Self(set.0 | bit))
                .ok_or(UnknownPermission(letter))
        })
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        LETTERS
            .iter()
            .filter(|(_, bit)| self.0 & bit != 0)
            .try_for_each(|(letter, _)| f.write_char(*letter))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permissions({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_written_in_azures_order() {
        assert_eq!(Permissions::parse("lwr").unwrap().to_string(), "rwl");
        assert_eq!(
            Permissions::READ.with(Permissions::CREATE).to_string(),
            "rc"
        );
        assert_eq!(Permissions::parse("rz"), Err(UnknownPermission('z')));
        assert!(
            Permissions::parse("racwdl")
                .unwrap()
                .contains(Permissions::READ.with(Permissions::LIST))
        );
    }
}
