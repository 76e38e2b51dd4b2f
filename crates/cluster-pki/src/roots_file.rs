//! The roots in a node's `ca.pem`: whose they are, and whether they are the ones to have.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::files::{self, Access, StagedFile};
use crate::output::OutputError;

/// The roots of an authority.
#[derive(Debug)]
pub(crate) struct Roots {
    /// What nodes are to believe now, as text.
    pub(crate) pem: String,
    /// The same, the root that signs first.
    pub(crate) current: Vec<CertificateDer<'static>>,
    /// Every root that the authority ever had.
    pub(crate) known: Vec<CertificateDer<'static>>,
}

/// What is to be done about a `ca.pem`.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    Replace,
    Foreign,
}

impl Roots {
    /// Stages a new `ca.pem`, or nothing where the file is good as it is.
    ///
    /// A file that holds roots of ours alone follows them. One that holds others too was put
    /// together by somebody: it is good where our roots are among them, and never touched.
    pub(crate) fn stage(&self, path: &Path) -> Result<Option<StagedFile>, OutputError> {
        match self.judge_file(path)? {
            Verdict::Keep => Ok(None),
            Verdict::Replace => {
                let staged = StagedFile::write(path, Access::Everyone, self.pem.as_bytes())?;
                Ok(Some(staged))
            }
            Verdict::Foreign => Err(OutputError::OtherAuthority {
                path: path.to_owned(),
            }),
        }
    }

    /// The same question without an answer on disk.
    pub(crate) fn check(&self, path: &Path) -> Result<(), OutputError> {
        match self.judge_file(path)? {
            Verdict::Foreign => Err(OutputError::OtherAuthority {
                path: path.to_owned(),
            }),
            Verdict::Keep | Verdict::Replace => Ok(()),
        }
    }

    fn judge_file(&self, path: &Path) -> Result<Verdict, OutputError> {
        Ok(match files::read_optional(path)? {
            None => Verdict::Replace,
            Some(text) => self.judge(&text),
        })
    }

    fn judge(&self, text: &str) -> Verdict {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let Ok(found) = found else {
            return Verdict::Foreign;
        };
        let has_all = self.current.iter().all(|root| found.contains(root));
        let is_ours = !found.is_empty() && found.iter().all(|root| self.known.contains(root));
        match (has_all, is_ours) {
            (true, _) if found.len() == self.current.len() => Verdict::Keep,
            (_, true) => Verdict::Replace,
            (true, false) => Verdict::Keep,
            (false, false) => Verdict::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Certificates are compared as octets, so any octets do.
    fn pem(names: &[&str]) -> String {
        let block = |name: &&str| {
            let body = match *name {
                "old" => "T0xE",
                "new" => "TkVX",
                "gone" => "R09O",
                _ => "RUxT",
            };
            format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
        };
        names.iter().map(block).collect()
    }

    fn ders(names: &[&str]) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(pem(names).as_bytes())
            .map(Result::unwrap)
            .collect()
    }

    fn roots(current: &[&str]) -> Roots {
        Roots {
            pem: pem(current),
            current: ders(current),
            known: ders(&["gone", "old", "new"]),
        }
    }

    #[test]
    fn a_file_of_ours_follows_the_roots_and_one_of_others_is_left_alone() {
        let table: [(&[&str], &[&str], Verdict); 9] = [
            (&["old"], &["old"], Verdict::Keep),
            (&["new", "old"], &["old"], Verdict::Replace),
            (&["new", "old"], &["old", "new"], Verdict::Keep),
            (&["new"], &["new", "old"], Verdict::Replace),
            (&["new"], &["gone"], Verdict::Replace),
            (&["new"], &["else", "new"], Verdict::Keep),
            (&["new", "old"], &["else", "old"], Verdict::Foreign),
            (&["new"], &["else"], Verdict::Foreign),
            (&["new"], &[], Verdict::Foreign),
        ];
        for (current, file, verdict) in table {
            let text = pem(file);
            assert_eq!(roots(current).judge(&text), verdict, "{current:?} {file:?}");
        }
    }

    #[test]
    fn text_around_the_roots_does_not_matter_and_broken_roots_are_not_ours() {
        let text = format!("# ours\n{}\n", pem(&["old"]).replace('\n', "\r\n"));
        assert_eq!(roots(&["old"]).judge(&text), Verdict::Keep);
        let broken = pem(&["old"]).replace("-----END", "---END");
        assert_eq!(roots(&["old"]).judge(&broken), Verdict::Foreign);
    }
}
