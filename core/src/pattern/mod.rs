//! Glob patterns over keys.
//!
//! A pattern is matched against whole keys, segment by segment, on the segments' text: an escaped dot or backslash in a
//! key is one character.
//!
//! | | |
//! | --- | --- |
//! | `*` | any run of characters inside one segment, also none |
//! | `**` | as a whole segment: whole segments; zero or more where it leads or stands in the middle, one or more where it ends the pattern; alone, every key. Beside other characters in a segment it means what `*` does, and so do three stars |
//! | `?` | one character |
//! | `[abc]` `[0-9]` `[!x]` | one of these characters, one of a range, one that is none of them (`[^x]` says the same); never the separator. A `]` that comes first and a `-` at either end stand for themselves, a `.` for a dot inside a segment |
//! | `{a,b}` | either; may nest, may hold dots, wildcards and nothing at all |
//! | `\` | the next character itself: `\*`, `\{`, and `\.` for a dot inside a segment, `\\` for a backslash |
//!
//! A `]`, `}` or `,` with nothing open stands for itself. So a key without `*`, `?`, `[`, `{` is the pattern of itself, and
//! [`escape`] makes one of any text. Refused as `invalid-argument`: more than [`MAX_PATTERN_BYTES`], more than
//! [`MAX_ALTERNATIVES`] or [`MAX_EXPANDED`] once braces are expanded, an open class or brace, a backward range, a backslash
//! at the end, control characters, and an empty segment in any alternative.
//!
//! Matching takes at most the time of the key's length times the pattern's, braces expanded.

mod cache;
#[cfg(test)]
mod expression;
mod parse;
mod range;
mod segments;

use crate::{Result, key, order, storage::Range};

pub use cache::PatternCache;
use range::{Prefix, Then};
use segments::Segments;

/// The most bytes of a pattern.
pub const MAX_PATTERN_BYTES: usize = 1024;
/// The most alternatives that a pattern's braces may stand for.
pub const MAX_ALTERNATIVES: usize = 1000;
/// The most characters that all alternatives may have together.
pub const MAX_EXPANDED: usize = 32 << 10;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    range: Range,
    size: usize,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// Every key of the range.
    Range,
    /// These keys, in order.
    Keys(Vec<String>),
    /// Keys of the range that match segment by segment.
    Segments(Segments),
}

impl Pattern {
    /// Compiles. `invalid-argument` names the pattern, the byte and the rule.
    pub fn parse(pattern: &str) -> Result<Self> {
        let parsed = parse::parse(pattern)?;
        let mut prefixes = Vec::new();
        for alternative in &parsed.alternatives {
            prefixes.push(range::prefix(alternative));
        }
        let (range, size) = (range::covering(&prefixes), parsed.size);
        let matcher = if let [Prefix { then: Then::Anything, .. }] = prefixes.as_slice() {
            Matcher::Range
        } else if prefixes.iter().all(|prefix| prefix.then == Then::End) {
            let mut keys = Vec::new();
            for prefix in prefixes {
                keys.push(prefix.text);
            }
            order::sort(&mut keys, |a, b| a < b);
            Matcher::Keys(keys)
        } else {
            Matcher::Segments(Segments::new(parsed))
        };
        Ok(Pattern { text: pattern.to_owned(), range, size, matcher })
    }

    /// Whether the (legal) key matches.
    pub fn matches(&self, key: &str) -> bool {
        match &self.matcher {
            Matcher::Range => self.range.contains(key),
            Matcher::Keys(keys) => keys.binary_search_by(|known| known.as_str().cmp(key)).is_ok(),
            Matcher::Segments(segments) => self.range.contains(key) && segments.matches(key),
        }
    }

    /// The range of keys in which all matches lie.
    pub fn range(&self) -> Range {
        self.range.clone()
    }

    /// Whether every (legal) key of the range matches.
    pub fn is_range(&self) -> bool {
        match &self.matcher {
            Matcher::Range => true,
            Matcher::Keys(keys) => keys.len() <= 1,
            Matcher::Segments(_) => false,
        }
    }

    /// The one key that can match, if the pattern has no wildcards.
    pub fn exact(&self) -> Option<&str> {
        match self.keys() {
            Some([key]) => Some(key),
            _ => None,
        }
    }

    /// The keys that can match, in order, if the pattern has no wildcards but braces; none of them where the pattern is longer
    /// than any key.
    pub fn keys(&self) -> Option<&[String]> {
        match &self.matcher {
            Matcher::Keys(keys) => Some(keys),
            _ => None,
        }
    }

    /// The pattern as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many characters all alternatives have together.
    fn size(&self) -> usize {
        self.size
    }
}

/// A pattern that matches this text of a segment and no other, also between braces. For whole keys: [`escape_key`].
pub fn escape(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    for character in segment.chars() {
        if matches!(character, '.' | '\\' | '*' | '?' | '[' | ']' | '{' | '}' | ',') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A pattern that matches this key and no other, also between braces.
pub fn escape_key(key: &str) -> String {
    let mut escaped = String::new();
    for segment in key::segments(key) {
        if !escaped.is_empty() {
            escaped.push('.');
        }
        escaped.push_str(&escape(&key::unescape(segment)));
    }
    escaped
}

#[cfg(test)]
mod tests;
