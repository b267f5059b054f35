//! The page at `/`: the state of the manager for people, in plain HTML without scripts.

use std::fmt::Write as _;

use super::state::{Calls, Delivery, Standing, State};

/// How many rows a table has at most; `/debug/state` has them all.
const ROWS: usize = 200;
const STYLE: &str = "body{font:15px sans-serif;max-width:75em;margin:2em auto;padding:0 1em}\
    table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;padding:.2em .8em .2em 0}\
    tr+tr td{border-top:1px solid #ccc}pre{background:#eee;padding:1em;overflow:auto}\
    .bad{color:#a00;font-weight:bold}";

/// The page of this program; `good` and `checks` are what `/readyz?verbose` says.
pub(super) fn page(title: &str, good: bool, checks: &str, state: &State) -> String {
    let title = escape(title);
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style>\n<h1>{title}</h1>\n"
    );
    let verdict = if good && state.alarms.is_empty() {
        "<p>All is well.</p>"
    } else {
        "<p class=bad>Something is wrong.</p>"
    };
    let _ = writeln!(page, "{verdict}\n<p>{}</p>", escape(&leadership(state)));
    if !state.alarms.is_empty() {
        let rows = state
            .alarms
            .iter()
            .map(|(alarm, text)| [(*alarm).to_owned(), text.clone()]);
        table(&mut page, "Alarms", ["Alarm", "What is wrong"], rows);
    }
    nodes(&mut page, state);
    services(&mut page, state);
    let calls = state.calls.iter().map(call);
    let head = ["Operation", "Calls", "Failed", "Throttled", "Seconds on average"];
    table(&mut page, "Calls to the cloud", head, calls);
    let events = state.events.iter().map(|event| {
        let kind = if event.is_warning() { "Warning" } else { "" };
        [
            event.at.clone(),
            kind.to_owned(),
            event.object.clone(),
            event.reason.clone(),
            event.message.clone(),
            event.count.to_string(),
        ]
    });
    let head = ["Last told", "", "About", "Reason", "Message", "Times"];
    table(&mut page, "Recent events", head, events);
    let watches = state.watches.iter().map(|(kind, watched)| {
        [
            (*kind).to_owned(),
            watched.last_heard.clone().unwrap_or_else(|| "never".to_owned()),
            watched.failing.clone().unwrap_or_default(),
        ]
    });
    table(&mut page, "Watches", ["Of", "Last heard ago", "Failing"], watches);
    let _ = writeln!(
        page,
        "<h2>Checks</h2>\n<pre>{}</pre>\n<p><a href=/debug/state>all of this as JSON</a> · <a href=/metrics>metrics</a> · \
         <a href=/configz>settings</a></p>",
        escape(checks)
    );
    page
}

fn leadership(state: &State) -> String {
    let here = format!("Provider {}, cluster {}.", state.provider, state.cluster);
    let controllers = state.controllers.join(", ");
    match (&state.leader, state.leading) {
        (None, _) => format!("{here} There is no election. Controllers: {controllers}."),
        (Some(leader), true) => format!("{here} This process leads, as {leader}. Controllers: {controllers}."),
        (Some(leader), false) if leader.is_empty() => format!("{here} Nobody leads."),
        (Some(leader), false) => format!("{here} This process stands by: {leader} leads, and knows more."),
    }
}

fn nodes(page: &mut String, state: &State) {
    let Some(nodes) = &state.nodes else { return };
    let count = |standing| nodes.iter().filter(|node| node.state == standing).count();
    let title = format!(
        "Nodes: {}, {} not initialized, {} missing in the cloud, {} shut down",
        nodes.len(),
        count(Standing::Uninitialized),
        count(Standing::Missing),
        count(Standing::ShutDown)
    );
    let mut sorted: Vec<_> = nodes.iter().collect();
    sorted.sort_by_key(|node| node.state);
    let rows = sorted.into_iter().map(|node| {
        let standing = match node.state {
            Standing::Uninitialized => "not initialized",
            Standing::Missing => "missing in the cloud",
            Standing::ShutDown => "shut down",
            Standing::Deleting => "being deleted",
            Standing::Unmanaged => "without a provider ID",
            Standing::Foreign => "another cloud's",
            Standing::Initialized => "initialized",
        };
        let why = match (&node.reason, &node.message) {
            (Some(reason), Some(message)) => format!("{reason}: {message}"),
            _ if node.state == Standing::Uninitialized => "not looked up yet".to_owned(),
            _ => String::new(),
        };
        [
            node.name.clone(),
            standing.to_owned(),
            why,
            node.provider_id.clone(),
            node.addresses.join(", "),
        ]
    });
    table(page, &title, ["Node", "State", "Why", "Provider ID", "Addresses"], rows);
}

