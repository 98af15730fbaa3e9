//! Random operations on a file and on the reference storage side by side.

mod common;

use common::against_memory::compare;
use dataknobs_kv_storage::{Location, OpenOptions};

const SEEDS: usize = 20;

#[tokio::test]
async fn a_redb_file_answers_as_the_reference_does() {
    each_seed("data.redb?durability=relaxed").await;
}

/// A small journal is folded into the snapshot all the time.
#[tokio::test]
async fn a_json_file_answers_as_the_reference_does() {
    each_seed("data.json?durability=relaxed&journal_size=1024").await;
    each_seed("data.json.gz").await;
}

async fn each_seed(file: &str) {
    for _ in 0..SEEDS {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::parse(&format!("file:{}/{file}", folder.path().display())).unwrap();
        compare(&move || {
            let location = location.clone();
            Box::pin(async move {
                Box::new(location.open(&OpenOptions::default()).await.unwrap()) as Box<dyn dataknobs_kv_core::Storage>
            })
        })
        .await;
    }
}
