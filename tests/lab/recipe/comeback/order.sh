# Keeps the state of a run that waits for its reboot, and puts it back at each later boot: so each of them goes on with it.
# And something that burns CPU from the beginning of a boot, where that is wanted.
set -eu
cat >/etc/systemd/system/lab-stage.service <<END
[Unit]
DefaultDependencies=no
After=local-fs.target
Before=patchday-witness.service basic.target
ConditionPathExists=/etc/lab/stage
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'if [ -d /var/tmp/staged ]; then mkdir -p /var/lib/patchday && cp -a /var/tmp/staged/. /var/lib/patchday/; else cp -a /var/lib/patchday /var/tmp/staged; fi'
[Install]
WantedBy=basic.target
END
cat >/etc/systemd/system/lab-burner.service <<END
[Unit]
DefaultDependencies=no
After=local-fs.target
Before=basic.target
ConditionPathExists=/etc/lab/burn
[Service]
ExecStart=/bin/sh -c 'while :; do :; done & while :; do :; done'
[Install]
WantedBy=basic.target
END
systemctl daemon-reload
systemctl enable --quiet lab-stage lab-burner
touch /etc/lab/stage
