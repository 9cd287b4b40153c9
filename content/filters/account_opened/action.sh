# `passwd -d backup`.
act() { passwd -d backup; }
