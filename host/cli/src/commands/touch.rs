//! `ttl`, `touch` and `persist`

use std::time::Duration;

use clap::Args;
use dataknobs_kv::{ChangeResult, Expiry, Timestamp};
use serde::Serialize;

use super::set::precondition;
use super::{Context, absent, conflict, print_version};
use crate::args::ExpiryArgs;
use crate::exit::{self, Failure, Outcome};
use crate::output::Output;
use crate::time;

#[derive(Args)]
pub(crate) struct Ttl {
    /// Which entry
    key: String,
}

/// What `ttl --json` prints.
#[derive(Serialize)]
struct Remaining {
    ttl_ms: Option<u64>,
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sliding_ms: Option<u64>,
}

impl Ttl {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let attributes = context.store.describe(&self.key).await?.ok_or_else(|| absent(&self.key))?.attributes;
        let now = context.store.clock().now();
        // A service's clock may be ahead of ours: what it calls alive still has some time.
        let left = attributes.expires_at.map(|at| at.saturating_sub(now).max(1));
        let mut out = Output::new();
        match (context.json, left) {
            (true, _) => out.json(&Remaining {
                ttl_ms: left,
                expires_at: attributes.expires_at,
                sliding_ms: attributes.sliding_ms,
            })?,
            (false, Some(ms)) => out.line(time::format_seconds(Duration::from_millis(ms)))?,
            (false, None) => out.line("never")?,
        }
        out.finish()?;
        Ok(exit::OK)
    }
}

#[derive(Args)]
pub(crate) struct Touch {
    /// Which entry
    key: String,
    /// Expires so long from now: seconds, or for example 90s, 1h30m, 500ms, 7d
    #[arg(value_name = "SPAN", value_parser = time::parse_ttl, conflicts_with = "ExpiryArgs")]
    span: Option<Duration>,
    #[command(flatten)]
    expiry: ExpiryArgs,
    /// Only where the entry has this version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<String>,
}

impl Touch {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let expiry = match (self.span, self.expiry.expiry()) {
            (Some(span), _) => ExpiryArgs::after(span),
            (None, Expiry::Unspecified) => {
                return Err(Failure::usage("when is it to expire? give a span, or an option"));
            }
            (None, expiry) => expiry,
        };
        change(context, &self.key, expiry, self.if_version).await
    }
}

#[derive(Args)]
pub(crate) struct Persist {
    /// Which entry
    key: String,
    /// Only where the entry has this version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<String>,
}

impl Persist {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        change(context, &self.key, Expiry::Never, self.if_version).await
    }
}

async fn change(context: &Context, key: &str, expiry: Expiry, if_version: Option<String>) -> Outcome {
    let precondition = precondition(if_version)?;
    let result = context.store.store().set_expiry(context.store.namespace_name(), key, expiry, precondition).await?;
    changed(context, key, result)
}

/// Tells what became of a change of metadata or expiry.
pub(super) fn changed(context: &Context, key: &str, result: ChangeResult) -> Outcome {
    match result {
        ChangeResult::Written(version) => {
            print_version(context, version)?;
            Ok(exit::OK)
        }
        ChangeResult::Absent => Err(absent(key)),
        ChangeResult::Conflict(current) => Err(conflict(context, key, current)),
    }
}
