//! A test guest that no host test names proves nothing.

use super::Finding;
use super::tree::{File, Tree};

/// Where test guests lie, one file each.
const FOLDERS: [&str; 2] = ["tests/guests/src/bin/", "tests/guests/examples/"];

/// Checks that each test guest is named by a test or bench that runs it.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let hosts: Vec<&File> = tree.rust().filter(|file| runs_guests(file)).collect();
    tree.rust()
        .filter_map(|file| Some((file, name(&file.path)?)))
        .filter(|(_, name)| !hosts.iter().any(|host| names(&host.text, name)))
        .map(|(file, name)| Finding {
            file: file.path.clone(),
            line: 0,
            rule: "guest-test",
            problem: format!("no host test names the guest `{name}`"),
            fix: "load it in a test of host/runtime or tests/gateway, or remove it".into(),
        })
        .collect()
}

fn name(path: &str) -> Option<&str> {
    let file = FOLDERS.iter().find_map(|folder| path.strip_prefix(folder))?;
    file.strip_suffix(".rs").filter(|name| !name.contains('/'))
}

fn runs_guests(file: &File) -> bool {
    let path = file.path.as_str();
    path.starts_with("tests/gateway/")
        || (path.starts_with("host/") && (file.is_test() || file.text.contains("#[cfg(test)]")))
}

/// As a whole word in quotes or in a file name: `"spin"`, `"tests/spin.wasm"`.
fn names(text: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(name).any(|(start, _)| {
        let before = text.get(..start).and_then(|text| text.chars().next_back());
        let after = text.get(start + name.len()..).unwrap_or_default();
        let opened = matches!(before, Some('"' | '/'));
        opened && !after.starts_with(word) && (after.starts_with('"') || after.starts_with(".wasm"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_host(path: &str, text: &str, named: bool) {
        let tree = Tree::of(&[("tests/guests/src/bin/spin.rs", "//! Spins.\n"), (path, text)]);
        assert_eq!(check(&tree).is_empty(), named, "{path}: {text}");
    }

    #[test]
    fn a_guest_is_named_by_its_whole_name_in_a_test() {
        check_host("host/runtime/tests/limit.rs", "load(\"spin\")", true);
        check_host("tests/gateway/tests/chain.rs", "\"tests/spin.wasm\"", true);
        check_host("host/runtime/tests/limit.rs", "load(\"spin-twice\")", false);
        check_host("host/runtime/tests/limit.rs", "// spin around", false);
        check_host("cli/src/main.rs", "\"spin\"", false);
    }
}
