//! `doctor`: opens a store, tries everything once, and says in plain words what is wrong and what to do.
//!
//! * `trip`: what is tried; `advice`: what to do about an error; `report`: how it is told

mod advice;
mod report;
mod trip;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dataknobs_kv::{Config, Diagnose, Finding, KvStore, OpenOptions, key};

use self::advice::Backend;
use self::report::Report;
use super::serve::LogFormat;
use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::logging;
use crate::open::{self, Target};

/// Clocks that are no further apart count as the same.
const SKEW: Duration = Duration::from_secs(2);

pub(crate) async fn run(global: &Global) -> Outcome {
    logging::start("error", LogFormat::Text)?;
    let mut report = Report::default();
    match open::target(global).await {
        Ok(target) => {
            report.store = target.name();
            examine(global, target, &mut report).await;
        }
        // What was named is no store at all.
        Err(failure) => refused(&mut report, Backend::Unknown, failure),
    }
    report.print(global.json)
}

async fn examine(global: &Global, target: Target, report: &mut Report) {
    let backend = Backend::of(&target);
    let remote = matches!(target, Target::Remote(_));
    let began = Instant::now();
    let (store, more) = match open(global, target).await {
        Ok(opened) => opened,
        Err(failure) => return refused(report, backend, failure),
    };
    match store.capabilities().await {
        Ok(capabilities) => {
            report.opened = Some(began.elapsed());
            report.capabilities = Some(capabilities);
        }
        Err(error) => return report.failed(backend, "open", error),
    }
    trip::run(&store, backend, remote, report).await;
    if let Some(more) = more {
        report.findings.extend(more.diagnose().await);
    }
    store.close().await;
}

type Opened = (KvStore, Option<Arc<dyn Diagnose>>);

/// Opens what is there: a doctor makes no patients.
async fn open(global: &Global, target: Target) -> Result<Opened, Failure> {
    match target {
        Target::Local(config) => {
            let Some(location) = config.location().cloned() else {
                return Ok((KvStore::open_with(config.create(false)).await?, None));
            };
            let (storage, more) = location.open_for_diagnosis(&OpenOptions::default().create(false)).await?;
            Ok((KvStore::open_with(Config::from_storage(storage)).await?, Some(more)))
        }
        Target::Remote(url) => {
            let token = open::token(global.token_file.as_deref())?;
            Ok((open::remote(&url, token, key::DEFAULT_NAMESPACE)?, None))
        }
    }
}

fn refused(report: &mut Report, backend: Backend, failure: Failure) {
    match failure {
        Failure::Error(error) => report.failed(backend, "open", error),
        Failure::Io(place, error) => {
            report.code = crate::exit::USAGE;
            report.findings.push(Finding::problem(format!("{place}: {error}"), "check the path and its permissions"));
        }
        Failure::Code(code, message) => {
            report.code = code;
            report.findings.push(Finding::problem(message, "see `dataknobs-kv doctor --help`"));
        }
        Failure::ClosedPipe => {}
    }
}
