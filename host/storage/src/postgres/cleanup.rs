//! Removal of many entries: of expired ones, and of whole namespaces.

use dataknobs_kv_core::storage::Reclaimed;
use dataknobs_kv_core::{Result, Timestamp};

use super::failure::Failure;
use super::format::{Millis, own};
use super::link::Link;
use super::sql::Statements;

/// How many entries one transaction removes at most, so that nobody waits for long for a row of it.
const STEP: u32 = 1000;

pub(super) async fn reclaim(
    link: &Link,
    sql: &Statements,
    namespace: Option<&str>,
    now: Timestamp,
    limit: u32,
) -> Result<Reclaimed> {
    let now = Millis(now);
    let mut count = 0;
    while count < limit {
        let step = i64::from(STEP.min(limit - count));
        let deadline = link.deadline();
        let rows = match namespace {
            Some(namespace) => link.write(&sql.reclaim, &[&now, &step, &namespace], deadline).await,
            None => link.write(&sql.reclaim_all, &[&now, &step], deadline).await,
        };
        // Who asks again removes what is left: nothing is doubled.
        let rows = rows.map_err(Failure::into_error)?;
        let gone = rows.first().map_or(Ok(0), |row| own::<i64>(row, 0))?;
        count += u32::try_from(gone).unwrap_or(0);
        if gone < step {
            return Ok(Reclaimed { count, more: false });
        }
    }
    Ok(Reclaimed { count, more: true })
}

pub(super) async fn clear(link: &Link, sql: &Statements, namespace: &str, limit: u32) -> Result<bool> {
    let mut left = limit;
    while left > 0 {
        let step = STEP.min(left);
        let rows = link.write(&sql.clear, &[&namespace, &i64::from(step)], link.deadline()).await;
        let rows = rows.map_err(Failure::into_error)?;
        if rows.first().map_or(Ok(0), |row| own::<i64>(row, 0))? < i64::from(step) {
            return Ok(false);
        }
        left -= step;
    }
    Ok(true)
}
