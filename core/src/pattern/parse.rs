//! A pattern's text, as alternatives of segments.

use crate::{Error, Result, key, order};

use super::{MAX_ALTERNATIVES, MAX_EXPANDED, MAX_PATTERN_BYTES};

/// One piece of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Token {
    /// This character.
    Char(char),
    /// `?`
    One,
    /// `[…]`: an index into the classes.
    Class(usize),
    /// `*`
    Run,
}

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// `**` as a whole segment: whole segments. No two stand side by side.
    Rest,
    /// One segment; not empty.
    Segment(Vec<Token>),
}

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
    /// Sorted, each once; none where all are longer than any key.
    pub(super) alternatives: Vec<Vec<Part>>,
    pub(super) classes: Vec<Class>,
    /// How large the alternatives are together, in tokens.
    pub(super) size: usize,
}

/// What the text holds between braces: tokens, and what divides segments.
#[derive(Clone, Copy)]
enum Piece {
    Token(Token),
    /// `**`
    Rest,
    Separator,
}

/// A piece, and the byte of the pattern where it stands.
type Placed = (usize, Piece);

fn invalid(pattern: &str, at: usize, rule: &str) -> Error {
    key::broken("pattern", pattern, at, rule)
}

/// One open brace: what it has read so far.
#[derive(Default)]
struct Level {
    /// Where it opens.
    at: usize,
    /// Alternatives behind a comma.
    done: Vec<Vec<Placed>>,
    /// What the alternative that is being read stands for so far.
    current: Vec<Vec<Placed>>,
}

impl Level {
    fn new(at: usize) -> Self {
        Level { at, done: Vec::new(), current: vec![Vec::new()] }
    }
}

pub(super) fn parse(pattern: &str) -> Result<Parsed> {
    let fail = |at, rule| Err(invalid(pattern, at, rule));
    if pattern.is_empty() {
        return fail(0, "a pattern is not empty");
    }
    if pattern.len() > MAX_PATTERN_BYTES {
        return fail(MAX_PATTERN_BYTES, "a pattern has at most 1024 bytes");
    }
    if let Some((at, _)) = pattern.char_indices().find(|(_, c)| c.is_control()) {
        return fail(at, "control characters are not allowed");
    }
    let mut classes: Vec<Class> = Vec::new();
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::new(0);
    let mut characters = pattern.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let piece = match character {
            '.' => Piece::Separator,
            '?' => Piece::Token(Token::One),
            '*' => {
                let mut stars: usize = 1;
                while characters.next_if(|&(_, next)| next == '*').is_some() {
                    stars = stars.saturating_add(1);
                }
                if stars == 2 { Piece::Rest } else { Piece::Token(Token::Run) }
            }
            '\\' => match characters.next() {
                Some((_, escaped)) => Piece::Token(Token::Char(escaped)),
                None => return fail(at, "a backslash stands before the character that it escapes"),
            },
            '[' => {
                let class =
                    class(&mut characters).map_err(|(place, rule)| invalid(pattern, place.unwrap_or(at), rule))?;
                let index = classes.iter().position(|known| *known == class).unwrap_or(classes.len());
                if index == classes.len() {
                    classes.push(class);
                }
                Piece::Token(Token::Class(index))
            }
            '{' => {
                outer.push(std::mem::replace(&mut level, Level::new(at)));
                continue;
            }
            ',' if !outer.is_empty() => {
                level.done.append(&mut level.current);
                level.current = vec![Vec::new()];
                continue;
            }
            '}' if !outer.is_empty() => {
                level.done.append(&mut level.current);
                let choices = std::mem::replace(&mut level, outer.pop().unwrap_or_default()).done;
                level.current = product(&level.current, &choices).ok_or_else(|| invalid(pattern, at, TOO_MANY))?;
                continue;
            }
            // What closes nothing stands for itself.
            plain => Piece::Token(Token::Char(plain)),
        };
        for alternative in &mut level.current {
            alternative.push((at, piece));
        }
        if size(&level.current) > MAX_EXPANDED {
            return fail(at, TOO_MANY);
        }
    }
    if !outer.is_empty() {
        return fail(level.at, "the brace has no `}`");
    }
    let mut alternatives = Vec::with_capacity(level.current.len());
    for pieces in &level.current {
        alternatives.extend(parts(pattern, pieces)?);
    }
    order::sort(&mut alternatives, |a, b| a < b);
    alternatives.dedup();
    if alternatives.iter().any(|parts| matches!(parts.as_slice(), [Part::Rest])) {
        alternatives = vec![vec![Part::Rest]];
    }
    Ok(Parsed { alternatives, classes, size: size(&level.current) })
}

