//! Listings and counts.

use dataknobs_kv_core::metadata::Filter;
use dataknobs_kv_core::storage::{ANSWER_BYTES, Hint, Page, Range};
use dataknobs_kv_core::{Entry, Error, Pattern, Projection, Timestamp};
use js_sys::{Array, JsString};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::failure::Failure;
use super::format::{Body, Found, Stored};
use super::link::Link;
use super::shim::{KeyPage, RecordPage, Transaction};

/// The most entries that one call looks at.
const LOOKED_AT: u32 = 20_000;
/// The most keys that one call looks at.
const KEYS_LOOKED_AT: u32 = 50_000;
/// Records come in parts of so many: all of a part are in memory at once.
const PART: u32 = 1000;

/// One call.
pub(super) struct Scan<'a> {
    pub(super) namespace: &'a str,
    pub(super) range: Range,
    pub(super) pattern: Option<Pattern>,
    pub(super) filter: Option<Filter>,
    pub(super) now: Timestamp,
    pub(super) limit: u32,
    pub(super) want: Projection,
}

/// What a page may not hold for it to be answered at all.
enum Stop {
    Failed(Failure),
    /// A value that is not what was written.
    Corrupt(Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl From<wasm_bindgen::JsValue> for Stop {
    fn from(thrown: wasm_bindgen::JsValue) -> Self {
        Stop::Failed(thrown.into())
    }
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        namespace: &'a str,
        range: Range,
        hint: &Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Self {
        // A hint that cannot be read is ignored: the core looks again.
        let pattern = hint.pattern.as_deref().and_then(|pattern| Pattern::parse(pattern).ok());
        let filter = hint.metadata.as_deref().and_then(|metadata| Filter::parse(metadata).ok());
        Scan { namespace, range, pattern, filter, now, limit, want }
    }

    pub(super) async fn run(&self, link: &Link) -> dataknobs_kv_core::Result<Page> {
        let mut again = true;
        loop {
            match self.attempt(link).await {
                Ok(page) => return Ok(page),
                Err(Stop::Corrupt(error)) => return Err(error),
                Err(Stop::Failed(failure)) if again && failure.connection_lost() => {
                    again = false;
                    link.forget();
                }
                Err(Stop::Failed(failure)) => return Err(link.error(&failure)),
            }
        }
    }

    async fn attempt(&self, link: &Link) -> Result<Page, Stop> {
        let transaction = link.begin(false).await?;
        if self.want == Projection::Key
            && self.filter.is_none()
            && let Some(page) = self.keys(&transaction).await?
        {
            return Ok(page);
        }
        self.records(&transaction).await
    }

    /// By keys alone; none where too many entries have expired for that.
    async fn keys(&self, transaction: &Transaction) -> Result<Option<Page>, Stop> {
        let (from, to, after) = (self.range.from.as_deref(), self.range.to.as_deref(), self.range.after.as_deref());
        let pattern = self.pattern.as_ref().map(Pattern::text);
        let now = self.now as f64;
        let asked = transaction.keys(self.namespace, from, to, after, self.limit, KEYS_LOOKED_AT, now, pattern)?;
        let answer = JsFuture::from(asked).await?;
        if answer.is_null() {
            return Ok(None);
        }
        let part: KeyPage = answer.unchecked_into();
        let mut page = Page::default();
        let text = if part.living() == 0 { String::new() } else { part.text() };
        let keys = text.split('\n').take(part.living() as usize);
        for key in keys.filter(|key| self.pattern.as_ref().is_none_or(|pattern| pattern.matches(key))) {
            if page.items.len() as u32 == self.limit {
                page.next = page.items.last().map(|entry| entry.key.clone());
                return Ok(Some(page));
            }
            page.items.push(Entry { key: key.to_owned(), state: None });
        }
        if part.more_keys() {
            page.next = part.last();
        }
        Ok(Some(page))
    }

    async fn records(&self, transaction: &Transaction) -> Result<Page, Stop> {
        let mut page = Page::default();
        let mut after = self.range.after.clone();
        let (mut looked, mut weight) = (0, 0_usize);
        loop {
            let left = self.limit.saturating_sub(page.items.len() as u32);
            let few = self.pattern.is_some() || self.filter.is_some();
            let ask = if few { PART } else { left.min(PART) };
            let (from, to) = (self.range.from.as_deref(), self.range.to.as_deref());
            let asked = transaction.records(self.namespace, from, to, after.as_deref(), ask)?;
            let part: RecordPage = JsFuture::from(asked).await?.unchecked_into();
            let (keys, records) = (part.page_keys(), part.page_records());
            for (key, found) in keys.split('\n').zip(Found::read_all(&records, false)) {
                looked += 1;
                if !self.matches(key, &found) {
                    after = Some(key.to_owned());
                    continue;
                }
                if let Found::Entry(stored) = &found {
                    weight = weight.saturating_add(key.len()).saturating_add(stored.weight(self.want));
                }
                let full = page.items.len() as u32 >= self.limit;
                if full || (weight > ANSWER_BYTES && !page.items.is_empty()) {
                    page.next = after;
                    return Ok(page);
                }
                let state = match found {
                    Found::Entry(stored) => self.state(transaction, key, *stored).await?,
                    Found::Nothing | Found::Damaged => None,
                };
                page.items.push(Entry { key: key.to_owned(), state });
                after = Some(key.to_owned());
            }
            if records.length() < ask {
                return Ok(page);
            }
            if looked >= LOOKED_AT || page.items.len() as u32 >= self.limit {
                page.next = after;
                return Ok(page);
            }
        }
    }

    fn matches(&self, key: &str, found: &Found) -> bool {
        let by_key = || self.pattern.as_ref().is_none_or(|pattern| pattern.matches(key));
        match found {
            Found::Nothing => false,
            // It is told of in a listing of keys, and stops one of more than that.
            Found::Damaged => self.filter.is_none() && by_key(),
            Found::Entry(stored) => {
                !stored.attributes.expired(self.now)
                    && by_key()
                    && self.filter.as_ref().is_none_or(|filter| filter.matches(stored.attributes.metadata.as_deref()))
            }
        }
    }

    async fn state(
        &self,
        transaction: &Transaction,
        key: &str,
        mut stored: Stored,
    ) -> Result<Option<dataknobs_kv_core::State>, Stop> {
        if self.want == Projection::Value && matches!(stored.body, Body::Unread) {
            let namespaces = Array::of1(&JsString::from(self.namespace));
            let keys = Array::of1(&JsString::from(key));
            let values: Array = JsFuture::from(transaction.read_apart(&namespaces, &keys)?).await?.into();
            stored.body = Body::Apart(values.get(0));
        }
        stored.state(key, self.want).map_err(Stop::Corrupt)
    }
}

/// How many living entries the range holds; none where paging tells as cheaply.
pub(super) async fn count(link: &Link, namespace: &str, range: &Range, now: Timestamp) -> Result<Option<u64>, Failure> {
    let transaction = link.begin(false).await?;
    let (from, to, after) = (range.from.as_deref(), range.to.as_deref(), range.after.as_deref());
    let count = JsFuture::from(transaction.count(namespace, from, to, after, now as f64)?).await?;
    Ok(count.as_f64().map(|count| count as u64))
}
