//! A proxy between the store and the server that counts round trips, and loses what it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use dataknobs_kv_storage::{PostgresConfig, SslMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What becomes of the next requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fault {
    /// Nothing happens to them.
    None = 0,
    /// The connection is cut before the next request gets through. Then all is well again.
    CutRequest = 1,
    /// The next request gets through, and the connection is cut before its answer. Then all is well again.
    CutAnswer = 2,
    /// Requests get through, and answers do not come, until it is set otherwise.
    Stall = 3,
    /// New connections are taken, and nothing comes.
    Silent = 4,
}

#[derive(Default)]
struct Shared {
    rounds: AtomicU64,
    fault: AtomicU8,
    changed: Notify,
}

pub(crate) struct Proxy {
    shared: Arc<Shared>,
    pub(crate) config: PostgresConfig,
}

impl Proxy {
    /// In front of the server of this store.
    pub(crate) async fn start(config: &PostgresConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = (config.host.clone(), config.port);
        let mut config = config.clone();
        (config.host, config.port) = ("127.0.0.1".into(), listener.local_addr().unwrap().port());
        // So that it can be read.
        config.ssl_mode = SslMode::Disable;
        let shared = Arc::new(Shared::default());
        let all = shared.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (shared, server) = (all.clone(), server.clone());
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect((server.0.as_str(), server.1)).await else { return };
                    client.set_nodelay(true).unwrap();
                    server.set_nodelay(true).unwrap();
                    serve(client, server, shared).await;
                });
            }
        });
        Proxy { shared, config }
    }

    /// How many requests there were: messages after which a client waits.
    pub(crate) fn rounds(&self) -> u64 {
        self.shared.rounds.load(Ordering::SeqCst)
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.shared.fault.store(fault as u8, Ordering::SeqCst);
        self.shared.changed.notify_waiters();
    }

    /// Whether the fault has come.
    pub(crate) fn clear(&self) -> bool {
        self.shared.is(Fault::None)
    }
}

impl Shared {
    fn is(&self, fault: Fault) -> bool {
        self.fault.load(Ordering::SeqCst) == fault as u8
    }

    /// Takes the fault, if it is this one.
    fn take(&self, fault: Fault) -> bool {
        self.fault.compare_exchange(fault as u8, Fault::None as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// Until either side ends, or a fault ends it.
async fn serve(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Once set, no byte of an answer gets through.
    let cut = Arc::new(Notify::new());
    tokio::select! {
        () = requests(from_client, to_server, &shared, &cut) => {}
        () = answers(from_server, to_client, &shared, &cut) => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, cut: &Notify) {
    // The first message of a connection has no kind.
    let mut first = true;
    let mut pending = Vec::new();
    loop {
        let mut head = [0; 5];
        let head = if first { &mut head[1..] } else { &mut head[..] };
        if from.read_exact(head).await.is_err() {
            return;
        }
        let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap()) as usize;
        let mut body = vec![0; length - 4];
        if from.read_exact(&mut body).await.is_err() {
            return;
        }
        // Sync, or a simple query.
        let request = !first && matches!(head[0], b'S' | b'Q');
        pending.extend_from_slice(head);
        pending.extend_from_slice(&body);
        if first && shared.is(Fault::Silent) {
            std::future::pending::<()>().await;
        }
        first = false;
        if request {
            shared.rounds.fetch_add(1, Ordering::SeqCst);
            if shared.take(Fault::CutRequest) {
                return;
            }
            if shared.take(Fault::CutAnswer) {
                cut.notify_one();
            }
        }
        if to.write_all(&pending).await.is_err() {
            return;
        }
        pending.clear();
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, cut: &Notify) {
    let mut buffer = vec![0; 64 << 10];
    let mut lost = false;
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            () = cut.notified(), if !lost => {
                lost = true;
                continue;
            }
        };
        match read {
            Ok(0) | Err(_) => return,
            // The answer has been made, so what was asked for is done. It goes no further.
            Ok(_) if lost => return,
            Ok(length) => {
                loop {
                    let changed = shared.changed.notified();
                    if !shared.is(Fault::Stall) {
                        break;
                    }
                    changed.await;
                }
                if to.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
