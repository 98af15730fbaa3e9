//! What breaks a rule: a clear answer, nothing lost, and the service goes on.
mod common;

use common::{small, start, start_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Method, path, headers, body; status and code.
type Row<'a> = (&'a str, String, Vec<(&'a str, &'a str)>, &'a [u8], (u16, &'a str));

const INVALID: (u16, &str) = (400, "invalid-argument");

#[tokio::test]
async fn requests_that_mean_nothing() {
    let server = start().await;
    server.put("k", "1").await;
    let long_key = "k".repeat(513);
    let long_namespace = "n".repeat(65);
    let long_pattern = "p".repeat(1025);
    let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    let table: Vec<Row<'_>> = vec![
        // Paths
        ("GET", "/".into(), vec![], b"", (404, "not-found")),
        ("GET", "/v1".into(), vec![], b"", (404, "not-found")),
        ("GET", "/v2/n/entries/k".into(), vec![], b"", (404, "not-found")),
        ("GET", "/v1/n/entry/k".into(), vec![], b"", (404, "not-found")),
        ("GET", "/v1/n/entries/".into(), vec![], b"", INVALID),
        ("GET", "/v1//entries/k".into(), vec![], b"", INVALID),
        ("POST", "/v1/n/increment/".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries/a..b".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries/.a".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries/a%00".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries/a%0A".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries/a%5Cb".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries/%ff".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries/%zz".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries/%".into(), vec![], b"", INVALID),
        ("GET", format!("/v1/n/entries/{long_key}"), vec![], b"", INVALID),
        ("PUT", format!("/v1/n/entries/{long_key}"), vec![], b"", INVALID),
        ("GET", format!("/v1/{long_namespace}/entries/k"), vec![], b"", INVALID),
        ("GET", "/v1/%ff/entries/k".into(), vec![], b"", INVALID),
        ("GET", "/v1/%00/entries".into(), vec![], b"", INVALID),
        ("DELETE", format!("/v1/{long_namespace}"), vec![], b"", INVALID),
        // Methods
        ("POST", "/v1/n/entries/k".into(), vec![], b"", (405, "method-not-allowed")),
        ("PATCH", "/v1/n/entries/k".into(), vec![], b"", (405, "method-not-allowed")),
        ("OPTIONS", "/v1/n/entries/k".into(), vec![], b"", (405, "method-not-allowed")),
        ("BREW", "/v1/n/entries/k".into(), vec![], b"", (405, "method-not-allowed")),
        ("GET", "/v1/n/increment/k".into(), vec![], b"", (405, "method-not-allowed")),
        ("GET", "/v1/n".into(), vec![], b"", (405, "method-not-allowed")),
        ("PUT", "/v1/n/entries".into(), vec![], b"", (405, "method-not-allowed")),
        // Parameters
        ("GET", "/v1/n/entries/k?ttl=1".into(), vec![], b"", INVALID),
        ("PUT", "/v1/n/entries/k?ttl=1".into(), vec![], b"2", INVALID),
        ("GET", "/v1/n/entries?limit=0".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?limit=10001".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?limit=-1".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?limit=x".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?limit=99999999999999999999".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?limit=1&limit=2".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?limits=1".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?include=all".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?cursor=nonsense".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?pattern=".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?pattern=%5Ba".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?pattern=%7Ba".into(), vec![], b"", INVALID),
        ("GET", format!("/v1/n/entries?pattern={long_pattern}"), vec![], b"", INVALID),
        ("GET", "/v1/n/entries?metadata=1".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/count?pattern=%5Ba".into(), vec![], b"", INVALID),
        ("DELETE", "/v1/n/entries?pattern=%5Ba".into(), vec![], b"", INVALID),
        ("DELETE", "/v1/n/entries?patern=a".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/children?prefix=a..b".into(), vec![], b"", INVALID),
        ("GET", "/v1/n/children?counts=maybe".into(), vec![], b"", INVALID),
        ("GET", "/v1/namespaces?limit=0".into(), vec![], b"", INVALID),
        ("DELETE", "/v1/n?limit=0".into(), vec![], b"", INVALID),
        ("GET", "/v1/capabilities?x=1".into(), vec![], b"", INVALID),
        // Headers
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-ttl-ms", "0")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-ttl-ms", "-5")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-ttl-ms", "+5")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-ttl-ms", "1.5")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-ttl-ms", "")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-ttl-ms", "18446744073709551615")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-ttl-ms", "18446744073709551616")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-ttl-ms", "5"), ("kv-ttl-ms", "6")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-ttl-ms", "5"), ("kv-expiry", "never")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-expires-at", "1")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-expires-at", "253402300800000")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-sliding-ms", "0")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-expiry", "soon")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-ttl", "5")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-metadata", "[1]")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-metadata", "{")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-metadata", "{\"a\":\"é\"}")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-metadata", "{\"ttl\":-1}")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-on-conflict", "all")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("kv-content-type", "")], b"2", INVALID),
        ("DELETE", "/v1/n/entries/k".into(), vec![("kv-ttl-ms", "5")], b"", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("content-encoding", "gzip")], b"2", (501, "unsupported")),
        ("PUT", "/v1/n/entries/k".into(), vec![("content-range", "bytes 0-0/1")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("content-type", "text/plain"), ("content-type", "a/b")], b"2", INVALID),
        ("DELETE", "/v1/n/entries?pattern=**".into(), vec![("if-match", "*")], b"", (501, "unsupported")),
        ("DELETE", "/v1/n".into(), vec![("if-match", "*")], b"", (501, "unsupported")),
        // Bodies
        ("PUT", "/v1/n/entries/k".into(), vec![("content-type", "application/json")], b"", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("content-type", "application/json")], b"{", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("content-type", "application/json")], b"1 2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("content-type", "application/json")], b"\"\xff\"", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("content-type", "application/json")], deep.as_bytes(), INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("content-type", "text/plain")], b"\xff", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("content-type", "text/plain; charset=latin1")], b"2", INVALID),
        ("PUT", "/v1/n/entries/k".into(), vec![("content-type", "application/json; charset=utf-16")], b"2", INVALID),
        ("POST", "/v1/n/set-many".into(), vec![], b"\xff", INVALID),
        ("POST", "/v1/n/cleanup".into(), vec![], b"{\"limit\":0}", INVALID),
        ("POST", "/v1/n/persist/k".into(), vec![], b"{\"ttl_ms\":1}", INVALID),
    ];
    for (method, path, headers, body, (status, code)) in table {
        let answer = server.send(method, &path, &headers, body).await;
        assert_eq!(answer.status, status, "{method} {path:.60} {headers:?}: {}", answer.text());
        answer.is_problem(status, code);
        if status == 405 {
            assert!(!answer.header("allow").is_empty());
        }
    }
    assert_eq!(server.get("/v1/n/entries/k").await.text(), "1");
    let allow = server.send("POST", "/v1/n/entries/k", &[], "").await;
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        assert!(allow.header("allow").contains(method), "{}", allow.header("allow"));
    }
}

