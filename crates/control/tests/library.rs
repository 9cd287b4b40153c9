//! Content that changes while it is in force: what is put, tuned and excepted reaches rules, overlay
//! and sensors, and what does not compile changes nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use metsuke_catalog::clock::now;
use metsuke_catalog::{Catalog, ExceptionRecord, TuningRecord};
use metsuke_control::library::{
    ChangeError, Import, Intent, Origin, Severity, Shipped, TuningChange, Wish,
};
use metsuke_control::{Control, Library, current_policy};
use metsuke_detect::Engine;
use metsuke_event::activity::ProcessActivity;
use metsuke_event::finding::Level;
use metsuke_event::{Activity, EndpointId, Event, EventId, Kind, Process};
use metsuke_link::message::{Bundle, Downstream};
use tokio_util::sync::CancellationToken;

const SHIPPED: &str = "
title: A shell
id: shell
level: low
tags: [attack.t1059.004]
logsource: {product: linux, category: process_creation}
detection: {s: {Image|endswith: /sh}, condition: s}
---
title: A shell twice
id: shell-twice
level: medium
correlation:
  type: event_count
  rules: [shell]
  timespan: 1h
  condition: {gte: 2}
";

fn own(id: &str, image: &str) -> String {
    format!(
        "title: t\nid: {id}\nlevel: high\ntags: [attack.t1059]\nlogsource: {{product: linux}}\n\
         detection:\n  s:\n    Image|endswith: {image}\n  condition: s\n"
    )
}

struct World {
    catalog: Catalog,
    library: Library,
    endpoint: EndpointId,
    _folder: tempfile::TempDir,
}

async fn open(catalog: &Catalog) -> Library {
    let shipped = Shipped {
        path: "content/filters/shell/detection.yml".into(),
        text: SHIPPED.into(),
        ..Shipped::default()
    };
    Library::open(catalog.clone(), vec![shipped]).await.unwrap()
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
    let token = catalog.create_enrolment_token(now(), "x", 1_000_000_000_000).await.unwrap();
    let endpoint = catalog.enrol(now(), &token.secret, "h").await.unwrap().unwrap();
    let library = open(&catalog).await;
    World { catalog, library, endpoint, _folder: folder }
}

impl World {
    fn exec(&self, seq: u64, exe: &str) -> Event {
        let mut event = Event::empty(Kind::ProcessExec);
        event.id = EventId { endpoint: self.endpoint, seq, ..EventId::default() };
        event.time = now();
        event.activity = Activity::Process(ProcessActivity::Exec);
        let uid = Some(format!("p{seq}").into());
        let process = Process { uid, exe: Some(exe.into()), ..Process::default() };
        event.process = std::sync::Arc::new(process);
        event
    }

    /// What strikes on `events` by the content in force: id, level, and whether it is excepted.
    fn strikes(&self, events: &[Event]) -> Vec<(String, Level, bool)> {
        let force = self.library.in_force();
        let mut engine = Engine::new(std::sync::Arc::clone(&force.rules));
        engine.lay(std::sync::Arc::clone(&force.overlay));
        let mut struck = Vec::new();
        for event in events {
            let hits = engine.observe(event).hits.into_iter();
            struck.extend(
                hits.map(|hit| (hit.detection.id, hit.detection.level, hit.excepted.is_some())),
            );
        }
        struck
    }

    fn tuning(group: Option<&str>) -> TuningRecord {
        TuningRecord {
            detection: "shell".into(),
            group: group.map(str::to_owned),
            enabled: None,
            level: None,
            reason: "because".into(),
            actor: "ann".into(),
            time: now(),
        }
    }
}

fn exception() -> ExceptionRecord {
    ExceptionRecord {
        id: "e1".into(),
        title: "t".into(),
        detections: vec!["shell".into()],
        groups: Vec::new(),
        endpoints: Vec::new(),
        condition: "Image: /bin/sh".into(),
        reason: "r".into(),
        owner: "ann".into(),
        created: now(),
        expires: now().plus_nanos(3_600_000_000_000),
        hidden: 0,
        last: None,
    }
}

