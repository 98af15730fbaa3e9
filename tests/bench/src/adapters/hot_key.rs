//! One key that many callers count up, in two processes at once: through the whole store, and by the backend's own means.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use dataknobs_kv_core::Store;
use dataknobs_kv_core::store::{Expiry, Numeric};
use dataknobs_kv_runtime::{Runtime, RuntimeConfig};
use tokio::runtime::Runtime as Tokio;

use super::contest::{Must, row};
use super::{Backend, Bare, NS, Ours, POOL, backend};
use crate::Result;

const PROCESSES: usize = 2;
const ROUNDS: usize = 5;
/// About how long a round lasts.
const ROUND_SECONDS: f64 = 1.0;

pub(super) fn run(backend: &Backend, url: &str, tokio: &Tokio) -> Result<Vec<String>> {
    let mut bare = Side::start(backend, "driver", url)?;
    let mut ours = Side::start(backend, "store", url)?;
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    // To warm up, and to know how many take a second.
    let counts = [bare.round(2)?, ours.round(2)?].map(|rate| count(rate * ROUND_SECONDS));
    for round in 0..ROUNDS {
        let one = |side: &mut Side, rates: &mut Vec<f64>, count| {
            rates.push(side.round(count)?);
            Result::Ok(())
        };
        if round % 2 == 0 {
            one(&mut bare, &mut rates[0], counts[0])?;
            one(&mut ours, &mut rates[2], counts[1])?;
        } else {
            one(&mut ours, &mut rates[2], counts[1])?;
            one(&mut bare, &mut rates[0], counts[0])?;
        }
    }
    let (of_bare, of_ours) = (bare.end()?, ours.end()?);
    tokio.block_on(async {
        let driver = (backend.bare)(url.to_owned()).await?;
        let ours = Ours::open(url, &Runtime::new(RuntimeConfig::default())?).await?;
        let stands = driver.counted("hot.driver").await?;
        if stands != of_bare {
            return Err(format!("the driver counted to {stands} and not to {of_bare}").into());
        }
        let stands = ours.store.get(NS, "hot.store").await?.and_then(|state| state.value).unwrap_or_default();
        if stands != of_ours.to_string().as_bytes() {
            return Err(format!("the store did not count to {of_ours}").into());
        }
        Result::Ok(())
    })?;
    let what = format!("increment of one hot key, {PROCESSES} processes");
    Ok(row(&what, POOL, &rates, Must::Ratio(backend.musts.increment)))
}

/// For each caller.
fn count(calls: f64) -> usize {
    ((calls / POOL as f64) as usize).clamp(2, 100_000)
}

/// The processes of one rival.
struct Side {
    processes: Vec<(Child, ChildStdin, BufReader<ChildStdout>)>,
    /// What they counted in all.
    total: u64,
}

impl Side {
    fn start(backend: &Backend, who: &str, url: &str) -> Result<Self> {
        let mut processes = Vec::new();
        for _ in 0..PROCESSES {
            let mut command = Command::new(std::env::current_exe()?);
            // The connection string may hold a password: it does not stand where all can read it.
            command.args(["child-hot-key", backend.name, who]).env("KV_BENCH_URL", url);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let (stdin, stdout) = (child.stdin.take().ok_or("no input")?, child.stdout.take().ok_or("no output")?);
            processes.push((child, stdin, BufReader::new(stdout)));
        }
        let mut side = Side { processes, total: 0 };
        side.heard()?;
        Ok(side)
    }

    /// Waits for a line of each.
    fn heard(&mut self) -> Result {
        for (_, _, output) in &mut self.processes {
            let mut line = String::new();
            output.read_line(&mut line)?;
            if line.trim() != "ready" {
                return Err(format!("a process of the measurement said {line:?}").into());
            }
        }
        Ok(())
    }

    /// So many by each caller: increments per second.
    fn round(&mut self, each: usize) -> Result<f64> {
        let began = Instant::now();
        for (_, input, _) in &mut self.processes {
            writeln!(input, "{each}")?;
            input.flush()?;
        }
        self.heard()?;
        self.total += (each * POOL) as u64;
        Ok((each * POOL) as f64 / began.elapsed().as_secs_f64())
    }

    fn end(mut self) -> Result<u64> {
        for (child, input, _) in std::mem::take(&mut self.processes) {
            drop(input);
            let mut child = child;
            child.wait()?;
        }
        Ok(self.total)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        for (child, ..) in &mut self.processes {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

enum Counter {
    Bare(Arc<dyn Bare>),
    Store(Arc<dyn Store>),
}

impl Counter {
    async fn increment(&self, caller: usize) -> Result {
        match self {
            Counter::Bare(bare) => bare.increment(caller, "hot.driver").await,
            Counter::Store(store) => {
                store.increment(NS, "hot.store", Numeric::Integer(1), Expiry::Unspecified).await?;
                Ok(())
            }
        }
    }
}

/// Counts as often as each line of its input says, with its share of the callers, and says when it has.
pub(crate) fn child(args: &[String]) -> Result {
    let [name, who] = args else { return Err("which backend, and by what?".into()) };
    let (backend, url) = (backend(name)?, std::env::var("KV_BENCH_URL")?);
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let runtime = Runtime::new(RuntimeConfig::default())?;
    let counter = Arc::new(match who.as_str() {
        "driver" => Counter::Bare(tokio.block_on((backend.bare)(url))?),
        _ => Counter::Store(tokio.block_on(Ours::open(&url, &runtime))?.store),
    });
    println!("ready");
    for line in std::io::stdin().lines() {
        let each: usize = line?.trim().parse()?;
        tokio.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for caller in 0..POOL / PROCESSES {
                let counter = counter.clone();
                tasks.spawn(async move {
                    for _ in 0..each {
                        counter.increment(caller).await?;
                    }
                    Result::Ok(())
                });
            }
            tasks.join_all().await.into_iter().collect::<Result>()
        })?;
        println!("ready");
    }
    Ok(())
}
