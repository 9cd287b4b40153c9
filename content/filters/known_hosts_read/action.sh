# `cat /home/ana/.ssh/known_hosts`.
act() { cat /home/ana/.ssh/known_hosts; }
