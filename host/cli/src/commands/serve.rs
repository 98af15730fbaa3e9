//! `serve`

use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dataknobs_kv::{DEFAULT_CLEANUP_INTERVAL, Error, KvStore, Metrics, SystemClock};
use dataknobs_kv_service::{DEFAULT_LISTEN, Limits, Page, Service, ServiceConfig, Token};

use crate::args::Global;
use crate::exit::{self, Failure, Outcome};
use crate::open::{self, TOKEN_VARIABLE, Target};
use crate::{logging, time};

#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen; port 0 picks a free one. Anywhere but on loopback a token is needed
    #[arg(long, short, value_name = "HOST:PORT", default_value = DEFAULT_LISTEN, env = "DATAKNOBS_KV_LISTEN")]
    listen: String,
    /// Leaves expired entries until `cleanup` is called
    #[arg(long, conflicts_with = "cleanup_interval")]
    no_auto_cleanup: bool,
    /// How often expired entries are removed [default: 60s]
    #[arg(long, value_name = "SPAN", value_parser = time::parse_ttl)]
    cleanup_interval: Option<Duration>,
    /// The form of the log, which goes to stderr; DATAKNOBS_KV_LOG says how much (for example debug)
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// A web page's origin that may use the service, for example `https://example.org`; may come several times
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Without a token: another name than localhost by which requests may come; may come several times
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// The largest request body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = Limits::default().body_bytes)]
    max_body: u64,
    /// How long a request may take [default: 30s]
    #[arg(long, value_name = "SPAN", value_parser = time::parse_ttl)]
    request_time: Option<Duration>,
    /// How many calls of the store may run at one time
    #[arg(long, value_name = "N", default_value_t = Limits::default().concurrency)]
    max_concurrency: usize,
    /// How many connections may be open at one time
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections)]
    max_connections: usize,
    /// How long requests under way may take to end when the service is told to stop [default: 30s]
    #[arg(long, value_name = "SPAN", value_parser = time::parse_span)]
    grace: Option<Duration>,
    /// Only the API: no page at /
    #[cfg(feature = "explorer")]
    #[arg(long)]
    no_explorer: bool,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

impl Serve {
    pub(crate) async fn run(self, global: &Global) -> Outcome {
        logging::start("info", self.log_format)?;
        let Target::Local(mut config) = open::target(global).await? else {
            return Err(Failure::usage("a service cannot serve another service's store"));
        };
        // Before the store is opened, so that a signal in between is not lost.
        let stop = stop_signal()?;
        let service_config = self.service_config(global)?;
        if self.no_auto_cleanup {
            *config = config.without_auto_cleanup();
        } else {
            let interval = self.cleanup_interval.or(config.cleanup()).unwrap_or(DEFAULT_CLEANUP_INTERVAL);
            *config = config.auto_cleanup(interval)?;
        }
        *config = config.metrics(service_config.metrics.clone());
        let store = KvStore::open_with(*config).await?;
        let service = Service::bind(Arc::clone(store.store()), service_config).await?;
        announce(&service);
        let served = service.run(stop).await;
        store.close().await;
        served?;
        Ok(exit::OK)
    }

    fn service_config(&self, global: &Global) -> Result<ServiceConfig, Failure> {
        let tokens = match (&global.token_file, std::env::var(TOKEN_VARIABLE)) {
            (Some(path), _) => Token::read_file(path)?,
            (None, Ok(token)) => vec![Token::new(token.trim())?],
            (None, Err(std::env::VarError::NotPresent)) => Vec::new(),
            (None, Err(_)) => return Err(Failure::usage(format!("{TOKEN_VARIABLE} is not UTF-8"))),
        };
        let defaults = Limits::default();
        let limits = Limits {
            body_bytes: self.max_body,
            request_time: self.request_time.unwrap_or(defaults.request_time),
            concurrency: self.max_concurrency,
            connections: self.max_connections,
            grace: self.grace.unwrap_or(defaults.grace),
            ..defaults
        };
        Ok(ServiceConfig {
            listen: self.listen.clone(),
            tokens,
            allow_origins: self.allow_origin.clone(),
            allow_hosts: self.allow_host.clone(),
            limits,
            clock: open::clock(global)?.unwrap_or_else(|| Arc::new(SystemClock)),
            metrics: Metrics::new(),
            page: self.page()?,
        })
    }
}

#[cfg(feature = "explorer")]
impl Serve {
    fn page(&self) -> Result<Page, Failure> {
        if self.no_explorer { Ok(Page::default()) } else { Ok(Page::new(crate::explorer::FILES)?) }
    }
}

#[cfg(not(feature = "explorer"))]
impl Serve {
    fn page(&self) -> Result<Page, Failure> {
        Ok(Page::default())
    }
}

/// The one line on stdout: whoever started us may read the port from it.
fn announce(service: &Service) {
    let mut out = std::io::stdout().lock();
    // A closed stdout is no reason not to serve.
    let _ = writeln!(out, "listening on http://{}", service.address()).and_then(|()| out.flush());
}

/// Ends at SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error| Error::Internal(format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
