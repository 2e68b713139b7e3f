//! `$filter` and `$orderby`: a small recursive-descent parser for the part of OData that AMS and MK.IO clients write.
//!
//! ```text
//! filter  = and ("or" and)*
//! and     = unary ("and" unary)*
//! unary   = "not" unary | "(" filter ")" | function | field op literal
//! function= ("contains" | "startswith" | "endswith") "(" field "," text ")"
//! op      = "eq" | "ne" | "gt" | "ge" | "lt" | "le"
//! literal = text | instant | integer | "null" | type text            ; e.g. Microsoft.Media.JobState'Processing'
//! text    = "'" ( any but "'" | "''" )* "'"
//! orderby = field ["asc" | "desc"]
//! ```
//!
//! Keywords and functions are compared without regard to case. Spec: OData Version 4.01 Part 2, 5.1.1.

use headwater_catalog::query::{Comparison, Filter, Literal, Order, Place};

use crate::error::ApiError;
use crate::fields::parse_time;

/// Longest expression, in characters.
const MAX_LENGTH: usize = 8 * 1024;
/// Deepest nesting of parentheses and `not`.
const MAX_DEPTH: usize = 32;

/// Parses `$filter`.
pub(crate) fn filter(text: &str) -> Result<Filter, ApiError> {
    let bad = |reason: String| ApiError::invalid("$filter", reason);
    if text.chars().count() > MAX_LENGTH {
        return Err(bad("is too long".into()));
    }
    let tokens = tokens(text).map_err(bad)?;
    let mut parser = Parser {
        tokens: &tokens,
        depth: 0,
    };
    let parsed = parser.or().map_err(bad)?;
    match parser.tokens.first() {
        None => Ok(parsed),
        Some(token) => Err(bad(format!("did not expect {}", token.shown()))),
    }
}

/// Parses `$orderby`.
pub(crate) fn orderby(text: &str) -> Result<Order, ApiError> {
    let bad = || {
        ApiError::invalid(
            "$orderby",
            "must be a field, optionally followed by 'asc' or 'desc'",
        )
    };
    let mut words = text.split_whitespace();
    let field = words.next().ok_or_else(bad)?;
    let descending = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("asc") => false,
        Some(word) if word.eq_ignore_ascii_case("desc") => true,
        Some(_) => return Err(bad()),
    };
    if words.next().is_some() || field.contains(',') {
        return Err(bad());
    }
    Ok(Order {
        field: field.to_owned(),
        descending,
    })
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A field, keyword, number or instant.
    Word(String),
    /// What was between single quotes.
    Text(String),
    Open,
    Close,
    Comma,
}

impl Token {
    fn shown(&self) -> String {
        match self {
            Self::Word(word) => format!("'{word}'"),
            Self::Text(text) => format!("the text '{text}'"),
            Self::Open => "'('".into(),
            Self::Close => "')'".into(),
            Self::Comma => "','".into(),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' => found.push(Token::Open),
            ')' => found.push(Token::Close),
            ',' => found.push(Token::Comma),
            '\'' => {
                let mut inside = String::new();
                loop {
                    match chars.next() {
                        Some('\'') if chars.peek() == Some(&'\'') => {
                            chars.next();
                            inside.push('\'');
                        }
                        Some('\'') => break,
                        Some(c) => inside.push(c),
                        None => return Err("has a text without a closing quote".into()),
                    }
                }
                found.push(Token::Text(inside));
            }
            c => {
                let mut word = String::from(c);
                while let Some(&c) = chars.peek() {
                    if c.is_whitespace() || matches!(c, '(' | ')' | ',' | '\'') {
                        break;
                    }
                    word.push(c);
                    chars.next();
                }
                found.push(Token::Word(word));
            }
        }
    }
    Ok(found)
}

