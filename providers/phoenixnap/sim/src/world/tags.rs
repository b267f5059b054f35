//! Tags, which must exist before anything can bear them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{World, default_account, description, flag, optional, required};
use crate::failure::Failure;
use crate::settings::TagFilter;

/// A tag of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tag {
    pub(crate) name: String,
    #[serde(default = "default_account")]
    pub(crate) account: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) billing: bool,
}

/// A tag on something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assignment {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) value: Option<String>,
}

/// Whether a text can be the name or the value of a tag.
fn is_word(text: &str) -> bool {
    let length = text.chars().count();
    let fits = |c: char| c.is_ascii_alphanumeric() || ('À'..='ú').contains(&c) || matches!(c, '-' | '_');
    (1..=100).contains(&length) && text.chars().all(fits)
}

impl World {
    pub(crate) fn tag_named(&self, account: &str, name: &str) -> Option<(&String, &Tag)> {
        self.tags
            .iter()
            .find(|(_, tag)| tag.account == account && tag.name == name)
    }

    fn my_tag(&self, account: &str, id: &str) -> Result<&Tag, Failure> {
        self.tags
            .get(id)
            .filter(|tag| tag.account == account)
            .ok_or_else(|| self.missing())
    }

    pub(crate) fn tag_ids(&self, account: &str, name: Option<&str>) -> Vec<String> {
        let mine = self.tags.iter().filter(|(_, tag)| tag.account == account);
        mine.filter(|(_, tag)| name.is_none_or(|name| name == tag.name))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// A tag as it is told, if it is of this account.
    pub(crate) fn tag_json(&self, account: &str, id: &str) -> Result<Value, Failure> {
        let tag = self.my_tag(account, id)?;
        let assigned = self.bearers(account, &tag.name);
        let mut values: Vec<&String> = assigned.iter().filter_map(|(_, value)| value.as_ref()).collect();
        values.sort();
        values.dedup();
        let assignments: Vec<Value> = assigned
            .iter()
            .map(|(resource, value)| json!({"resourceName": resource, "value": value}))
            .collect();
        Ok(json!({
            "id": id, "name": tag.name, "values": values, "description": tag.description,
            "isBillingTag": tag.billing, "resourceAssignments": assignments, "createdBy": "USER",
        }))
    }

    /// What bears a tag, with which value.
    fn bearers(&self, account: &str, name: &str) -> Vec<(String, Option<String>)> {
        let servers = self.servers.iter().filter(|(_, server)| server.account == account);
        let servers = servers.map(|(id, server)| (format!("/bmc/servers/{id}"), &server.tags));
        let blocks = self.blocks.iter().filter(|(_, block)| block.account == account);
        let blocks = blocks.map(|(id, block)| (format!("/ips/ip-blocks/{id}"), &block.tags));
        let on = |(resource, tags): (String, &Vec<Assignment>)| {
            let tag = tags.iter().find(|tag| tag.name == name)?;
            Some((resource, tag.value.clone()))
        };
        servers.chain(blocks).filter_map(on).collect()
    }

    pub(crate) fn create_tag(&mut self, account: &str, fields: &Map<String, Value>) -> Result<String, Failure> {
        let tag = tag_of(account, fields)?;
        if self.tag_named(account, &tag.name).is_some() {
            return Err(Failure::conflict(format!("Tag with name {} already exists.", tag.name)));
        }
        let id = self.draw_id();
        self.tags.insert(id.clone(), tag);
        Ok(id)
    }

    pub(crate) fn change_tag(&mut self, account: &str, id: &str, fields: &Map<String, Value>) -> Result<(), Failure> {
        let before = self.my_tag(account, id)?.name.clone();
        let tag = tag_of(account, fields)?;
        if tag.name != before && self.tag_named(account, &tag.name).is_some() {
            return Err(Failure::conflict(format!("Tag with name {} already exists.", tag.name)));
        }
        for assignment in self.assignments(account).filter(|assignment| assignment.name == before) {
            assignment.name.clone_from(&tag.name);
        }
        self.tags.insert(id.to_owned(), tag);
        Ok(())
    }

    pub(crate) fn delete_tag(&mut self, account: &str, id: &str) -> Result<String, Failure> {
        let name = self.my_tag(account, id)?.name.clone();
        if !self.settings.delete_used_tags && !self.bearers(account, &name).is_empty() {
            return Err(Failure::conflict(format!("Tag {name} is assigned to resources.")));
        }
        for server in self.servers.values_mut().filter(|server| server.account == account) {
            server.tags.retain(|tag| tag.name != name);
        }
        for block in self.blocks.values_mut().filter(|block| block.account == account) {
            block.tags.retain(|tag| tag.name != name);
        }
        self.tags.remove(id);
        Ok(name)
    }

    fn assignments(&mut self, account: &str) -> impl Iterator<Item = &mut Assignment> {
        let servers = self
            .servers
            .values_mut()
            .filter(move |server| server.account == account);
        let blocks = self.blocks.values_mut().filter(move |block| block.account == account);
        servers
            .flat_map(|server| &mut server.tags)
            .chain(blocks.flat_map(|block| &mut block.tags))
    }

    /// The tags that a body assigns. A tag must exist, and may be assigned once.
    pub(crate) fn read_assignments(&self, account: &str, given: Option<&Value>) -> Result<Vec<Assignment>, Failure> {
        let mut read: Vec<Assignment> = Vec::new();
        let list = match given {
            None | Some(Value::Null) => return Ok(read),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(Failure::invalid("tags must be a list")),
        };
        for one in list {
            let Value::Object(fields) = one else {
                return Err(Failure::invalid("a tag assignment must be an object"));
            };
            if let Some(unknown) = fields.keys().find(|key| !matches!(key.as_str(), "name" | "value")) {
                return Err(Failure::invalid(format!("unknown field {unknown} in a tag assignment")));
            }
            let name = required(fields, "name")?;
            let value = optional(fields, "value")?;
            if !is_word(name) || value.is_some_and(|value| !is_word(value)) {
                return Err(Failure::invalid(format!(
                    "tag {name:?} has characters that no tag may have"
                )));
            }
            if self.tag_named(account, name).is_none() {
                return Err(Failure::invalid(format!("tag {name:?} does not exist")));
            }
            if read.iter().any(|other| other.name == name) {
                return Err(Failure::invalid(format!("tag {name:?} is assigned twice")));
            }
            read.push(Assignment {
                name: name.to_owned(),
                value: value.map(str::to_owned),
            });
        }
        Ok(read)
    }

    /// Assigned tags as they are told.
    pub(crate) fn assignments_json(&self, account: &str, tags: &[Assignment]) -> Value {
        let tell = |assignment: &Assignment| {
            let (id, tag) = self.tag_named(account, &assignment.name)?;
            let mut told = json!({"id": id, "name": assignment.name});
            if let Some(value) = &assignment.value {
                told["value"] = value.as_str().into();
            }
            told["isBillingTag"] = tag.billing.into();
            told["createdBy"] = "USER".into();
            Some(told)
        };
        tags.iter().filter_map(tell).collect()
    }

    /// Whether something with these tags is in a list filtered by `name.value`, or `name` alone.
    pub(crate) fn passes(&self, tags: &[Assignment], filter: &[&str]) -> bool {
        let bears = |wanted: &&str| {
            let (name, value) = match wanted.split_once('.') {
                Some((name, value)) => (name, Some(value)),
                None => (*wanted, None),
            };
            tags.iter()
                .any(|tag| tag.name == name && (value.is_none() || tag.value.as_deref() == value))
        };
        match self.settings.tag_filter {
            TagFilter::Ignored => true,
            _ if filter.is_empty() => true,
            TagFilter::All => filter.iter().all(bears),
            TagFilter::Any => filter.iter().any(bears),
        }
    }
}

fn tag_of(account: &str, fields: &Map<String, Value>) -> Result<Tag, Failure> {
    let name = required(fields, "name")?;
    if !is_word(name) {
        return Err(Failure::invalid(format!(
            "tag {name:?} has characters that no tag may have"
        )));
    }
    let billing = flag(fields, "isBillingTag")?.ok_or_else(|| Failure::invalid("isBillingTag must not be null"))?;
    Ok(Tag {
        name: name.to_owned(),
        account: account.to_owned(),
        description: description(fields)?,
        billing,
    })
}
