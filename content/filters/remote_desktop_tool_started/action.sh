# `tmate -F`, with a harmless program by the name of tmate.
prepare() { stand_in tmate; }
act() { tmate -F; }
