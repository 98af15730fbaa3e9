//! The wasmtime engine: how instances are laid out in memory, and how guest time is counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, Thread},
    time::Duration,
};

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result};

use crate::config::RuntimeConfig;

/// The step in which guest time is counted.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// A component counts as several core instances: its code, and the shims that wit-component puts around it.
const CORE_INSTANCES: u32 = 4;

/// All that 32 bits can address: set aside for each instance, it makes the check of every access of the guest's needless.
const WHOLE: u64 = 4 << 30;

/// With all instances' memory set aside at once; where this machine does not give so much address space, with no more than
/// they may use, or one by one.
pub(crate) fn engine(config: &RuntimeConfig) -> Result<Engine> {
    let least = config.memory_bytes as u64;
    Engine::new(&settings(config, true, WHOLE))
        .or_else(|error| {
            tracing::debug!(%error, "no address space for all that instances could address");
            Engine::new(&settings(config, true, least))
        })
        .or_else(|error| {
            tracing::warn!(%error, "no address space for a pool of instances: allocating one by one");
            Engine::new(&settings(config, false, least))
        })
}

fn settings(config: &RuntimeConfig, pooled: bool, reservation: u64) -> Config {
    let mut settings = Config::new();
    settings
        .epoch_interruption(true)
        // One call at a time in each instance: what wasmtime keeps for more costs a microsecond or two per call.
        .concurrency_support(false)
        // Names are stripped: addresses in a backtrace would say nothing.
        .generate_address_map(false)
        .memory_reservation(reservation);
    if pooled {
        let instances = u32::try_from(config.instances).unwrap_or(u32::MAX);
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
            .max_core_instances_per_component(CORE_INSTANCES)
            .total_memories(instances)
            .max_memories_per_component(1)
            .total_tables(instances.saturating_mul(CORE_INSTANCES))
            .max_tables_per_component(CORE_INSTANCES)
            .total_stacks(instances)
            .max_memory_size(config.memory_bytes);
        settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    settings
}

/// Moves the engine's epoch on, a tick at a time, while calls are under way; sleeps when there are none.
pub(crate) struct Ticker {
    shared: Arc<Ticking>,
    thread: Thread,
}

#[derive(Default)]
struct Ticking {
    calls: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// How many ticks without a call there are before the ticker sleeps: waking it costs more than a tick.
const IDLE_TICKS: u32 = 100;

impl Ticker {
    pub(crate) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Ticking::default());
        let ticking = Arc::clone(&shared);
        let name = "dataknobs-kv-ticker".to_owned();
        let handle = thread::Builder::new().name(name).spawn(move || ticking.run(&engine))?;
        Ok(Ticker { shared, thread: handle.thread().clone() })
    }

    /// Keeps the ticks coming until it is dropped.
    pub(crate) fn call(&self) -> Ticks<'_> {
        // The order matters: whoever falls asleep looks for calls after saying so, whoever calls looks for sleepers after
        // counting itself; one of them sees the other.
        self.shared.calls.fetch_add(1, SeqCst);
        if self.shared.asleep.load(SeqCst) && self.shared.asleep.swap(false, SeqCst) {
            self.thread.unpark();
        }
        Ticks(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.thread.unpark();
    }
}

impl Ticking {
    fn run(&self, engine: &Engine) {
        let mut idle = 0;
        while !self.stop.load(SeqCst) {
            thread::park_timeout(TICK);
            engine.increment_epoch();
            idle = if self.calls.load(SeqCst) == 0 { idle + 1 } else { 0 };
            if idle >= IDLE_TICKS {
                idle = 0;
                self.asleep.store(true, SeqCst);
                while self.asleep.load(SeqCst) && self.calls.load(SeqCst) == 0 && !self.stop.load(SeqCst) {
                    thread::park();
                }
                self.asleep.store(false, SeqCst);
            }
        }
    }
}

/// A call under way.
pub(crate) struct Ticks<'a>(&'a Ticking);

impl Drop for Ticks<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, SeqCst);
    }
}
