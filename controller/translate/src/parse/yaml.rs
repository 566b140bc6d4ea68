//! YAML text → a tree that knows its lines, with bounded work: no file can make it deep, or large by
//! aliases.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Error, Options, Spanned};

/// One document of a file.
pub(super) struct Document<'a> {
    text: &'a str,
    /// The lines before it.
    offset: u64,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// From 1, in the file.
    pub(super) line: u64,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Scalar(Value),
    Sequence(Vec<Node>),
    /// The members with the lines of their keys.
    Mapping(Vec<(String, u64, Node)>),
}

/// Splits a file at its `---` lines and drops the parts that hold nothing.
pub(super) fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 0, 0);
    for (line, content) in text.split_inclusive('\n').enumerate() {
        let rest = content.strip_prefix("---");
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])) && at > start
        {
            documents.push((start, at, start_line));
            (start, start_line) = (at, line as u64);
        }
        at += content.len();
    }
    documents.push((start, at, start_line));
    let documents = documents.into_iter().filter_map(|(start, end, offset)| {
        let text = text.get(start..end)?;
        let holds_something = text.lines().any(|line| {
            let line = line
                .strip_prefix("---")
                .unwrap_or(line)
                .trim_start_matches('\u{feff}')
                .trim();
            !line.is_empty() && !line.starts_with('#')
        });
        holds_something.then_some(Document { text, offset })
    });
    documents.collect()
}

/// Reads one document; `None` when it is null. An error has its line.
pub(super) fn read(document: &Document<'_>) -> Result<Option<Node>, (u64, String)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: 250_000, max_documents: 2, },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 50_000, max_replay_stack_depth: 4, },
        strict_booleans: true,
        with_snippet: false,
    };
    match parse(document.text, options) {
        Ok(spanned) => {
            let node = Node::new(spanned, document.offset);
            Ok((!matches!(node.content, Content::Scalar(Value::Null))).then_some(node))
        }
        Err(error) => {
            let line = error.location().map_or(1, |it| it.line().max(1));
            Err((document.offset + line, explain(&error)))
        }
    }
}

/// The parser's errors in terms of manifests; its own line numbers count from the start of the document.
fn explain(error: &Error) -> String {
    match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the field {key:?} stands twice; remove one of the two")
        }
        Error::Budget { .. } => {
            format!("the document is deeper than {MAX_DEPTH} levels or has too many parts; split it")
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            "the aliases of the document stand for too much; write out what is meant".to_owned()
        }
        Error::AliasError { error, .. } => explain(error),
        _ => {
            let text = error.to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            let column = error
                .location()
                .map(|it| format!(", at column {}", it.column()))
                .unwrap_or_default();
            format!("not readable as YAML: {text}{column}")
        }
    }
}

/// The deepest object; real ones have about 20 levels.
const MAX_DEPTH: usize = 48;

fn parse(text: &str, options: Options) -> Result<Spanned<Raw>, Error> {
    serde_saphyr::from_str_with_options(text, options)
}

impl Node {
    fn new(raw: Spanned<Raw>, offset: u64) -> Self {
        let content = match raw.value {
            Raw::Scalar(value) => Content::Scalar(value),
            Raw::Sequence(items) => {
                Content::Sequence(items.into_iter().map(|it| Self::new(it, offset)).collect())
            }
            Raw::Mapping(members) => {
                let member = |(key, value): (Spanned<String>, Spanned<Raw>)| {
                    (
                        key.value,
                        offset + key.referenced.line(),
                        Self::new(value, offset),
                    )
                };
                Content::Mapping(members.into_iter().map(member).collect())
            }
        };
        Self {
            line: offset + raw.referenced.line().max(1),
            content,
        }
    }

    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.content, Content::Mapping(_))
    }

    pub(super) fn is_sequence(&self) -> bool {
        matches!(self.content, Content::Sequence(_))
    }

    pub(super) fn type_name(&self) -> &'static str {
        match &self.content {
            Content::Sequence(_) => "list",
            Content::Mapping(_) => "object",
            Content::Scalar(value) => super::schema::type_name(value),
        }
    }

    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Content::Mapping(members) = &self.content else {
            return None;
        };
        members
            .iter()
            .find(|(key, ..)| key == name)
            .map(|(.., value)| value)
    }

    pub(super) fn items(&self) -> &[Self] {
        match &self.content {
            Content::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The text of a member.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match &self.member(name)?.content {
            Content::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(value) => value.clone(),
            Content::Sequence(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Mapping(members) => Value::Object(
                members
                    .iter()
                    .map(|(key, _, it)| (key.clone(), it.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// The line of a field such as `spec.rules[0].name`, or of the nearest part of it that is written.
    pub(super) fn line_of(&self, field: &str) -> u64 {
        let (mut node, mut line) = (self, self.line);
        let steps = field
            .split(['.', '['])
            .map(|step| step.trim_end_matches(']'))
            .filter(|it| !it.is_empty());
        for step in steps {
            let next = match &node.content {
                Content::Mapping(members) => members
                    .iter()
                    .find(|(key, ..)| key == step)
                    .map(|(_, line, it)| (*line, it)),
                Content::Sequence(items) => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get(index))
                    .map(|it| (it.line, it)),
                Content::Scalar(_) => None,
            };
            let Some((at, next)) = next else { break };
            (line, node) = (at, next);
        }
        line
    }
}

/// The tree as the parser gives it.
enum Raw {
    Scalar(Value),
    Sequence(Vec<Spanned<Self>>),
    Mapping(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(
            Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number),
        ))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Raw::Mapping(members))
    }
}
