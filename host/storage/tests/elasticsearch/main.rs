//! What the suite cannot see of the adapter: its requests, the index, lost answers, a server that dies.
//!
//! `KV_TEST_ELASTICSEARCH=elasticsearch://… cargo test -p dataknobs-kv-storage --test elasticsearch`

#[path = "../common/mod.rs"]
mod common;
mod relay;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use common::{NS, With, amend, attributes, delete, get, keys, must_write, put, value, write_one};
use dataknobs_kv_core::storage::{Change, Hint, Mutation, Outcome, Range};
use dataknobs_kv_core::{Error, Projection, State, Storage};
use dataknobs_kv_services::{Kind, Server, shared};
use dataknobs_kv_storage::{ElasticsearchConfig, ElasticsearchStorage, Location, OpenOptions, Severity};
use libtest_mimic::{Arguments, Failed, Trial};
use relay::{Fault, Relay};
use serde_json::{Value as Json, json};

/// A server and an index of the test's own on it.
struct Place {
    port: u16,
    index: String,
}

impl Place {
    fn url(&self) -> String {
        format!("elasticsearch://127.0.0.1:{}/{}", self.port, self.index)
    }

    async fn open(&self) -> ElasticsearchStorage {
        open(&self.url()).await
    }

    async fn relayed(&self) -> (Relay, ElasticsearchStorage) {
        let relay = Relay::to(self.port).await;
        let storage = open(&relay.url(&self.index)).await;
        relay.requests();
        (relay, storage)
    }

    /// As a person would ask by curl.
    async fn ask(&self, method: &str, path: &str, body: Json) -> Json {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method, url);
        if !body.is_null() {
            request = request.json(&body);
        }
        request.send().await.unwrap().json().await.unwrap()
    }
}

