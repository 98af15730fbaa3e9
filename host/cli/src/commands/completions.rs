//! `completions`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::{self, Outcome};
use crate::output::Output;

#[derive(Args)]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "dataknobs-kv", &mut script);
        let mut out = Output::new();
        std::io::Write::write_all(&mut out, &script)?;
        out.finish()?;
        Ok(exit::OK)
    }
}
