//! A pattern as a regular expression over keys as they are written.

use std::fmt::Write as _;

use super::parse::{Class, Parsed, Part, Token};

/// One character of a segment: itself, or an escaped dot or backslash.
const CHARACTER: &str = r"(?:[^.\\]|\\[.\\])";

/// An expression that matches the whole of each legal key that the pattern matches.
pub(super) fn expression(parsed: &Parsed) -> String {
    let mut out = String::from(r"^(?s:");
    for (index, parts) in parsed.alternatives.iter().enumerate() {
        if index > 0 {
            out.push('|');
        }
        alternative(&mut out, parts, &parsed.classes);
    }
    out.push_str(")$");
    out
}

fn alternative(out: &mut String, parts: &[Part], classes: &[Class]) {
    let mut rest = parts.iter();
    while let Some(part) = rest.next() {
        let last = rest.as_slice().is_empty();
        match part {
            // A key has no empty segments, so what follows a separator is one segment or more.
            Part::Rest if last => out.push_str(".+"),
            Part::Rest => out.extend(["(?:", CHARACTER, r"+\.)*"]),
            Part::Segment(tokens) => {
                for token in tokens {
                    match token {
                        Token::Char(character) => literal(out, *character),
                        Token::One => out.push_str(CHARACTER),
                        Token::Run => out.extend([CHARACTER, "*"]),
                        Token::Class(index) => {
                            if let Some(class) = classes.get(*index) {
                                set(out, class);
                            }
                        }
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
