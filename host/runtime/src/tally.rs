//! Increments that wait for their turn at one key, and are then made as one.
//!
//! Where many callers count on one key, the first whose turn comes adds up what the others wait with, writes the sum once,
//! and tells each what the counter stood at after its own share, as if they had come one after the other without a pause.
//! Each but the last gets a version that no entry will ever have: its state was overwritten in the same instant.
//!
//! Only whole numbers of one sign go together: then no sum on the way lies outside of where it began and ended, and so none
//! overflows unless the last one does. A counter that is a fraction is counted one by one, since its sums depend on the
//! order.

use dataknobs_kv_core::{
    Error, Result, Version,
    store::{Counted, Numeric},
};
use tokio::sync::oneshot;

/// The most that go together.
const MOST: usize = 1024;

/// Those that wait at one key.
#[derive(Default)]
pub(crate) struct Tally {
    waiting: Vec<Waiting>,
    next: u64,
    /// Whether the counter was a whole number when it was last counted here.
    whole: bool,
}

/// An increment that waits.
pub(crate) struct Waiting {
    name: u64,
    delta: i64,
    answer: oneshot::Sender<Result<Counted>>,
}

/// What its caller holds meanwhile.
pub(crate) struct Ticket {
    name: u64,
    pub(crate) answer: oneshot::Receiver<Result<Counted>>,
}

impl Tally {
    pub(crate) fn add(&mut self, delta: i64) -> Ticket {
        let (sender, receiver) = oneshot::channel();
        let name = self.next;
        self.next += 1;
        self.waiting.push(Waiting { name, delta, answer: sender });
        Ticket { name, answer: receiver }
    }

    /// No longer waits. False: it was taken by another, who will answer.
    pub(crate) fn withdraw(&mut self, ticket: &Ticket) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.name != ticket.name);
        self.waiting.len() < before
    }

    /// Takes this one, first, and those that may go with it; nobody where it was taken by another before.
    pub(crate) fn take(&mut self, ticket: &Ticket) -> Together {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.name == ticket.name) else {
            return Together { sum: 0, waiting: Vec::new() };
        };
        let own = self.waiting.remove(at);
        let mut together = Together { sum: own.delta, waiting: vec![own] };
        // Whose caller is gone, nothing of it was done.
        self.waiting.retain(|one| !one.answer.is_closed());
        if self.whole {
            self.waiting = std::mem::take(&mut self.waiting).into_iter().filter_map(|one| together.join(one)).collect();
        }
        together
    }

    /// What became of the counter.
    pub(crate) fn counted(&mut self, result: &Result<Counted>) {
        if let Ok(counted) = result {
            self.whole = matches!(counted.value, Numeric::Integer(_));
        }
    }
}

/// Increments that are made as one.
pub(crate) struct Together {
    pub(crate) sum: i64,
    pub(crate) waiting: Vec<Waiting>,
}

impl Together {
    /// Takes it along, or gives it back.
    fn join(&mut self, one: Waiting) -> Option<Waiting> {
        match self.sum.checked_add(one.delta) {
            Some(sum) if self.waiting.len() < MOST && self.sum.signum() * one.delta.signum() >= 0 => {
                self.sum = sum;
                self.waiting.push(one);
                None
            }
            _ => Some(one),
        }
    }

    /// Tells each what became of the sum.
    pub(crate) fn answer(self, result: Result<Counted>) {
        let last = self.waiting.len().saturating_sub(1);
        // What is still to come, after each.
        let mut rest = self.sum;
        for (at, waiting) in self.waiting.into_iter().enumerate() {
            rest = rest.saturating_sub(waiting.delta);
            waiting.tell(result.clone().map(|counted| Counted {
                value: match counted.value {
                    Numeric::Integer(end) => Numeric::Integer(end.saturating_sub(rest)),
                    Numeric::Number(end) => Numeric::Number(end - rest as f64),
                },
                version: if at == last { counted.version } else { Version::from_random(rand::random()) },
            }));
        }
    }
}

impl Waiting {
    pub(crate) fn delta(&self) -> i64 {
        self.delta
    }

    pub(crate) fn tell(self, result: Result<Counted>) {
        // A caller that is gone asks no longer.
        let _ = self.answer.send(result);
    }
}

/// Whoever made it gave no answer.
pub(crate) fn unanswered() -> Error {
    Error::OutcomeUnknown("the increment was sent with others, and nothing came back".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(value: i64) -> Result<Counted> {
        Ok(Counted { value: Numeric::Integer(value), version: Version::from_random(7) })
    }

    fn tally() -> Tally {
        let mut tally = Tally::default();
        tally.counted(&counted(0));
        tally
    }

    fn told(ticket: &mut Ticket) -> (i64, bool) {
        let Counted { value: Numeric::Integer(value), version } = ticket.answer.try_recv().unwrap().unwrap() else {
            panic!("a fraction")
        };
        (value, version == Version::from_random(7))
    }

    #[test]
    fn each_is_told_its_own_sum_and_only_the_last_the_version() {
        let mut tally = tally();
        let mut tickets: Vec<_> = [1, 10, 0, 100].map(|delta| tally.add(delta)).into();
        let together = tally.take(&tickets[2]);
        assert_eq!((together.sum, together.waiting.len()), (111, 4));
        together.answer(counted(1111));
        let told: Vec<_> = tickets.iter_mut().map(told).collect();
        assert_eq!(told, [(1001, false), (1011, false), (1000, false), (1111, true)]);
        assert_eq!(tally.take(&tickets[0]).waiting.len(), 0);
    }

    #[test]
    fn what_may_not_go_together_waits_on() {
        let mut tally = tally();
        let tickets = [i64::MAX, 1, -1, 0].map(|delta| tally.add(delta));
        // Neither past the end nor of another sign.
        assert_eq!(tally.take(&tickets[0]).waiting.iter().map(Waiting::delta).collect::<Vec<_>>(), [i64::MAX, 0]);
        assert!(tally.withdraw(&tickets[1]) && !tally.withdraw(&tickets[1]) && !tally.withdraw(&tickets[0]));
        assert_eq!(tally.take(&tickets[2]).sum, -1);
    }

    #[test]
    fn who_is_gone_is_not_counted() {
        let mut tally = tally();
        let own = tally.add(1);
        drop(tally.add(5));
        assert_eq!(tally.take(&own).sum, 1);
    }

    #[test]
    fn fractions_are_counted_one_by_one() {
        let mut tally = tally();
        let tickets = [1, 2].map(|delta| tally.add(delta));
        tally.counted(&Ok(Counted { value: Numeric::Number(0.5), version: Version::from_random(1) }));
        assert_eq!(tally.take(&tickets[0]).sum, 1);
    }

    #[test]
    fn an_error_is_everyones() {
        let mut tally = tally();
        let mut tickets = [1, 2].map(|delta| tally.add(delta));
        tally.take(&tickets[0]).answer(Err(Error::RateLimited(None)));
        for ticket in &mut tickets {
            assert_eq!(ticket.answer.try_recv().unwrap(), Err(Error::RateLimited(None)));
        }
    }
}
