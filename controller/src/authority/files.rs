//! The files of the authority. What has a number is never written twice: a rotation adds files and removes them.

use crate::ca::CaError;
use crate::files;
use rcgen::{Certificate, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

/// A root's key and certificate. The first has no number in its files: they are older than rotations.
pub(super) fn root(number: u32) -> (String, String) {
    let stem = match number {
        1 => "root".to_owned(),
        _ => format!("root-{number}"),
    };
    (format!("{stem}.key"), format!("{stem}.pem"))
}

/// A key of the controller's own.
pub(super) fn key(number: u32) -> String {
    match number {
        1 => "server.key".to_owned(),
        2 => "next.key".to_owned(),
        _ => format!("server-{number}.key"),
    }
}

/// The controller's certificate by a root.
pub(super) fn server(root: u32) -> String {
    match root {
        1 => "server.pem".to_owned(),
        _ => format!("server-{root}.pem"),
    }
}

/// The word of one root for another.
pub(super) fn bridge(to: u32, by: u32) -> String {
    format!("bridge-{to}-{by}.pem")
}

/// Whether a file is of this folder at all: what somebody else has put here stays.
pub(super) fn is_ours(name: &str) -> bool {
    let kinds = ["root", "server", "next", "bridge"];
    let stem = name.split(['.', '-']).next().unwrap_or_default();
    kinds.contains(&stem) && (name.contains(".pem") || name.contains(".key"))
}

/// The folder.
pub(super) struct Drawer<'a> {
    pub(super) folder: &'a Path,
    /// Whether what is missing may be made.
    pub(super) may_make: bool,
}

impl Drawer<'_> {
    pub(super) fn key(&self, name: &str) -> Result<KeyPair, CaError> {
        let path = self.folder.join(name);
        if let Some(bytes) = self.look(&path)? {
            let text = String::from_utf8_lossy(&bytes);
            return KeyPair::from_pem(&text).map_err(|_| CaError::Damaged {
                path,
                what: "private key",
            });
        }
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        files::write(&path, key.serialize_pem().as_bytes())?;
        Ok(key)
    }

    pub(super) fn certificate(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Certificate, CaError>,
    ) -> Result<CertificateDer<'static>, CaError> {
        let path = self.folder.join(name);
        if let Some(bytes) = self.look(&path)? {
            return CertificateDer::from_pem_slice(&bytes).map_err(|_| CaError::Damaged {
                path,
                what: "certificate",
            });
        }
        let certificate = make()?;
        files::write(&path, certificate.pem().as_bytes())?;
        Ok(certificate.der().clone())
    }

    fn look(&self, path: &PathBuf) -> Result<Option<Vec<u8>>, CaError> {
        match files::read(path)? {
            None if !self.may_make => Err(CaError::Missing(path.to_owned())),
            found => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f18_the_first_root_keeps_its_files_and_no_two_have_the_same() {
        assert_eq!(root(1), ("root.key".to_owned(), "root.pem".to_owned()));
        let mut names = vec![bridge(2, 1), bridge(1, 2)];
        for number in 1..4 {
            let (key_name, certificate) = root(number);
            names.extend([key_name, certificate, key(number), server(number)]);
        }
        assert!(
            names
                .iter()
                .all(|name| is_ours(name) && is_ours(&format!("{name}.new")))
        );
        assert!(!is_ours("README") && !is_ours("rooted.pem") && !is_ours("root.txt"));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