async fn open(url: &str) -> ElasticsearchStorage {
    try_open(url, true).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn try_open(url: &str, create: bool) -> Result<ElasticsearchStorage, Error> {
    ElasticsearchStorage::open(url.parse::<ElasticsearchConfig>().unwrap(), create).await
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    match result {
        Err(error) => error.code(),
        Ok(it) => panic!("{it:?}"),
    }
}

fn with_metadata(key: &str, metadata: &str) -> Mutation {
    let mut mutation = put(key, b"v");
    if let Change::Put { attributes, .. } = &mut mutation.change {
        attributes.metadata = Some(metadata.into());
    }
    mutation
}

async fn page(storage: &dyn Storage, after: Option<&str>, limit: u32, want: Projection) -> Vec<String> {
    let range = Range { after: after.map(Into::into), ..Range::default() };
    let page = storage.scan(NS, range, Hint::default(), 1, limit, want).await.unwrap();
    page.items.into_iter().map(|entry| entry.key).collect()
}

/// Each call is one request; what takes more is listed here.
async fn requests(place: Place) {
    let (relay, storage) = place.relayed().await;
    let expect = |what: &str, expected: &[&str]| assert_eq!(relay.requests(), expected, "{what}");

    let version = must_write(&storage, put("k", b"1")).await;
    expect("a put of a new key", &["PUT _create"]);
    let version = must_write(&storage, put("k", b"2").if_version(&version)).await;
    expect("a guarded put by who wrote before", &["PUT _doc"]);
    must_write(&storage, put("k", b"3")).await;
    expect("a put by who wrote before", &["PUT _doc"]);
    get(&storage, "k", 1).await.unwrap();
    expect("a get", &["GET _doc"]);
    must_write(&storage, amend("k", "{\"a\":1}")).await;
    expect("a change of metadata", &["POST _update"]);
    assert!(matches!(
        write_one(&storage, put("k", b"4").if_version(&version), 1).await,
        Ok(Outcome::Conflict(Some(_)))
    ));
    expect("a lost race", &["GET _doc"]);
    assert_eq!(write_one(&storage, delete("k"), 1).await, Ok(Outcome::Deleted));
    expect("a delete by who wrote before", &["DELETE _doc"]);

    let many: Vec<String> = (0..1000).map(|at| format!("m{at:04}")).collect();
    let write = async |mutations: Vec<Mutation>, expected: fn(&Outcome) -> bool| {
        let outcomes = storage.write(NS, mutations, false, 1, Projection::Attributes).await.unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.as_ref().is_ok_and(expected)));
    };
    let written = |outcome: &Outcome| matches!(outcome, Outcome::Written(_));
    write(many.iter().map(|key| put(key, b"v")).collect(), written).await;
    expect("1000 puts", &["POST _bulk"]);
    write(many.iter().map(|key| put(key, b"w")).collect(), written).await;
    expect("1000 puts over these", &["POST _bulk"]);
    let states = storage.get_many(NS, &many, 1, true).await.unwrap();
    assert!(states.len() == 1000 && states.iter().all(|state| matches!(state, Ok(Some(_)))));
    expect("the first bulk read, which asks how large values are", &["POST _search", "POST _mget"]);
    assert_eq!(storage.get_many(NS, &many, 1, true).await.unwrap().len(), 1000);
    expect("1000 gets", &["POST _mget"]);

    assert_eq!(page(&storage, None, 100, Projection::Key).await.len(), 100);
    expect("a first page", &["POST _refresh", "POST _search"]);
    for want in [Projection::Key, Projection::Attributes, Projection::Value] {
        assert_eq!(page(&storage, Some("m0099"), 100, want).await[0], "m0100");
        expect("a further page", &["POST _search"]);
    }
    assert_eq!(storage.count(NS, Range::default(), 1).await, Ok(Some(1000)));
    expect("a count", &["POST _refresh", "POST _count"]);
    storage.namespaces(None, 10).await.unwrap();
    expect("the namespaces", &["POST _refresh", "POST _search"]);
    write(many.iter().map(|key| delete(key)).collect(), |outcome| *outcome == Outcome::Deleted).await;
    expect("1000 deletes", &["POST _bulk"]);
    must_write(&storage, put("k", &[7; 9000])).await;
    must_write(&storage, put("l", b"v")).await;
    relay.requests();
    // So many long ones that an answer could be too large.
    let many: Vec<String> =
        ["k".to_owned(), "l".to_owned()].into_iter().chain((0..2000).map(|at| format!("n{at}"))).collect();
    let states = storage.get_many(NS, &many, 1, true).await.unwrap();
    assert_eq!(states[0].as_ref().unwrap().as_ref().unwrap().value.as_ref().unwrap().len(), 9000);
    expect("a bulk read with a long value", &["POST _mget", "GET _doc"]);

    // Another process knows nothing.
    let (relay, stranger) = place.relayed().await;
    let expect = |what: &str, expected: &[&str]| assert_eq!(relay.requests(), expected, "{what}");
    must_write(&stranger, put("l", b"x")).await;
    expect("a put over what another wrote", &["PUT _create", "GET _doc", "PUT _doc"]);
    let version = must_write(&storage, put("l", b"y")).await;
    must_write(&stranger, put("l", b"z").if_version(&version)).await;
    expect("a guarded put over what another wrote", &["GET _doc", "PUT _doc"]);
    assert_eq!(write_one(&stranger, delete("k"), 1).await, Ok(Outcome::Deleted));
    expect("a delete of what another wrote", &["GET _doc", "DELETE _doc"]);
}

