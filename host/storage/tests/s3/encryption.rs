//! TLS, with an authority of one's own.

use dataknobs_kv_storage::S3Storage;

use crate::Place;
use crate::common::tls::Certificates;
use crate::common::{must_write, put, value};

pub(crate) async fn by_an_authority_of_ones_own(place: Place) {
    let Some(certificates) = Certificates::make() else {
        println!("without openssl there are no certificates");
        return;
    };
    let port = certificates.in_front_of(place.port()).await;
    let mut config = place.config.clone();
    config.endpoint = Some(format!("https://localhost:{port}"));
    let untrusted = S3Storage::open(config.clone(), true).await.unwrap_err();
    assert_eq!(untrusted.code(), "unavailable", "{untrusted}");
    config.tls_ca = Some(certificates.path("ca.pem"));
    let store = S3Storage::open(config.clone(), true).await.unwrap();
    must_write(&store, put("a", &vec![7; 1 << 20])).await;
    assert_eq!(value(&store, "a").await.unwrap().len(), 1 << 20);
    // The certificate is not for this name, and no TLS is spoken in the clear.
    config.endpoint = Some(format!("https://127.0.0.2:{port}"));
    assert_eq!(S3Storage::open(config.clone(), true).await.unwrap_err().code(), "unavailable");
    config.endpoint = Some(format!("http://localhost:{port}"));
    assert_eq!(S3Storage::open(config, true).await.unwrap_err().code(), "unavailable");
}
