//! What needs a look inside: journals and snapshots cut and damaged at every byte, and compaction stopped at every step.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dataknobs_kv_core::memory::StoredSpace;
use dataknobs_kv_core::storage::{Amendment, Change, Mutation, Outcome};
use dataknobs_kv_core::{Attributes, Error, Precondition, Projection, Result, Storage, Value, ValueType};
use tempfile::TempDir;

use super::compact::Plan;
use super::files::{self, Opened};
use super::journal::{Journal, Unwritten};
use super::{Compression, JsonFileConfig, JsonFileStorage, format};

const NS: &str = "default";

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn attributes(value_type: ValueType, value: &[u8]) -> Attributes {
    Attributes {
        value_type,
        content_type: None,
        metadata: Some(r#"{"a":"é\n"}"#.into()),
        created_at: 1,
        updated_at: 2,
        expires_at: Some(1 << 40),
        sliding_ms: None,
        size: value.len() as u64,
        checksum: crc32c::crc32c(value),
    }
}

fn put(key: &str, value: Value) -> Mutation {
    let (value_type, value) = value.encode();
    let attributes = attributes(value_type, &value);
    Mutation { key: key.into(), change: Change::Put { attributes, value }, precondition: Precondition::None }
}

fn amend(key: &str, metadata: &str) -> Mutation {
    let metadata = Some(metadata.to_owned());
    let amendment = Amendment { content_type: None, metadata, updated_at: 3, expires_at: None, sliding_ms: Some(5) };
    Mutation { key: key.into(), change: Change::Amend(amendment), precondition: Precondition::None }
}

fn delete(key: &str) -> Mutation {
    Mutation { key: key.into(), change: Change::Delete, precondition: Precondition::None }
}

fn config(path: &Path) -> JsonFileConfig {
    JsonFileConfig::new(path)
}

fn store(config: JsonFileConfig) -> JsonFileStorage {
    run(JsonFileStorage::open(config, true)).unwrap()
}

fn write(storage: &JsonFileStorage, mutations: Vec<Mutation>) {
    for result in run(storage.write(NS, mutations, false, 1, Projection::Key)).unwrap() {
        assert!(matches!(result, Ok(Outcome::Written(_) | Outcome::Deleted)), "{result:?}");
    }
}

/// What a store's files hold.
fn look(path: &Path) -> Result<Vec<StoredSpace>> {
    files::open(&config(path), true).map(|opened| opened.memory.all_stored())
}

/// As a crash leaves it: the files as they are, in a folder of their own.
fn crashed(path: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        if entry.path().extension().is_none_or(|ending| ending != "lock") {
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    let path = folder.path().join(path.file_name().unwrap());
    (folder, path)
}

fn journal_of(path: &Path) -> PathBuf {
    path.with_file_name(format!("{}.journal", path.file_name().unwrap().to_str().unwrap()))
}

/// A store with a journal of some groups; how long the journal was after each, and what was in the store then.
struct Sample {
    _folder: TempDir,
    path: PathBuf,
    groups: Vec<(usize, Vec<StoredSpace>)>,
}

impl Sample {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let storage = store(config(&path));
        // A snapshot with something in it.
        write(&storage, vec![put("before", Value::Text("x".into())), put("gone", Value::Null)]);
        drop(storage);
        let storage = store(config(&path));
        let mut groups = vec![(0, storage.memory.all_stored())];
        let long = "long ".repeat(300);
        for mutations in [
            vec![put("a", Value::Text("é\"\n\u{0}".into()))],
            vec![put("b.c", Value::Json("{\"x\": [1.0, 2e400]}".into())), put("d", Value::Bytes(vec![0, 255, 10]))],
            vec![amend("a", "{\"b\":1}"), delete("gone"), put("n", Value::Number(0.1))],
            vec![put("a", Value::Integer(i64::MIN)), put("j", Value::Json(" [1,\n2] ".into()))],
            vec![put("c", Value::Custom { type_name: "my type".into(), bytes: b"\xff".to_vec() })],
            vec![put("long", Value::Text(long.clone()))],
        ] {
            write(&storage, mutations);
            groups.push((fs::read(journal_of(&path)).unwrap().len(), storage.memory.all_stored()));
        }
        let (folder, path) = crashed(&path);
        drop(storage);
        Sample { _folder: folder, path, groups }
    }

    fn journal(&self) -> Vec<u8> {
        fs::read(journal_of(&self.path)).unwrap()
    }

    fn with_journal(&self, journal: &[u8]) -> Result<Vec<StoredSpace>> {
        fs::write(journal_of(&self.path), journal).unwrap();
        look(&self.path)
    }

    fn last(&self) -> &Vec<StoredSpace> {
        &self.groups.last().unwrap().1
    }
}

/// All places in a text, but few of those in the long value.
fn places(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let long = |at: &usize| bytes[at.saturating_sub(9)..*at].windows(5).any(|window| window == b"long ");
    (0..=bytes.len()).filter(move |at| !long(at) || at % 17 == 0).collect::<Vec<_>>().into_iter()
}

fn assert_corrupt(result: Result<Vec<StoredSpace>>, context: &str) -> String {
    match result {
        Err(Error::Corrupt(message)) => message,
        Err(other) => panic!("{context}: {other}"),
        Ok(_) => panic!("{context}: it opened"),
    }
}

#[test]
fn what_was_written_is_read_exactly() {
    let sample = Sample::new("data.json");
    assert!(look(&sample.path).unwrap() == *sample.last());
    // The same from a snapshot.
    drop(store(config(&sample.path)));
    assert!(!journal_of(&sample.path).exists());
    assert!(look(&sample.path).unwrap() == *sample.last());
    // And compressed.
    let storage = store(config(&sample.path).compression(Compression::Gzip));
    write(&storage, vec![put("x", Value::Null)]);
    write(&storage, vec![delete("x")]);
    drop(storage);
    assert!(fs::read(&sample.path).unwrap().starts_with(&[0x1f, 0x8b]));
    assert!(look(&sample.path).unwrap() == *sample.last());
}

/// Callers below the core may write what no core would: it comes back all the same.
#[test]
fn odd_entries_are_kept_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.json");
    let odd = |value_type: ValueType, value: &[u8], metadata: &str| {
        let mut attributes = attributes(value_type, value);
        attributes.metadata = Some(metadata.into());
        attributes.content_type = Some("\"é\u{1}".into());
        (attributes.size, attributes.checksum, attributes.created_at) = (7, 8, u64::MAX);
        Change::Put { attributes, value: value.to_vec() }
    };
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let changes = [
        odd(ValueType::Integer, b"007", "{}"),
        odd(ValueType::Number, b"1.50", "not JSON"),
        odd(ValueType::Boolean, b"maybe", "{\n}"),
        odd(ValueType::Null, b"x", "\"\""),
        odd(ValueType::Json, b"{", "{ \"a\" : 1 } "),
        odd(ValueType::Json, deep.as_bytes(), "[]"),
        odd(ValueType::Json, br#""\ud800""#, ""),
        odd(ValueType::Text, b"\xff\xfe", "{\"a\":1,\"a\":2}"),
        odd(ValueType::Custom("é".into()), b"", "1"),
    ];
    let keys = ["", "a..b", "\\", "\u{0}", "é", "f", "g", "h", "i"];
    let storage = store(config(&path));
    let mutations = keys.iter().zip(changes);
    let mutation =
        |(key, change): (&&str, Change)| Mutation { key: (*key).into(), change, precondition: Precondition::None };
    write(&storage, mutations.map(mutation).collect());
    let all = storage.memory.all_stored();
    let (_folder, copy) = crashed(&path);
    assert!(look(&copy).unwrap() == all, "from the journal");
    drop(storage);
    assert!(look(&path).unwrap() == all, "from the snapshot");
}

#[test]
fn a_journal_cut_anywhere_is_the_store_as_it_was_after_its_last_whole_group() {
    let sample = Sample::new("data.json");
    let journal = sample.journal();
    let head = journal.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in places(&journal) {
        let result = sample.with_journal(&journal[..length]);
        if length < head {
            let message = assert_corrupt(result, &format!("{length}"));
            assert!(message.contains("line 1"), "{message}");
            continue;
        }
        // The line break may be missing.
        let whole = sample.groups.iter().rev().find(|(end, _)| *end <= length + 1).unwrap();
        assert!(result.unwrap() == whole.1, "cut at {length}");
    }
}

/// Not only read: the next write cuts the torn line off, and is there afterwards.
#[test]
fn a_torn_journal_is_written_on() {
    let sample = Sample::new("data.json");
    let journal = sample.journal();
    for cut in [1, 2, 3, 600, 1400] {
        fs::write(journal_of(&sample.path), &journal[..journal.len() - cut]).unwrap();
        let before = look(&sample.path).unwrap();
        let (_folder, path) = crashed(&sample.path);
        let storage = store(config(&path));
        assert!(storage.memory.all_stored() == before);
        write(&storage, vec![put("after", Value::Boolean(true))]);
        let after = storage.memory.all_stored();
        let (_folder, copy) = crashed(&path);
        assert!(look(&copy).unwrap() == after, "{cut}");
        write(&storage, vec![delete("after")]);
        drop(storage);
        assert!(look(&path).unwrap() == before, "{cut}");
    }
}

#[test]
fn a_journal_with_any_byte_changed_is_refused_or_right() {
    let sample = Sample::new("data.json");
    let journal = sample.journal();
    let mut right = 0;
    for at in places(&journal).filter(|at| *at < journal.len()) {
        for flip in [0x01, 0x80] {
            let mut journal = journal.clone();
            journal[at] ^= flip;
            match sample.with_journal(&journal) {
                // Only a last line break can change without harm.
                Ok(all) => {
                    assert!(all == *sample.last() && at + 1 == journal.len(), "{at}");
                    right += 1;
                }
                result => {
                    let message = assert_corrupt(result, &format!("{at}"));
                    assert!(message.contains("data.json.journal: line ") && message.contains("damaged"), "{message}");
                }
            }
        }
    }
    assert_eq!(right, 2);
    assert!(sample.with_journal(&journal).unwrap() == *sample.last());
    let damaged = [&journal[..], b"{}\n"].concat();
    let message = assert_corrupt(sample.with_journal(&damaged), "a foreign line");
    assert!(message.contains(&format!("line 8, from byte {}", journal.len())), "{message}");
}

#[test]
fn blocks_that_never_reached_the_disk() {
    let sample = Sample::new("data.json");
    let journal = sample.journal();
    let (before, last) = (&sample.groups[5], journal.len());
    // In the last line: nobody was told of it.
    let first_block = before.0.next_multiple_of(512);
    for range in [first_block..first_block + 512, first_block..last, before.0..first_block, before.0..last] {
        let mut torn = journal.clone();
        torn[range.clone()].fill(0);
        assert!(sample.with_journal(&torn).unwrap() == before.1, "{range:?}");
    }
    // In a line before it: it was on disk once.
    let (start, end) = (sample.groups[1].0, sample.groups[2].0);
    let mut damaged = journal.clone();
    damaged[start..end].fill(0);
    assert_corrupt(sample.with_journal(&damaged), "a hole in the middle");
}

/// Relaxed groups reach the disk together: a hole takes what comes after it, and nothing is refused.
#[test]
fn relaxed_groups_may_be_missing_from_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.json");
    let storage = store(config(&path).durability(crate::Durability::Relaxed));
    let mut states = Vec::new();
    for index in 0..4 {
        write(&storage, vec![put(&format!("k{index}"), Value::Text("x".repeat(1500)))]);
        states.push((fs::metadata(journal_of(&path)).unwrap().len() as usize, storage.memory.all_stored()));
    }
    let (_folder, copy) = crashed(&path);
    let mut journal = fs::read(journal_of(&copy)).unwrap();
    let block = states[1].0.next_multiple_of(512);
    journal[block..block + 512].fill(0);
    fs::write(journal_of(&copy), &journal).unwrap();
    assert!(look(&copy).unwrap() == states[1].1);
}

