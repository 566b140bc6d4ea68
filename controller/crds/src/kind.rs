//! Which kinds there are, under which versions, and the JSON schema of each.

use std::fmt;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::{Resource, core, gateway_api, kgateway, weir};

/// A kind that Weir reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the Kubernetes kind of that name")]
pub enum Kind {
    GatewayClass,
    Gateway,
    HTTPRoute,
    ReferenceGrant,
    Namespace,
    Service,
    Secret,
    EndpointSlice,
    Backend,
    TrafficPolicy,
    DirectResponse,
    HTTPListenerPolicy,
    Plugin,
    PluginPolicy,
}

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// They do.
    Namespaced,
    /// They do not.
    Cluster,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::GatewayClass,
        Self::Gateway,
        Self::HTTPRoute,
        Self::ReferenceGrant,
        Self::Namespace,
        Self::Service,
        Self::Secret,
        Self::EndpointSlice,
        Self::Backend,
        Self::TrafficPolicy,
        Self::DirectResponse,
        Self::HTTPListenerPolicy,
        Self::Plugin,
        Self::PluginPolicy,
    ];

    /// The kind's name in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GatewayClass => "GatewayClass",
            Self::Gateway => "Gateway",
            Self::HTTPRoute => "HTTPRoute",
            Self::ReferenceGrant => "ReferenceGrant",
            Self::Namespace => "Namespace",
            Self::Service => "Service",
            Self::Secret => "Secret",
            Self::EndpointSlice => "EndpointSlice",
            Self::Backend => "Backend",
            Self::TrafficPolicy => "TrafficPolicy",
            Self::DirectResponse => "DirectResponse",
            Self::HTTPListenerPolicy => "HTTPListenerPolicy",
            Self::Plugin => "Plugin",
            Self::PluginPolicy => "PluginPolicy",
        }
    }

    /// The API group; empty for the core group.
    pub const fn group(self) -> &'static str {
        match self {
            Self::GatewayClass | Self::Gateway | Self::HTTPRoute | Self::ReferenceGrant => gateway_api::GROUP,
            Self::Namespace | Self::Service | Self::Secret => "",
            Self::EndpointSlice => core::DISCOVERY_GROUP,
            Self::Backend | Self::TrafficPolicy | Self::DirectResponse | Self::HTTPListenerPolicy => {
                kgateway::GROUP
            }
            Self::Plugin | Self::PluginPolicy => weir::GROUP,
        }
    }

    /// The versions read, newest first.
    pub const fn versions(self) -> &'static [&'static str] {
        match self {
            Self::GatewayClass | Self::Gateway | Self::HTTPRoute | Self::ReferenceGrant => &["v1", "v1beta1"],
            Self::Namespace | Self::Service | Self::Secret | Self::EndpointSlice => &["v1"],
            Self::Backend | Self::TrafficPolicy | Self::DirectResponse | Self::HTTPListenerPolicy => {
                &["v1alpha1"]
            }
            Self::Plugin | Self::PluginPolicy => &["v1alpha1"],
        }
    }

    /// Whether its objects live in a namespace.
    pub const fn scope(self) -> Scope {
        match self {
            Self::GatewayClass | Self::Namespace => Scope::Cluster,
            _ => Scope::Namespaced,
        }
    }

    /// The API versions as manifests write them, newest first.
    pub fn api_versions(self) -> impl Iterator<Item = String> {
        self.versions().iter().map(move |version| match self.group() {
            "" => (*version).to_owned(),
            group => format!("{group}/{version}"),
        })
    }

    /// Finds the kind that a manifest names.
    ///
    /// # Errors
    /// When there is none of that name, or none in that version.
    pub fn find(api_version: &str, kind: &str) -> Result<Self, UnknownKind> {
        let Some(found) = Self::ALL.into_iter().find(|it| it.as_str() == kind) else {
            return Err(UnknownKind::Kind(kind.to_owned()));
        };
        match found.api_versions().any(|it| it == api_version) {
            true => Ok(found),
            false => Err(UnknownKind::Version {
                kind: found,
                found: api_version.to_owned(),
            }),
        }
    }

    /// The strict JSON schema of an object of this kind.
    pub fn schema(self) -> Value {
        match self {
            Self::GatewayClass => schema::<Resource<gateway_api::GatewayClassSpec>>(),
            Self::Gateway => schema::<Resource<gateway_api::GatewaySpec>>(),
            Self::HTTPRoute => schema::<Resource<gateway_api::HttpRouteSpec>>(),
            Self::ReferenceGrant => schema::<Resource<gateway_api::ReferenceGrantSpec>>(),
            Self::Namespace => schema::<core::Namespace>(),
            Self::Service => schema::<Resource<core::ServiceSpec>>(),
            Self::Secret => schema::<core::Secret>(),
            Self::EndpointSlice => schema::<core::EndpointSlice>(),
            Self::Backend => schema::<Resource<kgateway::BackendSpec>>(),
            Self::TrafficPolicy => schema::<Resource<kgateway::TrafficPolicySpec>>(),
            Self::DirectResponse => schema::<Resource<kgateway::DirectResponseSpec>>(),
            Self::HTTPListenerPolicy => schema::<Resource<kgateway::HttpListenerPolicySpec>>(),
            Self::Plugin => schema::<Resource<weir::PluginSpec>>(),
            Self::PluginPolicy => schema::<Resource<weir::PluginPolicySpec>>(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a manifest's `apiVersion` and `kind` name nothing that Weir reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownKind {
    /// No such kind.
    Kind(String),
    /// The kind exists, in other versions.
    Version {
        /// The kind named.
        kind: Kind,
        /// The version asked for.
        found: String,
    },
}

fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(Plain);
    settings.into_generator().into_root_schema_for::<T>().into()
}

/// Rewrites what makes validation errors hard to read: an optional field is absent rather than null, and
/// a closed set of words is an `enum`.
#[derive(Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|it| it != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(choices)) = object.get_mut("enum") {
            choices.retain(|it| !it.is_null());
        }
        if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
            choices.retain(|it| it.get("type").is_none_or(|it| it != "null"));
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                object.extend(only);
            }
        }
        let words = object.get("oneOf").and_then(Value::as_array).and_then(|choices| {
            choices
                .iter()
                .map(|choice| choice.get("const").cloned())
                .collect::<Option<Vec<Value>>>()
        });
        if let Some(words) = words {
            object.remove("oneOf");
            object.insert("enum".to_owned(), Value::Array(words));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_names_a_kind_by_group_version_and_name() {
        assert_eq!(
            Kind::find("gateway.networking.k8s.io/v1", "HTTPRoute"),
            Ok(Kind::HTTPRoute)
        );
        assert_eq!(Kind::find("v1", "Service"), Ok(Kind::Service));
        assert_eq!(
            Kind::find("v1", "HttpRoute"),
            Err(UnknownKind::Kind("HttpRoute".into()))
        );
        let version = UnknownKind::Version {
            kind: Kind::Gateway,
            found: "v2".into(),
        };
        assert_eq!(Kind::find("v2", "Gateway"), Err(version));
    }

    #[test]
    fn schemas_have_no_null_and_no_union_of_constants() {
        for kind in Kind::ALL {
            let text = kind.schema().to_string();
            assert!(!text.contains("\"null\""), "{kind}: {text}");
            assert!(!text.contains("\"const\""), "{kind}: {text}");
            assert!(
                text.contains("\"additionalProperties\":false"),
                "{kind} is not strict"
            );
        }
    }
}
