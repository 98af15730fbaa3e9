//! Settings of the server under which entries may be lost, and its clock.

use async_trait::async_trait;
use dataknobs_kv_core::Result;
use tokio_postgres::Row;

use super::PostgresStorage;
use super::failure::Failure;
use super::format::own;
use crate::diagnose::{Diagnose, Finding, apart, now};

const QUERY: &str = "select current_setting('synchronous_commit'), current_setting('fsync') = 'on', \
    current_setting('full_page_writes') = 'on', \
    pg_catalog.floor(extract(epoch from pg_catalog.clock_timestamp()) * 1000)::bigint";

#[async_trait]
impl Diagnose for PostgresStorage {
    async fn diagnose(&self) -> Vec<Finding> {
        let before = now();
        let looked = match self.row().await {
            Ok(Some(row)) => findings(&row, before, now()),
            Ok(None) => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let mut findings = looked.unwrap_or_else(|error| {
            vec![Finding::note(format!("the server's settings could not be looked at: {error}"))]
        });
        if !self.durable && findings.is_empty() {
            findings.push(Finding::warning(
                "the table is unlogged: the server empties it when it starts after a crash",
                "`ALTER TABLE … SET LOGGED`, where acknowledged writes must stay",
            ));
        }
        findings
    }
}

impl PostgresStorage {
    async fn row(&self) -> Result<Option<Row>> {
        let deadline = self.link.deadline();
        let lease = self.link.lease(deadline).await.map_err(Failure::into_unapplied)?;
        let rows = lease.typed(QUERY, &[], deadline).await?;
        lease.finish();
        Ok(rows.into_iter().next())
    }
}

fn findings(row: &Row, before: u64, after: u64) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if own::<&str>(row, 0)? == "off" {
        findings.push(Finding::warning(
            "synchronous_commit is off: the death of the server loses its last acknowledged writes",
            "`ALTER ROLE … SET synchronous_commit = on`, or the same in postgresql.conf, where they must stay",
        ));
    }
    for (index, name) in [(1, "fsync"), (2, "full_page_writes")] {
        if !own::<bool>(row, index)? {
            findings.push(Finding::warning(
                format!("{name} is off: after a crash of the machine the database may be damaged"),
                format!("set `{name} = on` in postgresql.conf; off is for data that may be lost whole"),
            ));
        }
    }
    let theirs = u64::try_from(own::<i64>(row, 3)?).unwrap_or_default();
    findings.extend(apart("the server", before, theirs, after));
    Ok(findings)
}
