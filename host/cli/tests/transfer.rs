//! Import and export, there and back.

mod common;

use std::fs;

use common::Cli;

/// Every type, metadata, content type and expiry.
const LINES: &str = r#"{"key":"all.bytes","type":"bytes","value":"AP/+","content_type":"application/octet-stream"}
{"key":"all.custom","type":"custom:point","value":"MSAy"}
{"key":"all.float","type":"number","value":5}
{"key":"all.int","type":"integer","value":9223372036854775807}
{"key":"all.json","type":"json","value":{"b": 1,  "a":[1.0, 1e3]}}
{"key":"all.null","type":"null","value":null}
{"key":"all.scalar","type":"json","value":5}
{"key":"all.text","type":"text","value":"é\n\u0000","metadata":{"tags":["a"]},"expires_at":4102444800123}
{"key":"all.true","type":"boolean","value":true}
{"key":"all.with\\.dot","type":"text","value":""}
"#;

/// What an export says of each entry that its origin decides.
fn essence(export: &str) -> Vec<String> {
    let drop = ["version", "created_at", "updated_at", "size", "checksum"];
    export
        .lines()
        .map(|line| {
            let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
            drop.iter().for_each(|name| drop_field(&mut fields, name));
            serde_json::to_string(&fields).unwrap()
        })
        .collect()
}

fn drop_field(fields: &mut serde_json::Map<String, serde_json::Value>, name: &str) {
    fields.remove(name);
}

