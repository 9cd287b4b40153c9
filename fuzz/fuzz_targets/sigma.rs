//! Any bytes as content: compiling never panics and stays within its bounds, and what compiles can
//! be run on an activity of every kind and on an imported event; its state survives a restart.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use metsuke_detect::{Document, Engine, compile};
use metsuke_event::logsource::LogSource;
use metsuke_event::{Event, Kind, Process, ValueRef};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (rules, refused) = compile([Document { path: "fuzz.yml".into(), text: text.to_owned() }]);
    for one in &refused {
        assert!(!one.reason.to_string().is_empty());
    }
    let mut engine = Engine::new(rules);
    let process = Arc::new(Process {
        exe: Some("/usr/bin/cat".into()),
        cmd_line: Some("cat /etc/passwd -n Ünï".into()),
        uid: Some("u".into()),
        storyline: Some("s".into()),
        ..Process::default()
    });
    for kind in Kind::ALL {
        let mut event = Event::empty(*kind);
        event.process = Arc::clone(&process);
        for seq in 0..3 {
            event.id.seq = seq;
            for hit in engine.observe(&event).hits {
                assert!(hit.matched.len() <= metsuke_detect::bounds::MATCHED_CLAUSES);
            }
        }
    }
    let mut event = Event::empty(Kind::ProcessExec);
    event.unmapped.push("EventID", ValueRef::U64(4688));
    event.unmapped.push("Image", ValueRef::Text("C:\\a.exe"));
    let source = LogSource { product: Some("windows"), category: None, service: Some("security") };
    engine.observe_as(&event, &[source]);
    let state = engine.checkpoint();
    let (again, restored) = Engine::restore(engine.rules(), &state).expect("its own state");
    assert_eq!((restored.dropped, again.checkpoint()), (0, state));
});
