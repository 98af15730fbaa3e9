//! How each server is started: one file each.

mod go_s3;
mod moto;
mod postgres;
mod redis;
mod search;
mod seaweedfs;
mod toxiproxy;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::kind::Kind;

/// Where a server lives.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its folder: data, logs, what it is known by.
    pub(crate) folder: PathBuf,
    pub(crate) ports: Vec<u16>,
    /// For those that ask for a password: worth nothing beyond this server.
    pub(crate) secret: String,
}

impl Place {
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The port at this place among those asked for.
    pub(crate) fn port(&self, index: usize) -> Result<u16> {
        self.ports.get(index).copied().ok_or(format!("no port {index}"))
    }
}

/// What is particular about a kind of server.
pub(crate) trait Recipe: Send + Sync {
    /// How many ports it needs. The first is the one that clients connect to.
    fn ports(&self) -> usize {
        1
    }

    /// Makes what must be there before the first start.
    fn prepare(&self, _place: &Place) -> Result {
        Ok(())
    }

    /// The programs that make it up.
    fn processes(&self, place: &Place) -> Result<Vec<Command>>;

    /// Asked again and again until it is content; also does, once, what can only be done to a running server. An error
    /// says what is still missing.
    fn ready(&self, place: &Place) -> Result;

    /// The connection string of a store on it.
    fn url(&self, place: &Place) -> String;

    /// Whether it ends cleanly on SIGQUIT, and leaves something on the machine if it does not.
    fn quits(&self) -> bool {
        false
    }

    /// Removes what lies outside of its folder once it was killed.
    fn forget(&self, _place: &Place) {}

    /// How long its start may take on a busy machine, where others start and compile beside it. One that ends is seen at
    /// once.
    fn patience(&self) -> Duration {
        Duration::from_secs(180)
    }
}

/// Finds its programs, or installs them.
pub(crate) fn recipe(kind: Kind) -> Result<Box<dyn Recipe>> {
    Ok(match kind {
        Kind::Postgres => Box::new(postgres::Postgres::find()?),
        Kind::Redis => Box::new(redis::Single::redis()?),
        Kind::RedisCluster => Box::new(redis::Cluster::find()?),
        Kind::Valkey => Box::new(redis::Single::valkey()?),
        Kind::S3Seaweedfs => Box::new(seaweedfs::SeaweedFs::find()?),
        Kind::S3Moto => Box::new(moto::Moto::find()?),
        Kind::S3Minio => Box::new(go_s3::GoS3::minio()?),
        Kind::S3Versitygw => Box::new(go_s3::GoS3::versitygw()?),
        Kind::Elasticsearch => Box::new(search::Search::elasticsearch()?),
        Kind::Opensearch => Box::new(search::Search::opensearch()?),
        Kind::Toxiproxy => Box::new(toxiproxy::Toxiproxy::find()?),
    })
}

/// [`Recipe::quits`], without a look for its programs.
pub(crate) fn quits(kind: Kind) -> bool {
    kind == Kind::Postgres
}

/// [`Recipe::forget`], without a look for its programs.
pub(crate) fn forget(kind: Kind, folder: PathBuf) {
    if kind == Kind::Postgres {
        postgres::forget(&Place { folder, ports: Vec::new(), secret: String::new() });
    }
}

/// The bucket and prefix of the S3 stores.
const BUCKET: &str = "kv-test";

/// The connection string of an S3 store on this machine.
fn s3_url(port: u16, access_key: &str, secret: &str) -> String {
    format!(
        "s3://{BUCKET}/store?endpoint=http%3A%2F%2F127.0.0.1%3A{port}&path_style=true&region=us-east-1\
         &access_key_id={access_key}&secret_access_key={secret}"
    )
}
