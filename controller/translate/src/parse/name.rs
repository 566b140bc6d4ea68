//! What an object calls itself, before anything else about it is known to be right.

use weir_crds::{Kind, Scope, UnknownKind};

use super::Severity;
use super::yaml::Node;

/// Why an object is not of a kind that is read: how bad, which field, and what to do.
type Refusal = (Severity, Option<&'static str>, String);

/// `Kind namespace/name`, as far as it is written.
pub(super) fn of(node: &Node) -> Option<String> {
    let kind = node.text("kind")?;
    let Some(metadata) = node.member("metadata") else {
        return Some(kind.to_owned());
    };
    let name = metadata.text("name").unwrap_or("(no name)");
    let cluster_scoped = Kind::ALL
        .iter()
        .any(|it| it.as_str() == kind && it.scope() == Scope::Cluster);
    if cluster_scoped {
        return Some(format!("{kind} {name}"));
    }
    Some(format!(
        "{kind} {}/{name}",
        metadata.text("namespace").unwrap_or("default")
    ))
}

/// The kind of an object.
pub(super) fn kind(node: &Node, left_out: &[&str]) -> Result<Kind, Refusal> {
    if !node.is_mapping() {
        let message = format!(
            "expected an object with apiVersion, kind and metadata, got {}",
            node.type_name()
        );
        return Err((Severity::Error, None, message));
    }
    let Some(version) = node.text("apiVersion") else {
        return Err((
            Severity::Error,
            Some("apiVersion"),
            "required text field is missing".to_owned(),
        ));
    };
    let Some(kind) = node.text("kind") else {
        return Err((
            Severity::Error,
            Some("kind"),
            "required text field is missing".to_owned(),
        ));
    };
    Kind::find(version, kind).map_err(|unknown| match unknown {
        UnknownKind::Kind(kind) if left_out.contains(&kind.as_str()) => (
            Severity::Notice,
            None,
            format!("the gateway does not read kind {kind}; the object is left out"),
        ),
        UnknownKind::Kind(kind) => {
            let known: Vec<_> = Kind::ALL.iter().map(|it| it.as_str()).collect();
            let hint = super::schema::nearest(&kind, known.iter().copied());
            let hint = hint
                .map(|hint| format!("did you mean {hint:?}? "))
                .unwrap_or_default();
            let message = format!("unknown kind {kind:?}; {hint}Weir reads {}", known.join(", "));
            (Severity::Error, Some("kind"), message)
        }
        UnknownKind::Version { kind, found } => {
            let versions: Vec<_> = kind.api_versions().collect();
            let message = format!(
                "{found:?} is no version of {kind} that Weir reads; write {}",
                versions.join(" or ")
            );
            (Severity::Error, Some("apiVersion"), message)
        }
    })
}
