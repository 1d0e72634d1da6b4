//! Services that a run should not stop, whatever they listen on.

use crate::model::UnitName;

const SYSTEM: &str = "part of the system";

const STARTS_FOR_OTHERS: &str = "it starts what others have told it to";

/// Why, and the names without their suffix; `*` stands for any end. Names are those of Debian's and Ubuntu's packages. The
/// first that fits counts.
const LEFT_ALONE: [(&str, &str); 9] = [
    (
        "its stop would take every container or guest along: name the units that start these",
        "docker containerd podman* crio k3s* kubelet libvirt* virtinterfaced virtlo* virtlxcd virtn* virtproxyd virtqemud \
         virtsecretd virtstoraged lxc lxc-* lxc@* lxcfs lxd lxd-* snap.lxd* incus* systemd-nspawn@*",
    ),
    (STARTS_FOR_OTHERS, "user@* cron cronie anacron atd"),
    (
        SYSTEM,
        "systemd-* dbus* user-runtime-dir@* getty@* serial-getty@* console-getty container-getty@* autovt@* polkit NetworkManager* \
         networking networkd-dispatcher ifup@* wpa_supplicant* dhcpcd* ModemManager bluetooth avahi-daemon cups \
         cups-browsed udisks2 upower accounts-daemon acpid irqbalance thermald haveged rng-tools* rngd smartmontools \
         multipathd iscsid open-iscsi lvm2-* dm-event mdmonitor zfs-* nfs-* rpcbind rpc-statd* rpc-gssd rpc-svcgssd nscd \
         nslcd sssd* winbind gssproxy apparmor ufw nftables netfilter-persistent firewalld fail2ban auditd rsyslog \
         syslog-ng chrony* ntp ntpd ntpsec* openntpd unattended-upgrades packagekit snapd* fwupd* needrestart* gpm lldpd",
    ),
    (
        "the way into this host",
        "ssh ssh@* sshd* dropbear openvpn* strongswan* ipsec tailscaled zerotier-one cockpit* qemu-guest-agent \
         open-vm-tools vgauth walinuxagent google-guest-agent* amazon-ssm-agent* snap.amazon-ssm-agent*",
    ),
    ("this host may look up names through it", "named bind9 unbound dnsmasq pdns-recursor kresd@* resolvconf"),
    ("it moves services between hosts by itself", "corosync pacemaker* keepalived"),
    (
        "it keeps its queue over a reboot, and messages about a run may go through it",
        "exim4* postfix* sendmail opensmtpd nullmailer",
    ),
    (
        "it watches this host, a run too",
        "prometheus-* node_exporter zabbix-agent* telegraf munin-node nagios-nrpe-server snmpd collectd netdata \
         monit check-mk-agent* cmk-agent* icinga2 datadog-agent* filebeat metricbeat promtail grafana-agent \
         alloy fluent-bit td-agent vector",
    ),
    ("Patchday itself", "patchday*"),
];

/// Why the unit is left alone; none if it is one like any other.
pub(super) fn left_alone(unit: &UnitName) -> Option<&'static str> {
    let name = unit.as_str().strip_suffix(".service")?;
    let is = |pattern: &str| match pattern.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == pattern,
    };
    LEFT_ALONE.iter().find(|(_, names)| names.split_whitespace().any(is)).map(|(why, _)| *why)
}

/// Whether what runs in the unit need not be its own: nothing of that is stopped in order.
pub(super) fn starts_for_others(unit: &UnitName) -> bool {
    left_alone(unit) == Some(STARTS_FOR_OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_the_way_in_and_the_watchers_are_left_alone() {
        for (unit, begin) in [
            ("ssh.service", Some("the way in")),
            ("openvpn-server@office.service", Some("the way in")),
            ("systemd-resolved.service", Some(SYSTEM)),
            ("getty@tty1.service", Some(SYSTEM)),
            ("chrony.service", Some(SYSTEM)),
            ("docker.service", Some("its stop would take every container")),
            ("systemd-nspawn@web.service", Some("its stop would take every container")),
            ("virtnetworkd.service", Some("its stop would take every container")),
            ("rpc-statd-notify.service", Some(SYSTEM)),
            ("user@1000.service", Some(STARTS_FOR_OTHERS)),
            ("postfix@-.service", Some("it keeps its queue")),
            ("prometheus-node-exporter.service", Some("it watches")),
            ("patchday-run-20260110-033000.service", Some("Patchday itself")),
            ("prometheus.service", None),
            ("crontab-ui.service", None),
            ("sshop.service", None),
            ("rpc-gateway.service", None),
            ("virtual-shop.service", None),
            ("postgresql@15-main.service", None),
        ] {
            let why = left_alone(&unit.parse().unwrap());
            assert_eq!(why.is_some(), begin.is_some(), "{unit}: {why:?}");
            assert!(why.unwrap_or_default().starts_with(begin.unwrap_or_default()), "{unit}: {why:?}");
        }
    }
}