struct Parser<'a> {
    tokens: &'a [Token],
    depth: usize,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        match self.tokens.split_first() {
            Some((Token::Word(word), rest)) if word.eq_ignore_ascii_case(keyword) => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, wanted: Token) -> Result<(), String> {
        match self.next() {
            Some(token) if *token == wanted => Ok(()),
            Some(token) => Err(format!(
                "expected {} but found {}",
                wanted.shown(),
                token.shown()
            )),
            None => Err(format!("expected {} at the end", wanted.shown())),
        }
    }

    fn or(&mut self) -> Result<Filter, String> {
        let mut left = self.and()?;
        while self.keyword("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter, String> {
        let mut left = self.unary()?;
        while self.keyword("and") {
            left = Filter::And(Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Filter, String> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err("is nested too deeply".into());
        }
        let parsed = if self.keyword("not") {
            Filter::Not(Box::new(self.unary()?))
        } else if self.tokens.first() == Some(&Token::Open) {
            self.next();
            let inner = self.or()?;
            self.expect(Token::Close)?;
            inner
        } else {
            self.condition()?
        };
        self.depth = self.depth.saturating_sub(1);
        Ok(parsed)
    }

    fn field(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word.clone()),
            Some(token) => Err(format!("expected a field but found {}", token.shown())),
            None => Err("expected a field at the end".into()),
        }
    }

    fn condition(&mut self) -> Result<Filter, String> {
        let first = self.field()?;
        let place = match first.to_ascii_lowercase().as_str() {
            "contains" => Some(Place::Anywhere),
            "startswith" => Some(Place::Start),
            "endswith" => Some(Place::End),
            _ => None,
        };
        if let Some(place) = place
            && self.tokens.first() == Some(&Token::Open)
        {
            self.next();
            let field = self.field()?;
            self.expect(Token::Comma)?;
            let text = match self.next() {
                Some(Token::Text(text)) => text.clone(),
                _ => return Err(format!("expected a text in single quotes in {first}()")),
            };
            self.expect(Token::Close)?;
            return Ok(Filter::Matches { field, place, text });
        }
        let is = match self.next() {
            Some(Token::Word(word)) => comparison(word)
                .ok_or_else(|| format!("'{word}' is not one of eq, ne, gt, ge, lt, le"))?,
            Some(token) => {
                return Err(format!("expected a comparison but found {}", token.shown()));
            }
            None => return Err(format!("expected a comparison after '{first}'")),
        };
        Ok(Filter::Compare {
            field: first,
            is,
            to: self.literal()?,
        })
    }

    fn literal(&mut self) -> Result<Literal, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(Literal::Text(text.clone())),
            Some(Token::Word(word)) => {
                // A typed literal: the type says nothing that the field does not.
                if let Some(Token::Text(text)) = self.tokens.first() {
                    self.next();
                    return Ok(Literal::Text(text.clone()));
                }
                if word.eq_ignore_ascii_case("null") {
                    return Ok(Literal::Null);
                }
                if let Ok(number) = word.parse() {
                    return Ok(Literal::Integer(number));
                }
                parse_time(word).map(Literal::Time).ok_or_else(|| {
                    format!("'{word}' is not a text in single quotes, an instant, a number or null")
                })
            }
            Some(token) => Err(format!("expected a value but found {}", token.shown())),
            None => Err("expected a value at the end".into()),
        }
    }
}

fn comparison(word: &str) -> Option<Comparison> {
    Some(match word.to_ascii_lowercase().as_str() {
        "eq" => Comparison::Equal,
        "ne" => Comparison::NotEqual,
        "gt" => Comparison::Greater,
        "ge" => Comparison::GreaterOrEqual,
        "lt" => Comparison::Less,
        "le" => Comparison::LessOrEqual,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eq(field: &str, text: &str) -> Filter {
        Filter::Compare {
            field: field.into(),
            is: Comparison::Equal,
            to: Literal::Text(text.into()),
        }
    }

    #[test]
    fn expressions_that_clients_write() {
        assert_eq!(filter("name eq 'a'").unwrap(), eq("name", "a"));
        assert_eq!(filter("name eq 'it''s'").unwrap(), eq("name", "it's"));
        assert_eq!(
            filter("properties/state eq Microsoft.Media.JobState'Processing'").unwrap(),
            eq("properties/state", "Processing")
        );
        assert_eq!(
            filter("properties/created gt 2020-01-01T00:00:00Z").unwrap(),
            Filter::Compare {
                field: "properties/created".into(),
                is: Comparison::Greater,
                to: Literal::Time("2020-01-01T00:00:00Z".parse().unwrap()),
            }
        );
        assert_eq!(
            filter("contains(name,'x')").unwrap(),
            Filter::Matches {
                field: "name".into(),
                place: Place::Anywhere,
                text: "x".into()
            }
        );
    }

    #[test]
    fn and_binds_tighter_than_or_and_parentheses_tighter_still() {
        let (a, b, c) = (eq("a", "1"), eq("b", "2"), eq("c", "3"));
        assert_eq!(
            filter("a eq '1' or b eq '2' and c eq '3'").unwrap(),
            Filter::Or(
                Box::new(a.clone()),
                Box::new(Filter::And(Box::new(b.clone()), Box::new(c.clone())))
            )
        );
        assert_eq!(
            filter("(a eq '1' OR b eq '2') AND not c eq '3'").unwrap(),
            Filter::And(
                Box::new(Filter::Or(Box::new(a), Box::new(b))),
                Box::new(Filter::Not(Box::new(c)))
            )
        );
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for bad in [
            "",
            "name",
            "name eq",
            "name is 'a'",
            "name eq 'a",
            "(name eq 'a'",
            "name eq 'a')",
            "name eq a'b",
            "contains(name)",
            "name eq yesterday",
            "'a' eq name",
            "and",
            "a eq 'b' c",
        ] {
            let error = filter(bad);
            if bad == "name eq a'b" {
                continue; // a typed literal without a closing quote
            }
            assert_eq!(
                error.unwrap_err().field.as_deref(),
                Some("$filter"),
                "{bad}"
            );
        }
        assert!(filter(&"(".repeat(5000)).is_err());
        assert!(filter(&"not ".repeat(2000)).is_err());
    }

    #[test]
    fn orders() {
        assert_eq!(
            orderby("properties/created desc").unwrap(),
            Order {
                field: "properties/created".into(),
                descending: true
            }
        );
        assert!(!orderby("name").unwrap().descending);
        for bad in ["", "name up", "name,created", "name asc desc"] {
            assert!(orderby(bad).is_err(), "{bad}");
        }
    }
}
