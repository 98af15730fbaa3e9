//! What to do about an error: by its kind, by what the message names, and by the backend.

use dataknobs_kv::Error;

use crate::open::Target;

/// What kind of thing a store is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    Service,
    File,
    Postgres,
    Redis,
    S3,
    Elasticsearch,
    Memory,
    Unknown,
}

impl Backend {
    pub(super) fn of(target: &Target) -> Self {
        let name = match target {
            Target::Remote(_) => return Backend::Service,
            Target::Local(_) => target.name(),
        };
        match name.split(':').next().unwrap_or_default() {
            "file" => Backend::File,
            "postgres" | "postgresql" => Backend::Postgres,
            "redis" | "rediss" | "redis-cluster" | "rediss-cluster" => Backend::Redis,
            "s3" => Backend::S3,
            "elasticsearch" | "opensearch" => Backend::Elasticsearch,
            "memory" => Backend::Memory,
            _ => Backend::Unknown,
        }
    }
}

/// What to do about it.
pub(super) fn advice(backend: Backend, error: &Error) -> &'static str {
    let message = error.message().to_lowercase();
    let names = |words: &[&str]| words.iter().any(|word| message.contains(word));
    match error {
        Error::AccessDenied(_) => denied(backend, &names),
        Error::Unavailable(_) if backend == Backend::File => {
            if names(&["another", "in use", "elsewhere", "already open"]) {
                "a file belongs to one process at a time: end the other one, or if it is a service, name its address \
                 (`--store http://HOST:PORT`)"
            } else if names(&["full", "no space", "quota"]) {
                "make room on that disk; what was acknowledged is safe"
            } else {
                "look at the disk and the folder: the operating system refuses the file for the moment"
            }
        }
        Error::Unavailable(_) => unreachable_backend(backend, &names),
        Error::InvalidArgument(_)
            if names(&["does not exist", "there is no", "no such", "not found", "missing", "holds no store"]) =>
        {
            absent(backend, &names)
        }
        Error::InvalidArgument(_) if names(&["another program", "another shape", "foreign"]) => {
            "name another place: what is there belongs to something else and was left as it is"
        }
        Error::InvalidArgument(_) => {
            "correct the connection string or the configuration: docs/backends lists every setting"
        }
        Error::Unsupported(_) if names(&["newer", "version"]) => {
            "a newer dataknobs-kv wrote this: use that version, or migrate from it to a new place"
        }
        Error::Unsupported(_) if names(&["build", "feature"]) => {
            "use a build with this backend: the message names the cargo feature"
        }
        Error::Unsupported(_) => "this backend or configuration cannot do that: docs/backends says what each can",
        Error::Corrupt(_) => {
            "keep a copy of it as it is; then restore a backup, or if it was never a store, name another place"
        }
        Error::RateLimited(_) => "the backend has too much to do: wait, or give it more room",
        Error::OutcomeUnknown(_) => {
            "the connection broke after the request was sent: look at the network between, and at the backend's log"
        }
        Error::TooLarge(_) => "the backend takes less than this small trial needs: look at its limits",
        Error::TypeMismatch(_) | Error::Overflow(_) | Error::Internal(_) => {
            "this is a defect, of dataknobs-kv or of the adapter: please report it with this output"
        }
        _ => "see docs/errors.md",
    }
}

fn denied(backend: Backend, names: &dyn Fn(&[&str]) -> bool) -> &'static str {
    match backend {
        Backend::Service => "give the service's token: `--token-file FILE`, or DATAKNOBS_KV_TOKEN in the environment",
        Backend::File => "this user may not read and write the file or its folder: look at owner and mode (`ls -l`)",
        Backend::Postgres if names(&["password", "authentication", "role"]) => {
            "the server refuses user or password: try the same ones with `psql`"
        }
        Backend::Postgres => "the user lacks rights: GRANT it the database, the schema and the table",
        Backend::Redis if names(&["noauth", "authentication required"]) => {
            "the server wants a password: `redis://:PASSWORD@HOST:PORT`"
        }
        Backend::Redis if names(&["noperm", "permission"]) => {
            "the user lacks rights: `ACL SETUSER` has to allow the commands and keys that docs/backends/redis.md lists"
        }
        Backend::Redis => "the server refuses user or password: try the same ones with `redis-cli`",
        Backend::S3 => {
            "the store refuses the keys: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the region, and the policy of \
             the bucket (list, get, put and delete are needed)"
        }
        Backend::Elasticsearch => {
            "the server refuses user or password, or the user lacks the rights to read, write and create the index"
        }
        Backend::Memory | Backend::Unknown => "check user, password and rights",
    }
}

