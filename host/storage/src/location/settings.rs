//! A backend's settings by name, whether they come from a connection string or from a configuration's fields.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use dataknobs_kv_core::{Error, Result};

use super::url::decode;

/// Settings, taken one by one; [`finish`](Settings::finish) refuses what nobody took. Messages name a setting and never
/// show what is in it: it may be a secret.
#[derive(Clone, Default)]
pub struct Settings {
    /// What stands before a name in messages, so that it reads as where it was written: `config.`, or nothing.
    prefix: &'static str,
    values: BTreeMap<String, String>,
    /// All that were asked for.
    known: Vec<&'static str>,
}

impl Settings {
    /// From names and values. Numbers and booleans are given as they are written.
    pub fn new(prefix: &'static str, values: impl IntoIterator<Item = (String, String)>) -> Self {
        Settings { prefix, values: values.into_iter().collect(), known: Vec::new() }
    }

    /// From what follows the `?` of a connection string.
    pub(super) fn from_query(query: &str) -> Result<Self> {
        let mut settings = Settings::default();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = decode(value, name)?;
            settings.add(name, value)?;
        }
        Ok(settings)
    }

    /// Adds one; `invalid-argument` where it is there already.
    pub fn add(&mut self, name: &str, value: impl Into<String>) -> Result<()> {
        match self.values.insert(name.to_owned(), value.into()) {
            None => Ok(()),
            Some(_) => Err(Error::InvalidArgument(format!("`{}{name}` is given twice", self.prefix))),
        }
    }

    /// Whether it is given and not yet taken.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Takes a text.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.values.remove(name)
    }

    /// Takes a text that must be there and not be empty.
    pub fn required(&mut self, name: &'static str) -> Result<String> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| self.invalid(name, "is missing"))
    }

    /// Takes `true` or `false`.
    pub fn boolean(&mut self, name: &'static str) -> Result<Option<bool>> {
        self.one_of(name, &[("true", true), ("false", false)])
    }

    /// Takes one of these words.
    pub fn one_of<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
                Err(self.invalid(name, &format!("is {}", words.join(" or "))))
            }
        }
    }

    /// Takes a whole number from `least` to `most`.
    pub fn whole<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &'static str,
        least: T,
        most: T,
    ) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse().ok().filter(|number| (&least..=&most).contains(&number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.invalid(name, &format!("is a whole number from {least} to {most}"))),
        }
    }

    /// Takes a span in seconds, with fractions, longer than 0 and at most `most`.
    pub fn seconds(&mut self, name: &'static str, most: Duration) -> Result<Option<Duration>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let span = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        match span.filter(|span| !span.is_zero() && *span <= most) {
            Some(span) => Ok(Some(span)),
            None => Err(self.invalid(name, &format!("is a number of seconds, above 0 and at most {}", most.as_secs()))),
        }
    }

    /// As [`Settings::seconds`], where 0 means: not at all.
    pub fn seconds_or_none(&mut self, name: &'static str, most: Duration) -> Result<Option<Duration>> {
        match self.values.get(name).map(String::as_str) {
            Some("0") => Ok(self.text(name).map(|_| Duration::ZERO)),
            _ => self.seconds(name, most),
        }
    }

    /// An `invalid-argument` about this setting: `what` goes on after its name.
    pub fn invalid(&self, name: &str, what: &str) -> Error {
        Error::InvalidArgument(format!("`{}{name}` {what}", self.prefix))
    }

    /// Refuses what was not taken; `what` names the store.
    pub fn finish(mut self, what: &str) -> Result<()> {
        let Some(name) = self.values.keys().next() else { return Ok(()) };
        self.known.sort_unstable();
        self.known.dedup();
        let known: Vec<_> = self.known.iter().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(self.invalid(name, &format!("is no setting of {what}; it has {known}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_taken_once_and_the_rest_refused() {
        let mut settings = Settings::from_query("a=1&b=%C3%A9+&c=true&d=1.5&&e").unwrap();
        assert_eq!(settings.whole("a", 1, 5).unwrap(), Some(1));
        assert_eq!(settings.text("b").as_deref(), Some("é+"));
        assert_eq!(settings.boolean("c").unwrap(), Some(true));
        assert_eq!(settings.seconds("d", Duration::from_secs(2)).unwrap(), Some(Duration::from_millis(1500)));
        assert_eq!(settings.text("a"), None);
        let error = settings.finish("a test").unwrap_err().to_string();
        assert_eq!(error, "invalid-argument: `e` is no setting of a test; it has `a`, `b`, `c`, `d`");
    }

    #[test]
    fn messages_name_the_setting_and_never_show_it() {
        let secret = || Settings::new("config.", [("x".to_owned(), "hunter2".to_owned())]);
        for error in [
            secret().whole("x", 1, 9).unwrap_err(),
            secret().boolean("x").unwrap_err(),
            secret().seconds("x", Duration::from_secs(1)).unwrap_err(),
            secret().add("x", "y").unwrap_err(),
            secret().finish("a test").unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(error.contains("`config.x`") && !error.contains("hunter2"), "{error}");
        }
    }
}
