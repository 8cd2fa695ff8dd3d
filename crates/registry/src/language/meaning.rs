//! What a query means: fields that exist, values of their kind.

use std::{cmp::Ordering, collections::BTreeSet};

use contract::{Code, Refusal, names::said};
use service::Fault;

use super::{
    DEPTH_MAX, QUERY_CHARS, Surroundings, TESTS_MAX, at,
    grammar::{self, Comparison, Term, Word},
    like::Pattern,
};
use crate::field::{Field, Sort, day};

/// A query that was understood.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Or(Vec<Expr>),
    And(Vec<Expr>),
    Not(Box<Expr>),
    Test(Field, Test),
    /// Within this distance: latitude, longitude, kilometres.
    Near(f64, f64, f64),
}

impl Expr {
    /// Whether it asks what other services know.
    pub(super) fn is_live(&self) -> bool {
        match self {
            Expr::Or(parts) | Expr::And(parts) => parts.iter().any(Expr::is_live),
            Expr::Not(part) => part.is_live(),
            Expr::Test(field, _) => field.is_live(),
            Expr::Near(..) => false,
        }
    }
}

/// What is asked of a field.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Has,
    Compare(Comparison, Operand),
    In(Vec<Operand>),
    Between(Operand, Operand),
    Like(Pattern),
}

/// A value of a field's kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Text(String),
    /// A value of an enum.
    Name(&'static str),
    Number(f64),
    /// Milliseconds since 1970.
    Time(i64),
    /// Milliseconds from the present time, whenever that is.
    Now(i64),
    Version(String, Option<semver::Version>),
    Flag(bool),
}

/// Reads queries, and those they refer to.
pub(super) struct Reader<'a> {
    around: &'a Surroundings<'a>,
    lasting: bool,
    tests: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(around: &'a Surroundings<'a>) -> Reader<'a> {
        Reader {
            around,
            lasting: false,
            tests: 0,
            depth: 0,
        }
    }

    pub(super) fn lasting(around: &'a Surroundings<'a>) -> Reader<'a> {
        Reader {
            lasting: true,
            ..Reader::new(around)
        }
    }

    pub(super) fn read(&mut self, text: &str) -> Result<Expr, Fault> {
        let length = text.chars().count();
        if length > QUERY_CHARS {
            let message = format!("a query may have {QUERY_CHARS} characters, this one has {length}");
            return Err(Refusal::new(Code::TooLarge, message).at("where").into());
        }
        let term = grammar::parse(text)?;
        self.understand(text, term)
    }

    fn understand(&mut self, text: &str, term: Term) -> Result<Expr, Fault> {
        Ok(match term {
            Term::Or(terms) => Expr::Or(self.each(text, terms)?),
            Term::And(terms) => Expr::And(self.each(text, terms)?),
            Term::Not(term) => Expr::Not(Box::new(self.understand(text, *term)?)),
            Term::Saved(name) => self.saved(&name)?,
            Term::Near(words) => self.near(text, &words)?,
            Term::Has(field) => Expr::Test(self.field(text, &field)?, Test::Has),
            Term::Compare(field, comparison, value) => {
                let field = self.field(text, &field)?;
                let operand = self.operand(text, &field, &value)?;
                let test = self.cover(&field, Test::Compare(comparison, operand))?;
                Expr::Test(field, test)
            }
            Term::In(field, values) => {
                let field = self.field(text, &field)?;
                values.iter().try_for_each(|_| self.count())?;
                let operands = values.iter().map(|value| self.operand(text, &field, value));
                let operands = operands.collect::<Result<_, _>>()?;
                let test = self.cover(&field, Test::In(operands))?;
                Expr::Test(field, test)
            }
            Term::Between(field, low, high) => {
                let field = self.field(text, &field)?;
                let low = self.operand(text, &field, &low)?;
                let high = self.operand(text, &field, &high)?;
                Expr::Test(field, Test::Between(low, high))
            }
            Term::Like(field, pattern) => {
                let field = self.field(text, &field)?;
                Expr::Test(field, Test::Like(Pattern::new(&pattern.text)))
            }
        })
    }

    fn each(&mut self, text: &str, terms: Vec<Term>) -> Result<Vec<Expr>, Fault> {
        terms
            .into_iter()
            .map(|term| self.understand(text, term))
            .collect()
    }

    /// The saved query in its place.
    fn saved(&mut self, name: &Word) -> Result<Expr, Fault> {
        self.count()?;
        if self.depth == DEPTH_MAX {
            let message =
                format!("saved queries refer to one another more than {DEPTH_MAX} deep, or in a circle");
            return Err(Refusal::invalid("where", message).into());
        }
        let text = (self.around.saved)(&name.text)?;
        self.depth += 1;
        let expr = self.read(&text)?;
        self.depth -= 1;
        Ok(expr)
    }

    fn near(&mut self, text: &str, words: &[Word]) -> Result<Expr, Fault> {
        self.count()?;
        let number = |n: usize, bound: f64, what: &str| {
            let word = words.get(n);
            let read = word.and_then(|word| word.text.parse::<f64>().ok());
            let within = read.filter(|number| number.is_finite() && number.abs() <= bound);
            within.ok_or_else(|| at(text, word.map_or(0, |word| word.offset), what))
        };
        let latitude = number(0, 90.0, "a latitude between -90 and 90 was expected")?;
        let longitude = number(1, 180.0, "a longitude between -180 and 180 was expected")?;
        let distance = number(2, 21_000.0, "a distance in kilometres was expected")?;
        Ok(Expr::Near(latitude, longitude, distance))
    }

    fn field(&mut self, text: &str, word: &Word) -> Result<Field, Fault> {
        self.count()?;
        let field = Field::find(&word.text).map_err(|refusal| {
            let message = at(text, word.offset, &refusal.message).message;
            Refusal { message, ..refusal }.at("where")
        })?;
        if self.lasting && field.name() == "group" {
            return Err(not_lasting("groups").into());
        }
        Ok(field)
    }

    /// Who asks for a group asks for what lies within it as well.
    fn cover(&self, field: &Field, test: Test) -> Result<Test, Fault> {
        let named = match test {
            Test::Compare(Comparison::Equal, operand) if field.name() == "group" => vec![operand],
            Test::In(operands) if field.name() == "group" => operands,
            other => return Ok(other),
        };
        let mut groups = BTreeSet::new();
        for operand in named {
            if let Operand::Text(group) = operand {
                groups.extend((self.around.below)(&group)?);
            }
        }
        Ok(Test::In(groups.into_iter().map(Operand::Text).collect()))
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.tests += 1;
        if self.tests <= TESTS_MAX {
            return Ok(());
        }
        let message = format!("a query may have {TESTS_MAX} tests, those of saved queries included");
        Err(Refusal::new(Code::TooLarge, message).at("where").into())
    }

    fn operand(&self, text: &str, field: &Field, word: &Word) -> Result<Operand, Fault> {
        let wrong = |what: &str| {
            at(
                text,
                word.offset,
                &format!("{what} was expected for `{}`", field.name()),
            )
        };
        let value = word.text.as_str();
        Ok(match field.sort() {
            Sort::Text => Operand::Text(value.to_owned()),
            Sort::Version => Operand::Version(value.to_owned(), version(value)),
            Sort::Number => {
                let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
                Operand::Number(number.ok_or_else(|| wrong("a number"))?)
            }
            Sort::Flag => Operand::Flag(match value {
                "yes" | "true" => true,
                "no" | "false" => false,
                _ => return Err(wrong("`yes` or `no`").into()),
            }),
            Sort::Words(words) => {
                let name = find_word(&words(), value)
                    .ok_or_else(|| wrong("a word of the list").allowing(words().into_iter().map(said)))?;
                Operand::Name(name)
            }
            Sort::Time => {
                let wrong = || wrong("a date, a time or `now-30d`");
                match from_now(value) {
                    Some(offset_ms) if self.lasting => Operand::Now(offset_ms),
                    Some(offset_ms) => Operand::Time(self.around.now_ms.saturating_add(offset_ms)),
                    None => Operand::Time(time(value).ok_or_else(wrong)?),
                }
            }
        })
    }
}

