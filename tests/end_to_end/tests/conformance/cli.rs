//! The command line on a redb file: every call is a process of its own.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_conformance::harness::{Reopener, fresh_namespace};
use dataknobs_kv_conformance::{Harness, Need, Runner};
use dataknobs_kv_core::storage::Capabilities;
use dataknobs_kv_core::store::*;
use dataknobs_kv_core::wire::{self, ErrorInfo};
use dataknobs_kv_core::{Error, Precondition, Projection, Result, State, Store, Value, ValueType, Version};
use dataknobs_kv_end_to_end::binary;
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::clock::ClockFile;

pub(crate) struct Cli {
    folder: Arc<TempDir>,
}

impl Cli {
    pub(crate) fn new() -> Self {
        Cli { folder: Arc::new(tempfile::tempdir().expect("a folder")) }
    }

    fn store(&self, name: &str) -> (CliStore, Arc<ClockFile>) {
        let folder = self.folder.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        let clock = Arc::new(ClockFile::new(&folder));
        (CliStore { file: folder.join("data.redb"), clock: clock.clone(), _folder: self.folder.clone() }, clock)
    }
}

#[async_trait]
impl Runner for Cli {
    fn name(&self) -> &'static str {
        "cli"
    }
    fn capabilities(&self) -> Capabilities {
        let (store, _) = self.store("capabilities");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        std::thread::spawn(move || runtime.block_on(store.capabilities()).expect("capabilities"))
            .join()
            .expect("an answer")
    }
    fn lacks(&self, need: Need) -> Option<&'static str> {
        Some(match need {
            Need::Raw | Need::Over => "the storage is in another process",
            Need::Concurrent => "a file belongs to one process at a time",
            Need::Batches => "a command sets one entry (import sets many, without a result for each)",
            Need::Paging => "the command line follows all pages by itself",
            Need::ChangeGuards => "--if-absent goes with set only",
            Need::Conflicts => "conflicts carry attributes, whatever is asked",
            Need::JsonScalars => "--type json gives scalars their own types",
            Need::RawInput => "arguments hold no zero bytes, and are checked before the store sees them",
            _ => return None,
        })
    }
    async fn harness(&self) -> Harness {
        let namespace = fresh_namespace();
        let (store, clock) = self.store(&namespace);
        let store: Arc<dyn Store> = Arc::new(store);
        let capabilities = store.capabilities().await.expect("capabilities");
        Harness {
            reopener: Some(reopener(store.clone())),
            store,
            clock,
            namespace,
            storage: None,
            over: None,
            capabilities,
            slow: true,
            batches: false,
        }
    }
}

/// Every command opens the file anew.
fn reopener(store: Arc<dyn Store>) -> Reopener {
    Reopener(Box::new(move || Box::pin(async move { (store.clone(), None, Some(reopener(store))) })))
}

struct CliStore {
    file: PathBuf,
    clock: Arc<ClockFile>,
    _folder: Arc<TempDir>,
}

/// What a command said.
struct Said {
    code: i32,
    out: Vec<u8>,
}

/// Codes that are answers: done, absent or no, a lost race.
const ANSWERS: [i32; 3] = [0, 1, 3];

impl CliStore {
    /// Runs `dataknobs-kv --json …`: options first, then what stands after `--`.
    async fn command(
        &self,
        namespace: &str,
        words: &[&str],
        options: &[OsString],
        values: &[OsString],
        stdin: Vec<u8>,
    ) -> Result<Said> {
        let has_zero = |text: &OsString| text.as_encoded_bytes().contains(&0);
        if namespace.contains('\0') || options.iter().chain(values).any(has_zero) {
            return Err(Error::InvalidArgument("no argument holds a zero byte".into()));
        }
        let mut command = tokio::process::Command::new(binary());
        command.args(words).arg("--json").arg(format!("--namespace={namespace}"));
        command.arg(format!("--store=file:{}", self.file.display())).arg("--clock-file").arg(self.clock.path());
        command.args(options).arg("--").args(values);
        for name in ["DATAKNOBS_KV_STORE", "DATAKNOBS_KV_NAMESPACE", "DATAKNOBS_KV_CONFIG", "DATAKNOBS_KV_TOKEN"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| Error::InvalidArgument(format!("the command: {error}")))?;
        let mut input = child.stdin.take().expect("its stdin");
        let feed = async move {
            // Who does not read it closes it.
            let _ = input.write_all(&stdin).await;
        };
        let (_, output) = tokio::join!(feed, child.wait_with_output());
        let output = output.expect("the command ends");
        let code = output.status.code().unwrap_or_else(|| panic!("the command was killed: {:?}", output.status));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{said}");
        let info = said.lines().rev().find_map(|line| wire::from_json::<ErrorInfo>(line.as_bytes()).ok());
        match info {
            Some(info) if ![wire::ABSENT, wire::CONFLICT].contains(&info.code.as_str()) => Err(info.into_error()),
            _ if code == 2 => Err(Error::InvalidArgument(said.into_owned())),
            _ if ANSWERS.contains(&code) => Ok(Said { code, out: output.stdout }),
            _ => panic!("exit code {code} without an error: {said}"),
        }
    }

