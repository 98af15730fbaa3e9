//! What a store is opened with.

use std::time::Duration;

use dataknobs_kv::{Compression, Config, Durability, KvStore, Location};

#[test]
fn the_fields_of_the_readme() {
    let config = Config::from_json(
        r#"{"backend":"memory","namespace":"cache","auto_cleanup":true,"cleanup_interval":60,"default_ttl":{"cache":0.5}}"#,
    )
    .unwrap();
    assert_eq!(config.location(), Some(&Location::Memory));
    assert_eq!(config.cleanup(), Some(Duration::from_secs(60)));
    let config = Config::from_toml("backend = 'file'\n[config]\npath = 'a b?.redb'\ndurability = 'relaxed'\n").unwrap();
    let Some(Location::Redb(file)) = config.location() else { panic!("{config:?}") };
    assert_eq!((file.path.to_str(), file.durability), (Some("a b?.redb"), Durability::Relaxed));
    assert_eq!(config.cleanup(), None);
    let config = Config::from_json(
        r#"{"backend":"file","config":{"path":"/data/kv_store.json","format":"json","compression":"gzip"}}"#,
    )
    .unwrap();
    let Some(Location::Json(file)) = config.location() else { panic!("{config:?}") };
    assert_eq!((file.path.to_str(), file.compression), (Some("/data/kv_store.json"), Some(Compression::Gzip)));
    let config =
        Config::from_json(r#"{"backend":"memory","cache":"memory","cache_ttl":60,"cache_size":1000}"#).unwrap();
    assert_eq!(config.location().unwrap().to_string(), "memory:?cache=memory&cache_ttl=60&cache_size=1000");
    let config: Config = serde_json::from_str(r#"{"url":"file:x.redb"}"#).unwrap();
    assert_eq!(config.location().unwrap().to_string(), "file:x.redb");
    let config = Config::from_json(
        r#"{"backend":"postgres","config":{"host":"db","port":5433,"database":"kv","table":"t","user":"me","password":"hunter2"}}"#,
    )
    .unwrap();
    assert_eq!(config.location().unwrap().to_string(), "postgres://me@db:5433/kv?table=t");
    assert!(!format!("{config:?}").contains("hunter2"));
    let config =
        Config::from_json(r#"{"backend":"redis","config":{"host":"db","port":6380,"db":2,"password":"hunter2"}}"#)
            .unwrap();
    assert_eq!(config.location().unwrap().to_string(), "redis://db:6380/2");
    let fields = r#"{"backend":"s3","config":{"bucket":"my-kv-store","prefix":"data/","region":"us-west-2"}}"#;
    let config_s3 = Config::from_json(fields).unwrap();
    assert_eq!(config_s3.location().unwrap().to_string(), "s3://my-kv-store/data?region=us-west-2");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_is_not_known_or_not_there_is_refused() {
    for (fields, code, named) in [
        (r#"{}"#, "invalid-argument", "url or backend"),
        (r#"[]"#, "invalid-argument", "table"),
        (r#"{"backend":"memory","namespce":"x"}"#, "invalid-argument", "namespce"),
        (r#"{"backend":"memory","url":"memory:"}"#, "invalid-argument", "url and backend"),
        (r#"{"url":"memory:","config":{}}"#, "invalid-argument", "config"),
        (r#"{"backend":"memory","config":{"path":"x"}}"#, "invalid-argument", "config.path"),
        (r#"{"backend":"mysql"}"#, "invalid-argument", "backend"),
        (r#"{"backend":"memory","namespace":""}"#, "invalid-argument", ""),
        (r#"{"backend":"memory","namespace":5}"#, "invalid-argument", "namespace"),
        (r#"{"backend":"memory","auto_cleanup":"yes"}"#, "invalid-argument", "auto_cleanup"),
        (r#"{"backend":"memory","cleanup_interval":0}"#, "invalid-argument", "cleanup_interval"),
        (r#"{"backend":"memory","cleanup_interval":-5}"#, "invalid-argument", "cleanup_interval"),
        (r#"{"backend":"memory","default_ttl":{"a":0}}"#, "invalid-argument", "default_ttl"),
        (r#"{"backend":"memory","default_ttl":{"a":"x"}}"#, "invalid-argument", "default_ttl.a"),
        (r#"{"backend":"memory","default_ttl":60}"#, "invalid-argument", "default_ttl"),
        (r#"{"backend":"file"}"#, "invalid-argument", "config.path"),
        (r#"{"backend":"file","config":{"path":"a.redb","fomat":"x"}}"#, "invalid-argument", "config.fomat"),
        (r#"{"backend":"file","config":{"path":"a.redb","cache_size":1}}"#, "invalid-argument", "cache_size"),
        (r#"{"backend":"file","config":{"path":"a.redb","compression":"gzip"}}"#, "invalid-argument", "compression"),
        (r#"{"backend":"file","config":{"path":"a.json","compression":"zip"}}"#, "invalid-argument", "compression"),
        (r#"{"backend":"file","config":{"path":"a.json","cache_size":"1"}}"#, "invalid-argument", "cache_size"),
        (r#"{"backend":"file","config":{"path":"a.json","format":"xml"}}"#, "invalid-argument", "format"),
        (r#"{"backend":"memory","cache":"redis"}"#, "invalid-argument", "cache"),
        (r#"{"backend":"memory","cache":["memory"]}"#, "invalid-argument", "cache"),
        (r#"{"backend":"memory","cache_ttl":60}"#, "invalid-argument", "cache_ttl"),
        (r#"{"backend":"memory","cache":"memory","cache_size":0}"#, "invalid-argument", "cache_size"),
        (r#"{"url":"memory:?cache=memory","cache":"memory"}"#, "invalid-argument", "cache"),
        (r#"{"backend":"file","config":{"path":"a.redb","cache":"memory"}}"#, "invalid-argument", "config.cache"),
        (r#"{"backend":"memory","retry":2}"#, "invalid-argument", "retry"),
        (r#"{"backend":"postgres","config":{"password":"hunter2","prot":1}}"#, "invalid-argument", "config.prot"),
        (r#"{"backend":"redis","config":{"password":"hunter2","prot":1}}"#, "invalid-argument", "config.prot"),
        (r#"{"backend":"redis","config":{"host":"h","db":"hunter2"}}"#, "invalid-argument", "config.db"),
        (r#"{"url":"postgres://me:hunter2@h/db?port=x"}"#, "invalid-argument", "port"),
        (r#"{"backend":"s3","config":{"prefix":"data/"}}"#, "invalid-argument", "config.bucket"),
        (r#"{"backend":"s3","config":{"bucket":"b","secret_key":"hunter2"}}"#, "invalid-argument", "config.secret_key"),
        (r#"{"url":"s3://b?secret=hunter2"}"#, "invalid-argument", "secret"),
        (r#"{"url":5}"#, "invalid-argument", "url"),
        (r#"{"backend":"memory","#, "invalid-argument", "line 1"),
    ] {
        let error = Config::from_json(fields).expect_err(fields);
        assert_eq!(error.code(), code, "{fields}: {error}");
        assert!(error.to_string().contains(named), "{fields}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

/// A parser's own message would show the line, and the password in it.
#[test]
fn secrets_stay_out_of_messages() {
    let error = Config::from_toml("backend = 'redis'\n[config]\npassword = hunter2\n").unwrap_err().to_string();
    assert!(error.contains("line 3") && !error.contains("hunter2"), "{error}");
    let error = Config::from_toml("url = 'redis://:hunter2@host?pasword=hunter2'\n").unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
    let debug = format!("{:?}", Config::from_url("file:data.redb").unwrap());
    assert!(debug.contains("file:data.redb"), "{debug}");
}

#[tokio::test]
async fn from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kv.toml");
    std::fs::write(&path, "url = 'memory:'\nnamespace = 'x'\n").unwrap();
    let store = KvStore::open_with(Config::from_file(&path).await.unwrap()).await.unwrap();
    assert_eq!(store.namespace_name(), "x");
    for name in ["missing.toml", "kv.yaml"] {
        if name == "kv.yaml" {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let error = Config::from_file(folder.path().join(name)).await.unwrap_err();
        assert_eq!(error.code(), "invalid-argument");
        assert!(error.to_string().contains(name), "{error}");
    }
}
