//! A tour of the store: run it with `cargo run -p dataknobs-kv --example quickstart`, or with a URL as argument.

use std::time::Duration;

use dataknobs_kv::{Config, Expected, KvStore, Result, SwapResult, Value, json};

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).filter(|argument| argument.contains(':')).unwrap_or_else(|| "memory:".into());
    let store = KvStore::open_with(Config::from_url(&url)?.auto_cleanup(Duration::from_secs(60))?).await?;

    // Basic operations.
    store.set("app.name", "MyApplication").await?;
    store.set("app.version", "1.0.0").await?;
    store.set("app.config.debug", true).await?;
    println!("name: {:?}", store.get_as::<String>("app.name").await?);
    println!("debug: {:?}", store.get_as::<bool>("app.config.debug").await?);

    // Pattern matching.
    println!("keys: {:?}", store.keys("app.*").await?);
    for (key, value) in store.get_pattern("app.config.*").await? {
        println!("{key} = {}", value.to_json().unwrap_or_default());
    }
    store.delete("app.config.debug").await?;
    store.delete_pattern("app.temp.*").await?;

    // Hierarchical keys.
    store.set("users.123.name", "John Doe").await?;
    store.set("users.123.settings.theme", "dark").await?;
    println!("user: {} entries", store.get_pattern("users.123.**").await?.len());
    store.delete_pattern("users.123.**").await?;

    // Metadata and expiry.
    store
        .set("document.report.pdf", b"%PDF-1.7")
        .metadata(json!({
            "content_type": "application/pdf",
            "author": "John Doe",
            "tags": ["quarterly", "finance"],
            "ttl": 86400, // seconds
        }))
        .await?;
    store.set_metadata("document.report.pdf", json!({"reviewed": true, "reviewer": "Jane Smith"})).await?;
    if let Some(metadata) = store.get_metadata("document.report.pdf").await? {
        println!("author: {}, tags: {}", metadata["author"], metadata["tags"]);
    }
    store.set("session.abc123", "data").ttl(Duration::from_secs(3600)).await?;
    println!("session: {}", store.exists("session.abc123").await?);
    println!("removed {} expired keys", store.cleanup_expired().await?);

    // Atomic operations.
    let success = store.compare_and_swap("app.version", "1.0.0", "1.1.0").await?;
    println!("swapped: {}", matches!(success, SwapResult::Swapped(_)));
    store.compare_and_swap("app.owner", Expected::Absent, "Jane").await?;
    let views = store.increment("stats.page_views", 1).await?;
    println!("views: {:?}", views.value);
    store.increment("inventory.item_123", -1).await?;
    store.append("logs.access", "\n2024-01-15 10:30 User login").await?;

    // Batches.
    let config = [
        ("config.host", Value::from("localhost")),
        ("config.port", 8080.into()),
        ("config.ssl", true.into()),
        ("config.timeout", 30.into()),
    ];
    store.set_many(config).await?.all()?;
    let values = store.get_many(["config.host", "config.port", "config.ssl"]).await?.all()?;
    println!("{} of 3 values", values.iter().flatten().count());
    println!("deleted: {}", store.delete_many(["config.host", "cache.old"]).await?.deleted()?);

    // Namespaces.
    let users = store.namespace("user_data")?;
    let system = store.namespace("system")?;
    users.set_json("settings", &json!({"theme": "dark"})).await?;
    system.set_json("settings", &json!({"debug": true})).await?;
    println!("user settings: {:?}", users.get_json::<serde_json::Value>("settings").await?);
    println!("namespaces: {:?}", store.namespaces().await?);

    store.close().await;
    Ok(())
}

#[test]
fn it_runs() {
    main().unwrap();
}
