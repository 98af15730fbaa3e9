//! The suite wherever a store can be had: the component, the service, the command line.
//!
//! Filters work as usual: `cargo test -p dataknobs-kv-end-to-end --test conformance -- http::`.

mod cli;
mod clock;
mod component;
mod http;

use std::sync::Arc;

use dataknobs_kv_conformance::{Runner, all, run};
use libtest_mimic::Arguments;

/// Starts what a runner needs.
type Make = fn() -> Arc<dyn Runner>;

fn main() {
    let arguments = Arguments::from_args();
    let runtime = run::runtime();
    // A service is not started for cases that are filtered out.
    let wanted = |name: &str| match &arguments.filter {
        None => true,
        Some(filter) => all().any(|case| format!("{name}::{}", case.path()).contains(filter)),
    };
    let makers: [(&str, Make); 7] = [
        ("component-memory", || Arc::new(component::Component::on_memory())),
        ("component-redb", || Arc::new(component::Component::on_files("component-redb", ".redb"))),
        ("component-json", || Arc::new(component::Component::on_files("component-json", ".json"))),
        ("component-json-gz", || Arc::new(component::Component::on_files("component-json-gz", ".json.gz"))),
        ("component-cache", || Arc::new(component::Component::on_cached_memory())),
        ("http", || Arc::new(http::Http::start())),
        ("cli", || Arc::new(cli::Cli::new())),
    ];
    let mut failed = false;
    for (_, make) in makers.into_iter().filter(|(name, _)| wanted(name)) {
        let runner = runtime.block_on(async { make() });
        failed |= run(&arguments, runner, runtime.clone()).has_failed();
    }
    std::process::exit(if failed { 101 } else { 0 });
}
