//! `If-Match` and `If-None-Match` as preconditions (RFC 9110): entity tags are versions.

use axum::http::header::{HeaderMap, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use dataknobs_kv_core::{Error, Precondition, Result, Version};

/// What a request demands of what is there.
#[derive(Default)]
pub(crate) struct Conditions {
    matches: Option<Tags>,
    none_match: Option<Tags>,
}

enum Tags {
    Any,
    /// The tag, and whether it is weak.
    List(Vec<(String, bool)>),
}

impl Conditions {
    /// Of a request that changes something.
    pub(crate) fn of_write(headers: &HeaderMap) -> Result<Self> {
        if headers.contains_key(IF_UNMODIFIED_SINCE) || headers.contains_key(IF_MODIFIED_SINCE) {
            return Err(Error::Unsupported("conditions by date: use If-Match with the ETag".into()));
        }
        Self::of_read(headers)
    }

    /// Of a request that reads: conditions by date are ignored, as RFC 9110 allows.
    pub(crate) fn of_read(headers: &HeaderMap) -> Result<Self> {
        Ok(Conditions { matches: tags(headers, IF_MATCH)?, none_match: tags(headers, IF_NONE_MATCH)? })
    }

    /// That there are none: for what cannot keep any.
    pub(crate) fn refuse(headers: &HeaderMap) -> Result<()> {
        for name in [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, IF_MODIFIED_SINCE] {
            if headers.contains_key(&name) {
                return Err(Error::Unsupported(format!("{name} does not go with this request")));
            }
        }
        Ok(())
    }

    /// The same as one precondition, where that is possible without looking.
    pub(crate) fn precondition(&self) -> Option<Precondition> {
        match (&self.matches, &self.none_match) {
            (None, None) => Some(Precondition::None),
            (None, Some(Tags::Any)) => Some(Precondition::Absent),
            (Some(Tags::List(tags)), None) => match tags.as_slice() {
                [(tag, false)] => Version::new(tag.clone()).ok().map(Precondition::Version),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether `If-Match` allows what is there.
    pub(crate) fn match_holds(&self, current: Option<&Version>) -> bool {
        match (&self.matches, current) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(Tags::Any), Some(_)) => true,
            (Some(Tags::List(tags)), Some(version)) => tags.iter().any(|(tag, weak)| !weak && tag == version.as_str()),
        }
    }

    /// Whether `If-None-Match` allows what is there.
    pub(crate) fn none_match_holds(&self, current: Option<&Version>) -> bool {
        match (&self.none_match, current) {
            (None, _) | (Some(_), None) => true,
            (Some(Tags::Any), Some(_)) => false,
            (Some(Tags::List(tags)), Some(version)) => tags.iter().all(|(tag, _)| tag != version.as_str()),
        }
    }

    /// Whether both do.
    pub(crate) fn hold(&self, current: Option<&Version>) -> bool {
        self.match_holds(current) && self.none_match_holds(current)
    }
}

fn tags(headers: &HeaderMap, name: HeaderName) -> Result<Option<Tags>> {
    let malformed = || Error::InvalidArgument(format!("{name}: entity tags are quoted, as in {name}: \"0123abcd\""));
    let mut list = Vec::new();
    let mut any = false;
    let mut given = false;
    for value in headers.get_all(&name) {
        given = true;
        let mut rest = value.to_str().map_err(|_| malformed())?.trim();
        if rest == "*" {
            any = true;
            continue;
        }
        loop {
            let (weak, tail) = match rest.strip_prefix("W/") {
                Some(tail) => (true, tail),
                None => (false, rest),
            };
            let (tag, tail) = tail.strip_prefix('"').and_then(|tail| tail.split_once('"')).ok_or_else(malformed)?;
            list.push((tag.to_owned(), weak));
            let tail = tail.trim_start();
            if tail.is_empty() {
                break;
            }
            rest = tail.strip_prefix(',').ok_or_else(malformed)?.trim_start();
        }
    }
    match (given, any, list.is_empty()) {
        (false, ..) => Ok(None),
        (true, true, true) => Ok(Some(Tags::Any)),
        (true, false, false) => Ok(Some(Tags::List(list))),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(pairs: &[(HeaderName, &'static str)]) -> Result<Conditions> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, axum::http::HeaderValue::from_static(value));
        }
        Conditions::of_write(&headers)
    }

    #[test]
    fn tags_become_preconditions() {
        let a = Version::new("a").unwrap();
        let b = Version::new("b").unwrap();
        assert_eq!(conditions(&[]).unwrap().precondition(), Some(Precondition::None));
        assert_eq!(conditions(&[(IF_MATCH, "\"a\"")]).unwrap().precondition(), Some(Precondition::Version(a.clone())));
        assert_eq!(conditions(&[(IF_NONE_MATCH, "*")]).unwrap().precondition(), Some(Precondition::Absent));
        let list = conditions(&[(IF_MATCH, "\"x\", \"a\""), (IF_MATCH, "W/\"b\"")]).unwrap();
        assert_eq!(list.precondition(), None);
        assert!(list.hold(Some(&a)) && !list.hold(Some(&b)) && !list.hold(None));
        let any = conditions(&[(IF_MATCH, "*")]).unwrap();
        assert!(any.precondition().is_none() && any.hold(Some(&a)) && !any.hold(None));
        let weak = conditions(&[(IF_NONE_MATCH, "W/\"a\"")]).unwrap();
        assert!(!weak.hold(Some(&a)) && weak.hold(Some(&b)) && weak.hold(None));
        let both = conditions(&[(IF_MATCH, "\"a\""), (IF_NONE_MATCH, "\"a\"")]).unwrap();
        assert!(!both.hold(Some(&a)) && !both.hold(None));
        // A tag that is no version matches nothing, and is no error.
        let foreign = conditions(&[(IF_MATCH, "\"a b\"")]).unwrap();
        assert!(foreign.precondition().is_none() && !foreign.hold(Some(&a)));
    }

    #[test]
    fn malformed_tags_are_refused() {
        for text in ["a", "\"a", "a\"", "\"a\" \"b\"", "\"a\",", "", "*, \"a\"", "w/\"a\""] {
            assert!(conditions(&[(IF_MATCH, text)]).is_err(), "{text}");
        }
        assert!(conditions(&[(IF_MATCH, "*"), (IF_MATCH, "\"a\"")]).is_err());
        assert!(matches!(conditions(&[(IF_UNMODIFIED_SINCE, "x")]), Err(Error::Unsupported(_))));
    }
}
