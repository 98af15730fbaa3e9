//! What the log says, and what it keeps to itself.
mod common;

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use common::start_with;
use dataknobs_kv_service::Token;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the events up to a level as text.
struct Kept {
    most: Level,
    lines: Arc<Mutex<String>>,
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.most && metadata.target().starts_with("dataknobs_kv")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut lines = self.lines.lock().unwrap();
        let _ = write!(lines, "{}", event.metadata().level());
        event.record(&mut Line(&mut lines));
        lines.push('\n');
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The log of some requests, on this thread alone.
fn log_of_requests(most: Level) -> String {
    let lines = Arc::new(Mutex::new(String::new()));
    let kept = Kept { most, lines: lines.clone() };
    tracing::subscriber::with_default(kept, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = start_with(|config| config.tokens = vec![Token::new("secret-token").unwrap()]).await;
            let token = ("authorization", "Bearer secret-token");
            let headers = [token, ("kv-metadata", r#"{"a":"secret-metadata"}"#), ("kv-type", "text")];
            server.send("PUT", "/v1/space/entries/the-key", &headers, "secret-value").await;
            server.send("GET", "/v1/space/entries/the-key", &[token], "").await;
            server.send("GET", "/v1/space/entries/broken-key", &[token], "").await;
            server.send("GET", "/v1/space/entries/the-key", &[("authorization", "Bearer secret-other")], "").await;
        });
    });
    lines.lock().unwrap().clone()
}

// One test: whether an event is worth building is remembered by the whole process.
#[test]
fn what_the_log_says() {
    let log = log_of_requests(Level::DEBUG);
    assert_eq!(log.lines().filter(|line| line.starts_with("DEBUG")).count(), 4, "{log}");
    for part in [
        "method=PUT",
        "route=\"/v1/{ns}/entries/{*key}\"",
        "namespace=\"space\"",
        "status=204",
        "duration_us=",
        "the-key",
        "status=401",
    ] {
        assert!(log.contains(part), "{part} in {log}");
    }
    assert!(!log.contains("secret"), "{log}");

    let log = log_of_requests(Level::INFO);
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.starts_with("WARN") && log.contains("status=500") && log.contains("space"), "{log}");
    assert!(!log.contains("-key") && !log.contains("secret"), "{log}");
}
