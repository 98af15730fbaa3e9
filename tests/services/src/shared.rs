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

#[cfg(feature = "trials")]
impl Missing {
    /// What becomes of a test that needs it.
    pub fn outcome(self) -> Result<libtest_mimic::Completion, libtest_mimic::Failed> {
        match self.required {
            true => Err(self.reason.into()),
            false => Ok(libtest_mimic::Completion::ignored_with(self.reason)),
        }
    }

    /// A test that needs it.
    pub fn trial(self, name: impl Into<String>) -> libtest_mimic::Trial {
        libtest_mimic::Trial::ignorable_test(name, move || self.outcome())
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

    /// The same for a case that wants a place where others do not meet it, where a connection string can say so: a bucket
    /// holds many stores. In one of its own a cleanup of all namespaces, which takes its time there, meets no other case,
    /// and the list of namespaces is short.
    pub fn apart(&self, url: &str, name: &str) -> Option<String> {
        let rest = url.strip_prefix("s3://")?;
        let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
        // moto answers one request after the other, and looks through all its objects for a listing; and rivals for one
        // key that nobody queues hold each other up on any store. What is asked is whether all get through.
        Some(format!("s3://{}/{name}?{options}&timeout=60", path.trim_end_matches('/')))
    }

    /// Why the cases that need very many entries are not for it, if they are not.
    pub fn lacks_volume(&self) -> Option<&'static str> {
        self.name.starts_with("s3-").then_some("100,000 objects take minutes, each a request")
    }

    /// Why a case of this topic of the suite is left to the others, if it is.
    pub fn leaves_out(&self, topic: &str) -> Option<&'static str> {
        let names = ["children", "hostile", "keys", "listing", "namespaces", "patterns", "storage", "values"];
        (self.name == "s3-moto" && !names.contains(&topic))
            .then_some("moto answers one request after the other: it runs what is about keys and values, SeaweedFS all")
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
