//! The client where things go wrong, and where the API has a way round. (The suite runs in `conformance`.)
mod common;

use std::time::Duration;

use common::{Server, start, start_with};
use dataknobs_kv_client::{HttpOptions, HttpStore};
use dataknobs_kv_core::store::{Expiry, Item, Numeric, SetOptions, SetResult};
use dataknobs_kv_core::{Error, Precondition, Projection, Store, Value};
use dataknobs_kv_service::Token;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn client(server: &Server) -> HttpStore {
    HttpStore::connect(&server.base, HttpOptions::default()).unwrap()
}

fn item(key: &str, value: impl Into<Value>) -> Item {
    Item { key: key.into(), value: value.into(), options: SetOptions::default() }
}

fn written(result: SetResult) {
    assert!(matches!(result, SetResult::Written(_)), "{result:?}");
}

#[test]
fn addresses_are_checked_and_secrets_not_shown() {
    let connect = |address: &str| HttpStore::connect(address, HttpOptions::default());
    for good in ["http://127.0.0.1:8700", "http://localhost:1/", "http://[::1]:1/prefix/"] {
        connect(good).unwrap();
    }
    for bad in
        ["", "127.0.0.1:8700", "redis://h:1", "http://", "http://h:1/?a=b", "http://h:1/#x", "http://user:hush@h:1"]
    {
        let error = connect(bad).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument(_)) && !error.to_string().contains("hush"), "{bad}: {error}");
    }
    assert!(matches!(connect("https://h:1"), Err(Error::Unsupported(_))));
    let options = HttpOptions { token: Some("hush".into()), ..HttpOptions::default() };
    let store = HttpStore::connect("http://h:1", options.clone()).unwrap();
    assert!(!format!("{options:?} {store:?}").contains("hush"));
    for token in ["", "a b", "a\n", "é"] {
        let options = HttpOptions { token: Some(token.into()), ..HttpOptions::default() };
        assert!(matches!(HttpStore::connect("http://h:1", options), Err(Error::InvalidArgument(_))), "{token:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let store = HttpStore::connect(&format!("http://{free}"), HttpOptions::default()).unwrap();
    for error in [
        store.get("n", "k").await.unwrap_err(),
        store.set("n", item("k", 1)).await.unwrap_err(),
        store.increment("n", "k", Numeric::Integer(1), Expiry::Unspecified).await.unwrap_err(),
        store.capabilities().await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
    }
}

/// A server that takes one request after another and answers each with the next of these, or hangs up, or is silent.
async fn fake(answers: Vec<Option<&'static str>>, hang_up: bool) -> (HttpStore, tokio::task::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = HttpOptions { timeout: Duration::from_millis(300), ..HttpOptions::default() };
    let store = HttpStore::connect(&format!("http://{}", listener.local_addr().unwrap()), options).unwrap();
    let task = tokio::spawn(async move {
        let mut silent = Vec::new();
        for (index, answer) in answers.iter().enumerate() {
            let Ok(Ok((mut stream, _))) = tokio::time::timeout(Duration::from_secs(2), listener.accept()).await else {
                return index;
            };
            let mut read = vec![0; 65536];
            let _ = stream.read(&mut read).await;
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                None if hang_up => {}
                None => silent.push(stream),
            }
        }
        answers.len()
    });
    (store, task)
}

#[tokio::test]
async fn a_lost_answer_is_unknown_for_writes_only() {
    for hang_up in [true, false] {
        let (store, _server) = fake(vec![None; 4], hang_up).await;
        let error = store.set("n", item("k", 1)).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{hang_up}: {error}");
        let error = store.delete("n", "k", Precondition::None, Projection::Key).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{hang_up}: {error}");
        let error = store.get("n", "k").await.unwrap_err();
        assert!(matches!(error, Error::Unavailable(_)), "{hang_up}: {error}");
    }
    // Half an answer is none.
    let half = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{\"swapped\":tr";
    let (store, _server) = fake(vec![Some(half); 4], true).await;
    let swap = store.compare_and_swap("n", "k", None, 1.into(), SetOptions::default()).await;
    assert!(matches!(swap.unwrap_err(), Error::OutcomeUnknown(_)));
    assert!(matches!(
        store.count("n", &dataknobs_kv_core::store::Query::pattern("**"), None, 1).await,
        Err(Error::Unavailable(_))
    ));
    // An answer that is not as it should be says nothing of whether the write was made.
    let odd = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]";
    let (store, _server) = fake(vec![Some(odd); 2], true).await;
    let swap = store.compare_and_swap("n", "k", None, 1.into(), SetOptions::default()).await;
    assert!(matches!(swap.unwrap_err(), Error::OutcomeUnknown(_)));
    assert!(matches!(store.get("n", "k").await.unwrap_err(), Error::Internal(_)));
}

#[tokio::test]
async fn a_broken_read_is_tried_once_more_a_write_never() {
    let found = "HTTP/1.1 404 Not Found\r\nKv-Error: absent\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (store, server) = fake(vec![None, Some(found)], true).await;
    assert_eq!(store.get("n", "k").await.unwrap(), None);
    assert_eq!(server.await.unwrap(), 2);
    let (store, server) = fake(vec![None, Some(found)], true).await;
    assert!(store.set("n", item("k", 1)).await.is_err());
    assert_eq!(server.await.unwrap(), 1);
}

