//! A get over HTTP against a get of Redis and against an HTTP service that does nothing.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;
use crate::machine::first_line;
use crate::measure::{median, micros_each, spread};
use crate::processes::{Server, free_port, service};
use crate::report::{Goal, Section, digits};

const ROUNDS: usize = 9;
const CONNECTIONS: usize = 64;
const REQUESTS_OF_A_CONNECTION: usize = 1000;
const VALUE: [u8; 100] = [b'x'; 100];

/// What is asked, in the words of its protocol.
struct Rival {
    name: &'static str,
    server: Server,
    request: Vec<u8>,
    /// How long an answer is: all are the same.
    answer: usize,
    times: Vec<f64>,
    rates: Vec<f64>,
}

pub(crate) fn measure() -> Result<Section> {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut rivals = Vec::new();
    let mut redis_missing = "";
    if first_line("redis-server", &["--version"]) == "unknown" {
        redis_missing = "\nRedis: not measured, redis-server not found.";
    } else {
        let server = redis()?;
        let value = [b"$100\r\n", VALUE.as_slice(), b"\r\n"].concat();
        let key = b"bench.key.000001";
        let set = [b"*3\r\n$3\r\nSET\r\n$16\r\n", key.as_slice(), b"\r\n", &value].concat();
        tokio.block_on(once(server.address, &set))?;
        rivals.push(("Redis GET", server, [b"*2\r\n$3\r\nGET\r\n$16\r\n", key.as_slice(), b"\r\n"].concat()));
    }
    let mut empty = Command::new(std::env::current_exe()?);
    rivals.push(("axum, empty handler", Server::start(empty.arg("child-empty-service"))?, get("/empty")));
    let ours = Server::start(&mut service("memory:")?)?;
    let put = b"PUT /v1/default/entries/bench.key.000001 HTTP/1.1\r\nhost: 127.0.0.1\r\n\
        content-type: application/octet-stream\r\ncontent-length: 100\r\n\r\n";
    tokio.block_on(once(ours.address, &[put.as_slice(), &VALUE].concat()))?;
    rivals.push(("dataknobs-kv, memory", ours, get("/v1/default/entries/bench.key.000001")));

    let mut rivals = rivals
        .into_iter()
        .map(|(name, server, request)| {
            let answer = tokio.block_on(once(server.address, &request))?;
            if answer.starts_with(b"HTTP") && !answer.starts_with(b"HTTP/1.1 200") {
                return Err(format!("{name} answers {}", String::from_utf8_lossy(&answer)).into());
            }
            Ok(Rival { name, server, request, answer: answer.len(), times: Vec::new(), rates: Vec::new() })
        })
        .collect::<Result<Vec<_>>>()?;
    for round in 0..=ROUNDS {
        for rival in &mut rivals {
            let (cpu, wall) = tokio.block_on(one_round(rival))?;
            if round > 0 {
                rival.times.push(micros_each(cpu, CONNECTIONS * REQUESTS_OF_A_CONNECTION));
                rival.rates.push((CONNECTIONS * REQUESTS_OF_A_CONNECTION) as f64 / wall.as_secs_f64());
            }
        }
    }
    let yardstick = median(&rivals[0].times);
    let rows = rivals.iter().map(|rival| {
        let (low, high) = spread(&rival.times);
        let time = median(&rival.times);
        vec![
            rival.name.to_owned(),
            format!("{} ({}–{})", digits(time), digits(low), digits(high)),
            digits(time / yardstick),
            digits(median(&rival.rates)),
        ]
    });
    let ratio = rivals.last().map(|ours| median(&ours.times) / yardstick);
    Ok(Section {
        title: "A get over HTTP",
        method: format!(
            "{CONNECTIONS} connections, each waiting for its answer before it asks again, value of 100 B; CPU time of the \
             server's\nprocess per request, median (least–most) of {ROUNDS} rounds of {} requests. {}{redis_missing}",
            CONNECTIONS * REQUESTS_OF_A_CONNECTION,
            first_line("redis-server", &["--version"]).split(" sha").next().unwrap_or(""),
        ),
        columns: vec!["server", "CPU µs per request", "ratio to the first", "requests per second"],
        rows: rows.collect(),
        goals: vec![Goal {
            aim: "HTTP get ≤ 2.5 times the CPU of a Redis GET",
            measured: ratio.filter(|_| redis_missing.is_empty()),
            limit: 2.5,
            at_least: false,
        }],
    })
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").into_bytes()
}

fn redis() -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.current_dir(std::env::temp_dir());
    Server::start_at(&mut command, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// The server's CPU time and the time on the wall for all requests of a round.
async fn one_round(rival: &Rival) -> Result<(Duration, Duration)> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let connection = TcpStream::connect(rival.server.address).await?;
        connection.set_nodelay(true)?;
        connections.push(connection);
    }
    let (before, began) = (rival.server.cpu()?, Instant::now());
    let mut tasks = tokio::task::JoinSet::new();
    for mut connection in connections {
        let (request, length) = (rival.request.clone(), rival.answer);
        tasks.spawn(async move {
            let mut answer = vec![0; length];
            for _ in 0..REQUESTS_OF_A_CONNECTION {
                connection.write_all(&request).await?;
                connection.read_exact(&mut answer).await?;
            }
            Ok::<_, std::io::Error>(())
        });
    }
    for result in tasks.join_all().await {
        result?;
    }
    Ok((rival.server.cpu()? - before, began.elapsed()))
}

/// Asks once, and takes what comes until nothing more does.
async fn once(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(request).await?;
    let mut answer = Vec::new();
    loop {
        let mut part = [0; 4096];
        match tokio::time::timeout(Duration::from_millis(300), connection.read(&mut part)).await {
            Ok(read) => match read? {
                0 => return Ok(answer),
                n => answer.extend_from_slice(&part[..n]),
            },
            Err(_) if answer.is_empty() => return Err("no answer".into()),
            Err(_) => return Ok(answer),
        }
    }
}

/// The least that a service on the same stack can do.
pub(crate) fn empty_service() -> Result {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let app = axum::Router::new().route("/empty", axum::routing::get(|| async {}));
        Ok(axum::serve(listener, app).await?)
    })
}
