//! One connection to one server: made when it is needed, shared by all callers, and made again after it broke.
//!
//! What is promised of a failed request depends on whether it was sent, so requests are never repeated here, and a
//! connection that is known to be closed is replaced before anything is sent on it. RESP3 tells of that at once.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use dataknobs_kv_core::Error;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, PushInfo, PushKind, RedisError, Value};
use tokio::time::Instant;

use super::failure::{self, Failure};

/// Until when an answer must be there.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    pub(super) timeout: Duration,
}

impl Deadline {
    pub(super) fn after(timeout: Duration) -> Self {
        Deadline { at: Instant::now() + timeout, timeout }
    }
}

#[derive(Clone)]
struct Connection {
    multiplexed: MultiplexedConnection,
    closed: Arc<AtomicBool>,
}

struct Link {
    current: RwLock<Option<Connection>>,
    /// How many attempts to connect have ended, and the error of the last one. Callers that waited for an attempt share how
    /// it ended.
    attempts: AtomicU64,
    connecting: tokio::sync::Mutex<Option<Error>>,
}

/// One server, by some connections.
pub(super) struct Node {
    client: Client,
    /// As it is called in messages.
    name: String,
    connect_timeout: Duration,
    links: Vec<Link>,
    next: AtomicUsize,
}

/// How many requests wait in front of a connection before callers do.
const QUEUE: usize = 1024;

impl Node {
    pub(super) fn new(client: Client, name: String, connect_timeout: Duration, connections: usize) -> Self {
        let link = |_| Link {
            current: RwLock::default(),
            attempts: AtomicU64::new(0),
            connecting: tokio::sync::Mutex::new(None),
        };
        let links = (0..connections.max(1)).map(link).collect();
        Node { client, name, connect_timeout, links, next: AtomicUsize::new(0) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sends one command.
    pub(super) async fn send(&self, command: &Cmd, deadline: Deadline) -> Result<Value, Failure> {
        let (link, mut connection) = self.connection(deadline).await?;
        let answer = tokio::time::timeout_at(deadline.at, connection.multiplexed.send_packed_command(command)).await;
        match answer {
            Ok(Ok(value)) => value.extract_error().map_err(Failure::Refused),
            Ok(Err(error)) => Err(self.broken(link, &connection, error)),
            Err(_) => Err(self.late(link, &connection, deadline)),
        }
    }

    /// Sends commands together; an answer for each.
    pub(super) async fn send_all(
        &self,
        commands: &Pipeline,
        deadline: Deadline,
    ) -> Result<Vec<Result<Value, RedisError>>, Failure> {
        let (link, mut connection) = self.connection(deadline).await?;
        let count = commands.len();
        let answers =
            tokio::time::timeout_at(deadline.at, connection.multiplexed.send_packed_commands(commands, 0, count)).await;
        match answers {
            Ok(Ok(values)) => Ok(values.into_iter().map(Value::extract_error).collect()),
            Ok(Err(error)) => Err(self.broken(link, &connection, error)),
            Err(_) => Err(self.late(link, &connection, deadline)),
        }
    }

    async fn connection(&self, deadline: Deadline) -> Result<(&Link, Connection), Failure> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.links.len();
        let missing = || Failure::NotSent(Error::Internal("a server without connections".into()));
        let link = self.links.get(turn).ok_or_else(missing)?;
        if let Some(connection) = link.usable() {
            return Ok((link, connection));
        }
        match tokio::time::timeout_at(deadline.at, Box::pin(self.connect(link))).await {
            Ok(Ok(connection)) => Ok((link, connection)),
            Ok(Err(error)) => Err(Failure::NotSent(error)),
            Err(_) => {
                let name = &self.name;
                let seconds = deadline.timeout.as_secs_f64();
                Err(Failure::NotSent(Error::Unavailable(format!("{name}: no connection within {seconds} s"))))
            }
        }
    }

    async fn connect(&self, link: &Link) -> Result<Connection, Error> {
        let seen = link.attempts.load(Ordering::SeqCst);
        let mut last = link.connecting.lock().await;
        if let Some(connection) = link.usable() {
            return Ok(connection);
        }
        if let Some(error) = &*last
            && link.attempts.load(Ordering::SeqCst) != seen
        {
            return Err(error.clone());
        }
        let closed = Arc::new(AtomicBool::new(false));
        let flag = closed.clone();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    flag.store(true, Ordering::SeqCst);
                }
                Ok::<(), ()>(())
            });
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let result = match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(Ok(multiplexed)) => Ok(Connection { multiplexed, closed }),
            Ok(Err(error)) => Err(failure::connecting(&self.name, &error)),
            Err(_) => {
                let seconds = self.connect_timeout.as_secs_f64();
                Err(Error::Unavailable(format!("{}: no connection within {seconds} s", self.name)))
            }
        };
        *link.current.write().unwrap_or_else(PoisonError::into_inner) = result.as_ref().ok().cloned();
        *last = result.as_ref().err().cloned();
        link.attempts.fetch_add(1, Ordering::SeqCst);
        result
    }

    fn broken(&self, link: &Link, connection: &Connection, error: RedisError) -> Failure {
        match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension => Failure::Refused(error),
            _ => {
                link.give_up(connection);
                Failure::Lost { why: format!("{}: the connection broke: {error}", self.name), late: false }
            }
        }
    }

    /// Whoever stays silent that long may be behind a line that is cut: the next request gets a new connection.
    fn late(&self, link: &Link, connection: &Connection, deadline: Deadline) -> Failure {
        link.give_up(connection);
        Failure::Lost { why: failure::too_late(&self.name, deadline.timeout), late: true }
    }

    /// Makes new connections from now on: the name may mean another server by now.
    pub(super) fn renew(&self) {
        for link in &self.links {
            *link.current.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl Link {
    fn usable(&self) -> Option<Connection> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|connection| !connection.closed.load(Ordering::SeqCst)).cloned()
    }

    fn give_up(&self, connection: &Connection) {
        connection.closed.store(true, Ordering::SeqCst);
    }
}
