//! `doctor` over every server: healthy ones, and each way in which one is not what was thought.
//!
//! `KV_TEST_POSTGRES=postgres://… cargo test -p dataknobs-kv-end-to-end --test doctor`

use dataknobs_kv_end_to_end::command;
use dataknobs_kv_services::{SERVICES, Service};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value as Json;

fn main() {
    let trials = SERVICES.iter().map(|service| {
        let name = format!("doctor::{}", service.name);
        match service.url() {
            Ok(url) => Trial::test(name, move || examine(*service, &url)),
            Err(missing) => missing.trial(name),
        }
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// What the command says of this store, and with which exit code.
fn doctor(url: &str) -> Result<(Json, i32), Failed> {
    let output = run(&["doctor", "--json", "--store", url]);
    let report = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((report, output.status.code().unwrap_or(-1)))
}

fn run(arguments: &[&str]) -> std::process::Output {
    command().args(arguments).output().expect("the command starts")
}

fn examine(service: Service, url: &str) -> Result<(), Failed> {
    let url = fresh(service, url);
    // Nothing is there yet, and the doctor makes nothing.
    let (report, code) = doctor(&url)?;
    expect(&report, code, 2, &["any command that writes"])?;
    assert!(run(&["set", "mine", "1", "--store", &url]).status.success());
    let (report, code) = doctor(&url)?;
    expect(&report, code, 0, &[])?;
    let steps: Vec<&str> = report["steps"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    assert!(steps.starts_with(&["set", "get", "compare-and-swap", "list", "expire"]), "{steps:?}");
    assert!(steps.ends_with(&["delete", "clear"]), "{steps:?}");
    let told = run(&["namespaces", "--store", &url]).stdout;
    assert_eq!(String::from_utf8_lossy(&told), "default\n", "nothing is left behind");

    for (wrong, code, words) in wrongs(service, &url) {
        let (report, got) = doctor(&wrong)?;
        expect(&report, got, code, &words)?;
        assert!(!report.to_string().contains("hunter2"), "{report}");
    }
    Ok(())
}

/// A place on the server that nobody else uses.
fn fresh(service: Service, url: &str) -> String {
    let name = format!("doctor{:08x}", rand::random::<u32>());
    let behind = |option: &str| format!("{url}{}{option}={name}", if url.contains('?') { '&' } else { '?' });
    match service.name.split('-').next() {
        Some("postgres") => behind("table"),
        Some("redis" | "valkey") => behind("prefix"),
        Some("s3") => url.replacen("s3://kv-test/", &format!("s3://kv-test/{name}/"), 1),
        _ => url.replacen("/kv", &format!("/{name}"), 1),
    }
}

/// Connection strings that are wrong somehow, the exit code, and words of what is to be done.
fn wrongs(service: Service, url: &str) -> Vec<(String, i32, Vec<&'static str>)> {
    let (scheme, rest) = url.split_once("://").expect("a scheme");
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let host = host.rsplit('@').next().unwrap_or(host);
    let name = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
    let options = |others: &str| {
        let others: Vec<&str> = others.split('&').chain(["timeout=2"]).filter(|other| !other.is_empty()).collect();
        let kept = options.split('&').filter(|option| others.iter().all(|other| name(other) != name(option)));
        kept.chain(others.iter().copied()).filter(|option| !option.is_empty()).collect::<Vec<_>>().join("&")
    };
    let none = options("");
    match service.name.split('-').next() {
        Some("postgres") => vec![
            (format!("{scheme}://kv:hunter2@{host}/{path}?{none}"), 7, vec!["psql"]),
            (url.replacen(&format!("{host}/{path}"), &format!("{host}/no_such_database"), 1), 2, vec!["createdb"]),
            (format!("{scheme}://127.0.0.1:1/{path}?{none}"), 8, vec!["nothing listens at that address"]),
        ],
        Some("redis" | "valkey") => vec![
            (format!("{scheme}://nobody:hunter2@{host}/{path}?{none}"), 7, vec!["redis-cli"]),
            (format!("{scheme}://127.0.0.1:1/{path}?{none}"), 8, vec!["nothing listens at that address"]),
        ],
        Some("s3") => {
            let mut wrongs = vec![
                (format!("s3://no-such-bucket/{path}?{none}"), 2, vec!["create the bucket"]),
                (
                    format!("s3://{host}/{path}?{}", options("endpoint=http://127.0.0.1:1")),
                    8,
                    vec!["nothing listens at that address"],
                ),
            ];
            // moto takes any keys.
            if service.name != "s3-moto" {
                let stolen = options("secret_access_key=hunter2");
                wrongs.push((format!("s3://{host}/{path}?{stolen}"), 7, vec!["AWS_SECRET_ACCESS_KEY"]));
            }
            wrongs
        }
        _ => vec![(format!("{scheme}://127.0.0.1:1/{path}?{none}"), 8, vec!["nothing listens at that address"])],
    }
}

fn expect(report: &Json, code: i32, expected: i32, words: &[&str]) -> Result<(), Failed> {
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    let problems: Vec<String> =
        findings.iter().filter(|finding| finding["severity"] == "problem").map(Json::to_string).collect();
    let told = words.iter().all(|word| problems.iter().any(|problem| problem.contains(word)));
    if code == expected && told && problems.is_empty() == (expected == 0) {
        return Ok(());
    }
    Err(format!("exit code {code}, not {expected}, or the words {words:?} are missing: {report:#}").into())
}
