//! Slots that move, nodes that die.

use dataknobs_kv_core::storage::Outcome;
use dataknobs_kv_core::{Projection, Storage};

use crate::common::*;
use crate::{Bed, Raw, code, layout, write_to};

pub(crate) async fn shards_answer_as_the_reference_does(bed: Bed) {
    // Single writes alone are atomic there, so those of the comparison that are not are refused by both.
    let storage = bed.open("shards=4&prefix=sharded").await;
    assert_eq!(storage.capabilities().max_atomic, 1);
    let many = vec![put("a", b"v"), put("b", b"v")];
    assert_eq!(code(storage.write(NS, many, true, 1, Projection::Key).await), "unsupported");
    // Pages over shards are exact, whatever their size.
    let mut names: Vec<String> = (0..3000).map(|at| format!("k{}", at * 7919 % 3000)).collect();
    for part in names.chunks(1000) {
        let batch = part.iter().map(|name| put(name, name.as_bytes())).collect();
        let results = storage.write(NS, batch, false, 1, Projection::Key).await.unwrap();
        assert!(results.iter().all(|result| matches!(result, Ok(Outcome::Written(_)))));
    }
    names.sort();
    for page in [1000, 333, 4000] {
        assert_eq!(keys(&*storage, NS, 1, page).await, names);
    }
    assert_eq!(storage.count(NS, Default::default(), 1).await.unwrap(), Some(3000));
    let states = storage.get_many(NS, &names[..1000], 1, true).await.unwrap();
    for (name, state) in names.iter().zip(states) {
        assert_eq!(state.unwrap().unwrap().value.unwrap(), name.as_bytes());
    }
    let mut cleared = 0;
    while storage.clear(NS, 700).await.unwrap() {
        cleared += 1;
        let left = storage.count(NS, Default::default(), 1).await.unwrap().unwrap();
        assert!(left >= 3000 - 700 * cleared, "{left}");
    }
    assert!(storage.namespaces(None, 10).await.unwrap().names.is_empty());
}

pub(crate) async fn forgotten_scripts(bed: Bed) {
    let storage = bed.open("").await;
    let spaces: Vec<String> = (0..24).map(|at| format!("space{at}")).collect();
    for (at, space) in spaces.iter().enumerate() {
        // Each node forgets at another time.
        let mut raw = bed.raw_of(at % 3).await;
        raw.run(&["SCRIPT", "FLUSH"]).await;
        assert!(matches!(write_to(&*storage, space, put("a", b"v"), 1).await, Ok(Outcome::Written(_))));
        assert_eq!(keys(&*storage, space, 1, 10).await, ["a"]);
    }
    assert_eq!(storage.namespaces(None, 100).await.unwrap().names.len(), 24);
    assert_eq!(storage.reclaim(None, 1, 10).await.unwrap().count, 0);
}

/// Which node has the slot, and the ids of all.
async fn owner(raws: &mut [Raw], slot: &str) -> (usize, Vec<String>) {
    let mut ids = Vec::new();
    let mut owner = None;
    for (at, raw) in raws.iter_mut().enumerate() {
        ids.push(raw.ask::<String>(&["CLUSTER", "MYID"]).await);
        if raw.try_run(&["CLUSTER", "COUNTKEYSINSLOT", slot]).await.is_ok() {
            let nodes: String = raw.ask(&["CLUSTER", "NODES"]).await;
            let own = nodes.lines().find(|line| line.contains("myself")).unwrap();
            let number: u16 = slot.parse().unwrap();
            let has = own.split_whitespace().skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(f), Ok(l)) if (f..=l).contains(&number))
            });
            if has {
                owner = Some(at);
            }
        }
    }
    (owner.expect("an owner"), ids)
}

