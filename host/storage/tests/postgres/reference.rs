//! Random operations beside the reference storage.

use std::sync::Arc;

use dataknobs_kv_core::Storage;
use dataknobs_kv_storage::PostgresStorage;

use super::Place;
use super::common::against_memory;

crate::tests! { answers_as_the_reference_does }

async fn answers_as_the_reference_does(place: Arc<Place>) {
    for _ in 0..4 {
        let config = place.config();
        against_memory::compare(&move || {
            let config = config.clone();
            Box::pin(async move { Box::new(PostgresStorage::open(config, true).await.unwrap()) as Box<dyn Storage> })
        })
        .await;
        place.sql(&format!("truncate \"{}\"", place.table())).await;
    }
}
