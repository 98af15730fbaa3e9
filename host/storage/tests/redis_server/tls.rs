//! The same, encrypted.

use std::process::Command;

use crate::common::*;
use crate::{Bed, code};

pub(crate) async fn encrypted(bed: Bed) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let openssl = |words: &[&str]| Command::new("openssl").args(words).output().is_ok_and(|out| out.status.success());
    let made = openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &path("ca.key")])
        && openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            &path("ca.key"),
            "-days",
            "2",
            "-subj",
            "/CN=test",
            "-out",
            &path("ca.pem"),
        ])
        && openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &path("key.pem")])
        && openssl(&["req", "-new", "-key", &path("key.pem"), "-subj", "/CN=localhost", "-out", &path("request.pem")]);
    std::fs::write(path("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    let made = made
        && openssl(&[
            "x509",
            "-req",
            "-in",
            &path("request.pem"),
            "-CA",
            &path("ca.pem"),
            "-CAkey",
            &path("ca.key"),
            "-days",
            "2",
            "-CAcreateserial",
            "-extfile",
            &path("names"),
            "-out",
            &path("cert.pem"),
        ]);
    if !made {
        println!("without openssl there are no certificates");
        return;
    }
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
