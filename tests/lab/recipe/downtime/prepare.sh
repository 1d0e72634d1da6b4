# Makes a server of an image that gets a new kernel, and a DKMS module built for it: the kernel that the release has, not
# its updates, with what it recommends. What all ways of patching need is in it, so that all begin with the same.
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
apt-get -qy --no-install-recommends --target-release "$codename" install \
    linux-image-cloud-amd64 linux-headers-cloud-amd64 apparmor firmware-linux-free initramfs-tools zstd \
    dm-writeboost-dkms unattended-upgrades
apt-get clean