#[test]
fn a_snapshot_cut_anywhere_is_refused() {
    for name in ["data.json", "data.json.gz"] {
        let sample = Sample::new(name);
        drop(store(config(&sample.path)));
        let snapshot = fs::read(&sample.path).unwrap();
        for length in places(&snapshot).filter(|length| (1..snapshot.len()).contains(length)) {
            fs::write(&sample.path, &snapshot[..length]).unwrap();
            // Without the line break at its end nothing is missing.
            if name == "data.json" && length + 1 == snapshot.len() {
                assert!(look(&sample.path).unwrap() == *sample.last());
                continue;
            }
            let message = assert_corrupt(look(&sample.path), &format!("{name} cut at {length}"));
            let place = message.contains("line ") && message.contains("column ");
            assert!(place || message.contains("not a whole gzip file"), "{message}");
        }
    }
}

#[test]
fn a_compressed_snapshot_with_any_byte_changed_is_refused_or_right() {
    let sample = Sample::new("data.json.gz");
    drop(store(config(&sample.path)));
    let snapshot = fs::read(&sample.path).unwrap();
    for at in 0..snapshot.len() {
        let mut changed = snapshot.clone();
        changed[at] ^= 0x11;
        fs::write(&sample.path, &changed).unwrap();
        match look(&sample.path) {
            Ok(all) => assert!(all == *sample.last(), "{at}"),
            result => drop(assert_corrupt(result, &format!("{at}"))),
        }
    }
}

