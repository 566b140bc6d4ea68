//! Format strings: text with command operators between `%`.

use crate::operator::Operator;

/// A compiled format string.
#[derive(Debug, PartialEq)]
pub(crate) struct Template {
    pub(crate) pieces: Vec<Piece>,
}

/// A part of a format string.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    Operator(Operator),
}

impl Template {
    /// Compiles a format string.
    pub(crate) fn parse(format: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = format;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let (operator, after) = operator(after).map_err(|error| format!("{format:?}: {error}"))?;
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Operator(operator));
            rest = after;
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(Self { pieces })
    }
}

/// Reads `NAME`, `(ARGUMENT)` and `:LENGTH` up to the closing `%`. Only the argument may hold a `%`.
fn operator(text: &str) -> Result<(Operator, &str), String> {
    let end = text
        .find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .unwrap_or(text.len());
    let (name, mut rest) = text.split_at(end);
    let mut argument = None;
    if let Some(open) = rest.strip_prefix('(') {
        let (inside, after) = open
            .split_once(')')
            .ok_or_else(|| format!("%{name}( has no ')'"))?;
        (argument, rest) = (Some(inside), after);
    }
    let mut limit = None;
    if let Some(length) = rest.strip_prefix(':') {
        let end = length.find(|c: char| !c.is_ascii_digit()).unwrap_or(length.len());
        let (digits, after) = length.split_at(end);
        limit = Some(
            digits
                .parse()
                .map_err(|_| format!("%{name}: a length must be a number"))?,
        );
        rest = after;
    }
    let rest = rest.strip_prefix('%').filter(|_| !name.is_empty());
    let rest = rest.ok_or_else(|| format!("%{name} is not closed by '%'; write %% for a percent sign"))?;
    Ok((Operator::new(name, argument, limit)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_and_text_stay() {
        let text = |text: &str| Template {
            pieces: vec![Piece::Text(text.to_owned())],
        };
        assert_eq!(Template::parse("100%% sure"), Ok(text("100% sure")));
        assert_eq!(Template::parse(""), Ok(Template { pieces: vec![] }));
    }

    #[test]
    fn a_bad_operator_is_named() {
        let check = |format: &str, expect: &str| {
            let error = Template::parse(format).err().unwrap_or_default();
            assert!(error.contains(expect), "{format}: {error}");
        };
        check("%NOPE%", "unknown operator %NOPE%");
        check("%REQ%", "%REQ% needs an argument");
        check("%REQ()%", "write HEADER or HEADER?ALTERNATIVE");
        check("%REQ(a", "has no ')'");
        check("%REQ(a):x%", "a length must be a number");
        check("%DURATION", "not closed");
        check("50% off", "not closed");
        check("%DURATION(x)%", "takes no argument");
        check("%PROTOCOL:4%", "takes no length");
        check("%DYNAMIC_METADATA(only)%", "write NAMESPACE:KEY");
        check("%START_TIME(%Q)%", "%Q");
    }
}
