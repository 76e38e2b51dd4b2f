//! What lies beneath an error of a client.

use std::error::Error;
use std::io;
use std::iter;

use crate::said::said;

/// An error and its causes, the outermost first.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error: &&'a (dyn Error + 'static)| {
        error.source()
    })
}

/// The text of the innermost cause: the layers above repeat each other. It may be a server's.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    let last = causes(error).last();
    said(&last.map_or_else(|| error.to_string(), ToString::to_string))
}

/// Whether it was TLS that failed, for a certificate that is not believed for example: waiting does
/// not mend that.
pub(crate) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| {
        // An I/O error gives the causes of what is in it, and leaves that itself out.
        let wrapped = cause.downcast_ref::<io::Error>();
        let wrapped = wrapped.and_then(io::Error::get_ref);
        let wrapped = wrapped.and_then(|error| error.downcast_ref::<rustls::Error>());
        cause.is::<rustls::Error>() || wrapped.is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn trouble_with_a_certificate_is_told_from_trouble_with_the_network() {
        let certificate = rustls::Error::NoCertificatesPresented;
        let broken = Outer(io::Error::new(io::ErrorKind::InvalidData, certificate));
        assert!(is_tls(&broken));
        let refused = Outer(io::ErrorKind::ConnectionRefused.into());
        assert!(!is_tls(&refused));
        assert_eq!(innermost(&refused), "connection refused");
    }
}
