//! BGP: what a project has agreed with the service, and the sessions of its devices.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Device, Row, World, later};
use crate::failure::Failure;

/// The autonomous system of the service's routers.
pub(crate) const PEER_ASN: u32 = 65530;

/// How many prefixes a session may learn; with more it goes down.
pub(crate) const MAX_PREFIX: u32 = 10;

/// A project's BGP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BgpConfig {
    pub(crate) id: String,
    pub(crate) asn: u32,
    pub(crate) deployment_type: Deployment,
    pub(crate) status: BgpStatus,
    #[serde(default)]
    pub(crate) md5: Option<String>,
    #[serde(default)]
    pub(crate) use_case: Option<String>,
    #[serde(default)]
    pub(crate) requested_at: Option<Timestamp>,
}

/// Who sees what is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deployment {
    Local,
    Global,
}

/// Whether a project's BGP can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BgpStatus {
    Requested,
    Enabled,
    Disabled,
}

/// A device's session, for one address family.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) device: String,
    /// 4 or 6.
    pub(crate) family: u8,
    pub(crate) default_route: bool,
    pub(crate) created_at: Option<Timestamp>,
    pub(crate) updated_at: Option<Timestamp>,
}

impl Row for Session {
    fn id(&self) -> &str {
        &self.id
    }
}

impl World {
    /// Asks for BGP. Local is enabled at once; global waits for somebody's approval.
    pub(crate) fn enable_bgp(&mut self, project: &str, mut config: BgpConfig) -> Result<(), Failure> {
        if let Some(md5) = config.md5.as_deref()
            && (!md5.is_empty() || self.settings.strict_md5)
            && !good_password(md5)
        {
            return Err(Failure::invalid(
                "MD5 must be 10 to 20 letters and digits with at least one of lower case, upper case and digits",
            ));
        }
        config.md5 = config.md5.filter(|md5| !md5.is_empty());
        config.id = self.draw_id();
        config.requested_at = Some(self.now);
        config.status = match config.deployment_type {
            Deployment::Local => BgpStatus::Enabled,
            Deployment::Global => BgpStatus::Requested,
        };
        let project = self.projects.get_mut(project).ok_or_else(Failure::not_found)?;
        if project
            .bgp
            .as_ref()
            .is_some_and(|bgp| bgp.status != BgpStatus::Disabled)
        {
            return Err(Failure::invalid("BGP is already enabled for the project"));
        }
        project.bgp = Some(config);
        Ok(())
    }

    /// What somebody in the back office makes of a project's BGP.
    pub(crate) fn set_bgp(&mut self, project: &str, status: BgpStatus) -> Result<(), Failure> {
        let project = self.projects.get_mut(project).ok_or_else(Failure::not_found)?;
        let bgp = project
            .bgp
            .as_mut()
            .ok_or_else(|| Failure::invalid("BGP was never requested for the project"))?;
        bgp.status = status;
        Ok(())
    }

    /// Gives a device a session.
    pub(crate) fn create_session(&mut self, device: &str, family: u8, default_route: bool) -> Result<String, Failure> {
        let machine = self.devices.get(device).ok_or_else(Failure::not_found)?;
        let bgp = self.project(&machine.project).and_then(|project| project.bgp.as_ref());
        if bgp.is_none_or(|bgp| bgp.status != BgpStatus::Enabled) {
            return Err(Failure::invalid("BGP is not enabled for the project of the device"));
        }
        if !machine.nics.iter().any(|nic| nic.family == family) {
            return Err(Failure::invalid(format!("Device has no IPv{family} address")));
        }
        if self
            .sessions
            .iter()
            .any(|it| it.device == device && it.family == family)
        {
            return Err(Failure::invalid(format!(
                "Device already has session for address family ipv{family}"
            )));
        }
        let id = self.draw_id();
        self.sessions.insert(Session {
            id: id.clone(),
            device: device.to_owned(),
            family,
            default_route,
            created_at: Some(self.now),
            updated_at: Some(self.now),
        });
        Ok(id)
    }

    /// How a session is: one word for each switch the device is connected to.
    pub(crate) fn session_status(&self, session: &Session) -> String {
        let word = self.session_word(session);
        let plan = self
            .devices
            .get(&session.device)
            .and_then(|device| self.plan(&device.plan));
        if plan.is_none_or(|plan| plan.multihop) {
            format!("{word},{word}")
        } else {
            word.to_owned()
        }
    }

    fn session_word(&self, session: &Session) -> &'static str {
        let up_at = session.created_at.map(|at| later(at, self.settings.bgp_up));
        let device = self.devices.get(&session.device);
        if up_at.is_some_and(|at| at > self.now) {
            "unknown"
        } else if device.is_none_or(|device| {
            // A machine that is off speaks with nobody, and one that says too much is not listened to.
            device.state != super::DeviceState::Active || learned(device, session.family).count() > MAX_PREFIX as usize
        }) {
            "down"
        } else {
            "up"
        }
    }
}

/// What the routers hear from a device.
pub(crate) fn learned(device: &Device, family: u8) -> impl Iterator<Item = &String> {
    device
        .announced
        .iter()
        .filter(move |prefix| prefix.contains(':') == (family == 6))
}

fn good_password(text: &str) -> bool {
    (10..=20).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
        && text.bytes().any(|b| b.is_ascii_lowercase())
        && text.bytes().any(|b| b.is_ascii_uppercase())
        && text.bytes().any(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_each_kind_of_character_and_a_length() {
        for (text, good) in [
            ("Abcdefghi1", true),
            ("Abcdefgh1", false),
            ("abcdefghi1", false),
            ("ABCDEFGHI1", false),
            ("Abcdefghij", false),
            ("Abcdefghi1!", false),
            ("Abcdefghi1Abcdefghi12", false),
        ] {
            assert_eq!(good_password(text), good, "{text}");
        }
    }
}
