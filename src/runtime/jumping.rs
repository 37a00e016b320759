//! Time that stands while anything is at work and jumps to the next sleeper when nothing is: a day of slots passes in
//! as long as its work takes, and in the same order each time.
//!
//! Whoever is at work holds an [`Awake`]. When the last one sleeps, the clock takes the sleeper that is due first,
//! shows its time, and wakes it alone; it holds the time again from that moment on, before any other task can run.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::time::Timestamp;

/// The time and those who wait for it.
#[derive(Debug)]
pub(super) struct Jumping {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    /// How many are at work. It is signed since a sleeper that nobody counted takes one too many.
    awake: i64,
    sleepers: BTreeMap<u64, Sleeper>,
    next_id: u64,
}

#[derive(Debug)]
struct Sleeper {
    /// `None` once it is woken and counts as awake again.
    due: Option<Timestamp>,
    waker: Waker,
}

impl Jumping {
    pub(super) fn new(origin: Timestamp) -> Arc<Self> {
        let state = State { now: origin, awake: 0, sleepers: BTreeMap::new(), next_id: 0 };
        Arc::new(Self { state: Mutex::new(state) })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.lock().now
    }

    /// Lets time pass while somebody is at work, as it does during a slow answer. Nobody is woken by it before then.
    pub(super) fn pass(&self, span: Duration) {
        let mut state = self.lock();
        state.now = state.now.plus(span);
    }

    /// Makes every sleeper look, now, whether there is something to do before its time.
    pub(super) fn rouse(&self) {
        let mut state = self.lock();
        let now = state.now;
        for sleeper in state.sleepers.values_mut() {
            sleeper.due = sleeper.due.map(|due| due.min(now));
        }
        jump_if_idle(state);
    }

    pub(super) fn sleep_until(&self, until: Timestamp) -> Sleep<'_> {
        Sleep { clock: self, until, id: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes who is due first where nobody is at work, once the lock is given back: waking may run or drop a task here.
fn jump_if_idle(mut state: MutexGuard<'_, State>) {
    let waker = state.next_if_idle();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl State {
    fn next_if_idle(&mut self) -> Option<Waker> {
        if self.awake > 0 {
            return None;
        }
        let next = self.sleepers.iter_mut().filter_map(|(id, sleeper)| Some((sleeper.due?, *id, sleeper)));
        let (due, _, sleeper) = next.min_by_key(|(due, id, _)| (*due, *id))?;
        sleeper.due = None;
        let waker = sleeper.waker.clone();
        self.now = self.now.max(due);
        self.awake += 1;
        Some(waker)
    }
}

/// Holds the time where it is until it is dropped.
#[derive(Debug, Default)]
pub struct Awake(Option<Arc<Jumping>>);

impl Awake {
    pub(super) fn new(clock: &Arc<Jumping>) -> Self {
        clock.lock().awake += 1;
        Self(Some(Arc::clone(clock)))
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        if let Some(clock) = &self.0 {
            let mut state = clock.lock();
            state.awake -= 1;
            jump_if_idle(state);
        }
    }
}

/// A sleep of a task that is counted as awake before it and after it, however it ends.
#[derive(Debug)]
pub(super) struct Sleep<'a> {
    clock: &'a Jumping,
    until: Timestamp,
    id: Option<u64>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock;
        let mut state = clock.lock();
        if let Some(id) = self.id {
            match state.sleepers.get_mut(&id) {
                Some(Sleeper { due: Some(_), waker }) => {
                    waker.clone_from(context.waker());
                    return Poll::Pending;
                }
                // Woken: it is awake, if only to look.
                Some(Sleeper { due: None, .. }) | None => {
                    state.sleepers.remove(&id);
                    self.id = None;
                }
            }
        }
        if state.now >= self.until {
            return Poll::Ready(());
        }
        let id = state.next_id;
        state.next_id += 1;
        state.sleepers.insert(id, Sleeper { due: Some(self.until), waker: context.waker().clone() });
        state.awake -= 1;
        self.id = Some(id);
        jump_if_idle(state);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut state = self.clock.lock();
        if let Some(Sleeper { due: Some(_), .. }) = state.sleepers.remove(&id) {
            state.awake += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Clock;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sleepers_wake_in_the_order_of_their_time_one_at_a_time() {
        let clock = Clock::jumping(at(0));
        let order = Arc::new(Mutex::new(Vec::new()));
        let held = clock.awake();
        let mut tasks = tokio::task::JoinSet::new();
        for seconds in [30, 10, 20, 86_400] {
            let (clock, order, awake) = (clock.clone(), Arc::clone(&order), clock.awake());
            tasks.spawn(async move {
                clock.sleep_until(at(seconds)).await;
                order.lock().unwrap().push(clock.now());
                // Others run meanwhile, and time does not.
                tokio::task::yield_now().await;
                assert_eq!(clock.now(), at(seconds));
                drop(awake);
            });
        }
        assert_eq!(clock.now(), at(0), "somebody is at work");
        drop(held);
        while tasks.join_next().await.transpose().unwrap().is_some() {}
        assert_eq!(*order.lock().unwrap(), [at(10), at(20), at(30), at(86_400)]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_roused_looks_before_time_goes_on() {
        let clock = Clock::jumping(at(0));
        let (bell, mut rung) = tokio::sync::watch::channel(());
        let (ringer, ringing) = (clock.clone(), clock.awake());
        let (sleeper, sleeping) = (clock.clone(), clock.awake());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let _sleeping = sleeping;
            tokio::select! {
                biased;
                changed = rung.changed() => changed.unwrap(),
                () = sleeper.sleep_until(at(100)) => {}
            }
            sleeper.now()
        });
        ringer.sleep_until(at(7)).await;
        bell.send_replace(());
        ringer.rouse();
        drop(ringing);
        assert_eq!(tasks.join_next().await.unwrap().unwrap(), at(7));
    }
}
