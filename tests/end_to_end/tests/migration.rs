//! Entries go from store to store by the real command, which is killed once on the way, and arrive as they were.
//!
//! Each backend by itself, and one trip through all of them. A backend whose server is not there is ignored with the reason.
//!
//! `KV_TEST_ROUND_TRIP=100000 cargo xtask test -p dataknobs-kv-end-to-end --test migration -- through_all` has as many
//! entries go through all of them, which takes minutes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dataknobs_kv::{
    Config, Entry, Expiry, Item, KvStore, Location, MigrateOptions, SetOptions, Timestamp, Value, json, migrate,
};
use dataknobs_kv_services::{Missing, shared};
use futures::TryStreamExt;
use libtest_mimic::{Arguments, Trial};

/// A store that is no file of the test's own.
#[derive(Clone, Copy)]
struct Backend {
    name: &'static str,
    service: &'static str,
    /// How many entries go there in a time that a test may take: one object is one request, one document a good part of
    /// a bulk request.
    entries: usize,
}

const BACKENDS: &[Backend] = &[
    Backend { name: "postgres", service: "postgres", entries: 100_000 },
    Backend { name: "redis", service: "redis", entries: 100_000 },
    Backend { name: "s3", service: "s3-seaweedfs", entries: 2_000 },
    Backend { name: "elasticsearch", service: "elasticsearch", entries: 20_000 },
];

