//! Changing the text of a kubeconfig only where its content changed, so that comments, order and layout of everything else
//! stay.
//!
//! It understands the block style that `kubectl` and people write. What it makes is read again and compared with what was
//! wanted; where it cannot do it, the caller writes the content anew.

use std::ops::Range;

use serde_json::Value;

use super::{Kubeconfig, List};

/// `text`, which says `before`, changed to say `after`. [`None`] when its layout is not understood.
pub(super) fn patch(text: &str, before: &Kubeconfig, after: &Kubeconfig) -> Option<String> {
    if text.trim().is_empty() {
        return None;
    }
    let mut lines: Vec<String> = text.split_inclusive('\n').map(ToOwned::to_owned).collect();
    if let Some(last) = lines.last_mut()
        && !last.ends_with('\n')
    {
        last.push('\n');
    }
    for list in List::ALL {
        patch_list(&mut lines, list, before, after)?;
    }
    for (key, value) in &after.root {
        if before.root.get(key) != Some(value) && !List::ALL.iter().any(|list| list.key() == key) {
            put_scalar(&mut lines, key, value)?;
        }
    }
    let patched = lines.concat();
    (Kubeconfig::parse(&patched).ok()? == *after).then_some(patched)
}

/// Whether a line begins a key of the top level, and which.
fn top_key(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    (plain && rest.starts_with([' ', '\n', '\r'])).then_some(key)
}

/// The lines of a key of the top level: its own and those below it, without comments and blank lines at the end.
fn section(lines: &[String], key: &str) -> Option<Range<usize>> {
    let start = lines.iter().position(|line| top_key(line) == Some(key))?;
    let ends = |line: &String| top_key(line).is_some() || line.starts_with("---") || line.starts_with("...");
    let end = lines[start + 1..]
        .iter()
        .position(ends)
        .map_or(lines.len(), |next| start + 1 + next);
    Some(start..trimmed(lines, start..end))
}

