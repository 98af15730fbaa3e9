//! S3 by moto: in memory, for keys that other stores cannot hold.

use std::path::PathBuf;
use std::process::Command;

use super::{BUCKET, Place, Recipe, s3_url};
use crate::Result;
use crate::http::{expect_success, request};
use crate::install::{self, Wheel};

const WHEEL: Wheel = Wheel { requirements: &["moto[s3]>=5.1,<6", "flask", "flask-cors"], name: "moto-5" };

pub(super) struct Moto {
    program: PathBuf,
    arguments: Vec<&'static str>,
    /// Where Python finds it, if not where it looks anyway.
    packages: Option<PathBuf>,
}

impl Moto {
    pub(super) fn find() -> Result<Self> {
        if let Some(program) = install::on_path("moto_server") {
            return Ok(Self { program, arguments: vec![], packages: None });
        }
        let packages = WHEEL.folder()?;
        let program = install::on_path("python3").ok_or("no python3")?;
        Ok(Self { program, arguments: vec!["-m", "moto.server"], packages: Some(packages) })
    }
}

impl Recipe for Moto {
    fn processes(&self, place: &Place) -> Result<Vec<Command>> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(["-H", "127.0.0.1", "-p", &place.port(0)?.to_string()]);
        command.current_dir(&place.folder);
        if let Some(packages) = &self.packages {
            command.env("PYTHONPATH", packages);
        }
        Ok(vec![command])
    }

    fn ready(&self, place: &Place) -> Result {
        let (port, path) = (place.port(0)?, format!("/{BUCKET}"));
        if let (200, _) = request("HEAD", port, &path, "")? {
            return Ok(());
        }
        expect_success("PUT", port, &path, "").map(drop)
    }

    fn url(&self, place: &Place) -> String {
        s3_url(place.ports.first().copied().unwrap_or_default(), "kvtest", &place.secret)
    }
}
