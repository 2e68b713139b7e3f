//! Files and folders of a start: what others must not read, written so that it is whole or not there; what an operator
//! names, checked before it is needed.

use crate::fault::{self, Blame, Fault, Kind, Setting};
use anyhow::{Context, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes `bytes` with mode 0600: a temporary file, synced, renamed.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let _ = std::fs::remove_file(&temporary);
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// The certificates of a PEM file, and its bytes, checked: at least one, each a certificate.
///
/// Errors name `setting`.
pub(crate) fn certificates(
    path: &Path,
    setting: Setting,
) -> Result<(Vec<u8>, Vec<CertificateDer<'static>>)> {
    let fault = || {
        let place = format!("{setting}: {}", path.display());
        Fault::new(Kind::Configuration, place)
    };
    let pem = std::fs::read(path).with_context(fault)?;
    let found = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .with_context(fault)?;
    let mut store = rustls::RootCertStore::empty();
    for certificate in &found {
        store.add(certificate.clone()).with_context(fault)?;
    }
    if found.is_empty() {
        return Err(anyhow::anyhow!("it holds no certificate in PEM")).with_context(fault);
    }
    Ok((pem, found))
}

/// The file that `--ca-file` of a worker names, checked.
pub(crate) fn ca(path: Option<&Path>) -> Result<Option<Vec<u8>>> {
    let read = |path| certificates(path, fault::CA_FILE).map(|(pem, _)| pem);
    path.map(read).transpose()
}

/// Makes `folder`, and makes sure that files can be made in it: that is worth knowing before media arrives.
///
/// Errors name `setting`.
pub(crate) fn writable(folder: &Path, setting: Setting) -> Result<()> {
    let place = || format!("{setting}: {} cannot be written to", folder.display());
    let attempt = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let probe = folder.join(format!(".writable-{}", std::process::id()));
        std::fs::write(&probe, b"?")?;
        std::fs::remove_file(&probe)
    };
    attempt().blame(Kind::CannotCreate, place())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_no_certificate_is_named_with_its_setting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in [None, Some(""), Some("not PEM"), Some(broken)] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let error = ca(Some(&path)).unwrap_err();
            let said = format!("{error:#}");
            assert!(said.contains("--ca-file (HEADWATER_CA_FILE)"), "{said}");
            assert!(said.contains("ca.pem"), "{said}");
            let kind = error.downcast_ref::<Fault>().unwrap().kind;
            assert_eq!(kind, Kind::Configuration);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let whole = rcgen::CertificateParams::new(vec!["a.example".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        std::fs::write(&path, whole.pem()).unwrap();
        assert_eq!(ca(Some(&path)).unwrap().unwrap(), whole.pem().as_bytes());
        assert_eq!(ca(None).unwrap(), None);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named_with_its_setting() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = writable(&file.join("data"), fault::DATA).unwrap_err();
        assert!(format!("{error:#}").contains("--data (HEADWATER_DATA)"));
        let kind = error.downcast_ref::<Fault>().unwrap().kind;
        assert_eq!(kind, Kind::CannotCreate);
        writable(&folder.path().join("a/b"), fault::DATA).unwrap();
    }
}
