//! The answer that a configuration means.

use weir_sdk::Reply;

use crate::config::Config;

/// The reply, the same for every request.
pub(crate) fn reply(config: &Config) -> Reply {
    let reply = Reply::new(config.status);
    match &config.body {
        Some(body) => reply.text(body),
        None => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_sent_only_with_a_body() {
        let check = |body: Option<&str>, expect: Reply| {
            let config = Config {
                status: 503,
                body: body.map(str::to_owned),
            };
            assert_eq!(reply(&config), expect);
        };
        check(None, Reply::new(503));
        check(
            Some("later"),
            Reply::new(503).header("content-type", "text/plain").body("later"),
        );
    }
}
