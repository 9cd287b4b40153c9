# `gpg --batch --export-secret-keys --armor`.
act() { gpg --batch --export-secret-keys --armor; }
