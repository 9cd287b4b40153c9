# `usermod --lock ana`.
act() { usermod --lock ana; }
