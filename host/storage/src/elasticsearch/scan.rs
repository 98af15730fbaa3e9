//! Walks over many entries: listing, counting, the names of namespaces.
//!
//! A page is one `composite` aggregation over namespace and key. The index is sorted by these, so the server jumps to
//! where the page begins and stops where it ends; a sorted search would pass over all that comes before.
//!
//! Searches see what was written before the last refresh. Each walk begins with one, so whatever was answered before it
//! is seen, and goes on without one, but where this process has written meanwhile: its own writes are always seen.

use dataknobs_kv_core::storage::{ANSWER_BYTES, Hint, Names, Page, Range};
use dataknobs_kv_core::{Entry, Pattern, Projection, Result, Timestamp, metadata};
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::client::Content;
use super::failure::{Failure, unreadable};
use super::format::{self, Damaged, Id, Source};
use super::index::Index;
use super::read::{self, Fields, Found, SAME_COPY};
use super::seen::Guard;
use super::store::{Reading, Store};

/// How many entries one call looks at.
const LOOKED_AT: usize = 20_000;
/// The most that one request asks for: keys alone, and documents.
const PAGE_OF_KEYS: usize = 10_000;
const PAGE_OF_DOCUMENTS: usize = 1000;
/// The least that is looked through at once for keys that match.
const SIFTED: usize = 1000;
/// Wildcards in a pattern beyond which the server is not asked to match it: its automata grow with them.
const MAX_WILDCARDS: usize = 8;
/// Terms beyond which the rest of a metadata query is left to the core.
const MAX_TERMS: usize = 64;
/// Later than any entry expires, and still a date to the server.
const MAX_DATE: u64 = dataknobs_kv_core::MAX_TIMESTAMP;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    aggregations: Aggregations<'a>,
}

#[derive(Deserialize)]
struct Aggregations<'a> {
    #[serde(borrow)]
    page: Buckets<'a>,
}

#[derive(Deserialize)]
struct Buckets<'a> {
    #[serde(borrow)]
    buckets: Vec<Bucket<'a>>,
}

#[derive(Deserialize)]
struct Bucket<'a> {
    key: Named,
    #[serde(borrow)]
    document: Option<TopHits<'a>>,
}

#[derive(Deserialize)]
struct Named {
    namespace: String,
    key: Option<String>,
}

#[derive(Deserialize)]
struct TopHits<'a> {
    #[serde(borrow)]
    hits: Hits<'a>,
}

#[derive(Deserialize)]
struct Hits<'a> {
    #[serde(borrow)]
    hits: Vec<Hit<'a>>,
}

#[derive(Deserialize)]
struct Hit<'a> {
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
    #[serde(rename = "_source", borrow)]
    source: Option<&'a RawValue>,
}

/// One entry of a page: its key, and what was found of its document where that was asked for.
struct Row {
    key: String,
    found: Option<Found>,
}

/// What a page is asked for.
struct Query<'q> {
    namespace: &'q str,
    filter: Filter,
    now: Timestamp,
    want: Projection,
}

pub(super) async fn scan(
    store: &Store,
    namespace: &str,
    range: Range,
    hint: &Hint,
    now: Timestamp,
    limit: u32,
    want: Projection,
) -> Result<Page> {
    if range.bounds().is_none() {
        return Ok(Page::default());
    }
    let query = Query { namespace, filter: Filter::new(hint), now, want };
    let limit = (limit as usize).max(1);
    let most = if want == Projection::Key { PAGE_OF_KEYS } else { PAGE_OF_DOCUMENTS };
    let mut reading = store.reading();
    let mut page = Page::default();
    let mut low = low_bound(&range);
    let mut room = ANSWER_BYTES;
    let mut looked_at = 0;
    let mut refresh_all = range.after.is_none();
    // Where few keys match, the server looks for them: dear where many do, for it looks for all of them each time.
    let mut by_server = false;
    while page.items.len() < limit && looked_at < LOOKED_AT {
        let wanted = limit - page.items.len();
        let size = if query.filter.pattern.is_some() { wanted.max(SIFTED) } else { wanted }.min(most);
        let rows = loop {
            match rows(store, &reading, &query, &low, size, by_server, refresh_all).await {
                Ok(rows) => break rows,
                Err(failure) => reading.after(failure).await?,
            }
        };
        refresh_all = false;
        let found = rows.len();
        looked_at += found;
        let (mut taken, mut more) = (Vec::new(), found >= size);
        for row in rows {
            if range.to.as_deref().is_some_and(|to| row.key.as_str() >= to) {
                more = false;
                break;
            }
            if query.filter.keeps(&row.key) {
                let weight = row.weight(want);
                let some = !page.items.is_empty() || !taken.is_empty();
                if taken.len() >= wanted || (some && weight > room) {
                    (more, looked_at) = (true, LOOKED_AT);
                    break;
                }
                room = room.saturating_sub(weight);
                low.clone_from(&row.key);
                taken.push(row);
            } else {
                low = row.key;
            }
        }
        by_server |= taken.len() < found / 8;
        fetch_large_values(store, &mut reading, &query, &mut taken).await?;
        for row in taken {
            page.items.extend(row.entry(&query)?);
        }
        if !more {
            return Ok(page);
        }
    }
    page.next = Some(low);
    Ok(page)
}

