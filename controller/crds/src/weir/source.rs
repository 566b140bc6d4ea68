//! Where a plugin's bytes come from, and who must have signed them.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where a plugin's bytes come from; exactly one member is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginSource {
    /// A file.
    #[serde(default)]
    pub file: Option<FileSource>,
    /// A plugin that Weir carries.
    #[serde(default)]
    pub builtin: Option<BuiltinSource>,
    /// A web server.
    #[serde(default)]
    pub http: Option<HttpSource>,
    /// An OCI registry.
    #[serde(default)]
    pub oci: Option<OciSource>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileSource {
    /// Absolute, or relative to the manifest's folder.
    #[schemars(length(min = 1))]
    pub path: String,
}

/// A plugin that Weir carries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BuiltinSource {
    /// Its name.
    #[schemars(length(min = 1))]
    pub name: String,
}

/// A web server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpSource {
    /// An `https` URL, or an `http` one beside `spec.digest` or on a loopback host.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,
}

/// An OCI registry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OciSource {
    /// `registry/repository:tag` or `registry/repository@sha256:<hex>`.
    #[schemars(length(min = 1, max = 1024))]
    pub reference: String,
    /// How often the tag is resolved again, as a duration of a second or more; `5m` when absent. Not beside
    /// a digest.
    #[serde(default)]
    pub poll: Option<String>,
    /// A Secret of type `kubernetes.io/dockerconfigjson` in the Plugin's namespace.
    #[serde(default)]
    pub pull_secret_ref: Option<SecretReference>,
    /// Without TLS; not beside a pull secret, and without `spec.digest` only for a digest or a loopback host.
    #[serde(default)]
    pub plain_http: bool,
}

/// Names a Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SecretReference {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Who must have signed the bytes; exactly one member is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Verify {
    /// The public key, as PEM text.
    #[serde(default)]
    pub public_key: Option<String>,
    /// A Secret that holds it.
    #[serde(default)]
    pub public_key_ref: Option<SecretKeyReference>,
}

/// Names a value in a Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key of its data, such as `cosign.pub`.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}
