//! Keys at rest: PKCS#8, encrypted with a passphrase (RFC 5958, section 3).
//!
//! PBES2 (RFC 8018) with scrypt and AES-256-CBC, which OpenSSL reads. Nothing authenticates the
//! ciphertext, so that a wrong passphrase and a damaged file look alike; what comes out is checked
//! to be a key here, and against its certificate by whoever uses it.

use std::error::Error;

use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::pem::PemLabel;
use pkcs8::der::{ErrorKind, Tag};
use pkcs8::pkcs5::pbes2::{Kdf, Parameters, ScryptParams};
use pkcs8::pkcs5::{self, scrypt};
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use super::Passphrase;

/// Why a key could not be encrypted or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It was encrypted with another passphrase, or was damaged since: the two look alike.
    #[error("the passphrase is wrong, or the key is damaged")]
    WrongPassphrase,
    /// It is no PKCS#8 key in PEM.
    #[error("it does not read as a PKCS#8 key")]
    Malformed {
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It was encrypted in another way than PBES2 with scrypt or PBKDF2 and AES.
    #[error("its encryption is not supported; convert it with `openssl pkcs8 -topk8 -scrypt`")]
    Unsupported {
        /// What is not supported.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It asks for more work or memory than any honest key does.
    #[error("opening it would take too much {resource}; nobody encrypts a key so")]
    Excessive {
        /// `memory` or `time`.
        resource: &'static str,
    },
    /// The system gave no random numbers.
    #[error("no random numbers from the system")]
    Randomness,
}

/// Whether a PEM text is a key with a passphrase.
pub(crate) fn is_sealed(pem: &str) -> bool {
    let label = EncryptedPrivateKeyInfoRef::PEM_LABEL;
    let begin = format!("-----BEGIN {label}-----");
    pem.lines().any(|line| line.trim_end() == begin)
}

/// Encrypts a PKCS#8 key.
pub(crate) fn seal(key_pem: &str, passphrase: &Passphrase) -> Result<Zeroizing<String>, SealError> {
    let key = decode(key_pem, PrivateKeyInfoRef::PEM_LABEL)?;
    PrivateKeyInfoRef::try_from(key.as_bytes()).map_err(malformed)?;
    let (mut salt, mut iv) = ([0; SALT_BYTES], [0; IV_BYTES]);
    for random in [&mut salt, &mut iv] {
        aws_lc_rs::rand::fill(random).map_err(|_| SealError::Randomness)?;
    }
    let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).map_err(malformed)?;
    let parameters = Parameters::generate_scrypt_aes256cbc(cost, &salt, iv).map_err(malformed)?;
    let sealed = parameters
        .encrypt(passphrase.as_str(), key.as_bytes())
        .map_err(malformed)?;
    let document = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: parameters.into(),
        encrypted_data: OctetStringRef::new(&sealed).map_err(malformed)?,
    };
    let document = SecretDocument::try_from(document).map_err(malformed)?;
    encode(&document, EncryptedPrivateKeyInfoRef::PEM_LABEL)
}

/// Opens an encrypted PKCS#8 key, our own or of other tools.
pub(crate) fn unseal(pem: &str, passphrase: &Passphrase) -> Result<Zeroizing<String>, SealError> {
    let document = decode(pem, EncryptedPrivateKeyInfoRef::PEM_LABEL)?;
    let sealed = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(undecoded)?;
    let parameters = sealed
        .encryption_algorithm
        .pbes2()
        .ok_or(pkcs5::Error::NoPbes1CryptSupport)
        .map_err(unopened)?;
    check_cost(&parameters.kdf)?;
    // Decrypted in place, so that the key lies in no memory that is not wiped.
    let mut buffer = Zeroizing::new(sealed.encrypted_data.as_bytes().to_vec());
    let key = parameters
        .decrypt_in_place(passphrase.as_str(), &mut buffer)
        .map_err(unopened)?;
    // One wrong passphrase in 256 leaves a padding that looks right.
    PrivateKeyInfoRef::try_from(key).map_err(|_| SealError::WrongPassphrase)?;
    let key = SecretDocument::try_from(key).map_err(malformed)?;
    encode(&key, PrivateKeyInfoRef::PEM_LABEL)
}

