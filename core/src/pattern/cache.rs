//! Patterns used lately, compiled.

use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;

use super::{MAX_EXPANDED, Pattern};

/// Compiled patterns by their text: at most [`PatternCache::CAPACITY`], and fewer where they are large. The one not used
/// for the longest time makes room.
#[derive(Default)]
pub struct PatternCache {
    /// The latest used comes last. So few that looking through them is faster than hashing.
    patterns: Mutex<Vec<Arc<Pattern>>>,
}

impl PatternCache {
    /// The most patterns that it holds.
    pub const CAPACITY: usize = 64;

    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The pattern, compiled now or before. Errors are those of [`Pattern::parse`] and are not kept.
    pub fn get(&self, pattern: &str) -> Result<Arc<Pattern>> {
        if let Some(known) = self.with(|patterns| {
            let index = patterns.iter().rposition(|known| known.text() == pattern)?;
            let known = patterns.remove(index);
            patterns.push(known.clone());
            Some(known)
        }) {
            return Ok(known);
        }
        let compiled = Arc::new(Pattern::parse(pattern)?);
        self.with(|patterns| {
            patterns.push(compiled.clone());
            // The new one stays whatever its size: whoever pages through a listing comes back with it.
            while patterns.len() > 1 && (patterns.len() > Self::CAPACITY || size(patterns) > MAX_EXPANDED) {
                patterns.remove(0);
            }
        });
        Ok(compiled)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Arc<Pattern>>) -> T) -> T {
        // Nothing in here leaves the list half changed.
        act(&mut self.patterns.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn size(patterns: &[Arc<Pattern>]) -> usize {
    patterns.iter().map(|known| known.size()).fold(0, usize::saturating_add)
}

impl std::fmt::Debug for PatternCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PatternCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(cache: &PatternCache) -> Vec<String> {
        cache.with(|patterns| patterns.iter().map(|pattern| pattern.text().to_owned()).collect())
    }

    #[test]
    fn a_pattern_is_compiled_once() {
        let cache = PatternCache::new();
        let first = cache.get("a.*").unwrap();
        assert!(Arc::ptr_eq(&first, &cache.get("a.*").unwrap()));
        assert!(!Arc::ptr_eq(&first, &cache.get("a.**").unwrap()));
        assert!(cache.get("a..b").is_err());
        assert_eq!(held(&cache), ["a.*", "a.**"]);
    }

    #[test]
    fn the_longest_unused_makes_room() {
        let cache = PatternCache::new();
        for index in 0..PatternCache::CAPACITY {
            cache.get(&format!("{index}.*")).unwrap();
        }
        cache.get("0.*").unwrap();
        cache.get("new.*").unwrap();
        let held = held(&cache);
        assert_eq!(held.len(), PatternCache::CAPACITY);
        assert!(held.contains(&"0.*".into()) && !held.contains(&"1.*".into()) && held.last().unwrap() == "new.*");
    }

    #[test]
    fn large_patterns_make_more_room() {
        let cache = PatternCache::new();
        let large =
            |name: &str| format!("{{0,1,2,3,4,5,6,7,8,9}}{{0,1,2,3,4,5,6,7,8,9}}{{0,1,2,3,4,5,6,7,8,9}}{name}*");
        let long = "x".repeat(20);
        cache.get("small.*").unwrap();
        cache.get(&large(&long)).unwrap();
        assert_eq!(held(&cache).len(), 2);
        cache.get(&large(&format!("{long}y"))).unwrap();
        assert_eq!(held(&cache), [large(&format!("{long}y"))]);
    }
}
