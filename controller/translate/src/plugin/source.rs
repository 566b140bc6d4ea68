//! Where a Plugin's bytes come from and who must have signed them: the object's fields, and the Secrets
//! they name. Nothing is fetched here.

use std::time::Duration;

use weir_config::document;
use weir_crds::weir::{OciSource, Plugin, PluginSpec, Verify};
use weir_model as model;

use crate::input::Input;
use crate::limit::{self, Defect};
use crate::secret;
use crate::unresolved::Unresolved;

/// The source as documents have it. A pull secret that leads nowhere is noted, and the registry asked
/// without one; a source that is not valid gives `None`.
pub(super) fn translate(
    input: &Input,
    plugin: &Plugin,
    unresolved: &mut Vec<Unresolved>,
) -> Option<document::Source> {
    let source = &plugin.spec.source;
    match (&source.file, &source.builtin, &source.http, &source.oci) {
        (Some(file), None, None, None) => Some(document::Source::File(file.path.clone())),
        (None, Some(builtin), None, None) => Some(document::Source::Builtin(builtin.name.clone())),
        (None, None, Some(http), None) => Some(document::Source::Http(http.url.clone())),
        (None, None, None, Some(oci)) => {
            let namespace = plugin.metadata.namespace();
            let secret = oci.pull_secret_ref.as_ref().and_then(|it| {
                let found = secret::pull_secret(input, namespace, &it.name, &oci.reference);
                let consequence = "; the registry is asked without credentials";
                found
                    .map_err(|why| unresolved.push(why.at("spec.source.oci.pullSecretRef", consequence)))
                    .ok()
            });
            Some(document::Source::Oci(document::OciSource {
                reference: oci.reference.clone(),
                poll_millis: oci.poll.as_deref().and_then(limit::millis),
                pull_secret: secret,
                plain_http: oci.plain_http,
            }))
        }
        _ => None,
    }
}

/// The public key that must have signed the bytes, when any.
pub(super) fn public_key(input: &Input, plugin: &Plugin) -> Result<Option<String>, Unresolved> {
    let Some(verify) = &plugin.spec.verify else {
        return Ok(None);
    };
    let Some(reference) = &verify.public_key_ref else {
        return Ok(verify.public_key.clone());
    };
    let found = secret::public_key(input, plugin.metadata.namespace(), reference);
    found
        .map(Some)
        .map_err(|why| why.at("spec.verify.publicKeyRef", "; nothing of the plugin is loaded"))
}

/// Whether other objects have a say in the source.
pub(super) fn has_references(spec: &PluginSpec) -> bool {
    let pulls = spec
        .source
        .oci
        .as_ref()
        .is_some_and(|it| it.pull_secret_ref.is_some());
    pulls || spec.verify.as_ref().is_some_and(|it| it.public_key_ref.is_some())
}

/// What is wrong with source and signature, other objects left aside.
pub(super) fn defects(spec: &PluginSpec) -> Vec<Defect> {
    let mut defects = Vec::new();
    let source = &spec.source;
    let pinned = spec.digest.is_some();
    match (&source.file, &source.builtin, &source.http, &source.oci) {
        (Some(_), None, None, None) => {}
        (None, Some(builtin), None, None) => defects.extend(builtin_defect(&builtin.name)),
        (None, None, Some(http), None) => defects.extend(http_defect(&http.url, pinned)),
        (None, None, None, Some(oci)) => defects.extend(oci_defects(oci, pinned)),
        _ => defects.push((
            "spec.source".to_owned(),
            "write exactly one of file, builtin, http, oci".to_owned(),
        )),
    }
    if let Some(verify) = &spec.verify {
        if source.builtin.is_some() {
            let message = "a built-in comes with the gateway and is not signed; remove it";
            defects.push(("spec.verify".to_owned(), message.to_owned()));
        }
        defects.extend(verify_defect(verify));
    }
    defects
}

/// The plugins that every gateway carries.
const BUILTINS: [&str; 3] = ["access-log", "direct-response", "transformation"];

const UNPINNED: &str =
    "without TLS anyone on the way could exchange the plugin; use TLS or write spec.digest";

fn builtin_defect(name: &str) -> Option<Defect> {
    let message = || {
        let known = BUILTINS.join(", ");
        format!("there is no built-in {name:?}; the built-ins are {known}")
    };
    (!BUILTINS.contains(&name)).then(|| ("spec.source.builtin.name".to_owned(), message()))
}

fn http_defect(url: &str, pinned: bool) -> Option<Defect> {
    let message = match url.parse::<model::HttpSource>() {
        Err(error) => error.to_string(),
        Ok(source) if source.needs_digest() && !pinned => UNPINNED.to_owned(),
        Ok(_) => return None,
    };
    Some(("spec.source.http.url".to_owned(), message))
}

fn oci_defects(oci: &OciSource, pinned: bool) -> Vec<Defect> {
    let at = |field: &str, message: String| (format!("spec.source.oci.{field}"), message);
    let mut source = match model::OciSource::new(&oci.reference) {
        Ok(source) => source,
        Err(error) => return vec![at("reference", error.to_string())],
    };
    source.plain_http = oci.plain_http;
    let mut defects = Vec::new();
    if let Some(text) = &oci.poll {
        let shortest = model::OciSource::MIN_POLL;
        let poll = limit::millis(text).map(Duration::from_millis);
        if source.is_pinned() {
            let message = "a digest never changes, so there is nothing to poll; remove it";
            defects.push(at("poll", message.to_owned()));
        } else if poll.is_none_or(|it| it < shortest) {
            let message = format!("{text:?} is no duration of a second or more; write something like 5m");
            defects.push(at("poll", message));
        }
    }
    if source.is_exposed() && !pinned && !source.is_pinned() {
        defects.push(at("plainHttp", UNPINNED.to_owned()));
    }
    if source.is_exposed() && oci.pull_secret_ref.is_some() {
        let message = "without TLS the password could be read on the way; remove plainHttp or this";
        defects.push(at("pullSecretRef", message.to_owned()));
    }
    defects
}

fn verify_defect(verify: &Verify) -> Option<Defect> {
    let message = match (&verify.public_key, &verify.public_key_ref) {
        (None, Some(_)) => return None,
        (Some(pem), None) => {
            let error = pem.parse::<model::Signature>().err()?;
            return Some(("spec.verify.publicKey".to_owned(), error.to_string()));
        }
        _ => "write exactly one of publicKey, publicKeyRef",
    };
    Some(("spec.verify".to_owned(), message.to_owned()))
}
