//! Everything a translation looks at, sorted so that the order of arrival does not count.

use std::collections::BTreeMap;

use weir_crds::core::{EndpointSlice, NAME_LABEL, Namespace, SERVICE_NAME_LABEL, Secret, Service};
use weir_crds::gateway_api::{Gateway, GatewayClass, HttpRoute, ReferenceGrant};
use weir_crds::kgateway::{Backend, DirectResponse, HttpListenerPolicy, TrafficPolicy};
use weir_crds::weir::{Plugin, PluginPolicy};
use weir_crds::{Object, ObjectMeta};

/// The objects to translate: each kind by creation time, then namespace and name.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "each list holds the objects of that kind")]
pub struct Input {
    /// Whether there is anything beside these objects.
    pub scope: Scope,
    pub gateway_classes: Vec<GatewayClass>,
    pub gateways: Vec<Gateway>,
    pub http_routes: Vec<HttpRoute>,
    pub reference_grants: Vec<ReferenceGrant>,
    pub namespaces: Vec<Namespace>,
    pub services: Vec<Service>,
    pub secrets: Vec<Secret>,
    pub endpoint_slices: Vec<EndpointSlice>,
    pub backends: Vec<Backend>,
    pub traffic_policies: Vec<TrafficPolicy>,
    pub direct_responses: Vec<DirectResponse>,
    pub http_listener_policies: Vec<HttpListenerPolicy>,
    pub plugins: Vec<Plugin>,
    pub plugin_policies: Vec<PluginPolicy>,
}

/// Whether objects that are not in the input may exist all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The input is all there is: a parent that is not in it is a mistake.
    #[default]
    Files,
    /// Others have controllers too: a parent that is not in the input is not ours to judge.
    Cluster,
}

impl Input {
    /// Sorts objects into an input.
    pub fn new(scope: Scope, objects: impl IntoIterator<Item = Object>) -> Self {
        let mut input = Self {
            scope,
            ..Self::default()
        };
        for object in objects {
            input.push(object);
        }
        input.sort();
        input
    }

    fn push(&mut self, object: Object) {
        match object {
            Object::GatewayClass(it) => self.gateway_classes.push(*it),
            Object::Gateway(it) => self.gateways.push(*it),
            Object::HTTPRoute(it) => self.http_routes.push(*it),
            Object::ReferenceGrant(it) => self.reference_grants.push(*it),
            Object::Namespace(it) => self.namespaces.push(*it),
            Object::Service(it) => self.services.push(*it),
            Object::Secret(it) => self.secrets.push(*it),
            Object::EndpointSlice(it) => self.endpoint_slices.push(*it),
            Object::Backend(it) => self.backends.push(*it),
            Object::TrafficPolicy(it) => self.traffic_policies.push(*it),
            Object::DirectResponse(it) => self.direct_responses.push(*it),
            Object::HTTPListenerPolicy(it) => self.http_listener_policies.push(*it),
            Object::Plugin(it) => self.plugins.push(*it),
            Object::PluginPolicy(it) => self.plugin_policies.push(*it),
        }
    }

    fn sort(&mut self) {
        self.gateway_classes.sort_by_cached_key(|it| age(&it.metadata));
        self.gateways.sort_by_cached_key(|it| age(&it.metadata));
        self.http_routes.sort_by_cached_key(|it| age(&it.metadata));
        self.reference_grants.sort_by_cached_key(|it| age(&it.metadata));
        self.namespaces.sort_by_cached_key(|it| age(&it.metadata));
        self.services.sort_by_cached_key(|it| age(&it.metadata));
        self.secrets.sort_by_cached_key(|it| age(&it.metadata));
        self.endpoint_slices.sort_by_cached_key(|it| age(&it.metadata));
        self.backends.sort_by_cached_key(|it| age(&it.metadata));
        self.traffic_policies.sort_by_cached_key(|it| age(&it.metadata));
        self.direct_responses.sort_by_cached_key(|it| age(&it.metadata));
        self.http_listener_policies
            .sort_by_cached_key(|it| age(&it.metadata));
        self.plugins.sort_by_cached_key(|it| age(&it.metadata));
        self.plugin_policies.sort_by_cached_key(|it| age(&it.metadata));
    }

    pub(crate) fn gateway(&self, namespace: &str, name: &str) -> Option<&Gateway> {
        self.gateways
            .iter()
            .find(|it| named(&it.metadata, namespace, name))
    }

    pub(crate) fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services
            .iter()
            .find(|it| named(&it.metadata, namespace, name))
    }

    pub(crate) fn backend(&self, namespace: &str, name: &str) -> Option<&Backend> {
        self.backends
            .iter()
            .find(|it| named(&it.metadata, namespace, name))
    }

    pub(crate) fn secret(&self, namespace: &str, name: &str) -> Option<&Secret> {
        self.secrets
            .iter()
            .find(|it| named(&it.metadata, namespace, name))
    }

    pub(crate) fn slices_of<'a>(
        &'a self,
        service: &'a ObjectMeta,
    ) -> impl Iterator<Item = &'a EndpointSlice> {
        self.endpoint_slices.iter().filter(move |slice| {
            slice.metadata.namespace() == service.namespace()
                && slice.metadata.labels.get(SERVICE_NAME_LABEL) == Some(&service.name)
        })
    }

    /// The labels of a namespace, whether or not its object is known.
    pub(crate) fn namespace_labels(&self, name: &str) -> BTreeMap<String, String> {
        let known = self.namespaces.iter().find(|it| it.metadata.name == name);
        let mut labels = known.map(|it| it.metadata.labels.clone()).unwrap_or_default();
        labels.insert(NAME_LABEL.to_owned(), name.to_owned());
        labels
    }
}

/// Older objects come first; those without a time, which no API server has seen, before all others.
pub(crate) fn age(metadata: &ObjectMeta) -> (Option<String>, String, String) {
    (
        metadata.creation_timestamp.clone(),
        metadata.namespace().to_owned(),
        metadata.name.clone(),
    )
}

pub(crate) fn named(metadata: &ObjectMeta, namespace: &str, name: &str) -> bool {
    metadata.namespace() == namespace && metadata.name == name
}
