//! What is told of a server's settings that cost entries.

use std::sync::Arc;

use dataknobs_kv_storage::{Location, OpenOptions, PostgresConfig, Severity};

use super::Place;

crate::tests! { what_is_told_of_settings, what_is_told_of_the_table }

/// The warnings, and other findings, of a store opened so.
async fn told(config: PostgresConfig) -> Vec<(Severity, String)> {
    let options = OpenOptions::default();
    let (_storage, more) = Location::Postgres(Box::new(config)).open_for_diagnosis(&options).await.unwrap();
    more.diagnose().await.into_iter().map(|finding| (finding.severity, finding.what)).collect()
}

async fn what_is_told_of_settings(place: Arc<Place>) {
    let name = format!("careless_{}", place.table());
    place
        .sql(&format!(
            "create role {name} login superuser password 'pw'; alter role {name} set synchronous_commit = off"
        ))
        .await;
    let before = told(place.config()).await;
    let mut config = place.config();
    (config.user, config.password) = (Some(name.clone()), Some("pw".into()));
    let findings = told(config).await;
    place.sql(&format!("drop role {name}")).await;
    assert!(!before.iter().any(|(_, what)| what.contains("synchronous_commit")), "{before:?}");
    assert!(
        findings
            .iter()
            .any(|(severity, what)| *severity == Severity::Warning && what.contains("synchronous_commit is off")),
        "{findings:?}"
    );
}

async fn what_is_told_of_the_table(place: Arc<Place>) {
    place.open().await;
    let logged = told(place.config()).await;
    place.sql(&format!("alter table \"{}\" set unlogged", place.table())).await;
    let findings = told(place.config()).await;
    assert!(!logged.iter().any(|(_, what)| what.contains("unlogged")), "{logged:?}");
    assert!(
        findings.iter().any(|(severity, what)| *severity == Severity::Warning && what.contains("unlogged")),
        "{findings:?}"
    );
}
