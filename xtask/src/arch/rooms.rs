//! The map of the workspace: its packages, their arrows, and the crates not everybody may use.

/// One package of the workspace and what it may depend on within the workspace.
pub(super) struct Room {
    /// Package name.
    pub(super) name: &'static str,
    /// Whether it can be published.
    pub(super) release: Release,
    /// The only packages of the workspace that it may depend on.
    pub(super) may_use: &'static [&'static str],
}

/// Where a package goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// To the registry: it depends on nothing that stays here.
    Published,
    /// It stays in this repository.
    Internal,
}

/// A foreign crate, or a family of them, that only some rooms may name.
pub(super) struct Guard {
    /// The crate's name; with a closing `*` every name that starts so.
    pub(super) crates: &'static str,
    /// The rooms that may depend on it outside their tests.
    pub(super) rooms: &'static [&'static str],
}

const fn published(name: &'static str, may_use: &'static [&'static str]) -> Room {
    Room {
        name,
        release: Release::Published,
        may_use,
    }
}

const fn internal(name: &'static str, may_use: &'static [&'static str]) -> Room {
    Room {
        name,
        release: Release::Internal,
        may_use,
    }
}

/// The arrows of ARCHITECTURE.md. A package that is missing here is a broken rule.
pub(super) const ROOMS: [Room; 13] = [
    published("cluster-tls", &[]),
    published("cluster-pki", &["cluster-tls"]),
    published("cluster-proto", &[]),
    published("spicepod", &[]),
    published("spice-runtime", &["spicepod"]),
    published(
        "cluster-scheduler",
        &["cluster-tls", "cluster-proto", "spicepod", "spice-runtime"],
    ),
    published(
        "cluster-executor",
        &["cluster-tls", "cluster-proto", "spicepod", "spice-runtime"],
    ),
    published("public-api", &["spice-runtime", "cluster-tls"]),
    published("spice-cli", &["cluster-pki", "cluster-tls"]),
    published(
        "spiced",
        &[
            "cluster-tls",
            "cluster-proto",
            "cluster-scheduler",
            "cluster-executor",
            "public-api",
            "spice-runtime",
            "spicepod",
        ],
    ),
    internal("cluster-test", &["cluster-tls"]),
    internal("xtask", &[]),
    internal(
        "cluster-tests",
        &[
            "cluster-tls",
            "cluster-pki",
            "cluster-proto",
            "cluster-scheduler",
            "cluster-executor",
            "public-api",
            "spice-runtime",
            "spicepod",
        ],
    ),
];

/// Crates with a reason to be kept in their room.
pub(super) const GUARDED: [Guard; 18] = [
    // I1: one room makes TLS configurations.
    Guard {
        crates: "rustls",
        rooms: &["cluster-tls"],
    },
    Guard {
        crates: "tokio-rustls",
        rooms: &["cluster-tls"],
    },
    Guard {
        crates: "rustls-webpki",
        rooms: &["cluster-tls"],
    },
    // Only the PKI mints certificates, and the tests do.
    Guard {
        crates: "rcgen",
        rooms: &["cluster-pki", "cluster-test"],
    },
    // I14: the distributed engine stays behind two adapters.
    Guard {
        crates: "ballista-*",
        rooms: &["cluster-scheduler", "cluster-executor"],
    },
    Guard {
        crates: "datafusion-proto",
        rooms: &["cluster-scheduler", "cluster-executor"],
    },
    Guard {
        crates: "datafusion",
        rooms: &[
            "spice-runtime",
            "cluster-scheduler",
            "cluster-executor",
            "public-api",
        ],
    },
    Guard {
        crates: "object_store",
        rooms: &["spice-runtime", "cluster-scheduler", "cluster-test"],
    },
    // What dials others than nodes: data sources, the API of Kubernetes.
    Guard {
        crates: "reqwest",
        rooms: &["spice-runtime"],
    },
    Guard {
        crates: "tokio-postgres*",
        rooms: &["spice-runtime", "cluster-test"],
    },
    Guard {
        crates: "opentelemetry*",
        rooms: &["public-api"],
    },
    Guard {
        crates: "arrow-flight",
        rooms: &[
            "public-api",
            "cluster-scheduler",
            "cluster-executor",
            "spice-cli",
            "cluster-test",
        ],
    },
    Guard {
        crates: "axum",
        rooms: &["public-api"],
    },
    Guard {
        crates: "prost*",
        rooms: &[
            "cluster-proto",
            "cluster-scheduler",
            "cluster-executor",
            "public-api",
        ],
    },
    Guard {
        crates: "tonic",
        rooms: &[
            "cluster-tls",
            "cluster-proto",
            "cluster-scheduler",
            "cluster-executor",
            "public-api",
            "spice-cli",
            "cluster-test",
        ],
    },
    // Libraries emit events; the composition and the listener know metric names.
    Guard {
        crates: "prometheus-client",
        rooms: &["public-api", "spiced"],
    },
    Guard {
        crates: "kube*",
        rooms: &["spice-operator"],
    },
    Guard {
        crates: "anyhow",
        rooms: &["spiced", "spice-cli", "cluster-test", "xtask"],
    },
];
