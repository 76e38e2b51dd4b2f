//! The two servers that are compared, each in its process, and a warm connection to each.

use anyhow::Result;
use cluster_tls::tonic::Security;

use crate::nodes;
use crate::pki::{Authority, Texts};
use crate::server::ServerProcess;
use crate::wire::Client;

pub(crate) struct Peers {
    mutual: Peer,
    plaintext: Peer,
}

struct Peer {
    client: Client,
    server: ServerProcess,
}

impl Peers {
    pub(crate) async fn start() -> Result<Self> {
        let (server, client) = pair()?;
        Ok(Self {
            mutual: Peer::start(Security::Mutual, &server, &client).await?,
            plaintext: Peer::start(Security::Plaintext, &server, &client).await?,
        })
    }

    pub(crate) fn client(&mut self, security: Security) -> &mut Client {
        match security {
            Security::Mutual => &mut self.mutual.client,
            Security::Plaintext => &mut self.plaintext.client,
        }
    }

    pub(crate) fn server(&self, security: Security) -> &ServerProcess {
        match security {
            Security::Mutual => &self.mutual.server,
            Security::Plaintext => &self.plaintext.server,
        }
    }
}

impl Peer {
    async fn start(security: Security, server: &Texts, client: &Texts) -> Result<Self> {
        let server = ServerProcess::start(security, server)?;
        let transport = nodes::transport(security, client)?;
        let mut client = Client::new(nodes::channel(&transport, server.address)?);
        client.echo().await?;
        Ok(Self { client, server })
    }
}

/// A scheduler and an executor of one cluster.
pub(crate) fn pair() -> Result<(Texts, Texts)> {
    let authority = Authority::new()?;
    let scheduler = authority.issue("scheduler", "scheduler1")?;
    let executor = authority.issue("executor", "executor1")?;
    Ok((scheduler.texts, executor.texts))
}
