//! Answers that do not come, stores that are busy, and one that is killed.

use std::time::Duration;

use dataknobs_kv_core::storage::Outcome;
use dataknobs_kv_services::{Kind, Server};
use dataknobs_kv_storage::{Location, S3Storage};
use futures::FutureExt;
use libtest_mimic::{Completion, Failed};

use crate::common::{With, amend, delete, must_write, put, value, write_one};
use crate::relay::Fault;
use crate::{Place, run};

pub(crate) async fn a_lost_answer_of_a_put_is_found_out(place: Place) {
    let (relay, place) = place.behind_relay().await;
    let store = place.open().await;
    let lose = || relay.spoil("PUT", "/e/", 1, Fault::LoseAnswer);
    lose();
    let version = must_write(&store, put("k", b"1").if_absent()).await;
    lose();
    let version = must_write(&store, put("k", b"2").if_version(&version)).await;
    lose();
    must_write(&store, put("k", b"3")).await;
    assert!(matches!(
        write_one(&store, put("k", b"4").if_version(&version), 1).await,
        Ok(Outcome::Conflict(Some(state))) if state.value.as_deref() == Some(b"3")
    ));
    lose();
    let version = must_write(&store, amend("k", "{\"a\":1}")).await;
    assert_eq!(value(&store, "k").await.as_deref(), Some(&b"3"[..]));
    // Refused where the store may have done it, and had not: what it was to replace is still there.
    relay.spoil("PUT", "/e/", 2, Fault::Answer(500, "InternalError"));
    must_write(&store, put("k", b"5").if_version(&version)).await;
    assert_eq!(value(&store, "k").await.as_deref(), Some(&b"5"[..]));
}

/// Gone, but by whom? Nobody can say.
pub(crate) async fn a_lost_answer_of_a_delete_is_unknown(place: Place) {
    let (relay, place) = place.behind_relay().await;
    let store = place.open().await;
    must_write(&store, put("k", b"1")).await;
    relay.spoil("", "/e/default%21/k", 1, Fault::LoseAnswer);
    let deleted = write_one(&store, delete("k"), 1).await;
    assert_eq!(deleted.unwrap_err().code(), "outcome-unknown");
    assert_eq!(value(&store, "k").await, None);
    assert_eq!(write_one(&store, delete("k"), 1).await, Ok(Outcome::Absent));
}

pub(crate) async fn nothing_heard_is_unknown(place: Place) {
    let (relay, mut place) = place.behind_relay().await;
    place.config.timeout = Duration::from_secs(5);
    let store = place.open().await;
    let version = must_write(&store, put("k", b"1")).await;
    relay.spoil("", "/e/", 1000, Fault::LoseAnswer);
    for mutation in [put("k", b"2").if_version(&version), put("new", b"1").if_absent()] {
        let error = write_one(&store, mutation, 1).await.unwrap_err();
        assert_eq!(error.code(), "outcome-unknown");
    }
    let read = dataknobs_kv_core::Storage::get(&store, crate::common::NS, "k", 1, true).await;
    assert_eq!(read.unwrap_err().code(), "unavailable");
    relay.mend();
    assert_eq!(value(&store, "k").await.as_deref(), Some(&b"2"[..]));
    assert_eq!(value(&store, "new").await.as_deref(), Some(&b"1"[..]));
}

pub(crate) async fn slow_down_is_waited_for(place: Place) {
    let (relay, mut place) = place.behind_relay().await;
    let store = place.open().await;
    relay.spoil("PUT", "/e/", 3, Fault::Answer(503, "SlowDown"));
    must_write(&store, put("k", b"1").if_absent()).await;
    place.config.timeout = Duration::from_secs(5);
    let store = place.open().await;
    relay.spoil("PUT", "/e/", 1000, Fault::Answer(503, "SlowDown"));
    let error = write_one(&store, put("other", b"1").if_absent(), 1).await.unwrap_err();
    assert!(matches!(error.code(), "rate-limited" | "unavailable"), "{error}");
    relay.mend();
    assert_eq!(value(&store, "other").await, None);
}

/// A server of its own is killed under a store, stands still, and comes back.
pub(crate) fn own_server() -> Result<Completion, Failed> {
    let server = match Server::start(Kind::S3Seaweedfs) {
        Ok(server) => server,
        Err(missing) if missing.required => return Err(missing.reason.into()),
        Err(missing) => return Ok(Completion::ignored_with(missing.reason)),
    };
    run(comes_back(server).boxed_local()).map(|()| Completion::Completed)
}

async fn comes_back(server: Server) {
    let Ok(Location::S3(mut config)) = Location::parse(server.url()) else { panic!("no S3 connection string") };
    config.timeout = Duration::from_secs(5);
    let store = S3Storage::open(config, true).await.expect("the store opens");
    must_write(&store, put("k", b"1")).await;
    server.kill();
    let error = write_one(&store, put("k", b"2"), 1).await.unwrap_err();
    assert!(matches!(error.code(), "unavailable" | "outcome-unknown"), "{error}");
    server.restart().expect("it starts again");
    assert_eq!(value(&store, "k").await.as_deref(), Some(&b"1"[..]));
    must_write(&store, put("k", b"3")).await;
    server.pause().expect("it stands still");
    let error = write_one(&store, put("k", b"4"), 1).await.unwrap_err();
    assert_eq!(error.code(), "outcome-unknown");
    server.resume().expect("it goes on");
    let now = value(&store, "k").await;
    assert!(matches!(now.as_deref(), Some(b"3" | b"4")), "{now:?}");
    must_write(&store, put("k", b"5")).await;
    assert_eq!(value(&store, "k").await.as_deref(), Some(&b"5"[..]));
}
