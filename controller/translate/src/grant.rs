//! ReferenceGrants: which references may leave their namespace.

use weir_crds::Kind;

use crate::input::Input;

/// Whether an object of one namespace, given by its kind, may refer to an object of another.
pub(crate) fn allows(
    input: &Input,
    (referrer, from_namespace): (Kind, &str),
    kind: Kind,
    namespace: &str,
    name: &str,
) -> bool {
    if from_namespace == namespace {
        return true;
    }
    let grants = input
        .reference_grants
        .iter()
        .filter(|it| it.metadata.namespace() == namespace);
    grants.into_iter().any(|grant| {
        let from = grant.spec.from.iter().any(|from| {
            from.group == referrer.group()
                && from.kind == referrer.as_str()
                && from.namespace == from_namespace
        });
        let to = grant.spec.to.iter().any(|to| {
            to.group == kind.group()
                && to.kind == kind.as_str()
                && to.name.as_deref().is_none_or(|it| it == name)
        });
        from && to
    })
}
