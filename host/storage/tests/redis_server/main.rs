//! What only a Redis store has: on servers of its own, which are flushed, filled, killed and rearranged.
//!
//! * `layout`: what lies in Redis, and what happens when it is not ours; `transcript`: what the documentation shows of it
//! * `rounds`: what a call costs in requests
//! * `refusals`: the server's errors, each in the store's words
//! * `lost`: data that Redis drops by itself, or that somebody flushes; clocks that differ
//! * `faults`: servers that are killed or stand still, connections that break
//! * `cluster`: slots that move, nodes that die
//! * `rivals`: several stores on one key
//! * `tls`; `diagnosis`: what is told of its settings

#[path = "../common/mod.rs"]
mod common;

mod cluster;
mod diagnosis;
mod faults;
mod layout;
mod lost;
mod refusals;
mod rivals;
mod rounds;
mod tls;
mod transcript;

use std::sync::Arc;

use dataknobs_kv_core::storage::{Mutation, Outcome};
use dataknobs_kv_core::{Projection, Result, Storage};
use dataknobs_kv_services::{Kind, Server};
use dataknobs_kv_storage::OpenOptions;
use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value};

/// A server of a case's own.
struct Bed {
    server: Server,
}

type Case = fn(Bed) -> BoxFuture<'static, ()>;

/// Names cases after their functions.
macro_rules! cases {
    ($($kind:ident: $($module:ident :: $name:ident),+ $(,)?;)+) => {
        fn trials() -> Vec<Trial> {
            vec![$($({
                let case: Case = |bed| Box::pin($module::$name(bed));
                let name = concat!(stringify!($module), "::", stringify!($name));
                Trial::ignorable_test(format!("{name}_on_{}", Kind::$kind.name()), move || run(Kind::$kind, case))
            }),+),+]
        }
    };
}

cases! {
    Redis:
        layout::hashes_and_indexes, layout::nothing_is_left_behind, layout::foreign_entries, layout::foreign_indexes,
        layout::stores_that_are_not_ours, layout::nasty_names, layout::answers_as_the_reference_does,
        rounds::one_request_each, rounds::pages_of_a_hundred_thousand, rounds::scripts_are_sent_once,
        refusals::passwords, refusals::rights, refusals::databases, refusals::memory_is_full, refusals::replicas,
        refusals::busy_servers, refusals::kinds_of_servers,
        lost::flushed, lost::expired_by_redis, lost::evicted, lost::evicting_servers, lost::clocks_that_differ,
        lost::what_is_durable,
        faults::killed_while_writing, faults::restarted_between_calls, faults::standing_still, faults::cut_off,
        faults::answers_that_are_lost, faults::answers_that_are_found_again,
        rivals::increments, rivals::batches_in_pieces,
        tls::encrypted, transcript::is_true, diagnosis::of_settings;
    Valkey:
        layout::hashes_and_indexes, layout::answers_as_the_reference_does, rounds::one_request_each,
        refusals::memory_is_full, lost::expired_by_redis, faults::killed_while_writing;
    RedisCluster:
        layout::nasty_names, layout::answers_as_the_reference_does, cluster::shards_answer_as_the_reference_does,
        cluster::forgotten_scripts, cluster::slots_that_move, cluster::a_dead_node, cluster::flushed_register,
        cluster::is_told_from_one_server, rivals::increments;
}

fn main() {
    libtest_mimic::run(&Arguments::from_args(), trials()).exit();
}

fn run(kind: Kind, case: Case) -> Result<Completion, Failed> {
    match Server::start(kind) {
        Ok(server) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            runtime.block_on(case(Bed { server }));
            Ok(Completion::Completed)
        }
        Err(missing) => missing.outcome(),
    }
}

impl Bed {
    /// The connection string, with more options.
    fn url(&self, options: &str) -> String {
        let question = if options.is_empty() { "" } else { "?" };
        format!("{}{question}{options}", self.server.url())
    }

    async fn try_open(&self, options: &str) -> Result<Arc<dyn Storage>> {
        dataknobs_kv_storage::open(&self.url(options), &OpenOptions::default()).await
    }

    async fn open(&self, options: &str) -> Arc<dyn Storage> {
        self.try_open(options).await.expect("the store opens")
    }

    /// A connection beside the store's; of a cluster, to one of its nodes.
    async fn raw_of(&self, node: usize) -> Raw {
        let client = redis::Client::open(("127.0.0.1", self.server.ports()[node])).unwrap();
        Raw(client.get_multiplexed_async_connection().await.expect("a connection"))
    }

    async fn raw(&self) -> Raw {
        self.raw_of(0).await
    }
}

/// Commands as in `redis-cli`, in words.
struct Raw(MultiplexedConnection);

impl Raw {
    async fn try_run(&mut self, words: &[&str]) -> Result<Value, redis::RedisError> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        self.0.send_packed_command(&command).await?.extract_error()
    }

    async fn run(&mut self, words: &[&str]) -> Value {
        self.try_run(words).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    async fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        T::from_redis_value(self.run(words).await).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    async fn keys(&mut self) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["KEYS", "*"]).await;
        keys.sort();
        keys
    }

    async fn set(&mut self, setting: &str, value: &str) {
        self.run(&["CONFIG", "SET", setting, value]).await;
    }
}

/// One mutation of a namespace.
async fn write_to(storage: &dyn Storage, namespace: &str, mutation: Mutation, now: u64) -> Result<Outcome> {
    storage.write(namespace, vec![mutation], false, now, Projection::Value).await?.remove(0)
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    result.expect_err("an error").code()
}
