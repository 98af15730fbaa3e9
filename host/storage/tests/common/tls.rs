//! Certificates, and TLS in front of a server that has none.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// An authority, and a certificate by it for `localhost` and 127.0.0.1.
pub struct Certificates(TempDir);

impl Certificates {
    /// None without `openssl`.
    pub fn make() -> Option<Self> {
        const SCRIPT: &str = "set -e; \
            openssl ecparam -name prime256v1 -genkey -noout -out ca.key; \
            openssl req -x509 -new -key ca.key -days 2 -subj /CN=authority -out ca.pem; \
            openssl ecparam -name prime256v1 -genkey -noout -out sec1.pem; \
            openssl pkcs8 -topk8 -nocrypt -in sec1.pem -out key.pem; \
            openssl req -new -key key.pem -subj /CN=localhost -out request.pem; \
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > names; \
            openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem";
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("sh").args(["-c", SCRIPT]).current_dir(folder.path()).output().unwrap();
        output.status.success().then_some(Certificates(folder))
    }

    /// `ca.pem`, `cert.pem`, `key.pem`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The port of an encrypted way to the server on this one; it stays until the runtime ends.
    pub async fn in_front_of(&self, server: u16) -> u16 {
        let certificates = CertificateDer::pem_file_iter(self.path("cert.pem")).unwrap().map(|one| one.unwrap());
        let key = PrivateKeyDer::from_pem_file(self.path("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(certificates.collect(), key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        port
    }
}
