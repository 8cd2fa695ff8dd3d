//! The grammar: text to words with a structure, nothing more.

use winnow::{
    ModalResult, Parser,
    ascii::{Caseless, multispace0},
    combinator::{
        alt, cut_err, delimited, dispatch, fail, not, opt, peek, preceded, repeat, separated, terminated,
    },
    error::{ContextError, StrContext, StrContextValue},
    stream::{LocatingSlice, Location as _, Stateful},
    token::{any, one_of, take_till, take_while},
};

use contract::Refusal;

use super::{DEPTH_MAX, at};

/// A query as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    Or(Vec<Term>),
    And(Vec<Term>),
    Not(Box<Term>),
    Has(Word),
    Saved(Word),
    Near(Vec<Word>),
    Compare(Word, Comparison, Word),
    In(Word, Vec<Word>),
    Like(Word, Word),
    Between(Word, Word, Word),
}

/// A word or a quoted text, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) offset: usize,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

type Input<'a> = Stateful<LocatingSlice<&'a str>, usize>;

/// Words that are no names of fields.
const RESERVED: [&str; 8] = ["and", "or", "not", "in", "like", "between", "has", "near"];

/// Reads a whole query.
pub(super) fn parse(text: &str) -> Result<Term, Refusal> {
    let input = Stateful {
        input: LocatingSlice::new(text),
        state: 0,
    };
    terminated(query, multispace0).parse(input).map_err(|error| {
        let what = expectations(error.inner());
        at(text, error.offset(), &what)
    })
}

fn expectations(error: &ContextError) -> String {
    let mut expected: Vec<String> = error
        .context()
        .filter_map(|context| match context {
            StrContext::Expected(StrContextValue::Description(text)) => Some((*text).to_owned()),
            _ => None,
        })
        .collect();
    expected.dedup();
    match expected.as_slice() {
        [] => "`and`, `or` or the end was expected".to_owned(),
        [first, ..] => format!("{first} was expected"),
    }
}

fn expected(what: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(what))
}

fn query(input: &mut Input<'_>) -> ModalResult<Term> {
    if input.state >= DEPTH_MAX {
        return cut_err(fail.context(expected("a query that is nested less deeply"))).parse_next(input);
    }
    input.state += 1;
    let terms: ModalResult<Vec<Term>> = separated(1.., all, keyword("or")).parse_next(input);
    input.state -= 1;
    Ok(unwrap_single(terms?, Term::Or))
}

fn all(input: &mut Input<'_>) -> ModalResult<Term> {
    let terms: Vec<Term> = separated(1.., one, keyword("and")).parse_next(input)?;
    Ok(unwrap_single(terms, Term::And))
}

fn one(input: &mut Input<'_>) -> ModalResult<Term> {
    let negations: usize = repeat(0.., keyword("not")).parse_next(input)?;
    let term = cut_err(bare).parse_next(input)?;
    Ok(if negations.is_multiple_of(2) {
        term
    } else {
        Term::Not(Box::new(term))
    })
}

fn unwrap_single(mut terms: Vec<Term>, many: fn(Vec<Term>) -> Term) -> Term {
    match terms.pop() {
        Some(term) if terms.is_empty() => term,
        last => {
            terms.extend(last);
            many(terms)
        }
    }
}

fn bare(input: &mut Input<'_>) -> ModalResult<Term> {
    alt((
        delimited(sign("("), query, close),
        preceded(keyword("has"), cut_err(field)).map(Term::Has),
        preceded(sign("@"), cut_err(word)).map(Term::Saved),
        preceded(
            (keyword("near"), sign("(")),
            cut_err(terminated(separated(3..=3, value, sign(",")), close)),
        )
        .map(Term::Near),
        test,
    ))
    .context(expected("a field, `has`, `near`, `not`, `@` or `(`"))
    .parse_next(input)
}

fn test(input: &mut Input<'_>) -> ModalResult<Term> {
    let field = field.parse_next(input)?;
    let negated = opt(keyword("not")).parse_next(input)?.is_some();
    let term = match negated {
        true => cut_err(with_word(field).context(expected("`in`, `like` or `between`"))).parse_next(input)?,
        false => cut_err(
            alt((compared(field.clone()), with_word(field)))
                .context(expected("a comparison, `in`, `like` or `between`")),
        )
        .parse_next(input)?,
    };
    Ok(if negated { Term::Not(Box::new(term)) } else { term })
}

