//! backendRefs → clusters, or the reason why a reference does not resolve.

use weir_config::document::{Cluster, Endpoint};
use weir_crds::Kind;
use weir_crds::core::{EndpointPort, EndpointSlice, IntOrString, Protocol, Service, ServicePort};
use weir_crds::gateway_api::{BackendObjectReference, HttpBackendRef};
use weir_crds::kgateway::Backend;

use crate::grant;
use crate::input::Input;
use crate::status::{Condition, ObjectStatus, Status};
use crate::unresolved::Unresolved;

/// A reference to a backend, whichever object holds it.
#[derive(Clone, Copy)]
pub(crate) struct Reference<'a> {
    group: Option<&'a str>,
    kind: Option<&'a str>,
    name: &'a str,
    namespace: Option<&'a str>,
    port: Option<u16>,
}

impl<'a> From<&'a HttpBackendRef> for Reference<'a> {
    fn from(reference: &'a HttpBackendRef) -> Self {
        Self {
            group: reference.group.as_deref(),
            kind: reference.kind.as_deref(),
            name: &reference.name,
            namespace: reference.namespace.as_deref(),
            port: reference.port,
        }
    }
}

impl<'a> From<&'a BackendObjectReference> for Reference<'a> {
    fn from(reference: &'a BackendObjectReference) -> Self {
        Self {
            group: reference.group.as_deref(),
            kind: reference.kind.as_deref(),
            name: &reference.name,
            namespace: reference.namespace.as_deref(),
            port: reference.port,
        }
    }
}

impl Reference<'_> {
    /// Whether it names a Service, as it does when it says nothing.
    pub(crate) fn is_service(&self) -> bool {
        self.group.is_none_or(str::is_empty) && self.kind.is_none_or(|it| it == "Service")
    }
}

/// The cluster that a reference names, held by an object of that kind and namespace. Permission is judged
/// before existence.
pub(crate) fn resolve(
    input: &Input,
    from: (Kind, &str),
    backend: &Reference<'_>,
) -> Result<Cluster, Unresolved> {
    let group = backend.group.unwrap_or_default();
    let kind = backend.kind.unwrap_or("Service");
    let namespace = backend.namespace.unwrap_or(from.1);
    let known = [Kind::Service, Kind::Backend]
        .into_iter()
        .find(|it| it.group() == group && it.as_str() == kind);
    let Some(kind) = known else {
        let message =
            format!("{kind} of group {group:?} is no backend; name a Service or a kgateway Backend");
        return Err(Unresolved::new("InvalidKind", message));
    };
    let name = backend.name;
    if !grant::allows(input, from, kind, namespace, name) {
        let message =
            format!("{kind} {namespace}/{name} is in another namespace, where no ReferenceGrant allows this");
        return Err(Unresolved::new("RefNotPermitted", message));
    }
    let missing = || {
        Unresolved::new(
            "BackendNotFound",
            format!("there is no {kind} {namespace}/{name}"),
        )
    };
    match kind {
        Kind::Backend => static_backend(input.backend(namespace, name).ok_or_else(missing)?),
        _ => service(
            input,
            input.service(namespace, name).ok_or_else(missing)?,
            backend.port,
        ),
    }
}

fn service(input: &Input, service: &Service, port: Option<u16>) -> Result<Cluster, Unresolved> {
    let path = service.metadata.path();
    if service.spec.type_.as_deref() == Some("ExternalName") {
        let message =
            format!("Service {path} is of type ExternalName; name the host in a kgateway Backend instead");
        return Err(Unresolved::new("BackendNotFound", message));
    }
    let Some(number) = port else {
        return Err(Unresolved::new(
            "BackendNotFound",
            "a port is required for a Service",
        ));
    };
    let Some(port) = service.spec.ports.iter().find(|it| it.port == number) else {
        return Err(Unresolved::new(
            "BackendNotFound",
            format!("Service {path} has no port {number}"),
        ));
    };
    if port.protocol != Protocol::Tcp {
        let message = format!("port {number} of Service {path} is not a TCP port");
        return Err(Unresolved::new("UnsupportedProtocol", message));
    }
    app_protocol(
        port.app_protocol.as_deref(),
        &format!("port {number} of Service {path}"),
    )?;
    let mut endpoints = Vec::new();
    for slice in input.slices_of(&service.metadata) {
        for endpoint in endpoints_of(slice, port) {
            if !endpoints.contains(&endpoint) {
                endpoints.push(endpoint);
            }
        }
    }
    Ok(Cluster {
        name: format!("Service/{path}/{number}"),
        endpoints,
    })
}