#[tokio::test]
async fn answers_of_others_are_errors() {
    for (status, read, write) in [
        ("404 Not Found", "unsupported", "unsupported"),
        ("302 Found\r\nLocation: http://127.0.0.1:1/", "unsupported", "unsupported"),
        ("401 Unauthorized", "access-denied", "access-denied"),
        ("429 Too Many Requests", "rate-limited", "rate-limited"),
        ("502 Bad Gateway", "unavailable", "outcome-unknown"),
        ("503 Service Unavailable", "unavailable", "outcome-unknown"),
    ] {
        let answer: &'static str =
            Box::leak(format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").into());
        let (store, _server) = fake(vec![Some(answer); 2], true).await;
        assert_eq!(store.get("n", "k").await.unwrap_err().code(), read, "{status}");
        assert_eq!(store.set("n", item("k", 1)).await.unwrap_err().code(), write, "{status}");
    }
}

#[tokio::test]
async fn tokens_open_and_their_lack_is_told() {
    let server = start_with(|config| config.tokens = vec![Token::new("open").unwrap()]).await;
    let with = |token: Option<&str>| {
        let options = HttpOptions { token: token.map(Into::into), ..HttpOptions::default() };
        HttpStore::connect(&server.base, options).unwrap()
    };
    written(with(Some("open")).set("n", item("k", 1)).await.unwrap());
    for store in [with(None), with(Some("other"))] {
        assert_eq!(store.get("n", "k").await.unwrap_err().code(), "access-denied");
        assert_eq!(store.describe("n", "k").await.unwrap_err().code(), "access-denied");
        assert_eq!(store.set("n", item("k", 1)).await.unwrap_err().code(), "access-denied");
    }
}

#[tokio::test]
async fn metadata_too_long_for_a_header() {
    let server = start().await;
    let store = client(&server);
    // In ASCII six times as long: at the limit of a header, and past it.
    for count in [1, 1362, 1363, 1364, 1365, 20_000] {
        let metadata = format!(r#"{{"a":"{}"}}"#, "é".repeat(count));
        let options = SetOptions {
            metadata: Some(metadata.clone()),
            expiry: Expiry::After(5000),
            content_type: Some("a/b".into()),
            precondition: Precondition::None,
            on_conflict: Projection::Value,
        };
        let item = Item { key: "k".into(), value: Value::Number(1.0), options };
        written(store.set("n", item).await.unwrap());
        let direct = server.store.get("n", "k").await.unwrap().unwrap();
        assert_eq!(direct.attributes.metadata.as_deref(), Some(metadata.as_str()));
        assert_eq!(store.get("n", "k").await.unwrap().as_ref(), Some(&direct));
        let described = store.describe("n", "k").await.unwrap().unwrap();
        assert_eq!((described.attributes, described.value), (direct.attributes, None));
    }
}

#[tokio::test]
async fn long_batches_go_in_parts() {
    let server = start().await;
    let store = client(&server);
    // More than a request may hold: of middling values, of one large value, and of one that cannot be written down.
    let mut items: Vec<Item> = (0..20).map(|index| item(&format!("k{index}"), vec![7; 3 << 20])).collect();
    items.push(item("large", vec![8; 12 << 20]));
    items.push(item("bad", f64::NAN));
    items.push(item("", 1));
    items.push(item("last", 1));
    let results = store.set_many("n", items.clone()).await.unwrap();
    let codes: Vec<_> = results.iter().map(|result| result.as_ref().map_or_else(Error::code, |_| "ok")).collect();
    assert_eq!(codes[..21], ["ok"; 21]);
    assert_eq!(codes[21..], ["invalid-argument", "invalid-argument", "ok"]);
    assert_eq!(store.get("n", "large").await.unwrap().unwrap().attributes.size, 12 << 20);
    items.push(item("k0", 1));
    assert_eq!(store.set_many("n", items).await.unwrap_err().code(), "invalid-argument");
    // What is read comes in parts too.
    let keys: Vec<String> = (0..20).map(|index| format!("k{index}")).collect();
    let answers = store.get_many("n", &keys, true).await.unwrap();
    assert!((1..20).contains(&answers.len()));
    for answer in answers {
        assert_eq!(answer.unwrap().unwrap().value.unwrap(), vec![7; 3 << 20]);
    }
}

#[tokio::test]
async fn every_error_of_the_service_comes_back_as_itself() {
    let server = start_with(|config| config.limits = common::small()).await;
    let store = client(&server);
    assert_eq!(
        store.set("n", item("k", vec![1; 1001])).await.unwrap_err(),
        Error::too_large("request body", 1000, 1001)
    );
    assert_eq!(store.get("n", "slow").await.unwrap_err().code(), "unavailable");
    assert_eq!(store.describe("n", "slow").await.unwrap_err().code(), "unavailable");
    assert_eq!(store.set("n", item("slow", 1)).await.unwrap_err().code(), "outcome-unknown");
    for error in [store.get("n", "broken").await.unwrap_err(), store.describe("n", "broken").await.unwrap_err()] {
        assert!(matches!(&error, Error::Internal(message) if message.contains("log")), "{error}");
    }
    written(store.set("n", item("t", "text")).await.unwrap());
    let error = store.increment("n", "t", Numeric::Integer(1), Expiry::Unspecified).await.unwrap_err();
    assert_eq!(error, server.store.increment("n", "t", Numeric::Integer(1), Expiry::Unspecified).await.unwrap_err());
    written(store.set("n", item("i", i64::MAX)).await.unwrap());
    let error = store.increment("n", "i", Numeric::Integer(1), Expiry::Unspecified).await.unwrap_err();
    assert_eq!(error, server.store.increment("n", "i", Numeric::Integer(1), Expiry::Unspecified).await.unwrap_err());
}
