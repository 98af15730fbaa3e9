//! A server of our own that dies, stands still, and comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dataknobs_kv_core::storage::Outcome;
use dataknobs_kv_core::{Error, Storage};
use dataknobs_kv_services::Server;
use dataknobs_kv_storage::{Location, PostgresConfig, PostgresStorage, SslMode};
use futures::FutureExt;

use super::common::*;

pub(crate) const TESTS: &[(&str, crate::Fault)] = &[
    ("faults::killed_and_started_again", |server| Box::pin(killed_and_started_again(server).map(|()| None))),
    ("faults::standing_still", |server| Box::pin(standing_still(server).map(|()| None))),
    ("faults::a_wrong_password", |server| Box::pin(a_wrong_password(server).map(|()| None))),
    ("faults::encryption", |server| Box::pin(encryption(server))),
];

fn config(server: &Server) -> PostgresConfig {
    let Ok(Location::Postgres(mut config)) = Location::parse(server.url()) else { panic!("no PostgreSQL URL") };
    config.timeout = Duration::from_secs(3);
    config.connect_timeout = Duration::from_secs(2);
    config.pool_size = 4;
    *config
}

async fn blocking(server: &Arc<Server>, work: impl FnOnce(&Server) + Send + 'static) {
    let server = server.clone();
    tokio::task::spawn_blocking(move || work(&server)).await.unwrap();
}

