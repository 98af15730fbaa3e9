//! Random operations on a storage and on the reference storage side by side: every answer is the same, but for the
//! versions, which are random, and for entries of a listing that a hint would let it leave out. What the storage declares
//! that it cannot is not asked of it.

use std::collections::HashMap;

use super::attributes;
use dataknobs_kv_core::storage::{Amendment, Change, Hint, Mutation, Outcome, Range};
use dataknobs_kv_core::{Capabilities, Entry, Precondition, Projection, Result, State, Storage, Timestamp, Version};
use dataknobs_kv_storage::memory;
use futures::future::BoxFuture;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

const SPACES: [&str; 3] = ["a", "a.b", "é"];
const KEYS: [&str; 10] = ["a", "a.b", "a.b.c", "a!", "a-b", "b", "b.\u{1F600}", "b.\u{FFEE}", r"c\.d", "z"];
const PATTERNS: [&str; 5] = ["**", "a.*", "b.?", "{a,b}", "*b*"];
const STEPS: usize = 400;

/// What the versions of the subject are called in the reference, and all there ever were.
#[derive(Default)]
struct Versions {
    names: HashMap<String, Version>,
    known: Vec<(Version, Version)>,
}

impl Versions {
    fn written(&mut self, ours: &Version, theirs: &Version) {
        self.names.insert(ours.as_str().to_owned(), theirs.clone());
        self.known.push((ours.clone(), theirs.clone()));
    }

    fn rename(&self, mut state: State) -> State {
        state.version = self.names.get(state.version.as_str()).expect("a version out of nowhere").clone();
        state
    }

    fn rename_all(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let rename = |entry: Entry| Entry { state: entry.state.map(|state| self.rename(state)), ..entry };
        entries.into_iter().map(rename).collect()
    }
}

/// Opens the storage under test; again and again, each time the same data. The one before was dropped.
pub type Open = dyn Sync + Fn() -> BoxFuture<'static, Box<dyn Storage>>;

/// Compares a storage that is empty at first. The seed is printed, to be tried again.
pub async fn compare(open: &Open) {
    let seed = rand::random();
    println!("seed {seed}");
    run(open, seed).await;
}

