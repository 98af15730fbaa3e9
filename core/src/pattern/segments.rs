//! The matcher: segment by segment over the key as it is written, without a copy. Measured ten times as fast as regular
//! expressions, which are the tests' yardstick, and a fifth of the component smaller.
//!
//! Of several runs (`*` in a segment, `**` among segments) only the last is ever lengthened: what stands before it has
//! matched as early as possible, and no other choice could leave more to the rest. So the time is bounded by the length of
//! the key times that of the pattern.

use crate::{key, order};

use super::{
    parse::{Class, Parsed, Part, Token},
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
    fn new(place: Place) -> Self {
        let Place::Segment(choices) = place else { return Step::Rest };
        let (mut literals, mut others) = (Vec::new(), Vec::new());
        for tokens in choices {
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

    fn segment(tokens: Vec<Token>) -> Self {
        let (mut before, mut behind) = (String::new(), None);
        for token in &tokens {
            match token {
                Token::Char(character) => push(behind.as_mut().unwrap_or(&mut before), *character),
                Token::Run if behind.is_none() => behind = Some(String::new()),
                _ => return Step::Tokens(tokens),
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
    pub(super) fn new(parsed: &Parsed) -> Self {
        let steps = |places: Vec<Place>| places.into_iter().map(Step::new).collect();
        let alternatives = merged(&parsed.alternatives).into_iter().map(steps).collect();
        Segments { alternatives, classes: parsed.classes.clone() }
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

/// A part, or the parts that may stand there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Rest,
    Segment(Vec<Vec<Token>>),
}

/// What stands before and behind a place.
type Around = (Vec<Place>, Vec<Place>);

/// Alternatives that differ in one segment become one, with a choice there: `{a,b}.{c,d}.*` is one alternative again.
fn merged(alternatives: &[Vec<Part>]) -> Vec<Vec<Place>> {
    let place = |part: &Part| match part {
        Part::Rest => Place::Rest,
        Part::Segment(tokens) => Place::Segment(vec![tokens.clone()]),
    };
    let mut all: Vec<Vec<Place>> = alternatives.iter().map(|parts| parts.iter().map(place).collect()).collect();
    for index in 0..MAX_MERGED {
        if all.len() == 1 {
            break;
        }
        let mut choices: Vec<(Around, Vec<Vec<Token>>)> = Vec::new();
        let mut others = Vec::new();
        for mut places in all {
            let behind = places.split_off(places.len().min(index.saturating_add(1)));
            match places.pop() {
                Some(Place::Segment(tokens)) if places.len() == index => choices.push(((places, behind), tokens)),
                last => {
                    places.extend(last);
                    places.extend(behind);
                    others.push(places);
                }
            }
        }
        order::sort(&mut choices, |a, b| a < b);
        choices.dedup_by(|(other, tokens), (around, all)| {
            let same = other == around;
            if same {
                all.append(tokens);
            }
            same
        });
        all = others;
        all.extend(choices.into_iter().map(|((mut places, behind), tokens)| {
            places.push(Place::Segment(tokens));
            places.extend(behind);
            places
        }));
    }
    all
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
            (Some((Token::Run, after)), _) => {
                if after.is_empty() {
                    return true;
                }
                retry = Some((after, rest));
                left = after;
                continue;
            }
            (Some(_), None) => return false,
            (Some((token, after)), Some((character, below))) => {
                let fits = match token {
                    Token::Char(wanted) => *wanted == character,
                    Token::Class(index) => classes.get(*index).is_some_and(|class| class.contains(character)),
                    Token::One | Token::Run => true,
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
    let character = match characters.next()? {
        '\\' => characters.next()?,
        plain => plain,
    };
    Some((character, characters.as_str()))
}
