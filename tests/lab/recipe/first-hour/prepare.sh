# An ordinary server: nginx before an application, as the release has it and without its updates, and somebody with sudo.
apt-get -qy --no-install-recommends --target-release bookworm install \
    apt-utils bash-completion less nginx-light openssh-server sudo whiptail
# Debian installs it with a desktop only, and it would have its say after each package.
apt-get -qy --autoremove purge needrestart
apt-get clean
useradd --create-home --base-dir /srv --shell /bin/bash --groups sudo ada
echo 'ada ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ada
chmod 0440 /etc/sudoers.d/ada
echo 'LANG=C.UTF-8' >/etc/default/locale
# The lab looks there how a command ended that was typed.
echo "PROMPT_COMMAND='echo \$? >~/.ended'" >/etc/profile.d/lab.sh
