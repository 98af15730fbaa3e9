//! How many requests a call takes.

use dataknobs_kv_core::storage::{Hint, Outcome, Range};
use dataknobs_kv_core::{Projection, Storage};

use crate::Place;
use crate::common::{NS, With, delete, keys, must_write, put, put_expiring, write_one};
use crate::relay::Relay;

/// The methods of the requests since the last look.
fn methods(relay: &Relay) -> String {
    let methods: Vec<_> = relay.take().iter().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect();
    methods.join(" ")
}

pub(crate) async fn of_single_calls(place: Place) {
    let (relay, place) = place.behind_relay().await;
    let store = place.open().await;
    relay.take();
    // What was never seen is looked at; the next new name is taken to be free.
    must_write(&store, put("a", b"1")).await;
    assert_eq!(methods(&relay), "GET PUT");
    must_write(&store, put("b", b"1")).await;
    assert_eq!(methods(&relay), "PUT");
    let version = must_write(&store, put("b", b"2")).await;
    assert_eq!(methods(&relay), "PUT");
    must_write(&store, put("b", b"3").if_version(&version)).await;
    assert_eq!(methods(&relay), "PUT");
    must_write(&store, put("c", b"1").if_absent()).await;
    assert_eq!(methods(&relay), "PUT");
    assert!(store.get(NS, "c", 1, true).await.unwrap().is_some());
    assert_eq!(methods(&relay), "GET");
    must_write(&store, put_expiring("t", b"1", 1, Some(1000))).await;
    assert_eq!(methods(&relay), "PUT PUT");
    must_write(&store, put("t", b"1")).await;
    assert_eq!(methods(&relay), "PUT DELETE");
    assert_eq!(write_one(&store, delete("t"), 1).await, Ok(Outcome::Deleted));
    assert_eq!(relay.take().len(), 1);
    let large = vec![7; 3 << 20];
    must_write(&store, put("large", &large)).await;
    relay.take();
    assert_eq!(store.get(NS, "large", 1, true).await.unwrap().unwrap().value, Some(large));
    assert_eq!(methods(&relay), "GET");
    // Another client knows nothing of it.
    let other = place.open().await;
    relay.take();
    must_write(&other, put("b", b"4")).await;
    assert_eq!(methods(&relay), "GET PUT");
}

async fn fill(store: &dyn Storage, count: usize) {
    let puts = (0..count).map(|at| put(&format!("k{at:04}"), b"v").if_absent()).collect();
    let outcomes = store.write(NS, puts, false, 1, Projection::Key).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Outcome::Written(_)))));
}

/// One LIST of the marks that are due, one of the entries: no request for each key.
pub(crate) async fn of_a_listing_of_keys(place: Place) {
    let (relay, place) = place.behind_relay().await;
    let store = place.open().await;
    fill(&store, 200).await;
    relay.take();
    assert_eq!(keys(&store, NS, 1, 1000).await.len(), 200);
    let requests = relay.take();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests.iter().all(|request| request.contains("list-type=2")), "{requests:?}");
    assert!(requests[0].contains("x%2F") && requests[1].contains("e%2F"), "{requests:?}");
}

pub(crate) async fn of_a_listing_with_due_marks(place: Place) {
    let (relay, place) = place.behind_relay().await;
    let store = place.open().await;
    fill(&store, 50).await;
    for key in ["k0003", "k0007"] {
        must_write(&store, put_expiring(key, b"v", 1, Some(10))).await;
    }
    must_write(&store, put_expiring("k0009", b"v", 1, Some(1000))).await;
    relay.take();
    assert_eq!(keys(&store, NS, 10, 1000).await.len(), 48);
    let requests = relay.take();
    let looks: Vec<_> = requests.iter().filter(|request| !request.contains("list-type=2")).collect();
    assert_eq!((requests.len(), looks.len()), (4, 2), "{requests:?}");
    assert!(looks.iter().all(|look| look.starts_with("GET ") && look.contains("k000")), "{looks:?}");
}

pub(crate) async fn are_bounded_in_number(place: Place) {
    let (relay, mut place) = place.behind_relay().await;
    place.config.concurrency = 6;
    let store = place.open().await;
    fill(&store, 100).await;
    let names: Vec<String> = (0..100).map(|at| format!("k{at:04}")).collect();
    relay.take();
    let states = store.get_many(NS, &names, 1, true).await.unwrap();
    assert!(states.len() == 100 && states.iter().all(|state| matches!(state, Ok(Some(_)))));
    assert_eq!(relay.take().len(), 100);
    let page = store.scan(NS, Range::default(), Hint::default(), 1, 1000, Projection::Value).await.unwrap();
    assert_eq!((page.items.len(), page.next), (100, None));
    assert_eq!(relay.take().len(), 101);
    assert!((2..=6).contains(&relay.most_at_once()), "{}", relay.most_at_once());
}

pub(crate) async fn creators_of_16_clients(place: Place) {
    let mut stores = Vec::new();
    for _ in 0..16 {
        stores.push(place.open().await);
    }
    for round in 0..5 {
        let key = format!("k{round}");
        let rivals = stores.iter().enumerate().map(|(at, store)| {
            let mutation = put(&key, format!("{at}").as_bytes()).if_absent();
            async move { (at, write_one(store, mutation, 1).await.unwrap()) }
        });
        let outcomes = futures::future::join_all(rivals).await;
        let winners: Vec<_> = outcomes.iter().filter(|(_, o)| matches!(o, Outcome::Written(_))).collect();
        assert_eq!(winners.len(), 1);
        let winner = winners[0].0.to_string().into_bytes();
        for (_, outcome) in &outcomes {
            if let Outcome::Conflict(state) = outcome {
                assert_eq!(state.as_ref().and_then(|state| state.value.as_ref()), Some(&winner));
            }
        }
    }
}
