//! Through HTTP, as curl or a browser would: one request for each line.

use reqwest::Method;
use serde_json::{Value, json};

use crate::product::{Answer, Service};
use crate::rust::{KEYS, PATTERNS};

const JSON: (&str, &str) = ("content-type", "application/json");
const TEXT: (&str, &str) = ("content-type", "text/plain");

impl Service {
    async fn set(&self, key: &str, value: &Value) {
        let answer = self.ask(Method::PUT, &format!("/v1/default/entries/{key}"), &[JSON], value.to_string()).await;
        assert!(answer.status.is_success(), "{key}: {answer:?}");
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.ask(Method::POST, path, &[JSON], body.to_string()).await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
        answer.json()
    }

    async fn keys(&self, pattern: &str) -> Vec<String> {
        let mut url = reqwest::Url::parse("http://localhost/v1/default/entries").expect("a URL");
        url.query_pairs_mut().append_pair("pattern", pattern);
        let page = self.get(&url.as_str()["http://localhost".len()..]).await.json();
        assert_eq!(page["next"], Value::Null, "one page");
        let items = page["items"].as_array().expect("items").iter();
        items.map(|item| item["key"].as_str().expect("a key").to_owned()).collect()
    }
}

#[tokio::test]
async fn http_quick_start() {
    let service = Service::start().await;
    service.set("app.name", &json!("MyApplication")).await;
    service.set("app.version", &json!("1.0.0")).await;
    service.set("app.config.debug", &json!(true)).await;

    // The value itself, or JSON for whoever prefers it.
    let name = service.get("/v1/default/entries/app.name").await;
    assert_eq!((name.status.as_u16(), name.text()), (200, "MyApplication".to_owned()));
    assert_eq!(service.get("/v1/default/entries/app.config.debug").await.json(), json!(true));

    assert_eq!(service.keys("app.*").await, ["app.name", "app.version"]);
    let page = service.get("/v1/default/entries?pattern=app.config.*&include=value").await.json();
    assert_eq!(page["items"][0]["key"], "app.config.debug");
    assert_eq!(page["items"][0]["value"], true);

    let deleted = service.ask(Method::DELETE, "/v1/default/entries/app.config.debug", &[], "").await;
    assert!(deleted.status.is_success(), "{deleted:?}");
    assert_eq!(service.get("/v1/default/entries/app.config.debug").await.status.as_u16(), 404);
    service.set("app.temp.a", &json!(1)).await;
    let deleted = service.ask(Method::DELETE, "/v1/default/entries?pattern=app.temp.*", &[], "").await;
    assert_eq!(deleted.json(), json!({"deleted": 1}));
}

#[tokio::test]
async fn http_hierarchical_keys() {
    let service = Service::start().await;
    service.set("users.123.name", &json!("John Doe")).await;
    service.set("users.123.email", &json!("john@example.com")).await;
    service.set("users.123.settings.theme", &json!("dark")).await;
    service.set("users.123.settings.notifications", &json!(true)).await;

    assert_eq!(service.keys("users.123.*").await, ["users.123.email", "users.123.name"]);
    assert_eq!(service.keys("users.123.**").await.len(), 4);
    assert_eq!(service.keys("users.123.settings.*").await.len(), 2);
    let children = service.get("/v1/default/children?prefix=users").await.json();
    assert_eq!((&children["items"][0]["segment"], &children["items"][0]["below"]), (&json!("123"), &json!(4)));
    let deleted = service.ask(Method::DELETE, "/v1/default/entries?pattern=users.123.**", &[], "").await;
    assert_eq!(deleted.json(), json!({"deleted": 4}));
}

#[tokio::test]
async fn http_pattern_matching() {
    let service = Service::start().await;
    let items: Vec<Value> = KEYS.iter().map(|key| json!({"key": key, "value": 1})).collect();
    service.post("/v1/default/set-many", &json!({"items": items})).await;
    for (pattern, expected) in PATTERNS {
        assert_eq!(service.keys(pattern).await, *expected, "{pattern}");
    }
}

#[tokio::test]
async fn http_metadata() {
    let service = Service::start().await;
    let metadata = json!({"author": "John Doe", "tags": ["quarterly", "finance"], "ttl": 86400}).to_string();
    let headers = [("content-type", "application/pdf"), ("kv-metadata", metadata.as_str())];
    let path = "/v1/default/entries/document.report.pdf";
    let put = service.ask(Method::PUT, path, &headers, "%PDF-1.7").await;
    assert!(put.status.is_success(), "{put:?}");

    let got = service.get(path).await;
    assert_eq!(got.header("content-type"), "application/pdf");
    let header: Value = serde_json::from_str(got.header("kv-metadata")).expect("JSON");
    assert_eq!(header["tags"], json!(["quarterly", "finance"]));
    assert!(!got.header("kv-expires-at").is_empty());
    assert_eq!(got.text(), "%PDF-1.7");

    let path = "/v1/default/metadata/document.report.pdf";
    assert_eq!(service.get(path).await.json()["author"], "John Doe");
    let patch = json!({"reviewed": true, "reviewer": "Jane Smith"}).to_string();
    let patched = service.ask(Method::PATCH, path, &[JSON], patch).await;
    assert!(patched.status.is_success(), "{patched:?}");
    let read = service.get(path).await.text();
    assert!(read.contains("John Doe") && read.contains("Jane Smith"), "{read}");
}

