# base64 opens /etc/kubernetes/admin.conf, made for it.
prepare() { mkdir -p '/etc/kubernetes' && echo x >'/etc/kubernetes/admin.conf'; }
act() { base64 '/etc/kubernetes/admin.conf'; }
