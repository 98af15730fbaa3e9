//! A type of one's own, kept in a form of one's own: `cargo run -p dataknobs-kv --example custom_type`.

use dataknobs_kv::{Config, Error, KvStore, Result, Serializer};

/// What the application works with.
#[derive(Debug, PartialEq)]
struct Track {
    title: String,
    milliseconds: u32,
}

/// How it is kept: the duration in four bytes, then the title.
struct TrackForm;

impl Serializer<Track> for TrackForm {
    /// Stored beside the bytes: a later form gets another name, and both can be read.
    fn type_name(&self) -> &str {
        "track.v1"
    }

    fn serialize(&self, track: &Track) -> Result<Vec<u8>> {
        let mut bytes = track.milliseconds.to_be_bytes().to_vec();
        bytes.extend_from_slice(track.title.as_bytes());
        Ok(bytes)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Track> {
        let broken = || Error::Corrupt("not a track".into());
        let (milliseconds, title) = bytes.split_first_chunk().ok_or_else(broken)?;
        let title = String::from_utf8(title.to_vec()).map_err(|_| broken())?;
        Ok(Track { title, milliseconds: u32::from_be_bytes(*milliseconds) })
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let store = KvStore::open_with(Config::from_url("memory:")?.serializer(TrackForm)?).await?;

    let track = Track { title: "So What".into(), milliseconds: 562_000 };
    store.set_custom("albums.kind_of_blue.1", &track)?.content_type("application/x-track").await?;

    let read: Option<Track> = store.get_custom("albums.kind_of_blue.1").await?;
    assert_eq!(read, Some(track));
    println!("{read:?}");

    // Another type under that key is told, not misread.
    store.set("albums.kind_of_blue.year", 1959).await?;
    let mismatch = store.get_custom::<Track>("albums.kind_of_blue.year").await;
    assert_eq!(mismatch.unwrap_err().code(), "type-mismatch");
    Ok(())
}

#[test]
fn it_runs() {
    main().unwrap();
}
