//! What `cargo test` prints, read back: how many cases ran where, which failed, which were ignored and why.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The cases of one place: a runner of the suite, a test binary, the doctests of a crate.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) ignored: u32,
}

/// What was read so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The binary that is printing.
    place: String,
    /// The runners of the suite that it announced: their cases are counted apart.
    runners: Vec<String>,
    /// A case whose outcome comes on a line of its own, since something else was printed meanwhile.
    pending: Option<String>,
    groups: BTreeMap<String, Tally>,
    failed: Vec<String>,
    /// By reason: the cases.
    ignored: BTreeMap<String, Vec<String>>,
    /// What the binaries' own last lines say, to be held against the count of lines.
    claimed: Tally,
    /// Binaries that started and have not printed a result: they crashed, if none comes.
    unfinished: Option<String>,
    crashed: Vec<String>,
}

impl Report {
    /// Takes one line; whether a person should see it.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        let words = line.trim_start();
        if let Some(started) = started(words) {
            self.finish();
            self.unfinished = Some(started.clone());
            self.place = started;
            self.runners.clear();
            return true;
        }
        if let Some(runner) = announced(line) {
            self.runners.push(runner.to_owned());
            return true;
        }
        if let Some(result) = words.strip_prefix("test result: ") {
            self.unfinished = None;
            self.claimed.passed += counted(result, "passed");
            self.claimed.failed += counted(result, "failed");
            self.claimed.ignored += counted(result, "ignored");
            return true;
        }
        if let Some((name, outcome)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            let name = name.trim_end();
            if outcome_of(outcome).is_some() {
                return self.case(name, outcome);
            }
            self.pending = Some(name.to_owned());
            return true;
        }
        if outcome_of(line).is_some()
            && let Some(name) = self.pending.take()
        {
            return self.case(&name, line);
        }
        let noise = line.is_empty() || (line.starts_with("running ") && line.ends_with(['t', 's']));
        !(noise || self.runners.iter().any(|runner| line.starts_with(&format!("{runner}: ignoring "))))
    }

    fn case(&mut self, name: &str, outcome: &str) -> bool {
        // `runner::case` is how the suite's runners print; other cases belong to their binary.
        let of_runner = |runner: &String| Some((runner.clone(), name.strip_prefix(runner)?.strip_prefix("::")?));
        let found = self.runners.iter().find_map(of_runner);
        let (group, name) = found.unwrap_or_else(|| (self.place.clone(), name));
        let tally = self.groups.entry(group.clone()).or_default();
        match outcome_of(outcome) {
            Some(Outcome::Passed) => tally.passed += 1,
            Some(Outcome::Ignored(reason)) => {
                tally.ignored += 1;
                self.ignored.entry(reason.to_owned()).or_default().push(format!("{group}: {name}"));
            }
            _ => {
                tally.failed += 1;
                self.failed.push(format!("{group}: {name}"));
                return true;
            }
        }
        false
    }

    /// No more lines will come from the binary that printed last.
    pub(crate) fn finish(&mut self) {
        if let Some(place) = self.unfinished.take() {
            self.crashed.push(place);
        }
    }

    /// Whether all that ran passed, and something ran.
    pub(crate) fn passed(&self) -> bool {
        let sum = self.sum();
        sum.failed == 0 && sum.passed > 0 && self.crashed.is_empty() && self.claimed.failed == 0
    }

    fn sum(&self) -> Tally {
        self.groups.values().fold(Tally::default(), |sum, tally| Tally {
            passed: sum.passed + tally.passed,
            failed: sum.failed + tally.failed,
            ignored: sum.ignored + tally.ignored,
        })
    }

    /// The table, then what was ignored and why, then what failed.
    pub(crate) fn summary(&self) -> String {
        let sum = self.sum();
        let width = self.groups.keys().map(|group| group.chars().count()).max().unwrap_or(0).max(8);
        let mut text = format!("{:width$}  passed  failed  ignored\n", "where");
        let rows = self.groups.iter().map(|(group, tally)| (group.as_str(), tally));
        for (group, tally) in rows.chain([("total", &sum)]) {
            let Tally { passed, failed, ignored } = tally;
            let _ = writeln!(text, "{group:width$}  {passed:6}  {failed:6}  {ignored:7}");
        }
        if sum != self.claimed {
            let _ = writeln!(text, "\nthe test binaries' own totals differ: {:?}", self.claimed);
        }
        list(&mut text, "crashed, or said nothing at the end", &self.crashed);
        if !self.ignored.is_empty() {
            text.push_str("\nignored:\n");
            for (reason, cases) in &self.ignored {
                let _ = writeln!(text, "  {reason} ({})", cases.len());
                for case in cases {
                    let _ = writeln!(text, "    {case}");
                }
            }
        }
        list(&mut text, "failed", &self.failed);
        text
    }
}

