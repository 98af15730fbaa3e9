//! Connections: the pool, deadlines, and what is tried again.
//!
//! * A connection goes back to the pool only when its last answer has come. Whoever gives up, or is dropped while it
//!   waits, closes it: the next one must not wait behind that statement.
//! * Reads are tried again on another connection where one broke. Writes only where the server surely did nothing: the
//!   connection broke before, or rivals were in each other's way and it ended this one.
//! * A statement that takes too long is ended by the server a little before the caller gives up, so that the caller
//!   hears that nothing was applied.

use std::time::Duration;

use dataknobs_kv_core::{Error, Result};
use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime, TimeoutType,
    Timeouts,
};
use rand::RngExt;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, Row};

use super::config::{PostgresConfig, SslMode};
use super::failure::{Failure, of_connecting};
use super::sql::Statement;
use super::tls;

/// How often what may be tried again is.
const MAX_TRIES: u32 = 20;

/// Parameters of a statement.
pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// When a call has to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    span: Duration,
}

impl Deadline {
    fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    fn passed(self) -> String {
        format!("no answer within {} s", self.span.as_secs_f64())
    }

    /// Waits, but not past the end. Whether there is time left.
    pub(super) async fn pause(self, span: Duration) -> bool {
        let until = Instant::now() + span;
        if until >= self.at {
            return false;
        }
        sleep_until(until).await;
        true
    }
}

/// The way to the server.
pub(super) struct Link {
    pool: Pool,
    timeout: Duration,
    connect_timeout: Duration,
    prepared: bool,
}

impl Link {
    pub(super) fn new(config: &PostgresConfig) -> Result<Self> {
        let manager = Manager::from_config(
            driver_config(config),
            tls::connector(config)?,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(config.pool_size)
            // The one that was used last: its server process is warm, and what few callers do not need grows idle.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::Internal(format!("PostgreSQL: {error}")))?;
        Ok(Link {
            pool,
            timeout: config.timeout,
            connect_timeout: config.connect_timeout,
            prepared: config.prepared_statements,
        })
    }

    /// For a call that begins now.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline { at: Instant::now() + self.timeout, span: self.timeout }
    }

    /// A connection of one's own.
    pub(super) async fn lease(&self, deadline: Deadline) -> Result<Lease, Failure> {
        let left = deadline.left();
        let timeouts = Timeouts { wait: Some(left), create: Some(left.min(self.connect_timeout)), recycle: Some(left) };
        match timeout_at(deadline.at, self.pool.timeout_get(&timeouts)).await {
            Ok(Ok(object)) => Ok(Lease { object: Some(object), prepared: self.prepared }),
            // All are busy, with calls that take long.
            Ok(Err(PoolError::Timeout(TimeoutType::Wait))) => Err(Failure::refused(Error::RateLimited(None))),
            Ok(Err(PoolError::Timeout(_))) => Err(Failure::refused(Error::Unavailable(format!(
                "PostgreSQL: no connection within {} s",
                left.min(self.connect_timeout).as_secs_f64()
            )))),
            Ok(Err(PoolError::Backend(error))) => Err(Failure::refused(of_connecting(&error))),
            Ok(Err(error)) => Err(Failure::refused(Error::Unavailable(format!("PostgreSQL: {error}")))),
            Err(_) => Err(Failure::refused(Error::Unavailable(format!("PostgreSQL: {}", deadline.passed())))),
        }
    }

    /// Runs what changes nothing.
    pub(super) async fn read(&self, statement: &Statement, parameters: Parameters<'_>) -> Result<Vec<Row>> {
        self.read_until(statement, parameters, self.deadline()).await
    }

