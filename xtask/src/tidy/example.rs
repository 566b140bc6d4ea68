//! Every example explains itself.

use super::Finding;
use super::tree::Tree;

/// Checks that each folder below `examples/` and `examples/plugins/` has a README.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.paths
        .iter()
        .filter(|path| is_example(path))
        .filter(|path| {
            tree.paths
                .iter()
                .any(|other| other.starts_with(&format!("{path}/")))
        })
        .filter(|path| !tree.has(&format!("{path}/README.md")))
        .map(|path| Finding {
            file: path.clone(),
            line: 0,
            rule: "example-readme",
            problem: "has no README.md".into(),
            fix: "say in a few lines what the example shows and how to run it".into(),
        })
        .collect()
}

fn is_example(path: &str) -> bool {
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["examples", "plugins", _] => true,
        ["examples", name] => *name != "plugins",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_and_example_plugins_have_a_readme() {
        let tree = Tree::of(&[
            ("examples/quickstart/gateway.yaml", ""),
            ("examples/canary/README.md", ""),
            ("examples/plugins/hello/src/lib.rs", ""),
            ("examples/README.md", ""),
        ]);
        let found: Vec<_> = check(&tree).into_iter().map(|finding| finding.file).collect();
        assert_eq!(found, ["examples/plugins/hello", "examples/quickstart"]);
    }
}
