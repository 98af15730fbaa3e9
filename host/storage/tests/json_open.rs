//! Which JSON files are opened, which are refused, and what becomes of those that others wrote.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use common::*;
use dataknobs_kv_core::wire::{self, Entry};
use dataknobs_kv_core::{Result, State, Storage};
use dataknobs_kv_storage::{Compression, JsonFileConfig, JsonFileStorage, OpenOptions, open as open_url};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn opened(path: &Path) -> Result<JsonFileStorage> {
    JsonFileStorage::open(JsonFileConfig::new(path), true).await
}

async fn open(path: &Path) -> JsonFileStorage {
    opened(path).await.unwrap()
}

/// Names and contents of all that is in the file's folder.
fn files(path: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

fn names(path: &Path) -> Vec<String> {
    files(path).into_iter().map(|(name, _)| name).collect()
}

async fn refused(path: &Path) -> (String, String) {
    let before = path.parent().filter(|folder| folder.is_dir()).map(|_| files(path));
    let error = opened(path).await.expect_err("it was opened");
    assert_eq!(path.parent().filter(|folder| folder.is_dir()).map(|_| files(path)), before, "something was changed");
    let message = error.message();
    assert!(message.contains(path.file_name().unwrap().to_str().unwrap()), "{message}");
    (error.code().to_owned(), message)
}

/// As a person would write it.
fn ours(namespaces: &str) -> String {
    format!(
        "{{\"dataknobs-kv\": {{\"format\": 1, \"store\": \"mine\", \"sequence\": 7}},\n\"namespaces\": {namespaces}}}"
    )
}

/// An entry as exports show it, without versions and times.
async fn shown(storage: &dyn Storage, key: &str) -> Option<String> {
    let state = get(storage, key, 1).await?;
    let mut entry = Entry::new(key, Some(state)).unwrap();
    (entry.version, entry.created_at, entry.updated_at, entry.size, entry.checksum) = (None, None, None, None, None);
    Some(wire::to_json(&entry).unwrap())
}

async fn state(storage: &dyn Storage, key: &str) -> State {
    get(storage, key, 1).await.unwrap()
}

/// Copies the files of an open store, as a crash leaves them.
fn crashed(path: &Path) -> (TempDir, PathBuf) {
    let folder = folder();
    for (name, bytes) in files(path).into_iter().filter(|(name, _)| !name.ends_with(".lock")) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let path = folder.path().join(path.file_name().unwrap());
    (folder, path)
}

#[tokio::test]
async fn a_new_file_an_empty_file_and_an_old_one() {
    let folder = folder();
    let path = folder.path().join("new.json");
    let url = format!("file:{}", path.display());
    let error = open_url(&url, &OpenOptions::default().create(false)).await.err().unwrap();
    assert_eq!(error.code(), "invalid-argument");
    assert!(error.message().ends_with("does not exist"), "{error}");
    assert!(names(&path).is_empty());

    let storage = open(&path).await;
    assert_eq!(names(&path), ["new.json", "new.json.lock"]);
    must_write(&storage, put("a", b"1")).await;
    assert_eq!(names(&path), ["new.json", "new.json.journal", "new.json.lock"]);
    drop(storage);
    // What is small is all in the snapshot once it is closed.
    assert_eq!(names(&path), ["new.json"]);
    let before = files(&path);
    let storage = open_url(&url, &OpenOptions::default().create(false)).await.unwrap();
    assert_eq!(value(&*storage, "a").await.unwrap(), b"1");
    drop(storage);
    assert_eq!(files(&path), before, "reading changed something");

    let empty = folder.path().join("empty.json.gz");
    fs::write(&empty, "").unwrap();
    must_write(&open(&empty).await, put("a", b"2")).await;
    assert!(fs::read(&empty).unwrap().starts_with(&[0x1f, 0x8b]));
    assert_eq!(value(&open(&empty).await, "a").await.unwrap(), b"2");
}

#[tokio::test]
async fn places_where_no_file_can_be() {
    let folder = folder();
    let missing = folder.path().join("no/such/folder/data.json");
    let error = opened(&missing).await.unwrap_err();
    assert_eq!(error.code(), "invalid-argument");
    assert!(error.message().contains("no/such/folder does not exist"), "{error}");

    let below_file = folder.path().join("file/data.json");
    fs::write(folder.path().join("file"), "x").unwrap();
    assert_eq!(refused(&below_file).await.0, "invalid-argument");

    let is_folder = folder.path().join("folder.json");
    fs::create_dir(&is_folder).unwrap();
    assert_eq!(refused(&is_folder).await, ("invalid-argument".into(), format!("{} is a folder", is_folder.display())));

    let too_long = folder.path().join(format!("{}.json", "x".repeat(300)));
    assert_eq!(refused(&too_long).await.0, "invalid-argument");
}

#[tokio::test]
async fn a_file_has_one_user_at_a_time() {
    let folder = folder();
    let path = folder.path().join("data.json");
    let first = open(&path).await;
    let error = opened(&path).await.unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert!(error.message().contains("is locked by another process"), "{error}");
    must_write(&first, put("a", b"1")).await;
    drop(first);
    assert_eq!(value(&open(&path).await, "a").await.unwrap(), b"1");
    // A lock file that a killed process left is nobody's.
    fs::write(folder.path().join("data.json.lock"), "").unwrap();
    assert_eq!(value(&open(&path).await, "a").await.unwrap(), b"1");
    assert_eq!(names(&path), ["data.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_create_it_one_wins() {
    let folder = folder();
    let path = folder.path().join("data.json");
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(12));
    let openers: Vec<_> = (0..12)
        .map(|_| {
            let (path, barrier) = (path.clone(), barrier.clone());
            tokio::spawn(async move {
                let storage = opened(&path).await;
                // Nobody closes before all have tried.
                barrier.wait().await;
                storage.map(drop)
            })
        })
        .collect();
    let mut opened = 0;
    for opener in openers {
        match opener.await.unwrap() {
            Ok(()) => opened += 1,
            Err(error) => assert_eq!(error.code(), "unavailable", "{error}"),
        }
    }
    assert_eq!(opened, 1);
    assert_eq!(names(&path), ["data.json"]);
}

/// Many open and close it at once: the lock is never held by two.
#[tokio::test(flavor = "multi_thread")]
async fn the_lock_passes_from_one_to_the_next() {
    let folder = folder();
    let path = folder.path().join("data.json");
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let path = path.clone();
            tokio::spawn(async move {
                for round in 0..10 {
                    let storage = loop {
                        match opened(&path).await {
                            Ok(storage) => break storage,
                            Err(error) => assert_eq!(error.code(), "unavailable", "{error}"),
                        }
                        tokio::task::yield_now().await;
                    };
                    must_write(&storage, put(&format!("{task}.{round}"), b"x")).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(keys(&open(&path).await, NS, 1, 1000).await.len(), 40);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_stays_a_link_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = folder();
    let (path, link) = (folder.path().join("data.json"), folder.path().join("link.json"));
    drop(open(&path).await);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&path, &link).unwrap();
    let storage = open(&link).await;
    must_write(&storage, put("a", b"1")).await;
    assert_eq!(opened(&path).await.unwrap_err().code(), "unavailable");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("data.json.journal")), 0o600);
    drop(storage);
    assert!(link.is_symlink());
    assert_eq!(mode(&path), 0o600);
    assert_eq!(value(&open(&path).await, "a").await.unwrap(), b"1");
    fs::remove_file(&path).unwrap();
    let (code, message) = refused(&link).await;
    assert!(code == "invalid-argument" && message.contains("is a link to what does not exist"), "{message}");
}

#[tokio::test]
async fn the_form_of_the_file_is_found_in_it_and_kept_unless_told() {
    let folder = folder();
    // As the README of the first version has it.
    let path = folder.path().join("kv_store.json");
    let gzip = || JsonFileConfig::new(&path).compression(Compression::Gzip);
    must_write(&JsonFileStorage::open(gzip(), true).await.unwrap(), put("a", b"1")).await;
    let is_gzip = || fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]);
    assert!(is_gzip());
    must_write(&open(&path).await, put("b", b"2")).await;
    assert!(is_gzip());
    let plain = JsonFileConfig::new(&path).compression(Compression::None);
    must_write(&JsonFileStorage::open(plain, true).await.unwrap(), put("c", b"3")).await;
    assert!(fs::read_to_string(&path).unwrap().starts_with("{\n  \"dataknobs-kv\""));
    let storage = JsonFileStorage::open(gzip(), true).await.unwrap();
    assert_eq!(keys(&storage, NS, 1, 10).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn plain_nested_json_is_a_store_and_is_kept() {
    let folder = folder();
    let path = folder.path().join("app.json");
    let text = "{\n  \"app\": {\"name\": \"x\", \"v1.2\": {\"on\": true}, \"ports\": [80,  443]},\n  \"n\": 1.50, \"i\": 7, \"e\": {}, \"z\": null\n}\n";
    fs::write(&path, text).unwrap();
    let before = files(&path);
    let storage = open(&path).await;
    assert_eq!(keys(&storage, NS, 1, 10).await, ["app.name", "app.ports", r"app.v1\.2.on", "e", "i", "n", "z"]);
    for (key, expected) in [
        ("app.name", r#""type":"text","value":"x""#),
        ("app.ports", r#""type":"json","value":[80,  443]"#),
        (r"app.v1\.2.on", r#""type":"boolean","value":true"#),
        ("e", r#""type":"json","value":{}"#),
        ("i", r#""type":"integer","value":7"#),
        ("n", r#""type":"number","value":1.5"#),
        ("z", r#""type":"null","value":null"#),
    ] {
        let shown = shown(&storage, key).await.unwrap();
        assert!(shown.contains(expected), "{shown}");
    }
    let version = state(&storage, "i").await.version;
    // Lost races and checks write nothing.
    write_one(&storage, put("i", b"2").if_absent(), 1).await.unwrap();
    drop(storage);
    assert_eq!(files(&path), before, "reading changed something");

    let storage = open(&path).await;
    assert_eq!(state(&storage, "i").await.version, version, "versions last as long as the file is the same");
    must_write(&storage, put("new", b"1").if_absent()).await;
    must_write(&storage, put("i", b"2").if_version(&version)).await;
    assert_eq!(fs::read_to_string(folder.path().join("app.json.orig")).unwrap(), text);
    let (_folder, copy) = crashed(&path);
    assert_eq!(value(&open(&copy).await, "i").await.unwrap(), b"2");
    let name = state(&storage, "app.name").await;
    drop(storage);
    let storage = open(&path).await;
    assert_eq!(state(&storage, "app.name").await, name);
    assert_eq!(keys(&storage, NS, 1, 10).await.len(), 8);
    drop(storage);
    assert_eq!(names(&path), ["app.json", "app.json.orig"]);

    // Another one under the same name: the first original stays.
    fs::write(&path, "{\"a\": 1}").unwrap();
    must_write(&open(&path).await, put("b", b"1")).await;
    assert_eq!(fs::read_to_string(folder.path().join("app.json.orig")).unwrap(), text);
    assert_eq!(fs::read_to_string(folder.path().join("app.json.orig.1")).unwrap(), "{\"a\": 1}");
}

#[tokio::test]
async fn compressed_nested_json_too() {
    let folder = folder();
    let path = folder.path().join("app.json.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"{\"a\": {\"b\": \"x\"}}").unwrap();
    let original = encoder.finish().unwrap();
    fs::write(&path, &original).unwrap();
    let storage = open(&path).await;
    assert_eq!(value(&storage, "a.b").await.unwrap(), b"x");
    must_write(&storage, put("c", b"1")).await;
    drop(storage);
    assert_eq!(fs::read(folder.path().join("app.json.gz.orig")).unwrap(), original);
    assert_eq!(value(&open(&path).await, "a.b").await.unwrap(), b"x");
}

#[tokio::test]
async fn json_that_is_no_store_is_left_alone() {
    let folder = folder();
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let long = format!("{{\"{}\": 1}}", "x".repeat(600));
    for (text, place) in [
        ("[1]", "line 1, column 1: only an object"),
        (" \"x\"", "line 1, column 1: only an object"),
        ("{\"a\": {\"\": {\"b\": 1}}}", "line 1"),
        ("{\"a\": 1,\n \"b\": 2,\n \"a\": 3}", "line 3"),
        ("{\"a.b\": 1, \"\\u0007\": 2}", "line 1"),
        ("{\"a\": 1, \"\\ud800\": 2}", "line 1"),
        (&long, "at most 512 bytes"),
        (&deep, "too many levels"),
    ] {
        let path = folder.path().join("theirs.json");
        fs::write(&path, text).unwrap();
        let (code, message) = refused(&path).await;
        assert_eq!(code, "invalid-argument", "{text}: {message}");
        assert!(message.contains(place), "{text}: {message}");
    }
}

#[tokio::test]
async fn a_file_that_a_person_wrote_or_changed_is_a_store() {
    let folder = folder();
    let path = folder.path().join("data.json");
    let text = ours(
        r#"{
  "default": {
    "name": {"value": "Zoë"},
    "list": {"type": "json", "value": [
       1, 2.0
    ], "metadata": {"b": 1.0, "a": ""}},
    "blob": {"type": "bytes", "value": "AP8="},
    "soon": {"type": "integer", "value": 5, "expires_at": 99, "sliding_ms": 3, "content_type": "text/x"}
  },
  "é": {"k": {"type": "custom:mine", "value": ""}},
  "none": {}
}"#,
    );
    fs::write(&path, &text).unwrap();
    let before = files(&path);
    let storage = open(&path).await;
    assert_eq!(shown(&storage, "name").await.unwrap(), r#"{"key":"name","type":"text","value":"Zoë"}"#);
    let list = state(&storage, "list").await;
    assert_eq!(list.value.as_deref(), Some(b"[\n       1, 2.0\n    ]".as_slice()));
    assert_eq!(list.attributes.metadata.as_deref(), Some(r#"{"a":"","b":1}"#));
    assert!(list.attributes.created_at > 1_700_000_000_000, "the file's own time");
    assert_eq!(value(&storage, "blob").await.unwrap(), [0, 255]);
    let soon = state(&storage, "soon").await.attributes;
    assert_eq!((soon.expires_at, soon.sliding_ms, soon.size), (Some(99), Some(3), 1));
    assert_eq!(get(&storage, "soon", 99).await, None);
    assert_eq!(storage.namespaces(None, 10).await.unwrap().names, ["default", "é"]);
    let version = list.version;
    drop(storage);
    assert_eq!(files(&path), before, "reading changed something");
    assert_eq!(state(&open(&path).await, "list").await.version, version);

    // Changed again, by hand: other versions, so that nobody's guarded write goes by what was there before.
    fs::write(&path, text.replace("Zoë", "Zoe")).unwrap();
    let storage = open(&path).await;
    assert_ne!(state(&storage, "list").await.version, version);
    must_write(&storage, put("name", b"x")).await;
    drop(storage);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"store\": \"mine\", \"sequence\": 8"), "{text}");
    // What a program wrote, and a person changed.
    fs::write(&path, text.replace("\"AP8=\"", "\"AAAA\"")).unwrap();
    let storage = open(&path).await;
    let blob = state(&storage, "blob").await;
    assert_eq!(blob.value.unwrap(), [0, 0, 0]);
    assert_eq!((blob.attributes.size, blob.attributes.checksum), (3, crc32c::crc32c(&[0; 3])));
}

#[tokio::test]
async fn what_a_person_got_wrong_is_refused_with_its_place() {
    let folder = folder();
    let path = folder.path().join("data.json");
    let entry = |entry: &str| ours(&format!("{{\"default\": {{\n  \"ké\": {entry}}}}}"));
    let deep = format!("{{\"type\": \"json\", \"value\": {}{}}}", "[".repeat(129), "]".repeat(129));
    let very_deep = format!("{{\"value\": {}", "[".repeat(1_000_000));
    let cases = [
        ("{".to_owned(), "line 1, column 2: EOF"),
        ("hello".to_owned(), "line 1, column 1: expected value"),
        ("\u{feff}{}".to_owned(), "line 1, column 1: a byte order mark"),
        (ours("{"), "line 2"),
        (ours("{} trailing"), "line 2, column 18"),
        (ours("[]"), "line 2, column 15: an object is wanted"),
        (ours("{\"a\": 1}"), "line 2, column 21: an object is wanted"),
        (ours("{\"a\": {}, \"a\": {}}"), "line 2, column 25: this name comes twice"),
        (ours("{\"\": {}}"), "line 2, column 16: namespace \"\""),
        (ours("{\"\\ud800\": {}}"), "line 2, column 16: a string of Unicode text"),
        (ours("{}, \"other\": 1"), "line 2, column 19: no member of a store"),
        (ours("{}, \"namespaces\": {}"), "line 2, column 19: this name comes twice"),
        (ours("{\"a\": {\"b..c\": {\"value\": 1}}}"), "line 2, column 22: key \"b..c\""),
        (ours("{\"a\": {\"k\": {\"value\": 1}, \"k\": {\"value\": 2}}}"), "line 2, column 41: this name comes twice"),
        (entry("5"), "line 3, column 9: an object is wanted"),
        (entry("{}"), "line 3, column 9: \"value\" is missing"),
        (entry("{\"value\": 1, \"value\": 2}"), "line 3, column 22: this name comes twice"),
        (entry("{\"value\": 01}"), "line 3, column 20"),
        (entry("{\"value\": 1,}"), "line 3, column 21"),
        (entry("{\"value\": \"a\nb\"}"), "line 3"),
        (entry("{\"value\": NaN}"), "line 3, column 19"),
        (entry("{\"vlaue\": 1}"), "line 3, column 10: no member of an entry"),
        (entry("{\"type\": \"float\", \"value\": 1}"), "line 3, column 36: a value type is"),
        (entry("{\"type\": \"integer\", \"value\": 1.5}"), "line 3, column 38: value: what is given is no integer"),
        (entry("{\"type\": \"integer\", \"value\": 9223372036854775808}"), "line 3, column 38"),
        (entry("{\"type\": \"number\", \"value\": 1e999}"), "line 3, column 37"),
        (entry("{\"type\": \"text\", \"value\": \"\\ud800\"}"), "line 3, column 35"),
        (entry("{\"type\": \"text\", \"value\": 5}"), "line 3, column 35"),
        (entry("{\"type\": \"bytes\", \"value\": \"AP8\u{e9}\"}"), "line 3, column 36: value: bytes are given as base64"),
        (entry("{\"type\": \"bytes\", \"raw\": \"!\"}"), "line 3, column 34: base64"),
        (entry("{\"raw\": \"\"}"), "line 3, column 17: `raw` goes with `type`"),
        (entry("{\"type\": \"custom:\", \"value\": \"\"}"), "line 3, column 38: a custom type's name"),
        (entry(&deep), "line 3, column 35: value: not JSON at byte 128: too many levels"),
        (entry(&very_deep), "line 3, column 1000019: expected value"),
        (entry("{\"value\": 1, \"metadata\": []}"), "line 3, column 34: metadata: an object is wanted"),
        (entry("{\"value\": 1, \"metadata\": {\"a\": 1, \"a\": 2}}"), "line 3, column 34: metadata: byte 9"),
        (entry("{\"value\": 1, \"metadata\": {\"a\": \"\\u0000\"}}"), "line 3, column 34: metadata: byte 6"),
        (entry("{\"value\": 1, \"content_type\": \"é\"}"), "line 3, column 38: a content type"),
        (entry("{\"value\": 1, \"created_at\": \"today\"}"), "line 3, column 36: a whole number"),
        (entry("{\"value\": 1, \"created_at\": -1}"), "line 3, column 36: a whole number"),
        (entry("{\"value\": 1, \"expires_at\": 1e9}"), "line 3, column 36: a whole number"),
        (entry("{\"value\": 1, \"expires_at\": 999999999999999}"), "line 3, column 36: a time lies"),
        (entry("{\"value\": 1, \"version\": \"\"}"), "line 3, column 33: a version"),
        (entry("{\"value\": 1, \"checksum\": 4294967296}"), "line 3, column 34: a checksum"),
        ("{\"dataknobs-kv\": 1, \"namespaces\": {}}".into(), "line 1, column 18: an object is wanted"),
        ("{\"dataknobs-kv\": {}, \"namespaces\": {}}".into(), "line 1, column 18: \"format\" is missing"),
        ("{\"dataknobs-kv\": {\"format\": 1, \"sequence\": 1}, \"namespaces\": {}}".into(), "\"store\" is missing"),
        ("{\"dataknobs-kv\": {\"format\": 1, \"store\": \"x\", \"sequence\": 18446744073709551615}, \"namespaces\": {}}".into(), "line 1, column 58: no store has so many"),
        ("{\"namespaces\": {}, \"crc32c\": \"\"}".into(), "line 1, column 1: the member \"dataknobs-kv\" is missing"),
    ];
    for (text, place) in cases {
        fs::write(&path, &text).unwrap();
        let (code, message) = refused(&path).await;
        let text: String = text.chars().take(200).collect();
        assert_eq!(code, "corrupt", "{text}: {message}");
        assert!(message.contains(place), "{text}: {message}");
        assert!(message.len() < 400, "{message}");
    }
    fs::write(&path, b"{\"a\":\n \"\xff\"}").unwrap();
    let (code, message) = refused(&path).await;
    assert!(code == "corrupt" && message.contains("line 2, column 3: not UTF-8"), "{message}");
    fs::write(&path, [0x1f, 0x8b, 0, 1, 2]).unwrap();
    assert!(refused(&path).await.1.contains("not a whole gzip file"));
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("data.json");
    fs::write(&path, "{\"dataknobs-kv\": {\"format\": 2, \"more\": 1}, \"namespaces\": {}}").unwrap();
    let (code, message) = refused(&path).await;
    assert_eq!(code, "unsupported");
    assert!(message.contains("newer version of dataknobs-kv (format 2; this one knows 1)"), "{message}");

    fs::write(&path, ours("{}")).unwrap();
    let line = "\"dataknobs-kv-journal\":2,\"store\":\"mine\",\"after\":7}";
    let line = format!("{{\"crc32c\":\"{:08x}\",{line}\n", crc32c::crc32c(line.as_bytes()));
    fs::write(folder.path().join("data.json.journal"), line).unwrap();
    let error = opened(&path).await.unwrap_err();
    assert_eq!(error.code(), "unsupported");
    assert!(error.message().contains("data.json.journal: written by a newer version"), "{error}");
}

#[tokio::test]
async fn an_edited_snapshot_and_a_journal() {
    let folder = folder();
    let path = folder.path().join("data.json");
    fs::write(&path, ours(r#"{"default": {"a": {"value": 1}, "b": {"value": 2}, "c": {"value": 3}}}"#)).unwrap();
    let storage = open(&path).await;
    must_write(&storage, put("a", b"from the journal")).await;
    must_write(&storage, amend("b", r#"{"m":1}"#)).await;
    let (_folder, copy) = crashed(&path);
    drop(storage);
    // By hand: one changed that the journal sets, one gone that it amends, one new.
    fs::write(&copy, ours(r#"{"default": {"a": {"value": 9}, "c": {"value": "by hand"}, "d": {"value": 4}}}"#))
        .unwrap();
    let storage = open(&copy).await;
    assert_eq!(keys(&storage, NS, 1, 10).await, ["a", "c", "d"]);
    assert_eq!(value(&storage, "a").await.unwrap(), b"from the journal");
    assert_eq!(value(&storage, "c").await.unwrap(), b"by hand");
}

#[tokio::test]
async fn files_that_do_not_belong_together_are_refused() {
    let folder = folder();
    let path = folder.path().join("data.json");
    let storage = open(&path).await;
    must_write(&storage, put("a", b"1")).await;
    let (_folder, copy) = crashed(&path);
    drop(storage);
    let snapshot = fs::read(&copy).unwrap();
    let journal = copy.with_extension("json.journal");
    // Gone, or empty.
    fs::remove_file(&copy).unwrap();
    let error = opened(&copy).await.unwrap_err();
    assert!(error.code() == "corrupt" && error.message().contains("its journal is there"), "{error}");
    fs::write(&copy, "").unwrap();
    assert_eq!(refused(&copy).await.0, "corrupt");
    // Another store's, or no store's.
    for other in [ours("{}"), "{\"a\": 1}".to_owned()] {
        fs::write(&copy, other).unwrap();
        let (code, message) = refused(&copy).await;
        assert!(code == "corrupt" && message.contains("belongs to another store"), "{message}");
    }
    fs::write(&copy, &snapshot).unwrap();
    assert_eq!(value(&open(&copy).await, "a").await.unwrap(), b"1");

    // An older one than the journal goes on from.
    let fill = |storage: JsonFileStorage| async move {
        for index in 0..2000 {
            must_write(&storage, put(&format!("k{index}"), &[b'x'; 900])).await;
        }
        storage
    };
    fs::write(&copy, &snapshot).unwrap();
    let relaxed = JsonFileConfig::new(&copy).durability(dataknobs_kv_storage::Durability::Relaxed).journal_bytes(1024);
    drop(fill(JsonFileStorage::open(relaxed, true).await.unwrap()).await);
    if !journal.exists() {
        // It was folded in at the very end: one more.
        must_write(&open(&copy).await, put("more", b"x")).await;
    }
    fs::write(&copy, &snapshot).unwrap();
    let (code, message) = refused(&copy).await;
    assert!(code == "corrupt" && message.contains("it is an older one"), "{message}");
    // Said so, it is taken.
    fs::remove_file(&journal).unwrap();
    assert_eq!(keys(&open(&copy).await, NS, 1, 10).await, Vec::<String>::new());
}
