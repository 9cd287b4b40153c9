# `find / -maxdepth 3 -perm -4000 -type f`.
act() { find / -maxdepth 3 -perm -4000 -type f; }
