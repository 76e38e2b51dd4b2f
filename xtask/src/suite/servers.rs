//! Servers of others that tests start: an S3-compatible one and PostgreSQL.

use std::path::PathBuf;

use anyhow::Result;

use crate::interop::packages;
use crate::python::Environment;

/// moto, the S3-compatible server.
const PYTHON: Environment = Environment {
    name: "servers",
    // From 5.2 on it honours `If-Match` and `If-None-Match` of writes.
    requirements: &["moto[s3,server]==5.2.5"],
};

/// Debian keeps the programs of a server out of the way of the search path.
const PROGRAMS: [(&str, &str); 3] = [
    ("initdb", "postgresql"),
    ("postgres", "postgresql"),
    ("setpriv", "util-linux"),
];

/// Installs what is missing, and gives the environment entry by which tests find it.
pub(crate) fn see_to() -> Result<(&'static str, PathBuf)> {
    packages::see_to(&PROGRAMS, &[])?;
    Ok((PYTHON_VARIABLE, PYTHON.interpreter()?))
}

/// The same in `crates/cluster-test/src/servers/s3.rs`.
const PYTHON_VARIABLE: &str = "SPICE_TEST_PYTHON";
