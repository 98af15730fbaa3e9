//! toxiproxy: a TCP proxy that injects faults, told what to do over HTTP.

use std::path::PathBuf;
use std::process::Command;

use super::{Place, Recipe};
use crate::Result;
use crate::http::expect_success;
use crate::install::{self, GoProgram};

const PROGRAM: GoProgram =
    GoProgram { package: "github.com/Shopify/toxiproxy/v2/cmd/server", version: "v2.5.0", binary: "server" };

pub(super) struct Toxiproxy {
    program: PathBuf,
}

impl Toxiproxy {
    pub(super) fn find() -> Result<Self> {
        let program = match install::on_path("toxiproxy-server") {
            Some(program) => program,
            None => PROGRAM.build()?,
        };
        Ok(Self { program })
    }
}

impl Recipe for Toxiproxy {
    fn processes(&self, place: &Place) -> Result<Vec<Command>> {
        let mut command = Command::new(&self.program);
        command.current_dir(&place.folder).args(["-host", "127.0.0.1", "-port", &place.port(0)?.to_string()]);
        Ok(vec![command])
    }

    fn ready(&self, place: &Place) -> Result {
        expect_success("GET", place.port(0)?, "/version", "").map(drop)
    }

    fn url(&self, place: &Place) -> String {
        format!("http://127.0.0.1:{}", place.ports.first().copied().unwrap_or_default())
    }
}
