//! Many entries at a time: patterns, tree, counts, namespaces.

mod common;

use std::io::Read;
use std::process::Stdio;

use common::Cli;

fn filled() -> Cli {
    let cli = Cli::new();
    let document = br#"{"app":{"name":"x","config":{"debug":true,"port":8080}},"users":{"1":{"name":"Jane"},"2":{"name":"John"}},"a.b":1}"#;
    cli.run_with_input(&["import", "--format", "json"], document).ok();
    cli
}

#[test]
fn patterns() {
    let cli = filled();
    assert_eq!(cli.ok(&["keys", "users.*.name"]), "users.1.name\nusers.2.name\n");
    assert_eq!(cli.ok(&["keys", "**.{debug,port}"]), "app.config.debug\napp.config.port\n");
    assert_eq!(cli.ok(&["keys", r"a\.b"]), "a\\.b\n");
    assert_eq!(cli.ok(&["keys", "nothing.**"]), "");
    assert_eq!(cli.ok(&["keys", "--limit", "2"]), "a\\.b\napp.config.debug\n");
    assert_eq!(cli.ok(&["keys", "--limit", "0"]), "");
    assert_eq!(cli.ok(&["count"]), "6\n");
    assert_eq!(cli.ok(&["count", "app.**", "--json"]), "{\"count\":3}\n");
    assert_eq!(cli.ok(&["keys", "app.name", "--json"]), "{\"key\":\"app.name\"}\n");
    assert!(cli.ok(&["keys", "app.name", "--json", "--values"]).contains(r#""value":"x""#));
    assert_eq!(cli.ok(&["delete", "--pattern", "users.**"]), "2\n");
    assert_eq!(cli.ok(&["delete", "--pattern", "users.**", "--json"]), "{\"deleted\":0}\n");
    cli.fails(2, &["delete"]);
    cli.fails(2, &["delete", "a", "--pattern", "b"]);
}

#[test]
fn several_keys() {
    let cli = filled();
    let lines = cli.run(&["get", "--json", "app.name", "nothing"]);
    assert_eq!(lines.code, 1);
    let stdout = String::from_utf8(lines.stdout).unwrap();
    assert_eq!(stdout.lines().count(), 2);
    assert!(stdout.ends_with("{\"key\":\"nothing\"}\n"));
    cli.fails(2, &["get", "app.name", "users.1.name"]);
    cli.fails(1, &["delete", "users.1.name", "nothing"]);
    cli.fails(1, &["exists", "users.1.name"]);
    cli.ok(&["delete", "users.2.name", "app.name"]);
}

#[test]
fn tree() {
    let cli = filled();
    cli.ok(&["set", "users.1", "both"]);
    assert_eq!(
        cli.ok(&["tree"]),
        "a.b\napp\n├── config\n│   ├── debug\n│   └── port\n└── name\nusers\n├── 1 *\n│   └── name\n└── 2\n    └── name\n"
    );
    assert_eq!(cli.ok(&["tree", "--depth", "1", "--counts"]), "a.b\napp (3)\nusers (3)\n");
    assert_eq!(cli.ok(&["tree", "app.config"]), "debug\nport\n");
    assert!(
        cli.ok(&["tree", "app", "--json"]).starts_with(r#"{"segment":"config","key":"app.config","is_entry":false"#)
    );
    cli.fails(2, &["tree", "app."]);
}

#[test]
fn namespaces_are_apart() {
    let cli = Cli::new();
    cli.ok(&["-n", "user_data", "set", "settings", "dark"]);
    cli.ok(&["-n", "system", "set", "settings", "debug"]);
    assert_eq!(cli.ok(&["-n", "user_data", "get", "settings"]), "dark");
    assert_eq!(cli.ok(&["namespaces"]), "system\nuser_data\n");
    assert_eq!(cli.ok(&["namespaces", "--json"]), "\"system\"\n\"user_data\"\n");
    cli.fails(1, &["get", "settings"]);
    cli.fails(2, &["namespaces", "drop", "system"]);
    cli.ok(&["namespaces", "drop", "system", "--yes"]);
    assert_eq!(cli.ok(&["namespaces"]), "user_data\n");
    let mut command = cli.command(&["get", "settings"]);
    let out = command.env("DATAKNOBS_KV_NAMESPACE", "user_data").output().unwrap();
    assert_eq!(out.stdout, b"dark");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let cli = Cli::new();
    let lines: String =
        (0..20_000).map(|i| format!("{{\"key\":\"some.rather.long.key.{i:06}\",\"value\":{i}}}\n")).collect();
    cli.run_with_input(&["import", "--format", "jsonl"], lines.as_bytes()).ok();
    for arguments in [&["keys"][..], &["export", "--format", "jsonl"], &["tree"], &["get", "some"]] {
        let mut child = cli.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 10];
        let _ = child.stdout.take().unwrap().read(&mut first).unwrap();
        let out = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(out.stderr).unwrap();
        if arguments[0] != "get" {
            assert_eq!((out.status.code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
        }
    }
}
