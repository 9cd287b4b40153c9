//! The link whole: a server and sensors over real TLS on loopback, and the spool in real processes.

mod batches;
mod enrolment;
mod hostile;
mod orders;
mod spool_process;
mod world;