#[test]
fn lines_are_lossless() {
    let (first, second) = (Cli::new(), Cli::new());
    first.run_with_input(&["import", "--format", "jsonl", "-"], LINES.as_bytes()).ok();
    let export = first.ok(&["export", "--format", "jsonl"]);
    assert_eq!(essence(&export), essence(LINES));
    fs::write(second.path("data.jsonl"), &export).unwrap();
    let ran = second.run(&["import", "data.jsonl"]);
    assert!(ran.stderr.starts_with("10 entries written in "), "{}", ran.stderr);
    let again = second.ok(&["export", "--format", "jsonl"]);
    assert_eq!(essence(&again), essence(&export));
    let checksums =
        |text: &str| text.lines().map(|l| l.rsplit("\"checksum\":").next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(checksums(&again), checksums(&export), "every value is the same to the byte");
}

#[test]
fn all_namespaces() {
    let (first, second) = (Cli::new(), Cli::new());
    first.ok(&["-n", "a", "set", "k", "1"]);
    first.ok(&["-n", "b", "set", "k", "2"]);
    first.ok(&["export", "--format", "jsonl", "--all-namespaces", "--output", "all.jsonl"]);
    let text = fs::read_to_string(first.path("all.jsonl")).unwrap();
    assert_eq!(text.lines().next(), Some(r#"{"namespace":"a"}"#));
    second.run_with_input(&["import", "--format", "jsonl"], text.as_bytes()).ok();
    assert_eq!(second.ok(&["namespaces"]), "a\nb\n");
    assert_eq!(second.ok(&["-n", "b", "get", "k"]), "2");
    let left: Vec<_> = fs::read_dir(first.path(".")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "only the data and the export: {left:?}");
}

#[test]
fn nested_json_comes_back() {
    let cli = Cli::new();
    let document = r#"{"a":{"b":{"c":1.5,"d.e":"x\"\\"},"empty":{}},"list":[1,{"x":[]}],"n":null,"big":12345678901234567890123,"t":true,"é":""}"#;
    cli.run_with_input(&["import", "--format", "json", "--prefix", "doc"], document.as_bytes()).ok();
    assert_eq!(cli.ok(&["get", r"doc.a.b.d\.e"]), "x\"\\");
    assert_eq!(cli.ok(&["get", "doc.list"]), r#"[1,{"x":[]}]"#);
    assert_eq!(cli.ok(&["get", "doc.big"]), "12345678901234567890123");
    let back = cli.ok(&["export", "--format", "json", "--prefix", "doc"]);
    assert_eq!(json(&back), json(document));
    // The whole store, its keys as they are.
    let whole = cli.ok(&["export", "--format", "json"]);
    assert_eq!(json(&whole), json(&format!(r#"{{"doc":{document}}}"#)));
    cli.ok(&["set", "doc.a", "own"]);
    let back = cli.ok(&["export", "--format", "json", "--prefix", "doc.a"]);
    assert_eq!(json(&back), json(r#"{"":"own","b":{"c":1.5,"d.e":"x\"\\"},"empty":{}}"#));
    cli.run_with_input(&["import", "-f", "json", "-p", "copy"], back.as_bytes()).ok();
    assert_eq!(cli.ok(&["get", "copy"]), "own");
    cli.run_with_input(&["import", "-f", "json", "-p", "single"], b"[1, 2]").ok();
    assert_eq!(cli.ok(&["export", "-f", "json", "-p", "single"]), "[1, 2]\n");
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn arrays_flattened_come_back() {
    let cli = Cli::new();
    let document = r#"{"packages":[{"name":"a","deps":[]},{"name":"b","deps":["x","y"]},3,4,5,6,7,8,9,10,11]}"#;
    cli.run_with_input(&["import", "-f", "json", "-p", "crates", "--arrays", "flatten"], document.as_bytes()).ok();
    assert_eq!(cli.ok(&["keys", "crates.packages.*.name"]), "crates.packages.0.name\ncrates.packages.1.name\n");
    assert_eq!(cli.ok(&["get", "crates.packages.10"]), "11");
    let back = cli.ok(&["export", "-f", "json", "-p", "crates", "--arrays", "flatten"]);
    assert_eq!(json(&back), json(document));
}

#[test]
fn what_is_there_already() {
    let cli = Cli::new();
    cli.ok(&["set", "a", "mine"]);
    let lines = b"{\"key\":\"a\",\"value\":\"theirs\"}\n\n{\"key\":\"b\",\"value\":1}\n";
    let ran = cli.run_with_input(&["import", "-f", "jsonl", "--on-conflict", "skip"], lines);
    assert!(ran.stderr.contains("1 entries written") && ran.stderr.contains("1 already there"), "{}", ran.stderr);
    ran.ok();
    assert_eq!(cli.ok(&["get", "a"]), "mine");
    cli.run_with_input(&["import", "-f", "jsonl", "--on-conflict", "fail"], lines).fails(3);
    let summary = cli.run_with_input(&["import", "-f", "jsonl", "--json"], lines).ok();
    assert_eq!(summary, "{\"written\":2,\"skipped\":0,\"expired\":0}\n");
    assert_eq!(cli.ok(&["get", "a"]), "theirs");
}

/// The last one counts, however far apart they are.
#[test]
fn a_key_that_comes_again() {
    let cli = Cli::new();
    let line = |key: &str, value: usize| format!("{{\"key\":\"{key}\",\"value\":{value}}}\n");
    let mut lines = line("x", 0) + &line("x", 1);
    for i in 0..5000 {
        lines += &line(&format!("filler.{i}"), i);
        if i % 700 == 0 {
            lines += &line("x", i);
        }
    }
    lines += &line("x", 42);
    cli.run_with_input(&["import", "-f", "jsonl"], lines.as_bytes()).ok();
    assert_eq!(cli.ok(&["get", "x"]), "42");
    assert_eq!(cli.ok(&["count"]), "5001\n");
    // JSON objects may say a name twice, too.
    cli.run_with_input(&["import", "-f", "json"], br#"{"x":{"y":1},"x":{"y":2}}"#).ok();
    assert_eq!(cli.ok(&["get", "x.y"]), "2");
}

#[test]
fn what_has_expired_is_left_out() {
    let cli = Cli::new();
    let lines = b"{\"key\":\"a\",\"value\":1,\"expires_at\":1000}\n{\"key\":\"b\",\"value\":1}\n";
    let ran = cli.run_with_input(&["import", "-f", "jsonl"], lines);
    assert!(ran.stderr.contains("1 entries written") && ran.stderr.contains("1 expired"), "{}", ran.stderr);
    ran.ok();
    assert_eq!(cli.ok(&["keys"]), "b\n");
}

#[test]
fn bad_input_is_told_with_its_place() {
    let cli = Cli::new();
    let stderr = |format: &str, input: &[u8]| cli.run_with_input(&["import", "-f", format], input).fails(2);
    assert!(stderr("jsonl", b"{\"key\":\"good\",\"value\":1}\n{\"key\":\"a\",\"valu\":1}\n").contains("line 2"));
    assert!(stderr("jsonl", b"{\"key\":\"a\"}\n").contains("line 1"));
    assert!(stderr("jsonl", b"\xff\n").contains("line 1"));
    assert!(stderr("jsonl", b"{\"namespace\":\"\"}\n").contains("line 1"));
    assert!(stderr("json", b"{\n\"a\": 1,\n}").contains("line 3"));
    stderr("json", b"");
    stderr("json", b"5");
    stderr("json", b"{\"a\\u0001\":1}");
    stderr("json", br#"{"":{"a":1}}"#);
    stderr("json", format!("{}1{}", "[".repeat(200), "]".repeat(200)).as_bytes());
    // What came before the bad line is there, and the summary counted it.
    assert_eq!(cli.ok(&["keys"]), "good\n");
    cli.fails(2, &["import", "missing.json"]);
    cli.fails(2, &["import", "unknown.txt"]);
    cli.fails(2, &["import", "-f", "jsonl", "--arrays", "flatten", "-"]);
}

#[test]
fn what_nested_json_cannot_say() {
    let cli = Cli::new();
    cli.ok(&["set", "b", "x", "-t", "bytes"]);
    let stderr = cli.fails(6, &["export", "-f", "json", "-o", "out.json"]);
    assert!(stderr.contains("\"b\" holds bytes"), "{stderr}");
    assert!(!cli.path("out.json").exists(), "a failed export leaves no file");
    assert_eq!(fs::read_dir(cli.path(".")).unwrap().count(), 1);
}

#[test]
fn an_empty_store() {
    let cli = Cli::new();
    assert_eq!(cli.ok(&["export", "-f", "json"]), "{}\n");
    assert_eq!(cli.ok(&["export", "-f", "jsonl"]), "");
    cli.run_with_input(&["import", "-f", "json"], b"{}").ok();
    cli.run_with_input(&["import", "-f", "jsonl"], b"").ok();
    assert_eq!(cli.ok(&["count"]), "0\n");
}

/// A full disk is told, and no half export stays.
#[test]
fn a_device_without_room() {
    let cli = Cli::new();
    cli.ok(&["set", "a", "b"]);
    let stderr = cli.fails(8, &["export", "-f", "json", "-o", "/dev/full"]);
    assert!(stderr.contains("writing the output"), "{stderr}");
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(cli.command(&["get", "a"]).stdout(full).status().unwrap().code(), Some(8));
    cli.fails(2, &["export", "-f", "json", "-o", "no/such/folder/out.json"]);
}
