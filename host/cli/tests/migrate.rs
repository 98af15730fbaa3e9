//! `migrate`, as people run it.

mod common;

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Cli, Service};

/// Types, metadata, content type and expiry.
const LINES: &str = r#"{"key":"all.bytes","type":"bytes","value":"AP/+","content_type":"application/octet-stream"}
{"key":"all.custom","type":"custom:point","value":"MSAy"}
{"key":"all.json","type":"json","value":{"b": 1,  "a":[1.0, 1e3]}}
{"key":"all.text","type":"text","value":"é\n\u0000","metadata":{"tags":["a"]},"expires_at":4102444800123}
{"key":"n.1","type":"integer","value":9223372036854775807}
"#;

/// An export without the versions, which are each store's own.
fn essence(cli: &Cli, store: &str) -> Vec<serde_json::Value> {
    let export = cli.over(store).ok(&["export", "--format", "jsonl", "--all-namespaces"]);
    let line = |line: &str| {
        let mut fields: serde_json::Value = serde_json::from_str(line).unwrap();
        fields.as_object_mut().unwrap().remove("version");
        fields
    };
    export.lines().map(line).collect()
}

/// The environment's store is no argument of a migration, and would hide a mistake.
fn run(cli: &Cli, arguments: &[&str]) -> common::Ran {
    let mut command = cli.command(arguments);
    command.env("XDG_STATE_HOME", cli.path("state"));
    common::run_with_input(&mut command, arguments, b"")
}

