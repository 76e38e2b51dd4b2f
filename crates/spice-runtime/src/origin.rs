//! Which application a query was planned over, as a setting that travels with its tasks.

use std::any::Any;

use datafusion::config::{ConfigEntry, ConfigExtension, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionConfig;

/// The settings of a session over the application with this digest.
///
/// Sessions of a [`Runtime`](crate::Runtime) have it already; an executor gives its tasks an empty
/// one, which the settings of the query then fill.
#[must_use]
pub fn with_app_digest(mut config: SessionConfig, digest: &str) -> SessionConfig {
    let app_digest = digest.to_owned();
    config
        .options_mut()
        .extensions
        .insert(Origin { app_digest });
    config
}

/// The digest of the application that a query with these settings was planned over; `None` where
/// whoever planned it did not say.
#[must_use]
pub fn app_digest(config: &SessionConfig) -> Option<&str> {
    let origin = config.options().extensions.get::<Origin>()?;
    (!origin.app_digest.is_empty()).then_some(origin.app_digest.as_str())
}

#[derive(Clone, Debug)]
struct Origin {
    app_digest: String,
}

impl ConfigExtension for Origin {
    const PREFIX: &'static str = "spice";
}

impl ExtensionOptions for Origin {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        if key != APP_DIGEST {
            let message = format!("there is no setting spice.{key}");
            return Err(DataFusionError::Configuration(message));
        }
        value.clone_into(&mut self.app_digest);
        Ok(())
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        vec![ConfigEntry {
            key: format!("{}.{APP_DIGEST}", Self::PREFIX),
            value: Some(self.app_digest.clone()),
            description: "Digest of the application that the query was planned over",
        }]
    }
}

const APP_DIGEST: &str = "app_digest";

#[cfg(test)]
mod tests {
    use super::*;

    /// This is how a query's settings reach the executors: as names and values.
    #[test]
    fn the_digest_survives_the_way_as_text() {
        let sent = with_app_digest(SessionConfig::new(), "abc");
        let mut received = with_app_digest(SessionConfig::new(), "");
        assert_eq!(app_digest(&received), None);
        for entry in sent.options().entries() {
            if let Some(value) = entry.value.filter(|_| entry.key.starts_with("spice.")) {
                received.options_mut().set(&entry.key, &value).unwrap();
            }
        }
        assert_eq!(app_digest(&received), Some("abc"));
        assert_eq!(app_digest(&SessionConfig::new()), None);
        assert!(received.options_mut().set("spice.other", "x").is_err());
    }
}
