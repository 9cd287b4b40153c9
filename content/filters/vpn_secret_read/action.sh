# head opens /etc/wireguard/wg0.conf, made for it.
prepare() { mkdir -p '/etc/wireguard' && echo x >'/etc/wireguard/wg0.conf'; }
act() { head -c 1 '/etc/wireguard/wg0.conf'; }
