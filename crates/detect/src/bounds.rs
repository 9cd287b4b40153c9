//! Every bound on what a document or an activity can make the engine hold or do, with its reason.

/// Bytes of one document. The largest of the public Sigma set has 60 KB.
pub const DOCUMENT_BYTES: usize = 512 * 1024;
/// Nesting of a YAML document. Sigma needs six levels.
pub const YAML_DEPTH: usize = 24;
/// Nodes of a YAML document, those that aliases repeat counted again: an alias bomb ends here.
pub const YAML_NODES: usize = 50_000;
/// YAML documents in one file.
pub const YAML_DOCUMENTS: usize = 64;
/// Nesting of a condition.
pub const CONDITION_DEPTH: usize = 32;
/// Bytes of a condition.
pub const CONDITION_BYTES: usize = 16 * 1024;
/// Predicates of one filter, after modifiers have multiplied its values.
pub const FILTER_PREDICATES: usize = 20_000;
/// Values that the placeholders of one value may make of it, multiplied. A site's list of servers
/// has some hundreds.
pub const PLACEHOLDER_VALUES: usize = 10_000;
/// Memory a compiled regular expression may take, in bytes; what needs more is refused. The public
/// set has some of 3 MB (`\\w{1,64}` with all letters of Unicode).
pub const REGEX_BYTES: usize = 16 * 1024 * 1024;
/// Memory all regular expressions of one document may take, in bytes: eight of the largest.
pub const DOCUMENT_REGEX_BYTES: usize = 128 * 1024 * 1024;
/// Predicates that all Sigma filter documents together may add to the filters they narrow: each of
/// 3,752 filters 500, at some 100 bytes.
pub const NARROWING_PREDICATES: usize = 2_000_000;
/// Bytes of a value that a hit keeps.
pub const MATCHED_VALUE_BYTES: usize = 1_024;
/// Clauses that a hit keeps.
pub const MATCHED_CLAUSES: usize = 24;
/// Bytes of a value that is matched; the rest is not looked at. Command lines end at 4,096.
pub const VALUE_BYTES: usize = 64 * 1024;
/// Correlation keys held by one engine, over all rules.
pub const CORRELATION_KEYS: usize = 100_000;
/// Hits remembered per correlation key.
pub const CORRELATION_HITS: usize = 512;
/// Hits remembered per key of a sequence: finding a chain looks at pairs of them.
pub const SEQUENCE_HITS: usize = 128;
/// Steps of a sequence.
pub const SEQUENCE_STEPS: usize = 16;
/// Detections one rule may stand on.
pub const REFERENCES: usize = 256;
/// Fields whose values are put together to one.
pub const VALUE_FIELDS: usize = 8;
/// Values remembered by first-seen rules, over all of them: 16 bytes each.
pub const FIRST_SEEN_VALUES: usize = 500_000;
/// Processes whose parents are remembered when a sequence asks for kinship: pids of a busy host
/// come round after 32,768.
pub const KIN: usize = 65_536;
/// How far up a process's line is followed.
pub const KIN_DEPTH: usize = 32;
/// Storylines a model layer holds.
pub const STORYLINES: usize = 50_000;
/// Highlights of one alert.
pub const HIGHLIGHTS: usize = 200;
/// Events of one highlight.
pub const HIGHLIGHT_EVENTS: usize = 64;
/// How deep rules may stand on rules.
pub const RULE_CHAIN: usize = 8;
/// Distinct log-source sets of imported events that get a plan of their own.
pub const IMPORTED_PLANS: usize = 512;
/// Sequences that wait for something not to come: a kilobyte each.
pub const AWAITED: usize = 20_000;
/// Exceptions of a site: each is asked for its scope at every hit that it may hide.
pub const EXCEPTIONS: usize = 10_000;
/// Tunings of a site: each of 5,000 detections in twenty groups.
pub const TUNINGS: usize = 100_000;
/// Hosts whose hits are remembered to tell what is common in a fleet: ten thousand of ten tenants.
pub const FLEET_HOSTS: usize = 100_000;
/// Pairs of host and detection remembered for that: some 40 MB.
pub const FLEET_SHOWN: usize = 500_000;
/// Hosts remembered of one detection: with more it is common in any fleet.
pub const FLEET_EACH: usize = 1_024;
/// Alerts remembered that others may be like.
pub const RAISED: usize = 50_000;
/// What the importance of a host may be, least and most: a score stays the detections' first.
pub const IMPORTANCE: (f64, f64) = (0.25, 4.0);
