//! The servers that all tests of a run share: their addresses come in the environment.

use std::env;

use crate::kind::named;

/// A server that tests can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// As it is called in `KV_TEST_REQUIRE` and in test names.
    pub name: &'static str,
    /// The environment variable with the connection string of a store on it.
    pub variable: &'static str,
}

/// All of them.
pub const SERVICES: &[Service] = &[
    Service { name: "postgres", variable: "KV_TEST_POSTGRES" },
    Service { name: "redis", variable: "KV_TEST_REDIS" },
    Service { name: "redis-cluster", variable: "KV_TEST_REDIS_CLUSTER" },
    Service { name: "valkey", variable: "KV_TEST_VALKEY" },
    Service { name: "s3-seaweedfs", variable: "KV_TEST_S3_SEAWEEDFS" },
    Service { name: "s3-moto", variable: "KV_TEST_S3_MOTO" },
    Service { name: "s3-minio", variable: "KV_TEST_S3_MINIO" },
    Service { name: "s3-versitygw", variable: "KV_TEST_S3_VERSITYGW" },
    Service { name: "elasticsearch", variable: "KV_TEST_ELASTICSEARCH" },
    Service { name: "opensearch", variable: "KV_TEST_OPENSEARCH" },
];

/// A server that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Why a test is ignored.
    pub reason: String,
    /// Whether `KV_TEST_REQUIRE` names it: then the test fails.
    pub required: bool,
}

impl Missing {
    /// The server of this name, for this reason, which becomes one line: reports of tests are read line by line.
    pub(crate) fn new(name: &str, reason: String) -> Self {
        let reason = reason.lines().map(str::trim).collect::<Vec<_>>().join(" | ");
        Self { reason, required: named(&env::var("KV_TEST_REQUIRE").unwrap_or_default(), name) }
    }
}

impl Service {
    /// The connection string of a store on it.
    pub fn url(&self) -> Result<String, Missing> {
        let set = |variable: &str| env::var(variable).ok().filter(|value| !value.is_empty());
        if let Some(url) = set(self.variable) {
            return Ok(url);
        }
        let reason = set(&format!("{}_MISSING", self.variable)).unwrap_or_else(|| {
            format!("no {}: `cargo xtask test` brings it up ({} names one)", self.name, self.variable)
        });
        Err(self.missing(reason))
    }

    /// It cannot be used, for this reason.
    pub fn missing(&self, reason: String) -> Missing {
        Missing::new(self.name, reason)
    }
}

/// The connection string of a store on the service of this name.
///
/// # Panics
/// Where there is no such service.
pub fn shared(name: &str) -> Result<String, Missing> {
    let service = SERVICES.iter().find(|service| service.name == name);
    service.unwrap_or_else(|| panic!("no service is called {name}")).url()
}