pub(crate) async fn slots_that_move(bed: Bed) {
    let storage = bed.open("timeout=5").await;
    let version = must_write(&*storage, put("a", b"v")).await;
    let mut raws = vec![bed.raw_of(0).await, bed.raw_of(1).await, bed.raw_of(2).await];
    let slot = raws[0].ask::<u16>(&["CLUSTER", "KEYSLOT", "kv:{s598}:i:default"]).await.to_string();
    for _ in 0..3 {
        let (from, ids) = owner(&mut raws, &slot).await;
        let to = (from + 1) % 3;
        raws[to].run(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[from]]).await;
        raws[from].run(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[to]]).await;
        let names: Vec<String> = raws[from].ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).await;
        let port = bed.server.ports()[to].to_string();
        // The entry goes first: whoever wants it is sent after it (ASK).
        let mut moves = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        let entry = names.iter().find(|name| name.ends_with(":default:a")).unwrap();
        moves.push(entry);
        raws[from].run(&moves).await;
        assert_eq!(get(&*storage, "a", 1).await.unwrap().version, version, "ASK");
        // A script needs all of its keys at one place: until then it is not run at all.
        assert_eq!(code(write_one(&*storage, put("a", b"w"), 1).await), "unavailable");
        moves.pop();
        moves.extend(names.iter().filter(|name| *name != entry).map(String::as_str));
        raws[from].run(&moves).await;
        for node in [to, from, (from + 2) % 3] {
            raws[node].run(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[to]]).await;
        }
        assert_eq!(get(&*storage, "a", 1).await.unwrap().version, version, "MOVED");
        must_write(&*storage, put("b", b"v")).await;
        assert_eq!(keys(&*storage, NS, 1, 10).await, ["a", "b"]);
    }
}

pub(crate) async fn a_dead_node(bed: Bed) {
    let storage = bed.open("timeout=5&connect_timeout=1").await;
    let spaces: Vec<String> = (0..12).map(|at| format!("space{at}")).collect();
    for space in &spaces {
        assert!(matches!(write_to(&*storage, space, put("a", b"v"), 1).await, Ok(Outcome::Written(_))));
    }
    bed.server.kill_node(1);
    let mut refused = 0;
    for space in &spaces {
        match write_to(&*storage, space, put("a", b"w"), 1).await {
            Ok(Outcome::Written(_)) => {}
            Err(error) if error.code() == "unavailable" => refused += 1,
            other => panic!("{space}: {other:?}"),
        }
    }
    assert!(refused > 0);
    // Later the whole cluster refuses (CLUSTERDOWN): all of its slots must be served.
    let mut raw = bed.raw_of(0).await;
    while !raw.ask::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:fail") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for space in &spaces {
        assert_eq!(code(write_to(&*storage, space, put("a", b"x"), 1).await), "unavailable", "{space}");
    }
    bed.server.revive().unwrap();
    for space in &spaces {
        assert!(matches!(write_to(&*storage, space, put("a", b"y"), 1).await, Ok(Outcome::Written(_))), "{space}");
    }
}

/// The register lies in a slot of its own. What is flushed from there comes back with a namespace's next first entry.
pub(crate) async fn flushed_register(bed: Bed) {
    let storage = bed.open("").await;
    must_write(&*storage, put("a", b"v")).await;
    for node in 0..3 {
        bed.raw_of(node).await.run(&["FLUSHALL"]).await;
    }
    assert!(storage.namespaces(None, 10).await.unwrap().names.is_empty());
    must_write(&*storage, put("a", b"v")).await;
    assert_eq!(storage.namespaces(None, 10).await.unwrap().names, [NS]);
}

pub(crate) async fn is_told_from_one_server(bed: Bed) {
    let url = format!("redis://127.0.0.1:{}", bed.server.port());
    let error = dataknobs_kv_storage::open(&url, &Default::default()).await.err().unwrap();
    assert_eq!(error.code(), "invalid-argument", "{error}");
    assert!(error.message().contains("redis-cluster:"), "{error}");
    // One node leads to all.
    let url = format!("redis-cluster://127.0.0.1:{}", bed.server.ports()[2]);
    let storage = dataknobs_kv_storage::open(&url, &Default::default()).await.unwrap();
    for space in 0..12 {
        write_to(&*storage, &format!("space{space}"), put("a", b"v"), 1).await.unwrap();
    }
    assert!(storage.capabilities().durable);
    layout::compare(&bed, "&pool_size=2").await;
}
