//! Who may come in.
mod common;

use std::io::Write;
use std::sync::Arc;

use common::{start, start_with};
use dataknobs_kv_core::{Core, Error, MemoryStorage, Store};
use dataknobs_kv_service::{Service, ServiceConfig, SystemClock, Token, router};

#[tokio::test]
async fn tokens_open() {
    let server = start_with(|config| {
        config.tokens = vec![Token::new("first-token").unwrap(), Token::new("second").unwrap()];
    })
    .await;
    for path in ["/v1/n/entries/k", "/v1/namespaces", "/v1/capabilities", "/metrics", "/nowhere"] {
        let answer = server.get(path).await;
        answer.is_problem(401, "access-denied");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    for bad in [
        "Bearer wrong",
        "Bearer first-toke",
        "Bearer first-tokens",
        "Bearer ",
        "Bearer",
        "Basic first-token",
        "first-token",
        "Bearer first-token,second",
    ] {
        let answer = server.send("PUT", "/v1/n/entries/k", &[("authorization", bad)], "1").await;
        answer.is_problem(401, "access-denied");
        assert!(!answer.text().contains("first-toke"));
    }
    for good in ["Bearer first-token", "bearer second", "BEARER  second "] {
        assert_eq!(server.send("PUT", "/v1/n/entries/k", &[("authorization", good)], "1").await.status, 204, "{good}");
    }
    for open in ["/healthz", "/readyz"] {
        assert_eq!(server.get(open).await.status, 200);
    }
    assert!(server.store.get("n", "k").await.unwrap().is_some());
}

fn store() -> Arc<dyn Store> {
    Arc::new(Core::new(MemoryStorage::new(rand::random), SystemClock))
}

#[tokio::test]
async fn without_a_token_loopback_only() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let config = ServiceConfig { listen: listen.into(), ..ServiceConfig::default() };
        let error = Service::bind(store(), config).await.err().unwrap();
        assert!(matches!(&error, Error::InvalidArgument(message) if message.contains("token")), "{error}");
        assert!(error.to_string().contains(listen));
    }
    let tokens = vec![Token::new("t").unwrap()];
    let config = ServiceConfig { listen: "0.0.0.0:0".into(), tokens, ..ServiceConfig::default() };
    assert_ne!(Service::bind(store(), config).await.unwrap().address().port(), 0);
    let config = ServiceConfig { listen: "localhost:0".into(), ..ServiceConfig::default() };
    let service = Service::bind(store(), config).await.unwrap();
    let taken = ServiceConfig { listen: service.address().to_string(), ..ServiceConfig::default() };
    assert!(matches!(Service::bind(store(), taken).await, Err(Error::Unavailable(_))));
    for bad in ["", "8700", "127.0.0.1", "127.0.0.1:99999", "http://127.0.0.1:1"] {
        let config = ServiceConfig { listen: bad.into(), ..ServiceConfig::default() };
        assert!(matches!(Service::bind(store(), config).await, Err(Error::InvalidArgument(_))), "{bad}");
    }
}

#[tokio::test]
async fn other_hosts_and_origins_stay_out() {
    let server = start_with(|config| {
        config.allow_hosts = vec!["kv.example".into()];
        config.allow_origins = vec!["https://app.example".into()];
    })
    .await;
    for (host, status) in [
        ("localhost", 404),
        ("LOCALHOST:1", 404),
        ("127.0.0.1:9", 404),
        ("[::1]:9", 404),
        ("kv.example:8700", 404),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("192.0.2.1", 403),
    ] {
        assert_eq!(server.send("GET", "/v1/n/entries/k", &[("host", host)], "").await.status, status, "{host}");
    }
    let own = server.base.clone();
    for (origin, status) in [
        (own.as_str(), 204),
        ("https://app.example", 204),
        ("https://evil.example", 403),
        ("null", 403),
        ("https://app.example.evil", 403),
    ] {
        let answer = server.send("PUT", "/v1/n/entries/k", &[("origin", origin)], "1").await;
        assert_eq!(answer.status, status, "{origin}");
    }
    let headers = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "kv-ttl-ms,authorization"),
    ];
    let preflight = server.send("OPTIONS", "/v1/n/entries/k", &headers, "").await;
    assert_eq!(preflight.header("access-control-allow-origin"), "https://app.example");
    assert!(preflight.header("access-control-allow-methods").contains("PUT"));
    assert!(preflight.header("access-control-allow-headers").contains("kv-ttl-ms"));
    let read = server.send("GET", "/v1/n/entries/k", &[("origin", "https://app.example")], "").await;
    assert!(read.header("access-control-expose-headers").contains("etag"));
    // Off unless asked for.
    let plain = start().await;
    let answer = plain.send("GET", "/healthz", &[("origin", &plain.base)], "").await;
    assert!(!answer.has("access-control-allow-origin"));
}

#[test]
fn tokens_are_checked_and_never_shown() {
    for bad in ["", "a b", "é", "a\n", &"x".repeat(4097)] {
        assert!(Token::new(bad).is_err());
    }
    assert!(!format!("{:?}", Token::new("secret").unwrap()).contains("secret"));
    let config = ServiceConfig { allow_origins: vec!["app.example".into()], ..ServiceConfig::default() };
    assert!(matches!(router(store(), &config), Err(Error::InvalidArgument(_))));

    let directory = std::env::temp_dir().join(format!("dataknobs-kv-tokens-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("tokens");
    let write = |text: &str| std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    write("# of the team\n\n first \r\nsecond\n");
    assert_eq!(Token::read_file(&path).unwrap().len(), 2);
    write("# none\n");
    assert!(Token::read_file(&path).is_err());
    write("bad secret\n");
    assert!(!Token::read_file(&path).unwrap_err().to_string().contains("secret"));
    std::fs::remove_dir_all(&directory).unwrap();
    assert!(Token::read_file(&path).unwrap_err().to_string().contains("tokens"));
}
