//! Addresses and routes.

use super::{Difference, both};
use crate::model::{Address, Finding, FindingKey, Inventory, Route, Severity};

/// Interfaces of containers and virtual machines: they come and go with those.
const PASSING_INTERFACES: [&str; 10] =
    ["veth", "docker", "br-", "cni", "cali", "flannel", "vnet", "virbr", "lxc", "tap"];

fn is_passing(interface: &str) -> bool {
    PASSING_INTERFACES.iter().any(|start| interface.starts_with(start))
}

fn family(address: &str) -> bool {
    address.contains(':')
}

pub(super) fn compare(before: &Inventory, now: &Inventory, differences: &mut Vec<Difference>) {
    if let Some((before, now)) =
        both("addresses", FindingKey::AddressMissing, &before.addresses, &now.addresses, differences)
    {
        for address in before.difference(now) {
            let same =
                now.iter().find(|other| other.address == address.address && other.interface == address.interface);
            if same.is_none() {
                differences.push(judge_address(address, now.iter()));
            }
        }
    }
    if let Some((before, now)) = both("routes", FindingKey::RouteMissing, &before.routes, &now.routes, differences) {
        // The kernel's own follow from the addresses.
        for route in before.difference(now).filter(|route| route.protocol != "kernel") {
            differences.push(judge_route(route, now.iter()));
        }
    }
}

fn judge_address<'a>(lost: &Address, mut now: impl Iterator<Item = &'a Address> + Clone) -> Difference {
    let Address { interface, address, dynamic } = lost;
    let title = format!("{address} is gone from {interface}");
    if is_passing(interface) {
        return Difference::expected(title, "interfaces of containers come and go with them");
    }
    let is_new_lease =
        |other: &Address| other.dynamic && other.interface == *interface && family(&other.address) == family(address);
    if *dynamic && now.clone().any(is_new_lease) {
        return Difference::expected(title, "it was leased, and another one is leased now");
    }
    if let Some(other) = now.find(|other| other.address == *address) {
        let title = format!("{address} is at {} now; it was at {interface}", other.interface);
        let finding = Finding::new(FindingKey::InterfaceRenamed, Severity::Info, title).about(address);
        return finding.remedy("see whether rules or services name the interface", "ip -br address").into();
    }
    let finding = Finding::new(FindingKey::AddressMissing, Severity::Warning, title).about(address);
    finding.remedy("see what the network's configuration makes of the interface", "ip -br address").into()
}

fn judge_route<'a>(lost: &Route, mut now: impl Iterator<Item = &'a Route>) -> Difference {
    let Route { destination, gateway, interface, protocol } = lost;
    let way = gateway.as_ref().map(|gateway| format!(" via {gateway}")).unwrap_or_default();
    let title = format!("the route to {destination}{way} is gone from {interface}");
    if is_passing(interface) {
        return Difference::expected(title, "interfaces of containers come and go with them");
    }
    let told = ["dhcp", "ra", "bgp", "ospf", "bird", "zebra"].contains(&protocol.as_str());
    if told && now.any(|other| other.destination == *destination) {
        return Difference::expected(title, "a server or a router gave it, and gives another one now");
    }
    let finding = Finding::new(FindingKey::RouteMissing, Severity::Warning, title).about(destination);
    finding.remedy("see what the network's configuration makes of the interface", "ip route").into()
}