#[test]
fn from_file_to_file() {
    let cli = Cli::new();
    cli.run_with_input(&["import", "--format", "jsonl"], LINES.as_bytes()).ok();
    cli.ok(&["-n", "other", "set", "k", "v", "--sliding", "1h"]);
    let ran = run(&cli, &["migrate", "file:data.redb", "file:b.redb", "--dry-run"]);
    assert!(ran.stderr.contains("6 entries with") && ran.stderr.contains("would be copied"), "{}", ran.stderr);
    assert!(ran.stderr.contains("the target is not there yet"), "{}", ran.stderr);
    ran.ok();
    assert!(!cli.path("b.redb").exists());
    let ran = run(&cli, &["migrate", "file:data.redb", "file:b.redb", "--verify"]);
    assert!(ran.stderr.contains("compared: 6 the same, 0 different"), "{}", ran.stderr);
    ran.ok();
    assert_eq!(essence(&cli, "file:b.redb"), essence(&cli, "file:data.redb"), "times and sliding too");
    let left: Vec<_> = fs::read_dir(cli.path("state/dataknobs-kv")).unwrap().collect();
    assert!(left.is_empty(), "no checkpoint is left: {left:?}");

    // Selected; the environment's namespace selects nothing.
    let arguments =
        ["migrate", "file:data.redb", "file:c.redb", "-n", "other", "-n", "default", "-p", "{k,n.*}", "--json"];
    let mut command = cli.command(&arguments);
    command.env("DATAKNOBS_KV_NAMESPACE", "elsewhere").env("XDG_STATE_HOME", cli.path("state"));
    let summary = common::run_with_input(&mut command, &arguments, b"").ok();
    assert_eq!(
        summary,
        "{\"copied\":2,\"bytes\":20,\"same\":0,\"skipped\":0,\"expired\":0,\"failed\":0,\"keeps\":\"all\",\
         \"dry_run\":false,\"interrupted\":false}\n"
    );
    // Through configuration files, which say more than a URL.
    fs::write(cli.path("a.toml"), "backend = 'file'\n[config]\npath = 'data.redb'\n").unwrap();
    fs::write(cli.path("d.json"), r#"{"url":"file:d.redb?durability=relaxed","default_ttl":{"default":5}}"#).unwrap();
    run(&cli, &["migrate", "a.toml", "d.json", "--verify"]).ok();
    assert_eq!(essence(&cli, "file:d.redb"), essence(&cli, "file:data.redb"), "no default ttl is put on what has none");
}

#[test]
fn what_is_there_already_and_what_differs() {
    let cli = Cli::new();
    let fill = |value: &str| cli.ok(&["set", "a", value]);
    fill("1");
    cli.over("file:b.redb").ok(&["set", "a", "2"]);
    let stderr = run(&cli, &["migrate", "file:data.redb", "file:b.redb", "--on-existing", "fail"]).fails(3);
    assert!(stderr.contains("\"a\" in namespace \"default\""), "{stderr}");
    // It left a checkpoint: it could go on once the entry is gone.
    let stderr = run(&cli, &["migrate", "file:data.redb", "file:b.redb", "--on-existing", "fail"]).fails(2);
    assert!(stderr.contains("--resume"), "{stderr}");
    run(&cli, &["migrate", "file:data.redb", "file:b.redb", "--on-existing", "fail", "--restart"]).fails(3);
    cli.over("file:b.redb").ok(&["delete", "a"]);
    run(&cli, &["migrate", "file:data.redb", "file:b.redb", "--on-existing", "fail", "--resume"]).ok();
    fill("3");
    let ran = run(&cli, &["migrate", "file:data.redb", "file:b.redb", "--on-existing", "skip", "--verify", "--json"]);
    assert!(ran.ok().contains(r#""skipped":1"#));
    run(&cli, &["migrate", "file:data.redb", "file:b.redb"]).ok();
    assert_eq!(cli.over("file:b.redb").ok(&["get", "a"]), "3");
}

#[test]
fn wrong_usage() {
    let cli = Cli::new();
    cli.ok(&["set", "a", "1"]);
    for arguments in [
        &["migrate", "file:data.redb", "file:data.redb"] as &[&str],
        &["migrate", "file:data.redb", "file:./data.txt"],
        &["migrate", "file:data.redb", "nowhere.toml"],
        &["migrate", "file:absent.redb", "file:b.redb"],
        &["migrate", "file:data.redb"],
        &["migrate", "file:data.redb", "file:b.redb", "--pattern", "a["],
        &["migrate", "file:data.redb", "file:b.redb", "--rate", "0"],
        &["migrate", "file:data.redb", "file:b.redb", "--verify", "--dry-run"],
        &["migrate", "--store", "file:x.redb", "file:data.redb", "file:b.redb"],
        &["get", "a", "-n", "x", "-n", "y"],
    ] {
        run(&cli, arguments).fails(2);
    }
    let stderr = run(&cli, &["migrate", "file:data.redb", "memory:", "--resume"]).fails(6);
    assert!(stderr.contains("checkpoint"), "{stderr}");
    assert!(!cli.path("absent.redb").exists(), "a source is never created");
}

#[test]
fn services_at_either_end() {
    let cli = Cli::new();
    cli.run_with_input(&["import", "--format", "jsonl"], LINES.as_bytes()).ok();
    let lines: String =
        (0..3000).map(|i| format!("{{\"key\":\"many.{i}\",\"value\":{i},\"metadata\":{{\"i\":{i}}}}}\n")).collect();
    cli.run_with_input(&["import", "--format", "jsonl"], lines.as_bytes()).ok();
    let mut command = cli.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("DATAKNOBS_KV_STORE", "memory:").env("DATAKNOBS_KV_TOKEN", "one");
    let service = Service::spawn(command);
    fs::write(cli.path("one"), "one\n").unwrap();
    run(&cli, &["migrate", "file:data.redb", &service.url]).fails(7);
    let there = ["migrate", "file:data.redb", &service.url, "--token-file", "one", "--verify", "--restart"];
    let ran = run(&cli, &there);
    assert!(ran.stderr.contains("3005 the same, 0 different"), "{}", ran.stderr);
    assert!(ran.stderr.contains("sets created_at"), "{}", ran.stderr);
    ran.ok();
    let back = ["migrate", &service.url, "file:back.redb", "--token-file", "one", "--verify"];
    run(&cli, &back).ok();
    let strip = |store: &str| {
        let mut all = essence(&cli, store);
        for fields in &mut all {
            fields.as_object_mut().unwrap().retain(|name, _| name != "created_at" && name != "updated_at");
        }
        all
    };
    assert_eq!(strip("file:back.redb"), strip("file:data.redb"));

    // From one service to another each has its own token.
    let mut command = cli.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("DATAKNOBS_KV_STORE", "memory:").env("DATAKNOBS_KV_TOKEN", "two");
    let other = Service::spawn(command);
    fs::write(cli.path("two"), "two\n").unwrap();
    let across = ["migrate", &service.url, &other.url, "--token-file", "one", "--pattern", "all.*"];
    run(&cli, &across).fails(7);
    run(&cli, &[&across[..], &["--target-token-file", "two", "--restart"]].concat()).ok();
}

#[test]
fn interrupted_it_leaves_a_checkpoint() {
    let cli = Cli::new();
    let lines: String = (0..4000).map(|i| format!("{{\"key\":\"k{i:04}\",\"value\":{i}}}\n")).collect();
    cli.run_with_input(&["import", "--format", "jsonl"], lines.as_bytes()).ok();
    let job = ["migrate", "file:data.redb", "file:b.redb", "--checkpoint", "checkpoint.json"];
    // So slow that it is not done before it is told to stop.
    let mut child = cli
        .command(&[&job[..], &["--rate", "100"]].concat())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !cli.path("checkpoint.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("--resume"), "{stderr}");
    let ran = run(&cli, &[&job[..], &["--resume", "--verify"]].concat());
    assert!(ran.stderr.contains("going on after"), "{}", ran.stderr);
    assert!(ran.stderr.contains("4000 the same, 0 different"), "{}", ran.stderr);
    ran.ok();
    assert!(!cli.path("checkpoint.json").exists());
}
