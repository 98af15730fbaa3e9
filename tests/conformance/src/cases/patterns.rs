//! Patterns: the grammar over stored keys, malformed and hostile ones.

use dataknobs_kv_core::store::Query;
use dataknobs_kv_core::{Pattern, Projection};

use crate::Harness;
use crate::harness::{item, refused_for};

cases! {
    "patterns";
    vectors: [P1, P2, P3, P4, P5, P6, P9, P10];
    vectors_of_malformed_patterns: [P7];
    the_empty_pattern_is_refused: [P7] [RawInput];
    one_star_stays_in_its_segment: [P1];
    two_stars_cross_segments: [P2];
    one_character: [P3];
    classes: [P4];
    alternatives: [P5];
    an_escaped_key_matches_itself: [P6];
    escaped_dots_are_one_character: [P3, P4, P6, D8];
    examples_of_the_readme: [P1, P2, P3, P4, P5, P9];
    config_at_any_level: [P9];
    case_counts: [P10];
    longest_patterns: [P7, Z1];
    most_alternatives: [P7, Z1];
    every_walk_refuses_a_malformed_one: [P7, E4];
    hostile_patterns_take_linear_time: [P8];
    characters_of_regular_expressions_are_text: [P6];
    literal_prefixes_bound_nothing_else: [P1, P2, L1];
}

#[derive(Clone)]
struct Vector {
    pattern: String,
    matches: Vec<String>,
    misses: Vec<String>,
}

fn texts(json: &serde_json::Value) -> Vec<String> {
    json.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn file() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../vectors/patterns.json")).expect("the vectors are JSON")
}

fn vectors_of_file() -> Vec<Vector> {
    let file = file();
    let patterns = file["patterns"].as_array().unwrap();
    patterns
        .iter()
        .map(|vector| Vector {
            pattern: vector["pattern"].as_str().unwrap().to_owned(),
            matches: texts(&vector["matches"]),
            misses: texts(&vector["misses"]),
        })
        .collect()
}

async fn vectors(h: Harness) {
    let vectors = vectors_of_file();
    let mut keys: Vec<String> = vectors.iter().flat_map(|v| v.matches.iter().chain(&v.misses)).cloned().collect();
    keys.sort();
    keys.dedup();
    let keys: Vec<String> = if h.slow { keys.into_iter().step_by(4).collect() } else { keys };
    h.put_all(keys.iter().map(|key| item(key, 1)).collect()).await;
    for vector in vectors {
        let pattern = Pattern::parse(&vector.pattern).unwrap_or_else(|error| panic!("{:?}: {error}", vector.pattern));
        for key in &vector.matches {
            assert!(pattern.matches(key), "{:?} matches {key:?}", vector.pattern);
        }
        for key in &vector.misses {
            assert!(!pattern.matches(key), "{:?} does not match {key:?}", vector.pattern);
        }
        let found = h.keys(&vector.pattern).await;
        for key in vector.matches.iter().filter(|key| keys.contains(key)) {
            assert!(found.contains(key), "{:?} matches {key:?}", vector.pattern);
        }
        for key in &vector.misses {
            assert!(!found.contains(key), "{:?} does not match {key:?}", vector.pattern);
        }
    }
}

async fn vectors_of_malformed_patterns(h: Harness) {
    h.put_keys(&["a", "b.c"]).await;
    for pattern in texts(&file()["malformed"]) {
        if h.slow && pattern.contains(char::is_control) || pattern.is_empty() {
            continue;
        }
        let result = h.store.list_entries(&h.namespace, &Query::pattern(&pattern), None, 10, Projection::Key).await;
        refused_for(result, "invalid-argument", &pattern);
    }
}

async fn the_empty_pattern_is_refused(h: Harness) {
    let query = Query::pattern("");
    refused_for(h.store.list_entries(&h.namespace, &query, None, 10, Projection::Key).await, "invalid-argument", "");
    refused_for(h.store.count(&h.namespace, &query, None, 10).await, "invalid-argument", "");
    refused_for(h.store.delete_matching(&h.namespace, &query, None, 10).await, "invalid-argument", "");
}

