# `mimipenguin --all`, with a harmless program by the name of mimipenguin.
prepare() { stand_in mimipenguin; }
act() { mimipenguin --all; }
