//! Reads of single keys.

use std::collections::HashMap;

use dataknobs_kv_core::storage::ANSWER_BYTES;
use dataknobs_kv_core::{Result, State, Timestamp};

use super::format::{Millis, own, state};
use super::link::{Deadline, Link};
use super::sql::Statements;

pub(super) async fn get(
    link: &Link,
    sql: &Statements,
    namespace: &str,
    key: &str,
    now: Timestamp,
    with_value: bool,
    deadline: Deadline,
) -> Result<Option<State>> {
    let rows = link.read_until(sql.get.with(with_value), &[&namespace, &key, &Millis(now)], deadline).await?;
    rows.first().map(|row| state(row, 0, with_value, key)).transpose()
}

pub(super) async fn get_many(
    link: &Link,
    sql: &Statements,
    namespace: &str,
    keys: &[String],
    now: Timestamp,
    with_value: bool,
) -> Result<Vec<Result<Option<State>>>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let most = ANSWER_BYTES as i64;
    let rows = link.read(sql.get_many.with(with_value), &[&namespace, &keys, &Millis(now), &most]).await?;
    let mut found = HashMap::with_capacity(rows.len());
    let mut last = keys.len();
    for row in &rows {
        let place = usize::try_from(own::<i64>(row, 0)?).unwrap_or(usize::MAX);
        if own::<i64>(row, 1)? > rows.len() as i64 {
            // There were more than came: nothing is known of what comes behind the last.
            last = place;
        }
        let at = place.saturating_sub(1);
        let key = keys.get(at).map(String::as_str).unwrap_or_default();
        found.insert(at, state(row, 2, with_value, key).map(Some));
    }
    Ok((0..last).map(|at| found.remove(&at).unwrap_or(Ok(None))).collect())
}
