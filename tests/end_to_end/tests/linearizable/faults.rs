//! What goes wrong meanwhile, one thing after the other.

use std::time::{Duration, Instant};

use dataknobs_kv_end_to_end::ServiceProcess;
use dataknobs_kv_services::history::now;
use dataknobs_kv_services::{Direction, Kind, Proxy, Server, Toxic};

/// What services work on, and what can be done to it.
pub(crate) struct Bed {
    pub(crate) services: Vec<ServiceProcess>,
    /// How long they wait for the server, in seconds.
    pub(crate) timeout: f64,
    /// The last service speaks with the server through it, the others directly.
    pub(crate) proxy: Option<Proxy>,
    pub(crate) server: Option<Server>,
    /// When the server was killed.
    pub(crate) deaths: Vec<u64>,
}

/// A fault, from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: what must go well.
    Quiet,
    /// The server dies by SIGKILL, and is started again.
    ServerKilled,
    /// One node of a cluster does.
    NodeKilled,
    /// The server stands still for longer than the services wait.
    ServerPaused,
    /// The connections of one service end, and for a while it makes no new ones.
    Cut,
    /// Requests of one service arrive, and no answer comes back: each connection is closed instead.
    AnswersLost,
    /// Answers come late, in no steady time.
    Slow,
    /// A service dies by SIGKILL, and is started again.
    ServiceKilled,
    /// A service stands still.
    ServicePaused,
}

/// How long a service may take to come back once its backend does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

impl Fault {
    /// Those of a server.
    pub(crate) fn of(kind: Kind) -> Vec<Fault> {
        use Fault::*;
        let mut faults = vec![Quiet, Cut, AnswersLost, Slow, ServerKilled, ServerPaused, ServiceKilled];
        if kind == Kind::RedisCluster {
            faults.push(NodeKilled);
        }
        faults
    }

    /// As it is printed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::Quiet => "quiet",
            Fault::ServerKilled => "server killed",
            Fault::NodeKilled => "node killed",
            Fault::ServerPaused => "server paused",
            Fault::Cut => "cut off",
            Fault::AnswersLost => "answers lost",
            Fault::Slow => "slow",
            Fault::ServiceKilled => "service killed",
            Fault::ServicePaused => "service paused",
        }
    }

    /// Whether from its beginning on connections are refused, and so an operation is unanswered only if it was under way
    /// just then.
    pub(crate) fn refuses_connections(self) -> bool {
        matches!(self, Fault::ServerKilled | Fault::Cut | Fault::ServiceKilled)
    }

    /// Lets it happen, and makes it good.
    pub(crate) fn strike(self, bed: &mut Bed) -> Result<(), String> {
        let server = bed.server.as_ref().ok_or("no server of our own");
        let proxy = bed.proxy.as_ref().ok_or("no proxy");
        match self {
            Fault::Quiet => wait(500),
            Fault::ServerKilled => {
                // A dead server refuses connections; the proxy would take them, and requests with them.
                server?.kill();
                bed.deaths.push(now());
                proxy?.cut()?;
                wait(150);
                server?.restart()?;
                proxy?.mend()?;
            }
            Fault::NodeKilled => {
                server?.kill_node(1);
                wait(150);
                server?.revive()?;
                proxy?.mend()?;
            }
            Fault::ServerPaused => {
                server?.pause()?;
                wait((bed.timeout * 1400.0) as u64);
                server?.resume()?;
            }
            Fault::Cut => {
                proxy?.cut()?;
                wait(400);
                proxy?.mend()?;
            }
            Fault::AnswersLost => {
                proxy?.add(Direction::FromServer, Toxic::LimitData { bytes: 0 })?;
                wait(400);
                proxy?.mend()?;
            }
            Fault::Slow => {
                proxy?.add(Direction::FromServer, Toxic::Latency { delay: 30, jitter: 25 })?;
                wait(600);
                proxy?.mend()?;
            }
            Fault::ServiceKilled => {
                let service = bed.services.first_mut().ok_or("no service")?;
                service.kill();
                wait(100);
                patiently(|| service.restart())?;
            }
            Fault::ServicePaused => {
                let service = bed.services.first().ok_or("no service")?;
                service.pause();
                wait(400);
                service.resume();
            }
        }
        Ok(())
    }
}

pub(crate) fn wait(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// Again and again, as whoever supervises services does: the backend may be slow, and they wait for it no longer than
/// they were told.
pub(crate) fn patiently<T>(mut start: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let began = Instant::now();
    loop {
        match start() {
            Err(_) if began.elapsed() < PATIENCE => wait(100),
            started => return started,
        }
    }
}
