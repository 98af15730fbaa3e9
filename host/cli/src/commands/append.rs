//! `append`

use clap::Args;
use dataknobs_kv_core::wire;

use super::Context;
use crate::args::ExpiryArgs;
use crate::exit::{self, Outcome};
use crate::output::Output;
use crate::value::ValueArgs;

#[derive(Args)]
pub(crate) struct Append {
    /// Which entry; it is created where there is none
    key: String,
    #[command(flatten)]
    value: ValueArgs,
    #[command(flatten)]
    expiry: ExpiryArgs,
}

impl Append {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let store = &context.store;
        let tail = self.value.read()?;
        let appended = store.store().append(store.namespace_name(), &self.key, tail, self.expiry.expiry()).await?;
        let mut out = Output::new();
        if context.json {
            out.json(&wire::Appended { size: appended.size, version: appended.version.into_string() })?;
        } else {
            out.line(appended.size)?;
        }
        out.finish()?;
        Ok(exit::OK)
    }
}
