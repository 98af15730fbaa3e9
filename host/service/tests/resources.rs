//! Everything but single entries: listings, metadata, counters, batches, namespaces, health.
mod common;

use common::{NOW, Server, start};
use serde_json::json;

async fn filled() -> Server {
    let server = start().await;
    for index in 0..25 {
        server.put(&format!("app.{index:02}"), &index.to_string()).await;
    }
    server.put("other", "\"x\"").await;
    server
}

#[tokio::test]
async fn pages_follow_each_other() {
    let server = filled().await;
    let mut keys = Vec::new();
    let mut path = "/v1/n/entries?pattern=app.*&limit=10".to_owned();
    loop {
        let page = server.get(&path).await;
        assert_eq!((page.status, page.header("content-type")), (200, "application/json"));
        let page = page.json();
        for item in page["items"].as_array().unwrap() {
            assert_eq!(item.as_object().unwrap().len(), 1);
            keys.push(item["key"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else {
            assert!(page["next"].is_null() && page.as_object().unwrap().contains_key("next"));
            break;
        };
        let next = dataknobs_kv_core::wire::header::percent_encode(next);
        path = format!("/v1/n/entries?pattern=app.*&limit=10&cursor={next}");
    }
    assert_eq!(keys, (0..25).map(|index| format!("app.{index:02}")).collect::<Vec<_>>());
    let all = server.get("/v1/n/entries").await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 26);
}

#[tokio::test]
async fn include_decides_what_items_carry() {
    let server = start().await;
    let headers = [("content-type", "application/json"), ("kv-metadata", r#"{"a":1}"#)];
    server.send("PUT", "/v1/n/entries/k", &headers, "1").await;
    let item = server.get("/v1/n/entries?include=metadata").await.json()["items"][0].clone();
    assert_eq!(item["type"], "integer");
    assert_eq!(item["metadata"], json!({"a": 1}));
    assert_eq!(item["created_at"], NOW);
    assert!(item.get("value").is_none() && item["version"].is_string() && item["checksum"].is_u64());
    for include in ["metadata,value", "value", "value,%20key"] {
        let item = server.get(&format!("/v1/n/entries?include={include}")).await.json()["items"][0].clone();
        assert_eq!((&item["value"], &item["size"], &item["metadata"]), (&json!(1), &json!(1), &json!({"a": 1})));
    }
    server.put("b", "2").await;
    let found = server.get("/v1/n/entries?metadata=%7B%22a%22:1%7D").await.json();
    assert_eq!(found["items"], json!([{"key": "k"}]));
    assert_eq!(server.get("/v1/n/count?metadata=%7B%22a%22:1%7D").await.json(), json!({"count": 1}));
}

#[tokio::test]
async fn lines_stream_all_pages() {
    let server = start().await;
    let items: Vec<_> = (0..2500).map(|index| json!({"key": format!("k{index:04}"), "value": "a\nb"})).collect();
    for part in items.chunks(1000) {
        let answer = server.post("/v1/n/set-many", &json!({"items": part}).to_string()).await;
        assert_eq!(answer.status, 200);
    }
    let accept = [("accept", "application/x-ndjson")];
    let answer = server.send("GET", "/v1/n/entries?include=value", &accept, "").await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    let lines: Vec<_> = answer.text().lines().collect();
    assert_eq!(lines.len(), 2500);
    for (index, line) in lines.iter().enumerate() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&entry["key"], &entry["value"]), (&json!(format!("k{index:04}")), &json!("a\nb")));
    }
    let answer = server.send("GET", "/v1/n/entries?limit=1500", &accept, "").await;
    assert_eq!(answer.text().lines().count(), 1500);
    assert_eq!(server.send("GET", "/v1/n/entries?pattern=none", &accept, "").await.text(), "");
    server.send("GET", "/v1/n/entries?pattern=%5B", &accept, "").await.is_problem(400, "invalid-argument");

    // The second page of this namespace fails.
    for part in items.chunks(1000) {
        server.post("/v1/half/set-many", &json!({"items": part}).to_string()).await;
    }
    let answer = server.send("GET", "/v1/half/entries", &accept, "").await;
    assert_eq!(answer.status, 200);
    let last: serde_json::Value = serde_json::from_str(answer.text().lines().last().unwrap()).unwrap();
    assert_eq!((&last["error"]["code"], &last["error"]["status"]), (&json!("corrupt"), &json!(500)));
    let problem = server.send("DELETE", "/v1/half/entries?pattern=**", &[], "").await.is_problem(500, "corrupt");
    assert!(problem["detail"].as_str().unwrap().starts_with("1000 entries were deleted"), "{problem}");
}

#[tokio::test]
async fn walks_go_to_the_end_or_step_by_step() {
    let server = filled().await;
    assert_eq!(server.get("/v1/n/count").await.json(), json!({"count": 26}));
    assert_eq!(server.get("/v1/n/count?pattern=app.*").await.json(), json!({"count": 25}));
    let step = server.get("/v1/n/count?pattern=app.*&limit=10").await.json();
    assert!(step["count"].as_u64().unwrap() <= 10 && step["next"].is_string(), "{step}");
    server.send("DELETE", "/v1/n/entries", &[], "").await.is_problem(400, "invalid-argument");
    let step = server.send("DELETE", "/v1/n/entries?pattern=app.0*&limit=5", &[], "").await.json();
    assert_eq!(step["deleted"], 5);
    assert!(step["next"].is_string());
    let rest = server.send("DELETE", "/v1/n/entries?pattern=app.*", &[], "").await;
    assert_eq!((rest.status, rest.json()), (200, json!({"deleted": 20})));
    assert_eq!(server.get("/v1/n/entries").await.json()["items"], json!([{"key": "other"}]));
}

#[tokio::test]
async fn children_are_the_next_level() {
    let server = filled().await;
    server.put("app", "1").await;
    let top = server.get("/v1/n/children").await.json();
    assert_eq!(
        top["items"][0],
        json!({"segment": "app", "key": "app", "is_entry": true, "below": 25, "has_children": true})
    );
    assert_eq!(top["items"][1]["segment"], "other");
    assert!(top["next"].is_null());
    let below = server.get("/v1/n/children?prefix=app&counts=false&limit=1").await.json();
    assert_eq!(below["items"], json!([{"segment": "00", "key": "app.00", "is_entry": true, "has_children": false}]));
    assert!(below["next"].is_string());
}

#[tokio::test]
async fn metadata_by_itself() {
    let server = start().await;
    let path = "/v1/n/metadata/k";
    for method in ["GET", "PUT", "PATCH"] {
        server.send(method, path, &[], "{}").await.is_problem(404, "absent");
    }
    let version = server.put("k", "1").await;
    assert_eq!(server.get(path).await.text(), "{}");
    let put = server.send("PUT", path, &[("if-match", &format!("\"{version}\""))], r#"{"a":1,"b":2}"#).await;
    assert_eq!(put.status, 204);
    let etag = put.header("etag").to_owned();
    assert_eq!(server.send("PATCH", path, &[("if-match", "*")], r#"{"b":null,"c":"é"}"#).await.status, 204);
    let read = server.get(path).await;
    assert_eq!((read.text(), read.header("content-type")), (r#"{"a":1,"c":"é"}"#, "application/json"));
    assert_eq!(read.header("kv-type"), "integer");
    let lost = server.send("PATCH", path, &[("if-match", &etag)], "{}").await;
    lost.is_problem(412, "conflict");
    assert_eq!(lost.json()["current"]["metadata"], json!({"a": 1, "c": "é"}));
    assert_eq!(server.send("GET", path, &[("if-none-match", read.header("etag"))], "").await.status, 304);
    for bad in ["", "[]", "{", "{\"a\":1,\"a\":2}", "{\"a\":\"\\ud800\"}"] {
        server.send("PUT", path, &[], bad).await.is_problem(400, "invalid-argument");
    }
    server.send("PUT", path, &[], vec![b'{', 0xff, b'}']).await.is_problem(400, "invalid-argument");
    assert_eq!(server.get("/v1/n/entries/k").await.text(), "1");
}

#[tokio::test]
async fn counters_are_exact() {
    let server = start().await;
    let path = "/v1/n/increment/k";
    let first = server.post(path, r#"{"delta":1}"#).await;
    assert_eq!((first.status, &first.json()["value"]), (200, &json!(1)));
    assert_eq!(first.header("etag"), format!("\"{}\"", first.json()["version"].as_str().unwrap()));
    assert_eq!(server.post(path, "").await.json()["value"], 2);
    let big = server.post(path, r#"{"delta":9223372036854775805}"#).await;
    assert!(big.text().starts_with(r#"{"value":9223372036854775807,"#), "{}", big.text());
    server.post(path, "{}").await.is_problem(409, "overflow");
    let sum = server.post("/v1/n/increment/f", r#"{"delta":0.5}"#).await.json();
    assert_eq!((&sum["value"], sum.get("type")), (&json!(0.5), None));
    let sum = server.post("/v1/n/increment/f", r#"{"delta":0.5}"#).await;
    assert!(sum.text().starts_with(r#"{"value":1,"type":"number","#), "{}", sum.text());
    let sum = server.post("/v1/n/increment/t", r#"{"delta":1,"type":"number","ttl_ms":50}"#).await.json();
    assert_eq!(sum["type"], "number");
    assert_eq!(server.get("/v1/n/entries/t").await.header("kv-ttl-ms"), "50");
    server.put("text", "\"1\"").await;
    server.post("/v1/n/increment/text", "{}").await.is_problem(409, "type-mismatch");
    for bad in
        ["1", "{\"delta\":\"1\"}", "{\"delta\":1,\"x\":1}", "{\"delta\":1e999}", "{\"delta\":9223372036854775808}", "{"]
    {
        server.post(path, bad).await.is_problem(400, "invalid-argument");
    }
    server.send("POST", path, &[("if-match", "\"a\"")], "{}").await.is_problem(501, "unsupported");

    let calls = (0..50).map(|_| server.post("/v1/n/increment/many", "{}"));
    futures::future::join_all(calls).await;
    assert_eq!(server.get("/v1/n/entries/many").await.text(), "50");
}

#[tokio::test]
async fn appends_are_typed_as_puts() {
    let server = start().await;
    let text = [("content-type", "text/plain")];
    let answer = server.send("POST", "/v1/n/append/t", &text, "é").await;
    assert_eq!((answer.status, &answer.json()["size"]), (200, &json!(2)));
    assert_eq!(server.send("POST", "/v1/n/append/t", &text, "\nx").await.json()["size"], 4);
    assert_eq!(server.get("/v1/n/entries/t").await.text(), "é\nx");
    server.send("POST", "/v1/n/append/t", &[], vec![0]).await.is_problem(409, "type-mismatch");
    let json = [("content-type", "application/json"), ("kv-ttl-ms", "70")];
    server.send("POST", "/v1/n/append/j", &json, "{\"a\": 1}").await;
    server.send("POST", "/v1/n/append/j", &[("kv-type", "integer")], "2").await;
    let read = server.get("/v1/n/entries/j").await;
    assert_eq!((read.json(), read.header("kv-ttl-ms")), (serde_json::json!([{"a": 1}, 2]), "70"));
    let headers = [("kv-metadata", "{}")];
    server.send("POST", "/v1/n/append/t", &headers, "x").await.is_problem(400, "invalid-argument");
}

#[tokio::test]
async fn compare_and_swap_by_value() {
    let server = start().await;
    let path = "/v1/n/compare-and-swap/k";
    let first = server.post(path, r#"{"new":{"a":1},"ttl_ms":1000,"metadata":{"m":1}}"#).await;
    assert_eq!((first.status, &first.json()["swapped"]), (200, &json!(true)));
    assert!(first.has("etag"));
    let again = server.post(path, r#"{"new":1}"#).await.json();
    assert_eq!((&again["swapped"], &again["current"]["value"]), (&json!(false), &json!({"a": 1})));
    assert_eq!(server.post(path, r#"{"old":{ "a" : 1.0 },"new":null}"#).await.json()["swapped"], true);
    assert_eq!(server.post(path, r#"{"old":null,"new":"AA==","new_type":"bytes"}"#).await.json()["swapped"], true);
    assert_eq!(server.post(path, r#"{"old":"AA==","new":1}"#).await.json()["swapped"], false);
    assert_eq!(server.post(path, r#"{"old":"AA==","old_type":"bytes","new":1}"#).await.json()["swapped"], true);
    let none = server.post("/v1/n/compare-and-swap/none", r#"{"old":1,"new":2}"#).await.json();
    assert_eq!(none, json!({"swapped": false}));
    for bad in ["", "{}", "{\"old\":1}", "{\"new\":1,\"old_type\":\"text\"}", "{\"new\":1,\"odl\":2}", "[]"] {
        server.post(path, bad).await.is_problem(400, "invalid-argument");
    }
}

#[tokio::test]
async fn expiry_is_touched_and_lifted() {
    let server = start().await;
    server.post("/v1/n/touch/k", r#"{"ttl_ms":5}"#).await.is_problem(404, "absent");
    server.post("/v1/n/persist/k", "").await.is_problem(404, "absent");
    let version = server.put("k", "1").await;
    let touched = server.post("/v1/n/touch/k", r#"{"ttl_ms":500}"#).await;
    assert_eq!(touched.status, 204);
    assert_ne!(touched.header("etag"), format!("\"{version}\""));
    assert_eq!(server.get("/v1/n/entries/k").await.header("kv-ttl-ms"), "500");
    server.post("/v1/n/touch/k", &format!(r#"{{"expires_at":{}}}"#, NOW + 7)).await;
    assert_eq!(server.get("/v1/n/entries/k").await.header("kv-ttl-ms"), "7");
    server.post("/v1/n/touch/k", r#"{"sliding_ms":9}"#).await;
    assert_eq!(server.get("/v1/n/entries/k").await.header("kv-sliding-ms"), "9");
    assert_eq!(server.post("/v1/n/persist/k", "").await.status, 204);
    let read = server.get("/v1/n/entries/k").await;
    assert!(!read.has("kv-ttl-ms") && !read.has("kv-sliding-ms"));
    let headers = [("if-match", "\"old\"")];
    server.send("POST", "/v1/n/persist/k", &headers, "").await.is_problem(412, "conflict");
    for bad in [
        "",
        "{}",
        "{\"ttl_ms\":0}",
        "{\"ttl_ms\":-1}",
        "{\"ttl_ms\":1.5}",
        "{\"ttl_ms\":18446744073709551615}",
        "{\"ttl_ms\":18446744073709551616}",
        "{\"expires_at\":1}",
        "{\"ttl_ms\":1,\"sliding_ms\":1}",
        "{\"ttl\":1}",
    ] {
        server.post("/v1/n/touch/k", bad).await.is_problem(400, "invalid-argument");
    }
}

#[tokio::test]
async fn batches_answer_for_each_item() {
    let server = start().await;
    let version = server.put("there", "1").await;
    let request = json!({"items": [
        {"key": "a", "value": 1, "ttl_ms": 60000, "metadata": {"m": "é"}, "content_type": "x/y"},
        {"key": "b", "value": "AAE=", "type": "bytes"},
        {"key": "", "value": 1},
        {"key": "c", "value": 1, "ttl_ms": -1},
        {"key": "there", "value": 2, "if_absent": true, "on_conflict": "value"},
        {"key": "d", "value": 2, "if_version": "none"},
        {"key": "e"},
        {"key": "f", "value": null},
        7,
    ]});
    let answer = server.post("/v1/n/set-many", &request.to_string()).await;
    assert_eq!(answer.status, 200);
    let results = answer.json()["results"].clone();
    let statuses: Vec<_> =
        results.as_array().unwrap().iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [204, 204, 400, 400, 412, 412, 400, 204, 400]);
    assert_eq!(results[2]["code"], "invalid-argument");
    assert_eq!((&results[3]["key"], results[3]["message"].is_string()), (&json!("c"), true));
    assert_eq!((&results[4]["code"], &results[4]["current"]["value"]), (&json!("conflict"), &json!(1)));
    assert_eq!(results[4]["current"]["version"], version);
    assert!(results[0]["version"].is_string());

    let answer = server.post("/v1/n/get-many", r#"{"keys":["a","none","b","a",""]}"#).await.json();
    assert_eq!(answer["remaining"], 0);
    assert_eq!(answer["results"][0]["entry"]["metadata"], json!({"m": "é"}));
    assert_eq!(answer["results"][0]["entry"]["expires_at"], NOW + 60_000);
    assert_eq!(answer["results"][0]["entry"]["content_type"], "x/y");
    assert_eq!(answer["results"][1], json!({"key": "none", "status": 404, "code": "absent"}));
    assert_eq!(
        (&answer["results"][2]["entry"]["type"], &answer["results"][2]["entry"]["value"]),
        (&json!("bytes"), &json!("AAE="))
    );
    assert_eq!(answer["results"][3], answer["results"][0]);
    assert_eq!(answer["results"][4]["status"], 400);
    let answer = server.post("/v1/n/get-many", r#"{"keys":["a"],"include":"metadata"}"#).await.json();
    assert!(answer["results"][0]["entry"].get("value").is_none());

    let answer = server.post("/v1/n/delete-many", r#"{"keys":["a","none","b"]}"#).await.json();
    let statuses: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [204, 404, 204]);

    let many: Vec<_> = (0..1001).map(|index| format!("k{index}")).collect();
    let items: Vec<_> = many.iter().map(|key| json!({"key": key, "value": 1})).collect();
    for (path, body) in [
        ("/v1/n/set-many", json!({"items": items})),
        ("/v1/n/get-many", json!({"keys": many})),
        ("/v1/n/delete-many", json!({"keys": many})),
    ] {
        let problem = server.post(path, &body.to_string()).await.is_problem(413, "too-large");
        assert_eq!((&problem["limit"], &problem["actual"]), (&json!(1000), &json!(1001)));
    }
    let twice = r#"{"items":[{"key":"z","value":1},{"key":"z","value":2}]}"#;
    server.post("/v1/n/set-many", twice).await.is_problem(400, "invalid-argument");
    for (path, bad) in [
        ("set-many", "{}"),
        ("set-many", "{\"items\":1}"),
        ("get-many", "{\"keys\":[1]}"),
        ("get-many", "{\"keys\":[],\"x\":1}"),
        ("delete-many", "[]"),
        ("transact", ""),
    ] {
        server.post(&format!("/v1/n/{path}"), bad).await.is_problem(400, "invalid-argument");
    }
}

#[tokio::test]
async fn large_values_are_answered_in_parts() {
    let server = start().await;
    for key in ["a", "b", "c"] {
        server.send("PUT", &format!("/v1/n/entries/{key}"), &[], vec![7; 6 << 20]).await;
    }
    let answer = server.post("/v1/n/get-many", r#"{"keys":["a","b","c"]}"#).await.json();
    let count = answer["results"].as_array().unwrap().len() as u64;
    assert!((1..3).contains(&count), "{count}");
    assert_eq!(answer["remaining"], 3 - count);
}

#[tokio::test]
async fn transactions_are_whole() {
    let server = start().await;
    let version = server.put("b", "1").await;
    let request = json!({
        "checks": [{"key": "lock", "if_absent": true}, {"key": "b", "if_version": version}],
        "actions": [{"set": {"key": "a", "value": 1.5}}, {"delete": "b"}, {"delete": "none"}],
    });
    let answer = server.post("/v1/n/transact", &request.to_string()).await;
    assert_eq!(answer.status, 200);
    let done = answer.json();
    assert_eq!(done["committed"], true);
    assert!(done["versions"][0].is_string() && done["versions"][1].is_null() && done["versions"][2].is_null());
    let failed = server.post("/v1/n/transact", &request.to_string()).await.json();
    assert_eq!(
        (&failed["committed"], &failed["failed"]["in"], &failed["failed"]["index"]),
        (&json!(false), &json!("checks"), &json!(1))
    );
    let request = r#"{"actions":[{"set":{"key":"a","value":2,"if_absent":true}}]}"#;
    let failed = server.post("/v1/n/transact", request).await.json();
    assert_eq!(failed["failed"]["current"]["key"], "a");
    assert_eq!((&failed["failed"]["in"], &failed["failed"]["current"]["type"]), (&json!("actions"), &json!("number")));
    assert_eq!(server.get("/v1/n/entries/a").await.text(), "1.5");
    for bad in [
        "{\"actions\":[{\"drop\":1}]}",
        "{\"actions\":[{\"set\":{\"key\":\"a\"}}]}",
        "{\"checks\":[{\"key\":\"a\",\"if\":1}]}",
    ] {
        server.post("/v1/n/transact", bad).await.is_problem(400, "invalid-argument");
    }
}

#[tokio::test]
async fn namespaces_are_listed_emptied_and_cleaned() {
    let server = start().await;
    for namespace in ["a", "a.b", "c"] {
        for key in 0..3 {
            let path = format!("/v1/{namespace}/entries/k{key}");
            server.send("PUT", &path, &[("kv-ttl-ms", if key == 0 { "10" } else { "1000" })], "x").await;
        }
    }
    let page = server.get("/v1/namespaces?limit=2").await.json();
    assert_eq!(page["items"], json!(["a", "a.b"]));
    let next = dataknobs_kv_core::wire::header::percent_encode(page["next"].as_str().unwrap());
    assert_eq!(
        server.get(&format!("/v1/namespaces?cursor={next}")).await.json(),
        json!({"items": ["c"], "next": null})
    );
    server.clock.advance(10);
    assert_eq!(server.post("/v1/a/cleanup", "").await.json(), json!({"removed": 1, "more": false}));
    assert_eq!(server.post("/v1/cleanup", r#"{"limit":1}"#).await.json()["removed"], 1);
    assert_eq!(server.post("/v1/cleanup", "{}").await.json(), json!({"removed": 1, "more": false}));
    assert_eq!(server.send("DELETE", "/v1/a?limit=1", &[], "").await.json(), json!({"more": true}));
    assert_eq!(server.send("DELETE", "/v1/a", &[], "").await.json(), json!({"more": false}));
    assert_eq!(server.get("/v1/a/count").await.json(), json!({"count": 0}));
    assert_eq!(server.get("/v1/a.b/count").await.json(), json!({"count": 2}));
}

#[tokio::test]
async fn the_service_tells_of_itself() {
    let server = start().await;
    let capabilities = server.get("/v1/capabilities").await.json();
    assert_eq!(capabilities["sliding"], true);
    assert_eq!(capabilities["durable"], false);
    assert!(capabilities["max_value_bytes"].as_u64().unwrap() <= 32 << 20);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).await.status, 200);
        assert_eq!(server.send("HEAD", path, &[], "").await.status, 200);
    }
}

#[tokio::test]
async fn metrics() {
    let server = start().await;
    server.put("secret.key", "1").await;
    server.get("/v1/n/entries/secret.key").await;
    server.get("/v1/n/entries/absent").await;
    server.get("/nowhere").await;
    let answer = server.get("/metrics").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let route = "/v1/{ns}/entries/{*key}";
    for line in [
        format!("dataknobs_kv_http_requests_total{{method=\"PUT\",route=\"{route}\",status=\"204\"}} 1"),
        format!("dataknobs_kv_http_requests_total{{method=\"GET\",route=\"{route}\",status=\"200\"}} 1"),
        format!("dataknobs_kv_http_requests_total{{method=\"GET\",route=\"{route}\",status=\"404\"}} 1"),
        "dataknobs_kv_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1".to_owned(),
        format!("dataknobs_kv_http_request_seconds_count{{route=\"{route}\"}} 3"),
    ] {
        assert!(answer.text().lines().any(|found| found == line), "{line}\nin\n{}", answer.text());
    }
    assert!(!answer.text().contains("secret"), "no key is a label");
    server.get("/metrics?x=1").await.is_problem(400, "invalid-argument");
}
