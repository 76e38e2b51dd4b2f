//! The `from` of a dataset.

use std::path::{Component, Path, PathBuf};

use crate::app::Source;

/// Why a `from` is no source.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SourceFault {
    #[error("a source starts with its kind; for a file on this node write `file:{from}`")]
    NoKind { from: String },
    #[error(
        "sources of the kind `{kind}:` are not supported by this version yet; it reads `file:`"
    )]
    Later { kind: String },
    #[error("`{kind}:` is no known kind of source; this version reads `file:`")]
    UnknownKind { kind: String },
    #[error("`file:` needs a path behind it")]
    NoPath,
    #[error("after `file://` the path must be absolute (`file:///...`); write `file:{path}`")]
    HostInUrl { path: String },
    #[error("wildcards are not supported; name the directory and set `params.file_format`")]
    Wildcard,
    #[error("compressed files (`.{extension}`) are not supported by this version yet")]
    Compressed { extension: String },
    #[error("the path `{path}` is not absolute, and there is no directory to resolve it against")]
    Unresolvable { path: String },
    #[error("the manifest's directory {} is not UTF-8; give an absolute path", base.display())]
    BaseNotUtf8 { base: PathBuf },
    #[error("{REFERENCE_REFUSED}")]
    Reference,
}

/// Read `from`, resolving a relative path against `base`.
///
/// What follows `file:` is the path as it stands: nothing in it is percent-decoded.
pub(super) fn parse(from: &str, base: Option<&Path>) -> Result<Source, SourceFault> {
    if holds_reference(from) {
        return Err(SourceFault::Reference);
    }
    let Some((kind, rest)) = from.split_once(':') else {
        let from = from.to_owned();
        return Err(SourceFault::NoKind { from });
    };
    if kind != "file" {
        return Err(refused(kind));
    }
    let path = Path::new(local_path(rest)?);
    let compressed = path
        .extension()
        .and_then(|extension| extension.to_str())
        .filter(|extension| COMPRESSED.contains(extension));
    if let Some(extension) = compressed {
        let extension = extension.to_owned();
        return Err(SourceFault::Compressed { extension });
    }
    let path = resolved(path, base)?;
    Ok(Source::File { path })
}

/// Whether a value holds what later versions replace by a secret.
pub(super) fn holds_reference(text: &str) -> bool {
    text.contains("${")
}

pub(super) const REFERENCE_REFUSED: &str =
    "secret references (`${...}`) are not supported by this version yet";

fn refused(kind: &str) -> SourceFault {
    let kind = kind.to_owned();
    if LATER.contains(&kind.as_str()) {
        SourceFault::Later { kind }
    } else {
        SourceFault::UnknownKind { kind }
    }
}

fn local_path(rest: &str) -> Result<&str, SourceFault> {
    let path = match rest.strip_prefix("//") {
        Some(path) if !path.starts_with('/') => {
            let path = path.to_owned();
            return Err(SourceFault::HostInUrl { path });
        }
        Some(path) => path,
        None => rest,
    };
    if path.is_empty() {
        return Err(SourceFault::NoPath);
    }
    if path.contains('*') {
        return Err(SourceFault::Wildcard);
    }
    Ok(path)
}

/// An absolute path without `.` and `..`.
///
/// `..` is taken away together with the name before it, without asking the file system, so
/// that the same manifest means the same path on every machine.
fn resolved(path: &Path, base: Option<&Path>) -> Result<String, SourceFault> {
    let joined = match base {
        Some(base) => base.join(path),
        None => path.to_owned(),
    };
    if !joined.is_absolute() {
        let path = path.display().to_string();
        return Err(SourceFault::Unresolvable { path });
    }
    let mut plain = PathBuf::new();
    for component in joined.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
        .into_os_string()
        .into_string()
        .map_err(|_| SourceFault::BaseNotUtf8 {
            base: base.unwrap_or(Path::new("")).to_owned(),
        })
}

const LATER: [&str; 2] = ["s3", "postgres"];

const COMPRESSED: [&str; 6] = ["gz", "gzip", "bz2", "xz", "zst", "zip"];

#[cfg(test)]
mod tests {
    use super::*;

    fn at_srv(from: &str) -> Result<Source, SourceFault> {
        parse(from, Some(Path::new("/srv/pod")))
    }

    #[test]
    fn resolves_every_way_to_write_a_local_path() {
        for (from, path) in [
            ("file:data/a.csv", "/srv/pod/data/a.csv"),
            ("file:./data/../a.csv", "/srv/pod/a.csv"),
            ("file:../a.csv", "/srv/a.csv"),
            ("file:../../../../a.csv", "/a.csv"),
            ("file:/data/a.csv", "/data/a.csv"),
            ("file:///data/a.csv", "/data/a.csv"),
            ("file:dir/", "/srv/pod/dir"),
            ("file:a%20b.csv", "/srv/pod/a%20b.csv"),
        ] {
            let source = at_srv(from).unwrap();
            assert_eq!(source.path(), Path::new(path), "{from}");
        }
    }

    #[test]
    fn refuses_what_is_no_local_path() {
        let no_kind = at_srv("data/a.csv").unwrap_err();
        assert!(no_kind.to_string().contains("`file:data/a.csv`"));
        assert_eq!(at_srv("file:"), Err(SourceFault::NoPath));
        assert_eq!(at_srv("file:d/*.csv"), Err(SourceFault::Wildcard));
        assert_eq!(at_srv("file:${env:D}/a.csv"), Err(SourceFault::Reference));
        let host = at_srv("file://host/a.csv").unwrap_err();
        assert!(matches!(host, SourceFault::HostInUrl { .. }), "{host}");
        let packed = at_srv("file:a.csv.gz").unwrap_err();
        assert!(matches!(packed, SourceFault::Compressed { .. }), "{packed}");
    }

    #[test]
    fn tells_sources_of_later_versions_from_unknown_ones() {
        let later = at_srv("s3://bucket/a.parquet").unwrap_err();
        assert!(matches!(later, SourceFault::Later { .. }), "{later}");
        let unknown = at_srv("ftp://host/a.parquet").unwrap_err();
        assert!(
            matches!(unknown, SourceFault::UnknownKind { .. }),
            "{unknown}"
        );
    }

    #[test]
    fn refuses_a_relative_path_without_a_base_and_accepts_an_absolute_one() {
        let relative = parse("file:a.csv", None).unwrap_err();
        assert!(matches!(relative, SourceFault::Unresolvable { .. }));
        assert!(parse("file:/a.csv", None).is_ok());
    }
}