impl Row {
    /// About what it weighs in an answer.
    fn weight(&self, want: Projection) -> usize {
        match &self.found {
            Some(Found::There(_, source)) if want == Projection::Value => source.weight(),
            Some(Found::There(_, source)) => source.weight_without_value(),
            _ => 0,
        }
    }

    /// None where it is gone by now.
    fn entry(self, query: &Query<'_>) -> Result<Option<Entry>> {
        let Row { key, found } = self;
        let state = match found {
            None => None,
            Some(Found::Absent) => return Ok(None),
            Some(Found::There(_, source)) if source.expired(query.now) => return Ok(None),
            Some(Found::There(_, source)) => Some(read::state(*source, &key, query.want == Projection::Value)?),
            Some(Found::Damaged(_)) => return Err(Damaged::error(&key)),
        };
        Ok(Some(Entry { key, state }))
    }
}

/// One request's rows, in key order: fewer than `size` only at the end.
async fn rows(
    store: &Store,
    reading: &Reading<'_>,
    query: &Query<'_>,
    low: &str,
    size: usize,
    by_server: bool,
    refresh_all: bool,
) -> Result<Vec<Row>, Failure> {
    let index = &reading.index;
    store.refresh(index, refresh_all, reading.deadline).await?;
    let mut page = json!({"composite": {
        "size": size,
        "sources": [{"namespace": {"terms": {"field": "namespace"}}}, {"key": {"terms": {"field": "key"}}}],
        "after": {"namespace": query.namespace, "key": low},
    }});
    let fields = match query.want {
        Projection::Key => None,
        Projection::Attributes => Some(Fields::Attributes),
        Projection::Value => Some(Fields::Inline),
    };
    if let Some(fields) = fields {
        index.sizes.learn(&store.client, &index.path, size, reading.deadline).await?;
        let mut document = json!({"size": 1, "seq_no_primary_term": true});
        if let Some(excluded) = index.sizes.excluded(fields, size) {
            document["_source"] = json!({"excludes": excluded.split(',').collect::<Vec<_>>()});
        }
        page["aggs"] = json!({"document": {"top_hits": document}});
    }
    let mut filter = vec![json!({"term": {"namespace": query.namespace}})];
    filter.extend(query.filter.clauses(by_server));
    let search = json!({
        "size": 0,
        "track_total_hits": false,
        "query": {"bool": {"filter": filter, "must_not": [expired(query.now)]}},
        "aggs": {"page": page},
    });
    let body = search_body(store, index, &search, reading).await?;
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    let buckets = answer.aggregations.page.buckets;
    let mut rows = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let key = bucket.key.key.ok_or_else(unreadable)?;
        let found = match (query.want, bucket.document.and_then(|document| document.hits.hits.into_iter().next())) {
            (Projection::Key, _) => None,
            (_, None) => return Err(unreadable()),
            (_, Some(hit)) => {
                let guard = Guard { seq_no: hit.seq_no, primary_term: hit.primary_term };
                Some(match hit.source.map(|source| Source::parse(source.get())) {
                    Some(Ok(source)) if source.is_of(query.namespace, &key) => Found::There(guard, Box::new(source)),
                    _ => Found::Damaged(guard),
                })
            }
        };
        rows.push(Row { key, found });
    }
    Ok(rows)
}

