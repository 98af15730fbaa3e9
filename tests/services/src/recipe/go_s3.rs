//! S3 by MinIO and by versitygw: programs in Go that take minutes to build, so only for those who asked.

use std::path::PathBuf;
use std::process::Command;

use super::{BUCKET, Place, Recipe, s3_url};
use crate::Result;
use crate::http::request;
use crate::install::{self, GoProgram};
use crate::kind::Kind;

const MINIO: GoProgram =
    GoProgram { package: "github.com/minio/minio", version: "v0.0.0-20260212201848-7aac2a2c5b7c", binary: "minio" };

const VERSITYGW: GoProgram =
    GoProgram { package: "github.com/versity/versitygw/cmd/versitygw", version: "v1.8.0", binary: "versitygw" };

const ACCESS_KEY: &str = "kvtest";

pub(super) struct GoS3 {
    kind: Kind,
    program: PathBuf,
}

impl GoS3 {
    pub(super) fn minio() -> Result<Self> {
        Self::find(Kind::S3Minio, &MINIO)
    }

    pub(super) fn versitygw() -> Result<Self> {
        Self::find(Kind::S3Versitygw, &VERSITYGW)
    }

    fn find(kind: Kind, built: &GoProgram) -> Result<Self> {
        let there = install::on_path(built.binary).or_else(|| built.built());
        let program = match there {
            Some(program) => program,
            None if kind.asked_for() => built.build()?,
            None => {
                let name = kind.name();
                return Err(format!(
                    "no {} on the PATH; KV_TEST_OPT_IN={name} has it built, which takes minutes",
                    built.binary
                ));
            }
        };
        Ok(Self { kind, program })
    }
}

impl Recipe for GoS3 {
    /// For both a bucket is a folder of the data folder.
    fn prepare(&self, place: &Place) -> Result {
        let bucket = place.data().join(BUCKET);
        std::fs::create_dir_all(&bucket).map_err(|e| format!("cannot make {}: {e}", bucket.display()))
    }

    fn processes(&self, place: &Place) -> Result<Vec<Command>> {
        let address = format!("127.0.0.1:{}", place.port(0)?);
        let mut command = Command::new(&self.program);
        command.current_dir(&place.folder);
        match self.kind {
            Kind::S3Minio => {
                command.args(["server", "--quiet", "--address", &address]).arg(place.data());
                command.env("MINIO_ROOT_USER", ACCESS_KEY).env("MINIO_ROOT_PASSWORD", &place.secret);
                command.env("MINIO_BROWSER", "off").env("MINIO_UPDATE", "off");
                command.env("MINIO_CONFIG_DIR", place.folder.join("config"));
            }
            _ => {
                command.args(["--port", &address, "posix"]).arg(place.data());
                command.env("ROOT_ACCESS_KEY", ACCESS_KEY).env("ROOT_SECRET_KEY", &place.secret);
            }
        }
        Ok(vec![command])
    }

    /// Without a signature it must say no, once it is there.
    fn ready(&self, place: &Place) -> Result {
        match request("GET", place.port(0)?, &format!("/{BUCKET}/"), "")? {
            (403, _) => Ok(()),
            (status, body) => Err(format!("it answers {status} {body}")),
        }
    }

    fn url(&self, place: &Place) -> String {
        s3_url(place.ports.first().copied().unwrap_or_default(), ACCESS_KEY, &place.secret)
    }
}
