//! TLS: whom the client trusts, and who it says it is.
//!
//! The cryptography is that of ring, chosen here and nowhere else: what an embedder installs for its whole process is neither
//! needed nor changed. Each client has a configuration of its own, because a configuration remembers TLS sessions, and what one
//! tenant's connection remembers is nothing for another's.

use std::{
    fs,
    path::Path,
    sync::{Arc, LazyLock},
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::transport::{ConnectError, Endpoint};

/// Bytes of a file with certificates: all public authorities in one have a quarter of a MiB.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// The authorities of Mozilla.
static PUBLIC_ROOTS: LazyLock<Arc<RootCertStore>> =
    LazyLock::new(|| Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }));

/// What TLS is to be like for a server. Blocks: it reads files.
pub(super) fn config(endpoint: &Endpoint) -> Result<ClientConfig, ConnectError> {
    let roots = match &endpoint.ca_certificates {
        Some(file) => Arc::new(authorities(file)?),
        None => PUBLIC_ROOTS.clone(),
    };
    let config = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::new(format!("TLS cannot be used: {error}")))?
        .with_root_certificates(roots);
    let mut config = match &endpoint.client_certificate {
        None => config.with_no_client_auth(),
        Some(file) => {
            let pem = read(file)?;
            let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unusable(file, "key", &error))?;
            config
                .with_client_auth_cert(certificates(file, &pem)?, key)
                .map_err(|error| unusable(file, "key", &error))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn authorities(file: &Path) -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, &read(file)?)? {
        roots.add(certificate).map_err(|error| unusable(file, "certificate", &error))?;
    }
    Ok(roots)
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.map_err(|error| unusable(file, "certificate", &error))?;
    if certificates.is_empty() {
        return Err(ConnectError::new(format!("its file `{}` has no certificate in it (PEM)", file.display())));
    }
    Ok(certificates)
}

fn read(file: &Path) -> Result<Vec<u8>, ConnectError> {
    let unreadable = |error: std::io::Error| {
        ConnectError::new(format!("its file `{}` with certificates cannot be read: {error}", file.display()))
    };
    let size = fs::metadata(file).map_err(unreadable)?.len();
    if size > MOST_BYTES {
        let reason = format!("its file `{}` with certificates has {size} bytes, more than any has", file.display());
        return Err(ConnectError::new(reason));
    }
    fs::read(file).map_err(unreadable)
}

fn unusable(file: &Path, what: &str, error: &dyn std::fmt::Display) -> ConnectError {
    ConnectError::new(format!("the {what} in its file `{}` cannot be used: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_or_has_nothing_in_it_is_named() {
        let missing = Endpoint::new("https://a.example").ca_certificates("/nowhere/ca.pem");
        let empty = Endpoint::new("https://a.example").client_certificate("/dev/null");

        let said = |endpoint: &Endpoint| config(endpoint).err().unwrap().to_string();
        assert!(said(&missing).contains("`/nowhere/ca.pem` with certificates cannot be read"), "{}", said(&missing));
        assert!(said(&empty).contains("`/dev/null` cannot be used"), "{}", said(&empty));
    }

    #[test]
    fn public_authorities_are_trusted_by_default() {
        assert!(config(&Endpoint::new("https://a.example")).is_ok());
        assert!(PUBLIC_ROOTS.len() > 50);
    }
}
