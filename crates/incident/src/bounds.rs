//! Every bound, with its reason.

/// Share of the fleet, one in so many hosts, that had a value before anything struck on it for it to be
/// common: part of how the fleet is made, not of what happens to it.
pub const COMMON_SHARE: u64 = 20;
/// Fewest hosts that make a value common in a small fleet: the same tool on two hosts of ten is not yet
/// everybody's. In a fleet of fewer hosts it is all of them.
pub const COMMON_HOSTS_MIN: u64 = 3;
/// Hosts that make a value common in a fleet of any size; also as many as the lake names in one answer.
pub const COMMON_HOSTS_MAX: u64 = 50;
/// Hosts with alerts on which a value may stand and still join while nothing is known of the fleet.
pub const UNASKED_HOSTS: usize = 5;
/// Alerts per host that a value may stand in, on average, and still join: what strikes more often is
/// noise that happens to be on several hosts.
pub const COMMON_ALERTS_PER_HOST: usize = 50;
/// How long before the first alert a value's spreading is part of what happened: a wide intrusion
/// reaches its hosts within a day.
pub const SPREAD_NANOS: i64 = 24 * 3_600 * 1_000_000_000;
/// How far before that the fleet is asked who had the value: work of every month is seen.
pub const LOOK_BACK_NANOS: i64 = 30 * 24 * 3_600 * 1_000_000_000;
/// Questions about values that are open at once, the newest; each costs the lake two look-ups.
pub const QUESTIONS: usize = 2_000;
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
