//! `cas`

use std::ffi::OsString;

use clap::Args;
use dataknobs_kv::SwapResult;
use dataknobs_kv_core::wire::{self, Entry};

use super::Context;
use super::set::SetArgs;
use crate::exit::{self, Failure, Outcome};
use crate::output::{Output, say};
use crate::value::{self, TypeName};

#[derive(Args)]
pub(crate) struct Cas {
    /// Which entry
    key: String,
    /// OLD and NEW; with --old-absent only NEW. A - reads it from stdin
    #[arg(required = true, num_args = 1..=2, value_names = ["OLD", "NEW"], allow_negative_numbers = true)]
    values: Vec<OsString>,
    /// Expects that there is no entry
    #[arg(long)]
    old_absent: bool,
    /// Of both values: text, bytes, integer, number, boolean, null, custom:NAME; or json: what the JSON means
    #[arg(long = "type", short, value_name = "TYPE", value_parser = value::parse_type)]
    type_name: Option<TypeName>,
    /// Of the old value, where it is another
    #[arg(long, value_name = "TYPE", value_parser = value::parse_type)]
    old_type: Option<TypeName>,
    #[command(flatten)]
    options: SetArgs,
}

impl Cas {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let mut values = self.values.into_iter();
        let (old, new) = match (values.next(), values.next(), self.old_absent) {
            (Some(new), None, true) => (None, new),
            (Some(old), Some(new), false) => (Some(old), new),
            (_, _, true) => return Err(Failure::usage("--old-absent takes the place of OLD: give NEW alone")),
            _ => return Err(Failure::usage("give OLD and NEW, or --old-absent and NEW")),
        };
        if old.as_ref().is_some_and(|old| *old == "-") && new == "-" {
            return Err(Failure::usage("only one of the two can be stdin"));
        }
        let old_type = self.old_type.as_ref().or(self.type_name.as_ref());
        let old = old.map(|old| Ok::<_, Failure>(value::value(value::argument(old)?, old_type)?)).transpose()?;
        let new = value::value(value::argument(new)?, self.type_name.as_ref())?;
        let store = &context.store;
        let result = store
            .store()
            .compare_and_swap(store.namespace_name(), &self.key, old, new, self.options.options()?)
            .await?;
        let mut answer = wire::Swapped { swapped: false, version: None, current: None };
        let code = match result {
            SwapResult::Swapped(version) => {
                answer.swapped = true;
                answer.version = Some(version.into_string());
                exit::OK
            }
            SwapResult::Different(current) => {
                answer.current = current.map(|state| Entry::new(self.key.as_str(), Some(state))).transpose()?;
                exit::CONFLICT
            }
        };
        let mut out = Output::new();
        if context.json {
            out.json(&answer)?;
        } else if code == exit::CONFLICT {
            say(format_args!("dataknobs-kv: conflict: the entry {:?} is not as expected", self.key));
        }
        out.finish()?;
        Ok(code)
    }
}
