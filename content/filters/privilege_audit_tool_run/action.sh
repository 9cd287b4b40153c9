# `bash /home/ana/linpeas.sh -q`, with a harmless program by the name of bash.
prepare() { stand_in bash; }
act() { bash /home/ana/linpeas.sh -q; }
