//! Compiles a configuration and computes what it does to a message. Pure: what is asked comes from a
//! [`Source`], and the answer is a list of edits.

use std::rc::Rc;

use minijinja::Value;

use crate::config::{self, ParseAs};
use crate::engine::{Engine, Template};
use crate::function::Frame;
use crate::source::Source;

/// A compiled transformation of one message.
pub(crate) struct Transform {
    engine: Engine,
    set: Vec<(String, Template)>,
    add: Vec<(String, Template)>,
    remove: Vec<String>,
    body: Option<Template>,
    metadata: Vec<(String, String, Template)>,
    parse_as: ParseAs,
}

/// How much of the body a transformation has to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// None of it, and it stays.
    Head,
    /// None of it, but another one takes its place.
    Replace,
    /// All of it.
    Whole,
}

/// What became of a message.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// In this order.
    pub(crate) edits: Vec<Edit>,
    /// The new body, if there is one.
    pub(crate) body: Option<String>,
    /// What failed and was left out.
    pub(crate) errors: Vec<String>,
}

/// One edit of a message.
#[derive(Debug, PartialEq)]
pub(crate) enum Edit {
    Set(String, String),
    Append(String, String),
    Remove(String),
    Share {
        namespace: String,
        key: String,
        value: String,
    },
}

/// Why a message is refused with 400.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// A JSON body was expected.
    NotJson(String),
    /// A template needs a variable, and no JSON body brought any.
    Variable(String),
}

impl Transform {
    /// Compiles every template. `side` is `request` or `response`, for errors.
    pub(crate) fn compile(config: &config::Transform, side: &str) -> Result<Self, String> {
        let mut engine = Engine::new();
        let headers = |engine: &mut Engine, list: &[config::Header], field: &str| {
            // A template's name is its identity: two entries may be for one header.
            let compile = |(index, header): (usize, &config::Header)| {
                let name = header_name(&header.name, side, field)?;
                let template = engine.compile(format!("{side}.{field}[{index}] ({name})"), &header.value)?;
                Ok((name, template))
            };
            list.iter()
                .enumerate()
                .map(compile)
                .collect::<Result<Vec<_>, String>>()
        };
        let set = headers(&mut engine, &config.set, "set")?;
        let add = headers(&mut engine, &config.add, "add")?;
        let remove = config
            .remove
            .iter()
            .map(|name| header_name(name, side, "remove"))
            .collect::<Result<_, _>>()?;
        let text = config.body.as_ref().and_then(|body| body.value.as_deref());
        let body = text
            .map(|text| engine.compile(format!("{side}.body"), text))
            .transpose()?;
        let metadata = |(index, item): (usize, &config::Metadata)| {
            let name = format!(
                "{side}.dynamicMetadata[{index}] ({}:{})",
                item.namespace, item.key
            );
            let template = engine.compile(name, &item.value.string_value)?;
            Ok((item.namespace.clone(), item.key.clone(), template))
        };
        let metadata = config
            .dynamic_metadata
            .iter()
            .enumerate()
            .map(metadata)
            .collect::<Result<_, String>>()?;
        let parse_as = config.body.as_ref().map_or(ParseAs::None, |body| body.parse_as);
        Ok(Self {
            engine,
            set,
            add,
            remove,
            body,
            metadata,
            parse_as,
        })
    }

    /// How much of the body it has to see.
    pub(crate) fn plan(&self) -> Plan {
        let reads = |template: &Template| template.calls("body") || template.calls("context");
        match (self.parse_as, &self.body) {
            (ParseAs::AsJson, _) => Plan::Whole,
            (ParseAs::AsString, Some(template)) if reads(template) => Plan::Whole,
            (_, Some(_)) => Plan::Replace,
            (_, None) => Plan::Head,
        }
    }

