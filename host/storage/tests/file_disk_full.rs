//! A full disk: writes are refused and nothing else is lost, and with space the store goes on.
//!
//! It needs a small file system of its own, and so root; elsewhere it is ignored, or fails where `KV_TEST_REQUIRE` lists
//! `tmpfs`.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::*;
use dataknobs_kv_core::storage::Outcome;
use dataknobs_kv_core::{Projection, Storage};
use dataknobs_kv_storage::OpenOptions;
use libtest_mimic::Trial;

const FILES: [&str; 2] = ["data.redb", "data.json"];

/// A file system of its own, gone with the value.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: &Path, size: &str) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| Disk(folder.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let folder = tempfile::tempdir().unwrap();
    let required = std::env::var("KV_TEST_REQUIRE").is_ok_and(|list| list.split(',').any(|name| name == "tmpfs"));
    let tests = FILES.into_iter().map(|file| {
        let name = format!("a_full_disk_refuses_writes_and_loses_nothing_{}", file.replace('.', "_"));
        let place = folder.path().join(&name);
        fs::create_dir(&place).unwrap();
        match Disk::mount(&place, "6m") {
            Some(disk) => Trial::test(name, move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(a_full_disk_refuses_writes_and_loses_nothing(disk, file));
                Ok(())
            }),
            None if required => Trial::test(name, || Err("no tmpfs can be mounted: needs root".into())),
            None => {
                Trial::test(format!("{name} (no tmpfs can be mounted: needs root)"), || Ok(())).with_ignored_flag(true)
            }
        }
    });
    let conclusion = libtest_mimic::run(&arguments, tests.collect());
    drop(folder);
    conclusion.exit();
}

async fn open(url: &str) -> Arc<dyn Storage> {
    dataknobs_kv_storage::open(url, &OpenOptions::default()).await.unwrap()
}

async fn a_full_disk_refuses_writes_and_loses_nothing(disk: Disk, file: &str) {
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![1; 3 << 20]).unwrap();
    let url = format!("file:{}", disk.0.join(file).display());
    let storage = open(&url).await;

    for round in 0..3 {
        // Fill it up.
        let mut written = Vec::new();
        let error = loop {
            let key = format!("round.{round}.{}", written.len());
            assert!(written.len() < 1000, "the disk is never full");
            match write_one(&*storage, put(&key, &vec![round; 20_000]), 1).await {
                Ok(Outcome::Written(_)) => written.push(key),
                Err(error) => break error,
                other => panic!("{other:?}"),
            }
        };
        println!("round {round}: {} written, then {error}", written.len());
        assert_eq!(error.code(), "unavailable");
        assert!(error.message().contains("the disk is full"), "{error}");
        assert!(!written.is_empty() || round > 0);

        // What was acknowledged is there, what was refused is not, and reading goes on.
        let refused = format!("round.{round}.{}", written.len());
        assert_eq!(value(&*storage, &refused).await, None);
        for key in &written {
            assert_eq!(value(&*storage, key).await.unwrap(), vec![round; 20_000], "{key}");
        }
        // Still full: refused again, singly and in groups.
        let batch = (0..10).map(|i| put(&format!("more.{i}"), &vec![9; 100_000])).collect();
        let error = storage.write(NS, batch, false, 1, Projection::Key).await.unwrap_err();
        assert_eq!(error.code(), "unavailable", "{error}");
        assert_eq!(value(&*storage, "more.0").await, None);

        // Space comes back.
        fs::write(&ballast, vec![1; (2 - usize::from(round)) << 20]).unwrap();
        must_write(&*storage, put(&format!("after.{round}"), b"x")).await;
    }
    let before = keys(&*storage, NS, 1, 1000).await;
    drop(storage);
    let storage = open(&url).await;
    assert_eq!(keys(&*storage, NS, 1, 1000).await, before);
}
