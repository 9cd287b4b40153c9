# `nohup sleep 0`.
act() { nohup sleep 0; }
