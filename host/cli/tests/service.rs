//! `serve`, and the other commands against a running service.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Cli, Service};

#[test]
fn commands_work_on_a_service() {
    let cli = Cli::new();
    let mut service = Service::start(&cli, &[]);
    let remote = cli.over(&service.url);
    remote.ok(&["set", "a.b", "value", "--ttl", "1h", "--metadata", r#"{"x":1}"#]);
    assert_eq!(remote.ok(&["get", "a.b"]), "value");
    assert_eq!(remote.ok(&["incr", "n", "--by", "5"]), "5\n");
    assert_eq!(remote.ok(&["keys"]), "a.b\nn\n");
    assert_eq!(remote.ok(&["tree"]), "a\n└── b\nn\n");
    assert_eq!(remote.ok(&["meta", "get", "a.b"]), "{\"x\":1}\n");
    assert_eq!(remote.run(&["get", "nothing"]).code, 1);
    assert_eq!(remote.run(&["incr", "a.b"]).code, 4);
    assert_eq!(remote.ok(&["namespaces"]), "default\n");
    assert!(remote.ok(&["export", "-f", "jsonl"]).contains(r#""key":"a.b""#));
    assert_eq!(remote.ok(&["delete", "-p", "**"]), "2\n");

    // The file is the service's until it ends.
    let stderr = cli.fails(8, &["keys"]);
    assert!(stderr.contains("unavailable") && stderr.contains("another process"), "{stderr}");
    remote.ok(&["set", "kept", "yes"]);
    assert_eq!(service.terminate(), Some(0));
    assert_eq!(cli.ok(&["get", "kept"]), "yes");
    assert_eq!(cli.over(&service.url).run(&["keys"]).code, 8);
}

#[test]
fn a_token_opens_the_service() {
    let cli = Cli::new();
    fs::write(cli.path("token"), "# ours\nhunter2\n").unwrap();
    let service = Service::start(&cli, &["--token-file", "token"]);
    let remote = cli.over(&service.url);
    let refused = remote.run(&["keys"]);
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    remote.ok(&["--token-file", "token", "set", "a", "b"]);
    let mut command = cli.command(&["get", "a"]);
    let out = command.env("DATAKNOBS_KV_STORE", &service.url).env("DATAKNOBS_KV_TOKEN", "hunter2").output().unwrap();
    assert_eq!(out.stdout, b"b");
    let mut command = cli.command(&["get", "a"]);
    let out = command.env("DATAKNOBS_KV_STORE", &service.url).env("DATAKNOBS_KV_TOKEN", "hunter3").output().unwrap();
    assert_eq!(out.status.code(), Some(7));
    assert!(!String::from_utf8_lossy(&out.stderr).contains("hunter3"));
}

#[test]
fn refusals() {
    let cli = Cli::new();
    let stderr = cli.fails(2, &["serve", "--listen", "0.0.0.0:0"]);
    assert!(stderr.contains("token"), "{stderr}");
    cli.fails(2, &["serve", "--listen", "nonsense"]);
    cli.fails(2, &["--store", "http://127.0.0.1:1", "serve"]);
    cli.fails(6, &["--store", "mysql://me:hunter2@host/db", "keys"]);
    cli.fails(2, &["--store", "nonsense", "keys"]);
    let service = Service::start(&cli, &[]);
    let taken = service.url.strip_prefix("http://").unwrap();
    let stderr = cli.run(&["--store", "memory:", "serve", "--listen", taken]).fails(8);
    assert!(stderr.contains("unavailable"), "{stderr}");
}

#[test]
fn automatic_cleanup() {
    let cli = Cli::new();
    fs::write(cli.path("clock"), "1000").unwrap();
    let service = Service::start(&cli, &["--clock-file", "clock", "--cleanup-interval", "100ms"]);
    let remote = cli.over(&service.url);
    remote.ok(&["set", "a", "b", "--ttl", "1"]);
    fs::write(cli.path("clock"), "5000").unwrap();
    assert_eq!(remote.run(&["get", "a"]).code, 1);
    // A namespace that holds only what has expired is named until it is cleaned up.
    let mut rounds = 0;
    while !remote.ok(&["namespaces"]).is_empty() {
        rounds += 1;
        assert!(rounds < 500, "cleanup never came");
    }
}

#[test]
fn a_configuration_file() {
    let cli = Cli::new();
    fs::write(
        cli.path("kv.toml"),
        "backend = \"file\"\nnamespace = \"cache\"\n[config]\npath = \"other.redb\"\n[default_ttl]\ncache = 300\n",
    )
    .unwrap();
    let run = |arguments: &[&str]| {
        let mut command = cli.command(arguments);
        command.env_remove("DATAKNOBS_KV_STORE").env("DATAKNOBS_KV_CONFIG", "kv.toml").output().unwrap()
    };
    assert!(run(&["set", "a", "b"]).status.success());
    let seconds: f64 = String::from_utf8(run(&["ttl", "a"]).stdout).unwrap().trim().parse().unwrap();
    assert!(seconds > 0.0 && seconds <= 300.0);
    assert_eq!(run(&["namespaces"]).stdout, b"cache\n");
    assert!(cli.path("other.redb").exists());
    // The command line goes before the environment.
    let mut command = cli.command(&["--config", "kv.toml", "namespaces"]);
    assert_eq!(command.output().unwrap().stdout, b"cache\n");
    let mut command = cli.command(&["namespaces", "--store", "memory:"]);
    command.env_remove("DATAKNOBS_KV_STORE").env("DATAKNOBS_KV_CONFIG", "kv.toml");
    assert_eq!(command.output().unwrap().stdout, b"");
    cli.fails(2, &["--config", "kv.toml", "--store", "memory:", "keys"]);
    let both = cli.command(&["keys"]).env("DATAKNOBS_KV_CONFIG", "kv.toml").output().unwrap();
    assert_eq!(both.status.code(), Some(2));
    fs::write(cli.path("kv.toml"), "backend = \"redis\"\nretry = 0.1\n[config]\nport = 1\npassword = \"hunter2\"\n")
        .unwrap();
    let out = run(&["keys"]);
    assert_eq!(out.status.code(), Some(8));
    assert!(!String::from_utf8_lossy(&out.stderr).contains("hunter2"));
}

#[test]
fn the_default_store_is_private() {
    let cli = Cli::new();
    let run = |arguments: &[&str]| {
        let mut command = cli.command(arguments);
        command.env_remove("DATAKNOBS_KV_STORE").env("XDG_DATA_HOME", cli.path("share")).output().unwrap()
    };
    assert!(run(&["set", "a", "b"]).status.success());
    assert_eq!(run(&["get", "a"]).stdout, b"b");
    let folder = cli.path("share").join("dataknobs-kv");
    assert!(folder.join("data.redb").exists());
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn usage() {
    let cli = Cli::new();
    cli.fails(2, &["frobnicate"]);
    cli.fails(2, &["keys", "--frobnicate"]);
    cli.fails(2, &[]);
    assert!(cli.ok(&["--help"]).contains("Exit codes"));
    assert!(cli.ok(&["--version"]).starts_with("dataknobs-kv "));
    assert!(cli.ok(&["completions", "bash"]).contains("dataknobs-kv"));
    assert!(cli.ok(&["capabilities"]).contains("durable             true"));
    assert!(cli.ok(&["capabilities", "--json"]).contains("\"durable\":true"));
    let stderr = cli.fails(1, &["get", "nothing", "--json"]);
    assert_eq!(stderr, "{\"code\":\"absent\",\"message\":\"there is no entry \\\"nothing\\\"\"}\n");
}

/// A file that is not ours, or damaged, is refused and left as it is.
#[test]
fn bad_files() {
    let cli = Cli::new();
    let path = cli.path("data.redb");
    fs::write(&path, "not a database, but long enough to be looked at".repeat(1000)).unwrap();
    let before = fs::read(&path).unwrap();
    let ran = cli.run(&["keys"]);
    assert!(matches!(ran.code, 2 | 10), "{}: {}", ran.code, ran.stderr);
    assert_eq!(fs::read(&path).unwrap(), before);
}