#[tokio::test]
async fn the_serial_grows_only_with_a_change_also_across_restarts() {
    let world = world().await;
    assert_eq!(current_policy(&world.catalog).await.unwrap().version, 1);
    let serial = world.library.in_force().serial;
    assert_eq!(open(&world.catalog).await.in_force().serial, serial);
    world.library.put("ann", "mine", own("mine", "/x")).await.unwrap();
    world.library.put("ann", "mine", own("mine", "/x")).await.unwrap();
    assert_eq!(world.library.in_force().serial, serial + 1);
    let again = open(&world.catalog).await.in_force();
    assert_eq!(again.serial, serial + 1);
    assert_eq!(again.known("mine").unwrap().origin, Origin::Own);
    world.library.remove("ann", "mine").await.unwrap();
    assert_eq!(world.library.in_force().serial, serial + 2, "older content is newer");
    assert!(world.library.in_force().known("mine").is_none());
}

#[tokio::test]
async fn what_does_not_compile_changes_nothing_and_says_where() {
    let world = world().await;
    let before = world.library.in_force();
    let wrong = own("mine", "/x").replace("endswith", "sideways");
    let refused = world.library.put("ann", "mine", wrong.clone()).await;
    let Err(ChangeError::Refused(faults)) = refused else { panic!("{refused:?}") };
    assert_eq!((faults[0].line, faults[0].column, faults[0].length), (8, 11, 8));
    let checked = world.library.check(wrong).await.unwrap();
    assert_eq!(checked.faults, faults, "the check says the same");
    let refused = world.library.put("ann", "other", own("mine", "/x")).await;
    assert!(matches!(refused, Err(ChangeError::Invalid(_))), "another id: {refused:?}");
    let refused = world.library.put("ann", "shell", own("shell", "/x")).await;
    assert!(matches!(refused, Err(ChangeError::NotOwn(_))), "shipped: {refused:?}");
    let refused = world.library.remove("ann", "shell").await;
    assert!(matches!(refused, Err(ChangeError::NotOwn(_))), "shipped: {refused:?}");
    assert!(std::sync::Arc::ptr_eq(&before, &world.library.in_force()));
    assert!(world.catalog.documents().await.unwrap().is_empty());

    world.library.put("ann", "mine", own("mine", "/x")).await.unwrap();
    let rule = "title: t\nid: above\nlevel: low\ncorrelation:\n  type: event_count\n  rules: \
                [mine]\n  timespan: 1h\n  condition: {gte: 2}\n";
    world.library.put("ann", "above", rule.to_owned()).await.unwrap();
    let refused = world.library.remove("ann", "mine").await;
    let Err(ChangeError::Refused(faults)) = refused else { panic!("{refused:?}") };
    assert!(faults[0].message.contains("own/above.yml"), "{faults:?}");
    let checked = world.library.check(rule.to_owned()).await.unwrap();
    assert_eq!(checked.detection.unwrap().id, "above", "it replaces itself");
    assert!(checked.faults.iter().all(|fault| fault.severity == Severity::Warning));
}

