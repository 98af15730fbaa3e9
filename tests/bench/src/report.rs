//! Tables for people, and `docs/benchmarks.md`.

use std::fmt;
use std::path::Path;

use crate::{Result, machine};

/// One measurement: what was done, what came out, and whether it is what it should be.
pub(crate) struct Section {
    /// Of the section.
    pub(crate) title: &'static str,
    /// What was measured, and how.
    pub(crate) method: String,
    /// The names of the columns.
    pub(crate) columns: Vec<&'static str>,
    /// The rest of the table.
    pub(crate) rows: Vec<Vec<String>>,
    /// What was aimed at, and what came of it.
    pub(crate) goals: Vec<Goal>,
}

/// An aim, and the number that answers it.
pub(crate) struct Goal {
    /// With its unit.
    pub(crate) aim: &'static str,
    /// What was measured; none where it could not be.
    pub(crate) measured: Option<f64>,
    /// What it is held against.
    pub(crate) limit: f64,
    /// Whether more is better.
    pub(crate) at_least: bool,
}

impl Goal {
    /// At most so much.
    pub(crate) fn at_most(aim: &'static str, limit: f64, measured: f64) -> Self {
        Goal { aim, measured: Some(measured), limit, at_least: false }
    }

    fn verdict(&self) -> String {
        match self.measured {
            None => "not measured".into(),
            Some(measured) => {
                let met = if self.at_least { measured >= self.limit } else { measured <= self.limit };
                format!("{}: {}", digits(measured), if met { "met" } else { "missed" })
            }
        }
    }
}

/// Three figures that mean something, and no more.
pub(crate) fn digits(number: f64) -> String {
    let number_abs = number.abs();
    if !number.is_finite() {
        "–".into()
    } else if number_abs >= 10_000.0 {
        let text = format!("{number:.0}");
        let mut grouped = String::new();
        for (index, digit) in text.chars().enumerate() {
            if index > 0 && (text.len() - index).is_multiple_of(3) && !grouped.ends_with('-') {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        grouped
    } else if number_abs >= 100.0 {
        format!("{number:.0}")
    } else if number_abs >= 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}\n", self.title, self.method)?;
        writeln!(f, "| {} |", self.columns.join(" | "))?;
        writeln!(f, "|{}", " --- |".repeat(self.columns.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        if !self.goals.is_empty() {
            writeln!(f)?;
        }
        for goal in &self.goals {
            writeln!(f, "* {}: {}", goal.aim, goal.verdict())?;
        }
        Ok(())
    }
}

/// Where notes about the numbers begin: what a person wrote below this line is kept.
const NOTES: &str = "## Notes";

/// Writes the page; the notes at its end stay.
pub(crate) fn write(sections: &[Section]) -> Result {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks.md");
    let notes = std::fs::read_to_string(&path)
        .ok()
        .and_then(|old| old.find(NOTES).map(|at| old[at..].to_owned()))
        .unwrap_or_default();
    let mut page = format!(
        "# Benchmarks\n\n`cargo xtask bench` measures and writes this page, `cargo xtask bench NAME` prints one section, `cargo xtask \
         bench adapters`\nthe last four. Rivals are measured in turn, round by round; a number is the median of its rounds, a ratio that \
         of the\nmedians, or where the text says so the median of the rounds' ratios. Absolute times are this machine's: compare within \
         one\ntable only.\n\n{}\n",
        machine::describe()
    );
    for section in sections {
        page.push_str(&format!("{section}\n"));
    }
    page.push_str(&notes);
    let page = page.trim_end().to_owned() + "\n";
    std::fs::write(&path, page).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    eprintln!("bench: written: docs/benchmarks.md");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_figures() {
        for (number, text) in
            [(0.123, "0.12"), (9.876, "9.88"), (12.34, "12.3"), (1234.5, "1234"), (1_234_567.0, "1,234,567")]
        {
            assert_eq!(digits(number), text);
        }
    }

    #[test]
    fn goals_say_whether_they_are_met() {
        assert!(Goal::at_most("x", 5.0, 4.0).verdict().ends_with("met"));
        assert!(Goal::at_most("x", 5.0, 6.0).verdict().ends_with("missed"));
        let rate = Goal { aim: "x", measured: Some(6.0), limit: 5.0, at_least: true };
        assert!(rate.verdict().ends_with("met"));
    }
}
