//! What of an entry a target keeps, and whether two entries are the same.

use dataknobs_kv_core::{Attributes, State};
use serde::{Deserialize, Serialize};

/// What of each entry the target keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keeps {
    /// All but the version.
    All,
    /// Not `created_at` and `updated_at`, which the target sets itself; and a sliding expiry starts anew.
    Content,
}

/// What a comparison may look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) keeps: Keeps,
    /// Whether `created_at` must be the same too: the target had no entries of its own, whose `created_at` stay.
    pub(super) created: bool,
    /// Sliding expiries were made fixed ones.
    pub(super) fixed_sliding: bool,
}

impl Rules {
    /// The parts in which the target's entry is not the source's; values are compared where both are there.
    pub(super) fn differences(&self, source: &State, target: &State) -> Vec<&'static str> {
        let mut parts = self.content(&source.attributes, &target.attributes);
        if let (Some(of_source), Some(of_target)) = (&source.value, &target.value)
            && of_source != of_target
        {
            parts.push("value");
        }
        if self.keeps == Keeps::All {
            if source.attributes.updated_at != target.attributes.updated_at {
                parts.push("updated_at");
            }
            if self.created && source.attributes.created_at != target.attributes.created_at {
                parts.push("created_at");
            }
        }
        parts
    }

    /// As [`Rules::differences`], of what callers wrote: all but the times of writing.
    pub(super) fn content(&self, source: &Attributes, target: &Attributes) -> Vec<&'static str> {
        let sliding = if self.fixed_sliding { None } else { source.sliding_ms };
        // One that slides and was started anew expires at another instant.
        let anew = self.keeps == Keeps::Content && sliding.is_some();
        let checks = [
            ("type", source.value_type == target.value_type),
            ("size", source.size == target.size),
            ("checksum", source.checksum == target.checksum),
            ("metadata", source.metadata == target.metadata),
            ("content type", source.content_type == target.content_type),
            ("expiry", anew || source.expires_at == target.expires_at),
            ("sliding expiry", sliding == target.sliding_ms),
        ];
        checks.into_iter().filter(|(_, same)| !same).map(|(part, _)| part).collect()
    }
}

#[cfg(test)]
mod tests {
    use dataknobs_kv_core::{Value, Version};

    use super::*;

    fn state() -> State {
        let (value_type, value) = Value::from("x").encode();
        State {
            version: Version::from_random(1),
            attributes: Attributes {
                value_type,
                content_type: None,
                metadata: None,
                created_at: 1,
                updated_at: 2,
                expires_at: Some(100),
                sliding_ms: Some(50),
                size: 1,
                checksum: 7,
            },
            value: Some(value),
        }
    }

    #[test]
    fn each_part_counts() {
        let all = Rules { keeps: Keeps::All, created: true, fixed_sliding: false };
        let mut other = state();
        other.version = Version::from_random(2);
        assert!(all.differences(&state(), &other).is_empty(), "the version is the target's own");
        type Change = fn(&mut State);
        let changes: [(&str, Change); 9] = [
            ("type", |s| s.attributes.value_type = Value::Null.value_type()),
            ("size", |s| s.attributes.size = 2),
            ("checksum", |s| s.attributes.checksum = 8),
            ("metadata", |s| s.attributes.metadata = Some("{}".into())),
            ("content type", |s| s.attributes.content_type = Some("a/b".into())),
            ("expiry", |s| s.attributes.expires_at = Some(101)),
            ("sliding expiry", |s| s.attributes.sliding_ms = None),
            ("updated_at", |s| s.attributes.updated_at = 3),
            ("created_at", |s| s.attributes.created_at = 3),
        ];
        for (part, change) in changes {
            let mut other = state();
            change(&mut other);
            assert_eq!(all.differences(&state(), &other), [part]);
        }
        let mut other = state();
        other.value = Some(b"y".to_vec());
        assert_eq!(all.differences(&state(), &other), ["value"]);
    }

    #[test]
    fn what_a_target_cannot_keep_does_not_count() {
        let content = Rules { keeps: Keeps::Content, created: true, fixed_sliding: false };
        let mut other = state();
        (other.attributes.created_at, other.attributes.updated_at) = (8, 9);
        other.attributes.expires_at = Some(777);
        assert!(content.differences(&state(), &other).is_empty());
        let (mut one, mut other) = (state(), other);
        (one.attributes.sliding_ms, other.attributes.sliding_ms) = (None, None);
        assert_eq!(content.differences(&one, &other), ["expiry"]);

        let fixed = Rules { keeps: Keeps::All, created: false, fixed_sliding: true };
        let mut other = state();
        (other.attributes.sliding_ms, other.attributes.created_at) = (None, 9);
        assert!(fixed.differences(&state(), &other).is_empty());
    }
}
