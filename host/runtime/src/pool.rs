//! Instances of the component: one call at a time in each, kept for the next call after a clean one, thrown away after
//! any other.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use dataknobs_kv_core::{Clock, Error, Result, Storage};
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::{Engine, UpdateDeadline, component::Linker};

use crate::{
    bindings::{Kv, KvPre, dataknobs::kv::types as wit},
    cache,
    config::RuntimeConfig,
    deadline::{Deadline, Ended},
    engine::{TICK, Ticker, Ticks, engine},
    link::{Call, Host, link},
};

/// All instances of a runtime, whichever storage they are linked to.
pub(crate) struct Pool {
    pub(crate) config: RuntimeConfig,
    engine: Engine,
    pre: KvPre<Host>,
    ticker: Ticker,
    /// One for each instance that may be in use.
    permits: Semaphore,
    waiting: AtomicUsize,
    /// The one that was used last is at the back, and is the first to be used again: its memory is warm.
    idle: Mutex<VecDeque<Idle>>,
    owners: AtomicU64,
    cpu_ticks: u64,
}

struct Idle {
    owner: u64,
    instance: Box<Instance>,
}

struct Instance {
    kv: Kv,
    store: wasmtime::Store<Host>,
}

/// What instances are linked to.
pub(crate) struct Link {
    pub(crate) owner: u64,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Pool {
    pub(crate) fn new(config: RuntimeConfig, component: &[u8]) -> Result<Self> {
        config.validate().map_err(Error::InvalidArgument)?;
        let fail = |error: wasmtime::Error| Error::Internal(format!("starting the component: {error:#}"));
        let engine = engine(&config).map_err(fail)?;
        let (component, origin) = cache::component(&engine, component, &config.cache).map_err(fail)?;
        tracing::debug!(?origin, "the component is ready");
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(fail)?;
        let pre = linker.instantiate_pre(&component).and_then(KvPre::new).map_err(fail)?;
        let ticker = Ticker::start(engine.clone()).map_err(|e| Error::Internal(format!("starting a thread: {e}")))?;
        let cpu_ticks = config.cpu_time.as_nanos().div_ceil(TICK.as_nanos());
        Ok(Pool {
            permits: Semaphore::new(config.instances),
            waiting: AtomicUsize::new(0),
            idle: Mutex::default(),
            owners: AtomicU64::new(0),
            cpu_ticks: u64::try_from(cpu_ticks).unwrap_or(u64::MAX),
            config,
            engine,
            pre,
            ticker,
        })
    }

    pub(crate) fn new_owner(&self) -> u64 {
        self.owners.fetch_add(1, Relaxed)
    }

    /// Drops the owner's idle instances, and with them what they hold of its storage.
    pub(crate) fn forget(&self, owner: u64) {
        let mut forgotten = Vec::new();
        let mut idle = self.idle();
        let (theirs, kept) = idle.drain(..).partition::<Vec<_>, _>(|idle| idle.owner == owner);
        forgotten.extend(theirs);
        idle.extend(kept);
        drop(idle);
        drop(forgotten);
    }

    /// Waits for `turn` until the deadline, if so many may wait.
    pub(crate) async fn wait<T>(&self, deadline: &mut Deadline, turn: impl Future<Output = T>) -> Result<T> {
        let _waiting = Waiting::enter(&self.waiting, self.config.waiting)?;
        deadline.within(turn).await.map_err(|ended| match ended {
            Ended::Late => Error::RateLimited(None),
            Ended::NoTimers => no_timers(),
        })
    }

    /// An instance for one call, as soon as one may run.
    pub(crate) async fn lease(&self, link: &Link, deadline: &mut Deadline) -> Result<Lease<'_>> {
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => self
                .wait(deadline, self.permits.acquire())
                .await?
                .map_err(|_| Error::Unavailable("the runtime is shutting down".into()))?,
        };
        let ticks = self.ticker.call();
        let mut instance = match self.take(link.owner) {
            Some(instance) => instance,
            None => self.create(link).await?,
        };
        instance.store.data_mut().call = Call::new(self.cpu_ticks);
        instance.store.set_epoch_deadline(1);
        Ok(Lease { instance: Some(instance), owner: link.owner, pool: self, _ticks: ticks, _permit: permit })
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle instance of this owner; where there is none, makes sure that there is room for a new one.
    fn take(&self, owner: u64) -> Option<Box<Instance>> {
        let mut idle = self.idle();
        if let Some(index) = idle.iter().rposition(|idle| idle.owner == owner) {
            return idle.remove(index).map(|idle| idle.instance);
        }
        // Each holder of a permit, this caller among them, has an instance or is about to: with the idle ones they may not
        // be more than the engine has room for.
        let in_use = self.config.instances - self.permits.available_permits().min(self.config.instances);
        let evicted = if idle.len() + in_use > self.config.instances { idle.pop_front() } else { None };
        drop(idle);
        drop(evicted);
        None
    }

