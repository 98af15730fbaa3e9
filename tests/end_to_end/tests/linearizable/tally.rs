//! How often what came of what.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

/// By the phase that it began in, and outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(BTreeMap<(u32, &'static str), u64>);

impl Tally {
    pub(crate) fn add(&mut self, phase: u32, outcome: &'static str) {
        *self.0.entry((phase, outcome)).or_default() += 1;
    }

    /// All operations.
    pub(crate) fn operations(&self) -> u64 {
        self.0.values().sum()
    }

    /// Those that ended so.
    pub(crate) fn of(&self, outcome: &str) -> u64 {
        self.0.iter().filter(|((_, told), _)| *told == outcome).map(|(_, count)| count).sum()
    }

    /// Those of this phase that ended so.
    pub(crate) fn in_phase(&self, phase: u32, outcome: &'static str) -> u64 {
        self.0.get(&(phase, outcome)).copied().unwrap_or_default()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }
}

/// `1200 operations: 1100 ok, 60 lost race, …`
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} operations:", self.operations())?;
        let mut outcomes: Vec<&str> = self.0.keys().map(|(_, outcome)| *outcome).collect();
        outcomes.sort_unstable();
        outcomes.dedup();
        for (at, outcome) in outcomes.into_iter().enumerate() {
            write!(f, "{} {} {outcome}", if at == 0 { "" } else { "," }, self.of(outcome))?;
        }
        Ok(())
    }
}
