//! Every bound, with its reason.

/// Hosts on which a value may stand and still join: what stands on more is part of how the fleet is
/// made, not of what happened to it.
pub const COMMON_HOSTS: usize = 5;
/// Alerts that a value may stand in and still join: one that half of the alerts have tells nothing.
pub const COMMON_ALERTS: usize = 50;
/// How far apart alerts of one user on several hosts may be: a stolen login is used within hours.
pub const USER_NANOS: i64 = 4 * 3_600 * 1_000_000_000;
/// How far apart alerts of one host without another tie may be.
pub const HOST_NANOS: i64 = 30 * 60 * 1_000_000_000;
/// How far apart alerts that share a value may be: intruders keep their tools and addresses for days.
pub const VALUE_NANOS: i64 = 7 * 24 * 3_600 * 1_000_000_000;
/// How many earlier alerts with the same value an alert is tied to: more than one, for the last may be
/// kept apart by hand.
pub const TIES: usize = 8;
/// Reasons told of one incident; the strongest first.
pub const REASONS: usize = 64;
/// Alerts named in one reason.
pub const REASON_ALERTS: usize = 100;
/// Observables kept of one alert.
pub const OBSERVABLES: usize = 64;
/// Edits that are kept in mind; the oldest beyond them no longer hold.
pub const EDITS: usize = 2_000;
/// Alerts that one edit may name.
pub const EDIT_ALERTS: usize = 2_000;

/// Accounts that every host has.
pub const COMMON_USERS: &[&str] = &[
    "root",
    "system",
    "local service",
    "network service",
    "localsystem",
    "administrator",
    "daemon",
    "nobody",
    "www-data",
    "-",
    "",
];
