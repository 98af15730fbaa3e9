//! How keys and namespaces are written into object names, and read back.
//!
//! Below the prefix of the store lie
//!
//! | name | what |
//! | --- | --- |
//! | `e/NAMESPACE!/KEY` | an entry, or the one byte that stands for a deleted one |
//! | `x/NAMESPACE!/TTTTTTTTTTTTTTT-NONCE/KEY` | says when the entry that holds this nonce expires |
//! | `dataknobs-kv.json` | the number of this layout |
//!
//! An ordinary key stands there as it is. What stores would change, hide or refuse is escaped so that the byte order of
//! names stays the byte order of keys:
//!
//! * `/` would make folders: it is `.~`. A dot stays a dot, but before `}`, `~` and all beyond ASCII, and where nothing or
//!   only spaces come before it, it is `.}`.
//! * `\` is a `/` to some: it is `[~`. A bracket stays one, but before `}`, `~` and all beyond ASCII it is `[}`.
//! * U+FFFE and U+FFFF cannot stand in XML, in which listings come: they are U+FFFD with `~!` and `~~`. U+FFFD stays
//!   itself, but before `}`, `~` and all beyond ASCII it is U+FFFD with `}`.
//! * Many stores take no more than 255 bytes between slashes: after every 60 characters comes `~/~`. The parts of a name
//!   but the last thus have more than 60 characters and the last has not, so no object is another one's folder; and no
//!   part is `.` or `..`.
//! * A name that would be longer than [`NAME_BYTES`] is its first 240 characters, `~!/` and a hash of the key. The object
//!   itself holds the key. Such names come before all others with the same 240 characters.
//!
//! In a namespace a space and `!` are `!a` and `!b` besides, so that the `!` at its end comes before all that may follow.

use std::fmt::Write;

use dataknobs_kv_core::{Timestamp, key};
use sha2::{Digest, Sha256};

/// The longest name of a key. With the longest prefix, namespace, instant and nonce before it, an object's name is below
/// S3's 1024 bytes.
pub(super) const NAME_BYTES: usize = 700;
/// Characters between two cuts.
const PART: usize = 60;
/// Characters that a hashed name keeps: whole parts.
const HEAD: usize = 4 * PART;
const CUT: &str = "~/~";
const HASHED: &str = "~!/";

/// The folder of all entries.
pub(super) const ENTRIES: &str = "e/";
/// The folder of all marks of expiry.
pub(super) const EXPIRIES: &str = "x/";

/// What an object's name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The key with this text.
    Key(String),
    /// A key that only the object itself tells.
    Hashed,
    /// Nothing of ours.
    Foreign,
}

