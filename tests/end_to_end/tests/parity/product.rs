//! The service as a process, with a clock that the test moves.

use std::process::Stdio;
use std::time::Duration;

use dataknobs_kv_end_to_end::binary;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// When all clocks here begin.
pub(crate) const START: u64 = 1_800_000_000_000;

/// A running service over memory; it ends with the value.
pub(crate) struct Service {
    _process: Child,
    address: String,
    client: reqwest::Client,
    pub(crate) clock: Clock,
}

/// A file that the service takes its time from.
pub(crate) struct Clock {
    folder: tempfile::TempDir,
    now: std::cell::Cell<u64>,
}

impl Clock {
    pub(crate) fn advance(&self, milliseconds: u64) {
        self.now.set(self.now.get() + milliseconds);
        std::fs::write(self.folder.path().join("clock"), self.now.get().to_string()).expect("the clock");
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    /// Null where there is no body.
    pub(crate) fn json(&self) -> Value {
        if self.body.is_empty() { Value::Null } else { serde_json::from_slice(&self.body).expect("JSON") }
    }

    /// Empty where it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

impl Service {
    pub(crate) async fn start() -> Self {
        let clock = Clock { folder: tempfile::tempdir().expect("a folder"), now: START.into() };
        clock.advance(0);
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--store", "memory:", "--clock-file"]);
        command.arg(clock.folder.path().join("clock")).env_remove("DATAKNOBS_KV_TOKEN");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().expect("the service starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(process.stdout.take().expect("its output"));
        let read = tokio::time::timeout(Duration::from_secs(60), stdout.read_line(&mut line));
        read.await.expect("it says where it listens").expect("a line");
        let address = line.trim().rsplit(' ').next().expect("an address").to_owned();
        let _ = rustls::crypto::ring::default_provider().install_default();
        Service { _process: process, address, client: reqwest::Client::new(), clock }
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.address)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.expect("a body").to_vec() }
    }
}
