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

    /// Those that come up where nobody said which.
    pub fn default_set() -> Vec<Self> {
        Self::ALL.into_iter().filter(|kind| !kind.opt_in()).collect()
    }

    /// Whether it is built only for those who asked.
    pub fn opt_in(self) -> bool {
        matches!(self, Self::S3Minio | Self::S3Versitygw)
    }
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
    fn every_service_is_a_kind_under_the_same_variable() {
        for service in SERVICES {
            let kind = Kind::from_name(service.name).expect("a kind");
            assert_eq!(kind.variable(), service.variable);
        }
        assert_eq!(SERVICES.len() + 1, Kind::ALL.len(), "all but toxiproxy");
    }
}
