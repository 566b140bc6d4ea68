//! TLS of the client: rustls, the system's root certificates, and those that the operator adds.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::FetchError;

/// Builds the configuration. Blocks on the disk: for start-up.
pub(super) fn config(ca_file: Option<&Path>) -> Result<ClientConfig, FetchError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "a part of the system's root certificates cannot be read");
    }
    let (_added, ignored) = roots.add_parsable_certificates(system.certs);
    if ignored > 0 {
        tracing::debug!(
            ignored,
            "the system has root certificates that rustls does not read"
        );
    }
    if let Some(path) = ca_file {
        add(&mut roots, path)?;
    }
    // The provider is handed in: the process's default is for main to choose.
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| FetchError::Request(format!("TLS cannot be set up: {error}")))
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), FetchError> {
    let bad = |problem: String| FetchError::malformed(format!("the CA file {}", path.display()), problem);
    let pem = fs::read(path).map_err(|error| FetchError::file(path, error))?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| bad(format!("{error:?}")))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        count += 1;
    }
    if count == 0 {
        return Err(bad("it holds no certificate in PEM form".into()));
    }
    Ok(())
}
