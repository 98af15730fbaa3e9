//! What of a hint the server can use: patterns as `LIKE`, metadata as containment.
//!
//! Both may let through what does not match, and never leave out what does: the core looks again.

use dataknobs_kv_core::storage::Hint;
use dataknobs_kv_core::{Pattern, metadata};

/// A hint, in the server's words.
#[derive(Default)]
pub(super) struct Filter {
    /// For `key LIKE`.
    pub(super) like: Option<String>,
    /// For `metadata @>`. A field that is equal is contained: jsonb compares numbers by value and texts by their
    /// characters. What is contained need not be equal.
    pub(super) metadata: Option<String>,
}

impl Filter {
    pub(super) fn new(hint: &Hint) -> Self {
        let pattern = hint.pattern.as_deref().and_then(|pattern| Pattern::parse(pattern).ok());
        let like = pattern.filter(|pattern| !pattern.is_range()).map(|pattern| like(pattern.text()));
        let metadata = hint.metadata.as_deref().and_then(|wanted| metadata::canonical(wanted).ok().flatten());
        Filter { like: like.filter(|like| like != "%"), metadata }
    }
}

/// The `LIKE` pattern that matches every key that the (legal) pattern matches, and some more: each wildcard, class and
/// brace is any text, and so are the dots beside them, since `**` may stand for no segment at all.
fn like(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    // Whether the last that was written is any text.
    let mut any = false;
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        let wild = match character {
            '*' | '?' => true,
            '[' => {
                skip_class(&mut characters);
                true
            }
            '{' => {
                skip_braces(&mut characters);
                true
            }
            '.' => any || characters.peek().is_some_and(|next| matches!(next, '*' | '{')),
            _ => false,
        };
        if wild {
            if !any {
                out.push('%');
            }
        } else {
            let plain = if character == '\\' { characters.next().unwrap_or(character) } else { character };
            // As it stands in keys.
            if character == '\\' && matches!(plain, '.' | '\\') {
                literal(&mut out, '\\');
            }
            literal(&mut out, plain);
        }
        any = wild;
    }
    out
}

fn literal(out: &mut String, character: char) {
    if matches!(character, '%' | '_' | '\\') {
        out.push('\\');
    }
    out.push(character);
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Behind the bracket, up to the one that closes.
fn skip_class(characters: &mut Characters) {
    characters.next_if(|c| matches!(c, '!' | '^'));
    let mut first = true;
    while let Some(character) = characters.next() {
        match character {
            ']' if !first => return,
            '\\' => drop(characters.next()),
            _ => {}
        }
        first = false;
    }
}

/// Behind the brace, up to the one that closes.
fn skip_braces(characters: &mut Characters) {
    let mut depth = 1;
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '[' => skip_class(characters),
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::seq::IndexedRandom;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// As PostgreSQL matches.
    fn matches(like: &[char], text: &[char]) -> bool {
        match like.split_first() {
            None => text.is_empty(),
            Some(('%', rest)) => (0..=text.len()).any(|from| matches(rest, &text[from..])),
            Some(('_', rest)) => !text.is_empty() && matches(rest, &text[1..]),
            Some(('\\', rest)) => text.first() == rest.first() && matches(&rest[1..], &text[1..]),
            Some((plain, rest)) => text.first() == Some(plain) && matches(rest, &text[1..]),
        }
    }

    #[test]
    fn forms() {
        for (pattern, expected) in [
            ("a.*", "a%"),
            ("*.b", "%b"),
            ("a.**.b", "a%b"),
            ("**.b", "%b"),
            ("a?b", "a%b"),
            ("[!x]y", "%y"),
            ("[]x]y", "%y"),
            (r"[\]x]y", "%y"),
            ("{a,{b,c}}d", "%d"),
            (r"a\.b*", r"a\\.b%"),
            (r"100%_*", r"100\%\_%"),
            ("a.{b,c}", "a%"),
            ("a.b?", "a.b%"),
        ] {
            assert_eq!(like(pattern), expected, "{pattern}");
        }
    }

    /// Random patterns over random keys, from few characters, so that they meet.
    #[test]
    fn no_match_is_left_out() {
        const PIECES: [&str; 20] = [
            "a", "b", ".", ".", "*", "**", "?", "[ab]", "[!a]", "[]a]", "{a,b}", "{a,**}", "{,a}", r"\.", r"\\", "%",
            "_", r"\*", "{a.b,b}", "**.",
        ];
        const TEXTS: [&str; 8] = ["a", "b", ".", r"\.", r"\\", "%", "_", "*"];
        let mut random = StdRng::seed_from_u64(7);
        let (mut matched, mut left_out) = (0, 0);
        while matched < 20_000 {
            let pattern: String =
                (0..random.random_range(1..6)).map(|_| *PIECES.choose(&mut random).unwrap()).collect();
            let Ok(parsed) = Pattern::parse(&pattern) else { continue };
            let like: Vec<char> = like(&pattern).chars().collect();
            for _ in 0..20 {
                let key: String = (0..random.random_range(1..6)).map(|_| *TEXTS.choose(&mut random).unwrap()).collect();
                if dataknobs_kv_core::key::validate(&key).is_err() {
                    continue;
                }
                let found = matches(&like, &key.chars().collect::<Vec<_>>());
                if parsed.matches(&key) {
                    matched += 1;
                    assert!(found, "{pattern} matches {key}, {} does not", like.iter().collect::<String>());
                } else if !found {
                    left_out += 1;
                }
            }
        }
        assert!(left_out > 10_000, "of use only if it leaves something out: {left_out}");
    }

    #[test]
    fn what_is_of_no_use_is_not_sent() {
        let hint = |pattern: &str| Filter::new(&Hint { pattern: Some(pattern.into()), metadata: Some("{}".into()) });
        for pattern in ["**", "a.**", "a", "*", "[", "?"] {
            assert!(hint(pattern).like.is_none(), "{pattern}");
        }
        assert!(hint("*").metadata.is_none());
    }
}
