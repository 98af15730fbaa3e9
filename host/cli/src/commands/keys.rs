//! `keys`

use clap::Args;
use dataknobs_kv::Attributes;
use dataknobs_kv_core::wire::Entry;
use futures::TryStreamExt;

use super::Context;
use crate::exit::{self, Failure, Outcome};
use crate::output::Output;
use crate::time;

#[derive(Args)]
pub(crate) struct Keys {
    /// Which keys: * any run in a segment, ** any segments, ? one character, [a-z], {a,b}, \ takes the next as it is
    #[arg(default_value = "**")]
    pattern: String,
    /// With type, size in bytes and expiry before each key
    #[arg(long, short)]
    long: bool,
    /// With values: needs --json
    #[arg(long, requires = "json")]
    values: bool,
    /// Only entries whose metadata holds these fields (a JSON object)
    #[arg(long = "where", value_name = "JSON")]
    metadata: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

impl Keys {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let mut listing = context.store.entries(self.pattern);
        if self.values {
            listing = listing.with_values();
        } else if self.long {
            listing = listing.with_attributes();
        }
        if let Some(fields) = self.metadata {
            listing = listing.matching_json(fields);
        }
        let limit = self.limit.unwrap_or(u64::MAX);
        if let Some(page) = u32::try_from(limit).ok().filter(|limit| (1..1000).contains(limit)) {
            listing = listing.page_size(page);
        }
        let mut out = Output::new();
        let mut entries = listing.stream();
        let mut count = 0;
        while count < limit
            && let Some(entry) = entries.try_next().await?
        {
            count += 1;
            if context.json {
                out.json(&Entry::new(entry.key, entry.state)?)?;
            } else if let Some(state) = entry.state {
                long(&mut out, &entry.key, &state.attributes)?;
            } else {
                out.line(entry.key)?;
            }
        }
        out.finish()?;
        Ok(exit::OK)
    }
}

fn long(out: &mut Output, key: &str, attributes: &Attributes) -> Result<(), Failure> {
    let expires = attributes.expires_at.map_or_else(|| "-".into(), time::format_instant);
    out.line(format_args!("{:<8} {:>10} {:<24} {key}", attributes.value_type.to_string(), attributes.size, expires))
}
