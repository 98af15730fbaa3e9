//! How many, how long, and how it ends.
mod common;

use std::time::Duration;

use common::{Answer, small, start, start_with};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_store_that_does_not_answer() {
    let server = start_with(|config| config.limits = small()).await;
    let problem = server.get("/v1/n/entries/slow").await;
    problem.is_problem(503, "unavailable");
    assert_eq!(problem.header("retry-after"), "1");
    server.send("PUT", "/v1/n/entries/slow", &[], "1").await.is_problem(504, "outcome-unknown");
    server.post("/v1/n/increment/slow", "").await.is_problem(504, "outcome-unknown");
    server.post("/v1/n/set-many", r#"{"items":[{"key":"slow","value":1}]}"#).await.is_problem(504, "outcome-unknown");
    assert_eq!(server.send("PUT", "/v1/n/entries/k", &[], "1").await.status, 204);
}

#[tokio::test]
async fn a_defect_is_an_answer() {
    let server = start().await;
    server.get("/v1/n/entries/broken").await.is_problem(500, "internal");
    assert_eq!(server.send("PUT", "/v1/n/entries/k", &[], "1").await.status, 204);
}

#[tokio::test]
async fn a_bounded_number_of_calls_and_a_bounded_queue() {
    let server = start_with(|config| {
        config.limits.concurrency = 2;
        config.limits.queue = 1;
        config.limits.request_time = Duration::from_millis(500);
    })
    .await;
    let slow = || {
        let request = server.request("GET", "/v1/n/entries/slow");
        tokio::spawn(async { Answer::of(request.send().await.unwrap()).await })
    };
    let busy = [slow(), slow()];
    let _ = server.entered.acquire_many(2).await.unwrap();
    // One more may wait, until its time or its turn has come; which of these two that is, chance decides.
    let (a, b) = tokio::join!(server.get("/v1/n/entries/k"), server.get("/v1/n/entries/k"));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses[1], 429);
    assert!(matches!(statuses[0], 404 | 503) || statuses[0] == 429, "{statuses:?}");
    let refused = if a.status == 429 { a } else { b };
    assert_eq!(refused.is_problem(429, "rate-limited")["retry_after_ms"], 1000);
    assert_eq!(refused.header("retry-after"), "1");
    for task in busy {
        task.await.unwrap().is_problem(503, "unavailable");
    }
    server.get("/v1/n/entries/k").await.is_problem(404, "absent");
}

#[tokio::test]
async fn all_bodies_together_are_bounded() {
    let server = start_with(|config| config.limits.buffered_bytes = 1000).await;
    let mut half = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /v1/n/entries/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 801\r\n\r\n";
    half.write_all(head.as_bytes()).await.unwrap();
    half.write_all(&[1; 800]).await.unwrap();
    // Until those bytes are taken in, this body still fits.
    loop {
        let answer = server.send("PUT", "/v1/n/entries/b", &[], vec![1; 300]).await;
        if answer.status != 204 {
            answer.is_problem(429, "rate-limited");
            break;
        }
    }
    half.write_all(&[1]).await.unwrap();
    while server.get("/v1/n/entries/a").await.status != 200 {}
    assert_eq!(server.send("PUT", "/v1/n/entries/b", &[], vec![1; 300]).await.status, 204);
}

#[tokio::test]
async fn connections_wait_for_a_place() {
    let server = start_with(|config| config.limits.connections = 1).await;
    let holder = TcpStream::connect(server.address).await.unwrap();
    let request = server.request("GET", "/healthz").send();
    tokio::pin!(request);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut request).await;
    assert!(early.is_err(), "answered beside the one connection that is allowed");
    drop(holder);
    assert_eq!(request.await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_was_accepted_is_finished() {
    let server = start().await;
    let address = server.address;
    let (mut sender, body) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
    let request = server.request("PUT", "/v1/n/entries/k").body(reqwest::Body::wrap_stream(body));
    let answer = tokio::spawn(request.send());
    sender.start_send(Ok(b"first ".to_vec())).unwrap();
    // That this arrives says that the service has begun with it.
    server.get("/healthz").await;
    let idle = TcpStream::connect(address).await.unwrap();
    while TcpStream::connect(address).await.is_err() {}
    tokio::task::yield_now().await;
    server.stop.send(()).unwrap();
    // No more connections once the listener is gone.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    sender.start_send(Ok(b"second".to_vec())).unwrap();
    drop(sender);
    assert_eq!(answer.await.unwrap().unwrap().status(), 204);
    server.ended.await.unwrap().unwrap();
    drop(idle);
    let stored = server.store.get("n", "k").await.unwrap().unwrap();
    assert_eq!(stored.value.unwrap(), b"first second");
}

#[tokio::test]
async fn what_does_not_end_is_cut_off() {
    let server = start_with(|config| {
        config.limits = small();
        config.limits.request_time = Duration::from_secs(3600);
    })
    .await;
    let request = server.request("GET", "/v1/n/entries/slow").send();
    let stuck = tokio::spawn(request);
    let _ = server.entered.acquire().await.unwrap();
    server.stop.send(()).unwrap();
    server.ended.await.unwrap().unwrap();
    assert!(stuck.await.unwrap().is_err());
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_let_go() {
    let server = start_with(|config| {
        config.limits.stall_time = Duration::from_millis(200);
        config.limits.connections = 2;
    })
    .await;
    assert_eq!(server.send("PUT", "/v1/n/entries/big", &[], vec![1; 15 << 20]).await.status, 204);
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(b"GET /v1/n/entries/big HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    // Its place is free again only when it was let go: the caller's own connection holds the other.
    let other = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = other.get(format!("{}/healthz", server.base)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn http2_by_prior_knowledge() {
    let server = start().await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let url = format!("{}/v1/n/entries/k", server.base);
    let answer = client.put(&url).header("content-type", "text/plain").body("two").send().await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, 204));
    assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "two");
    server.stop.send(()).unwrap();
    drop(client);
    server.ended.await.unwrap().unwrap();
}