fn compared<'a>(field: Word) -> impl FnMut(&mut Input<'a>) -> ModalResult<Term> {
    move |input| {
        let comparison = comparison.parse_next(input)?;
        let value = cut_err(value).parse_next(input)?;
        Ok(Term::Compare(field.clone(), comparison, value))
    }
}

fn with_word<'a>(field: Word) -> impl Parser<Input<'a>, Term, winnow::error::ErrMode<ContextError>> {
    let (a, b, c) = (field.clone(), field.clone(), field);
    let values = delimited(sign("("), separated(1.., value, sign(",")), close);
    alt((
        preceded(
            keyword("in"),
            cut_err(values.context(expected("values in parentheses"))),
        )
        .map(move |values| Term::In(a.clone(), values)),
        preceded(keyword("like"), cut_err(value)).map(move |pattern| Term::Like(b.clone(), pattern)),
        preceded(
            keyword("between"),
            cut_err((terminated(value, keyword("and")), value)),
        )
        .map(move |(low, high)| Term::Between(c.clone(), low, high)),
    ))
}

fn comparison(input: &mut Input<'_>) -> ModalResult<Comparison> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Unequal};
    let mut first = preceded(multispace0, any);
    dispatch! { first;
        '=' => opt('=').value(Equal),
        '!' => '='.value(Unequal),
        '<' => opt('=').map(|equal: Option<char>| if equal.is_some() { LessOrEqual } else { Less }),
        '>' => opt('=').map(|equal: Option<char>| if equal.is_some() { GreaterOrEqual } else { Greater }),
        _ => fail,
    }
    .parse_next(input)
}

fn field(input: &mut Input<'_>) -> ModalResult<Word> {
    let start = multispace0
        .parse_next(input)
        .map(|_: &str| input.current_token_start())?;
    let reserved = alt(RESERVED.map(Caseless));
    not((reserved, peek_end)).parse_next(input)?;
    let text = alt((quoted, plain))
        .context(expected("a field"))
        .parse_next(input)?;
    Ok(Word { text, offset: start })
}

fn value(input: &mut Input<'_>) -> ModalResult<Word> {
    let offset = opt(preceded(multispace0, from_now)).parse_next(input)?;
    match offset {
        Some(word) => Ok(word),
        None => word.context(expected("a value")).parse_next(input),
    }
}

/// `now - 30d`, which may be written without blanks: one value.
fn from_now(input: &mut Input<'_>) -> ModalResult<Word> {
    let offset = input.current_token_start();
    "now".parse_next(input)?;
    let sign = preceded(multispace0, one_of(['+', '-'])).parse_next(input)?;
    let length = preceded(multispace0, plain).parse_next(input)?;
    let text = format!("now{sign}{length}");
    Ok(Word { text, offset })
}

fn word(input: &mut Input<'_>) -> ModalResult<Word> {
    let start = multispace0
        .parse_next(input)
        .map(|_: &str| input.current_token_start())?;
    let text = alt((quoted, plain)).parse_next(input)?;
    Ok(Word { text, offset: start })
}

fn plain(input: &mut Input<'_>) -> ModalResult<String> {
    take_while(1.., is_plain).map(str::to_owned).parse_next(input)
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/' | '+' | '*' | '?' | '%')
}

/// In either quotes; the quote itself is written twice.
fn quoted(input: &mut Input<'_>) -> ModalResult<String> {
    let quote = one_of(['\'', '"']).parse_next(input)?;
    let mut text = String::new();
    loop {
        let part = cut_err(terminated(take_till(0.., quote), quote))
            .context(expected("the closing quote"))
            .parse_next(input)?;
        text.push_str(part);
        if opt(quote).parse_next(input)?.is_none() {
            return Ok(text);
        }
        text.push(quote);
    }
}

fn keyword<'a>(text: &'static str) -> impl Parser<Input<'a>, (), winnow::error::ErrMode<ContextError>> {
    delimited(multispace0, Caseless(text), peek_end).void()
}

/// A keyword ends where no further letter of a word follows.
fn peek_end(input: &mut Input<'_>) -> ModalResult<()> {
    not(peek(take_while(1, is_plain))).parse_next(input)
}

fn sign<'a>(text: &'static str) -> impl Parser<Input<'a>, (), winnow::error::ErrMode<ContextError>> {
    preceded(multispace0, text).void()
}

fn close(input: &mut Input<'_>) -> ModalResult<()> {
    cut_err(sign(")").context(expected("`)`"))).parse_next(input)
}
