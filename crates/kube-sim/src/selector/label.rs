//! The label selector grammar. Mirrors kubernetes/apimachinery pkg/labels/selector.go, errors included.

use serde_json::Value;

use crate::field::go_quote;
use crate::names;

/// A conjunction of requirements; the empty one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Absent,
    Greater,
    Less,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Symbol(&'static str),
    End,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Token::Word(word) => word,
            Token::Symbol(symbol) => symbol,
            Token::End => "",
        }
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self, Token::Symbol(s) if *s == symbol)
    }

    /// `in` and `notin` are words in a value list, and operators after a key.
    fn is_word(&self) -> bool {
        matches!(self, Token::Word(_))
    }
}

fn lex(text: &str) -> Vec<Token> {
    const SYMBOLS: &[&str] = &["==", "!=", "=", "!", "(", ")", ",", ">", "<"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(symbol) = SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
            tokens.push(Token::Symbol(symbol));
            rest = &rest[symbol.len()..];
        } else {
            let special = |c: char| c.is_ascii_whitespace() || "=!(),<>".contains(c);
            let end = rest.find(special).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    tokens.push(Token::End);
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn requirements(&mut self) -> Result<Vec<Requirement>, String> {
        let mut out = Vec::new();
        loop {
            match self.peek() {
                Token::End => return Ok(out),
                token if token.is_word() || token.is("!") => {
                    out.push(
                        self.requirement()
                            .map_err(|e| format!("unable to parse requirement: {e}"))?,
                    );
                    let after = self.next();
                    if after == Token::End {
                        return Ok(out);
                    }
                    if !after.is(",") {
                        return Err(format!("found '{}', expected: ',' or 'end of string'", after.text()));
                    }
                    let next = self.peek();
                    if !(next.is_word() || next.is("!")) {
                        return Err(format!("found '{}', expected: identifier after ','", next.text()));
                    }
                }
                other => {
                    return Err(format!(
                        "found '{}', expected: !, identifier, or 'end of string'",
                        other.text()
                    ));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek().is("!");
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(word) => word,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        if let Some(problem) = names::qualified_name(&key).first() {
            return Err(format!("<nil>: Invalid value: {}: {problem}", go_quote(&key)));
        }
        if absent || *self.peek() == Token::End || self.peek().is(",") {
            let operator = if absent { Operator::Absent } else { Operator::Exists };
            return Ok(Requirement {
                key,
                operator,
                values: Vec::new(),
            });
        }
        let (operator, list) = match self.next() {
            Token::Word(word) if word == "in" => (Operator::In, true),
            Token::Word(word) if word == "notin" => (Operator::NotIn, true),
            Token::Symbol("=" | "==") => (Operator::In, false),
            Token::Symbol("!=") => (Operator::NotIn, false),
            Token::Symbol(">") => (Operator::Greater, false),
            Token::Symbol("<") => (Operator::Less, false),
            other => {
                return Err(format!(
                    "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                    other.text()
                ));
            }
        };
        let values = if list { self.list()? } else { vec![self.exact()?] };
        check_values(&key, operator, &values)?;
        Ok(Requirement { key, operator, values })
    }

    /// A value list in parentheses; an empty element is the empty string.
    fn list(&mut self) -> Result<Vec<String>, String> {
        let open = self.next();
        if !open.is("(") {
            return Err(format!("found '{}' expected: '('", open.text()));
        }
        let mut values = vec![String::new()];
        loop {
            match self.next() {
                Token::Word(word) => {
                    if let Some(last) = values.last_mut() {
                        *last = word;
                    }
                    if !(self.peek().is(",") || self.peek().is(")")) {
                        return Err(format!("found '{}', expected: ',' or ')'", self.peek().text()));
                    }
                }
                Token::Symbol(",") => values.push(String::new()),
                Token::Symbol(")") => return Ok(values),
                other => return Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
            }
        }
    }

    fn exact(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Symbol(",") => Ok(String::new()),
            Token::Word(word) => {
                let word = word.clone();
                self.next();
                Ok(word)
            }
            other @ Token::Symbol(_) => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }
}

fn check_values(key: &str, operator: Operator, values: &[String]) -> Result<(), String> {
    for (i, value) in values.iter().enumerate() {
        let quoted = go_quote(value);
        if matches!(operator, Operator::Greater | Operator::Less) && value.parse::<i64>().is_err() {
            return Err(format!(
                "values[{i}]: Invalid value: {quoted}: for 'Gt', 'Lt' operators, the value must be an integer"
            ));
        }
        if let Some(problem) = names::label_value(value).first() {
            return Err(format!("values[{i}][{key}]: Invalid value: {quoted}: {problem}"));
        }
    }
    Ok(())
}

impl LabelSelector {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: lex(text),
            at: 0,
        };
        parser.requirements().map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object's labels meet every requirement.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0
            .iter()
            .all(|requirement| requirement.matches(labels.get(&requirement.key).and_then(Value::as_str)))
    }
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let listed = || value.is_some_and(|v| self.values.iter().any(|w| w == v));
        let number = |text: Option<&str>| text.and_then(|t| t.parse::<i64>().ok());
        let bound = number(self.values.first().map(String::as_str));
        match self.operator {
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Greater => number(value).is_some_and(|n| bound.is_some_and(|b| n > b)),
            Operator::Less => number(value).is_some_and(|n| bound.is_some_and(|b| n < b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requirements_match_as_the_grammar_says() {
        let object = json!({"metadata": {"labels": {"app": "x", "num": "5", "empty": ""}}});
        for (text, expected) in [
            ("", true),
            ("app=x", true),
            ("app==x,num", true),
            ("app!=x", false),
            ("nosuch!=x", true),
            ("app in (x,y)", true),
            ("nosuch notin (x)", true),
            ("!app", false),
            ("num>3,num<6", true),
            ("num>5", false),
            ("empty=", true),
            ("empty in ()", true),
            ("in in (in)", false),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&object), expected, "{text}");
        }
    }
}
