//! What is PostgreSQL's own: the table, round trips, plans, rivals over several pools, broken connections.
//!
//! The suite that every adapter passes is `servers.rs`. Here each test has a table of its own.

#[path = "../common/mod.rs"]
mod common;
mod diagnosis;
mod errors;
mod faults;
mod lost;
mod manual;
mod plans;
mod proxy;
mod reference;
mod rivals;
mod rounds;
mod schema;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dataknobs_kv_conformance::run::runtime;
use dataknobs_kv_core::{Result, Storage};
use dataknobs_kv_services::{Kind, Server, shared};
use dataknobs_kv_storage::{Location, PostgresConfig, PostgresStorage};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio_postgres::NoTls;

/// No test takes so long unless it hangs.
const LONGEST: Duration = Duration::from_secs(180);

/// A table on the shared server that nobody else uses; dropped at the end.
pub(crate) struct Place {
    config: PostgresConfig,
    /// Why the test could not be made here, if it could not.
    ignored: OnceLock<String>,
}

impl Place {
    fn new(url: &str) -> Self {
        let Ok(Location::Postgres(config)) = Location::parse(url) else { panic!("no PostgreSQL URL") };
        let mut config = *config;
        config.table = format!("t_{:016x}", rand::random::<u64>());
        Place { config, ignored: OnceLock::new() }
    }

    pub(crate) fn config(&self) -> PostgresConfig {
        self.config.clone()
    }

    pub(crate) fn table(&self) -> &str {
        &self.config.table
    }

    /// The test cannot be made here: it counts as ignored.
    pub(crate) fn ignore(&self, reason: &str) {
        self.ignored.get_or_init(|| reason.to_owned());
    }

    pub(crate) async fn open(&self) -> PostgresStorage {
        self.try_open().await.expect("the store opens")
    }

    pub(crate) async fn try_open(&self) -> Result<PostgresStorage> {
        PostgresStorage::open(self.config(), true).await
    }

    /// The driver alone, as another program would come.
    pub(crate) async fn driver(&self) -> tokio_postgres::Client {
        driver(&self.config).await
    }

    /// Runs statements by the driver.
    pub(crate) async fn sql(&self, text: &str) {
        self.driver().await.batch_execute(text).await.unwrap_or_else(|e| panic!("{text}: {e:?}"));
    }
}

pub(crate) async fn driver(config: &PostgresConfig) -> tokio_postgres::Client {
    let mut driver = tokio_postgres::Config::new();
    driver.host(&config.host).port(config.port);
    if let Some(user) = &config.user {
        driver.user(user);
    }
    if let Some(password) = &config.password {
        driver.password(password);
    }
    if let Some(database) = &config.database {
        driver.dbname(database);
    }
    let (client, connection) = driver.connect(NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}

type Test = (&'static str, fn(Arc<Place>) -> LocalBoxFuture<'static, ()>);

/// A test with a server of its own; why it could not be made here, if it could not.
type Fault = fn(Arc<Server>) -> LocalBoxFuture<'static, Option<&'static str>>;

/// The tests of a module, by name.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[crate::Test] =
            &[$((concat!(module_path!(), "::", stringify!($name)), |place| Box::pin($name(place)))),*];
    };
}
pub(crate) use tests;

fn main() {
    let arguments = Arguments::from_args();
    let tests = [
        schema::TESTS,
        rounds::TESTS,
        plans::TESTS,
        rivals::TESTS,
        lost::TESTS,
        errors::TESTS,
        manual::TESTS,
        diagnosis::TESTS,
        reference::TESTS,
    ];
    let runtime = runtime();
    let mut trials = Vec::new();
    for (name, test) in tests.into_iter().flatten() {
        let runtime = runtime.clone();
        trials.push(Trial::ignorable_test(name.trim_start_matches("postgres::"), move || {
            let url = match shared("postgres") {
                Ok(url) => url,
                Err(missing) => return missing.outcome(),
            };
            let place = Arc::new(Place::new(&url));
            let outcome = runtime.block_on(attempt(test(place.clone())));
            let clean = format!("drop table if exists \"{}\" cascade", place.table());
            runtime.block_on(place.sql(&clean));
            outcome?;
            match place.ignored.get() {
                Some(reason) => Ok(Completion::ignored_with(reason)),
                None => Ok(Completion::Completed),
            }
        }));
    }
    for (name, test) in faults::TESTS {
        let runtime = runtime.clone();
        trials.push(Trial::ignorable_test(*name, move || match Server::start(Kind::Postgres) {
            Ok(server) => match runtime.block_on(attempt(test(Arc::new(server))))? {
                Some(reason) => Ok(Completion::ignored_with(reason)),
                None => Ok(Completion::Completed),
            },
            Err(missing) => missing.outcome(),
        }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

async fn attempt<T>(test: LocalBoxFuture<'static, T>) -> std::result::Result<T, Failed> {
    match tokio::time::timeout(LONGEST, AssertUnwindSafe(test).catch_unwind()).await {
        Ok(Ok(done)) => Ok(done),
        // Its message was printed.
        Ok(Err(_)) => Err("it panicked".into()),
        Err(_) => Err(format!("still running after {} s", LONGEST.as_secs()).into()),
    }
}

/// How many entries there are.
pub(crate) async fn count(storage: &dyn Storage) -> u64 {
    storage.count(common::NS, Default::default(), 1).await.unwrap().expect("a count")
}
