//! What transformations do to messages.

use std::cell::Cell;

use super::*;

/// A request and a response with fixed headers.
#[derive(Default)]
struct Message {
    headers: Vec<(&'static str, &'static [u8])>,
    request_headers: Vec<(&'static str, &'static [u8])>,
    random: Cell<u64>,
}

impl Source for Message {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.headers
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value.to_vec())
    }

    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        self.request_headers
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value.to_vec())
    }

    fn environment(&self, name: &str) -> Option<String> {
        (name == "ZONE").then(|| "eu".to_owned())
    }

    fn random(&self) -> u64 {
        self.random.set(self.random.get() + 1);
        self.random.get()
    }
}

fn message() -> Rc<dyn Source> {
    Rc::new(Message {
        headers: vec![("x-in", b"there"), ("x-raw", b"\xff")],
        request_headers: vec![(":path", b"/a?b=1"), ("cookie", b"id=7; Theme=dark")],
        random: Cell::new(0),
    })
}

fn compile(config: &str) -> Result<Transform, String> {
    let config = weir_sdk::from_json(config.as_bytes())?;
    Transform::compile(&config, "request")
}

fn evaluate(config: &str, body: &str) -> Result<Outcome, Refusal> {
    compile(config)
        .unwrap()
        .evaluate(message(), Some(body.as_bytes()))
}

fn set(name: &str, value: &str) -> Edit {
    Edit::Set(name.to_owned(), value.to_owned())
}

#[test]
fn functions_answer_from_the_exchange() {
    let check = |template: &str, expect: &str| {
        let config = serde_json::json!({ "body": { "value": template } }).to_string();
        assert_eq!(
            evaluate(&config, "héllo").unwrap().body.as_deref(),
            Some(expect),
            "{template}"
        );
    };
    check("{{ header('X-In') }}", "there");
    check("{{ header('x-raw') }}", "\u{fffd}");
    check("{{ header('absent') }}", "");
    check("{{ request_header(':path') }}", "/a?b=1");
    check("{{ get_cookie('id') }}{{ get_cookie('theme') }}", "7");
    check("{{ get_cookie_i('theme') }}", "dark");
    check("{{ env('ZONE') }}{{ env('HOME') }}", "eu");
    check("{{ body() }}", "héllo");
    check(
        "{{ base64_encode('a?>') }} {{ base64url_encode('a?>') }}",
        "YT8+ YT8-",
    );
    check(
        "{{ base64_decode('YT8+') }}{{ base64url_decode('YT8-') }}{{ base64_decode('%') }}",
        "a?>a?>",
    );
    check(
        "{{ substring('abcdef', 2) }} {{ substring('abcdef', 2, 3) }} {{ substring('abc', 9, 1) }}",
        "cdef cde ",
    );
    check(
        "{{ substring('abc', 1, 99) }}{{ substring('é', 1) }}",
        "bc\u{fffd}",
    );
    check(r#"{{ raw_string('say "hi"\n') }}"#, r#"say \"hi\"\n"#);
    check("{{ replace_with_string('a-b-c', '-', '+') }}", "a+b+c");
    check(
        "{{ replace_with_random('id-x', 'x') }}",
        "id-AQAAAAAAAAACAAAAAAAAAA",
    );
    check(
        "{% if header('x-in') == 'there' %}<b>{{ header('x-in') | upper }}</b>{% endif %}\n",
        "<b>THERE</b>",
    );
}

#[test]
fn edits_come_in_order_and_see_the_message_as_it_came() {
    let outcome = evaluate(
        r#"{
            "remove": ["X-In"],
            "add": [{"name": "x-b", "value": "{{ header('x-in') }}"}, {"name": "x-c", "value": ""}],
            "set": [{"name": ":Path", "value": "/new"}, {"name": "x-in", "value": ""}],
            "body": {"value": "{{ header('x-in') }} {{ body() }}"},
            "dynamicMetadata": [{"namespace": "n", "key": "k", "value": {"stringValue": "{{ header('x-in') }}"}}]
        }"#,
        "again",
    )
    .unwrap();
    let append = Edit::Append("x-b".to_owned(), "there".to_owned());
    let share = Edit::Share {
        namespace: "n".to_owned(),
        key: "k".to_owned(),
        value: "there".to_owned(),
    };
    let remove = || Edit::Remove("x-in".to_owned());
    assert_eq!(
        outcome.edits,
        [set(":path", "/new"), remove(), append, remove(), share]
    );
    assert_eq!(outcome.body.as_deref(), Some("there again"));
    assert_eq!(outcome.errors, Vec::<String>::new());
}

