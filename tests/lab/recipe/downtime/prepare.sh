# Makes a server of an image that gets a new kernel, and a DKMS module built for it: the kernel that the release has, not
# its updates, with what it recommends. What all ways of patching need is in it, so that all begin with the same: the ssh
# server is on a port that the lab chooses, since machines share the network of the host.
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
apt-get -qy --no-install-recommends --target-release "$codename" install \
    linux-image-cloud-amd64 linux-headers-cloud-amd64 apparmor firmware-linux-free initramfs-tools zstd \
    dm-writeboost-dkms unattended-upgrades openssh-server sudo
apt-get clean
useradd --create-home --shell /bin/bash ops
install -d -o ops -g ops -m 0700 /home/ops/.ssh
echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops
chmod 0440 /etc/sudoers.d/ops
