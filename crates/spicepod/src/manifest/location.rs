//! The `from` of a dataset.

use std::path::Path;

use super::path::{self, PathFault};
use crate::param::OPENING;

/// What a `from` says: the place, without what it takes to get there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Location {
    File { path: String },
    S3 { bucket: String, key: String },
    Postgres { schema: String, table: String },
}

/// Why a `from` is no location.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LocationFault {
    #[error("a source starts with its kind; for a file on this node write `file:{from}`")]
    NoKind { from: String },
    #[error("`{kind}:` is no known kind of source; this version reads {KINDS}")]
    UnknownKind { kind: String },
    #[error("{0}")]
    Path(PathFault),
    #[error("wildcards are not supported; name the directory and set `params.file_format`")]
    Wildcard,
    #[error("compressed files (`.{extension}`) are not supported by this version yet")]
    Compressed { extension: String },
    #[error("write `s3://bucket/path/to/object.parquet`, or `s3://bucket/path/` for all below it")]
    NoBucket,
    #[error(
        "`{bucket}` is no bucket: its name has 3 to 63 lower-case letters, digits, `-` and `.`, \
         and starts and ends with a letter or a digit"
    )]
    Bucket { bucket: String },
    #[error("the path in a bucket has no empty parts, `.` or `..`")]
    Key,
    #[error("write `postgres:schema.table`, or `postgres:table` for one in the schema `public`")]
    Table,
    #[error("secret references (`${{...}}`) are for `params` only")]
    Reference,
}

/// Read `from`, resolving a relative path against `base`.
pub(super) fn parse(from: &str, base: Option<&Path>) -> Result<Location, LocationFault> {
    if from.contains(OPENING) {
        return Err(LocationFault::Reference);
    }
    let Some((kind, rest)) = from.split_once(':') else {
        let from = from.to_owned();
        return Err(LocationFault::NoKind { from });
    };
    match kind {
        "file" => file(rest, base),
        "s3" => s3(rest),
        "postgres" => postgres(rest),
        _ => {
            let kind = kind.to_owned();
            Err(LocationFault::UnknownKind { kind })
        }
    }
}

fn file(rest: &str, base: Option<&Path>) -> Result<Location, LocationFault> {
    let path = path::behind_file(rest).map_err(LocationFault::Path)?;
    check_name(path)?;
    let path = path::resolved(Path::new(path), base).map_err(LocationFault::Path)?;
    Ok(Location::File { path })
}

/// What follows `s3:`; as with `file:`, nothing is percent-decoded.
fn s3(rest: &str) -> Result<Location, LocationFault> {
    let rest = rest.strip_prefix("//").ok_or(LocationFault::NoBucket)?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(LocationFault::NoBucket);
    }
    if !is_bucket(bucket) {
        let bucket = bucket.to_owned();
        return Err(LocationFault::Bucket { bucket });
    }
    check_name(key)?;
    let parts = key.strip_suffix('/').unwrap_or(key);
    if !key.is_empty() && parts.split('/').any(|it| matches!(it, "" | "." | "..")) {
        return Err(LocationFault::Key);
    }
    Ok(Location::S3 {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    })
}

/// What follows `postgres:`. Case is kept: the names will be quoted.
fn postgres(rest: &str) -> Result<Location, LocationFault> {
    let (schema, table) = rest.split_once('.').unwrap_or(("public", rest));
    if !is_database_name(schema) || !is_database_name(table) {
        return Err(LocationFault::Table);
    }
    Ok(Location::Postgres {
        schema: schema.to_owned(),
        table: table.to_owned(),
    })
}

/// Refuse what names files in a way that nothing here understands.
fn check_name(path: &str) -> Result<(), LocationFault> {
    if path.contains('*') {
        return Err(LocationFault::Wildcard);
    }
    let compressed = Path::new(path)
        .extension()
        .and_then(|extension| extension.to_str())
        .filter(|extension| COMPRESSED.contains(extension));
    match compressed {
        Some(extension) => {
            let extension = extension.to_owned();
            Err(LocationFault::Compressed { extension })
        }
        None => Ok(()),
    }
}

fn is_bucket(name: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes
            .iter()
            .all(|b| alphanumeric(b) || matches!(b, b'-' | b'.'))
}

