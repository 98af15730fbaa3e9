//! `/metrics`, and what is counted of requests.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use dataknobs_kv_metrics::{CONTENT_TYPE as TEXT, Counter, Families, Histogram, Source};

use crate::app::Shared;
use crate::headers::{NO_STORE, NOSNIFF};
use crate::path::no_parameters;
use crate::problem::Reply;

/// All routes, as they are given to the router; the last stands for requests that reached none.
const ROUTES: [&str; 23] = [
    "/v1/{ns}/entries/{*key}",
    "/v1/{ns}/entries",
    "/v1/{ns}/children",
    "/v1/{ns}/count",
    "/v1/{ns}/metadata/{*key}",
    "/v1/{ns}/increment/{*key}",
    "/v1/{ns}/append/{*key}",
    "/v1/{ns}/compare-and-swap/{*key}",
    "/v1/{ns}/touch/{*key}",
    "/v1/{ns}/persist/{*key}",
    "/v1/{ns}/get-many",
    "/v1/{ns}/set-many",
    "/v1/{ns}/delete-many",
    "/v1/{ns}/transact",
    "/v1/{ns}/cleanup",
    "/v1/{ns}",
    "/v1/namespaces",
    "/v1/capabilities",
    "/v1/cleanup",
    "/healthz",
    "/readyz",
    "/metrics",
    "none",
];
const NO_ROUTE: usize = ROUTES.len() - 1;

const METHOD_COUNT: usize = 7;
static METHODS: [Method; METHOD_COUNT] =
    [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE, Method::PATCH, Method::OPTIONS];

/// Those that the service answers; the last stands for all others.
const STATUSES: [(u16, &str); 24] = [
    (200, "200"),
    (201, "201"),
    (204, "204"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (408, "408"),
    (409, "409"),
    (412, "412"),
    (413, "413"),
    (415, "415"),
    (417, "417"),
    (422, "422"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (501, "501"),
    (503, "503"),
    (504, "504"),
    (0, "other"),
];

/// What was counted: a place for each method, route and status, so that to count is to add to it.
pub(crate) struct HttpMetrics {
    /// By route, method (all others together at the end), and status.
    requests: Box<[[[Counter; STATUSES.len()]; METHOD_COUNT + 1]; ROUTES.len()]>,
    times: [Histogram; ROUTES.len()],
}

impl HttpMetrics {
    pub(crate) fn new() -> Self {
        let requests = std::array::from_fn(|_| std::array::from_fn(|_| std::array::from_fn(|_| Counter::default())));
        HttpMetrics { requests: Box::new(requests), times: std::array::from_fn(|_| Histogram::default()) }
    }

    /// One more request, to this route if to any.
    pub(crate) fn add(&self, method: &Method, route: Option<&str>, status: StatusCode, time: Duration) {
        let route = route.and_then(|route| ROUTES.iter().position(|known| *known == route)).unwrap_or(NO_ROUTE);
        let method = METHODS.iter().position(|known| known == method).unwrap_or(METHOD_COUNT);
        let status = STATUSES.iter().position(|(known, _)| *known == status.as_u16()).unwrap_or(STATUSES.len() - 1);
        let requests = self.requests.get(route).and_then(|route| route.get(method)?.get(status));
        if let (Some(requests), Some(times)) = (requests, self.times.get(route)) {
            requests.add(1);
            times.add(time);
        }
    }
}

impl Source for HttpMetrics {
    fn tell(&self, families: &mut Families<'_>) -> fmt::Result {
        let methods = || METHODS.iter().map(Method::as_str).chain(["other"]);
        let requests = ROUTES.iter().zip(self.requests.iter()).flat_map(|(route, requests)| {
            methods().zip(requests).flat_map(move |(method, requests)| {
                STATUSES.iter().zip(requests).map(move |((_, status), requests)| {
                    ([("method", method), ("route", *route), ("status", *status)], requests.get())
                })
            })
        });
        let requests = requests.filter(|(_, count)| *count > 0);
        families.counters("http_requests", "Requests that were answered", requests)?;
        let times = ROUTES.iter().zip(&self.times).filter(|(_, time)| !time.is_empty());
        families.spans(
            "http_request",
            "How long requests took, from the head to the beginning of the answer",
            times.map(|(route, time)| ([("route", *route)], time)),
        )
    }
}

/// All that is counted in this process.
pub(crate) async fn metrics(State(app): State<Shared>, request: Request) -> Reply {
    no_parameters(&request.into_parts().0)?;
    let mut response = Response::new(Body::from(app.metrics.text()));
    response.headers_mut().extend([(CONTENT_TYPE, HeaderValue::from_static(TEXT)), (CACHE_CONTROL, NO_STORE), NOSNIFF]);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_its_place() {
        let app = include_str!("app.rs");
        let routes: Vec<&str> =
            app.split('"').filter(|text| text.starts_with('/') && *text != "/v1/" && !text.contains(' ')).collect();
        assert!(routes.len() >= 22, "{routes:?}");
        for route in routes {
            assert!(ROUTES.contains(&route), "{route} is counted as none");
        }
    }

    #[test]
    fn unknown_methods_routes_and_statuses_are_counted_too() {
        let (metrics, counted) = (dataknobs_kv_metrics::Metrics::new(), std::sync::Arc::new(HttpMetrics::new()));
        metrics.add(counted.clone());
        let second = Duration::from_secs(1);
        counted.add(&Method::TRACE, None, StatusCode::IM_A_TEAPOT, second);
        counted.add(&Method::GET, Some("/v1/{ns}/entries/{*key}"), StatusCode::OK, second);
        let text = metrics.text();
        for line in [
            "dataknobs_kv_http_requests_total{method=\"other\",route=\"none\",status=\"other\"} 1\n",
            "dataknobs_kv_http_requests_total{method=\"GET\",route=\"/v1/{ns}/entries/{*key}\",status=\"200\"} 1\n",
            "dataknobs_kv_http_request_seconds_count{route=\"none\"} 1\n",
        ] {
            assert!(text.contains(line), "{line}\nin\n{text}");
        }
    }
}
