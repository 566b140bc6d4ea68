//! Misbehaving and probing guests: what they share. Each guest is one file in `src/bin`.
//!
//! A configuration is a few words, with or without JSON quotes around them: see [`Options`].

mod fault;
mod hex;
mod option;
mod probe;

use weir_sdk::{Exchange, Phases};

pub use fault::{Fault, Faulty};
pub use hex::{from_hex, to_hex};
pub use option::{Options, words};
pub use probe::{At, Probe, Step};

/// The phase of that name.
///
/// # Errors
/// When there is none.
pub fn phase(name: &str) -> Result<Phases, String> {
    Ok(match name {
        "request-head" => Phases::REQUEST_HEAD,
        "request-body" => Phases::REQUEST_BODY,
        "request-trailers" => Phases::REQUEST_TRAILERS,
        "response-head" => Phases::RESPONSE_HEAD,
        "response-body" => Phases::RESPONSE_BODY,
        "response-trailers" => Phases::RESPONSE_TRAILERS,
        "log" => Phases::LOG,
        _ => return Err(format!("{name:?} is no phase")),
    })
}

/// The phases in which a guest must run to do something in `phase`: a body phase is planned by its head.
pub fn with_heads(phase: Phases) -> Phases {
    let mut all = phase;
    if phase.contains(Phases::REQUEST_BODY) {
        all |= Phases::REQUEST_HEAD;
    }
    if phase.contains(Phases::RESPONSE_BODY) {
        all |= Phases::RESPONSE_HEAD;
    }
    all
}

/// Puts a finding where the outside sees it: in a field of the head or of the trailers that `phase` is about;
/// in the log phase, where nothing can be changed, nowhere.
pub fn show(exchange: &mut Exchange, phase: Phases, name: &str, value: impl AsRef<[u8]>) {
    let value = printable(value.as_ref());
    if phase == Phases::REQUEST_HEAD || phase == Phases::REQUEST_BODY {
        exchange.request.set_header(name, value);
    } else if phase == Phases::RESPONSE_HEAD || phase == Phases::RESPONSE_BODY {
        exchange.response.set_header(name, value);
    } else if phase == Phases::REQUEST_TRAILERS {
        exchange.request_trailers.set_header(name, value);
    } else if phase == Phases::RESPONSE_TRAILERS {
        exchange.response_trailers.set_header(name, value);
    }
}

/// Fields as `name=value;name=value`.
pub fn listing(fields: &[weir_sdk::Field]) -> String {
    let line = |field: &weir_sdk::Field| format!("{}={}", field.name, String::from_utf8_lossy(&field.value));
    fields.iter().map(line).collect::<Vec<_>>().join(";")
}

/// What a field value can hold: control bytes become spaces, those at the end go.
fn printable(value: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| if byte.is_ascii_control() { b' ' } else { *byte };
    let value: Vec<u8> = value.iter().map(plain).collect();
    value.trim_ascii().to_vec()
}