async fn any_metadata(place: Place) {
    let storage = place.open().await;
    let mapping = async || place.ask("GET", &format!("/{}/_mapping", place.index), Json::Null).await;
    let before = mapping().await;
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let many: serde_json::Map<String, Json> = (0..3000).map(|at| (format!("f{at:04}"), at.into())).collect();
    for metadata in [
        json!({"a": 1}),
        json!({"a": {"b": 1}}),
        json!({"": 1, ".x": 2, "a.b": 3, "..": 4, "_id": 5, "*": 6, "=": "="}),
        json!({"a": "x".repeat(60_000)}),
        json!({"x".repeat(60_000): true}),
        json!({"a": [1, "two", {"three": [null, -0.5, 1e300]}]}),
        Json::Object(many),
        serde_json::from_str(&format!("{{\"a\":{deep}}}")).unwrap(),
    ] {
        let text = metadata.to_string();
        must_write(&storage, with_metadata("k", &text)).await;
        let state = get(&storage, "k", 1).await.unwrap();
        let back: Json = serde_json::from_str(state.attributes.metadata.as_deref().unwrap()).unwrap();
        assert_eq!(back, metadata);
        // It is found by each of its fields, also through the server.
        for (name, value) in metadata.as_object().unwrap().iter().take(20) {
            let hint = Hint { pattern: None, metadata: Some(json!({name: value}).to_string()) };
            let page = storage.scan(NS, Range::default(), hint, 1, 10, Projection::Key).await.unwrap();
            assert_eq!(page.items.len(), 1, "{name:.20}");
        }
        let hint = Hint { pattern: None, metadata: Some("{\"a\":\"other\"}".into()) };
        let page = storage.scan(NS, Range::default(), hint, 1, 10, Projection::Key).await.unwrap();
        assert!(page.items.is_empty(), "the server leaves out what does not match");
    }
    assert_eq!(mapping().await, before, "no field came to the mapping");
}

async fn refused_at_opening(place: Place) {
    let Place { port, index } = &place;
    assert_eq!(code(try_open(&place.url(), false).await), "invalid-argument", "it does not exist");
    assert_eq!(code(try_open("elasticsearch://127.0.0.1:1/kv?timeout=5", true).await), "unavailable");
    place.ask("PUT", &format!("/{index}"), json!({"mappings": {"properties": {"key": {"type": "text"}}}})).await;
    let error = try_open(&place.url(), true).await.unwrap_err();
    assert!(error.code() == "invalid-argument" && error.to_string().contains(index), "{error}");
    let newer = json!({"mappings": {"_meta": {"dataknobs-kv": {"format": 99}}}});
    place.ask("PUT", &format!("/{index}-newer"), newer).await;
    assert_eq!(code(try_open(&format!("{}-newer", place.url()), true).await), "unsupported");
    let other = json!({"mappings": {"_meta": {"dataknobs-kv": {"format": 1}}}});
    place.ask("PUT", &format!("/{index}-other"), other).await;
    assert_eq!(code(try_open(&format!("{}-other", place.url()), true).await), "invalid-argument");
    let left = place.ask("GET", &format!("/{index}*"), Json::Null).await;
    assert_eq!(left.as_object().unwrap().len(), 3, "nothing was made, and what was there is as it was");

    let relay = Relay::to(*port).await;
    relay.demand("authorization: basic bwu6c2vjcmv0"); // me:secret
    let url = relay.url(&format!("{index}-login"));
    let with = |login: &str| url.replace("//", &format!("//{login}@"));
    let error = try_open(&with("me:hunter2"), true).await.unwrap_err();
    assert!(error.code() == "access-denied" && !error.to_string().contains("hunter2"), "{error}");
    assert_eq!(code(try_open(&url, true).await), "access-denied");
    must_write(&open(&with("me:secret")).await, put("k", b"v")).await;
    relay.demand("authorization: apikey vnvhq2zhoa==");
    assert_eq!(code(try_open(&with("me:secret"), true).await), "access-denied");
    must_write(&open(&format!("{url}?api_key=VnVhQ2ZHOA%3D%3D")).await, put("k", b"v")).await;
}

async fn openers_at_once(place: Place) {
    let url = Arc::new(place.url());
    let openers: Vec<_> = (0..12)
        .map(|at| {
            let url = url.clone();
            tokio::spawn(async move { must_write(&open(&url).await, put(&format!("k{at:02}"), b"v")).await })
        })
        .collect();
    for opener in openers {
        opener.await.unwrap();
    }
    assert_eq!(keys(&place.open().await, NS, 1, 5).await.len(), 12);
}

