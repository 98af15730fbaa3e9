//! As much of HTTP as it takes to ask a server on this machine whether it is there.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::Result;

/// The longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to a port of this machine, on which no read or write blocks for ever.
pub(crate) fn connect(port: u16) -> Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|e| format!("{address}: {e}"))?;
    let limited = stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
    limited.map_err(|e| format!("{address}: {e}"))?;
    Ok(stream)
}

/// The answer's status and body.
///
/// HTTP/1.0: the body is plain and ends with the connection.
pub(crate) fn request(method: &str, port: u16, path: &str, body: &str) -> Result<(u16, String)> {
    let failed = |e: std::io::Error| format!("{method} 127.0.0.1:{port}{path}: {e}");
    let mut stream = connect(port)?;
    let head = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n");
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let request = format!("{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(failed)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.map(|status| (status, body.to_owned())).ok_or(format!("{method} 127.0.0.1:{port}{path}: not HTTP: {head:?}"))
}

/// Fails where the answer is no 2xx.
pub(crate) fn expect_success(method: &str, port: u16, path: &str, body: &str) -> Result<String> {
    match request(method, port, path, body)? {
        (200..300, body) => Ok(body),
        (status, body) => Err(format!("{method} 127.0.0.1:{port}{path}: {status} {}", body.trim())),
    }
}
