//! An access log: writes `status=… reason=… path=… detail=…` to sink 0, with `-` for what is absent. With
//! `shared=NAMESPACE:KEY` the line starts with that value. It imports `sink`.

use weir_sdk::{AccessLog, Attribute, Exchange, Value, sink};
use weir_test_guests::Options;

struct AccessLogger {
    options: Options,
}

impl AccessLog for AccessLogger {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let options = Options::read(config, &["shared="])?;
        Ok(Self { options })
    }

    fn on_log(&self, exchange: &Exchange) {
        let shared = self
            .options
            .get("shared")
            .and_then(|name| name.split_once(':'))
            .and_then(|(namespace, key)| exchange.shared(namespace, key));
        let shared = shared.map(|value| format!("shared={} ", String::from_utf8_lossy(&value)));
        let line = format!(
            "{}status={} reason={} path={} detail={}\n",
            shared.unwrap_or_default(),
            exchange.response.status(),
            text(exchange, Attribute::Reason),
            exchange.request.path(),
            text(exchange, Attribute::ReasonDetail),
        );
        // A full or missing sink is the host's to count: an access log has nobody to tell.
        let _ = sink::write(0, line.as_bytes());
    }
}

fn text(exchange: &Exchange, attribute: Attribute) -> String {
    match exchange.attribute(attribute) {
        Some(Value::Text(text)) => text,
        _ => "-".to_owned(),
    }
}

weir_sdk::access_log!(AccessLogger);
