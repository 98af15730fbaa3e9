//! Settings of the bucket under which entries vanish or old ones pile up, what the store cannot do, and its clock.

use async_trait::async_trait;
use reqsign_core::time::Timestamp as Time;

use super::failure::{Failure, Meaning};
use super::{S3Storage, xml};
use crate::diagnose::{Diagnose, Finding, now, seconds_apart};

#[async_trait]
impl Diagnose for S3Storage {
    async fn diagnose(&self) -> Vec<Finding> {
        let (versioning, lifecycle, clock) = tokio::join!(self.versioning(), self.lifecycle(), self.clock());
        let mut findings: Vec<Finding> = [versioning, lifecycle, clock].into_iter().flatten().collect();
        if !self.abilities.conditional_delete {
            findings.push(Finding::note(
                "the store is not known to delete on a condition in one step: a deleted entry leaves an object of one byte",
            ));
        }
        findings
    }
}

impl S3Storage {
    async fn versioning(&self) -> Option<Finding> {
        match self.about("versioning=", xml::keeps_versions).await {
            Ok(Some(true)) => Some(Finding::warning(
                "the bucket keeps old versions: whatever is overwritten, deleted or expired stays there, and is paid for",
                "leave versioning off, or add a lifecycle rule that removes noncurrent versions",
            )),
            Ok(_) => None,
            Err(why) => Some(Finding::note(format!("whether the bucket keeps old versions could not be seen: {why}"))),
        }
    }

    async fn lifecycle(&self) -> Option<Finding> {
        let rules = match self.about("lifecycle=", xml::removals).await {
            Ok(rules) => rules.unwrap_or_default(),
            Err(why) => return Some(Finding::note(format!("the bucket's lifecycle rules could not be seen: {why}"))),
        };
        let touches = |rule: &&xml::Removal| self.root.starts_with(&rule.prefix) || rule.prefix.starts_with(&self.root);
        let rule = rules.iter().find(touches)?;
        Some(Finding::warning(
            format!("the bucket's lifecycle rule `{}` deletes objects of the store when they are old", rule.id),
            "keep the store's prefix out of that rule: entries are removed by their own time to live",
        ))
    }

    async fn clock(&self) -> Option<Finding> {
        let before = now();
        let (_, date) = self.client.list(&self.root, "", false, 1, self.client.deadline()).await.ok()?;
        let after = now();
        let second = Time::parse_rfc2822(&date?).ok()?.as_second();
        seconds_apart("the store", before, u64::try_from(second).ok()?, after)
    }

    /// None where the store has nothing to say of it, or cannot.
    async fn about<T>(&self, what: &str, read: fn(&[u8]) -> dataknobs_kv_core::Result<T>) -> Result<Option<T>, String> {
        match self.client.about(what, self.client.deadline()).await {
            Ok(body) => read(&body).map(Some).map_err(|error| error.message()),
            Err(Failure::Refused(refusal)) if refusal.status == 404 || refusal.meaning() == Meaning::Missing => {
                Ok(None)
            }
            Err(Failure::Refused(refusal)) if matches!(refusal.status, 405 | 501) => Ok(None),
            Err(failure) => Err(failure.of_read(&self.client.bucket).message()),
        }
    }
}