async fn one_star_stays_in_its_segment(h: Harness) {
    h.put_keys(&["app", "app.name", "app.version", "app.config.debug", "apps", "b.name", "app.x\\.y"]).await;
    assert_eq!(h.keys("app.*").await, ["app.name", "app.version", "app.x\\.y"]);
    assert_eq!(h.keys("*").await, ["app", "apps"]);
    assert_eq!(h.keys("*.name").await, ["app.name", "b.name"]);
    assert_eq!(h.keys("app*").await, ["app", "apps"]);
    assert_eq!(h.keys("a*p").await, ["app"]);
    assert_eq!(h.keys("app.*.*").await, ["app.config.debug"]);
    assert_eq!(h.keys("*.*.*.*").await, Vec::<String>::new());
}

async fn two_stars_cross_segments(h: Harness) {
    h.put_keys(&["app", "app.error", "app.log.error", "error", "error.app", "xerror", "app.log.x\\.error"]).await;
    assert_eq!(h.keys("**").await.len(), 7);
    assert_eq!(h.keys("app.**").await, ["app.error", "app.log.error", "app.log.x\\.error"]);
    assert_eq!(h.keys("**.error").await, ["app.error", "app.log.error", "error"]);
    assert_eq!(h.keys("app.**.error").await, ["app.error", "app.log.error"]);
    assert_eq!(h.keys("**.app").await, ["app", "error.app"]);
    assert_eq!(h.keys("app**").await, ["app"]);
}

async fn one_character(h: Harness) {
    h.put_keys(&["u.1.n", "u.a.n", "u.10.n", "u.\u{e9}.n", "u.\u{1f600}.n", "u.e\u{301}.n", "u.n", "u.\\..n"]).await;
    assert_eq!(h.keys("u.?.n").await, ["u.1.n", "u.\\..n", "u.a.n", "u.\u{e9}.n", "u.\u{1f600}.n"]);
    assert_eq!(h.keys("u.??.n").await, ["u.10.n", "u.e\u{301}.n"]);
}

async fn classes(h: Harness) {
    h.put_keys(&["l.0", "l.5", "l.9", "l.10", "l.a", "l.x", "l.-", "l.\u{e9}", "l.]", "l.\\."]).await;
    assert_eq!(h.keys("l.[0-9]").await, ["l.0", "l.5", "l.9"]);
    assert_eq!(h.keys("l.[ax]").await, ["l.a", "l.x"]);
    assert_eq!(h.keys("l.[!0-9]").await, ["l.-", "l.\\.", "l.]", "l.a", "l.x", "l.\u{e9}"]);
    assert_eq!(h.keys("l.[a-z0-9]").await, ["l.0", "l.5", "l.9", "l.a", "l.x"]);
    assert_eq!(h.keys("l[!a]0").await, Vec::<String>::new(), "no class crosses segments");
}

async fn alternatives(h: Harness) {
    h.put_keys(&["env.dev.c", "env.prod.c", "env.test.c", "env.c", "dev.c", "env.dev.x.c"]).await;
    assert_eq!(h.keys("env.{dev,prod}.c").await, ["env.dev.c", "env.prod.c"]);
    assert_eq!(h.keys("env.{dev,{prod,test}}.c").await, ["env.dev.c", "env.prod.c", "env.test.c"]);
    assert_eq!(h.keys("{env.dev,dev}.c").await, ["dev.c", "env.dev.c"]);
    assert_eq!(h.keys("env{.dev,}.c").await, ["env.c", "env.dev.c"]);
    assert_eq!(h.keys("{env.*,**.x}.c").await, ["env.dev.c", "env.dev.x.c", "env.prod.c", "env.test.c"]);
    assert_eq!(h.keys("{env.dev.c,env.dev.c}").await, ["env.dev.c"], "once, however often it matches");
}

async fn an_escaped_key_matches_itself(h: Harness) {
    let keys = ["*", "?", "[ab]", "{a,b}", "a,b", "x*y", "!", "a", "b", "xy", "xzy", "**"];
    h.put_keys(&keys).await;
    for key in keys {
        let escaped: String =
            key.chars().flat_map(|c| ['\\', c].into_iter().skip(usize::from(c.is_alphanumeric()))).collect();
        assert_eq!(h.keys(&escaped).await, [key], "{escaped:?}");
    }
    h.put_keys(&["d\\.e", "d.e", "f\\\\g"]).await;
    assert_eq!(h.keys("d\\.e").await, ["d\\.e"]);
    assert_eq!(h.keys("d.e").await, ["d.e"]);
    assert_eq!(h.keys("f\\\\g").await, ["f\\\\g"]);
}

