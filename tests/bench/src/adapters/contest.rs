//! Rivals that do the same.
//!
//! They take turns, each round begins with another one, and a ratio is the median of the rounds' ratios, which a machine
//! that is slow for a moment does not bend.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::Result;
use crate::measure::median;
use crate::report::digits;

pub(super) const ROUNDS: usize = 7;
/// About how long one rival's part of a round lasts.
const TURN: Duration = Duration::from_millis(400);

type Call = Pin<Box<dyn Future<Output = Result> + Send>>;

/// What one caller does again and again: which caller, and the how manieth time.
pub(super) type Work = Arc<dyn Fn(usize, usize) -> Call + Send + Sync>;

/// Makes work of an asynchronous closure over something shared.
pub(super) fn work<S, F>(shared: &Arc<S>, call: impl Fn(Arc<S>, usize, usize) -> F + Send + Sync + 'static) -> Work
where
    S: Send + Sync + ?Sized + 'static,
    F: Future<Output = Result> + Send + 'static,
{
    let shared = shared.clone();
    Arc::new(move |caller, turn| Box::pin(call(shared.clone(), caller, turn)))
}

/// What is aimed at.
#[derive(Clone, Copy)]
pub(super) enum Must {
    Nothing,
    /// Of the driver's rate, at least so much.
    Ratio(f64),
    /// At most so many milliseconds for a call.
    Millis(f64),
}

/// The driver, the adapter and the store.
pub(super) struct Contest {
    pub(super) what: String,
    pub(super) rivals: [Work; 3],
    pub(super) callers: usize,
    pub(super) must: Must,
}

impl Contest {
    /// A row of the table.
    pub(super) fn run(&self, tokio: &Runtime) -> Result<Vec<String>> {
        // Connections are opened, statements prepared, and what is called is known.
        let mut slowest = f64::INFINITY;
        for work in &self.rivals {
            round(tokio, work, self.callers, self.callers * 2)?;
            slowest = slowest.min(round(tokio, work, self.callers, self.callers * 8)?);
        }
        let calls = (slowest * TURN.as_secs_f64()) as usize;
        let calls = calls.clamp(self.callers, 100_000);
        let mut rates = [Vec::new(), Vec::new(), Vec::new()];
        for at in 0..ROUNDS {
            for place in 0..3 {
                let rival = (at + place) % 3;
                rates[rival].push(round(tokio, &self.rivals[rival], self.callers, calls)?);
            }
        }
        Ok(row(&self.what, self.callers, &rates, self.must))
    }
}

/// Rates of each round become a row.
pub(super) fn row(what: &str, callers: usize, rates: &[Vec<f64>; 3], must: Must) -> Vec<String> {
    let [bare, adapter, store] = rates;
    let ratio = |ours: &[f64]| median(&ours.iter().zip(bare).map(|(ours, bare)| ours / bare).collect::<Vec<_>>());
    let (of_adapter, of_store) = (ratio(adapter), ratio(store));
    let shown = |rates: &[f64]| match must {
        Must::Millis(_) => digits(1000.0 * callers as f64 / median(rates)),
        _ => digits(median(rates)),
    };
    let (must, verdict) = match must {
        Must::Nothing => (String::new(), ""),
        Must::Ratio(least) => (format!("≥ {least}"), verdict(of_adapter >= least, of_store >= least)),
        Must::Millis(most) => {
            let met = |rates: &[f64]| 1000.0 * callers as f64 / median(rates) <= most;
            (format!("≤ {most} ms"), verdict(met(adapter), met(store)))
        }
    };
    let mut row = vec![what.to_owned(), callers.to_string()];
    row.extend([shown(bare), shown(adapter), shown(store), digits(of_adapter), digits(of_store)]);
    row.extend([must, verdict.to_owned()]);
    row
}

fn verdict(adapter: bool, store: bool) -> &'static str {
    match (adapter, store) {
        (_, true) => "met",
        (true, false) => "met by the adapter alone",
        (false, false) => "missed",
    }
}

/// All callers at once, each one call after the other: calls per second.
fn round(tokio: &Runtime, work: &Work, callers: usize, calls: usize) -> Result<f64> {
    let each = (calls / callers).max(1);
    tokio.block_on(async {
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
    })
}