/// Up to 63 bytes, as PostgreSQL keeps them. Quotes, dots and white space would be allowed there
/// and are more likely slips here.
fn is_database_name(name: &str) -> bool {
    let ordinary = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    (1..=63).contains(&name.len()) && name.chars().all(ordinary)
}

const KINDS: &str = "`file:`, `s3:` and `postgres:`";

const COMPRESSED: [&str; 6] = ["gz", "gzip", "bz2", "xz", "zst", "zip"];

#[cfg(test)]
mod tests {
    use super::*;

    fn at_srv(from: &str) -> Result<Location, LocationFault> {
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
            let path = path.to_owned();
            assert_eq!(at_srv(from), Ok(Location::File { path }), "{from}");
        }
    }

    #[test]
    fn refuses_what_is_no_local_path() {
        let no_kind = at_srv("data/a.csv").unwrap_err();
        assert!(no_kind.to_string().contains("`file:data/a.csv`"));
        let no_path = LocationFault::Path(PathFault::NoPath);
        assert_eq!(at_srv("file:"), Err(no_path));
        assert_eq!(at_srv("file:d/*.csv"), Err(LocationFault::Wildcard));
        assert_eq!(at_srv("file:${env:D}/a.csv"), Err(LocationFault::Reference));
        let host = at_srv("file://host/a.csv").unwrap_err();
        assert!(host.to_string().contains("`file:host/a.csv`"), "{host}");
        let packed = at_srv("file:a.csv.gz").unwrap_err();
        assert!(
            matches!(packed, LocationFault::Compressed { .. }),
            "{packed}"
        );
        let unknown = at_srv("ftp://host/a.parquet").unwrap_err();
        assert!(unknown.to_string().contains("`ftp:` is no known kind"));
    }

    #[test]
    fn refuses_a_relative_path_without_a_base_and_accepts_an_absolute_one() {
        let relative = parse("file:a.csv", None).unwrap_err();
        assert!(relative.to_string().contains("not absolute"), "{relative}");
        assert!(parse("file:/a.csv", None).is_ok());
    }

    #[test]
    fn reads_buckets_with_an_object_a_prefix_or_neither() {
        for (from, key) in [
            ("s3://lake/a/b.parquet", "a/b.parquet"),
            ("s3://lake/a/", "a/"),
            ("s3://lake/", ""),
            ("s3://lake", ""),
            ("s3://lake/day=1/a b.csv", "day=1/a b.csv"),
        ] {
            let (bucket, key) = ("lake".to_owned(), key.to_owned());
            assert_eq!(at_srv(from), Ok(Location::S3 { bucket, key }), "{from}");
        }
        for from in ["s3:lake/a.csv", "s3://", "s3:///a.csv"] {
            assert_eq!(at_srv(from), Err(LocationFault::NoBucket), "{from}");
        }
        for from in [
            "s3://ab/x/",
            "s3://Lake/x/",
            "s3://-ab/x/",
            "s3://u:p@host/x/",
        ] {
            let refused = at_srv(from).unwrap_err();
            assert!(matches!(refused, LocationFault::Bucket { .. }), "{from}");
        }
        for from in [
            "s3://lake//a",
            "s3://lake/a/../b",
            "s3://lake/./a",
            "s3://lake/a//",
        ] {
            assert_eq!(at_srv(from), Err(LocationFault::Key), "{from}");
        }
        assert_eq!(at_srv("s3://lake/*.csv"), Err(LocationFault::Wildcard));
    }

    #[test]
    fn reads_tables_with_and_without_a_schema() {
        for (from, schema, table) in [
            ("postgres:orders", "public", "orders"),
            ("postgres:sales.Orders_2024", "sales", "Orders_2024"),
        ] {
            let (schema, table) = (schema.to_owned(), table.to_owned());
            assert_eq!(at_srv(from), Ok(Location::Postgres { schema, table }));
        }
        for from in [
            "postgres:",
            "postgres:.a",
            "postgres:a.",
            "postgres:a.b.c",
            "postgres:a\"b",
        ] {
            assert_eq!(at_srv(from), Err(LocationFault::Table), "{from}");
        }
        let long = format!("postgres:{}", "t".repeat(64));
        assert_eq!(at_srv(&long), Err(LocationFault::Table));
    }
}
