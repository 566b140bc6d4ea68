//! A policy with background work: the work fetches the key from a backend into the store, the policy admits
//! requests whose header `x-key` has it.
//!
//! Words: `backend=`, `path=` (`/keys`), `every=MS` (1000) to fetch again. A wrong key is answered with 401; while there
//! is none yet, everything with 503. It imports `kv` and `upstream`.

use std::time::Duration;

use weir_sdk::upstream::{self, Call};
use weir_sdk::{Background, Exchange, HeadAction, Phases, Policy, Reply, kv};
use weir_test_guests::Options;

const WORDS: &[&str] = &["backend=", "path=", "every="];

struct Check;

impl Policy for Check {
    fn configure(config: &[u8]) -> Result<Self, String> {
        Options::read(config, WORDS)?;
        Ok(Self)
    }

    fn phases(&self) -> Phases {
        Phases::REQUEST_HEAD
    }

    fn on_request_head(&self, exchange: &mut Exchange) -> HeadAction {
        let Some(key) = kv::get("key") else {
            return exchange.reply(Reply::new(503).text("no key yet\n")).into();
        };
        if exchange.request.header("x-key") == Some(key.value) {
            return HeadAction::Next;
        }
        exchange.reply(Reply::new(401).text("the key is wrong\n")).into()
    }
}

struct Refresh {
    options: Options,
    every: Duration,
}

impl Background for Refresh {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let options = Options::read(config, WORDS)?;
        Ok(Self {
            every: Duration::from_millis(options.number("every", 1000)?),
            options,
        })
    }

    fn on_timer(&self) -> Option<Duration> {
        let path = self.options.get("path").unwrap_or("/keys");
        let backend = self.options.get("backend").unwrap_or_default();
        // What cannot be fetched or kept now is tried again; the old key is good until then.
        if let Ok(answer) = upstream::fetch(backend, Call::get(path))
            && answer.is_success()
        {
            let _ = kv::set("key", answer.body.trim_ascii(), None);
        }
        Some(self.every)
    }
}

weir_sdk::policy!(Check, background = Refresh);
