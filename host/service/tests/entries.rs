//! One entry: types, forms, headers, conditions.
mod common;

use common::{NOW, start};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn content_types_become_types_and_come_back() {
    let server = start().await;
    // sent as, sent body, type, answered as, answered body, as JSON
    for (sent, body, value_type, answered, own, json) in [
        ("application/json", "\"a\\u00e9\\n\"", "text", "text/plain; charset=utf-8", "aé\n", "\"aé\\n\""),
        ("application/json", "12", "integer", "application/json", "12", "12"),
        (
            "application/json",
            "9223372036854775807",
            "integer",
            "application/json",
            "9223372036854775807",
            "9223372036854775807",
        ),
        ("application/json", "1.50", "number", "application/json", "1.5", "1.5"),
        ("application/json", "true", "boolean", "application/json", "true", "true"),
        ("application/json", "null", "null", "application/json", "null", "null"),
        (
            "application/json",
            "{ \"b\" :1,\n\"a\":1 }",
            "json",
            "application/json",
            "{ \"b\" :1,\n\"a\":1 }",
            "{ \"b\" :1,\n\"a\":1 }",
        ),
        ("Application/JSON; charset=UTF-8", "[1]", "json", "application/json", "[1]", "[1]"),
        ("text/plain", "12", "text", "text/plain; charset=utf-8", "12", "\"12\""),
        ("text/plain; charset=utf-8", "é", "text", "text/plain; charset=utf-8", "é", "\"é\""),
        ("text/plain;charset=\"UTF-8\"", "", "text", "text/plain; charset=utf-8", "", "\"\""),
        ("text/plain; format=flowed", "x", "text", "text/plain; format=flowed", "x", "\"x\""),
        ("application/octet-stream", "12", "bytes", "application/octet-stream", "12", "\"MTI=\""),
        ("image/png", "12", "bytes", "image/png", "12", "\"MTI=\""),
        ("application/problem+json", "{", "bytes", "application/problem+json", "{", "\"ew==\""),
        ("text/html", "<b>", "bytes", "text/html", "<b>", "\"PGI+\""),
    ] {
        let answer = server.send("PUT", "/v1/n/entries/k", &[("content-type", sent)], body).await;
        assert_eq!(answer.status, 204, "{sent} {body}: {}", answer.text());
        let answer = server.get("/v1/n/entries/k").await;
        assert_eq!((answer.status, answer.text()), (200, own), "{sent}");
        assert_eq!(answer.header("kv-type"), value_type, "{sent} {body}");
        assert_eq!(answer.header("content-type"), answered, "{sent}");
        let kept = !matches!(answered, "application/json" | "text/plain; charset=utf-8" | "application/octet-stream");
        assert_eq!(answer.has("kv-content-type"), kept, "{sent}");
        let answer = server.send("GET", "/v1/n/entries/k", &[("accept", "application/json")], "").await;
        assert_eq!((answer.text(), answer.header("content-type")), (json, "application/json"));
        let head = server.send("HEAD", "/v1/n/entries/k", &[], "").await;
        assert_eq!(head.header("content-length"), own.len().to_string(), "{sent} {body}");
        assert_eq!(head.header("content-type"), answered);
        assert_eq!((head.status, head.body.len()), (200, 0));
        let head = server.send("HEAD", "/v1/n/entries/k", &[("accept", "application/json")], "").await;
        assert!(!head.has("content-length"));
    }
    // Without any content type: bytes.
    server.send("PUT", "/v1/n/entries/k", &[], vec![0xff, 0]).await;
    let answer = server.get("/v1/n/entries/k").await;
    assert_eq!((answer.header("kv-type"), answer.body.as_slice()), ("bytes", [0xff, 0].as_slice()));
    assert_eq!(answer.header("content-type"), "application/octet-stream");
}

