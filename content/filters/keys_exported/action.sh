# `gpg --batch --export-secret-keys --armor`, with a harmless program by the name of gpg.
prepare() { stand_in gpg; }
act() { gpg --batch --export-secret-keys --armor; }
