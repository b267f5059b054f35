//! `Debug` of the messages that can carry secrets.

use std::fmt;

use super::{ClusterInfo, DriverOptions};

/// Shows that there is something, not what.
struct Hidden<'a>(&'a str);

impl fmt::Debug for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "<redacted>" })
    }
}

impl fmt::Debug for ClusterInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterInfo")
            .field("version", &self.version)
            .field("service_account_token", &Hidden(&self.service_account_token))
            .field("endpoint", &self.endpoint)
            .field("username", &self.username)
            .field("password", &Hidden(&self.password))
            .field("root_ca_certificate", &Hidden(&self.root_ca_certificate))
            .field("client_certificate", &Hidden(&self.client_certificate))
            .field("client_key", &Hidden(&self.client_key))
            .field("node_count", &self.node_count)
            // Drivers keep credentials in their state.
            .field("metadata", &self.metadata.keys())
            .field("status", &self.status)
            .field("create_error", &self.create_error)
            .finish()
    }
}

impl fmt::Debug for DriverOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Which strings are secret only the driver's option table knows: show none.
        f.debug_struct("DriverOptions")
            .field("bool_options", &self.bool_options)
            .field("string_options", &self.string_options.keys())
            .field("int_options", &self.int_options)
            .field("string_slice_options", &self.string_slice_options.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CreateRequest, StringSlice};
    use super::*;

    #[test]
    fn no_secret_shows_in_debug_of_any_request() {
        let secret = "hunter2".to_owned();
        let options = DriverOptions {
            string_options: [("token".to_owned(), secret.clone())].into(),
            string_slice_options: [(
                "list".to_owned(),
                StringSlice {
                    value: vec![secret.clone()],
                },
            )]
            .into(),
            ..DriverOptions::default()
        };
        let info = ClusterInfo {
            service_account_token: secret.clone(),
            password: secret.clone(),
            root_ca_certificate: secret.clone(),
            client_certificate: secret.clone(),
            client_key: secret.clone(),
            metadata: [("state".to_owned(), secret.clone())].into(),
            version: "1.31".to_owned(),
            ..ClusterInfo::default()
        };
        let shown = format!(
            "{:?}",
            CreateRequest {
                driver_options: Some(options),
                cluster_info: Some(info)
            }
        );
        assert!(!shown.contains(&secret), "{shown}");
        assert!(shown.contains("1.31") && shown.contains("token"), "{shown}");
    }
}