/// The server gives the same sequence numbers again in an index that is made anew.
async fn another_index_of_the_same_name(place: Place) {
    let storage = place.open().await;
    let old = must_write(&storage, put("k", b"old")).await;
    place.ask("DELETE", &format!("/{}", place.index), Json::Null).await;
    let other = place.open().await;
    let new = must_write(&other, put("k", b"new")).await;
    match write_one(&storage, put("k", b"late").if_version(&old), 1).await {
        Ok(Outcome::Conflict(Some(State { version, .. }))) => assert_eq!(version, new),
        outcome => panic!("{outcome:?}"),
    }
    assert_eq!(value(&storage, "k").await.as_deref(), Some(b"new".as_slice()));

    // Deleted, and nobody made it anew: the next write does, with our mapping, and not the server by its own guess.
    place.ask("DELETE", &format!("/{}", place.index), Json::Null).await;
    assert_eq!(write_one(&storage, put("k", b"late").if_version(&new), 1).await, Ok(Outcome::Conflict(None)));
    must_write(&storage, put("k", b"again")).await;
    let mapping = place.ask("GET", &format!("/{}", place.index), Json::Null).await;
    assert_eq!(mapping[&place.index]["mappings"]["dynamic"], "strict");
    for storage in [&storage, &other, &place.open().await] {
        assert_eq!(value(storage, "k").await.as_deref(), Some(b"again".as_slice()));
    }
}

async fn lost_answers(place: Place) {
    let (relay, storage) = place.relayed().await;
    let first = must_write(&storage, put("k", b"0")).await;
    for fault in [Fault::AnswerLost, Fault::RequestLost] {
        let fresh = format!("new {fault:?}");
        relay.then(&[fault]);
        let created = write_one(&storage, put(&fresh, b"1"), 1).await;
        // It may have been made and deleted by somebody: sent again, it would come back.
        let unknown = |outcome: &Result<Outcome, Error>| matches!(outcome, Err(Error::OutcomeUnknown(_)));
        let lost = fault == Fault::RequestLost;
        assert!(if lost { unknown(&created) } else { matches!(created, Ok(Outcome::Written(_))) }, "{created:?}");
        assert_eq!(value(&storage, &fresh).await.is_some(), !lost);
        relay.then(&[fault, fault, fault]);
        let version = must_write(&storage, put("k", b"1")).await;
        relay.then(&[fault]);
        let version = must_write(&storage, put("k", b"2").if_version(&version)).await;
        assert_eq!(get(&storage, "k", 1).await.unwrap().version, version, "it is known that it was applied");
        relay.then(&[fault]);
        must_write(&storage, amend("k", "{\"a\":1}")).await;
        // What was demanded does not hold, whether the answer comes or not.
        relay.then(&[fault]);
        assert!(matches!(write_one(&storage, put("k", b"3").if_version(&first), 1).await, Ok(Outcome::Conflict(_))));
        relay.then(&[]);
        let many = (0..50).map(|at| put(&format!("{fresh} {at}"), b"v")).collect();
        relay.then(&[fault]);
        let outcomes = storage.write(NS, many, false, 1, Projection::Key).await.unwrap();
        let expected = |outcome: &_| if lost { unknown(outcome) } else { matches!(outcome, Ok(Outcome::Written(_))) };
        assert!(outcomes.iter().all(expected), "{fault:?}: {outcomes:?}");
    }
    // Whose delete it was cannot be told.
    must_write(&storage, put("d", b"v")).await;
    relay.then(&[Fault::AnswerLost]);
    assert_eq!(code(write_one(&storage, delete("d"), 1).await), "outcome-unknown");
    assert_eq!(get(&storage, "d", 1).await, None);
    must_write(&storage, put("d", b"v")).await;
    relay.then(&[Fault::RequestLost]);
    assert_eq!(write_one(&storage, delete("d"), 1).await, Ok(Outcome::Deleted));
    // Nobody is there to be asked.
    relay.then(&[Fault::Gone]);
    assert_eq!(code(write_one(&storage, put("k", b"9"), 1).await), "outcome-unknown");
    assert!(write_one(&storage, put("k", b"10"), 1).await.is_err());
    assert_eq!(value(&place.open().await, "k").await.as_deref(), Some(b"9".as_slice()));
}

