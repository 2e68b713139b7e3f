//! TLS of a self-contained installation: a certificate authority of its own, made once, and a server certificate.

use crate::files;
use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the listeners and our own clients need.
pub(crate) struct Tls {
    pub(crate) server: Arc<rustls::ServerConfig>,
    pub(crate) ca_file: PathBuf,
    pub(crate) roots: Vec<CertificateDer<'static>>,
}

/// Loads `DIR/tls`, making it for `names` (host names and addresses) in a new installation.
pub(crate) fn load(data: &Path, names: &[String]) -> Result<Tls> {
    let directory = data.join("tls");
    let (ca_file, cert_file, key_file) = (
        directory.join("ca.pem"),
        directory.join("cert.pem"),
        directory.join("key.pem"),
    );
    if !key_file.exists() {
        std::fs::create_dir_all(&directory)?;
        make(names, &ca_file, &cert_file, &key_file).context("making the TLS certificates")?;
    }
    let chain = CertificateDer::pem_file_iter(&cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("reading {}", cert_file.display()))?;
    let key = PrivateKeyDer::from_pem_file(&key_file)
        .with_context(|| format!("reading {}", key_file.display()))?;
    let roots = CertificateDer::pem_file_iter(&ca_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("reading {}", ca_file.display()))?;
    let mut server = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()?
    .with_no_client_auth()
    .with_single_cert(chain, key)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls {
        server: Arc::new(server),
        ca_file,
        roots,
    })
}

fn make(names: &[String], ca_file: &Path, cert_file: &Path, key_file: &Path) -> Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name
        .push(DnType::CommonName, "Headwater local authority");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(names.to_vec())?;
    leaf.distinguished_name
        .push(DnType::CommonName, "Headwater");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.use_authority_key_identifier_extension = true;
    let certificate = leaf.signed_by(&key, &issuer)?;
    files::write_private(ca_file, ca_certificate.pem().as_bytes())?;
    files::write_private(cert_file, certificate.pem().as_bytes())?;
    // Last: its presence says that the others are whole. The authority's own key is not kept.
    files::write_private(key_file, key.serialize_pem().as_bytes())
}