/// Reads the long values that were left out of these rows.
async fn fetch_large_values(
    store: &Store,
    reading: &mut Reading<'_>,
    query: &Query<'_>,
    rows: &mut [Row],
) -> Result<()> {
    if query.want != Projection::Value {
        return Ok(());
    }
    let ids: Vec<Id> = rows.iter().map(|row| Id::new(query.namespace, &row.key)).collect();
    let mut found: Vec<Result<Found>> =
        rows.iter_mut().map(|row| Ok(row.found.take().unwrap_or(Found::Absent))).collect();
    let keys: Vec<(&str, &Id)> = rows.iter().map(|row| row.key.as_str()).zip(&ids).collect();
    read::fetch_large(store, reading, query.namespace, &keys, &mut found, query.now).await?;
    for (row, found) in rows.iter_mut().zip(found) {
        row.found = Some(found?);
    }
    Ok(())
}

/// Counts exactly.
pub(super) async fn count(store: &Store, namespace: &str, range: &Range, now: Timestamp) -> Result<Option<u64>> {
    #[derive(Deserialize)]
    struct Counted {
        count: u64,
    }
    if range.bounds().is_none() {
        return Ok(Some(0));
    }
    let mut bounds = serde_json::Map::new();
    for (name, bound) in [("gte", &range.from), ("gt", &range.after), ("lt", &range.to)] {
        if let Some(bound) = bound {
            bounds.insert(name.into(), bound.as_str().into());
        }
    }
    let mut filter = vec![json!({"term": {"namespace": namespace}})];
    // The server takes one lower bound: the later one.
    if bounds.contains_key("gte") && bounds.contains_key("gt") {
        let from_is_later = range.from > range.after;
        bounds.remove(if from_is_later { "gt" } else { "gte" });
    }
    if !bounds.is_empty() {
        filter.push(json!({"range": {"key": bounds}}));
    }
    let query = json!({"query": {"bool": {"filter": filter, "must_not": [expired(now)]}}});
    let mut reading = store.reading();
    loop {
        let counted = async {
            store.refresh(&reading.index, true, reading.deadline).await?;
            let path = format!("{}/_count?{SAME_COPY}", reading.index.path);
            store.client.ask::<Counted>(Method::POST, &path, Content::json(&query), reading.deadline).await
        };
        match counted.await {
            Ok(counted) => return Ok(Some(counted.count)),
            Err(failure) => reading.after(failure).await?,
        }
    }
}

/// The namespaces that have documents, expired or not.
pub(super) async fn namespaces(store: &Store, after: Option<&str>, limit: u32) -> Result<Names> {
    let limit = (limit as usize).clamp(1, PAGE_OF_KEYS);
    let mut page = json!({"composite": {
        "size": limit,
        "sources": [{"namespace": {"terms": {"field": "namespace"}}}],
    }});
    if let Some(after) = after {
        page["composite"]["after"] = json!({"namespace": after});
    }
    let search = json!({"size": 0, "track_total_hits": false, "aggs": {"page": page}});
    let mut reading = store.reading();
    let names: Vec<String> = loop {
        let found = async {
            store.refresh(&reading.index, after.is_none(), reading.deadline).await?;
            let body = search_body(store, &reading.index, &search, &reading).await?;
            let answer: Answer = serde_json::from_slice(&body).map_err(|_| unreadable())?;
            Ok(answer.aggregations.page.buckets.into_iter().map(|bucket| bucket.key.namespace).collect())
        };
        match found.await {
            Ok(names) => break names,
            Err(failure) => reading.after(failure).await?,
        }
    };
    let next = names.last().filter(|_| names.len() >= limit).cloned();
    Ok(Names { names, next })
}

/// A part of the shards' answers is no answer.
pub(super) async fn search_body(
    store: &Store,
    index: &Index,
    search: &Json,
    reading: &Reading<'_>,
) -> Result<Vec<u8>, Failure> {
    let path = format!("{}/_search?{SAME_COPY}&allow_partial_search_results=false", index.path);
    store.client.send(Method::POST, &path, Content::json(search), reading.deadline).await
}

pub(super) fn expired(now: Timestamp) -> Json {
    json!({"range": {"expires_at": {"lte": now.min(MAX_DATE)}}})
}

/// Keys after this text are those of the range, as far as its lower end goes.
fn low_bound(range: &Range) -> String {
    let from = range.from.as_deref().map(just_before);
    match (from, range.after.as_deref()) {
        (Some(from), Some(after)) if from.as_str() > after => from,
        (from, None) => from.unwrap_or_default(),
        (_, Some(after)) => after.to_owned(),
    }
}

/// A text before this one, with no key between them.
fn just_before(text: &str) -> String {
    let mut before = text.to_owned();
    let Some(last) = before.pop() else { return before };
    let previous = match last {
        '\0' => return before,
        '\u{e000}' => '\u{d7ff}',
        last => char::from_u32(u32::from(last) - 1).unwrap_or('\0'),
    };
    before.push(previous);
    // Longer than any key, of the last character there is.
    before.extend(std::iter::repeat_n(char::MAX, dataknobs_kv_core::key::MAX_KEY_BYTES / 4 + 1));
    before
}

