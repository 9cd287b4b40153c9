//! Tampering as it passes the pipeline: told once though several watch, and with the actor's
//! description where the probe had it before the actor ended.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metsuke_event::activity::{Activity, SensorActivity};
use metsuke_event::{Event, Process};
use metsuke_guard::protected::Protected;

use crate::own;

/// The same touch by the same process within this time is told once.
const SAME: Duration = Duration::from_secs(2);
/// Touches remembered for that.
const RECENT_MAX: usize = 256;
/// Processes remembered by their pid; those of the last seconds are enough.
const ACTORS_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(crate) struct Touches {
    protected: Arc<Protected>,
    recent: VecDeque<(Instant, String)>,
    actors: HashMap<u64, Arc<Process>>,
    order: VecDeque<u64>,
}

impl Touches {
    pub(crate) fn new(protected: Arc<Protected>) -> Self {
        Self { protected, ..Self::default() }
    }

    /// Looks at an activity of the probe; gives the tampering that it is, if it is one.
    pub(crate) fn observe(&mut self, event: &Event) -> Option<Event> {
        self.remember(event);
        let touch = self.protected.touched(event)?;
        Some(own::tampered(touch, event.time, Arc::clone(&event.process)))
    }

    fn remember(&mut self, event: &Event) {
        let (Some(pid), Some(_)) = (event.process.pid, &event.process.exe) else { return };
        if self.actors.insert(pid, Arc::clone(&event.process)).is_none() {
            self.order.push_back(pid);
            if self.order.len() > ACTORS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.actors.remove(&oldest);
            }
        }
    }

    /// Whether `event` is to be told; of a tampering the actor is filled in, and the same one by
    /// another watcher is not told again.
    pub(crate) fn admits(&mut self, event: &mut Event) -> bool {
        let Activity::Sensor(SensorActivity::Tamper, health) = &event.activity else { return true };
        let pid = event.process.pid;
        let text = |text: &Option<metsuke_event::Text>| text.as_deref().unwrap_or("").to_owned();
        let key = format!(
            "{pid:?} {} {} {}",
            text(&health.object),
            text(&health.reason),
            text(&health.detail)
        );
        self.recent.retain(|(at, _)| at.elapsed() < SAME);
        if self.recent.iter().any(|(_, known)| *known == key) {
            return false;
        }
        if self.recent.len() < RECENT_MAX {
            self.recent.push_back((Instant::now(), key));
        }
        if event.process.exe.is_none()
            && let Some(actor) = pid.and_then(|pid| self.actors.get(&pid))
        {
            event.process = Arc::clone(actor);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use metsuke_event::activity::Activity;
    use metsuke_event::{Event, Kind, Process, Timestamp};
    use metsuke_guard::protected::{Protected, Touch};

    use super::Touches;
    use crate::own;

    #[test]
    fn two_watchers_tell_one_touch_once_and_the_probe_names_the_actor() {
        let protected =
            Protected { files: vec![PathBuf::from("/bin/sensor")], ..Protected::default() };
        let mut touches = Touches::new(Arc::new(protected));
        let mut delete = Event::empty(Kind::FileDelete);
        let exe = Some("/bin/rm".into());
        delete.process = Arc::new(Process { pid: Some(9), exe, ..Process::default() });
        if let Activity::File(_, file) = &mut delete.activity {
            file.path = Some("/bin/sensor".into());
        }
        let mut by_probe = touches.observe(&delete).expect("it is protected");
        let touch = Touch { object: "file", reason: "deleted", detail: "/bin/sensor".to_owned() };
        let by_pid = Arc::new(Process { pid: Some(9), ..Process::default() });
        let mut by_watch = own::tampered(touch, Timestamp::from_nanos(1), by_pid);
        assert!(touches.admits(&mut by_watch));
        assert_eq!(by_watch.process.exe.as_deref(), Some("/bin/rm"));
        assert!(!touches.admits(&mut by_probe), "told already");
        assert!(touches.admits(&mut delete), "the activity itself is told in any case");
    }
}
