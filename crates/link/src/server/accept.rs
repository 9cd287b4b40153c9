//! Accepting connections: bounded in number, handshakes bounded in time, beside one another.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo, TlsConnectInfo};

use super::{Counters, ServerConfig};

/// Pause after the system had no descriptor left, so that accepting does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection that holds one of the bounded slots until it closes.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    _slot: OwnedSemaphorePermit,
}

/// The connections whose handshake succeeded, and the work of accepting them: it goes on until
/// nobody takes them any more, and drops the handshakes it is at when it is dropped itself.
pub(super) fn incoming(
    listener: TcpListener,
    tls: rustls::ServerConfig,
    config: &ServerConfig,
) -> (ReceiverStream<io::Result<Connection>>, impl Future<Output = ()> + use<>) {
    // One place: a finished handshake waits for gRPC to take it, holding its slot.
    let (ready, connections) = mpsc::channel(1);
    let acceptor = Acceptor {
        tls: TlsAcceptor::from(Arc::new(tls)),
        slots: Arc::new(Semaphore::new(config.connections_max)),
        handshake_timeout: config.handshake_timeout,
        counters: Arc::clone(&config.counters),
        ready,
    };
    (ReceiverStream::new(connections), acceptor.run(listener))
}

/// What each handshake needs.
#[derive(Clone)]
struct Acceptor {
    tls: TlsAcceptor,
    slots: Arc<Semaphore>,
    handshake_timeout: Duration,
    counters: Arc<Counters>,
    ready: mpsc::Sender<io::Result<Connection>>,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let mut handshakes = JoinSet::new();
        let mut turned_away = false;
        loop {
            let accepted = tokio::select! {
                () = self.ready.closed() => return,
                Some(ended) = handshakes.join_next() => {
                    self.look_at(ended);
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            Counters::add(&self.counters.connections);
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                turned_away = false;
                handshakes.spawn(self.clone().handshake(stream, peer, slot));
            } else {
                Counters::add(&self.counters.connections_refused);
                // Said once a time: who floods the port shall not flood the log.
                if !turned_away {
                    tracing::warn!(%peer, "too many connections are open; new ones are turned away until some close");
                }
                turned_away = true;
            }
        }
    }

    fn look_at(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended {
            Counters::add(&self.counters.handshakes_failed);
            tracing::error!(%error, "a handshake broke down; please report it");
        }
    }

    async fn handshake(self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        // Acknowledgements are small and somebody waits for them. Failing only delays them.
        let _ = stream.set_nodelay(true);
        match tokio::time::timeout(self.handshake_timeout, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let connection = Connection { stream, _slot: slot };
                // Nobody takes it any more when the server stops.
                let _ = self.ready.send(Ok(connection)).await;
            }
            Ok(Err(error)) => {
                Counters::add(&self.counters.handshakes_failed);
                tracing::info!(%peer, %error, "a handshake failed");
            }
            Err(_) => {
                Counters::add(&self.counters.handshakes_failed);
                tracing::info!(%peer, "a handshake was not finished in time");
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TlsConnectInfo<TcpConnectInfo>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
