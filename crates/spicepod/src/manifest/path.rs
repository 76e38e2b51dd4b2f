//! Paths of a manifest, which mean the same on every machine that reads it.

use std::path::{Component, Path, PathBuf};

/// Why a text is no path of a manifest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PathFault {
    #[error("`file:` needs a path behind it")]
    NoPath,
    #[error("after `file://` the path must be absolute (`file:///...`); write `file:{path}`")]
    HostInUrl { path: String },
    #[error("the path `{path}` is not absolute, and there is no directory to resolve it against")]
    Unresolvable { path: String },
    #[error("the manifest's directory {} is not UTF-8; give an absolute path", base.display())]
    BaseNotUtf8 { base: PathBuf },
}

/// What follows `file:`, which may be written as a URL. Nothing in it is percent-decoded.
pub(super) fn behind_file(rest: &str) -> Result<&str, PathFault> {
    let path = match rest.strip_prefix("//") {
        Some(path) if !path.starts_with('/') => {
            let path = path.to_owned();
            return Err(PathFault::HostInUrl { path });
        }
        Some(path) => path,
        None => rest,
    };
    if path.is_empty() {
        return Err(PathFault::NoPath);
    }
    Ok(path)
}

/// An absolute path without `.` and `..`; a relative one starts from `base`.
///
/// `..` is taken away together with the name before it, without asking the file system, so
/// that the same manifest means the same path on every machine.
pub(super) fn resolved(path: &Path, base: Option<&Path>) -> Result<String, PathFault> {
    let joined = match base {
        Some(base) => base.join(path),
        None => path.to_owned(),
    };
    if !joined.is_absolute() {
        let path = path.display().to_string();
        return Err(PathFault::Unresolvable { path });
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
        .map_err(|_| PathFault::BaseNotUtf8 {
            base: base.unwrap_or(Path::new("")).to_owned(),
        })
}
