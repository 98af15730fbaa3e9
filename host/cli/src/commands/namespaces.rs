//! `namespaces`

use clap::{Args, Subcommand};

use super::Context;
use crate::exit::{self, Failure, Outcome};
use crate::output::Output;

#[derive(Args)]
pub(crate) struct Namespaces {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Removes a namespace with all that is in it
    Drop {
        /// Which
        name: String,
        /// Yes, all of it
        #[arg(long, short)]
        yes: bool,
    },
}

impl Namespaces {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        if let Some(Action::Drop { name, yes }) = self.action {
            if !yes {
                return Err(Failure::usage(format!("this removes all of the namespace {name:?}: add --yes")));
            }
            context.store.drop_namespace(&name).await?;
            return Ok(exit::OK);
        }
        let mut out = Output::new();
        for name in context.store.namespaces().await? {
            match context.json {
                true => out.json(&name)?,
                false => out.line(name)?,
            }
        }
        out.finish()?;
        Ok(exit::OK)
    }
}
