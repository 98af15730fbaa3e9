//! Real services on real backends, several at once and while things go wrong: whether one order of all that their clients
//! saw explains it.
//!
//! `KV_TEST_POSTGRES=postgres://… cargo test -p dataknobs-kv-end-to-end --test linearizable -- postgres::`
//!
//! * `quiet`: clients of two services, each a process, on the server that all tests share
//! * `faults`: the same on a server of its own, which dies, stands still, is cut off, loses answers and is slow
//! * `many`: two, four, eight services: increments, appends and compare-and-swap lose nothing
//! * `broken`: adapters that are broken on purpose are caught
//!
//! `workload` is what the clients do, `faults` what is done to them. `KV_TEST_SOAK=600` goes on with faults for that many
//! seconds on each backend.

mod broken;
mod dirty;
mod faults;
mod many;
mod tally;
mod workload;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use dataknobs_kv::Location;
use dataknobs_kv_end_to_end::ServiceProcess;
use dataknobs_kv_services::history::{Checker, Verdict};
use dataknobs_kv_services::{Kind, Missing, Proxy, SERVICES, Server, Service};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::broken::Defect;
use crate::faults::{Bed, Fault, patiently, wait};
use crate::tally::Tally;
use crate::workload::{CLIENTS, Workload};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for service in SERVICES {
        trials.push(trial(format!("{}::quiet", service.name), || quiet(service)));
        trials.push(trial(format!("{}::faults", service.name), || faults(service)));
        trials.push(trial(format!("{}::many", service.name), || many(service)));
    }
    for (name, store, faults) in LOCAL {
        trials.push(trial(format!("{name}::faults"), || local(name, store, faults)));
    }
    for defect in Defect::ALL {
        trials.push(trial(format!("broken::{}", defect.name()), move || {
            broken::check(defect, &Checker::build()?).map_err(Trouble::from)
        }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// Why a trial does not end well.
enum Trouble {
    /// Something is not there.
    Missing(Missing),
    Failed(Failed),
}

impl From<Missing> for Trouble {
    fn from(missing: Missing) -> Self {
        Trouble::Missing(missing)
    }
}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        Trouble::Failed(failed)
    }
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Trouble::Failed(message.into())
    }
}

fn trial<E: Into<Trouble>>(name: String, run: impl FnOnce() -> Result<(), E> + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || match run().map_err(Into::into) {
        Ok(()) => Ok(Completion::Completed),
        Err(Trouble::Missing(missing)) => missing.outcome(),
        Err(Trouble::Failed(failed)) => Err(failed),
    })
}

/// A store without a server, and what can go wrong with the one service that has it.
const LOCAL: [(&str, &str, &[Fault]); 4] = [
    // What it holds ends with the process: it must not be killed.
    ("memory", "memory:", &[Fault::Quiet, Fault::ServicePaused]),
    ("redb", "file:{}/data.redb", &[Fault::Quiet, Fault::ServiceKilled, Fault::ServicePaused, Fault::ServiceKilled]),
    ("json", "file:{}/data.json", &[Fault::Quiet, Fault::ServiceKilled, Fault::ServicePaused, Fault::ServiceKilled]),
    ("json-gz", "file:{}/data.json.gz", &[Fault::Quiet, Fault::ServiceKilled]),
];

fn local(name: &str, store: &str, faults: &[Fault]) -> Result<(), Trouble> {
    let checker = Checker::build()?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let store = store.replace("{}", &folder.path().display().to_string());
    let services = vec![service(&store, folder.path())?];
    let bed = Bed { services, timeout: 0.0, proxy: None, server: None, deaths: Vec::new() };
    run(name, bed, faults, folder, &checker).map(drop)
}

fn service(store: &str, folder: &Path) -> Result<ServiceProcess, String> {
    patiently(|| ServiceProcess::start(store, folder, &["--cleanup-interval", "300ms"]))
}

fn quiet(service: &Service) -> Result<(), Trouble> {
    let checker = Checker::build()?;
    let url = known(service, service.url()?)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let services = vec![self::service(&url, folder.path())?, self::service(&url, folder.path())?];
    let bed = Bed { services, timeout: 0.0, proxy: None, server: None, deaths: Vec::new() };
    let tally = run(service.name, bed, &[Fault::Quiet; 2], folder, &checker)?;
    if tally.of("outcome-unknown") + tally.of("unavailable") > 0 {
        return Err(format!("nothing went wrong, and still: {tally}").into());
    }
    Ok(())
}

fn many(service: &Service) -> Result<(), Trouble> {
    let url = known(service, service.url()?)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let rounds = match service.name {
        // One request after the other.
        "s3-moto" => 1,
        // Where a write is a request of its own over HTTP, rivals for one key wait long for each other.
        name if name.starts_with("s3-") || name.ends_with("search") => 2,
        _ => 4,
    };
    let done = many::check(|| self::service(&url, folder.path()), rounds)?;
    println!("linearizable: {}: nothing lost: {done}", service.name);
    Ok(())
}

