//! One entry at a time: set, get, delete, exists, metadata, expiry, atomic changes.

mod common;

use std::fs;

use common::Cli;

#[test]
fn a_first_session() {
    let cli = Cli::new();
    assert_eq!(cli.ok(&["set", "app.name", "MyApplication"]), "");
    cli.ok(&["set", "app.config.debug", "true", "--type", "json"]);
    assert_eq!(cli.ok(&["get", "app.name"]), "MyApplication");
    assert_eq!(cli.ok(&["keys", "app.*"]), "app.name\n");
    assert_eq!(cli.ok(&["keys"]), "app.config.debug\napp.name\n");
    assert_eq!(cli.ok(&["exists", "app.name"]), "true\n");
    assert_eq!(cli.ok(&["delete", "app.name"]), "");
    cli.fails(1, &["exists", "app.name"]);
    let stderr = cli.fails(1, &["get", "app.name"]);
    assert_eq!(stderr, "dataknobs-kv: absent: there is no entry \"app.name\"\n");
    cli.fails(1, &["delete", "app.name"]);
}

#[test]
fn values_are_binary_safe() {
    let cli = Cli::new();
    let bytes: Vec<u8> = (0..=255).chain([0, 10, 13, 0xff, 0xfe]).collect();
    cli.run_with_input(&["set", "binary", "-"], &bytes).ok();
    assert_eq!(cli.run(&["get", "binary"]).stdout, bytes);
    fs::write(cli.path("value"), &bytes).unwrap();
    cli.ok(&["set", "from-file", "--file", "value"]);
    assert_eq!(cli.run(&["get", "from-file"]).stdout, bytes);
    assert!(cli.ok(&["get", "--json", "binary"]).contains(r#""type":"bytes""#));

    // Nothing is trimmed, nothing is added.
    for text in ["", "\n", " a \n\n", "no line break", "\u{feff}x", "é\0"] {
        cli.run_with_input(&["set", "text", "-"], text.as_bytes()).ok();
        assert_eq!(cli.ok(&["get", "text"]), text);
    }
    assert!(cli.ok(&["get", "--json", "text"]).contains(r#""type":"text""#));
    // Larger than any pipe or buffer.
    let large = vec![0x80; 3 << 20];
    cli.run_with_input(&["set", "large", "-"], &large).ok();
    assert!(cli.run(&["get", "large"]).stdout == large);
}

#[test]
fn types() {
    let cli = Cli::new();
    for (value, type_name, stored_type, printed) in [
        ("8080", "text", "text", "8080"),
        ("8080", "integer", "integer", "8080"),
        ("-5", "integer", "integer", "-5"),
        ("2.50", "number", "number", "2.5"),
        ("true", "boolean", "boolean", "true"),
        ("null", "null", "null", "null"),
        ("8080", "json", "integer", "8080"),
        ("\"x\"", "json", "text", "x"),
        ("{\"a\": [1, 2]}", "json", "json", "{\"a\": [1, 2]}"),
        ("x y", "custom:point", "custom:point", "x y"),
        ("x", "bytes", "bytes", "x"),
    ] {
        cli.ok(&["set", "key", value, "--type", type_name]);
        assert_eq!(cli.ok(&["get", "key"]), printed);
        let json = cli.ok(&["get", "--json", "key"]);
        assert!(json.contains(&format!(r#""type":"{stored_type}""#)), "{value} as {type_name}: {json}");
    }
    // What looks like a number is text all the same.
    cli.ok(&["set", "zip", "02134"]);
    assert!(cli.ok(&["get", "--json", "zip"]).contains(r#""type":"text","value":"02134""#));
    cli.fails(2, &["set", "n", "x", "--type", "integer"]);
    cli.fails(2, &["set", "n", "x", "--type", "string"]);
    cli.fails(2, &["set", "n"]);
    cli.fails(2, &["set", "n", "-", "--file", "x"]);
    cli.fails(2, &["set", "n", "--file", "missing"]);
    // A value may begin with a dash after `--`.
    cli.ok(&["set", "dash", "--", "-x"]);
    assert_eq!(cli.ok(&["get", "dash"]), "-x");
}

#[test]
fn bad_keys_are_refused() {
    let cli = Cli::new();
    for key in ["", ".a", "a.", "a..b", "a\nb", "a\\x"] {
        let stderr = cli.fails(2, &["set", key, "x"]);
        assert!(stderr.starts_with("dataknobs-kv: invalid-argument: "), "{stderr}");
    }
    cli.fails(2, &["set", &"x".repeat(513), "x"]);
    cli.ok(&["set", &"x".repeat(512), "x"]);
    cli.fails(2, &["--namespace", "", "keys"]);
    cli.fails(2, &["keys", "["]);
}

#[test]
fn guarded_writes() {
    let cli = Cli::new();
    let version = |text: String| text.split('"').nth(3).unwrap().to_owned();
    let first = version(cli.ok(&["set", "lock", "a", "--if-absent", "--json"]));
    cli.fails(3, &["set", "lock", "b", "--if-absent"]);
    let ran = cli.run(&["set", "lock", "b", "--if-absent", "--json"]);
    assert!(String::from_utf8_lossy(&ran.stdout).contains(&first), "the conflict carries what is there");
    assert!(ran.stderr.contains(r#""code":"conflict""#));
    assert_eq!(ran.code, 3);
    let second = version(cli.ok(&["set", "lock", "c", "--if-version", &first, "--json"]));
    cli.fails(3, &["set", "lock", "d", "--if-version", &first]);
    cli.fails(3, &["delete", "lock", "--if-version", &first]);
    cli.fails(3, &["meta", "set", "lock", "{}", "--if-version", &first]);
    cli.fails(3, &["touch", "lock", "60", "--if-version", &first]);
    assert_eq!(cli.ok(&["get", "lock"]), "c");
    cli.ok(&["delete", "lock", "--if-version", &second]);
}

#[test]
fn compare_and_swap() {
    let cli = Cli::new();
    cli.fails(3, &["cas", "version", "1.0.0", "1.1.0"]);
    cli.ok(&["cas", "version", "--old-absent", "1.0.0"]);
    cli.fails(3, &["cas", "version", "--old-absent", "1.0.0"]);
    cli.ok(&["cas", "version", "1.0.0", "1.1.0"]);
    assert_eq!(cli.ok(&["get", "version"]), "1.1.0");
    let ran = cli.run(&["cas", "version", "1.0.0", "2", "--json"]);
    assert_eq!(ran.code, 3);
    let stdout = String::from_utf8(ran.stdout).unwrap();
    assert!(stdout.contains(r#""swapped":false"#) && stdout.contains(r#""value":"1.1.0""#), "{stdout}");
    cli.ok(&["set", "n", "5", "-t", "integer"]);
    cli.fails(3, &["cas", "n", "5", "6"]);
    cli.ok(&["cas", "n", "5", "-6", "-t", "integer", "--ttl", "60"]);
    assert_eq!(cli.ok(&["get", "n"]), "-6");
    cli.ok(&["cas", "n", "-6", "six", "--old-type", "integer"]);
    cli.fails(2, &["cas", "n", "one"]);
    cli.fails(2, &["cas", "n", "--old-absent", "one", "two"]);
    cli.fails(2, &["cas", "n", "-", "-"]);
}

#[test]
fn counters_and_append() {
    let cli = Cli::new();
    assert_eq!(cli.ok(&["incr", "stats.page_views"]), "1\n");
    assert_eq!(cli.ok(&["incr", "stats.page_views", "--by", "41"]), "42\n");
    assert_eq!(cli.ok(&["incr", "stats.page_views", "--by", "-2"]), "40\n");
    assert_eq!(cli.ok(&["incr", "stats.page_views", "--by", "0.5"]), "40.5\n");
    assert!(cli.ok(&["incr", "n", "--json"]).starts_with(r#"{"value":1,"#));
    cli.ok(&["set", "text", "x"]);
    cli.fails(4, &["incr", "text"]);
    cli.ok(&["set", "most", &i64::MAX.to_string(), "-t", "integer"]);
    cli.fails(4, &["incr", "most"]);
    assert_eq!(cli.ok(&["get", "most"]), i64::MAX.to_string());
    cli.fails(2, &["incr", "n", "--by", "one"]);

    assert_eq!(cli.ok(&["append", "notes", "Call Jane"]), "9\n");
    assert_eq!(cli.ok(&["append", "notes", ", Remember to update docs"]), "34\n");
    assert_eq!(cli.ok(&["get", "notes"]), "Call Jane, Remember to update docs");
    cli.ok(&["append", "list", r#"{"a":1}"#, "-t", "json"]);
    cli.ok(&["append", "list", "two"]);
    assert_eq!(cli.ok(&["get", "list"]), r#"[{"a":1},"two"]"#);
    cli.fails(4, &["append", "n", "x"]);
}

#[test]
fn metadata() {
    let cli = Cli::new();
    cli.ok(&[
        "set",
        "report",
        "x",
        "--metadata",
        r#"{"author":"John Doe","tags":["a"]}"#,
        "--content-type",
        "text/plain",
    ]);
    assert_eq!(cli.ok(&["meta", "get", "report"]), "{\"author\":\"John Doe\",\"tags\":[\"a\"]}\n");
    cli.ok(&["meta", "set", "report", r#"{"reviewed":true,"tags":null}"#]);
    assert_eq!(cli.ok(&["meta", "get", "report"]), "{\"author\":\"John Doe\",\"reviewed\":true}\n");
    let json = cli.ok(&["meta", "get", "report", "--json"]);
    assert!(json.contains(r#""content_type":"text/plain""#) && json.contains(r#""size":1"#), "{json}");
    assert!(!json.contains(r#""value""#), "{json}");
    cli.ok(&["set", "other", "x", "--metadata", r#"{"author":"Jane"}"#]);
    assert_eq!(cli.ok(&["keys", "--where", r#"{"author":"Jane"}"#]), "other\n");
    assert_eq!(cli.ok(&["count", "--where", r#"{"author":"Jane"}"#]), "1\n");
    cli.ok(&["meta", "replace", "report", "{}"]);
    assert_eq!(cli.ok(&["meta", "get", "report"]), "{}\n");
    cli.fails(1, &["meta", "get", "nothing"]);
    cli.fails(1, &["meta", "set", "nothing", "{}"]);
    cli.fails(2, &["meta", "set", "report", "[]"]);
    cli.fails(2, &["set", "report", "x", "--metadata", "{"]);
}

#[test]
fn expiry_by_a_clock_that_stands_still() {
    let cli = Cli::new();
    let clock = cli.path("clock");
    let clock_text = clock.to_str().unwrap().to_owned();
    let at = |ms: u64| fs::write(&clock, ms.to_string()).unwrap();
    let cli_at = |arguments: &[&str]| cli.run(&[&["--clock-file", &clock_text], arguments].concat());
    let start = 1_893_456_000_000; // 2030-01-01
    at(start);
    cli_at(&["set", "session", "x", "--ttl", "1h"]).ok();
    assert_eq!(cli_at(&["ttl", "session"]).ok(), "3600\n");
    assert_eq!(cli_at(&["keys", "--long"]).ok(), "text              1 2030-01-01T01:00:00Z     session\n");
    at(start + 500);
    assert_eq!(cli_at(&["ttl", "session"]).ok(), "3599.5\n");
    assert_eq!(
        cli_at(&["ttl", "session", "--json"]).ok(),
        format!("{{\"ttl_ms\":3599500,\"expires_at\":{}}}\n", start + 3_600_000)
    );
    at(start + 3_599_999);
    assert_eq!(cli_at(&["get", "session"]).ok(), "x");
    at(start + 3_600_000);
    cli_at(&["get", "session"]).fails(1);
    cli_at(&["ttl", "session"]).fails(1);
    cli_at(&["touch", "session", "60"]).fails(1);
    cli_at(&["persist", "session"]).fails(1);
    assert_eq!(cli_at(&["cleanup"]).ok(), "1\n");
    assert_eq!(cli_at(&["cleanup", "--all-namespaces"]).ok(), "0\n");

    at(start);
    cli_at(&["set", "a", "x"]).ok();
    assert_eq!(cli_at(&["ttl", "a"]).ok(), "never\n");
    cli_at(&["touch", "a", "90s"]).ok();
    assert_eq!(cli_at(&["ttl", "a"]).ok(), "90\n");
    cli_at(&["touch", "a", "--expires-at", "2030-01-02T00:00:00Z"]).ok();
    assert_eq!(cli_at(&["ttl", "a"]).ok(), "86400\n");
    cli_at(&["set", "a", "y", "--keep-expiry"]).ok();
    assert_eq!(cli_at(&["ttl", "a"]).ok(), "86400\n");
    cli_at(&["persist", "a"]).ok();
    assert_eq!(cli_at(&["ttl", "a"]).ok(), "never\n");
    cli_at(&["set", "a", "x", "--sliding", "100"]).ok();
    at(start + 90_000);
    assert_eq!(cli_at(&["get", "a"]).ok(), "x");
    assert_eq!(cli_at(&["ttl", "a"]).ok(), "100\n");

    for span in ["0", "-1", "1y", "", "500000w"] {
        cli_at(&["touch", "a", span]).fails(2);
    }
    cli_at(&["set", "a", "x", "--expires-at", "2020-01-01T00:00:00Z"]).fails(2);
    cli_at(&["set", "a", "x", "--ttl", "5", "--sliding", "5"]).fails(2);
    cli_at(&["touch", "a"]).fails(2);
}

#[test]
fn transactions() {
    let cli = Cli::new();
    cli.ok(&["set", "old", "x"]);
    let document = r#"{"checks":[{"key":"new","if_absent":true}],
        "actions":[{"set":{"key":"new","value":{"a":1}}},{"delete":"old"}]}"#;
    let committed = cli.run_with_input(&["transact", "--json"], document.as_bytes()).ok();
    assert!(
        committed.starts_with(r#"{"committed":true,"versions":[""#) && committed.ends_with(",null]}\n"),
        "{committed}"
    );
    assert_eq!(cli.ok(&["keys"]), "new\n");
    let stderr = cli.run_with_input(&["transact"], document.as_bytes()).fails(3);
    assert!(stderr.contains("\"new\""), "{stderr}");
    cli.run_with_input(&["transact"], b"{\"acts\":[]}").fails(2);
}
