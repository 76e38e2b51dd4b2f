use tokio::sync::watch;

/// The application that this scheduler plans queries over, as the other schedulers are told of it.
/// Cheap to clone; all clones are of the same membership.
#[derive(Clone, Debug)]
pub struct ServedApp {
    digest: watch::Sender<String>,
}

impl ServedApp {
    pub(super) fn new(digest: &str) -> Self {
        Self {
            digest: watch::Sender::new(digest.to_owned()),
        }
    }

    /// Tells the others, as soon as the shared state takes it, that queries are planned over the
    /// application with this digest from now on.
    pub fn change_to(&self, digest: &str) {
        self.digest.send_replace(digest.to_owned());
    }

    pub(super) fn now(&self) -> String {
        self.digest.borrow().clone()
    }

    pub(super) fn changes(&self) -> watch::Receiver<String> {
        self.digest.subscribe()
    }
}
