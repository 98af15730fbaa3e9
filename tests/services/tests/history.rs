//! The linearizability checker: what it must accept, and what it must not.

use std::path::PathBuf;

use dataknobs_kv_services::history::{Action, Checker, History, Outcome, Verdict, now};
use dataknobs_kv_services::{Missing, Result};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// A history as lines `CALL RETURN OP OUTCOME`, and whether an order explains it.
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
    good("an_entry_that_expires", &["1 2 set:a v1", "5 6 expire:v1 ok", "3 4 get a@v1", "7 8 get absent"]),
    bad("an_entry_read_after_it_expired", &["1 2 set:a v1", "5 6 expire:v1 ok", "7 8 get a@v1"]),
    bad("an_entry_gone_before_it_expired", &["1 2 set:a v1", "5 6 expire:v1 ok", "3 4 get absent"]),
    good(
        "a_renewed_entry_outlives_the_old_ones_end",
        &["1 2 set:a v1", "3 4 set:b v2", "5 6 expire:v1 ok", "7 8 get b@v2"],
    ),
    bad(
        "a_renewed_entry_dies_with_the_old_one",
        &["1 2 set:a v1", "3 4 set:b v2", "5 6 expire:v1 ok", "7 8 get absent"],
    ),
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
    let mut fields = format!(r#"{{"client":{client},"key":"k","call":{call}"#);
    let mut field = |name: &str, value: &str| fields.push_str(&format!(r#","{name}":"{value}""#));
    let mut asked = asked.split(':');
    let op = asked.next().expect("an operation");
    field("op", op);
    for (argument, name) in asked.zip(match op {
        "set" | "create" => ["value", ""],
        "cas" => ["expected", "value"],
        "delete" => ["expected", ""],
        _ => ["version", ""],
    }) {
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
    let end = if back == "-" { String::new() } else { format!(r#","return":{back}"#) };
    format!(r#"{fields},"delta":{}{end}}}"#, i32::from(op == "increment"))
}

fn recorded_by_several(checker: Checker) -> Result<(), Failed> {
    let folder = Folder::new("several")?;
    let files = ["one.jsonl", "other.jsonl"].map(|name| folder.0.join(name));
    let (one, other) = (History::create(&files[0])?, History::create(&files[1])?);
    let key = "a \"key\"\n";
    one.record(0, key, Action::Create { value: "1" }, now(), Outcome::Wrote { version: "v1" })?;
    other.record(1, key, Action::Get, now(), Outcome::Read { value: "1", version: "v1" })?;
    other.record(1, key, Action::Create { value: "9" }, now(), Outcome::Conflict)?;
    one.record(0, key, Action::Increment { delta: 4 }, now(), Outcome::Counted { value: 5, version: "v2" })?;
    other.record(1, key, Action::Cas { expected: "v1", value: "x" }, now(), Outcome::Conflict)?;
    other.record(1, key, Action::Set { value: "y" }, now(), Outcome::Unknown)?;
    one.record(0, key, Action::Delete { expected: Some("v2") }, now(), Outcome::Deleted)?;
    other.record(1, "other", Action::Delete { expected: None }, now(), Outcome::Absent)?;
    one.record(0, "other", Action::Set { value: "z" }, now(), Outcome::Wrote { version: "v3" })?;
    one.expires("other", "v3", now(), None)?;
    other.unanswered_expires(key, "y", now())?;
    let checked = checker.check(&files)?;
    assert_eq!(checked.verdict, Verdict::Linearizable, "{}", checked.report);
    assert!(checked.report.contains("2 keys, 11 operations"), "{}", checked.report);

    one.record(0, key, Action::Get, now(), Outcome::Read { value: "1", version: "v1" })?;
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
