# `mutt -a /home/ana/list.csv -s list -- a@example.org`, with a harmless program by the name of mutt.
prepare() { stand_in mutt; }
act() { mutt -a /home/ana/list.csv -s list -- a@example.org; }
