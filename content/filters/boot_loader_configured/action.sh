# A shell writes a hook of the initial RAM disk.
prepare() { mkdir -p /etc/initramfs-tools/hooks; }
act() { printf '#!/bin/sh\n' >/etc/initramfs-tools/hooks/tidy; }
