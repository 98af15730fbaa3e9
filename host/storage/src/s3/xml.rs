//! What the store says in XML.

use dataknobs_kv_core::{Error, Result};
use serde::Deserialize;

/// The answer to a LIST.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) objects: Vec<Object>,
    /// Folders, where a delimiter was given.
    pub(super) folders: Vec<String>,
    pub(super) more: bool,
}

/// An object of a listing.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) modified: String,
}

/// What an answer that says no tells.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) region: Option<String>,
}

#[derive(Deserialize)]
struct RawListing {
    #[serde(rename = "Contents", default)]
    contents: Vec<RawObject>,
    #[serde(rename = "CommonPrefixes", default)]
    folders: Vec<RawFolder>,
    #[serde(rename = "IsTruncated")]
    more: bool,
    #[serde(rename = "EncodingType", default)]
    encoding: String,
}

#[derive(Deserialize)]
struct RawObject {
    #[serde(rename = "Key")]
    name: String,
    #[serde(rename = "Size")]
    size: u64,
    #[serde(rename = "ETag", default)]
    etag: String,
    #[serde(rename = "LastModified", default)]
    modified: String,
}

#[derive(Deserialize)]
struct RawFolder {
    #[serde(rename = "Prefix", default)]
    prefix: String,
}

#[derive(Deserialize)]
struct RawError {
    #[serde(rename = "Code", default)]
    code: String,
    #[serde(rename = "Message", default)]
    message: String,
    #[serde(rename = "Region", default)]
    region: Option<String>,
}

#[derive(Deserialize)]
struct RawDeletion {
    #[serde(rename = "Error", default)]
    errors: Vec<RawError>,
}

/// Reads a listing.
pub(super) fn listing(body: &[u8]) -> Result<Listing> {
    let raw: RawListing = read(body)?;
    // Some stores take no notice of the wish for an encoding, and then do not say that they used it.
    let encoded = raw.encoding.eq_ignore_ascii_case("url");
    let name = |name: String| if encoded { decode(&name) } else { Some(name) };
    let odd = || Error::Internal("the store's listing holds a name that is no UTF-8".into());
    let objects = raw.contents.into_iter().map(|object| {
        let name = name(object.name).ok_or_else(odd)?;
        Ok(Object {
            name,
            size: object.size,
            etag: object.etag.trim_matches('"').to_owned(),
            modified: object.modified,
        })
    });
    let objects = objects.collect::<Result<_>>()?;
    let folders = raw.folders.into_iter().map(|folder| name(folder.prefix).ok_or_else(odd));
    Ok(Listing { objects, folders: folders.collect::<Result<_>>()?, more: raw.more })
}

/// Reads an error; none where the body is none.
pub(super) fn error(body: &[u8]) -> Option<Told> {
    let raw: RawError = read(body).ok()?;
    Some(Told { code: raw.code, message: raw.message, region: raw.region })
}

/// Whether a bucket keeps what was overwritten or deleted.
pub(super) fn keeps_versions(body: &[u8]) -> Result<bool> {
    #[derive(Deserialize)]
    struct Raw {
        #[serde(rename = "Status", default)]
        status: String,
    }
    Ok(read::<Raw>(body)?.status == "Enabled")
}

/// A rule by which a bucket deletes current objects.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Removal {
    pub(super) id: String,
    /// What the names of those objects begin with.
    pub(super) prefix: String,
}

/// The rules that delete, of all that a bucket has.
pub(super) fn removals(body: &[u8]) -> Result<Vec<Removal>> {
    #[derive(Deserialize)]
    struct Raw {
        #[serde(rename = "Rule", default)]
        rules: Vec<RawRule>,
    }
    #[derive(Deserialize)]
    struct RawRule {
        #[serde(rename = "ID", default)]
        id: String,
        #[serde(rename = "Status", default)]
        status: String,
        #[serde(rename = "Prefix", default)]
        prefix: String,
        #[serde(rename = "Filter")]
        filter: Option<RawFilter>,
        #[serde(rename = "Expiration")]
        expiration: Option<RawExpiration>,
    }
    #[derive(Deserialize)]
    struct RawFilter {
        #[serde(rename = "Prefix", default)]
        prefix: String,
        #[serde(rename = "And")]
        and: Option<RawFolder>,
    }
    #[derive(Deserialize)]
    struct RawExpiration {
        #[serde(rename = "Days")]
        days: Option<u64>,
        #[serde(rename = "Date")]
        date: Option<String>,
    }
    let rules = read::<Raw>(body)?.rules.into_iter();
    let deletes = |rule: &RawRule| {
        let expiration = rule.expiration.as_ref();
        rule.status == "Enabled" && expiration.is_some_and(|when| when.days.is_some() || when.date.is_some())
    };
    let removal = |rule: RawRule| {
        let filter = rule.filter.map(|filter| filter.and.map_or(filter.prefix, |and| and.prefix));
        Removal { id: rule.id, prefix: filter.filter(|prefix| !prefix.is_empty()).unwrap_or(rule.prefix) }
    };
    Ok(rules.filter(deletes).map(removal).collect())
}