/// What a dynamic group's query may not rest on.
pub(super) fn not_lasting(what: &str) -> Refusal {
    let message = format!(
        "the query of a dynamic group may not rest on {what}: its members follow from each device and the time alone"
    );
    Refusal::invalid("query", message)
}

fn find_word(names: &[&'static str], value: &str) -> Option<&'static str> {
    let is = |name: &&&str| name.eq_ignore_ascii_case(value) || said(name).eq_ignore_ascii_case(value);
    names.iter().find(is).copied()
}

/// A version that can be ordered; people leave the last numbers out.
pub(crate) fn version(text: &str) -> Option<semver::Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let padding = match numbers.split('.').count() {
        1 => ".0.0",
        2 => ".0",
        _ => "",
    };
    semver::Version::parse(&format!("{numbers}{padding}{rest}")).ok()
}

/// `now`, `now-30d`: milliseconds from the present time.
fn from_now(text: &str) -> Option<i64> {
    let (sign, length) = match text.strip_prefix("now")?.split_at_checked(1) {
        None => return Some(0),
        Some(("+", length)) => (1, length),
        Some(("-", length)) => (-1, length),
        Some(_) => return None,
    };
    let length = i64::try_from(humantime::parse_duration(length).ok()?.as_millis()).ok()?;
    Some(sign * length)
}

/// `2026-01-31`, or a time as RFC 3339 writes it.
fn time(text: &str) -> Option<i64> {
    if let Some(ms) = day(text) {
        return Some(ms);
    }
    let since = humantime::parse_rfc3339(text)
        .ok()?
        .duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.ok()?.as_millis()).ok()
}

impl Comparison {
    /// Whether it holds of things that stand so.
    pub(super) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering.is_eq(),
            Comparison::Unequal => ordering.is_ne(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
        }
    }
}