const TOO_MANY: &str = "the braces stand for more than 1000 alternatives, or for more than 32768 characters together";

fn size(alternatives: &[Vec<Placed>]) -> usize {
    alternatives.iter().map(|alternative| alternative.len().saturating_add(1)).fold(0, usize::saturating_add)
}

/// Every start with every end; none where that is too much.
fn product(starts: &[Vec<Placed>], ends: &[Vec<Placed>]) -> Option<Vec<Vec<Placed>>> {
    let count = starts.len().saturating_mul(ends.len());
    let total = size(starts).saturating_mul(ends.len()).saturating_add(size(ends).saturating_mul(starts.len()));
    if count > MAX_ALTERNATIVES || total.saturating_sub(count) > MAX_EXPANDED {
        return None;
    }
    let all = starts.iter().flat_map(|start| ends.iter().map(move |end| [start.as_slice(), end.as_slice()].concat()));
    Some(all.collect())
}

/// The rest of a class, behind its bracket. An error is of the bracket where it names no place.
fn class(
    characters: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
) -> Result<Class, (Option<usize>, &'static str)> {
    const OPEN: (Option<usize>, &str) =
        (None, "the class has no `]` (a `]` that comes first is one of its characters)");
    let negated = characters.next_if(|&(_, c)| matches!(c, '!' | '^')).is_some();
    let mut ranges = Vec::new();
    // A member: the place, the character.
    let member = |(at, character): (usize, char), characters: &mut std::iter::Peekable<_>| match character {
        '\\' => characters.next().map(|(_, escaped): (usize, char)| (at, escaped)).ok_or(OPEN),
        plain => Ok((at, plain)),
    };
    loop {
        let next = characters.next().ok_or(OPEN)?;
        if next.1 == ']' && !ranges.is_empty() {
            return Ok(Class { negated, ranges });
        }
        let (at, first) = member(next, characters)?;
        let mut last = first;
        if let Some(dash) = characters.next_if(|&(_, c)| c == '-') {
            match characters.next_if(|&(_, c)| c != ']') {
                Some(end) => last = member(end, characters)?.1,
                // The dash is the last character of the class.
                None if characters.peek().is_some() => ranges.push((dash.1, dash.1)),
                None => return Err(OPEN),
            }
        }
        if first > last {
            return Err((Some(at), "the range runs backwards"));
        }
        ranges.push((first, last));
    }
}

/// One alternative, cut at its separators; none if it is longer than any key, and so matches none.
fn parts(pattern: &str, pieces: &[Placed]) -> Result<Option<Vec<Part>>> {
    let mut parts = Vec::new();
    // Of the shortest key that can match, as written.
    let mut bytes: usize = 0;
    for segment in pieces.split(|(_, piece)| matches!(piece, Piece::Separator)) {
        let part = match segment {
            [] => {
                return Err(invalid(pattern, empty_at(pattern, pieces), "a segment is not empty"));
            }
            [(_, Piece::Rest)] => Part::Rest,
            _ => {
                let mut tokens = Vec::with_capacity(segment.len());
                for (_, piece) in segment {
                    let token = match piece {
                        Piece::Token(token) => *token,
                        // Beside other characters two stars mean what one does.
                        Piece::Rest | Piece::Separator => Token::Run,
                    };
                    if token != Token::Run || tokens.last() != Some(&Token::Run) {
                        tokens.push(token);
                    }
                }
                Part::Segment(tokens)
            }
        };
        if let Part::Segment(tokens) = &part {
            bytes = tokens.iter().map(least_bytes).fold(bytes, usize::saturating_add).saturating_add(1);
        }
        if part != Part::Rest || parts.last() != Some(&Part::Rest) {
            parts.push(part);
        }
    }
    // Each segment was counted with a separator; the last has none.
    Ok((bytes.saturating_sub(1) <= key::MAX_KEY_BYTES).then_some(parts))
}

/// Where the first empty segment of an alternative is: at the separator behind it, or at the end.
fn empty_at(pattern: &str, pieces: &[Placed]) -> usize {
    let mut empty = true;
    for (at, piece) in pieces {
        match piece {
            Piece::Separator if empty => return *at,
            Piece::Separator => empty = true,
            _ => empty = false,
        }
    }
    pattern.len()
}

/// How many bytes of a key it takes at least.
fn least_bytes(token: &Token) -> usize {
    match token {
        Token::Char('.' | '\\') => 2,
        Token::Char(character) => character.len_utf8(),
        Token::One | Token::Class(_) => 1,
        Token::Run => 0,
    }
}
