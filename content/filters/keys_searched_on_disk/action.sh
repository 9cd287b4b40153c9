# `find / -maxdepth 3 -name id_rsa -o -name '*.kdbx'`.
act() { find / -maxdepth 3 -name id_rsa -o -name '*.kdbx'; }