/// The body of a request that deletes all of these.
pub(super) fn deletion<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut body = String::from("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
    for name in names {
        body.push_str("<Object><Key>");
        body.push_str(&quick_xml::escape::escape(name));
        body.push_str("</Key></Object>");
    }
    body.push_str("</Delete>");
    body
}

/// Whether a name surely comes out of XML as it went in: spaces at an end may get lost.
pub(super) fn can_hold(name: &str) -> bool {
    name.trim() == name
}

/// The first error in the answer to a deletion of many; a missing object is none.
pub(super) fn deletion_error(body: &[u8]) -> Result<Option<Told>> {
    let raw: RawDeletion = read(body)?;
    let error = raw.errors.into_iter().find(|error| error.code != "NoSuchKey");
    Ok(error.map(|error| Told { code: error.code, message: error.message, region: None }))
}

fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T> {
    let text = std::str::from_utf8(body).map_err(|_| Error::Internal("the store's answer is no UTF-8".into()))?;
    quick_xml::de::from_str(text).map_err(|e| Error::Internal(format!("the store's answer cannot be read: {e}")))
}

/// As in a query string: stores write a space as `+` or `%20`, and a plus sign as `%2B`.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit =
                    || rest.next().and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
                digit()? << 4 | digit()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings() {
        let body = br#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>o/</Prefix>
<Contents><Key>o/+a%2Bb%25%C3%A9</Key><ETag>&#34;9d&#34;</ETag><Size>1</Size><LastModified>2026-11-26T07:05:27Z</LastModified></Contents>
<Contents><Size>2</Size><Key>o/%20</Key><ETag>"x"</ETag></Contents>
<IsTruncated>true</IsTruncated><CommonPrefixes><Prefix>e/a%21/</Prefix></CommonPrefixes><EncodingType>url</EncodingType>
</ListBucketResult>"#;
        let listing = listing(body).unwrap();
        assert!(listing.more);
        let names: Vec<_> = listing.objects.iter().map(|o| (o.name.as_str(), o.size, o.etag.as_str())).collect();
        assert_eq!(names, [("o/ a+b%é", 1, "9d"), ("o/ ", 2, "x")]);
        assert_eq!(listing.folders, ["e/a!/"]);
    }

    #[test]
    fn names_that_are_not_encoded_are_left_alone() {
        let name = "e/a!/a+b %20 &<>\" ";
        let body = format!(
            "<ListBucketResult><Contents><Key>{}</Key><Size>1</Size></Contents><IsTruncated>false</IsTruncated><EncodingType></EncodingType></ListBucketResult>",
            quick_xml::escape::escape(name)
        );
        assert_eq!(listing(body.as_bytes()).unwrap().objects[0].name, name);
    }

    #[test]
    fn errors_and_deletions() {
        let told = error(b"<Error><Code>NoSuchKey</Code><Message>m &amp; n</Message><Key>k</Key></Error>").unwrap();
        assert_eq!((told.code.as_str(), told.message.as_str()), ("NoSuchKey", "m & n"));
        assert!(error(b"<html>").is_none() && error(b"").is_none());
        let body = deletion(["a&b", "c"].into_iter());
        assert!(body.contains("<Key>a&amp;b</Key>"));
        let answer = b"<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Code>NoSuchKey</Code></Error><Error><Code>AccessDenied</Code></Error></DeleteResult>";
        assert_eq!(deletion_error(answer).unwrap().unwrap().code, "AccessDenied");
        assert!(deletion_error(b"<DeleteResult/>").unwrap().is_none());
        assert!(deletion_error(b"nonsense").is_err());
    }

    #[test]
    fn what_is_said_of_a_bucket() {
        assert!(
            keeps_versions(b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>").unwrap()
        );
        assert!(
            !keeps_versions(b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>").unwrap()
        );
        assert!(!keeps_versions(b"<VersioningConfiguration/>").unwrap());
        let body = b"<LifecycleConfiguration>
<Rule><ID>a</ID><Filter><Prefix>tmp/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule>
<Rule><ID>b</ID><Prefix>old/</Prefix><Status>Enabled</Status><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule>
<Rule><ID>c</ID><Filter><And><Prefix>x/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter><Status>Enabled</Status>
<Expiration><Days>1</Days></Expiration></Rule>
<Rule><ID>off</ID><Filter/><Status>Disabled</Status><Expiration><Days>1</Days></Expiration></Rule>
<Rule><ID>old versions</ID><Filter/><Status>Enabled</Status><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>
</NoncurrentVersionExpiration><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>
</LifecycleConfiguration>";
        let removals = removals(body).unwrap();
        let removals: Vec<_> = removals.iter().map(|rule| (rule.id.as_str(), rule.prefix.as_str())).collect();
        assert_eq!(removals, [("a", "tmp/"), ("b", "old/"), ("c", "x/")]);
    }
}
