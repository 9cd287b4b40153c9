# `find /home -name '*.docx' -exec cp {} /srv/out ';'`, with a harmless program by the name of find.
prepare() { stand_in find; }
act() { find /home -name '*.docx' -exec cp {} /srv/out ';'; }
