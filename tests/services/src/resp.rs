//! As much of Redis's protocol as it takes to ask a node for its state and to join nodes to a cluster.

use std::io::{BufRead, BufReader, Read, Write};

use crate::Result;
use crate::http::connect;

/// The text of the answer: a status, a number, or a bulk string. An error fails.
pub(crate) fn command(port: u16, words: &[&str]) -> Result<String> {
    let name = words.join(" ");
    let name = name.get(..40).unwrap_or(&name);
    let failed = |e: std::io::Error| format!("{name}: {e}");
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    let mut stream = connect(port)?;
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).map_err(failed)?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("+" | ":", text)) => Ok(text.to_owned()),
        Some(("-", error)) => Err(format!("{name}: {error}")),
        Some(("$", length)) => {
            let length: usize = length.parse().map_err(|_| format!("{name}: an answer of no length"))?;
            let mut text = vec![0; length];
            reader.read_exact(&mut text).map_err(failed)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        _ => Err(format!("{name}: answered {line:?}")),
    }
}
