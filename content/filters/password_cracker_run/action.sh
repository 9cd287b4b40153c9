# `unshadow passwd.txt shadow.txt`, with a harmless program by the name of unshadow.
prepare() { stand_in unshadow; }
act() { unshadow passwd.txt shadow.txt; }