fn unreachable_backend(backend: Backend, names: &dyn Fn(&[&str]) -> bool) -> &'static str {
    if names(&["resolve", "lookup", "name or service", "dns"]) {
        "the host's name is not known here: check its spelling and the name service"
    } else if names(&["refused"]) {
        "nothing listens at that address: is the server running, and are host and port right?"
    } else if names(&["timed out", "timeout", "deadline", "unreachable"]) {
        "no answer: check host and port, firewalls between, and whether the server is overloaded"
    } else if names(&["certificate", "tls", "handshake"]) {
        "the encrypted connection fails: check that the server speaks TLS there, and that its certificate is trusted here"
    } else if names(&["read-only", "read only", "readonly", "standby", "replica"]) {
        "this is a copy that takes no writes: name the primary"
    } else if names(&["oom", "maxmemory", "disk", "full", "watermark"]) {
        "the backend is full: give it more memory or disk, or remove something"
    } else if backend == Backend::Service {
        "the service is not ready: look at its log"
    } else {
        "the backend is not ready: look at its log"
    }
}

fn absent(backend: Backend, names: &dyn Fn(&[&str]) -> bool) -> &'static str {
    match backend {
        Backend::File => "check the path; if it is right, any command that writes creates the file",
        Backend::Postgres if names(&["table"]) => "any command that writes creates the table; or correct its name",
        Backend::Postgres if names(&["schema"]) => "create the schema (`CREATE SCHEMA`), or correct its name",
        Backend::Postgres => "create the database (`createdb`), or correct its name",
        Backend::S3 if names(&["holds no store"]) => "any command that writes makes the store; or correct the prefix",
        Backend::S3 => "create the bucket, or correct its name and region",
        Backend::Elasticsearch => "any command that writes creates the index; or correct its name",
        Backend::Redis => "any command that writes makes the store; or correct prefix and database number",
        _ => "correct the name of what is missing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_each_case() {
        for (backend, error, expected) in [
            (Backend::Postgres, Error::AccessDenied("password authentication failed".into()), "psql"),
            (Backend::Postgres, Error::AccessDenied("permission denied for table kv".into()), "GRANT"),
            (Backend::Postgres, Error::InvalidArgument("database \"x\" does not exist".into()), "createdb"),
            (Backend::Postgres, Error::InvalidArgument("there is no table public.kv".into()), "creates the table"),
            (Backend::Postgres, Error::InvalidArgument("there is no schema `a`".into()), "CREATE SCHEMA"),
            (Backend::S3, Error::InvalidArgument("the bucket `b` holds no store".into()), "makes the store"),
            (Backend::Redis, Error::AccessDenied("NOAUTH Authentication required.".into()), "redis://"),
            (Backend::Redis, Error::Unavailable("OOM command not allowed".into()), "full"),
            (Backend::S3, Error::InvalidArgument("the bucket does not exist".into()), "bucket"),
            (Backend::Elasticsearch, Error::Unavailable("connection refused".into()), "nothing listens"),
            (Backend::File, Error::Unavailable("a.redb is open in another process".into()), "http://"),
            (Backend::File, Error::Unsupported("written by a newer version".into()), "newer"),
            (Backend::Service, Error::AccessDenied("a token is needed".into()), "--token-file"),
            (Backend::Unknown, Error::Internal("x".into()), "report"),
        ] {
            let advice = advice(backend, &error);
            assert!(advice.contains(expected), "{backend:?} {error}: {advice}");
        }
    }
}
