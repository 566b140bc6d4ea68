//! targetRefs and targetSelectors → the places that a policy is attached to.

use weir_crds::kgateway::{TargetReference, TargetSelector};
use weir_crds::{Kind, ObjectMeta};

use super::site::{Level, Site};
use crate::input::{Input, named};

/// One object, or a section of it, that a policy is attached to.
struct Target {
    kind: Kind,
    namespace: String,
    name: String,
    section: Option<String>,
}

/// All that a policy is attached to.
#[derive(Default)]
pub(super) struct Targets {
    found: Vec<Target>,
    /// References that lead nowhere.
    pub(super) missing: Vec<String>,
    /// References to what such a policy cannot be attached to.
    pub(super) refused: Vec<String>,
}

impl Targets {
    pub(super) fn resolve(
        input: &Input,
        policy: &ObjectMeta,
        allowed: &[Kind],
        references: &[TargetReference],
        selectors: &[TargetSelector],
    ) -> Self {
        let mut targets = Self::default();
        let namespace = policy.namespace();
        for (index, it) in references.iter().enumerate() {
            let at = format!("spec.targetRefs[{index}]");
            let Some(kind) = targets.kind(&at, allowed, &it.group, &it.kind) else {
                continue;
            };
            let section = it.section_name.clone();
            let target = Target {
                kind,
                namespace: namespace.to_owned(),
                name: it.name.clone(),
                section,
            };
            match target.exists(input) {
                Ok(()) => targets.found.push(target),
                Err(message) => targets.missing.push(format!("{at}: {message}")),
            }
        }
        for (index, it) in selectors.iter().enumerate() {
            let at = format!("spec.targetSelectors[{index}]");
            let Some(kind) = targets.kind(&at, allowed, &it.group, &it.kind) else {
                continue;
            };
            let selected = objects(input, kind).filter(|object| {
                object.namespace() == namespace
                    && it
                        .match_labels
                        .iter()
                        .all(|(key, value)| object.labels.get(key) == Some(value))
            });
            let target = |object: &ObjectMeta| {
                let (namespace, name) = (namespace.to_owned(), object.name.clone());
                Target {
                    kind,
                    namespace,
                    name,
                    section: it.section_name.clone(),
                }
            };
            // A selected object without the section is simply not concerned.
            targets
                .found
                .extend(selected.map(target).filter(|it| it.exists(input).is_ok()));
        }
        targets
    }

    fn kind(&mut self, at: &str, allowed: &[Kind], group: &str, kind: &str) -> Option<Kind> {
        let found = allowed
            .iter()
            .copied()
            .find(|it| it.group() == group && it.as_str() == kind);
        if found.is_none() {
            let names: Vec<_> = allowed
                .iter()
                .map(|it| format!("{it} of group {}", it.group()))
                .collect();
            let names = names.join(" or ");
            self.refused.push(format!(
                "{at}: {kind} of group {group:?} is not supported as a target; name a {names}"
            ));
        }
        found
    }

    /// How closely the policy is attached to a place, if at all.
    pub(super) fn level(&self, site: &Site<'_>) -> Option<Level> {
        self.found.iter().filter_map(|it| it.level(site)).min()
    }
}

impl Target {
    fn exists(&self, input: &Input) -> Result<(), String> {
        let Self {
            kind,
            namespace,
            name,
            section,
        } = self;
        let is_it = |it: &ObjectMeta| named(it, namespace, name);
        if !objects(input, *kind).any(is_it) {
            return Err(format!("there is no {kind} {namespace}/{name}"));
        }
        let Some(section) = section else { return Ok(()) };
        let has_section = match kind {
            Kind::Gateway => {
                let gateway = input.gateways.iter().find(|it| is_it(&it.metadata));
                gateway.is_some_and(|it| it.spec.listeners.iter().any(|it| it.name == *section))
            }
            _ => {
                let route = input.http_routes.iter().find(|it| is_it(&it.metadata));
                route.is_some_and(|it| it.spec.rules.iter().any(|it| it.name.as_ref() == Some(section)))
            }
        };
        match has_section {
            true => Ok(()),
            false => Err(format!("{kind} {namespace}/{name} has no section {section:?}")),
        }
    }

    fn level(&self, site: &Site<'_>) -> Option<Level> {
        let is_it = |it: &ObjectMeta| named(it, &self.namespace, &self.name);
        match (self.kind, site.rule) {
            (Kind::Gateway, _) if is_it(&site.gateway.gateway.metadata) => match self.section.as_deref() {
                None => Some(Level::Gateway),
                Some(section) => (section == site.listener.name()).then_some(Level::Listener),
            },
            (Kind::HTTPRoute, Some((route, rule))) if is_it(&route.metadata) => match self.section.as_deref()
            {
                None => Some(Level::Route),
                Some(section) => (rule.section == Some(section)).then_some(Level::Rule),
            },
            _ => None,
        }
    }
}

fn objects(input: &Input, kind: Kind) -> Box<dyn Iterator<Item = &ObjectMeta> + '_> {
    match kind {
        Kind::Gateway => Box::new(input.gateways.iter().map(|it| &it.metadata)),
        _ => Box::new(input.http_routes.iter().map(|it| &it.metadata)),
    }
}
