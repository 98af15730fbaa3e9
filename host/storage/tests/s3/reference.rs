//! Random operations beside the reference storage.

use dataknobs_kv_core::Storage;
use dataknobs_kv_storage::S3Storage;

use crate::Place;
use crate::common::against_memory;

pub(crate) async fn answers_as_the_reference_does(place: Place) {
    against_memory::compare(&move || {
        let config = place.config.clone();
        Box::pin(async move { Box::new(S3Storage::open(config, true).await.unwrap()) as Box<dyn Storage> })
    })
    .await;
}
