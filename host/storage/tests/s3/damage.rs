//! Objects that are none of ours, or no longer as we wrote them. Only moto takes them from a hand without a signature.

use dataknobs_kv_core::Storage;
use dataknobs_kv_core::storage::{Hint, Outcome, Range};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Place;
use crate::common::{NS, With, delete, keys, must_write, put, value, write_one};

/// Puts an object below the place's prefix.
async fn put_raw(place: &Place, object: &str, body: &[u8]) {
    let mut server = TcpStream::connect(("127.0.0.1", place.port())).await.unwrap();
    let head = format!(
        "PUT /{}/{}/{object} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        place.config.bucket,
        place.config.prefix,
        place.port(),
        body.len()
    );
    server.write_all(head.as_bytes()).await.unwrap();
    server.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

pub(crate) async fn of_objects(place: Place) {
    if place.service != "s3-moto" {
        return;
    }
    let store = place.open().await;
    let cut = br#"{"nonce":"00","type":"bytes","created_at":1,"updated_at":1,"size":9,"crc32c":"00000000"}"#;
    let bodies: [(&str, &[u8]); 4] = [("empty", b""), ("foreign", b"hello world"), ("cut", cut), ("line", b"{}\nxyz")];
    for (key, body) in bodies {
        put_raw(&place, &format!("e/default!/{key}"), body).await;
        let error = store.get(NS, key, 1, true).await.unwrap_err();
        assert_eq!(error.code(), "corrupt", "{key}");
        assert!(error.to_string().contains(key) && !error.to_string().contains("hello"), "{error}");
        let error = write_one(&store, put(key, b"v").if_absent(), 1).await.unwrap_err();
        assert_eq!(error.code(), "corrupt", "{key}");
    }
    // A name that no key has is nobody's.
    put_raw(&place, "e/default!/a/b", b"x").await;
    must_write(&store, put("sound", b"v")).await;
    // An empty object is too short for an entry, and passes for a deleted one in a listing.
    assert_eq!(keys(&store, NS, 1, 100).await, ["cut", "foreign", "line", "sound"]);
    let page = store.scan(NS, Range::default(), Hint::default(), 1, 10, dataknobs_kv_core::Projection::Value).await;
    assert_eq!(page.unwrap_err().code(), "corrupt");
    for (key, _) in bodies.iter().take(2) {
        must_write(&store, put(key, b"new")).await;
        assert_eq!(value(&store, key).await.as_deref(), Some(&b"new"[..]));
    }
    for (key, _) in bodies.iter().skip(2) {
        assert_eq!(write_one(&store, delete(key), 1).await, Ok(Outcome::Deleted));
        assert_eq!(value(&store, key).await, None);
    }
    assert_eq!(keys(&store, NS, 1, 100).await, ["empty", "foreign", "sound"]);
}

pub(crate) async fn of_the_store(mut place: Place) {
    if place.service != "s3-moto" {
        return;
    }
    for (body, code) in [(&b"{\"format\":2}"[..], "unsupported"), (b"a page of mine", "invalid-argument")] {
        place.config.prefix.push_str("/x");
        put_raw(&place, "dataknobs-kv.json", body).await;
        assert_eq!(place.try_open().await.unwrap_err().code(), code);
    }
    place.config.prefix.push_str("/x");
    put_raw(&place, "dataknobs-kv.json", b"{\"format\":1}").await;
    place.open().await;
}
