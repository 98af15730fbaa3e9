//! What is S3's own: how many requests a call takes, marks of expiry, lost answers, foreign objects, refusals.
//!
//! The suite that every adapter passes is `servers.rs`. Here each test has a prefix of its own in the shared bucket.

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod diagnosis;
mod encryption;
mod faults;
mod marks;
mod reference;
mod refusals;
mod relay;
mod requests;
mod transcript;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use dataknobs_kv_conformance::run::runtime;
use dataknobs_kv_core::Result;
use dataknobs_kv_services::shared;
use dataknobs_kv_storage::{Location, S3Config, S3Storage};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};

use relay::Relay;

/// No test takes so long unless it hangs.
const LONGEST: Duration = Duration::from_secs(180);

/// A prefix that nobody else uses.
pub(crate) struct Place {
    pub(crate) config: S3Config,
    pub(crate) service: &'static str,
}

impl Place {
    fn new(url: &str, service: &'static str) -> Self {
        let Ok(Location::S3(mut config)) = Location::parse(url) else { panic!("no S3 connection string") };
        config.prefix = format!("{}/{:016x}", config.prefix, rand::random::<u64>()).trim_start_matches('/').to_owned();
        // A busy machine is no fault of the store's.
        config.timeout = Duration::from_secs(60);
        Place { config, service }
    }

    pub(crate) async fn open(&self) -> S3Storage {
        self.try_open().await.expect("the store opens")
    }

    pub(crate) async fn try_open(&self) -> Result<S3Storage> {
        S3Storage::open(self.config.clone(), true).await
    }

    /// Of the server.
    pub(crate) fn port(&self) -> u16 {
        let endpoint = self.config.endpoint.as_deref().expect("an endpoint");
        endpoint.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port")
    }

    /// The same place through a relay.
    pub(crate) async fn behind_relay(&self) -> (Relay, Place) {
        let relay = Relay::start(self.port()).await;
        let mut config = self.config.clone();
        config.endpoint = Some(format!("http://127.0.0.1:{}", relay.port));
        (relay, Place { config, service: self.service })
    }
}

type Test = fn(Place) -> LocalBoxFuture<'static, ()>;

macro_rules! tests {
    ($($module:ident: $($name:ident)*;)*) => {
        &[$($((concat!(stringify!($module), "::", stringify!($name)), |place| $module::$name(place).boxed_local())),*),*]
    };
}

const TESTS: &[(&str, Test)] = tests! {
    requests: of_single_calls of_a_listing_of_keys of_a_listing_with_due_marks are_bounded_in_number creators_of_16_clients;
    marks: of_a_stalled_writer_are_kept of_a_refused_write_mean_nothing left_behind_do_not_hide_the_living of_two_writers_at_one_instant;
    faults: a_lost_answer_of_a_put_is_found_out a_lost_answer_of_a_delete_is_unknown nothing_heard_is_unknown slow_down_is_waited_for;
    damage: of_objects of_the_store;
    refusals: of_buckets_and_keys of_what_cannot_be_done;
    diagnosis: of_settings of_buckets_that_forget;
    encryption: by_an_authority_of_ones_own;
    transcript: is_true;
    reference: answers_as_the_reference_does;
};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for service in ["s3-seaweedfs", "s3-moto"] {
        let url = shared(service);
        for (name, test) in TESTS {
            let url = url.clone();
            let name = format!("{service}::{name}");
            trials.push(match url {
                Ok(url) => Trial::test(name, move || run(test(Place::new(&url, service)))),
                Err(missing) => missing.trial(name),
            });
        }
    }
    trials.push(Trial::ignorable_test("own_server::comes_back", faults::own_server));
    libtest_mimic::run(&arguments, trials).exit();
}

pub(crate) fn run(test: LocalBoxFuture<'static, ()>) -> Result<(), Failed> {
    let runtime = runtime();
    let outcome =
        runtime.block_on(async { tokio::time::timeout(LONGEST, AssertUnwindSafe(test).catch_unwind()).await });
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<String>().cloned();
            Err(text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default().into())
        }
        Err(_) => Err(format!("still running after {} s", LONGEST.as_secs()).into()),
    }
}
