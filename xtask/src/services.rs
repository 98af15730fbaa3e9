//! `cargo xtask services`, and the servers that `cargo xtask test` brings up.

use std::time::Instant;

use dataknobs_kv_services::{Kind, Missing, Server, up};

use crate::Result;

const USAGE: &str = "services up [NAME...] | down | status";

/// Servers that stay: `up`, `down`, `status`.
pub(crate) fn services(args: &[String]) -> Result {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["up", names @ ..] => bring_up(&kinds(names)?),
        ["down"] => {
            let down = up::down()?;
            let names: Vec<&str> = down.iter().map(|kind| kind.name()).collect();
            eprintln!(
                "services: {}",
                if names.is_empty() { "none was up".into() } else { names.join(", ") + ": down" }
            );
            Ok(())
        }
        ["status"] => status(),
        _ => Err(format!("cargo xtask {USAGE}")),
    }
}

/// Lines for a shell go to stdout, all else to stderr: `eval "$(cargo xtask services up)"`.
fn bring_up(kinds: &[Kind]) -> Result {
    let began = Instant::now();
    let mut missing = false;
    for (kind, brought) in up::up(kinds)? {
        match brought {
            Ok(url) => println!("export {}='{url}'", kind.variable()),
            Err(Missing { reason, .. }) => {
                missing = true;
                eprintln!("services: no {}: {reason}", kind.name());
            }
        }
    }
    eprintln!("services: up after {} s; `cargo xtask services down` removes them", began.elapsed().as_secs());
    if missing { Err("not all of them are up".into()) } else { Ok(()) }
}

fn status() -> Result {
    println!("{:14}  {:9}  {:9}  connection string", "server", "state", "processes");
    for up in up::status()? {
        let state = if up.alive { "up" } else { "half dead" };
        let url = up.url.as_deref().unwrap_or("-");
        println!("{:14}  {state:9}  {:9}  {url}", up.kind.name(), up.processes.len());
    }
    Ok(())
}

/// The kinds of these names; without names, those that come up by default.
fn kinds(names: &[&str]) -> Result<Vec<Kind>> {
    if names.is_empty() {
        return Ok(Kind::default_set());
    }
    let known = || Kind::ALL.map(Kind::name).join(", ");
    let named = |name: &&str| Kind::from_name(name).ok_or_else(|| format!("no server `{name}`; there are {}", known()));
    names.iter().map(named).collect()
}

/// The servers of one run of the tests.
pub(crate) struct ForTests {
    /// Dropped, they end.
    _servers: Vec<Server>,
    /// What tells the tests where they are, or why they are not.
    pub(crate) variables: Vec<(String, String)>,
}

/// Brings up what `names` asks for: names joined by commas, `none`, or nothing for the default set. A server that a variable
/// names already is used as it is; so is one that is up.
pub(crate) fn for_tests(names: Option<&str>) -> Result<ForTests> {
    let set = |variable: &str| std::env::var(variable).unwrap_or_default();
    let mut wanted = match names {
        Some("none") => vec![],
        Some(names) => kinds(&names.split(',').map(str::trim).collect::<Vec<_>>())?,
        None => Kind::default_set(),
    };
    let mut variables = Vec::new();
    let already = up::status()?;
    wanted.retain(|kind| {
        let up = already.iter().find(|up| up.kind == *kind && up.alive).and_then(|up| up.url.clone());
        let given = !set(&kind.variable()).is_empty();
        if let (false, Some(url)) = (given, &up) {
            variables.push((kind.variable(), url.clone()));
        }
        !given && up.is_none()
    });
    if !wanted.is_empty() {
        eprintln!("services: starting {}", wanted.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", "));
    }
    let began = Instant::now();
    let mut servers = Vec::new();
    for (kind, started) in up::side_by_side(&wanted, Server::start) {
        match started {
            Ok(server) => {
                variables.push((kind.variable(), server.url().to_owned()));
                servers.push(server);
            }
            Err(Missing { reason, .. }) => {
                eprintln!("services: no {}: {reason}", kind.name());
                variables.push((kind.missing_variable(), format!("no {}: {reason}", kind.name())));
            }
        }
    }
    if !servers.is_empty() {
        eprintln!("services: {} of {} up after {} s", servers.len(), wanted.len(), began.elapsed().as_secs());
    }
    Ok(ForTests { _servers: servers, variables })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers() {
        assert_eq!(kinds(&["redis", "valkey"]), Ok(vec![Kind::Redis, Kind::Valkey]));
        assert_eq!(kinds(&[]), Ok(Kind::default_set()));
        let error = kinds(&["mysql"]).expect_err("there is none");
        assert!(error.contains("mysql") && error.contains("postgres"), "{error}");
        assert!(services(&["sideways".into()]).is_err());
    }

    #[test]
    fn none_are_none() {
        let none = for_tests(Some("none")).expect("nothing to start");
        assert!(none.variables.is_empty());
    }
}
