//! Which package may depend on which: the table of the layers, and who alone may name certain crates.
//!
//! A package that is not in the table is a finding too, so that every new crate gets its place.

use super::Finding;
use crate::workspace::{Dependency, Workspace};

const RULE: &str = "dependency";

/// A package, and the members it may depend on; for its tests, too.
struct Place {
    package: &'static str,
    may_use: &'static [&'static str],
}

const fn place(package: &'static str, may_use: &'static [&'static str]) -> Place {
    Place { package, may_use }
}

/// Lower layers first. `weir-proxy` and `weir-runtime` never see each other: both meet at `weir-filter`.
const PLACES: &[Place] = &[
    place("weir-model", &[]),
    place("weir-crds", &[]),
    place("weir-artifact", &[]),
    place("weir-telemetry", &[]),
    place("weir-kv", &[]),
    place("weir-config", &["weir-model"]),
    place("weir-filter", &["weir-model"]),
    place("weir-discovery", &["weir-config", "weir-model"]),
    place("weir-proxy", &["weir-filter", "weir-model"]),
    place(
        "weir-runtime",
        &["weir-filter", "weir-kv", "weir-model", "weir-telemetry"],
    ),
    place("weir-translate", &["weir-config", "weir-crds", "weir-model"]),
    place(
        "weir-gateway",
        &[
            "weir-artifact",
            "weir-config",
            "weir-discovery",
            "weir-filter",
            "weir-kv",
            "weir-model",
            "weir-proxy",
            "weir-runtime",
            "weir-telemetry",
        ],
    ),
    place(
        "weir-manager",
        &[
            "weir-config",
            "weir-crds",
            "weir-discovery",
            "weir-telemetry",
            "weir-translate",
        ],
    ),
    place("weir-plugins", &[]),
    place("weir", ANYTHING),
    place("weir-harness", &[]),
    place("weir-gateway-tests", ANYTHING),
    place("xtask", &[]),
];

/// Packages in these folders are guests: they know the SDK and nothing of the host.
const GUESTS: [&str; 5] = [
    "plugins/",
    "examples/plugins/",
    "tests/guests",
    "tests/guests/",
    "host/runtime/benches/abi-guest",
];

const GUESTS_MAY_USE: &[&str] = &["weir-sdk", "weir-sdk-macros"];

/// What the tests of any package may use beside its place; it knows nothing of Weir itself.
const TESTS_MAY_USE: &[&str] = &["weir-harness"];

/// The binary and integration tests see everything.
const ANYTHING: &[&str] = &["*"];

/// Crates that only some folders may name; `tests` of any package are free to.
struct Reserved {
    names: &'static [&'static str],
    folders: &'static [&'static str],
    why: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved {
        names: &["wasmtime", "wasmtime-*"],
        folders: &["host/runtime"],
        why: "only the runtime knows the engine",
    },
    Reserved {
        names: &["kube", "kube-*", "k8s-openapi"],
        folders: &["controller/"],
        why: "only the controller speaks with Kubernetes",
    },
    Reserved {
        names: &["hyper", "hyper-*"],
        folders: &[
            "host/proxy",
            "host/artifact",
            "host/discovery",
            "host/gateway",
            "controller/manager",
            "tests/",
        ],
        why: "only who opens connections speaks HTTP",
    },
    Reserved {
        names: &["tokio", "tokio-*"],
        folders: &[
            // Channels of the seam only: it spawns nothing.
            "host/filter",
            "host/proxy",
            "host/discovery",
            "host/gateway",
            "host/telemetry",
            "host/artifact",
            "host/runtime",
            "controller/manager",
            "cli",
            "tests/",
        ],
        why: "values and pure functions wait for nothing",
    },
    Reserved {
        names: &["anyhow"],
        folders: &["cli", "xtask", "tests/"],
        why: "libraries name their errors",
    },
];

/// Checks every direct dependency of every member.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        let folder = workspace.folder(package).to_string_lossy().into_owned();
        let file = format!("{folder}/Cargo.toml");
        if find_place(&package.name).is_none() && !is_guest(&folder) && !is_sdk(&folder) {
            findings.push(Finding {
                file: file.clone(),
                line: 0,
                rule: RULE,
                problem: format!("{} has no place in the layers", package.name),
                fix: "add it to the table in xtask/src/tidy/dependency.rs, and to docs/ARCHITECTURE.md"
                    .into(),
            });
        }
        for dependency in &package.dependencies {
            if let Some((problem, fix)) = breach(&package.name, &folder, dependency) {
                findings.push(Finding {
                    file: file.clone(),
                    line: 0,
                    rule: RULE,
                    problem,
                    fix,
                });
            }
        }
    }
    findings
}

