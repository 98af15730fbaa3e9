//! The linearizability checker: what it must accept, and what it must not.

use std::path::PathBuf;

use dataknobs_kv_services::history::{Action, Asked, Checker, History, Outcome, Verdict, now};
use dataknobs_kv_services::{Missing, Result};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// A history as lines `CALL RETURN OP OUTCOME`, times in seconds, and whether an order explains it.
struct Example {
    name: &'static str,
    good: bool,
    lines: &'static [&'static str],
}

const fn good(name: &'static str, lines: &'static [&'static str]) -> Example {
    Example { name, good: true, lines }
}

const fn bad(name: &'static str, lines: &'static [&'static str]) -> Example {
    Example { name, good: false, lines }
}

const EXAMPLES: &[Example] = &[
    good(
        "one_after_the_other",
        &["1 2 set:a v1", "3 4 get a@v1", "5 6 cas:v1:b v2", "7 8 delete ok", "9 10 get absent"],
    ),
    good("a_read_beside_a_write_sees_either", &["1 2 set:a v1", "3 9 set:b v2", "4 5 get a@v1", "6 7 get b@v2"]),
    bad("a_stale_read", &["1 2 set:a v1", "3 4 set:b v2", "5 6 get a@v1"]),
    bad("reads_that_go_back", &["1 2 set:a v1", "3 9 set:b v2", "4 5 get b@v2", "6 7 get a@v1"]),
    bad("a_value_under_the_version_of_another", &["1 2 set:a v1", "3 4 set:b v2", "5 6 get b@v1"]),
    bad("two_winners_of_one_version", &["1 2 set:a v1", "3 6 cas:v1:b v2", "4 7 cas:v1:c v3"]),
    good("one_winner_of_one_version", &["1 2 set:a v1", "3 6 cas:v1:b v2", "4 7 cas:v1:c conflict"]),
    bad("no_winner_of_one_version", &["1 2 set:a v1", "3 6 cas:v1:b conflict", "4 7 cas:v1:c conflict"]),
    bad("two_creators", &["1 4 create:a v1", "2 5 create:b v2"]),
    bad("a_lost_write", &["1 2 set:a v1", "3 4 get absent"]),
    bad("a_deleted_entry_that_comes_back", &["1 2 set:a v1", "3 4 delete ok", "5 6 get a@v1"]),
    bad("a_delete_that_found_nothing_of_something", &["1 2 set:a v1", "3 4 delete absent"]),
    bad("a_delete_of_another_version", &["1 2 set:a v1", "3 4 set:b v2", "5 6 delete:v1 ok"]),
    good("a_refused_delete", &["1 2 set:a v1", "3 4 set:b v2", "5 6 delete:v1 conflict", "7 8 get b@v2"]),
    good("increments_beside_each_other", &["1 5 increment 1@v1", "2 6 increment 2@v2", "7 8 get 2@v2"]),
    bad("a_lost_increment", &["1 5 increment 1@v1", "2 6 increment 1@v2"]),
    good("an_unanswered_write_may_be_seen", &["1 - set:a unknown", "2 3 get absent", "8 9 get a@v1"]),
    good("an_unanswered_write_may_be_lost", &["1 - set:a unknown", "8 9 get absent"]),
    bad("an_unanswered_write_is_not_undone", &["1 - set:a unknown", "2 3 get a@v1", "8 9 get absent"]),
    bad("an_unanswered_increment_counts_once", &["1 - increment unknown", "2 3 get 1@v1", "8 9 get 2@v2"]),
    good("an_unanswered_write_can_be_replaced_once_read", &["1 - set:a unknown", "2 3 get a@v1", "4 5 cas:v1:b v2"]),
    good("a_swap_by_value", &["1 2 set:a v1", "3 6 swap:a:b v2", "4 7 swap:a:c conflict", "8 9 get b@v2"]),
    bad("two_swaps_of_one_value", &["1 2 set:a v1", "3 6 swap:a:b v2", "4 7 swap:a:c v3"]),
    bad("a_swap_of_another_value", &["1 2 set:a v1", "3 4 swap:b:c v2"]),
    good("a_swap_of_nothing", &["1 2 swap::a v1", "3 4 swap::b conflict"]),
    good("an_entry_that_expires", &["1 2 set:a:5 v1", "3 4 get a@v1", "6 7 get absent", "8 9 create:b v2"]),
    bad("an_entry_read_after_it_expired", &["1 2 set:a:5 v1", "6 7 get a@v1"]),
    bad("an_entry_replaced_after_it_expired", &["1 2 set:a:5 v1", "6 7 cas:v1:b v2"]),
    bad("an_entry_gone_before_it_expired", &["1 2 set:a:5 v1", "3 4 get absent"]),
    bad("a_counter_that_starts_anew_too_early", &["1 2 increment:5 1@v1", "3 4 increment 1@v2"]),
    good("a_counter_keeps_its_end", &["1 2 increment:5 1@v1", "3 4 increment 2@v2", "6 7 increment 1@v3"]),
    bad("a_counter_outlives_its_end", &["1 2 increment:5 1@v1", "3 4 increment 2@v2", "6 7 increment 3@v3"]),
    good("a_call_held_up_over_the_end", &["1 2 set:a:5 v1", "4 9 get a@v1", "6 7 get absent"]),
    good("a_write_held_up_over_the_end", &["1 2 set:a:5 v1", "4 9 cas:v1:b v2", "6 7 get absent", "10 11 get b@v2"]),
    bad("a_renewal_without_a_writer", &["1 2 set:a:5 v1", "6 7 get absent", "8 9 get a@v1"]),
    good("a_write_that_arrives_after_its_end", &["1 2 set:a v1", "3 9 set:b:5 v2", "6 7 get a@v1", "10 11 get absent"]),
    good(
        "an_unanswered_write_that_expires",
        &["1 2 set:a v1", "3 - set:b:5 unknown", "6 7 get a@v1", "8 9 get absent"],
    ),
    good(
        "an_unanswered_increment_before_the_end",
        &["1 2 increment:5 1@v1", "4 - increment:20 unknown", "8 9 get 2@v2"],
    ),
    good("an_unanswered_increment_after_the_end", &["1 2 increment:5 1@v1", "4 - increment unknown", "8 9 get 1@v2"]),
    bad("an_unanswered_increment_that_renews", &["1 2 increment:5 1@v1", "4 - increment unknown", "8 9 get 2@v2"]),
    good("a_renewed_entry_outlives_the_old_ones_end", &["1 2 set:a:5 v1", "3 4 set:b v2", "7 8 get b@v2"]),
    bad("a_renewed_entry_dies_with_the_old_one", &["1 2 set:a:5 v1", "3 4 set:b v2", "7 8 get absent"]),
];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = EXAMPLES
        .iter()
        .map(|example| Trial::ignorable_test(example.name, || with_checker(|checker| judge(checker, example))))
        .collect();
    trials.push(Trial::ignorable_test("recorded_by_several_processes", || with_checker(recorded_by_several)));
    trials.push(Trial::ignorable_test("what_is_no_history_is_refused", || with_checker(what_is_no_history)));
    libtest_mimic::run(&arguments, trials).exit();
}

fn with_checker(run: impl FnOnce(Checker) -> Result<(), Failed>) -> Result<Completion, Failed> {
    match Checker::build() {
        Ok(checker) => run(checker).map(|()| Completion::Completed),
        Err(Missing { reason, required: true }) => Err(reason.into()),
        Err(Missing { reason, .. }) => Ok(Completion::ignored_with(reason)),
    }
}

/// A folder that goes with its value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("dataknobs-kv-history-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn judge(checker: Checker, example: &Example) -> Result<(), Failed> {
    let folder = Folder::new(example.name)?;
    let file = folder.0.join("history.jsonl");
    let lines: Vec<String> = example.lines.iter().enumerate().map(|(client, line)| json(client, line)).collect();
    std::fs::write(&file, lines.join("\n"))?;
    let checked = checker.check(std::slice::from_ref(&file))?;
    let expected = if example.good { Verdict::Linearizable } else { Verdict::NotLinearizable };
    assert_eq!(checked.verdict, expected, "{}{}", checked.report, lines.join("\n"));
    assert_eq!(folder.0.join("key-0.html").exists(), !example.good, "a drawing of what fails");
    Ok(())
}

