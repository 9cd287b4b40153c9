# od opens /etc/ssh/ssh_host_ed25519_key, made for it.
prepare() { mkdir -p '/etc/ssh' && echo x >'/etc/ssh/ssh_host_ed25519_key'; }
act() { od '/etc/ssh/ssh_host_ed25519_key'; }
