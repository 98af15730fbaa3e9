//! The matcher: segment by segment over the key as it is written, without a copy. Measured ten times as fast as regular
//! expressions, which are the tests' yardstick, and a fifth of the component smaller.
//!
//! Of several runs (`*` in a segment, `**` among segments) only the last is ever lengthened: what stands before it has
//! matched as early as possible, and no other choice could leave more to the rest. So the time is bounded by the length of
//! the key times that of the pattern.

use crate::{key, order};

use super::{
    parse::{CLASS, Class, ONE, Parsed, REST, RUN, SEPARATOR, Token, unescaped},
    range::push,
};

/// All alternatives of a pattern.
#[derive(Clone, Debug)]
pub(super) struct Segments {
    alternatives: Vec<Vec<Step>>,
    classes: Vec<Class>,
}

#[derive(Clone, Debug)]
enum Step {
    /// `**`
    Rest,
    /// A segment as it stands in keys.
    Literal(String),
    /// One `*` and nothing else but characters: what stands before it and behind it.
    Around(String, String),
    /// Any other.
    Tokens(Vec<Token>),
    /// One of these segments, in order, or what one of these steps takes.
    OneOf(Vec<String>, Vec<Step>),
}

impl Step {
    /// From a segment, or several with [`OR`] between them.
    fn new(choices: &[Token]) -> Self {
        if choices == [REST] {
            return Step::Rest;
        }
        let (mut literals, mut others) = (Vec::new(), Vec::new());
        for tokens in choices.split(|token| *token == OR) {
            match Self::segment(tokens) {
                Step::Literal(literal) => literals.push(literal),
                other => others.push(other),
            }
        }
        match (literals.len(), others.len()) {
            (1, 0) => Step::Literal(literals.pop().unwrap_or_default()),
            (0, 1) => others.pop().unwrap_or(Step::Rest),
            _ => {
                order::sort(&mut literals, |a, b| a < b);
                Step::OneOf(literals, others)
            }
        }
    }

    fn segment(tokens: &[Token]) -> Self {
        let (mut before, mut behind) = (String::new(), None);
        for token in tokens {
            match char::from_u32(*token) {
                Some(character) => push(behind.as_mut().unwrap_or(&mut before), character),
                None if *token == RUN && behind.is_none() => behind = Some(String::new()),
                None => return Step::Tokens(tokens.to_vec()),
            }
        }
        match behind {
            None => Step::Literal(before),
            Some(behind) => Step::Around(before, behind),
        }
    }

    fn matches(&self, segment: &str, classes: &[Class]) -> bool {
        match self {
            Step::Rest => true,
            Step::Literal(literal) => segment == literal,
            // In a legal segment an escape never straddles the places where these begin and end. Comparing with an empty
            // text is far slower than looking whether it is empty.
            Step::Around(before, behind) => {
                let after = if before.is_empty() { Some(segment) } else { segment.strip_prefix(before.as_str()) };
                after.is_some_and(|after| behind.is_empty() || after.ends_with(behind.as_str()))
            }
            Step::Tokens(tokens) => tokens_match(tokens, segment, classes),
            Step::OneOf(literals, others) => {
                literals.binary_search_by(|literal| literal.as_str().cmp(segment)).is_ok()
                    || others.iter().any(|step| step.matches(segment, classes))
            }
        }
    }
}

impl Segments {
    pub(super) fn new(parsed: Parsed) -> Self {
        let mut alternatives = Vec::new();
        for alternative in merged(parsed.alternatives) {
            let mut steps = Vec::new();
            for choices in alternative.split(|token| *token == SEPARATOR) {
                steps.push(Step::new(choices));
            }
            alternatives.push(steps);
        }
        Segments { alternatives, classes: parsed.classes }
    }

    /// How many alternatives are tried one by one.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.alternatives.len()
    }

    pub(super) fn matches(&self, key: &str) -> bool {
        self.alternatives.iter().any(|steps| steps_match(steps, key, &self.classes))
    }
}

/// How many places of the alternatives are looked at for merging.
const MAX_MERGED: usize = 16;

/// Between segments of which any may stand in one place.
const OR: Token = 0x14_0000;
/// Where a segment was taken out, and before it where it comes last.
const TAKEN: Token = 0x14_0001;

