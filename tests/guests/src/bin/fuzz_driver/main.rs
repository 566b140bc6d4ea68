//! Runs programs against the host, for its fuzz target. In each phase the program is the shared value of the namespace
//! `fuzz` whose key is the configuration's word and the phase's number, such as `a/0`; the first byte says how the phase
//! ends. The configuration `keep WORD` binds an instance to its exchange; `run` and a line break begin a program that
//! `configure` runs itself.

#![cfg(target_arch = "wasm32")]

mod import;
mod program;

use weir_sdk::{Affinity, BodyAction, Chunk, Exchange, HeadAction, Oversize, Phases, Policy, Whole};

use program::Program;

struct Driver {
    word: String,
    affinity: Affinity,
}

impl Policy for Driver {
    fn configure(config: &[u8]) -> Result<Self, String> {
        if let Some(program) = config.strip_prefix(b"run\n") {
            let last = run(program);
            if last & 1 == 1 {
                return Err(format!("refused {last}"));
            }
        }
        let text = String::from_utf8_lossy(config);
        let (affinity, word) = match text.strip_prefix("keep ") {
            Some(word) => (Affinity::Exchange, word),
            None => (Affinity::Call, &*text),
        };
        Ok(Self {
            word: word.to_owned(),
            affinity,
        })
    }

    fn phases(&self) -> Phases {
        Phases::all()
    }

    fn affinity(&self) -> Affinity {
        self.affinity
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        head(self.phase(exchange, 0))
    }

    fn on_request_body(&self, exchange: &mut Exchange, _: Chunk) -> BodyAction {
        body(self.phase(exchange, 1))
    }

    fn on_request_trailers(&self, exchange: &mut Exchange) -> BodyAction {
        body(self.phase(exchange, 2))
    }

    fn on_response_head(&self, exchange: &mut Exchange) -> HeadAction {
        head(self.phase(exchange, 3))
    }

    fn on_response_body(&self, exchange: &mut Exchange, _: Chunk) -> BodyAction {
        body(self.phase(exchange, 4))
    }

    fn on_response_trailers(&self, exchange: &mut Exchange) -> BodyAction {
        body(self.phase(exchange, 5))
    }

    fn on_log(&self, exchange: &Exchange) {
        self.phase(exchange, 6);
    }
}

impl Driver {
    fn phase(&self, exchange: &Exchange, number: u8) -> u8 {
        let key = format!("{}/{number}", self.word);
        exchange.shared("fuzz", &key).map_or(0, |program| run(&program))
    }
}

/// Runs a program to its end; answers its first byte.
fn run(bytes: &[u8]) -> u8 {
    let mut program = Program::new(bytes);
    let first = program.byte();
    while !program.is_over() {
        import::call(&mut program);
    }
    first
}

fn head(byte: u8) -> HeadAction {
    let whole = |oversize| {
        HeadAction::Whole(Whole {
            limit: u64::from(byte / 8) * 16,
            oversize,
        })
    };
    match byte % 8 {
        1 => HeadAction::Reply,
        2 => HeadAction::Chunks,
        3 => whole(Oversize::Reject),
        4 => whole(Oversize::Skip),
        5 => whole(Oversize::StreamInstead),
        _ => HeadAction::Next,
    }
}

const fn body(byte: u8) -> BodyAction {
    match byte % 8 {
        1 => BodyAction::Reply,
        _ => BodyAction::Next,
    }
}

weir_sdk::policy!(Driver);
