//! Which licences the dependencies may have. An advisory check needs a database from the network, so it is no part of
//! this: `cargo audit` does it where there is one.

use std::collections::BTreeMap;

use crate::Result;
use crate::cargo::metadata;

/// Permissive, and MPL-2.0, which asks for the source of its own files alone. A `WITH` exception only ever permits more.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Fails where a dependency, on any platform, may not be used under an allowed licence.
pub(crate) fn check() -> Result {
    let metadata = metadata(true)?;
    let mut refused = BTreeMap::new();
    let mut count = 0;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        count += 1;
        let name = format!("{} {}", package["name"], package["version"]).replace('"', "");
        match package["license"].as_str() {
            None => _ = refused.insert(name, "names no licence".to_owned()),
            Some(expression) => match allows(expression) {
                Some(true) => {}
                Some(false) => _ = refused.insert(name, expression.to_owned()),
                None => _ = refused.insert(name, format!("`{expression}` is no licence expression")),
            },
        }
    }
    if count == 0 {
        return Err("cargo metadata names no packages".into());
    }
    if refused.is_empty() {
        eprintln!("licences: {count} packages, all under allowed ones");
        return Ok(());
    }
    let lines: Vec<_> = refused.iter().map(|(name, why)| format!("\n  {name}: {why}")).collect();
    Err(format!("not under an allowed licence:{}", lines.concat()))
}

/// Whether an SPDX expression can be met by allowed licences; none where it does not parse. A slash is an old way to
/// write `OR`.
fn allows(expression: &str) -> Option<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    let allowed = any(&mut words)?;
    words.is_empty().then_some(allowed)
}

/// `AND` binds tighter than `OR`.
fn any(words: &mut &[&str]) -> Option<bool> {
    let mut allowed = all(words)?;
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        allowed |= all(words)?;
    }
    Some(allowed)
}

fn all(words: &mut &[&str]) -> Option<bool> {
    let mut allowed = one(words)?;
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        allowed &= one(words)?;
    }
    Some(allowed)
}

fn one(words: &mut &[&str]) -> Option<bool> {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let allowed = any(words)?;
            let [")", rest @ ..] = *words else { return None };
            *words = rest;
            Some(allowed)
        }
        [")" | "AND" | "OR" | "WITH", ..] | [] => None,
        [name, "WITH", _, rest @ ..] | [name, rest @ ..] => {
            *words = rest;
            Some(ALLOWED.contains(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::allows;

    #[test]
    fn expressions() {
        for (expression, expected) in [
            ("MIT", Some(true)),
            ("GPL-3.0-only", Some(false)),
            ("GPL-3.0-only OR MIT", Some(true)),
            ("MIT/GPL-3.0", Some(true)),
            ("MIT AND GPL-3.0-only", Some(false)),
            ("GPL-3.0-only OR MIT AND ISC", Some(true)),
            ("(GPL-3.0-only OR MIT) AND ISC", Some(true)),
            ("(GPL-3.0-only OR MIT) AND AGPL-3.0", Some(false)),
            ("Apache-2.0 WITH LLVM-exception OR LGPL-2.1", Some(true)),
            ("", None),
            ("MIT OR", None),
            ("(MIT", None),
            ("MIT ISC", None),
        ] {
            assert_eq!(allows(expression), expected, "{expression}");
        }
    }
}
