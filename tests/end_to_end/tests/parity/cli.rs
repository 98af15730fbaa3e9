//! Through the command line: one command for each line.

use std::path::Path;
use std::process::{Command, Stdio};

use dataknobs_kv_end_to_end::{binary, cache};

use crate::product::START;
use crate::rust::{KEYS, PATTERNS};

/// A shell in a folder of its own, whose `dataknobs-kv` has a store and a clock there.
struct Shell {
    folder: tempfile::TempDir,
    now: u64,
}

/// What a line did.
#[derive(Debug, PartialEq)]
struct Said {
    code: i32,
    out: String,
}

impl Shell {
    fn new() -> Self {
        let shell = Shell { folder: tempfile::tempdir().expect("a folder"), now: START };
        shell.write_clock();
        std::os::unix::fs::symlink(binary(), shell.path().join("dataknobs-kv")).expect("a link");
        shell
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write_clock(&self) {
        std::fs::write(self.path().join("clock"), self.now.to_string()).expect("the clock");
    }

    fn advance(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.write_clock();
    }

    /// Runs a line of shell.
    fn run(&self, line: &str) -> Said {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.path()).stdin(Stdio::null()).env("HOME", self.path());
        shell.env("PATH", format!("{}:/usr/bin:/bin", self.path().display()));
        shell
            .env("XDG_CACHE_HOME", cache())
            .env("DATAKNOBS_KV_STORE", "file:parity.redb")
            .env("DATAKNOBS_KV_CLOCK_FILE", "clock");
        for variable in ["DATAKNOBS_KV_NAMESPACE", "DATAKNOBS_KV_TOKEN", "DATAKNOBS_KV_CONFIG"] {
            shell.env_remove(variable);
        }
        let output = shell.output().expect("a shell");
        let out = String::from_utf8(output.stdout).expect("text").trim_end_matches('\n').to_owned();
        Said { code: output.status.code().unwrap_or(-1), out }
    }

    /// Runs a line that must work, and what it prints.
    fn ok(&self, line: &str) -> String {
        let said = self.run(line);
        assert_eq!(said.code, 0, "{line}: {said:?}");
        said.out
    }
}

#[test]
fn cli_quick_start() {
    let shell = Shell::new();
    shell.ok("dataknobs-kv set app.name MyApplication");
    shell.ok("dataknobs-kv set app.version 1.0.0");
    shell.ok("dataknobs-kv set app.config.debug true --type boolean");

    assert_eq!(shell.ok("dataknobs-kv get app.name"), "MyApplication");
    assert_eq!(shell.ok("dataknobs-kv get app.config.debug"), "true");

    assert_eq!(shell.ok("dataknobs-kv keys 'app.*'"), "app.name\napp.version");
    let all_config = shell.ok("dataknobs-kv keys 'app.config.*' --values --json");
    assert!(all_config.contains("\"app.config.debug\"") && all_config.contains("true"), "{all_config}");

    shell.ok("dataknobs-kv delete app.config.debug");
    assert_eq!(shell.run("dataknobs-kv get app.config.debug").code, 1);
    shell.ok("dataknobs-kv set app.temp.a 1");
    assert_eq!(shell.ok("dataknobs-kv delete --pattern 'app.temp.*'"), "1");
}

#[test]
fn cli_hierarchical_keys() {
    let shell = Shell::new();
    shell.ok("dataknobs-kv set users.123.name 'John Doe'");
    shell.ok("dataknobs-kv set users.123.email john@example.com");
    shell.ok("dataknobs-kv set users.123.settings.theme dark");
    shell.ok("dataknobs-kv set users.123.settings.notifications true --type boolean");

    assert_eq!(shell.ok("dataknobs-kv keys 'users.123.*'"), "users.123.email\nusers.123.name");
    assert_eq!(shell.ok("dataknobs-kv count 'users.123.**'"), "4");
    let settings = "users.123.settings.notifications\nusers.123.settings.theme";
    assert_eq!(shell.ok("dataknobs-kv keys 'users.123.settings.*'"), settings);
    let tree = shell.ok("dataknobs-kv tree users.123");
    assert_eq!(tree, "email\nname\nsettings\n├── notifications\n└── theme");
    assert_eq!(shell.ok("dataknobs-kv delete --pattern 'users.123.**'"), "4");
}

