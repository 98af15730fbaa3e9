//! Runs every case on a runner, with a line for each.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dataknobs_kv_core::storage::Capabilities;
use futures::FutureExt;
use libtest_mimic::{Arguments, Completion, Conclusion, Failed, Trial};
use tokio::runtime::Runtime;

use crate::{Case, Harness, Need, all};

/// A place to run the cases.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// What its lines are called.
    fn name(&self) -> &str;
    /// What the backend under it declares.
    fn capabilities(&self) -> Capabilities;
    /// Why it cannot give this, if it cannot.
    fn lacks(&self, need: Need) -> Option<&'static str>;
    /// For one case: a namespace that nobody used, and the clock at [`HandClock::START`](crate::HandClock::START).
    async fn harness(&self) -> Harness;
    /// Why cases of this topic are left to other runners, if they are.
    fn leaves_out(&self, _topic: &str) -> Option<&'static str> {
        None
    }
    /// Whether cases must take turns (where they share a clock).
    fn takes_turns(&self) -> bool {
        false
    }
}

/// No case takes so long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// Where each call goes to a server, on a machine that has more to do.
const SLOW_DEADLINE: Duration = Duration::from_secs(600);

/// Why the case cannot run here, if it cannot.
fn why_not(case: &Case, runner: &dyn Runner, capabilities: &Capabilities) -> Option<String> {
    if let Some(reason) = runner.leaves_out(case.topic) {
        return Some(reason.to_owned());
    }
    case.needs.iter().find_map(|need| match need.declared(capabilities) {
        Some(true) => None,
        Some(false) => Some(format!("needs {need:?}, which the backend declares not")),
        None => runner.lacks(*need).map(|reason| format!("needs {need:?}: {reason}")),
    })
}

/// Runs one case; the message of its failure.
pub async fn attempt(case: &Case, harness: Harness) -> Result<(), String> {
    let deadline = if harness.slow { SLOW_DEADLINE } else { DEADLINE };
    let future = AssertUnwindSafe((case.run)(harness)).catch_unwind();
    match tokio::time::timeout(deadline, future).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(panic)) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "a panic".into())),
        Err(_) => Err(format!("still running after {} s", deadline.as_secs())),
    }
}

/// The runtime that cases run on: on threads, so that rivals are rivals.
pub fn runtime() -> Arc<Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    Arc::new(runtime.expect("a runtime"))
}

/// Runs every case on the runner, prints a line for each and, at the end, what was ignored and why.
pub fn run(arguments: &Arguments, runner: Arc<dyn Runner>, runtime: Arc<Runtime>) -> Conclusion {
    let capabilities = runner.capabilities();
    let mut ignored = BTreeMap::<String, usize>::new();
    let trials = all()
        .map(|case| {
            let name = format!("{}::{}", runner.name(), case.path());
            if let Some(reason) = why_not(case, &*runner, &capabilities) {
                *ignored.entry(reason.clone()).or_default() += 1;
                return Trial::ignorable_test(name, move || Ok(Completion::ignored_with(reason)));
            }
            let (runner, runtime) = (runner.clone(), runtime.clone());
            Trial::test(name, move || {
                let handle = runtime.handle().clone();
                handle.block_on(async {
                    let harness = runner.harness().await;
                    attempt(case, harness)
                        .await
                        .map_err(|message| Failed::from(format!("{message}\n(clauses {})", case.clauses.join(", "))))
                })
            })
        })
        .collect::<Vec<_>>();
    let mut arguments = arguments.clone();
    if runner.takes_turns() {
        arguments.test_threads = Some(1);
    }
    if !arguments.list {
        // The message comes again at the end, with the case's clauses; a backtrace of the runtime helps nobody.
        std::panic::set_hook(Box::new(|panic| eprintln!("\n{panic}")));
        println!("\n{}: {} cases of {}", runner.name(), trials.len() - ignored.values().sum::<usize>(), trials.len());
        for (reason, count) in &ignored {
            println!("{}: ignoring {count}: {reason}", runner.name());
        }
    }
    libtest_mimic::run(&arguments, trials)
}