async fn escaped_dots_are_one_character(h: Harness) {
    h.put_keys(&["a\\.b", "a.b", "a\\\\b", "axb", "axxb", "\\.", "x"]).await;
    assert_eq!(h.keys("a?b").await, ["a\\.b", "a\\\\b", "axb"]);
    assert_eq!(h.keys("a[!x]b").await, ["a\\.b", "a\\\\b"]);
    assert_eq!(h.keys("[!x]").await, ["\\."]);
    assert_eq!(h.keys("a*b").await, ["a\\.b", "a\\\\b", "axb", "axxb"]);
    assert_eq!(h.keys("?").await, ["\\.", "x"]);
    assert_eq!(h.keys("a\\.*").await, ["a\\.b"]);
}

async fn examples_of_the_readme(h: Harness) {
    h.put_keys(&[
        "app.config.debug",
        "app.name",
        "app.temp.x",
        "app.version",
        "env.dev.config",
        "env.prod.config",
        "env.test.config",
        "error",
        "log.0.txt",
        "log.10.txt",
        "log.9.txt",
        "logs.2023-12",
        "logs.2024-01",
        "logs.2024-02",
        "svc.app.error",
        "user.1.name",
        "user.10.name",
        "user.a.name",
        "users.123.email",
        "users.123.name",
        "users.123.settings.theme",
        "users.456.name",
    ])
    .await;
    let expected: [(&str, &[&str]); 13] = [
        ("app.*", &["app.name", "app.version"]),
        ("app.config.*", &["app.config.debug"]),
        ("users.123.*", &["users.123.email", "users.123.name"]),
        ("users.123.settings.*", &["users.123.settings.theme"]),
        ("users.123.**", &["users.123.email", "users.123.name", "users.123.settings.theme"]),
        ("users.*.name", &["users.123.name", "users.456.name"]),
        ("*.config.*", &["app.config.debug"]),
        ("logs.2024-*", &["logs.2024-01", "logs.2024-02"]),
        ("app.**", &["app.config.debug", "app.name", "app.temp.x", "app.version"]),
        ("**.error", &["error", "svc.app.error"]),
        ("user.?.name", &["user.1.name", "user.a.name"]),
        ("log.[0-9].txt", &["log.0.txt", "log.9.txt"]),
        ("env.{dev,prod}.config", &["env.dev.config", "env.prod.config"]),
    ];
    for (pattern, keys) in expected {
        assert_eq!(h.keys(pattern).await, keys, "{pattern}");
    }
}

async fn config_at_any_level(h: Harness) {
    h.put_keys(&["config.a", "app.config.a", "app.config.a.b", "x.app.config.a", "app.config"]).await;
    assert_eq!(h.keys("*.config.*").await, ["app.config.a"]);
    assert_eq!(h.keys("**.config.**").await, ["app.config.a", "app.config.a.b", "config.a", "x.app.config.a"]);
}

async fn case_counts(h: Harness) {
    h.put_keys(&["abc", "ABC", "Abc", "\u{e9}", "\u{c9}"]).await;
    assert_eq!(h.keys("abc").await, ["abc"]);
    assert_eq!(h.keys("A*").await, ["ABC", "Abc"]);
    assert_eq!(h.keys("[a-z]*").await, ["abc"]);
    assert_eq!(h.keys("\u{c9}").await, ["\u{c9}"]);
}

async fn longest_patterns(h: Harness) {
    h.put_keys(&["xx", "y"]).await;
    let longest = format!("{{{},xx}}", "y".repeat(1024 - 5));
    assert_eq!(longest.len(), 1024);
    assert_eq!(h.keys(&longest).await, ["xx"]);
    assert_eq!(h.keys(&format!("{}*", "x?".repeat(511))).await, Vec::<String>::new());
    for pattern in ["x".repeat(1025), "*".repeat(1025), "\u{e9}".repeat(513)] {
        let result = h.store.list_entries(&h.namespace, &Query::pattern(&pattern), None, 10, Projection::Key).await;
        refused_for(result, "invalid-argument", &pattern);
    }
}

