//! What is told of a server's settings that cost entries.

use dataknobs_kv_storage::{Location, OpenOptions, Severity};

use crate::Bed;

async fn told(bed: &Bed) -> Vec<(Severity, String)> {
    let location = Location::parse(&bed.url("")).unwrap();
    let (_storage, more) = location.open_for_diagnosis(&OpenOptions::default()).await.unwrap();
    more.diagnose().await.into_iter().map(|finding| (finding.severity, finding.what)).collect()
}

pub(crate) async fn of_settings(bed: Bed) {
    let mut raw = bed.raw().await;
    raw.set("appendonly", "yes").await;
    raw.set("appendfsync", "always").await;
    assert_eq!(told(&bed).await, []);
    raw.set("appendfsync", "everysec").await;
    let findings = told(&bed).await;
    assert!(matches!(&findings[..], [(Severity::Warning, what)] if what.contains("may lose its last acknowledged")));
    raw.set("maxmemory", "100mb").await;
    raw.set("maxmemory-policy", "allkeys-lru").await;
    let findings = told(&bed).await;
    assert!(matches!(&findings[..], [(Severity::Warning, what)] if what.contains("allkeys-lru")), "{findings:?}");
}
