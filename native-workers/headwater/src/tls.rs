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
    pub(crate) cert_file: PathBuf,
    pub(crate) key_file: PathBuf,
    pub(crate) roots: Vec<CertificateDer<'static>>,
}

/// The files of `DIR/tls`.
struct Files {
    ca: PathBuf,
    ca_key: PathBuf,
    cert: PathBuf,
    key: PathBuf,
    /// Host names and addresses that the certificate is for, one a line.
    names: PathBuf,
}

impl Files {
    fn of(directory: &Path) -> Self {
        let file = |name: &str| directory.join(name);
        Self {
            ca: file("ca.pem"),
            ca_key: file("ca-key.pem"),
            cert: file("cert.pem"),
            key: file("key.pem"),
            names: file("names.txt"),
        }
    }

    fn names(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.names).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// Loads `DIR/tls`, making what is missing. The certificate covers `names` (host names and addresses) and those of earlier
/// starts; the authority stays the same, so that who trusts it need not be told.
pub(crate) fn load(data: &Path, names: &[String]) -> Result<Tls> {
    let directory = data.join("tls");
    std::fs::create_dir_all(&directory)?;
    let files = Files::of(&directory);
    let mut covered = files.names();
    let missing = names.iter().any(|name| !covered.contains(name));
    if missing || !files.key.exists() || !files.ca_key.exists() {
        covered.extend(names.iter().cloned());
        covered.sort();
        covered.dedup();
        make(&covered, &files).context("making the TLS certificates")?;
    }
    let (ca_file, cert_file, key_file) = (files.ca, files.cert, files.key);
    let roots = CertificateDer::pem_file_iter(&ca_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("reading {}", ca_file.display()))?;
    let server = server(&cert_file, &key_file, &[b"h2".as_slice(), b"http/1.1"])?;
    Ok(Tls {
        server,
        ca_file,
        cert_file,
        key_file,
        roots,
    })
}

/// What a listener needs. `protocols`: those that it speaks on top (ALPN).
pub(crate) fn server(
    cert_file: &Path,
    key_file: &Path,
    protocols: &[&[u8]],
) -> Result<Arc<rustls::ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("reading {}", cert_file.display()))?;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .with_context(|| format!("reading {}", key_file.display()))?;
    let mut server = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()?
    .with_no_client_auth()
    .with_single_cert(chain, key)?;
    server.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(server))
}

/// What the authority says of itself; with the same key it is the same authority.
fn authority() -> CertificateParams {
    let mut ca = CertificateParams::default();
    ca.distinguished_name
        .push(DnType::CommonName, "Headwater local authority");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca
}

/// The authority's key, made at the first call.
fn authority_key(files: &Files) -> Result<KeyPair> {
    if files.ca_key.exists() && files.ca.exists() {
        let pem = std::fs::read_to_string(&files.ca_key)?;
        return KeyPair::from_pem(&pem).with_context(|| files.ca_key.display().to_string());
    }
    let key = KeyPair::generate()?;
    files::write_private(&files.ca, authority().self_signed(&key)?.pem().as_bytes())?;
    // Last: its presence says that the other is whole.
    files::write_private(&files.ca_key, key.serialize_pem().as_bytes())?;
    Ok(key)
}

fn make(names: &[String], files: &Files) -> Result<()> {
    let issuer = Issuer::new(authority(), authority_key(files)?);
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(names.to_vec())?;
    leaf.distinguished_name
        .push(DnType::CommonName, "Headwater");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.use_authority_key_identifier_extension = true;
    let certificate = leaf.signed_by(&key, &issuer)?;
    // A start that dies in between leaves a name uncovered, and the next one makes the pair again.
    let _ = std::fs::remove_file(&files.names);
    files::write_private(&files.cert, certificate.pem().as_bytes())?;
    files::write_private(&files.key, key.serialize_pem().as_bytes())?;
    files::write_private(&files.names, names.join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_name_gets_a_new_certificate_from_the_same_authority() {
        let folder = tempfile::tempdir().unwrap();
        let load = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            load(folder.path(), &names).unwrap();
            let files = Files::of(&folder.path().join("tls"));
            let read = |path: &Path| std::fs::read_to_string(path).unwrap();
            (read(&files.ca), read(&files.cert), files.names())
        };
        let first = load(&["localhost", "127.0.0.1"]);
        assert_eq!(load(&["localhost"]), first);
        let second = load(&["localhost", "10.0.0.5", "video.example.com"]);
        assert_eq!(second.0, first.0);
        assert_ne!(second.1, first.1);
        assert_eq!(
            second.2,
            ["10.0.0.5", "127.0.0.1", "localhost", "video.example.com"]
        );
    }
}
