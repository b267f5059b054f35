//! What a cloud in memory does when it is asked, and what it was asked.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use kit::Class;

use crate::error::CloudError;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is what its name says")]
pub enum Op {
    Initialize,
    ListInstances,
    GetInstance,
    GetBalancer,
    ListBalancers,
    ReserveAddress,
    CreateBalancer,
    SetHosts,
    DeleteBalancer,
    ReleaseAddress,
    ListRoutes,
    CreateRoute,
    DeleteRoute,
}

impl Op {
    /// Whether it changes nothing.
    pub fn reads(self) -> bool {
        use Op::{GetBalancer, GetInstance, Initialize, ListBalancers, ListInstances, ListRoutes};
        matches!(
            self,
            Initialize | ListInstances | GetInstance | GetBalancer | ListBalancers | ListRoutes
        )
    }
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub op: Op,
    /// About what.
    pub subject: String,
}

/// What became of a request on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was carried out and answered.
    Answered,
    /// It never arrived.
    NotSent,
    /// It was carried out, and the answer was lost.
    Lost,
}

/// Carries requests, so that a test can cut them off.
pub type Wire = Arc<dyn Fn(Op) -> BoxFuture<'static, Reply> + Send + Sync>;

/// A script. Rules for a kind of request are used up in the order they were given.
#[derive(Default)]
pub struct Script(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    rules: Vec<Rule>,
    calls: Vec<Call>,
    wire: Option<Wire>,
}

struct Rule {
    op: Op,
    /// Only requests about this, if anything stands here.
    subject: Option<String>,
    times: usize,
    action: Action,
}

impl Rule {
    fn fits(&self, op: Op, subject: &str) -> bool {
        let about = self.subject.as_ref().is_none_or(|about| about == subject);
        self.op == op && self.times > 0 && about
    }
}

#[derive(Clone)]
enum Action {
    Fail(Arc<dyn Fn() -> CloudError + Send + Sync>),
    Delay(Duration),
    Lose,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("calls", &self.lock().calls)
            .finish_non_exhaustive()
    }
}

impl Script {
    /// The next `times` such requests fail with this class.
    pub fn fail(&self, op: Op, times: usize, class: Class) {
        self.fail_with(op, times, move || {
            CloudError::new(class, format!("{op:?} failed as scripted"))
        });
    }

    /// The next `times` such requests fail like this.
    pub fn fail_with(&self, op: Op, times: usize, error: impl Fn() -> CloudError + Send + Sync + 'static) {
        self.rule(op, times, Action::Fail(Arc::new(error)));
    }

    /// The next `times` such requests about this subject fail like this.
    pub fn fail_for(
        &self,
        op: Op,
        subject: &str,
        times: usize,
        error: impl Fn() -> CloudError + Send + Sync + 'static,
    ) {
        self.lock().rules.push(Rule {
            op,
            subject: Some(subject.to_owned()),
            times,
            action: Action::Fail(Arc::new(error)),
        });
    }

    /// The next `times` such requests take this long.
    pub fn delay(&self, op: Op, times: usize, delay: Duration) {
        self.rule(op, times, Action::Delay(delay));
    }

    /// The next `times` such requests are carried out and their answers lost.
    pub fn lose(&self, op: Op, times: usize) {
        self.rule(op, times, Action::Lose);
    }

    /// Forgets all rules.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// Carries all requests over `wire`.
    pub fn wire(&self, wire: Wire) {
        self.lock().wire = Some(wire);
    }

    /// What was asked so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How often this was asked so far.
    pub fn count(&self, op: Op) -> usize {
        self.lock().calls.iter().filter(|call| call.op == op).count()
    }

    /// Forgets what was asked.
    pub fn forget(&self) {
        self.lock().calls.clear();
    }

    fn rule(&self, op: Op, times: usize, action: Action) {
        let subject = None;
        self.lock().rules.push(Rule {
            op,
            subject,
            times,
            action,
        });
    }

    pub(super) async fn meet(&self, op: Op, subject: &str) -> Result<Reply, CloudError> {
        let (action, wire) = {
            let mut inner = self.lock();
            inner.calls.push(Call {
                op,
                subject: subject.to_owned(),
            });
            let action = inner.rules.iter_mut().find(|rule| rule.fits(op, subject)).map(|rule| {
                rule.times -= 1;
                rule.action.clone()
            });
            (action, inner.wire.clone())
        };
        match action {
            Some(Action::Fail(error)) => return Err(error()),
            Some(Action::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(Action::Lose) => return Ok(Reply::Lost),
            None => {}
        }
        match wire {
            Some(wire) => Ok(wire(op).await),
            None => Ok(Reply::Answered),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
