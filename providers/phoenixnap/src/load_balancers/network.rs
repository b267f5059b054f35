//! The public network that blocks are assigned to: whether it can take another one, and where.

use std::net::IpAddr;

use cloud_provider::CloudError;
use cloud_provider::data::Service;
use cloud_provider::helpers::Cidr;
use kit::Class;

use crate::client::{IpBlock, PublicNetwork};
use crate::config::Config;

/// How many IPv4 blocks a public network takes (`PublicNetworkCreate.ipBlocks` of the networks API).
pub(super) const MOST_BLOCKS: usize = 10;

/// How many IPv4 blocks a network has, and will have once the cluster's own that are not there yet have come.
pub(super) fn blocks_on(network: &PublicNetwork, ours: &[IpBlock]) -> usize {
    let v4 = |cidr: &str| {
        !cidr
            .parse()
            .is_ok_and(|cidr: Cidr| matches!(cidr.network, IpAddr::V6(_)))
    };
    let there = network.ip_blocks.iter().filter(|block| v4(&block.cidr));
    let elsewhere = |block: &IpBlock| {
        let id = block.assigned_resource_id.as_deref().unwrap_or_default();
        !id.is_empty() && id != network.id
    };
    let coming = ours.iter().filter(|block| {
        let listed = network.ip_blocks.iter().any(|one| one.id == block.id);
        !listed && v4(&block.cidr) && !elsewhere(block) && !super::tags::is_marked(block)
    });
    there.count() + coming.count()
}

/// Whether a network that `has` so many blocks takes another one. Asked before anything is bought.
pub(super) fn has_room(network: &PublicNetwork, has: usize) -> Result<(), CloudError> {
    check(network)?;
    if has >= MOST_BLOCKS {
        let text = format!(
            "public network {} has {has} IP blocks, and takes {MOST_BLOCKS}: delete a service with a load balancer, or \
             share blocks (shareIPBlocks)",
            network.id
        );
        return Err(CloudError::new(Class::Conflict, text));
    }
    Ok(())
}

/// Where a block for the Service is to be bought: where the network is.
pub(super) fn place(config: &Config, service: &Service, network: &PublicNetwork) -> Result<String, CloudError> {
    let annotation = service.annotations.get(&config.annotation_ip_location);
    let asked = config
        .location
        .as_ref()
        .or(annotation.filter(|text| !text.trim().is_empty()));
    let asked = asked.map(|text| text.trim().to_ascii_uppercase());
    match asked {
        None if network.location.is_empty() => {
            Err(CloudError::new(Class::Invalid, "no location specified, cannot proceed"))
        }
        None => Ok(network.location.clone()),
        Some(asked) if network.location.is_empty() || asked.eq_ignore_ascii_case(&network.location) => Ok(asked),
        Some(asked) => {
            let text = format!(
                "public network {} is in {}, where a block of {asked} cannot be used",
                network.id, network.location
            );
            Err(CloudError::new(Class::Invalid, text))
        }
    }
}

/// Whether a network is in a state in which it ever takes a block.
pub(super) fn check(network: &PublicNetwork) -> Result<(), CloudError> {
    if matches!(network.status.to_ascii_uppercase().as_str(), "DELETING" | "ERROR") {
        let text = format!("public network {} is {}", network.id, network.status);
        return Err(CloudError::new(Class::Conflict, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{BlockStatus, NetworkBlock};

    fn network(blocks: usize) -> PublicNetwork {
        PublicNetwork {
            id: "net".to_owned(),
            location: "ASH".to_owned(),
            status: "READY".to_owned(),
            ip_blocks: (0..blocks)
                .map(|n| NetworkBlock {
                    id: format!("b{n}"),
                    cidr: format!("203.0.113.{}/29", n * 8),
                })
                .collect(),
            ..PublicNetwork::default()
        }
    }

    fn config(location: Option<&str>) -> Config {
        let env = |name: &str| match name {
            "PNAP_CLIENT_ID" | "PNAP_CLIENT_SECRET" => Some("x".to_owned()),
            "PNAP_LOCATION" => location.map(str::to_owned),
            _ => None,
        };
        Config::read(None, env).unwrap()
    }

    fn annotated(location: &str) -> Service {
        let mut service = Service::default();
        let key = crate::config::ANNOTATION_IP_LOCATION.to_owned();
        service.annotations.insert(key, location.to_owned());
        service
    }

    #[test]
    fn the_place_is_the_configured_one_else_the_services_else_the_networks() {
        let plain = Service::default();
        for (config, service, expected) in [
            (config(Some("ASH")), &annotated("PHX"), Ok("ASH")),
            (config(None), &annotated("ash "), Ok("ASH")),
            (config(None), &plain, Ok("ASH")),
            (
                config(None),
                &annotated("PHX"),
                Err("public network net is in ASH, where a block of PHX cannot be used"),
            ),
        ] {
            let place = place(&config, service, &network(0)).map_err(|error| error.to_string());
            assert_eq!(place.as_deref().map_err(String::as_str), expected);
        }
        let nowhere = PublicNetwork {
            location: String::new(),
            ..network(0)
        };
        let error = place(&config(None), &plain, &nowhere).unwrap_err();
        assert_eq!(error.to_string(), "no location specified, cannot proceed");
    }

    #[test]
    fn a_full_network_is_told_before_anything_is_bought() {
        let room = |network: &PublicNetwork, ours: &[IpBlock]| {
            has_room(network, blocks_on(network, ours)).map_err(|error| error.to_string())
        };
        assert!(room(&network(9), &[]).is_ok());
        let full = room(&network(10), &[]).unwrap_err();
        assert!(
            full.starts_with("public network net has 10 IP blocks, and takes 10"),
            "{full}"
        );
        // Bought, and not there yet.
        let coming = IpBlock {
            id: "new".to_owned(),
            status: BlockStatus::Unassigned,
            ..IpBlock::default()
        };
        assert!(room(&network(9), std::slice::from_ref(&coming)).is_err());
        let elsewhere = IpBlock {
            assigned_resource_id: Some("other".to_owned()),
            ..coming
        };
        assert!(room(&network(9), &[elsewhere]).is_ok());
        let ending = PublicNetwork {
            status: "DELETING".to_owned(),
            ..network(0)
        };
        assert!(room(&ending, &[]).is_err());
    }
}
