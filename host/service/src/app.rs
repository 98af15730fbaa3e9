//! The routes, and what holds for every request.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use dataknobs_kv_core::wire::header;
use dataknobs_kv_core::{Clock, Error, Result, Store};
use dataknobs_kv_metrics::Metrics;
use futures::FutureExt;
use tower_http::cors::CorsLayer;

use crate::limits::Gate;
use crate::metrics::{self, HttpMetrics};
use crate::problem::{Failure, no_method, no_route};
use crate::{Limits, Page, ServiceConfig, Token, atomic, batch, entries, health, listing, metadata, namespaces, page};

/// What all handlers share.
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Limits,
    pub(crate) tokens: Vec<Token>,
    pub(crate) allow_origins: Vec<String>,
    pub(crate) allow_hosts: Vec<String>,
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
    pub(crate) page: Page,
    /// What is counted of requests.
    pub(crate) counted: Arc<HttpMetrics>,
    /// Whether the service is stopping: long walks end between two steps.
    pub(crate) stopping: AtomicBool,
}

/// As handlers get it.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(store: Arc<dyn Store>, config: &ServiceConfig) -> Shared {
        let counted = Arc::new(HttpMetrics::new());
        config.metrics.watch(&counted);
        Arc::new(App {
            store,
            clock: config.clock.clone(),
            limits: config.limits.clone(),
            tokens: config.tokens.clone(),
            allow_origins: config.allow_origins.clone(),
            allow_hosts: config.allow_hosts.clone(),
            gate: Gate::new(&config.limits),
            metrics: config.metrics.clone(),
            page: config.page.clone(),
            counted,
            stopping: AtomicBool::new(false),
        })
    }

    /// That a walk may take its next step.
    pub(crate) fn going_on(&self) -> Result<()> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err(Error::Unavailable("the service is stopping".into()));
        }
        Ok(())
    }
}

/// All routes over this store, with authentication and limits; for a server of one's own. [`crate::Service`] adds what
/// only sockets can keep: limits for connections, half-sent heads and slow readers.
///
/// `invalid-argument` where an origin of the configuration is none.
pub fn router(store: Arc<dyn Store>, config: &ServiceConfig) -> Result<Router> {
    routes(App::new(store, config))
}

pub(crate) fn routes(app: Shared) -> Result<Router> {
    let cors = cors(&app.allow_origins)?;
    let mut router = Router::new()
        .route(
            "/v1/{ns}/entries/{*key}",
            get(entries::get).head(entries::head).put(entries::put).delete(entries::delete),
        )
        .route("/v1/{ns}/entries", get(listing::list).delete(listing::delete))
        .route("/v1/{ns}/children", get(listing::children))
        .route("/v1/{ns}/count", get(listing::count))
        .route("/v1/{ns}/metadata/{*key}", get(metadata::get).put(metadata::put).patch(metadata::patch))
        .route("/v1/{ns}/increment/{*key}", post(atomic::increment))
        .route("/v1/{ns}/append/{*key}", post(atomic::append))
        .route("/v1/{ns}/compare-and-swap/{*key}", post(atomic::compare_and_swap))
        .route("/v1/{ns}/touch/{*key}", post(atomic::touch))
        .route("/v1/{ns}/persist/{*key}", post(atomic::persist))
        .route("/v1/{ns}/get-many", post(batch::get_many))
        .route("/v1/{ns}/set-many", post(batch::set_many))
        .route("/v1/{ns}/delete-many", post(batch::delete_many))
        .route("/v1/{ns}/transact", post(batch::transact))
        .route("/v1/{ns}/cleanup", post(namespaces::cleanup))
        .route("/v1/{ns}", delete(namespaces::clear))
        // Namespaces of these names are emptied like all others.
        .route("/v1/namespaces", get(namespaces::list).delete(namespaces::clear))
        .route("/v1/capabilities", get(health::capabilities).delete(namespaces::clear))
        .route("/v1/cleanup", post(namespaces::cleanup_all).delete(namespaces::clear))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::metrics));
    for path in app.page.paths() {
        router = router.route(path, get(page::file));
    }
    let router = router
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .with_state(app);
    Ok(match cors {
        Some(cors) => router.layer(cors),
        None => router,
    })
}

/// Who is let in, what is written to the log, and what a defect looks like from outside.
async fn guard(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    // To log every request costs more than many requests do: only where it was asked for.
    let path = tracing::enabled!(tracing::Level::DEBUG).then(|| request.uri().path().to_owned());
    let namespace = namespace(request.uri().path()).to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = match app.admit(request.uri(), request.headers()) {
        Ok(()) => match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            Err(_) => {
                Failure::from(Error::Internal("a defect of the service; its log says more".into())).into_response()
            }
        },
        Err(failure) => failure.into_response(),
    };
    app.counted.add(&method, route.as_ref().map(MatchedPath::as_str), response.status(), begun.elapsed());
    log(&method, route.as_ref(), &namespace, path.as_deref(), response.status(), begun);
    response
}

/// As it stands in the path.
fn namespace(path: &str) -> &str {
    path.strip_prefix("/v1/").and_then(|rest| rest.split('/').next()).unwrap_or_default()
}

/// Never values or tokens; keys, which the path holds, at debug level only.
fn log(
    method: &Method,
    route: Option<&MatchedPath>,
    namespace: &str,
    path: Option<&str>,
    status: StatusCode,
    begun: Instant,
) {
    let status = status.as_u16();
    if status < 500 && path.is_none() {
        return;
    }
    let route = route.map_or("", MatchedPath::as_str);
    let duration_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    if status >= 500 {
        tracing::warn!(%method, route, namespace, status, duration_us, "request");
    }
    if let Some(path) = path {
        tracing::debug!(%method, route, namespace, path, status, duration_us, "request");
    }
}

/// What browsers are told of pages from elsewhere.
fn cors(origins: &[String]) -> Result<Option<CorsLayer>> {
    if origins.is_empty() {
        return Ok(None);
    }
    let origins = origins
        .iter()
        .map(|origin| {
            let whole = origin.split_once("://").is_some_and(|(_, host)| !host.is_empty() && !host.contains('/'));
            HeaderValue::from_str(origin).ok().filter(|_| whole).ok_or_else(|| {
                Error::InvalidArgument(format!(
                    "origin {origin:?}: an origin is like https://example.org, without a path"
                ))
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let kv = [
        header::VALUE_TYPE,
        header::CONTENT_TYPE,
        header::METADATA,
        header::METADATA_OMITTED,
        header::TTL_MS,
        header::EXPIRES_AT,
        header::SLIDING_MS,
        header::EXPIRY,
        header::ON_CONFLICT,
        header::CREATED_AT,
        header::UPDATED_AT,
        header::CHECKSUM,
        header::NAMESPACE,
        header::ERROR,
    ];
    let plain = ["etag", "last-modified", "retry-after", "if-match", "if-none-match", "accept"];
    let names: Vec<HeaderName> = kv.into_iter().chain(plain).map(HeaderName::from_static).collect();
    Ok(Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::POST, Method::DELETE])
            .allow_headers(names.iter().cloned().chain([AUTHORIZATION, CONTENT_TYPE]).collect::<Vec<_>>())
            .expose_headers(names)
            .max_age(std::time::Duration::from_secs(600)),
    ))
}
