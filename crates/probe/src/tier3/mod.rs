//! Tier 3: what Linux shows every program: the proc connector, fanotify (notification only), /proc.

mod poll;

pub(crate) use poll::Poll;
