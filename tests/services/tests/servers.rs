//! Each server that can be had here: started, killed, paused, and nothing of it left behind.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use dataknobs_kv_services::{Kind, Missing, Server};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

type Case = fn(Server) -> Result<(), Failed>;

const CASES: &[(&str, Case)] = &[
    ("answers", answers),
    ("comes_back_on_its_port_after_kill", comes_back_on_its_port_after_kill),
    ("what_it_took_survives_a_kill", what_it_took_survives_a_kill),
    ("a_paused_one_takes_connections_and_answers_after", a_paused_one_takes_connections_and_answers_after),
    ("a_dropped_one_leaves_nothing", a_dropped_one_leaves_nothing),
    ("a_killed_and_dropped_one_leaves_nothing", a_killed_and_dropped_one_leaves_nothing),
    ("ends_with_the_program_that_started_it", ends_with_the_program_that_started_it),
];

/// Set in a copy of this program that starts a server and waits to be killed.
const HOLD: &str = "KV_SERVICES_TEST_HOLD";

fn main() {
    if let Ok(name) = std::env::var(HOLD) {
        hold(&name);
    }
    let arguments = Arguments::from_args();
    let mut trials = vec![Trial::test("is_no_secret_in_debug", is_no_secret_in_debug)];
    for kind in Kind::ALL {
        for (name, case) in CASES {
            trials.push(Trial::ignorable_test(format!("{}::{name}", kind.name()), move || start(kind, *case)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn start(kind: Kind, case: Case) -> Result<Completion, Failed> {
    match Server::start(kind) {
        Ok(server) => case(server).map(|()| Completion::Completed),
        Err(Missing { reason, required: true }) => Err(reason.into()),
        Err(Missing { reason, .. }) => Ok(Completion::ignored_with(reason)),
    }
}

/// Some request of the server's own protocol that it answers.
fn ask(kind: Kind, stream: &mut TcpStream) -> std::io::Result<u8> {
    let request: &[u8] = match kind {
        // "Do you speak TLS?"
        Kind::Postgres => &[0, 0, 0, 8, 4, 210, 22, 47],
        Kind::Redis | Kind::RedisCluster | Kind::Valkey => b"PING\r\n",
        _ => b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    };
    stream.write_all(request)?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    Ok(answer[0])
}

fn connect(server: &Server) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port()))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

fn answers(server: Server) -> Result<(), Failed> {
    assert!(server.url().contains(&server.port().to_string()), "its URL names its port");
    ask(server.kind(), &mut connect(&server)?)?;
    Ok(())
}

fn comes_back_on_its_port_after_kill(server: Server) -> Result<(), Failed> {
    let url = server.url().to_owned();
    server.kill();
    assert!(connect(&server).is_err(), "it takes no connections while it is dead");
    server.revive()?;
    ask(server.kind(), &mut connect(&server)?)?;
    server.restart()?;
    ask(server.kind(), &mut connect(&server)?)?;
    assert_eq!(server.url(), url);
    Ok(())
}

/// Asked by hand where a line of text will do; stores that need more (a signature, a log-in) are asked by their adapters'
/// tests.
fn what_it_took_survives_a_kill(server: Server) -> Result<(), Failed> {
    let document =
        "PUT /kept/_doc/1 HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"a\":4711}";
    let (write, read, durable) = match server.kind() {
        Kind::Redis | Kind::Valkey => ("SET a 4711\r\nQUIT\r\n", "GET a\r\nQUIT\r\n", true),
        Kind::Elasticsearch | Kind::Opensearch => (document, "GET /kept/_doc/1 HTTP/1.0\r\n\r\n", true),
        // It keeps nothing, and has its bucket again.
        Kind::S3Moto => (
            "PUT /kv-test/a HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\n4711",
            "GET /kv-test/a HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
            false,
        ),
        _ => return Ok(()),
    };
    let said = whole_answer(&server, write)?;
    server.kill();
    server.revive()?;
    let kept = whole_answer(&server, read)?;
    assert_eq!(kept.contains("4711"), durable, "{said}\n{kept}");
    assert_eq!(kept.contains("NoSuchKey"), !durable, "{kept}");
    Ok(())
}

fn whole_answer(server: &Server, request: &str) -> std::io::Result<String> {
    let mut stream = connect(server)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The kernel takes connections for a process that stands still; answers come from the process.
fn a_paused_one_takes_connections_and_answers_after(server: Server) -> Result<(), Failed> {
    server.pause()?;
    let mut stream = connect(&server)?;
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    let error = ask(server.kind(), &mut stream).expect_err("no answer from what stands still");
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    server.resume()?;
    ask(server.kind(), &mut connect(&server)?)?;
    Ok(())
}

fn a_dropped_one_leaves_nothing(server: Server) -> Result<(), Failed> {
    let (folder, port) = (server.folder().to_owned(), server.port());
    drop(server);
    nothing_left(&folder, port)
}

fn a_killed_and_dropped_one_leaves_nothing(server: Server) -> Result<(), Failed> {
    let (folder, port) = (server.folder().to_owned(), server.port());
    server.pause()?;
    server.kill();
    drop(server);
    nothing_left(&folder, port)
}

fn ends_with_the_program_that_started_it(server: Server) -> Result<(), Failed> {
    let kind = server.kind();
    drop(server);
    let mut holder = Command::new(std::env::current_exe()?);
    let mut holder = holder.env(HOLD, kind.name()).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut lines = std::io::BufReader::new(holder.stdout.take().ok_or("no output")?);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut lines, &mut line)?;
    let (port, folder) = line.trim_end().split_once(' ').ok_or(format!("it said {line:?}"))?;
    let (port, folder) = (port.parse()?, PathBuf::from(folder));
    assert!(folder.is_dir());
    holder.kill()?;
    holder.wait()?;
    for _ in 0..600 {
        if !folder.exists() {
            return nothing_left(&folder, port);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{} is still there", folder.display()).into())
}

fn hold(name: &str) -> ! {
    let kind = Kind::from_name(name).expect("a kind");
    let server = Server::start(kind).expect("a server");
    println!("{} {}", server.port(), server.folder().display());
    loop {
        std::thread::park();
    }
}

/// No folder, no listener, no process that names the folder, no shared memory of nobody.
fn nothing_left(folder: &Path, port: u16) -> Result<(), Failed> {
    assert!(!folder.exists(), "{} is still there", folder.display());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "someone listens on {port}");
    let name = folder.file_name().ok_or("no name")?.to_string_lossy().into_owned();
    // The shell that removed the folder is named after it too, and ends a moment later.
    for _ in 0..100 {
        let mut processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let command = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if !processes.any(|entry| String::from_utf8_lossy(&command(entry)).contains(&name)) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("a process of {name} still runs").into())
}

fn is_no_secret_in_debug() -> Result<(), Failed> {
    if let Ok(server) = Server::start(Kind::Postgres) {
        let secret = server.url().split([':', '@']).nth(2).ok_or("no password")?.to_owned();
        assert!(!format!("{server:?}").contains(&secret));
    }
    Ok(())
}
