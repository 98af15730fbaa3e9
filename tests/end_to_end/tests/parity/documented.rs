//! `docs/parity.md` and the tests here name each other.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../docs/parity.md");
const SOURCES: [&str; 3] = [include_str!("rust.rs"), include_str!("cli.rs"), include_str!("http.rs")];

fn tests() -> BTreeSet<&'static str> {
    let attributes = |line: &str| matches!(line, "#[test]" | "#[tokio::test]");
    let mut names = BTreeSet::new();
    for source in SOURCES {
        let lines: Vec<&str> = source.lines().collect();
        for pair in lines.windows(2).filter(|pair| attributes(pair[0])) {
            let name = pair[1].trim_start_matches("async ").trim_start_matches("fn ");
            names.insert(name.split('(').next().expect("a name"));
        }
    }
    names
}

#[test]
fn every_section_names_tests_that_exist() {
    let mut named = BTreeSet::new();
    for section in PAGE.split("\n## ").skip(1) {
        let title = section.lines().next().expect("a title");
        let line = section.lines().find_map(|line| line.strip_prefix("Tests: "));
        let line = line.unwrap_or_else(|| panic!("{title} names no tests"));
        named.extend(line.split(", ").map(|name| name.trim_matches('`')));
    }
    assert_eq!(named, tests());
}