async fn requests_that_are_too_large(place: Place) {
    let (relay, storage) = place.relayed().await;
    relay.refuse_bodies_above(20_000);
    let many: Vec<_> =
        (0..20).map(|at| put(&format!("k{at:02}"), &vec![b'x'; if at == 7 { 30_000 } else { 3000 }])).collect();
    let outcomes = storage.write(NS, many, false, 1, Projection::Key).await.unwrap();
    for (at, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(Outcome::Written(_)) if at != 7 => {}
            Err(error) if at == 7 => assert_eq!(error.code(), "too-large"),
            outcome => panic!("{at}: {outcome:?}"),
        }
    }
    assert_eq!(keys(&storage, NS, 1, 100).await.len(), 19);
}

async fn damaged_documents(place: Place) {
    let storage = place.open().await;
    for key in ["a", "b", "c", "d"] {
        must_write(&storage, put(key, b"v")).await;
    }
    keys(&storage, NS, 1, 10).await;
    let search = format!("/{}/_search", place.index);
    let found = place.ask("POST", &search, json!({"query": {"terms": {"key": ["b", "c"]}}})).await;
    for hit in found["hits"]["hits"].as_array().unwrap() {
        let path = format!("/{}/_doc/{}?refresh=true", place.index, hit["_id"].as_str().unwrap());
        place.ask("PUT", &path, json!({"namespace": NS, "key": hit["_source"]["key"]})).await;
    }
    assert_eq!(code(storage.get(NS, "b", 1, true).await), "corrupt");
    let all: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
    let many = storage.get_many(NS, &all, 1, true).await.unwrap();
    assert!(many[0].is_ok() && many[1].is_err() && many[3].is_ok());
    assert_eq!(page(&storage, None, 10, Projection::Key).await, all, "its key is still listed");
    let guarded = put("b", b"w").if_absent();
    assert_eq!(code(write_one(&storage, guarded, 1).await), "corrupt");
    must_write(&storage, put("b", b"w")).await;
    assert_eq!(write_one(&storage, delete("c"), 1).await, Ok(Outcome::Deleted));
    assert_eq!(page(&storage, None, 10, Projection::Value).await, ["a", "b", "d"]);
}

async fn large_values(place: Place) {
    let storage = place.open().await;
    let large = vec![b'x'; 16 << 20];
    for (value_type, key) in
        [(dataknobs_kv_core::ValueType::Text, "text"), (dataknobs_kv_core::ValueType::Bytes, "bytes")]
    {
        let mut mutation = put(key, &large);
        if let Change::Put { attributes: it, .. } = &mut mutation.change {
            *it = dataknobs_kv_core::Attributes { value_type, size: large.len() as u64, ..attributes(1, None) };
        }
        must_write(&storage, mutation).await;
        assert!(value(&storage, key).await.as_ref() == Some(&large));
    }
    assert_eq!(code(write_one(&storage, put("k", &vec![0; (16 << 20) + 1]), 1).await), "too-large");
    assert_eq!(
        code(write_one(&storage, with_metadata("k", &format!("{{\"a\":\"{}\"}}", "x".repeat(64 << 10))), 1).await),
        "too-large"
    );
}

/// Random operations beside the reference storage.
async fn answers_as_the_reference_does(place: Place) {
    common::against_memory::compare(&move || {
        let url = place.url();
        Box::pin(async move { Box::new(open(&url).await) as Box<dyn Storage> })
    })
    .await;
}

