//! Addresses and routes, as `ip -json` tells them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::host::{HostError, HostResult};
use crate::model::{Address, Route};

/// Arguments for the addresses; those of the link and of the host itself are nobody's to reach.
pub(super) const ADDRESSES: [&str; 5] = ["-json", "address", "show", "scope", "global"];
/// Arguments for the routes of the main table.
pub(super) const ROUTES: [&str; 4] = ["-json", "-4", "route", "show"];
/// The same for IPv6.
pub(super) const ROUTES_6: [&str; 4] = ["-json", "-6", "route", "show"];

fn list(text: &str, what: &str) -> HostResult<Vec<Value>> {
    // Where there is nothing to tell, older versions print nothing at all.
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(text).map_err(|error| HostError::failed(what, error))
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

pub(super) fn addresses(json: &str) -> HostResult<BTreeSet<Address>> {
    let mut addresses = BTreeSet::new();
    for interface in list(json, "read the addresses")? {
        let Some(name) = text(&interface, "ifname") else { continue };
        for address in interface.get("addr_info").and_then(Value::as_array).into_iter().flatten() {
            let prefix = address.get("prefixlen").and_then(Value::as_u64).unwrap_or_default();
            let Some(local) = text(address, "local") else { continue };
            let flag = |flag: &str| address.get(flag).and_then(Value::as_bool) == Some(true);
            addresses.insert(Address {
                interface: name.to_owned(),
                address: format!("{local}/{prefix}"),
                dynamic: flag("dynamic") || flag("temporary"),
            });
        }
    }
    Ok(addresses)
}

pub(super) fn routes(families: &[&str]) -> HostResult<BTreeSet<Route>> {
    let mut routes = BTreeSet::new();
    for json in families {
        for route in list(json, "read the routes")? {
            let (Some(destination), Some(interface)) = (text(&route, "dst"), text(&route, "dev")) else { continue };
            // Every interface has one of these, and nobody sets them.
            if destination.starts_with("fe80::") || destination.starts_with("ff00::") {
                continue;
            }
            routes.insert(Route {
                destination: destination.to_owned(),
                gateway: text(&route, "gateway").map(str::to_owned),
                interface: interface.to_owned(),
                protocol: text(&route, "protocol").unwrap_or_default().to_owned(),
            });
        }
    }
    Ok(routes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_routes_of_iproute2_6_1() {
        let json = r#"[{},{"ifindex":2,"ifname":"eth0","addr_info":[
            {"family":"inet","local":"192.0.2.10","prefixlen":24,"scope":"global","dynamic":true},
            {"family":"inet6","local":"2001:db8::10","prefixlen":64,"scope":"global"}]}]"#;
        let seen: Vec<String> = addresses(json)
            .unwrap()
            .into_iter()
            .map(|one| format!("{} {} {}", one.interface, one.address, one.dynamic))
            .collect();
        assert_eq!(seen, ["eth0 192.0.2.10/24 true", "eth0 2001:db8::10/64 false"]);

        let v4 = r#"[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","protocol":"dhcp","flags":[]},
            {"dst":"192.0.2.0/24","dev":"eth0","protocol":"kernel","scope":"link"}]"#;
        let v6 = r#"[{"dst":"fe80::/64","dev":"eth0","protocol":"kernel"}]"#;
        let seen = routes(&[v4, v6, ""]).unwrap();
        assert_eq!(seen.len(), 2);
        assert!(seen.iter().any(|route| route.destination == "default" && route.protocol == "dhcp"));
        assert!(addresses("no JSON").is_err());
    }
}