    async fn read(&self, namespace: &str, words: &[&str], values: &[&str]) -> Result<Said> {
        let values: Vec<OsString> = values.iter().map(Into::into).collect();
        self.command(namespace, words, &[], &values, Vec::new()).await
    }

    async fn lines<T: serde::de::DeserializeOwned>(
        &self,
        namespace: &str,
        words: &[&str],
        options: &[OsString],
        values: &[&str],
    ) -> Result<Vec<T>> {
        let values: Vec<OsString> = values.iter().map(Into::into).collect();
        let said = self.command(namespace, words, options, &values, Vec::new()).await?;
        said.out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(wire::from_json).collect()
    }
}

impl Said {
    fn json(&self) -> Json {
        serde_json::from_slice(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.out)))
    }

    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        wire::from_json(self.out.trim_ascii())
    }

    fn version(&self) -> Result<Version> {
        Version::new(self.parse::<wire::Changed>()?.version)
    }

    /// What `{"current":…}` holds, as much of it as was asked for.
    fn current(&self, asked: Projection) -> Result<Option<State>> {
        if asked == Projection::Key || self.json()["current"].is_null() {
            return Ok(None);
        }
        #[derive(serde::Deserialize)]
        struct Conflict {
            current: wire::Entry,
        }
        self.parse::<Conflict>()?.current.into_state()
    }
}

fn option(name: &str, value: impl AsRef<str>) -> OsString {
    format!("--{name}={}", value.as_ref()).into()
}

fn expiry(expiry: Expiry) -> Option<OsString> {
    Some(match expiry {
        Expiry::Unspecified => return None,
        Expiry::Keep => "--keep-expiry".into(),
        Expiry::Never => "--never-expires".into(),
        Expiry::After(span) => option("ttl", format!("{span}ms")),
        Expiry::Sliding(span) => option("sliding", format!("{span}ms")),
        Expiry::At(at) => option("expires-at", at.to_string()),
    })
}

fn guard(precondition: &Precondition) -> Option<OsString> {
    match precondition {
        Precondition::None => None,
        Precondition::Absent => Some("--if-absent".into()),
        Precondition::Version(version) => Some(option("if-version", version.as_str())),
    }
}

/// How the command line calls the value's type, and its bytes.
fn typed(value: Value) -> (String, Vec<u8>) {
    let (value_type, bytes) = value.encode();
    let scalar = value_type == ValueType::Json
        && !bytes.trim_ascii_start().starts_with(b"{")
        && !bytes.trim_ascii_start().starts_with(b"[");
    assert!(
        !scalar || serde_json::from_slice::<Json>(&bytes).is_err(),
        "the case does not say that it needs JsonScalars"
    );
    (value_type.to_string(), bytes)
}

fn set_options(options: &SetOptions) -> Vec<OsString> {
    let mut given: Vec<OsString> = expiry(options.expiry).into_iter().chain(guard(&options.precondition)).collect();
    given.extend(options.metadata.as_ref().map(|text| option("metadata", text)));
    given.extend(options.content_type.as_ref().map(|text| option("content-type", text)));
    given
}

fn undeclared<T>(what: &str) -> Result<T> {
    panic!("the command line has no {what}: the case does not say that it needs it")
}

/// A page of a whole list; the cursor is the number of items before it.
fn cut<T>(items: Vec<T>, cursor: Option<&str>, limit: u32) -> Result<(Vec<T>, Option<String>)> {
    let from: usize = match cursor {
        None => 0,
        Some(cursor) => cursor.parse().map_err(|_| Error::InvalidArgument("cursor".into()))?,
    };
    let to = from.saturating_add(limit as usize);
    let next = (items.len() > to).then(|| to.to_string());
    Ok((items.into_iter().skip(from).take(limit as usize).collect(), next))
}

fn query_options(query: &Query) -> Vec<OsString> {
    query.metadata.iter().map(|text| option("where", text)).collect()
}

#[async_trait]
impl Store for CliStore {
    async fn capabilities(&self) -> Result<Capabilities> {
        Ok(self.read("default", &["capabilities"], &[]).await?.parse::<wire::Capabilities>()?.into())
    }

