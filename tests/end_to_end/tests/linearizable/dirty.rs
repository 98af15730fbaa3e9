//! What Elasticsearch and OpenSearch show too early: a read by key finds a write that is under way and not yet on disk. If
//! the server dies just then, the write is gone, whose outcome is unknown; and somebody has read it.
//!
//! What was answered is not concerned: it is on disk, with all that came before it.

use std::fs;
use std::path::Path;

use serde_json::Value as Json;

/// Takes what may have been such a read out of a history: what only looked (also in vain, also to lose a race) after an
/// unanswered write of that key began, and before the server died. `deaths`: in which phases it did, and when. How many
/// were taken out.
pub(crate) fn without_early_looks(history: &Path, deaths: &[(u32, u64)]) -> Result<usize, String> {
    let text = fs::read_to_string(history).map_err(|error| error.to_string())?;
    let lines: Result<Vec<Json>, _> = text.lines().map(serde_json::from_str).collect();
    let lines = lines.map_err(|error| error.to_string())?;
    let time = |line: &Json, name: &str| line[name].as_u64().unwrap_or_default();
    let early = |line: &Json| {
        let key = line["key"].as_str().unwrap_or_default();
        let Some((_, death)) = deaths.iter().find(|(phase, _)| key.starts_with(&format!("{phase}."))) else {
            return false;
        };
        let unanswered = lines.iter().filter(|other| other["key"] == *key && other["outcome"] == "unknown");
        let first = unanswered.map(|other| time(other, "call")).filter(|call| call < death).min();
        let looks = line["op"] == "get" || line["outcome"] == "conflict" || line["outcome"] == "absent";
        looks && time(line, "call") < *death && first.is_some_and(|first| time(line, "return") > first)
    };
    let kept: Vec<&str> = text.lines().zip(&lines).filter(|(_, line)| !early(line)).map(|(text, _)| text).collect();
    fs::write(history, kept.join("\n")).map_err(|error| error.to_string())?;
    Ok(lines.len() - kept.len())
}