    pub(super) async fn read_until(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>> {
        let result = self.run(statement, parameters, deadline, |failure| {
            matches!(failure, Failure::Lost(_)) && !deadline.left().is_zero()
        });
        result.await.map_err(Failure::into_unapplied)
    }

    /// Runs what changes something.
    pub(super) async fn write(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, Failure> {
        self.run(statement, parameters, deadline, |_| false).await
    }

    async fn run(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
        again: impl Fn(&Failure) -> bool,
    ) -> Result<Vec<Row>, Failure> {
        let mut tries = 0;
        loop {
            // Boxed: their kilobytes, mostly for what is rare, would be moved with every call around this one.
            let lease = Box::pin(self.lease(deadline)).await?;
            let failure = match Box::pin(lease.run(statement, parameters, deadline)).await {
                Ok(rows) => {
                    lease.finish();
                    return Ok(rows);
                }
                Err(failure) => failure,
            };
            tries += 1;
            let unsent = matches!(failure, Failure::Broken(_));
            let stale = failure.of_preparation();
            let rivals = failure.of_rivals();
            if matches!(failure, Failure::Refused { .. }) && !stale && !failure.of_standby() {
                // The connection is sound.
                lease.finish();
            }
            if tries >= MAX_TRIES || !(unsent || stale || rivals || again(&failure)) {
                return Err(failure);
            }
            let longest = if rivals { 1 << tries.min(6) } else { 1 };
            let pause = Duration::from_micros(rand::rng().random_range(0..1000 * longest));
            if !deadline.pause(pause).await {
                return Err(failure);
            }
        }
    }
}

fn driver_config(config: &PostgresConfig) -> Config {
    let mut driver = Config::new();
    driver.host(&config.host).port(config.port).application_name("dataknobs-kv");
    if let Some(user) = &config.user {
        driver.user(user);
    }
    if let Some(password) = config.password.clone().or_else(|| std::env::var("PGPASSWORD").ok()) {
        driver.password(password);
    }
    if let Some(database) = &config.database {
        driver.dbname(database);
    }
    driver.ssl_mode(match config.ssl_mode {
        SslMode::Disable => tokio_postgres::config::SslMode::Disable,
        SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
        SslMode::Require | SslMode::VerifyFull => tokio_postgres::config::SslMode::Require,
    });
    driver.connect_timeout(config.connect_timeout);
    driver.keepalives_idle(Duration::from_secs(30));
    driver.tcp_user_timeout(config.timeout);
    if config.prepared_statements {
        driver.options(session_options(config.timeout));
    }
    driver
}

/// What a session begins with. A pooler that shares sessions does not take them: then what the database is set to holds.
fn session_options(timeout: Duration) -> String {
    // Nine tenths: so that its answer comes before the caller has gone.
    let limit = (timeout.as_millis() * 9 / 10).max(1);
    [
        // A rival's change is waited for and looked at, not an error.
        r"default_transaction_isolation=read\ committed",
        // A plan once for each statement: always along the index, never by what some namespace looked like.
        "plan_cache_mode=force_generic_plan",
        "enable_seqscan=off",
        "enable_bitmapscan=off",
        "enable_sort=off",
        "max_parallel_workers_per_gather=0",
        "jit=off",
        &format!("statement_timeout={limit}"),
    ]
    .map(|option| format!("-c {option}"))
    .join(" ")
}

/// One connection, until [`finish`](Lease::finish): dropped before, it is closed.
pub(super) struct Lease {
    object: Option<Object>,
    prepared: bool,
}

impl Lease {
    /// All answers have come: back into the pool.
    pub(super) fn finish(mut self) {
        drop(self.object.take());
    }

    fn client(&self) -> Result<&ClientWrapper, Failure> {
        match &self.object {
            Some(object) => Ok(object),
            None => Err(Failure::refused(Error::Internal("a connection that was given back".into()))),
        }
    }

    async fn run(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, Failure> {
        let client = self.client()?;
        if client.is_closed() {
            return Err(Failure::Broken("the connection broke".into()));
        }
        let answer = if self.prepared {
            let preparing = client.prepare_typed_cached(&statement.text, &statement.types);
            let prepared = match timeout_at(deadline.at, preparing).await {
                Ok(Ok(prepared)) => prepared,
                Ok(Err(error)) => return Err(Failure::of_preparing(&error)),
                Err(_) => {
                    return Err(Failure::refused(Error::Unavailable(format!("PostgreSQL: {}", deadline.passed()))));
                }
            };
            timeout_at(deadline.at, client.query(&prepared, parameters)).await
        } else {
            let typed: Vec<_> = parameters.iter().copied().zip(statement.types.iter().cloned()).collect();
            timeout_at(deadline.at, client.query_typed(&statement.text, &typed)).await
        };
        match answer {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) => Err(Failure::of(&error)),
            Err(_) => Err(Failure::Lost(deadline.passed())),
        }
    }

    /// Runs a query of the catalog.
    pub(super) async fn typed(
        &self,
        text: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        deadline: Deadline,
    ) -> Result<Vec<Row>> {
        let client = self.client().map_err(Failure::into_unapplied)?;
        match timeout_at(deadline.at, client.query_typed(text, parameters)).await {
            Ok(rows) => rows.map_err(|error| Failure::of(&error).into_unapplied()),
            Err(_) => Err(Error::Unavailable(format!("PostgreSQL: {}", deadline.passed()))),
        }
    }

    /// Runs statements without parameters. Of several, those before a failed one may have been done.
    pub(super) async fn batch(&self, text: &str, deadline: Deadline) -> Result<()> {
        let client = self.client().map_err(Failure::into_unapplied)?;
        match timeout_at(deadline.at, client.batch_execute(text)).await {
            Ok(done) => done.map_err(|error| Failure::of(&error).into_unapplied()),
            Err(_) => Err(Error::Unavailable(format!("PostgreSQL: {}", deadline.passed()))),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}
