//! Waiting, with an end and a reason.

use std::time::Duration;

use jiff::Timestamp;
use kit::{Class, go_duration};
use kontainer_engine::DriverError;

use super::bid::Bid;
use super::observe::LivePool;
use super::plan::Kind;
use super::prices::Prices;
use super::session::Session;
use super::state::State;
use super::versions;
use crate::client::{CloudSpace, ServerClass};

/// Whether a cloudspace is on its way out.
pub(super) fn is_going(cloudspace: &CloudSpace) -> bool {
    cloudspace.metadata.deletion_timestamp.is_some() || cloudspace.status.phase == "Deleting"
}

/// Looks that failed in a row.
struct Failures(u32);

impl Failures {
    /// Passes over a failed look, unless it is one too many or one that will not pass.
    fn bear(&mut self, error: DriverError, session: &Session) -> Result<(), DriverError> {
        self.0 += 1;
        let hopeless = matches!(error.class(), Class::Unauthorized | Class::Invalid);
        if hopeless || self.0 > session.settings.limits.poll_failures {
            return Err(error);
        }
        session.call.warn(format!("{}; looking again", error.text()));
        Ok(())
    }
}

/// When a cloudspace says that it failed, and whether that counts yet. `Error` also shows up in passing while a cloudspace
/// is made, so it is believed only after a while, and only if it is said several times in a row.
#[derive(Default)]
struct Complaints {
    since: Option<Timestamp>,
    late: u32,
}

impl Complaints {
    fn count(&mut self, cloudspace: &CloudSpace, session: &Session) -> Result<(), DriverError> {
        let Some(what) = complaint(cloudspace, session) else {
            *self = Self::default();
            return Ok(());
        };
        let limits = &session.settings.limits;
        let since = *self.since.get_or_insert_with(|| session.now());
        if session.settings.clock.since(since) < limits.error_grace {
            return Ok(());
        }
        self.late += 1;
        if self.late < limits.error_looks {
            return Ok(());
        }
        Err(DriverError::permanent(what))
    }
}

/// What a cloudspace complains of, if it does.
fn complaint(cloudspace: &CloudSpace, session: &Session) -> Option<String> {
    let failed = |word: &str| word.eq_ignore_ascii_case("error") || word.eq_ignore_ascii_case("failed");
    let (name, status) = (&cloudspace.metadata.name, &cloudspace.status);
    let reason = if status.reason.is_empty() {
        "it gives no reason".to_owned()
    } else {
        session.client.secrets().tidy(&status.reason)
    };
    if failed(&status.phase) {
        return Some(format!("cloudspace {name} entered error state: {reason}"));
    }
    // Once the wanted version runs, the word is left over from an earlier attempt.
    let upgrade_failed = failed(&status.upgrade_phase) && !runs_what_is_wanted(cloudspace);
    upgrade_failed.then(|| {
        format!(
            "the upgrade of cloudspace {name} from {} to {} failed: {reason}",
            status.current_kubernetes_version, cloudspace.spec.kubernetes_version
        )
    })
}

/// Waits until the control plane answers and runs the version that was asked for.
pub(super) async fn control_plane(session: &Session, state: &State) -> Result<CloudSpace, DriverError> {
    let limit = limit(
        &state.extra.control_plane_timeout,
        session.settings.limits.control_plane,
    );
    let name = &state.cloudspace;
    let begun = session.now();
    let (mut waits, mut failures, mut complaints) = (session.waits(), Failures(0), Complaints::default());
    let mut told = String::new();
    loop {
        let is = match session.cloudspace(name).await {
            Ok(Some(cloudspace)) => {
                failures.0 = 0;
                if is_going(&cloudspace) {
                    return Err(DriverError::permanent(format!("cloudspace {name} is being deleted")));
                }
                complaints.count(&cloudspace, session)?;
                if is_up(&cloudspace) {
                    return Ok(cloudspace);
                }
                describe(&cloudspace)
            }
            // Reads may lag behind what was just made.
            Ok(None) if session.settings.clock.since(begun) < session.settings.limits.visibility => {
                "not visible yet".to_owned()
            }
            Ok(None) => {
                return Err(DriverError::new(
                    Class::NotFound,
                    format!("cloudspace {name} does not exist"),
                ));
            }
            Err(error) => {
                failures.bear(error, session)?;
                told.clone()
            }
        };
        let is = session.client.secrets().tidy(&is);
        if is != told {
            session.call.info(format!("cloudspace {name}: {is}"));
            told = is;
        }
        if session.settings.clock.since(begun) >= limit {
            return Err(DriverError::transient(format!(
                "timed out after {} waiting for the control plane of cloudspace {name} ({told})",
                go_duration::format(limit)
            )));
        }
        session.pause(&mut waits).await?;
    }
}

fn is_up(cloudspace: &CloudSpace) -> bool {
    !cloudspace.status.api_server_endpoint.is_empty() && runs_what_is_wanted(cloudspace)
}

