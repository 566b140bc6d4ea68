//! Built-in plugin access-log: writes a record of every exchange to each of its sinks.

mod config;
mod flag;
mod json;
mod operator;
mod policy;
mod record;
mod template;
mod time;

use std::cell::RefCell;

use weir_sdk::{Attribute, Exchange, Phases, Policy, Value, sink};

use crate::policy::Forms;
use crate::record::Source;

struct AccessLog {
    forms: Forms,
    /// Kept, so that records of a warm instance need no new memory.
    buffer: RefCell<Vec<u8>>,
}

impl Policy for AccessLog {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let config: config::Config = weir_sdk::from_json(config)?;
        Ok(Self {
            forms: Forms::compile(&config)?,
            buffer: RefCell::default(),
        })
    }

    fn phases(&self) -> Phases {
        Phases::LOG
    }

    fn on_log(&self, exchange: &Exchange) {
        self.forms
            .write(exchange, &mut self.buffer.borrow_mut(), |number, record| {
                // A record that does not fit is dropped and counted by the host; there is nobody else to tell.
                let _ = sink::write(number, record);
            });
    }
}

weir_sdk::policy!(AccessLog);

impl Source for Exchange {
    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        match name {
            ":method" => Some(self.request.method().into_bytes()),
            ":path" => Some(self.request.path().into_bytes()),
            ":authority" => Some(self.request.authority().into_bytes()),
            ":scheme" => Some(self.request.scheme().into_bytes()),
            name => self.request.header(name),
        }
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        match name {
            ":status" => Some(self.response.status().to_string().into_bytes()),
            name => self.response.header(name),
        }
    }

    fn status(&self) -> u16 {
        self.response.status()
    }

    fn shared(&self, namespace: &str, key: &str) -> Option<Vec<u8>> {
        self.shared(namespace, key)
    }

    fn attribute(&self, attribute: Attribute) -> Option<Value> {
        self.attribute(attribute)
    }
}
