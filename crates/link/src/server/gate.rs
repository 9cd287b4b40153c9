//! Two bounds on the size of a message, one for strangers and one for enrolled sensors.
//!
//! Invariant: a peer without a certificate makes the server hold no message larger than
//! `ENROL_MAX`. (A session looks at the certificate before it reads a message.)

use std::convert::Infallible;
use std::sync::Arc;

use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::NamedService;

use crate::limits::{ENROL_MAX, MESSAGE_MAX};
use crate::proto::link_server::{Link, LinkServer};

/// The one method open to strangers.
const ENROL: &str = "/metsuke.v1.Link/Enrol";

/// Leads each call to a server with the bound of its method.
pub(super) struct Gate<T> {
    strangers: LinkServer<T>,
    enrolled: LinkServer<T>,
}

impl<T> Gate<T> {
    pub(super) fn new(service: T) -> Self {
        let service = Arc::new(service);
        Self {
            strangers: LinkServer::from_arc(Arc::clone(&service))
                .max_decoding_message_size(ENROL_MAX),
            enrolled: LinkServer::from_arc(service)
                .max_decoding_message_size(MESSAGE_MAX)
                .max_encoding_message_size(MESSAGE_MAX),
        }
    }
}

impl<T> Clone for Gate<T> {
    fn clone(&self) -> Self {
        Self { strangers: self.strangers.clone(), enrolled: self.enrolled.clone() }
    }
}

impl<T> NamedService for Gate<T> {
    const NAME: &'static str = LinkServer::<T>::NAME;
}

impl<T: Link> Service<http::Request<Body>> for Gate<T> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Both are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() == ENROL {
            self.strangers.call(request)
        } else {
            self.enrolled.call(request)
        }
    }
}
