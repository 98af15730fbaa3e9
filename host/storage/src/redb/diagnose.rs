//! Settings under which entries may be lost, and the file.

use async_trait::async_trait;

use super::{Durability, RedbStorage};
use crate::diagnose::{Diagnose, Finding, of_file};

#[async_trait]
impl Diagnose for RedbStorage {
    async fn diagnose(&self) -> Vec<Finding> {
        let config = self.config();
        let mut findings = of_file(&config.path);
        if config.durability == Durability::Relaxed {
            findings.push(Finding::warning(
                "durability is relaxed: the death of the process loses about the last second of writes",
                "leave `durability=relaxed` out of the connection string where acknowledged writes must stay",
            ));
        }
        findings
    }
}
