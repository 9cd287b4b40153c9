# `find /home -name '*.docx' -exec cp {} /srv/out ';'`.
act() { find /home -name '*.docx' -exec cp {} /srv/out ';'; }
