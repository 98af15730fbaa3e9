//! `meta`

use clap::Subcommand;
use dataknobs_kv_core::wire::Entry;

use super::set::precondition;
use super::touch::changed;
use super::{Context, absent};
use crate::exit::{self, Outcome};
use crate::output::Output;

#[derive(Subcommand)]
pub(crate) enum Meta {
    /// Prints the metadata as JSON; with --json also type, size, times and version
    Get {
        /// Which entry
        key: String,
    },
    /// Merges a JSON object into the metadata; a null removes a field
    Set {
        /// Which entry
        key: String,
        /// The fields to change
        fields: String,
        /// Only where the entry has this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<String>,
    },
    /// Puts a JSON object in the place of all metadata
    Replace {
        /// Which entry
        key: String,
        /// All fields
        fields: String,
        /// Only where the entry has this version
        #[arg(long, value_name = "VERSION")]
        if_version: Option<String>,
    },
}

impl Meta {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let (store, namespace) = (context.store.store(), context.store.namespace_name());
        let (key, result) = match self {
            Meta::Get { key } => {
                let state = context.store.describe(&key).await?.ok_or_else(|| absent(&key))?;
                let mut out = Output::new();
                match context.json {
                    true => out.json(&Entry::new(key, Some(state))?)?,
                    false => out.line(state.attributes.metadata.as_deref().unwrap_or("{}"))?,
                }
                out.finish()?;
                return Ok(exit::OK);
            }
            Meta::Set { key, fields, if_version } => {
                let result = store.update_metadata(namespace, &key, &fields, precondition(if_version)?).await?;
                (key, result)
            }
            Meta::Replace { key, fields, if_version } => {
                let result = store.replace_metadata(namespace, &key, &fields, precondition(if_version)?).await?;
                (key, result)
            }
        };
        changed(context, &key, result)
    }
}