#[tokio::test]
async fn kv_type_overrides() {
    let server = start().await;
    for (value_type, body, own) in [
        ("number", "1", "1"),
        ("number", "1.0", "1"),
        ("number", "9007199254740993", "9007199254740992"),
        ("number", "-0", "-0"),
        ("integer", "-9223372036854775808", "-9223372036854775808"),
        ("json", "\"a\"", "\"a\""),
        ("json", " 1\n", " 1\n"),
        ("text", "{}", "{}"),
        ("null", "", "null"),
        ("null", "null", "null"),
        ("boolean", "false", "false"),
        ("bytes", "x", "x"),
        ("custom:date", "x", "x"),
        ("custom:a%20b%25", "x", "x"),
    ] {
        let answer = server.send("PUT", "/v1/n/entries/k", &[("kv-type", value_type)], body).await;
        assert_eq!(answer.status, 204, "{value_type} {body}: {}", answer.text());
        let answer = server.get("/v1/n/entries/k").await;
        assert_eq!((answer.header("kv-type"), answer.text()), (value_type, own));
        assert!(!answer.has("kv-content-type"));
    }
    for (value_type, body) in [
        ("number", "x"),
        ("number", "\"1\""),
        ("number", "1e999"),
        ("integer", "1.5"),
        ("integer", "9223372036854775808"),
        ("integer", ""),
        ("boolean", "1"),
        ("null", "0"),
        ("json", "{"),
        ("json", ""),
        ("strange", "x"),
        ("custom:", "x"),
        ("custom:%zz", "x"),
    ] {
        let answer = server.send("PUT", "/v1/n/entries/k", &[("kv-type", value_type)], body).await;
        answer.is_problem(400, "invalid-argument");
    }
    let headers = [("kv-type", "bytes"), JSON];
    server.send("PUT", "/v1/n/entries/k", &headers, "[1]").await;
    let answer = server.get("/v1/n/entries/k").await;
    assert_eq!((answer.header("kv-type"), answer.header("content-type")), ("bytes", "application/json"));
    let headers = [("kv-type", "text"), ("kv-content-type", "text/plain; charset=utf-8")];
    server.send("PUT", "/v1/n/entries/k", &headers, "x").await;
    assert_eq!(server.get("/v1/n/entries/k").await.header("kv-content-type"), "text/plain; charset=utf-8");
}

