# Makes a control host of an image: Debian's own Ansible, and a key for the servers.
apt-get -qq update
apt-get -qy --no-install-recommends install ansible-core openssh-client
apt-get clean
install -d -m 0700 /root/.ssh
ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
# Whatever else a machine of the lab runs would only take from the server's CPU.
systemctl disable mongod.service
systemctl mask sample-api.service
