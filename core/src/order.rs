//! Sorting, small: the standard library's sorts are fast, and five kilobytes of WebAssembly for each type that is sorted.

/// Sorts by `less`. Equal items end up in any order.
pub(crate) fn sort<T>(items: &mut [T], less: impl Fn(&T, &T) -> bool) {
    let length = items.len();
    heap_sort(length, &mut Sorting { items, less });
}

struct Sorting<'a, T, F> {
    items: &'a mut [T],
    less: F,
}

/// What is done while sorting, by places: so sorting itself is there once for all types.
trait Places {
    fn less(&self, a: usize, b: usize) -> bool;
    /// The first is before the second.
    fn swap(&mut self, a: usize, b: usize);
}

impl<T, F: Fn(&T, &T) -> bool> Places for Sorting<'_, T, F> {
    fn less(&self, a: usize, b: usize) -> bool {
        matches!((self.items.get(a), self.items.get(b)), (Some(a), Some(b)) if (self.less)(a, b))
    }

    fn swap(&mut self, a: usize, b: usize) {
        if let Some((before, behind)) = self.items.split_at_mut_checked(b)
            && let (Some(a), Some(b)) = (before.get_mut(a), behind.first_mut())
        {
            std::mem::swap(a, b);
        }
    }
}

#[inline(never)]
fn heap_sort(length: usize, places: &mut dyn Places) {
    // What is read in order, as most is, is found sorted.
    if (1..length).all(|place| !places.less(place, place.saturating_sub(1))) {
        return;
    }
    for root in (0..length / 2).rev() {
        sift_down(root, length, places);
    }
    for end in (1..length).rev() {
        places.swap(0, end);
        sift_down(0, end, places);
    }
}

/// Makes a heap of what is below the root, which is one already but for the root itself.
fn sift_down(mut root: usize, length: usize, places: &mut dyn Places) {
    loop {
        let left = root.saturating_mul(2).saturating_add(1);
        let right = left.saturating_add(1);
        if left >= length {
            return;
        }
        let larger = if right < length && places.less(left, right) { right } else { left };
        if !places.less(root, larger) {
            return;
        }
        places.swap(root, larger);
        root = larger;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_the_standard_library_does(mut items: Vec<u8>) {
            let mut expected = items.clone();
            expected.sort();
            sort(&mut items, |a, b| a < b);
            prop_assert_eq!(items, expected);
        }
    }
}