fn runs_what_is_wanted(cloudspace: &CloudSpace) -> bool {
    let wanted = &cloudspace.spec.kubernetes_version;
    let runs = &cloudspace.status.current_kubernetes_version;
    runs.is_empty() || wanted.is_empty() || versions::same(runs, wanted)
}

fn describe(cloudspace: &CloudSpace) -> String {
    let status = &cloudspace.status;
    let phase = if status.phase.is_empty() {
        "no phase yet"
    } else {
        &status.phase
    };
    let mut text = phase.to_owned();
    if !status.upgrade_phase.is_empty() {
        text = format!("{text}, upgrade {}", status.upgrade_phase);
    }
    if !status.reason.is_empty() {
        text = format!("{text}: {}", status.reason);
    }
    text
}

/// Waits until the cloudspace is gone. `false` when it is still there at the end of the limit.
pub(super) async fn gone(session: &Session, name: &str, limit: Duration) -> Result<bool, DriverError> {
    let begun = session.now();
    let (mut waits, mut failures) = (session.waits(), Failures(0));
    loop {
        match session.cloudspace(name).await {
            Ok(None) => return Ok(true),
            Ok(Some(_)) => failures.0 = 0,
            Err(error) => failures.bear(error, session)?,
        }
        if session.settings.clock.since(begun) >= limit {
            return Ok(false);
        }
        session.pause(&mut waits).await?;
    }
}

/// Waits until a pool that takes over from another has its machines; only then may the other one go.
pub(super) async fn replacement(
    session: &Session,
    state: &State,
    kind: Kind,
    name: &str,
    count: i64,
) -> Result<(), DriverError> {
    let limit = session.settings.limits.replacement;
    let begun = session.now();
    let (mut waits, mut failures) = (session.waits(), Failures(0));
    let mut got = 0;
    loop {
        match session.pools(state).await {
            Ok(pools) => {
                failures.0 = 0;
                got = pools.iter().find(|pool| pool.name == name).map_or(0, |pool| pool.got);
                if got >= count {
                    return Ok(());
                }
            }
            Err(error) => failures.bear(error, session)?,
        }
        if session.settings.clock.since(begun) >= limit {
            return Err(DriverError::transient(format!(
                "{} pool {name} has {got} of {count} machines after {}; the pool it replaces is kept until it has them",
                kind.as_str(),
                go_duration::format(limit)
            )));
        }
        session.pause(&mut waits).await?;
    }
}

/// Which pools have fewer machines than wanted, what the provider says of them, and what bid would win: for people.
pub(super) async fn explain_bids(session: &Session, pools: &[LivePool]) -> String {
    let classes = session.client.server_classes().await.unwrap_or_default();
    let waiting = pools.iter().filter(|pool| pool.got < pool.count);
    let lines: Vec<String> = waiting
        .map(|pool| {
            let says = session.client.secrets().tidy(&pool.says);
            explain(pool, &says, &prices(&classes, pool))
        })
        .collect();
    lines.join("; ")
}

fn explain(pool: &LivePool, says: &str, prices: &Prices) -> String {
    let (name, class, got, count) = (&pool.name, &pool.class, pool.got, pool.count);
    let says = if says.is_empty() {
        String::new()
    } else {
        format!(" (the provider says {says:?})")
    };
    if pool.kind == Kind::OnDemand {
        return format!("on-demand pool {name} ({class}) has {got} of {count} machines{says}");
    }
    let price = |bid: Option<Bid>| bid.map_or_else(|| "unknown".to_owned(), |bid| bid.to_string());
    let advice = match prices.winning() {
        Some(enough) if Bid::parse(&pool.bid).is_none_or(|bid| bid < enough) => format!("bid {enough} or more"),
        _ => "the class may be sold out, try another class or region".to_owned(),
    };
    format!(
        "spot pool {name} ({class}) has won {got} of {count} machines at a bid of {}{says}; the market is at {}, the minimum \
         bid is {}; {advice}",
        pool.bid,
        price(prices.market),
        price(prices.minimum)
    )
}

fn prices(classes: &[ServerClass], pool: &LivePool) -> Prices {
    let class = classes.iter().find(|class| class.metadata.name == pool.class);
    class.map(Prices::of).unwrap_or_default()
}

/// Whether every spot pool that waits for machines bids below the market, so that waiting will not help.
pub(super) async fn bids_are_lost(session: &Session, pools: &[LivePool]) -> bool {
    let Ok(classes) = session.client.server_classes().await else {
        return false;
    };
    let below = |pool: &LivePool| {
        let market = prices(&classes, pool).market;
        matches!((Bid::parse(&pool.bid), market), (Some(bid), Some(market)) if bid < market)
    };
    let mut waiting = pools.iter().filter(|pool| pool.got < pool.count).peekable();
    waiting.peek().is_some() && waiting.all(|pool| pool.kind == Kind::Spot && below(pool))
}

/// A limit of the cluster, else the driver's.
pub(super) fn limit(text: &str, default: Duration) -> Duration {
    if text.is_empty() {
        default
    } else {
        go_duration::parse(text).unwrap_or(default)
    }
}