#[tokio::test]
async fn headers_tell_all_of_an_entry() {
    let server = start().await;
    let answer = server
        .send(
            "PUT",
            "/v1/n/entries/k",
            &[
                ("content-type", "text/plain"),
                ("kv-ttl-ms", "60000"),
                ("kv-metadata", r#"{"b":"\u00e9\ud83d\ude00","a":1}"#),
            ],
            "123456789",
        )
        .await;
    assert_eq!(answer.status, 204);
    let etag = answer.header("etag").to_owned();
    server.clock.advance(1500);
    for method in ["GET", "HEAD"] {
        let answer = server.send(method, "/v1/n/entries/k", &[], "").await;
        assert_eq!(answer.header("etag"), etag);
        assert_eq!(answer.header("kv-metadata"), r#"{"a":1,"b":"\u00e9\ud83d\ude00"}"#);
        assert_eq!(answer.header("kv-expires-at"), (NOW + 60_000).to_string());
        assert_eq!(answer.header("kv-ttl-ms"), "58500");
        assert_eq!(answer.header("kv-created-at"), NOW.to_string());
        assert_eq!(answer.header("kv-updated-at"), NOW.to_string());
        // CRC-32C of 123456789, as its definition gives it.
        assert_eq!(answer.header("kv-checksum"), 0xE306_9283_u32.to_string());
        assert_eq!(answer.header("last-modified"), "Mon, 21 Sep 2026 14:13:20 GMT");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-security-policy"), "sandbox");
        assert_eq!(answer.header("cache-control"), "no-cache");
        assert!(!answer.has("kv-sliding-ms") && !answer.has("kv-metadata-omitted"));
    }
    server.clock.advance(58_500);
    server.get("/v1/n/entries/k").await.is_problem(404, "absent");
    let head = server.send("HEAD", "/v1/n/entries/k", &[], "").await;
    assert_eq!((head.status, head.header("kv-error")), (404, "absent"));

    server.send("PUT", "/v1/n/entries/s", &[("kv-sliding-ms", "8000")], "x").await;
    server.clock.advance(4000);
    assert_eq!(server.send("HEAD", "/v1/n/entries/s", &[], "").await.header("kv-ttl-ms"), "4000");
    let _ = server.get("/v1/n/entries/s").await;
    let answer = server.get("/v1/n/entries/s").await;
    assert_eq!((answer.header("kv-ttl-ms"), answer.header("kv-sliding-ms")), ("8000", "8000"));

    server.send("PUT", "/v1/n/entries/a", &[("kv-expires-at", "253402300799999")], "x").await;
    assert_eq!(server.get("/v1/n/entries/a").await.header("kv-expires-at"), "253402300799999");
    server.send("PUT", "/v1/n/entries/a", &[("kv-expiry", "keep")], "y").await;
    assert_eq!(server.get("/v1/n/entries/a").await.header("kv-expires-at"), "253402300799999");
    server.send("PUT", "/v1/n/entries/a", &[("kv-expiry", "never")], "y").await;
    assert!(!server.get("/v1/n/entries/a").await.has("kv-expires-at"));

    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(9000));
    server.send("PUT", "/v1/n/entries/m", &[("kv-metadata", &long)], "y").await;
    let answer = server.get("/v1/n/entries/m").await;
    assert_eq!(answer.header("kv-metadata-omitted"), "true");
    assert!(!answer.has("kv-metadata"));
    assert_eq!(server.get("/v1/n/metadata/m").await.text(), long);
}

#[tokio::test]
async fn tags_are_compare_and_swap() {
    let server = start().await;
    let path = "/v1/n/entries/k";
    let send = |method: &'static str, headers: &'static [(&'static str, &'static str)]| {
        server.send(method, path, headers, "1")
    };
    send("PUT", &[("if-match", "\"0\"")]).await.is_problem(412, "conflict");
    send("PUT", &[("if-match", "*")]).await.is_problem(412, "conflict");
    let first = send("PUT", &[("if-none-match", "*")]).await;
    assert_eq!(first.status, 204);
    let one = first.header("etag").to_owned();
    let lost = send("PUT", &[("if-none-match", "*")]).await;
    lost.is_problem(412, "conflict");
    assert_eq!(lost.header("etag"), one);
    assert!(lost.json().get("current").is_none());
    let lost = send("PUT", &[("if-none-match", "*"), ("kv-on-conflict", "value")]).await;
    assert_eq!(lost.json()["current"]["value"], "MQ==");
    assert_eq!(lost.json()["current"]["type"], "bytes");
    let lost = send("PUT", &[("if-match", "\"other\""), ("kv-on-conflict", "metadata")]).await;
    assert_eq!(lost.json()["current"]["version"], one.trim_matches('"'));
    assert!(lost.json()["current"].get("value").is_none());

    let two = server.send("PUT", path, &[("if-match", &one)], "2").await.header("etag").to_owned();
    assert_ne!(one, two);
    let lost = server.send("PUT", path, &[("if-match", &one)], "3").await;
    lost.is_problem(412, "conflict");
    assert_eq!(lost.header("etag"), two);
    let three = server.send("PUT", path, &[("if-match", &format!("{one}, {two}"))], "3").await;
    assert_eq!(three.status, 204);
    let three = three.header("etag").to_owned();
    server.send("PUT", path, &[("if-match", &format!("W/{three}"))], "4").await.is_problem(412, "conflict");
    server.send("PUT", path, &[("if-none-match", &three)], "4").await.is_problem(412, "conflict");
    let four = server.send("PUT", path, &[("if-none-match", &one)], "4").await;
    assert_eq!(four.status, 204);
    let four = four.header("etag").to_owned();
    let five = server.send("PUT", path, &[("if-match", "*")], "5").await;
    assert_eq!(five.status, 204);

    let five = five.header("etag").to_owned();
    let same = server.send("GET", path, &[("if-none-match", &five)], "").await;
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, five.as_str()));
    assert_eq!(server.send("GET", path, &[("if-none-match", &format!("W/{five}"))], "").await.status, 304);
    assert_eq!(server.send("HEAD", path, &[("if-none-match", &five)], "").await.status, 304);
    assert_eq!(server.send("GET", path, &[("if-none-match", &four)], "").await.status, 200);
    assert_eq!(server.send("GET", path, &[("if-match", &five)], "").await.status, 200);
    server.send("GET", path, &[("if-match", &four)], "").await.is_problem(412, "conflict");

    let lost = server.send("DELETE", path, &[("if-match", &four)], "").await;
    lost.is_problem(412, "conflict");
    assert_eq!(lost.header("etag"), five);
    server.send("DELETE", path, &[("if-none-match", &five)], "").await.is_problem(412, "conflict");
    assert_eq!(server.send("DELETE", path, &[("if-match", &five)], "").await.status, 204);
    server.send("DELETE", path, &[], "").await.is_problem(404, "absent");
    assert!(!server.send("DELETE", path, &[("if-match", &five)], "").await.has("etag"));
    for bad in
        [("if-match", "unquoted"), ("if-none-match", "\"a"), ("if-unmodified-since", "Mon, 21 Sep 2026 14:13:20 GMT")]
    {
        assert!(matches!(server.send("PUT", path, &[bad], "1").await.status, 400 | 501), "{bad:?}");
    }
    server.get(path).await.is_problem(404, "absent");
}