/// What was acknowledged is there, what was refused is not, and the stores go on by themselves.
async fn killed_and_started_again(server: Arc<Server>) {
    let over = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    let storages: Vec<_> = {
        let mut storages = Vec::new();
        for _ in 0..2 {
            storages.push(Arc::new(PostgresStorage::open(config(&server), true).await.unwrap()));
        }
        storages
    };
    for task in 0..6_u32 {
        let (storage, over) = (storages[task as usize % 2].clone(), over.clone());
        writers.push(tokio::spawn(async move {
            let mut acknowledged = BTreeMap::new();
            let mut seen = BTreeMap::<&'static str, u32>::new();
            // Whether this one's counter may be one ahead of what is known.
            let mut counter = None;
            for at in 0.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let key = format!("{task}-{at}");
                match write_one(&*storage, put(&key, b"v").if_absent(), 1).await {
                    Ok(Outcome::Written(_)) => drop(acknowledged.insert(key, true)),
                    Ok(other) => panic!("{key}: {other:?}"),
                    Err(Error::OutcomeUnknown(_)) => *seen.entry("outcome-unknown").or_default() += 1,
                    Err(Error::Unavailable(_)) => {
                        *seen.entry("unavailable").or_default() += 1;
                        acknowledged.insert(key, false);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
                // A chain of versions: one that is acknowledged is the one that the next is built on.
                let own = format!("chain{task}");
                let mutation = match &counter {
                    None => put(&own, b"0"),
                    Some(version) => put(&own, at.to_string().as_bytes()).if_version(version),
                };
                match write_one(&*storage, mutation, 1).await {
                    Ok(Outcome::Written(version)) => counter = Some(version),
                    Ok(other) => panic!("{own}: {other:?} though nobody else writes it"),
                    // Then it is read, and the chain goes on from there.
                    Err(Error::OutcomeUnknown(_)) => counter = None,
                    Err(Error::Unavailable(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            (acknowledged, seen)
        }));
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        blocking(&server, |server| server.restart().unwrap()).await;
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    over.store(true, Ordering::SeqCst);
    let (mut written, mut refused, mut met) = (0, 0, BTreeMap::<&'static str, u32>::new());
    for writer in writers {
        let (acknowledged, seen) = writer.await.unwrap();
        for (key, there) in acknowledged {
            assert_eq!(value(&*storages[0], &key).await.is_some(), there, "{key}");
            if there { written += 1 } else { refused += 1 }
        }
        for (code, count) in seen {
            *met.entry(code).or_default() += count;
        }
    }
    println!("{written} acknowledged and there, {refused} refused and absent; {met:?}");
    assert!(written > 0 && !met.is_empty(), "the server was not missed");
    must_write(&*storages[1], put("afterwards", b"v")).await;
}

/// The deadline holds, and afterwards all is well.
async fn standing_still(server: Arc<Server>) {
    let mut config = config(&server);
    (config.timeout, config.connect_timeout) = (Duration::from_secs(4), Duration::from_secs(2));
    let storage = PostgresStorage::open(config.clone(), true).await.unwrap();
    must_write(&storage, put("a", b"1")).await;
    blocking(&server, |server| server.pause().unwrap()).await;
    let calls = futures::join!(
        storage.get(NS, "a", 1, true),
        write_one(&storage, put("b", b"1"), 1),
        storage.count(NS, Default::default(), 1),
        PostgresStorage::open(config, true),
    );
    blocking(&server, |server| server.resume().unwrap()).await;
    assert_eq!(calls.0.unwrap_err().code(), "unavailable");
    let code = calls.1.unwrap_err().code();
    // Unavailable where it had to open a connection first, and did not get so far as to send it.
    assert!(code == "outcome-unknown" || code == "unavailable", "{code}");
    assert_eq!(calls.2.unwrap_err().code(), "unavailable");
    assert_eq!(calls.3.unwrap_err().code(), "unavailable");
    assert_eq!(value(&storage, "a").await.as_deref(), Some(b"1".as_slice()));
    must_write(&storage, put("b", b"2")).await;
}

async fn a_wrong_password(server: Arc<Server>) {
    let mut config = config(&server);
    assert!(config.password.is_some(), "the servers of tests ask for passwords");
    config.password = Some("hunter2".into());
    let error = PostgresStorage::open(config.clone(), true).await.unwrap_err();
    assert_eq!(error.code(), "access-denied", "{error}");
    assert!(!error.to_string().contains("hunter2") && !format!("{config:?}").contains("hunter2"));
    config.password = None;
    let error = PostgresStorage::open(config.clone(), true).await.unwrap_err();
    assert_eq!(error.code(), "access-denied", "{error}");
}

/// An authority, and a certificate by it for `localhost` alone, made where the server looks for its own.
const CERTIFICATES: &str = "cat > /dev/null; set -e; \
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=authority; \
    openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost; \
    echo subjectAltName=DNS:localhost > names; \
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names; \
    chmod 600 server.key";

async fn encryption(server: Arc<Server>) -> Option<&'static str> {
    if std::process::Command::new("openssl").arg("version").output().is_err() {
        return Some("there is no `openssl` to make certificates with");
    }
    let mut config = config(&server);
    let open = async |config: &PostgresConfig| PostgresStorage::open(config.clone(), true).await;
    let refused = async |config: &PostgresConfig, named: &str| {
        let error = open(config).await.unwrap_err();
        assert_eq!(error.code(), "access-denied", "{error}");
        assert!(error.to_string().contains(named), "{error}");
    };
    // Before the server can.
    config.ssl_mode = SslMode::Require;
    refused(&config, "does not support TLS").await;
    config.ssl_mode = SslMode::Prefer;
    open(&config).await.unwrap();

    let driver = crate::driver(&config).await;
    driver.batch_execute(&format!("copy (select 1) to program '{CERTIFICATES}'")).await.unwrap();
    driver.batch_execute("alter system set ssl = on").await.unwrap();
    driver.batch_execute("select pg_reload_conf()").await.unwrap();
    let authority: String = driver.query_one("select pg_read_file('ca.crt')", &[]).await.unwrap().get(0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.crt");
    std::fs::write(&path, authority).unwrap();
    // The server reads its settings anew when it comes to it.
    while driver.query_one("show ssl", &[]).await.unwrap().get::<_, &str>(0) != "on" {
        tokio::task::yield_now().await;
    }
    let encrypted = async || {
        let text = "select count(*) from pg_stat_ssl s join pg_stat_activity a using (pid) where s.ssl and \
            a.application_name = 'dataknobs-kv'";
        driver.query_one(text, &[]).await.unwrap().get::<_, i64>(0)
    };
    for mode in [SslMode::Prefer, SslMode::Require, SslMode::VerifyFull] {
        config.ssl_mode = mode;
        if mode == SslMode::VerifyFull {
            // Nobody trusts that authority, and then its certificate is for another name.
            refused(&config, "TLS").await;
            config.ssl_root_cert = Some(path.clone());
            config.host = "127.0.0.1".into();
            refused(&config, "TLS").await;
            config.host = "localhost".into();
        }
        let storage = open(&config).await.unwrap_or_else(|error| panic!("{mode}: {error}"));
        must_write(&storage, put("a", b"1")).await;
        assert!(encrypted().await > 0, "{mode}");
    }
    config.ssl_root_cert = Some(folder.path().join("none.crt"));
    assert_eq!(open(&config).await.unwrap_err().code(), "invalid-argument");
    (config.ssl_mode, config.ssl_root_cert) = (SslMode::Disable, None);
    open(&config).await.unwrap();
    None
}
