//! What is tried: a round trip in a namespace of its own, which is removed again.

use std::time::{Duration, Instant};

use dataknobs_kv::{
    ChangeResult, DeleteResult, Error, Finding, KvStore, Result, SetResult, SwapResult, Timestamp, json,
};

use super::SKEW;
use super::advice::Backend;
use super::report::Report;

/// How often a get and a set are timed.
const TIMES: usize = 15;
/// How long an entry may outlive its millisecond before that is worth a word.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn run(store: &KvStore, backend: Backend, remote: bool, report: &mut Report) {
    let name = format!("doctor-{:016x}", rand());
    let space = match store.namespace(&name) {
        Ok(space) => space,
        Err(error) => return report.failed(backend, "namespace", error),
    };
    let outcome = steps(&space, remote, report).await;
    // Also after a failure: nothing of ours is left behind.
    let cleared = space.clear().await;
    match (outcome, cleared) {
        (Err((step, error)), cleared) => {
            report.failed(backend, step, error);
            if cleared.is_err() {
                let what = format!("namespace {name:?}, in which this was tried, could not be removed");
                report.findings.push(Finding::warning(what, format!("`dataknobs-kv namespaces drop {name} --yes`")));
            }
        }
        (Ok(()), Err(error)) => report.failed(backend, "clear", error),
        (Ok(()), Ok(())) => report.steps.push("clear"),
    }
}

/// A name that nobody has.
fn rand() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(Instant::now())
}

type Failed = (&'static str, Error);

/// An answer that no store should give.
fn wrong(what: &str) -> Error {
    Error::Internal(format!("the store answered wrongly: {what}"))
}

fn expect(good: bool, what: &str) -> Result<()> {
    if good { Ok(()) } else { Err(wrong(what)) }
}

async fn steps(space: &KvStore, remote: bool, report: &mut Report) -> Result<(), Failed> {
    macro_rules! step {
        ($name:literal, $work:expr) => {{
            let result: Result<_> = async { $work }.await;
            let value = result.map_err(|error| ($name, error))?;
            report.steps.push($name);
            value
        }};
    }
    let before = space.clock().now();
    let version = step!("set", {
        match space.set("doctor.a", "one").metadata(json!({"by": "doctor"})).await? {
            SetResult::Written(version) => Ok(version),
            SetResult::Conflict(_) => Err(wrong("a conflict where nothing was demanded")),
        }
    });
    let after = space.clock().now();
    let found = step!("get", {
        let state = space.entry("doctor.a").await?.ok_or_else(|| wrong("what was just set is absent"))?;
        expect(state.version == version, "another version than was written")?;
        expect(state.attributes.metadata.is_some(), "the metadata is gone")?;
        expect(state.decode()? == Some("one".into()), "another value than was set")?;
        Ok(state)
    });
    if remote {
        clocks(report, before, found.attributes.created_at, after);
    }
    step!("compare-and-swap", {
        let swapped = space.compare_and_swap("doctor.a", "one", "two").await?;
        expect(matches!(swapped, SwapResult::Swapped(_)), "the value was there, and was not swapped")?;
        let late = space.set("doctor.a", "three").if_version(version).await?;
        expect(matches!(late, SetResult::Conflict(_)), "a write with an old version was taken")
    });
    step!("list", {
        let keys = space.keys("doctor.**").await?;
        expect(keys == ["doctor.a"], "a listing leaves out what is there")
    });
    step!("expire", {
        let day = Duration::from_secs(86_400);
        expect(matches!(space.touch("doctor.a", day).await?, ChangeResult::Written(_)), "touch found nothing")?;
        let state = space.describe("doctor.a").await?;
        expect(state.is_some_and(|state| state.attributes.expires_at.is_some()), "no expiry after touch")?;
        space.set("doctor.brief", 1).ttl(Duration::from_millis(1)).await?;
        let began = Instant::now();
        while space.exists("doctor.brief").await? {
            if began.elapsed() > PATIENCE {
                return Err(wrong("an entry with a time to live of 1 ms is still there after 5 s"));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    });
    let capabilities = report.capabilities.as_ref();
    if capabilities.is_some_and(|capabilities| capabilities.max_atomic > 1) {
        step!("transact", {
            space.transact().set("doctor.c", 1).delete("doctor.a").await?;
            expect(!space.exists("doctor.a").await? && space.exists("doctor.c").await?, "half a transaction")
        });
    }
    step!("delete", {
        space.set("doctor.d", 1).await?;
        expect(space.delete("doctor.d").await? == DeleteResult::Deleted, "there was nothing to delete")?;
        expect(space.get("doctor.d").await?.is_none(), "what was deleted is still there")
    });
    let (mut sets, mut gets) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let began = Instant::now();
        space.set("doctor.time", "x").await.map_err(|error| ("set", error))?;
        sets.push(began.elapsed());
        let began = Instant::now();
        space.get("doctor.time").await.map_err(|error| ("get", error))?;
        gets.push(began.elapsed());
    }
    report.latency = Some((median(gets), median(sets)));
    Ok(())
}

fn median(mut spans: Vec<Duration>) -> Duration {
    spans.sort();
    spans.get(spans.len() / 2).copied().unwrap_or_default()
}

/// The service dates what it writes by its own clock.
fn clocks(report: &mut Report, before: Timestamp, theirs: Timestamp, after: Timestamp) {
    let (apart, which) = match (before.checked_sub(theirs), theirs.checked_sub(after)) {
        (Some(behind), _) => (Duration::from_millis(behind), "behind"),
        (_, Some(ahead)) => (Duration::from_millis(ahead), "ahead of"),
        (None, None) => return,
    };
    if apart > SKEW {
        report.findings.push(Finding::warning(
            format!("the service's clock is {:.1} s {which} this machine's", apart.as_secs_f64()),
            "let both machines keep their time by NTP: expiry goes by the service's clock, `--expires-at` by yours",
        ));
    }
}