/// The ready endpoints of a slice for a port of its Service.
fn endpoints_of<'a>(slice: &'a EndpointSlice, port: &ServicePort) -> impl Iterator<Item = Endpoint> + 'a {
    let number = endpoint_port(&slice.ports, port);
    let ready = slice
        .endpoints
        .iter()
        .filter(|it| it.conditions.ready != Some(false));
    ready.filter_map(move |endpoint| {
        Some(Endpoint {
            host: endpoint.addresses.first()?.clone(),
            port: number?,
        })
    })
}

/// A slice's port belongs to the Service's port of the same name. Slices written by hand often leave names
/// out: then the target port tells.
fn endpoint_port(ports: &[EndpointPort], service: &ServicePort) -> Option<u16> {
    let name = |it: &Option<String>| it.clone().unwrap_or_default();
    let target = match &service.target_port {
        None => IntOrString::Int(service.port),
        Some(target) => target.clone(),
    };
    let is_tcp = |it: &&EndpointPort| it.protocol == Protocol::Tcp;
    let by_name = ports
        .iter()
        .filter(is_tcp)
        .find(|it| name(&it.name) == name(&service.name));
    let by_target = || {
        ports.iter().filter(is_tcp).find(|it| match &target {
            IntOrString::Int(number) => it.port == Some(*number),
            IntOrString::String(text) => it.name.as_ref() == Some(text),
        })
    };
    let found = by_name.or_else(by_target)?;
    found.port.or(match target {
        IntOrString::Int(number) => Some(number),
        IntOrString::String(_) => None,
    })
}

fn static_backend(backend: &Backend) -> Result<Cluster, Unresolved> {
    let path = backend.metadata.path();
    if let Some(message) = defect(backend) {
        return Err(Unresolved::new(
            "BackendNotFound",
            format!("Backend {path}: {message}"),
        ));
    }
    let hosts = backend
        .spec
        .static_
        .as_ref()
        .map(|it| it.hosts.as_slice())
        .unwrap_or_default();
    let protocol = backend
        .spec
        .static_
        .as_ref()
        .and_then(|it| it.app_protocol.as_deref());
    app_protocol(protocol, &format!("Backend {path}"))?;
    let endpoints = hosts
        .iter()
        .map(|it| Endpoint {
            host: it.host.clone(),
            port: it.port,
        })
        .collect();
    Ok(Cluster {
        name: format!("Backend/{path}"),
        endpoints,
    })
}

fn defect(backend: &Backend) -> Option<String> {
    let members: Vec<_> = backend.spec.members().collect();
    match members.as_slice() {
        ["static"] => None,
        [] => Some("spec.static: required field is missing".to_owned()),
        [only] => Some(format!(
            "spec.{only}: not supported by this version of Weir; use spec.static"
        )),
        several => Some(format!("spec: exactly one of {} may be set", several.join(", "))),
    }
}

fn app_protocol(protocol: Option<&str>, whose: &str) -> Result<(), Unresolved> {
    match protocol {
        None | Some("http" | "kubernetes.io/http") => Ok(()),
        Some(other) => {
            let message = format!("{whose}: appProtocol {other:?} is not supported by this version of Weir");
            Err(Unresolved::new("UnsupportedProtocol", message))
        }
    }
}

/// The statuses of kgateway Backends.
pub(crate) fn statuses(input: &Input) -> Vec<ObjectStatus> {
    let status = |backend: &Backend| {
        let generation = backend.metadata.generation();
        let condition = match defect(backend) {
            None => Condition::new("Accepted", true, "Accepted", "the backend is valid", generation),
            Some(message) => Condition::new("Accepted", false, "Invalid", message, generation),
        };
        let status = Status {
            conditions: vec![condition],
            ..Status::default()
        };
        ObjectStatus::new(Kind::Backend, &backend.metadata, status)
    };
    input.backends.iter().map(status).collect()
}
