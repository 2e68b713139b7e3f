//! A list that grows page by page: growing never copies what is there, nor takes room for as much again.

/// Items of a page.
const PAGE: usize = 1 << 12;

/// A list of small items. Every page but the last has [`PAGE`] of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pages<T> {
    pages: Vec<Vec<T>>,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

/// What binary searches and walks need of a list.
pub(super) trait List<T: Copy> {
    fn item(&self, at: usize) -> Option<T>;
    fn count(&self) -> usize;
}

impl<T: Copy> List<T> for [T] {
    fn item(&self, at: usize) -> Option<T> {
        self.get(at).copied()
    }

    fn count(&self) -> usize {
        self.len()
    }
}

impl<T: Copy> List<T> for Pages<T> {
    fn item(&self, at: usize) -> Option<T> {
        self.pages.get(at / PAGE)?.get(at % PAGE).copied()
    }

    fn count(&self) -> usize {
        let full = self.pages.len().saturating_sub(1).saturating_mul(PAGE);
        full.saturating_add(self.pages.last().map_or(0, Vec::len))
    }
}

impl<T: Copy> Pages<T> {
    pub(super) fn push(&mut self, item: T) {
        match self.pages.last_mut().filter(|page| page.len() < PAGE) {
            Some(page) => {
                if page.len() == page.capacity() && page.len() >= PAGE / 8 {
                    page.reserve_exact(PAGE.saturating_sub(page.len()));
                }
                page.push(item);
            }
            None => self.pages.push(vec![item]),
        }
    }

    pub(super) fn last(&self) -> Option<T> {
        self.pages.last()?.last().copied()
    }

    /// Bytes of memory that the list holds.
    pub(super) fn heap_bytes(&self) -> usize {
        let items = self.pages.iter().map(Vec::capacity).sum::<usize>();
        let pages = self.pages.capacity().saturating_mul(size_of::<Vec<T>>());
        items.saturating_mul(size_of::<T>()).saturating_add(pages)
    }
}

impl<T: Copy> FromIterator<T> for Pages<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut pages = Self::default();
        items.into_iter().for_each(|item| pages.push(item));
        pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_where_they_were_put() {
        let pages: Pages<usize> = (0..3 * PAGE + 5).collect();
        assert_eq!(pages.count(), 3 * PAGE + 5);
        assert_eq!(pages.last(), Some(3 * PAGE + 4));
        for at in [0, 1, PAGE - 1, PAGE, 2 * PAGE + 7, 3 * PAGE + 4] {
            assert_eq!(pages.item(at), Some(at));
        }
        assert_eq!(pages.item(3 * PAGE + 5), None);
        assert!(pages.heap_bytes() < (4 * PAGE + 100) * size_of::<usize>());
    }
}
