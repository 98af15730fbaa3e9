//! Keys and address of an S3 store from where AWS's own tools have them, by the real command on a store that checks
//! signatures.
//!
//! `KV_TEST_S3_SEAWEEDFS=s3://… cargo test --test aws_environment`

use std::path::Path;
use std::process::Output;

use dataknobs_kv::Location;
use dataknobs_kv_end_to_end::command;
use dataknobs_kv_services::shared;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let trial = match shared("s3-seaweedfs") {
        Ok(url) => Trial::test("aws_environment::keys", move || keys(&url)),
        Err(missing) => missing.trial("aws_environment::keys"),
    };
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
}

fn keys(url: &str) -> Result<(), Failed> {
    let Location::S3(config) = Location::parse(url).map_err(|error| error.to_string())? else {
        return Err("no S3 connection string".into());
    };
    let keys = config.keys.expect("keys");
    let (id, secret) = (keys.access_key_id.as_str(), keys.secret_access_key.as_str());
    let endpoint = config.endpoint.as_deref().expect("an endpoint");
    let folder = tempfile::tempdir()?;
    let home = folder.path();
    std::fs::create_dir(home.join(".aws"))?;
    std::fs::write(
        home.join(".aws/credentials"),
        format!(
            "[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n\n\
             [wrong]\naws_access_key_id = {id}\naws_secret_access_key = hunter2\n"
        ),
    )?;
    let answer = format!(r#"{{"Version":1,"AccessKeyId":"{id}","SecretAccessKey":"{secret}"}}"#);
    std::fs::write(home.join("answer.json"), answer)?;
    let process = format!("[profile process]\ncredential_process = cat {}\n", home.join("answer.json").display());
    std::fs::write(home.join(".aws/config"), process)?;

    let store = format!("s3://{}/aws{:016x}?path_style=true", config.bucket, rand::random::<u64>());
    let address = ("AWS_ENDPOINT_URL_S3", endpoint);
    let region = ("AWS_REGION", "us-east-1");
    let in_words = [address, region, ("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)];
    works(home, &store, &in_words, "environment")?;
    works(home, &store, &[address, region], "default profile")?;
    works(home, &store, &[address, region, ("AWS_PROFILE", "process")], "credential process")?;
    // What the connection string says goes first.
    let named = format!(
        "{store}&endpoint={}&region=us-east-1&access_key_id={id}&secret_access_key={secret}",
        endpoint.replace(':', "%3A").replace('/', "%2F")
    );
    let misled = [("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"), region, ("AWS_ACCESS_KEY_ID", "nobody")];
    works(home, &named, &misled, "connection string")?;

    let refused = run(home, &store, &[address, region, ("AWS_PROFILE", "wrong")], &["get", "k"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    if refused.status.code() != Some(7) || said.contains("hunter2") {
        return Err(format!("a wrong secret: {refused:?}").into());
    }
    std::fs::remove_dir_all(home.join(".aws"))?;
    let none = [address, region, ("AWS_EC2_METADATA_DISABLED", "true")];
    match run(home, &store, &none, &["get", "k"]).status.code() {
        Some(7) => Ok(()),
        code => Err(format!("without keys: exit code {code:?}").into()),
    }
}

/// Writes and reads.
fn works(home: &Path, store: &str, environment: &[(&str, &str)], value: &str) -> Result<(), Failed> {
    for arguments in [["set", "k", value].as_slice(), &["get", "k"]] {
        let output = run(home, store, environment, arguments);
        let printed = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || (arguments[0] == "get" && printed.trim_end() != value) {
            return Err(format!("keys by {value}: {output:?}").into());
        }
    }
    Ok(())
}

fn run(home: &Path, store: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = command();
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.args(["--store", store]).args(arguments).current_dir(home);
    command.env("HOME", home).envs(environment.iter().copied());
    command.output().expect("the command starts")
}
