//! Compiles a configuration into the records it asks for. Pure.

use crate::config::{Config, Format};
use crate::json::Node;
use crate::record::Source;
use crate::template::Template;

/// The compiled forms, one for each sink.
pub(crate) struct Forms(Vec<Form>);

enum Form {
    Json(Node),
    Text(Template),
}

impl Forms {
    /// Compiles every format.
    pub(crate) fn compile(config: &Config) -> Result<Self, String> {
        let form = |(at, sink): (usize, &crate::config::Sink)| {
            let form = match &sink.format {
                Format::Json(fields) => Node::object(fields).map(Form::Json),
                Format::Text(format) => Template::parse(format).map(Form::Text),
            };
            form.map_err(|error| format!("sinks[{at}] ({}): format: {error}", sink.path))
        };
        if config.sinks.is_empty() {
            return Err("sinks: name at least one".to_owned());
        }
        Ok(Self(
            config
                .sinks
                .iter()
                .enumerate()
                .map(form)
                .collect::<Result<_, _>>()?,
        ))
    }

    /// Hands over each sink's number with the record of an exchange, in one buffer after the other.
    pub(crate) fn write(&self, source: &impl Source, buffer: &mut Vec<u8>, mut sink: impl FnMut(u32, &[u8])) {
        for (number, form) in (0..).zip(&self.0) {
            buffer.clear();
            match form {
                Form::Json(node) => {
                    node.write(source, buffer);
                    buffer.push(b'\n');
                }
                Form::Text(template) => template.write(source, buffer),
            }
            sink(number, buffer);
        }
    }
}

#[cfg(test)]
mod tests;
