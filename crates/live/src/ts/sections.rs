//! Sections of one PID, across packets (ISO/IEC 13818-1 §2.4.4).

use crate::cue::MAX_SECTION_BYTES;

/// Gathers sections.
#[derive(Debug, Default)]
pub(super) struct Sections {
    counter: Option<u8>,
    bytes: Vec<u8>,
    /// `bytes` begin with a section, and nothing was lost since.
    whole: bool,
}

impl Sections {
    /// The payload of a packet; `start`: a section begins in it. Gives those that are complete with it.
    pub(super) fn packet(&mut self, start: bool, counter: u8, payload: &[u8]) -> Vec<Vec<u8>> {
        let last = self.counter.replace(counter);
        if last == Some(counter) {
            return Vec::new(); // sent twice
        }
        let expected = last.map(|last| last.wrapping_add(1) & 15);
        self.whole &= expected == Some(counter);
        let mut found = Vec::new();
        let begins = match start {
            true => {
                let Some((pointer, rest)) = payload.split_first() else {
                    return found;
                };
                let Some((before, begins)) = rest.split_at_checked(usize::from(*pointer)) else {
                    self.whole = false;
                    return found;
                };
                self.extend(before, &mut found);
                self.bytes.clear();
                self.whole = true;
                begins
            }
            false => payload,
        };
        self.extend(begins, &mut found);
        found
    }

    fn extend(&mut self, bytes: &[u8], found: &mut Vec<Vec<u8>>) {
        if !self.whole {
            self.bytes.clear();
            return;
        }
        self.bytes.extend_from_slice(bytes);
        loop {
            match self.bytes.first_chunk::<3>() {
                // Stuffing up to the end of the packet.
                Some([0xff, ..]) => {
                    self.bytes.clear();
                    self.whole = false;
                    return;
                }
                Some([_, high, low]) => {
                    let len =
                        usize::from(u16::from_be_bytes([high & 0x0f, *low])).saturating_add(3);
                    if len > MAX_SECTION_BYTES {
                        self.bytes.clear();
                        self.whole = false;
                        return;
                    }
                    if self.bytes.len() < len {
                        return;
                    }
                    let rest = self.bytes.split_off(len);
                    found.push(std::mem::replace(&mut self.bytes, rest));
                }
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(len: u8, fill: u8) -> Vec<u8> {
        let mut section = vec![0xfc, 0x30, len];
        section.resize(usize::from(len) + 3, fill);
        section
    }

    #[test]
    fn sections_are_found_wherever_they_are() {
        let (one, two, long) = (section(5, 1), section(6, 2), section(250, 3));
        let mut sections = Sections::default();
        // In the middle of one it is not known where the next begins.
        assert!(sections.packet(false, 3, &one).is_empty());
        let payload = [&[0][..], &one, &two, &long[..100]].concat();
        assert_eq!(
            sections.packet(true, 4, &payload),
            [one.clone(), two.clone()]
        );
        assert!(sections.packet(false, 4, &payload).is_empty());
        assert!(sections.packet(false, 5, &long[100..180]).is_empty());
        let payload = [&[73][..], &long[180..], &one, &[0xff; 40]].concat();
        assert_eq!(
            sections.packet(true, 6, &payload),
            [long.clone(), one.clone()]
        );
        // What lost a packet is lost.
        let payload = [&[0][..], &long[..100]].concat();
        assert!(sections.packet(true, 7, &payload).is_empty());
        assert!(sections.packet(false, 9, &long[100..]).is_empty());
        let payload = [&[0][..], &two].concat();
        assert_eq!(sections.packet(true, 10, &payload), [two]);
        assert!(sections.packet(true, 11, &[200, 1]).is_empty());
        assert!(sections.packet(true, 12, &[]).is_empty());
    }
}
