//! Sockets: where the service listens, how many it serves, how it stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use dataknobs_kv_core::{Error, Result, Store};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::app::{App, Shared, routes};
use crate::connection::{Guarded, speaks_http2};
use crate::{Limits, ServiceConfig};

/// What connections are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serve,
    /// No new requests; those under way end.
    Drain,
    /// Time is up.
    Cut,
}

/// A service that listens and does not answer yet.
pub struct Service {
    listener: TcpListener,
    address: SocketAddr,
    app: Shared,
    router: Router,
}

impl Service {
    /// Listens. `invalid-argument` where the address is none, or is not of loopback while there is no token;
    /// `unavailable` where it is taken.
    pub async fn bind(store: Arc<dyn Store>, config: ServiceConfig) -> Result<Self> {
        let listen = &config.listen;
        let addresses: Vec<SocketAddr> = lookup_host(listen)
            .await
            .map_err(|error| Error::InvalidArgument(format!("listen {listen:?}: HOST:PORT is expected: {error}")))?
            .collect();
        if config.tokens.is_empty() && !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(Error::InvalidArgument(format!(
                "listen {listen:?}: others than this machine could reach it, so a token is needed"
            )));
        }
        let listener = TcpListener::bind(addresses.as_slice())
            .await
            .map_err(|error| Error::Unavailable(format!("listen {listen:?}: {error}")))?;
        let address =
            listener.local_addr().map_err(|error| Error::Unavailable(format!("listen {listen:?}: {error}")))?;
        let app = App::new(store, &config);
        let router = routes(app.clone())?;
        Ok(Service { listener, address, app, router })
    }

    /// Where it listens: the real port, also where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is there; then takes no more requests, lets those under way end for as long as the
    /// configured grace, and cuts off the rest.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let limits = self.app.limits.clone();
        let most = limits.connections.clamp(1, u32::MAX as usize >> 3);
        let connections = Arc::new(Semaphore::new(most));
        let (phase, told) = watch::channel(Phase::Serve);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let next = async {
                // The semaphore is never closed.
                let permit = connections.clone().acquire_owned().await.ok();
                (permit, self.listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                next = next => next,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (router, limits, told) = (self.router.clone(), limits.clone(), told.clone());
                    tokio::spawn(async move {
                        connection(stream, router, &limits, told).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept");
                    if !of_one_connection(&error) {
                        // Out of descriptors or memory: others must end first.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
        drop(self.listener);
        self.app.stopping.store(true, Ordering::Relaxed);
        phase.send_replace(Phase::Drain);
        let all = u32::try_from(most).unwrap_or(u32::MAX);
        if timeout(limits.grace, connections.acquire_many(all)).await.is_err() {
            tracing::warn!(grace_ms = limits.grace.as_millis() as u64, "requests that did not end in time are cut off");
            phase.send_replace(Phase::Cut);
            // Connections drop what they hold when they are polled next.
            let _ = timeout(Duration::from_secs(1), connections.acquire_many(all)).await;
        }
        Ok(())
    }
}

/// Whether accepting failed for a reason of that peer's alone.
fn of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn connection(stream: TcpStream, router: Router, limits: &Limits, mut told: watch::Receiver<Phase>) {
    // An answer is written at once, not when more of it has gathered.
    let _ = stream.set_nodelay(true);
    let http2 = tokio::select! {
        biased;
        found = timeout(limits.header_time, speaks_http2(&stream)) => match found {
            Ok(Ok(http2)) => http2,
            _ => return,
        },
        _ = told.wait_for(|phase| *phase != Phase::Serve) => return,
    };
    let io = TokioIo::new(Guarded::new(stream, limits.stall_time));
    let service = TowerToHyperService::new(router);
    // Errors of a connection are the peer's affair: a reset, a timeout, no HTTP.
    macro_rules! drive {
        ($connection:expr) => {{
            let mut connection = std::pin::pin!($connection);
            let mut draining = false;
            loop {
                tokio::select! {
                    biased;
                    phase = told.wait_for(|phase| *phase == Phase::Cut || (*phase == Phase::Drain && !draining)) => {
                        if phase.map_or(true, |phase| *phase == Phase::Cut) {
                            return;
                        }
                        draining = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    _ = connection.as_mut() => return,
                }
            }
        }};
    }
    if http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(256)
            .max_header_list_size(64 << 10)
            .keep_alive_interval(limits.header_time)
            .keep_alive_timeout(limits.header_time);
        drive!(builder.serve_connection(io, service))
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(limits.header_time);
        drive!(builder.serve_connection(io, service))
    }
}

/// [`Service::bind`] and [`Service::run`]; `ready` is told where it listens.
pub async fn serve(
    store: Arc<dyn Store>,
    config: ServiceConfig,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let service = Service::bind(store, config).await?;
    ready(service.address());
    service.run(shutdown).await
}