/// What a hint lets us leave out.
struct Filter {
    pattern: Option<Pattern>,
    terms: Vec<[String; 2]>,
}

impl Filter {
    /// A hint that we cannot read leaves nothing out.
    fn new(hint: &Hint) -> Self {
        let pattern = hint.pattern.as_deref().and_then(|pattern| Pattern::parse(pattern).ok());
        let wanted = hint.metadata.as_deref().filter(|wanted| metadata::Filter::parse(wanted).is_ok());
        let mut terms = wanted.map_or_else(Vec::new, format::wanted_terms);
        terms.truncate(MAX_TERMS);
        Filter { pattern: pattern.filter(|pattern| !pattern.is_range()), terms }
    }

    /// For the server: whatever these leave out does not match. The pattern, where it is to look for its matches.
    fn clauses(&self, by_server: bool) -> Vec<Json> {
        let terms = self.terms.iter().map(|terms| json!({"terms": {"metadata_terms": terms}}));
        let wildcard = self.pattern.as_ref().filter(|_| by_server).and_then(|pattern| wildcard(pattern.text()));
        terms.chain(wildcard.map(|wildcard| json!({"wildcard": {"key": {"value": wildcard}}}))).collect()
    }

    fn keeps(&self, key: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(key))
    }
}

/// A wildcard of the server's that matches whatever the pattern does, and more. None where that would say nothing, or
/// be dear; and for alternatives.
fn wildcard(pattern: &str) -> Option<String> {
    let mut wildcard = String::new();
    let mut stars = 0;
    let mut literal = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let taken = match c {
            '{' => return None,
            // One character of a segment's text may be two of a key's; a dot beside `**` may be none.
            '*' | '?' | '.' => None,
            '[' => {
                pass_class(&mut chars)?;
                None
            }
            '\\' => Some(chars.next()?),
            c => Some(c),
        };
        match taken {
            None if wildcard.ends_with('*') && !wildcard.ends_with("\\*") => {}
            None => {
                wildcard.push('*');
                stars += 1;
            }
            Some(c) => {
                literal = true;
                match c {
                    // Escaped in the key, and the escape in the wildcard.
                    '.' => wildcard.push_str("\\\\."),
                    '\\' => wildcard.push_str("\\\\\\\\"),
                    '*' | '?' => wildcard.extend(['\\', c]),
                    c => wildcard.push(c),
                }
            }
        }
    }
    (literal && stars <= MAX_WILDCARDS).then_some(wildcard)
}

/// Goes on behind the class whose bracket was the last character. A bracket that stands first in it closes nothing.
fn pass_class(chars: &mut std::str::Chars<'_>) -> Option<()> {
    let mut c = chars.next()?;
    if c == '!' {
        c = chars.next()?;
    }
    loop {
        if c == '\\' {
            chars.next()?;
        }
        c = chars.next()?;
        if c == ']' {
            return Some(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_between() {
        for text in ["a", "a.", "\u{e000}", "a\u{0}", "\u{10ffff}", "\u{10000}"] {
            let before = just_before(text);
            assert!(before.as_str() < text);
            let mut near = text.to_owned();
            let last = near.pop().unwrap();
            if last > '\u{e000}' {
                near.push(char::from_u32(u32::from(last) - 1).unwrap());
                near.extend(std::iter::repeat_n(char::MAX, 127));
                assert!(near.as_str() < before.as_str() || near.len() > 512, "{text:?}");
            }
        }
        assert_eq!(just_before(""), "");
        assert!(just_before("b").as_str() > "a\u{10ffff}");
    }

    #[test]
    fn wildcards() {
        for (pattern, expected) in [
            ("a*b", Some("a*b")),
            ("**.error", Some("*error")),
            ("a.b.*", Some("a*b*")),
            ("a?c[!x]d", Some("a*c*d")),
            ("[]]x[\\]]y", Some("*x*y")),
            ("a\\*b\\.c\\\\d", Some("a\\*b\\\\.c\\\\\\\\d")),
            ("\\**x", Some("\\**x")),
            ("{a,b}.*", None),
            ("*.*", None),
            ("a*b*c*d*e*f*g*h*i*j", None),
        ] {
            assert_eq!(wildcard(pattern).as_deref(), expected, "{pattern}");
        }
    }
}
