//! `delete`

use clap::Args;
use dataknobs_kv::{DeleteResult, Projection, Query};
use dataknobs_kv_core::wire;

use super::set::precondition;
use super::{Context, absent, conflict};
use crate::exit::{self, Failure, Outcome};
use crate::output::{Output, say};

#[derive(Args)]
pub(crate) struct Delete {
    /// Which entries
    #[arg(required_unless_present = "pattern", conflicts_with = "pattern", value_name = "KEY")]
    keys: Vec<String>,
    /// All entries that match, and prints how many they were
    #[arg(long, short)]
    pattern: Option<String>,
    /// With --pattern: only entries whose metadata holds these fields (a JSON object)
    #[arg(long = "where", value_name = "JSON", requires = "pattern")]
    metadata: Option<String>,
    /// Only where the entry has this version
    #[arg(long, value_name = "VERSION", conflicts_with = "pattern")]
    if_version: Option<String>,
}

impl Delete {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        if let Some(pattern) = self.pattern {
            let query = Query { pattern, metadata: self.metadata };
            let deleted = context.store.delete_matching(&query).await?;
            let mut out = Output::new();
            match context.json {
                true => out.json(&wire::Deleted { deleted, next: None })?,
                false => out.line(deleted)?,
            }
            out.finish()?;
            return Ok(exit::OK);
        }
        if let [key] = self.keys.as_slice() {
            let precondition = precondition(self.if_version)?;
            let store = &context.store;
            let deleted =
                store.store().delete(store.namespace_name(), key, precondition, Projection::Attributes).await?;
            return match deleted {
                DeleteResult::Deleted => Ok(exit::OK),
                DeleteResult::Absent => Err(absent(key)),
                DeleteResult::Conflict(current) => Err(conflict(context, key, current)),
            };
        }
        if self.if_version.is_some() {
            return Err(Failure::usage("--if-version goes with one key"));
        }
        let results = context.store.delete_many(self.keys.clone()).await?;
        let mut code = exit::OK;
        let mut first_error = None;
        for (key, result) in self.keys.iter().zip(results) {
            match result {
                Ok(DeleteResult::Deleted) => {}
                Ok(_) => {
                    code = exit::ABSENT;
                    say(format_args!("dataknobs-kv: there is no entry {key:?}"));
                }
                Err(error) => {
                    say(format_args!("dataknobs-kv: {key}: {error}"));
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(code), |error| Err(error.into()))
    }
}
