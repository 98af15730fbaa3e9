//! `capabilities`

use dataknobs_kv_core::wire;

use super::Context;
use crate::exit::{self, Outcome};
use crate::output::Output;

pub(crate) async fn run(context: &Context) -> Outcome {
    let capabilities = wire::Capabilities::from(context.store.capabilities().await?);
    let mut out = Output::new();
    if context.json {
        out.json(&capabilities)?;
    } else {
        let wire::Capabilities {
            durable,
            shared,
            max_atomic,
            max_value_bytes,
            max_metadata_bytes,
            sliding,
            cheap_amend,
            native_expiry,
            indexed_scan,
            extra,
        } = capabilities;
        out.line(format_args!("durable             {durable}"))?;
        out.line(format_args!("shared              {shared}"))?;
        out.line(format_args!("max_atomic          {max_atomic}"))?;
        out.line(format_args!("max_value_bytes     {max_value_bytes}"))?;
        out.line(format_args!("max_metadata_bytes  {max_metadata_bytes}"))?;
        out.line(format_args!("sliding             {sliding}"))?;
        out.line(format_args!("cheap_amend         {cheap_amend}"))?;
        out.line(format_args!("native_expiry       {native_expiry}"))?;
        out.line(format_args!("indexed_scan        {indexed_scan}"))?;
        for (name, value) in extra {
            out.line(format_args!("{name:<19} {value}"))?;
        }
    }
    out.finish()?;
    Ok(exit::OK)
}
