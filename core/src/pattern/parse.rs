//! A pattern's text, as alternatives of segments.

use std::str::Chars;

use crate::{Error, Result, key, order};

use super::{MAX_ALTERNATIVES, MAX_EXPANDED, MAX_PATTERN_BYTES};

/// One piece of a pattern: the scalar value of a character, or a code above all of them. Plain numbers, and lists of them for
/// whole alternatives: what sorts, compares and joins those is there once.
pub(super) type Token = u32;

/// `?`
pub(super) const ONE: Token = 0x11_0000;
/// `*`
pub(super) const RUN: Token = 0x11_0001;
/// `**` as a whole segment: whole segments. No two stand side by side.
pub(super) const REST: Token = 0x11_0002;
/// Between segments.
pub(super) const SEPARATOR: Token = 0x11_0003;
/// `[…]`: this and an index into the classes.
pub(super) const CLASS: Token = 0x12_0000;
/// While the text is read a separator is this and its place, for what is said of empty segments.
const PLACED_SEPARATOR: Token = 0x13_0000;

/// A set of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) negated: bool,
    /// First and last of each range.
    pub(super) ranges: Vec<(char, char)>,
}

impl Class {
    pub(super) fn contains(&self, character: char) -> bool {
        self.ranges.iter().any(|&(first, last)| (first..=last).contains(&character)) != self.negated
    }
}

/// What a pattern's text stands for.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    /// Sorted, each once; none where all are longer than any key. Segments are not empty.
    pub(super) alternatives: Vec<Vec<Token>>,
    pub(super) classes: Vec<Class>,
    /// How large the alternatives are together, in tokens.
    pub(super) size: usize,
}

fn invalid(pattern: &str, at: usize, rule: &str) -> Error {
    key::broken("pattern", pattern, at, rule)
}

pub(super) fn parse(pattern: &str) -> Result<Parsed> {
    let fail = |at, rule| Err(invalid(pattern, at, rule));
    if pattern.is_empty() {
        return fail(0, "a pattern is not empty");
    }
    if pattern.len() > MAX_PATTERN_BYTES {
        return fail(MAX_PATTERN_BYTES, "a pattern has at most 1024 bytes");
    }
    if let Some(at) = key::control(pattern) {
        return fail(at, "control characters are not allowed");
    }
    let mut reader = Reader { pattern, characters: pattern.chars(), classes: Vec::new() };
    let expanded = reader.choices(None)?;
    let mut alternatives = Vec::new();
    for tokens in &expanded {
        if let Some(alternative) = checked(pattern, tokens)? {
            alternatives.push(alternative);
        }
    }
    order::sort(&mut alternatives, |a, b| a < b);
    alternatives.dedup();
    if alternatives.iter().any(|alternative| *alternative == [REST]) {
        alternatives = vec![vec![REST]];
    }
    Ok(Parsed { alternatives, classes: reader.classes, size: size(&expanded) })
}

struct Reader<'p> {
    pattern: &'p str,
    /// What is left.
    characters: Chars<'p>,
    classes: Vec<Class>,
}