#[tokio::test]
async fn http_ttl_and_expiration() {
    let service = Service::start().await;
    let path = "/v1/default/entries/session.abc123";
    let put = service.ask(Method::PUT, path, &[TEXT, ("kv-ttl-ms", "3600000")], "session data").await;
    assert!(put.status.is_success(), "{put:?}");
    assert_eq!(service.ask(Method::HEAD, path, &[], "").await.status.as_u16(), 200);
    let left: u64 = service.get(path).await.header("kv-ttl-ms").parse().expect("milliseconds");
    assert_eq!(left, 3_600_000);

    service.clock.advance(3_600_000);
    assert_eq!(service.ask(Method::HEAD, path, &[], "").await.status.as_u16(), 404);
    assert_eq!(service.get(path).await.status.as_u16(), 404);
    assert_eq!(service.post("/v1/default/cleanup", &json!({})).await["removed"], 1);

    service.set("cache.results", &json!("results")).await;
    service.post("/v1/default/touch/cache.results", &json!({"ttl_ms": 300_000})).await;
    service.post("/v1/default/persist/cache.results", &json!({})).await;
    service.clock.advance(300_000);
    assert_eq!(service.get("/v1/default/entries/cache.results").await.status.as_u16(), 200);
}

#[tokio::test]
async fn http_atomic_operations() {
    let service = Service::start().await;
    service.set("version", &json!("1.0.0")).await;
    let swap = json!({"old": "1.0.0", "new": "1.1.0"});
    assert_eq!(service.post("/v1/default/compare-and-swap/version", &swap).await["swapped"], true);
    assert_eq!(service.post("/v1/default/compare-and-swap/version", &swap).await["swapped"], false);

    let plus = json!({"delta": 1});
    assert_eq!(service.post("/v1/default/increment/stats.page_views", &plus).await["value"], 1);
    assert_eq!(service.post("/v1/default/increment/stats.page_views", &plus).await["value"], 2);
    assert_eq!(service.post("/v1/default/increment/inventory.item_123", &json!({"delta": -1})).await["value"], -1);

    for line in ["\n2024-01-15 10:30 User login", "\n2024-01-15 10:31 User logout"] {
        let appended = service.ask(Method::POST, "/v1/default/append/logs.access", &[TEXT], line).await;
        assert!(appended.status.is_success(), "{appended:?}");
    }
    let log = service.get("/v1/default/entries/logs.access").await.text();
    assert_eq!(log, "\n2024-01-15 10:30 User login\n2024-01-15 10:31 User logout");
}

#[tokio::test]
async fn http_batches() {
    let service = Service::start().await;
    let items = json!({"items": [
        {"key": "config.host", "value": "localhost"},
        {"key": "config.port", "value": 8080},
        {"key": "config.ssl", "value": true},
        {"key": "config.timeout", "value": 30},
    ]});
    service.post("/v1/default/set-many", &items).await;
    let keys = json!({"keys": ["config.host", "config.port", "config.ssl"]});
    let values = service.post("/v1/default/get-many", &keys).await.to_string();
    for value in ["\"localhost\"", "8080", "true"] {
        assert!(values.contains(value), "{values}");
    }
    let keys = json!({"keys": ["config.host", "config.port", "config.ssl", "config.none"]});
    let results = service.post("/v1/default/delete-many", &keys).await;
    assert_eq!(results["results"].as_array().map(Vec::len), Some(4), "{results}");
    assert_eq!(service.keys("config.*").await, ["config.timeout"]);
}

#[tokio::test]
async fn http_namespaces() {
    let service = Service::start().await;
    for (namespace, value) in [("user_data", json!({"theme": "dark"})), ("system", json!({"debug": true}))] {
        let path = format!("/v1/{namespace}/entries/settings");
        service.ask(Method::PUT, &path, &[JSON], value.to_string()).await;
        assert_eq!(service.get(&path).await.json(), value);
    }
    let names = service.get("/v1/namespaces").await.text();
    assert!(names.contains("user_data") && names.contains("system"), "{names}");
    let dropped = service.ask(Method::DELETE, "/v1/system", &[], "").await;
    assert!(dropped.status.is_success(), "{dropped:?}");
    assert_eq!(service.get("/v1/system/entries/settings").await.status.as_u16(), 404);
    assert_eq!(service.get("/v1/user_data/entries/settings").await.status.as_u16(), 200);
}