/// Refuses costs that a key file can only name to harm whoever opens it.
fn check_cost(kdf: &Kdf) -> Result<(), SealError> {
    match kdf {
        Kdf::Scrypt(cost) => check_scrypt(cost),
        Kdf::Pbkdf2(cost) if cost.iteration_count > PBKDF2_ITERATIONS_MOST => {
            Err(SealError::Excessive { resource: "time" })
        }
        _ => Ok(()),
    }
}

fn check_scrypt(cost: &ScryptParams) -> Result<(), SealError> {
    let (block, lanes) = (u64::from(cost.block_size), u64::from(cost.parallelization));
    // Not left to the library, which takes the logarithm of a cost of 0 and panics.
    if !cost.cost_parameter.is_power_of_two() || block == 0 || lanes == 0 {
        return Err(malformed("its scrypt parameters are invalid"));
    }
    // RFC 7914, section 2: N blocks of 128 r octets, filled p times.
    let memory = cost.cost_parameter.saturating_mul(128 * block);
    if memory > SCRYPT_MEMORY_MOST_BYTES {
        return Err(SealError::Excessive { resource: "memory" });
    }
    if memory.saturating_mul(lanes) > SCRYPT_WORK_MOST_BYTES {
        return Err(SealError::Excessive { resource: "time" });
    }
    Ok(())
}

fn decode(pem: &str, expected: &'static str) -> Result<SecretDocument, SealError> {
    let (label, document) = SecretDocument::from_pem(pem).map_err(malformed)?;
    if label != expected {
        return Err(malformed(format!("a `{label}` where `{expected}` is due")));
    }
    Ok(document)
}

fn encode(document: &SecretDocument, label: &'static str) -> Result<Zeroizing<String>, SealError> {
    document.to_pem(label, LineEnding::LF).map_err(malformed)
}

fn malformed(source: impl Into<Box<dyn Error + Send + Sync>>) -> SealError {
    let source = source.into();
    SealError::Malformed { source }
}

/// An algorithm that the parser does not know is no damage.
fn undecoded(error: pkcs8::Error) -> SealError {
    let pkcs8::Error::Asn1(asn1) = &error else {
        return malformed(error);
    };
    match asn1.kind() {
        // The second is what the old schemes (PBES1) give.
        ErrorKind::OidUnknown { .. }
        | ErrorKind::Value {
            tag: Tag::ObjectIdentifier,
        } => SealError::Unsupported {
            source: Box::new(error),
        },
        _ => malformed(error),
    }
}

fn unopened(error: pkcs5::Error) -> SealError {
    match error {
        pkcs5::Error::DecryptFailed => SealError::WrongPassphrase,
        pkcs5::Error::NoPbes1CryptSupport | pkcs5::Error::UnsupportedAlgorithm { .. } => {
            let source = Box::new(error);
            SealError::Unsupported { source }
        }
        _ => malformed(error),
    }
}

/// N = 2^14 and r = 8 take 16 MiB, the most that OpenSSL gives to scrypt unless told otherwise is
/// 32 MiB (`SCRYPT_MAX_MEM`), and N = 2^15 is just above it. So the cost that OWASP recommends is
/// reached by p = 5 instead: it is listed as the equal of N = 2^17 with p = 1.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;

/// As long as the block of AES, and twice what RFC 8018, section 4.1, asks for.
const SALT_BYTES: usize = 16;
const IV_BYTES: usize = 16;

/// N = 2^17 with r = 8, the largest memory that OWASP recommends.
const SCRYPT_MEMORY_MOST_BYTES: u64 = 128 << 20;

/// Ten times our own cost: a second or two.
const SCRYPT_WORK_MOST_BYTES: u64 = 800 << 20;

/// More than ten times what OWASP recommends with SHA-256: a few seconds.
const PBKDF2_ITERATIONS_MOST: u32 = 10_000_000;