/// Where a range ends when comments and blank lines at its end belong to what follows.
fn trimmed(lines: &[String], range: Range<usize>) -> usize {
    let idle = |line: &String| line.trim().is_empty() || line.trim_start().starts_with('#');
    let mut end = range.end;
    while end > range.start + 1 && idle(&lines[end - 1]) {
        end -= 1;
    }
    end
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The value on a key's own line, without a comment.
fn inline(line: &str) -> &str {
    let value = line.split_once(':').map_or("", |(_, value)| value).trim();
    if value.starts_with('#') {
        return "";
    }
    value.split(" #").next().unwrap_or_default().trim()
}

/// The lines of each item of a list.
fn items(lines: &[String], section: Range<usize>) -> Vec<Range<usize>> {
    let is_item = |line: &str| line.trim_start_matches(' ').starts_with("- ") || line.trim() == "-";
    let body = section.start + 1..section.end;
    let Some(first) = body.clone().find(|n| is_item(&lines[*n])) else {
        return Vec::new();
    };
    let depth = indent(&lines[first]);
    let starts: Vec<usize> = body
        .filter(|n| is_item(&lines[*n]) && indent(&lines[*n]) == depth)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([section.end]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| *start..trimmed(lines, *start..end))
        .collect()
}

fn patch_list(lines: &mut Vec<String>, list: List, before: &Kubeconfig, after: &Kubeconfig) -> Option<()> {
    let (old, new): (Vec<&Value>, Vec<&Value>) = (before.entries(list).collect(), after.entries(list).collect());
    if old == new {
        return Some(());
    }
    let key = list.key();
    let Some(range) = section(lines, key) else {
        lines.push(format!("{key}:\n"));
        lines.extend(new.iter().map(|entry| item(entry, 0)));
        return Some(());
    };
    let ranges = items(lines, range.clone());
    if ranges.len() != old.len()
        || (ranges.is_empty() && !["", "[]", "null", "~"].contains(&inline(&lines[range.start])))
    {
        return None;
    }
    let depth = ranges.first().map_or(0, |first| indent(&lines[first.start]));
    // New entries come last, so that the lines before them keep their numbers.
    let added = new
        .iter()
        .filter(|entry| !old.iter().any(|had| had["name"] == entry["name"]));
    let added: Vec<String> = added.map(|entry| item(entry, depth)).collect();
    let mut kept = added.len();
    if !added.is_empty() {
        let at = ranges.last().map_or(range.start + 1, |last| last.end);
        lines.splice(at..at, added);
    }
    for (had, lines_of_it) in old.iter().zip(&ranges).rev() {
        match new.iter().find(|entry| entry["name"] == had["name"]) {
            Some(same) if same == had => kept += 1,
            Some(changed) => {
                kept += 1;
                lines.splice(lines_of_it.clone(), [item(changed, depth)]);
            }
            None => {
                lines.drain(lines_of_it.clone());
            }
        }
    }
    if kept == 0 {
        lines[range.start] = format!("{key}: []\n");
    } else if ranges.is_empty() {
        lines[range.start] = format!("{key}:\n");
    }
    Some(())
}

/// An entry as an item of a list.
fn item(entry: &Value, depth: usize) -> String {
    let text = yaml(&[entry]);
    let prefix = " ".repeat(depth);
    text.split_inclusive('\n')
        .flat_map(|line| [prefix.as_str(), line])
        .collect()
}

fn put_scalar(lines: &mut Vec<String>, key: &str, value: &Value) -> Option<()> {
    if !value.is_string() {
        return None;
    }
    let line = format!("{key}: {}\n", yaml(value).trim_end());
    match section(lines, key) {
        Some(range) if range.len() == 1 => lines[range.start] = line,
        Some(_) => return None,
        None => lines.push(line),
    }
    Some(())
}

fn yaml(value: &impl serde::Serialize) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, options).expect("JSON values go into YAML")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubeconfig::{Cluster, User};

    const TEXT: &str = "# mine\napiVersion: v1\nkind: Config\n\nclusters:\n  # the old one\n  - name: a  # careful\n    cluster: {server: 'https://a'}\n\n  # another\n  - name: b\n    cluster:\n      server: https://b\n# users follow\nusers:\n- {name: a, user: {token: t}}\ncontexts: []\ncurrent-context: a # for now\n# the end\n";

    fn change(text: &str, change: impl FnOnce(&mut Kubeconfig)) -> Option<String> {
        let before = Kubeconfig::parse(text).unwrap();
        let mut after = before.clone();
        change(&mut after);
        patch(text, &before, &after)
    }

    fn add(config: &mut Kubeconfig) {
        let cluster = Cluster {
            server: "https://x".into(),
            ..Cluster::default()
        };
        config.set_cluster("x", &cluster);
        config.set_user("x", &User::Token("secret: yes".into()));
        config.set_context("x", "x", "x");
    }

    #[test]
    fn adding_and_removing_gives_the_same_text_again() {
        let added = change(TEXT, add).unwrap();
        for line in TEXT.lines().filter(|line| *line != "contexts: []") {
            assert!(added.lines().any(|have| have == line), "{line:?} is gone:\n{added}");
        }
        assert!(
            added.contains("  - name: x\n    cluster:\n      server: https://x\n"),
            "{added}"
        );
        assert_eq!(change(&added, |config| config.remove("x")).unwrap(), TEXT);
    }

    #[test]
    fn a_changed_entry_is_replaced_where_it_stands() {
        let changed = change(TEXT, |config| {
            let cluster = Cluster {
                server: "https://new".into(),
                ..Cluster::default()
            };
            config.set_cluster("a", &cluster);
        });
        let changed = changed.unwrap();
        assert!(
            changed.contains("  # the old one\n  - name: a\n    cluster:\n      server: https://new\n\n  # another\n"),
            "{changed}"
        );
    }

    #[test]
    fn the_current_context_is_one_line() {
        let changed = change(TEXT, |config| config.set_current_context(Some("true"))).unwrap();
        assert!(changed.ends_with("current-context: \"true\"\n# the end\n"), "{changed}");
        let added = change("kind: Config", |config| config.set_current_context(Some("x"))).unwrap();
        assert_eq!(added, "kind: Config\ncurrent-context: x\n");
    }

    #[test]
    fn what_is_not_understood_is_left_to_the_caller() {
        for text in [
            "",
            "{clusters: []}",
            "clusters: [{name: a, cluster: {server: 'https://a'}}]\n",
            "\"clusters\":\n- name: a\n  cluster: {server: 'https://a'}\n",
        ] {
            assert_eq!(change(text, add), None, "{text:?}");
        }
    }
}
