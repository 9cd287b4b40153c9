# A shell writes a file of that name in a folder of its own.
prepare() { mkdir -p /opt/g; }
act() { echo /bin/true >/opt/g/release_agent; }
