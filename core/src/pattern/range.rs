//! The keys among which matches are found.

use crate::storage::Range;

use super::parse::{REST, SEPARATOR, Token};

/// The literal start of an alternative, as it stands in keys, and how much that says.
pub(super) struct Prefix {
    pub(super) text: String,
    pub(super) then: Then,
}

/// What follows the literal start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing: it is the only key.
    End,
    /// `**`, last: every key that starts so.
    Anything,
    /// More of the pattern.
    More,
}

pub(super) fn prefix(alternative: &[Token]) -> Prefix {
    let mut text = String::new();
    let mut rest = alternative;
    while let [token, after @ ..] = rest {
        match char::from_u32(*token) {
            Some(character) => push(&mut text, character),
            None if *token == SEPARATOR => text.push('.'),
            None if *token == REST && after.is_empty() => return Prefix { text, then: Then::Anything },
            None => return Prefix { text, then: Then::More },
        }
        rest = after;
    }
    Prefix { text, then: Then::End }
}

/// A character of a segment, as it stands in a key.
pub(super) fn push(key: &mut String, character: char) {
    if matches!(character, '.' | '\\') {
        key.push('\\');
    }
    key.push(character);
}

/// The narrowest range that holds all keys of these prefixes; an empty one for none.
pub(super) fn covering(prefixes: &[Prefix]) -> Range {
    let mut from: Option<&str> = None;
    // No key comes before a space. None: there is no end.
    let mut to = Some(String::from(" "));
    for prefix in prefixes {
        if from.is_none_or(|from| *prefix.text < *from) {
            from = Some(&prefix.text);
        }
        let end = match prefix.then {
            // No character of a key comes before a space.
            Then::End => Some([&prefix.text, " "].concat()),
            _ => successor(&prefix.text),
        };
        to = match (to, end) {
            (Some(to), Some(end)) => Some(if to < end { end } else { to }),
            _ => None,
        };
    }
    Range { from: from.filter(|from| !from.is_empty()).map(String::from), to, after: None }
}

/// The first text, in byte order, after all that start with `prefix`; none where there is none. Byte order is the order
/// of scalar values, so the last character that has a next one gets it.
pub(crate) fn successor(prefix: &str) -> Option<String> {
    let mut characters = prefix.chars();
    while let Some(last) = characters.next_back() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            _ => u32::from(last).checked_add(1).and_then(char::from_u32),
        };
        if let Some(next) = next {
            let mut end = characters.as_str().to_owned();
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors() {
        for (prefix, end) in [
            ("a", Some("b")),
            ("a.", Some("a/")),
            ("a~", Some("a\u{7f}")),
            ("a\u{7f}", Some("a\u{80}")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("a\u{ffff}", Some("a\u{10000}")),
            ("a\u{10ffff}\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(successor(prefix).as_deref(), end);
        }
    }
}
