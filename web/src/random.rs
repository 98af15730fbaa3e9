//! Randomness for versions.

use std::cell::RefCell;

use crate::indexed_db::shim;

/// One call of the browser's for so many versions: the call costs more than the bytes.
const VERSIONS: usize = 64;

/// 128 bits from the browser's generator.
pub fn random() -> u128 {
    thread_local! {
        static POOL: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
    }
    POOL.with_borrow_mut(|pool| {
        if pool.is_empty() {
            let mut bytes = [0_u8; VERSIONS * 16];
            shim::fill_random(&mut bytes);
            let (words, _) = bytes.as_chunks::<16>();
            pool.extend(words.iter().map(|word| u128::from_le_bytes(*word)));
        }
        pool.pop().unwrap_or_default()
    })
}