/// Alternatives that differ in one segment become one, with a choice there: `{a,b}.{c,d}.*` is one alternative again.
fn merged(mut all: Vec<Vec<Token>>) -> Vec<Vec<Token>> {
    for index in 0..MAX_MERGED {
        if all.len() == 1 {
            break;
        }
        // Sorted with the segment last, those that differ in nothing else stand side by side.
        for alternative in &mut all {
            if let Some((before, segment, behind)) = segment_at(alternative, index)
                && segment != [REST]
            {
                *alternative = [before, &[TAKEN], behind, &[TAKEN], segment].concat();
            }
        }
        order::sort(&mut all, |a, b| a < b);
        let mut groups: Vec<Vec<Token>> = Vec::new();
        for alternative in all {
            let place = alternative.iter().rposition(|token| *token == TAKEN);
            let around = place.and_then(|place| alternative.split_at_checked(place.saturating_add(1)));
            match (around, groups.last_mut()) {
                (Some((around, segment)), Some(group)) if group.starts_with(around) => {
                    group.push(OR);
                    group.extend_from_slice(segment);
                }
                _ => groups.push(alternative),
            }
        }
        all = groups;
        for alternative in &mut all {
            let mut parts = alternative.split(|token| *token == TAKEN);
            let mut part = || parts.next().unwrap_or_default();
            let (before, behind, choices) = (part(), part(), part());
            *alternative = [before, choices, behind].concat();
        }
    }
    all
}

/// What stands before the segment of this number, the segment, and what stands behind it.
fn segment_at(alternative: &[Token], number: usize) -> Option<(&[Token], &[Token], &[Token])> {
    let (mut start, mut passed) = (0_usize, 0_usize);
    for end in 0..=alternative.len() {
        if alternative.get(end).is_none_or(|token| *token == SEPARATOR) {
            if passed == number {
                let (until, behind) = alternative.split_at_checked(end)?;
                let (before, segment) = until.split_at_checked(start)?;
                return Some((before, segment, behind));
            }
            passed = passed.saturating_add(1);
            start = end.saturating_add(1);
        }
    }
    None
}

fn steps_match(steps: &[Step], key: &str, classes: &[Class]) -> bool {
    let mut left = steps;
    // None: no segment is left.
    let mut rest = Some(key);
    // Behind the last `**`: the steps, and the segments that it has not taken so far.
    let mut retry: Option<(&[Step], Option<&str>)> = None;
    loop {
        match (left.split_first(), rest) {
            (None, None) => return true,
            // At the end of the pattern it takes one segment or more.
            (Some((Step::Rest, [])), rest) => return rest.is_some(),
            (Some((Step::Rest, after)), _) => {
                retry = Some((after, rest));
                left = after;
                continue;
            }
            (Some(_), None) => return false,
            (Some((step, after)), Some(text)) => {
                let (segment, below) = key::split_first(text);
                if step.matches(segment, classes) {
                    (left, rest) = (after, below);
                    continue;
                }
            }
            (None, Some(_)) => {}
        }
        // What came does not match: the last `**` takes one segment more.
        let Some((after, Some(text))) = retry else { return false };
        rest = key::split_first(text).1;
        retry = Some((after, rest));
        left = after;
    }
}

fn tokens_match(tokens: &[Token], segment: &str, classes: &[Class]) -> bool {
    let mut left = tokens;
    let mut rest = segment;
    // Behind the last `*`: the tokens, and the text that it has not taken so far.
    let mut retry: Option<(&[Token], &str)> = None;
    loop {
        match (left.split_first(), next(rest)) {
            (None, None) => return true,
            (Some((&RUN, after)), _) => {
                if after.is_empty() {
                    return true;
                }
                retry = Some((after, rest));
                left = after;
                continue;
            }
            (Some(_), None) => return false,
            (Some((token, after)), Some((character, below))) => {
                let fits = match *token {
                    ONE => true,
                    CLASS.. => {
                        classes.get(token.saturating_sub(CLASS) as usize).is_some_and(|class| class.contains(character))
                    }
                    wanted => wanted == u32::from(character),
                };
                if fits {
                    (left, rest) = (after, below);
                    continue;
                }
            }
            (None, Some(_)) => {}
        }
        let Some((after, Some((_, below)))) = retry.map(|(after, text)| (after, next(text))) else { return false };
        retry = Some((after, below));
        (left, rest) = (after, below);
    }
}

/// The first character of a segment's text, and what follows it.
fn next(segment: &str) -> Option<(char, &str)> {
    let mut characters = segment.chars();
    Some((unescaped(&mut characters)?, characters.as_str()))
}