/// A plain one may have been changed by a person: it opens or it does not, and never panics.
#[test]
fn a_plain_snapshot_with_any_byte_changed_does_no_harm() {
    let sample = Sample::new("data.json");
    drop(store(config(&sample.path)));
    let snapshot = fs::read(&sample.path).unwrap();
    let mut opened = 0;
    for at in places(&snapshot).filter(|at| *at < snapshot.len()) {
        for flip in [0x01, 0x80] {
            let mut changed = snapshot.clone();
            changed[at] ^= flip;
            fs::write(&sample.path, &changed).unwrap();
            match look(&sample.path) {
                // What was changed has another version than what was written.
                Ok(all) => {
                    assert!(all != *sample.last(), "{at}: an unnoticed change");
                    opened += 1;
                }
                Err(error) => {
                    assert!(matches!(error.code(), "corrupt" | "unsupported" | "invalid-argument"), "{error}")
                }
            }
        }
    }
    assert!(opened > 0);
}

/// The pieces of an open store, without its threads.
struct Pieces {
    opened: Opened,
    journal: Journal,
    sequence: u64,
}

impl Pieces {
    fn of(path: &Path) -> Self {
        let opened = files::open(&config(path), true).unwrap();
        let sequence = opened.journal.as_ref().map_or(opened.snapshot_sequence, |journal| journal.last);
        Pieces { journal: Journal::new(opened.paths.clone(), opened.journal.as_ref(), sequence), opened, sequence }
    }

