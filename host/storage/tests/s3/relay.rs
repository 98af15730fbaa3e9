//! An HTTP relay in front of a store: it notes the requests that pass, and spoils those it is told to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What happens to a request.
#[derive(Clone)]
pub(crate) enum Fault {
    /// It is done, and its answer never comes: the connection ends.
    LoseAnswer,
    /// It is not passed on: this is the answer.
    Answer(u16, &'static str),
    /// It waits until it is let go.
    Hold(Arc<Notify>),
}

struct Rule {
    method: &'static str,
    part: &'static str,
    left: usize,
    fault: Fault,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<String>>,
    rules: Mutex<Vec<Rule>>,
    open: AtomicUsize,
    most: AtomicUsize,
}

/// The relay. It ends with this value.
pub(crate) struct Relay {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Relay {
    /// In front of the server on this port.
    pub(crate) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        let of_task = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = of_task.clone();
                tokio::spawn(async move { pass(client, server, shared).await });
            }
        });
        Relay { port, shared, task }
    }

    /// Spoils the next requests of this method whose address holds this part.
    pub(crate) fn spoil(&self, method: &'static str, part: &'static str, times: usize, fault: Fault) {
        self.shared.rules.lock().unwrap().push(Rule { method, part, left: times, fault });
    }

    pub(crate) fn mend(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// The requests since the last call, as `PUT /bucket/…`.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }

    /// The most requests that were under way at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(client: TcpStream, server: u16, shared: Arc<Shared>) -> Option<()> {
    let mut client = BufReader::new(client);
    let mut upstream: Option<BufReader<TcpStream>> = None;
    loop {
        let mut request = message(&mut client, false).await?;
        let line = String::from_utf8_lossy(request.split(|b| *b == b'\r').next()?).into_owned();
        let line = line.trim_end_matches(" HTTP/1.1").to_owned();
        shared.requests.lock().unwrap().push(line.clone());
        let fault = {
            let mut rules = shared.rules.lock().unwrap();
            let rule = rules.iter_mut().find(|r| r.left > 0 && line.starts_with(r.method) && line.contains(r.part));
            rule.map(|rule| {
                rule.left -= 1;
                rule.fault.clone()
            })
        };
        match &fault {
            Some(Fault::Answer(status, code)) => {
                let body = format!("<Error><Code>{code}</Code><Message>spoilt</Message></Error>");
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
                client.get_mut().write_all((head + &body).as_bytes()).await.ok()?;
                continue;
            }
            Some(Fault::Hold(go)) => go.notified().await,
            _ => {}
        }
        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most.fetch_max(open, Ordering::SeqCst);
        let answer = exchange(&mut upstream, server, &mut request).await;
        shared.open.fetch_sub(1, Ordering::SeqCst);
        let answer = answer?;
        if matches!(fault, Some(Fault::LoseAnswer)) {
            return None;
        }
        client.get_mut().write_all(&answer).await.ok()?;
    }
}

async fn exchange(upstream: &mut Option<BufReader<TcpStream>>, server: u16, request: &mut [u8]) -> Option<Vec<u8>> {
    // Once more where the server has closed an idle connection.
    for _ in 0..2 {
        let mut connection = match upstream.take() {
            Some(connection) => connection,
            None => BufReader::new(TcpStream::connect(("127.0.0.1", server)).await.ok()?),
        };
        if connection.get_mut().write_all(request).await.is_ok()
            && let Some(answer) = message(&mut connection, true).await
        {
            let head = String::from_utf8_lossy(&answer[..answer.len().min(2000)]).to_lowercase();
            if !head.contains("connection: close") {
                *upstream = Some(connection);
            }
            return Some(answer);
        }
    }
    None
}

/// One request or answer, whole.
async fn message(from: &mut BufReader<TcpStream>, answer: bool) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while !all.ends_with(b"\r\n\r\n") {
        all.push(from.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&all).to_lowercase();
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(|v| v.trim().to_owned());
    if let Some(length) = value("content-length:") {
        let at = all.len();
        all.resize(at + length.parse::<usize>().ok()?, 0);
        from.read_exact(&mut all[at..]).await.ok()?;
    } else if value("transfer-encoding:").is_some() {
        while !all.ends_with(b"\r\n0\r\n\r\n") {
            all.push(from.read_u8().await.ok()?);
        }
    } else if answer && !head.starts_with("http/1.1 204") && !head.starts_with("http/1.1 304") {
        from.read_to_end(&mut all).await.ok()?;
    }
    Some(all)
}
