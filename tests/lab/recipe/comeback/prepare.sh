# Makes a small but varied server of a fresh machine, with one upgrade waiting in a repository of its own.
set -eu
install -d /etc/lab /srv/data /var/lab-repo /etc/modules-load.d

unit() { cat >"/etc/systemd/system/$1"; }
printf 'BODY=fine\nPORT=8090\n' >/etc/lab/web
printf 'BODY=echo\nPORT=7007\n' >/etc/lab/echo
unit web.service <<END
[Service]
ExecStart=/usr/bin/perl /usr/local/lib/web.pl /etc/lab/web
[Install]
WantedBy=multi-user.target
END
unit echo.service <<END
[Service]
ExecStart=/usr/bin/perl /usr/local/lib/web.pl /etc/lab/echo
[Install]
WantedBy=multi-user.target
END
unit srv-data.mount <<END
[Mount]
What=data
Where=/srv/data
Type=tmpfs
Options=size=4M
[Install]
WantedBy=multi-user.target
END
unit reader.service <<END
[Unit]
RequiresMountsFor=/srv/data
Requires=prepared.service
After=prepared.service
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
END
unit prepared.service <<END
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /etc/lab/prepared
END
echo 'exit 0' >/etc/lab/prepared
unit worker.service <<END
[Service]
RuntimeDirectory=worker
ExecStart=/bin/sh /etc/lab/worker
[Install]
WantedBy=multi-user.target
END
echo 'touch /run/worker/ready; exec sleep infinity' >/etc/lab/worker
printf '#!/bin/sh\ntest -e "$1" || { echo "$1 is not there" >&2; exit 1; }\n' >/usr/local/sbin/worker-ready
chmod 0755 /usr/local/sbin/worker-ready
unit plain.service <<END
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
END
unit backup.service <<END
[Service]
Type=oneshot
ExecStart=/bin/true
END
unit backup.timer <<END
[Timer]
OnCalendar=daily
[Install]
WantedBy=timers.target
END
unit asked.socket <<END
[Socket]
ListenStream=127.0.0.1:7008
[Install]
WantedBy=sockets.target
END
unit asked.service <<END
[Service]
ExecStart=/usr/bin/sleep infinity
END
# Addresses, routes and kernel settings, made anew at each boot as a network's configuration does.
printf 'ip address add 198.51.100.7/32 dev lo\nip route add 203.0.113.0/24 dev lo\n' >/etc/lab/network
unit lab-network.service <<END
[Unit]
Before=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '. /etc/lab/network; echo "\$\$(cat /etc/lab/somaxconn)" >/proc/sys/net/core/somaxconn'
[Install]
WantedBy=multi-user.target
END
echo 2048 >/etc/lab/somaxconn
# What a container cannot change of its kernel: the files are shown in place of the kernel's own.
# A kernel without modules has no list of them.
for name in swaps modules cmdline; do [ ! -e /proc/$name ] || cat /proc/$name >/etc/lab/$name; done
printf 'Filename\tType\tSize\tUsed\tPriority\n/swapfile file 1048572 0 -2\n' >/etc/lab/swaps
echo 'lab_needed 16384 0 - Live 0x0000000000000000' >>/etc/lab/modules
echo lab_needed >/etc/modules-load.d/lab.conf
echo 'BOOT_IMAGE=/vmlinuz root=/dev/vda1 quiet' >/etc/lab/cmdline
unit lab-kernel.service <<END
[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for name in swaps modules cmdline; do [ ! -e /proc/\$\$name ] || mount --bind /etc/lab/\$\$name /proc/\$\$name; done'
[Install]
WantedBy=sysinit.target
END
# Nor can it set the clock's state: this answers in its place.
echo yes >/etc/lab/synchronized
mv /usr/bin/timedatectl /usr/bin/timedatectl.real
printf '#!/bin/sh\ncat /etc/lab/synchronized\n' >/usr/bin/timedatectl
chmod 0755 /usr/bin/timedatectl
# What the resume service does after a reboot, here without a run.
unit patchday-lab-verify.service <<END
[Unit]
After=dbus.socket
ConditionPathExists=/etc/lab/verify
[Service]
ExecStart=/bin/sh -c 'patchday verify --json >/var/tmp/verify.new; mv /var/tmp/verify.new /var/tmp/verify.json'
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --quiet web echo srv-data.mount reader worker plain backup.timer asked.socket lab-network \
    lab-kernel patchday-lab-verify

# One package, installed and waiting in a newer version.
package() {
    root=$(mktemp -d); install -d "$root/DEBIAN" "$root/usr/share/lab-note"; echo "$1" >"$root/usr/share/lab-note/note"
    printf 'Package: lab-note\nVersion: %s\nArchitecture: all\nMaintainer: lab <lab@example.org>\nDescription: a note\n' \
        "$1" >"$root/DEBIAN/control"
    dpkg-deb --build --root-owner-group "$root" "/var/lab-repo/lab-note_$1_all.deb" >/dev/null
}
package 1; package 2
dpkg --install /var/lab-repo/lab-note_1_all.deb >/dev/null
deb=/var/lab-repo/lab-note_2_all.deb
{ dpkg-deb --field "$deb"; echo "Filename: ./lab-note_2_all.deb"; echo "Size: $(stat -c %s "$deb")"
  echo "SHA256: $(sha256sum "$deb" | cut -d' ' -f1)"; } >/var/lab-repo/Packages
rm -f /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/var/lab-repo ./' >/etc/apt/sources.list
