//! Sorting, small: the standard library's sorts are fast, and five kilobytes of WebAssembly for each type that is sorted.

use std::cell::RefCell;

/// Sorts by `less`. Equal items end up in any order.
pub(crate) fn sort<T>(items: &mut [T], less: impl Fn(&T, &T) -> bool) {
    let length = items.len();
    // What is read in order, as most is, is found sorted.
    if items.iter().zip(items.iter().skip(1)).all(|(a, b)| !less(b, a)) {
        return;
    }
    let items = RefCell::new(items);
    let before = |a: usize, b: usize| {
        let items = items.borrow();
        matches!((items.get(a), items.get(b)), (Some(a), Some(b)) if less(a, b))
    };
    heap_sort(length, &before, &|a, b| items.borrow_mut().swap(a, b));
}

/// One for all types: it knows places only. `swap` gets places below `length`.
#[inline(never)]
fn heap_sort(length: usize, before: &dyn Fn(usize, usize) -> bool, swap: &dyn Fn(usize, usize)) {
    for root in (0..length / 2).rev() {
        sift_down(root, length, before, swap);
    }
    for end in (1..length).rev() {
        swap(0, end);
        sift_down(0, end, before, swap);
    }
}

/// Makes a heap of what is below the root, which is one already but for the root itself.
fn sift_down(mut root: usize, length: usize, before: &dyn Fn(usize, usize) -> bool, swap: &dyn Fn(usize, usize)) {
    loop {
        let left = root.saturating_mul(2).saturating_add(1);
        let right = left.saturating_add(1);
        if left >= length {
            return;
        }
        let larger = if right < length && before(left, right) { right } else { left };
        if !before(root, larger) {
            return;
        }
        swap(root, larger);
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
