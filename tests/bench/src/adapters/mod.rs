//! Each adapter against its backend's bare driver, on a real server.
//!
//! * this file: the contest between the two, and its table
//! * one file for each adapter: what the two do
//!
//! Both do the same at the same time of day: rounds take turns, each begins with the other one, and the ratio is the median
//! of the rounds' ratios, which a machine that is slow for a minute does not bend.

mod postgres;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use dataknobs_kv_services::{Kind, Server, shared};
use tokio::runtime::Runtime;

use crate::Result;
use crate::measure::median;
use crate::report::{Goal, Section, digits};

const ROUNDS: usize = 7;
/// How many callers there are at once.
const CALLERS: [usize; 2] = [1, 32];

type Call = Pin<Box<dyn Future<Output = Result> + Send>>;

/// What one caller does again and again: who of them, and the how manieth time.
pub(crate) type Work = Arc<dyn Fn(usize, usize) -> Call + Send + Sync>;

/// Two that do the same.
pub(crate) struct Contest {
    /// What they do.
    what: &'static str,
    /// The driver alone, and through the adapter.
    bare: Work,
    ours: Work,
    /// How many callers.
    callers: usize,
    /// Calls in a round, of all callers together.
    calls: usize,
    /// The least ratio of the rates that is aimed at.
    goal: Option<(&'static str, f64)>,
}

/// Makes work of an asynchronous closure over something shared.
pub(crate) fn work<S, F>(shared: &Arc<S>, call: impl Fn(Arc<S>, usize, usize) -> F + Send + Sync + 'static) -> Work
where
    S: Send + Sync + 'static,
    F: Future<Output = Result> + Send + 'static,
{
    let shared = shared.clone();
    Arc::new(move |caller, turn| Box::pin(call(shared.clone(), caller, turn)))
}

type Contests = Pin<Box<dyn Future<Output = Result<Vec<Contest>>>>>;

/// By the name of the service: what is measured on it, given the connection string of a store.
const ADAPTERS: &[(&str, Kind, fn(String) -> Contests)] =
    &[("postgres", Kind::Postgres, |url| Box::pin(postgres::contests(url)))];

pub(crate) fn measure() -> Result<Section> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut section = Section {
        title: "Adapters beside their drivers",
        method: format!(
            "The same work by the bare driver and through the adapter, on one server on this machine with its durable \
             settings,\nby 1 caller and by 32. Calls a second; medians of {ROUNDS} rounds in turn."
        ),
        columns: vec!["", "callers", "driver", "adapter", "ratio"],
        rows: Vec::new(),
        goals: Vec::new(),
    };
    for (name, kind, contests) in ADAPTERS {
        // One that is up already, or one for now.
        let mut own = None;
        let url = match shared(name) {
            Ok(url) => url,
            Err(_) => match Server::start(*kind) {
                Ok(server) => own.insert(server).url().to_owned(),
                Err(missing) => {
                    eprintln!("bench: {name}: not measured: {}", missing.reason);
                    continue;
                }
            },
        };
        for contest in runtime.block_on(contests(url))? {
            eprintln!("bench: {name}: {}, {} at once", contest.what, contest.callers);
            let outcome = runtime_rounds(&runtime, &contest)?;
            section.rows.push(vec![
                format!("{name}: {}", contest.what),
                contest.callers.to_string(),
                digits(outcome.bare),
                digits(outcome.ours),
                digits(outcome.ratio),
            ]);
            if let Some((aim, limit)) = contest.goal {
                section.goals.push(Goal { aim, measured: Some(outcome.ratio), limit, at_least: true });
            }
        }
        drop(own);
    }
    Ok(section)
}

/// Calls a second, and the median of the rounds' ratios.
struct Outcome {
    bare: f64,
    ours: f64,
    ratio: f64,
}

fn runtime_rounds(runtime: &Runtime, contest: &Contest) -> Result<Outcome> {
    // One to warm up: connections are opened and statements prepared.
    for work in [&contest.bare, &contest.ours] {
        runtime.block_on(round(work, contest.callers, contest.callers * 8))?;
    }
    let (mut bare, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for at in 0..ROUNDS {
        let mut rate = |work: &Work| runtime.block_on(round(work, contest.callers, contest.calls));
        let (b, o);
        if at % 2 == 0 {
            b = rate(&contest.bare)?;
            o = rate(&contest.ours)?;
        } else {
            o = rate(&contest.ours)?;
            b = rate(&contest.bare)?;
        }
        bare.push(b);
        ours.push(o);
        ratios.push(o / b);
    }
    Ok(Outcome { bare: median(&bare), ours: median(&ours), ratio: median(&ratios) })
}

/// All callers at once, each one call after the other: calls a second.
async fn round(work: &Work, callers: usize, calls: usize) -> Result<f64> {
    let each = (calls / callers).max(1);
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let work = work.clone();
        tasks.spawn(async move {
            for turn in 0..each {
                work(caller, turn).await?;
            }
            Result::Ok(())
        });
    }
    for result in tasks.join_all().await {
        result?;
    }
    Ok((each * callers) as f64 / began.elapsed().as_secs_f64())
}