async fn run(open: &Open, seed: u64) {
    let mut subject = open().await;
    let can = subject.capabilities();
    let reference = memory();
    let mut random = StdRng::seed_from_u64(seed);
    let mut versions = Versions::default();
    let mut now: Timestamp = 1000;
    for step in 0..STEPS {
        now += random.random_range(0..20);
        let space = *SPACES.choose(&mut random).unwrap();
        let context = format!("seed {seed}, step {step}, now {now}, namespace {space}");
        match random.random_range(0..20) {
            0 => {
                let limit = if random.random() { 10_000 } else { 1 };
                let of = random.random::<bool>().then_some(space);
                let (ours, theirs) =
                    (reclaim(&*subject, of, now, limit).await, reclaim(&reference, of, now, limit).await);
                // In the reference an expired entry goes with the first write that meets it.
                assert!(ours >= theirs, "{context}: reclaim {ours} for {theirs}");
                assert_eq!(reclaim(&*subject, of, now, limit).await, 0, "{context}: reclaim again");
            }
            1 if random.random_ratio(1, 4) => {
                while subject.clear(space, 3).await.unwrap() {}
                while reference.clear(space, 3).await.unwrap() {}
            }
            2 => {
                // What has expired may still be named.
                subject.reclaim(None, now, 10_000).await.unwrap();
                reference.reclaim(None, now, 10_000).await.unwrap();
                for (after, limit) in [(None, 100), (Some("a"), 1)] {
                    let ours = names(&*subject, after, limit).await;
                    assert_eq!(ours, names(&reference, after, limit).await, "{context}: namespaces after {after:?}");
                }
            }
            3 if random.random_ratio(1, 4) => {
                drop(subject);
                subject = open().await;
            }
            4..=6 => {
                let key = *KEYS.choose(&mut random).unwrap();
                let with_value = random.random();
                let ours = subject.get(space, key, now, with_value).await.unwrap().map(|state| versions.rename(state));
                assert_eq!(ours, reference.get(space, key, now, with_value).await.unwrap(), "{context}: get {key}");
                let keys: Vec<_> = KEYS.iter().map(|key| (*key).to_owned()).collect();
                let ours = subject.get_many(space, &keys, now, with_value).await.unwrap();
                let ours: Vec<_> =
                    ours.into_iter().map(|one| one.map(|state| state.map(|state| versions.rename(state)))).collect();
                let theirs = reference.get_many(space, &keys, now, with_value).await.unwrap();
                assert_eq!(ours, theirs, "{context}: get_many");
            }
            7..=9 => {
                let range = random_range(&mut random);
                let pattern = random.random::<bool>().then(|| (*PATTERNS.choose(&mut random).unwrap()).to_owned());
                let metadata = random.random_ratio(1, 3).then(|| r#"{"m":1}"#.to_owned());
                let hint = Hint { pattern, metadata };
                let want = random_want(&mut random);
                let limit = random.random_range(1..5);
                let ours = versions.rename_all(walk(&*subject, space, &range, &hint, now, limit, want).await);
                let must = walk(&reference, space, &range, &hint, now, limit, want).await;
                let may = walk(&reference, space, &range, &Hint::default(), now, limit, want).await;
                let context = format!("{context}: scan {range:?} {hint:?} {want:?}");
                assert!(is_within(&must, &ours) && is_within(&ours, &may), "{context}: {ours:?} for {must:?}");
                if let Some(ours) = subject.count(space, range.clone(), now).await.unwrap() {
                    assert_eq!(Some(ours), reference.count(space, range, now).await.unwrap(), "{context}: count");
                }
            }
            _ => write(&*subject, &reference, &can, &mut random, &mut versions, now, space, &context).await,
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "one step of one run")]
async fn write(
    subject: &dyn Storage,
    reference: &dyn Storage,
    can: &Capabilities,
    random: &mut StdRng,
    versions: &mut Versions,
    now: Timestamp,
    space: &str,
    context: &str,
) {
    let mut keys = KEYS;
    keys.shuffle(random);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for key in &keys[..random.random_range(1..5)] {
        let change = random_change(random, now, can.sliding);
        let (our_precondition, their_precondition) = match random.random_range(0..4) {
            0 => (Precondition::Absent, Precondition::Absent),
            1 => match current(subject, reference, space, key, now, random, versions).await {
                Some((ours, theirs)) => (Precondition::Version(ours), Precondition::Version(theirs)),
                None => (Precondition::None, Precondition::None),
            },
            _ => (Precondition::None, Precondition::None),
        };
        ours.push(Mutation { key: (*key).into(), change: change.clone(), precondition: our_precondition });
        theirs.push(Mutation { key: (*key).into(), change, precondition: their_precondition });
    }
    let (atomic, want) = (random.random::<bool>() && (can.max_atomic > 1 || ours.len() == 1), random_want(random));
    let ours = subject.write(space, ours, atomic, now, want).await.unwrap();
    let theirs = reference.write(space, theirs, atomic, now, want).await.unwrap();
    assert_eq!(ours.len(), theirs.len());
    let applied = |results: &[Result<Outcome>]| {
        results.iter().any(|one| matches!(one, Ok(Outcome::Written(_) | Outcome::Deleted | Outcome::Held)))
    };
    if atomic && !applied(&theirs) {
        // Refused, or nothing to do: one may look no further than at the first that stands in the way.
        assert!(!applied(&ours), "{context}: {ours:?} for {theirs:?}");
        return;
    }
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        let ours = match (ours.unwrap(), &theirs) {
            (Outcome::Written(ours), Ok(Outcome::Written(theirs))) => {
                versions.written(&ours, theirs);
                Outcome::Written(theirs.clone())
            }
            (Outcome::Conflict(state), _) => Outcome::Conflict(state.map(|state| versions.rename(state))),
            (other, _) => other,
        };
        assert_eq!(Ok(ours), theirs, "{context}: write");
    }
}

/// The key's own version, or any that there ever was.
async fn current(
    subject: &dyn Storage,
    reference: &dyn Storage,
    space: &str,
    key: &str,
    now: Timestamp,
    random: &mut StdRng,
    versions: &Versions,
) -> Option<(Version, Version)> {
    if random.random_ratio(1, 3) {
        return versions.known.choose(random).cloned();
    }
    let ours = subject.get(space, key, now, false).await.unwrap()?;
    let theirs = reference.get(space, key, now, false).await.unwrap()?;
    Some((ours.version, theirs.version))
}

fn random_change(random: &mut StdRng, now: Timestamp, sliding: bool) -> Change {
    let expires_at = match random.random_range(0..4) {
        0 => None,
        // Also in the past, and now.
        _ => Some(now + random.random_range(0..200) - 10),
    };
    let metadata = random.random::<bool>().then(|| format!(r#"{{"m":{}}}"#, random.random_range(0..3)));
    let sliding_ms = (random.random::<bool>() && sliding).then_some(50);
    match random.random_range(0..8) {
        0 => Change::Delete,
        1 => Change::Check,
        2 if sliding => Change::Extend(now + random.random_range(0..300)),
        3 => Change::Amend(Amendment {
            content_type: Some("text/x".into()),
            metadata,
            updated_at: now,
            expires_at,
            sliding_ms,
        }),
        _ => {
            let size = *[0, 1, 256, 257, 3000].choose(random).unwrap();
            let mut attributes = attributes(now, expires_at);
            (attributes.size, attributes.metadata, attributes.sliding_ms) = (size as u64, metadata, sliding_ms);
            Change::Put { attributes, value: vec![random.random(); size] }
        }
    }
}

fn random_range(random: &mut StdRng) -> Range {
    let mut bound = || random.random_ratio(1, 3).then(|| (*KEYS.choose(random).unwrap()).to_owned());
    Range { from: bound(), to: bound(), after: bound() }
}

fn random_want(random: &mut StdRng) -> Projection {
    *[Projection::Key, Projection::Attributes, Projection::Value].choose(random).unwrap()
}

/// To the end: which ones go first is no one's business.
async fn reclaim(storage: &dyn Storage, of: Option<&str>, now: Timestamp, limit: u32) -> u32 {
    let mut count = 0;
    loop {
        let reclaimed = storage.reclaim(of, now, limit).await.unwrap();
        assert!(reclaimed.count <= limit);
        count += reclaimed.count;
        if !reclaimed.more {
            return count;
        }
    }
}

/// All pages, of which some may be empty and not the last.
async fn names(storage: &dyn Storage, after: Option<&str>, limit: u32) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), after.map(str::to_owned));
    loop {
        let page = storage.namespaces(after.as_deref(), limit).await.unwrap();
        assert!(page.names.len() <= limit as usize);
        all.extend(page.names);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

/// Whether these are some of those, in the same order.
fn is_within(some: &[Entry], of: &[Entry]) -> bool {
    let mut rest = of.iter();
    some.iter().all(|entry| rest.any(|other| other == entry))
}

/// All pages.
async fn walk(
    storage: &dyn Storage,
    space: &str,
    range: &Range,
    hint: &Hint,
    now: Timestamp,
    limit: u32,
    want: Projection,
) -> Vec<Entry> {
    let mut range = range.clone();
    let mut entries = Vec::new();
    loop {
        let page = storage.scan(space, range.clone(), hint.clone(), now, limit, want).await.unwrap();
        assert!(page.items.len() <= limit as usize);
        entries.extend(page.items);
        match page.next {
            Some(next) => range.after = Some(next),
            None => return entries,
        }
    }
}
