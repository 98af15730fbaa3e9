//! What is refused, and in which words.

use dataknobs_kv_core::storage::{Change, Mutation};
use dataknobs_kv_core::{Precondition, Projection, Storage};
use dataknobs_kv_storage::S3Storage;

use crate::Place;
use crate::common::{NS, put, write_one};

pub(crate) async fn of_buckets_and_keys(place: Place) {
    let mut elsewhere = place.config.clone();
    elsewhere.bucket = format!("no-such-bucket-{:016x}", rand::random::<u64>());
    let error = S3Storage::open(elsewhere, true).await.unwrap_err();
    assert_eq!(error.code(), "invalid-argument", "{error}");
    assert!(error.to_string().contains("no-such-bucket-"), "{error}");
    // Nothing was begun here yet.
    let error = S3Storage::open(place.config.clone(), false).await.unwrap_err();
    assert_eq!(error.code(), "invalid-argument", "{error}");
    place.open().await;
    S3Storage::open(place.config.clone(), false).await.unwrap();
    let mut nobody = place.config.clone();
    nobody.endpoint = Some("http://127.0.0.1:1".into());
    let error = S3Storage::open(nobody, true).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{error}");
    // moto takes any keys.
    if place.service == "s3-seaweedfs" {
        for spoil in [true, false] {
            let mut wrong = place.config.clone();
            let keys = wrong.keys.as_mut().unwrap();
            if spoil { &mut keys.secret_access_key } else { &mut keys.access_key_id }.push_str("hunter2");
            let error = S3Storage::open(wrong, true).await.unwrap_err();
            assert_eq!(error.code(), "access-denied", "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

pub(crate) async fn of_what_cannot_be_done(place: Place) {
    let store = place.open().await;
    let capabilities = store.capabilities();
    assert!(!capabilities.sliding && capabilities.max_atomic == 1);
    let extend = Mutation { key: "k".into(), change: Change::Extend(9), precondition: Precondition::None };
    assert_eq!(write_one(&store, extend, 1).await.unwrap_err().code(), "unsupported");
    let mut sliding = put("k", b"v");
    if let Change::Put { attributes, .. } = &mut sliding.change {
        (attributes.expires_at, attributes.sliding_ms) = (Some(9), Some(8));
    }
    assert_eq!(write_one(&store, sliding, 1).await.unwrap_err().code(), "unsupported");
    let two = vec![put("a", b"v"), put("b", b"v")];
    assert_eq!(store.write(NS, two, true, 1, Projection::Key).await.unwrap_err().code(), "unsupported");
    let large = put("k", &vec![0; (capabilities.max_value_bytes + 1) as usize]);
    assert_eq!(write_one(&store, large, 1).await.unwrap_err().code(), "too-large");
    assert!(store.get(NS, "k", 1, true).await.unwrap().is_none());
}