async fn most_alternatives(h: Harness) {
    h.put_keys(&["000", "123", "999", "abc", "0000"]).await;
    let digits = "{0,1,2,3,4,5,6,7,8,9}";
    assert_eq!(h.keys(&digits.repeat(3)).await, ["000", "123", "999"]);
    for pattern in [format!("{}{{x,y}}", digits.repeat(3)), digits.repeat(40), "{a,b}".repeat(200)] {
        let result = h.store.list_entries(&h.namespace, &Query::pattern(&pattern), None, 10, Projection::Key).await;
        refused_for(result, "invalid-argument", &pattern);
    }
    let nested = format!("{}a{}", "{".repeat(500), "}".repeat(500));
    // Deep nesting may be refused, but it must not end in anything else.
    if let Err(error) = h.store.list_entries(&h.namespace, &Query::pattern(nested), None, 10, Projection::Key).await {
        assert_eq!(error.code(), "invalid-argument");
    }
}

async fn every_walk_refuses_a_malformed_one(h: Harness) {
    h.put_keys(&["a", "b"]).await;
    for pattern in ["[a", "{a", "a\\", "a..b"] {
        let query = Query::pattern(pattern);
        refused_for(
            h.store.list_entries(&h.namespace, &query, None, 10, Projection::Key).await,
            "invalid-argument",
            pattern,
        );
        refused_for(h.store.count(&h.namespace, &query, None, 10).await, "invalid-argument", pattern);
        refused_for(h.store.delete_matching(&h.namespace, &query, None, 10).await, "invalid-argument", pattern);
    }
    assert_eq!(h.keys("**").await, ["a", "b"]);
}

async fn hostile_patterns_take_linear_time(h: Harness) {
    let long = "a".repeat(512);
    let deep = "a.".repeat(255) + "a";
    h.put_all(vec![item(&long, 1), item(&deep, 1)]).await;
    // A matcher that tries every split would still be at it when the sun goes out: the runner's own deadline ends it.
    for pattern in [
        "a*".repeat(400) + "b",
        "*a".repeat(400) + "*b",
        format!("{}b", "**.a.".repeat(200)),
        format!("**.{}b", "*.".repeat(250)),
        format!("{}c", "{a,aa,*}".repeat(6)),
        "?*".repeat(300) + "b",
        format!("**.{}**.b", "a.**.".repeat(150)),
    ] {
        assert_eq!(h.keys(&pattern).await, Vec::<String>::new(), "{pattern}");
    }
    assert_eq!(h.keys(&"a*".repeat(400)).await, [long]);
}

async fn characters_of_regular_expressions_are_text(h: Harness) {
    let keys = ["(a)", "^a$", "a+", "a|b", "a.b", "a", "aa", "\\\\d", "5", "$", "(?i)A", "#x", "a{1}"];
    h.put_keys(&keys).await;
    for key in ["(a)", "^a$", "a+", "a|b", "$", "#x"] {
        assert_eq!(h.keys(key).await, [key]);
    }
    assert_eq!(h.keys("\\\\d").await, ["\\\\d"]);
    assert_eq!(h.keys("(\\?i)A").await, ["(?i)A"]);
    assert_eq!(h.keys("a.b").await, ["a.b"]);
}

async fn literal_prefixes_bound_nothing_else(h: Harness) {
    // The literal prefix becomes a range of keys: what lies at its edges must stay.
    let keys =
        ["a", "a.", "ab", "ab\u{10ffff}", "ab~", "ab\u{10ffff}\u{10ffff}", "ac", "a\u{10ffff}", "a\u{10ffff}x", "b"];
    let mut keys: Vec<&str> = keys.into_iter().filter(|key| *key != "a.").collect();
    h.put_keys(&keys).await;
    keys.sort();
    let with = |prefix: &str| keys.iter().filter(|key| key.starts_with(prefix)).copied().collect::<Vec<_>>();
    assert_eq!(h.keys("ab*").await, with("ab"));
    assert_eq!(h.keys("a*").await, with("a"));
    assert_eq!(h.keys("a\u{10ffff}*").await, with("a\u{10ffff}"));
    assert_eq!(h.keys("{ab,b}*").await, [with("ab"), with("b")].concat());
}
