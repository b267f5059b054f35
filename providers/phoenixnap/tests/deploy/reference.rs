//! The reference of settings, made of their table.

use std::fmt::Write as _;

use phoenixnap::{SETTINGS, Upstream};
use provider_suite::shipped::hold;

const HEAD: &str = "\
# Settings of cloud-provider-phoenixnap

<!-- A test of providers/phoenixnap makes this page and fails when it is stale. -->

A setting is read from its environment variable, else from the JSON file that `--cloud-config` names, else it has its
default. An empty variable is not set. The file may be left out when the environment has everything; one that is named must
be there.

The file holds one object. The case of its keys does not matter. A comma before a closing bracket is passed over. Keys that
are not known have no effect, and the log says so. Everything that is wrong is told at once, and the program does not start.

| key | variable | kind | default | what it does | in the original |
|---|---|---|---|---|---|
";

const TAIL: &str = "
All other settings are flags: see [the flags of the controller manager](cloud-provider-flags.md). `--cloud-provider` may be
left out.

A file with all that most clusters need:

```json
{
  \"clientID\": \"your client ID\",
  \"clientSecret\": \"your client secret\",
  \"location\": \"ASH\",
  \"loadbalancer\": \"kube-vip://63fd0f2b1c9d4a5e6f708192\"
}
```

What differs from the original is told in [its deviations](phoenixnap-deviations.md), and how to put it to work in
[the guide](../guides/phoenixnap/README.md).
";

#[test]
fn the_page_is_what_the_table_says() {
    let mut page = String::from(HEAD);
    for setting in SETTINGS {
        let default = match setting.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let upstream = match setting.upstream {
            Upstream::Same => "the same",
            Upstream::Idle => "known, without effect",
            Upstream::FileOnly => "known, without the variable",
            Upstream::Unknown => "unknown",
        };
        // A bar would end the cell.
        let text = setting.text.replace('|', "\\|");
        let (key, variable, kind) = (setting.key, setting.variable, setting.kind);
        writeln!(
            page,
            "| `{key}` | `{variable}` | {kind} | {default} | {text} | {upstream} |"
        )
        .unwrap();
    }
    hold("docs/reference/phoenixnap-config.md", &(page + TAIL));
}