    /// Computes the edits. `body` is what was read of it: `None` for a message whose body must pass untouched.
    ///
    /// Every template sees the message as it came, so nothing is edited before all are rendered.
    pub(crate) fn evaluate(&self, source: Rc<dyn Source>, body: Option<&[u8]>) -> Result<Outcome, Refusal> {
        let bytes = body.unwrap_or_default();
        let json = self.parse(bytes)?;
        let frame = Frame {
            source,
            body: String::from_utf8_lossy(bytes).into_owned(),
            context: json.clone().unwrap_or_default(),
        };
        let mut outcome = Outcome::default();
        let rendering = Rendering {
            engine: &self.engine,
            frame: Rc::new(frame),
            variables: json,
        };
        if let Some(template) = self.body.as_ref().filter(|_| body.is_some()) {
            self.body(template, &rendering, &mut outcome);
        }
        for (name, template) in &self.set {
            match rendering.value(template, &mut outcome.errors)? {
                Some(value) if value.is_empty() => outcome.edits.push(Edit::Remove(name.clone())),
                Some(value) => outcome.edits.push(Edit::Set(name.clone(), value)),
                None => {}
            }
        }
        for (name, template) in &self.add {
            if let Some(value) = rendering
                .value(template, &mut outcome.errors)?
                .filter(|value| !value.is_empty())
            {
                outcome.edits.push(Edit::Append(name.clone(), value));
            }
        }
        outcome
            .edits
            .extend(self.remove.iter().cloned().map(Edit::Remove));
        for (namespace, key, template) in &self.metadata {
            if let Some(value) = rendering.text(template, &mut outcome.errors)? {
                outcome.edits.push(Edit::Share {
                    namespace: namespace.clone(),
                    key: key.clone(),
                    value,
                });
            }
        }
        Ok(outcome)
    }

    fn parse(&self, body: &[u8]) -> Result<Option<Value>, Refusal> {
        if self.parse_as != ParseAs::AsJson || body.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(body)
            .map(Some)
            .map_err(|error| Refusal::NotJson(error.to_string()))
    }

    /// Renders the body. What fails empties it, and an empty body has no type.
    fn body(&self, template: &Template, rendering: &Rendering<'_>, outcome: &mut Outcome) {
        let body = rendering
            .declared(template)
            .and_then(|()| rendering.render(template));
        let body = body.unwrap_or_else(|error| {
            outcome.errors.push(error);
            String::new()
        });
        if body.is_empty() {
            outcome.edits.push(Edit::Remove("content-type".to_owned()));
        }
        outcome.body = Some(body);
    }
}

/// Renders the templates of one message.
struct Rendering<'a> {
    engine: &'a Engine,
    frame: Rc<Frame>,
    /// The root of the JSON body, when one was parsed.
    variables: Option<Value>,
}

impl Rendering<'_> {
    fn declared(&self, template: &Template) -> Result<(), String> {
        if self.variables.is_some() {
            Ok(())
        } else {
            template.without_variables()
        }
    }

    fn render(&self, template: &Template) -> Result<String, String> {
        let variables = self.variables.clone().unwrap_or_default();
        self.engine.render(template, &variables, &self.frame)
    }

    /// A text; `None` when rendering failed, which is noted.
    fn text(&self, template: &Template, errors: &mut Vec<String>) -> Result<Option<String>, Refusal> {
        self.declared(template).map_err(Refusal::Variable)?;
        Ok(self.render(template).map_err(|error| errors.push(error)).ok())
    }

    /// A header value: one line.
    fn value(&self, template: &Template, errors: &mut Vec<String>) -> Result<Option<String>, Refusal> {
        let Some(text) = self.text(template, errors)? else {
            return Ok(None);
        };
        if text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            errors.push(format!("{template}: the value has control characters"));
            return Ok(None);
        }
        Ok(Some(text))
    }
}

/// A header name in lower case: a token, or the name of a pseudo header.
fn header_name(name: &str, side: &str, field: &str) -> Result<String, String> {
    let token = name.strip_prefix(':').unwrap_or(name);
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if token.is_empty() || name.len() > 256 || !token.bytes().all(is_token) {
        return Err(format!("{side}.{field}: {name:?} is not a header name"));
    }
    Ok(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
