//! What stopping a process, a storyline or a host would have kept from happening.

use std::sync::Arc;

use metsuke_event::finding::{DetectionRef, Hit, Layer, Level};
use metsuke_event::{EndpointId, Event, Kind, Process, Timestamp};
use metsuke_incident::course::{Course, Report, Stops};

/// An event at `second` on `host`, by process `uid` that `parent` started.
fn event(
    kind: Kind,
    second: i64,
    host: u128,
    (uid, parent, storyline): (&str, &str, &str),
) -> Event {
    let mut event = Event::empty(kind);
    event.id.endpoint = EndpointId::from_u128(host);
    event.time = Timestamp::from_millis(second * 1_000);
    event.process = Arc::new(Process {
        uid: Some(uid.into()),
        parent_uid: Some(parent.into()),
        storyline: Some(storyline.into()),
        ..Process::default()
    });
    event
}

fn hit(event: &Event, level: Level) -> Hit {
    Hit {
        detection: DetectionRef {
            id: format!("at-{level:?}"),
            title: "struck".into(),
            layer: Layer::Filter,
            level,
            techniques: Vec::new(),
            tactics: Vec::new(),
        },
        event: event.id,
        time: event.time,
        process: String::new(),
        storyline: String::new(),
        matched: Vec::new(),
        excepted: None,
    }
}

/// A story in which the second process is stopped in this way.
fn told(stops: Stops) -> Report {
    let events = [
        event(Kind::ProcessExec, 1, 1, ("a", "0", "s")),
        event(Kind::ProcessExec, 2, 1, ("b", "a", "s")),
        event(Kind::NetworkConnect, 3, 1, ("b", "a", "s")),
        event(Kind::ProcessExec, 4, 1, ("c", "b", "s")),
        event(Kind::FileCreate, 5, 1, ("c", "b", "s")),
        event(Kind::ProcessExit, 6, 1, ("b", "a", "s")),
        event(Kind::ProcessExec, 7, 1, ("d", "a", "s")),
        event(Kind::NetworkConnect, 8, 1, ("x", "0", "other")),
        event(Kind::ProcessExec, 9, 2, ("c", "b", "s")),
    ];
    let mut course = Course::new();
    for (place, event) in events.iter().enumerate() {
        course.event(event);
        match place {
            0 => course.hit(event, &hit(event, Level::Informational), Stops::Nothing),
            1 => course.hit(event, &hit(event, Level::High), stops),
            _ => {}
        }
    }
    course.report("it", None)
}

#[test]
fn what_is_stopped_takes_what_it_started_with_it() {
    for (stops, name, events, processes) in [
        // What b and c do later, but not b's end.
        (Stops::Process, "process", 3, 1),
        // And d, that the first process starts.
        (Stops::Storyline, "storyline", 4, 2),
        // Every connection of the host.
        (Stops::Host, "host", 2, 0),
    ] {
        let report = told(stops);
        let stopped = report.earliest_stopped.expect("stopped");
        assert_eq!(stopped.stops.as_deref(), Some(name));
        let after = stopped.after.expect("something came after");
        assert_eq!((after.events, after.processes), (events, processes), "{name}");
        assert_eq!((stopped.before.events, stopped.before.events_of_storyline), (1, 1));
    }
    assert!(told(Stops::Nothing).earliest_stopped.is_none());
}

#[test]
fn what_is_only_counted_is_nobodys_detection() {
    let report = told(Stops::Nothing);
    assert_eq!(report.earliest_detected.expect("detected").moment.level, "high");
    assert_eq!((report.layers["filter"].count, report.steps.len()), (2, 2));
    assert_eq!((report.hosts.len(), report.events, report.out_of_order), (2, 9, 0));
}
