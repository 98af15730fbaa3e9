//! `set`

use clap::Args;
use dataknobs_kv::{Item, Precondition, Projection, SetOptions, SetResult, Version};

use super::{Context, conflict, print_version};
use crate::args::ExpiryArgs;
use crate::exit::{self, Failure, Outcome};
use crate::value::ValueArgs;

#[derive(Args)]
pub(crate) struct Set {
    /// The key: segments separated by dots
    key: String,
    #[command(flatten)]
    value: ValueArgs,
    #[command(flatten)]
    options: SetArgs,
    /// Only where there is no entry
    #[arg(long, conflicts_with = "if_version")]
    if_absent: bool,
}

/// How an entry is set
#[derive(Args)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    expiry: ExpiryArgs,
    /// Metadata: a JSON object
    #[arg(long, short, value_name = "JSON")]
    metadata: Option<String>,
    /// The value's media type
    #[arg(long, value_name = "MEDIA TYPE")]
    content_type: Option<String>,
    /// Only where the entry has this version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<String>,
}

impl SetArgs {
    pub(crate) fn options(self) -> Result<SetOptions, Failure> {
        Ok(SetOptions {
            expiry: self.expiry.expiry(),
            content_type: self.content_type,
            metadata: self.metadata,
            precondition: precondition(self.if_version)?,
            on_conflict: Projection::Attributes,
        })
    }
}

/// `--if-version`, where it was given.
pub(crate) fn precondition(if_version: Option<String>) -> Result<Precondition, Failure> {
    Ok(if_version.map(Version::new).transpose()?.map_or(Precondition::None, Precondition::Version))
}

impl Set {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let mut options = self.options.options()?;
        if self.if_absent {
            options.precondition = Precondition::Absent;
        }
        let item = Item { key: self.key.clone(), value: self.value.read()?, options };
        match context.store.store().set(context.store.namespace_name(), item).await? {
            SetResult::Written(version) => {
                print_version(context, version)?;
                Ok(exit::OK)
            }
            SetResult::Conflict(current) => Err(conflict(context, &self.key, current)),
        }
    }
}
