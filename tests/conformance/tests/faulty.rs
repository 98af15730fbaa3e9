//! The suite must notice every lie.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dataknobs_kv_conformance::faulty::{Faulty, Lie};
use dataknobs_kv_conformance::native::{harness, memory};
use dataknobs_kv_conformance::run::{attempt, runtime};
use dataknobs_kv_conformance::{Case, Need, all};
use libtest_mimic::{Arguments, Failed, Trial};

/// Enough to believe it.
const ENOUGH: usize = 4;

fn runs(case: &Case) -> bool {
    !case.needs.iter().any(|need| matches!(need, Need::Reopen | Need::Volume | Need::NotAtomic | Need::NotSliding))
}

/// The cases that fail on this storage, up to [`ENOUGH`].
fn caught(lie: Lie, runtime: &tokio::runtime::Runtime) -> Vec<String> {
    let mut caught = Vec::new();
    for case in all().filter(|case| runs(case)) {
        let harness = harness(Arc::new(Faulty::new(memory(), lie)));
        if case.needs.iter().any(|need| need.declared(&harness.capabilities) == Some(false)) {
            continue;
        }
        if let Err(message) = runtime.block_on(attempt(case, harness)) {
            // Of one that must not fail, the reason too.
            let why = if lie == Lie::Nothing { format!(" ({message})") } else { String::new() };
            caught.push(case.path() + &why);
            if caught.len() >= ENOUGH {
                break;
            }
        }
    }
    caught
}

fn main() {
    let arguments = Arguments::from_args();
    let wanted = |lie: &Lie| arguments.filter.as_ref().is_none_or(|filter| format!("lie::{lie:?}").contains(filter));
    let table = Mutex::new(BTreeMap::new());
    if !arguments.list {
        // What is meant to fail should not fill the screen.
        std::panic::set_hook(Box::new(|_| {}));
        let runtime = runtime();
        let lies: Vec<Lie> = Lie::ALL.iter().copied().filter(wanted).collect();
        let next = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(lie) = lies.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) {
                        let cases = caught(*lie, &runtime);
                        table.lock().expect("the table").insert(format!("{lie:?}"), cases);
                    }
                });
            }
        });
        let _ = std::panic::take_hook();
    }
    let table = table.into_inner().expect("the table");
    for lie in Lie::ALL.iter().filter(|lie| table.contains_key(&format!("{lie:?}"))) {
        let cases = &table[&format!("{lie:?}")];
        let more = if cases.len() == ENOUGH { ", …" } else { "" };
        println!("{:<64} | {}{more}", lie.words(), cases.join(", "));
    }
    let trials = Lie::ALL.iter().copied().map(|lie| {
        let cases = table.get(&format!("{lie:?}")).cloned().unwrap_or_default();
        Trial::test(format!("lie::{lie:?}"), move || match (cases.is_empty(), lie) {
            (true, Lie::Nothing) => Ok(()),
            (false, Lie::Nothing) => Err(Failed::from(format!("noticed without a lie: {}", cases.join(", ")))),
            (false, _) => Ok(()),
            (true, _) => Err(Failed::from("no case noticed it")),
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
