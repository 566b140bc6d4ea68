//! What templates can ask about the exchange.

use weir_sdk::{Exchange, environment, random};

/// Answers the functions of templates. Natively a test plays it.
pub(crate) trait Source {
    /// A header of the message that is transformed.
    fn header(&self, name: &str) -> Option<Vec<u8>>;
    /// A header of the request, in both phases.
    fn request_header(&self, name: &str) -> Option<Vec<u8>>;
    /// A variable of the gateway's environment.
    fn environment(&self, name: &str) -> Option<String>;
    /// Random bits.
    fn random(&self) -> u64;
}

/// The current exchange in a request phase.
pub(crate) struct RequestPhase;

/// The current exchange in a response phase.
pub(crate) struct ResponsePhase;

impl Source for RequestPhase {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.request_header(name)
    }

    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        let request = Exchange::current().request;
        match name {
            ":path" => Some(request.path().into_bytes()),
            ":method" => Some(request.method().into_bytes()),
            ":authority" => Some(request.authority().into_bytes()),
            ":scheme" => Some(request.scheme().into_bytes()),
            name => request.header(name),
        }
    }

    fn environment(&self, name: &str) -> Option<String> {
        environment::get(name)
    }

    fn random(&self) -> u64 {
        random::next()
    }
}

impl Source for ResponsePhase {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        let response = Exchange::current().response;
        match name {
            ":status" => Some(response.status().to_string().into_bytes()),
            name => response.header(name),
        }
    }

    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        RequestPhase.request_header(name)
    }

    fn environment(&self, name: &str) -> Option<String> {
        RequestPhase.environment(name)
    }

    fn random(&self) -> u64 {
        RequestPhase.random()
    }
}
