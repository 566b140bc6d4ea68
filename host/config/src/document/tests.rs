//! What is shown of a document.

use super::*;

#[test]
fn a_password_is_written_for_machines_and_not_for_people() {
    let yaml = "
version: weir.dev/v1
gateway: default/gw
plugins:
- name: default/p
  source:
    oci:
      reference: ghcr.io/acme/p:v1
      pullSecret: {username: me, password: hunter2}
";
    let document: Document = serde_saphyr::from_str(yaml).unwrap();
    let shown = document.to_yaml().unwrap();
    assert!(shown.contains("me") && !shown.contains("hunter2"), "{shown}");
    assert!(!format!("{document:?}").contains("hunter2"));
    assert!(serde_json::to_string(&document).unwrap().contains("hunter2"));
}
