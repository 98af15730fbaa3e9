//! The suite wherever a store can be had: the component, on files and on servers; the service; the command line.
//!
//! Filters work as usual: `cargo test -p dataknobs-kv-end-to-end --test conformance -- http::`.

mod cli;
mod clock;
mod component;
mod http;

use std::sync::Arc;

use dataknobs_kv_conformance::{Runner, all, run};
use dataknobs_kv_services::SERVICES;
use futures::future::{BoxFuture, FutureExt};
use libtest_mimic::Arguments;

use component::Component;

/// Starts what a runner needs.
type Make = fn() -> BoxFuture<'static, Arc<dyn Runner>>;

macro_rules! make {
    ($runner:expr) => {
        || async { Arc::new($runner) as Arc<dyn Runner> }.boxed()
    };
}

/// The core runs the suite over every server, in the storage crate. Here is one of each kind.
const SERVERS: [&str; 5] = ["postgres", "redis", "redis-cluster", "s3-seaweedfs", "elasticsearch"];

fn main() {
    let arguments = Arguments::from_args();
    let runtime = run::runtime();
    // A service is not started for cases that are filtered out.
    let wanted = |name: &str| match &arguments.filter {
        None => true,
        Some(filter) => all().any(|case| format!("{name}::{}", case.path()).contains(filter)),
    };
    let makers: [(&str, Make); 7] = [
        ("component-memory", make!(Component::on_memory().await)),
        ("component-redb", make!(Component::on_files("component-redb", ".redb").await)),
        ("component-json", make!(Component::on_files("component-json", ".json").await)),
        ("component-json-gz", make!(Component::on_files("component-json-gz", ".json.gz").await)),
        ("component-cache", make!(Component::on_cached_memory().await)),
        ("http", make!(http::Http::start())),
        ("cli", make!(cli::Cli::new())),
    ];
    let mut failed = false;
    for (_, make) in makers.into_iter().filter(|(name, _)| wanted(name)) {
        let runner = runtime.block_on(make());
        failed |= run(&arguments, runner, runtime.clone()).has_failed();
    }
    for service in SERVICES.iter().filter(|service| SERVERS.contains(&service.name)) {
        let name = component::name_on(*service);
        if !wanted(&name) {
            continue;
        }
        failed |= match service.url() {
            Ok(url) => {
                let runner = runtime.block_on(Component::on_server(*service, url));
                run(&arguments, Arc::new(runner), runtime.clone()).has_failed()
            }
            Err(missing) => {
                libtest_mimic::run(&arguments, vec![missing.trial(format!("{name}::all_cases"))]).has_failed()
            }
        };
    }
    std::process::exit(if failed { 101 } else { 0 });
}
