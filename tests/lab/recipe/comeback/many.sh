# Adds $UNITS units that do nothing, each after the one before; the first $PROBES are configured, with a probe each.
set -eu
cd /etc/systemd/system
mkdir -p multi-user.target.wants
for at in $(seq 1 "$UNITS"); do
    printf '[Unit]\nAfter=many-%d.service\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n' \
        $((at - 1)) >many-"$at".service
    printf '[Install]\nWantedBy=multi-user.target\n' >>many-"$at".service
    ln -s ../many-"$at".service multi-user.target.wants/many-"$at".service
    [ "$at" -le "$PROBES" ] || continue
    after=
    [ "$at" -eq 1 ] || after="\"many-$((at - 1)).service\""
    printf '\n[[service]]\nunit = "many-%d.service"\nafter = [%s]\n[service.readiness]\nprobe = "http"\n' "$at" "$after" \
        >>/etc/lab/services
    printf 'url = "http://127.0.0.1:8090/%d"\n' "$at" >>/etc/lab/services
done
cat /etc/lab/services >>/etc/patchday/patchday.toml
systemctl daemon-reload
systemctl start $(seq -f 'many-%.0f.service' 1 "$UNITS")
