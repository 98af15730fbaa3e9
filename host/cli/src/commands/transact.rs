//! `transact`

use std::path::PathBuf;

use clap::Args;
use dataknobs_kv::{Action, TransactionResult};
use dataknobs_kv_core::wire::{self, Committed, Transaction};

use super::Context;
use crate::exit::{self, Outcome};
use crate::output::{Output, say};
use crate::value;

/// The document: {"checks":[{"key","if_version"|"if_absent"}],"actions":[{"set":{"key","value",…}},{"delete":"key"}]}
#[derive(Args)]
pub(crate) struct Transact {
    /// The file; - reads stdin
    #[arg(default_value = "-", value_name = "PATH")]
    file: PathBuf,
}

impl Transact {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let document: Transaction = wire::from_json(&value::file(&self.file)?)?;
        let (checks, actions) = document.into_parts()?;
        let name = |in_checks: bool, index: usize| {
            let key = match in_checks {
                true => checks.get(index).map(|check| check.key.as_str()),
                false => actions.get(index).map(|action| match action {
                    Action::Set(item) => item.key.as_str(),
                    Action::Delete(key) => key.as_str(),
                }),
            };
            key.unwrap_or_default().to_owned()
        };
        let store = &context.store;
        let result = store.store().transact(store.namespace_name(), checks.clone(), actions.clone()).await?;
        let code = match &result {
            TransactionResult::Committed(_) => exit::OK,
            TransactionResult::Failed(failure) => {
                let index = usize::try_from(failure.index).unwrap_or(usize::MAX);
                let key = name(failure.in_checks, index);
                if !context.json {
                    say(format_args!("dataknobs-kv: conflict: nothing was done: the entry {key:?} is not as expected"));
                }
                exit::CONFLICT
            }
        };
        let mut out = Output::new();
        if context.json {
            out.json(&Committed::new(result, name)?)?;
        }
        out.finish()?;
        Ok(code)
    }
}