/// The name of a key.
pub(super) fn of_key(key: &str) -> String {
    let escaped = escape(key);
    let name = cut(&escaped, usize::MAX);
    if name.len() <= NAME_BYTES {
        return name;
    }
    let mut name = cut(&escaped, HEAD);
    name.push_str(HASHED);
    for byte in Sha256::digest(key.as_bytes()) {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// The name that a text has among those that are not hashed, however long: to compare names with.
pub(super) fn position(text: &str) -> String {
    cut(&escape(text), usize::MAX)
}

/// What all hashed names begin with whose keys begin as this text does; none where it is too short to have such.
pub(super) fn hashed_beside(text: &str) -> Option<String> {
    let escaped = escape(text);
    let long = escaped.chars().nth(HEAD.saturating_sub(1)).is_some();
    long.then(|| cut(&escaped, HEAD) + HASHED)
}

/// Whether the name is a hashed one.
pub(super) fn is_hashed(name: &str) -> bool {
    // In any other name a `/` stands only in `~/~`.
    name.contains(HASHED)
}

/// What a name stands for.
pub(super) fn named(name: &str) -> Named {
    if is_hashed(name) {
        return Named::Hashed;
    }
    match unescape(&name.replace(CUT, "")).filter(|key| !key.contains(char::is_control) && of_key(key) == name) {
        Some(key) => Named::Key(key),
        None => Named::Foreign,
    }
}

/// The folder of a namespace, with its slash.
pub(super) fn folder(namespace: &str) -> String {
    let mut name = String::with_capacity(namespace.len() + 2);
    for c in escape(namespace).chars() {
        match c {
            ' ' => name.push_str("!a"),
            '!' => name.push_str("!b"),
            c => name.push(c),
        }
    }
    name.push_str("!/");
    name
}

/// A name that comes after all in the folder of the namespace, and before the next namespace's.
pub(super) fn after_folder(namespace: &str) -> String {
    let mut name = folder(namespace);
    name.pop();
    name.push('0');
    name
}

/// The namespace of a folder (without its slash).
pub(super) fn namespace(name: &str) -> Option<String> {
    let escaped = name.strip_suffix('!')?.replace("!a", " ").replace("!b", "!");
    let namespace = unescape(&escaped)?;
    let ours = key::validate_namespace(&namespace).is_ok() && folder(&namespace).strip_suffix('/') == Some(name);
    ours.then_some(namespace)
}

/// The name, in a namespace's folder, of the mark that this entry expires then.
pub(super) fn mark(at: Timestamp, nonce: &str, name: &str) -> String {
    format!("{at:015}-{nonce}/{name}")
}

/// Instant, nonce and name of a mark.
pub(super) fn split_mark(mark: &str) -> Option<(Timestamp, &str, &str)> {
    let (head, name) = mark.split_once('/')?;
    let (at, nonce) = head.split_once('-')?;
    let at = (at.len() == 15).then(|| at.parse().ok())??;
    Some((at, nonce, name))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            // MinIO refuses parts that are `.` or `..` but for the spaces around them.
            '.' if escaped.chars().all(char::is_whitespace) => escaped.push_str(".}"),
            '/' => escaped.push_str(".~"),
            '\\' => escaped.push_str("[~"),
            '\u{fffe}' => escaped.push_str("\u{fffd}~!"),
            '\u{ffff}' => escaped.push_str("\u{fffd}~~"),
            '.' | '[' | '\u{fffd}' => {
                escaped.push(c);
                if rest.peek().is_some_and(|next| *next >= '}') {
                    escaped.push('}');
                }
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// The reverse, for what [`escape`] makes; something or nothing for other texts.
fn unescape(escaped: &str) -> Option<String> {
    let mut text = String::with_capacity(escaped.len());
    let mut rest = escaped.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('.' | '[', Some('~')) => {
                rest.next();
                text.push(if c == '.' { '/' } else { '\\' });
            }
            ('\u{fffd}', Some('~')) => {
                rest.next();
                text.push(match rest.next()? {
                    '!' => '\u{fffe}',
                    '~' => '\u{ffff}',
                    _ => return None,
                });
            }
            ('.' | '[' | '\u{fffd}', Some('}')) => {
                rest.next();
                text.push(c);
            }
            _ => text.push(c),
        }
    }
    Some(text)
}

/// The first `most` characters, cut into parts. Parts of characters, not of bytes: two texts then are cut at the same
/// places as far as they are equal, and so keep their order.
fn cut(escaped: &str, most: usize) -> String {
    let mut name = String::with_capacity(escaped.len() + escaped.len() / PART * CUT.len());
    for (at, c) in escaped.chars().take(most).enumerate() {
        if at > 0 && at % PART == 0 {
            name.push_str(CUT);
        }
        name.push(c);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters that matter, and runs of them.
    fn nasty(random: &mut impl FnMut(usize) -> usize, most: usize) -> String {
        const CHARACTERS: [char; 28] = [
            '.',
            '/',
            '\\',
            '[',
            ']',
            '~',
            '!',
            '}',
            '|',
            '{',
            ' ',
            '-',
            '0',
            'a',
            'é',
            '\u{7ff}',
            '\u{ffff}',
            '\u{e000}',
            '\u{10000}',
            '\u{10ffff}',
            '%',
            '+',
            '?',
            '#',
            '"',
            '\u{a0}',
            '\u{fffd}',
            '\u{fffe}',
        ];
        let length = random(most) + 1;
        let mut text = String::new();
        while text.len() < length {
            let c = CHARACTERS[random(CHARACTERS.len())];
            let run = if random(8) == 0 { random(130) + 1 } else { 1 };
            text.extend(std::iter::repeat_n(c, run));
        }
        while text.len() > most {
            text.pop();
        }
        text
    }

    fn numbers() -> impl FnMut(usize) -> usize {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        }
    }

    fn worst() -> Vec<String> {
        let mut worst: Vec<String> = [
            "/",
            "\\",
            "[",
            ".a",
            "}",
            "~",
            "a",
            "é",
            "\u{ffff}",
            "\u{fffd}",
            "\u{1F600}",
            "/\u{1F600}",
            ".\u{1F600}",
            "\\.",
            " ",
        ]
        .iter()
        .flat_map(|text| {
            [512, 511, 241, 240, 239, 61, 60, 59, 1].map(|bytes| {
                let mut key = text.repeat(bytes / text.len() + 1);
                while key.len() > bytes {
                    key.pop();
                }
                key
            })
        })
        .filter(|text| !text.is_empty())
        .collect();
        // A few differences after a long beginning that they share.
        for at in 180..250 {
            for end in ["", "/", ".", "a", "é", "~"] {
                worst.push("/".repeat(at) + end + &"\\".repeat(100));
                worst.push("x".repeat(at) + end + &"y".repeat(100));
            }
        }
        worst
    }

    #[test]
    fn positions_keep_the_order_of_texts_and_of_their_beginnings() {
        let mut random = numbers();
        let mut texts = worst();
        texts.extend((0..1000).map(|_| nasty(&mut random, 512)));
        texts.sort();
        texts.dedup();
        let positions: Vec<_> = texts.iter().map(|text| position(text)).collect();
        for (at, pair) in positions.windows(2).enumerate() {
            assert!(pair[0] < pair[1], "{:?} {:?}", texts[at], texts[at + 1]);
        }
        for text in &texts {
            let whole = position(text);
            for (at, _) in text.char_indices().step_by(3) {
                assert!(whole.starts_with(&position(&text[..at])), "{text:?} {at}");
            }
        }
    }

    #[test]
    fn keys_come_back_and_names_fit_every_store() {
        let mut random = numbers();
        let mut keys = worst();
        keys.extend((0..4000).map(|_| nasty(&mut random, 512)));
        let mut hashed = 0;
        for key in &keys {
            let name = of_key(key);
            assert!(name.len() <= NAME_BYTES, "{key:?}");
            for part in name.split('/') {
                assert!(!part.is_empty() && part.len() <= 255, "{key:?} {name}");
                assert!(!matches!(part.trim(), "." | ".."), "{key:?} {name}");
            }
            assert!(!name.contains(['\\', '\u{fffe}', '\u{ffff}']) && !name.contains("//"), "{name}");
            match named(&name) {
                Named::Key(back) => assert_eq!(&back, key),
                Named::Hashed => {
                    hashed += 1;
                    assert!(name.starts_with(&hashed_beside(key).unwrap()));
                }
                Named::Foreign => panic!("{key:?}"),
            }
        }
        assert!(hashed > 20);
        assert_eq!(of_key("app.config.host"), "app.config.host");
        assert_eq!(of_key("a/b.é"), "a.~b.}é");
        assert_eq!((of_key("."), of_key(".."), of_key("a.")), (".}".into(), ".}.".into(), "a.".into()));
        assert_eq!(of_key(" . "), " .} ");
    }

    #[test]
    fn hashed_names_come_before_all_that_begin_alike() {
        let hashed = of_key(&"/".repeat(512));
        let plain = of_key(&("/".repeat(120) + "a"));
        assert!(is_hashed(&hashed) && !is_hashed(&plain));
        assert!(hashed < plain && of_key(&"/".repeat(120)) < hashed);
        assert_eq!(hashed_beside(&"/".repeat(119)), None);
        assert_eq!(hashed_beside(&"/".repeat(120)), hashed_beside(&"/".repeat(400)));
    }

    #[test]
    fn no_name_is_a_folder_of_another() {
        let mut random = numbers();
        let mut names: Vec<_> = worst();
        names.extend((0..3000).map(|_| nasty(&mut random, 512)));
        let names: std::collections::BTreeSet<_> = names.iter().map(|key| of_key(key)).collect();
        for name in &names {
            for (at, _) in name.match_indices('/') {
                assert!(!names.contains(&name[..at]), "{name} {at}");
            }
        }
    }

    #[test]
    fn namespaces_come_back_in_order() {
        let mut random = numbers();
        let mut names: Vec<String> =
            ["a", "a ", "a!", "a\"", "a.", "a..", ".", "..", "!", " ", "a.b", "a/b", "a\\", "a~", "a}", "a.~", "é"]
                .map(String::from)
                .into();
        names.extend((0..3000).map(|_| nasty(&mut random, 64)));
        names.extend([" ", "!", "/", "\\", "\u{1F600}"].map(|c| c.repeat(64 / c.len())));
        names.sort();
        names.dedup();
        let folders: Vec<_> = names.iter().map(|name| folder(name)).collect();
        for (at, pair) in folders.windows(2).enumerate() {
            assert!(pair[0] < pair[1], "{:?} {:?}", names[at], names[at + 1]);
            assert!(after_folder(&names[at]) < pair[1], "{:?} {:?}", names[at], names[at + 1]);
        }
        for (name, folder) in names.iter().zip(&folders) {
            assert_eq!(namespace(folder.strip_suffix('/').unwrap()).as_ref(), Some(name));
            assert!(folder.len() <= 130 && folder.matches('/').count() == 1);
        }
        assert_eq!(folder("default"), "default!/");
        for foreign in ["a", "a/!", "a\\!", "a !", "!", "a.}b!"] {
            assert_eq!(namespace(foreign), None, "{foreign}");
        }
        for foreign in ["a/b", "a\\b", "a.}b", "a[~]\u{7f}", ".a"] {
            assert_eq!(named(foreign), Named::Foreign, "{foreign}");
        }
    }

    #[test]
    fn marks_come_back_in_the_order_of_time() {
        let name = of_key("a/b");
        let early = mark(999, "00ff", &name);
        assert!(early < mark(1_800_000_000_000, "00", &name));
        assert!(mark(1_800_000_000_000, "ff", &name) < mark(253_402_300_799_999, "00", &name));
        assert_eq!(split_mark(&early), Some((999, "00ff", name.as_str())));
        for foreign in ["", "1-2/a", "000000000000999-00ff", "00000000000099x-00ff/a"] {
            assert_eq!(split_mark(foreign), None);
        }
    }
}