#[cfg(test)]
mod tests {
    use pkcs8::pkcs5::pbes2::Pbkdf2Params;

    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::given(Zeroizing::new(text.to_owned())).unwrap()
    }

    fn key() -> String {
        rcgen::KeyPair::generate().unwrap().serialize_pem()
    }

    /// The key under parameters of the caller's choice, as other tools may have written it.
    fn sealed_with(parameters: Parameters, data: &[u8]) -> String {
        let document = EncryptedPrivateKeyInfoRef {
            encryption_algorithm: parameters.into(),
            encrypted_data: OctetStringRef::new(data).unwrap(),
        };
        let document = SecretDocument::try_from(document).unwrap();
        encode(&document, "ENCRYPTED PRIVATE KEY")
            .unwrap()
            .to_string()
    }

    fn scrypt_parameters() -> Parameters {
        let cost = scrypt::Params::new(10, 8, 1).unwrap();
        Parameters::generate_scrypt_aes256cbc(cost, &[1; 16], [2; 16]).unwrap()
    }

    /// What is said of a key whose scrypt parameters were changed in the file.
    fn tampered(change: impl Fn(&mut ScryptParams)) -> SealError {
        let mut parameters = scrypt_parameters();
        let Kdf::Scrypt(cost) = &mut parameters.kdf else {
            panic!("not scrypt");
        };
        change(cost);
        unseal(&sealed_with(parameters, &[0; 32]), &passphrase("x")).unwrap_err()
    }

    #[test]
    fn a_sealed_key_is_opened_by_its_passphrase_and_by_no_other() {
        let key = key();
        let sealed = seal(&key, &passphrase("correct horse")).unwrap();
        assert!(is_sealed(&sealed) && !is_sealed(&key));
        let opened = unseal(&sealed, &passphrase("correct horse")).unwrap();
        let der = |pem: &str| decode(pem, "PRIVATE KEY").unwrap().to_bytes().to_vec();
        assert_eq!(der(&opened), der(&key));
        let error = unseal(&sealed, &passphrase("correct Horse")).unwrap_err();
        assert!(matches!(error, SealError::WrongPassphrase), "{error:?}");
    }

    #[test]
    fn the_same_key_is_never_sealed_to_the_same_text() {
        let (key, passphrase) = (key(), passphrase("correct horse"));
        let sealed = || seal(&key, &passphrase).unwrap();
        assert_ne!(sealed().as_str(), sealed().as_str());
    }

    #[test]
    fn a_key_under_pbkdf2_is_opened_too() {
        let key = key();
        let der = decode(&key, "PRIVATE KEY").unwrap();
        let parameters =
            Parameters::generate_pbkdf2_sha256_aes256cbc(2048, &[1; 8], [2; 16]).unwrap();
        let data = parameters.encrypt("correct horse", der.as_bytes()).unwrap();
        let sealed = sealed_with(parameters, &data);
        assert!(unseal(&sealed, &passphrase("correct horse")).is_ok());
        let error = unseal(&sealed, &passphrase("wrong")).unwrap_err();
        assert!(matches!(error, SealError::WrongPassphrase), "{error:?}");
    }

    #[test]
    fn what_decrypts_to_no_key_is_a_wrong_passphrase() {
        let parameters = scrypt_parameters();
        let data = parameters
            .encrypt("correct horse", b"no key at all")
            .unwrap();
        let error = unseal(
            &sealed_with(parameters, &data),
            &passphrase("correct horse"),
        )
        .unwrap_err();
        assert!(matches!(error, SealError::WrongPassphrase), "{error:?}");
    }

    #[test]
    fn a_damaged_key_is_refused() {
        let parameters = scrypt_parameters();
        let der = decode(&key(), "PRIVATE KEY").unwrap();
        let mut data = parameters.encrypt("x", der.as_bytes()).unwrap();
        let last = data.len() - 1;
        data[last] ^= 1;
        let error = unseal(&sealed_with(parameters.clone(), &data), &passphrase("x")).unwrap_err();
        assert!(matches!(error, SealError::WrongPassphrase), "{error:?}");
        data.truncate(last);
        let error = unseal(&sealed_with(parameters, &data), &passphrase("x")).unwrap_err();
        assert!(matches!(error, SealError::WrongPassphrase), "{error:?}");
    }

    #[test]
    fn an_encryption_that_is_not_known_is_told_apart_from_damage() {
        let known = sealed_with(scrypt_parameters(), &[0; 32]);
        let der = decode(&known, "ENCRYPTED PRIVATE KEY").unwrap();
        let pbes2 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
        let scrypt = [0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];
        for oid in [pbes2, scrypt] {
            let mut changed = der.as_bytes().to_vec();
            let start = changed.windows(oid.len()).position(|at| at == oid).unwrap();
            changed[start + oid.len() - 1] = 0x63;
            let changed = SecretDocument::try_from(changed).unwrap();
            let pem = encode(&changed, "ENCRYPTED PRIVATE KEY").unwrap();
            let error = unseal(&pem, &passphrase("x")).unwrap_err();
            assert!(matches!(error, SealError::Unsupported { .. }), "{error:?}");
        }
    }

    #[test]
    fn absurd_costs_are_refused_before_anything_is_allocated() {
        let resource = |error| match error {
            SealError::Excessive { resource } => resource,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            resource(tampered(|cost| cost.cost_parameter = 1 << 40)),
            "memory"
        );
        assert_eq!(
            resource(tampered(|cost| cost.cost_parameter = 1 << 63)),
            "memory"
        );
        assert_eq!(
            resource(tampered(|cost| cost.block_size = u16::MAX)),
            "memory"
        );
        assert_eq!(
            resource(tampered(|cost| cost.parallelization = u16::MAX)),
            "time"
        );
        let cost = Pbkdf2Params::hmac_sha256(PBKDF2_ITERATIONS_MOST + 1, &[1; 8]).unwrap();
        let error = check_cost(&Kdf::Pbkdf2(cost)).unwrap_err();
        assert_eq!(resource(error), "time");
        let cost = Pbkdf2Params::hmac_sha256(PBKDF2_ITERATIONS_MOST, &[1; 8]).unwrap();
        assert!(check_cost(&Kdf::Pbkdf2(cost)).is_ok());
    }

    #[test]
    fn costs_that_mean_nothing_are_refused_and_do_not_panic() {
        for error in [
            tampered(|cost| cost.cost_parameter = 0),
            tampered(|cost| cost.cost_parameter = 1000),
            tampered(|cost| cost.block_size = 0),
            tampered(|cost| cost.parallelization = 0),
            tampered(|cost| cost.key_length = Some(7)),
        ] {
            assert!(matches!(error, SealError::Malformed { .. }), "{error:?}");
        }
    }

    #[test]
    fn what_others_recommend_and_what_we_write_is_within_the_limits() {
        for (log_n, r, p) in [(17, 8, 1), (16, 8, 2), (14, 8, 5), (14, 8, 1)] {
            let cost = scrypt::Params::new(log_n, r, p).unwrap();
            let cost = ScryptParams::from_params_and_salt(cost, &[1; 16]).unwrap();
            assert!(check_cost(&Kdf::Scrypt(cost)).is_ok(), "{log_n} {r} {p}");
        }
    }

    #[test]
    fn what_is_no_key_is_neither_sealed_nor_opened() {
        let (key, x) = (key(), passphrase("x"));
        assert!(matches!(unseal(&key, &x), Err(SealError::Malformed { .. })));
        for text in [
            "",
            "key",
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        ] {
            assert!(matches!(seal(text, &x), Err(SealError::Malformed { .. })));
            assert!(matches!(unseal(text, &x), Err(SealError::Malformed { .. })));
            assert!(!is_sealed(text));
        }
        let sealed = sealed_with(scrypt_parameters(), &[0; 32]);
        assert!(matches!(
            seal(&sealed, &x),
            Err(SealError::Malformed { .. })
        ));
    }
}