    fn store(&self) -> String {
        self.opened.store.clone().unwrap()
    }

    fn append(&mut self, key: &str) -> std::result::Result<(), Unwritten> {
        let mut stage = super::stage::Stage::new(&self.opened.memory);
        stage.write(NS, vec![put(key, Value::Text(key.into()))], false, 1, Projection::Key).unwrap();
        let (changes, text) = stage.finish();
        self.journal.append(&self.store(), self.sequence + 1, &text, true)?;
        self.sequence += 1;
        super::stage::show(&self.opened.memory, &changes);
        Ok(())
    }

    fn plan(&self) -> Plan {
        Plan {
            paths: self.opened.paths.clone(),
            spaces: self.opened.memory.all_stored(),
            store: self.store(),
            sequence: self.sequence,
            compression: self.opened.compression,
            stamp: self.opened.stamp.clone(),
            from: self.journal.bytes(),
            end: self.journal.end().clone(),
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    /// That a crash now would lose nothing, whatever is left of the files that are being written, and that the store can
    /// be written on after it.
    fn check(&self, step: &str) {
        let all = self.opened.memory.all_stored();
        let (_folder, copy) = crashed(&self.opened.paths.snapshot);
        assert!(look(&copy).unwrap() == all, "{step}");
        for new in [&self.opened.paths.new_snapshot, &self.opened.paths.new_journal] {
            let new = copy.with_file_name(new.file_name().unwrap());
            if let Ok(bytes) = fs::read(&new) {
                for length in [0, 1, bytes.len() / 2] {
                    fs::write(&new, &bytes[..length]).unwrap();
                    assert!(look(&copy).unwrap() == all, "{step}");
                }
            }
        }
        let mut after = Pieces::of(&copy);
        after.append("written.after").unwrap();
        let all = after.opened.memory.all_stored();
        drop(after);
        assert!(look(&copy).unwrap() == all, "{step}: and then a write");
        drop(store(config(&copy)));
        assert!(look(&copy).unwrap() == all, "{step}: and then a close");
    }
}

#[test]
fn a_crash_at_any_step_of_compaction_loses_nothing() {
    for name in ["data.json", "data.json.gz"] {
        for writes in [0, 1] {
            let sample = Sample::new(name);
            let mut pieces = Pieces::of(&sample.path);
            let meanwhile = |pieces: &mut Pieces, key: &str| (0..writes).for_each(|_| pieces.append(key).unwrap());
            meanwhile(&mut pieces, "first");
            pieces.check("before");
            let plan = pieces.plan();
            meanwhile(&mut pieces, "planned");
            let bytes = plan.write().unwrap();
            pieces.check("snapshot written");
            meanwhile(&mut pieces, "written");
            let folded = plan.publish(bytes).unwrap();
            pieces.check("snapshot published");
            meanwhile(&mut pieces, "published");
            let (file, copied) = plan.journal().unwrap();
            pieces.check("journal begun");
            meanwhile(&mut pieces, "begun");
            pieces.journal.finish(file, copied).unwrap();
            pieces.check("journal in place");
            pieces.append("last").unwrap();
            pieces.check("written on");
            assert_eq!(folded.sequence, plan.sequence);
            // And once more, from there.
            pieces.opened.stamp = folded.stamp;
            let plan = pieces.plan();
            let bytes = plan.write().unwrap();
            pieces.opened.stamp = plan.publish(bytes).unwrap().stamp;
            pieces.check("the second snapshot published");
            pieces.journal.remove().unwrap();
            pieces.check("no journal");
            pieces.append("again").unwrap();
            pieces.check("a new journal");
            let kept = fs::read_dir(sample.path.parent().unwrap()).unwrap();
            assert!(kept.flatten().all(|entry| !entry.file_name().to_str().unwrap().contains("edited")));
        }
    }
}

#[test]
fn a_group_that_could_not_be_cut_off_is_unknown_and_nothing_follows_it() {
    let sample = Sample::new("data.json");
    let mut pieces = Pieces::of(&sample.path);
    pieces.append("a").unwrap();
    let before = pieces.opened.memory.all_stored();
    pieces.journal.break_file();
    assert!(matches!(pieces.append("b"), Err(Unwritten::Unknown(_))));
    assert!(matches!(pieces.append("b"), Err(Unwritten::NotApplied(_))));
    assert!(pieces.opened.memory.all_stored() == before);
    pieces.journal.mend_file();
    pieces.append("b").unwrap();
    pieces.check("mended");
}

#[test]
fn what_another_program_writes_into_an_open_store_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.json");
    let storage = store(config(&path));
    write(&storage, vec![put("a", Value::Integer(1))]);
    fs::write(&path, "{\"theirs\": 1}").unwrap();
    drop(storage);
    assert_eq!(fs::read_to_string(folder.path().join("data.json.edited")).unwrap(), "{\"theirs\": 1}");
    assert_eq!(look(&path).unwrap()[0].1.len(), 1);
}

#[test]
fn the_snapshot_is_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.json");
    let storage = store(config(&path));
    write(&storage, vec![put("app.name", Value::Text("x".into()))]);
    let journal = fs::read_to_string(journal_of(&path)).unwrap();
    drop(storage);
    let mask = |text: &str| {
        let mut masked = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('"') {
            let (literal, after) = after.split_once('"').unwrap();
            let random = matches!(literal.len(), 8 | 32) && literal.bytes().all(|byte| byte.is_ascii_hexdigit());
            masked.push_str(&format!("{before}\"{}\"", if random { "…" } else { literal }));
            rest = after;
        }
        masked + rest
    };
    let text = fs::read_to_string(&path).unwrap();
    assert!(format::is_as_written(&text));
    assert_eq!(
        mask(&text).replace("\\\"", "\""),
        "{\n  \"dataknobs-kv\": {\"format\": 1, \"store\": \"…\", \"sequence\": 1},\n  \"namespaces\": {\n    \"default\": {\n      \
         \"app.name\": {\"type\": \"text\", \"value\": \"x\", \"version\": \"…\", \"metadata\": {\"a\":\"é\\n\"}, \
         \"created_at\": 1, \"updated_at\": 2, \"expires_at\": 1099511627776}\n    }\n  },\n  \"crc32c\": \"…\"\n}\n"
    );
    let lines: Vec<_> = journal.lines().map(mask).collect();
    assert_eq!(lines[0], "{\"crc32c\":\"…\",\"dataknobs-kv-journal\":1,\"store\":\"…\",\"after\":0}");
    assert!(
        lines[1].starts_with(
            "{\"crc32c\":\"…\",\"sequence\":1,\"synced\":0,\"changes\":[{\"change\":\"set\",\"namespace\":\"default\",\
             \"key\":\"app.name\",\"entry\":{\"type\": \"text\","
        ),
        "{}",
        lines[1]
    );
}
