//! What a call costs in requests: those that come from outside of scripts are counted by the server.

use std::collections::BTreeMap;

use dataknobs_kv_core::storage::{Hint, Mutation, Range};
use dataknobs_kv_core::{Projection, Storage};

use crate::common::*;
use crate::{Bed, Raw};

/// The requests since the last call: the commands that clients alone send, by name.
async fn requests(raw: &mut Raw) -> BTreeMap<String, u64> {
    let stats: String = raw.ask(&["INFO", "commandstats"]).await;
    raw.run(&["CONFIG", "RESETSTAT"]).await;
    let calls = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    let mut stats: BTreeMap<String, u64> = stats.lines().filter_map(calls).collect();
    // What scripts call is counted too.
    let scripted = stats.contains_key("evalsha") || stats.contains_key("eval");
    stats.retain(|name, _| match name.as_str() {
        "info" | "config|resetstat" => false,
        "evalsha" | "eval" | "script|load" | "hello" => true,
        _ => !scripted,
    });
    stats
}

fn once(command: &str) -> BTreeMap<String, u64> {
    [(command.to_owned(), 1)].into()
}

fn puts(from: usize, to: usize) -> Vec<Mutation> {
    (from..to).map(|at| put(&format!("k{at:06}"), b"v")).collect()
}

pub(crate) async fn one_request_each(bed: Bed) {
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    // Every script is known after its first call.
    let warm = must_write(&*storage, put("warm", b"v")).await;
    write_one(&*storage, delete("warm"), 1).await.unwrap();
    storage.get_many(NS, &["warm".into()], 1, true).await.unwrap();
    keys(&*storage, NS, 1, 10).await;
    storage.count(NS, Range::default(), 1).await.unwrap();
    storage.reclaim(Some(NS), 1, 1).await.unwrap();
    storage.clear(NS, 1).await.unwrap();
    requests(&mut raw).await;

    storage.write(NS, puts(0, 100), false, 1, Projection::Key).await.unwrap();
    assert_eq!(requests(&mut raw).await, once("evalsha"), "set_many");
    // A long batch is sent in pieces, all at once, so that others are served in between.
    storage.write(NS, puts(0, 1000), false, 1, Projection::Key).await.unwrap();
    assert_eq!(requests(&mut raw).await, [("evalsha".to_owned(), 5)].into(), "set_many of 1000");
    storage.write(NS, puts(0, 1000), true, 1, Projection::Key).await.unwrap();
    assert_eq!(requests(&mut raw).await, once("evalsha"), "transact");
    storage.get(NS, "k000001", 1, true).await.unwrap().unwrap();
    assert_eq!(requests(&mut raw).await, once("hmget"), "get");
    let names: Vec<String> = (0..1000).map(|at| format!("k{at:06}")).collect();
    assert_eq!(storage.get_many(NS, &names, 1, true).await.unwrap().len(), 1000);
    assert_eq!(requests(&mut raw).await, once("evalsha"), "get_many");
    let version = must_write(&*storage, put("k000001", b"v")).await;
    assert_eq!(requests(&mut raw).await, once("evalsha"), "set");
    write_one(&*storage, put("k000001", b"w").if_version(&version), 1).await.unwrap();
    assert_eq!(requests(&mut raw).await, once("evalsha"), "compare and swap");
    let lost = write_one(&*storage, put("k000001", b"w").if_version(&warm), 1).await;
    assert!(matches!(lost, Ok(dataknobs_kv_core::storage::Outcome::Conflict(Some(_)))));
    assert_eq!(requests(&mut raw).await, once("evalsha"), "a lost race");
    for want in [Projection::Key, Projection::Attributes, Projection::Value] {
        let page = storage.scan(NS, Range::default(), Hint::default(), 1, 1000, want).await.unwrap();
        assert_eq!(page.items.len(), 1000);
        assert_eq!(requests(&mut raw).await, once("evalsha"), "page");
    }
    let all = Hint { pattern: Some("k*".into()), metadata: None };
    let page = storage.scan(NS, Range::default(), all, 1, 1000, Projection::Value).await.unwrap();
    assert_eq!(page.items.len(), 1000);
    assert_eq!(requests(&mut raw).await, once("evalsha"), "page of a pattern");
    assert_eq!(storage.count(NS, Range::default(), 1).await.unwrap(), Some(1000));
    assert_eq!(requests(&mut raw).await, once("evalsha"), "count");
    let deletes = names.iter().take(200).map(|name| delete(name)).collect();
    storage.write(NS, deletes, false, 1, Projection::Key).await.unwrap();
    assert_eq!(requests(&mut raw).await, once("evalsha"), "delete_many");
    storage.namespaces(None, 10).await.unwrap();
    assert_eq!(requests(&mut raw).await, [("zrange".to_owned(), 1), ("exists".to_owned(), 1)].into(), "namespaces");
}

pub(crate) async fn scripts_are_sent_once(bed: Bed) {
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    must_write(&*storage, put("a", b"v")).await;
    raw.run(&["SCRIPT", "FLUSH"]).await;
    requests(&mut raw).await;
    must_write(&*storage, put("a", b"v")).await;
    must_write(&*storage, put("a", b"v")).await;
    // The failed call by its hash is counted with the others.
    assert_eq!(requests(&mut raw).await, [("evalsha".to_owned(), 2), ("eval".to_owned(), 1)].into());
}

/// A rare match is found without reading the values of what does not match, and in bounded steps.
pub(crate) async fn pages_of_a_hundred_thousand(bed: Bed) {
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    raw.set("appendonly", "no").await;
    for from in (0..100_000).step_by(1000) {
        storage.write(NS, puts(from, from + 1000), false, 1, Projection::Key).await.unwrap();
    }
    assert_eq!(storage.count(NS, Range::default(), 1).await.unwrap(), Some(100_000));
    must_write(&*storage, put("x.y", b"found")).await;
    requests(&mut raw).await;
    let hint = Hint { pattern: Some("*.y".into()), metadata: None };
    let (mut range, mut found, mut pages) = (Range::default(), Vec::new(), 0);
    loop {
        let page = storage.scan(NS, range.clone(), hint.clone(), 1, 10, Projection::Value).await.unwrap();
        pages += 1;
        found.extend(page.items);
        match page.next {
            Some(next) => range.after = Some(next),
            None => break,
        }
    }
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].state.as_ref().unwrap().value.as_deref(), Some(b"found".as_slice()));
    let requests = requests(&mut raw).await.values().sum::<u64>();
    assert!(pages <= 8 && requests < 60, "{pages} pages, {requests} requests");
    let from_middle = Range { after: Some("k050000".into()), ..Range::default() };
    let page = storage.scan(NS, from_middle, Hint::default(), 1, 1000, Projection::Key).await.unwrap();
    assert_eq!(page.items[0].key, "k050001");
    assert_eq!(page.next.as_deref(), Some("k051000"));
}