impl Reader<'_> {
    /// All that stands for what comes up to the end of the pattern, or of the brace that opens at this place. It calls itself for
    /// braces in it: 512 at most.
    fn choices(&mut self, brace: Option<usize>) -> Result<Vec<Vec<Token>>> {
        let mut done = Vec::new();
        let mut current = vec![Vec::new()];
        loop {
            let at = self.place();
            let token = match (self.characters.next(), brace) {
                (None, None) => return Ok(current),
                (None, Some(brace)) => return Err(self.invalid(brace, "the brace has no `}`")),
                (Some(','), Some(_)) => {
                    done.append(&mut current);
                    current.push(Vec::new());
                    continue;
                }
                (Some('}'), Some(_)) => {
                    done.append(&mut current);
                    return Ok(done);
                }
                (Some('{'), _) => {
                    let choices = self.choices(Some(at))?;
                    let close = self.place().saturating_sub(1);
                    current = product(&current, &choices).ok_or_else(|| self.invalid(close, TOO_MANY))?;
                    continue;
                }
                (Some('.'), _) => PLACED_SEPARATOR.saturating_add(at as u32),
                (Some('?'), _) => ONE,
                (Some('*'), _) => {
                    let mut stars: usize = 1;
                    while self.take('*') {
                        stars = stars.saturating_add(1);
                    }
                    if stars == 2 { REST } else { RUN }
                }
                (Some('\\'), _) => match self.characters.next() {
                    Some(escaped) => u32::from(escaped),
                    None => return Err(self.invalid(at, "a backslash stands before the character that it escapes")),
                },
                (Some('['), _) => self.class(at)?,
                // What closes nothing stands for itself.
                (Some(plain), _) => u32::from(plain),
            };
            for alternative in &mut current {
                alternative.push(token);
            }
            if size(&current) > MAX_EXPANDED {
                return Err(self.invalid(at, TOO_MANY));
            }
        }
    }

    /// The rest of a class, behind its bracket.
    fn class(&mut self, bracket: usize) -> Result<Token> {
        const OPEN: &str = "the class has no `]` (a `]` that comes first is one of its characters)";
        let negated = self.take('!') || self.take('^');
        let mut ranges = Vec::new();
        while ranges.is_empty() || !self.take(']') {
            let at = self.place();
            let Some(first) = unescaped(&mut self.characters) else { return Err(self.invalid(bracket, OPEN)) };
            let mut last = first;
            if self.take('-') {
                if self.characters.as_str().starts_with(']') {
                    // The dash is the last character of the class.
                    ranges.push(('-', '-'));
                } else {
                    last = unescaped(&mut self.characters).ok_or_else(|| self.invalid(bracket, OPEN))?;
                }
            }
            if first > last {
                return Err(self.invalid(at, "the range runs backwards"));
            }
            ranges.push((first, last));
        }
        let class = Class { negated, ranges };
        let index = self.classes.iter().position(|known| *known == class).unwrap_or(self.classes.len());
        if index == self.classes.len() {
            self.classes.push(class);
        }
        Ok(CLASS.saturating_add(index as u32))
    }

    /// Where what is left begins.
    fn place(&self) -> usize {
        self.pattern.len().saturating_sub(self.characters.as_str().len())
    }

    /// Takes the next character if it is this one.
    fn take(&mut self, wanted: char) -> bool {
        let mut after = self.characters.clone();
        let taken = after.next() == Some(wanted);
        if taken {
            self.characters = after;
        }
        taken
    }

    fn invalid(&self, at: usize, rule: &str) -> Error {
        invalid(self.pattern, at, rule)
    }
}

const TOO_MANY: &str = "the braces stand for more than 1000 alternatives, or for more than 32768 characters together";

fn size(alternatives: &[Vec<Token>]) -> usize {
    alternatives.iter().map(|alternative| alternative.len().saturating_add(1)).fold(0, usize::saturating_add)
}

/// Every start with every end; none where that is too much.
fn product(starts: &[Vec<Token>], ends: &[Vec<Token>]) -> Option<Vec<Vec<Token>>> {
    let count = starts.len().saturating_mul(ends.len());
    let total = size(starts).saturating_mul(ends.len()).saturating_add(size(ends).saturating_mul(starts.len()));
    if count > MAX_ALTERNATIVES || total.saturating_sub(count) > MAX_EXPANDED {
        return None;
    }
    let mut all = Vec::new();
    for start in starts {
        for end in ends {
            all.push([start.as_slice(), end].concat());
        }
    }
    Some(all)
}

/// The next character, without the backslash before it.
pub(super) fn unescaped(characters: &mut Chars<'_>) -> Option<char> {
    match characters.next()? {
        '\\' => characters.next(),
        plain => Some(plain),
    }
}

/// One alternative, its segments checked and simplified; none if it is longer than any key, and so matches none.
fn checked(pattern: &str, tokens: &[Token]) -> Result<Option<Vec<Token>>> {
    let mut alternative = Vec::new();
    // Of the shortest key that can match, as written.
    let mut bytes: usize = 0;
    let mut left = tokens;
    loop {
        let length = left.iter().position(|token| *token >= PLACED_SEPARATOR).unwrap_or(left.len());
        let (segment, behind) = left.split_at_checked(length).unwrap_or_default();
        if segment.is_empty() {
            let at =
                behind.first().map_or(pattern.len(), |separator| separator.saturating_sub(PLACED_SEPARATOR) as usize);
            return Err(invalid(pattern, at, "a segment is not empty"));
        }
        let whole = segment == [REST];
        if !whole || alternative.last() != Some(&REST) {
            if !alternative.is_empty() {
                alternative.push(SEPARATOR);
            }
            for token in segment {
                // Beside other characters two stars mean what one does.
                let token = if *token == REST && !whole { RUN } else { *token };
                if token != RUN || alternative.last() != Some(&RUN) {
                    alternative.push(token);
                }
                bytes = bytes.saturating_add(least_bytes(token));
            }
            bytes = bytes.saturating_add(usize::from(!whole));
        }
        let [_, after @ ..] = behind else { break };
        left = after;
    }
    // Each segment was counted with a separator; the last has none.
    Ok((bytes.saturating_sub(1) <= key::MAX_KEY_BYTES).then_some(alternative))
}

/// How many bytes of a key it takes at least.
fn least_bytes(token: Token) -> usize {
    match char::from_u32(token) {
        Some('.' | '\\') => 2,
        Some(character) => character.len_utf8(),
        None if token == RUN || token == REST => 0,
        None => 1,
    }
}
