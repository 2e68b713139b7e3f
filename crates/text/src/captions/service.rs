//! Packets of CEA-708 (§5): which services speak in them.
//!
//! ```text
//! packet: sequence number 2 bits, size 6 bits (of bytes with this one: twice, 0 is 128) | service blocks
//! block: service number 3 bits, size 5 bits | if the number is 7 and the size is not 0: 2 bits, number 6 bits | bytes
//! ```

/// Puts packets together from the pairs that pictures carry.
#[derive(Debug, Default)]
pub(super) struct Packets {
    /// Empty until one begins.
    packet: Vec<u8>,
}

impl Packets {
    /// Forgets what is incomplete: other pictures follow.
    pub(super) fn interrupt(&mut self) {
        self.packet.clear();
    }

    /// Takes two bytes. `begins`: a packet begins with them. `service` is called with every service that has something to say.
    pub(super) fn take(&mut self, begins: bool, bytes: [u8; 2], service: &mut impl FnMut(u8)) {
        if begins {
            self.packet.clear();
        } else if self.packet.is_empty() {
            return;
        }
        self.packet.extend_from_slice(&bytes);
        let Some((header, blocks)) = self.packet.split_first() else {
            return;
        };
        let size = match usize::from(header & 0x3f) {
            0 => 128,
            half => half.saturating_mul(2),
        };
        if self.packet.len() < size {
            return;
        }
        let blocks = blocks.get(..size.saturating_sub(1)).unwrap_or(blocks);
        read_blocks(blocks, service);
        self.packet.clear();
    }
}

fn read_blocks(mut rest: &[u8], service: &mut impl FnMut(u8)) {
    while let Some((header, behind)) = rest.split_first() {
        let (mut number, size) = (header >> 5, usize::from(header & 0x1f));
        rest = behind;
        if number == 7 && size > 0 {
            let Some((extended, behind)) = rest.split_first() else {
                return;
            };
            number = extended & 0x3f;
            rest = behind;
        }
        // The null block fills what is left.
        if number == 0 {
            return;
        }
        let Some((_, behind)) = rest.split_at_checked(size) else {
            return;
        };
        rest = behind;
        if size > 0 {
            service(number);
        }
    }
}