    async fn get(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        let said = self.read(namespace, &["get"], &[key]).await?;
        if said.code == 1 { Ok(None) } else { said.parse::<wire::Entry>()?.into_state() }
    }

    async fn get_many(&self, _: &str, _: &[String], _: bool) -> Result<Vec<Result<Option<State>>>> {
        undeclared("get_many")
    }

    async fn describe(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        let said = self.read(namespace, &["meta", "get"], &[key]).await?;
        if said.code == 1 { Ok(None) } else { said.parse::<wire::Entry>()?.into_state() }
    }

    async fn set(&self, namespace: &str, item: Item) -> Result<SetResult> {
        let (type_name, bytes) = typed(item.value);
        let mut options = set_options(&item.options);
        options.push(option("type", type_name));
        let said = self.command(namespace, &["set"], &options, &[item.key.into(), "-".into()], bytes).await?;
        match said.code {
            0 => said.version().map(SetResult::Written),
            _ => said.current(item.options.on_conflict).map(SetResult::Conflict),
        }
    }

    async fn set_many(&self, _: &str, _: Vec<Item>) -> Result<Vec<Result<SetResult>>> {
        undeclared("set_many")
    }

    async fn delete(
        &self,
        namespace: &str,
        key: &str,
        precondition: Precondition,
        on_conflict: Projection,
    ) -> Result<DeleteResult> {
        let options: Vec<OsString> = guard(&precondition).into_iter().collect();
        let said = self.command(namespace, &["delete"], &options, &[key.into()], Vec::new()).await?;
        match said.code {
            0 => Ok(DeleteResult::Deleted),
            1 => Ok(DeleteResult::Absent),
            _ => said.current(on_conflict).map(DeleteResult::Conflict),
        }
    }

    async fn delete_many(&self, _: &str, _: &[String]) -> Result<Vec<Result<DeleteResult>>> {
        undeclared("delete_many")
    }

    async fn transact(&self, namespace: &str, checks: Vec<Check>, actions: Vec<Action>) -> Result<TransactionResult> {
        let document = wire::to_json(&wire::Transaction::new(checks, &actions)?)?;
        let said = self.command(namespace, &["transact"], &[], &["-".into()], document.into_bytes()).await?;
        said.parse::<wire::Committed>()?.into_result()
    }

    async fn compare_and_swap(
        &self,
        namespace: &str,
        key: &str,
        old: Option<Value>,
        new: Value,
        options: SetOptions,
    ) -> Result<SwapResult> {
        let mut given = set_options(&options);
        let (type_name, bytes) = typed(new);
        given.push(option("type", type_name));
        let mut values: Vec<OsString> = vec![key.into()];
        match old.map(typed) {
            Some((type_name, bytes)) => {
                given.push(option("old-type", type_name));
                values.push(OsString::from_vec(bytes));
            }
            None => given.push("--old-absent".into()),
        }
        values.push("-".into());
        let swapped: wire::Swapped = self.command(namespace, &["cas"], &given, &values, bytes).await?.parse()?;
        match (swapped.swapped, swapped.version) {
            (true, Some(version)) => Version::new(version).map(SwapResult::Swapped),
            _ => Ok(SwapResult::Different(swapped.current.map(wire::Entry::into_state).transpose()?.flatten())),
        }
    }

    async fn increment(&self, namespace: &str, key: &str, delta: Numeric, expires: Expiry) -> Result<Counted> {
        let by = match delta {
            Numeric::Integer(integer) => integer.to_string(),
            // With an exponent it is a number, and no integer.
            Numeric::Number(number) => format!("{number:e}"),
        };
        let options: Vec<OsString> = expiry(expires).into_iter().chain([option("by", by)]).collect();
        let said = self.command(namespace, &["incr"], &options, &[key.into()], Vec::new()).await?;
        said.parse::<wire::Summed>()?.try_into()
    }

    async fn append(&self, namespace: &str, key: &str, tail: Value, expires: Expiry) -> Result<Appended> {
        let (type_name, bytes) = typed(tail);
        let options: Vec<OsString> = expiry(expires).into_iter().chain([option("type", type_name)]).collect();
        let said = self.command(namespace, &["append"], &options, &[key.into(), "-".into()], bytes).await?;
        let appended: wire::Appended = said.parse()?;
        Ok(Appended { size: appended.size, version: Version::new(appended.version)? })
    }

    async fn update_metadata(
        &self,
        namespace: &str,
        key: &str,
        patch: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        self.change(namespace, &["meta", "set"], &[key, patch], guard(&precondition)).await
    }

