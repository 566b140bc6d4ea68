//! A plain `wasi:http` handler that knows nothing of Weir.
//!
//! It answers 200 with the fields `x-method`, `x-path`, `x-authority`, `x-headers` (how many there were) and
//! `x-wasi: hello`, and a body of a first line `METHOD PATH` and then the request's body, in the chunks in which it
//! came. Paths change that:
//!
//! | path | answers |
//! |---|---|
//! | `/status/N` | the same with that status |
//! | `/trailers` | the same, with the trailer `x-bytes` that counts the body |
//! | `/stdout` | the same, after a line to standard output and one to standard error |
//! | `/panic` | nothing: it panics before it answers |
//! | `/cut` | a head and 4 of 10 promised bytes, then it panics |
//! | `/spin` | nothing, for ever |
//! | `/error` | the error code `internal-error` |
#![cfg(target_os = "wasi")]

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse,
    ResponseOutparam,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

struct Hello;

impl Guest for Hello {
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        match path.as_str() {
            "/panic" => crash(),
            "/spin" => loop {
                std::hint::black_box(());
            },
            "/error" => {
                let error = ErrorCode::InternalError(Some("on purpose".to_owned()));
                ResponseOutparam::set(answer, Err(error));
            }
            "/cut" => cut(answer),
            "/stdout" => {
                println!("a line to standard output");
                eprintln!("a line to standard error");
                echo(&request, &path, answer);
            }
            _ => echo(&request, &path, answer),
        }
    }
}

fn echo(request: &IncomingRequest, path: &str, answer: ResponseOutparam) {
    let method = method(request.method());
    let fields = Fields::new();
    set(&fields, "x-wasi", "hello");
    set(&fields, "x-method", &method);
    set(&fields, "x-path", path);
    set(&fields, "x-authority", &request.authority().unwrap_or_default());
    set(
        &fields,
        "x-headers",
        &request.headers().entries().len().to_string(),
    );
    let response = OutgoingResponse::new(fields);
    let status = path
        .strip_prefix("/status/")
        .and_then(|status| status.parse().ok());
    if status.is_some_and(|status| response.set_status_code(status).is_err()) {
        crash();
    }
    let Ok(body) = response.body() else { crash() };
    // The head goes before the request's body was read, as that of any streaming handler.
    ResponseOutparam::set(answer, Ok(response));
    let Ok(out) = body.write() else { crash() };
    send(&out, format!("{method} {path}\n").as_bytes());
    let bytes = copy(request, &out);
    drop(out);
    let trailers = (path == "/trailers").then(|| {
        let trailers = Fields::new();
        set(&trailers, "x-bytes", &bytes.to_string());
        trailers
    });
    // Fails when the client left; then there is nobody to tell.
    let _ = OutgoingBody::finish(body, trailers);
}

/// Copies the request's body chunk by chunk; answers how many bytes it had.
fn copy(request: &IncomingRequest, out: &OutputStream) -> usize {
    let Ok(body) = request.consume() else { return 0 };
    let Ok(stream) = body.stream() else { return 0 };
    let mut bytes = 0;
    while let Some(chunk) = next(&stream) {
        bytes += chunk.len();
        send(out, &chunk);
    }
    drop(stream);
    drop(IncomingBody::finish(body));
    bytes
}

fn next(stream: &InputStream) -> Option<Vec<u8>> {
    match stream.blocking_read(CHUNK) {
        Ok(chunk) => Some(chunk),
        Err(StreamError::Closed) => None,
        // Part of a body is worse than none.
        Err(StreamError::LastOperationFailed(_)) => crash(),
    }
}

fn send(out: &OutputStream, bytes: &[u8]) {
    for part in bytes.chunks(LARGEST_WRITE) {
        if out.blocking_write_and_flush(part).is_err() {
            crash();
        }
    }
}

/// Promises more than it sends.
fn cut(answer: ResponseOutparam) {
    let fields = Fields::new();
    set(&fields, "content-length", "10");
    let response = OutgoingResponse::new(fields);
    let Ok(body) = response.body() else { crash() };
    ResponseOutparam::set(answer, Ok(response));
    let Ok(out) = body.write() else { crash() };
    send(&out, b"four");
    crash();
}

fn set(fields: &Fields, name: &str, value: &str) {
    if fields.set(name, &[value.as_bytes().to_vec()]).is_err() {
        crash();
    }
}

fn method(method: Method) -> String {
    match method {
        Method::Get => "GET".to_owned(),
        Method::Head => "HEAD".to_owned(),
        Method::Post => "POST".to_owned(),
        Method::Put => "PUT".to_owned(),
        Method::Delete => "DELETE".to_owned(),
        Method::Connect => "CONNECT".to_owned(),
        Method::Options => "OPTIONS".to_owned(),
        Method::Trace => "TRACE".to_owned(),
        Method::Patch => "PATCH".to_owned(),
        Method::Other(name) => name,
    }
}

#[allow(
    clippy::panic,
    reason = "a fault that this guest is asked for, or that its host makes"
)]
fn crash() -> ! {
    panic!("crashed on purpose");
}

const CHUNK: u64 = 16 * 1024;

/// What `blocking-write-and-flush` takes at once.
const LARGEST_WRITE: usize = 4096;

wasip2::http::proxy::export!(Hello);
