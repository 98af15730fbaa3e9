//! Settings under which entries may be lost, the files, and how much there is to read on opening.

use async_trait::async_trait;

use super::JsonFileStorage;
use super::files::Paths;
use crate::Durability;
use crate::diagnose::{Diagnose, Finding, of_file};

/// A snapshot beyond this takes seconds to open, and memory of several times its size.
const LARGE: u64 = 256 << 20;

#[async_trait]
impl Diagnose for JsonFileStorage {
    async fn diagnose(&self) -> Vec<Finding> {
        let config = &self.config;
        let mut findings = of_file(&config.path);
        if let Some(journal) = Paths::of(&config.path).ok().map(|paths| paths.journal).filter(|path| path.exists()) {
            // Its disk is the same one.
            findings.extend(of_file(&journal).into_iter().filter(|finding| finding.what.contains("(mode ")));
        }
        if config.durability == Durability::Relaxed {
            findings.push(Finding::warning(
                "durability is relaxed: the death of the machine loses about the last second of writes",
                "leave `durability=relaxed` out of the connection string where acknowledged writes must stay",
            ));
        }
        findings.extend(std::fs::metadata(&config.path).ok().and_then(|file| large(file.len())));
        findings
    }
}

fn large(bytes: u64) -> Option<Finding> {
    (bytes > LARGE).then(|| {
        Finding::warning(
            format!("the snapshot has {} MiB: all of it is read on opening, and kept in memory", bytes >> 20),
            "`dataknobs-kv migrate` it to a `.redb` file or a server, which read what is asked for",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_is_large() {
        assert_eq!(large(LARGE), None);
        assert!(large(LARGE + 1).unwrap().what.contains("256 MiB"));
    }
}
