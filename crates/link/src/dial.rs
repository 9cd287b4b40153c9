//! Opening a gRPC channel over our own TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::tls::server_name;

/// How long connecting and the handshake may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A dead peer is noticed after interval + timeout without any bytes.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The address cannot be used.
    #[error("`{0}` is no address; write HOST:PORT")]
    Address(String),
    /// No connection, or the peer is not the pinned server.
    #[error("no connection to {address}: {reason}")]
    Connect {
        /// Where to.
        address: String,
        /// The innermost reason.
        reason: String,
        /// The chain.
        #[source]
        source: tonic::transport::Error,
    },
}

/// Connects to `address` (`HOST:PORT`).
///
/// # Errors
/// When the address is none, nobody answers, or the handshake fails.
pub(crate) async fn dial(address: &str, tls: ClientConfig) -> Result<Channel, DialError> {
    let bad = || DialError::Address(address.chars().take(200).collect());
    let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err(bad());
    }
    let connector = TlsConnector::from(Arc::new(tls));
    let target = address.to_owned();
    let connect = tower::service_fn(move |_: Uri| {
        let (connector, target) = (connector.clone(), target.clone());
        async move {
            let stream = TcpStream::connect(target).await?;
            stream.set_nodelay(true)?;
            let stream = connector.connect(server_name(), stream).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // The authority part is never resolved: `connect` above knows where to go.
    Endpoint::from_static("http://server.metsuke.internal")
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector(connect)
        .await
        .map_err(|source| DialError::Connect {
            address: address.to_owned(),
            reason: innermost(&source),
            source,
        })
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