    async fn create(&self, link: &Link) -> Result<Box<Instance>> {
        let (storage, clock) = (Arc::clone(&link.storage), Arc::clone(&link.clock));
        let host = Host::new(storage, clock, self.cpu_ticks, self.config.memory_bytes);
        let mut store = wasmtime::Store::new(&self.engine, host);
        store.limiter(|host| &mut host.memory);
        store.epoch_deadline_callback(|mut context| {
            Ok(match context.data_mut().tick() {
                // Others get their turn on this thread, also where no storage call ever waits.
                true => UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())),
                false => UpdateDeadline::Interrupt,
            })
        });
        store.set_epoch_deadline(1);
        let kv = self.pre.instantiate_async(&mut store).await.map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "no new instance");
            Error::Unavailable("there is no room for another instance of the component".into())
        })?;
        Ok(Box::new(Instance { kv, store }))
    }

    fn give_back(&self, owner: u64, instance: Box<Instance>) {
        if instance.store.data().memory.bytes > self.config.keep_bytes {
            return;
        }
        let mut idle = self.idle();
        idle.push_back(Idle { owner, instance });
        let evicted = if idle.len() > self.config.idle_instances { idle.pop_front() } else { None };
        drop(idle);
        drop(evicted);
    }

    pub(crate) fn idle_instances(&self) -> usize {
        self.idle().len()
    }
}

/// An instance in use. Dropped without having been settled (its call was cancelled), it is thrown away.
pub(crate) struct Lease<'a> {
    // The order matters: the instance is gone before another may take its place.
    instance: Option<Box<Instance>>,
    owner: u64,
    pool: &'a Pool,
    _ticks: Ticks<'a>,
    _permit: SemaphorePermit<'a>,
}

impl Lease<'_> {
    pub(crate) fn parts(&mut self) -> Result<(&Kv, &mut wasmtime::Store<Host>)> {
        let instance = self.instance.as_mut().ok_or_else(|| Error::Internal("the instance is gone".into()))?;
        Ok((&instance.kv, &mut instance.store))
    }

    /// Ends the call: what the caller gets, and what becomes of the instance.
    pub(crate) fn settle<T>(mut self, outcome: Result<wasmtime::Result<Result<T, wit::Error>>, Ended>) -> Result<T> {
        let Some(instance) = self.instance.take() else {
            return Err(Error::Internal("the instance is gone".into()));
        };
        let failure = match outcome {
            Ok(Ok(result)) => {
                self.pool.give_back(self.owner, instance);
                return result.map_err(Into::into);
            }
            Ok(Err(trap)) => Err(trap),
            Err(ended) => Ok(ended),
        };
        let host = instance.store.data();
        let config = &self.pool.config;
        let error = match failure {
            Ok(Ended::Late) => Error::Unavailable(format!("the call took longer than {:?}", config.call_time)),
            Ok(Ended::NoTimers) => no_timers(),
            Err(_) if host.call.out_of_time => {
                Error::Unavailable(format!("the call computed for longer than {:?}", config.cpu_time))
            }
            Err(trap) => match host.memory.refused {
                Some(asked) => Error::too_large("memory", config.memory_bytes as u64, asked as u64),
                None => {
                    tracing::error!(trap = format!("{trap:#}"), "the component failed");
                    Error::Internal("the component failed".into())
                }
            },
        };
        Err(if host.call.wrote { Error::OutcomeUnknown(error.message()) } else { error })
    }
}

fn no_timers() -> Error {
    Error::Unavailable("the component is called within a tokio runtime".into())
}

/// A caller that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, most: usize) -> Result<Self> {
        let entered = Waiting(waiting);
        if waiting.fetch_add(1, Relaxed) < most { Ok(entered) } else { Err(Error::RateLimited(None)) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
