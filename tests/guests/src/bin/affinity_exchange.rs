//! Counts in the instance what an exchange did, which works only while the instance stays with the exchange.
//!
//! The response head has the path that the request head saw (`x-path`), the calls and body bytes so far
//! (`x-calls`, `x-bytes`), and how many exchanges the instance has begun (`x-exchanges`). With `bodies` it sees
//! both bodies, and appends `calls=N bytes=N` to that of the response. With `call` it asks to be bound to a call
//! only, and then the counts are those of all exchanges mixed.

use std::cell::{Cell, RefCell};

use weir_sdk::{Affinity, BodyAction, Chunk, Exchange, HeadAction, Phases, Policy};
use weir_test_guests::Options;

struct AffinityExchange {
    options: Options,
    path: RefCell<String>,
    calls: Cell<u64>,
    bytes: Cell<usize>,
    exchanges: Cell<u64>,
}

impl AffinityExchange {
    fn count(&self, chunk: &Chunk) {
        self.calls.update(|calls| calls + 1);
        self.bytes.update(|bytes| bytes + chunk.bytes.len());
    }

    fn plan(&self) -> HeadAction {
        if self.options.has("bodies") {
            HeadAction::Chunks
        } else {
            HeadAction::Next
        }
    }
}

impl Policy for AffinityExchange {
    fn configure(config: &[u8]) -> Result<Self, String> {
        Ok(Self {
            options: Options::read(config, &["bodies", "call"])?,
            path: RefCell::default(),
            calls: Cell::default(),
            bytes: Cell::default(),
            exchanges: Cell::default(),
        })
    }

    fn phases(&self) -> Phases {
        let mut phases = Phases::REQUEST_HEAD | Phases::RESPONSE_HEAD | Phases::LOG;
        let bodies = Phases::REQUEST_BODY | Phases::RESPONSE_BODY;
        phases.set(bodies, self.options.has("bodies"));
        phases
    }

    fn affinity(&self) -> Affinity {
        if self.options.has("call") {
            Affinity::Call
        } else {
            Affinity::Exchange
        }
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        self.path.replace(exchange.request.path());
        self.exchanges.update(|exchanges| exchanges + 1);
        self.calls.set(1);
        self.plan()
    }

    fn on_request_body(&self, _: &mut Exchange, chunk: Chunk) -> BodyAction {
        self.count(&chunk);
        BodyAction::Next
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        self.calls.update(|calls| calls + 1);
        let counts = [
            ("x-path", self.path.borrow().clone()),
            ("x-calls", self.calls.get().to_string()),
            ("x-bytes", self.bytes.get().to_string()),
            ("x-exchanges", self.exchanges.get().to_string()),
        ];
        for (name, value) in counts {
            exchange.response.set_header(name, value);
        }
        self.plan()
    }

    fn on_response_body(&self, exchange: &mut Exchange, mut chunk: Chunk) -> BodyAction {
        self.count(&chunk);
        if chunk.end {
            let counts = format!("calls={} bytes={}", self.calls.get(), self.bytes.get());
            chunk.bytes.extend_from_slice(counts.as_bytes());
            exchange.replace_body(chunk.bytes);
        }
        BodyAction::Next
    }

    /// Leaves nothing to the next exchange of the instance.
    fn on_log(&self, _: &Exchange) {
        self.path.take();
        self.calls.take();
        self.bytes.take();
    }
}

weir_sdk::policy!(AffinityExchange);
