//! The statuses of objects, in the form they have in Kubernetes. `lastTransitionTime` is for whoever
//! writes them: translation knows no clock.

use serde::{Deserialize, Serialize};
use weir_crds::{Kind, ObjectMeta};

use crate::CONTROLLER_NAME;

/// The status of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatus {
    /// Group and version.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// Which object.
    pub metadata: StatusMetadata,
    /// What is to be said about it.
    pub status: Status,
}

/// Which object a status is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of every object")]
pub struct StatusMetadata {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub generation: i64,
}

/// A status; each kind uses some of the members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Of the object as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Of each listener of a Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listeners: Option<Vec<ListenerStatus>>,
    /// Of a route, for each parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parents: Option<Vec<RouteParentStatus>>,
    /// Of a policy, for each Gateway it reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ancestors: Option<Vec<AncestorStatus>>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is judged, such as `Accepted`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, as one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// The generation that was judged.
    pub observed_generation: i64,
}

impl Condition {
    /// A condition that is true or false.
    pub fn new(type_: &str, holds: bool, reason: &str, message: impl Into<String>, generation: i64) -> Self {
        Self {
            type_: type_.to_owned(),
            status: if holds { "True" } else { "False" }.to_owned(),
            reason: reason.to_owned(),
            message: message.into(),
            observed_generation: generation,
        }
    }

    /// Whether it is `True`.
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// The status of one listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Gateway API's")]
pub struct ListenerStatus {
    pub name: String,
    pub supported_kinds: Vec<SupportedKind>,
    pub attached_routes: usize,
    pub conditions: Vec<Condition>,
}

/// A kind of route that a listener serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are Gateway API's")]
pub struct SupportedKind {
    pub group: String,
    pub kind: String,
}

/// The status of a route for one parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Gateway API's")]
pub struct RouteParentStatus {
    pub parent_ref: Reference,
    pub controller_name: String,
    pub conditions: Vec<Condition>,
}

/// The status of a policy for one Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Gateway API's")]
pub struct AncestorStatus {
    pub ancestor_ref: Reference,
    pub controller_name: String,
    pub conditions: Vec<Condition>,
}

/// Names a parent or ancestor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Gateway API's")]
pub struct Reference {
    pub group: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl Reference {
    /// Names an object as a whole.
    pub(crate) fn object(kind: Kind, metadata: &ObjectMeta) -> Self {
        Self {
            group: kind.group().to_owned(),
            kind: kind.as_str().to_owned(),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone(),
            section_name: None,
            port: None,
        }
    }
}

impl ObjectStatus {
    pub(crate) fn new(kind: Kind, metadata: &ObjectMeta, status: Status) -> Self {
        Self {
            api_version: kind.api_versions().next().unwrap_or_default(),
            kind: kind.as_str().to_owned(),
            metadata: StatusMetadata {
                name: metadata.name.clone(),
                namespace: metadata.namespace.clone(),
                generation: metadata.generation(),
            },
            status,
        }
    }

    /// `Kind namespace/name`.
    pub fn object(&self) -> String {
        match &self.metadata.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.metadata.name),
            None => format!("{} {}", self.kind, self.metadata.name),
        }
    }

    /// Overlays a condition of the object as a whole: what only the running gateway knows, such as a plugin
    /// that did not load.
    pub fn set_condition(&mut self, type_: &str, holds: bool, reason: &str, message: &str) {
        let condition = Condition::new(type_, holds, reason, message, self.metadata.generation);
        set(&mut self.status.conditions, condition);
    }

    /// Overlays a condition of one listener of a Gateway. False when there is no such listener.
    pub fn set_listener_condition(
        &mut self,
        listener: &str,
        type_: &str,
        holds: bool,
        reason: &str,
        message: &str,
    ) -> bool {
        let condition = Condition::new(type_, holds, reason, message, self.metadata.generation);
        let found = self
            .status
            .listeners
            .iter_mut()
            .flatten()
            .find(|it| it.name == listener);
        found.map(|it| set(&mut it.conditions, condition)).is_some()
    }

    /// Overlays a condition of a policy for every Gateway it reaches.
    pub fn set_ancestor_conditions(&mut self, type_: &str, holds: bool, reason: &str, message: &str) {
        let generation = self.metadata.generation;
        for ancestor in self.status.ancestors.iter_mut().flatten() {
            set(
                &mut ancestor.conditions,
                Condition::new(type_, holds, reason, message, generation),
            );
        }
    }

    /// Every condition of the object, with the part of the object that it judges.
    pub fn all_conditions(&self) -> impl Iterator<Item = (String, &Condition)> {
        let whole = self.status.conditions.iter().map(|it| (String::new(), it));
        let listeners = self.status.listeners.iter().flatten().flat_map(|listener| {
            listener
                .conditions
                .iter()
                .map(|it| (format!("listener {}", listener.name), it))
        });
        let parents = self.status.parents.iter().flatten().flat_map(|parent| {
            parent
                .conditions
                .iter()
                .map(|it| (format!("parent {}", place(&parent.parent_ref)), it))
        });
        let ancestors = self.status.ancestors.iter().flatten().flat_map(|ancestor| {
            ancestor
                .conditions
                .iter()
                .map(|it| (format!("at {}", place(&ancestor.ancestor_ref)), it))
        });
        whole.chain(listeners).chain(parents).chain(ancestors)
    }
}

/// The name of our controller, for entries of our own.
pub(crate) fn controller_name() -> String {
    CONTROLLER_NAME.to_owned()
}

fn set(conditions: &mut Vec<Condition>, condition: Condition) {
    match conditions.iter_mut().find(|it| it.type_ == condition.type_) {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}

fn place(reference: &Reference) -> String {
    let mut place = reference.name.clone();
    if let Some(namespace) = &reference.namespace {
        place = format!("{namespace}/{place}");
    }
    if let Some(section) = &reference.section_name {
        place = format!("{place}/{section}");
    }
    match reference.port {
        Some(port) => format!("{place}:{port}"),
        None => place,
    }
}
