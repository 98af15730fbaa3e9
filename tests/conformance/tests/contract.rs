//! The contract's clauses and the suite's cases name each other.

use std::collections::{BTreeMap, BTreeSet};

use dataknobs_kv_conformance::all;

/// Each clause of the contract, and whether it says that it is tested elsewhere.
fn clauses() -> BTreeMap<String, bool> {
    let text = include_str!("../../../docs/contract.md");
    let mut clauses = BTreeMap::new();
    let mut last = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("* **") {
            let id = rest.split_once(".**").expect("a clause begins with its number").0.to_owned();
            assert!(clauses.insert(id.clone(), false).is_none(), "{id} comes twice");
            last = Some(id);
        } else if !line.starts_with("  ") {
            last = None;
        }
        if let Some(id) = &last
            && line.contains("tested with each")
        {
            clauses.insert(id.clone(), true);
        }
    }
    clauses
}

#[test]
fn every_clause_has_a_case() {
    let named: BTreeSet<&str> = all().flat_map(|case| case.clauses).copied().collect();
    let untested: Vec<String> = clauses()
        .into_iter()
        .filter(|(id, elsewhere)| !elsewhere && !named.contains(id.as_str()))
        .map(|(id, _)| id)
        .collect();
    assert!(untested.is_empty(), "clauses without a case: {untested:?}");
}

#[test]
fn every_case_names_clauses_that_are_there() {
    let clauses = clauses();
    assert!(clauses.len() > 80, "{} clauses", clauses.len());
    for case in all() {
        assert!(!case.clauses.is_empty());
        for clause in case.clauses {
            assert!(clauses.contains_key(*clause), "{} names {clause}", case.path());
        }
    }
}

#[test]
fn every_case_has_its_own_name() {
    let names: BTreeSet<String> = all().map(|case| case.path()).collect();
    assert_eq!(names.len(), all().count());
    assert!(names.len() >= 250, "{} cases", names.len());
}

#[test]
fn the_limits_are_those_of_the_code() {
    use dataknobs_kv_core::{MAX_TIMESTAMP, key, store};
    let text = include_str!("../../../docs/contract.md");
    for limit in [
        format!("1 to {} bytes of UTF-8", key::MAX_KEY_BYTES),
        format!("1 to {} bytes of UTF-8 without", key::MAX_NAMESPACE_BYTES),
        format!("({MAX_TIMESTAMP})"),
        format!("At most {} items", store::MAX_ITEMS),
        "1 to 10,000".to_owned(),
    ] {
        assert!(text.contains(&limit), "the contract does not say {limit:?}");
    }
    assert_eq!(store::MAX_PAGE, 10_000);
}