#[test]
fn fields_of_a_json_body_are_variables() {
    let config = r#"{
        "set": [{"name": "x-name", "value": "{{ user.name }}{{ nobody }}"}],
        "body": {"parseAs": "AsJson", "value": "{{ context().list[1] }}"}
    }"#;
    let outcome = evaluate(config, r#"{"user": {"name": "Ada"}, "list": [1, 2]}"#).unwrap();
    assert_eq!(outcome.edits, [set("x-name", "Ada")]);
    assert_eq!(outcome.body.as_deref(), Some("2"));
}

#[test]
fn a_message_without_the_json_it_needs_is_refused() {
    let header = r#"{"set": [{"name": "x", "value": "{{ user }}"}], "body": {"parseAs": "AsJson"}}"#;
    assert!(matches!(evaluate(header, "{nope"), Err(Refusal::NotJson(_))));
    assert!(matches!(evaluate(header, ""), Err(Refusal::Variable(_))));
    assert!(evaluate(header, "{}").is_ok());
}

#[test]
fn what_fails_in_the_body_template_empties_the_body_and_its_type() {
    let check = |template: &str| {
        let config = serde_json::json!({ "body": { "value": template } }).to_string();
        let outcome = evaluate(&config, "x").unwrap();
        assert_eq!(outcome.body.as_deref(), Some(""), "{template}");
        assert_eq!(
            outcome.edits,
            [Edit::Remove("content-type".to_owned())],
            "{template}"
        );
        assert_eq!(outcome.errors.len(), 1, "{template}");
    };
    check("{{ unknown }}");
    check("{{ substring('a', 'b') }}");
    check("{{ 1 // 0 }}");
}

#[test]
fn a_header_that_fails_is_left_out_and_the_others_are_not() {
    let config = r#"{"set": [{"name": "a", "value": "{{ 1 // 0 }}"}, {"name": "b", "value": "2"},
                             {"name": "c", "value": "1\r\nx: 2"}]}"#;
    let outcome = evaluate(config, "").unwrap();
    assert_eq!(outcome.edits, [set("b", "2")]);
    assert_eq!(outcome.errors.len(), 2);
    assert!(
        outcome
            .errors
            .iter()
            .any(|error| error.starts_with("request.set[0] (a): ")),
        "{:?}",
        outcome.errors
    );
}

#[test]
fn the_body_is_read_only_when_its_template_asks_for_it() {
    let check = |body: &str, expect: Plan| {
        assert_eq!(
            compile(&format!(r#"{{"body": {body}}}"#)).unwrap().plan(),
            expect,
            "{body}"
        );
    };
    check("null", Plan::Head);
    check("{}", Plan::Head);
    check(r#"{"value": "fixed"}"#, Plan::Replace);
    check(r#"{"value": "{{ body() }}"}"#, Plan::Whole);
    check(r#"{"value": "{{ context() }}"}"#, Plan::Whole);
    check(r#"{"value": "{{ body() }}", "parseAs": "None"}"#, Plan::Replace);
    check(r#"{"parseAs": "AsJson"}"#, Plan::Whole);
}

#[test]
fn a_tunnel_keeps_its_body() {
    let transform = compile(r#"{"set": [{"name": "a", "value": "1"}], "body": {"value": "x"}}"#).unwrap();
    let outcome = transform.evaluate(message(), None).unwrap();
    assert_eq!((outcome.edits, outcome.body), (vec![set("a", "1")], None));
}

#[test]
fn a_bad_configuration_is_refused_by_name() {
    let check = |config: &str, expect: &str| {
        let error = compile(config).err().unwrap_or_default();
        assert!(error.contains(expect), "{config}: {error}");
    };
    check(
        r#"{"set": [{"name": "x-a", "value": "{{ oops"}]}"#,
        "request.set[0] (x-a): ",
    );
    check(r#"{"body": {"value": "{% if %}"}}"#, "request.body: ");
    check(
        r#"{"remove": ["a b"]}"#,
        "request.remove: \"a b\" is not a header name",
    );
    check(r#"{"append": []}"#, "unknown field `append`");
    check(r#"{"body": {"parseAs": "asJson"}}"#, "unknown variant `asJson`");
}

#[test]
fn two_entries_for_one_header_keep_their_own_templates() {
    let outcome = evaluate(
        r#"{"add": [{"name": "x-a", "value": "1"}, {"name": "X-A", "value": "2"}]}"#,
        "",
    )
    .unwrap();
    let append = |value: &str| Edit::Append("x-a".to_owned(), value.to_owned());
    assert_eq!(outcome.edits, [append("1"), append("2")]);
}