#[tokio::test]
async fn tuning_and_exceptions_are_in_force_at_once_and_by_group() {
    let world = world().await;
    let shells = [world.exec(1, "/bin/sh"), world.exec(2, "/usr/bin/sh")];
    let ids = |struck: &[(String, Level, bool)]| -> Vec<String> {
        struck.iter().map(|(id, ..)| id.clone()).collect()
    };
    assert_eq!(ids(&world.strikes(&shells)), ["shell", "shell", "shell-twice"]);
    let raised = TuningRecord { level: Some(Level::High), ..World::tuning(None) };
    world.library.tune(raised).await.unwrap();
    assert_eq!(world.strikes(&shells)[0].1, Level::High);
    let off = TuningRecord { enabled: Some(false), ..World::tuning(Some("quiet")) };
    let unknown = world.library.tune(off.clone()).await;
    assert!(matches!(unknown, Err(ChangeError::Invalid(_))), "no such group: {unknown:?}");
    let token = world.catalog.create_enrolment_token(now(), "x", 1_000_000_000_000).await.unwrap();
    let other = world.catalog.enrol(now(), &token.secret, "other").await.unwrap().unwrap();
    world.library.set_group("ann", other, "quiet").await.unwrap();
    world.library.tune(off).await.unwrap();
    assert_eq!(world.strikes(&shells).len(), 3, "another group's tuning");
    assert_eq!(world.library.in_force().bundle(world.endpoint).site.tunings.len(), 1);
    world.library.set_group("ann", world.endpoint, "quiet").await.unwrap();
    assert!(world.strikes(&shells).is_empty());
    let pushed = world.library.in_force().bundle(world.endpoint).site;
    assert_eq!(pushed.tunings.last().unwrap().enabled, Some(false), "the group's comes last");
    world.library.tune(World::tuning(Some("quiet"))).await.unwrap();

    world.library.except(exception()).await.unwrap();
    let struck = world.strikes(&shells);
    assert_eq!(ids(&struck), ["shell", "shell"], "the rule did not see the first");
    assert_eq!((struck[0].2, struck[1].2), (true, false));
    let elsewhere = ExceptionRecord {
        id: "e2".into(),
        endpoints: vec![EndpointId::from_u128(1)],
        ..exception()
    };
    world.library.except(elsewhere).await.unwrap();
    let pushed = world.library.in_force().bundle(world.endpoint).site.exceptions;
    assert_eq!(pushed.len(), 1, "an exception of another endpoint does not travel");
    world.library.unexcept("ann", "e1").await.unwrap();
    assert!(world.strikes(&shells).iter().all(|(.., excepted)| !excepted));
}

#[tokio::test]
async fn an_exception_that_hides_everything_or_nothing_known_is_refused() {
    let world = world().await;
    let check = async |record: ExceptionRecord, expected: &str| {
        let refused = world.library.except(record).await;
        let Err(ChangeError::Refused(faults)) = refused else { panic!("{refused:?}") };
        assert!(faults[0].message.contains(expected), "{faults:?}");
    };
    check(ExceptionRecord { condition: "Image|nonsense: x".into(), ..exception() }, "nonsense")
        .await;
    let unknown = ExceptionRecord { detections: vec!["gone".into()], ..exception() };
    check(unknown, "gone").await;
    let unknown = ExceptionRecord { groups: vec!["nowhere".into()], ..exception() };
    check(unknown, "nowhere").await;
    let all = ExceptionRecord { detections: Vec::new(), condition: "  ".into(), ..exception() };
    check(all, "every hit").await;
    assert!(world.catalog.exceptions().await.unwrap().is_empty());
}

