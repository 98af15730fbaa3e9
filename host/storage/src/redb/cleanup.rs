//! Removal of many entries: of expired ones, and of whole namespaces.

use dataknobs_kv_core::{Result, Timestamp};
use redb::ReadableTable;

use super::apply::{Found, Tables};
use super::failure::Failure;
use super::file::StoreFile;
use super::format::{self, Head};

/// How many entries one transaction removes at most, so that other writes are not held up for long.
pub(super) const STEP: usize = 1000;

/// Rows of `expiry` that are due, at most `limit`, and whether there are more.
pub(super) fn due(
    file: &StoreFile,
    namespace: Option<&str>,
    now: Timestamp,
    limit: u32,
) -> Result<(Vec<Vec<u8>>, bool)> {
    let end = now.saturating_add(1).to_be_bytes();
    file.read(|snapshot| {
        let mut rows = Vec::new();
        for item in snapshot.expiry()?.range(..end.as_slice())? {
            let (guard, _) = item?;
            let row = guard.value();
            let of_namespace = |namespace: &str| {
                format::split_expiry(row)
                    .and_then(|(_, row)| format::split_row(row))
                    .is_some_and(|(name, _)| name == namespace.as_bytes())
            };
            if !namespace.is_none_or(of_namespace) {
                continue;
            }
            if rows.len() >= limit as usize {
                return Ok((rows, true));
            }
            rows.push(row.to_vec());
        }
        Ok((rows, false))
    })
}

/// Removes the entries of these rows of `expiry`, each only if it is still expired; how many.
pub(super) fn reclaim(tables: &mut Tables, rows: &[Vec<u8>], now: Timestamp) -> Result<u32, Failure> {
    let mut count = 0;
    for expiry in rows {
        let Some((at, row)) = format::split_expiry(expiry) else { continue };
        if at > now {
            continue;
        }
        match tables.find(row, now)? {
            Found::Expired(head) if head.attributes.expires_at == Some(at) => {
                tables.remove(row, &Found::Expired(head))?;
                count += 1;
            }
            // Renewed or gone since: then its row is gone too. What is left without a head goes as well.
            _ => tables.remove_expiry(expiry)?,
        }
    }
    Ok(count)
}

/// Removes up to `limit` entries of the namespace. Whether more may be left.
pub(super) fn clear(tables: &mut Tables, namespace: &str, limit: usize) -> Result<bool, Failure> {
    let from = format::row(namespace, "");
    let to = format::after_namespace(namespace.as_bytes());
    let mut found = Vec::new();
    for item in tables.head.range(from.as_slice()..to.as_slice())?.take(limit) {
        let (row, head) = item?;
        let head = match Head::decode(head.value()) {
            Ok(head) => Found::Living(Box::new(head.into_owned())),
            Err(_) => Found::Damaged,
        };
        found.push((row.value().to_vec(), head));
    }
    for (row, found) in &found {
        tables.remove(row, found)?;
    }
    Ok(found.len() >= limit)
}
