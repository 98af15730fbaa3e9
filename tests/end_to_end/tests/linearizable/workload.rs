//! Clients of several services that work on the same few keys at once, and write down what they asked and were told.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dataknobs_kv::{
    DeleteResult, Error, Expiry, Item, Numeric, Precondition, Projection, SetOptions, SetResult, State, Store,
    SwapResult, Value, Version,
};
use dataknobs_kv_client::{HttpOptions, HttpStore};
use dataknobs_kv_conformance::harness::fresh_namespace;
use dataknobs_kv_services::history::{Action, Asked, Checker, History, Outcome, Verdict, now};
use rand::RngExt;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::dirty::without_early_looks;
use crate::faults::{PATIENCE, wait};
use crate::tally::Tally;

/// How many work at once, all of them with each service.
pub(crate) const CLIENTS: u32 = 8;

/// The keys of a phase: entries that stay, entries that may expire, counters that stay, counters that may expire.
const KEYS: [&str; 8] = ["entry.0", "entry.1", "brief.0", "brief.1", "counter.0", "counter.1", "spell.0", "spell.1"];

/// The key that one operation of three is about: where many count, those that wait are counted as one.
const HOT: &str = "counter.0";

/// Clients at work.
pub(crate) struct Workload {
    shared: Arc<Shared>,
    clients: JoinSet<Result<Tally, String>>,
    runtime: Runtime,
    folder: PathBuf,
}

struct Shared {
    stores: Vec<HttpStore>,
    namespace: String,
    history: History,
    clocks: Clocks,
    /// Each has keys of its own: a history that is short is judged quickly, and what an operation that was never answered
    /// may have done is soon of no interest.
    phase: AtomicU32,
    /// How many were answered in this phase.
    answered: AtomicU32,
    over: AtomicBool,
}

/// What the history's clock says when the services' clock says 0, in nanoseconds: both never stand still.
#[derive(Clone, Copy)]
struct Clocks(i128);

impl Clocks {
    /// Looks at one between two looks at the other, until nothing came between.
    fn look() -> Self {
        loop {
            let before = now();
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
            if now() - before < 200_000 {
                return Clocks(i128::from(before) - wall.cast_signed());
            }
        }
    }

    fn milliseconds(self) -> u64 {
        let nanoseconds = i128::from(now()) - self.0;
        u64::try_from(nanoseconds / 1_000_000).expect("after 1970")
    }

    /// The history's time at which the services' clock shows so many milliseconds.
    fn instant(self, milliseconds: u64) -> u64 {
        u64::try_from(i128::from(milliseconds) * 1_000_000 + self.0).expect("after the machine started")
    }
}