/// TLS, with an authority of one's own.
async fn encrypted(place: Place) {
    let Some(certificates) = common::tls::Certificates::make() else {
        println!("without openssl there are no certificates");
        return;
    };
    let port = certificates.in_front_of(place.port).await;
    let ca = certificates.path("ca.pem");
    let url = |scheme: &str, host: &str| format!("{scheme}://{host}:{port}/{}?timeout=20", place.index);
    let trusted = format!("{}&ca_cert={}", url("elasticsearch+https", "localhost"), ca.display());
    let storage = open(&trusted).await;
    must_write(&storage, put("a", &vec![7; 1 << 20])).await;
    assert_eq!(value(&storage, "a").await.unwrap().len(), 1 << 20);
    // Nobody trusts that authority; the certificate is not for this name; no TLS is spoken in the clear.
    let elsewhere = format!("{}&ca_cert={}", url("elasticsearch+https", "127.0.0.2"), ca.display());
    for url in [url("elasticsearch+https", "localhost"), elsewhere, url("elasticsearch", "localhost")] {
        assert_eq!(code(try_open(&url, true).await), "unavailable", "{url}");
    }
}

/// Settings that cost entries are told.
async fn diagnosis(place: Place) {
    let told = async || {
        let location = Location::parse(&place.url()).unwrap();
        let (_storage, more) = location.open_for_diagnosis(&OpenOptions::default()).await.unwrap();
        more.diagnose().await.into_iter().map(|finding| (finding.severity, finding.what)).collect::<Vec<_>>()
    };
    let settings = format!("/{}/_settings", place.index);
    place.open().await;
    place.ask("PUT", &settings, json!({"index": {"number_of_replicas": 1}})).await;
    let findings = told().await;
    assert!(
        matches!(&findings[..], [(Severity::Note, what)] if what.starts_with("there is one server")),
        "{findings:?}"
    );
    place.ask("PUT", &settings, json!({"index": {"number_of_replicas": 0, "translog": {"durability": "async"}}})).await;
    let findings = told().await;
    assert!(
        matches!(&findings[..], [(Severity::Warning, disk), (Severity::Warning, copies)]
            if disk.contains("translog.durability is async") && copies.contains("no replica")),
        "{findings:?}"
    );
    place.ask("PUT", &settings, json!({"index": {"blocks": {"write": true}}})).await;
    let findings = told().await;
    assert!(findings.iter().any(|(_, what)| what.contains("somebody blocked them")), "{findings:?}");
}