/// What is wrong with one dependency, and what to do.
fn breach(package: &str, folder: &str, dependency: &Dependency) -> Option<(String, String)> {
    let name = dependency.name.as_str();
    if dependency.path.is_some() {
        let allowed = allowed(package, folder);
        if dependency.kind.as_deref() == Some("dev") && TESTS_MAY_USE.contains(&name) {
            return None;
        }
        return (!allowed.contains(&name) && allowed != ANYTHING).then(|| {
            let list = if allowed.is_empty() {
                "no other member".to_owned()
            } else {
                allowed.join(", ")
            };
            (
                format!("{package} must not depend on {name}"),
                format!("move the code to the layer that may know both; {package} may use {list}"),
            )
        });
    }
    if dependency.kind.as_deref() == Some("dev") && !name.starts_with("wasmtime") {
        return None;
    }
    let reserved = RESERVED
        .iter()
        .find(|reserved| reserved.names.iter().any(|pattern| matches(pattern, name)))?;
    let free = reserved.folders.iter().any(|allowed| within(folder, allowed));
    (!free).then(|| {
        (
            format!("{package} must not name {name}: {}", reserved.why),
            format!("use it from {} behind an interface", reserved.folders.join(", ")),
        )
    })
}

fn allowed(package: &str, folder: &str) -> &'static [&'static str] {
    match find_place(package) {
        Some(place) => place.may_use,
        None if is_guest(folder) || is_sdk(folder) => GUESTS_MAY_USE,
        None => &[],
    }
}

fn find_place(package: &str) -> Option<&'static Place> {
    PLACES.iter().find(|place| place.package == package)
}

fn is_guest(folder: &str) -> bool {
    GUESTS.iter().any(|guests| within(folder, guests))
}

fn is_sdk(folder: &str) -> bool {
    within(folder, "sdk/")
}

fn within(folder: &str, allowed: &str) -> bool {
    folder == allowed || (allowed.ends_with('/') && folder.starts_with(allowed))
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_dependency(
        package: &str,
        folder: &str,
        name: &str,
        member: bool,
        kind: Option<&str>,
        allowed: bool,
    ) {
        let dependency = Dependency {
            name: name.into(),
            kind: kind.map(str::to_owned),
            path: member.then(|| "anywhere".into()),
        };
        let found = breach(package, folder, &dependency);
        assert_eq!(found.is_none(), allowed, "{package} -> {name}: {found:?}");
    }

    #[test]
    fn proxy_and_runtime_meet_only_at_the_filter() {
        check_dependency("weir-proxy", "host/proxy", "weir-filter", true, None, true);
        check_dependency("weir-runtime", "host/runtime", "weir-filter", true, None, true);
        check_dependency("weir-proxy", "host/proxy", "weir-runtime", true, None, false);
        check_dependency(
            "weir-proxy",
            "host/proxy",
            "weir-runtime",
            true,
            Some("dev"),
            false,
        );
        check_dependency(
            "weir-runtime",
            "host/runtime",
            "weir-proxy",
            true,
            Some("dev"),
            false,
        );
    }

    #[test]
    fn the_host_never_sees_the_controller_and_guests_see_only_the_sdk() {
        check_dependency(
            "weir-gateway",
            "host/gateway",
            "weir-translate",
            true,
            None,
            false,
        );
        check_dependency("weir-config", "host/config", "weir-crds", true, None, false);
        check_dependency("weir-plugin-jwt", "plugins/jwt", "weir-sdk", true, None, true);
        check_dependency("weir-plugin-jwt", "plugins/jwt", "weir-model", true, None, false);
        check_dependency(
            "weir-gateway-tests",
            "tests/gateway",
            "weir-translate",
            true,
            None,
            true,
        );
    }

    #[test]
    fn reserved_crates_stay_where_they_belong() {
        check_dependency("weir-runtime", "host/runtime", "wasmtime", false, None, true);
        check_dependency("weir-proxy", "host/proxy", "wasmtime", false, Some("dev"), false);
        check_dependency(
            "weir-gateway",
            "host/gateway",
            "wasmtime-environ",
            false,
            None,
            false,
        );
        check_dependency("weir-manager", "controller/manager", "kube", false, None, true);
        check_dependency("weir-config", "host/config", "kube-core", false, None, false);
        check_dependency("weir-model", "host/model", "hyper", false, None, false);
        check_dependency(
            "weir-gateway-tests",
            "tests/gateway",
            "hyper-util",
            false,
            None,
            true,
        );
        check_dependency(
            "weir-translate",
            "controller/translate",
            "tokio",
            false,
            None,
            false,
        );
        check_dependency("weir-model", "host/model", "http", false, None, true);
        check_dependency("weir-filter", "host/filter", "tokio", false, None, true);
        check_dependency("weir-config", "host/config", "anyhow", false, None, false);
    }

    #[test]
    fn the_table_names_each_package_once_and_only_lower_layers() {
        let mut lower: Vec<&str> = Vec::new();
        for place in PLACES {
            assert!(!lower.contains(&place.package), "{} twice", place.package);
            lower.push(place.package);
        }
        for (index, place) in PLACES.iter().enumerate() {
            for name in place.may_use.iter().filter(|name| **name != "*") {
                let position = PLACES.iter().position(|other| other.package == *name);
                assert!(
                    position.is_some_and(|position| position < index),
                    "{} -> {name}",
                    place.package
                );
            }
        }
    }
}
