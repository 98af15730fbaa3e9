//! The server's errors, each in the store's words.

use dataknobs_kv_core::storage::Outcome;
use dataknobs_kv_core::{Projection, Storage};

use crate::common::*;
use crate::{Bed, code};

pub(crate) async fn passwords(bed: Bed) {
    let mut raw = bed.raw().await;
    raw.set("requirepass", "hunter2").await;
    let port = bed.server.port();
    for login in ["", ":wrong-hunter3@", "default:wrong-hunter3@", "nobody:hunter2@"] {
        let url = format!("redis://{login}127.0.0.1:{port}/0");
        let error = dataknobs_kv_storage::open(&url, &Default::default()).await.err().unwrap();
        assert_eq!(error.code(), "access-denied", "{login}: {error}");
        assert!(!error.to_string().contains("hunter"), "{error}");
    }
    for login in [":hunter2@", "default:hunter2@"] {
        let url = format!("redis://{login}127.0.0.1:{port}/0");
        let storage = dataknobs_kv_storage::open(&url, &Default::default()).await.unwrap();
        must_write(&*storage, put("a", b"v")).await;
    }
    let error = bed.try_open("user=me").await.err().unwrap();
    assert_eq!(error.code(), "invalid-argument", "{error}");
}

pub(crate) async fn rights(bed: Bed) {
    let mut raw = bed.raw().await;
    drop(bed.open("").await);
    raw.run(&["ACL", "SETUSER", "reader", "on", ">pw", "~kv:*", "-@all", "+@read", "+info", "+evalsha", "+eval"]).await;
    let port = bed.server.port();
    let url = format!("redis://reader:pw@127.0.0.1:{port}/0");
    let storage = dataknobs_kv_storage::open(&url, &Default::default()).await.unwrap();
    // It may not read the server's settings, and so nobody knows.
    assert!(!storage.capabilities().durable);
    assert!(get(&*storage, "a", 1).await.is_none());
    let refused = write_one(&*storage, put("a", b"secret-value"), 1).await.unwrap_err();
    assert_eq!(refused.code(), "access-denied", "{refused}");
    assert!(!refused.to_string().contains("secret-value"));
    raw.run(&["ACL", "SETUSER", "reader", "-eval", "-evalsha"]).await;
    assert_eq!(code(write_one(&*storage, put("a", b"v"), 1).await), "access-denied");
}

pub(crate) async fn databases(bed: Bed) {
    let port = bed.server.port();
    let error =
        dataknobs_kv_storage::open(&format!("redis://127.0.0.1:{port}/99"), &Default::default()).await.err().unwrap();
    assert_eq!(error.code(), "invalid-argument", "{error}");
    let first = bed.open("").await;
    let other = dataknobs_kv_storage::open(&format!("redis://127.0.0.1:{port}/3"), &Default::default()).await.unwrap();
    must_write(&*other, put("a", b"v")).await;
    assert!(get(&*first, "a", 1).await.is_none());
}

pub(crate) async fn memory_is_full(bed: Bed) {
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    for key in ["a", "b", "c", "d", "e"] {
        must_write(&*storage, put(key, b"v")).await;
    }
    write_one(&*storage, put_expiring("x", b"v", 1, Some(50)), 1).await.unwrap();
    write_one(&*storage, put_expiring("y", b"v", 1, Some(500)), 1).await.unwrap();
    raw.set("maxmemory", "1").await;
    let error = write_one(&*storage, put("new", b"secret-value"), 1).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{error}");
    assert!(error.message().contains("maxmemory") && !error.message().contains("secret-value"), "{error}");
    let error = storage.write(NS, vec![put("new", b"v"), delete("a")], true, 1, Projection::Key).await.unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert_eq!(keys(&*storage, NS, 1, 10).await, ["a", "b", "c", "d", "e", "x", "y"]);
    // What needs no memory goes on, or none would ever come free.
    assert_eq!(write_one(&*storage, delete("a"), 1).await, Ok(Outcome::Deleted));
    let mixed = vec![delete("b"), put("new", b"v"), delete("c"), put("d", b"w")];
    let results = storage.write(NS, mixed, false, 1, Projection::Key).await.unwrap();
    assert_eq!([&results[0], &results[2]], [&Ok(Outcome::Deleted), &Ok(Outcome::Deleted)]);
    assert_eq!(code(results[1].clone()), "unavailable");
    assert_eq!(code(results[3].clone()), "unavailable");
    let extend = dataknobs_kv_core::storage::Mutation {
        key: "y".into(),
        change: dataknobs_kv_core::storage::Change::Extend(900),
        precondition: Default::default(),
    };
    assert_eq!(write_one(&*storage, extend, 1).await, Ok(Outcome::Held));
    assert_eq!(value(&*storage, "d").await.unwrap(), b"v");
    assert_eq!(storage.reclaim(None, 100, 10).await.unwrap().count, 1);
    drop(bed.open("").await);
    assert!(!storage.clear(NS, 10).await.unwrap());
    assert!(keys(&*storage, NS, 1, 10).await.is_empty());
    raw.set("maxmemory", "0").await;
    must_write(&*storage, put("new", b"v")).await;
}

pub(crate) async fn replicas(bed: Bed) {
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    must_write(&*storage, put("a", b"v")).await;
    raw.run(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let error = write_one(&*storage, put("a", b"w"), 1).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{error}");
    assert!(error.message().contains("replica"), "{error}");
    assert_eq!(value(&*storage, "a").await.unwrap(), b"v");
    raw.run(&["REPLICAOF", "NO", "ONE"]).await;
    must_write(&*storage, put("a", b"w")).await;
    raw.set("min-replicas-to-write", "1").await;
    let error = write_one(&*storage, put("a", b"x"), 1).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{error}");
    assert_eq!(value(&*storage, "a").await.unwrap(), b"w");
}

/// Somebody's endless script: everyone gets `BUSY`.
pub(crate) async fn busy_servers(bed: Bed) {
    let storage = bed.open("").await;
    let mut raw = bed.raw().await;
    raw.set("busy-reply-threshold", "1").await;
    let mut endless = bed.raw().await;
    let running = tokio::spawn(async move { endless.try_run(&["EVAL", "while true do end", "0"]).await });
    // Until it runs.
    while raw.try_run(&["PING"]).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(code(storage.get(NS, "a", 1, true).await), "unavailable");
    assert_eq!(code(write_one(&*storage, put("a", b"v"), 1).await), "unavailable");
    raw.run(&["SCRIPT", "KILL"]).await;
    let _ = running.await;
    assert!(get(&*storage, "a", 1).await.is_none());
    must_write(&*storage, put("a", b"v")).await;
}

pub(crate) async fn kinds_of_servers(bed: Bed) {
    let port = bed.server.port();
    let error = dataknobs_kv_storage::open(&format!("redis-cluster://127.0.0.1:{port}"), &Default::default()).await;
    let error = error.err().unwrap();
    assert_eq!(error.code(), "invalid-argument", "{error}");
    assert!(error.message().contains("no Redis Cluster"), "{error}");
    // Nobody there.
    bed.server.kill();
    let error = bed.try_open("connect_timeout=1").await.err().unwrap();
    assert_eq!(error.code(), "unavailable", "{error}");
    // Somebody who does not speak Redis.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let error = dataknobs_kv_storage::open(&format!("redis://{address}"), &Default::default()).await.err().unwrap();
    assert_eq!(error.code(), "unavailable", "{error}");
}
