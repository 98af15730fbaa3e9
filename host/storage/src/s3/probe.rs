//! What the store can do, tried when it is opened; and whether there is a store of ours at all.

use dataknobs_kv_core::{Error, Result, Version};
use http::header;
use serde::{Deserialize, Serialize};

use super::client::{Body, Client, Guard};
use super::config::{ConditionalDelete, S3Config};
use super::failure::{Failure, Meaning};

/// The number of the layout in `names` and `format`.
const FORMAT: u32 = 1;
const STORE: &str = "dataknobs-kv.json";

/// Stores that are known to delete on a condition in one step: tried by many rivals at once, or promised by their maker.
/// One that is not here may obey the condition when tried, and still look first and delete then (versitygw does).
const TRUSTED: [&str; 2] = ["AmazonS3", "SeaweedFS"];

/// An ETag that no object has.
const NO_ETAG: &str = "00000000000000000000000000000000";

/// What the store can be trusted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Whether `DELETE` with `If-Match` deletes only what matches, in one step.
    pub(super) conditional_delete: bool,
}

#[derive(Serialize, Deserialize)]
struct Store {
    format: u32,
}

/// Opens what is there, or with `create` begins a new store. The bucket itself is its owner's affair.
pub(super) async fn open(client: &Client, config: &S3Config, create: bool) -> Result<Abilities> {
    // First: some stores make a bucket that is not there when an object is put into it.
    let bucket = client.list(&config.root(), "", false, 1, client.deadline()).await;
    bucket.map_err(|failure| failure.of_read(&client.bucket))?;
    let abilities = probe(client, config).await?;
    store(client, config, create).await?;
    Ok(abilities)
}

async fn store(client: &Client, config: &S3Config, create: bool) -> Result<()> {
    let object = config.root() + STORE;
    let text = serde_json::to_vec(&Store { format: FORMAT }).map_err(|e| Error::Internal(e.to_string()))?;
    let body = Body::new(text);
    // Twice: another one may create it at the same moment.
    for _ in 0..2 {
        match client.get(&object, None, Guard::None, 4096, client.deadline()).await {
            Ok(got) => return check_store(&object, &got.body),
            Err(failure) if failure.meaning() == Meaning::Missing => {}
            Err(failure) => return Err(failure.of_read(&client.bucket)),
        }
        if !create {
            let at = if config.prefix.is_empty() { String::new() } else { format!(" under `{}`", config.prefix) };
            return Err(Error::InvalidArgument(format!("the bucket `{}` holds no store{at}", client.bucket)));
        }
        match client.put(&object, &body, Guard::Missing, client.deadline()).await {
            Ok(_) => return Ok(()),
            Err(failure) if matches!(failure.meaning(), Meaning::Lost | Meaning::Unclear) => {}
            Err(failure) => return Err(failure.of_write(&client.bucket)),
        }
    }
    Err(Error::Unavailable(format!("the object `{object}` comes and goes")))
}

fn check_store(object: &str, body: &[u8]) -> Result<()> {
    match serde_json::from_slice::<Store>(body) {
        Ok(Store { format: FORMAT }) => Ok(()),
        Ok(Store { format }) => Err(Error::Unsupported(format!(
            "the store was written by a newer version: its layout is {format}, this version knows {FORMAT}"
        ))),
        Err(_) => Err(Error::InvalidArgument(format!("the object `{object}` is none of ours: give another prefix"))),
    }
}

/// Tries the store's abilities on an object of our own.
async fn probe(client: &Client, config: &S3Config) -> Result<Abilities> {
    let folder = format!("{}probe/{:032x}/", config.root(), rand::random::<u128>());
    // Characters that stores are known to change in names.
    let object = format!("{folder} a+b%20&é.~[}}\u{1F600}~");
    let body = Body::new(format!("{folder}\n").into_bytes());
    let of_write = |failure: Failure| failure.of_write(&client.bucket);
    let answer = client.put(&object, &body, Guard::Missing, client.deadline()).await.map_err(of_write)?;
    let trusted = answer.header(header::SERVER).is_some_and(|name| TRUSTED.iter().any(|known| name.contains(known)));
    let raw = answer.raw_etag().to_owned();
    let tried = try_abilities(client, &folder, &object, &body, &raw).await;
    // Whatever came of it, the object is of no more use.
    let _ = client.delete_again(&object, client.deadline()).await;
    let obeyed = tried?;
    Ok(Abilities {
        conditional_delete: match config.conditional_delete {
            ConditionalDelete::Auto => obeyed && trusted,
            ConditionalDelete::Trust if obeyed => true,
            ConditionalDelete::Trust => {
                return Err(Error::Unsupported(
                    "`conditional_delete` is `trust`, but the store deletes whatever the condition".into(),
                ));
            }
            ConditionalDelete::Never => false,
        },
    })
}

/// Refuses a store that lacks what cannot be done without; says whether it obeys conditions on DELETE.
async fn try_abilities(client: &Client, folder: &str, object: &str, body: &Body, raw_etag: &str) -> Result<bool> {
    let etag = raw_etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')).filter(|etag| etag.len() <= 62);
    let Some(etag) = etag.filter(|etag| Version::new(*etag).is_ok()) else {
        return Err(lacks("gives objects no strong ETag of at most 62 characters"));
    };
    let (create, replace, listed, ranged) = tokio::join!(
        client.put(object, body, Guard::Missing, client.deadline()),
        client.put(object, body, Guard::Is(NO_ETAG), client.deadline()),
        client.list(folder, "", false, 10, client.deadline()),
        client.get(object, Some((0, 8)), Guard::None, 1 << 20, client.deadline()),
    );
    let refused = |result: Result<_, Failure>| match result {
        Ok(_) => Ok(false),
        Err(failure) if matches!(failure.meaning(), Meaning::Lost | Meaning::Missing) => Ok(true),
        Err(failure) => Err(failure.of_write(&client.bucket)),
    };
    if !refused(create)? {
        return Err(lacks("takes no notice of `If-None-Match` on PUT"));
    }
    if !refused(replace)? {
        return Err(lacks("takes no notice of `If-Match` on PUT"));
    }
    let of_read = |failure: Failure| failure.of_read(&client.bucket);
    let (listing, _) = listed.map_err(of_read)?;
    if !listing.objects.iter().any(|listed| listed.name == object && listed.etag == etag) {
        return Err(lacks("does not list an object by its name and ETag"));
    }
    let got = ranged.map_err(of_read)?;
    if got.etag != etag || got.body.len() != 8 {
        return Err(lacks("does not give the beginning of an object with its ETag"));
    }
    // Last: where it is not obeyed, the object is gone.
    match client.delete(object, Guard::Is(NO_ETAG), client.deadline()).await {
        Ok(()) => Ok(false),
        Err(failure) if matches!(failure.meaning(), Meaning::Lost | Meaning::Missing) => {
            match client.get(object, Some((0, 8)), Guard::None, 1 << 20, client.deadline()).await {
                Ok(_) => Ok(true),
                Err(failure) if failure.meaning() == Meaning::Missing => Ok(false),
                Err(failure) => Err(of_read(failure)),
            }
        }
        // It knows that it cannot do this.
        Err(Failure::Refused(refusal)) if matches!(refusal.status, 400 | 405 | 501) => Ok(false),
        Err(failure) => Err(failure.of_write(&client.bucket)),
    }
}

fn lacks(what: &str) -> Error {
    Error::Unsupported(format!("the store {what}: nothing can be kept safely in it"))
}
