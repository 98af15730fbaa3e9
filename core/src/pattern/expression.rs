//! A pattern as a regular expression over keys as they are written.

use std::fmt::Write as _;

use super::parse::{CLASS, Class, ONE, Parsed, REST, RUN, SEPARATOR, Token};

/// One character of a segment: itself, or an escaped dot or backslash.
const CHARACTER: &str = r"(?:[^.\\]|\\[.\\])";

/// An expression that matches the whole of each legal key that the pattern matches.
pub(super) fn expression(parsed: &Parsed) -> String {
    let mut out = String::from(r"^(?s:");
    for (index, tokens) in parsed.alternatives.iter().enumerate() {
        if index > 0 {
            out.push('|');
        }
        alternative(&mut out, tokens, &parsed.classes);
    }
    out.push_str(")$");
    out
}

fn alternative(out: &mut String, tokens: &[Token], classes: &[Class]) {
    let mut segments = tokens.split(|token| *token == SEPARATOR).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            // A key has no empty segments, so what follows a separator is one segment or more.
            [REST] if last => out.push_str(".+"),
            [REST] => out.extend(["(?:", CHARACTER, r"+\.)*"]),
            _ => {
                for token in segment {
                    match *token {
                        ONE => out.push_str(CHARACTER),
                        RUN => out.extend([CHARACTER, "*"]),
                        CLASS.. => set(out, &classes[(token - CLASS) as usize]),
                        character => literal(out, char::from_u32(character).unwrap()),
                    }
                }
                if !last {
                    out.push_str(r"\.");
                }
            }
        }
    }
}

/// A character of a segment, escaped for the key and then for the expression.
fn literal(out: &mut String, character: char) {
    match character {
        '.' => out.push_str(r"\\\."),
        '\\' => out.push_str(r"\\\\"),
        plain => code(out, plain),
    }
}

/// A character as the expression writes it, in a class or out of it.
fn code(out: &mut String, character: char) {
    if character.is_ascii_alphanumeric() || !character.is_ascii() {
        out.push(character);
    } else {
        // Writing to a String does not fail.
        let _ = write!(out, r"\x{:02x}", u32::from(character));
    }
}

/// A class: dot and backslash stand escaped in keys, so they are taken out of its ranges and put beside it.
fn set(out: &mut String, class: &Class) {
    let mut ranges = class.ranges.clone();
    out.push_str("(?:");
    if class.negated {
        ranges.extend([('.', '.'), ('\\', '\\')]);
        out.push_str("[^");
    } else {
        ranges = [('.', '-', '/'), ('\\', '[', ']')].iter().fold(ranges, |ranges, cut| without(ranges, *cut));
        out.push_str(if ranges.is_empty() { "" } else { "[" });
    }
    for (first, last) in &ranges {
        code(out, *first);
        out.push('-');
        code(out, *last);
    }
    let mut divided = ranges.is_empty();
    if !divided {
        out.push(']');
    }
    for special in ['.', '\\'] {
        if class.contains(special) {
            out.push_str(if std::mem::take(&mut divided) { "" } else { "|" });
            literal(out, special);
        }
    }
    out.push(')');
}

/// Ranges without the one character between `before` and `after`.
fn without(ranges: Vec<(char, char)>, (taken, before, after): (char, char, char)) -> Vec<(char, char)> {
    let cut = |(first, last): (char, char)| match (first..=last).contains(&taken) {
        true => [(first, before), (after, last)],
        false => [(first, last), ('1', '0')],
    };
    ranges.into_iter().flat_map(cut).filter(|(first, last)| first <= last).collect()
}
