//! `incr`

use clap::Args;
use dataknobs_kv::{Numeric, Value};
use dataknobs_kv_core::wire;

use super::Context;
use crate::args::ExpiryArgs;
use crate::exit::{self, Outcome};
use crate::output::Output;

#[derive(Args)]
pub(crate) struct Incr {
    /// Which entry; it starts at 0
    key: String,
    /// By how much: an integer, or a number with a fraction or an exponent
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true, value_parser = parse_delta)]
    by: Numeric,
    #[command(flatten)]
    expiry: ExpiryArgs,
}

fn parse_delta(text: &str) -> Result<Numeric, String> {
    match Value::from_json(text) {
        Ok(Value::Integer(integer)) => Ok(Numeric::Integer(integer)),
        Ok(Value::Number(number)) => Ok(Numeric::Number(number)),
        _ => Err("a 64-bit integer or a finite number".into()),
    }
}

impl Incr {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let store = &context.store;
        let counted = store.store().increment(store.namespace_name(), &self.key, self.by, self.expiry.expiry()).await?;
        let mut out = Output::new();
        if context.json {
            out.json(&wire::Summed::try_from(counted)?)?;
        } else {
            out.line(Value::from(counted.value).to_json().unwrap_or_default())?;
        }
        out.finish()?;
        Ok(exit::OK)
    }
}
