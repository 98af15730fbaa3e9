//! Through `KvStore`: over memory, over a file, and over the client of a running service.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dataknobs_kv::{
    ChangeResult, Config, DeleteResult, Error, Expected, KvStore, ManualClock, Result, Serializer, SwapResult, Ttl,
    Value, json,
};

/// When all stores here begin.
const START: u64 = 1_800_000_000_000;

/// The same scenario on every backend that there is in this process.
async fn everywhere<Fut>(scenario: impl Fn(KvStore, Arc<ManualClock>) -> Fut)
where
    Fut: Future<Output = Result<()>>,
{
    let folder = tempfile::tempdir().expect("a folder");
    let file = format!("file:{}", folder.path().join("parity.redb").display());
    for url in ["memory:", &file] {
        let clock = Arc::new(ManualClock::new(START));
        let config = Config::from_url(url).expect("a config").clock(clock.clone());
        let store = KvStore::open_with(config).await.expect("a store");
        scenario(store, clock).await.unwrap_or_else(|error| panic!("over {url}: {error}"));
    }
}

#[tokio::test]
async fn rust_quick_start() {
    everywhere(|store, _| async move {
        store.set("app.name", "MyApplication").await?;
        store.set("app.version", "1.0.0").await?;
        store.set("app.config.debug", true).await?;

        assert_eq!(store.get("app.name").await?, Some("MyApplication".into()));
        assert_eq!(store.get("app.config.debug").await?, Some(true.into()));

        assert_eq!(store.keys("app.*").await?, ["app.name", "app.version"]);
        let all_config = store.get_pattern("app.config.*").await?;
        assert_eq!(all_config.into_iter().collect::<Vec<_>>(), [("app.config.debug".to_owned(), true.into())]);

        assert_eq!(store.delete("app.config.debug").await?, DeleteResult::Deleted);
        assert_eq!(store.get("app.config.debug").await?, None);
        store.set("app.temp.a", 1).await?;
        store.set("app.temp.b", 2).await?;
        assert_eq!(store.delete_pattern("app.temp.*").await?, 2);
        assert_eq!(store.keys("**").await?, ["app.name", "app.version"]);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn rust_hierarchical_keys() {
    everywhere(|store, _| async move {
        store.set("users.123.name", "John Doe").await?;
        store.set("users.123.email", "john@example.com").await?;
        store.set("users.123.settings.theme", "dark").await?;
        store.set("users.123.settings.notifications", true).await?;
        store.set("users.124.name", "Jane Roe").await?;

        // One level; the README's "all user data" is `**` here.
        let fields: Vec<String> = store.get_pattern("users.123.*").await?.into_keys().collect();
        assert_eq!(fields, ["users.123.email", "users.123.name"]);
        assert_eq!(store.get_pattern("users.123.**").await?.len(), 4);
        let settings = store.get_pattern("users.123.settings.*").await?;
        assert_eq!(settings["users.123.settings.theme"], "dark".into());
        assert_eq!(settings["users.123.settings.notifications"], true.into());

        let levels = store.children(Some("users"), true).await?;
        let levels: Vec<_> = levels.iter().map(|child| (child.segment.as_str(), child.below)).collect();
        assert_eq!(levels, [("123", Some(4)), ("124", Some(1))]);

        assert_eq!(store.delete_pattern("users.123.**").await?, 4);
        assert_eq!(store.keys("**").await?, ["users.124.name"]);
        Ok(())
    })
    .await;
}

/// Keys that tell the patterns apart, and what each pattern finds among them.
pub(crate) const KEYS: &[&str] = &[
    "app.config.debug",
    "app.error",
    "app.name",
    "db.config.host",
    "deep.app.config.x",
    "env.dev.config",
    "env.prod.config",
    "env.test.config",
    "error",
    r"log.0\.txt",
    "log.0.txt",
    "log.9.txt",
    "log.a.txt",
    "logs.2024-01",
    "logs.2024-02",
    "logs.2025-01",
    "user.1.name",
    "user.12.name",
    "user.a.name",
    "users.1.name",
    "users.2.email",
    "users.2.name",
];

/// See [`KEYS`].
pub(crate) const PATTERNS: &[(&str, &[&str])] = &[
    ("users.*.name", &["users.1.name", "users.2.name"]),
    // Exactly three segments; any level is `**.config.**`.
    ("*.config.*", &["app.config.debug", "db.config.host"]),
    ("**.config.**", &["app.config.debug", "db.config.host", "deep.app.config.x"]),
    ("logs.2024-*", &["logs.2024-01", "logs.2024-02"]),
    ("app.**", &["app.config.debug", "app.error", "app.name"]),
    ("**.error", &["app.error", "error"]),
    ("user.?.name", &["user.1.name", "user.a.name"]),
    ("log.[0-9].txt", &["log.0.txt", "log.9.txt"]),
    ("env.{dev,prod}.config", &["env.dev.config", "env.prod.config"]),
];

#[tokio::test]
async fn rust_pattern_matching() {
    everywhere(|store, _| async move {
        store.set_many(KEYS.iter().map(|key| (*key, 1))).await?.all()?;
        for (pattern, expected) in PATTERNS {
            assert_eq!(store.keys(pattern).await?, *expected, "{pattern}");
            assert_eq!(store.count(pattern).await?, expected.len() as u64, "{pattern}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn rust_metadata() {
    everywhere(|store, clock| async move {
        let document = b"%PDF-1.7 \x00\xff";
        store
            .set("document.report.pdf", document)
            .metadata(json!({
                "content_type": "application/pdf",
                "author": "John Doe",
                "created": "2024-01-15",
                "tags": ["quarterly", "finance"],
                "ttl": 86400,
            }))
            .await?;

        let metadata = store.get_metadata("document.report.pdf").await?.expect("just set");
        assert_eq!(metadata["author"], "John Doe");
        assert_eq!(metadata["tags"], json!(["quarterly", "finance"]));
        assert_eq!(metadata.system.content_type.as_deref(), Some("application/pdf"));
        assert_eq!(metadata.system.expires_at, Some(START + 86_400_000));
        assert_eq!(metadata.system.size, document.len() as u64);

        let patch = json!({"reviewed": true, "reviewer": "Jane Smith"});
        let changed = store.set_metadata("document.report.pdf", patch).await?;
        assert!(matches!(changed, ChangeResult::Written(_)));
        let metadata = store.get_metadata("document.report.pdf").await?.expect("still there");
        assert_eq!(metadata["author"], "John Doe");
        assert_eq!(metadata["reviewed"], true);
        assert_eq!(metadata["reviewer"], "Jane Smith");
        assert_eq!(store.get("document.report.pdf").await?, Some(document.into()));

        let found = store.entries("document.**").matching(json!({"author": "John Doe"})).collect().await?;
        assert_eq!(found.len(), 1);
        clock.advance(86_400_000);
        assert_eq!(store.get_metadata("document.report.pdf").await?, None);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn rust_ttl_and_expiration() {
    everywhere(|store, clock| async move {
        store.set("session.abc123", "session data").ttl(Duration::from_secs(3600)).await?;
        store.set("cache.results", "results").ttl(Duration::from_secs(300)).await?;
        assert!(store.exists("session.abc123").await?);
        assert_eq!(store.get("session.abc123").await?, Some("session data".into()));

        clock.advance(299_999);
        assert!(store.exists("cache.results").await?);
        clock.advance(1);
        assert!(!store.exists("cache.results").await?);
        assert_eq!(store.get("cache.results").await?, None);
        assert_eq!(store.keys("**").await?, ["session.abc123"]);

        assert_eq!(store.cleanup_expired().await?, 1);
        assert_eq!(store.cleanup_expired().await?, 0);

        store.persist("session.abc123").await?;
        assert_eq!(store.ttl("session.abc123").await?, Ttl::Never);
        store.touch("session.abc123", Duration::from_secs(1)).await?;
        clock.advance(1000);
        assert!(!store.exists("session.abc123").await?);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn rust_automatic_cleanup() {
    let clock = Arc::new(ManualClock::new(START));
    let config = Config::from_url("memory:").expect("a config").clock(clock.clone());
    let config = config.auto_cleanup(Duration::from_millis(100)).expect("an interval");
    let store = KvStore::open_with(config).await.expect("a store");
    store.set("cache.results", "results").ttl(Duration::from_secs(300)).await.expect("set");
    clock.advance(300_000);
    let removed = async {
        while store.cleanup_stats().expect("it runs").removed == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), removed).await.expect("removed in the background");
    store.close().await;
}

#[tokio::test]
async fn rust_atomic_operations() {
    everywhere(|store, _| async move {
        store.set("version", "1.0.0").await?;
        assert!(matches!(store.compare_and_swap("version", "1.0.0", "1.1.0").await?, SwapResult::Swapped(_)));
        let lost = store.compare_and_swap("version", "1.0.0", "2.0.0").await?;
        let SwapResult::Different(Some(current)) = lost else { panic!("{lost:?}") };
        assert_eq!(current.into_value()?, Some("1.1.0".into()));
        let created = store.compare_and_swap("fresh", Expected::Absent, "first").await?;
        assert!(matches!(created, SwapResult::Swapped(_)));

        assert_eq!(Value::from(store.increment("stats.page_views", 1).await?.value), 1.into());
        assert_eq!(Value::from(store.increment("stats.page_views", 1).await?.value), 2.into());
        assert_eq!(Value::from(store.increment("inventory.item_123", -1).await?.value), (-1).into());

        store.append("logs.access", "\n2024-01-15 10:30 User login").await?;
        store.append("logs.access", "\n2024-01-15 10:31 User logout").await?;
        let log = "\n2024-01-15 10:30 User login\n2024-01-15 10:31 User logout";
        assert_eq!(store.get("logs.access").await?, Some(log.into()));
        store.set("notes", "Call Jane").await?;
        assert_eq!(store.append("notes", ", Remember to update docs").await?.size, 34);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn rust_batches() {
    everywhere(|store, _| async move {
        let config: [(&str, Value); 4] = [
            ("config.host", "localhost".into()),
            ("config.port", 8080.into()),
            ("config.ssl", true.into()),
            ("config.timeout", 30.into()),
        ];
        store.set_many(config).await?.all()?;
        let values = store.get_many(["config.host", "config.port", "config.ssl"]).await?.all()?;
        assert_eq!(values, [Some("localhost".into()), Some(8080.into()), Some(true.into())]);

        store.set("temp.file1", 1).await?;
        store.set("cache.old", 1).await?;
        assert_eq!(store.delete_many(["temp.file1", "temp.file2", "cache.old"]).await?.deleted()?, 2);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn rust_namespaces() {
    everywhere(|store, _| async move {
        let (user_store, system_store) = (store.namespace("user_data")?, store.namespace("system")?);
        user_store.set_json("settings", &json!({"theme": "dark"})).await?;
        system_store.set_json("settings", &json!({"debug": true})).await?;
        assert_eq!(user_store.get_json("settings").await?, Some(json!({"theme": "dark"})));
        assert_eq!(system_store.get_json("settings").await?, Some(json!({"debug": true})));

        assert_eq!(store.namespaces().await?, ["system", "user_data"]);
        store.drop_namespace("system").await?;
        assert_eq!(system_store.get("settings").await?, None);
        assert!(user_store.exists("settings").await?);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn rust_backend_configuration() -> Result<()> {
    let memory = KvStore::open_with(Config::from_toml(r#"backend = "memory""#)?).await?;
    memory.set("a", 1).await?;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kv_store.redb");
    let fields = json!({"backend": "file", "config": {"path": path}, "namespace": "app", "auto_cleanup": true});
    let file = KvStore::open_with(Config::from_fields(fields.clone())?).await?;
    assert_eq!(file.namespace_name(), "app");
    file.set("a", 1).await?;
    file.close().await;
    let again = KvStore::open_with(Config::from_fields(fields)?).await?;
    assert_eq!(again.get("a").await?, Some(1.into()), "a file keeps what it was given");

    let fields = json!({"backend": "postgres", "config": {"host": "localhost", "port": 5432, "database": "mydb",
        "table": "kv_store", "user": "user", "password": "pass"}});
    let config = Config::from_fields(fields)?;
    assert_eq!(config.location().map(ToString::to_string).as_deref(), Some("postgres://user@localhost/mydb"));

    let fields =
        json!({"backend": "redis", "config": {"host": "localhost", "port": 6379, "db": 0, "password": "optional"}});
    let config = Config::from_fields(fields)?;
    assert!(!format!("{config:?}").contains("optional"), "{config:?}");
    let fields =
        json!({"backend": "s3", "config": {"bucket": "my-kv-store", "prefix": "data/", "region": "us-west-2"}});
    Config::from_fields(fields)?;

    // The file of the README: JSON, compressed.
    let path = folder.path().join("kv_store.json");
    let fields = json!({"backend": "file", "config": {"path": path, "format": "json", "compression": "gzip"}});
    let file = KvStore::open_with(Config::from_fields(fields.clone())?).await?;
    file.set("a", 1).await?;
    file.close().await;
    let again = KvStore::open_with(Config::from_fields(fields)?).await?;
    assert_eq!(again.get("a").await?, Some(1.into()));

    // A cache in front.
    let fields = json!({"backend": "memory", "cache": "memory", "cache_ttl": 60, "cache_size": 1000});
    let cached = KvStore::open_with(Config::from_fields(fields)?).await?;
    cached.set("a", 1).await?;
    assert_eq!(cached.get("a").await?, Some(1.into()));

    // What is not known is refused and not skipped.
    let path = folder.path().join("kv_store.redb");
    for fields in [
        json!({"backend": "file", "config": {"path": path, "compression": "gzip"}}),
        json!({"backend": "memory", "cache": "redis"}),
    ] {
        let refused = Config::from_fields(fields.clone()).err();
        assert!(matches!(refused, Some(Error::InvalidArgument(_))), "{fields}: {refused:?}");
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Complex {
    parts: Vec<u8>,
}

/// What `pickle` is in the README.
struct ComplexForm;

impl Serializer<Complex> for ComplexForm {
    fn type_name(&self) -> &str {
        "complex"
    }
    fn serialize(&self, value: &Complex) -> Result<Vec<u8>> {
        Ok(value.parts.iter().rev().copied().collect())
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<Complex> {
        Ok(Complex { parts: bytes.iter().rev().copied().collect() })
    }
}

#[tokio::test]
async fn rust_custom_serialization() {
    everywhere(|store, _| async move {
        let store = store.with_serializer(ComplexForm)?;
        let complex = Complex { parts: vec![1, 2, 255] };
        store.set_custom("complex", &complex)?.await?;
        assert_eq!(store.get_custom("complex").await?, Some(complex));
        // Whoever has no serializer sees the type's name and the bytes.
        let raw = Value::Custom { type_name: "complex".into(), bytes: vec![255, 2, 1] };
        assert_eq!(store.get("complex").await?, Some(raw));
        store.set("plain", "text").await?;
        assert!(matches!(store.get_custom::<Complex>("plain").await, Err(Error::TypeMismatch(_))));
        Ok(())
    })
    .await;
}
