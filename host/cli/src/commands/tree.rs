//! `tree`

use clap::Args;
use dataknobs_kv::{Child, KvStore, key};
use dataknobs_kv_core::wire;
use futures::future::{FutureExt, LocalBoxFuture};

use super::Context;
use crate::exit::{self, Failure, Outcome};
use crate::output::Output;

#[derive(Args)]
pub(crate) struct Tree {
    /// Shows what lies below this key; without it, everything
    prefix: Option<String>,
    /// So many levels
    #[arg(long, short, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    depth: usize,
    /// With the number of entries below each
    #[arg(long, short)]
    counts: bool,
}

impl Tree {
    pub(crate) async fn run(self, context: &Context) -> Outcome {
        let mut out = Output::new();
        let mut walk = Walk {
            store: &context.store,
            depth: self.depth.max(1),
            counts: self.counts,
            json: context.json,
            out: &mut out,
        };
        if let Some(prefix) = &self.prefix {
            key::validate(prefix)?;
        }
        walk.level(self.prefix.clone(), String::new(), 1).await?;
        out.finish()?;
        Ok(exit::OK)
    }
}

struct Walk<'a> {
    store: &'a KvStore,
    depth: usize,
    counts: bool,
    json: bool,
    out: &'a mut Output,
}

impl Walk<'_> {
    /// Prints the children of `prefix`, each with what lies below it; `indent` is what stands before their lines.
    fn level(
        &mut self,
        prefix: Option<String>,
        indent: String,
        level: usize,
    ) -> LocalBoxFuture<'_, Result<(), Failure>> {
        async move {
            let children = self.store.children(prefix.as_deref(), self.counts).await?;
            let last = children.len().saturating_sub(1);
            for (index, child) in children.into_iter().enumerate() {
                let (branch, below) = match (level, index == last) {
                    (1, _) => ("", ""),
                    (_, false) => ("├── ", "│   "),
                    (_, true) => ("└── ", "    "),
                };
                self.print(&child, &format!("{indent}{branch}"))?;
                if child.has_children && level < self.depth {
                    self.level(Some(child.key), format!("{indent}{below}"), level + 1).await?;
                }
            }
            Ok(())
        }
        .boxed_local()
    }

    fn print(&mut self, child: &Child, indent: &str) -> Result<(), Failure> {
        if self.json {
            return self.out.json(&wire::Child {
                segment: child.segment.clone(),
                key: child.key.clone(),
                is_entry: child.is_entry,
                below: child.below,
                has_children: child.has_children,
            });
        }
        // A key that is an entry and has others below it is both.
        let both = if child.is_entry && child.has_children { " *" } else { "" };
        match child.below.filter(|_| child.has_children) {
            Some(below) => self.out.line(format_args!("{indent}{}{both} ({below})", child.segment)),
            None => self.out.line(format_args!("{indent}{}{both}", child.segment)),
        }
    }
}
