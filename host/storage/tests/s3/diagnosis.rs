//! What is told of a bucket's settings by which entries vanish, or old ones pile up.

use dataknobs_kv_storage::{Location, OpenOptions, S3Config, Severity};

use crate::Place;

async fn told(config: &S3Config) -> Vec<(Severity, String)> {
    let (_storage, more) = Location::S3(config.clone()).open_for_diagnosis(&OpenOptions::default()).await.unwrap();
    more.diagnose().await.into_iter().map(|finding| (finding.severity, finding.what)).collect()
}

pub(crate) async fn of_settings(place: Place) {
    let graves = "the store is not known to delete on a condition";
    let findings = told(&place.config).await;
    let notes: Vec<_> = findings.iter().filter(|(severity, _)| *severity > Severity::Note).collect();
    assert!(notes.is_empty(), "{findings:?}");
    assert_eq!(
        findings.iter().any(|(_, what)| what.starts_with(graves)),
        place.service != "s3-seaweedfs",
        "{findings:?}"
    );
    let mut never = place.config.clone();
    never.conditional_delete = dataknobs_kv_storage::ConditionalDelete::Never;
    assert!(told(&never).await.iter().any(|(_, what)| what.starts_with(graves)));
}

/// Bucket settings need no signature on moto, and a bucket is made by naming it.
pub(crate) async fn of_buckets_that_forget(place: Place) {
    if place.service != "s3-moto" {
        return;
    }
    let mut config = place.config.clone();
    config.bucket = format!("forgets-{:016x}", rand::random::<u64>());
    let address = format!("http://127.0.0.1:{}/{}", place.port(), config.bucket);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = async |query: &str, body: String| {
        client.put(format!("{address}{query}")).body(body).send().await.unwrap().error_for_status().unwrap();
    };
    let rule = |prefix: &str| {
        format!(
            "<LifecycleConfiguration><Rule><ID>tidy</ID><Filter><Prefix>{prefix}</Prefix></Filter><Status>Enabled</Status>\
             <Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>"
        )
    };
    put("", String::new()).await;
    let warnings = async || -> Vec<String> {
        let findings = told(&config).await;
        findings.into_iter().filter(|(severity, _)| *severity == Severity::Warning).map(|(_, what)| what).collect()
    };
    put("?lifecycle", rule("elsewhere/")).await;
    assert_eq!(warnings().await, [""; 0]);
    put("?lifecycle", rule(&config.prefix)).await;
    put("?versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>".into()).await;
    let warnings = warnings().await;
    assert!(warnings.len() == 2 && warnings[0].contains("keeps old versions"), "{warnings:?}");
    assert!(warnings[1].contains("lifecycle rule `tidy` deletes"), "{warnings:?}");
}
