//! `exists`

use clap::Args;

use super::Context;
use crate::exit::{self, Outcome};
use crate::output::Output;

#[derive(Args)]
pub(crate) struct Exists {
    /// Which entry
    key: String,
}

impl Exists {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let exists = context.store.exists(&self.key).await?;
        let mut out = Output::new();
        out.line(exists)?;
        out.finish()?;
        Ok(if exists { exit::OK } else { exit::ABSENT })
    }
}
