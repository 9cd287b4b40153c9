//! Evidence of real processes and files, in control groups and folders of the tests' own.

mod collect;
mod dump;
mod scan;
mod world;