#[tokio::test]
async fn imported_documents_come_in_as_far_as_they_compile() {
    let world = world().await;
    let document = |path: &str, text: String| Import {
        path: path.to_owned(),
        text,
        author: Some("A. N.".to_owned()),
        licence: Some("DRL 1.1".to_owned()),
    };
    world.library.put("ann", "mine", own("mine", "/m")).await.unwrap();
    let before = world.library.in_force();
    let above = "title: t\nid: above\nlevel: low\ncorrelation: {type: event_count, rules: [a], \
                 timespan: 1h, condition: {gte: 2}}\n";
    let documents = vec![
        document("above.yml", above.to_owned()),
        document("a.yml", own("a", "/a") + "author: |\n  B.\n  C.\nlicense: MIT\n"),
        document("b.yml", own("b", "/b").replace("endswith", "sideways")),
        document("shell.yml", own("shell", "/c")),
        document("mine.yml", own("mine", "/d")),
        document("again.yml", own("a", "/e")),
        document("a.yml", own("f", "/f")),
        document("none.yml", "title: t\n".to_owned()),
    ];
    let preview = world.library.import("ann", documents.clone(), Intent::Preview).await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&before, &world.library.in_force()), "nothing is changed");
    let done = world.library.import("ann", documents, Intent::Put).await.unwrap();
    assert_eq!((&done.taken, &done.left), (&preview.taken, &preview.left));
    let taken: Vec<&str> = done.taken.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(taken, ["above", "a"]);
    let mut left: Vec<_> = done.left.iter().map(|one| (&*one.path, one.fault.line)).collect();
    left.sort_unstable();
    let paths = ["a.yml", "again.yml", "b.yml", "mine.yml", "none.yml", "shell.yml"];
    assert_eq!(left, paths.map(|path| (path, if path == "b.yml" { 8 } else { 1 })), "{done:?}");
    let force = world.library.in_force();
    let known = force.known("a").unwrap();
    assert_eq!((known.origin, known.licence.as_deref()), (Origin::Imported, Some("MIT")));
    assert_eq!(known.author.as_deref(), Some("B. C."));
    assert_eq!(force.known("above").unwrap().licence.as_deref(), Some("DRL 1.1"));
    assert_eq!(force.known("shell").unwrap().origin, Origin::Shipped);
    assert_eq!(force.known("mine").unwrap().origin, Origin::Own);
    // A newer one that does not compile leaves the older in its place.
    let newer = vec![document("a.yml", own("a", "/a").replace("endswith", "sideways"))];
    let done = world.library.import("ann", newer, Intent::Put).await.unwrap();
    assert_eq!((done.taken.len(), done.left.len()), (0, 1));
    assert!(world.library.in_force().known("a").is_some());
    let newer = vec![document("a.yml", own("a", "/other"))];
    let done = world.library.import("ann", newer, Intent::Put).await.unwrap();
    assert!(done.taken[0].replaces);
    world.library.remove("ann", "above").await.unwrap();
    world.library.remove("ann", "a").await.unwrap();
}

