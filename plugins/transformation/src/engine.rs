//! Compiles and renders templates.

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use minijinja::{AutoEscape, Environment, Error, Value};

use crate::function::{self, Frame};

/// The templates of one message.
pub(crate) struct Engine {
    environment: Environment<'static>,
}

/// One compiled template of an [`Engine`].
#[derive(Debug)]
pub(crate) struct Template {
    name: String,
    /// The functions and variables it asks for, except those that every template has.
    free: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Engine {
    /// An engine with the functions of transformation.
    pub(crate) fn new() -> Self {
        let mut environment = Environment::new();
        // Header values and JSON are no HTML, whatever a template's name ends in.
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        function::register(&mut environment);
        Self { environment }
    }

    /// Compiles a template; `name` says in errors which one it is.
    pub(crate) fn compile(&mut self, name: String, text: &str) -> Result<Template, String> {
        let fault = |error: &Error| format!("{name}: {}", describe(error));
        self.environment
            .add_template_owned(name.clone(), text.to_owned())
            .map_err(|error| fault(&error))?;
        let template = self
            .environment
            .get_template(&name)
            .map_err(|error| fault(&error))?;
        let globals: BTreeSet<_> = self
            .environment
            .globals()
            .map(|(global, _)| global.to_owned())
            .collect();
        let names = template.undeclared_variables(false);
        let (functions, free) = names.into_iter().partition(|variable| globals.contains(variable));
        Ok(Template {
            name,
            free,
            functions,
        })
    }

    /// Renders a template with `variables`; its functions ask `frame`.
    pub(crate) fn render(
        &self,
        template: &Template,
        variables: &Value,
        frame: &Rc<Frame>,
    ) -> Result<String, String> {
        let render = || self.environment.get_template(&template.name)?.render(variables);
        function::with_frame(frame, render)
            .map_err(|error| format!("{}: {}", template.name, describe(&error)))
    }
}

impl Template {
    /// Whether it calls the function of that name.
    pub(crate) fn calls(&self, function: &str) -> bool {
        self.functions.contains(function)
    }

    /// An error when it needs variables, which only a JSON body brings.
    pub(crate) fn without_variables(&self) -> Result<(), String> {
        match self.free.first() {
            None => Ok(()),
            Some(variable) => Err(format!(
                "{}: {variable:?} is not known: no JSON body was parsed",
                self.name
            )),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// An error in one line.
fn describe(error: &Error) -> String {
    let line = error
        .line()
        .map(|line| format!(" (line {line})"))
        .unwrap_or_default();
    let detail = error
        .detail()
        .map(|detail| format!(": {detail}"))
        .unwrap_or_default();
    format!("{}{detail}{line}", error.kind())
}
