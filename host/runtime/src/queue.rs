//! Callers that read, change and write one key, in the order in which they came.
//!
//! Without a queue rivals for one key make each other's writes fail again and again. Only they wait here: plain reads and
//! writes never do.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::tally::Tally;

const SHARDS: usize = 16;

/// A turn is taken per namespace and key. What no caller uses or waits for is not kept.
pub(crate) struct KeyQueue {
    shards: [Mutex<HashMap<Box<str>, Turn>>; SHARDS],
    hasher: RandomState,
}

struct Turn {
    /// Served in the order of asking.
    lock: Arc<AsyncMutex<()>>,
    /// How many hold it or wait for it.
    callers: usize,
    tally: Tally,
}

impl KeyQueue {
    pub(crate) fn new() -> Self {
        KeyQueue { shards: Default::default(), hasher: RandomState::new() }
    }

    /// A place for this caller; who asks for the turn first has it first.
    pub(crate) fn join(self: &Arc<Self>, namespace: &str, key: &str) -> Place {
        // Names that the core would accept hold no control characters, so no two of them meet here.
        let name = format!("{namespace}\0{key}").into_boxed_str();
        let shard = (self.hasher.hash_one(&name) as usize) % SHARDS;
        let mut turns = self.shard(shard);
        let turn = turns.entry(name.clone()).or_insert_with(|| Turn {
            lock: Arc::default(),
            callers: 0,
            tally: Tally::default(),
        });
        turn.callers += 1;
        let lock = Arc::clone(&turn.lock);
        drop(turns);
        Place { queue: Arc::clone(self), shard, name, lock: Some(lock), turn: None }
    }

    fn shard(&self, index: usize) -> MutexGuard<'_, HashMap<Box<str>, Turn>> {
        let shard = self.shards.get(index).unwrap_or(&self.shards[0]);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        (0..SHARDS).map(|shard| self.shard(shard).len()).sum()
    }
}

/// A place in the queue; left when dropped.
pub(crate) struct Place {
    queue: Arc<KeyQueue>,
    shard: usize,
    name: Box<str>,
    lock: Option<Arc<AsyncMutex<()>>>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Place {
    /// Takes the turn if nobody else has it or waits for it.
    pub(crate) fn try_turn(&mut self) -> bool {
        self.turn = self.lock.clone().and_then(|lock| lock.try_lock_owned().ok());
        self.turn.is_some()
    }

    /// Works with the increments that wait at this key.
    pub(crate) fn tally<T>(&self, work: impl FnOnce(&mut Tally) -> T) -> T {
        match self.queue.shard(self.shard).get_mut(&self.name) {
            Some(turn) => work(&mut turn.tally),
            // It is there as long as a place in it is.
            None => work(&mut Tally::default()),
        }
    }

    /// Waits for the turn.
    pub(crate) async fn turn(&mut self) {
        if let Some(lock) = self.lock.clone() {
            self.turn = Some(lock.lock_owned().await);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.turn = None;
        self.lock = None;
        let mut turns = self.queue.shard(self.shard);
        if let Some(turn) = turns.get_mut(&self.name) {
            turn.callers -= 1;
            if turn.callers == 0 {
                turns.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn wait(mut place: Place, order: &Mutex<Vec<u32>>, name: u32) {
        place.turn().await;
        order.lock().unwrap().push(name);
    }

    #[tokio::test]
    async fn one_at_a_time_in_order_and_nothing_is_left() {
        let queue = Arc::new(KeyQueue::new());
        let mut first = queue.join("n", "k");
        assert!(first.try_turn());
        let mut second = queue.join("n", "k");
        let mut third = queue.join("n", "k");
        assert!(!second.try_turn() && !third.try_turn());
        let order = Mutex::new(Vec::new());
        tokio::join!(
            async {
                tokio::task::yield_now().await;
                drop(first);
            },
            wait(second, &order, 2),
            wait(third, &order, 3),
        );
        assert_eq!(*order.lock().unwrap(), [2, 3]);
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test]
    async fn other_keys_and_namespaces_do_not_wait() {
        let queue = Arc::new(KeyQueue::new());
        let mut places = [queue.join("a", "b"), queue.join("a", "c"), queue.join("b", "b")];
        assert!(places.iter_mut().all(Place::try_turn));
        drop(places);
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test]
    async fn who_gives_up_holds_nobody_up() {
        let queue = Arc::new(KeyQueue::new());
        let mut first = queue.join("n", "k");
        assert!(first.try_turn());
        let mut second = queue.join("n", "k");
        {
            let mut turn = std::pin::pin!(second.turn());
            let waiting = std::future::poll_fn(|cx| std::task::Poll::Ready(turn.as_mut().poll(cx).is_pending())).await;
            assert!(waiting);
        }
        drop(second);
        let mut third = queue.join("n", "k");
        drop(first);
        third.turn().await;
        drop(third);
        assert_eq!(queue.len(), 0);
    }
}
