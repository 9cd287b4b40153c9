# A shell writes a hook that does nothing.
prepare() { mkdir -p /etc/apt/apt.conf.d; }
act() { echo 'APT::Update::Pre-Invoke {"true";};' >/etc/apt/apt.conf.d/99tidy; }
