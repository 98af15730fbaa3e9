//! `get`

use clap::Args;
use dataknobs_kv::{Error, State};
use dataknobs_kv_core::wire::Entry;

use super::{Context, absent};
use crate::exit::{self, Outcome};
use crate::output::Output;

#[derive(Args)]
pub(crate) struct Get {
    /// Which entries; with several, one line of JSON for each
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

impl Get {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        if let [key] = self.keys.as_slice() {
            let state = context.store.entry(key).await?.ok_or_else(|| absent(key))?;
            print(context, key, state)?;
            return Ok(exit::OK);
        }
        if !context.json {
            return Err(Error::InvalidArgument("several values in a row need --json".into()).into());
        }
        let mut out = Output::new();
        let mut code = exit::OK;
        let states = context.store.get_entries(self.keys.clone(), true).await?;
        for (key, state) in self.keys.iter().zip(states) {
            match state? {
                Some(state) => out.json(&Entry::new(key.as_str(), Some(state))?)?,
                None => {
                    code = exit::ABSENT;
                    out.json(&Entry::new(key.as_str(), None)?)?;
                }
            }
        }
        out.finish()?;
        Ok(code)
    }
}

fn print(context: &Context, key: &str, state: State) -> Result<(), crate::exit::Failure> {
    let mut out = Output::new();
    if context.json {
        out.json(&Entry::new(key, Some(state))?)?;
    } else {
        let missing = || Error::Internal("an entry without the value asked for".into());
        out.value(state.into_value()?.ok_or_else(missing)?)?;
    }
    out.finish()
}
