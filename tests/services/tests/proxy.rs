//! The fault proxy, in front of a Redis that is asked by hand.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use dataknobs_kv_services::{Direction, Kind, Missing, Proxy, Server, Toxic};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

type Case = fn(&Server, &Proxy) -> Result<(), Failed>;

const CASES: &[(&str, Case)] = &[
    ("passes_what_it_is_given", passes_what_it_is_given),
    ("a_lost_answer_is_no_lost_request", a_lost_answer_is_no_lost_request),
    ("what_is_held_back_comes_later", what_is_held_back_comes_later),
    ("a_reset_connection_fails", a_reset_connection_fails),
    ("a_slow_line_delivers", a_slow_line_delivers),
    ("cut_and_mended", cut_and_mended),
];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> =
        CASES.iter().map(|(name, case)| Trial::ignorable_test(*name, || over(Kind::Redis, *case))).collect();
    trials.push(Trial::ignorable_test("nodes_of_a_cluster_name_their_proxies", || {
        over(Kind::RedisCluster, nodes_of_a_cluster_name_their_proxies)
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

fn over(kind: Kind, case: Case) -> Result<Completion, Failed> {
    let started = Server::start(kind).and_then(|server| Proxy::to(&server).map(|proxy| (server, proxy)));
    match started {
        Ok((server, proxy)) => case(&server, &proxy).map(|()| Completion::Completed),
        Err(Missing { reason, required: true }) => Err(reason.into()),
        Err(Missing { reason, .. }) => Ok(Completion::ignored_with(reason)),
    }
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// What comes back at first; nothing where the connection is closed.
fn ask(stream: &mut TcpStream, request: &str) -> std::io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut answer = vec![0; 65_536];
    let length = stream.read(&mut answer)?;
    answer.truncate(length);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn passes_what_it_is_given(server: &Server, proxy: &Proxy) -> Result<(), Failed> {
    assert_ne!(proxy.port(), server.port());
    assert_eq!(proxy.url(), format!("redis://127.0.0.1:{}/0", proxy.port()));
    assert_eq!(ask(&mut connect(proxy.port())?, "SET a 1\r\n")?, "+OK\r\n");
    assert_eq!(ask(&mut connect(server.port())?, "GET a\r\n")?, "$1\r\n1\r\n");
    Ok(())
}

fn a_lost_answer_is_no_lost_request(server: &Server, proxy: &Proxy) -> Result<(), Failed> {
    let lost = proxy.add(Direction::FromServer, Toxic::LimitData { bytes: 0 })?;
    let answer = ask(&mut connect(proxy.port())?, "SET a 1\r\n");
    assert!(answer.as_ref().map_or(true, String::is_empty), "{answer:?}");
    assert_eq!(ask(&mut connect(server.port())?, "GET a\r\n")?, "$1\r\n1\r\n");
    proxy.remove(lost)?;
    assert_eq!(ask(&mut connect(proxy.port())?, "GET a\r\n")?, "$1\r\n1\r\n");
    Ok(())
}

fn what_is_held_back_comes_later(_server: &Server, proxy: &Proxy) -> Result<(), Failed> {
    let late = proxy.add(Direction::FromServer, Toxic::Latency { delay: 1000, jitter: 0 })?;
    let mut stream = connect(proxy.port())?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let error = ask(&mut stream, "PING\r\n").expect_err("too early");
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    assert_eq!(ask(&mut stream, "")?, "+PONG\r\n");
    proxy.remove(late)?;

    proxy.add(Direction::ToServer, Toxic::Timeout { after: 0 })?;
    let mut stream = connect(proxy.port())?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    assert!(ask(&mut stream, "PING\r\n").is_err());
    Ok(())
}

fn a_reset_connection_fails(_server: &Server, proxy: &Proxy) -> Result<(), Failed> {
    let reset = proxy.add(Direction::FromServer, Toxic::ResetPeer { after: 0 })?;
    let answer = connect(proxy.port()).and_then(|mut stream| ask(&mut stream, "PING\r\n"));
    assert!(answer.as_ref().map_or(true, String::is_empty), "{answer:?}");
    proxy.remove(reset)?;
    assert_eq!(ask(&mut connect(proxy.port())?, "PING\r\n")?, "+PONG\r\n");
    Ok(())
}

fn a_slow_line_delivers(_server: &Server, proxy: &Proxy) -> Result<(), Failed> {
    proxy.add(Direction::FromServer, Toxic::Bandwidth { rate: 10 })?;
    let text = "x".repeat(3000);
    let mut stream = connect(proxy.port())?;
    stream.write_all(format!("ECHO {text}\r\n").as_bytes())?;
    let mut answer = vec![0; "$3000\r\n".len() + text.len()];
    stream.read_exact(&mut answer)?;
    assert!(answer.ends_with(text.as_bytes()));
    Ok(())
}

fn cut_and_mended(server: &Server, proxy: &Proxy) -> Result<(), Failed> {
    let mut stream = connect(proxy.port())?;
    assert_eq!(ask(&mut stream, "PING\r\n")?, "+PONG\r\n");
    proxy.cut()?;
    let answer = ask(&mut stream, "PING\r\n");
    assert!(answer.as_ref().map_or(true, String::is_empty), "{answer:?}");
    assert!(connect(proxy.port()).is_err());
    assert_eq!(ask(&mut connect(server.port())?, "PING\r\n")?, "+PONG\r\n");
    proxy.mend()?;
    assert_eq!(ask(&mut connect(proxy.port())?, "PING\r\n")?, "+PONG\r\n");
    Ok(())
}

fn nodes_of_a_cluster_name_their_proxies(server: &Server, proxy: &Proxy) -> Result<(), Failed> {
    let ports: Vec<&str> = proxy.url().split([',', '/']).filter_map(|part| part.strip_prefix("127.0.0.1:")).collect();
    assert_eq!(ports.len(), 3, "{ports:?}");
    // They tell each other on their next rounds of gossip.
    for _ in 0..200 {
        let slots = ask(&mut connect(server.port())?, "CLUSTER SLOTS\r\n")?;
        if ports.iter().all(|port| slots.contains(&format!(":{port}\r\n"))) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("the nodes still name themselves".into())
}
