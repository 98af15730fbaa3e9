//! Which files are opened, which are refused, and how.

mod common;

use std::fs;
use std::path::Path;

use common::*;
use dataknobs_kv_core::Result;
use dataknobs_kv_storage::{OpenOptions, RedbConfig, RedbStorage, open as open_url};
use redb::{Database, TableDefinition};

const META: TableDefinition<&[u8], &[u8]> = TableDefinition::new("meta");

async fn refused(path: &Path) -> (String, String) {
    let before = fs::read(path).ok();
    let error = RedbStorage::open(RedbConfig::new(path), true).await.expect_err("it was opened");
    assert_eq!(fs::read(path).ok(), before, "a refused file was changed");
    let message = error.message();
    assert!(message.contains(path.file_name().unwrap().to_str().unwrap()), "{message}");
    (error.code().to_owned(), message)
}

async fn filled(path: &Path) {
    let storage = open(path).await;
    for i in 0..200 {
        must_write(&storage, put(&format!("key.{i}"), &vec![b'x'; 1000])).await;
    }
}

#[tokio::test]
async fn a_new_file_an_empty_file_and_an_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.redb");
    let url = format!("file:{}", path.display());
    let error = open_url(&url, &OpenOptions::default().create(false)).await.err().unwrap();
    assert_eq!(error.code(), "invalid-argument");
    assert!(error.message().ends_with("does not exist"), "{error}");

    filled(&path).await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left beside the file");
    let storage = open_url(&url, &OpenOptions::default().create(false)).await.unwrap();
    assert_eq!(value(&*storage, "key.7").await.unwrap().len(), 1000);
    drop(storage);

    let empty = folder.path().join("empty.redb");
    fs::write(&empty, "").unwrap();
    filled(&empty).await;
    assert_eq!(value(&open(&empty).await, "key.7").await.unwrap().len(), 1000);
}

#[tokio::test]
async fn places_where_no_file_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such/folder/data.redb");
    let error = RedbStorage::open(RedbConfig::new(&missing), true).await.unwrap_err();
    assert_eq!(error.code(), "invalid-argument");
    assert!(error.message().contains("no/such/folder does not exist"), "{error}");

    let below_file = folder.path().join("file/data.redb");
    fs::write(folder.path().join("file"), "x").unwrap();
    assert_eq!(refused(&below_file).await.0, "invalid-argument");

    let is_folder = folder.path().join("folder.redb");
    fs::create_dir(&is_folder).unwrap();
    assert_eq!(refused(&is_folder).await, ("invalid-argument".into(), format!("{} is a folder", is_folder.display())));

    let too_long = folder.path().join(format!("{}.redb", "x".repeat(300)));
    assert_eq!(refused(&too_long).await.0, "invalid-argument");
}

#[tokio::test]
async fn foreign_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("text.redb", b"hello, this is no database".to_vec()),
        ("one.redb", vec![0]),
        ("zeros.redb", vec![0; 1 << 20]),
        ("sqlite.redb", [b"SQLite format 3\0".as_slice(), &[0; 5000]].concat()),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let (code, message) = refused(&path).await;
        assert_eq!(code, "corrupt", "{name}");
        assert!(message.contains("is no dataknobs-kv file"), "{message}");
    }
}

#[tokio::test]
async fn truncated_at_any_length_and_damaged_anywhere_is_an_error_or_sound_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.redb");
    filled(&whole).await;
    let bytes = fs::read(&whole).unwrap();

    let path = folder.path().join("cut.redb");
    for part in [1, 8, 9, 64, 320, 4096, 10_000, bytes.len() / 2, bytes.len() - 4096, bytes.len() - 1] {
        fs::write(&path, &bytes[..part]).unwrap();
        let (code, message) = refused(&path).await;
        assert_eq!(code, "corrupt", "{part}: {message}");
    }

    // A page of rubbish at each place: redb trusts files that were closed cleanly, so not all of it shows at once.
    for page in 0..bytes.len() / 4096 {
        let mut bytes = bytes.clone();
        bytes[page * 4096..][..4096].fill(0xa5);
        fs::write(&path, &bytes).unwrap();
        let used: Result<()> = async {
            let storage = RedbStorage::open(RedbConfig::new(&path), true).await?;
            for i in 0..200 {
                dataknobs_kv_core::Storage::get(&storage, NS, &format!("key.{i}"), 1, true).await?;
            }
            write_one(&storage, put("key.7", b"new"), 1).await?;
            Ok(())
        }
        .await;
        if let Err(error) = used {
            assert_eq!(error.code(), "corrupt", "page {page}: {error}");
        }
    }
}

#[tokio::test]
async fn another_programs_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.redb");
    let theirs = Database::create(&path).unwrap();
    let transaction = theirs.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, &str>::new("meta")).unwrap().insert(1, "one").unwrap();
    transaction.commit().unwrap();
    drop(theirs);
    let (code, message) = refused(&path).await;
    assert_eq!(code, "invalid-argument");
    assert!(message.contains("another program"), "{message}");
}

#[tokio::test]
async fn a_newer_format_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("newer.redb");
    filled(&path).await;
    let set_format = |format: &[u8]| {
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert(b"format".as_slice(), format).unwrap();
        transaction.commit().unwrap();
    };
    set_format(b"2");
    let (code, message) = refused(&path).await;
    assert_eq!(code, "unsupported");
    assert!(message.contains("newer version of dataknobs-kv (format 2; this one knows 1)"), "{message}");
    set_format(b"x");
    assert_eq!(refused(&path).await.0, "corrupt");
    set_format(b"1");
    assert_eq!(value(&open(&path).await, "key.7").await.unwrap().len(), 1000);
}

#[tokio::test]
async fn a_file_has_one_user_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let first = open(&path).await;
    let error = RedbStorage::open(RedbConfig::new(&path), true).await.unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert!(error.message().contains("is locked by another process"), "{error}");
    must_write(&first, put("a", b"1")).await;
    drop(first);
    assert_eq!(value(&open(&path).await, "a").await.unwrap(), b"1");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_create_it_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(12));
    let openers: Vec<_> = (0..12)
        .map(|_| {
            let (path, barrier) = (path.clone(), barrier.clone());
            tokio::spawn(async move {
                let storage = RedbStorage::open(RedbConfig::new(path), true).await;
                // Nobody closes before all have tried.
                barrier.wait().await;
                storage.map(drop)
            })
        })
        .collect();
    let mut opened = 0;
    for opener in openers {
        match opener.await.unwrap() {
            Ok(()) => opened += 1,
            Err(error) => assert_eq!(error.code(), "unavailable", "{error}"),
        }
    }
    assert_eq!(opened, 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
