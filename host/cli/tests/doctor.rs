//! `doctor`: a healthy store, and each way in which one is not.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Cli, Service};

fn findings(json: &str) -> Vec<(String, String)> {
    let report: serde_json::Value = serde_json::from_str(json).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|f| (text(&f["severity"]), text(&f["what"]) + " / " + &text(&f["advice"]))).collect()
}

#[test]
fn a_healthy_file() {
    let cli = Cli::new();
    cli.ok(&["set", "mine", "1"]);
    fs::set_permissions(cli.path("data.redb"), fs::Permissions::from_mode(0o600)).unwrap();
    let said = cli.ok(&["doctor"]);
    for part in [
        "store         file:/",
        "can           durable, not shared between processes, atomic writes of up to 1000 keys, sliding expiry\n",
        "tried         set, get, compare-and-swap, list, expire, transact, delete, clear\n",
        "takes         get ",
        "\nhealthy\n",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("warning"), "{said}");
    assert_eq!(cli.ok(&["namespaces"]), "default\n", "nothing is left behind");
    let json = cli.ok(&["doctor", "--json"]);
    assert!(json.contains(r#""healthy":true"#) && json.contains(r#""max_atomic":1000"#), "{json}");
    fs::set_permissions(cli.path("data.redb"), fs::Permissions::from_mode(0o644)).unwrap();
    let warned = findings(&cli.over("file:data.redb?durability=relaxed").ok(&["doctor", "--json"]));
    assert!(warned.iter().any(|(severity, text)| severity == "warning" && text.contains("relaxed")), "{warned:?}");
    assert!(warned.iter().any(|(severity, text)| severity == "warning" && text.contains("chmod 600")), "{warned:?}");
    assert!(cli.over("memory:").ok(&["doctor"]).contains("note          what is in memory ends"));
}

#[test]
fn what_is_wrong_with_a_file() {
    let cli = Cli::new();
    let said = cli.run(&["doctor"]);
    let text = String::from_utf8(said.stdout.clone()).unwrap();
    assert!(text.contains("does not exist") && text.contains("any command that writes creates the file"), "{text}");
    assert!(text.ends_with("not healthy\n"), "{text}");
    said.fails(2);
    assert!(!cli.path("data.redb").exists(), "it makes nothing");

    fs::write(cli.path("diary.redb"), "dear diary").unwrap();
    let said = cli.over("file:diary.redb").run(&["doctor"]);
    assert!(String::from_utf8_lossy(&said.stdout).contains("name another place"), "{:?}", said.stdout);
    said.fails(10);

    let service = Service::start(&cli, &[]);
    let said = cli.run(&["doctor"]);
    assert!(String::from_utf8_lossy(&said.stdout).contains("--store http://HOST:PORT"));
    said.fails(8);
    assert!(cli.over(&service.url).ok(&["doctor"]).ends_with("healthy\n"));
    drop(service);
    let said = cli.over("mongodb://me:hunter2@host").run(&["doctor"]);
    assert!(!String::from_utf8_lossy(&said.stdout).contains("hunter2") && !said.stderr.contains("hunter2"));
    said.fails(6);
}

#[test]
fn what_is_wrong_with_a_service() {
    let cli = Cli::new();
    let said = cli.over("http://127.0.0.1:1").run(&["doctor", "--json"]);
    let found = findings(&String::from_utf8(said.stdout.clone()).unwrap());
    assert!(found[0].0 == "problem" && found[0].1.contains("nothing listens at that address"), "{found:?}");
    said.fails(8);

    let mut command = cli.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("DATAKNOBS_KV_STORE", "memory:").env("DATAKNOBS_KV_TOKEN", "secret");
    let service = Service::spawn(command);
    let said = cli.over(&service.url).run(&["doctor"]);
    assert!(String::from_utf8_lossy(&said.stdout).contains("--token-file FILE"), "{:?}", said.stdout);
    said.fails(7);
    drop(service);

    // A service whose clock goes wrong: what it dates is compared with the time here.
    fs::write(cli.path("clock"), "1700000000000").unwrap();
    let mut command = cli.command(&["serve", "--listen", "127.0.0.1:0", "--clock-file", "clock"]);
    command.env("DATAKNOBS_KV_STORE", "memory:");
    let service = Service::spawn(command);
    let said = cli.over(&service.url).run(&["doctor"]);
    let text = String::from_utf8(said.stdout.clone()).unwrap();
    assert!(text.contains("behind this machine's") && text.contains("NTP"), "{text}");
    assert!(text.contains("is still there after 5 s"), "its clock stands still: {text}");
    said.fails(11);
}
