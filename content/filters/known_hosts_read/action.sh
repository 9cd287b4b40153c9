# `cat /home/ana/.ssh/known_hosts`, with a harmless program by the name of cat.
prepare() { stand_in cat; }
act() { cat /home/ana/.ssh/known_hosts; }