fn list(text: &mut String, title: &str, items: &[String]) {
    if !items.is_empty() {
        let _ = writeln!(text, "\n{title}:");
        for item in items {
            let _ = writeln!(text, "  {item}");
        }
    }
}

/// What stands behind a case's name.
enum Outcome<'a> {
    Passed,
    Failed,
    Ignored(&'a str),
}

/// `ok`, `FAILED`, `ignored, reason`, `ignored (reason)`.
fn outcome_of(text: &str) -> Option<Outcome<'_>> {
    match text {
        "ok" => Some(Outcome::Passed),
        "FAILED" => Some(Outcome::Failed),
        "ignored" => Some(Outcome::Ignored("no reason given")),
        _ => {
            let reason = text.strip_prefix("ignored")?;
            let reason = reason.strip_prefix(", ").or_else(|| reason.strip_prefix(" (")?.strip_suffix(')'))?;
            Some(Outcome::Ignored(reason))
        }
    }
}

/// `RUNNER: 180 cases of 200`, which the suite prints before it runs.
fn announced(line: &str) -> Option<&str> {
    let (runner, counts) = line.split_once(": ")?;
    let (run, all) = counts.split_once(" cases of ")?;
    let number = |text: &str| text.parse::<u32>().is_ok();
    (number(run) && number(all)).then_some(runner)
}

/// `Running unittests src/lib.rs (target/debug/deps/name-0123abcd)`, `Running tests/name.rs (…)`, `Doc-tests name`.
fn started(line: &str) -> Option<String> {
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("doctests of {name}"));
    }
    let (what, binary) = line.strip_prefix("Running ")?.strip_suffix(')')?.rsplit_once(" (")?;
    let file = binary.rsplit(['/', '\\']).next()?;
    let name = file.rsplit_once('-').map_or(file, |(name, _hash)| name);
    Some(if what.starts_with("unittests") { format!("unit tests of {name}") } else { format!("tests: {name}") })
}

/// The `3` of `… 3 ignored; …`.
fn counted(result: &str, what: &str) -> u32 {
    let part = result.split([';', '.']).map(str::trim).find_map(|part| part.strip_suffix(what));
    part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Report {
        let mut report = Report::default();
        for line in text.lines() {
            report.line(line);
        }
        report.finish();
        report
    }

    const GREEN: &str = "\
   Compiling core v0.1.0
     Running unittests src/lib.rs (target/debug/deps/core-0123)

running 2 tests
test key::tests::escapes ... ok
test key::tests::slow ... ignored, takes an hour
test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/conformance.rs (/elsewhere/debug/deps/conformance-4567)

component over memory: 1 cases of 2
component over memory: ignoring 1: needs Durable, which the backend declares not

running 2 tests
test component over memory::versions::cas          ... ok
test component over memory::durability::crash_test ... ignored (needs Durable, which the backend declares not)
test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests core
test core/src/lib.rs - (line 3) ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

    #[test]
    fn counts_by_runner_and_binary_with_reasons() {
        let report = read(GREEN);
        assert!(report.passed());
        let summary = report.summary().split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "unit tests of core 1 0 1",
            "component over memory 1 0 1",
            "doctests of core 1 0 0",
            "total 3 0 2",
            "needs Durable, which the backend declares not (1) component over memory: durability::crash_test",
            "takes an hour (1) unit tests of core: key::tests::slow",
        ] {
            assert!(summary.contains(part), "{part:?} is not in\n{summary}");
        }
        assert!(!summary.contains("differ"), "{summary}");
    }

    #[test]
    fn a_failure_a_crash_and_silence_do_not_pass() {
        let failed = read(&GREEN.replace("cas          ... ok", "cas          ... FAILED"));
        assert!(!failed.passed());
        assert!(failed.summary().contains("failed:\n  component over memory: versions::cas\n"), "{}", failed.summary());
        let last = GREEN.lines().last().expect("a line");
        let crashed = read(&GREEN.replace(last, ""));
        assert!(!crashed.passed());
        assert!(crashed.summary().contains("doctests of core\n"), "{}", crashed.summary());
        assert!(!read("error: could not compile").passed());
    }

    #[test]
    fn an_outcome_may_come_after_other_output() {
        let report = read(&GREEN.replace("cas          ... ok", "cas          ... a warning\nok"));
        assert!(report.passed() && !report.summary().contains("differ"), "{}", report.summary());
    }

    #[test]
    fn notices_lines_that_it_did_not_understand() {
        let report = read(&GREEN.replace("test key::tests::escapes ... ok", "garbled"));
        assert!(report.summary().contains("differ"), "{}", report.summary());
    }
}