#[tokio::test]
async fn what_hosts_of_a_group_are_worth_weighs_in_scores() {
    let world = world().await;
    let model =
        "title: m\nid: m\nlevel: low\nmodel: {timespan: 1h, threshold: 1, weights: {low: 10}}";
    world.library.put("ann", "m", model.to_owned()).await.unwrap();
    let score = || {
        let force = world.library.in_force();
        let mut engine = Engine::new(std::sync::Arc::clone(&force.rules));
        engine.lay(std::sync::Arc::clone(&force.overlay));
        let mut event = world.exec(1, "/bin/sh");
        std::sync::Arc::make_mut(&mut event.process).storyline = Some("one".into());
        engine.observe(&event).alerts[0].score
    };
    let plain = score();
    world.library.set_group("ann", world.endpoint, "servers").await.unwrap();
    world.library.set_importance("ann", "servers", 2.0).await.unwrap();
    assert_eq!(score(), plain * 2);
    let again = open(&world.catalog).await.in_force();
    assert_eq!(format!("{:?}", again.importance), r#"{"servers": 2.0}"#, "it is kept");
    for (group, importance) in [("servers", 5.0), ("servers", f64::NAN), ("default", 2.0)] {
        let refused = world.library.set_importance("ann", group, importance).await;
        assert!(matches!(refused, Err(ChangeError::Invalid(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn what_two_say_at_once_is_joined() {
    let world = world().await;
    let change = || TuningChange {
        detection: "shell".to_owned(),
        group: None,
        enabled: Wish::Leave,
        level: Wish::Leave,
        reason: "r".to_owned(),
        actor: "ann".to_owned(),
    };
    let level = TuningChange { level: Wish::Say(Level::High), ..change() };
    let off = TuningChange { enabled: Wish::Say(false), ..change() };
    let (one, other) = tokio::join!(world.library.tune(level), world.library.tune(off));
    one.and(other).unwrap();
    let said = &world.library.in_force().tunings[0];
    assert_eq!((said.enabled, said.level), (Some(false), Some(Level::High)));
    assert_eq!(&world.catalog.tunings().await.unwrap()[0], said);
    let unsaid = TuningChange { level: Wish::Nothing, ..change() };
    world.library.tune(unsaid).await.unwrap();
    let said = &world.library.in_force().tunings[0];
    assert_eq!((said.enabled, said.level), (Some(false), None));
}

#[tokio::test]
async fn a_change_goes_to_its_end_when_whoever_asked_for_it_goes_away() {
    let world = world().await;
    let off = TuningRecord { enabled: Some(false), ..World::tuning(None) };
    {
        // Asked for once, and let go.
        let mut change = std::pin::pin!(world.library.tune(off));
        let asked = std::future::poll_fn(|context| {
            std::task::Poll::Ready(change.as_mut().poll(context).is_pending())
        });
        assert!(asked.await, "it is under way");
    }
    world.library.stopped().await;
    assert_eq!(world.catalog.tunings().await.unwrap().len(), 1);
    assert_eq!(world.library.in_force().tunings.len(), 1, "what is stored is in force");
}

#[tokio::test]
async fn what_is_said_over_documents_copies_none_of_them() {
    let world = world().await;
    let before = world.library.in_force();
    let first = before.bundle(world.endpoint);
    assert!(std::sync::Arc::ptr_eq(&first.documents, &before.bundle(world.endpoint).documents));
    world.library.except(exception()).await.unwrap();
    let after = world.library.in_force();
    assert!(std::sync::Arc::ptr_eq(&before.rules, &after.rules));
    assert!(std::sync::Arc::ptr_eq(&first.documents, &after.bundle(world.endpoint).documents));
    assert!(after.serial > before.serial);
}

#[tokio::test]
async fn connected_sensors_are_pushed_every_change() {
    let world = world().await;
    let policy = current_policy(&world.catalog).await.unwrap();
    let control = Control::new(world.catalog.clone(), &world.library, policy);
    let stop = CancellationToken::new();
    let push = {
        let (control, stop) = (control.clone(), stop.clone());
        #[expect(clippy::disallowed_methods, reason = "awaited at the end")]
        tokio::spawn(async move { control.push_until(stop).await })
    };
    let mut session = control.open(world.endpoint).await;
    let mut content = async || -> Bundle {
        loop {
            if let Downstream::Content(bundle) = session.recv().await.unwrap() {
                return bundle;
            }
        }
    };
    let first = content().await;
    world.library.put("ann", "mine", own("mine", "/x")).await.unwrap();
    let second = content().await;
    assert!(second.serial > first.serial);
    assert_eq!(second.version, world.library.in_force().version);
    assert!(second.documents.iter().any(|document| document.path == "own/mine.yml"));
    let off = TuningRecord { enabled: Some(false), ..World::tuning(None) };
    world.library.tune(off).await.unwrap();
    assert_eq!(content().await.site.tunings[0].enabled, Some(false));
    stop.cancel();
    push.await.unwrap();
}

#[tokio::test]
async fn an_exception_that_says_nothing_is_refused_however_it_is_written() {
    let world = world().await;
    for condition in ["", " \n", "#", "# Image: /bin/sh", "~", "null", "---", "--- # nothing"] {
        let everything =
            ExceptionRecord { detections: Vec::new(), condition: condition.into(), ..exception() };
        let faults = world.library.judge(&everything);
        assert!(
            faults.iter().any(|fault| fault.message.contains("every hit")),
            "{condition:?}: {faults:?}"
        );
        assert!(world.library.except(everything).await.is_err(), "{condition:?}");
    }
    assert!(world.library.in_force().exceptions.is_empty());
    let narrow = ExceptionRecord { detections: Vec::new(), ..exception() };
    assert_eq!(world.library.judge(&narrow), [], "a condition is enough");
    let named = ExceptionRecord { condition: "# all of it".into(), ..exception() };
    assert_eq!(world.library.judge(&named), [], "and so is a detection");
}
