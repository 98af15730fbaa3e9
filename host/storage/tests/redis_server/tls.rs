//! The same, encrypted.

use crate::common::tls::Certificates;
use crate::common::*;
use crate::{Bed, code};

pub(crate) async fn encrypted(bed: Bed) {
    let Some(certificates) = Certificates::make() else {
        println!("without openssl there are no certificates");
        return;
    };
    let path = |name: &str| certificates.path(name).to_str().unwrap().to_owned();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut raw = bed.raw().await;
    let (port_text, certificate, key, ca) = (port.to_string(), path("cert.pem"), path("key.pem"), path("ca.pem"));
    let settings = [
        "CONFIG",
        "SET",
        "tls-cert-file",
        &certificate,
        "tls-key-file",
        &key,
        "tls-ca-cert-file",
        &ca,
        "tls-auth-clients",
        "no",
        "tls-port",
        &port_text,
    ];
    if raw.try_run(&settings).await.is_err() {
        println!("this server was built without TLS");
        return;
    }
    let open = async |url: String| dataknobs_kv_storage::open(&url, &Default::default()).await;
    let storage = open(format!("rediss://localhost:{port}?tls_ca={ca}")).await.unwrap();
    must_write(&*storage, put("a", &vec![7; 1 << 20])).await;
    assert_eq!(value(&*storage, "a").await.unwrap().len(), 1 << 20);
    // Whom the system does not trust, a name that is not the certificate's, and no TLS at all.
    for url in [
        format!("rediss://localhost:{port}"),
        format!("rediss://127.0.0.2:{port}?tls_ca={ca}&connect_timeout=2"),
        format!("redis://localhost:{port}?connect_timeout=2"),
    ] {
        assert_eq!(code(open(url.clone()).await.map(drop)), "unavailable", "{url}");
    }
    raw.set("tls-auth-clients", "yes").await;
    assert_eq!(code(open(format!("rediss://localhost:{port}?tls_ca={ca}")).await.map(drop)), "unavailable");
    let identity = format!("tls_ca={ca}&tls_cert={certificate}&tls_key={key}");
    let storage = open(format!("rediss://localhost:{port}?{identity}")).await.unwrap();
    assert!(get(&*storage, "a", 1).await.is_some());
    let missing = open(format!("rediss://localhost:{port}?tls_ca={ca}.missing")).await.map(drop);
    assert_eq!(code(missing), "invalid-argument");
}
