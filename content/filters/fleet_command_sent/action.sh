# `pdsh -w web-[1-3] uptime`, with a harmless program by the name of pdsh.
prepare() { stand_in pdsh; }
act() { pdsh -w web-[1-3] uptime; }
