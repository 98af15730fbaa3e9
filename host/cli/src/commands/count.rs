//! `count`

use clap::Args;
use dataknobs_kv::Query;
use dataknobs_kv_core::wire;

use super::Context;
use crate::exit::{self, Outcome};
use crate::output::Output;

#[derive(Args)]
pub(crate) struct Count {
    /// Which keys
    #[arg(default_value = "**")]
    pattern: String,
    /// Only entries whose metadata holds these fields (a JSON object)
    #[arg(long = "where", value_name = "JSON")]
    metadata: Option<String>,
}

impl Count {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let count = context.store.count_matching(&Query { pattern: self.pattern, metadata: self.metadata }).await?;
        let mut out = Output::new();
        match context.json {
            true => out.json(&wire::Counted { count, next: None })?,
            false => out.line(count)?,
        }
        out.finish()?;
        Ok(exit::OK)
    }
}
