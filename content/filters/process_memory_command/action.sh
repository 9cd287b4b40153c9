# `strings /proc/4242/environ`.
act() { strings /proc/4242/environ; }
