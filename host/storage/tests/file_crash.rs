//! Death without warning: every write that was acknowledged is there afterwards, and none is there by half.
//!
//! This program is also the process that is killed.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::*;
use dataknobs_kv_core::storage::Outcome;
use dataknobs_kv_core::{Projection, Storage};
use dataknobs_kv_storage::OpenOptions;

const ROUNDS: u64 = 12;
const TASKS: usize = 8;
const URL_VARIABLE: &str = "DATAKNOBS_KV_CRASH_TEST_URL";

/// Files, by name, with options. A small journal is folded into the snapshot all the time.
const FILES: [(&str, &str, &str); 4] = [
    ("redb", "data.redb", ""),
    ("json", "data.json", "?journal_size=1024"),
    ("json_gz", "data.json.gz", "?journal_size=1024"),
    // The process dies and not the machine: what was written stays.
    ("json_relaxed", "data.json", "?journal_size=1024&durability=relaxed"),
];

fn main() {
    if let Ok(url) = std::env::var(URL_VARIABLE) {
        return child(&url);
    }
    let arguments = libtest_mimic::Arguments::from_args();
    let test = |(form, file, options): (&'static str, &'static str, &'static str)| {
        libtest_mimic::Trial::test(format!("acknowledged_writes_survive_a_kill_{form}"), move || {
            acknowledged_writes_survive_a_kill(file, options);
            Ok(())
        })
    };
    libtest_mimic::run(&arguments, FILES.into_iter().map(test).collect()).exit();
}

/// Writes, one task beside the other, and says on stdout what was acknowledged, until it is killed.
fn child(url: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let storage = open_url(url).await;
        say("open");
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let storage = storage.clone();
                tokio::spawn(async move { write_for_ever(&*storage, task).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ack {line}").unwrap();
    out.flush().unwrap();
}

/// Counts up: a guarded change of a counter and of its twin in one atomic write, with a value that moves between short
/// and long, and a key that is created and deleted in turns.
async fn write_for_ever(storage: &dyn Storage, task: usize) {
    let (counter, twin, flag) = (format!("counter.{task}"), format!("twin.{task}"), format!("flag.{task}"));
    let mut state = get(storage, &counter, 1).await;
    loop {
        let count = state.as_ref().map_or(0, |state| count_of(state.value.as_ref().unwrap())) + 1;
        let value = value_of(count);
        let next = put(&counter, &value);
        let next = match &state {
            Some(state) => next.if_version(&state.version),
            None => next.if_absent(),
        };
        let flag = if count % 2 == 1 { put(&flag, b"odd") } else { delete(&flag) };
        let results = storage.write(NS, vec![next, put(&twin, &value), flag], true, 1, Projection::Key).await.unwrap();
        assert!(matches!(results[0], Ok(Outcome::Written(_))), "{results:?}");
        say(&format!("{task} {count}"));
        state = get(storage, &counter, 1).await;
    }
}

fn value_of(count: u64) -> Vec<u8> {
    let filler = if count.is_multiple_of(3) { 2000 } else { 20 };
    format!("{count}:{}", "x".repeat(filler)).into_bytes()
}

fn count_of(value: &[u8]) -> u64 {
    std::str::from_utf8(value).unwrap().split_once(':').unwrap().0.parse().unwrap()
}

async fn open_url(url: &str) -> std::sync::Arc<dyn Storage> {
    dataknobs_kv_storage::open(url, &OpenOptions::default()).await.unwrap()
}

fn acknowledged_writes_survive_a_kill(file: &str, options: &str) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}{options}", folder.path().join(file).display());
    let mut acknowledged: BTreeMap<usize, u64> = BTreeMap::new();
    let mut total = 0;
    for round in 0..ROUNDS {
        total += run_and_kill(&url, &mut acknowledged, delay(round));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(&url, &mut acknowledged, round));
    }
    println!("{file}: {ROUNDS} kills, {total} acknowledged writes, counters at {acknowledged:?}");
    assert!(total > ROUNDS, "the child wrote next to nothing");
}

/// From 0 to 60 ms after the file is open, by the clock's last digits: kills fall into every phase of a commit.
fn delay(round: u64) -> Duration {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    Duration::from_micros((u64::from(nanos) / 1000 * 7919 + round * 5003) % 60_000)
}

/// Runs the child until it is killed; how many writes it said were acknowledged.
fn run_and_kill(url: &str, acknowledged: &mut BTreeMap<usize, u64>, after: Duration) -> u64 {
    let mut child =
        Command::new(std::env::current_exe().unwrap()).env(URL_VARIABLE, url).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acks = |line: std::io::Result<String>| line.ok()?.split_once("ack ").map(|(_, ack)| ack.to_owned());
    while acks(lines.next().expect("the child ended before it opened the file")).as_deref() != Some("open") {}
    let killer = std::thread::spawn(move || {
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let mut count = 0;
    for line in lines {
        // The last line may be cut: then nobody was told.
        let Some((task, number)) = acks(line).and_then(|ack| {
            let (task, number) = ack.split_once(' ')?;
            Some((task.parse().ok()?, number.parse().ok()?))
        }) else {
            continue;
        };
        acknowledged.insert(task, number);
        count += 1;
    }
    killer.join().unwrap();
    count
}

/// That all acknowledged writes are there. What was written and not said counts as said from now on: the next child goes
/// on from it.
async fn check(url: &str, acknowledged: &mut BTreeMap<usize, u64>, round: u64) {
    let storage = open_url(url).await;
    for task in 0..TASKS {
        let counter = value(&*storage, &format!("counter.{task}")).await;
        assert_eq!(counter, value(&*storage, &format!("twin.{task}")).await, "round {round}: half a write");
        let count = counter.as_deref().map_or(0, count_of);
        if let Some(value) = counter {
            assert_eq!(value, value_of(count), "round {round}: half a value");
        }
        let flag = value(&*storage, &format!("flag.{task}")).await;
        assert_eq!(flag.is_some(), count % 2 == 1, "round {round}: half a write");
        let known = acknowledged.get(&task).copied().unwrap_or(0);
        // One more may have been written than was said.
        assert!(count == known || count == known + 1, "round {round}: {known} acknowledged, {count} there");
        acknowledged.insert(task, count);
    }
}
