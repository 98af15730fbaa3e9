//! `cleanup`

use clap::Args;
use dataknobs_kv_core::wire;

use super::Context;
use crate::exit::{self, Outcome};
use crate::output::Output;

#[derive(Args)]
pub(crate) struct Cleanup {
    /// In every namespace
    #[arg(long, short)]
    all_namespaces: bool,
}

impl Cleanup {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let removed = match self.all_namespaces {
            true => context.store.cleanup_expired_everywhere().await?,
            false => context.store.cleanup_expired().await?,
        };
        let mut out = Output::new();
        match context.json {
            true => out.json(&wire::Cleaned { removed, more: false })?,
            false => out.line(removed)?,
        }
        out.finish()?;
        Ok(exit::OK)
    }
}
