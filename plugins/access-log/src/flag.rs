//! Response flags: short names for what went wrong, as access logs of Envoy have them.

/// The flag of a reason of the gateway; `-` when it stands for none.
pub(crate) fn of(reason: &str) -> &'static str {
    match reason {
        "no_route" => "NR",
        "no_backend" => "NC",
        "no_endpoint" => "UH",
        "upstream_connect" => "UF",
        "upstream_reset" => "UC",
        "upstream_timeout" => "UT",
        "downstream_reset" => "DC",
        "bad_request" => "DPE",
        _ => "-",
    }
}