#[tokio::test]
async fn rivals_with_one_tag_have_one_winner() {
    let server = start().await;
    let etag = format!("\"{}\"", server.put("k", "0").await);
    let rivals = (0..16).map(|_| {
        let request = server.request("PUT", "/v1/n/entries/k").header("if-match", etag.clone()).body("1");
        async { request.send().await.unwrap().status().as_u16() }
    });
    let mut statuses = futures::future::join_all(rivals).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![204], vec![412; 15]].concat());
}

#[tokio::test]
async fn keys_and_namespaces_of_any_characters() {
    let server = start().await;
    let key = r"a/b ?#%+&=é😀\.[x]*";
    let encoded = dataknobs_kv_core::wire::header::percent_encode(key);
    assert_eq!(server.put(&encoded, "1").await.len(), 32);
    assert_eq!(server.get("/v1/n/entries?include=key").await.json()["items"][0]["key"], key);
    assert_eq!(server.get(&format!("/v1/n/entries/{encoded}")).await.text(), "1");
    // Slashes stand for themselves too.
    server.put("x//y/", "2").await;
    assert_eq!(server.get("/v1/n/entries/x%2F%2Fy%2F").await.text(), "2");
    for namespace in ["a%2Fb", "-", "namespaces", "cleanup", "capabilities", "%C3%A9", "a.b"] {
        let path = format!("/v1/{namespace}/entries/k");
        assert_eq!(server.send("PUT", &path, &[], "1").await.status, 204, "{namespace}");
        assert_eq!(server.send("DELETE", &format!("/v1/{namespace}"), &[], "").await.json()["more"], false);
        server.get(&path).await.is_problem(404, "absent");
    }
    for namespace in [".", "..", "a%20b"] {
        let headers = [("kv-namespace", namespace)];
        assert_eq!(server.send("PUT", "/v1/-/entries/k", &headers, "1").await.status, 204);
        assert_eq!(server.send("GET", "/v1/-/entries/k", &headers, "").await.text(), "1");
    }
    server.send("GET", "/v1/n/entries/k", &[("kv-namespace", "m")], "").await.is_problem(400, "invalid-argument");
    assert_eq!(server.get("/v1/namespaces").await.json()["items"], serde_json::json!([".", "..", "a b", "n"]));
}
