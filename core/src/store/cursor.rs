//! Cursors: where a walk goes on, tied to what is walked.

use crate::{Error, Result, key::hexadecimal};

/// Over the names of namespaces.
pub(super) const NAMESPACES: Walk<'static> = Walk { words: &["namespaces"] };

/// What a walk is about: part of every cursor, so that none is taken for another's.
pub(super) struct Walk<'a> {
    /// Every word that tells this walk from others, its kind first.
    pub(super) words: &'a [&'a str],
}

impl Walk<'_> {
    /// The cursor for a position: 16 hexadecimal digits that fit walk and position, then the position in hexadecimal.
    pub(super) fn cursor(&self, position: &str) -> String {
        let mark = hexadecimal(&self.mark(position).to_le_bytes());
        [&mark, hexadecimal(position.as_bytes()).as_str()].concat()
    }

    /// The position in a cursor of this walk.
    pub(super) fn position(&self, cursor: &str) -> Result<String> {
        let (mut bytes, mut byte): (Vec<u8>, u8) = (Vec::new(), 0);
        for (index, digit) in cursor.bytes().enumerate() {
            byte = byte << 4 | char::from(digit).to_digit(16).unwrap_or_default() as u8;
            if index > 16 && index % 2 == 1 {
                bytes.push(byte);
            }
        }
        match String::from_utf8(bytes) {
            // Whatever is not as we write it is not ours. No cursor of ours holds other control characters, and no storage is
            // to be asked for any.
            Ok(position)
                if self.cursor(&position) == cursor && !position.contains(|c: char| c.is_control() && c != '\n') =>
            {
                Ok(position)
            }
            _ => Err(refused()),
        }
    }

    /// FNV-1a over all words and the position, each followed by a byte that is in no text, so that none runs into the next.
    fn mark(&self, position: &str) -> u64 {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut feed = |word: &str| {
            for byte in word.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        for word in self.words {
            feed(word);
        }
        feed(position);
        hash
    }
}

pub(super) fn refused() -> Error {
    Error::InvalidArgument("cursor: it is damaged, or belongs to another query".into())
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
