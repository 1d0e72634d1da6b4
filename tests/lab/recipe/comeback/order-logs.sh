# What the services' own logs say of this boot, in microseconds of the wall's clock: when mongod waited for connections, when
# the API was active, when it listened, and when it had its database; and when the witness began and was ready, and basic.target
# was reached, since systemd began.
set -eu
wall() { date -d "$1" +%s%6N; }
said() {
    journalctl -b -u sample-api.service -o short-unix --no-pager |
        sed -n "s/^\([0-9]*\)\.\([0-9]*\) .*: $1.*\$/\1\2/p" | tail -n 1
}
show() { systemctl show -P "$1" ${2:+"$2"}; }
wall "$(grep '"id":23016' /var/log/mongod/mongod.log | tail -n 1 | sed 's/.*"$date":"\([^"]*\)".*/\1/')"
wall "$(systemctl show -P ActiveEnterTimestamp --timestamp=us+utc sample-api.service)"
said 'listening on'
said 'database ready'
began=$(show UserspaceTimestampMonotonic)
for moment in InactiveExitTimestampMonotonic ActiveEnterTimestampMonotonic; do
    echo $(($(show $moment patchday-witness.service) - began))
done
echo $(($(show ActiveEnterTimestampMonotonic basic.target) - began))
