//! The quickstart's manifests, on other ports.

use std::fs;
use std::path::Path;

use weir_harness::{Client, Origin, eventually};

use crate::harness::{Folder, Weir, component, free_port};

#[test]
fn the_quickstart_does_what_it_says() {
    let (a, b) = (Origin::echo("echo-a"), Origin::echo("echo-b"));
    let port = free_port();
    let folder = Folder::new("");
    fs::remove_file(Path::new(folder.path()).join("gateway.yaml")).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart");
    for name in ["gateway.yaml", "routes.yaml", "policies.yaml", "plugins.yaml"] {
        let text = fs::read_to_string(example.join(name)).unwrap();
        let text = text.replace("8080", &port.to_string());
        let text = text.replace("9001", &a.address.port().to_string());
        folder.write(name, text.replace("9002", &b.address.port().to_string()));
    }
    fs::create_dir(Path::new(folder.path()).join("plugins")).unwrap();
    fs::copy(
        component("examples", "hello"),
        Path::new(folder.path()).join("plugins/hello.wasm"),
    )
    .unwrap();
    let weir = Weir::start(&folder, port);
    let mut client = weir.client();

    routes(&mut client);
    policies(&mut client, &a);
    let line = eventually("an access log line of the teapot", || {
        weir.stdout()
            .lines()
            .find(|line| line.contains("/teapot"))
            .map(str::to_owned)
    });
    assert!(
        line.starts_with('{') && line.contains("\"status\":418") && line.contains("\"method\":\"GET\""),
        "{line}"
    );
    let status = weir.status();
    assert!(
        status.contains("Gateway default/quickstart serves revision"),
        "{status}"
    );
    let refused = status
        .lines()
        .filter(|line| line.contains(" False ") && !line.contains("Conflicted"));
    assert_eq!(refused.count(), 0, "every condition holds: {status}");
}

fn routes(client: &mut Client) {
    assert!(client.get("/exact", "").text().starts_with("echo-a"));
    assert_eq!(client.get("/exact/more", "").status(), 404);
    assert!(client.get("/api/users", "").text().starts_with("echo-a"));
    assert!(
        client
            .get("/api/users", "x-version: v2\r\n")
            .text()
            .starts_with("echo-b")
    );
    assert!(client.post("/api/users", "", "x").text().starts_with("echo-b"));
    assert!(client.get("/static", "").text().starts_with("echo-a"));
}

fn policies(client: &mut Client, origin: &Origin) {
    let answer = client.get("/transform/me", "user-agent: test\r\nx-secret: 1\r\n");
    let seen = origin.seen.last();
    assert_eq!(
        (seen.header("x-client"), seen.header("x-gateway")),
        (Some("test"), Some("weir"))
    );
    assert_eq!(seen.header("x-secret"), None);
    assert_eq!(
        (answer.header("x-path"), answer.header("x-transformed")),
        (Some("/transform/me"), Some("yes"))
    );
    assert!(
        answer
            .text()
            .starts_with("GET /transform/me was answered with\necho-a"),
        "{}",
        answer.text()
    );

    let answer = client.get("/teapot", "");
    assert_eq!((answer.status(), answer.text().as_str()), (418, "I am a teapot."));

    assert_eq!(client.get("/hello", "").header("x-hello"), Some("Hello"));
    assert_eq!(origin.seen.last().header("x-greeted-by"), Some("hello"));
}
