//! Answers that several askers share.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
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
pub struct Fresh<T, E>(Mutex<Last<T, E>>);

#[derive(Debug)]
struct Last<T, E> {
    /// When it was asked for, and what was answered.
    answer: Option<(Instant, Arc<T>)>,
    /// When asking failed last, and why.
    failed: Option<(Instant, E)>,
}

impl<T, E> Default for Fresh<T, E> {
    fn default() -> Self {
        Self(Mutex::new(Last {
            answer: None,
            failed: None,
        }))
    }
}

impl<T, E: Clone> Fresh<T, E> {
    /// An answer to a question that was put at most `age` ago; asks if there is none. Who comes while another one is asking
    /// waits for that answer, good or bad.
    pub async fn get(&self, age: Duration, ask: impl Future<Output = Result<T, E>>) -> Result<Arc<T>, E> {
        let came = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((at, answer)) = &last.answer
            && came.saturating_duration_since(*at) <= age
        {
            return Ok(Arc::clone(answer));
        }
        if let Some((at, error)) = &last.failed
            && *at > came
        {
            return Err(error.clone());
        }
        last.ask(ask).await
    }

    /// The answer to a question that is put now, whatever is known.
    pub async fn now(&self, ask: impl Future<Output = Result<T, E>>) -> Result<Arc<T>, E> {
        self.0.lock().await.ask(ask).await
    }
}

impl<T, E: Clone> Last<T, E> {
    async fn ask(&mut self, ask: impl Future<Output = Result<T, E>>) -> Result<Arc<T>, E> {
        let at = Instant::now();
        match ask.await {
            Ok(answer) => {
                let answer = Arc::new(answer);
                self.answer = Some((at, Arc::clone(&answer)));
                Ok(answer)
            }
            Err(error) => {
                self.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
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
}
