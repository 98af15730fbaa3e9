//! Which servers there are.

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// PostgreSQL, with fsync.
    Postgres,
    /// Redis, every write on disk before it is answered.
    Redis,
    /// Three Redis nodes that share the slots.
    RedisCluster,
    /// Valkey, as Redis.
    Valkey,
    /// S3 by SeaweedFS: durable, checks signatures.
    S3Seaweedfs,
    /// S3 by moto: in memory, gone when it is killed; takes every key that AWS takes.
    S3Moto,
    /// S3 by MinIO: minutes to build, so only on request.
    S3Minio,
    /// S3 by versitygw over plain files: minutes to build, so only on request.
    S3Versitygw,
    /// Elasticsearch, one node.
    Elasticsearch,
    /// OpenSearch, one node.
    Opensearch,
    /// A TCP proxy that injects faults.
    Toxiproxy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Postgres,
        Self::Redis,
        Self::RedisCluster,
        Self::Valkey,
        Self::S3Seaweedfs,
        Self::S3Moto,
        Self::S3Minio,
        Self::S3Versitygw,
        Self::Elasticsearch,
        Self::Opensearch,
        Self::Toxiproxy,
    ];

    /// As it is called on command lines, in `KV_TEST_REQUIRE` and in test names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::RedisCluster => "redis-cluster",
            Self::Valkey => "valkey",
            Self::S3Seaweedfs => "s3-seaweedfs",
            Self::S3Moto => "s3-moto",
            Self::S3Minio => "s3-minio",
            Self::S3Versitygw => "s3-versitygw",
            Self::Elasticsearch => "elasticsearch",
            Self::Opensearch => "opensearch",
            Self::Toxiproxy => "toxiproxy",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The environment variable with the connection string of a store on it; for toxiproxy with the address of its
    /// control API.
    pub fn variable(self) -> String {
        format!("KV_TEST_{}", self.name().to_uppercase().replace('-', "_"))
    }

    /// The environment variable that says why there is none.
    pub fn missing_variable(self) -> String {
        format!("{}_MISSING", self.variable())
    }

    /// Those that come up where nobody said which: all but those that take long to build, and those of them that
    /// `KV_TEST_OPT_IN` or `KV_TEST_REQUIRE` asks for.
    pub fn default_set() -> Vec<Self> {
        Self::ALL.into_iter().filter(|kind| !kind.opt_in() || kind.asked_for()).collect()
    }

    fn opt_in(self) -> bool {
        matches!(self, Self::S3Minio | Self::S3Versitygw)
    }

    /// Whether `KV_TEST_OPT_IN` or `KV_TEST_REQUIRE` names it: names joined by commas, or `all`.
    pub(crate) fn asked_for(self) -> bool {
        let names = |variable| std::env::var(variable).unwrap_or_default();
        ["KV_TEST_OPT_IN", "KV_TEST_REQUIRE"].into_iter().any(|variable| named(&names(variable), self.name()))
    }
}

/// Whether a list of names joined by commas, or `all`, has this one.
pub(crate) fn named(names: &str, name: &str) -> bool {
    names.split(',').map(str::trim).any(|one| one == name || one == "all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SERVICES;

    #[test]
    fn names_lead_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_name("mysql"), None);
    }

    #[test]
    fn required_by_name() {
        assert!(named("redis, postgres", "postgres"));
        assert!(named("all", "postgres"));
        assert!(!named("redis-cluster", "redis"));
        assert!(!named("", "redis"));
    }

    #[test]
    fn every_service_is_a_kind_under_the_same_variable() {
        for service in SERVICES {
            let kind = Kind::from_name(service.name).expect("a kind");
            assert_eq!(kind.variable(), service.variable);
        }
        assert_eq!(SERVICES.len() + 1, Kind::ALL.len(), "all but toxiproxy");
    }
}