/// What the page shows is what curl prints.
async fn transcript(place: Place) {
    let storage = place.open().await;
    let mut session = with_metadata("session.7", r#"{"role":"admin"}"#);
    if let Change::Put { attributes, value } = &mut session.change {
        *value = br#"{"user":"ada"}"#.to_vec();
        attributes.value_type = dataknobs_kv_core::ValueType::Json;
        (attributes.created_at, attributes.updated_at) = (1_800_000_000_000, 1_800_000_000_000);
        (attributes.expires_at, attributes.size, attributes.checksum) = (Some(1_800_000_060_000), 14, 4_290_171_348);
    }
    must_write(&storage, session).await;
    keys(&storage, NS, 1, 10).await;
    let page = include_str!("../../../../docs/backends/elasticsearch.md");
    let mut shown = 0;
    for (command, expected) in common::sessions(page) {
        let output = std::process::Command::new("sh")
            .args(["-c", &command])
            .env("SERVER", format!("http://127.0.0.1:{}", place.port))
            .env("INDEX", &place.index)
            .output()
            .unwrap();
        assert_eq!(hidden(&String::from_utf8(output.stdout).unwrap()), hidden(&expected), "{command}");
        shown += 1;
    }
    assert_eq!(shown, 2);
}

/// Versions are random.
fn hidden(text: &str) -> Vec<&str> {
    text.trim_end().lines().filter(|line| !line.contains("\"version\"")).collect()
}

/// Killed, and standing still: what was answered is there afterwards, and nothing needs to be opened anew.
fn a_server_of_its_own() -> Result<(), Failed> {
    let server = Server::start(Kind::Elasticsearch).map_err(|missing| Failed::from(missing.reason))?;
    let place = Place { port: server.port(), index: "kv".into() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let storage = runtime.block_on(open(&format!("{}?timeout=2", place.url())));
    let version = runtime.block_on(must_write(&storage, put("k", b"1")));

    server.pause()?;
    runtime.block_on(async {
        assert_eq!(code(storage.get(NS, "k", 1, true).await), "unavailable");
        assert_eq!(code(write_one(&storage, put("k", b"2").if_version(&version), 1).await), "outcome-unknown");
        assert_eq!(code(storage.count(NS, Range::default(), 1).await), "unavailable");
    });
    server.resume()?;
    let patient = runtime.block_on(place.open());
    let version = runtime.block_on(async {
        let state = get(&patient, "k", 1).await.unwrap();
        assert!(matches!(state.value.as_deref(), Some(b"1" | b"2")));
        must_write(&patient, put("k", b"3")).await
    });

    server.kill();
    runtime.block_on(async {
        assert_eq!(code(storage.get(NS, "k", 1, true).await), "unavailable");
        assert_eq!(code(write_one(&storage, put("k", b"4"), 1).await), "unavailable");
    });
    server.restart()?;
    runtime.block_on(async {
        let state = get(&patient, "k", 1).await.unwrap();
        assert_eq!((state.version, state.value.as_deref()), (version.clone(), Some(b"3".as_slice())));
        must_write(&patient, put("k", b"5").if_version(&version)).await;
        assert_eq!(keys(&patient, NS, 1, 10).await, ["k"]);
    });
    Ok(())
}

type Case = fn(Place) -> Pin<Box<dyn Future<Output = ()>>>;

fn main() {
    let arguments = Arguments::from_args();
    let cases: &[(&str, Case)] = &[
        ("requests", |place| Box::pin(requests(place))),
        ("any_metadata", |place| Box::pin(any_metadata(place))),
        ("refused_at_opening", |place| Box::pin(refused_at_opening(place))),
        ("openers_at_once", |place| Box::pin(openers_at_once(place))),
        ("another_index_of_the_same_name", |place| Box::pin(another_index_of_the_same_name(place))),
        ("lost_answers", |place| Box::pin(lost_answers(place))),
        ("requests_that_are_too_large", |place| Box::pin(requests_that_are_too_large(place))),
        ("damaged_documents", |place| Box::pin(damaged_documents(place))),
        ("large_values", |place| Box::pin(large_values(place))),
        ("answers_as_the_reference_does", |place| Box::pin(answers_as_the_reference_does(place))),
        ("encrypted", |place| Box::pin(encrypted(place))),
        ("diagnosis", |place| Box::pin(diagnosis(place))),
        ("transcript", |place| Box::pin(transcript(place))),
    ];
    let mut trials = Vec::new();
    for service in ["elasticsearch", "opensearch"] {
        for (name, case) in cases {
            let named = format!("{service}::{name}");
            trials.push(match shared(service) {
                Ok(url) => Trial::test(named, move || run(&url, name, *case)),
                Err(missing) => missing.trial(named),
            });
        }
    }
    // A JVM more is dear: so this one comes where there are servers at all.
    trials.push(match shared("elasticsearch") {
        Ok(_) => Trial::test("elasticsearch::killed_and_paused", a_server_of_its_own),
        Err(missing) => missing.trial("elasticsearch::killed_and_paused"),
    });
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(url: &str, name: &str, case: Case) -> Result<(), Failed> {
    let port = url.parse::<ElasticsearchConfig>().map_err(|error| error.to_string())?.port;
    let index = format!("{}-{:08x}", name.replace('_', "-"), rand::random::<u32>());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let place = || Place { port, index: index.clone() };
    runtime.block_on(async {
        case(place()).await;
        place().ask("DELETE", &format!("/{index}*"), Json::Null).await;
    });
    Ok(())
}