/// The URL, if this build opens it.
fn known(service: &Service, url: String) -> Result<String, Missing> {
    match Location::parse(&url) {
        Err(error) if error.code() == "unsupported" => Err(service.missing(error.message())),
        _ => Ok(url),
    }
}

fn faults(service: &Service) -> Result<(), Trouble> {
    let checker = Checker::build()?;
    let kind = Kind::from_name(service.name).ok_or("no kind of server").map_err(String::from)?;
    if kind == Kind::S3Moto {
        let reason = "what it holds is in its memory: there is nothing that could survive".into();
        return Err(Missing { reason, required: false }.into());
    }
    if !Kind::default_set().contains(&kind) {
        return Err(Missing { reason: "only on request (KV_TEST_OPT_IN)".into(), required: false }.into());
    }
    let server = Server::start(kind)?;
    let proxy = Proxy::to(&server)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    // Long enough for what they do at their opening.
    let timeout = if matches!(kind, Kind::Elasticsearch | Kind::Opensearch) { 3.0 } else { 1.0 };
    let impatient = |url: &str| {
        let (place, options) = url.split_once('?').unwrap_or((url, ""));
        let mut options: Vec<&str> = options.split('&').filter(|option| !option.starts_with("timeout=")).collect();
        let timeouts = format!("timeout={timeout}&retry=0.1");
        options.push(&timeouts);
        let connecting = format!("connect_timeout={timeout}");
        if matches!(kind, Kind::Postgres | Kind::Redis | Kind::RedisCluster | Kind::Valkey) {
            options.push(&connecting);
        }
        options.retain(|option| !option.is_empty());
        format!("{place}?{}", options.join("&"))
    };
    let urls = [impatient(server.url()), impatient(proxy.url())];
    let services = urls.iter().map(|url| self::service(url, folder.path())).collect::<Result<_, _>>()?;
    let bed = Bed { services, timeout, proxy: Some(proxy), server: Some(server), deaths: Vec::new() };
    run(service.name, bed, &Fault::of(kind), folder, &checker).map(drop)
}

fn last(report: &str) -> &str {
    report.lines().last().unwrap_or_default()
}

/// Clients at work while these faults happen, again and again for as long as was asked for; then the verdict.
fn run(
    name: &str,
    mut bed: Bed,
    faults: &[Fault],
    folder: tempfile::TempDir,
    checker: &Checker,
) -> Result<Tally, Trouble> {
    let soak = std::env::var("KV_TEST_SOAK").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    let addresses: Vec<&str> = bed.services.iter().map(ServiceProcess::address).collect();
    let workload = Workload::start(&addresses, folder.path());
    let began = Instant::now();
    let mut happened = Vec::new();
    while happened.is_empty() || began.elapsed() < Duration::from_secs(soak) {
        for fault in faults {
            wait(200);
            fault.strike(&mut bed)?;
            workload.settle();
            workload.answered(100);
            workload.next_phase();
            happened.push(*fault);
        }
    }
    let killed = (0..).zip(&happened).filter(|(_, fault)| **fault == Fault::ServerKilled).map(|(phase, _)| phase);
    let mut deaths: Vec<(u32, u64)> = killed.zip(bed.deaths.iter().copied()).collect();
    if !name.ends_with("search") {
        deaths.clear();
    }
    let (tally, verdict, report) = workload.finish(checker, &deaths)?;
    let services = bed.services.len();
    println!(
        "linearizable: {name}: {CLIENTS} clients, {services} services, {} faults; {tally}; {}",
        happened.len(),
        last(&report)
    );
    let mut unknown = BTreeMap::<&str, (u32, u64)>::new();
    for (phase, fault) in (0..).zip(&happened) {
        let count = tally.in_phase(phase, "outcome-unknown");
        let (times, sum) = unknown.entry(fault.name()).or_default();
        (*times, *sum) = (*times + 1, *sum + count);
        if fault.refuses_connections() && count > u64::from(2 * CLIENTS) {
            return Err(format!("{}: the outcome of {count} operations is unknown: {tally}", fault.name()).into());
        }
    }
    let unknown: Vec<String> =
        unknown.iter().map(|(fault, (times, count))| format!("{fault} ({times}x) {count}")).collect();
    println!("linearizable: {name}: outcome unknown: {}", unknown.join(", "));
    if verdict != Verdict::Linearizable {
        return Err(format!("{verdict:?}: {report}\nthe history is in {}", folder.keep().display()).into());
    }
    Ok(tally)
}