/// For the trip through all of them, where nothing else is set.
const ROUND_TRIP: usize = 2_000;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        Trial::test("migration::redb", || {
            local("there.redb");
            Ok(())
        }),
        trial("migration::json_gz", known("file:x.json.gz").map(|()| Vec::new()), |_| local("there.json.gz")),
    ];
    for backend in BACKENDS {
        let trip = move |urls: Vec<String>| trip(backend.entries, &urls);
        trials.push(trial(&format!("migration::{}", backend.name), url(backend).map(|url| vec![url]), trip));
    }
    let all: Result<Vec<String>, Missing> = BACKENDS.iter().map(url).collect();
    let all = all.and_then(|urls| known("file:x.json.gz").map(|()| urls));
    trials.push(trial("migration::through_all", all, |mut urls| {
        urls.push("file:last.json.gz".into());
        let set = std::env::var("KV_TEST_ROUND_TRIP").ok();
        trip(set.map_or(ROUND_TRIP, |count| count.parse().expect("KV_TEST_ROUND_TRIP: a number")), &urls);
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, urls: Result<Vec<String>, Missing>, run: impl FnOnce(Vec<String>) + Send + 'static) -> Trial {
    match urls {
        Ok(urls) => Trial::test(name, move || {
            run(urls);
            Ok(())
        }),
        Err(missing) => missing.trial(name),
    }
}

/// The store on the backend's server.
fn url(backend: &Backend) -> Result<String, Missing> {
    let url = shared(backend.service)?;
    known(&url).map(|()| url)
}

/// Whether this build opens it.
fn known(url: &str) -> Result<(), Missing> {
    match Location::parse(url) {
        Err(error) if error.code() == "unsupported" => Err(Missing { reason: error.message(), required: false }),
        _ => Ok(()),
    }
}

/// There and back, with a hundred thousand entries.
fn local(file: &str) {
    trip(100_000, &[format!("file:{file}")]);
}

/// Memory → redb → each of these → redb, and all is as it was. The first of them is where the command is killed.
fn trip(count: usize, urls: &[String]) {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let run = format!("{:016x}", rand::random::<u64>());
    let names = [format!("m-{run}"), format!("m-{run}/é.{{}}"), format!("m-{run} \u{1f600}")];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let first = format!("file:{}/first.redb", folder.display());
    let (before, now) = runtime.block_on(async {
        let memory = KvStore::open("memory:").await.unwrap();
        fill(&memory, &names, count).await;
        let redb = KvStore::open(&first).await.unwrap();
        let report = migrate(&memory, &redb, MigrateOptions::default().verify(true)).await.unwrap();
        assert!(report.is_complete() && report.counts.copied == count as u64, "{report:?}");
        (contents(&memory, &names).await, memory.clock().now())
    });

    let mut stops = vec![first];
    stops.extend_from_slice(urls);
    stops.push("file:back.redb".into());
    let mut slides = true;
    for (leg, pair) in stops.windows(2).enumerate() {
        let [source, target] = pair else { continue };
        migrate_by_command(folder, source, target, &names, count, leg == 0);
        slides &= runtime.block_on(async {
            // Only the last one may not be there for others.
            let config = Config::from_url(&absolute(folder, target)).unwrap();
            KvStore::open_with(config).await.unwrap().capabilities().await.unwrap().sliding
        });
    }
    let after = runtime.block_on(async {
        let back = KvStore::open(&absolute(folder, "file:back.redb")).await.unwrap();
        contents(&back, &names).await
    });
    assert_eq!(before.len(), after.len());
    for ((name, mut entry), (there, found)) in before.into_iter().zip(after) {
        if !slides && let Some(state) = &mut entry.state {
            state.attributes.sliding_ms = None;
        }
        assert!(name == there && entry == found, "{name:?} {:?}: {entry:?} {found:?} (at {now})", entry.key);
    }
    for url in urls.iter().filter(|url| !url.starts_with("file:")) {
        for name in &names {
            let mut command = command(folder);
            command.args(["--store", url, "namespaces", "drop", name, "--yes"]);
            assert!(command.output().expect("it runs").status.success());
        }
    }
}

fn absolute(folder: &Path, url: &str) -> String {
    match url.strip_prefix("file:") {
        Some(path) if !path.starts_with('/') => format!("file:{}/{path}", folder.display()),
        _ => url.to_owned(),
    }
}

fn command(folder: &Path) -> Command {
    let mut command = dataknobs_kv_end_to_end::command();
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn migrate_by_command(folder: &Path, source: &str, target: &str, names: &[String], count: usize, kill: bool) {
    let job = || {
        let mut command = command(folder);
        command.args(["migrate", source, target, "--fix-sliding", "--checkpoint", "checkpoint.json", "--resume"]);
        for name in names {
            command.args(["--namespace", name]);
        }
        command
    };
    if kill {
        kill_half_way(folder, job(), count);
    }
    let output = job().arg("--verify").output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{source} to {target}: {stderr}");
    assert!(stderr.contains(&format!("compared: {count} the same, 0 different")), "{stderr}");
    assert_eq!(stderr.contains("going on after"), kill, "{stderr}");
    assert!(!folder.join("checkpoint.json").exists());
}

/// Kills it (SIGKILL) when a fourth or more is there, and some is not.
fn kill_half_way(folder: &Path, mut job: Command, count: usize) {
    let path = folder.join("checkpoint.json");
    let copied = || -> Option<u64> {
        let text = std::fs::read_to_string(&path).ok()?;
        serde_json::from_str::<serde_json::Value>(&text).ok()?["progress"]["counts"]["copied"].as_u64()
    };
    let rate = (count / 12).max(1).to_string();
    let mut child = job.args(["--rate", &rate]).spawn().expect("it starts");
    while copied().is_none_or(|copied| copied < count as u64 / 4) {
        assert!(child.try_wait().expect("its state").is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let copied = copied().expect("a checkpoint");
    assert!(copied < count as u64, "it was done already");
}

/// Types, metadata, content types, expiries to the millisecond, sliding ones, odd keys.
async fn fill(store: &KvStore, names: &[String], count: usize) {
    let now = store.clock().now();
    for (space, name) in names.iter().enumerate() {
        let items = (space..count).step_by(names.len()).map(|index| item(index, now)).collect();
        store.namespace(name).unwrap().set_items(items).await.unwrap().all().unwrap();
    }
}

fn item(index: usize, now: Timestamp) -> Item {
    let day = 86_400_000;
    let value = match index % 9 {
        0 => format!("text {index} é\u{0}\n").into(),
        1 => Value::Bytes(index.to_be_bytes().into()),
        2 => Value::Integer(i64::MIN + index as i64),
        3 => Value::Number(index as f64 / -7.0),
        4 => (index.is_multiple_of(2)).into(),
        5 => Value::Null,
        6 => Value::Json(format!(r#"{{"b": {index},  "a":[1.0, 1e3, "\u00e9"]}}"#)),
        7 => Value::Custom { type_name: "point 2".into(), bytes: vec![0, 255, index as u8] },
        _ => String::new().into(),
    };
    let odd = ["plain", "a b", "a*?", r"a\.b\\c", "A/b//c", "\u{ffff}", "\u{10000}", "{x,y}[!a]", "é", "e\u{301}"];
    let key = format!("{}.{}.{index}", odd[index % odd.len()], index % 100);
    let options = SetOptions {
        expiry: match index % 16 {
            0 | 4 | 8 => Expiry::At(now + day + index as u64),
            12 => Expiry::Sliding(2 * day + index as u64),
            _ => Expiry::Never,
        },
        content_type: (index.is_multiple_of(5)).then(|| "text/x-odd; a=\"b\"".into()),
        metadata: (index.is_multiple_of(3)).then(|| {
            json!({"i": index, "tags": ["x", {"y": null}], "f": 0.1, "ttl": 5, "content_type": "a/b", "é \"": "\u{1f600}"})
                .to_string()
        }),
        ..SetOptions::default()
    };
    Item { key, value, options }
}

/// All but the versions, which are each store's own.
async fn contents(store: &KvStore, names: &[String]) -> Vec<(String, Entry)> {
    let mut all = Vec::new();
    for name in names {
        let mut entries = store.namespace(name).unwrap().entries("**").with_values().stream();
        while let Some(mut entry) = entries.try_next().await.unwrap() {
            if let Some(state) = &mut entry.state {
                state.version = dataknobs_kv::Version::from_random(0);
            }
            all.push((name.clone(), entry));
        }
    }
    all
}
