# `find / -name id_rsa -o -name '*.kdbx'`, with a harmless program by the name of find.
prepare() { stand_in find; }
act() { find / -name id_rsa -o -name '*.kdbx'; }