impl Workload {
    /// Begins, over services at these addresses. What is written down goes into this folder.
    pub(crate) fn start(addresses: &[&str], folder: &Path) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let options = HttpOptions { timeout: Duration::from_secs(20), ..HttpOptions::default() };
        let connect = |address: &&str| HttpStore::connect(address, options.clone()).expect("an address");
        let folder = folder.to_owned();
        let shared = Arc::new(Shared {
            stores: addresses.iter().map(connect).collect(),
            namespace: fresh_namespace(),
            history: History::create(&folder.join("history.jsonl")).expect("a file for the history"),
            clocks: Clocks::look(),
            phase: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            over: AtomicBool::new(false),
        });
        let mut clients = JoinSet::new();
        for id in 0..CLIENTS {
            let client =
                Client { id, shared: shared.clone(), known: HashMap::new(), count: 0, tally: Tally::default() };
            clients.spawn_on(client.run(), runtime.handle());
        }
        Workload { shared, clients, runtime, folder }
    }

    /// Waits until each service does a write again; none was started anew by whoever calls this.
    pub(crate) fn settle(&self) {
        self.runtime.block_on(async {
            for (at, store) in self.shared.stores.iter().enumerate() {
                let began = Instant::now();
                loop {
                    let item =
                        Item { key: format!("settled.{at}"), value: Value::Integer(1), options: SetOptions::default() };
                    let Err(error) = store.set(&self.shared.namespace, item).await else { break };
                    assert!(passing(&error), "{error}");
                    assert!(began.elapsed() < PATIENCE, "service {at} does not recover: {error}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
    }

    /// Waits until so many operations of this phase were answered: on a busy machine that takes its time.
    pub(crate) fn answered(&self, count: u32) {
        let began = Instant::now();
        while self.shared.answered.load(Ordering::SeqCst) < count && began.elapsed() < PATIENCE {
            wait(10);
        }
    }

    /// Goes on with other keys.
    pub(crate) fn next_phase(&self) {
        self.shared.answered.store(0, Ordering::SeqCst);
        self.shared.phase.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends it, reads every key once more by each service, and has the history checked, without what was read too early
    /// before these deaths of the server.
    pub(crate) fn finish(
        mut self,
        checker: &Checker,
        deaths: &[(u32, u64)],
    ) -> Result<(Tally, Verdict, String), String> {
        self.shared.over.store(true, Ordering::SeqCst);
        let shared = self.shared.clone();
        let tally = self.runtime.block_on(async {
            let mut sum = Tally::default();
            while let Some(client) = self.clients.join_next().await {
                sum += client.map_err(|error| error.to_string())??;
            }
            for phase in 0..=shared.phase.load(Ordering::SeqCst) {
                for name in KEYS {
                    for (at, store) in shared.stores.iter().enumerate() {
                        let key = format!("{phase}.{name}");
                        let began = Instant::now();
                        loop {
                            let asked =
                                Asked { client: CLIENTS, key: &key, action: Action::Get, expires: None, call: now() };
                            match store.get(&shared.namespace, &key).await {
                                Ok(state) => {
                                    shared.history.record(asked, read(&told(state)?))?;
                                    break;
                                }
                                Err(error) if passing(&error) && began.elapsed() < PATIENCE => {}
                                Err(error) => return Err(format!("service {at}: {key}: {error}")),
                            }
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        sum.add(phase, "ok");
                    }
                }
            }
            while shared.stores[0].clear(&shared.namespace, 1000).await.map_err(|error| error.to_string())? {}
            Ok::<Tally, String>(sum)
        })?;
        let apart = (Clocks::look().0 - shared.clocks.0).abs();
        if apart > 2_000_000 {
            return Err(format!("the machine's clock was moved by {apart} ns meanwhile: expiry cannot be judged"));
        }
        let file = self.folder.join("history.jsonl");
        if !deaths.is_empty() {
            let count = without_early_looks(&file, deaths)?;
            println!("linearizable: {count} looks may have seen what was not on disk yet, and are left out");
        }
        let checked = checker.check(&[file])?;
        Ok((tally, checked.verdict, checked.report))
    }
}

/// What may happen while there are faults.
fn passing(error: &Error) -> bool {
    matches!(error.code(), "unavailable" | "rate-limited" | "outcome-unknown")
}

/// Value and version of an entry as a history names them; none where it is absent.
type Told = Option<(String, String)>;

fn told(state: Option<State>) -> Result<Told, String> {
    let Some(state) = state else { return Ok(None) };
    let version = state.version.as_str().to_owned();
    let value = match state.into_value() {
        Ok(Some(Value::Text(text))) => text,
        Ok(Some(Value::Integer(integer))) => integer.to_string(),
        other => return Err(format!("a value that nobody wrote: {other:?}")),
    };
    Ok(Some((value, version)))
}

fn read(told: &Told) -> Outcome<'_> {
    match told {
        Some((value, version)) => Outcome::Read { value, version },
        None => Outcome::Absent,
    }
}

struct Client {
    id: u32,
    shared: Arc<Shared>,
    /// What it knows of each key: it may be old.
    known: HashMap<String, Told>,
    count: u32,
    tally: Tally,
}

/// What is asked for, chosen beforehand.
enum Request {
    Get,
    Set,
    Create,
    Cas { expected: String },
    Swap { expected: Option<String> },
    Increment { delta: i64 },
    Delete { expected: Option<String> },
}

impl Client {
    async fn run(mut self) -> Result<Tally, String> {
        while !self.shared.over.load(Ordering::SeqCst) {
            let (name, store, pause) = {
                let mut random = rand::rng();
                let name = if random.random_ratio(1, 3) { HOT } else { KEYS[random.random_range(0..KEYS.len())] };
                (name, random.random_range(0..self.shared.stores.len()), random.random_range(0..2000))
            };
            let phase = self.shared.phase.load(Ordering::SeqCst);
            let key = format!("{phase}.{name}");
            match self.once(phase, &key, store).await? {
                // Nothing is gained by asking a dead server as often as possible.
                Err(error) if passing(&error) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(_) => {}
                Ok(()) => _ = self.shared.answered.fetch_add(1, Ordering::SeqCst),
            }
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
        Ok(self.tally)
    }

    fn choose(&self, key: &str, counter: bool) -> Request {
        let known = self.known.get(key).cloned().flatten();
        let mut random = rand::rng();
        let expected = known.as_ref().map(|(_, version)| version.clone());
        // What may expire is written seldom, or it would be replaced before.
        let reads = brief(key) && random.random_ratio(3, 4);
        match (random.random_range(0..if reads { 30 } else { 100 }), known) {
            (0..30, _) => Request::Get,
            (30..60, _) if counter => Request::Increment { delta: random.random_range(1..10) },
            (30..45, _) => Request::Set,
            (45..60, _) => Request::Create,
            (60..66, _) => Request::Delete { expected: None },
            (66..72, _) => Request::Delete { expected },
            (72..90, Some((_, version))) => Request::Cas { expected: version },
            (90.., Some((value, _))) => Request::Swap { expected: Some(value) },
            (90.., None) => Request::Swap { expected: None },
            (_, None) => Request::Create,
            _ => Request::Get,
        }
    }

    /// Does one thing. An error of the store, after it was counted, or a reason to stop: something that must not be.
    async fn once(&mut self, phase: u32, key: &str, store: usize) -> Result<Result<(), Error>, String> {
        let shared = self.shared.clone();
        let (store, namespace) = (&shared.stores[store], &shared.namespace);
        let counter = key.contains("counter") || key.contains("spell");
        let request = self.choose(key, counter);
        self.count += 1;
        // No two writes of one key write the same.
        let number = (u64::from(self.count) * u64::from(CLIENTS) + u64::from(self.id)) * 1_000_000;
        let (value, text) = match counter {
            true => (Value::Integer(number.cast_signed()), number.to_string()),
            false => (Value::Text(format!("{}-{}", self.id, self.count)), format!("{}-{}", self.id, self.count)),
        };
        let brief = brief(key) && rand::random_ratio(4, 5);
        let until = brief.then(|| shared.clocks.milliseconds() + rand::random_range(10..100));
        let expiry = match (until, &request) {
            (Some(until), _) => Expiry::At(until),
            (None, Request::Increment { .. }) => Expiry::Unspecified,
            (None, _) => Expiry::Never,
        };
        let action = match &request {
            Request::Get => Action::Get,
            Request::Set => Action::Set { value: &text },
            Request::Create => Action::Create { value: &text },
            Request::Cas { expected } => Action::Cas { expected, value: &text },
            Request::Swap { expected } => Action::Swap { expected: expected.as_deref(), value: &text },
            Request::Increment { delta } => Action::Increment { delta: *delta },
            Request::Delete { expected } => Action::Delete { expected: expected.as_deref() },
        };
        let writes = !matches!(request, Request::Get | Request::Delete { .. });
        let expires = until.filter(|_| writes).map(|until| shared.clocks.instant(until));
        let asked = Asked { client: self.id, key, action, expires, call: now() };
        let name = name(action);
        let options =
            |precondition| SetOptions { expiry, precondition, on_conflict: Projection::Value, ..SetOptions::default() };
        let version = |text: &String| Precondition::Version(Version::new(text).expect("a version that was told"));
        let set = async |precondition| {
            let item = Item { key: key.into(), value: value.clone(), options: options(precondition) };
            store.set(namespace, item).await.map(|result| match result {
                SetResult::Written(version) => Answer::Wrote(text.clone(), version.into_string()),
                SetResult::Conflict(state) => Answer::Lost(state),
            })
        };
        let answer = match &request {
            Request::Get => store.get(namespace, key).await.map(Answer::Read),
            Request::Set => set(Precondition::None).await,
            Request::Create => set(Precondition::Absent).await,
            Request::Cas { expected } => set(version(expected)).await,
            Request::Swap { expected } => {
                let old = expected.clone().map(|text| match counter {
                    true => Value::Integer(text.parse().expect("a number")),
                    false => Value::Text(text),
                });
                let swapped =
                    store.compare_and_swap(namespace, key, old, value.clone(), options(Precondition::None)).await;
                swapped.map(|result| match result {
                    SwapResult::Swapped(version) => Answer::Wrote(text.clone(), version.into_string()),
                    SwapResult::Different(state) => Answer::Lost(state),
                })
            }
            Request::Increment { delta } => {
                let counted = store.increment(namespace, key, Numeric::Integer(*delta), expiry).await;
                counted.map(|counted| Answer::Counted(counted.value, counted.version.into_string()))
            }
            Request::Delete { expected } => {
                let precondition = expected.as_ref().map_or(Precondition::None, version);
                let deleted = store.delete(namespace, key, precondition, Projection::Value).await;
                deleted.map(|result| match result {
                    DeleteResult::Deleted => Answer::Deleted,
                    DeleteResult::Absent => Answer::Read(None),
                    DeleteResult::Conflict(state) => Answer::Lost(state),
                })
            }
        };
        let history = &shared.history;
        let known = match answer {
            Ok(Answer::Read(state)) => {
                let told = told(state)?;
                history.record(asked, read(&told))?;
                self.tally.add(phase, "ok");
                told
            }
            Ok(Answer::Wrote(value, version)) => {
                history.record(asked, Outcome::Wrote { version: &version })?;
                self.tally.add(phase, "ok");
                Some((value, version))
            }
            Ok(Answer::Counted(Numeric::Integer(value), version)) => {
                history.record(asked, Outcome::Counted { value, version: &version })?;
                self.tally.add(phase, "ok");
                Some((value.to_string(), version))
            }
            Ok(Answer::Counted(Numeric::Number(_), _)) => return Err(format!("{key}: whole numbers make no fraction")),
            Ok(Answer::Deleted) => {
                history.record(asked, Outcome::Deleted)?;
                self.tally.add(phase, "ok");
                None
            }
            Ok(Answer::Lost(state)) => {
                let told = told(state)?;
                history.conflict(asked, read(&told))?;
                self.tally.add(phase, "lost race");
                told
            }
            Err(error) => {
                match error.code() {
                    // Nothing was applied: no part of the history.
                    "unavailable" | "rate-limited" => {}
                    "outcome-unknown" if writes || matches!(request, Request::Delete { .. }) => {
                        history.record(asked, Outcome::Unknown)?;
                    }
                    // Its end was past when it arrived.
                    "invalid-argument" if until.is_some_and(|until| until <= shared.clocks.milliseconds()) => {}
                    _ => return Err(format!("{name} {key}: {error}")),
                }
                self.tally.add(phase, error.code());
                return Ok(Err(error));
            }
        };
        self.known.insert(key.into(), known);
        Ok(Ok(()))
    }
}

/// Whether what this key names may expire.
fn brief(key: &str) -> bool {
    key.contains("brief") || key.contains("spell")
}

enum Answer {
    Read(Option<State>),
    Wrote(String, String),
    Counted(Numeric, String),
    Deleted,
    Lost(Option<State>),
}

fn name(action: Action<'_>) -> &'static str {
    match action {
        Action::Get => "get",
        Action::Set { .. } => "set",
        Action::Create { .. } => "create",
        Action::Cas { .. } => "cas",
        Action::Swap { .. } => "swap",
        Action::Increment { .. } => "increment",
        Action::Delete { .. } => "delete",
    }
}
