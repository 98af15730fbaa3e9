//! Programs in Go, built from their modules.

use std::path::PathBuf;
use std::process::Command;

use super::{cache, client, once, quietly};
use crate::Result;

/// A program that `go install` builds.
#[derive(Debug)]
pub(crate) struct GoProgram {
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// The file's name.
    pub(crate) binary: &'static str,
}

impl GoProgram {
    fn folder(&self) -> String {
        let words = self.package.split('/').skip(2).filter(|word| !matches!(*word, "v2" | "cmd" | "server"));
        let name: Vec<&str> = words.take(1).collect();
        format!("{}-{}", name.concat(), self.version.trim_start_matches('v'))
    }

    /// The program, if it was built before.
    pub(crate) fn built(&self) -> Option<PathBuf> {
        let folder = cache().ok()?.join(self.folder());
        folder.join(".complete").exists().then(|| folder.join(self.binary))
    }

    /// The program, built now if it was not before.
    pub(crate) fn build(&self) -> Result<PathBuf> {
        let folder = once(&self.folder(), |folder| {
            let mut command = Command::new(client("go", "golang-go")?);
            command.env("GOBIN", folder).env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local").env_remove("GOFLAGS");
            command.args(["install", "-ldflags=-s -w"]).arg(format!("{}@{}", self.package, self.version));
            quietly(&mut command).map(drop)
        })?;
        Ok(folder.join(self.binary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_name_program_and_version() {
        let program = |package, version| GoProgram { package, version, binary: "x" };
        assert_eq!(program("github.com/Shopify/toxiproxy/v2/cmd/server", "v2.5.0").folder(), "toxiproxy-2.5.0");
        assert_eq!(program("github.com/minio/minio", "v0.0.0-1-a").folder(), "minio-0.0.0-1-a");
    }
}