fn services(page: &mut String, state: &State) {
    let Some(services) = &state.services else { return };
    let waiting = services
        .iter()
        .filter(|service| service.state == Delivery::Waiting)
        .count();
    let title = format!(
        "Services with load balancers: {}, {waiting} without an address",
        services.len()
    );
    let mut sorted: Vec<_> = services.iter().collect();
    sorted.sort_by_key(|service| (service.problem.is_none(), service.state));
    let rows = sorted.into_iter().map(|service| {
        let standing = match service.state {
            Delivery::Waiting => "waits for an address",
            Delivery::Ending => "its load balancer is being removed",
            Delivery::Foreign => "another controller's",
            Delivery::Reached => "reached",
        };
        [
            format!("{}/{}", service.namespace, service.name),
            standing.to_owned(),
            service.addresses.join(", "),
            service.problem.clone().unwrap_or_default(),
        ]
    });
    table(page, &title, ["Service", "State", "Addresses", "Why"], rows);
}

fn call(calls: &Calls) -> [String; 5] {
    let failed = ["conflict", "unauthorized", "transient", "invalid", "permanent"];
    [
        calls.operation.clone(),
        calls.results.values().sum::<u64>().to_string(),
        calls.ended(&failed).to_string(),
        calls.ended(&["throttled"]).to_string(),
        format!("{:.3}", calls.average_seconds),
    ]
}

fn table<const N: usize>(page: &mut String, title: &str, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let _ = writeln!(page, "<h2>{}</h2>", escape(title));
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        page.push_str("<p>None.</p>\n");
        return;
    }
    let _ = writeln!(page, "<table><tr><th>{}</tr>", head.map(escape).join("<th>"));
    for row in rows.by_ref().take(ROWS) {
        let _ = writeln!(page, "<tr><td>{}</tr>", row.map(|cell| escape(&cell)).join("<td>"));
    }
    page.push_str("</table>\n");
    let more = rows.count();
    if more > 0 {
        let _ = writeln!(page, "<p>{more} more are in the JSON.</p>");
    }
}

/// Text as it may stand in HTML, attributes included.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::state::NodeState;
    use super::*;

    fn node(name: &str, state: Standing) -> NodeState {
        NodeState {
            name: name.to_owned(),
            state,
            reason: None,
            message: None,
            provider_id: String::new(),
            addresses: Vec::new(),
        }
    }

    #[test]
    fn whatever_names_and_messages_say_the_page_holds_no_markup_of_theirs() {
        let evil = "<script>\"&'</script>";
        let state = State {
            provider: evil.to_owned(),
            leader: Some(evil.to_owned()),
            alarms: BTreeMap::from([("Alarm", evil.to_owned())]),
            nodes: Some(vec![NodeState {
                reason: Some(evil.to_owned()),
                message: Some(evil.to_owned()),
                ..node(evil, Standing::Uninitialized)
            }]),
            ..State::default()
        };
        let page = page(evil, true, evil, &state);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;&quot;&amp;&#39;&lt;/script&gt;"), "{page}");
        assert!(page.contains("Something is wrong"), "an alarm is not well: {page}");
    }

    #[test]
    fn what_is_wrong_comes_first_and_a_large_cluster_makes_no_endless_page() {
        let mut nodes: Vec<_> = (0..5000)
            .map(|n| node(&format!("n{n}"), Standing::Initialized))
            .collect();
        nodes.push(node("new", Standing::Uninitialized));
        let state = State {
            leading: true,
            leader: Some("me".to_owned()),
            nodes: Some(nodes),
            ..State::default()
        };
        let page = page("ccm", true, "", &state);
        assert!(page.contains("Nodes: 5001, 1 not initialized"), "{page}");
        assert!(
            page.contains("<td>new<td>not initialized<td>not looked up yet"),
            "{page}"
        );
        assert_eq!(page.matches("<tr><td>").count(), ROWS);
        assert!(page.contains("4801 more are in the JSON"), "{page}");
    }

    #[test]
    fn who_leads_is_said_to_whoever_asks_another_replica() {
        let said = |leader: Option<&str>, leading| {
            leadership(&State {
                provider: "p".to_owned(),
                cluster: "c".to_owned(),
                controllers: vec!["x", "y"],
                leader: leader.map(str::to_owned),
                leading,
                ..State::default()
            })
        };
        let here = "Provider p, cluster c.";
        assert_eq!(
            said(None, true),
            format!("{here} There is no election. Controllers: x, y.")
        );
        assert_eq!(
            said(Some("me"), true),
            format!("{here} This process leads, as me. Controllers: x, y.")
        );
        assert_eq!(said(Some(""), false), format!("{here} Nobody leads."));
        assert!(said(Some("other"), false).contains("other leads"));
    }
}
