//! The roots in a node's `ca.pem`: whose they are, and whether they are the ones to have.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::files::{self, Access, FileError, StagedFile};
use crate::output::OutputError;
use crate::root::Root;

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
    Write(String),
    Foreign,
}

/// The text of a `ca.pem`: the root that signs, then the one on its way out.
pub(crate) fn believed_pem(signing: &Root, retiring: Option<&Root>) -> String {
    let roots = [Some(signing), retiring].into_iter().flatten();
    roots.map(|root| root.pem.as_str()).collect()
}

impl Roots {
    pub(crate) fn new(signing: &Root, retiring: Option<&Root>, known: Vec<Root>) -> Self {
        let current = [Some(signing), retiring].into_iter().flatten();
        Self {
            pem: believed_pem(signing, retiring),
            current: current.map(|root| root.certificate.clone()).collect(),
            known: known.into_iter().map(|root| root.certificate).collect(),
        }
    }

    /// Stages a new `ca.pem`, or nothing where the file is good as it is.
    ///
    /// A file with roots of ours follows them. What else is in it was put there by somebody and
    /// stays: the roots of others, and comments. A file without any root of ours is not touched.
    pub(crate) fn stage(&self, path: &Path) -> Result<Option<StagedFile>, OutputError> {
        match self.judge_file(path)? {
            Verdict::Keep => Ok(None),
            Verdict::Write(text) => {
                let staged = StagedFile::write(path, Access::Everyone, text.as_bytes())?;
                Ok(Some(staged))
            }
            Verdict::Foreign => Err(OutputError::OtherAuthority {
                path: path.to_owned(),
            }),
        }
    }

    /// How many roots of others a file has, which stay in it.
    pub(crate) fn others(&self, path: &Path) -> Result<usize, FileError> {
        let text = files::read_optional(path)?.unwrap_or_default();
        let found = CertificateDer::pem_slice_iter(text.as_bytes()).flatten();
        Ok(found.filter(|root| !self.known.contains(root)).count())
    }

    /// The same question without an answer on disk.
    pub(crate) fn check(&self, path: &Path) -> Result<(), OutputError> {
        match self.judge_file(path)? {
            Verdict::Foreign => Err(OutputError::OtherAuthority {
                path: path.to_owned(),
            }),
            Verdict::Keep | Verdict::Write(_) => Ok(()),
        }
    }

    fn judge_file(&self, path: &Path) -> Result<Verdict, OutputError> {
        Ok(match files::read_optional(path)? {
            None => Verdict::Write(self.pem.clone()),
            Some(text) => self.judge(&text),
        })
    }

    fn judge(&self, text: &str) -> Verdict {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let Ok(found) = found else {
            return Verdict::Foreign;
        };
        let ours = found.iter().filter(|root| self.known.contains(root));
        let ours = ours.count();
        // What was begun and not found was not understood, and would be lost.
        if ours == 0 || found.len() != text.matches(PEM_BEGIN).count() {
            return Verdict::Foreign;
        }
        let has_all = self.current.iter().all(|root| found.contains(root));
        if has_all && ours == self.current.len() {
            return Verdict::Keep;
        }
        Verdict::Write(self.beside_others(text))
    }

    /// Our roots as they are now, then what a text holds beside those that it has of ours.
    fn beside_others(&self, text: &str) -> String {
        let mut merged = self.pem.clone();
        let mut block = String::new();
        for line in text.split_inclusive('\n') {
            block.push_str(line);
            if line.starts_with(PEM_END) {
                merged.push_str(self.without_ours(&block));
                block.clear();
            }
        }
        merged + &block
    }

    /// What is left of a text that ends with a root: nothing of the root if it is ours.
    fn without_ours<'a>(&self, block: &'a str) -> &'a str {
        let is_ours = CertificateDer::from_pem_slice(block.as_bytes())
            .is_ok_and(|root| self.known.contains(&root));
        match block.find(PEM_BEGIN) {
            Some(begin) if is_ours => &block[..begin],
            _ => block,
        }
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';
const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END: &str = "-----END CERTIFICATE-----";

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
    fn a_file_with_roots_of_ours_follows_them_and_one_without_is_left_alone() {
        let write = |names: &[&str]| Verdict::Write(pem(names));
        let table: [(&[&str], &[&str], Verdict); 12] = [
            (&["old"], &["old"], Verdict::Keep),
            (&["new", "old"], &["old"], write(&["new", "old"])),
            (&["new", "old"], &["old", "new"], Verdict::Keep),
            (&["new"], &["new", "old"], write(&["new"])),
            (&["new"], &["new", "new"], write(&["new"])),
            (&["new"], &["gone"], write(&["new"])),
            (&["new"], &["else", "new"], Verdict::Keep),
            (
                &["new", "old"],
                &["else", "old"],
                write(&["new", "old", "else"]),
            ),
            (&["new"], &["old", "else", "new"], write(&["new", "else"])),
            (&["new"], &["else", "gone"], write(&["new", "else"])),
            (&["new"], &["else"], Verdict::Foreign),
            (&["new"], &[], Verdict::Foreign),
        ];
        for (current, file, verdict) in table {
            let text = pem(file);
            assert_eq!(roots(current).judge(&text), verdict, "{current:?} {file:?}");
        }
    }

    #[test]
    fn what_somebody_wrote_beside_the_roots_of_others_stays() {
        let (old, other, new) = (pem(&["old"]), pem(&["else"]), pem(&["new"]));
        let text = format!("# ours\n{old}# theirs, until May\n{other}# end");
        let expected = format!("{new}# ours\n# theirs, until May\n{other}# end");
        assert_eq!(roots(&["new"]).judge(&text), Verdict::Write(expected));
        let dense = text
            .replace("\n# theirs, until May", "")
            .replace('\n', "\r\n");
        let Verdict::Write(merged) = roots(&["new"]).judge(&dense) else {
            panic!("{dense}");
        };
        assert_eq!(roots(&["new"]).judge(&merged), Verdict::Keep);
        assert!(merged.contains(&other.replace('\n', "\r\n")), "{merged}");
    }

    #[test]
    fn a_root_that_is_not_understood_is_not_lost() {
        let (old, other) = (pem(&["old"]), pem(&["else"]));
        let marked = format!("\u{feff}{other}{old}");
        let expected = Verdict::Write(pem(&["new", "else"]));
        assert_eq!(roots(&["new"]).judge(&marked), expected);
        let glued = format!("# theirs: {other}{old}");
        assert_eq!(roots(&["new"]).judge(&glued), Verdict::Foreign);
    }

    #[test]
    fn text_around_the_roots_does_not_matter_and_broken_roots_are_not_ours() {
        let text = format!("# ours\n{}\n", pem(&["old"]).replace('\n', "\r\n"));
        assert_eq!(roots(&["old"]).judge(&text), Verdict::Keep);
        let broken = pem(&["old"]).replace("-----END", "---END");
        assert_eq!(roots(&["old"]).judge(&broken), Verdict::Foreign);
    }
}
