//! Servers that are killed or stand still, connections that break.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dataknobs_kv_core::storage::Outcome;
use dataknobs_kv_core::{Projection, Storage};
use dataknobs_kv_services::{Direction, Kind, Proxy, Server, Toxic};
use tokio::task::JoinSet;

use crate::common::*;
use crate::{Bed, code};

/// With `appendfsync always` nothing that was acknowledged is lost, and nothing that was refused is there.
pub(crate) async fn killed_while_writing(bed: Bed) {
    let storage = bed.open("timeout=5").await;
    for round in 0..3 {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let (storage, stop) = (storage.clone(), stop.clone());
            writers.spawn(async move {
                let (mut written, mut refused, mut unknown) = (Vec::new(), Vec::new(), 0);
                for at in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let key = format!("k.{round}.{writer}.{at}");
                    match write_one(&*storage, put(&key, key.as_bytes()).if_absent(), 1).await {
                        Ok(Outcome::Written(version)) => written.push((key, version)),
                        Ok(other) => panic!("{key}: {other:?}"),
                        Err(error) if error.code() == "unavailable" => {
                            refused.push(key);
                            tokio::task::yield_now().await;
                        }
                        Err(error) if error.code() == "outcome-unknown" => unknown += 1,
                        Err(error) => panic!("{key}: {error}"),
                    }
                }
                (written, refused, unknown)
            });
        }
        // Some work before the blow.
        while keys(&*storage, NS, 1, 4000).await.len() < 200 * (round + 1) {}
        bed.server.kill();
        stop.store(true, Ordering::SeqCst);
        let outcomes = writers.join_all().await;
        bed.server.restart().unwrap();
        let (mut acknowledged, mut unknown) = (0, 0);
        for (written, refused, lost) in outcomes {
            acknowledged += written.len();
            unknown += lost;
            for (key, version) in written {
                let state = get(&*storage, &key, 1).await.unwrap_or_else(|| panic!("{key} is lost"));
                assert_eq!((state.version, state.value.unwrap()), (version, key.into_bytes()));
            }
            for key in refused {
                assert!(get(&*storage, &key, 1).await.is_none(), "{key} was refused, and is there");
            }
        }
        println!("round {round}: {acknowledged} acknowledged, {unknown} unknown");
        assert!(acknowledged > 0);
    }
}

/// The connection is known to be gone before anything is sent on it: nobody sees an error.
pub(crate) async fn restarted_between_calls(bed: Bed) {
    let storage = bed.open("").await;
    let version = must_write(&*storage, put("a", b"v")).await;
    for _ in 0..3 {
        bed.server.restart().unwrap();
        must_write(&*storage, put("b", b"v")).await;
        assert_eq!(get(&*storage, "a", 1).await.unwrap().version, version);
    }
    bed.server.kill();
    assert_eq!(code(write_one(&*storage, put("a", b"w"), 1).await), "unavailable");
    assert_eq!(code(storage.get(NS, "a", 1, true).await), "unavailable");
    bed.server.restart().unwrap();
    assert_eq!(value(&*storage, "a").await.unwrap(), b"v");
}

pub(crate) async fn standing_still(bed: Bed) {
    let storage = bed.open("timeout=0.5&connect_timeout=0.2").await;
    must_write(&*storage, put("a", b"v")).await;
    bed.server.pause().unwrap();
    // Sent, and no answer: nobody knows.
    assert_eq!(code(write_one(&*storage, put("a", b"w"), 1).await), "outcome-unknown");
    // A new connection is not made, so nothing is sent.
    assert_eq!(code(write_one(&*storage, put("a", b"x"), 1).await), "unavailable");
    assert_eq!(code(storage.get(NS, "a", 1, true).await), "unavailable");
    assert_eq!(
        code(storage.scan(NS, Default::default(), Default::default(), 1, 9, Projection::Key).await),
        "unavailable"
    );
    bed.server.resume().unwrap();
    let value = value(&*storage, "a").await.unwrap();
    assert!(value == b"v" || value == b"w", "{value:?}");
    must_write(&*storage, put("a", b"y")).await;
}

fn proxy(server: &Server) -> Option<Proxy> {
    match Proxy::to(server) {
        Ok(proxy) => Some(proxy),
        Err(missing) if missing.required => panic!("{}", missing.reason),
        Err(missing) => {
            println!("without {}: {}", Kind::Toxiproxy.name(), missing.reason);
            None
        }
    }
}

pub(crate) async fn cut_off(bed: Bed) {
    let Some(proxy) = proxy(&bed.server) else { return };
    let storage = dataknobs_kv_storage::open(&format!("{}?timeout=2", proxy.url()), &Default::default()).await.unwrap();
    must_write(&*storage, put("a", b"v")).await;
    for _ in 0..5 {
        proxy.cut().unwrap();
        let error = write_one(&*storage, put("a", b"w"), 1).await.unwrap_err();
        assert!(matches!(error.code(), "unavailable" | "outcome-unknown"), "{error}");
        assert_eq!(code(storage.get(NS, "a", 1, true).await), "unavailable");
        proxy.mend().unwrap();
        assert_eq!(value(&*storage, "a").await.unwrap(), b"v", "it could not arrive");
    }
}

pub(crate) async fn answers_that_are_lost(bed: Bed) {
    let Some(proxy) = proxy(&bed.server) else { return };
    let url = format!("{}?timeout=1&connect_timeout=0.5", proxy.url());
    let storage = dataknobs_kv_storage::open(&url, &Default::default()).await.unwrap();
    let beside = bed.open("").await;
    must_write(&*storage, put("a", b"0")).await;
    for round in 1..4_u8 {
        let lost = proxy.add(Direction::FromServer, Toxic::LimitData { bytes: 0 }).unwrap();
        let result = write_one(&*storage, put("a", &[round]), 1).await;
        assert_eq!(code(result), "outcome-unknown");
        proxy.remove(lost).unwrap();
        // It was applied, and says so itself.
        assert_eq!(value(&*beside, "a").await.unwrap(), [round]);
        assert_eq!(value(&*storage, "a").await.unwrap(), [round]);
    }
}

/// The connection breaks after the write was applied: its version is there, so it was.
pub(crate) async fn answers_that_are_found_again(bed: Bed) {
    let Some(proxy) = proxy(&bed.server) else { return };
    let storage = dataknobs_kv_storage::open(&format!("{}?timeout=8", proxy.url()), &Default::default()).await.unwrap();
    let beside = bed.open("").await;
    let version = must_write(&*storage, put("a", b"v")).await;
    must_write(&*storage, put("gone", b"v")).await;
    proxy.add(Direction::FromServer, Toxic::Latency { delay: 60_000, jitter: 0 }).unwrap();
    let guarded = vec![put("a", b"w").if_version(&version), put("b", b"w").if_absent(), delete("gone")];
    let writing = tokio::spawn(async move { storage.write(NS, guarded, true, 1, Projection::Value).await });
    while value(&*beside, "b").await.is_none() {}
    proxy.cut().unwrap();
    proxy.mend().unwrap();
    let results = writing.await.unwrap().unwrap();
    let [Ok(Outcome::Written(first)), Ok(Outcome::Written(second)), Ok(Outcome::Deleted)] = results.as_slice() else {
        panic!("{results:?}");
    };
    assert_eq!(get(&*beside, "a", 1).await.unwrap().version, *first);
    assert_eq!(get(&*beside, "b", 1).await.unwrap().version, *second);
}
