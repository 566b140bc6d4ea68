//! What records say.

use weir_sdk::{Attribute, Value};

use super::*;

struct Done {
    status: u16,
    reason: Option<&'static str>,
}

impl Source for Done {
    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        Some(match name {
            ":method" => b"GET".to_vec(),
            ":path" => b"/a?b=\"1\"".to_vec(),
            ":authority" => b"a.example".to_vec(),
            "user-agent" => b"curl\x01/8\xff\xfe".to_vec(),
            _ => return None,
        })
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        (name == "server").then(|| b"weir".to_vec())
    }

    fn status(&self) -> u16 {
        self.status
    }

    fn shared(&self, namespace: &str, key: &str) -> Option<Vec<u8>> {
        (namespace == "dev.team" && key == "user").then(|| b"ada".to_vec())
    }

    fn attribute(&self, attribute: Attribute) -> Option<Value> {
        Some(match attribute {
            Attribute::StartTime => Value::Time(1_795_262_400_007_000_000),
            Attribute::Protocol => Value::Text("HTTP/1.1".to_owned()),
            Attribute::Duration => Value::Int(12_999_999),
            Attribute::BytesSent => Value::Int(42),
            Attribute::BytesReceived => Value::Int(0),
            Attribute::DownstreamConnectionId => Value::Int(7),
            Attribute::DownstreamRemoteAddress => Value::Text("[::1]:5000".to_owned()),
            Attribute::DownstreamLocalAddress => Value::Text("127.0.0.1:80".to_owned()),
            Attribute::Route => Value::Text("httproute/default/a/0".to_owned()),
            Attribute::Reason => Value::Text(self.reason?.to_owned()),
            Attribute::ReasonDetail => Value::Text("after 2 s".to_owned()),
            _ => return None,
        })
    }
}

fn records(config: &str, done: &Done) -> Vec<String> {
    let config: Config = weir_sdk::from_json(config.as_bytes()).unwrap();
    let mut records = Vec::new();
    Forms::compile(&config)
        .unwrap()
        .write(done, &mut Vec::new(), |number, record| {
            records.push(format!("{number} {}", String::from_utf8_lossy(record)));
        });
    records
}

fn text(format: &str, done: &Done) -> String {
    let config = serde_json::json!({ "sinks": [{ "path": "/dev/stdout", "format": { "text": format } }] });
    records(&config.to_string(), done).remove(0).split_off(2)
}

#[test]
fn operators_say_what_the_exchange_was() {
    let done = Done {
        status: 200,
        reason: None,
    };
    let check = |format: &str, expect: &str| assert_eq!(text(format, &done), expect, "{format}");
    check(
        "[%START_TIME%] %PROTOCOL% %RESPONSE_CODE%\n",
        "[2026-11-21T12:00:00.007Z] HTTP/1.1 200\n",
    );
    check("%START_TIME(%Y/%m/%d %s)%", "2026/11/21 1795262400");
    check(
        "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "GET /a?b=\"1\"",
    );
    check("%REQ(:AUTHORITY):3% %RESP(Server)% %REQ(absent)%", "a.e weir -");
    check(
        "%DURATION% %RESPONSE_DURATION% %BYTES_SENT% %BYTES_RECEIVED%",
        "12 - 42 0",
    );
    check(
        "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "[::1]:5000 ::1",
    );
    check(
        "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%:%DOWNSTREAM_CONNECTION_ID%",
        "127.0.0.1:7",
    );
    check(
        "%ROUTE_NAME% %UPSTREAM_CLUSTER% 100%%",
        "httproute/default/a/0 - 100%",
    );
    check(
        "%DYNAMIC_METADATA(dev.team:user)% %DYNAMIC_METADATA(dev.team:none)%",
        "ada -",
    );
    check("%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%", "- via_upstream");
}

#[test]
fn a_response_of_the_gateway_says_why() {
    let check = |status: u16, reason: Option<&'static str>, expect: &str| {
        let done = Done { status, reason };
        assert_eq!(
            text("%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%", &done),
            expect
        );
    };
    check(
        504,
        Some("upstream_timeout"),
        "504 UT upstream_timeout{after_2_s}",
    );
    check(404, Some("no_route"), "404 NR no_route{after_2_s}");
    check(500, Some("filter_trap"), "500 - filter_trap{after_2_s}");
    check(0, None, "0 - -");
}

#[test]
fn a_json_record_keeps_types_order_and_escapes() {
    let config = r#"{"sinks": [
        {"path": "/dev/stdout", "format": {"json": {
            "status": "%RESPONSE_CODE%", "path": "%REQ(:PATH)%", "agent": "%REQ(USER-AGENT)%", "host": "%UPSTREAM_HOST%",
            "nested": {"line": "%REQ(:METHOD)% %UPSTREAM_HOST%", "ms": "%DURATION%", "v": 1, "on": true, "list": ["%PROTOCOL%"]}
        }}},
        {"path": "/dev/stderr", "format": {"text": "%RESPONSE_CODE%;"}}
    ]}"#;
    let expect = concat!(
        r#"0 {"status":200,"path":"/a?b=\"1\"","agent":"curl\u0001/8"#,
        "\u{fffd}\u{fffd}",
        r#"","host":null,"nested":{"line":"GET -","ms":12,"v":1,"on":true,"list":["HTTP/1.1"]}}"#,
        "\n",
    );
    assert_eq!(
        records(
            config,
            &Done {
                status: 200,
                reason: None
            }
        ),
        [expect, "1 200;"]
    );
}

#[test]
fn a_bad_configuration_is_refused_by_name() {
    let check = |config: &str, expect: &str| {
        let config = weir_sdk::from_json::<Config>(config.as_bytes());
        let error = config
            .and_then(|config| Forms::compile(&config))
            .err()
            .unwrap_or_default();
        assert!(error.contains(expect), "{error}");
    };
    check(
        r#"{"sinks": [{"path": "/a", "format": {"json": {"x": {"y": "%NOPE%"}}}}]}"#,
        "sinks[0] (/a): format: x: y: \"%NOPE%\": unknown operator %NOPE%",
    );
    check(r#"{"sinks": []}"#, "name at least one");
    check(
        r#"{"sinks": [{"path": "/a", "format": {"yaml": ""}}]}"#,
        "unknown variant `yaml`",
    );
    check(
        r#"{"sinks": [{"path": "/a", "fmt": {"text": ""}}]}"#,
        "unknown field `fmt`",
    );
}
