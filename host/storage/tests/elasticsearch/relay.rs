//! Stands between a store and a real server: counts requests, and does what networks and gateways do to them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What befalls a request that writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The server gets it, and its answer is lost with the connection.
    AnswerLost,
    /// The connection breaks before the server gets it.
    RequestLost,
    /// As `AnswerLost`, and from then on every connection breaks.
    Gone,
}

#[derive(Default)]
struct State {
    seen: Vec<String>,
    faults: VecDeque<Fault>,
    gone: bool,
    /// Bodies above so many bytes are refused.
    most: Option<usize>,
    /// Requests without this header are refused.
    authorization: Option<String>,
}

pub(crate) struct Relay {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Relay {
    pub(crate) async fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.lock().unwrap().gone {
                    continue;
                }
                let state = shared.clone();
                tokio::spawn(async move { _ = serve(client, server_port, &state).await });
            }
        });
        Relay { port, state }
    }

    pub(crate) fn url(&self, index: &str) -> String {
        format!("elasticsearch://127.0.0.1:{}/{index}", self.port)
    }

    /// Method and operation of the requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }

    /// These befall the next requests that write, and nothing that was left over of those before.
    pub(crate) fn then(&self, faults: &[Fault]) {
        self.state.lock().unwrap().faults = faults.to_vec().into();
    }

    pub(crate) fn refuse_bodies_above(&self, bytes: usize) {
        self.state.lock().unwrap().most = Some(bytes);
    }

    pub(crate) fn demand(&self, authorization: &str) {
        self.state.lock().unwrap().authorization = Some(authorization.to_ascii_lowercase());
    }
}

/// One message's head and body.
async fn message(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    Ok((head, body))
}

async fn serve(mut client: TcpStream, server_port: u16, state: &Mutex<State>) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", server_port)).await?;
    loop {
        let (head, body) = message(&mut client).await?;
        let mut words = head.split_whitespace();
        let method = words.next().unwrap_or_default().to_owned();
        let path = words.next().unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
        let operation = path.split('/').find(|part| part.starts_with('_')).unwrap_or("index").to_owned();
        let writes = method != "GET" && matches!(operation.as_str(), "_doc" | "_create" | "_update" | "_bulk");
        let (fault, refusal) = {
            let mut state = state.lock().unwrap();
            if state.gone {
                return Ok(());
            }
            state.seen.push(format!("{method} {operation}"));
            let fault = if writes { state.faults.pop_front() } else { None };
            state.gone |= fault == Some(Fault::Gone);
            let unknown = state.authorization.as_ref().is_some_and(|it| !head.to_ascii_lowercase().contains(it));
            let refusal = match state.most {
                _ if unknown => Some("401 Unauthorized"),
                Some(most) if body.len() > most => Some("413 Payload Too Large"),
                _ => None,
            };
            (fault, refusal)
        };
        if let Some(refusal) = refusal {
            client.write_all(format!("HTTP/1.1 {refusal}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await?;
            continue;
        }
        if fault == Some(Fault::RequestLost) {
            return Ok(());
        }
        server.write_all(head.as_bytes()).await?;
        server.write_all(&body).await?;
        let (head, body) = message(&mut server).await?;
        if fault.is_some() {
            return Ok(());
        }
        client.write_all(head.as_bytes()).await?;
        client.write_all(&body).await?;
    }
}
