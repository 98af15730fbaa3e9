//! Cursors: where a walk goes on, tied to what is walked.

use std::fmt::Write;

use crate::{Error, Result};

/// What a walk is about: part of every cursor, so that none is taken for another's.
pub(super) struct Walk<'a> {
    /// Every word that tells this walk from others, its kind first.
    pub(super) words: &'a [&'a str],
}

impl Walk<'_> {
    /// The cursor for a position: 16 hexadecimal digits that fit walk and position, then the position in hexadecimal.
    pub(super) fn cursor(&self, position: &str) -> String {
        let mut cursor = format!("{:016x}", self.mark(position));
        for byte in position.bytes() {
            // Writing to a string cannot fail.
            let _ = write!(cursor, "{byte:02x}");
        }
        cursor
    }

    /// The position in a cursor of this walk.
    pub(super) fn position(&self, cursor: &str) -> Result<String> {
        let refused = || Error::InvalidArgument("cursor: it is damaged, or belongs to another query".into());
        let (mark, position) = cursor.split_at_checked(16).ok_or_else(refused)?;
        let digits = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2 && !pair.starts_with('+'))?;
            u8::from_str_radix(pair, 16).ok()
        };
        let bytes: Option<Vec<u8>> = position.as_bytes().chunks(2).map(digits).collect();
        let position = String::from_utf8(bytes.ok_or_else(refused)?).map_err(|_| refused())?;
        // No cursor of ours holds other control characters, and no storage is to be asked for any.
        let legal = mark == format!("{:016x}", self.mark(&position))
            && !position.contains(|c: char| c.is_control() && c != '\n');
        if legal { Ok(position) } else { Err(refused()) }
    }

    /// FNV-1a over all words and the position, each with its length, so that none runs into the next.
    fn mark(&self, position: &str) -> u64 {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut feed = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        for word in self.words.iter().chain([&position]) {
            feed(&(word.len() as u64).to_le_bytes());
            feed(word.as_bytes());
        }
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_fits_its_walk_alone() {
        let walk = Walk { words: &["list", "a", "b.**"] };
        let cursor = walk.cursor("b.é\u{ffff}");
        assert_eq!(walk.position(&cursor).as_deref(), Ok("b.é\u{ffff}"));
        assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric()));
        for words in [["count", "a", "b.**"], ["list", "ab", ".**"], ["list", "a", "b.*"]] {
            assert!(Walk { words: &words }.position(&cursor).is_err());
        }
        for damaged in ["", "0", "+", &cursor[1..], &cursor[..cursor.len() - 2], "ééééééééé", &format!("{cursor}+1")]
        {
            assert!(walk.position(damaged).is_err(), "{damaged}");
        }
    }
}
