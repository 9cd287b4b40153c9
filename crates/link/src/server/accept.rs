//! Accepting connections: bounded in number, handshakes bounded in time, beside one another.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::{Connected, TcpConnectInfo, TlsConnectInfo};

use super::Counters;
use crate::limits::{CONNECTIONS_MAX, HANDSHAKE_TIMEOUT};

/// Pause after the system had no descriptor left, so that accepting does not spin.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// A connection that holds one of the bounded slots until it closes.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    _slot: OwnedSemaphorePermit,
}

/// The connections whose handshake succeeded.
pub(super) fn incoming(
    listener: TcpListener,
    tls: ServerConfig,
    counters: Arc<Counters>,
    stop: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    // One place: a finished handshake waits for gRPC to take it, holding its slot.
    let (ready, connections) = mpsc::channel(1);
    let accepting = accept(listener, TlsAcceptor::from(Arc::new(tls)), counters, ready);
    // Owned by the returned stream: it ends when the receiver is dropped or on stop.
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = accepting => {}
        }
    });
    ReceiverStream::new(connections)
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    counters: Arc<Counters>,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let handshakes = TaskTracker::new();
    while !ready.is_closed() {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        Counters::add(&counters.connections);
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            Counters::add(&counters.connections_refused);
            continue;
        };
        let (acceptor, counters, ready) = (acceptor.clone(), Arc::clone(&counters), ready.clone());
        handshakes.spawn(async move {
            // Acknowledgements are small and somebody waits for them. Failing only delays them.
            let _ = stream.set_nodelay(true);
            let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
            match handshake {
                Ok(Ok(stream)) => {
                    let connection = Connection { stream, _slot: slot };
                    // Nobody takes it any more when the server stops.
                    let _ = ready.send(Ok(connection)).await;
                }
                Ok(Err(error)) => {
                    Counters::add(&counters.handshakes_failed);
                    tracing::info!(%peer, %error, "a handshake failed");
                }
                Err(_) => {
                    Counters::add(&counters.handshakes_failed);
                    tracing::info!(%peer, "a handshake was not finished in time");
                }
            }
        });
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
