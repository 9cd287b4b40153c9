# `hydra -l root -P words.txt ssh://127.0.0.1`, with a harmless program by the name of hydra.
prepare() { stand_in hydra; }
act() { hydra -l root -P words.txt ssh://127.0.0.1; }