    async fn replace_metadata(
        &self,
        namespace: &str,
        key: &str,
        metadata: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        self.change(namespace, &["meta", "replace"], &[key, metadata], guard(&precondition)).await
    }

    async fn set_expiry(
        &self,
        namespace: &str,
        key: &str,
        expires: Expiry,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        let options = guard(&precondition);
        match expires {
            Expiry::Never => self.change(namespace, &["persist"], &[key], options).await,
            _ => self.change(namespace, &["touch"], &[key], options.into_iter().chain(expiry(expires))).await,
        }
    }

    async fn list_entries(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
        want: Projection,
    ) -> Result<EntryPage> {
        let mut options = query_options(query);
        match want {
            Projection::Key => {}
            Projection::Attributes => options.push("--long".into()),
            Projection::Value => options.push("--values".into()),
        }
        let lines: Vec<wire::Entry> = self.lines(namespace, &["keys"], &options, &[&query.pattern]).await?;
        let (page, cursor) = cut(lines, cursor, limit)?;
        let entry = |line: wire::Entry| {
            let key = line.key.clone();
            let state = if want == Projection::Key { None } else { line.into_state()? };
            Ok(dataknobs_kv_core::Entry { key, state })
        };
        Ok(EntryPage { entries: page.into_iter().map(entry).collect::<Result<_>>()?, cursor })
    }

    async fn count(&self, namespace: &str, query: &Query, _: Option<&str>, _: u32) -> Result<Progress> {
        let counted: Vec<wire::Counted> =
            self.lines(namespace, &["count"], &query_options(query), &[&query.pattern]).await?;
        Ok(Progress { count: counted.iter().map(|counted| counted.count).sum(), cursor: None })
    }

    async fn delete_matching(&self, namespace: &str, query: &Query, _: Option<&str>, _: u32) -> Result<Progress> {
        let mut options = query_options(query);
        options.push(option("pattern", &query.pattern));
        let deleted: Vec<wire::Deleted> = self.lines(namespace, &["delete"], &options, &[]).await?;
        Ok(Progress { count: deleted.iter().map(|deleted| deleted.deleted).sum(), cursor: None })
    }

    async fn children(
        &self,
        namespace: &str,
        prefix: Option<&str>,
        counts: bool,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<ChildPage> {
        let mut options: Vec<OsString> = vec![option("depth", "1")];
        if counts {
            options.push("--counts".into());
        }
        let prefix: Vec<&str> = prefix.into_iter().collect();
        let lines: Vec<wire::Child> = self.lines(namespace, &["tree"], &options, &prefix).await?;
        let child = |line: wire::Child| Child {
            segment: line.segment,
            key: line.key,
            is_entry: line.is_entry,
            below: line.below,
            has_children: line.has_children,
        };
        let (children, cursor) = cut(lines.into_iter().map(child).collect(), cursor, limit)?;
        Ok(ChildPage { children, cursor })
    }

    async fn cleanup_expired(&self, namespace: Option<&str>, _: u32) -> Result<Cleaned> {
        let options: Vec<OsString> = namespace.is_none().then(|| "--all-namespaces".into()).into_iter().collect();
        let cleaned: Vec<wire::Cleaned> =
            self.lines(namespace.unwrap_or("default"), &["cleanup"], &options, &[]).await?;
        let count: u64 = cleaned.iter().map(|cleaned| cleaned.removed).sum();
        Ok(Cleaned { count: u32::try_from(count).expect("no more than the case wrote"), more: false })
    }

    async fn clear(&self, namespace: &str, _: u32) -> Result<bool> {
        self.command("default", &["namespaces", "drop"], &["--yes".into()], &[namespace.into()], Vec::new()).await?;
        Ok(false)
    }

    async fn namespaces(&self, cursor: Option<&str>, limit: u32) -> Result<NamePage> {
        let names: Vec<String> = self.lines("default", &["namespaces"], &[], &[]).await?;
        let (names, cursor) = cut(names, cursor, limit)?;
        Ok(NamePage { names, cursor })
    }
}

impl CliStore {
    async fn change(
        &self,
        namespace: &str,
        words: &[&str],
        values: &[&str],
        options: impl IntoIterator<Item = OsString>,
    ) -> Result<ChangeResult> {
        let values: Vec<OsString> = values.iter().map(Into::into).collect();
        let options: Vec<OsString> = options.into_iter().collect();
        let said = self.command(namespace, words, &options, &values, Vec::new()).await?;
        match said.code {
            0 => said.version().map(ChangeResult::Written),
            1 => Ok(ChangeResult::Absent),
            _ => said.current(Projection::Attributes).map(ChangeResult::Conflict),
        }
    }
}
