//! Where keys come from, and what signs requests with them.
//!
//! Keys in the settings come first. Else reqsign's chain looks, in this order, at the environment, the shared profile,
//! single sign-on, a web identity token, a `credential_process`, the container and the machine's metadata service, and
//! renews what runs out. This file gives it what it needs: the environment, files, processes and HTTP.

use std::time::Duration;

use bytes::Bytes;
use reqsign_aws_v4::{Credential, DefaultCredentialProvider, RequestSigner, StaticCredentialProvider};
use reqsign_core::{CommandExecute, CommandOutput, Context, Error, FileRead, HttpSend, OsEnv, Result, Signer};

use super::config::{S3Keys, is_near};

/// The longest that one question to a source of keys may take: a machine without one does not answer at all.
const PATIENCE: Duration = Duration::from_secs(2);

/// Signs with these keys, or with those that the environment gives.
pub(super) fn signer(keys: Option<&S3Keys>, region: &str, http: Http) -> Signer<Credential> {
    let context =
        Context::new().with_env(OsEnv).with_file_read(Files).with_command_execute(Commands).with_http_send(http);
    let builder = RequestSigner::new("s3", region).with_standard_session_token();
    match keys {
        Some(keys) => {
            let mut provider = StaticCredentialProvider::new(&keys.access_key_id, &keys.secret_access_key);
            if let Some(token) = &keys.session_token {
                provider = provider.with_session_token(token);
            }
            Signer::new(context, provider, builder)
        }
        None => Signer::new(context, DefaultCredentialProvider::new(), builder),
    }
}

#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
        tokio::fs::read(path).await.map_err(|error| Error::unexpected(error.to_string()))
    }
}

#[derive(Debug)]
struct Commands;

impl CommandExecute for Commands {
    async fn command_execute(&self, program: &str, args: &[&str]) -> Result<CommandOutput> {
        let output = tokio::process::Command::new(program).args(args).kill_on_drop(true).output();
        let output = output.await.map_err(|error| Error::unexpected(error.to_string()))?;
        let status = output.status.code().unwrap_or(-1);
        Ok(CommandOutput { status, stdout: output.stdout, stderr: output.stderr })
    }
}

/// Asks services for keys: those on this machine or its link never through a proxy.
#[derive(Clone, Debug)]
pub(super) struct Http {
    pub(super) near: reqwest::Client,
    pub(super) far: reqwest::Client,
}

impl HttpSend for Http {
    async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let failed = |error: reqwest::Error| Error::unexpected(error.without_url().to_string());
        let near = request.uri().host().is_some_and(|host| is_near(host.trim_matches(['[', ']'])));
        let client = if near { &self.near } else { &self.far };
        let mut request = reqwest::Request::try_from(request).map_err(failed)?;
        *request.timeout_mut() = Some(PATIENCE);
        let response = client.execute(request).await.map_err(failed)?;
        let mut answer = http::Response::builder().status(response.status());
        if let Some(headers) = answer.headers_mut() {
            *headers = response.headers().clone();
        }
        let body = response.bytes().await.map_err(failed)?;
        answer.body(body).map_err(|error| Error::unexpected(error.to_string()))
    }
}