#[test]
fn cli_pattern_matching() {
    let shell = Shell::new();
    let lines: Vec<String> = KEYS.iter().map(|key| format!("dataknobs-kv set '{key}' 1")).collect();
    shell.ok(&lines.join(" && "));
    for (pattern, expected) in PATTERNS {
        assert_eq!(shell.ok(&format!("dataknobs-kv keys '{pattern}'")), expected.join("\n"), "{pattern}");
    }
}

#[test]
fn cli_metadata() {
    let mut shell = Shell::new();
    std::fs::write(shell.path().join("report.pdf"), b"%PDF-1.7 \x00\xff").expect("a file");
    let metadata =
        r#"{"content_type":"application/pdf","author":"John Doe","tags":["quarterly","finance"],"ttl":86400}"#;
    shell.ok(&format!("dataknobs-kv set document.report.pdf --file report.pdf --metadata '{metadata}'"));

    let read: serde_json::Value =
        serde_json::from_str(&shell.ok("dataknobs-kv meta get document.report.pdf")).expect("JSON");
    assert_eq!(read["author"], "John Doe");
    assert_eq!(read["tags"], serde_json::json!(["quarterly", "finance"]));
    let system = shell.ok("dataknobs-kv meta get document.report.pdf --json");
    assert!(system.contains("\"application/pdf\""), "{system}");

    shell.ok(r#"dataknobs-kv meta set document.report.pdf '{"reviewed":true,"reviewer":"Jane Smith"}'"#);
    let read = shell.ok("dataknobs-kv meta get document.report.pdf");
    assert!(read.contains("John Doe") && read.contains("Jane Smith"), "{read}");
    shell.ok("dataknobs-kv get document.report.pdf > back.pdf && cmp report.pdf back.pdf");
    let found = shell.ok(r#"dataknobs-kv keys --where '{"author":"John Doe"}'"#);
    assert_eq!(found, "document.report.pdf");
    shell.advance(86_400_000);
    assert_eq!(shell.run("dataknobs-kv meta get document.report.pdf").code, 1);
}

#[test]
fn cli_ttl_and_expiration() {
    let mut shell = Shell::new();
    shell.ok("dataknobs-kv set session.abc123 'session data' --ttl 3600");
    shell.ok("dataknobs-kv set cache.results results --ttl 300");
    assert_eq!(shell.ok("dataknobs-kv ttl cache.results"), "300");
    shell.ok("dataknobs-kv exists session.abc123");

    shell.advance(300_000);
    assert_eq!(shell.run("dataknobs-kv exists cache.results").code, 1);
    assert_eq!(shell.run("dataknobs-kv get cache.results").code, 1);
    assert_eq!(shell.ok("dataknobs-kv keys"), "session.abc123");
    assert_eq!(shell.ok("dataknobs-kv cleanup"), "1");

    shell.ok("dataknobs-kv persist session.abc123");
    assert_eq!(shell.ok("dataknobs-kv ttl session.abc123"), "never");
    shell.ok("dataknobs-kv touch session.abc123 1s");
    shell.advance(1000);
    assert_eq!(shell.run("dataknobs-kv exists session.abc123").code, 1);
}

#[test]
fn cli_atomic_operations() {
    let shell = Shell::new();
    shell.ok("dataknobs-kv set version 1.0.0");
    shell.ok("dataknobs-kv cas version 1.0.0 1.1.0");
    assert_eq!(shell.run("dataknobs-kv cas version 1.0.0 2.0.0").code, 3);
    assert_eq!(shell.ok("dataknobs-kv get version"), "1.1.0");

    assert_eq!(shell.ok("dataknobs-kv incr stats.page_views"), "1");
    assert_eq!(shell.ok("dataknobs-kv incr stats.page_views"), "2");
    assert_eq!(shell.ok("dataknobs-kv incr inventory.item_123 --by -1"), "-1");

    shell.ok("printf '\\n2024-01-15 10:30 User login' | dataknobs-kv append logs.access -");
    shell.ok("printf '\\n2024-01-15 10:31 User logout' | dataknobs-kv append logs.access -");
    let log = "\n2024-01-15 10:30 User login\n2024-01-15 10:31 User logout";
    assert_eq!(shell.ok("dataknobs-kv get logs.access"), log);
    shell.ok("dataknobs-kv set notes 'Call Jane'");
    assert_eq!(shell.ok("dataknobs-kv append notes ', Remember to update docs'"), "34");
}

#[test]
fn cli_batches() {
    let shell = Shell::new();
    let config = r#"{"host":"localhost","port":8080,"ssl":true,"timeout":30}"#;
    shell.ok(&format!("echo '{config}' | dataknobs-kv import --format json --prefix config -"));
    let values = shell.ok("dataknobs-kv get config.host config.port config.ssl --json");
    assert_eq!(values.lines().count(), 3, "{values}");
    assert!(values.contains("\"localhost\"") && values.contains("8080"), "{values}");

    shell.ok("dataknobs-kv set temp.file1 1 && dataknobs-kv set cache.old 1");
    assert_eq!(shell.run("dataknobs-kv delete temp.file1 temp.file2 cache.old").code, 1, "one was not there");
    assert_eq!(shell.ok("dataknobs-kv count 'config.*'"), "4");
    assert_eq!(shell.ok("dataknobs-kv count"), "4");
}

#[test]
fn cli_namespaces() {
    let shell = Shell::new();
    shell.ok(r#"dataknobs-kv --namespace user_data set settings '{"theme": "dark"}' --type json"#);
    shell.ok(r#"dataknobs-kv --namespace system set settings '{"debug": true}' --type json"#);
    assert_eq!(shell.ok("dataknobs-kv --namespace user_data get settings"), r#"{"theme": "dark"}"#);
    assert_eq!(shell.ok("dataknobs-kv --namespace system get settings"), r#"{"debug": true}"#);
    assert_eq!(shell.ok("dataknobs-kv namespaces"), "system\nuser_data");
    shell.ok("dataknobs-kv namespaces drop system --yes");
    assert_eq!(shell.run("dataknobs-kv --namespace system get settings").code, 1);
    shell.ok("dataknobs-kv --namespace user_data exists settings");
}

/// From one file into another, with types, metadata and expiry.
#[test]
fn cli_migration() {
    let shell = Shell::new();
    shell.ok(r#"dataknobs-kv set a.text x --ttl 1h --metadata '{"by": "Jane"}'"#);
    shell.ok("dataknobs-kv set a.count 7 --type integer");
    shell.ok("dataknobs-kv export --format jsonl > all.jsonl");
    shell.ok("dataknobs-kv --store file:other.redb import --format jsonl all.jsonl");
    shell.ok("dataknobs-kv --store file:other.redb export --format jsonl > again.jsonl");
    // A version names one state in one store: it is new there.
    let lines = |file: &str| {
        let text = std::fs::read_to_string(shell.path().join(file)).expect("an export");
        let line = |line: &str| {
            let mut entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let version = entry.as_object_mut().expect("an object").remove("version");
            assert!(version.is_some_and(|version| version.is_string()), "{line}");
            entry
        };
        text.lines().map(line).collect::<Vec<_>>()
    };
    assert_eq!(lines("all.jsonl").len(), 2);
    assert_eq!(lines("again.jsonl"), lines("all.jsonl"));
    assert_eq!(shell.ok("dataknobs-kv --store file:other.redb ttl a.text"), "3600");
}
