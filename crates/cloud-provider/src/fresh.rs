//! Answers that several askers share.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Remembers the last answer to a question that many ask at about the same time, such as for the list of all instances.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use std::time::Duration;
/// let fresh = cloud_provider::fresh::Fresh::<u32, String>::default();
/// let age = Duration::from_secs(5);
/// assert_eq!(*fresh.get(age, async { Ok(1) }).await.unwrap(), 1);
/// assert_eq!(*fresh.get(age, async { Ok(2) }).await.unwrap(), 1);
/// tokio::time::sleep(Duration::from_secs(6)).await;
/// assert_eq!(*fresh.get(age, async { Ok(3) }).await.unwrap(), 3);
/// # });
/// ```
#[derive(Debug)]
pub struct Fresh<T, E> {
    /// Held by whoever asks, as long as others are patient with him.
    turn: tokio::sync::Mutex<()>,
    last: Mutex<Last<T, E>>,
    patience: Duration,
}

type Turn<'a> = tokio::sync::MutexGuard<'a, ()>;

#[derive(Debug)]
struct Last<T, E> {
    /// When it was asked for, and what was answered.
    answer: Option<(Instant, Arc<T>)>,
    /// When asking failed last, and why.
    failed: Option<(Instant, E)>,
}

impl<T, E> Default for Fresh<T, E> {
    fn default() -> Self {
        Self::impatient(Duration::MAX)
    }
}

impl<T, E> Fresh<T, E> {
    /// After so long without an answer, the next one asks, too: a question that is answered late keeps only whoever asked
    /// it.
    pub fn impatient(patience: Duration) -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            last: Mutex::new(Last {
                answer: None,
                failed: None,
            }),
            patience,
        }
    }

    /// The answer to a question that was put at most `age` ago, if there is one. Never waits.
    pub fn known(&self, age: Duration) -> Option<Arc<T>> {
        self.last().since(Instant::now(), age)
    }

    /// Forgets the answer to a question that was put longer than `age` ago: it is not kept in memory beside the next one.
    pub fn forget(&self, age: Duration) {
        self.last().answer.take_if(|(at, _)| at.elapsed() > age);
    }

    fn last(&self) -> MutexGuard<'_, Last<T, E>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, E: Clone> Fresh<T, E> {
    /// An answer to a question that was put at most `age` ago; asks if there is none. Who comes while another one is asking
    /// waits for that answer, good or bad.
    pub async fn get(&self, age: Duration, ask: impl Future<Output = Result<T, E>>) -> Result<Arc<T>, E> {
        let came = Instant::now();
        let turn = self.turn.lock().await;
        {
            let last = self.last();
            if let Some(answer) = last.since(came, age) {
                return Ok(answer);
            }
            if let Some((at, error)) = &last.failed
                && *at > came
            {
                return Err(error.clone());
            }
        }
        self.ask(turn, ask).await
    }

    /// The answer to a question that is put now, whatever is known.
    pub async fn now(&self, ask: impl Future<Output = Result<T, E>>) -> Result<Arc<T>, E> {
        let turn = self.turn.lock().await;
        self.ask(turn, ask).await
    }

    async fn ask(&self, turn: Turn<'_>, ask: impl Future<Output = Result<T, E>>) -> Result<Arc<T>, E> {
        let at = Instant::now();
        let mut ask = pin!(ask);
        let answer = match tokio::time::timeout(self.patience, ask.as_mut()).await {
            Ok(answer) => answer,
            Err(_elapsed) => {
                drop(turn);
                ask.await
            }
        };
        let mut last = self.last();
        match answer {
            Ok(answer) => {
                let answer = Arc::new(answer);
                if last.answer.as_ref().is_none_or(|(known, _)| *known <= at) {
                    last.answer = Some((at, Arc::clone(&answer)));
                }
                Ok(answer)
            }
            Err(error) => {
                last.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

impl<T, E> Last<T, E> {
    /// The answer to a question that was put at most `age` before this moment, or after it.
    fn since(&self, moment: Instant, age: Duration) -> Option<Arc<T>> {
        let (at, answer) = self.answer.as_ref()?;
        (moment.saturating_duration_since(*at) <= age).then(|| Arc::clone(answer))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_at_the_same_time_shares_one_answer_good_or_bad() {
        let asked = AtomicU32::new(0);
        let fresh = Fresh::<u32, u32>::default();
        let slowly = |answer: Result<(), ()>| {
            let (fresh, asked) = (&fresh, &asked);
            async move {
                let ask = async {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let n = asked.fetch_add(1, Ordering::Relaxed);
                    answer.map(|()| n).map_err(|()| n)
                };
                fresh.get(Duration::ZERO, ask).await.map(|answer| *answer)
            }
        };
        assert_eq!(tokio::join!(slowly(Err(())), slowly(Err(()))), (Err(0), Err(0)));
        assert_eq!(tokio::join!(slowly(Ok(())), slowly(Ok(()))), (Ok(1), Ok(1)));
        assert_eq!(fresh.now(async { Ok(7) }).await.map(|answer| *answer), Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn one_late_answer_keeps_nobody_else_and_replaces_no_newer_one() {
        let fresh = Fresh::<&str, ()>::impatient(Duration::from_secs(1));
        let began = Instant::now();
        let after = |seconds, answer| {
            let fresh = &fresh;
            async move {
                let ask = async {
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                    Ok(answer)
                };
                let answer = *fresh.get(Duration::ZERO, ask).await.unwrap();
                (answer, began.elapsed().as_secs())
            }
        };
        let all = tokio::join!(after(20, "late"), after(0, "soon"), after(0, "shared"));
        assert_eq!(all, (("late", 20), ("soon", 1), ("soon", 1)));
        assert_eq!(fresh.known(Duration::from_secs(19)).as_deref(), Some(&"soon"));
        assert_eq!(fresh.known(Duration::from_secs(18)), None);
        fresh.forget(Duration::from_secs(19));
        assert!(fresh.known(Duration::from_secs(19)).is_some());
        fresh.forget(Duration::from_secs(18));
        assert_eq!(fresh.known(Duration::from_secs(19)), None);
    }
}
