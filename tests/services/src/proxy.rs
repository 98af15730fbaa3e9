//! A proxy in front of a server, which delays, cuts and loses what goes through it.
//!
//! ```no_run
//! use dataknobs_kv_services::{Direction, Kind, Proxy, Server, Toxic};
//!
//! let server = Server::start(Kind::Postgres).expect("a server");
//! let proxy = Proxy::to(&server).expect("toxiproxy");
//! // A store opened by `proxy.url()` speaks with the server through the proxy.
//! let lost = proxy.add(Direction::FromServer, Toxic::LimitData { bytes: 0 })?; // requests arrive, answers are lost
//! proxy.remove(lost)?;
//! proxy.cut()?; // every connection ends, and new ones are refused
//! proxy.mend()?; // as at the beginning
//! # Ok::<(), String>(())
//! ```

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::http::expect_success;
use crate::kind::Kind;
use crate::server::Server;
use crate::{Missing, Result, port, resp};

/// A TCP proxy in front of each port that clients of a server connect to.
pub struct Proxy {
    toxiproxy: Server,
    url: String,
    /// Ours, and the server's behind it.
    ports: Vec<(u16, u16)>,
    cluster: bool,
    toxics: AtomicU64,
}

/// What is done to the bytes that go one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toxic {
    /// They come later by so much, give or take.
    Latency {
        /// Milliseconds.
        delay: u64,
        /// Milliseconds at most, more or less.
        jitter: u64,
    },
    /// None arrives, and after this time the connection is closed; 0 never closes it.
    Timeout {
        /// Milliseconds.
        after: u64,
    },
    /// The connection ends with RST, and what was on the way is lost.
    ResetPeer {
        /// Milliseconds.
        after: u64,
    },
    /// Each connection is closed after so many.
    LimitData {
        /// With 0 none arrives.
        bytes: u64,
    },
    /// No more than so many a second.
    Bandwidth {
        /// Kilobytes a second.
        rate: u64,
    },
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What clients send.
    ToServer,
    /// What they get back.
    FromServer,
}

/// A toxic that was added.
#[derive(Debug, PartialEq, Eq)]
pub struct Added(String);

impl Toxic {
    /// Type and attributes, as toxiproxy's API has them.
    fn json(self) -> (&'static str, String) {
        match self {
            Self::Latency { delay, jitter } => ("latency", format!(r#"{{"latency":{delay},"jitter":{jitter}}}"#)),
            Self::Timeout { after } => ("timeout", format!(r#"{{"timeout":{after}}}"#)),
            Self::ResetPeer { after } => ("reset_peer", format!(r#"{{"timeout":{after}}}"#)),
            Self::LimitData { bytes } => ("limit_data", format!(r#"{{"bytes":{bytes}}}"#)),
            Self::Bandwidth { rate } => ("bandwidth", format!(r#"{{"rate":{rate}}}"#)),
        }
    }
}

impl Proxy {
    /// A proxy of its own in front of this server, which knows of it only where its nodes tell clients of each other (a
    /// cluster): they name their proxies as long as this lives.
    pub fn to(server: &Server) -> Result<Self, Missing> {
        let toxiproxy = Server::start(Kind::Toxiproxy)?;
        Self::before(server, toxiproxy).map_err(|reason| Missing::new(Kind::Toxiproxy.name(), reason))
    }

    fn before(server: &Server, toxiproxy: Server) -> Result<Self> {
        let cluster = server.kind() == Kind::RedisCluster;
        let behind = if cluster { server.ports() } else { server.ports().get(..1).unwrap_or_default() };
        let mut proxy = Self { toxiproxy, url: String::new(), ports: Vec::new(), cluster, toxics: AtomicU64::new(0) };
        let mut url = server.url().to_owned();
        for (ours, theirs) in port::free(behind.len())?.into_iter().zip(behind) {
            let body = format!(
                r#"{{"name":"{ours}","listen":"127.0.0.1:{ours}","upstream":"127.0.0.1:{theirs}","enabled":true}}"#
            );
            proxy.ask("POST", "/proxies", &body)?;
            for colon in [":", "%3A"] {
                url = url.replace(&format!("127.0.0.1{colon}{theirs}"), &format!("127.0.0.1{colon}{ours}"));
            }
            proxy.ports.push((ours, *theirs));
        }
        proxy.url = url;
        proxy.announce()?;
        Ok(proxy)
    }

    /// The connection string of the server behind, by way of the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port of the proxy; of a cluster, the one before its first node.
    pub fn port(&self) -> u16 {
        self.ports.first().map(|(ours, _)| *ours).unwrap_or_default()
    }

    /// From now on this happens to what goes that way, on connections that are there and new ones.
    pub fn add(&self, direction: Direction, toxic: Toxic) -> Result<Added> {
        let name = format!("toxic{}", self.toxics.fetch_add(1, Ordering::Relaxed));
        let (kind, attributes) = toxic.json();
        let stream = match direction {
            Direction::ToServer => "upstream",
            Direction::FromServer => "downstream",
        };
        let body = format!(
            r#"{{"name":"{name}","type":"{kind}","stream":"{stream}","toxicity":1,"attributes":{attributes}}}"#
        );
        self.each(|port| self.ask("POST", &format!("/proxies/{port}/toxics"), &body))?;
        Ok(Added(name))
    }

    /// From now on it happens no more.
    pub fn remove(&self, added: Added) -> Result {
        self.each(|port| self.ask("DELETE", &format!("/proxies/{port}/toxics/{}", added.0), ""))
    }

    /// Ends every connection, and refuses new ones.
    pub fn cut(&self) -> Result {
        self.each(|port| self.ask("POST", &format!("/proxies/{port}"), r#"{"enabled":false}"#))
    }

    /// Takes connections again, and removes all toxics. Nodes of a cluster that were started anew, and are all there, name
    /// their proxies again.
    pub fn mend(&self) -> Result {
        self.ask("POST", "/reset", "")?;
        self.announce()
    }

    fn announce(&self) -> Result {
        let announce = |(ours, theirs): &(u16, u16)| {
            resp::command(*theirs, &["CONFIG", "SET", "cluster-announce-port", &ours.to_string()]).map(drop)
        };
        if self.cluster { self.ports.iter().try_for_each(announce) } else { Ok(()) }
    }

    fn each(&self, mut run: impl FnMut(u16) -> Result) -> Result {
        self.ports.iter().try_for_each(|(ours, _)| run(*ours))
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result {
        expect_success(method, self.toxiproxy.port(), path, body).map(drop)
    }
}

impl Drop for Proxy {
    /// The nodes of a cluster name themselves again; those that are dead have nothing to say.
    fn drop(&mut self) {
        if self.cluster {
            for (_, theirs) in &self.ports {
                let _ = resp::command(*theirs, &["CONFIG", "SET", "cluster-announce-port", "0"]);
            }
        }
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("ports", &self.ports).finish_non_exhaustive()
    }
}
