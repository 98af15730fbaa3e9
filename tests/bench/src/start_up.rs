//! From starting the service to its first answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::Result;
use crate::measure::median;
use crate::processes::{Server, service};
use crate::report::{Goal, Section, digits};

const ROUNDS: usize = 15;

pub(crate) fn measure() -> Result<Section> {
    let folder = tempfile::tempdir()?;
    let file = format!("file:{}", folder.path().join("data.redb").display());
    let stores = [("memory", "memory:"), ("redb file", file.as_str())];
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for ((_, store), times) in stores.iter().zip(&mut times) {
            let millis = one(store)?;
            // The first compiles the component and creates the file.
            if round > 0 {
                times.push(millis);
            }
        }
    }
    let medians: Vec<f64> = times.iter().map(|times| median(times)).collect();
    Ok(Section {
        title: "Start of the service",
        method: format!(
            "From starting the process to the answer of its first GET, with the component's compiled code in the cache: \
             time on\nthe wall, median of {ROUNDS} starts."
        ),
        columns: vec!["store", "ms to the first answer"],
        rows: stores.iter().zip(&medians).map(|((name, _), ms)| vec![(*name).to_owned(), digits(*ms)]).collect(),
        goals: vec![Goal::at_most("start to first answer ≤ 50 ms", 50.0, medians[0].max(medians[1]))],
    })
}

/// Milliseconds.
fn one(store: &str) -> Result<f64> {
    let began = Instant::now();
    let server = Server::start(&mut service(store)?)?;
    let mut connection = TcpStream::connect(server.address)?;
    connection.write_all(b"GET /v1/default/entries/none HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let took = began.elapsed();
    if !answer.starts_with("HTTP/1.1 404") {
        return Err(format!("not the answer that was waited for: {}", answer.lines().next().unwrap_or("")).into());
    }
    Ok(took.as_secs_f64() * 1e3)
}
