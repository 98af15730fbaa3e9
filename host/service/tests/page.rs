//! The page at `/`, beside the API.
mod common;

use common::{Server, start_with};
use dataknobs_kv_core::Error;
use dataknobs_kv_service::{Page, Token};

const HTML: &str = "<!doctype html><title>page</title>";

fn page() -> Page {
    let files =
        [("index.html", HTML), ("page.js", "export {};"), ("a.css", "a{}"), ("i.svg", "<svg/>"), ("m.wasm", "\0asm")];
    Page::new(files).unwrap()
}

async fn served() -> Server {
    start_with(|config| config.page = page()).await
}

#[tokio::test]
async fn browsers_get_the_page() {
    let server = served().await;
    for accept in ["text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "*/*", "text/*"] {
        let answer = server.send("GET", "/", &[("accept", accept)], "").await;
        assert_eq!((answer.status, answer.text()), (200, HTML), "{accept}");
        assert_eq!(answer.header("vary"), "accept");
    }
    // Where nothing is said, everything is liked; parameters are the page's own.
    assert_eq!(server.get("/?store=browser").await.text(), HTML);
    for (path, content_type, body) in [
        ("/", "text/html; charset=utf-8", HTML),
        ("/index.html", "text/html; charset=utf-8", HTML),
        ("/page.js", "text/javascript; charset=utf-8", "export {};"),
        ("/a.css", "text/css; charset=utf-8", "a{}"),
        ("/i.svg", "image/svg+xml", "<svg/>"),
        ("/m.wasm", "application/wasm", "\0asm"),
    ] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.text()), (200, body), "{path}");
        assert_eq!(answer.header("content-type"), content_type);
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("kv-api"), "v1");
        let policy = answer.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self' 'wasm-unsafe-eval'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{policy}");
        let head = server.send("HEAD", path, &[], "").await;
        assert_eq!((head.status, head.text()), (200, ""));
        assert_eq!(head.header("etag"), answer.header("etag"));
    }
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again() {
    let server = served().await;
    let etag = server.get("/page.js").await.header("etag").to_owned();
    assert_ne!(etag, server.get("/").await.header("etag"));
    for known in [etag.as_str(), &format!("W/{etag}"), &format!("\"other\", {etag}"), "*"] {
        let answer = server.send("GET", "/page.js", &[("if-none-match", known)], "").await;
        assert_eq!((answer.status, answer.text()), (304, ""), "{known}");
        assert_eq!(answer.header("etag"), etag);
    }
    for other in ["\"other\"", etag.trim_matches('"')] {
        assert_eq!(server.send("GET", "/page.js", &[("if-none-match", other)], "").await.status, 200, "{other}");
    }
}

#[tokio::test]
async fn the_api_is_not_hidden() {
    let server = served().await;
    server.put("page.js", "1").await;
    assert_eq!(server.get("/v1/n/entries/page.js").await.text(), "1");
    assert_eq!(server.get("/healthz").await.status, 200);
    assert!(!server.get("/metrics").await.text().contains("route=\"/page.js\""));
    // Who asks for JSON is no browser, and typing errors are still told of.
    for (path, accept) in
        [("/", "application/json"), ("/", "text/html;q=0"), ("/nowhere.js", "*/*"), ("/page.js/", "*/*")]
    {
        server.send("GET", path, &[("accept", accept)], "").await.is_problem(404, "not-found");
    }
    assert_eq!(server.send("POST", "/page.js", &[], "").await.status, 405);
}

#[tokio::test]
async fn without_a_page_there_is_nothing_at_the_top() {
    let server = start_with(|_| {}).await;
    server.get("/").await.is_problem(404, "not-found");
}

#[tokio::test]
async fn the_page_needs_no_token_and_the_api_does() {
    let server = start_with(|config| {
        config.page = page();
        config.tokens = vec![Token::new("secret").unwrap()];
    })
    .await;
    for path in ["/", "/index.html", "/page.js"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    for path in ["/v1/namespaces", "/v1/n/entries/page.js", "/metrics", "/page.js/", "/other.js"] {
        server.get(path).await.is_problem(401, "access-denied");
    }
    // Pages of others stay out here too, and so do names that resolve to this machine.
    let headers = [("origin", "https://evil.example")];
    server.send("GET", "/page.js", &headers, "").await.is_problem(403, "access-denied");
    let server = served().await;
    server.send("GET", "/", &[("host", "evil.example")], "").await.is_problem(403, "access-denied");
}

#[test]
fn names_of_files() {
    for bad in ["", ".html", "metrics", "v1", "a/b.js", "../a.js", "a b.js", "{a}.js", "*.js", "a.exe", "index.html/"] {
        let error = Page::new([("index.html", ""), (bad, "")]).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument(_)), "{bad}: {error}");
    }
    assert!(
        matches!(Page::new([("page.js", "")]), Err(Error::InvalidArgument(message)) if message.contains("index.html"))
    );
    assert_eq!(format!("{:?}", page()), r#"{"/", "/a.css", "/i.svg", "/index.html", "/m.wasm", "/page.js"}"#);
    assert_eq!(format!("{:?}", Page::default()), "{}");
}
