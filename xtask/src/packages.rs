//! The system's list of packages as nested JSON: tens of thousands of names with some fifteen fields each, a data set
//! that is large, real, and on every Debian.

use serde_json::{Map, Value};

use crate::Result;
use crate::cargo::{output, program};

/// `{"0ad": {"version": "…", "size": 7891488, "depends": ["…"], …}, …}`, and where it comes from.
///
/// What apt knows; where it knows nothing, what dpkg has installed.
pub(crate) fn packages() -> Result<(Map<String, Value>, &'static str)> {
    if let Ok(text) = output(program("apt-cache").arg("dumpavail")) {
        let packages = parse(&String::from_utf8_lossy(&text));
        if packages.len() > 1000 {
            return Ok((packages, "apt-cache dumpavail"));
        }
    }
    let status = "/var/lib/dpkg/status";
    let text = std::fs::read(status).map_err(|e| format!("no list of packages: apt-cache has none, {status}: {e}"))?;
    Ok((parse(&String::from_utf8_lossy(&text)), status))
}

/// Stanzas of `Field: value` lines, parted by empty lines; a line that begins with a space goes on with its field.
fn parse(text: &str) -> Map<String, Value> {
    let mut packages = Map::new();
    for stanza in text.split("\n\n") {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in stanza.lines() {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push('\n');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.to_lowercase().replace('-', "_"), value.trim().to_owned()));
            }
        }
        let Some(at) = fields.iter().position(|(name, _)| name == "package") else { continue };
        let (_, package) = fields.remove(at);
        let fields = fields.into_iter().map(|(name, value)| typed(name, value)).collect::<Map<_, _>>();
        packages.insert(package, fields.into());
    }
    packages
}

/// Sizes become numbers and lists arrays, so that more than texts are stored.
fn typed(name: String, value: String) -> (String, Value) {
    let list = |value: &str| value.split(',').map(|item| Value::from(item.trim())).collect::<Vec<_>>();
    let typed = match name.as_str() {
        "size" | "installed_size" => value.parse::<u64>().map_or(Value::from(value), Value::from),
        "depends" | "recommends" | "suggests" | "conflicts" | "provides" | "tag" => list(&value).into(),
        "essential" => Value::from(value == "yes"),
        _ => value.into(),
    };
    (name, typed)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn stanzas_become_objects() {
        let text = "Package: a.b\nVersion: 1\nSize: 7\nTag: x::y,\n z\nDescription: short\n longer\n\nPackage: c\n";
        let expected = serde_json::json!({
            "a.b": {"version": "1", "size": 7, "tag": ["x::y", "z"], "description": "short\nlonger"},
            "c": {},
        });
        assert_eq!(serde_json::Value::from(parse(text)), expected);
    }
}