#[tokio::test]
async fn messages_name_the_key_and_no_value() {
    let server = start().await;
    server.put("the-key", "\"secret-value\"").await;
    for answer in [
        server.post("/v1/n/increment/the-key", "").await,
        server.send("PUT", "/v1/n/entries/the-key", &[("if-none-match", "*")], "secret-value").await,
        server.get("/v1/n/entries/the-key..").await,
    ] {
        assert!(answer.text().contains("the-key") && !answer.text().contains("secret"), "{}", answer.text());
    }
}

#[tokio::test]
async fn large_bodies() {
    let server = start_with(|config| config.limits = small()).await;
    let sizes = [(999, 204), (1000, 204), (1001, 413), (5000, 413), (3 << 20, 413)];
    for (size, status) in sizes {
        let answer = server.send("PUT", "/v1/n/entries/k", &[], vec![1; size]).await;
        assert_eq!(answer.status, status, "{size}");
        if status == 413 {
            let problem = answer.is_problem(413, "too-large");
            assert_eq!((&problem["limit"], &problem["actual"]), (&1000.into(), &size.into()));
        }
    }
    // Of unknown length.
    let parts: Vec<Result<Vec<u8>, std::io::Error>> = (0..20).map(|_| Ok(vec![2; 100])).collect();
    let body = reqwest::Body::wrap_stream(futures::stream::iter(parts));
    let answer = server.request("PUT", "/v1/n/entries/k").body(body).send().await.unwrap();
    assert_eq!(answer.status(), 413);
    let parts: Vec<Result<Vec<u8>, std::io::Error>> = (0..10).map(|_| Ok(vec![3; 100])).collect();
    let body = reqwest::Body::wrap_stream(futures::stream::iter(parts));
    assert_eq!(server.request("PUT", "/v1/n/entries/k").body(body).send().await.unwrap().status(), 204);
    assert_eq!(server.get("/v1/n/entries/k").await.body, vec![3; 1000]);
    assert_eq!(server.get("/v1/capabilities").await.json()["max_value_bytes"], 1000);
    // Who asks before sending gets the answer instead.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head =
        "PUT /v1/n/entries/k HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(first_line(&mut stream).await.starts_with("HTTP/1.1 413"));
}

async fn first_line(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.contains(&b'\n') {
        let mut part = [0; 512];
        let length = stream.read(&mut part).await.unwrap();
        assert!(length > 0, "closed after {:?}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&part[..length]);
    }
    String::from_utf8_lossy(&read).lines().next().unwrap().to_owned()
}

/// Whether the other side closes.
async fn closes(stream: &mut TcpStream) -> bool {
    let mut part = [0; 512];
    loop {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return true,
            Ok(_) => {}
        }
    }
}

#[tokio::test]
async fn half_sent_requests_end() {
    let server = start_with(|config| config.limits = small()).await;
    // Nothing, half a preface of HTTP/2, half a head, half a second head: closed.
    for sent in [
        "",
        "P",
        "PRI * HT",
        "GET /healthz HTTP/1.1\r\nHost: local",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hea",
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        assert!(closes(&mut stream).await, "{sent}");
    }
    // Half a body: an answer, and nothing is set.
    for (length, sent) in [("Content-Length: 100", "half"), ("Transfer-Encoding: chunked", "5\r\nhalf")] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!("PUT /v1/n/entries/k HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n{sent}");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(first_line(&mut stream).await.starts_with("HTTP/1.1 408"), "{length}");
    }
    // Half a body, and gone.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"PUT /v1/n/entries/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
        .await
        .unwrap();
    drop(stream);
    // No HTTP at all.
    for sent in [
        "\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /v1/n/entries/a b HTTP/1.1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        assert!(closes(&mut stream).await, "{sent}");
    }
    server.get("/v1/n/entries/k").await.is_problem(404, "absent");
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_key_that_looks_like_a_way_out_stays_a_key() {
    let server = start().await;
    for target in ["/v1/n/entries/a/./b", "/v1/n/entries/a/./b/"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head =
            format!("PUT {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(first_line(&mut stream).await.starts_with("HTTP/1.1 204"), "{target}");
    }
    let keys = server.get("/v1/n/entries").await.json()["items"].clone();
    assert_eq!(keys, serde_json::json!([{"key": "a/./b"}, {"key": "a/./b/"}]));
}
