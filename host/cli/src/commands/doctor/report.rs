//! What was found, and how it is told.

use std::time::Duration;

use dataknobs_kv::{Capabilities, Error, Finding, Severity};
use dataknobs_kv_core::wire;
use serde::Serialize;

use super::advice::{Backend, advice};
use crate::exit::Outcome;
use crate::output::Output;

#[derive(Default)]
pub(super) struct Report {
    pub(super) store: String,
    /// How long opening took.
    pub(super) opened: Option<Duration>,
    pub(super) capabilities: Option<Capabilities>,
    /// What was tried and went well.
    pub(super) steps: Vec<&'static str>,
    /// Of a get and a set.
    pub(super) latency: Option<(Duration, Duration)>,
    pub(super) findings: Vec<Finding>,
    /// The exit code of the first failure.
    pub(super) code: u8,
}

#[derive(Serialize)]
struct Told<'a> {
    store: &'a str,
    healthy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<wire::Capabilities>,
    steps: &'a [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    get_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_ms: Option<f64>,
    findings: Vec<ToldFinding<'a>>,
}

#[derive(Serialize)]
struct ToldFinding<'a> {
    severity: &'static str,
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'a str>,
}

impl Report {
    /// A step did not go well.
    pub(super) fn failed(&mut self, backend: Backend, step: &str, error: Error) {
        if self.code == 0 {
            self.code = wire::exit_code(&error);
        }
        self.findings.push(Finding::problem(format!("{step} failed: {error}"), advice(backend, &error)));
    }

    pub(super) fn print(mut self, json: bool) -> Outcome {
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let healthy = self.findings.iter().all(|finding| finding.severity < Severity::Problem);
        if !healthy && self.code == 0 {
            self.code = wire::exit_code(&Error::Unavailable(String::new()));
        }
        let mut out = Output::new();
        if json {
            out.json(&Told {
                store: &self.store,
                healthy,
                opened_ms: self.opened.map(milliseconds),
                capabilities: self.capabilities.map(wire::Capabilities::from),
                steps: &self.steps,
                get_ms: self.latency.map(|(get, _)| milliseconds(get)),
                set_ms: self.latency.map(|(_, set)| milliseconds(set)),
                findings: self.findings.iter().map(told).collect(),
            })?;
        } else {
            self.lines(&mut out, healthy)?;
        }
        out.finish()?;
        Ok(self.code)
    }

    fn lines(&self, out: &mut Output, healthy: bool) -> Result<(), crate::exit::Failure> {
        if !self.store.is_empty() {
            out.line(format_args!("store         {}", self.store))?;
        }
        if let Some(opened) = self.opened {
            out.line(format_args!("opened        in {:.1} ms", milliseconds(opened)))?;
        }
        if let Some(capabilities) = &self.capabilities {
            let Capabilities { durable, shared, max_atomic, max_value_bytes, max_metadata_bytes, sliding, .. } =
                capabilities;
            let yes = |yes: &bool, what: &str| if *yes { what.to_owned() } else { format!("not {what}") };
            out.line(format_args!(
                "can           {}, {}, atomic writes of up to {max_atomic} keys, {}",
                yes(durable, "durable"),
                yes(shared, "shared between processes"),
                yes(sliding, "sliding expiry")
            ))?;
            out.line(format_args!(
                "              values of up to {max_value_bytes} bytes, metadata of up to {max_metadata_bytes}"
            ))?;
        }
        if !self.steps.is_empty() {
            out.line(format_args!("tried         {}", self.steps.join(", ")))?;
        }
        if let Some((get, set)) = self.latency {
            out.line(format_args!(
                "takes         get {:.2} ms, set {:.2} ms (median)",
                milliseconds(get),
                milliseconds(set)
            ))?;
        }
        for finding in &self.findings {
            out.line(format_args!("{:<13} {}", severity(finding), finding.what))?;
            if let Some(advice) = &finding.advice {
                out.line(format_args!("  what to do  {advice}"))?;
            }
        }
        out.line(if healthy { "healthy" } else { "not healthy" })
    }
}

fn told(finding: &Finding) -> ToldFinding<'_> {
    ToldFinding { severity: severity(finding), what: &finding.what, advice: finding.advice.as_deref() }
}

fn severity(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Problem => "problem",
    }
}

fn milliseconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e5).round() / 100.0
}
