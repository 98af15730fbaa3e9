//! CRC-32C (Castagnoli) of values.
//!
//! Machines have an instruction for it, which the `crc32c` crate uses; WebAssembly has none. There the same is done with
//! tables, eight bytes at a time; they are made when first needed, which costs less than carrying them.

#[cfg(not(target_family = "wasm"))]
pub(crate) use crc32c::{crc32c, crc32c_append};
#[cfg(target_family = "wasm")]
pub(crate) use tables::{crc32c, crc32c_append};

#[cfg(any(target_family = "wasm", test))]
mod tables {
    use std::sync::OnceLock;

    /// For each of eight bytes in a row, what each value of it comes to by the time the eighth has been taken in.
    type Tables = [[u32; 256]; 8];

    pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
        crc32c_append(0, bytes)
    }

    /// Goes on from the checksum of what stands before.
    pub(crate) fn crc32c_append(before: u32, bytes: &[u8]) -> u32 {
        static TABLES: OnceLock<Box<Tables>> = OnceLock::new();
        let tables = TABLES.get_or_init(make);
        // An index of eight bits is always in a table of 256.
        let look = |table: usize, byte: u32| {
            tables.get(table).and_then(|table| table.get((byte & 0xff) as usize)).copied().unwrap_or(0)
        };
        let mut crc = !before;
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            let (low, high) = (word as u32 ^ crc, (word >> 32) as u32);
            crc = look(7, low)
                ^ look(6, low >> 8)
                ^ look(5, low >> 16)
                ^ look(4, low >> 24)
                ^ look(3, high)
                ^ look(2, high >> 8)
                ^ look(1, high >> 16)
                ^ look(0, high >> 24);
        }
        for byte in rest {
            crc = look(0, crc ^ u32::from(*byte)) ^ (crc >> 8);
        }
        !crc
    }

    fn make() -> Box<Tables> {
        /// The polynomial, its lowest power first.
        const POLYNOMIAL: u32 = 0x82f6_3b78;
        let mut tables = Box::new([[0_u32; 256]; 8]);
        let mut first = [0_u32; 256];
        for (byte, entry) in first.iter_mut().enumerate() {
            *entry = (0..8).fold(byte as u32, |crc, _| if crc & 1 == 1 { POLYNOMIAL ^ (crc >> 1) } else { crc >> 1 });
        }
        let mut before = first;
        for table in tables.iter_mut() {
            *table = before;
            for entry in &mut before {
                let low = first.get((*entry & 0xff) as usize).copied().unwrap_or(0);
                *entry = low ^ (*entry >> 8);
            }
        }
        tables
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::tables;

    #[test]
    fn the_known_check_value() {
        assert_eq!(tables::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(tables::crc32c(b""), 0);
    }

    proptest! {
        #[test]
        fn both_ways_agree(before: Vec<u8>, bytes: Vec<u8>) {
            let first = tables::crc32c(&before);
            prop_assert_eq!(first, crc32c::crc32c(&before));
            prop_assert_eq!(tables::crc32c_append(first, &bytes), crc32c::crc32c_append(first, &bytes));
        }
    }
}
