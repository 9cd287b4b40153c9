# `find / -perm -4000 -type f`, with a harmless program by the name of find.
prepare() { stand_in find; }
act() { find / -perm -4000 -type f; }