fn json(client: usize, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let [call, back, asked, told] = words[..] else { panic!("{line:?} is no line of a history") };
    let mut fields = format!(r#"{{"client":{client},"key":"k","call":{call}000000000"#);
    let mut asked = asked.split(':');
    let op = asked.next().expect("an operation");
    if op == "increment" {
        fields.push_str(r#","delta":1"#);
    }
    let mut field = |name: &str, value: &str| match name {
        "expires" => fields.push_str(&format!(r#","expires":{value}000000000"#)),
        _ => fields.push_str(&format!(r#","{name}":"{value}""#)),
    };
    field("op", op);
    let names: &[&str] = match op {
        "set" | "create" => &["value", "expires"],
        "cas" | "swap" => &["expected", "value", "expires"],
        "delete" => &["expected"],
        _ => &["expires"],
    };
    for (argument, name) in asked.zip(names) {
        field(name, argument);
    }
    match told.split_once('@') {
        Some((seen, version)) => {
            field("outcome", "ok");
            field("seen", seen);
            field("version", version);
        }
        None if told.starts_with('v') => {
            field("outcome", "ok");
            field("version", told);
        }
        None => field("outcome", told),
    }
    let end = if back == "-" { String::new() } else { format!(r#","return":{back}000000000"#) };
    format!("{fields}{end}}}")
}

fn recorded_by_several(checker: Checker) -> Result<(), Failed> {
    let folder = Folder::new("several")?;
    let files = ["one.jsonl", "other.jsonl"].map(|name| folder.0.join(name));
    let (one, other) = (History::create(&files[0])?, History::create(&files[1])?);
    let key = "a \"key\"\n";
    let asked = |client, action| Asked { client, key, action, expires: None, call: now() };
    let seen = Outcome::Read { value: "1", version: "v1" };
    one.record(asked(0, Action::Create { value: "1" }), Outcome::Wrote { version: "v1" })?;
    other.record(asked(1, Action::Get), seen)?;
    other.conflict(asked(1, Action::Create { value: "9" }), seen)?;
    one.record(asked(0, Action::Increment { delta: 4 }), Outcome::Counted { value: 5, version: "v2" })?;
    other.record(asked(1, Action::Cas { expected: "v1", value: "x" }), Outcome::Conflict)?;
    one.record(asked(0, Action::Swap { expected: Some("5"), value: "6" }), Outcome::Wrote { version: "v3" })?;
    let soon = now() + 100_000_000;
    other.record(Asked { expires: Some(soon), ..asked(1, Action::Set { value: "y" }) }, Outcome::Unknown)?;
    one.record(asked(0, Action::Delete { expected: Some("v3") }), Outcome::Deleted)?;
    let elsewhere = |client, action| Asked { key: "other", ..asked(client, action) };
    other.record(elsewhere(1, Action::Delete { expected: None }), Outcome::Absent)?;
    let written = Outcome::Wrote { version: "v4" };
    one.record(Asked { expires: Some(soon), ..elsewhere(0, Action::Set { value: "z" }) }, written)?;
    let checked = checker.check(&files)?;
    assert_eq!(checked.verdict, Verdict::Linearizable, "{}", checked.report);
    assert!(checked.report.contains("2 keys, 13 operations"), "{}", checked.report);

    one.record(asked(0, Action::Get), seen)?;
    let checked = checker.check(&files)?;
    assert_eq!(checked.verdict, Verdict::NotLinearizable, "{}", checked.report);
    Ok(())
}

fn what_is_no_history(checker: Checker) -> Result<(), Failed> {
    let folder = Folder::new("wrong")?;
    let file = folder.0.join("history.jsonl");
    for wrong in [
        "no json",
        r#"{"op":"fly","outcome":"ok","call":1,"return":2}"#,
        r#"{"op":"set","outcome":"absent","call":1,"return":2}"#,
        r#"{"op":"set","outcome":"ok","call":2,"return":1}"#,
        r#"{"op":"set","outcome":"ok","call":2}"#,
    ] {
        std::fs::write(&file, wrong)?;
        let error = checker.check(std::slice::from_ref(&file)).expect_err("no history");
        assert!(error.contains("line 1"), "{error}");
    }
    assert!(checker.check(&[folder.0.join("absent.jsonl")]).is_err());
    Ok(())
}
